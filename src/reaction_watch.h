/*
 * reaction_watch.h
 *		Which reactions have something to do, as far as the worker knows.
 */
#ifndef F6_REACTION_WATCH_H
#define F6_REACTION_WATCH_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

extern List *f6_reactions_ready(void);
extern TimestampTz f6_reaction_react(const char *name);
extern TimestampTz f6_reaction_forget_runs(const char *ignored);

#endif /* F6_REACTION_WATCH_H */
