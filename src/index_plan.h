/*
 * index_plan.h
 *		Queries that are run by indexes alone, as their caller.
 */
#ifndef F6_INDEX_PLAN_H
#define F6_INDEX_PLAN_H

#include "executor/spi.h"

#define F6_INDEX_PLAN_PARAMETERS 4

/* A query, and its plan for as long as the backend lives. */
typedef struct f6_index_plan
{
	const char *text;
	int parameter_count;
	Oid types[F6_INDEX_PLAN_PARAMETERS];

	/* kept by f6_index_plan_ready */
	SPIPlanPtr plan;
	Oid user; /* for whom it was planned, and in which search_path */
	char *search_path;
} f6_index_plan;

/* Who is told of a row that a query returns; the values are good until the next one. */
typedef void (*f6_row_receiver)(void *state, const Datum *values, const bool *nulls);

extern SPIPlanPtr f6_index_plan_ready(f6_index_plan *plan);
extern void f6_index_plan_run(f6_index_plan *query, const Datum *arguments, f6_row_receiver receive,
							  void *state);

#endif /* F6_INDEX_PLAN_H */
