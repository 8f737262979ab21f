/*
 * waiting.c
 *		Waiting for the horizon to move, without looking at tables.
 *
 * The horizon moves when a transaction ends that has appended.  Whoever waits for that shares a lock, which conflicts with nothing that anybody takes;
 * it only says who they are.  The end of an append looks up who has it, and sets their latches: that costs a look into the server's lock table, and
 * needs no shared memory of f6's own.  A transaction that was prepared wakes nobody when it is committed: whoever waits looks once in a while.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"

#include "f6.h"
#include "lock.h"
#include "waiting.h"

/* Has the current transaction appended? */
static bool is_due = false;

/* wake_waiting wakes everybody who waits. */
static void
wake_waiting(void)
{
	int count;
	VirtualTransactionId *waiting = f6_lock_waiting(&count);

	for (int i = 0; i < count; i++)
	{
		PGPROC *process = f6_process_of(waiting[i]);

		if (process != NULL)
			SetLatch(&process->procLatch);
	}
	pfree(waiting);
}

/* at_end wakes whoever waits when a transaction has ended that has appended: by then its events are visible, or never will be. */
static void
at_end(XactEvent event, void *argument)
{
	bool was_due = is_due;

	(void) argument;
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	is_due = false;
	if (was_due && event != XACT_EVENT_PREPARE)
		wake_waiting();
}

/* f6_wake_at_end has whoever waits woken when the current transaction ends. */
void
f6_wake_at_end(void)
{
	static bool is_registered = false;

	if (!is_registered)
		RegisterXactCallback(at_end, NULL);
	is_registered = true;
	is_due = true;
}

/* f6_is_waking_at_end tells whether it has been asked for. */
bool
f6_is_waking_at_end(void)
{
	return is_due;
}

/* f6_waiting_begin has the session woken when the horizon moves from now on, until f6_waiting_end or the transaction's end. */
void
f6_waiting_begin(void)
{
	f6_lock_wait();
}

/* f6_waiting_sleep waits until the session is woken, or for some milliseconds; what there is to be found has been looked for before. */
void
f6_waiting_sleep(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* f6_waiting_end ends the waiting. */
void
f6_waiting_end(void)
{
	f6_unlock_wait();
}
