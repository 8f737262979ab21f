/*
 * snapshot.c
 *		States that were kept, so that not every question needs an object's whole history.
 *
 * f6.snapshot is a cache: what is not there is folded, and whoever notices that this takes long keeps the result.  Nobody
 * waits for that and nobody fails by it.  A row is found under the fold that made it: another registry, or another time
 * zone for dates without one, makes another fold.
 *
 * Rows are read and written below the level of statements, by callers who may see every event.  They are visible as any rows
 * are, so that nobody is told of events that they don't see yet.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "event_type.h"
#include "guc.h"
#include "lock.h"
#include "relation.h"
#include "snapshot.h"
#include "table_writer.h"

/* Another number makes another fold: for a version of f6 that would fold the same events to another state. */
#define FOLD_NUMBER 1

/* So many states a transaction keeps: each takes a lock until it ends, and a subtransaction. */
#define KEPT_BY_A_TRANSACTION 16

/* About as much memory as a row takes besides its state. */
#define ROW_SIZE 128

/* columns of f6.snapshot; its index has the object, legal, the fold and the position */
enum snapshot_column
{
	SNAPSHOT_OBJECT_ID = 1,
	SNAPSHOT_LEGAL,
	SNAPSHOT_REGISTRY,
	SNAPSHOT_FOLD,
	SNAPSHOT_POSITION,
	SNAPSHOT_EVENTS,
	SNAPSHOT_RECORDED_UNTIL,
	SNAPSHOT_VALID_FROM,
	SNAPSHOT_VALID_TO,
	SNAPSHOT_STATE,
	SNAPSHOT_COLUMNS = SNAPSHOT_STATE
};

/* columns of the index by which snapshots are found */
enum snapshot_index_column
{
	BY_OBJECT = 1,
	BY_LEGAL,
	BY_FOLD
};

struct f6_snapshot_scan
{
	Relation table;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	f6_snapshot snapshot;
};

/* How many states the current transaction has kept. */
static int kept;

/* The end of the transaction's WAL where it has written nothing but snapshots, else invalid. */
static XLogRecPtr alone_until = InvalidXLogRecPtr;

/* end_transaction has one that has written nothing but snapshots not wait for the disk, nor for standbys. */
static void
end_transaction(XactEvent event, void *arg)
{
	(void) arg;
	if (event != XACT_EVENT_PRE_COMMIT)
	{
		kept = 0;
		alone_until = InvalidXLogRecPtr;
	}
	else if (!XLogRecPtrIsInvalid(alone_until) && alone_until == XactLastRecEnd)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

/* f6_snapshot_init readies the keeping of snapshots; called once, when the library is loaded. */
void
f6_snapshot_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
}

/* f6_snapshots_may_be_read tells whether kept states serve in the current transaction. */
bool
f6_snapshots_may_be_read(void)
{
	/* What is kept by somebody else would make a serializable transaction fail that has nothing to do with it. */
	return f6_snapshot_events_setting > 0 && !IsolationIsSerializable();
}

/* serves_now tells whether a snapshot is of the present. */
static bool
serves_now(TimestampTz valid_from, bool ends, TimestampTz valid_to)
{
	TimestampTz now = GetCurrentTimestamp();

	return valid_from <= now && (!ends || now < valid_to);
}

/* f6_snapshot_may_be_kept tells whether a snapshot is worth keeping, and the current transaction can do so. */
bool
f6_snapshot_may_be_kept(const f6_snapshot *snapshot)
{
	return f6_snapshots_may_be_read() && !XactReadOnly && !RecoveryInProgress() &&
		   !IsInParallelMode() && kept < KEPT_BY_A_TRANSACTION &&
		   serves_now(snapshot->valid_from, snapshot->ends, snapshot->valid_to);
}

