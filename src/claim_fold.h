/*
 * claim_fold.h
 *		Folding claims that may come to be others than those that were folded.
 */
#ifndef F6_CLAIM_FOLD_H
#define F6_CLAIM_FOLD_H

#include "utils/jsonb.h"

#include "resolution.h"

typedef struct f6_claim_fold f6_claim_fold;

extern f6_claim_fold *f6_claim_fold_begin(f6_claim_types *types, const Jsonb *state);
extern void f6_claim_fold_forget(f6_claim_fold *fold, uint64 from);
extern void f6_claim_fold_recall(f6_claim_fold *fold, uint64 before, uint64 after);
extern Jsonb *f6_claim_fold_state(f6_claim_fold *fold, const f6_claim *claims, uint64 count);
extern void f6_claim_fold_end(f6_claim_fold *fold);

#endif /* F6_CLAIM_FOLD_H */
