/*
 * read.c
 *		Reading the log by a query: what follows a position, and what a decision depends on.
 *
 * Which events match is found in the indexes, below the level of statements; the events themselves are read as the caller,
 * who sees what privileges and policies allow.  Each function reads with one snapshot, taken after the horizon: only then
 * does the snapshot see all that is at or below it.  In a transaction whose snapshot is older, the log is taken to end
 * before the first event that the snapshot does not see.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "event_query.h"
#include "event_scan.h"
#include "horizon.h"
#include "index_plan.h"
#include "relation.h"
#include "spi_connection.h"
#include "state.h"
#include "upcast.h"

F6_FUNCTION(f6_read);
F6_FUNCTION(f6_read_context);

/* How many events are read at a time. */
#define EVENTS_AT_A_TIME 1000

#define READ_QUERY \
	"select e from f6.event as e where e.\"position\" operator(pg_catalog.=) any ($1) " \
	"order by e.\"position\""

/* columns of f6.context */
enum context_column
{
	CONTEXT_EVENTS,
	CONTEXT_STATE,
	CONTEXT_POSITION,
	CONTEXT_COLUMNS
};

/* What is read: a part of the log that one snapshot sees. */
typedef struct reading
{
	Relation event;
	const f6_query *query;
	Snapshot snapshot;
	int64 horizon;
	int64 end; /* the log is read up to there */
} reading;

/* Positions in order, some of which may be nobody's. */
typedef struct positions
{
	int count;
	int64 *list;
} positions;

/* reading_begin readies the reading of what matches a query; its snapshot is the active one until reading_end. */
static void
reading_begin(reading *read, Jsonb *query)
{
	read->query = f6_query_read(query);
	read->event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	f6_event_check_columns(RelationGetDescr(read->event));
	read->horizon = f6_horizon_now(true);
	/* What this transaction has appended before belongs to the log, as it sees it. */
	CommandCounterIncrement();
	PushActiveSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot()
												   : GetLatestSnapshot());
	read->snapshot = GetActiveSnapshot();
	read->end = PG_INT64_MAX;
}

/* reading_end ends it. */
static void
reading_end(reading *read)
{
	PopActiveSnapshot();
	table_close(read->event, AccessShareLock);
}

/* merge_positions returns the first of two lists in order, each position once, at most so many. */
static positions
merge_positions(positions a, positions b, int limit)
{
	positions merged = { 0, palloc_extended(sizeof(int64) * Max(a.count + b.count, 1),
											MCXT_ALLOC_HUGE) };
	int i = 0;
	int j = 0;

	while (merged.count < limit && (i < a.count || j < b.count))
	{
		bool from_a = j == b.count || (i < a.count && a.list[i] <= b.list[j]);
		int64 position = from_a ? a.list[i++] : b.list[j++];

		if (merged.count == 0 || merged.list[merged.count - 1] != position)
			merged.list[merged.count++] = position;
	}
	return merged;
}

/* scan_positions returns the first positions after the given one at which events may match some items, at most so many. */
static positions
scan_positions(const reading *read, const f6_query *items, int64 after, int limit)
{
	f6_event_scan *scan = f6_event_scan_begin(items, after, read->snapshot, AccessShareLock);
	positions found = { 0, palloc(sizeof(int64) * limit) };

	while (found.count < limit && f6_event_scan_next(scan, &found.list[found.count]) &&
		   found.list[found.count] <= read->end)
		found.count++;
	f6_event_scan_end(scan);
	return found;
}

/*
 * end_before_unseen lets the log end before the first of some positions that holds an event which the snapshot does not see,
 * though it is committed.
 */
static void
end_before_unseen(reading *read, positions *found)
{
	for (int i = 0; i < found->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (f6_event_find_at(read->event, found->list[i], read->snapshot, NULL) ||
			!f6_event_find_at(read->event, found->list[i], SnapshotSelf, NULL))
			continue;
		read->end = found->list[i] - 1;
		found->count = i;
	}
}

/* next_positions returns the next positions at which the reading may find events, none at its end. */
static positions
next_positions(reading *read, int64 after, int limit)
{
	positions found = { 0, NULL };

	for (int i = 0; i < read->query->count;)
	{
		f6_query items = f6_query_part(read->query, i);

		found = merge_positions(found, scan_positions(read, &items, after, limit), limit);
		i += items.count;
	}
	if (IsolationUsesXactSnapshot())
		end_before_unseen(read, &found);
	return found;
}

