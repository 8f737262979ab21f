/*
 * reaction_admin.c
 *		What is done about reactions: they are made, enabled and disabled, and run by who has no worker.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event_cause.h"
#include "own_statement.h"
#include "reaction.h"
#include "reaction_handler.h"
#include "reaction_turn.h"
#include "relation.h"
#include "spi_connection.h"
#include "uuid_array.h"
#include "waiting.h"

F6_FUNCTION(f6_make_reaction);
F6_FUNCTION(f6_enable_reaction);
F6_FUNCTION(f6_disable_reaction);
F6_FUNCTION(f6_run_reactions);

/* parameters of f6.make_reaction */
enum make_parameter
{
	MAKE_NAME,
	MAKE_HANDLER,
	MAKE_DUE,
	MAKE_DELAY,
	MAKE_ONLY_OBJECTS,
	MAKE_ENABLED,
	MAKE_TIMEOUT,
	MAKE_MAX_CHAIN,
	MAKE_PARAMETERS
};

/* check_objects refuses a list of objects that a reaction can't be about. */
static void
check_objects(Datum array)
{
	f6_uuids objects;

	f6_uuids_read(array, "only_objects", &objects);
	if (objects.count == 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("only_objects must not be empty"),
						errhint("A reaction that is about all objects has NULL.")));
}

/* check_maker refuses a caller who may not make reactions: they run in a process that all share. */
static void
check_maker(void)
{
	if (pg_class_aclcheck(f6_relation_oid(F6_REACTION_DEFINITION), GetUserId(), ACL_INSERT) !=
		ACLCHECK_OK)
		ereport(ERROR,
				(errcode(F6_ERR_NO_PRIVILEGE), errmsg("only who administers f6 may make reactions"),
				 errhint("Grant f6_admin to the role.")));
}

/* f6.make_reaction(name, handler, due, delay, only_objects, enabled, timeout, max_chain) makes a reaction of a subscription of the caller. */
Datum
f6_make_reaction(PG_FUNCTION_ARGS)
{
	Oid types[] = { TEXTOID,	  TEXTOID, TEXTOID,		INTERVALOID,
					UUIDARRAYOID, BOOLOID, INTERVALOID, INT4OID };
	Datum values[MAKE_PARAMETERS];
	char nulls[MAKE_PARAMETERS + 1] = "";

	check_maker();
	(void) f6_subscription_get(fcinfo);
	if (PG_ARGISNULL(MAKE_HANDLER))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("handler must not be NULL")));
	for (int i = 0; i < MAKE_PARAMETERS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	values[MAKE_HANDLER] =
		CStringGetTextDatum(f6_reaction_handler_name(TextDatumGetCString(values[MAKE_HANDLER])));
	if (nulls[MAKE_DUE] != 'n')
		values[MAKE_DUE] =
			CStringGetTextDatum(f6_reaction_due_name(TextDatumGetCString(values[MAKE_DUE])));
	if (nulls[MAKE_ONLY_OBJECTS] != 'n')
		check_objects(values[MAKE_ONLY_OBJECTS]);
	f6_spi_connect();
	f6_run_own_nulls("insert into f6.reaction_definition (subscription_id, handler, due, delay,"
					 " only_objects, enabled, timeout, max_chain, time_zone)"
					 " select subscription_id, $2, $3, $4, $5, $6, $7, $8,"
					 " current_setting('TimeZone') from f6.subscription_definition where name = $1",
					 MAKE_PARAMETERS, types, values, nulls, false);
	SPI_finish();
	f6_wake_at_end();
	PG_RETURN_VOID();
}

/* get_reaction returns the subscription of the reaction that a function's first argument names, which must be the caller's. */
static f6_subscription *
get_reaction(FunctionCallInfo fcinfo)
{
	f6_subscription *subscription = f6_subscription_get(fcinfo);

	if (f6_reaction_find(subscription->name) == NULL)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("subscription \"%s\" is no reaction", subscription->name),
						errhint("f6.reaction lists them.")));
	return subscription;
}

/* f6_enable_reaction(name, only_objects) has a reaction react, about all objects (NULL) or only some, from where it was. */
Datum
f6_enable_reaction(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = get_reaction(fcinfo);
	Oid types[] = { INT4OID, UUIDARRAYOID };
	Datum values[] = { Int32GetDatum(subscription->id), PG_ARGISNULL(1) ? 0 : PG_GETARG_DATUM(1) };

	if (!PG_ARGISNULL(1))
		check_objects(values[1]);
	f6_spi_connect();
	f6_run_own_nulls("update f6.reaction_definition set enabled = true, only_objects = $2"
					 " where subscription_id = $1",
					 lengthof(types), types, values, PG_ARGISNULL(1) ? " n" : "  ", false);
	SPI_finish();
	f6_wake_at_end();
	PG_RETURN_VOID();
}

/* f6_disable_reaction(name) has a reaction not react until it is enabled. */
Datum
f6_disable_reaction(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = get_reaction(fcinfo);
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(subscription->id) };

	f6_spi_connect();
	f6_run_own("update f6.reaction_definition set enabled = false where subscription_id = $1",
			   lengthof(types), types, values, false);
	SPI_finish();
	PG_RETURN_VOID();
}

/* own_reactions returns the names of the reactions that are the caller's, and enabled. */
static List *
own_reactions(void)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid types[] = { OIDOID };
	Datum values[] = { ObjectIdGetDatum(GetUserId()) };
	List *names = NIL;

	f6_spi_connect();
	f6_run_own("select s.name from f6.reaction_definition"
			   " join f6.subscription_definition as s using (subscription_id)"
			   " where enabled and pg_has_role($1, s.owner::oid, 'usage') order by subscription_id",
			   lengthof(types), types, values, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext connected = MemoryContextSwitchTo(caller);

		names = lappend(names, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		MemoryContextSwitchTo(connected);
	}
	SPI_finish();
	return names;
}

/* f6_run_reactions(name) has a reaction, or all of the caller's (NULL), react until nothing is left, and returns how often handlers have run. */
Datum
f6_run_reactions(PG_FUNCTION_ARGS)
{
	List *names;
	ListCell *cell;
	int64 runs = 0;
	int64 events;

	PreventCommandIfReadOnly("f6_run_reactions()");
	PreventCommandIfParallelMode("f6_run_reactions()");
	f6_subscription_check_snapshot();
	if (f6_cause_is_set())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a reaction cannot have reactions run")));
	names = PG_ARGISNULL(0) ? own_reactions() : list_make1(get_reaction(fcinfo)->name);
	do
	{
		events = 0;
		foreach (cell, names)
		{
			f6_reacted result = f6_reaction_turn(lfirst(cell), 0);

			runs += result.runs;
			events += result.events;
		}
	} while (events > 0);
	PG_RETURN_INT64(runs);
}
