/*
 * command_execute.c
 *		f6_execute: deciding by a command's handler, and appending what it decides if that is still what it was decided on.
 *
 * Each attempt is a subtransaction.  The first reads, decides and appends without holding anything up.  If somebody else has changed what it
 * has read meanwhile, the next one takes the locks of the context before it reads: then nobody can.  With them it takes those of all the
 * events that attempts have come to.  Others it may come to now are locked out of order, so that it is the victim of a deadlock: then the
 * next attempt knows of them too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "acting.h"
#include "append.h"
#include "command.h"
#include "command_answer.h"
#include "command_run.h"
#include "errors.h"
#include "event_json.h"
#include "event_write.h"
#include "jsonb_walk.h"
#include "lock.h"
#include "part.h"
#include "read.h"
#include "relation.h"
#include "schema_cache.h"
#include "schema_validate.h"
#include "uuid.h"

F6_FUNCTION(f6_execute);

/* A key is part of an index, whose entries are small. */
#define MAX_KEY_LENGTH 1000

/* columns of f6.executed */
enum executed_column
{
	EXECUTED_STATUS,
	EXECUTED_REASON,
	EXECUTED_DETAIL,
	EXECUTED_IDS,
	EXECUTED_POSITIONS,
	EXECUTED_ATTEMPTS,
	EXECUTED_COLUMNS
};

/* What an attempt was at when it failed. */
typedef enum stage
{
	LOCKING,
	READING,
	HANDLING,
	APPENDING
} stage;

/* A command that is being executed. */
typedef struct execution
{
	f6_command *command;
	Jsonb *payload;
	Jsonb *metadata; /* NULL: none */
	bool dry_run;
	f6_query *query; /* NULL: it depends on nothing */
	volatile stage stage;
	List *volatile events; /* a batch of each attempt that has come to one */
	f6_outcome outcome;
} execution;

/* describe says of an error in which command it was. */
static void
describe(void *name)
{
	errcontext("command \"%s\"", (const char *) name);
}

/* check_payload refuses a payload that is not valid under the command's schema. */
static void
check_payload(execution *run)
{
	const f6_program *program;
	JsonbValue root;

	f6_jsonb_root(run->payload, &root);
	if (f6_jsonb_is_deeper(&root, F6_MAX_DATA_DEPTH))
		ereport(ERROR,
				(errcode(F6_ERR_TOO_DEEP),
				 errmsg("the payload is nested more than %d levels deep", F6_MAX_DATA_DEPTH)));
	if (run->command->schema == NULL)
		return;
	program =
		f6_schema_cached(&run->command->schema_site, JsonbPGetDatum(run->command->schema), true);
	if (!f6_schema_accepts(program, &root))
		ereport(ERROR, (errcode(F6_ERR_INVALID_EVENT),
						errmsg("payload is not valid for command \"%s\"", run->command->name),
						errdetail("%s", f6_schema_failures_text(program, &root))));
}

/* call_handler returns what the handler makes of a state, NULL for none, and the payload; NULL for NULL. */
static Jsonb *
call_handler(const execution *run, Jsonb *state)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo function;
	f6_acting before;
	Datum answer;

	fmgr_info(run->command->handler, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(state);
	fcinfo->args[0].isnull = state == NULL;
	fcinfo->args[1].value = JsonbPGetDatum(run->payload);
	fcinfo->args[1].isnull = false;
	GetUserIdAndSecContext(&before.user, &before.security);
	f6_act_by_settings(NULL, &before);
	answer = FunctionCallInvoke(fcinfo);
	f6_act_end(&before);
	return fcinfo->isnull ? NULL : DatumGetJsonbP(answer);
}

/* want_locks adds the locks of a batch to a collection. */
static void
want_locks(Relation event, Jsonb *events, f6_locks *locks)
{
	int count;
	f6_event_row *rows = f6_events_from_json(event, events, &count);

	for (int i = 0; i < count; i++)
		f6_event_locks(event, &rows[i], true, locks);
}

/* take_locks takes the locks of the context, and those of the events that the attempts before came to, in one order with others'. */
static void
take_locks(const execution *run)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), RowExclusiveLock);
	f6_locks locks;
	ListCell *cell;

	f6_locks_begin(&locks);
	f6_query_locks(run->query, &locks);
	foreach (cell, run->events)
		want_locks(event, lfirst(cell), &locks);
	f6_locks_take(&locks);
	table_close(event, NoLock);
}

