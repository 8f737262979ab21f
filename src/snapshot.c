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
#include "access/heapam.h"
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

/* columns of f6.snapshot; its index has the first ones */
enum snapshot_column
{
	SNAPSHOT_OBJECT_ID = 1,
	SNAPSHOT_LEGAL,
	SNAPSHOT_FOLD,
	SNAPSHOT_POSITION,
	SNAPSHOT_EVENTS,
	SNAPSHOT_RECORDED_UNTIL,
	SNAPSHOT_VALID_FROM,
	SNAPSHOT_VALID_TO,
	SNAPSHOT_STATE,
	SNAPSHOT_COLUMNS = SNAPSHOT_STATE
};

/* About as much memory as a row takes besides its state. */
#define ROW_SIZE 128

struct f6_snapshot_scan
{
	Relation table;
	Relation index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	f6_snapshot snapshot;
};

/* f6_snapshots_may_be_read tells whether kept states serve in the current transaction. */
bool
f6_snapshots_may_be_read(void)
{
	/* What is kept by somebody else would make a serializable transaction fail that has nothing to do with it. */
	return f6_snapshot_events_setting > 0 && !IsolationIsSerializable();
}

/* f6_snapshots_may_be_kept tells whether the current transaction can keep a state. */
bool
f6_snapshots_may_be_kept(void)
{
	return f6_snapshots_may_be_read() && !XactReadOnly && !RecoveryInProgress() &&
		   !IsInParallelMode();
}

/* current_fold returns the number of the fold that makes states now. */
static int64
current_fold(void)
{
	const char *zone = pg_get_timezone_name(session_timezone);

	return (int64) hash_combine64(
		f6_event_type_fingerprint(),
		hash_bytes_extended((const unsigned char *) zone, (int) strlen(zone), 0));
}

/* check_columns refuses a table whose columns somebody has changed. */
static void
check_columns(Relation table)
{
	static const f6_column columns[] = {
		{ "object_id", UUIDOID },
		{ "legal", BOOLOID },
		{ "fold", INT8OID },
		{ "position", INT8OID },
		{ "events", INT8OID },
		{ "recorded_until", TIMESTAMPTZOID },
		{ "valid_from", TIMESTAMPTZOID },
		{ "valid_to", TIMESTAMPTZOID },
		{ "state", JSONBOID },
	};

	StaticAssertStmt(lengthof(columns) == SNAPSHOT_COLUMNS, "each column has a name and a type");
	f6_check_columns(RelationGetDescr(table), F6_SNAPSHOT, columns, lengthof(columns));
}

/* begin_scan begins to read the snapshots of an object: of one fold, newest first, or of all (any: 2 keys) in no order. */
static void
begin_scan(f6_snapshot_scan *scan, const pg_uuid_t *object, bool legal, Snapshot snapshot,
		   bool any_fold)
{
	ScanKeyData keys[SNAPSHOT_FOLD];
	int count = any_fold ? SNAPSHOT_LEGAL : SNAPSHOT_FOLD;

	ScanKeyInit(&keys[0], SNAPSHOT_OBJECT_ID, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(object));
	ScanKeyInit(&keys[1], SNAPSHOT_LEGAL, BTEqualStrategyNumber, F_BOOLEQ, BoolGetDatum(legal));
	if (!any_fold)
		ScanKeyInit(&keys[2], SNAPSHOT_FOLD, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(current_fold()));
	scan->index = index_open(f6_relation_oid(F6_SNAPSHOT_INDEX), AccessShareLock);
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
	index_close(scan->index, AccessShareLock);
}

/* next_row moves to the next snapshot, and tells whether there is one. */
static bool
next_row(f6_snapshot_scan *scan)
{
	if (!index_getnext_slot(scan->scan, BackwardScanDirection, scan->slot))
		return false;
	slot_getallattrs(scan->slot);
	return true;
}

/* value returns a column of the snapshot that a scan stands at. */
static Datum
value(const f6_snapshot_scan *scan, int column)
{
	return scan->slot->tts_values[column - 1];
}

/* f6_snapshots_begin begins to read the snapshots of an object that the active snapshot of the server sees. */
f6_snapshot_scan *
f6_snapshots_begin(const pg_uuid_t *object, bool legal)
{
	f6_snapshot_scan *scan = palloc(sizeof(f6_snapshot_scan));

	scan->table = table_open(f6_relation_oid(F6_SNAPSHOT), AccessShareLock);
	check_columns(scan->table);
	begin_scan(scan, object, legal, GetActiveSnapshot(), false);
	return scan;
}

