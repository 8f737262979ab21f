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
#include "utils/timestamp.h"

#include "f6.h"
#include "event_write.h"
#include "projection.h"
#include "projection_inline.h"
#include "projection_run.h"

/* Events that are taken at a time. */
#define EVENTS_AT_A_TIME 1000

/* The position of an event that has none yet. */
#define ANY_POSITION 1

/* Events that are being written. */
typedef struct written_events
{
	Relation event;
	MemoryContext context; /* holds this */
	MemoryContext events;  /* holds the events */
	uint64 count;
	uint64 room;
	Datum *list;		   /* to be taken */
	List *runs;			   /* of the projections that take any */
	bool are_rows_written; /* may code of others have written the rows that are held? */
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
	written = MemoryContextAllocZero(context, sizeof(written_events));
	written->event = event;
	written->context = context;
	written->events = AllocSetContextCreate(context, "f6 written rows", ALLOCSET_DEFAULT_SIZES);
	return written;
}

/* takes tells whether a projection is about any of some events; corrections and validations are about claims of any type. */
static bool
takes(const f6_projection *projection, const written_events *written)
{
	Oid claim_kind = f6_event_kind_oid(F6_CLAIM);

	for (uint64 i = 0; i < written->count; i++)
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

/* run_of returns the run of a projection, begun when it is first asked for. */
static f6_projection_intake *
run_of(written_events *written, f6_projection *projection)
{
	MemoryContext caller;
	f6_projection_intake *run;
	ListCell *cell;

	foreach (cell, written->runs)
	{
		if (f6_projection_intake_of(lfirst(cell)) == projection)
			return lfirst(cell);
	}
	caller = MemoryContextSwitchTo(written->context);
	run = f6_projection_intake_begin(projection);
	written->runs = lappend(written->runs, run);
	MemoryContextSwitchTo(caller);
	return run;
}

/* runs_taking returns the runs of the projections that take any of the events that are there. */
static List *
runs_taking(written_events *written)
{
	List *runs = NIL;
	ListCell *cell;

	foreach (cell, list_copy(f6_projections_inline()))
	{
		f6_projection *projection = lfirst(cell);

		if (projection->id != left_out && takes(projection, written) && is_there(projection))
			runs = lappend(runs, run_of(written, projection));
	}
	return runs;
}

/* forget_events forgets the events that are there. */
static void
forget_events(written_events *written)
{
	written->count = 0;
	written->room = 0;
	MemoryContextReset(written->events);
}

/* add_event adds an event to those that are there. */
static void
add_event(written_events *written, const f6_event_row *row)
{
	MemoryContext caller = MemoryContextSwitchTo(written->events);

	if (written->count == written->room)
	{
		written->room = Max(written->room * 2, 4);
		written->list = written->count == 0
							? palloc(sizeof(Datum) * written->room)
							: repalloc_huge(written->list, sizeof(Datum) * written->room);
	}
	written->list[written->count++] = heap_copy_tuple_as_datum(
		f6_event_form(written->event, NULL, row), RelationGetDescr(written->event));
	MemoryContextSwitchTo(caller);
}

/* expect_event takes note of an event that is about to be written; its moments are those of now, or about. */
static void
expect_event(void *state, const f6_event_row *row)
{
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	f6_event_row expected = *row;

	f6_event_set(&expected, F6_EVENT_POSITION_COLUMN, Int64GetDatum(ANY_POSITION));
	f6_event_set(&expected, F6_EVENT_CREATED_AT, now);
	if (!f6_event_has(&expected, F6_EVENT_OCCURRED_AT))
		f6_event_set(&expected, F6_EVENT_OCCURRED_AT, now);
	add_event(state, &expected);
}

/* hold_rows locks the rows of projections that the expected events concern. */
static void
hold_rows(void *state)
{
	written_events *written = state;
	ListCell *cell;

	foreach (cell, runs_taking(written))
		written->are_rows_written |=
			f6_projection_intake_hold(lfirst(cell), written->list, (int) written->count);
	forget_events(written);
}

/* take_written has the projections take the events that are there. */
static void
take_written(written_events *written)
{
	ListCell *cell;

	CommandCounterIncrement();
	foreach (cell, runs_taking(written))
		written->are_rows_written |= f6_projection_intake_take(
			lfirst(cell), written->list, (int) written->count, written->are_rows_written);
	forget_events(written);
}

/* take_event takes note of an event that has been written, and has those that are there taken when they are many. */
static void
take_event(void *state, const f6_event_row *row)
{
	written_events *written = state;

	if (written->count == EVENTS_AT_A_TIME)
		take_written(written);
	add_event(written, row);
}

/* end ends the following. */
static void
end(void *state)
{
	written_events *written = state;
	ListCell *cell;

	if (written->count > 0)
		take_written(written);
	foreach (cell, written->runs)
		f6_projection_intake_end(lfirst(cell));
	MemoryContextDelete(written->context);
}

/* f6_projection_inline_init has the projections follow what is written; called once, when the library is loaded. */
void
f6_projection_inline_init(void)
{
	static const f6_event_follower projections = { follow, expect_event, hold_rows, take_event,
												   end };

	f6_follow_events(&projections);
}
