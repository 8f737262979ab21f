/*
 * lock.c
 *		The locks between appends and conditions: who appends shares them, who depends on nothing being appended excludes.
 *
 * An append shares the log, its types and its objects.  A condition excludes what it asks about: an object, a type, or the
 * log.  So two transactions only wait for each other when the condition of one can see the events of the other.
 *
 * The server's lock table is small.  A transaction that would need too many locks shares the log in a mode that excludes
 * conditions, in place of its types and objects: appends in bulk don't wait for each other.  A condition that asks about too
 * much excludes the log.
 *
 * The log's lock is one on a relation that nothing else locks: everybody takes it, and the server keeps the weak modes of
 * relations with each process, out of the table that all share.  The others are advisory locks of the transaction, under tags
 * that SQL's functions for advisory locks cannot name: pg_locks shows them with an objsubid of F6_LOCK_CLASS and more.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "f6.h"
#include "guc.h"
#include "lock.h"
#include "relation.h"

/* SQL's advisory locks have 1 or 2 there; pg_locks shows 16 bits with their sign. */
#define F6_LOCK_CLASS 0x4600

/* One lock on all runs makes others wait, and two who come to it deadlock: so it takes more runs than types and objects. */
#define RUNS_IN_BULK 16

/* What is locked, in the order in which locks are taken. */
typedef enum lock_kind
{
	LOCK_LOG,
	LOCK_TYPE,
	LOCK_OBJECT,
	LOCK_ID,
	LOCK_SNAPSHOTS,
	LOCK_FIELD,
	LOCK_WORKER,
	LOCK_WAITING,
	LOCK_COMMAND_RUN
} lock_kind;

/* What a lock is for, as bits. */
typedef enum lock_use
{
	FOR_APPEND = 1,
	FOR_BULK = 2,  /* of the log: it stands for the types and objects of appends */
	FOR_QUERY = 4, /* for a condition */
	FOR_ALL = 8	   /* of the log: for a condition about every event */
} lock_use;

struct f6_lock
{
	lock_kind kind;
	int uses;
	uint64 key;
};

/* How many locks of types, objects and ids there are, how many of these are for conditions, and how many there are of runs. */
typedef struct lock_count
{
	int all;
	int of_conditions;
	int of_runs;
} lock_count;

/* What was counted before a subtransaction at some level of nesting took its first lock. */
typedef struct part_count
{
	int level;
	lock_count before;
} part_count;

/* Those that a transaction has taken, by its number. */
static FullTransactionId counted_in;
static lock_count counted;
static part_count *parts; /* the innermost is the last */
static int parts_count = 0;
static int parts_room = 0;

/* f6_locks_begin begins a collection, in the current memory context. */
void
f6_locks_begin(f6_locks *locks)
{
	locks->count = 0;
	locks->room = 16;
	locks->locks = palloc(sizeof(f6_lock) * locks->room);
}

/* want adds a lock to a collection. */
static void
want(f6_locks *locks, lock_kind kind, uint64 key, lock_use use)
{
	f6_lock *lock;

	if (locks->count == locks->room)
	{
		locks->room *= 2;
		locks->locks = repalloc_huge(locks->locks, sizeof(f6_lock) * locks->room);
	}
	lock = &locks->locks[locks->count++];
	lock->kind = kind;
	lock->uses = use;
	lock->key = key;
}

/* text_key returns the key of a text. */
static uint64
text_key(const char *text, int length)
{
	return hash_bytes_extended((const unsigned char *) text, length, 0);
}

/* uuid_key returns the key of a UUID. */
static uint64
uuid_key(const pg_uuid_t *uuid)
{
	return hash_bytes_extended(uuid->data, UUID_LEN, 0);
}

/* f6_locks_append adds what every append needs. */
void
f6_locks_append(f6_locks *locks)
{
	want(locks, LOCK_LOG, 0, FOR_APPEND);
}

/* f6_locks_append_type adds what an append of an event of a type needs. */
void
f6_locks_append_type(f6_locks *locks, const char *event_type, int length)
{
	want(locks, LOCK_TYPE, text_key(event_type, length), FOR_APPEND);
}

/* f6_locks_append_object adds what an append of an event that names an object needs. */
void
f6_locks_append_object(f6_locks *locks, const pg_uuid_t *object)
{
	want(locks, LOCK_OBJECT, uuid_key(object), FOR_APPEND);
}

/* f6_locks_append_id adds what an append under a given id needs, so that its repetition waits for its end. */
void
f6_locks_append_id(f6_locks *locks, const pg_uuid_t *id)
{
	want(locks, LOCK_ID, uuid_key(id), FOR_APPEND);
}

