/*
 * object_history.c
 *		The events of an object in memory, to be resolved again and again.
 *
 * Events decide about each other only by the references of corrections and validations.  What these connect is a thread: when
 * an event becomes known, nothing outside its thread changes its part.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "claim_type.h"
#include "object_history.h"
#include "relation.h"
#include "uuid_array.h"

/* Events that a history has room for at first. */
#define INITIAL_EVENTS 64

/* Where an event stands. */
typedef struct event_place
{
	pg_uuid_t id;
	uint64 place;
	char status;
} event_place;

#define SH_PREFIX			 places
#define SH_ELEMENT_TYPE		 event_place
#define SH_KEY_TYPE			 pg_uuid_t
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, UUID_LEN)
#define SH_EQUAL(tb, a, b)	 (memcmp((a).data, (b).data, UUID_LEN) == 0)
#define SH_SCOPE			 static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A history that is being read. */
typedef struct history_reader
{
	f6_object_history *history;
	MemoryContext content; /* holds what the events point to */
	uint64 room;
} history_reader;

/* make_array returns an array, however large. */
static void *
make_array(uint64 count, Size size)
{
	return palloc_extended(Max(count, 1) * size, MCXT_ALLOC_HUGE);
}

/* keep_type makes a copied event point to a copy of its type: mostly that of the event before. */
static void
keep_type(f6_object_history *history, f6_object_event *event)
{
	const f6_object_event *before =
		history->count == 0 ? NULL : &history->events[history->count - 1];
	f6_type_key *type = &event->type;

	if (before != NULL && f6_same_type(before->type, *type))
	{
		*type = before->type;
		return;
	}
	type->name = pnstrdup(type->name, type->name_length);
	type->version = pnstrdup(type->version, type->version_length);
}

/* keep_event adds a copy of an event to the history. */
static void
keep_event(void *state, const f6_object_event *event)
{
	history_reader *reader = state;
	f6_object_history *history = reader->history;
	f6_object_event *kept;
	MemoryContext caller;

	if (history->count == reader->room)
	{
		reader->room *= 2;
		history->events = repalloc_huge(history->events, reader->room * sizeof(f6_object_event));
	}
	kept = &history->events[history->count];
	*kept = *event;
	caller = MemoryContextSwitchTo(reader->content);
	keep_type(history, kept);
	if (event->has_references)
		kept->references = PointerGetDatum(PG_DETOAST_DATUM_COPY(event->references));
	kept->data = JsonbPGetDatum(DatumGetJsonbPCopy(event->data));
	if (event->row != (Datum) 0)
		kept->row = datumCopy(event->row, false, -1);
	kept->stays = true;
	MemoryContextSwitchTo(caller);
	history->count++;
}

/* compare_recorded compares two places by when their events were recorded, for qsort_arg. */
static int
compare_recorded(const void *a, const void *b, void *argument)
{
	const f6_object_history *history = argument;
	const f6_object_event *first = &history->events[*(const uint64 *) a];
	const f6_object_event *second = &history->events[*(const uint64 *) b];

	if (first->created_at != second->created_at)
		return first->created_at < second->created_at ? -1 : 1;
	if (first->position != second->position)
		return first->position < second->position ? -1 : 1;
	return 0;
}

/* order_recorded fills in the order in which the events were recorded. */
static void
order_recorded(f6_object_history *history)
{
	history->recorded = make_array(history->count, sizeof(uint64));
	/* That is mostly the order of their positions, and sorted input costs next to nothing. */
	for (uint64 i = 0; i < history->count; i++)
		history->recorded[i] = history->count - 1 - i;
	CHECK_FOR_INTERRUPTS();
	qsort_arg(history->recorded, history->count, sizeof(uint64), compare_recorded, history);
}

/* find_thread returns the place that stands for a thread so far, and shortens the way to it. */
static uint64
find_thread(uint64 *thread, uint64 place)
{
	while (thread[place] != place)
	{
		thread[place] = thread[thread[place]];
		place = thread[place];
	}
	return place;
}

/* join_threads makes one of the threads of two events; the newest event stands for it. */
static void
join_threads(uint64 *thread, uint64 a, uint64 b)
{
	uint64 first = find_thread(thread, a);
	uint64 second = find_thread(thread, b);

	thread[Max(first, second)] = Min(first, second);
}

/* join_references joins a correction or validation with what it references. */
static void
join_references(f6_object_history *history, places_hash *places, uint64 place)
{
	const f6_object_event *event = &history->events[place];
	f6_uuids references = { 0, NULL };

	f6_uuids_read(event->references, "event_reference", &references);
	for (int i = 0; i < references.count; i++)
	{
		event_place *target = places_lookup(places, references.ids[i]);

		if (target != NULL)
			join_threads(history->thread, place, target->place);
	}
}

/* join_events finds out what belongs together: which thread each event is in. */
static void
join_events(f6_object_history *history)
{
	Oid claim_kind = f6_event_kind_oid(F6_CLAIM);
	places_hash *places = places_create(CurrentMemoryContext, history->count, NULL);
	bool found;

	history->thread = make_array(history->count, sizeof(uint64));
	for (uint64 place = 0; place < history->count; place++)
	{
		history->thread[place] = place;
		places_insert(places, history->events[place].id, &found)->place = place;
	}
	for (uint64 place = 0; place < history->count; place++)
	{
		CHECK_FOR_INTERRUPTS();
		if (history->events[place].has_references && history->events[place].kind != claim_kind)
			join_references(history, places, place);
	}
	for (uint64 place = 0; place < history->count; place++)
		history->thread[place] = find_thread(history->thread, place);
	places_destroy(places);
}

/* link_threads leads from each event to the next older one of its thread. */
static void
link_threads(f6_object_history *history)
{
	history->next = make_array(history->count, sizeof(uint64));
	for (uint64 place = 0; place < history->count; place++)
		history->next[place] = F6_NO_PLACE;
	for (uint64 place = history->count; place-- > 0;)
	{
		uint64 newest = history->thread[place];

		if (newest == place)
			continue;
		history->next[place] = history->next[newest];
		history->next[newest] = place;
	}
}

/* f6_object_history_read returns what was recorded of an object until a formal time, in the current memory context and a child of it. */
f6_object_history *
f6_object_history_read(const pg_uuid_t *object_id, TimestampTz known_at, bool with_rows)
{
	f6_object_reading reading = { *object_id, (Datum) 0, known_at, with_rows, 0 };
	f6_object_history *history = palloc0(sizeof(f6_object_history));
	history_reader reader = { history, NULL, INITIAL_EVENTS };

	history->events = palloc(INITIAL_EVENTS * sizeof(f6_object_event));
	reader.content =
		GenerationContextCreate(CurrentMemoryContext, "f6 object history", ALLOCSET_DEFAULT_SIZES);
	f6_object_events_read(&reading, keep_event, &reader);
	order_recorded(history);
	join_events(history);
	link_threads(history);
	return history;
}

/* f6_object_history_place returns the place of the event at a position, which must be in the history. */
uint64
f6_object_history_place(const f6_object_history *history, int64 position)
{
	uint64 low = 0;
	uint64 high = history->count;

	while (low < high)
	{
		uint64 middle = low + (high - low) / 2;

		if (history->events[middle].position > position)
			low = middle + 1;
		else
			high = middle;
	}
	Assert(low < history->count && history->events[low].position == position);
	return low;
}
