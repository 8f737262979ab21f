/*
 * fold.h
 *		Folding event data into a state by JSON Merge Patch (RFC 7396).
 */
#ifndef F6_FOLD_H
#define F6_FOLD_H

#include "utils/jsonb.h"

typedef struct f6_fold f6_fold;

extern f6_fold *f6_fold_begin(MemoryContext parent);
extern void f6_fold_resume(f6_fold *fold, Jsonb *state);
extern void f6_fold_merge(f6_fold *fold, const JsonbValue *patch);
extern Jsonb *f6_fold_result(f6_fold *fold);

#endif /* F6_FOLD_H */
