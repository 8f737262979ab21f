/*
 * append.h
 *		What the triggers know of an append that is under way.
 */
#ifndef F6_APPEND_H
#define F6_APPEND_H

#include "event.h"

extern ErrorContextCallback *f6_append_error_context(const f6_event_row *row);

#endif /* F6_APPEND_H */