/* f6_snapshots_next returns the next snapshot, newest first, or NULL; it is good until the next call. */
const f6_snapshot *
f6_snapshots_next(f6_snapshot_scan *scan)
{
	if (!next_row(scan))
		return NULL;
	scan->snapshot.position = DatumGetInt64(value(scan, SNAPSHOT_POSITION));
	scan->snapshot.events = DatumGetInt64(value(scan, SNAPSHOT_EVENTS));
	scan->snapshot.recorded_until = DatumGetTimestampTz(value(scan, SNAPSHOT_RECORDED_UNTIL));
	scan->snapshot.valid_from = DatumGetTimestampTz(value(scan, SNAPSHOT_VALID_FROM));
	scan->snapshot.valid_to = DatumGetTimestampTz(value(scan, SNAPSHOT_VALID_TO));
	return &scan->snapshot;
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
	table_close(scan->table, AccessShareLock);
	pfree(scan);
}

/* write_snapshot writes a row. */
static void
write_snapshot(Relation table, const pg_uuid_t *object, bool legal, const f6_snapshot *snapshot,
			   Jsonb *state)
{
	f6_table_writer *writer = f6_table_writer_begin(table);
	TupleTableSlot *row = f6_table_writer_row(writer);
	Datum *values = row->tts_values;

	memset(row->tts_isnull, false, SNAPSHOT_COLUMNS);
	values[SNAPSHOT_OBJECT_ID - 1] = UUIDPGetDatum(object);
	values[SNAPSHOT_LEGAL - 1] = BoolGetDatum(legal);
	values[SNAPSHOT_FOLD - 1] = Int64GetDatum(current_fold());
	values[SNAPSHOT_POSITION - 1] = Int64GetDatum(snapshot->position);
	values[SNAPSHOT_EVENTS - 1] = Int64GetDatum(snapshot->events);
	values[SNAPSHOT_RECORDED_UNTIL - 1] = TimestampTzGetDatum(snapshot->recorded_until);
	values[SNAPSHOT_VALID_FROM - 1] = TimestampTzGetDatum(snapshot->valid_from);
	values[SNAPSHOT_VALID_TO - 1] = TimestampTzGetDatum(snapshot->valid_to);
	values[SNAPSHOT_STATE - 1] = PointerGetDatum(state);
	row->tts_isnull[SNAPSHOT_STATE - 1] = state == NULL;
	f6_table_writer_put(writer, ROW_SIZE + (state == NULL ? 0 : VARSIZE(state)));
	f6_table_writer_end(writer);
}

/* A row that may have to go. */
typedef struct old_row
{
	ItemPointerData tid;
	int64 age; /* how many events it is behind the new one; -1: there is no row */
} old_row;

/*
 * thin_out deletes the snapshots of other folds, and each of the others without which the next older one is not more than
 * twice as old as the next younger: a history of a million events has some thirty.  It tells whether the new one is among
 * them already.
 */
static bool
thin_out(Relation table, const pg_uuid_t *object, bool legal, const f6_snapshot *newest)
{
	f6_snapshot_scan scan = { .table = table };
	int64 fold = current_fold();
	old_row middle = { .age = -1 };
	int64 younger = 0;
	bool is_there = false;

	begin_scan(&scan, object, legal, SnapshotSelf, true);
	while (next_row(&scan))
	{
		int64 age = newest->events - DatumGetInt64(value(&scan, SNAPSHOT_EVENTS));

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt64(value(&scan, SNAPSHOT_FOLD)) != fold)
		{
			simple_heap_delete(table, &scan.slot->tts_tid);
			continue;
		}
		is_there |= age == 0;
		if (middle.age >= 0 && age <= 2 * younger)
			simple_heap_delete(table, &middle.tid);
		else if (middle.age >= 0)
			younger = middle.age;
		middle.tid = scan.slot->tts_tid;
		middle.age = age;
	}
	end_scan(&scan);
	return is_there;
}

/* keep writes a row in the place of those for which it stands, unless somebody else is at it. */
static void
keep(const pg_uuid_t *object, bool legal, const f6_snapshot *snapshot, Jsonb *state)
{
	Oid oid = f6_relation_oid(F6_SNAPSHOT);
	Relation table;

	if (!f6_lock_try_snapshots(object) || !ConditionalLockRelationOid(oid, RowExclusiveLock))
		return;
	table = table_open(oid, NoLock);
	check_columns(table);
	if (!thin_out(table, object, legal, snapshot))
		write_snapshot(table, object, legal, snapshot, state);
	table_close(table, NoLock);
}

/* f6_snapshot_keep keeps a snapshot with its state, if it can: whatever stands in the way but a cancellation is ignored. */
void
f6_snapshot_keep(const pg_uuid_t *object, bool legal, const f6_snapshot *snapshot, Jsonb *state)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		keep(object, legal, snapshot, state);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
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
		FreeErrorData(error);
	}
	PG_END_TRY();
}
