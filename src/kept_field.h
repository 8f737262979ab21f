/*
 * kept_field.h
 *		What is kept of fields, so that who has a value there is found without folding everybody.
 */
#ifndef F6_KEPT_FIELD_H
#define F6_KEPT_FIELD_H

#include "storage/lockdefs.h"

#include "event_type.h"
#include "field_span.h"

/* What is kept of a field: the spans of all objects, by their events up to a position and what was registered until a moment. */
typedef struct f6_kept_field
{
	bool exists;
	int64 kept_id;
	int64 position;
	f6_registry_moment registry;
} f6_kept_field;

/* Objects, each once and in order. */
typedef struct f6_objects
{
	uint64 count;
	uint64 room;
	pg_uuid_t *ids;
} f6_objects;

/* Who is told of an object whose field has a value, and of the span; good until the next one. */
typedef void (*f6_field_span_receiver)(void *state, const pg_uuid_t *object,
									   const f6_field_span *span);

extern void f6_kept_fields_lock(LOCKMODE mode);
extern bool f6_field_is_registered(const f6_field *field);
extern void f6_field_forget(const f6_field *field);
extern void f6_field_keep(const f6_field *field, bool wait);
extern void f6_kept_field_read(const f6_field *field, f6_kept_field *kept);
extern void f6_kept_field_changed(const f6_kept_field *kept, int64 until, f6_objects *objects);
extern void f6_kept_field_lacking(const f6_kept_field *kept, f6_objects *objects);
extern bool f6_objects_contain(const f6_objects *objects, const pg_uuid_t *object);
extern void f6_kept_field_spans(const f6_kept_field *kept, Jsonb *value, TimestampTz valid_at,
								TimestampTz known_at, f6_field_span_receiver receive, void *state);

#endif /* F6_KEPT_FIELD_H */
