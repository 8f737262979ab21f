/*
 * index_plan.c
 *		Queries that are run by indexes alone, as their caller.
 *
 * Left to its estimates the planner would now and then prefer to read the whole log: while that is small, and the plan is kept
 * when it has grown; or where a few objects have most of the events.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"

#include "f6.h"
#include "index_plan.h"

/* is_planned tells whether a query has a plan that is still good, for this user and search_path. */
static bool
is_planned(const f6_index_plan *query)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(query->plan));

	return source->is_valid && source->gplan != NULL && source->gplan->is_valid &&
		   query->user == GetUserId() && strcmp(query->search_path, namespace_search_path) == 0;
}

/* prepare makes a query ready to be planned, for the backend's life. */
static void
prepare(f6_index_plan *query)
{
	SPIPlanPtr plan = SPI_prepare_cursor(query->text, query->parameter_count, query->types,
										 CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare a query of f6: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep the plan of a query of f6");
	query->plan = plan;
}

/* plan_by_index plans a query by the indexes. */
static void
plan_by_index(f6_index_plan *query)
{
	static const char *const forgone[] = { "enable_seqscan", "enable_bitmapscan", "enable_hashjoin",
										   "enable_mergejoin", "jit" };
	int level = NewGUCNestLevel();
	CachedPlan *planned;

	for (int i = 0; i < (int) lengthof(forgone); i++)
		set_config_option(forgone[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
						  false);
	planned = SPI_plan_get_cached_plan(query->plan);
	if (planned != NULL)
		ReleaseCachedPlan(planned, CurrentResourceOwner);
	AtEOXact_GUC(true, level);

	if (query->search_path != NULL)
		pfree(query->search_path);
	query->search_path = NULL;
	query->search_path = MemoryContextStrdup(TopMemoryContext, namespace_search_path);
	query->user = GetUserId();
}

/* f6_index_plan_ready returns the plan of a query, inside an SPI connection. */
SPIPlanPtr
f6_index_plan_ready(f6_index_plan *query)
{
	if (query->plan == NULL)
		prepare(query);
	if (query->search_path == NULL || !is_planned(query))
		plan_by_index(query);
	return query->plan;
}
