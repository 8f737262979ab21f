/*
 * rectangle.c
 *		The states of an object along both times, as rectangles that do not overlap.
 *
 * The timeline of material time is kept as formal time goes on.  What becomes known closes the spans that it ends, each
 * of which makes a rectangle with the formal time in which it stood there, and opens others.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "known_claims.h"
#include "rectangle.h"
#include "span_change.h"

/* spans that there is room for at first */
#define INITIAL_SPANS 64

/* A span that is in the timeline at present. */
typedef struct open_span
{
	TimestampTz known_from;
	TimestampTz valid_from;
	TimestampTz valid_to;
	pg_uuid_t event_id; /* of the claim that began it as known first */
	pg_uuid_t now_id;	/* of the claim that begins it as known now */
} open_span;

typedef struct open_spans
{
	uint64 count;
	uint64 room;
	open_span *spans;
} open_spans;

/* Rectangles under way. */
typedef struct rectangles
{
	f6_known_claims *known;
	f6_claim_fold *fold; /* of the claims that count at present */
	open_spans open;	 /* the timeline at present */
	open_spans opened;	 /* what comes to stand at its end after a change */
	f6_rectangle_receiver receive;
	void *state;
} rectangles;

/* open_spans_begin begins with no spans. */
static void
open_spans_begin(open_spans *open)
{
	open->count = 0;
	open->room = INITIAL_SPANS;
	open->spans = palloc(open->room * sizeof(open_span));
}

/* open_spans_reserve makes room for so many spans. */
static void
open_spans_reserve(open_spans *open, uint64 count)
{
	if (count <= open->room)
		return;
	open->room = Max(count, 2 * open->room);
	open->spans = repalloc_huge(open->spans, open->room * sizeof(open_span));
}

/* open_spans_add adds a span. */
static void
open_spans_add(open_spans *open, const open_span *span)
{
	open_spans_reserve(open, open->count + 1);
	open->spans[open->count++] = *span;
}

/* close_span hands on the rectangle that a span of the timeline makes with the formal time in which it stood there. */
static void
close_span(rectangles *rectangles, const open_span *open, TimestampTz known_to, const f6_span *span)
{
	f6_rectangle rectangle = { open->known_from, known_to, *span };

	rectangle.span.from = open->valid_from;
	rectangle.span.event_id = open->event_id;
	rectangles->receive(rectangles->state, &rectangle);
}

/* open_at returns a span of the timeline, which must begin where it did when it came to stand there. */
static const open_span *
open_at(const open_spans *open, uint64 number, const f6_span *span)
{
	if (number >= open->count || open->spans[number].valid_from != span->from)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_FUNCTION),
				 errmsg("the same events did not make the same state twice"),
				 errhint("An upcaster's function must depend on nothing but its argument.")));
	return &open->spans[number];
}

/* is_same_span tells whether two spans are the same. */
static bool
is_same_span(const f6_span *a, const f6_span *b)
{
	return a->from == b->from && a->to == b->to && f6_same_state(a->state, b->state);
}

