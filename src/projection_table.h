/*
 * projection_table.h
 *		The rows of a projection's table, and what is kept of those that have ended.
 */
#ifndef F6_PROJECTION_TABLE_H
#define F6_PROJECTION_TABLE_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#include "projection.h"

/* A row of a projection. */
typedef struct f6_projection_row
{
	Jsonb *state;					/* NULL: there is none, or not any more */
	int64 last_position;			/* of the events that made it */
	TimestampTz last_material_time; /* of the claims that it counts */
	ItemPointerData
		place; /* invalid unless it was read and locked where it is, to be updated there */
} f6_projection_row;

/* The table of a projection, open for its rows to be read and written; nothing may change it meanwhile. */
typedef struct f6_projection_table f6_projection_table;

/* Rows that are inserted together; nobody else writes the table meanwhile. */
typedef struct f6_projection_inserter f6_projection_inserter;

/* columns of a projection's table: the key, the state, those with types of their own, and two at the end */
#define F6_ROW_KEY			  1
#define F6_ROW_STATE		  2
#define F6_ROW_COLUMNS_AT_END 2

extern f6_projection_table *f6_projection_table_open(f6_projection *projection);
extern void f6_projection_table_close(f6_projection_table *table);
extern bool f6_projection_table_runs_code(const f6_projection_table *table);
extern bool f6_projection_row_read(f6_projection_table *table, Datum key, bool lock,
								   f6_projection_row *row);
extern void f6_projection_row_check_absent(f6_projection *projection, Datum key);
extern bool f6_projection_row_insert(f6_projection_table *table, Datum key,
									 const f6_projection_row *row);
extern f6_projection_inserter *f6_projection_inserter_begin(f6_projection_table *table);
extern void f6_projection_inserter_put(f6_projection_inserter *inserter, Datum key,
									   const f6_projection_row *row);
extern void f6_projection_inserter_end(f6_projection_inserter *inserter);
extern void f6_projection_row_update(f6_projection_table *table, Datum key,
									 const f6_projection_row *row);
extern void f6_projection_row_delete(f6_projection_table *table, Datum key);
extern char *f6_projection_table_name(const f6_projection *projection);
extern const char *f6_projection_key_name(const f6_projection *projection);
extern const char *f6_projection_column_name(const f6_projection *projection, int number);
extern Oid f6_projection_column_type(const f6_projection *projection, int number);
extern void f6_projection_columns_fill(const f6_projection *projection, Jsonb *state, Datum *values,
									   bool *nulls);
extern char *f6_projection_column_list(const f6_projection *projection, const char *of);
extern void f6_projection_table_put(const f6_projection *projection, Oid table);
extern bool f6_projection_end_read(f6_projection *projection, Datum key, bool take,
								   f6_projection_row *row);
extern void f6_projection_end_write(f6_projection *projection, Datum key,
									const f6_projection_row *row);
extern void f6_projection_end_forget(f6_projection *projection, Datum key);

#endif /* F6_PROJECTION_TABLE_H */
