/*
 * field_span.h
 *		When a field of an object's state had which value, as known when.
 */
#ifndef F6_FIELD_SPAN_H
#define F6_FIELD_SPAN_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* A field of states. */
typedef struct f6_field
{
	const char *path; /* JSON Pointer */
	bool legal;		  /* of the states that have legal force? */
} f6_field;

/* A rectangle of both times in which a field has a value. */
typedef struct f6_field_span
{
	TimestampTz known_from;
	TimestampTz known_to;
	TimestampTz valid_from;
	TimestampTz valid_to;
	Jsonb *value;
} f6_field_span;

typedef struct f6_field_spans
{
	uint64 count;
	uint64 room;
	f6_field_span *spans;
	bool may_be_kept; /* will the same events always make the same spans? */
} f6_field_spans;

extern void f6_field_spans_read(const f6_field *field, const pg_uuid_t *object,
								f6_field_spans *spans);
extern uint64 f6_field_spans_find(const f6_field_spans *spans, const f6_field_span *span);
extern bool f6_field_span_holds(const f6_field_span *span, TimestampTz valid_at,
								TimestampTz known_at);

#endif /* F6_FIELD_SPAN_H */