/* span_around returns how many spans of the timeline begin before a material time, and the last of them, if any. */
static uint64
span_around(const open_spans *open, TimestampTz material_time, f6_span *around)
{
	uint64 low = 0;
	uint64 high = open->count;

	memset(around, 0, sizeof(f6_span));
	while (low < high)
	{
		uint64 middle = low + (high - low) / 2;

		if (open->spans[middle].valid_from < material_time)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	around->from = open->spans[low - 1].valid_from;
	around->event_id = open->spans[low - 1].now_id;
	return low;
}

/* go_on lets a span of the timeline stand there after a change. */
static void
go_on(rectangles *rectangles, const open_span *open, const f6_span *after)
{
	open_span going_on = *open;

	going_on.now_id = after->event_id;
	open_spans_add(&rectangles->opened, &going_on);
}

/* open_span_after lets a span come to stand in the timeline. */
static void
open_span_after(rectangles *rectangles, const f6_span *after, TimestampTz known_at)
{
	open_span opened = { known_at, after->from, after->to, after->event_id, after->event_id };

	open_spans_add(&rectangles->opened, &opened);
}

/*
 * stop_comparing stops where all that follows is as it was.  number: of the span being walked through before the change, if there is a
 * state in it.
 */
static void
stop_comparing(rectangles *rectangles, f6_span_change *compared, uint64 number)
{
	const open_spans *open = &rectangles->open;
	TimestampTz end = number < open->count ? open->spans[number].valid_to : DT_NOEND;

	f6_claim_fold_recall(rectangles->fold, compared->from + compared->before.next,
						 compared->after.next);
	f6_span_walk_stop(&compared->before, end);
	f6_span_walk_stop(&compared->after, end);
}

/*
 * merge_spans closes the spans that a change ends and opens those that it begins; number: of the first span.  It returns
 * the number of the first span that is as it was, like all that follow.
 */
static uint64
merge_spans(rectangles *rectangles, f6_span_change *compared, uint64 number, TimestampTz known_at)
{
	f6_span before = { 0 };
	f6_span after = { 0 };
	bool has_before = f6_span_walk_step(&compared->before, &before);
	bool has_after = f6_span_walk_step(&compared->after, &after);

	while (has_before || has_after)
	{
		bool goes_on = has_before && has_after && is_same_span(&before, &after);
		bool ends = has_before && !goes_on && (!has_after || before.from <= after.from);

		CHECK_FOR_INTERRUPTS();
		if (goes_on)
			go_on(rectangles, open_at(&rectangles->open, number, &before), &after);
		else if (ends)
			close_span(rectangles, open_at(&rectangles->open, number, &before), known_at, &before);
		else
			open_span_after(rectangles, &after, known_at);
		if (f6_span_change_is_over(compared))
			stop_comparing(rectangles, compared, number + (has_before ? 1 : 0));
		if (goes_on || ends)
		{
			has_before = f6_span_walk_step(&compared->before, &before);
			number++;
		}
		if (!ends)
			has_after = f6_span_walk_step(&compared->after, &after);
	}
	return number;
}

/* replace_spans replaces the spans of the timeline from one number up to, not including, another by those opened. */
static void
replace_spans(rectangles *rectangles, uint64 from, uint64 to)
{
	const open_spans *opened = &rectangles->opened;
	open_spans *open = &rectangles->open;
	uint64 rest = open->count - to;

	open_spans_reserve(open, from + opened->count + rest);
	memmove(&open->spans[from + opened->count], &open->spans[to], rest * sizeof(open_span));
	memcpy(&open->spans[from], opened->spans, opened->count * sizeof(open_span));
	open->count = from + opened->count + rest;
}

/* change_timeline takes in what became known at a formal time. */
static void
change_timeline(rectangles *rectangles, const f6_claims_change *change, TimestampTz known_at)
{
	f6_span_change compared;
	f6_span around;
	uint64 from = span_around(&rectangles->open, change->material_time, &around);
	uint64 to;

	f6_span_change_begin(&compared, rectangles->fold, f6_known_claims_now(rectangles->known),
						 change, &around);
	/* Where there is no state it finds itself behind that span. */
	if (compared.before.span.state != NULL)
		from--;
	rectangles->opened.count = 0;
	to = merge_spans(rectangles, &compared, from, known_at);
	f6_span_change_end(&compared);
	replace_spans(rectangles, from, to);
}

/* close_timeline closes the spans that still stand. */
static void
close_timeline(rectangles *rectangles)
{
	const f6_claims *claims = f6_known_claims_now(rectangles->known);
	f6_span_walk walk;
	f6_span span = { 0 };

	f6_span_walk_begin(&walk, rectangles->fold, claims->claims, claims->count);
	for (uint64 number = 0; f6_span_walk_step(&walk, &span); number++)
		close_span(rectangles, open_at(&rectangles->open, number, &span), DT_NOEND, &span);
}

/*
 * f6_rectangles hands on each rectangle of what a question asks, in no order; its state is good until the next one.  It tells
 * whether the same events will always make the same: no upcaster's function was run for them.
 */
bool
f6_rectangles(const f6_question *question, f6_rectangle_receiver receive, void *state)
{
	rectangles rectangles = { .receive = receive, .state = state };
	TimestampTz known_at;
	f6_claims_change change;

	rectangles.known = f6_known_claims_begin(question);
	rectangles.fold = f6_claim_fold_begin(f6_known_claims_now(rectangles.known)->types, NULL);
	open_spans_begin(&rectangles.open);
	open_spans_begin(&rectangles.opened);
	while (f6_known_claims_next(rectangles.known, &known_at))
	{
		if (f6_known_claims_advance(rectangles.known, known_at, &change))
			change_timeline(&rectangles, &change, known_at);
	}
	close_timeline(&rectangles);
	return f6_claim_types_are_declared(f6_known_claims_now(rectangles.known)->types);
}
