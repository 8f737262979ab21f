/*
 * append.c
 *		f6_append: the convenient door to the log.
 *
 * It makes rows of what it is given and inserts them by one statement, as the caller; the triggers of f6.event do the
 * rest.  Ids are given here, so that each event can be told from the others when the statement has left out those that
 * the log already holds.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "append.h"
#include "errors.h"
#include "event.h"
#include "event_json.h"
#include "relation.h"
#include "uuid.h"

F6_FUNCTION(f6_append_event);
F6_FUNCTION(f6_append_events);

/* columns of f6.appended, and of what the insert returns */
enum appended_column
{
	APPENDED_ID = 1,
	APPENDED_POSITION,
	APPENDED_CREATED_AT,
	APPENDED_COLUMNS = APPENDED_CREATED_AT
};

typedef struct appended_event
{
	Datum id;
	int64 position;
	TimestampTz created_at;
} appended_event;

/* The events that f6_append is inserting, so that an error can tell which of them is to blame. */
typedef struct append_batch
{
	const f6_event_row *rows;
	int count;
	int next;
	ErrorContextCallback place;
	struct append_batch *outer; /* the batch whose trigger appends this one */
} append_batch;

static append_batch *current_batch = NULL;

/* The columns that any writer may fill; importers fill created_at as well. */
#define WRITER_COLUMNS \
	"zone_id, id, occurred_at, object_ids, event_type, event_version, event_kind, " \
	"event_source_id, event_source_type, event_reference, event_data, metadata"
#define INSERT_EVENTS(columns) \
	"insert into f6.event (" columns ") select " columns \
	" from pg_catalog.unnest($1) returning id, \"position\", created_at"

/* insert_plan returns the plan that inserts an array of events, with or without their formal time. */
static SPIPlanPtr
insert_plan(Oid array_type, bool with_created_at)
{
	static SPIPlanPtr plans[2];
	static Oid planned_type[2];
	SPIPlanPtr *plan = &plans[with_created_at];

	/* Another array type: the extension has been created anew. */
	if (*plan != NULL && planned_type[with_created_at] != array_type)
	{
		SPI_freeplan(*plan);
		*plan = NULL;
	}
	if (*plan == NULL)
	{
		SPIPlanPtr prepared =
			SPI_prepare(with_created_at ? INSERT_EVENTS(WRITER_COLUMNS ", created_at")
										: INSERT_EVENTS(WRITER_COLUMNS),
						1, &array_type);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not plan the append: %s", SPI_result_code_string(SPI_result))));
		*plan = prepared;
		planned_type[with_created_at] = array_type;
	}
	return *plan;
}

/* event_array returns the rows as an array of f6.event. */
static Datum
event_array(Relation event, f6_event_row *rows, int count)
{
	Oid row_type = RelationGetForm(event)->reltype;
	Datum *elements = palloc_extended(sizeof(Datum) * count, MCXT_ALLOC_HUGE);

	for (int i = 0; i < count; i++)
		elements[i] =
			heap_copy_tuple_as_datum(f6_event_form(event, NULL, &rows[i]), RelationGetDescr(event));
	return PointerGetDatum(construct_array(elements, count, row_type, -1, false, TYPALIGN_DOUBLE));
}

/* give_ids gives an id to each event that has none. */
static void
give_ids(f6_event_row *rows, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (!f6_event_has(&rows[i], F6_EVENT_ID))
			f6_event_set(&rows[i], F6_EVENT_ID, f6_uuid_new());
	}
}

/* has_created_at tells whether any event comes with its formal time, which the caller must be allowed to say. */
static bool
has_created_at(const f6_event_row *rows, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (f6_event_has(&rows[i], F6_EVENT_CREATED_AT))
		{
			f6_event_check_importer();
			return true;
		}
	}
	return false;
}

/* find_appended returns what the log holds already of an event that was not inserted; other content is an error. */
static appended_event
find_appended(Relation event, const f6_event_row *row)
{
	Datum id = f6_event_value(row, F6_EVENT_ID);
	appended_event found;
	f6_event_row stored;

	if (!f6_event_find_same(event, row, &stored))
		ereport(ERROR,
				(errcode(F6_ERR_FORBIDDEN_CHANGE), errmsg("an event was not inserted"),
				 errdetail("A trigger or rule on f6.event, other than f6's own, left out event %s.",
						   f6_uuid_text(DatumGetUUIDP(id))),
				 errhint("An append is all or nothing: let the trigger raise an error instead.")));
	found.id = id;
	found.position = DatumGetInt64(f6_event_value(&stored, F6_EVENT_POSITION_COLUMN));
	found.created_at = DatumGetTimestampTz(f6_event_value(&stored, F6_EVENT_CREATED_AT));
	return found;
}

/* inserted_value returns a column of a row that the insert returned. */
static Datum
inserted_value(uint64 number, int column)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[number], SPI_tuptable->tupdesc, column, &isnull);
}

/* inserted_event returns a row that the insert returned, if it is the event with that id. */
static bool
inserted_event(uint64 number, Datum id, appended_event *result)
{
	if (number >= SPI_processed ||
		f6_uuid_compare(DatumGetUUIDP(inserted_value(number, APPENDED_ID)), DatumGetUUIDP(id)) != 0)
		return false;
	result->id = id;
	result->position = DatumGetInt64(inserted_value(number, APPENDED_POSITION));
	result->created_at = DatumGetTimestampTz(inserted_value(number, APPENDED_CREATED_AT));
	return true;
}

/* report_place adds an event's place in its batch to an error. */
static void
report_place(void *arg)
{
	append_batch *batch = arg;

	if (batch->count > 1)
		errcontext("event %d in the batch", batch->next);
}

