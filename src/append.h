/*
 * append.h
 *		Appending a batch, and what the triggers know of an append that is under way.
 */
#ifndef F6_APPEND_H
#define F6_APPEND_H

#include "condition.h"
#include "event.h"

extern ErrorContextCallback *f6_append_error_context(const f6_event_row *row);
extern int f6_append_document(Jsonb *events, const f6_condition *condition, Datum **ids,
							  Datum **positions);

#endif /* F6_APPEND_H */
