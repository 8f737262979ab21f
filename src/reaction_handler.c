/*
 * reaction_handler.c
 *		The functions that make a reaction: its handler, and the one that says when.
 *
 * They run as the reaction's owner, as what maintains an index does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "append.h"
#include "command_answer.h"
#include "errors.h"
#include "event_cause.h"
#include "jsonb_walk.h"
#include "reaction_handler.h"
#include "registered_function.h"
#include "upcast.h"
#include "uuid.h"

/* look_up returns the function of a name in a role, which who acts may execute. */
static Oid
look_up(const char *text, f6_function_role role)
{
	Oid function = f6_function_find(text, &role);

	f6_function_check_privilege(function);
	return function;
}

/* f6_reaction_handler_name returns the name, with its schema and argument, of a function that is to handle events. */
char *
f6_reaction_handler_name(const char *text)
{
	return f6_function_signature(look_up(text, f6_function_reaction()));
}

/* f6_reaction_due_name returns that of a function that is to say when; NULL for NULL. */
char *
f6_reaction_due_name(const char *text)
{
	return text == NULL ? NULL : f6_function_signature(look_up(text, f6_function_due()));
}

/* call has a function take an event, with a snapshot of its own, and returns what it does. */
static Datum
call(FmgrInfo *function, Datum event, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum result;

	InitFunctionCallInfoData(*fcinfo, function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = event;
	fcinfo->args[0].isnull = false;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	result = FunctionCallInvoke(fcinfo);
	PopActiveSnapshot();
	*isnull = fcinfo->isnull;
	return result;
}

/* due_of returns when the reaction's function says, or else when the event was recorded; false: never. */
static bool
due_of(f6_reaction *reaction, const f6_reaction_event *event, TimestampTz *due_at)
{
	bool isnull = false;

	*due_at = event->created_at;
	if (reaction->due_text == NULL)
		return true;
	if (!OidIsValid(reaction->due.fn_oid))
		fmgr_info_cxt(look_up(reaction->due_text, f6_function_due()), &reaction->due,
					  reaction->context);
	*due_at = DatumGetTimestampTz(
		call(&reaction->due, f6_upcast_datum(&reaction->upcasts, event->row), &isnull));
	return !isnull;
}

/* f6_reaction_due tells whether a reaction is to handle an event at all, and when; who acts is its owner. */
bool
f6_reaction_due(f6_reaction *reaction, const f6_reaction_event *event, TimestampTz *due_at)
{
	if (!due_of(reaction, event, due_at))
		return false;
	if (reaction->delay != NULL)
		*due_at = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														  TimestampTzGetDatum(*due_at),
														  PointerGetDatum(reaction->delay)));
	return !TIMESTAMP_IS_NOEND(*due_at);
}

/* check_decision refuses what are no events. */
static void
check_decision(Jsonb *decision)
{
	JsonbValue root;
	JsonbValue type;

	f6_jsonb_root(decision, &root);
	if (!f6_jsonb_is_array(&root) &&
		!(f6_jsonb_is_object(&root) && f6_jsonb_member(&root, "event_type", &type)))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("the handler returned no events"),
						errdetail("It returned %s.", f6_jsonb_type_name(&root)),
						errhint("It returns an array of events as f6_append takes them, one such "
								"event, or NULL where nothing is to be appended.")));
}

/* append appends what a handler has decided, and returns the positions, an array; 0: it was nothing. */
static Datum
append(Jsonb *decision)
{
	f6_condition condition = { .is_given = false };
	f6_answer answer;
	Datum *ids;
	Datum *positions;
	int count;

	check_decision(decision);
	f6_answer_read(&answer, decision);
	count = f6_append_document(answer.events, &condition, &ids, &positions);
	if (count == 0)
		return (Datum) 0;
	return PointerGetDatum(construct_array(positions, count, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* handle has the handler take an event, and appends what it returns; it returns the positions, an array, or 0 for none. */
static Datum
handle(f6_reaction *reaction, const f6_reaction_event *event)
{
	bool isnull;
	Datum result;

	if (!OidIsValid(reaction->handler.fn_oid))
		fmgr_info_cxt(look_up(reaction->handler_text, f6_function_reaction()), &reaction->handler,
					  reaction->context);
	result = call(&reaction->handler, f6_upcast_datum(&reaction->upcasts, event->row), &isnull);
	if (isnull || get_func_rettype(reaction->handler.fn_oid) == VOIDOID)
		return (Datum) 0;
	return append(DatumGetJsonbP(result));
}

/*
 * f6_reaction_handle has a reaction's handler take an event, and appends what it returns: because of that event.  It returns the positions, an array, or 0
 * for none; who acts is its owner.
 */
Datum
f6_reaction_handle(f6_reaction *reaction, const f6_reaction_event *event)
{
	/* The worker's own user says nothing. */
	f6_cause cause = { reaction->subscription->name, event->id, event->metadata,
					   MyBackendType == B_BG_WORKER ? GetUserId() : GetSessionUserId() };
	const f6_cause *before = f6_cause_set(&cause);
	Datum positions = (Datum) 0;

	PG_TRY();
	{
		positions = handle(reaction, event);
	}
	PG_FINALLY();
	{
		(void) f6_cause_set(before);
	}
	PG_END_TRY();
	return positions;
}
