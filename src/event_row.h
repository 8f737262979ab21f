/*
 * event_row.h
 *		A row of f6.event, column by column.
 */
#ifndef F6_EVENT_ROW_H
#define F6_EVENT_ROW_H

#include "access/htup.h"
#include "utils/relcache.h"

#include "relation.h"

/* The columns of an event, counted from 1.  The table may have more, which are not f6's. */
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

extern void f6_event_check_columns(TupleDesc descriptor);
extern void f6_event_check_table(void);
extern void f6_event_deform(Relation event, HeapTuple tuple, f6_event_row *row);
extern HeapTuple f6_event_form(Relation event, HeapTuple other_columns, const f6_event_row *row);
extern void f6_event_keep(Relation event, f6_event_row *row, const f6_event_row *kept);
extern bool f6_event_is_generated(int column);
extern void f6_event_refuse_generated(const char *column);

#endif /* F6_EVENT_ROW_H */
