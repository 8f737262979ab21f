/*
 * event_scan.h
 *		The positions of the events that match a query, in order.
 */
#ifndef F6_EVENT_SCAN_H
#define F6_EVENT_SCAN_H

#include "storage/lockdefs.h"
#include "utils/snapshot.h"

#include "event_query.h"

typedef struct f6_event_scan f6_event_scan;

extern f6_event_scan *f6_event_scan_begin(const f6_query *query, int64 after, Snapshot snapshot,
										  LOCKMODE lock);
extern bool f6_event_scan_next(f6_event_scan *scan, int64 *position);
extern void f6_event_scan_end(f6_event_scan *scan);

#endif /* F6_EVENT_SCAN_H */
