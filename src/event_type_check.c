/*
 * event_type_check.c
 *		Which stored events would not pass a schema that is yet to be registered.
 *
 * The log is read by an ordinary query in the caller's name and snapshot, in the order of positions.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/uuid.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"
#include "event_type.h"
#include "guc.h"
#include "jsonb_walk.h"
#include "schema_validate.h"
#include "spi_connection.h"
#include "uuid.h"

F6_FUNCTION(f6_check_event_type);

/* Events that are fetched at a time. */
#define BATCH 1000

/* What is valid under a type: claims, and corrections that restate. */
#define CHECKED_EVENTS \
	"select e.event_version, e.\"position\", e.id, e.event_data from f6.event as e" \
	" where e.event_type operator(pg_catalog.=) $1" \
	" and ($2 is null or e.event_version operator(pg_catalog.=) $2)" \
	" and (e.event_kind operator(pg_catalog.=) 'claim'" \
	" or e.event_kind operator(pg_catalog.=) 'correction'" \
	" and e.event_data operator(pg_catalog.<>) 'null'::pg_catalog.jsonb)" \
	" order by e.\"position\""

/* columns of that query */
enum checked_column
{
	CHECKED_VERSION = 1,
	CHECKED_POSITION,
	CHECKED_ID,
	CHECKED_DATA
};

/* columns of the result */
enum check_column
{
	CHECK_VERSION,
	CHECK_EVENTS,
	CHECK_FAILING,
	CHECK_EXAMPLES,
	CHECK_COLUMNS
};

/* What was found out about the events of a version. */
typedef struct version_check
{
	char *event_version;
	int64 events;
	int64 failing;
	int shown;
	JsonbParseState *examples; /* an array that is yet to be ended */
	struct version_check *next;
} version_check;

/* A check while it goes on. */
typedef struct type_check
{
	const f6_program *program;
	int64 wanted; /* examples */
	MemoryContext context;
	version_check *versions; /* in the order of their first events */
} type_check;

/* begin_version returns a new version of a check, which stands last. */
static version_check *
begin_version(type_check *check, const char *event_version)
{
	MemoryContext caller = MemoryContextSwitchTo(check->context);
	version_check *version = palloc0(sizeof(version_check));
	version_check **place = &check->versions;

	version->event_version = pstrdup(event_version);
	pushJsonbValue(&version->examples, WJB_BEGIN_ARRAY, NULL);
	while (*place != NULL)
		place = &(*place)->next;
	*place = version;
	MemoryContextSwitchTo(caller);
	return version;
}

/* find_version returns what is known of a version. */
static version_check *
find_version(type_check *check, const char *event_version)
{
	version_check *version = check->versions;

	while (version != NULL && strcmp(version->event_version, event_version) != 0)
		version = version->next;
	return version != NULL ? version : begin_version(check, event_version);
}

/* push_text adds a member with a string to an object. */
static void
push_text(JsonbParseState **state, const char *key, const char *text)
{
	JsonbValue name = { .type = jbvString };
	JsonbValue value = { .type = jbvString };

	name.val.string.val = (char *) key;
	name.val.string.len = (int) strlen(key);
	value.val.string.val = pstrdup(text);
	value.val.string.len = (int) strlen(text);
	pushJsonbValue(state, WJB_KEY, &name);
	pushJsonbValue(state, WJB_VALUE, &value);
}

/* push_key adds the name of a member whose value follows. */
static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue name = { .type = jbvString };

	name.val.string.val = (char *) key;
	name.val.string.len = (int) strlen(key);
	pushJsonbValue(state, WJB_KEY, &name);
}

