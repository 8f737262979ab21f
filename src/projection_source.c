/*
 * projection_source.c
 *		The events of the log that a projection is about, in order.
 *
 * They are read by a query, which is planned for the part of the log that it is to read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "f6.h"
#include "event_thread.h"
#include "projection_source.h"
#include "relation.h"
#include "spi_connection.h"

/* Events that are fetched at a time. */
#define EVENTS_AT_A_TIME 256

/* types_of returns the registered types that a projection is about, an array, and whether these are all; inside an SPI connection. */
static Datum
types_of(const f6_projection *projection, bool *are_all)
{
	Datum *types;
	int count = 0;

	if (SPI_execute("select distinct event_type from f6.event_type", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the types of events");
	types = palloc(sizeof(Datum) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char *type = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (f6_projection_is_about(projection, type))
			types[count++] = CStringGetTextDatum(type);
	}
	*are_all = count == (int) SPI_processed;
	return PointerGetDatum(construct_array(types, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* decisions returns the condition for events that are no claims, of any type: those that may change what counts. */
static const char *
decisions(const f6_projection *projection)
{
	if (projection->program == NULL)
		return "";
	return projection->legal ? "event_kind <> 'claim' or " : "event_kind = 'correction' or ";
}

/* open_events opens a cursor over the events after a position up to another; inside an SPI connection. */
static Portal
open_events(f6_projection *projection, int64 after, int64 until, bool claims_only)
{
	Oid parameters[] = { INT8OID, INT8OID, TEXTARRAYOID };
	bool are_all;
	Datum values[] = { Int64GetDatum(after), Int64GetDatum(until), types_of(projection, &are_all) };
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "select e from f6.event as e"
								   " where \"position\" > $1 and \"position\" <= $2");
	if (claims_only)
		appendStringInfoString(&query, " and event_kind = 'claim'");
	if (!are_all)
		appendStringInfo(&query, " and (%sevent_type = any ($3))",
						 claims_only ? "" : decisions(projection));
	appendStringInfoString(&query, " order by \"position\"");
	return SPI_cursor_open_with_args(NULL, query.data, lengthof(parameters), parameters, values,
									 NULL, true, CURSOR_OPT_NO_SCROLL);
}

/* pass_on passes on the events that were fetched, and tells whether to go on. */
static bool
pass_on(MemoryContext caller, f6_source_receiver receive, void *state)
{
	SPITupleTable *events = SPI_tuptable;
	uint64 count = SPI_processed;
	bool goes_on = count > 0;

	for (uint64 i = 0; i < count && goes_on; i++)
	{
		MemoryContext here = MemoryContextSwitchTo(caller);
		bool isnull;

		CHECK_FOR_INTERRUPTS();
		goes_on = receive(state, heap_getattr(events->vals[i], 1, events->tupdesc, &isnull));
		MemoryContextSwitchTo(here);
	}
	SPI_freetuptable(events);
	return goes_on;
}

/* read_events passes on the events that a projection is about. */
static void
read_events(f6_projection *projection, int64 after, int64 until, bool claims_only,
			f6_source_receiver receive, void *state)
{
	MemoryContext caller = CurrentMemoryContext;
	Portal portal;

	f6_spi_connect();
	portal = open_events(projection, after, until, claims_only);
	/* What takes the events may look for it by its name. */
	PinPortal(portal);
	do
		SPI_cursor_fetch(portal, true, EVENTS_AT_A_TIME);
	while (pass_on(caller, receive, state));
	UnpinPortal(portal);
	SPI_cursor_close(portal);
	SPI_finish();
}

/*
 * f6_source_read passes on the events after a position, up to another, that a projection is about, and what may decide about these.
 * It reads as the caller, in the active snapshot.
 */
void
f6_source_read(f6_projection *projection, int64 after, int64 until, f6_source_receiver receive,
			   void *state)
{
	read_events(projection, after, until, false, receive, state);
}

/* Positions that are collected. */
typedef struct position_list
{
	f6_source_filter filter;
	void *state;
	uint64 count;
	uint64 room;
	Datum *positions;
} position_list;

/* add_position adds a position. */
static void
add_position(position_list *list, Datum position)
{
	if (list->count == list->room)
	{
		list->room = Max(2 * list->room, 1024);
		list->positions = list->positions == NULL
							  ? palloc(sizeof(Datum) * list->room)
							  : repalloc_huge(list->positions, sizeof(Datum) * list->room);
	}
	list->positions[list->count++] = position;
}

/* add_claim adds the position of a claim that matters. */
static bool
add_claim(void *state, Datum event)
{
	position_list *list = state;
	bool isnull;

	if (list->filter(list->state, event))
		add_position(list, GetAttributeByNum(DatumGetHeapTupleHeader(event),
											 F6_EVENT_POSITION_COLUMN, &isnull));
	return true;
}

/*
 * f6_source_positions returns the positions, an array, of the claims up to one (0: of all) that matter, and of all events that may decide
 * about claims, with what these are about.
 */
Datum
f6_source_positions(f6_projection *projection, int64 until, f6_source_filter filter, void *state)
{
	position_list list = { .filter = filter, .state = state };
	Datum *decided;
	int count;

	until = until == 0 ? PG_INT64_MAX : until;
	read_events(projection, 0, until, true, add_claim, &list);
	deconstruct_array(DatumGetArrayTypeP(f6_event_decided(until)), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &decided, NULL, &count);
	for (int i = 0; i < count; i++)
		add_position(&list, decided[i]);
	return PointerGetDatum(construct_array(list.positions, (int) list.count, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
