/*
 * projection_source.h
 *		The events of the log that a projection is about, in order.
 */
#ifndef F6_PROJECTION_SOURCE_H
#define F6_PROJECTION_SOURCE_H

#include "projection.h"

/* Who is told of an event, a value of type f6.event, good until the next one; it tells whether to go on. */
typedef bool (*f6_source_receiver)(void *state, Datum event);

/* Who tells whether a claim matters. */
typedef bool (*f6_source_filter)(void *state, Datum event);

extern void f6_source_read(f6_projection *projection, int64 after, int64 until,
						   f6_source_receiver receive, void *state);
extern Datum f6_source_positions(f6_projection *projection, int64 until, f6_source_filter filter,
								 void *state);

#endif /* F6_PROJECTION_SOURCE_H */
