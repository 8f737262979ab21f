/*
 * locks.c
 *		f6's own heavyweight locks.
 *
 * They are of the advisory kind, of this database, with a tag that no lock of a user has: the server's functions make
 * tags whose last field is 1 or 2.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "f6.h"
#include "locks.h"

/* the last field of f6's tags */
#define F6_LOCK_CLASS 0xF6

/* what a lock is about: the field before it */
#define F6_LOCK_ORDER 1

/* set_order_tag makes the tag of the lock on the order of the log. */
static void
set_order_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, F6_LOCK_ORDER, F6_LOCK_CLASS);
}

/*
 * f6_lock_order makes the caller the only one to read the clock and take a position, so that both give events the same
 * order.  It is held for a moment, never while waiting for anything else; an error releases it with the transaction.
 */
void
f6_lock_order(void)
{
	LOCKTAG tag;

	set_order_tag(&tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* f6_unlock_order lets others go on. */
void
f6_unlock_order(void)
{
	LOCKTAG tag;

	set_order_tag(&tag);
	LockRelease(&tag, ExclusiveLock, false);
}
