/*
 * reaction_handler.h
 *		The functions that make a reaction: its handler, and the one that says when.
 */
#ifndef F6_REACTION_HANDLER_H
#define F6_REACTION_HANDLER_H

#include "reaction.h"

extern char *f6_reaction_handler_name(const char *text);
extern char *f6_reaction_due_name(const char *text);
extern bool f6_reaction_due(f6_reaction *reaction, const f6_reaction_event *event,
							TimestampTz *due_at);
extern Datum f6_reaction_handle(f6_reaction *reaction, const f6_reaction_event *event);

#endif /* F6_REACTION_HANDLER_H */