/* note_events notes which events were appended. */
static void
note_events(f6_outcome *outcome, int count, Datum *ids, Datum *positions)
{
	outcome->ids =
		PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
	outcome->positions = PointerGetDatum(
		construct_array(positions, count, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
}

/* append appends a batch, if nothing after a position matches the query; NULL: in any case. */
static void
append(execution *run, Jsonb *events, f6_query *query, int64 position)
{
	f6_condition condition = { .is_given = query != NULL, .after = position, .query = query };
	Datum *ids;
	Datum *positions;
	int count = f6_append_document(events, &condition, &ids, &positions);

	note_events(&run->outcome, count, ids, positions);
}

/* decide reads the context, has the handler decide, and appends its events. */
static void
decide(execution *run)
{
	Jsonb *state = NULL;
	int64 position = 0;
	f6_answer answer;

	run->stage = READING;
	if (run->query != NULL)
		position = f6_context_read(run->query, run->command->program, &state);
	run->stage = HANDLING;
	f6_answer_read(&answer, call_handler(run, state));
	run->outcome.is_accepted = answer.events != NULL;
	run->outcome.reason = answer.reason;
	run->outcome.detail = answer.detail;
	if (answer.events == NULL)
		return;
	if (run->metadata != NULL)
		f6_answer_add_metadata(&answer, run->metadata);
	run->stage = APPENDING;
	run->events = lappend(run->events, answer.events);
	append(run, answer.events, run->query, position);
}

/* reject makes an error that the handler has raised to reject the outcome, and tells whether it is one. */
static bool
reject(execution *run, const ErrorData *error)
{
	if (run->stage != HANDLING || error->sqlerrcode != ERRCODE_RAISE_EXCEPTION)
		return false;
	run->outcome.is_accepted = false;
	run->outcome.reason = error->message;
	run->outcome.detail = error->detail != NULL && *error->detail != '\0' ? error->detail : NULL;
	return true;
}

/* may_repeat tells whether another attempt may see what the context is now, or take locks in the order of others. */
static bool
may_repeat(const execution *run, const ErrorData *error)
{
	if (run->query == NULL || run->outcome.attempts >= run->command->attempts ||
		IsolationUsesXactSnapshot())
		return false;
	/* The handler has brought it to objects that are locked after those of the context, in whatever order. */
	if (error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		return run->stage == LOCKING || run->stage == APPENDING;
	return run->stage == APPENDING && error->sqlerrcode == F6_ERR_CONDITION;
}

/* in_part does something in a subtransaction, which a dry run undoes; it returns the error that has undone it, NULL for none. */
static ErrorData *
in_part(execution *run, void (*something)(execution *run))
{
	f6_part part;
	ErrorData *volatile error = NULL;

	f6_part_begin(&part);
	PG_TRY();
	{
		something(run);
		f6_part_end(&part, !run->dry_run);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	return error;
}

/* lock_and_decide is an attempt: but for the first it takes locks before it decides. */
static void
lock_and_decide(execution *run)
{
	run->stage = LOCKING;
	if (run->events != NIL)
		take_locks(run);
	decide(run);
}

/* attempt runs the command once, and tells whether that was all; if not, another attempt may do. */
static bool
attempt(execution *run)
{
	ErrorData *error;

	run->outcome.attempts++;
	error = in_part(run, lock_and_decide);
	if (error == NULL)
		return true;
	if (run->stage == READING)
		f6_command_spoil();
	if (reject(run, error))
		return true;
	if (!may_repeat(run, error))
		ReThrowError(error);
	return false;
}

/* put_string adds a member that is a string to an object; NULL adds none. */
static void
put_string(JsonbParseState **state, const char *name, const char *text)
{
	JsonbValue value = { .type = jbvString };

	if (text == NULL)
		return;
	value.val.string.val = unconstify(char *, name);
	value.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_KEY, &value);
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) strlen(text);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* begin_member begins a member of an object that is an array or object itself. */
static void
begin_member(JsonbParseState **state, const char *name, JsonbIteratorToken begin)
{
	JsonbValue key = { .type = jbvString };

	key.val.string.val = unconstify(char *, name);
	key.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_KEY, &key);
	(void) pushJsonbValue(state, begin, NULL);
}

/* rejection_event returns the event, as a batch, that records a rejection. */
static Jsonb *
rejection_event(const execution *run)
{
	const f6_uuids *objects = f6_command_context_objects(run->query);
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	put_string(&state, "event_type", run->command->rejected_type);
	begin_member(&state, "object_ids", WJB_BEGIN_ARRAY);
	for (int i = 0; i < objects->count; i++)
	{
		JsonbValue id = { .type = jbvString };

		id.val.string.val = f6_uuid_text(&objects->ids[i]);
		id.val.string.len = (int) strlen(id.val.string.val);
		(void) pushJsonbValue(&state, WJB_ELEM, &id);
	}
	(void) pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	begin_member(&state, "event_data", WJB_BEGIN_OBJECT);
	put_string(&state, "command", run->command->name);
	put_string(&state, "reason", run->outcome.reason);
	put_string(&state, "detail", run->outcome.detail);
	(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* append_rejection appends the event that records a rejection. */
static void
append_rejection(execution *run)
{
	f6_answer answer = { .events = rejection_event(run) };

	if (run->metadata != NULL)
		f6_answer_add_metadata(&answer, run->metadata);
	append(run, answer.events, NULL, 0);
}

/* record_rejection records a rejection, where the command has rejections recorded, as far as a dry run does. */
static void
record_rejection(execution *run)
{
	ErrorData *error = NULL;

	note_events(&run->outcome, 0, NULL, NULL);
	if (run->command->rejected_type == NULL)
		return;
	if (run->dry_run)
		error = in_part(run, append_rejection);
	else
		append_rejection(run);
	if (error != NULL)
		ReThrowError(error);
}

/* run_command runs a command until it has come to something. */
static void
run_command(execution *run)
{
	check_payload(run);
	if (run->command->context != NULL)
		run->query = f6_command_context_query(run->command->context, run->payload);
	while (!attempt(run))
		CHECK_FOR_INTERRUPTS();
	if (!run->outcome.is_accepted)
		record_rejection(run);
	if (run->dry_run)
		run->outcome.ids = run->outcome.positions = (Datum) 0;
}

/* read_key reads the argument idempotency_key, NULL for none. */
static char *
read_key(FunctionCallInfo fcinfo, int number)
{
	char *key = PG_ARGISNULL(number) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(number));

	if (key != NULL && (*key == '\0' || strlen(key) > MAX_KEY_LENGTH))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("an idempotency key must have from 1 to %d bytes", MAX_KEY_LENGTH),
						errhint("NULL stands for none.")));
	return key;
}

/* read_metadata reads the argument metadata, NULL for none. */
static Jsonb *
read_metadata(FunctionCallInfo fcinfo, int number)
{
	Jsonb *metadata = PG_ARGISNULL(number) ? NULL : PG_GETARG_JSONB_P(number);
	JsonbValue root;

	if (metadata == NULL)
		return NULL;
	f6_jsonb_root(metadata, &root);
	if (!f6_jsonb_is_object(&root))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("metadata must be a JSON object, found %s", f6_jsonb_type_name(&root)),
				 errdetail("It is merged into that of each event.")));
	return metadata;
}

