/*
 * span.c
 *		The spans of material time in which the state that claims make is the same.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "span.h"

/* f6_same_state tells whether two states are the same, as jsonb compares them; NULL: nothing is known. */
bool
f6_same_state(Jsonb *a, Jsonb *b)
{
	JsonbValue first;
	JsonbValue second;

	if (a == NULL || b == NULL)
		return a == b;
	if (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0)
		return true;
	f6_jsonb_root(a, &first);
	f6_jsonb_root(b, &second);
	return f6_jsonb_compare(&first, &second) == 0;
}

/* f6_span_walk_begin begins a walk over the spans of claims. */
void
f6_span_walk_begin(f6_span_walk *walk, f6_claim_fold *fold, const f6_claim *claims, uint64 count)
{
	memset(walk, 0, sizeof(f6_span_walk));
	walk->fold = fold;
	walk->claims = claims;
	walk->count = count;
	walk->end = DT_NOEND;
}

/* f6_span_walk_from makes a walk begin at a claim, the first of its time, in a span whose state becomes the walk's. */
void
f6_span_walk_from(f6_span_walk *walk, uint64 next, const f6_span *span)
{
	walk->next = next;
	walk->span = *span;
}

/* f6_span_walk_stop makes the span that is being walked through the last one, known to end at a time. */
void
f6_span_walk_stop(f6_span_walk *walk, TimestampTz end)
{
	walk->next = walk->count;
	walk->end = end;
}

/* next_instant takes in the claims of the next material time and returns what begins there. */
static f6_span
next_instant(f6_span_walk *walk)
{
	f6_span begun;

	begun.from = walk->claims[walk->next].material_time;
	begun.to = DT_NOEND;
	while (walk->next < walk->count && walk->claims[walk->next].material_time == begun.from)
		walk->next++;
	begun.state = f6_claim_fold_state(walk->fold, walk->claims, walk->next);
	begun.event_id = walk->claims[walk->next - 1].id;
	return begun;
}

/*
 * f6_span_walk_next gives the next span, false after the last.  Its state is in the memory context that was current,
 * and the caller's to free.
 */
bool
f6_span_walk_next(f6_span_walk *walk, f6_span *span)
{
	while (walk->next < walk->count)
	{
		f6_span begun = next_instant(walk);

		CHECK_FOR_INTERRUPTS();
		if (f6_same_state(walk->span.state, begun.state))
		{
			if (begun.state != NULL)
				pfree(begun.state);
			continue;
		}
		*span = walk->span;
		span->to = begun.from;
		walk->span = begun;
		if (span->state != NULL)
			return true;
	}
	*span = walk->span;
	span->to = walk->end;
	walk->span.state = NULL;
	return span->state != NULL;
}

/* f6_span_walk_step gives the next span in the place of the last, whose state it frees; false after the last. */
bool
f6_span_walk_step(f6_span_walk *walk, f6_span *span)
{
	if (span->state != NULL)
		pfree(span->state);
	span->state = NULL;
	return f6_span_walk_next(walk, span);
}