/* f6_fold_version_now returns which fold makes states now, with a program of that hash. */
f6_fold_version
f6_fold_version_now(uint64 program)
{
	f6_fold_version version;
	bool has_dates;
	uint64 registry = hash_combine64(f6_event_type_fingerprint(&has_dates), FOLD_NUMBER);
	const char *zone = has_dates ? pg_get_timezone_name(session_timezone) : "";

	version.generation = f6_event_type_generation();
	version.registry = (int64) registry;
	version.fold = (int64) hash_combine64(
		registry, hash_bytes_extended((const unsigned char *) zone, (int) strlen(zone), 0));
	version.program = program;
	if (program != 0)
		version.fold = (int64) hash_combine64((uint64) version.fold, program);
	return version;
}

/* f6_fold_version_is_now tells whether the session has heard of no change of what is registered since. */
bool
f6_fold_version_is_now(const f6_fold_version *version)
{
	return version->generation == f6_event_type_generation();
}

/* is_right_still tells whether nobody has changed what is registered since, nor is about to. */
static bool
is_right_still(const f6_fold_version *version)
{
	f6_fold_version now;

	if (!f6_event_type_try_lock())
		return false;
	now = f6_fold_version_now(version->program);
	f6_event_type_unlock();
	return now.generation == version->generation && now.fold == version->fold;
}

/* has_columns tells whether the table has its columns. */
static bool
has_columns(Relation table)
{
	static const f6_column columns[] = {
		{ "object_id", UUIDOID },
		{ "legal", BOOLOID },
		{ "registry", INT8OID },
		{ "fold", INT8OID },
		{ "position", INT8OID },
		{ "events", INT8OID },
		{ "recorded_until", TIMESTAMPTZOID },
		{ "valid_from", TIMESTAMPTZOID },
		{ "valid_to", TIMESTAMPTZOID },
		{ "state", JSONBOID },
	};

	StaticAssertStmt(lengthof(columns) == SNAPSHOT_COLUMNS, "each column has a name and a type");
	return f6_has_columns(RelationGetDescr(table), columns, lengthof(columns));
}

/* try_open opens the table and its index in a mode, if that needs no waiting and the table is as f6 has made it. */
static bool
try_open(f6_snapshot_scan *scan, LOCKMODE mode)
{
	Oid table = f6_relation_oid(F6_SNAPSHOT);
	Oid index = f6_relation_oid(F6_SNAPSHOT_INDEX);

	if (!ConditionalLockRelationOid(table, mode))
		return false;
	if (!ConditionalLockRelationOid(index, mode))
	{
		UnlockRelationOid(table, mode);
		return false;
	}
	scan->table = table_open(table, NoLock);
	scan->index = index_open(index, NoLock);
	if (has_columns(scan->table))
		return true;
	index_close(scan->index, mode);
	table_close(scan->table, mode);
	return false;
}

/* begin_scan begins to read the snapshots of an object, newest first: of a fold, or fold by fold (NULL). */
static void
begin_scan(f6_snapshot_scan *scan, const pg_uuid_t *object, bool legal, const int64 *fold,
		   Snapshot snapshot)
{
	ScanKeyData keys[BY_FOLD];
	int count = fold == NULL ? BY_LEGAL : BY_FOLD;

	ScanKeyInit(&keys[BY_OBJECT - 1], BY_OBJECT, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(object));
	ScanKeyInit(&keys[BY_LEGAL - 1], BY_LEGAL, BTEqualStrategyNumber, F_BOOLEQ,
				BoolGetDatum(legal));
	if (fold != NULL)
		ScanKeyInit(&keys[BY_FOLD - 1], BY_FOLD, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(*fold));
	scan->scan = f6_index_beginscan(scan->table, scan->index, snapshot, count);
	index_rescan(scan->scan, keys, count, NULL, 0);
	scan->slot = table_slot_create(scan->table, NULL);
}

/* end_scan ends it. */
static void
end_scan(f6_snapshot_scan *scan)
{
	ExecDropSingleTupleTableSlot(scan->slot);
	index_endscan(scan->scan);
}

/* value returns a column of the snapshot that a scan stands at. */
static Datum
value(const f6_snapshot_scan *scan, int column)
{
	return scan->slot->tts_values[column - 1];
}

