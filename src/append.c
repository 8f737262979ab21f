/*
 * append.c
 *		f6_append: the convenient door to the log.
 *
 * It makes rows of what it is given.  Where only f6's own triggers stand on the tables, it completes, checks and writes them
 * itself.  Else it inserts them by one statement, as the caller, and the triggers do the rest; ids are given before, so
 * that each event can be told from the others when the statement has left out those that the log already holds.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "append.h"
#include "condition.h"
#include "errors.h"
#include "event.h"
#include "event_basis.h"
#include "event_json.h"
#include "event_write.h"
#include "relation.h"
#include "spi_connection.h"
#include "uuid.h"
#include "uuid_array.h"

F6_FUNCTION(f6_append_event);
F6_FUNCTION(f6_append_untyped);
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

/* Which argument of f6_append's first form comes after the event's columns. */
#define ARGUMENT_AFTER 13

/* An append that is under way. */
typedef struct append
{
	Relation event;
	int count;
	f6_event_row *given; /* as the caller gave them */
	f6_condition condition;

	/* completed copies of the rows, and what is to become of each */
	f6_event_row *rows;
	f6_event_state *states;
	f6_batch batch;
	MemoryContext per_row;

	appended_event *result;
} append;

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

/* rows_objects returns the objects that rows name, or will name as far as that is known, each once. */
static const f6_uuids *
rows_objects(Relation event, const f6_event_row *rows, int count)
{
	f6_uuids *objects = palloc0(sizeof(f6_uuids));
	List *named = NIL;
	ListCell *cell;
	int total = 0;

	for (int i = 0; i < count; i++)
	{
		f6_uuids *ids = palloc(sizeof(f6_uuids));

		f6_basis_expect_objects(event, &rows[i], ids);
		named = lappend(named, ids);
		total += ids->count;
	}
	objects->ids = palloc_extended(sizeof(pg_uuid_t) * Max(total, 1), MCXT_ALLOC_HUGE);
	foreach (cell, named)
	{
		const f6_uuids *ids = lfirst(cell);

		memcpy(objects->ids + objects->count, ids->ids, sizeof(pg_uuid_t) * ids->count);
		objects->count += ids->count;
	}
	qsort(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
	objects->count = qunique(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
	return objects;
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

/* append_locks collects the locks that appending rows needs, under the condition, as far as their objects are known. */
static void
append_locks(const append *append, const f6_event_row *rows, bool with_ids, f6_locks *locks)
{
	const f6_condition *condition = &append->condition;

	f6_locks_begin(locks);
	for (int i = 0; i < append->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		f6_event_locks(append->event, &rows[i], with_ids, locks);
	}
	if (condition->query != NULL)
		f6_query_locks(condition->query, locks);
	else if (condition->is_given)
		f6_query_locks(f6_query_of_objects(rows_objects(append->event, rows, append->count)),
					   locks);
}

/* complete_row completes a copy of one row, in the caller's memory context. */
static void
complete_row(append *append, int number)
{
	append_batch at = { .count = append->count, .next = number + 1 };
	ErrorContextCallback place = { error_context_stack, report_place, &at };
	MemoryContext caller = MemoryContextSwitchTo(append->per_row);
	f6_event_row *row = &append->rows[number];

	error_context_stack = &place;
	*row = append->given[number];
	append->states[number] = f6_event_complete(append->event, &append->batch, row);
	error_context_stack = place.previous;
	MemoryContextSwitchTo(caller);
	f6_event_keep(append->event, row, &append->given[number]);
	MemoryContextReset(append->per_row);
}

/* complete_rows completes copies of all rows, and tells whether any of them is new to the log. */
static bool
complete_rows(append *append)
{
	bool any_new = false;

	append->rows = palloc_extended(sizeof(f6_event_row) * append->count, MCXT_ALLOC_HUGE);
	append->states = palloc_extended(sizeof(f6_event_state) * append->count, MCXT_ALLOC_HUGE);
	append->per_row =
		AllocSetContextCreate(CurrentMemoryContext, "f6 event", ALLOCSET_DEFAULT_SIZES);
	f6_batch_begin(&append->batch, append->rows, append->count);
	for (int i = 0; i < append->count; i++)
	{
		complete_row(append, i);
		any_new = any_new || append->states[i] == F6_EVENT_NEW;
		f6_batch_add(&append->batch);
	}
	MemoryContextDelete(append->per_row);
	return any_new;
}

/* lacks_objects tells whether any row leaves it open which objects it names, as corrections and validations may. */
static bool
lacks_objects(const append *append)
{
	for (int i = 0; i < append->count; i++)
	{
		if (!f6_event_has(&append->given[i], F6_EVENT_OBJECT_IDS))
			return true;
	}
	return false;
}

/* has_references tells whether any row references events. */
static bool
has_references(const append *append)
{
	for (int i = 0; i < append->count; i++)
	{
		if (f6_event_has(&append->given[i], F6_EVENT_REFERENCE))
			return true;
	}
	return false;
}

/*
 * check_append completes the events and checks the condition, under their locks.  A repetition of what the log holds already
 * needs no condition: it is what has changed the log.
 */
static void
check_append(append *append)
{
	const f6_condition *condition = &append->condition;
	f6_locks locks;

	if (!complete_rows(append))
		return;
	if (lacks_objects(append))
	{
		/* What such an event stands on may have been appended just now, or with it. */
		append_locks(append, append->rows, false, &locks);
		f6_locks_take(&locks);
	}
	if (condition->is_given)
		f6_condition_check(
			append->event, condition,
			condition->query != NULL
				? condition->query
				: f6_query_of_objects(rows_objects(append->event, append->rows, append->count)));
}

/* hint_at_repeating says what to do when somebody else has just appended an event under the same id. */
static void
hint_at_repeating(void *arg)
{
	(void) arg;
	if (geterrcode() == ERRCODE_UNIQUE_VIOLATION)
		errhint("If the event was appended at the same time, append it again, under the same id.");
}

/* each_new passes on the events that are new to the log to who follows it. */
static void
each_new(const append *append, void (*tell)(void *state, const f6_event_row *row), void *state)
{
	for (int i = 0; i < append->count; i++)
	{
		if (append->states[i] == F6_EVENT_NEW)
			tell(state, &append->rows[i]);
	}
}

/* announce_events tells who follows the log of the events that are to be appended; it returns what the follower is handed then. */
static void *
announce_events(append *append)
{
	const f6_event_follower *follower = f6_events_follower();
	void *state = follower->begin(append->event);

	if (state == NULL)
		return NULL;
	each_new(append, follower->expect, state);
	follower->hold(state);
	return state;
}

/* tell_follower tells who follows the log of the new events. */
static void
tell_follower(append *append, void *state)
{
	if (state == NULL)
		return;
	each_new(append, f6_events_follower()->take, state);
	f6_events_follower()->end(state);
}

/* write_events appends the events directly. */
static void
write_events(append *append, f6_event_writer *writer)
{
	ErrorContextCallback hint = { error_context_stack, hint_at_repeating, NULL };
	void *state = announce_events(append);
	TimestampTz newest = DT_NOBEGIN;

	error_context_stack = &hint;
	for (int i = 0; i < append->count; i++)
	{
		f6_event_row *row = &append->rows[i];
		appended_event *result = &append->result[i];

		CHECK_FOR_INTERRUPTS();
		if (append->states[i] == F6_EVENT_REPEATED)
		{
			*result =
				append->result[f6_batch_find(&append->batch, f6_event_value(row, F6_EVENT_ID))];
			continue;
		}
		if (append->states[i] == F6_EVENT_NEW)
		{
			f6_event_place(append->event, &append->batch, row, &newest);
			f6_event_writer_put(writer, row);
		}
		result->id = f6_event_value(row, F6_EVENT_ID);
		result->position = DatumGetInt64(f6_event_value(row, F6_EVENT_POSITION_COLUMN));
		result->created_at = DatumGetTimestampTz(f6_event_value(row, F6_EVENT_CREATED_AT));
	}
	f6_event_writer_end(writer);
	error_context_stack = hint.previous;
	tell_follower(append, state);
}

/* insert_events appends the events by a statement; what it says of them is in their order. */
static void
insert_events(append *append, bool with_created_at)
{
	uint64 next = 0;

	give_ids(append->given, append->count);
	f6_spi_connect();
	run_insert(append->event, append->given, append->count, with_created_at);
	/* The insert returns the new events in their order, and none for those that the log held. */
	for (int i = 0; i < append->count; i++)
	{
		Datum id = f6_event_value(&append->given[i], F6_EVENT_ID);

		if (inserted_event(next, id, &append->result[i]))
			next++;
		else
			append->result[i] = find_appended(append->event, &append->given[i]);
	}
	SPI_finish();
}

/* append_events appends the events, all or none, and notes what became of each, in their order. */
static void
append_events(append *append)
{
	bool with_created_at = has_created_at(append->given, append->count);
	f6_event_writer *writer = NULL;
	f6_locks locks;

	append->result =
		palloc_extended(sizeof(appended_event) * Max(append->count, 1), MCXT_ALLOC_HUGE);
	if (append->count == 0)
		return;
	/* Before anything is locked or looked up, so that nobody else holds others up, or learns what a condition says. */
	f6_event_check_writer(append->event);
	PreventCommandIfReadOnly("f6_append()");
	PreventCommandIfParallelMode("f6_append()");
	if (!with_created_at)
		writer = f6_event_writer_begin(append->event, has_references(append));
	append_locks(append, append->given, true, &locks);
	f6_locks_take(&locks);
	if (writer != NULL || append->condition.is_given)
		check_append(append);
	if (writer != NULL)
		write_events(append, writer);
	else
		insert_events(append, with_created_at);
}

/* result_row makes a row of f6.appended. */
static HeapTuple
result_row(TupleDesc descriptor, const appended_event *appended)
{
	static const f6_column columns[] = { { "id", UUIDOID },
										 { "position", INT8OID },
										 { "created_at", TIMESTAMPTZOID } };
	Datum values[APPENDED_COLUMNS];
	bool nulls[APPENDED_COLUMNS] = { false };

	if (descriptor->natts != APPENDED_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("type f6.appended has %d attributes instead of %d",
							   descriptor->natts, APPENDED_COLUMNS),
						errhint("Create a type of your own rather than altering f6's.")));
	f6_check_columns(descriptor, "appended", columns, lengthof(columns));
	values[APPENDED_ID - 1] = appended->id;
	values[APPENDED_POSITION - 1] = Int64GetDatum(appended->position);
	values[APPENDED_CREATED_AT - 1] = TimestampTzGetDatum(appended->created_at);
	return heap_form_tuple(descriptor, values, nulls);
}

/* argument_row makes a row of the arguments that are columns, in the order of f6_append's first form. */
static void
argument_row(FunctionCallInfo fcinfo, int count, f6_event_row *row)
{
	static const int columns[] = {
		F6_EVENT_EVENT_TYPE,  F6_EVENT_OBJECT_IDS,	F6_EVENT_DATA,		F6_EVENT_EVENT_VERSION,
		F6_EVENT_EVENT_KIND,  F6_EVENT_OCCURRED_AT, F6_EVENT_REFERENCE, F6_EVENT_SOURCE_ID,
		F6_EVENT_SOURCE_TYPE, F6_EVENT_METADATA,	F6_EVENT_ID,		F6_EVENT_ZONE_ID,
		F6_EVENT_CREATED_AT
	};

	memset(row->nulls, true, sizeof(row->nulls));
	for (int i = 0; i < count; i++)
	{
		if (!PG_ARGISNULL(i))
			f6_event_set(row, columns[i], PG_GETARG_DATUM(i));
	}
}

/* append_one appends one event and returns its row of f6.appended. */
static Datum
append_one(FunctionCallInfo fcinfo, f6_event_row *row, const f6_condition *condition)
{
	append append = { .count = 1, .given = row, .condition = *condition };
	TupleDesc descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("f6_append returns a row of f6.appended")));
	append.event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	f6_event_check_columns(RelationGetDescr(append.event));
	append_events(&append);
	table_close(append.event, NoLock);
	return HeapTupleGetDatum(result_row(BlessTupleDesc(descriptor), append.result));
}