/* push_error adds a reason why data is not valid, as f6_validation_errors would give it. */
static void
push_error(void *argument, const f6_failure *failure)
{
	JsonbParseState **state = argument;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_text(state, "instance_location", failure->instance_location);
	push_text(state, "schema_location", failure->schema_location);
	push_text(state, "keyword", failure->keyword);
	push_text(state, "message", failure->message);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* add_example adds an event that would not pass to the examples of its version. */
static void
add_example(type_check *check, version_check *version, Datum id, Datum position,
			const JsonbValue *data)
{
	MemoryContext caller = MemoryContextSwitchTo(check->context);
	JsonbParseState **state = &version->examples;
	JsonbValue number = { .type = jbvNumeric };

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_text(state, "id", f6_uuid_text(DatumGetUUIDP(id)));
	number.val.numeric = int64_to_numeric(DatumGetInt64(position));
	push_key(state, "position");
	pushJsonbValue(state, WJB_VALUE, &number);
	push_key(state, "errors");
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	f6_schema_explain(check->program, data, F6_MAX_REPORTED_FAILURES, push_error, state);
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	version->shown++;
	MemoryContextSwitchTo(caller);
}

/* check_event counts an event, and takes note of it where it would not pass. */
static void
check_event(type_check *check, HeapTuple row, TupleDesc descriptor)
{
	bool isnull;
	version_check *version = find_version(
		check, TextDatumGetCString(SPI_getbinval(row, descriptor, CHECKED_VERSION, &isnull)));
	JsonbValue data;

	f6_jsonb_root(DatumGetJsonbP(SPI_getbinval(row, descriptor, CHECKED_DATA, &isnull)), &data);
	version->events++;
	if (f6_schema_accepts(check->program, &data))
		return;
	version->failing++;
	if (version->shown < check->wanted)
		add_example(check, version, SPI_getbinval(row, descriptor, CHECKED_ID, &isnull),
					SPI_getbinval(row, descriptor, CHECKED_POSITION, &isnull), &data);
}

/* check_events checks the events of a type, of one version or of all (NULL), inside an SPI connection. */
static void
check_events(type_check *check, Datum event_type, Datum event_version, bool all_versions)
{
	Oid types[] = { TEXTOID, TEXTOID };
	Datum values[] = { event_type, event_version };
	char nulls[] = { ' ', all_versions ? 'n' : ' ' };
	MemoryContext batch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 checked events", ALLOCSET_DEFAULT_SIZES);
	Portal portal =
		SPI_cursor_open_with_args(NULL, CHECKED_EVENTS, 2, types, values, nulls, true, 0);

	for (;;)
	{
		MemoryContext caller;

		SPI_cursor_fetch(portal, true, BATCH);
		if (SPI_processed == 0)
			break;
		caller = MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			CHECK_FOR_INTERRUPTS();
			check_event(check, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			MemoryContextReset(batch);
		}
		MemoryContextSwitchTo(caller);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
}

/* put_version adds what was found out about a version to the function's result. */
static void
put_version(ReturnSetInfo *result, version_check *version)
{
	Datum values[CHECK_COLUMNS];
	bool nulls[CHECK_COLUMNS] = { false };

	values[CHECK_VERSION] = CStringGetTextDatum(version->event_version);
	values[CHECK_EVENTS] = Int64GetDatum(version->events);
	values[CHECK_FAILING] = Int64GetDatum(version->failing);
	values[CHECK_EXAMPLES] =
		JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&version->examples, WJB_END_ARRAY, NULL)));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* required_argument refuses an argument that is NULL. */
static void
required_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", name)));
}

/* check_arguments refuses arguments that make no sense. */
static void
check_arguments(FunctionCallInfo fcinfo)
{
	char *event_type;

	required_argument(fcinfo, 0, "event_type");
	required_argument(fcinfo, 1, "schema");
	required_argument(fcinfo, 3, "examples");
	if (PG_GETARG_INT32(3) < 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("examples must not be negative")));
	event_type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(2))
		(void) f6_event_type_readable(event_type);
	else
		(void) f6_event_type_get(event_type, text_to_cstring(PG_GETARG_TEXT_PP(2)));
}

/*
 * f6_check_event_type(event_type, schema, event_version, examples, assert_format) returns, for each version, how many events
 * there are, how many of them would not pass the schema, and the first of these.
 */
Datum
f6_check_event_type(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	type_check check = { 0 };

	InitMaterializedSRF(fcinfo, 0);
	check_arguments(fcinfo);
	check.context = CurrentMemoryContext;
	check.wanted = PG_GETARG_INT32(3);
	check.program = f6_schema_compile(
		PG_GETARG_JSONB_P(1), PG_ARGISNULL(4) ? f6_assert_format_setting : PG_GETARG_BOOL(4));
	if (!PG_ARGISNULL(2))
		(void) begin_version(&check, text_to_cstring(PG_GETARG_TEXT_PP(2)));

	f6_event_check_table();
	f6_spi_connect();
	check_events(&check, PG_GETARG_DATUM(0), PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2),
				 PG_ARGISNULL(2));
	SPI_finish();

	for (version_check *version = check.versions; version != NULL; version = version->next)
		put_version(result, version);
	return (Datum) 0;
}