/* f6_locks_query adds what every condition needs. */
void
f6_locks_query(f6_locks *locks)
{
	want(locks, LOCK_LOG, 0, FOR_QUERY);
}

/* f6_locks_query_all adds what a condition about every event needs. */
void
f6_locks_query_all(f6_locks *locks)
{
	want(locks, LOCK_LOG, 0, FOR_ALL);
}

/* f6_locks_query_type adds what a condition about the events of a type needs. */
void
f6_locks_query_type(f6_locks *locks, const char *event_type, int length)
{
	want(locks, LOCK_TYPE, text_key(event_type, length), FOR_QUERY);
}

/* f6_locks_query_object adds what a condition about the events that name an object needs. */
void
f6_locks_query_object(f6_locks *locks, const pg_uuid_t *object)
{
	want(locks, LOCK_OBJECT, uuid_key(object), FOR_QUERY);
}

/* compare_locks orders locks by what they lock, for qsort. */
static int
compare_locks(const void *a, const void *b)
{
	const f6_lock *first = a;
	const f6_lock *second = b;

	if (first->kind != second->kind)
		return first->kind < second->kind ? -1 : 1;
	if (first->key != second->key)
		return first->key < second->key ? -1 : 1;
	return 0;
}

/* sort_locks brings a collection in order, each lock once. */
static void
sort_locks(f6_locks *locks)
{
	int kept = 0;

	qsort(locks->locks, locks->count, sizeof(f6_lock), compare_locks);
	for (int i = 0; i < locks->count; i++)
	{
		f6_lock *lock = &locks->locks[i];
		f6_lock *last = kept > 0 ? &locks->locks[kept - 1] : NULL;

		if (last != NULL && compare_locks(last, lock) == 0)
			last->uses |= lock->uses;
		else
			locks->locks[kept++] = *lock;
	}
	locks->count = kept;
}

/* lock_tag returns the server's name for a lock. */
static LOCKTAG
lock_tag(lock_kind kind, uint64 key)
{
	LOCKTAG tag;

	if (kind == LOCK_LOG)
		SET_LOCKTAG_RELATION(tag, MyDatabaseId, f6_relation_oid(F6_APPEND_LOCK));
	else
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (key >> 32), (uint32) key,
							 F6_LOCK_CLASS + kind);
	return tag;
}

/* log_mode returns the mode in which the log is locked: the weak ones conflict with the strong ones that exclude them only. */
static LOCKMODE
log_mode(int uses)
{
	if (uses & FOR_ALL)
		return ExclusiveLock;
	if (uses & FOR_BULK)
		return uses & FOR_QUERY ? ShareRowExclusiveLock : ShareLock;
	return uses & FOR_QUERY ? RowExclusiveLock : RowShareLock;
}

/* lock_mode returns the mode in which a lock is taken. */
static LOCKMODE
lock_mode(const f6_lock *lock)
{
	if (lock->kind == LOCK_LOG)
		return log_mode(lock->uses);
	return lock->kind == LOCK_ID || lock->uses & FOR_QUERY ? ExclusiveLock : ShareLock;
}

/* is_countable tells whether there may be many of a kind of lock. */
static bool
is_countable(const f6_lock *lock)
{
	return lock->kind == LOCK_TYPE || lock->kind == LOCK_OBJECT || lock->kind == LOCK_ID;
}

/* count_lock adds a lock to a count. */
static void
count_lock(lock_count *count, const f6_lock *lock)
{
	if (!is_countable(lock))
		return;
	count->all++;
	count->of_conditions += (lock->uses & FOR_QUERY) != 0;
}

/* undo_count takes off what the subtransactions from a level on have counted: their locks are gone. */
static void
undo_count(int level)
{
	while (parts_count > 0 && parts[parts_count - 1].level >= level)
		counted = parts[--parts_count].before;
}

/* pass_on_count leaves what a subtransaction at a level has counted to the one around it. */
static void
pass_on_count(int level)
{
	if (parts_count == 0 || parts[parts_count - 1].level != level)
		return;
	parts[parts_count - 1].level--;
	if (level == 2 || (parts_count > 1 && parts[parts_count - 2].level == level - 1))
		parts_count--;
}

/* end_part keeps the count right when a subtransaction ends. */
static void
end_part(SubXactEvent event, SubTransactionId part, SubTransactionId parent, void *arg)
{
	(void) part;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		undo_count(GetCurrentTransactionNestLevel());
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		pass_on_count(GetCurrentTransactionNestLevel());
}

