/*
 * command_context.h
 *		The events on which a command depends: a query that is made of its payload.
 */
#ifndef F6_COMMAND_CONTEXT_H
#define F6_COMMAND_CONTEXT_H

#include "event_query.h"

typedef struct f6_command_context f6_command_context;

extern f6_command_context *f6_command_context_compile(Jsonb *document);
extern bool f6_command_context_may_name_objects(const f6_command_context *context);
extern bool f6_command_context_names_type(const f6_command_context *context, const char *type);
extern Oid f6_command_context_function(const f6_command_context *context);
extern f6_query *f6_command_context_query(const f6_command_context *context, Jsonb *payload);
extern f6_uuids *f6_command_context_objects(const f6_query *query);

#endif /* F6_COMMAND_CONTEXT_H */
