/*
 * event_batch.h
 *		Events that are appended together: those before an event in its batch count as if the log held them.
 */
#ifndef F6_EVENT_BATCH_H
#define F6_EVENT_BATCH_H

#include "utils/hsearch.h"

#include "event_row.h"

typedef struct f6_batch
{
	f6_event_row *rows;
	int count;	 /* how many of them have been added */
	HTAB *by_id; /* NULL for a single event, which has none before it */
} f6_batch;

extern void f6_batch_begin(f6_batch *batch, f6_event_row *rows, int room);
extern void f6_batch_add(f6_batch *batch);
extern int f6_batch_find(f6_batch *batch, Datum id);

#endif /* F6_EVENT_BATCH_H */