/* f6_append(event_type, object_ids, event_data, ...) appends one event and returns its id, position and formal time. */
Datum
f6_append_event(PG_FUNCTION_ARGS)
{
	f6_condition condition;
	f6_event_row row;

	argument_row(fcinfo, ARGUMENT_AFTER, &row);
	f6_condition_read(&condition, &fcinfo->args[ARGUMENT_AFTER], &fcinfo->args[ARGUMENT_AFTER + 1]);
	PG_RETURN_DATUM(append_one(fcinfo, &row, &condition));
}

/* refuse_batch refuses a batch that has come where the type of an event belongs. */
static void
refuse_batch(const f6_event_row *row)
{
	const text *type;

	if (!f6_event_has(row, F6_EVENT_EVENT_TYPE))
		return;
	type = DatumGetTextPP(f6_event_value(row, F6_EVENT_EVENT_TYPE));
	if (VARSIZE_ANY_EXHDR(type) > 0 && strchr("[{", *VARDATA_ANY(type)) != NULL)
		ereport(
			ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT),
			 errmsg("three arguments without types are one event, not a batch"),
			 errhint("Write f6_append($1::jsonb, $2, $3), or f6_append($1, after => $2, unless => "
					 "$3).")));
}

/* f6_append(event_type, objects, event_data) appends one event of which a driver has not told the types: objects are a text. */
Datum
f6_append_untyped(PG_FUNCTION_ARGS)
{
	f6_condition condition = { 0 };
	f6_event_row row;

	argument_row(fcinfo, PG_NARGS(), &row);
	refuse_batch(&row);
	if (f6_event_has(&row, F6_EVENT_OBJECT_IDS))
		f6_event_set(
			&row, F6_EVENT_OBJECT_IDS,
			OidInputFunctionCall(F_ARRAY_IN, text_to_cstring(PG_GETARG_TEXT_PP(1)), UUIDOID, -1));
	PG_RETURN_DATUM(append_one(fcinfo, &row, &condition));
}

