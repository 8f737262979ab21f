/*
 * read.h
 *		Reading the log by a query.
 */
#ifndef F6_READ_H
#define F6_READ_H

#include "event_query.h"
#include "fold_program.h"

extern int64 f6_context_read(const f6_query *query, f6_fold_program *program, Jsonb **state);

#endif /* F6_READ_H */
