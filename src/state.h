/*
 * state.h
 *		The state that claims make.
 */
#ifndef F6_STATE_H
#define F6_STATE_H

#include "utils/jsonb.h"

#include "fold.h"
#include "resolution.h"

extern void f6_state_merge(f6_fold *fold, f6_claim_types *types, const f6_claim *claim);
extern Jsonb *f6_state_of_claims(Jsonb *start, const f6_claims *claims);
extern Jsonb *f6_state_of(const f6_question *question);
extern Jsonb *f6_state_of_events(Datum positions);

#endif /* F6_STATE_H */
