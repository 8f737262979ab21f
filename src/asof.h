/*
 * asof.h
 *		What is known of an object: the claims that count at a material time, as known at a formal time.
 */
#ifndef F6_ASOF_H
#define F6_ASOF_H

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "event_type.h"
#include "upcast.h"

typedef struct f6_question
{
	pg_uuid_t object_id;
	Datum
		positions; /* an array: of the events at these positions instead of an object's; 0: none */
	TimestampTz valid_at; /* material time */
	TimestampTz known_at; /* formal time */
	bool legal;			  /* only what has legal force? */
	bool with_data;		  /* fill in the claims' data? */
	bool with_row;		  /* fill in the claims' rows? */
	Jsonb *versions;	  /* types to read in another version than by default; NULL: none */
} f6_question;

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
} f6_claims;

extern f6_claims *f6_claims_asof(const f6_question *question);
extern f6_upcast *f6_claims_upcast(const f6_question *question, const f6_event_type *type);
extern Jsonb *f6_state_of_events(Datum positions);

#endif /* F6_ASOF_H */
