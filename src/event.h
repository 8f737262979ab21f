/*
 * event.h
 *		An event on its way into the log: what every door to f6.event completes and checks it with.
 */
#ifndef F6_EVENT_H
#define F6_EVENT_H

#include "access/htup.h"
#include "utils/relcache.h"

#include "relation.h"

/* A row of f6.event, column by column; columns count from 1.  The table may have more, which are not f6's. */
typedef struct f6_event_row
{
	Datum values[F6_EVENT_COLUMNS];
	bool nulls[F6_EVENT_COLUMNS];
} f6_event_row;

/* f6_event_has tells whether a row has a value in a column. */
static inline bool
f6_event_has(const f6_event_row *row, int column)
{
	return !row->nulls[column - 1];
}

/* f6_event_value returns the value of a column. */
static inline Datum
f6_event_value(const f6_event_row *row, int column)
{
	return row->values[column - 1];
}

/* f6_event_set gives a column its value. */
static inline void
f6_event_set(f6_event_row *row, int column, Datum value)
{
	row->values[column - 1] = value;
	row->nulls[column - 1] = false;
}

extern void f6_event_deform(Relation event, HeapTuple tuple, f6_event_row *row);
extern HeapTuple f6_event_form(Relation event, HeapTuple other_columns, const f6_event_row *row);
extern bool f6_event_complete(Relation event, f6_event_row *row);
extern bool f6_event_find(Relation event, Datum id, f6_event_row *row);
extern bool f6_event_find_same(Relation event, const f6_event_row *given, f6_event_row *stored);
extern bool f6_event_is_generated(int column);
extern void f6_event_refuse_generated(const char *column);
extern void f6_event_check_importer(void);

#endif /* F6_EVENT_H */
