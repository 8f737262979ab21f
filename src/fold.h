/*
 * fold.h
 *		Folding events into a state: by JSON Merge Patch (RFC 7396), or as a program says.
 */
#ifndef F6_FOLD_H
#define F6_FOLD_H

#include "utils/jsonb.h"

#include "fold_program.h"

typedef struct f6_fold f6_fold;

/* An event to fold: its data in the version to read, and the row with that data where the handler needs it. */
typedef struct f6_fold_event
{
	JsonbValue data;
	Datum row;
	Oid row_type;
} f6_fold_event;

extern f6_fold *f6_fold_begin(MemoryContext parent);
extern void f6_fold_resume(f6_fold *fold, Jsonb *state);
extern void f6_fold_merge(f6_fold *fold, const JsonbValue *patch);
extern void f6_fold_apply(f6_fold *fold, f6_fold_handler *handler, const f6_fold_event *event);
extern Jsonb *f6_fold_result(f6_fold *fold);

#endif /* F6_FOLD_H */
