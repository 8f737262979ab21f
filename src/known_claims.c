/*
 * known_claims.c
 *		The claims that count for an object as formal time goes on.
 *
 * When events become known, only their threads are resolved again, and what that changes is put in the place of what
 * counted before.  So a history costs what its changes cost, however often they are asked for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "known_claims.h"
#include "object_history.h"

/* Claims that there is room for at first. */
#define INITIAL_CLAIMS 64

/* How an event counts at present. */
typedef struct standing
{
	bool counts;
	TimestampTz material_time; /* where it counts */
	uint64 seen;			   /* the last round in which it turned out to count */
	uint64 resolved; /* as the newest of a thread: the last round in which that was resolved */
} standing;

/* What a round changes; in the memory of the round. */
typedef struct changes
{
	uint64 *removed; /* numbers of claims */
	uint64 removed_count;
	uint64 removed_room;
	f6_claim *added;
	uint64 added_count;
	uint64 added_room;
} changes;

struct f6_known_claims
{
	const f6_question *question;
	f6_object_history *history;
	uint64 known;			  /* events that are known, in the order in which they were recorded */
	standing *standings;	  /* of the event at each place */
	f6_claims claims;		  /* that count at present, in fold order */
	uint64 room;			  /* for claims */
	uint64 round;			  /* the number of the present round, from 1 */
	MemoryContext memory;	  /* of the round */
	MemoryContext resolution; /* emptied after each thread */
};

