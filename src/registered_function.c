/*
 * registered_function.c
 *		SQL functions of users: upcasters, folds and handlers of commands, which are immutable or stable, and handlers of events and reactions.
 *
 * What names them does so by their signature, which means the same after a dump and an upgrade of the server.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "f6.h"
#include "errors.h"
#include "registered_function.h"
#include "relation.h"

static uint64 function_generation = 0;

/* forget takes note that functions have changed. */
static void
forget(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	function_generation++;
}

/* f6_function_init readies this file; called once, when the library is loaded. */
void
f6_function_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
}

/* f6_function_generation returns a number that changes whenever functions may have. */
uint64
f6_function_generation(void)
{
	return function_generation;
}

/* f6_function_upcaster returns the role of functions that are upcasters. */
f6_function_role
f6_function_upcaster(void)
{
	f6_function_role role = { "upcaster",
							  "an upcaster",
							  "(jsonb) returns jsonb",
							  "It must take one jsonb and return one jsonb.",
							  1,
							  { JSONBOID },
							  JSONBOID,
							  false,
							  false,
							  InvalidOid };

	return role;
}

/* f6_function_fold returns the role of functions that are folds. */
f6_function_role
f6_function_fold(void)
{
	f6_function_role role = { "fold",
							  "a fold",
							  "(state jsonb, event f6.event) returns jsonb",
							  "It must take a jsonb and an f6.event and return one jsonb.",
							  2,
							  { JSONBOID },
							  JSONBOID,
							  false,
							  false,
							  InvalidOid };

	role.arguments[1] = get_rel_type_id(f6_relation_oid(F6_EVENT));
	return role;
}

/* f6_function_handler returns the role of functions that handle events. */
f6_function_role
f6_function_handler(void)
{
	f6_function_role role = { "handler",
							  "a handler",
							  "(event f6.event) returns void",
							  "It must take an f6.event and return void.",
							  1,
							  { InvalidOid },
							  VOIDOID,
							  true,
							  false,
							  InvalidOid };

	role.arguments[0] = get_rel_type_id(f6_relation_oid(F6_EVENT));
	return role;
}

/* f6_function_reaction returns the role of functions that react to events. */
f6_function_role
f6_function_reaction(void)
{
	f6_function_role role = { "handler",
							  "the handler of a reaction",
							  "(event f6.event) returns void, or jsonb",
							  "It must take an f6.event and return void, or events as jsonb.",
							  1,
							  { InvalidOid },
							  VOIDOID,
							  true,
							  false,
							  JSONBOID };

	role.arguments[0] = get_rel_type_id(f6_relation_oid(F6_EVENT));
	return role;
}

/* f6_function_due returns the role of functions that say when to react to an event. */
f6_function_role
f6_function_due(void)
{
	f6_function_role role = { "due",
							  "what says when a reaction is due",
							  "(event f6.event) returns timestamptz",
							  "It must take an f6.event and return a timestamptz.",
							  1,
							  { InvalidOid },
							  TIMESTAMPTZOID,
							  false,
							  false,
							  InvalidOid };

	role.arguments[0] = get_rel_type_id(f6_relation_oid(F6_EVENT));
	return role;
}

/* f6_function_command returns the role of functions that handle commands. */
f6_function_role
f6_function_command(void)
{
	f6_function_role role = { "handler",
							  "the handler of a command",
							  "(state jsonb, payload jsonb) returns jsonb",
							  "It must take two jsonb and return one jsonb.",
							  2,
							  { JSONBOID, JSONBOID },
							  JSONBOID,
							  false,
							  true,
							  InvalidOid };

	return role;
}

/* f6_function_context returns the role of functions that say on which events a command depends. */
f6_function_role
f6_function_context(void)
{
	f6_function_role role = { "context",
							  "the context of a command",
							  "(payload jsonb) returns jsonb",
							  "It must take one jsonb and return one jsonb.",
							  1,
							  { JSONBOID },
							  JSONBOID,
							  false,
							  false,
							  InvalidOid };

	return role;
}

/* has_shape tells whether a function takes and returns what its role asks for. */
static bool
has_shape(Form_pg_proc function, const f6_function_role *role)
{
	if (function->pronargs != role->argument_count || function->proretset ||
		(function->prorettype != role->result &&
		 (!OidIsValid(role->other_result) || function->prorettype != role->other_result)))
		return false;
	for (int i = 0; i < role->argument_count; i++)
	{
		if (function->proargtypes.values[i] != role->arguments[i])
			return false;
	}
	return true;
}

/* why_unfit returns what is wrong with a function in a role, NULL if it does for one. */
static const char *
why_unfit(Form_pg_proc function, const f6_function_role *role)
{
	if (function->prokind != PROKIND_FUNCTION)
		return "It is not an ordinary function.";
	if (!has_shape(function, role))
		return role->demand;
	if (function->provolatile == PROVOLATILE_VOLATILE && !role->has_effects)
		return "It is volatile, which is what a function is unless it says otherwise.";
	if (function->proisstrict && role->takes_null)
		return "It is strict, and so not called where there is no state yet.";
	if (isAnyTempNamespace(function->pronamespace))
		return "It is temporary.";
	return NULL;
}

/* check_function refuses a function that does not do for a role. */
static void
check_function(Oid function, const char *signature, const f6_function_role *role)
{
	HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	const char *reason;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for function %u", function);
	reason = why_unfit((Form_pg_proc) GETSTRUCT(row), role);
	ReleaseSysCache(row);
	if (reason != NULL)
		ereport(ERROR, (errcode(F6_ERR_BAD_FUNCTION),
						errmsg("function %s cannot be %s", signature, role->with_article),
						errdetail("%s", reason),
						errhint(role->has_effects
									? "It must be a function %s."
									: "It must be a function %s that is immutable or stable: the "
									  "same data gives the same result.",
								role->shape)));
}

/* f6_function_find returns the function with a signature; one that does not exist, or does not do for a role, is an error. */
Oid
f6_function_find(const char *signature, const f6_function_role *role)
{
	LOCAL_FCINFO(fcinfo, 1);
	Oid function = InvalidOid;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(signature);
	fcinfo->args[0].isnull = false;

	/* What is no signature, such as what no function is written as, is an error of syntax to some servers. */
	if (strchr(signature, '(') != NULL)
		function = DatumGetObjectId(to_regprocedure(fcinfo));
	if (fcinfo->isnull || !OidIsValid(function))
		ereport(ERROR,
				(errcode(F6_ERR_NO_FUNCTION),
				 errmsg("%s function %s does not exist", role->name, signature),
				 errhint("It is a function %s, and must stay where it is as long as it serves.",
						 role->shape)));
	check_function(function, signature, role);
	return function;
}

/* f6_function_signature returns a function's name with its schema and argument, as it is stored. */
char *
f6_function_signature(Oid function)
{
	return format_procedure_qualified(function);
}

/* f6_function_check_privilege refuses a caller who may not execute a function. */
void
f6_function_check_privilege(Oid function)
{
	if (!f6_may_execute(function))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function));
}
