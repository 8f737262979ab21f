/*
 * event_type.h
 *		The registry of event types, compiled.
 */
#ifndef F6_EVENT_TYPE_H
#define F6_EVENT_TYPE_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "schema_compile.h"

typedef struct f6_event_type
{
	const char *event_type;
	const char *event_version;
	int64 ordinal;
	const char *valid_from; /* JSON Pointer to the date of effect, or NULL */
	bool legal_when_claimed;
	const f6_program *program; /* the schema, NULL until it is compiled */
} f6_event_type;

extern void f6_event_type_init(void);
extern char *f6_event_type_newest(const char *event_type);
extern const f6_event_type *f6_event_type_get(const char *event_type, const char *event_version);
extern const f6_event_type *f6_event_type_compiled(const char *event_type,
												   const char *event_version);
extern bool f6_effect_time(const f6_event_type *type, const JsonbValue *data, TimestampTz *effect);
extern TimestampTz f6_material_time(const f6_event_type *type, const JsonbValue *data,
									TimestampTz occurred_at);

#endif /* F6_EVENT_TYPE_H */
