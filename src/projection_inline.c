/*
 * projection_inline.c
 *		Projections that the transactions which append write.
 *
 * They take the events when these and their links are written, and under the locks of the append.  What changes which projections there are
 * excludes appends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "event_write.h"
#include "projection.h"
#include "projection_inline.h"
#include "projection_run.h"

/* Events that are taken at a time. */
#define EVENTS_AT_A_TIME 1000

/* Events that have been written, and are to be taken. */
typedef struct written_events
{
	Relation event;
	MemoryContext context; /* holds this */
	MemoryContext events;  /* holds the events */
	int count;
	Datum *list;
} written_events;

/* The projection that is being filled, by whoever does that. */
static int32 left_out = 0;

/* f6_projection_inline_leave_out leaves a projection out of what appends write, 0: none; it returns the one that was. */
int32
f6_projection_inline_leave_out(int32 id)
{
	int32 before = left_out;

	left_out = id;
	return before;
}

/* follow begins to follow events that are being written; NULL where no projection takes any. */
static void *
follow(Relation event)
{
	written_events *written;
	MemoryContext context;

	if (f6_projections_inline() == NIL)
		return NULL;
	context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 written events", ALLOCSET_SMALL_SIZES);
	written = MemoryContextAlloc(context, sizeof(written_events));
	written->event = event;
	written->context = context;
	written->events = AllocSetContextCreate(context, "f6 written rows", ALLOCSET_DEFAULT_SIZES);
	written->count = 0;
	written->list = MemoryContextAlloc(context, sizeof(Datum) * EVENTS_AT_A_TIME);
	return written;
}

/* takes tells whether a projection is about any of some events; corrections and validations are about claims of any type. */
static bool
takes(const f6_projection *projection, const written_events *written)
{
	Oid claim_kind = f6_event_kind_oid(F6_CLAIM);

	for (int i = 0; i < written->count; i++)
	{
		HeapTupleHeader row = DatumGetHeapTupleHeader(written->list[i]);
		bool isnull;
		Oid kind = DatumGetObjectId(GetAttributeByNum(row, F6_EVENT_EVENT_KIND, &isnull));

		if ((kind != claim_kind && projection->handler_text == NULL) ||
			f6_projection_takes(projection, TextDatumGetCString(GetAttributeByNum(
												row, F6_EVENT_EVENT_TYPE, &isnull))))
			return true;
	}
	return false;
}

/* is_there tells whether a projection has its table still, if it has one. */
static bool
is_there(const f6_projection *projection)
{
	return projection->handler_text != NULL || get_rel_name(projection->table) != NULL;
}

/* take_written has the projections take the events that are there. */
static void
take_written(written_events *written)
{
	ListCell *cell;

	CommandCounterIncrement();
	foreach (cell, list_copy(f6_projections_inline()))
	{
		f6_projection *projection = lfirst(cell);

		if (projection->id != left_out && takes(projection, written) && is_there(projection))
			f6_projection_run_events(projection, written->list, written->count);
	}
	written->count = 0;
	MemoryContextReset(written->events);
}

/* take_event takes note of an event that has been written. */
static void
take_event(void *state, const f6_event_row *row)
{
	written_events *written = state;
	MemoryContext caller = MemoryContextSwitchTo(written->events);

	written->list[written->count++] = heap_copy_tuple_as_datum(
		f6_event_form(written->event, NULL, row), RelationGetDescr(written->event));
	MemoryContextSwitchTo(caller);
}

/* take_event_in_turn takes note of an event, and has those that are there taken when they are many. */
static void
take_event_in_turn(void *state, const f6_event_row *row)
{
	written_events *written = state;

	if (written->count == EVENTS_AT_A_TIME)
		take_written(written);
	take_event(written, row);
}

/* end ends the following. */
static void
end(void *state)
{
	written_events *written = state;

	if (written->count > 0)
		take_written(written);
	MemoryContextDelete(written->context);
}

/* f6_projection_inline_init has the projections follow what is written; called once, when the library is loaded. */
void
f6_projection_inline_init(void)
{
	static const f6_event_follower projections = { follow, take_event_in_turn, end };

	f6_follow_events(&projections);
}
