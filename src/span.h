/*
 * span.h
 *		The spans of material time in which the state that claims make is the same.
 */
#ifndef F6_SPAN_H
#define F6_SPAN_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "claim_fold.h"
#include "resolution.h"

/* From one time until just before another, DT_NOEND for ever. */
typedef struct f6_span
{
	TimestampTz from;
	TimestampTz to;
	Jsonb *state;
	pg_uuid_t event_id; /* of the claim that began it */
} f6_span;

/* A walk over the spans of claims, in order. */
typedef struct f6_span_walk
{
	f6_claim_fold *fold;
	const f6_claim *claims;
	uint64 count;
	uint64 next;	 /* the first claim that is not in the span */
	f6_span span;	 /* that is being walked through; no state: none */
	TimestampTz end; /* of the last span */
} f6_span_walk;

extern bool f6_same_state(Jsonb *a, Jsonb *b);
extern void f6_span_walk_begin(f6_span_walk *walk, f6_claim_fold *fold, const f6_claim *claims,
							   uint64 count);
extern void f6_span_walk_from(f6_span_walk *walk, uint64 next, const f6_span *span);
extern void f6_span_walk_stop(f6_span_walk *walk, TimestampTz end);
extern bool f6_span_walk_next(f6_span_walk *walk, f6_span *span);
extern bool f6_span_walk_step(f6_span_walk *walk, f6_span *span);

#endif /* F6_SPAN_H */
