/*
 * reaction_due.h
 *		Events that reactions handle later: when these are due, or once more after a failure.
 */
#ifndef F6_REACTION_DUE_H
#define F6_REACTION_DUE_H

#include "reaction.h"

/* An event that is handled later. */
typedef struct f6_due
{
	int64 position;
	int attempts; /* how often that has failed */
} f6_due;

extern void f6_due_add(const f6_reaction *reaction, int64 position, TimestampTz due_at);
extern int f6_due_next(const f6_reaction *reaction, f6_due *due, int limit);
extern TimestampTz f6_due_first(const f6_reaction *reaction);
extern void f6_due_remove(const f6_reaction *reaction, int64 position);
extern void f6_due_postpone(const f6_reaction *reaction, int64 position, const char *reason);
extern TimestampTz f6_due_repeat(const f6_reaction *reaction, const f6_due *due,
								 const char *reason);
extern void f6_due_park(const f6_reaction *reaction, const f6_due *due, const f6_uuids *objects,
						const char *reason);

#endif /* F6_REACTION_DUE_H */
