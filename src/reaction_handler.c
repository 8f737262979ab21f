/*
 * reaction_handler.c
 *		The functions that make a reaction: its handler, and the one that says when.
 *
 * They run as the reaction's owner, as what maintains an index does, and a handler no longer than it may.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "append.h"
#include "command_answer.h"
#include "errors.h"
#include "event_cause.h"
#include "reaction_handler.h"
#include "registered_function.h"
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
	*due_at = DatumGetTimestampTz(call(&reaction->due, event->row, &isnull));
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

/* append appends what a handler has decided, and returns the positions, an array. */
static Datum
append(Datum decision)
{
	f6_condition condition = { .is_given = false };
	f6_answer answer;
	Datum *ids;
	Datum *positions;
	int count;

	f6_answer_read(&answer, DatumGetJsonbP(decision));
	if (answer.events == NULL)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("a reaction cannot reject an event"),
						errdetail("Its handler returned the rejection \"%s\".", answer.reason),
						errhint("It returns events to append, or NULL for none; an error has the "
								"event be handled again.")));
	count = f6_append_document(answer.events, &condition, &ids, &positions);
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
	result = call(&reaction->handler, event->row, &isnull);
	if (isnull || get_func_rettype(reaction->handler.fn_oid) == VOIDOID)
		return (Datum) 0;
	return append(result);
}

/* begin_timeout has what is done be cancelled after some time, unless that of the session's own statement runs; it tells whether it does. */
static bool
begin_timeout(int milliseconds)
{
	if (get_timeout_active(STATEMENT_TIMEOUT))
		return false;
	enable_timeout_after(STATEMENT_TIMEOUT, milliseconds);
	return true;
}

/* end_timeout ends that. */
static void
end_timeout(bool is_begun)
{
	if (!is_begun)
		return;
	disable_timeout(STATEMENT_TIMEOUT, false);
	/* It may have come a moment after what was to be cancelled. */
	if (get_timeout_indicator(STATEMENT_TIMEOUT, true))
		QueryCancelPending = false;
}

/*
 * f6_reaction_handle has a reaction's handler take an event, and appends what it returns: because of that event.  It returns the positions, an array, or 0
 * for none; who acts is its owner.
 */
Datum
f6_reaction_handle(f6_reaction *reaction, const f6_reaction_event *event)
{
	f6_cause cause = { reaction->subscription->name, event->id, event->metadata, GetUserId() };
	const f6_cause *before = f6_cause_set(&cause);
	bool is_limited = begin_timeout(reaction->timeout);
	Datum positions = (Datum) 0;

	PG_TRY();
	{
		positions = handle(reaction, event);
	}
	PG_FINALLY();
	{
		end_timeout(is_limited);
		(void) f6_cause_set(before);
	}
	PG_END_TRY();
	return positions;
}
