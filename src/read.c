/*
 * read.c
 *		Reading the log by a query: what follows a position, and what a decision depends on.
 *
 * Each function reads with one snapshot: see reading.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "event_query.h"
#include "horizon.h"
#include "read.h"
#include "reading.h"
#include "relation.h"
#include "state.h"

F6_FUNCTION(f6_read);
F6_FUNCTION(f6_read_context);

/* How many events are read at a time. */
#define EVENTS_AT_A_TIME 1000

/* columns of f6.context */
enum context_column
{
	CONTEXT_EVENTS,
	CONTEXT_STATE,
	CONTEXT_POSITION,
	CONTEXT_COLUMNS
};

/* put_row adds an event to a function's result. */
static void
put_row(void *state, HeapTuple row)
{
	ReturnSetInfo *returned = state;

	tuplestore_puttuple(returned->setResult, row);
}

/* put_events adds the events at some positions to a function's result, at most so many; it returns how many. */
static int
put_events(FunctionCallInfo fcinfo, const f6_found *found, int limit)
{
	ReturnSetInfo *returned = (ReturnSetInfo *) fcinfo->resultinfo;

	return f6_reading_rows(fcinfo->flinfo, returned->setDesc, found, limit, put_row, returned);
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
	f6_reading read;
	f6_found found;
	int64 after;
	int room;
	int limit;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	require_query(fcinfo);
	after = read_after(fcinfo, 1);
	room = read_max_events(fcinfo, 2);
	f6_reading_begin(&read, f6_query_read(PG_GETARG_JSONB_P(0)));
	read.end = read.horizon;
	working = AllocSetContextCreate(caller, "f6 read", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(working);
	do
	{
		limit = Min(room, EVENTS_AT_A_TIME);
		found = f6_reading_next(&read, after, limit);
		/* Also where there are none: who may not read must not learn even that. */
		room -= put_events(fcinfo, &found, room);
		if (found.count > 0)
			after = found.list[found.count - 1];
		MemoryContextReset(working);
	} while (found.count == limit && room > 0);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
	f6_reading_end(&read);
	return (Datum) 0;
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
context_position(f6_reading *read, const f6_found *known)
{
	int64 last = known->count > 0 ? known->list[known->count - 1] : 0;
	f6_found later;
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
	later = f6_reading_all(read, read->horizon);
	f6_reading_end_before_unseen(read, &later);
	return read->end;
}

/* Events that are collected. */
typedef struct event_list
{
	MemoryContext context;
	TupleDesc descriptor;
	Datum *events;
	int count;
} event_list;

/* keep_event adds an event to a list. */
static void
keep_event(void *state, HeapTuple row)
{
	event_list *list = state;
	MemoryContext caller = MemoryContextSwitchTo(list->context);

	list->events[list->count++] = heap_copy_tuple_as_datum(row, list->descriptor);
	MemoryContextSwitchTo(caller);
}

/* event_array returns the events at some positions as an array of f6.event. */
static Datum
event_array(FunctionCallInfo fcinfo, const f6_reading *read, const f6_found *known)
{
	Oid row_type = RelationGetForm(read->event)->reltype;
	event_list list = { CurrentMemoryContext, RelationGetDescr(read->event),
						palloc_extended(sizeof(Datum) * Max(known->count, 1), MCXT_ALLOC_HUGE), 0 };
	int read_until = 0;

	do
	{
		f6_found part = { Min(known->count - read_until, EVENTS_AT_A_TIME),
						  known->list + read_until };

		(void) f6_reading_rows(fcinfo->flinfo, list.descriptor, &part, part.count, keep_event,
							   &list);
		read_until += part.count;
	} while (read_until < known->count);
	return PointerGetDatum(
		construct_array(list.events, list.count, row_type, -1, false, TYPALIGN_DOUBLE));
}

/* f6_read_context(query, folded) returns the events that match a query, or their fold, and the position of what was read. */
Datum
f6_read_context(PG_FUNCTION_ARGS)
{
	TupleDesc descriptor;
	f6_reading read;
	f6_found known;
	Jsonb *state = NULL;
	bool folded = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	Datum values[CONTEXT_COLUMNS] = { 0 };
	bool nulls[CONTEXT_COLUMNS] = { false };

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
		descriptor->natts != CONTEXT_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("f6_read_context returns a row of f6.context")));
	require_query(fcinfo);
	f6_reading_begin(&read, f6_query_read(PG_GETARG_JSONB_P(0)));
	known = f6_reading_all(&read, 0);
	if (folded)
		state = f6_state_of_events(f6_found_array(&known));
	else
		values[CONTEXT_EVENTS] = event_array(fcinfo, &read, &known);
	values[CONTEXT_STATE] = JsonbPGetDatum(state);
	values[CONTEXT_POSITION] = Int64GetDatum(context_position(&read, &known));
	nulls[CONTEXT_EVENTS] = folded;
	nulls[CONTEXT_STATE] = state == NULL;
	f6_reading_end(&read);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/*
 * f6_context_read returns the position up to which all events are known that match a query, for an append after it, and the state that a
 * program makes of them, NULL where there are none.
 */
int64
f6_context_read(const f6_query *query, f6_fold_program *program, Jsonb **state)
{
	f6_reading read;
	f6_found known;
	int64 position;

	f6_reading_begin(&read, query);
	known = f6_reading_all(&read, 0);
	*state = f6_state_by_position(f6_found_array(&known), program);
	position = context_position(&read, &known);
	f6_reading_end(&read);
	return position;
}
