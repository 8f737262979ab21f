/*
 * validate.c
 *		The SQL doors to the validator: f6_validate and f6_validation_errors.
 *
 * The program compiled last stays with the call site (fn_extra), in a memory context of its own, for as
 * long as the schema is the same.
 */
#include "postgres.h"

#include "funcapi.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_compile.h"
#include "schema_validate.h"

F6_FUNCTION(f6_validate);
F6_FUNCTION(f6_validation_errors);

/* What a call site keeps: the program, and the schema from which it was compiled. */
typedef struct f6_validate_cache
{
	MemoryContext context;
	struct varlena *schema; /* as it was given: it may be compressed */
	bool is_constant;		/* the call site can't give another schema */
	const f6_program *program;
} f6_validate_cache;

/* Tells whether the call's schema is a constant of the query, as in a CHECK constraint. */
static bool
schema_is_constant(const FmgrInfo *call_site)
{
	const FuncExpr *call = (const FuncExpr *) call_site->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(linitial(call->args), Const);
}

/* Compiles a schema into a new cache, which belongs to the call site once it is complete. */
static f6_validate_cache *
create_cache(FmgrInfo *call_site, struct varlena *schema)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 compiled schema", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_validate_cache *cache = palloc(sizeof(f6_validate_cache));
	Size size = VARSIZE_ANY(schema);

	cache->context = context;
	cache->is_constant = schema_is_constant(call_site);
	cache->schema = palloc_extended(size, MCXT_ALLOC_HUGE);
	memcpy(cache->schema, schema, size);
	MemoryContextSwitchTo(caller);

	schema = pg_detoast_datum(schema);
	MemoryContextSwitchTo(context);
	cache->program = f6_schema_compile((Jsonb *) schema, false);
	MemoryContextSwitchTo(caller);

	MemoryContextSetParent(context, call_site->fn_mcxt);
	return cache;
}

/*
 * Returns the compiled program of a schema: the call site's own if the schema is the same as in its
 * last call.
 */
static const f6_program *
program_of(FmgrInfo *call_site, Datum schema_datum)
{
	struct varlena *schema = (struct varlena *) DatumGetPointer(schema_datum);
	f6_validate_cache *cache = call_site->fn_extra;
	f6_validate_cache *stale = cache;

	if (cache != NULL && cache->is_constant)
		return cache->program;
	if (VARATT_IS_EXTERNAL(schema))
		schema = pg_detoast_datum(schema);
	if (cache != NULL && VARSIZE_ANY(cache->schema) == VARSIZE_ANY(schema) &&
		memcmp(cache->schema, schema, VARSIZE_ANY(schema)) == 0)
		return cache->program;

	cache = create_cache(call_site, schema);
	call_site->fn_extra = cache;
	if (stale != NULL)
		MemoryContextDelete(stale->context);
	return cache->program;
}

/* f6_validate(schema, data): tells whether the data is valid under the schema. */
Datum
f6_validate(PG_FUNCTION_ARGS)
{
	const f6_program *program = program_of(fcinfo->flinfo, PG_GETARG_DATUM(0));
	Jsonb *data = PG_GETARG_JSONB_P(1);
	JsonbValue instance;
	bool result;

	f6_jsonb_root(data, &instance);
	result = f6_schema_accepts(program, &instance);
	PG_FREE_IF_COPY(data, 1);
	PG_RETURN_BOOL(result);
}

/*
 * f6_validation_errors(schema, data): returns a row for each reason why the data is not valid under the
 * schema.
 */
Datum
f6_validation_errors(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const f6_program *program;
	JsonbValue instance;
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	program = f6_schema_compile(PG_GETARG_JSONB_P(0), false);
	f6_jsonb_root(PG_GETARG_JSONB_P(1), &instance);
	if (f6_schema_accepts(program, &instance))
		return (Datum) 0;

	foreach (cell, f6_schema_failures(program, &instance))
	{
		const f6_failure *failure = lfirst(cell);
		Datum values[4];
		bool nulls[4] = { false };

		values[0] = CStringGetTextDatum(failure->instance_location);
		values[1] = CStringGetTextDatum(failure->schema_location);
		values[2] = CStringGetTextDatum(failure->keyword);
		values[3] = CStringGetTextDatum(failure->message);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
