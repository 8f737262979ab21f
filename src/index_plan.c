/*
 * index_plan.c
 *		Queries that are run by indexes alone, as their caller.
 *
 * Left to its estimates the planner would now and then prefer to read the whole log: while that is small, and the plan is kept
 * when it has grown; or where a few objects have most of the events.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/resowner.h"

#include "f6.h"
#include "index_plan.h"
#include "spi_connection.h"

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

/* Who receives the rows of a query, as the executor knows it. */
typedef struct row_destination
{
	DestReceiver receiver; /* must come first */
	f6_row_receiver receive;
	void *state;
} row_destination;

/* receive_row passes on a row; the executor calls it. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	row_destination *destination = (row_destination *) self;

	CHECK_FOR_INTERRUPTS();
	slot_getallattrs(slot);
	destination->receive(destination->state, slot->tts_values, slot->tts_isnull);
	return true;
}

/* begin_rows has nothing to do: the executor tells that rows are coming. */
static void
begin_rows(DestReceiver *self, int operation, TupleDesc descriptor)
{
	(void) self;
	(void) operation;
	(void) descriptor;
}

/* end_rows has nothing to do: the executor tells that no more rows are coming, or that it is done. */
static void
end_rows(DestReceiver *self)
{
	(void) self;
}

/* f6_index_plan_run runs a query in the active snapshot, as the caller, and tells the receiver of each row as it comes. */
void
f6_index_plan_run(f6_index_plan *query, const Datum *arguments, f6_row_receiver receive,
				  void *state)
{
	row_destination destination = { .receive = receive, .state = state };
	SPIExecuteOptions options = { 0 };
	int result;

	destination.receiver.receiveSlot = receive_row;
	destination.receiver.rStartup = begin_rows;
	destination.receiver.rShutdown = end_rows;
	destination.receiver.rDestroy = end_rows;
	destination.receiver.mydest = DestNone;

	f6_spi_connect();
	options.params = makeParamList(query->parameter_count);
	for (int i = 0; i < query->parameter_count; i++)
	{
		ParamExternData *parameter = &options.params->params[i];

		parameter->value = arguments[i];
		parameter->isnull = false;
		parameter->pflags = PARAM_FLAG_CONST;
		parameter->ptype = query->types[i];
	}
	options.read_only = true;
	options.dest = &destination.receiver;
	result = SPI_execute_plan_extended(f6_index_plan_ready(query), &options);
	if (result < 0)
		elog(ERROR, "could not run a query of f6: %s", SPI_result_code_string(result));
	SPI_finish();
}
