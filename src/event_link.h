/*
 * event_link.h
 *		Writing f6.event_object and f6.event_link.
 */
#ifndef F6_EVENT_LINK_H
#define F6_EVENT_LINK_H

#include "event.h"

typedef struct f6_link_writer f6_link_writer;

extern void f6_link_check_columns(Relation table);
extern bool f6_links_are_plain(bool with_references);
extern f6_link_writer *f6_links_begin(void);
extern void f6_links_write(f6_link_writer *writer, const f6_event_row *row);
extern void f6_links_end(f6_link_writer *writer);

#endif /* F6_EVENT_LINK_H */
