/*
 * event.h
 *		An event on its way into the log: what every door to f6.event completes and checks it with.
 */
#ifndef F6_EVENT_H
#define F6_EVENT_H

#include "datatype/timestamp.h"
#include "utils/snapshot.h"

#include "event_batch.h"
#include "lock.h"

/* What becomes of an event that somebody appends. */
typedef enum f6_event_state
{
	F6_EVENT_NEW,	  /* it is to be written */
	F6_EVENT_STORED,  /* the log has it already, with the same content */
	F6_EVENT_REPEATED /* so has the batch, before it */
} f6_event_state;

extern void f6_event_locks(Relation event, const f6_event_row *row, bool with_id, f6_locks *locks);
extern f6_event_state f6_event_complete(Relation event, f6_batch *batch, f6_event_row *row);
extern void f6_event_place(Relation event, f6_batch *batch, f6_event_row *row, TimestampTz *newest);
extern bool f6_event_find(Relation event, Datum id, f6_event_row *row);
extern bool f6_event_find_same(Relation event, const f6_event_row *given, f6_event_row *stored);
extern bool f6_event_find_at(Relation event, int64 position, Snapshot snapshot, f6_event_row *row);
extern void f6_event_check_importer(void);

#endif /* F6_EVENT_H */
