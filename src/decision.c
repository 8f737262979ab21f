/*
 * decision.c
 *		What officials decide: what waits for it, what has been decided about events, and keeping that from changing.
 *
 * These are the parts that f6_pending, f6_validate_claim, f6_reject_claim and f6_retract are made of, in SQL.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "event.h"
#include "event_graph.h"
#include "event_link.h"
#include "event_write.h"
#include "index_plan.h"
#include "lock.h"
#include "relation.h"
#include "resolution.h"
#include "spi_connection.h"
#include "uuid_array.h"

F6_FUNCTION(f6_list_pending);
F6_FUNCTION(f6_list_decisions);
F6_FUNCTION(f6_lock_decisions);

/* How many events are looked at together. */
#define EVENTS_AT_A_TIME 1000

/*
 * The claims and corrections that may be pending: of a type or of an object, in order; the parameters are the type or object, the source's type,
 * the latest formal time and, for an object, the type.  Whether a type is legal when claimed is a look-up for each event, and
 * with OFFSET so is each event of an object: nothing here can be planned as a join that reads the whole log.
 */
#define PENDING_COLUMN_NAMES \
	"e.id, e.\"position\", e.event_kind, e.object_ids, e.event_type, e.event_source_type, " \
	"e.created_at"
#define MAY_BE_PENDING \
	" e.event_kind operator(pg_catalog.<>) 'validation'::f6.event_kind" \
	" and ($2 is null or e.event_source_type operator(pg_catalog.=) $2)" \
	" and e.created_at operator(pg_catalog.<=) $3" \
	" and (select t.legal_when_claimed from f6.event_type as t" \
	" where t.event_type operator(pg_catalog.=) e.event_type" \
	" and t.event_version operator(pg_catalog.=) e.event_version) is not true"
#define QUERY_OF_TYPE \
	"select " PENDING_COLUMN_NAMES " from f6.event as e" \
	" where e.event_type operator(pg_catalog.=) $1 and" MAY_BE_PENDING " order by e.\"position\""
#define QUERY_OF_OBJECT \
	"select " PENDING_COLUMN_NAMES " from f6.event_object as o" \
	" cross join lateral (select r.* from f6.event as r" \
	" where r.\"position\" operator(pg_catalog.=) o.\"position\" offset 0) as e" \
	" where o.object_id operator(pg_catalog.=) $1" \
	" and ($4 is null or e.event_type operator(pg_catalog.=) $4) and" MAY_BE_PENDING \
	" order by o.\"position\""

/* columns of these queries, and of f6.list_pending, which has one more */
enum pending_column
{
	PENDING_ID,
	PENDING_POSITION,
	PENDING_EVENT_KIND,
	PENDING_OBJECT_IDS,
	PENDING_EVENT_TYPE,
	PENDING_EVENT_SOURCE_TYPE,
	PENDING_CREATED_AT,
	PENDING_WITHDRAWN,
	PENDING_COLUMNS
};

/* columns of f6.list_decisions */
enum decision_column
{
	DECISION_ID,
	DECISION_POSITION,
	DECISION_EVENT_KIND,
	DECISION_EVENT_TYPE,
	DECISION_EVENT_VERSION,
	DECISION_REMOVED_BY,
	DECISION_VALIDATED_BY,
	DECISION_COLUMNS
};

/* check_tables refuses tables whose columns somebody has changed. */
static void
check_tables(void)
{
	Relation event_object = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);

	f6_event_check_table();
	f6_link_check_columns(event_object);
	table_close(event_object, AccessShareLock);
}