/*
 * f6_append_error_context returns the context for an error in an event on its way in: its place in f6_append's batch
 * instead of the statement that inserts the batch, which is none of the caller's business.
 */
ErrorContextCallback *
f6_append_error_context(const f6_event_row *row)
{
	append_batch *batch = current_batch;

	if (batch == NULL || batch->next >= batch->count || !f6_event_has(row, F6_EVENT_ID) ||
		f6_uuid_compare(DatumGetUUIDP(f6_event_value(row, F6_EVENT_ID)),
						DatumGetUUIDP(f6_event_value(&batch->rows[batch->next], F6_EVENT_ID))) != 0)
		return error_context_stack;
	batch->next++;
	return &batch->place;
}

/* leave_batch ends a batch, when its memory goes: at the end of the append or in an error. */
static void
leave_batch(void *arg)
{
	current_batch = ((append_batch *) arg)->outer;
}

/* enter_batch makes the rows known as the ones that are being inserted, as long as the current memory context lives. */
static void
enter_batch(const f6_event_row *rows, int count)
{
	append_batch *batch = palloc(sizeof(append_batch));
	MemoryContextCallback *end = palloc(sizeof(MemoryContextCallback));

	batch->rows = rows;
	batch->count = count;
	batch->next = 0;
	batch->place.previous = error_context_stack;
	batch->place.callback = report_place;
	batch->place.arg = batch;
	batch->outer = current_batch;
	end->func = leave_batch;
	end->arg = batch;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, end);
	current_batch = batch;
}

/* run_insert inserts the rows, inside an SPI connection. */
static void
run_insert(Relation event, f6_event_row *rows, int count, bool with_created_at)
{
	SPIPlanPtr plan = insert_plan(get_array_type(RelationGetForm(event)->reltype), with_created_at);
	Datum array = event_array(event, rows, count);

	enter_batch(rows, count);
	if (SPI_execute_plan(plan, &array, NULL, false, 0) != SPI_OK_INSERT_RETURNING)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not append: %s", SPI_result_code_string(SPI_result))));
}

/* insert_events appends the rows and returns what became of each, in their order. */
static appended_event *
insert_events(Relation event, f6_event_row *rows, int count)
{
	appended_event *result =
		palloc_extended(sizeof(appended_event) * Max(count, 1), MCXT_ALLOC_HUGE);
	bool with_created_at = has_created_at(rows, count);
	uint64 next = 0;

	if (count == 0)
		return result;
	give_ids(rows, count);

	SPI_connect();
	run_insert(event, rows, count, with_created_at);
	/* The insert returns the new events in their order, and none for those that the log held. */
	for (int i = 0; i < count; i++)
	{
		Datum id = f6_event_value(&rows[i], F6_EVENT_ID);

		if (inserted_event(next, id, &result[i]))
			next++;
		else
			result[i] = find_appended(event, &rows[i]);
	}
	SPI_finish();
	return result;
}

/* result_row makes a row of f6.appended. */
static HeapTuple
result_row(TupleDesc descriptor, const appended_event *appended)
{
	Datum values[APPENDED_COLUMNS];
	bool nulls[APPENDED_COLUMNS] = { false };

	if (descriptor->natts != APPENDED_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("type f6.appended has %d attributes instead of %d",
							   descriptor->natts, APPENDED_COLUMNS),
						errhint("Create a type of your own rather than altering f6's.")));
	values[APPENDED_ID - 1] = appended->id;
	values[APPENDED_POSITION - 1] = Int64GetDatum(appended->position);
	values[APPENDED_CREATED_AT - 1] = TimestampTzGetDatum(appended->created_at);
	return heap_form_tuple(descriptor, values, nulls);
}

/* argument_row makes a row of the arguments of f6_append's first form. */
static void
argument_row(FunctionCallInfo fcinfo, f6_event_row *row)
{
	static const int columns[] = {
		F6_EVENT_EVENT_TYPE,  F6_EVENT_OBJECT_IDS,	F6_EVENT_DATA,		F6_EVENT_EVENT_VERSION,
		F6_EVENT_EVENT_KIND,  F6_EVENT_OCCURRED_AT, F6_EVENT_REFERENCE, F6_EVENT_SOURCE_ID,
		F6_EVENT_SOURCE_TYPE, F6_EVENT_METADATA,	F6_EVENT_ID,		F6_EVENT_ZONE_ID,
		F6_EVENT_CREATED_AT
	};

	memset(row->nulls, true, sizeof(row->nulls));
	for (int i = 0; i < (int) lengthof(columns); i++)
	{
		if (!PG_ARGISNULL(i))
			f6_event_set(row, columns[i], PG_GETARG_DATUM(i));
	}
}

/* f6_append(event_type, object_ids, event_data, ...) appends one event and returns its id, position and formal time. */
Datum
f6_append_event(PG_FUNCTION_ARGS)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	TupleDesc descriptor;
	f6_event_row row;
	appended_event *result;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("f6_append returns a row of f6.appended")));
	argument_row(fcinfo, &row);
	result = insert_events(event, &row, 1);
	table_close(event, NoLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(result_row(BlessTupleDesc(descriptor), result)));
}

/* f6_append(events) appends a batch of events, all or none, and returns what became of each, in their order. */
Datum
f6_append_events(PG_FUNCTION_ARGS)
{
	Relation event;
	ReturnSetInfo *returned = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_event_row *rows;
	appended_event *result;
	int count;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("events must not be NULL"),
						errhint("An empty array appends nothing: '[]'.")));
	event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	rows = f6_events_from_json(event, PG_GETARG_JSONB_P(0), &count);
	result = insert_events(event, rows, count);
	for (int i = 0; i < count; i++)
		tuplestore_puttuple(returned->setResult, result_row(returned->setDesc, &result[i]));
	table_close(event, NoLock);
	return (Datum) 0;
}