/* next_row moves to the next snapshot and reads it, but for its state; it tells whether there is one. */
static bool
next_row(f6_snapshot_scan *scan)
{
	f6_snapshot *snapshot = &scan->snapshot;

	if (!index_getnext_slot(scan->scan, BackwardScanDirection, scan->slot))
		return false;
	slot_getallattrs(scan->slot);
	snapshot->position = DatumGetInt64(value(scan, SNAPSHOT_POSITION));
	snapshot->events = DatumGetInt64(value(scan, SNAPSHOT_EVENTS));
	snapshot->recorded_until = DatumGetTimestampTz(value(scan, SNAPSHOT_RECORDED_UNTIL));
	snapshot->valid_from = DatumGetTimestampTz(value(scan, SNAPSHOT_VALID_FROM));
	snapshot->ends = !scan->slot->tts_isnull[SNAPSHOT_VALID_TO - 1];
	snapshot->valid_to =
		snapshot->ends ? DatumGetTimestampTz(value(scan, SNAPSHOT_VALID_TO)) : DT_NOEND;
	return true;
}

/* f6_snapshots_begin begins to read the snapshots of an object that the caller sees; NULL where that would mean to wait. */
f6_snapshot_scan *
f6_snapshots_begin(const pg_uuid_t *object, bool legal, const f6_fold_version *version)
{
	f6_snapshot_scan *scan = palloc(sizeof(f6_snapshot_scan));

	if (!try_open(scan, AccessShareLock))
		return NULL;
	begin_scan(scan, object, legal, &version->fold, GetActiveSnapshot());
	return scan;
}

/* f6_snapshots_next returns the next snapshot, newest first, or NULL; it is good until the next call. */
const f6_snapshot *
f6_snapshots_next(f6_snapshot_scan *scan)
{
	return next_row(scan) ? &scan->snapshot : NULL;
}

/* f6_snapshots_state returns the state of the last snapshot, in the current memory context; NULL where nothing was known. */
Jsonb *
f6_snapshots_state(f6_snapshot_scan *scan)
{
	if (scan->slot->tts_isnull[SNAPSHOT_STATE - 1])
		return NULL;
	return DatumGetJsonbPCopy(value(scan, SNAPSHOT_STATE));
}

/* f6_snapshots_end ends the reading. */
void
f6_snapshots_end(f6_snapshot_scan *scan)
{
	end_scan(scan);
	index_close(scan->index, AccessShareLock);
	table_close(scan->table, AccessShareLock);
	pfree(scan);
}

/* write_row writes a row, with whatever somebody else has added to the table. */
static void
write_row(Relation table, const pg_uuid_t *object, bool legal, const f6_fold_version *version,
		  const f6_snapshot *snapshot, Jsonb *state)
{
	f6_table_writer *writer = f6_table_writer_begin(table);
	TupleTableSlot *row = f6_table_writer_row(writer);
	Datum *values = row->tts_values;

	f6_table_writer_one_by_one(writer);
	memset(row->tts_isnull, false, SNAPSHOT_COLUMNS);
	values[SNAPSHOT_OBJECT_ID - 1] = UUIDPGetDatum(object);
	values[SNAPSHOT_LEGAL - 1] = BoolGetDatum(legal);
	values[SNAPSHOT_REGISTRY - 1] = Int64GetDatum(version->registry);
	values[SNAPSHOT_FOLD - 1] = Int64GetDatum(version->fold);
	values[SNAPSHOT_POSITION - 1] = Int64GetDatum(snapshot->position);
	values[SNAPSHOT_EVENTS - 1] = Int64GetDatum(snapshot->events);
	values[SNAPSHOT_RECORDED_UNTIL - 1] = TimestampTzGetDatum(snapshot->recorded_until);
	values[SNAPSHOT_VALID_FROM - 1] = TimestampTzGetDatum(snapshot->valid_from);
	values[SNAPSHOT_VALID_TO - 1] = TimestampTzGetDatum(snapshot->valid_to);
	row->tts_isnull[SNAPSHOT_VALID_TO - 1] = !snapshot->ends;
	values[SNAPSHOT_STATE - 1] = PointerGetDatum(state);
	row->tts_isnull[SNAPSHOT_STATE - 1] = state == NULL;
	f6_table_writer_put(writer, ROW_SIZE + (state == NULL ? 0 : VARSIZE(state)));
	f6_table_writer_end(writer);
}

