/*
 * events_between.c
 *		The parts that f6_events_between is made of, in SQL.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event_query.h"
#include "question.h"
#include "uuid_array.h"

F6_FUNCTION(f6_query_matches_event);
F6_FUNCTION(f6_query_objects);
F6_FUNCTION(f6_check_known);

/* A query that was read for a call, and serves the next one if that has the same. */
typedef struct known_query
{
	MemoryContext context;
	Jsonb *document;
	f6_query *query;
} known_query;

/* required_query returns the query that a function is given. */
static Jsonb *
required_query(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("query must not be NULL"),
						errhint("The query of all events is '[{}]'.")));
	return PG_GETARG_JSONB_P(number);
}

/* is_known tells whether a query is the one that was read before. */
static bool
is_known(const known_query *known, const Jsonb *document)
{
	return known->document != NULL && VARSIZE(known->document) == VARSIZE(document) &&
		   memcmp(known->document, document, VARSIZE(document)) == 0;
}

/* read_query reads a query, once for all rows of a statement that have the same. */
static const f6_query *
read_query(FunctionCallInfo fcinfo, const Jsonb *document)
{
	known_query *known = fcinfo->flinfo->fn_extra;
	MemoryContext caller;
	Jsonb *copy;

	if (known == NULL)
	{
		known = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(known_query));
		known->context =
			AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "f6 query", ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = known;
	}
	if (is_known(known, document))
		return known->query;
	known->document = NULL;
	MemoryContextReset(known->context);
	caller = MemoryContextSwitchTo(known->context);
	copy = memcpy(palloc(VARSIZE(document)), document, VARSIZE(document));
	known->query = f6_query_read(copy);
	known->document = copy;
	MemoryContextSwitchTo(caller);
	return known->query;
}

/* f6_query_matches_event(query, event_type, object_ids) tells whether an event matches a query. */
Datum
f6_query_matches_event(PG_FUNCTION_ARGS)
{
	const f6_query *query = read_query(fcinfo, required_query(fcinfo, 0));
	text *type;
	f6_uuids objects;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	type = PG_GETARG_TEXT_PP(1);
	f6_uuids_read(PG_GETARG_DATUM(2), "object_ids", &objects);
	PG_RETURN_BOOL(
		f6_query_matches(query, VARDATA_ANY(type), (int) VARSIZE_ANY_EXHDR(type), &objects));
}

/* f6_query_objects(query) returns an object of each item, NULL if an item names none. */
Datum
f6_query_objects(PG_FUNCTION_ARGS)
{
	const f6_query *query = f6_query_read(required_query(fcinfo, 0));
	f6_uuids objects = { 0, palloc(Max(query->count, 1) * sizeof(pg_uuid_t)) };

	for (int i = 0; i < query->count; i++)
	{
		if (query->items[i].objects.count == 0)
			PG_RETURN_NULL();
		objects.ids[objects.count++] = query->items[i].objects.ids[0];
	}
	return f6_uuids_array(&objects);
}

/* f6_check_known(known_from, known_to) raises an error if these make no span of formal time. */
Datum
f6_check_known(PG_FUNCTION_ARGS)
{
	f6_check_known_span(f6_argument_known_from(fcinfo, 0),
						f6_argument_known_at(fcinfo, 1, "known_to"));
	PG_RETURN_BOOL(true);
}
