/*
 * fold.c
 *		Folding events into a state, on a mutable tree.
 *
 * Patches and rules change the tree in place, and it is written out as jsonb only when the result is asked for, so a fold costs what
 * its events cost, whatever the size of the state.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "acting.h"
#include "fold.h"
#include "json_tree.h"
#include "jsonb_walk.h"

struct f6_fold
{
	MemoryContext context; /* holds the tree, and maybe many others */
	bool exists;		   /* is there a state? */
	f6_tree_node root;
	Jsonb *returned; /* by a function: what the tree refers to; NULL: nothing */
};

/* Begins a fold from nothing; it lives in the given context, and ends with it. */
f6_fold *
f6_fold_begin(MemoryContext context)
{
	f6_fold *fold = MemoryContextAllocZero(context, sizeof(f6_fold));

	fold->context = context;
	return fold;
}

/* Goes on from a state, which must last as long as the fold; nothing has been merged yet. */
void
f6_fold_resume(f6_fold *fold, Jsonb *state)
{
	JsonbValue root;

	f6_jsonb_root(state, &root);
	f6_tree_refer(&fold->root, &root);
	fold->exists = true;
}

/* Merges a patch into the state.  The patch may be freed afterwards. */
void
f6_fold_merge(f6_fold *fold, const JsonbValue *patch)
{
	f6_tree_merge(fold->context, &fold->root, patch);
	fold->exists = true;
}

/* replace puts what a function has returned in the place of the state; NULL for none. */
static void
replace(f6_fold *fold, Jsonb *state)
{
	Jsonb *before = fold->returned;
	JsonbValue root;

	f6_tree_clear(&fold->root);
	fold->returned = NULL;
	fold->exists = state != NULL;
	if (state != NULL)
	{
		fold->returned = MemoryContextAllocHuge(fold->context, VARSIZE(state));
		memcpy(fold->returned, state, VARSIZE(state));
		f6_jsonb_root(fold->returned, &root);
		f6_tree_refer(&fold->root, &root);
	}
	if (before != NULL)
		pfree(before);
}

/* invoke calls a function; if it is running already, because it asks for a state itself, as if it were another. */
static Datum
invoke(f6_fold_handler *handler, FunctionCallInfo fcinfo)
{
	FmgrInfo another;
	Datum state;

	if (handler->is_running)
	{
		fmgr_info_copy(&another, &handler->function, CurrentMemoryContext);
		fcinfo->flinfo = &another;
		return FunctionCallInvoke(fcinfo);
	}
	handler->is_running = true;
	state = FunctionCallInvoke(fcinfo);
	handler->is_running = false;
	return state;
}

/* invoke_as_owner calls a function as the owner of the projection that it is of; who maintains that is acting so already. */
static Datum
invoke_as_owner(f6_fold_handler *handler, FunctionCallInfo fcinfo)
{
	f6_acting before;
	Datum state;

	if (!OidIsValid(handler->owner) ||
		(InSecurityRestrictedOperation() && GetUserId() == handler->owner))
		return invoke(handler, fcinfo);
	f6_act_as(handler->owner, handler->time_zone, &before);
	state = invoke(handler, fcinfo);
	f6_act_end(&before);
	return state;
}

/* call lets a function make the next state; a strict one leaves a state as it is where there is none yet. */
static void
call(f6_fold *fold, f6_fold_handler *handler, const f6_fold_event *event)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum state;

	if (handler->function.fn_strict && !fold->exists)
		return;
	InitFunctionCallInfoData(*fcinfo, &handler->function, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].isnull = !fold->exists;
	fcinfo->args[0].value = fold->exists ? JsonbPGetDatum(f6_tree_write(&fold->root)) : (Datum) 0;
	fcinfo->args[1].isnull = false;
	fcinfo->args[1].value = event->row;
	state = invoke_as_owner(handler, fcinfo);
	replace(fold, fcinfo->isnull ? NULL : DatumGetJsonbP(state));
}

/* run lets rules change the state. */
static void
run(f6_fold *fold, const f6_fold_handler *handler, const f6_fold_event *event)
{
	f6_fold_input input = { .data = event->data, .row = event->row, .row_type = event->row_type };

	fold->exists = f6_rules_run(handler->rules, fold->context, &fold->root, fold->exists, &input);
	if (!fold->exists)
		replace(fold, NULL);
}

/* f6_fold_apply folds an event by its handler.  It leaves litter in the current memory context; the event may be freed afterwards. */
void
f6_fold_apply(f6_fold *fold, f6_fold_handler *handler, const f6_fold_event *event)
{
	switch (handler->way)
	{
		case F6_FOLD_NOTHING:
			break;
		case F6_FOLD_MERGE:
			f6_fold_merge(fold, &event->data);
			break;
		case F6_FOLD_RULES:
			run(fold, handler, event);
			break;
		case F6_FOLD_FUNCTION:
			call(fold, handler, event);
			break;
	}
}

/* Returns the state so far in the current memory context, or NULL when nothing was merged.  The fold may go on. */
Jsonb *
f6_fold_result(f6_fold *fold)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	Jsonb *written;
	Jsonb *result;

	if (!fold->exists)
		return NULL;

	scratch = AllocSetContextCreate(caller, "f6 fold result", ALLOCSET_START_SMALL_SIZES);
	MemoryContextSwitchTo(scratch);
	written = f6_tree_write(&fold->root);
	MemoryContextSwitchTo(caller);

	result = palloc(VARSIZE(written));
	memcpy(result, written, VARSIZE(written));
	MemoryContextDelete(scratch);
	return result;
}