/* f6_append(events) appends a batch of events, all or none, and returns what became of each, in their order. */
Datum
f6_append_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *returned = (ReturnSetInfo *) fcinfo->resultinfo;
	append append = { 0 };

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("events must not be NULL"),
						errhint("An empty array appends nothing: '[]'.")));
	append.event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	f6_event_check_columns(RelationGetDescr(append.event));
	f6_condition_read(&append.condition, &fcinfo->args[1], &fcinfo->args[2]);
	append.given = f6_events_from_json(append.event, PG_GETARG_JSONB_P(0), &append.count);
	append_events(&append);
	for (int i = 0; i < append.count; i++)
		tuplestore_puttuple(returned->setResult, result_row(returned->setDesc, &append.result[i]));
	table_close(append.event, NoLock);
	return (Datum) 0;
}

/*
 * f6_append_document appends a batch as f6_append(events, after, unless) does, and returns how many events it has, with their ids and
 * positions, in their order.
 */
int
f6_append_document(Jsonb *events, const f6_condition *condition, Datum **ids, Datum **positions)
{
	append append = { .condition = *condition };

	append.event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	f6_event_check_columns(RelationGetDescr(append.event));
	append.given = f6_events_from_json(append.event, events, &append.count);
	append_events(&append);
	*ids = palloc_extended(sizeof(Datum) * Max(append.count, 1), MCXT_ALLOC_HUGE);
	*positions = palloc_extended(sizeof(Datum) * Max(append.count, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < append.count; i++)
	{
		(*ids)[i] = append.result[i].id;
		(*positions)[i] = Int64GetDatum(append.result[i].position);
	}
	table_close(append.event, NoLock);
	return append.count;
}