/* put_pending adds an event to a function's result; the row is one of the queries'. */
static void
put_pending(ReturnSetInfo *result, TupleDesc descriptor, HeapTuple row, bool withdrawn)
{
	Datum values[PENDING_COLUMNS];
	bool nulls[PENDING_COLUMNS];

	for (int i = 0; i < PENDING_WITHDRAWN; i++)
		values[i] = SPI_getbinval(row, descriptor, i + 1, &nulls[i]);
	values[PENDING_WITHDRAWN] = BoolGetDatum(withdrawn);
	nulls[PENDING_WITHDRAWN] = false;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* pending_value returns a column of a row of the queries, which has no NULL there. */
static Datum
pending_value(const SPITupleTable *rows, uint64 row, enum pending_column column)
{
	bool isnull;

	return SPI_getbinval(rows->vals[row], rows->tupdesc, column + 1, &isnull);
}

/*
 * read_pending reads what says something about the events of the queries' rows, and about what the corrections among them
 * correct; it tells whether there are any.
 */
static bool
read_pending(f6_graph *graph, const SPITupleTable *rows, f6_graph_list *events)
{
	Oid correction = f6_event_kind_oid(F6_CORRECTION);
	f6_graph_list corrections = { 0 };

	for (uint64 i = 0; i < rows->numvals; i++)
	{
		uint32 number = f6_graph_add(graph, DatumGetUUIDP(pending_value(rows, i, PENDING_ID)));

		f6_graph_list_add(events, number);
		if (DatumGetObjectId(pending_value(rows, i, PENDING_EVENT_KIND)) == correction)
			f6_graph_list_add(&corrections, number);
	}
	f6_graph_read(graph, &corrections);
	f6_graph_read_decisions(graph, events);
	f6_graph_read_references(graph, &corrections);
	return corrections.count > 0;
}

/* waits tells whether an event waits for a validation, as far as what is claimed decides. */
static bool
waits(const f6_graph_event *event)
{
	return !event->is_removed && event->validated_by == F6_NO_EVENT;
}

/* put_undecided adds those of some events to a function's result that wait for a validation. */
static void
put_undecided(ReturnSetInfo *result, const SPITupleTable *rows)
{
	f6_graph *graph = f6_graph_begin(DT_NOEND);
	f6_graph_list events = { 0 };
	bool has_corrections = read_pending(graph, rows, &events);
	bool *is_waiting = palloc(sizeof(bool) * Max(rows->numvals, 1));
	bool *was_validated = palloc(sizeof(bool) * Max(rows->numvals, 1));

	f6_graph_decide(graph, false);
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		const f6_graph_event *event = f6_graph_at(graph, events.numbers[i]);

		is_waiting[i] = waits(event);
		was_validated[i] = event->was_validated;
	}
	if (has_corrections)
		f6_graph_decide(graph, true);
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		const f6_graph_event *event = f6_graph_at(graph, events.numbers[i]);

		if (is_waiting[i] && (event->kind != F6_CORRECTION || f6_graph_would_decide(graph, event)))
			put_pending(result, rows->tupdesc, rows->vals[i], was_validated[i]);
	}
}

/* open_events opens a cursor over the events that a function's arguments ask for, inside an SPI connection. */
static Portal
open_events(FunctionCallInfo fcinfo)
{
	static f6_index_plan of_type = { .text = QUERY_OF_TYPE,
									 .parameter_count = 3,
									 .types = { TEXTOID, TEXTOID, TIMESTAMPTZOID } };
	static f6_index_plan of_object = { .text = QUERY_OF_OBJECT,
									   .parameter_count = 4,
									   .types = { UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID } };
	bool has_object = !PG_ARGISNULL(1);
	f6_index_plan *query = has_object ? &of_object : &of_type;
	static const int arguments_of_type[] = { 0, 2, 3 };
	static const int arguments_of_object[] = { 1, 2, 3, 0 };
	const int *arguments = has_object ? arguments_of_object : arguments_of_type;
	Datum values[F6_INDEX_PLAN_PARAMETERS];
	char nulls[F6_INDEX_PLAN_PARAMETERS];
	Portal events;

	for (int i = 0; i < query->parameter_count; i++)
	{
		values[i] = fcinfo->args[arguments[i]].value;
		nulls[i] = PG_ARGISNULL(arguments[i]) ? 'n' : ' ';
	}
	events = SPI_cursor_open(NULL, f6_index_plan_ready(query), values, nulls, true);
	if (events == NULL)
		elog(ERROR, "could not read events: %s", SPI_result_code_string(SPI_result));
	return events;
}

/* f6.list_pending(event_type, object_id, event_source_type, created_until) returns what waits of a type or an object. */
Datum
f6_list_pending(PG_FUNCTION_ARGS)
{
	MemoryContext working;
	Portal events;
	uint64 count;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_tables();
	f6_spi_connect();
	events = open_events(fcinfo);
	working = AllocSetContextCreate(CurrentMemoryContext, "f6 pending", ALLOCSET_DEFAULT_SIZES);
	do
	{
		MemoryContext caller;
		SPITupleTable *rows;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(events, true, EVENTS_AT_A_TIME);
		rows = SPI_tuptable;
		count = SPI_processed;
		caller = MemoryContextSwitchTo(working);
		put_undecided((ReturnSetInfo *) fcinfo->resultinfo, rows);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(working);
		SPI_freetuptable(rows);
	} while (count > 0);
	SPI_cursor_close(events);
	SPI_finish();
	return (Datum) 0;
}

