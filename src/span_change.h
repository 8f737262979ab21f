/*
 * span_change.h
 *		How the spans of material time are others than before, after other claims came to count.
 */
#ifndef F6_SPAN_CHANGE_H
#define F6_SPAN_CHANGE_H

#include "claim_fold.h"
#include "known_claims.h"
#include "resolution.h"
#include "span.h"

/* The spans of material time before and after claims change, from the first on that may be different. */
typedef struct f6_span_change
{
	f6_span_walk before;
	f6_span_walk after;
	uint64 from; /* where they begin to differ: so many claims are the same */
	uint64 rest; /* so many claims at their ends are the same */
} f6_span_change;

extern void f6_span_change_begin(f6_span_change *compared, f6_claim_fold *after,
								 const f6_claims *claims, const f6_claims_change *change,
								 const f6_span *around);
extern bool f6_span_change_is_over(const f6_span_change *compared);
extern void f6_span_change_end(f6_span_change *compared);

#endif /* F6_SPAN_CHANGE_H */
