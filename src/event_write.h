/*
 * event_write.h
 *		The direct path: writing checked events and their links below the level of statements.
 */
#ifndef F6_EVENT_WRITE_H
#define F6_EVENT_WRITE_H

#include "event_row.h"

typedef struct f6_event_writer f6_event_writer;

extern void f6_event_check_writer(Relation event);
extern f6_event_writer *f6_event_writer_begin(Relation event, bool with_references);
extern void f6_event_writer_put(f6_event_writer *writer, const f6_event_row *row);
extern void f6_event_writer_end(f6_event_writer *writer);

#endif /* F6_EVENT_WRITE_H */