/* put_decision adds an event, and what has been decided about it, to a function's result; one that is not there has an id alone. */
static void
put_decision(ReturnSetInfo *result, f6_graph *graph, const f6_graph_event *event)
{
	Datum values[DECISION_COLUMNS] = { 0 };
	bool nulls[DECISION_COLUMNS] = { false };

	values[DECISION_ID] = UUIDPGetDatum(&event->id);
	for (int i = DECISION_POSITION; i <= DECISION_EVENT_VERSION; i++)
		nulls[i] = !event->is_read;
	if (event->is_read)
	{
		values[DECISION_POSITION] = Int64GetDatum(event->position);
		values[DECISION_EVENT_KIND] = ObjectIdGetDatum(f6_event_kind_oid(event->kind));
		values[DECISION_EVENT_TYPE] = CStringGetTextDatum(event->event_type);
		values[DECISION_EVENT_VERSION] = CStringGetTextDatum(event->event_version);
	}
	nulls[DECISION_REMOVED_BY] = !event->is_removed;
	if (event->is_removed)
		values[DECISION_REMOVED_BY] = UUIDPGetDatum(&f6_graph_at(graph, event->corrected_by)->id);
	nulls[DECISION_VALIDATED_BY] = event->validated_by == F6_NO_EVENT;
	if (event->validated_by != F6_NO_EVENT)
		values[DECISION_VALIDATED_BY] = UUIDPGetDatum(&f6_graph_at(graph, event->validated_by)->id);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * f6.list_decisions(event_ids) returns events, and what has been decided about them by now.  That is what others have committed until
 * now, whatever snapshot the transaction has: who holds the locks of f6.lock_decisions can rely on it.
 */
Datum
f6_list_decisions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_graph_list numbers = { 0 };
	f6_graph *graph;
	f6_uuids ids;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	f6_uuids_read(PG_GETARG_DATUM(0), "event_ids", &ids);
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	graph = f6_graph_begin(DT_NOEND);
	for (int i = 0; i < ids.count; i++)
		f6_graph_list_add(&numbers, f6_graph_add(graph, &ids.ids[i]));
	f6_graph_read(graph, &numbers);
	f6_graph_read_decisions(graph, &numbers);
	f6_graph_decide(graph, false);
	for (uint32 i = 0; i < numbers.count; i++)
		put_decision(result, graph, f6_graph_at(graph, numbers.numbers[i]));
	PopActiveSnapshot();
	return (Datum) 0;
}

/* event_locks collects the locks of deciding about an event: those of appending about it, and of nobody else's doing so. */
static void
event_locks(const f6_event_row *row, bool all_objects, f6_locks *locks)
{
	text *type = DatumGetTextPP(f6_event_value(row, F6_EVENT_EVENT_TYPE));
	f6_uuids objects;

	f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", &objects);
	f6_locks_append_type(locks, VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type));
	for (int i = 0; i < objects.count; i++)
	{
		f6_locks_append_object(locks, &objects.ids[i]);
		/* Who decides about the event names all of its objects, so one of them suffices. */
		if (all_objects || i == 0)
			f6_locks_query_object(locks, &objects.ids[i]);
	}
}

/*
 * f6.lock_decisions(event_ids, all_objects) waits for whoever is deciding about the events, and keeps everybody else from it until
 * the transaction ends; with all_objects, from appending anything about their objects.  All is locked at once, and in one order:
 * also what the caller's own append needs.
 */
Datum
f6_lock_decisions(PG_FUNCTION_ARGS)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working;
	f6_locks locks;
	f6_uuids ids;

	PreventCommandIfReadOnly("f6_append()");
	f6_event_check_columns(RelationGetDescr(event));
	f6_event_check_writer(event);
	f6_uuids_read(PG_GETARG_DATUM(0), "event_ids", &ids);
	f6_locks_begin(&locks);
	f6_locks_append(&locks);
	f6_locks_query(&locks);
	working = AllocSetContextCreate(caller, "f6 decision", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < ids.count; i++)
	{
		f6_event_row row;
		bool is_found;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(working);
		is_found = f6_event_find(event, UUIDPGetDatum(&ids.ids[i]), &row);
		MemoryContextSwitchTo(caller);
		if (is_found)
			event_locks(&row, PG_GETARG_BOOL(1), &locks);
		MemoryContextReset(working);
	}
	MemoryContextDelete(working);
	f6_locks_take(&locks);
	table_close(event, NoLock);
	PG_RETURN_VOID();
}
