/*
 * object_events.h
 *		Reading the events of an object, newest first.
 */
#ifndef F6_OBJECT_EVENTS_H
#define F6_OBJECT_EVENTS_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* An event's type and version, as the log holds them. */
typedef struct f6_type_key
{
	const char *name;
	const char *version;
	int name_length;
	int version_length;
} f6_type_key;

/* An event as it is read.  What it points to is good until the next one is asked for. */
typedef struct f6_object_event
{
	int64 position;
	pg_uuid_t id;
	Oid kind;
	TimestampTz created_at;
	TimestampTz occurred_at;
	f6_type_key type;
	bool has_references;
	Datum references;
	Datum data;
	Datum row;	/* of type f6.event; 0 unless asked for */
	bool stays; /* is it plain data in memory that outlives the question? */
} f6_object_event;

/* Whose events are read, and which of them. */
typedef struct f6_object_reading
{
	pg_uuid_t object_id;
	Datum positions; /* an array: the events at these positions instead of an object's; 0: none */
	TimestampTz known_at; /* only what was recorded until then */
	bool with_row;
	int64 until; /* only events up to this position; 0: all */
} f6_object_reading;

/* Positions in descending order. */
typedef struct f6_positions
{
	uint64 count;
	uint64 room;
	int64 *list;
} f6_positions;

typedef void (*f6_object_event_receiver)(void *state, const f6_object_event *event);
typedef bool (*f6_object_event_stop)(void *state, int64 position);

extern void f6_object_events_read(const f6_object_reading *reading,
								  f6_object_event_receiver receive, void *state);
extern bool f6_object_events_are_indexed(void);
extern void f6_object_events_read_until(const f6_object_reading *reading, f6_object_event_stop stop,
										f6_object_event_receiver receive, void *state);
extern bool f6_object_events_are_all(const pg_uuid_t *object, int64 after,
									 const f6_positions *positions);

#endif /* F6_OBJECT_EVENTS_H */