/* make_room makes room for what was counted before one more subtransaction. */
static void
make_room(void)
{
	if (parts_count < parts_room)
		return;
	if (parts == NULL)
	{
		parts = MemoryContextAlloc(TopMemoryContext, sizeof(part_count) * 8);
		parts_room = 8;
		RegisterSubXactCallback(end_part, NULL);
		return;
	}
	parts = repalloc_huge(parts, sizeof(part_count) * parts_room * 2);
	parts_room *= 2;
}

/* counting returns the count of the current transaction, to which a lock is to be added that it has taken. */
static lock_count *
counting(void)
{
	int level = GetCurrentTransactionNestLevel();

	if (level > 1 && (parts_count == 0 || parts[parts_count - 1].level < level))
	{
		make_room();
		parts[parts_count].level = level;
		parts[parts_count++].before = counted;
	}
	return &counted;
}

/* has_taken_locks tells whether the current transaction has taken any before. */
static bool
has_taken_locks(void)
{
	return FullTransactionIdEquals(counted_in, GetTopFullTransactionId());
}

/* taken_before returns how many locks the current transaction has taken before. */
static const lock_count *
taken_before(void)
{
	if (!has_taken_locks())
	{
		counted_in = GetTopFullTransactionId();
		memset(&counted, 0, sizeof(counted));
		parts_count = 0;
	}
	return &counted;
}

/* drop_countable leaves out the locks for which others stand: those of conditions as well, or only of appends. */
static void
drop_countable(f6_locks *locks, bool conditions)
{
	int kept = 0;

	for (int i = 0; i < locks->count; i++)
	{
		if (!is_countable(&locks->locks[i]) || (locks->locks[i].uses & FOR_QUERY && !conditions))
			locks->locks[kept++] = locks->locks[i];
	}
	locks->count = kept;
}

/* mode_to_take returns the mode in which a lock is taken: one that the transaction has, if that stands for the one needed. */
static LOCKMODE
mode_to_take(const f6_lock *lock, bool has_some)
{
	LOCKMODE mode = lock_mode(lock);
	LOCKTAG tag;

	if (!has_some || mode == ExclusiveLock)
		return mode;
	tag = lock_tag(lock->kind, lock->key);
	if (f6_lock_is_held(&tag, ExclusiveLock))
		return ExclusiveLock;
	if (lock->kind == LOCK_LOG && f6_lock_is_held(&tag, ShareRowExclusiveLock))
		return ShareRowExclusiveLock;
	return mode;
}

/* is_held tells whether the transaction has taken a lock before. */
static bool
is_held(const f6_lock *lock)
{
	LOCKTAG tag = lock_tag(lock->kind, lock->key);

	return f6_lock_is_held(&tag, mode_to_take(lock, true));
}

/* count_locks returns how many locks the transaction would have with those of a collection. */
static lock_count
count_locks(const f6_locks *locks, int threshold)
{
	lock_count count = *taken_before();

	for (int i = 0; i < locks->count; i++)
		count_lock(&count, &locks->locks[i]);
	if (count.all <= threshold)
		return count;
	/* Which of them are not new matters only now. */
	count = *taken_before();
	for (int i = 0; i < locks->count; i++)
	{
		if (!is_held(&locks->locks[i]))
			count_lock(&count, &locks->locks[i]);
	}
	return count;
}

/* is_in_bulk tells whether the transaction appends in bulk already. */
static bool
is_in_bulk(void)
{
	LOCKTAG tag = lock_tag(LOCK_LOG, 0);

	return f6_lock_is_held(&tag, ShareLock) || f6_lock_is_held(&tag, ShareRowExclusiveLock);
}

/* bulk_threshold returns how many locks a transaction takes one by one. */
static int
bulk_threshold(void)
{
	return f6_bulk_threshold_setting >= 0 ? f6_bulk_threshold_setting : max_locks_per_xact;
}

/* limit_locks puts a stronger lock of the log in the place of more locks than the threshold allows. */
static void
limit_locks(f6_locks *locks, bool has_some)
{
	int threshold = bulk_threshold();
	lock_count count = count_locks(locks, threshold);
	bool in_bulk = has_some && is_in_bulk();

	if (count.of_conditions > threshold)
		want(locks, LOCK_LOG, 0, FOR_ALL);
	else if (count.all > threshold && !in_bulk)
		want(locks, LOCK_LOG, 0, FOR_BULK);
	sort_locks(locks);
	if (mode_to_take(&locks->locks[0], has_some) == ExclusiveLock)
		drop_countable(locks, true);
	else if (in_bulk || locks->locks[0].uses & FOR_BULK)
		drop_countable(locks, false);
}

