/*
 * consequence.c
 *		f6_consequences: all that is based on an event, directly or not, and whether its basis still stands.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "errors.h"
#include "event_graph.h"
#include "question.h"
#include "uuid.h"
#include "uuid_array.h"

F6_FUNCTION(f6_consequences);

/* Deeper down paths are not told: all those of a chain would take space that grows with the square of its length. */
#define MAX_PATH_DEPTH 1000

/* columns of the result */
enum result_column
{
	RESULT_ID,
	RESULT_POSITION,
	RESULT_EVENT_TYPE,
	RESULT_EVENT_KIND,
	RESULT_DEPTH,
	RESULT_VIA,
	RESULT_PATH,
	RESULT_STANDS,
	RESULT_COLUMNS
};

/* read_origin reads the event that is asked about, and tells whether it was known; one that does not exist is an error. */
static bool
read_origin(f6_graph *graph, const pg_uuid_t *id, f6_graph_list *origin)
{
	f6_graph_list same = { 0 };
	f6_graph *ever;

	f6_graph_list_add(origin, f6_graph_add(graph, id));
	f6_graph_read(graph, origin);
	if (f6_graph_at(graph, origin->numbers[0])->is_read)
		return true;
	ever = f6_graph_begin(DT_NOEND);
	f6_graph_list_add(&same, f6_graph_add(ever, id));
	f6_graph_read(ever, &same);
	if (!f6_graph_at(ever, same.numbers[0])->is_read)
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN), errmsg("event %s does not exist", f6_uuid_text(id)),
				 errhint("Give the id of an event of f6.event that you may read.")));
	return false;
}

/* path_to returns the ids from the event that is asked about to a consequence. */
static Datum
path_to(f6_graph *graph, uint32 number)
{
	f6_uuids path;
	int place;

	path.count = f6_graph_at(graph, number)->depth + 1;
	path.ids = palloc(sizeof(pg_uuid_t) * path.count);
	for (place = path.count; place-- > 0; number = f6_graph_at(graph, number)->via)
		path.ids[place] = f6_graph_at(graph, number)->id;
	return f6_uuids_array(&path);
}

/* put_consequence adds a consequence to the function's result. */
static void
put_consequence(ReturnSetInfo *result, f6_graph *graph, uint32 number)
{
	const f6_graph_event *event = f6_graph_at(graph, number);
	Datum values[RESULT_COLUMNS] = { 0 };
	bool nulls[RESULT_COLUMNS] = { false };

	values[RESULT_ID] = UUIDPGetDatum(&event->id);
	values[RESULT_POSITION] = Int64GetDatum(event->position);
	values[RESULT_EVENT_TYPE] = CStringGetTextDatum(event->event_type);
	values[RESULT_EVENT_KIND] = ObjectIdGetDatum(f6_event_kind_oid(event->kind));
	values[RESULT_DEPTH] = Int32GetDatum((int32) event->depth);
	values[RESULT_VIA] = UUIDPGetDatum(&f6_graph_at(graph, event->via)->id);
	nulls[RESULT_PATH] = event->depth > MAX_PATH_DEPTH;
	if (!nulls[RESULT_PATH])
		values[RESULT_PATH] = path_to(graph, number);
	values[RESULT_STANDS] = BoolGetDatum(event->stands);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* put_consequences adds the consequences to the function's result; the first of the list is the event that is asked about. */
static void
put_consequences(ReturnSetInfo *result, f6_graph *graph, const f6_graph_list *consequences)
{
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "f6 consequence", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row);

	for (uint32 i = 1; i < consequences->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_consequence(result, graph, consequences->numbers[i]);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(caller);
}

/* f6_consequences(event_id, known_at) returns what is based on an event, by depth and position. */
Datum
f6_consequences(PG_FUNCTION_ARGS)
{
	MemoryContext working;
	MemoryContext caller;
	f6_graph_list origin = { 0 };
	f6_graph_list consequences = { 0 };
	f6_graph *graph;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	working =
		AllocSetContextCreate(CurrentMemoryContext, "f6 consequences", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(working);
	graph = f6_graph_begin(f6_argument_known_at(fcinfo, 1, "known_at"));
	if (read_origin(graph, PG_GETARG_UUID_P(0), &origin))
	{
		f6_graph_read_consequences(graph, origin.numbers[0], &consequences);
		f6_graph_read_bases(graph);
		f6_graph_decide(graph, false);
		put_consequences((ReturnSetInfo *) fcinfo->resultinfo, graph, &consequences);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
	return (Datum) 0;
}
