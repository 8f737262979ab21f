/*
 * known_claims.h
 *		The claims that count for an object as formal time goes on.
 */
#ifndef F6_KNOWN_CLAIMS_H
#define F6_KNOWN_CLAIMS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "question.h"
#include "resolution.h"

typedef struct f6_known_claims f6_known_claims;

/* What came to be different. */
typedef struct f6_claims_change
{
	uint64 from; /* the claims before this one are the same, and all of earlier material times */
	TimestampTz material_time; /* the first at which there is a difference */
	const f6_claim *before; /* the claims from there on, as they were; good until the next change */
	uint64 before_count;
	uint64 rest; /* so many claims at the end are the same again */
} f6_claims_change;

extern f6_known_claims *f6_known_claims_begin(const f6_question *question);
extern bool f6_known_claims_next(const f6_known_claims *known, TimestampTz *known_at);
extern bool f6_known_claims_advance(f6_known_claims *known, TimestampTz known_at,
									f6_claims_change *change);
extern const f6_claims *f6_known_claims_now(const f6_known_claims *known);
extern const pg_uuid_t *f6_known_claims_last(const f6_known_claims *known);

#endif /* F6_KNOWN_CLAIMS_H */
