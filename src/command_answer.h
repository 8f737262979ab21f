/*
 * command_answer.h
 *		What the handler of a command decides.
 */
#ifndef F6_COMMAND_ANSWER_H
#define F6_COMMAND_ANSWER_H

#include "utils/jsonb.h"

/* Events to append, or why there are none. */
typedef struct f6_answer
{
	Jsonb *events; /* a batch; NULL: rejected */
	char *reason;
	char *detail; /* NULL: none */
} f6_answer;

extern void f6_answer_read(f6_answer *answer, Jsonb *document);
extern void f6_answer_add_metadata(f6_answer *answer, Jsonb *metadata);

#endif /* F6_COMMAND_ANSWER_H */