/* executed_row returns what came of a command as a row of f6.executed. */
static Datum
executed_row(TupleDesc descriptor, const f6_outcome *outcome)
{
	Datum values[EXECUTED_COLUMNS] = { 0 };
	bool nulls[EXECUTED_COLUMNS] = { false };

	values[EXECUTED_STATUS] = CStringGetTextDatum(outcome->is_accepted ? "accepted" : "rejected");
	nulls[EXECUTED_REASON] = outcome->reason == NULL;
	if (outcome->reason != NULL)
		values[EXECUTED_REASON] = CStringGetTextDatum(outcome->reason);
	nulls[EXECUTED_DETAIL] = outcome->detail == NULL;
	if (outcome->detail != NULL)
		values[EXECUTED_DETAIL] = CStringGetTextDatum(outcome->detail);
	values[EXECUTED_IDS] = outcome->ids;
	nulls[EXECUTED_IDS] = outcome->ids == (Datum) 0;
	values[EXECUTED_POSITIONS] = outcome->positions;
	nulls[EXECUTED_POSITIONS] = outcome->positions == (Datum) 0;
	values[EXECUTED_ATTEMPTS] = Int32GetDatum(outcome->attempts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

/* check_writer refuses a caller who may not append; what came of a run is told, and kept, only to those who might have appended it. */
static void
check_writer(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);

	f6_event_check_writer(event);
	table_close(event, AccessShareLock);
}

/* execute executes a command, unless it was run under the key before. */
static void
execute(execution *run, const char *key)
{
	const char *name = run->command->name;

	f6_command_check_privileges(run->command);
	if (key != NULL)
		check_writer();
	if (key != NULL && !run->dry_run)
	{
		f6_lock_command_run(name, key);
		/* Others may have changed it while that was waited for. */
		run->command = f6_command_get(name);
		f6_command_check_privileges(run->command);
	}
	if (key != NULL && f6_command_run_find(run->command->name, key, run->payload, &run->outcome))
		return;
	run_command(run);
	if (key != NULL && !run->dry_run)
		f6_command_run_keep(run->command->name, key, run->payload, &run->outcome);
}

/* f6_execute(name, payload, metadata, idempotency_key, dry_run) executes a command, and returns what came of it. */
Datum
f6_execute(PG_FUNCTION_ARGS)
{
	ErrorContextCallback context = { error_context_stack, describe, NULL };
	execution run = { 0 };
	TupleDesc descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
		descriptor->natts != EXECUTED_COLUMNS)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("f6_execute returns a row of f6.executed")));
	for (int i = 0; i < 2; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT),
							errmsg("%s must not be NULL", i == 0 ? "name" : "payload")));
	}
	PreventCommandIfParallelMode("f6_execute()");
	context.arg = text_to_cstring(PG_GETARG_TEXT_PP(0));
	error_context_stack = &context;
	run.payload = PG_GETARG_JSONB_P(1);
	run.metadata = read_metadata(fcinfo, 2);
	run.dry_run = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	if (!run.dry_run)
		PreventCommandIfReadOnly("f6_execute()");
	run.command = f6_command_get(context.arg);
	f6_command_begin();
	PG_TRY();
	{
		execute(&run, read_key(fcinfo, 3));
	}
	PG_FINALLY();
	{
		f6_command_end();
	}
	PG_END_TRY();
	error_context_stack = context.previous;
	PG_RETURN_DATUM(executed_row(descriptor, &run.outcome));
}
