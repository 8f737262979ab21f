/*
 * resolution.h
 *		What an object's events make of each other: the claims that count at a material time, as known at a formal time.
 */
#ifndef F6_RESOLUTION_H
#define F6_RESOLUTION_H

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "claim_type.h"
#include "object_events.h"
#include "question.h"

/* A claim that counts, as the corrections in force restate it. */
typedef struct f6_claim
{
	int64 position;
	pg_uuid_t id;
	TimestampTz occurred_at;
	TimestampTz material_time;
	const f6_event_type *type; /* of the claim, at the version of the data; it has no program */
	const f6_event_type *stored_type; /* the same, at the version of the row */
	Jsonb *data;					  /* as stored */
	HeapTupleHeader row;			  /* of f6.event, as stored */
} f6_claim;

/* Claims in the order in which they are folded. */
typedef struct f6_claims
{
	uint64 count;
	f6_claim *claims;
	f6_claim_types *types;
} f6_claims;

/* The part that an event has in the answer to a question. */
typedef enum f6_part
{
	F6_PART_COUNTED,	   /* the claim counts as it was recorded */
	F6_PART_RESTATED,	   /* the claim counts as a correction restates it */
	F6_PART_REMOVED,	   /* a correction removes the event */
	F6_PART_SKIPPED,	   /* the fold takes it as not there */
	F6_PART_NOT_VALIDATED, /* nothing gives the event legal force */
	F6_PART_NOT_YET_VALID, /* the claim is about a later time */
	F6_PART_CORRECTS,	   /* the correction decides about what it references */
	F6_PART_SUPERSEDED, /* later corrections have decided about all that the correction references */
	F6_PART_VALIDATES	/* the validation gives legal force */
} f6_part;

/* What is found when an event is met. */
typedef struct f6_verdict
{
	f6_part part;
	bool has_time;
	TimestampTz material_time; /* of a claim, where it matters */
	const pg_uuid_t *by;	   /* the correction that restates or removes the event; NULL: none */
} f6_verdict;

typedef struct f6_resolution f6_resolution;

extern f6_resolution *f6_resolution_begin(const f6_question *question, f6_claim_types *types);
extern f6_verdict f6_resolution_meet(f6_resolution *resolving, const f6_object_event *event);
extern bool f6_resolution_reaches_behind(const f6_resolution *resolving, TimestampTz material_time);
extern bool f6_resolution_next(const f6_resolution *resolving, TimestampTz *material_time);
extern f6_claims *f6_resolution_end(f6_resolution *resolving);
extern int f6_claim_compare(const void *a, const void *b);
extern f6_claims *f6_claims_asof(const f6_question *question);

#endif /* F6_RESOLUTION_H */
