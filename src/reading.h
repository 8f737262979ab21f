/*
 * reading.h
 *		The positions at which events match a query, as one snapshot sees the log.
 */
#ifndef F6_READING_H
#define F6_READING_H

#include "access/htup.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "event_query.h"

/* What is read: a part of the log that one snapshot sees. */
typedef struct f6_reading
{
	Relation event;
	const f6_query *query;
	Snapshot snapshot;
	int64 horizon;
	int64 end; /* the log is read up to there */
} f6_reading;

/* Positions in order at which events were found; some may be nobody's. */
typedef struct f6_found
{
	int count;
	int64 *list;
} f6_found;

/* Who is told of an event; the row is good until the next one. */
typedef void (*f6_reading_receiver)(void *state, HeapTuple row);

extern void f6_reading_begin(f6_reading *read, const f6_query *query);
extern void f6_reading_end(f6_reading *read);
extern f6_found f6_reading_next(f6_reading *read, int64 after, int limit);
extern f6_found f6_reading_all(f6_reading *read, int64 after);
extern void f6_reading_end_before_unseen(f6_reading *read, f6_found *found);
extern Datum f6_found_array(const f6_found *found);
extern int f6_reading_rows(FmgrInfo *call_site, TupleDesc descriptor, const f6_found *found,
						   int limit, f6_reading_receiver receive, void *state);

#endif /* F6_READING_H */