/* try_delete deletes a row, unless somebody else is about to. */
static void
try_delete(Relation table, ItemPointerData tid)
{
	TM_FailureData failure;

	(void) table_tuple_delete(table, &tid, GetCurrentCommandId(true), GetActiveSnapshot(),
							  InvalidSnapshot, false, &failure, false);
}

/* An older row that may have to go. */
typedef struct old_row
{
	bool exists;
	ItemPointerData tid;
	int64 age; /* how many events it is behind the new one */
} old_row;

/*
 * thin_out deletes the snapshots that another registry made, and each of the own fold without which the next older one is not
 * more than twice as old as the next younger: a history of a million events has some thirty.  It tells whether one of the
 * present is there already.
 */
static bool
thin_out(f6_snapshot_scan *scan, const pg_uuid_t *object, bool legal,
		 const f6_fold_version *version, const f6_snapshot *newest)
{
	old_row middle = { .exists = false };
	int64 younger = 0;
	bool is_there = false;

	begin_scan(scan, object, legal, NULL, SnapshotSelf);
	while (next_row(scan))
	{
		const f6_snapshot *old = &scan->snapshot;
		int64 age = newest->events - old->events;
		bool is_present = serves_now(old->valid_from, old->ends, old->valid_to);

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt64(value(scan, SNAPSHOT_REGISTRY)) != version->registry ||
			(DatumGetInt64(value(scan, SNAPSHOT_FOLD)) == version->fold && age <= 0 && !is_present))
		{
			try_delete(scan->table, scan->slot->tts_tid);
			continue;
		}
		if (DatumGetInt64(value(scan, SNAPSHOT_FOLD)) != version->fold)
			continue;
		is_there |= age <= 0;
		if (middle.exists && age <= 2 * younger)
			try_delete(scan->table, middle.tid);
		else if (middle.exists)
			younger = middle.age;
		middle.exists = true;
		middle.tid = scan->slot->tts_tid;
		middle.age = age;
	}
	end_scan(scan);
	return is_there;
}

/* keep_row writes a row, beside those that stay. */
static void
keep_row(const pg_uuid_t *object, bool legal, const f6_fold_version *version,
		 const f6_snapshot *snapshot, Jsonb *state)
{
	f6_snapshot_scan scan;

	if (!f6_lock_try_snapshots(object) || !try_open(&scan, RowExclusiveLock))
		return;
	if (!thin_out(&scan, object, legal, version, snapshot))
		write_row(scan.table, object, legal, version, snapshot, state);
	index_close(scan.index, NoLock);
	table_close(scan.table, NoLock);
}

/* give_up ends the keeping that has failed: that is for the server's log, and not for the reader, but for a cancellation. */
static void
give_up(MemoryContext caller, ResourceOwner owner)
{
	ErrorData *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	kept = KEPT_BY_A_TRANSACTION;
	ereport(LOG, (errmsg("could not keep a state in %s.%s", F6_SCHEMA, F6_SNAPSHOT),
				  errdetail_internal("%s", error->message)));
	FreeErrorData(error);
}

/* f6_snapshot_keep keeps a snapshot with its state, if it can, and if what is registered is as it was for its fold. */
void
f6_snapshot_keep(const pg_uuid_t *object, bool legal, const f6_fold_version *version,
				 const f6_snapshot *snapshot, Jsonb *state)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool alone = !TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
				 (!XLogRecPtrIsInvalid(alone_until) && alone_until == XactLastRecEnd);

	if (!is_right_still(version))
		return;
	kept++;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		keep_row(object, legal, version, snapshot, state);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		give_up(caller, owner);
	}
	PG_END_TRY();
	alone_until = alone ? XactLastRecEnd : InvalidXLogRecPtr;
}
