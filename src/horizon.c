/*
 * horizon.c
 *		Positions, and up to which of them the log is complete.
 *
 * Positions come from a sequence, so what has a lower one may become visible later.  A transaction therefore announces by
 * a marker, before it takes a position, that its events will come after the last position given out so far.  Whoever then
 * looks at the last position first, and at the markers second, knows of every event at or below the lowest marker that it
 * is visible or never will be.  The horizon does not go back: see marker.c.
 *
 * A standby knows the sequence only roughly.  There the highest position that is visible takes its place: whoever took a
 * lower one had set a marker before, which has been replayed as well.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/sequence.h"
#include "funcapi.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "horizon.h"
#include "marker.h"
#include "relation.h"
#include "sequence.h"
#include "waiting.h"

F6_FUNCTION(f6_horizon);
F6_FUNCTION(f6_list_in_flight);

/* columns of what f6.list_in_flight returns */
enum in_flight_column
{
	IN_FLIGHT_XID,
	IN_FLIGHT_PID,
	IN_FLIGHT_SINCE,
	IN_FLIGHT_LOWEST_POSITION,
	IN_FLIGHT_COLUMNS
};

/* last_given returns the last position given out, and which part of WAL says so, if that is asked for. */
static int64
last_given(XLogRecPtr *logged)
{
	f6_sequence sequence;
	int64 position;

	f6_sequence_open(&sequence);
	position = f6_sequence_last(&sequence, logged);
	f6_sequence_close(&sequence);
	return position;
}

/*
 * last_given_for_good returns the last position given out, when no crash can take that back: who took it may have been
 * rolled back, which flushes nothing, and a later event must not get a position that the horizon has passed.
 */
static int64
last_given_for_good(void)
{
	XLogRecPtr logged;
	int64 position = last_given(&logged);

	XLogFlush(logged);
	return position;
}

/* f6_positions_settle makes sure that no position given out so far is given out again, not even after a crash. */
void
f6_positions_settle(void)
{
	(void) last_given_for_good();
}

/* f6_position_next returns a new position, after all that have been given out; the transaction's marker announces it. */
int64
f6_position_next(void)
{
	int64 announced = f6_marker_held();
	int64 position;

	if (announced < 0)
	{
		announced = f6_marker_set();
		f6_wake_at_end();
	}
	position = nextval_internal(f6_relation_oid(F6_EVENT_POSITION_SEQUENCE), false);
	if (position <= announced)
		ereport(
			ERROR,
			(errcode(F6_ERR_FORBIDDEN_CHANGE),
			 errmsg("the sequence %s.%s does not ascend", F6_SCHEMA, F6_EVENT_POSITION_SEQUENCE),
			 errdetail("It gave out " INT64_FORMAT " after " INT64_FORMAT ".", position, announced),
			 errhint("It must have an increment above 0, cache 1 and no cycle.")));
	return position;
}

/* f6_horizon_hold keeps the horizon at the log's beginning until the transaction ends. */
void
f6_horizon_hold(void)
{
	f6_marker_set_zero();
	f6_wake_at_end();
}

/* last_visible returns the highest position that a snapshot taken now sees, 0 if none. */
static int64
last_visible(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation index = index_open(f6_relation_oid(F6_EVENT_POSITION_INDEX), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan_ordered(event, index, snapshot, 0, NULL);
	HeapTuple tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	bool isnull;
	int64 position = HeapTupleIsValid(tuple)
						 ? DatumGetInt64(heap_getattr(tuple, F6_EVENT_POSITION_COLUMN,
													  RelationGetDescr(event), &isnull))
						 : 0;

	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(event, AccessShareLock);
	return position;
}

/* lower_by_markers lowers a position to the lowest that a transaction in progress has announced, but for the own one if so asked. */
static int64
lower_by_markers(int64 position, bool ignore_own)
{
	ListCell *cell;

	foreach (cell, f6_markers_in_progress())
	{
		const f6_marker *marker = lfirst(cell);

		if (ignore_own &&
			TransactionIdIsCurrentTransactionId(XidFromFullTransactionId(marker->xid)))
			continue;
		position = Min(position, marker->position);
	}
	return position;
}

/*
 * standby_horizon returns the horizon on a standby.  A marker may be logged a moment after its position was read, and then
 * comes when the standby knows of later positions already: what the session has been told before is true nonetheless.
 */
static int64
standby_horizon(void)
{
	static Oid told_of = InvalidOid;
	static int64 told;
	Oid sequence = f6_relation_oid(F6_EVENT_POSITION_SEQUENCE);
	int64 horizon = lower_by_markers(last_visible(), false);

	if (told_of != sequence)
		told = 0;
	told_of = sequence;
	/* While a dump comes back there is none. */
	if (horizon > 0)
		horizon = told = Max(horizon, told);
	return horizon;
}

/*
 * f6_horizon_now returns the highest position such that every event at or below it is visible to snapshots taken from now
 * on, or never will exist.  A caller that ignores its own events in flight speaks of its own snapshots only.
 */
int64
f6_horizon_now(bool ignore_own)
{
	if (RecoveryInProgress())
		return standby_horizon();
	return lower_by_markers(last_given_for_good(), ignore_own);
}

/*
 * f6_horizon_at_commit returns the horizon as it is once the current transaction has committed, at least.  A crash before that may have it go back,
 * so it is no more than a hint.
 */
int64
f6_horizon_at_commit(void)
{
	return lower_by_markers(last_given(NULL), true);
}

/*
 * f6_horizon_covers tells whether an event that is visible is below the horizon, with all that have lower positions.  One that
 * the sequence has not given out was brought by a dump or by replication, and says nothing about others.
 */
bool
f6_horizon_covers(int64 position)
{
	return position <= last_given(NULL) && lower_by_markers(position, false) == position;
}

/* f6_horizon() returns the position up to which the log is complete. */
Datum
f6_horizon(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(f6_horizon_now(false));
}

/* f6.list_in_flight() returns the transactions that append, and from which position on their events may be. */
Datum
f6_list_in_flight(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *returned = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach (cell, f6_markers_in_progress())
	{
		const f6_marker *marker = lfirst(cell);
		TransactionId xid = SubTransGetTopmostTransaction(XidFromFullTransactionId(marker->xid));
		Datum values[IN_FLIGHT_COLUMNS];
		bool nulls[IN_FLIGHT_COLUMNS] = { false };

		values[IN_FLIGHT_XID] = TransactionIdGetDatum(xid);
		values[IN_FLIGHT_PID] = Int32GetDatum(marker->pid);
		values[IN_FLIGHT_SINCE] = TimestampTzGetDatum(marker->since);
		values[IN_FLIGHT_LOWEST_POSITION] = Int64GetDatum(marker->position + 1);
		tuplestore_putvalues(returned->setResult, returned->setDesc, values, nulls);
	}
	return (Datum) 0;
}
