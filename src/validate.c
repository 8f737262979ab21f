/*
 * validate.c
 *		The SQL doors to the validator: f6_validate and f6_validation_errors.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_cache.h"
#include "schema_validate.h"

F6_FUNCTION(f6_validate);
F6_FUNCTION(f6_validation_errors);

/* f6_validate(schema, data, assert_format): tells whether the data is valid under the schema. */
Datum
f6_validate(PG_FUNCTION_ARGS)
{
	const f6_program *program =
		f6_schema_cached(fcinfo->flinfo, PG_GETARG_DATUM(0), PG_GETARG_BOOL(2));
	f6_jsonb_room room;
	Jsonb *data = f6_jsonb_open(PG_GETARG_DATUM(1), &room);
	JsonbValue instance;
	bool result;

	f6_jsonb_root(data, &instance);
	result = f6_schema_accepts(program, &instance);
	f6_jsonb_close(data, PG_GETARG_DATUM(1), &room);
	PG_RETURN_BOOL(result);
}

/* Puts a failure into the result, as a row. */
static void
put_failure(void *argument, const f6_failure *failure)
{
	ReturnSetInfo *result = argument;
	Datum values[4];
	bool nulls[4] = { false };

	values[0] = CStringGetTextDatum(failure->instance_location);
	values[1] = CStringGetTextDatum(failure->schema_location);
	values[2] = CStringGetTextDatum(failure->keyword);
	values[3] = CStringGetTextDatum(failure->message);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * f6_validation_errors(schema, data, assert_format): returns a row for each reason why the data is not valid under the
 * schema.
 */
Datum
f6_validation_errors(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const f6_program *program;
	JsonbValue instance;

	InitMaterializedSRF(fcinfo, 0);
	program = f6_schema_cached(fcinfo->flinfo, PG_GETARG_DATUM(0), PG_GETARG_BOOL(2));
	f6_jsonb_root(PG_GETARG_JSONB_P(1), &instance);
	if (f6_schema_accepts(program, &instance))
		return (Datum) 0;

	f6_schema_explain(program, &instance, PG_UINT64_MAX, put_failure, result);
	return (Datum) 0;
}
