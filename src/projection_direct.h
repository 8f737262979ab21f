/*
 * projection_direct.h
 *		Reading and updating the rows of plain tables of projections below the level of statements.
 */
#ifndef F6_PROJECTION_DIRECT_H
#define F6_PROJECTION_DIRECT_H

#include "projection_table.h"

/* The table of a projection, open for its rows to be read and written. */
typedef struct f6_direct f6_direct;

extern f6_direct *f6_direct_open(const f6_projection *projection);
extern void f6_direct_close(f6_direct *direct);
extern Relation f6_direct_table(const f6_direct *direct);
extern bool f6_direct_runs_code(const f6_direct *direct);
extern bool f6_direct_read(f6_direct *direct, Datum key, f6_projection_row *row);
extern bool f6_direct_insert(f6_direct *direct, const Datum *values, const bool *nulls);
extern bool f6_direct_is_unconstrained(const f6_direct *direct);
extern void f6_direct_update(f6_direct *direct, const f6_projection_row *row, const Datum *values,
							 const bool *nulls);

#endif /* F6_PROJECTION_DIRECT_H */
