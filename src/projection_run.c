/*
 * projection_run.c
 *		Taking events into a projection: by its fold, or by its handler.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"
#include "projection_fold.h"
#include "projection_key.h"
#include "projection_run.h"
#include "projection_source.h"
#include "relation.h"
#include "upcast.h"
#include "uuid.h"

/* How often, in events, somebody looks how much memory the rows take. */
#define EVENTS_PER_LOOK 256

/* How long, in milliseconds, a run goes on that is limited: others wait for its end, such as who drops the database. */
#define TIME_LIMIT 1000

/* The position of the event at which the outermost run was when an error was last described. */
static int64 run_at;

/* A run of a projection over the log. */
struct f6_projection_intake
{
	f6_projection *projection;
	f6_projection_fold *folding; /* NULL for a handler */
	MemoryContext event;		 /* emptied after each event that is handled */
	FmgrInfo upcasts;			 /* the call site of upcasting */
	FmgrInfo handler;			 /* that of the handler, which may append and so run once more */
	int64 taken;
	int64 position; /* of the event that was taken last */
	int64
		max_events; /* it takes at most so many, and not for long, if it may end before; 0: any number */
	TimestampTz began_at;
	bool is_part;		   /* may it end before, as when the rows are large? */
	int64 until;		   /* the position that it comes to */
	MemoryContext context; /* holds this, where it takes events as they are appended */
	f6_acting acting;
	bool is_held; /* are the rows locked? */
};

typedef f6_projection_intake run;

/* describe says of an error which event was being handled. */
static void
describe(void *id)
{
	errcontext("event %s", f6_uuid_text(id));
}

/* describe_run says of an error for which projection it was; the outermost run, whose event is to blame, is asked last. */
static void
describe_run(void *argument)
{
	const run *running = argument;

	run_at = running->position;
	errcontext("projection \"%s\"", running->projection->name);
}

/* handle lets a projection's handler take an event, in the version to read; it sees what the handling of others has done. */
static void
handle(run *run, Datum event)
{
	LOCAL_FCINFO(fcinfo, 1);
	MemoryContext caller = MemoryContextSwitchTo(run->event);
	ErrorContextCallback context = { error_context_stack, describe, NULL };
	bool isnull;

	context.arg =
		DatumGetUUIDP(GetAttributeByNum(DatumGetHeapTupleHeader(event), F6_EVENT_ID, &isnull));
	error_context_stack = &context;
	InitFunctionCallInfoData(*fcinfo, &run->handler, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].isnull = false;
	fcinfo->args[0].value = f6_upcast_datum(&run->upcasts, event);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) FunctionCallInvoke(fcinfo);
	PopActiveSnapshot();
	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(run->event);
}

/* is_full tells whether a run that may end before its last event is to do so. */
static bool
is_full(run *run)
{
	Size limit = (Size) maintenance_work_mem * 1024;

	if (run->max_events > 0 &&
		(run->taken >= run->max_events ||
		 TimestampDifferenceExceeds(run->began_at, GetCurrentTimestamp(), TIME_LIMIT)))
		return true;
	if (run->folding == NULL || run->taken % EVENTS_PER_LOOK != 0 ||
		!f6_projection_fold_is_large(run->folding, limit))
		return false;
	f6_projection_fold_write(run->folding);
	return true;
}

/* is_about tells whether a handler is about events like this one. */
static bool
is_about(const run *run, Datum event)
{
	bool isnull;
	Datum type = GetAttributeByNum(DatumGetHeapTupleHeader(event), F6_EVENT_EVENT_TYPE, &isnull);

	return f6_projection_takes(run->projection, TextDatumGetCString(type));
}

/* take takes the next event of the log, and tells whether to go on. */
static bool
take(void *state, Datum event)
{
	run *run = state;
	bool isnull;

	run->position = DatumGetInt64(
		GetAttributeByNum(DatumGetHeapTupleHeader(event), F6_EVENT_POSITION_COLUMN, &isnull));
	run->taken++;
	if (f6_projection_skips(run->projection, run->position))
		;
	else if (run->folding != NULL)
		f6_projection_fold_take(run->folding, event);
	else if (is_about(run, event))
		handle(run, event);
	if (!is_full(run) || !run->is_part)
		return true;
	run->until = run->position;
	return false;
}

/* check_reader refuses a projection whose owner, as who acts, may not read the log. */
static void
check_reader(const f6_projection *projection)
{
	Oid event = f6_relation_oid(F6_EVENT);

	if (pg_class_aclcheck(event, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(F6_ERR_NO_PRIVILEGE),
				 errmsg("the owner of projection \"%s\" may not read the log", projection->name),
				 errhint("Grant f6_reader to the owner, or drop the projection.")));
}

/* begin_run begins a run as the projection's owner, in the current memory context; acting: by the session's settings so far. */
static void
begin_run(run *run, f6_projection *projection, bool with_others, int64 until, f6_acting *acting)
{
	check_reader(projection);
	if (projection->handler_text == NULL)
		run->folding = f6_projection_fold_begin(projection, with_others, until, acting);
	else
	{
		f6_projection_settings(projection, acting);
		f6_projection_compile(projection);
		fmgr_info_copy(&run->handler, &projection->handler, CurrentMemoryContext);
	}
	run->event = AllocSetContextCreate(CurrentMemoryContext, "f6 handler", ALLOCSET_DEFAULT_SIZES);
	run->upcasts.fn_mcxt = CurrentMemoryContext;
}

