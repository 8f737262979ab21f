/*
 * index_plan.h
 *		Queries that are run by indexes alone, as their caller.
 */
#ifndef F6_INDEX_PLAN_H
#define F6_INDEX_PLAN_H

#include "executor/spi.h"

#define F6_INDEX_PLAN_PARAMETERS 2

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

extern SPIPlanPtr f6_index_plan_ready(f6_index_plan *plan);

#endif /* F6_INDEX_PLAN_H */
