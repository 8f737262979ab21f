/*
 * projection_direct.h
 *		Reading and updating the rows of plain tables of projections below the level of statements.
 */
#ifndef F6_PROJECTION_DIRECT_H
#define F6_PROJECTION_DIRECT_H

#include "projection_table.h"

extern Relation f6_direct_open(const f6_projection *projection);
extern void f6_direct_close(Relation table);
extern bool f6_direct_read(Relation table, Datum key, f6_projection_row *row);
extern bool f6_direct_insert(Relation table, Datum *values, bool *nulls);
extern bool f6_direct_is_unconstrained(Relation table);
extern void f6_direct_update(Relation table, const f6_projection_row *row, Datum *values,
							 bool *nulls);

#endif /* F6_PROJECTION_DIRECT_H */