/* position_array returns positions as an array of SQL. */
static Datum
position_array(const positions *found)
{
	Datum *elements = palloc_extended(sizeof(Datum) * Max(found->count, 1), MCXT_ALLOC_HUGE);

	for (int i = 0; i < found->count; i++)
		elements[i] = Int64GetDatum(found->list[i]);
	return PointerGetDatum(
		construct_array(elements, found->count, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
}

/* run_query reads the events at some positions into SPI's result, as the caller, inside an SPI connection. */
static void
run_query(Datum position_array)
{
	static f6_index_plan plan = { .text = READ_QUERY,
								  .parameter_count = 1,
								  .types = { INT8ARRAYOID } };
	int result = SPI_execute_plan(f6_index_plan_ready(&plan), &position_array, NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read events: %s", SPI_result_code_string(result));
}

/* read_row returns a row that the query has found, in the version to read; that is the stored one, if it is not upcast. */
static HeapTuple
read_row(FmgrInfo *call_site, TupleDesc descriptor, uint64 number, HeapTuple stored)
{
	HeapTuple upcast;
	bool isnull;

	memset(stored, 0, sizeof(*stored));
	stored->t_data = DatumGetHeapTupleHeader(
		SPI_getbinval(SPI_tuptable->vals[number], SPI_tuptable->tupdesc, 1, &isnull));
	stored->t_len = HeapTupleHeaderGetDatumLength(stored->t_data);
	upcast = f6_upcast_row(call_site, stored, descriptor, NULL);
	return upcast != NULL ? upcast : stored;
}

/* put_events adds the events at some positions to a function's result, at most so many; it returns how many. */
static int
put_events(FunctionCallInfo fcinfo, const positions *found, int limit)
{
	ReturnSetInfo *returned = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 count;

	f6_spi_connect();
	run_query(position_array(found));
	count = Min(SPI_processed, (uint64) limit);
	for (uint64 i = 0; i < count; i++)
	{
		HeapTupleData stored;

		CHECK_FOR_INTERRUPTS();
		tuplestore_puttuple(returned->setResult,
							read_row(fcinfo->flinfo, returned->setDesc, i, &stored));
	}
	SPI_finish();
	return (int) count;
}

/* read_after reads a function's argument after: the position up to which the caller knows the log. */
static int64
read_after(FunctionCallInfo fcinfo, int number)
{
	int64 after = PG_ARGISNULL(number) ? 0 : PG_GETARG_INT64(number);

	if (after < 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("after must not be negative"),
						errhint("It is the position up to which the log is known, 0 for none.")));
	return after;
}

/* read_max_events reads a function's argument max_events. */
static int
read_max_events(FunctionCallInfo fcinfo, int number)
{
	int max_events = PG_ARGISNULL(number) ? PG_INT32_MAX : PG_GETARG_INT32(number);

	if (max_events < 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("max_events must not be negative"),
						errhint("NULL means all there are.")));
	return max_events;
}

/* require_query refuses a query that is NULL. */
static void
require_query(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("query must not be NULL"),
						errhint("All events are '[{}]'.")));
}

