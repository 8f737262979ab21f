/*
 * upcast_function.c
 *		SQL functions that serve as upcasters: (jsonb) -> jsonb, immutable or stable.
 *
 * The registry names them by their signature, which means the same after a dump and an upgrade of the server.
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
#include "upcast_function.h"

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

/* f6_upcast_function_init readies this file; called once, when the library is loaded. */
void
f6_upcast_function_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
}

/* f6_upcast_function_generation returns a number that changes whenever functions may have. */
uint64
f6_upcast_function_generation(void)
{
	return function_generation;
}

/* why_unfit returns what is wrong with a function as an upcaster, NULL if it does for one. */
static const char *
why_unfit(Form_pg_proc function)
{
	if (function->prokind != PROKIND_FUNCTION)
		return "It is not an ordinary function.";
	if (function->pronargs != 1 || function->proargtypes.values[0] != JSONBOID ||
		function->prorettype != JSONBOID || function->proretset)
		return "It must take one jsonb and return one jsonb.";
	if (function->provolatile == PROVOLATILE_VOLATILE)
		return "It is volatile, which is what a function is unless it says otherwise.";
	if (isAnyTempNamespace(function->pronamespace))
		return "It is temporary.";
	return NULL;
}

/* check_function refuses a function that does not do for an upcaster. */
static void
check_function(Oid function, const char *signature)
{
	HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	const char *reason;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for function %u", function);
	reason = why_unfit((Form_pg_proc) GETSTRUCT(row));
	ReleaseSysCache(row);
	if (reason != NULL)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_FUNCTION),
				 errmsg("function %s cannot be an upcaster", signature), errdetail("%s", reason),
				 errhint("An upcaster is a function (jsonb) returns jsonb that is immutable or "
						 "stable: the same data gives the same result.")));
}

/* f6_upcast_function_find returns the function with a signature; one that does not exist, or does not do, is an error. */
Oid
f6_upcast_function_find(const char *signature)
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
		ereport(ERROR, (errcode(F6_ERR_NO_FUNCTION),
						errmsg("upcaster function %s does not exist", signature),
						errhint("It must have one argument of type jsonb, and stay where it is as "
								"long as the upcaster does.")));
	check_function(function, signature);
	return function;
}

/* f6_upcast_function_signature returns a function's name with its schema and argument, as it is stored. */
char *
f6_upcast_function_signature(Oid function)
{
	return format_procedure_qualified(function);
}

/* f6_upcast_function_check_privilege refuses a caller who may not execute a function. */
void
f6_upcast_function_check_privilege(Oid function)
{
	if (!f6_may_execute(function))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function));
}
