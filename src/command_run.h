/*
 * command_run.h
 *		What came of commands, and keeping it under the keys of their callers.
 */
#ifndef F6_COMMAND_RUN_H
#define F6_COMMAND_RUN_H

#include "utils/jsonb.h"

/* What came of a command. */
typedef struct f6_outcome
{
	bool is_accepted;
	char *reason; /* of a rejection */
	char *detail; /* NULL: none */
	Datum ids;	  /* arrays: the events that were appended; 0: it was a dry run */
	Datum positions;
	int attempts; /* 0: it was run before */
} f6_outcome;

extern bool f6_command_run_find(const char *command, const char *key, Jsonb *payload,
								f6_outcome *outcome);
extern void f6_command_run_keep(const char *command, const char *key, Jsonb *payload,
								const f6_outcome *outcome);

#endif /* F6_COMMAND_RUN_H */