/* f6_known_claims_begin reads the events of an object, all that the question allows, none of which is known at first. */
f6_known_claims *
f6_known_claims_begin(const f6_question *question)
{
	f6_known_claims *known = palloc0(sizeof(f6_known_claims));

	known->question = question;
	known->history =
		f6_object_history_read(&question->object_id, question->known_at, question->with_row);
	known->standings = MemoryContextAllocExtended(CurrentMemoryContext,
												  Max(known->history->count, 1) * sizeof(standing),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	known->claims.types = f6_claim_types_begin(question->versions, question->program);
	known->room = INITIAL_CLAIMS;
	known->claims.claims = palloc(known->room * sizeof(f6_claim));
	known->memory =
		AllocSetContextCreate(CurrentMemoryContext, "f6 known claims", ALLOCSET_DEFAULT_SIZES);
	known->resolution =
		AllocSetContextCreate(CurrentMemoryContext, "f6 thread", ALLOCSET_DEFAULT_SIZES);
	return known;
}

/* event_recorded returns an event by its number in the order of recording. */
static const f6_object_event *
event_recorded(const f6_known_claims *known, uint64 number)
{
	return &known->history->events[known->history->recorded[number]];
}

/* f6_known_claims_next tells when the next event is recorded, if there is one that is not known yet. */
bool
f6_known_claims_next(const f6_known_claims *known, TimestampTz *known_at)
{
	if (known->known == known->history->count)
		return false;
	*known_at = event_recorded(known, known->known)->created_at;
	return true;
}

/* f6_known_claims_now returns the claims that count at present; good until the next change. */
const f6_claims *
f6_known_claims_now(const f6_known_claims *known)
{
	return &known->claims;
}

/* f6_known_claims_last returns the id of the event that became known last. */
const pg_uuid_t *
f6_known_claims_last(const f6_known_claims *known)
{
	return &event_recorded(known, known->known - 1)->id;
}

/* find_claim returns the number of the first claim that is not folded before a material time and position. */
static uint64
find_claim(const f6_known_claims *known, TimestampTz material_time, int64 position)
{
	f6_claim wanted = { .position = position, .material_time = material_time };
	uint64 low = 0;
	uint64 high = known->claims.count;

	while (low < high)
	{
		uint64 middle = low + (high - low) / 2;

		if (f6_claim_compare(&known->claims.claims[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* is_same tells whether a claim says what it said before; what it says stands where it stood. */
static bool
is_same(const f6_claim *before, const f6_claim *after)
{
	return before->material_time == after->material_time && before->data == after->data &&
		   before->type == after->type;
}

/* remove_claim notes that a claim no longer counts as it did. */
static void
remove_claim(changes *changes, uint64 number)
{
	if (changes->removed_count == changes->removed_room)
	{
		changes->removed_room *= 2;
		changes->removed = repalloc_huge(changes->removed, changes->removed_room * sizeof(uint64));
	}
	changes->removed[changes->removed_count++] = number;
}

/* insert_claim notes that a claim counts from now on. */
static void
insert_claim(changes *changes, const f6_claim *claim)
{
	if (changes->added_count == changes->added_room)
	{
		changes->added_room *= 2;
		changes->added = repalloc_huge(changes->added, changes->added_room * sizeof(f6_claim));
	}
	changes->added[changes->added_count++] = *claim;
}

/* resolve_thread returns the claims of a thread that count with what is known at a formal time; good until the next thread. */
static f6_claims *
resolve_thread(f6_known_claims *known, uint64 newest, TimestampTz known_at)
{
	const f6_object_history *history = known->history;
	MemoryContext caller;
	f6_resolution *resolving;
	f6_claims *counting;

	MemoryContextReset(known->resolution);
	caller = MemoryContextSwitchTo(known->resolution);
	resolving = f6_resolution_begin(known->question, known->claims.types);

	for (uint64 place = newest; place != F6_NO_PLACE; place = history->next[place])
	{
		CHECK_FOR_INTERRUPTS();
		if (history->events[place].created_at <= known_at)
			(void) f6_resolution_meet(resolving, &history->events[place]);
	}
	counting = f6_resolution_end(resolving);
	MemoryContextSwitchTo(caller);
	return counting;
}

/* meet_counting compares a claim that counts with how it counted. */
static void
meet_counting(f6_known_claims *known, const f6_claim *claim, changes *changes)
{
	standing *own = &known->standings[f6_object_history_place(known->history, claim->position)];

	if (own->counts)
	{
		uint64 number = find_claim(known, own->material_time, claim->position);

		own->seen = known->round;
		if (is_same(&known->claims.claims[number], claim))
			return;
		remove_claim(changes, number);
	}
	own->seen = known->round;
	own->counts = true;
	own->material_time = claim->material_time;
	insert_claim(changes, claim);
}

/* drop_unseen notes the claims of a thread that do not count any more. */
static void
drop_unseen(f6_known_claims *known, uint64 newest, changes *changes)
{
	const f6_object_history *history = known->history;

	for (uint64 place = newest; place != F6_NO_PLACE; place = history->next[place])
	{
		standing *own = &known->standings[place];

		if (!own->counts || own->seen == known->round)
			continue;
		own->counts = false;
		remove_claim(changes,
					 find_claim(known, own->material_time, history->events[place].position));
	}
}

/* update_thread finds out what changes in a thread, once a round. */
static void
update_thread(f6_known_claims *known, uint64 newest, TimestampTz known_at, changes *changes)
{
	f6_claims *counting;

	if (known->standings[newest].resolved == known->round)
		return;
	known->standings[newest].resolved = known->round;
	counting = resolve_thread(known, newest, known_at);
	for (uint64 i = 0; i < counting->count; i++)
		meet_counting(known, &counting->claims[i], changes);
	drop_unseen(known, newest, changes);
}

/* learn makes what was recorded until a formal time known, and finds out what that changes. */
static void
learn(f6_known_claims *known, TimestampTz known_at, changes *changes)
{
	const f6_object_history *history = known->history;

	while (known->known < history->count &&
		   event_recorded(known, known->known)->created_at <= known_at)
	{
		update_thread(known, history->thread[history->recorded[known->known]], known_at, changes);
		known->known++;
	}
}

/* compare_numbers compares two numbers, for qsort. */
static int
compare_numbers(const void *a, const void *b)
{
	uint64 first = *(const uint64 *) a;
	uint64 second = *(const uint64 *) b;

	return first < second ? -1 : first > second ? 1 : 0;
}

/* first_difference returns the first material time at which sorted changes make a difference. */
static TimestampTz
first_difference(const f6_known_claims *known, const changes *changes)
{
	TimestampTz first = DT_NOEND;

	if (changes->removed_count > 0)
		first = known->claims.claims[changes->removed[0]].material_time;
	if (changes->added_count > 0)
		first = Min(first, changes->added[0].material_time);
	return first;
}

/* keep_before keeps the claims that a change concerns as they are. */
static void
keep_before(f6_known_claims *known, f6_claims_change *change)
{
	Size size;
	f6_claim *before;

	change->before_count = known->claims.count - change->from;
	size = change->before_count * sizeof(f6_claim);
	before = MemoryContextAllocHuge(known->memory, Max(size, 1));
	memcpy(before, &known->claims.claims[change->from], size);
	change->before = before;
}

/* make_room makes room for claims. */
static void
make_room(f6_known_claims *known, uint64 count)
{
	if (count <= known->room)
		return;
	known->room = Max(count, 2 * known->room);
	known->claims.claims = repalloc_huge(known->claims.claims, known->room * sizeof(f6_claim));
}

/* apply puts the claims that a change left as they are, and those that it adds, in the place of those before. */
static void
apply(f6_known_claims *known, const changes *changes, f6_claims_change *change)
{
	f6_claim *after;
	uint64 removed = 0;
	uint64 added = 0;
	uint64 i = 0;

	make_room(known, known->claims.count + changes->added_count);
	after = &known->claims.claims[change->from];
	while (removed < changes->removed_count || added < changes->added_count)
	{
		if (i < change->before_count && removed < changes->removed_count &&
			changes->removed[removed] == change->from + i)
		{
			removed++;
			i++;
		}
		else if (added < changes->added_count &&
				 (i == change->before_count ||
				  f6_claim_compare(&changes->added[added], &change->before[i]) < 0))
			*after++ = changes->added[added++];
		else
			*after++ = change->before[i++];
	}
	change->rest = change->before_count - i;
	memcpy(after, &change->before[i], change->rest * sizeof(f6_claim));
	known->claims.count = after + change->rest - known->claims.claims;
}

/* f6_known_claims_advance makes what was recorded until a formal time known, and tells whether other claims count, and which. */
bool
f6_known_claims_advance(f6_known_claims *known, TimestampTz known_at, f6_claims_change *change)
{
	MemoryContext caller;
	changes changes = { .removed_room = INITIAL_CLAIMS, .added_room = INITIAL_CLAIMS };

	MemoryContextReset(known->memory);
	caller = MemoryContextSwitchTo(known->memory);
	known->round++;
	changes.removed = palloc(changes.removed_room * sizeof(uint64));
	changes.added = palloc(changes.added_room * sizeof(f6_claim));
	learn(known, known_at, &changes);
	MemoryContextSwitchTo(caller);
	if (changes.removed_count == 0 && changes.added_count == 0)
		return false;
	qsort(changes.removed, changes.removed_count, sizeof(uint64), compare_numbers);
	qsort(changes.added, changes.added_count, sizeof(f6_claim), f6_claim_compare);
	change->material_time = first_difference(known, &changes);
	change->from = find_claim(known, change->material_time, PG_INT64_MIN);
	keep_before(known, change);
	apply(known, &changes, change);
	return true;
}
