/*
 * object_history.h
 *		The events of an object in memory, to be resolved again and again.
 */
#ifndef F6_OBJECT_HISTORY_H
#define F6_OBJECT_HISTORY_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "object_events.h"

/* No place in the history. */
#define F6_NO_PLACE PG_UINT64_MAX

/*
 * An event's place is its number in the events.  A thread is what decides about each other: a claim, and the corrections and
 * validations of it and of each other.
 */
typedef struct f6_object_history
{
	uint64 count;
	f6_object_event *events; /* newest first */
	uint64 *recorded;		 /* places, by the time of recording and the position */
	uint64 *thread;			 /* of the event at a place: the place of the newest of its thread */
	uint64 *next;			 /* the place of the next older of its thread; F6_NO_PLACE: none */
} f6_object_history;

extern f6_object_history *f6_object_history_read(const pg_uuid_t *object_id, TimestampTz known_at,
												 bool with_rows);
extern uint64 f6_object_history_place(const f6_object_history *history, int64 position);

#endif /* F6_OBJECT_HISTORY_H */