/*
 * f6_locks_take takes all the locks of a collection, the log's among them, for the rest of the transaction; one that it has is
 * not waited for.
 */
void
f6_locks_take(f6_locks *locks)
{
	bool has_some = has_taken_locks();

	sort_locks(locks);
	limit_locks(locks, has_some);
	for (int i = 0; i < locks->count; i++)
	{
		const f6_lock *lock = &locks->locks[i];
		LOCKTAG tag = lock_tag(lock->kind, lock->key);

		if (LockAcquire(&tag, mode_to_take(lock, has_some), false, false) !=
			LOCKACQUIRE_ALREADY_HELD)
			count_lock(counting(), lock);
	}
}

/* f6_lock_try_snapshots takes the lock on an object's snapshots, for the rest of the transaction, if nobody else has it. */
bool
f6_lock_try_snapshots(const pg_uuid_t *object)
{
	LOCKTAG tag = lock_tag(LOCK_SNAPSHOTS, uuid_key(object));

	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* f6_lock_field takes the lock on what is kept of a field, for the rest of the transaction; without waiting, if nobody else has it. */
bool
f6_lock_field(const char *path, bool legal, bool wait)
{
	LOCKTAG tag = lock_tag(LOCK_FIELD, text_key(path, (int) strlen(path)) + legal);

	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* f6_lock_worker makes the session the database's worker, until it ends, or the transaction does, if nobody else is. */
bool
f6_lock_worker(bool for_session)
{
	LOCKTAG tag = lock_tag(LOCK_WORKER, 0);

	return LockAcquire(&tag, ExclusiveLock, for_session, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* f6_lock_command_run takes the lock on the runs of a command under a key, for the rest of the transaction; instead of very many that on all. */
void
f6_lock_command_run(const char *command, const char *key)
{
	LOCKTAG tag =
		lock_tag(LOCK_COMMAND_RUN, hash_combine64(text_key(command, (int) strlen(command)),
												  text_key(key, (int) strlen(key))));
	LOCKTAG all;

	SET_LOCKTAG_RELATION(all, MyDatabaseId, f6_relation_oid(F6_COMMAND_RUN));
	if (f6_lock_is_held(&all, ShareRowExclusiveLock))
		return;
	if (taken_before()->of_runs >= (int64) bulk_threshold() * RUNS_IN_BULK)
	{
		(void) LockAcquire(&all, ShareRowExclusiveLock, false, false);
		return;
	}
	(void) LockAcquire(&all, RowExclusiveLock, false, false);
	if (LockAcquire(&tag, ExclusiveLock, false, false) != LOCKACQUIRE_ALREADY_HELD)
		counting()->of_runs++;
}

/* f6_lock_worker_process returns the process of a database's worker; 0: there is none. */
int
f6_lock_worker_process(Oid database)
{
	LOCKTAG tag = lock_tag(LOCK_WORKER, 0);
	LockData *locks = GetLockStatusData();
	tag.locktag_field1 = database;

	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->holdMask != 0 && memcmp(&lock->locktag, &tag, sizeof(tag)) == 0)
			return lock->pid;
	}
	return 0;
}

/* f6_lock_wait says that the session waits for the end of appends: a lock that nobody conflicts with. */
void
f6_lock_wait(void)
{
	LOCKTAG tag = lock_tag(LOCK_WAITING, 0);

	(void) LockAcquire(&tag, ShareLock, false, true);
}

/* f6_unlock_wait says that it does so no longer. */
void
f6_unlock_wait(void)
{
	LOCKTAG tag = lock_tag(LOCK_WAITING, 0);

	(void) LockRelease(&tag, ShareLock, false);
}

/* f6_lock_waiting returns the transactions of the database's other sessions that wait. */
VirtualTransactionId *
f6_lock_waiting(int *count)
{
	LOCKTAG tag = lock_tag(LOCK_WAITING, 0);

	return GetLockConflicts(&tag, ExclusiveLock, count);
}

/* f6_locks_are_held_by_others tells whether a condition might have to wait for these locks now. */
bool
f6_locks_are_held_by_others(f6_locks *locks)
{
	/* Those of the primary are not known to a standby. */
	if (RecoveryInProgress())
		return true;
	sort_locks(locks);
	for (int i = 0; i < locks->count; i++)
	{
		LOCKTAG tag = lock_tag(locks->locks[i].kind, locks->locks[i].key);
		int holders;

		CHECK_FOR_INTERRUPTS();
		pfree(GetLockConflicts(&tag, lock_mode(&locks->locks[i]), &holders));
		if (holders > 0)
			return true;
	}
	return false;
}
