/*
 * event_write.h
 *		The direct path: writing checked events and their links below the level of statements.
 */
#ifndef F6_EVENT_WRITE_H
#define F6_EVENT_WRITE_H

#include "event_row.h"

typedef struct f6_event_writer f6_event_writer;

/* Who is told of events when they and their links have been written, in the transaction that writes them, and before as well where that can be. */
typedef struct f6_event_follower
{
	void *(*begin)(Relation event); /* returns what the others are handed; NULL: tell nothing */
	void (*expect)(void *state,
				   const f6_event_row *row); /* an event that has no place in the log yet */
	void (*hold)(void *state); /* what the expected events change, before they get their places */
	void (*take)(void *state, const f6_event_row *row);
	void (*end)(void *state);
} f6_event_follower;

extern void f6_follow_events(const f6_event_follower *follower);
extern const f6_event_follower *f6_events_follower(void);

extern void f6_event_check_writer(Relation event);
extern f6_event_writer *f6_event_writer_begin(Relation event, bool with_references);
extern void f6_event_writer_put(f6_event_writer *writer, const f6_event_row *row);
extern void f6_event_writer_end(f6_event_writer *writer);

#endif /* F6_EVENT_WRITE_H */
