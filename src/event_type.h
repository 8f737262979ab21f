/*
 * event_type.h
 *		The registry of event types, compiled.
 */
#ifndef F6_EVENT_TYPE_H
#define F6_EVENT_TYPE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "json_pointer.h"
#include "schema_compile.h"
#include "upcast_chain.h"

typedef struct f6_event_type
{
	const char *event_type;
	const char *event_version;
	int64 ordinal;
	const f6_pointer *valid_from; /* where the date of effect is, or NULL */
	bool legal_when_claimed;
	bool assert_format;		   /* does "format" refuse data? */
	bool deprecated;		   /* it takes no new events */
	const f6_program *program; /* the schema, NULL until it is compiled */
} f6_event_type;

/* A moment in the life of the registry: the last ordinals that there were, and how many versions were deprecated. */
typedef struct f6_registry_moment
{
	int64 last_type;
	int64 last_upcaster;
	int64 deprecations;
} f6_registry_moment;

extern void f6_event_type_init(void);
extern char *f6_event_type_newest(const char *event_type);
extern char *f6_event_type_readable(const char *event_type);
extern void f6_event_type_check_use(const char *event_type, const char *event_version,
									TimestampTz recorded_at);
extern const f6_chain *f6_event_type_chain(const char *event_type, const char *from_version,
										   const char *to_version);
extern uint64 f6_event_type_generation(void);
extern uint64 f6_event_type_fingerprint(bool *has_dates);
extern List *f6_event_type_changed(f6_registry_moment *moment);
extern bool f6_event_type_try_lock(void);
extern void f6_event_type_lock(void);
extern void f6_event_type_unlock(void);
extern const f6_event_type *f6_event_type_get(const char *event_type, const char *event_version);
extern const f6_event_type *f6_event_type_compiled(const char *event_type,
												   const char *event_version);
extern bool f6_effect_time(const f6_event_type *type, const JsonbValue *data, TimestampTz *effect);
extern TimestampTz f6_material_time(const f6_event_type *type, const JsonbValue *data,
									TimestampTz occurred_at);

#endif /* F6_EVENT_TYPE_H */