/* f6_read(query, after, max_events) returns the events that match a query and follow a position, up to the horizon. */
Datum
f6_read(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working;
	reading read;
	positions found;
	int64 after;
	int room;
	int limit;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	require_query(fcinfo);
	after = read_after(fcinfo, 1);
	room = read_max_events(fcinfo, 2);
	reading_begin(&read, PG_GETARG_JSONB_P(0));
	read.end = read.horizon;
	working = AllocSetContextCreate(caller, "f6 read", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(working);
	do
	{
		limit = Min(room, EVENTS_AT_A_TIME);
		found = next_positions(&read, after, limit);
		/* Also where there are none: who may not read must not learn even that. */
		room -= put_events(fcinfo, &found, room);
		if (found.count > 0)
			after = found.list[found.count - 1];
		MemoryContextReset(working);
	} while (found.count == limit && room > 0);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
	reading_end(&read);
	return (Datum) 0;
}

/* all_positions returns all positions after the given one at which the reading may find events. */
static positions
all_positions(reading *read, int64 after)
{
	positions all = { 0, palloc(sizeof(int64) * EVENTS_AT_A_TIME) };
	int room = EVENTS_AT_A_TIME;
	positions found;

	do
	{
		found =
			next_positions(read, all.count > 0 ? all.list[all.count - 1] : after, EVENTS_AT_A_TIME);
		if (all.count + found.count > room)
		{
			room *= 2;
			all.list = repalloc_huge(all.list, sizeof(int64) * room);
		}
		memcpy(all.list + all.count, found.list, sizeof(int64) * found.count);
		all.count += found.count;
	} while (found.count == EVENTS_AT_A_TIME);
	return all;
}

/*
 * context_position returns the position up to which a reading knows all that matches its query: what a condition about the
 * same query takes as after.
 *
 * At best that is its last event.  An event in flight may have an earlier position, though; then it is the horizon.  Whoever
 * appends such an event holds a lock of the query, as far as a standby knows anybody may; or it has ended meanwhile, and its
 * event is found now.
 */
static int64
context_position(reading *read, const positions *known)
{
	int64 last = known->count > 0 ? known->list[known->count - 1] : 0;
	positions later;
	f6_locks locks;

	if (!IsolationUsesXactSnapshot() && last <= read->horizon)
		return read->horizon;
	f6_locks_begin(&locks);
	f6_query_locks(read->query, &locks);
	if (f6_locks_are_held_by_others(&locks))
		last = Min(last, read->horizon);
	else
	{
		last = Max(last, read->horizon);
		f6_positions_settle();
	}
	read->end = Min(read->end, last);
	later = all_positions(read, read->horizon);
	end_before_unseen(read, &later);
	return read->end;
}

/* get_events reads the events at some positions, each as a value of f6.event in the current memory context; it returns how many. */
static int
get_events(FunctionCallInfo fcinfo, const reading *read, const positions *known, Datum *events)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc descriptor = RelationGetDescr(read->event);
	int count;

	f6_spi_connect();
	run_query(position_array(known));
	count = (int) SPI_processed;
	for (int i = 0; i < count; i++)
	{
		HeapTupleData stored;
		MemoryContext own;
		HeapTuple row;

		CHECK_FOR_INTERRUPTS();
		row = read_row(fcinfo->flinfo, descriptor, i, &stored);
		own = MemoryContextSwitchTo(caller);
		events[i] = heap_copy_tuple_as_datum(row, descriptor);
		MemoryContextSwitchTo(own);
	}
	SPI_finish();
	return count;
}

/* event_array returns the events at some positions as an array of f6.event. */
static Datum
event_array(FunctionCallInfo fcinfo, const reading *read, const positions *known)
{
	Oid row_type = RelationGetForm(read->event)->reltype;
	Datum *events = palloc_extended(sizeof(Datum) * Max(known->count, 1), MCXT_ALLOC_HUGE);
	int read_until = 0;
	int count = 0;

	do
	{
		positions part = { Min(known->count - read_until, EVENTS_AT_A_TIME),
						   known->list + read_until };

		count += get_events(fcinfo, read, &part, events + count);
		read_until += part.count;
	} while (read_until < known->count);
	return PointerGetDatum(construct_array(events, count, row_type, -1, false, TYPALIGN_DOUBLE));
}

/* f6_read_context(query, folded) returns the events that match a query, or their fold, and the position of what was read. */
Datum
f6_read_context(PG_FUNCTION_ARGS)
{
	TupleDesc descriptor;
	reading read;
	positions known;
	Jsonb *state = NULL;
	bool folded = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	Datum values[CONTEXT_COLUMNS] = { 0 };
	bool nulls[CONTEXT_COLUMNS] = { false };

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
		descriptor->natts != CONTEXT_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("f6_read_context returns a row of f6.context")));
	require_query(fcinfo);
	reading_begin(&read, PG_GETARG_JSONB_P(0));
	known = all_positions(&read, 0);
	if (folded)
		state = f6_state_of_events(position_array(&known));
	else
		values[CONTEXT_EVENTS] = event_array(fcinfo, &read, &known);
	values[CONTEXT_STATE] = JsonbPGetDatum(state);
	values[CONTEXT_POSITION] = Int64GetDatum(context_position(&read, &known));
	nulls[CONTEXT_EVENTS] = folded;
	nulls[CONTEXT_STATE] = state == NULL;
	reading_end(&read);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