/* run_log runs a projection over the log after a position, up to another. */
static void
run_log(run *run, f6_projection *projection, int64 after, int64 until, int64 max_events,
		bool is_part)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working =
		AllocSetContextCreate(caller, "f6 projection run", ALLOCSET_DEFAULT_SIZES);
	ErrorContextCallback context = { error_context_stack, describe_run, run };
	f6_acting before;

	memset(run, 0, sizeof(*run));
	run->projection = projection;
	MemoryContextSwitchTo(working);
	error_context_stack = &context;
	f6_projection_act(projection, &before);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	begin_run(run, projection, false, until, NULL);
	run->is_part = is_part;
	run->max_events = max_events;
	run->began_at = GetCurrentTimestamp();
	run->until = until;
	f6_source_read(projection, after, until, take, run);
	if (run->folding != NULL)
	{
		f6_projection_fold_write(run->folding);
		f6_projection_fold_end(run->folding);
	}
	PopActiveSnapshot();
	f6_act_end(&before);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
}

/*
 * f6_projection_run takes the events after a position, up to another, into a projection, where nobody else does so at the same time; all
 * of them are visible.  It returns how many they are.
 */
int64
f6_projection_run(f6_projection *projection, int64 after, int64 until)
{
	run run;

	run_log(&run, projection, after, until, 0, false);
	return run.taken;
}

/*
 * f6_projection_run_part does so until it has taken so many (0: any number), or its rows fill the memory that there is for them, and returns
 * the position that it has come to.
 */
int64
f6_projection_run_part(f6_projection *projection, int64 after, int64 until, int64 max_events,
					   int64 *taken)
{
	run run;

	run_log(&run, projection, after, until, max_events, true);
	*taken = run.taken;
	return run.until;
}

/* f6_projection_run_at returns the position of the event that was being taken in the last error: of the one to blame, if it was the only one. */
int64
f6_projection_run_at(void)
{
	return run_at;
}

/* f6_projection_run_forget forgets that. */
void
f6_projection_run_forget(void)
{
	run_at = 0;
}

/*
 * f6_projection_intake_begin begins to take events that are being appended into a projection, as others may do at the same time, in a child of the
 * current memory context.
 */
f6_projection_intake *
f6_projection_intake_begin(f6_projection *projection)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 projection run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	run *run = palloc0(sizeof(*run));
	ErrorContextCallback place = { error_context_stack, describe_run, run };

	run->projection = projection;
	run->context = context;
	error_context_stack = &place;
	f6_projection_act_as_user(projection, &run->acting);
	begin_run(run, projection, true, 0, &run->acting);
	f6_act_end(&run->acting);
	error_context_stack = place.previous;
	MemoryContextSwitchTo(caller);
	return run;
}

/* f6_projection_intake_of returns the projection of a run. */
const f6_projection *
f6_projection_intake_of(const f6_projection_intake *run)
{
	return run->projection;
}

/* lock_rows locks the rows that some events concern, in the order in which everybody does. */
static void
lock_rows(run *run, const Datum *events, int count)
{
	for (int i = 0; i < count; i++)
		f6_projection_fold_meet(run->folding, events[i]);
	f6_projection_fold_lock(run->folding, (Size) work_mem * 1024);
}

/*
 * f6_projection_intake_hold locks the rows that some events concern which are about to be appended, values of type f6.event, before they get their
 * places in the log: so their order there is that in which they come to a row.  It tells whether it may have run code of others.
 */
bool
f6_projection_intake_hold(f6_projection_intake *run, const Datum *events, int count)
{
	MemoryContext caller;
	ErrorContextCallback place = { error_context_stack, describe_run, run };
	bool runs_code;

	if (run->folding == NULL || f6_projection_key_needs_place(run->projection->key))
		return false;
	caller = MemoryContextSwitchTo(run->context);
	error_context_stack = &place;
	f6_projection_act_as_user(run->projection, &run->acting);
	f6_projection_fold_resume(run->folding, false);
	lock_rows(run, events, count);
	run->is_held = true;
	runs_code = run->acting.settings != 0;
	f6_act_end(&run->acting);
	error_context_stack = place.previous;
	MemoryContextSwitchTo(caller);
	return runs_code;
}

/* resume goes on as the projection's owner. */
static void
resume(run *run, bool are_rows_written)
{
	f6_projection_act_as_user(run->projection, &run->acting);
	if (run->folding == NULL)
		f6_projection_settings(run->projection, &run->acting);
	else
		f6_projection_fold_resume(run->folding, are_rows_written);
}

/* is_ordered tells whether events that are taken one after the other lock their rows in order: one claim does. */
static bool
is_ordered(const run *run, const Datum *events, int count)
{
	return run->is_held || (count == 1 && f6_projection_fold_is_claim(run->folding, events[0]));
}

/*
 * f6_projection_intake_take takes some events that have been appended; are_rows_written: code of others has run since rows were held.  It tells
 * whether it may have run any itself.
 */
bool
f6_projection_intake_take(f6_projection_intake *run, const Datum *events, int count,
						  bool are_rows_written)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	ErrorContextCallback place = { error_context_stack, describe_run, run };
	bool runs_code;

	error_context_stack = &place;
	resume(run, are_rows_written);
	if (run->folding != NULL && !is_ordered(run, events, count))
		lock_rows(run, events, count);
	for (int i = 0; i < count; i++)
		(void) take(run, events[i]);
	if (run->folding != NULL)
		f6_projection_fold_write(run->folding);
	runs_code = run->acting.settings != 0;
	f6_act_end(&run->acting);
	error_context_stack = place.previous;
	MemoryContextSwitchTo(caller);
	return runs_code;
}

/* f6_projection_intake_end ends a run. */
void
f6_projection_intake_end(f6_projection_intake *run)
{
	if (run->folding != NULL)
		f6_projection_fold_end(run->folding);
	MemoryContextDelete(run->context);
}
