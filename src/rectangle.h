/*
 * rectangle.h
 *		The states of an object along both times, as rectangles that do not overlap.
 */
#ifndef F6_RECTANGLE_H
#define F6_RECTANGLE_H

#include "datatype/timestamp.h"

#include "question.h"
#include "span.h"

/* From one formal time until just before another, the same in a span of material time; DT_NOEND for ever. */
typedef struct f6_rectangle
{
	TimestampTz known_from;
	TimestampTz known_to;
	f6_span span;
} f6_rectangle;

/* Who is told of a rectangle. */
typedef void (*f6_rectangle_receiver)(void *state, const f6_rectangle *rectangle);

extern bool f6_rectangles(const f6_question *question, f6_rectangle_receiver receive, void *state);

#endif /* F6_RECTANGLE_H */
