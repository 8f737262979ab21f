/*
 * part.h
 *		Parts of a transaction that can be undone alone: subtransactions.
 */
#ifndef F6_PART_H
#define F6_PART_H

#include "utils/elog.h"
#include "utils/palloc.h"
#include "utils/resowner.h"

/* From where a part was begun. */
typedef struct f6_part
{
	MemoryContext caller;
	ResourceOwner owner;
} f6_part;

extern void f6_part_begin(f6_part *part);
extern void f6_part_end(const f6_part *part, bool commit);
extern ErrorData *f6_part_fail(const f6_part *part);
extern bool f6_part_is_cancelled(const ErrorData *error);
extern char *f6_part_error_text(const ErrorData *error);

#endif /* F6_PART_H */
