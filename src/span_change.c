/*
 * span_change.c
 *		How the spans of material time are others than before, after other claims came to count.
 *
 * Both are walked through, before and after, from where the change may begin to where all is as it was.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "f6.h"
#include "span_change.h"

/* copy_state returns a copy of a state; NULL of none. */
static Jsonb *
copy_state(const Jsonb *state)
{
	return state == NULL
			   ? NULL
			   : memcpy(palloc_extended(VARSIZE(state), MCXT_ALLOC_HUGE), state, VARSIZE(state));
}

/*
 * f6_span_change_begin begins to walk over the spans before and after a change; both begin with the one, if any, in which the
 * change finds them, whose beginning and event the caller knows.  after: the fold of the claims as they were, which
 * becomes that of the claims as they are.
 */
void
f6_span_change_begin(f6_span_change *compared, f6_claim_fold *after, const f6_claims *claims,
					 const f6_claims_change *change, const f6_span *around)
{
	f6_claim_fold *before;
	f6_span span = *around;

	f6_claim_fold_forget(after, change->from);
	span.state = f6_claim_fold_state(after, claims->claims, change->from);
	before = f6_claim_fold_begin(claims->types, span.state);
	f6_span_walk_begin(&compared->before, before, change->before, change->before_count);
	f6_span_walk_from(&compared->before, 0, &span);
	f6_span_walk_begin(&compared->after, after, claims->claims, claims->count);
	span.state = copy_state(span.state);
	f6_span_walk_from(&compared->after, change->from, &span);
	compared->from = change->from;
	compared->rest = change->rest;
}

/* is_equal tells whether two states are the same to the byte, so that numbers have the same digits too; NULL: none. */
static bool
is_equal(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* f6_span_change_is_over tells whether, from the spans on that are being walked through, the states before and after are the same. */
bool
f6_span_change_is_over(const f6_span_change *compared)
{
	uint64 before = compared->before.count - compared->before.next;
	uint64 after = compared->after.count - compared->after.next;

	return before == after && before > 0 && before <= compared->rest &&
		   is_equal(compared->before.span.state, compared->after.span.state);
}

/* f6_span_change_end ends it. */
void
f6_span_change_end(f6_span_change *compared)
{
	f6_claim_fold_end(compared->before.fold);
}
