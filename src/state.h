/*
 * state.h
 *		The state that claims make.
 */
#ifndef F6_STATE_H
#define F6_STATE_H

#include "utils/jsonb.h"

#include "fold.h"
#include "resolution.h"

extern Datum f6_claim_row(f6_claim_types *types, const f6_claim *claim, Jsonb *data);
extern Jsonb *f6_claim_data(f6_claim_types *types, const f6_claim *claim);
extern void f6_state_fold(f6_fold *fold, f6_claim_types *types, const f6_claim *claim);
extern Jsonb *f6_state_of_claims(Jsonb *start, const f6_claims *claims);
extern Jsonb *f6_state_of(const f6_question *question);
extern Jsonb *f6_state_by_position(Datum positions, f6_fold_program *program);
extern Jsonb *f6_state_of_events(Datum positions);

#endif /* F6_STATE_H */
