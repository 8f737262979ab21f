/*
 * projection_fold.h
 *		Folding events into the rows of a projection, some at a time.
 */
#ifndef F6_PROJECTION_FOLD_H
#define F6_PROJECTION_FOLD_H

#include "projection.h"

typedef struct f6_projection_fold f6_projection_fold;

extern f6_projection_fold *f6_projection_fold_begin(f6_projection *projection, bool with_others,
													int64 until, f6_acting *acting);
extern void f6_projection_fold_resume(f6_projection_fold *folding, bool are_rows_written);
extern bool f6_projection_fold_is_claim(const f6_projection_fold *folding, Datum event);
extern void f6_projection_fold_meet(f6_projection_fold *folding, Datum event);
extern void f6_projection_fold_lock(f6_projection_fold *folding, Size limit);
extern void f6_projection_fold_take(f6_projection_fold *folding, Datum event);
extern bool f6_projection_fold_is_large(f6_projection_fold *folding, Size limit);
extern void f6_projection_fold_write(f6_projection_fold *folding);
extern void f6_projection_fold_end(f6_projection_fold *folding);

#endif /* F6_PROJECTION_FOLD_H */
