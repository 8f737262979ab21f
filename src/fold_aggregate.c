/*
 * fold_aggregate.c
 *		f6_fold: folding the events of a query into a state, as an aggregate.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"
#include "fold.h"
#include "jsonb_walk.h"
#include "projection.h"
#include "relation.h"
#include "upcast.h"
#include "uuid.h"

F6_FUNCTION(f6_fold_step);
F6_FUNCTION(f6_fold_step_named);
F6_FUNCTION(f6_fold_final);

/* What the groups of an aggregate share: it is the call site's. */
typedef struct fold_site
{
	FmgrInfo upcasts; /* the call site of upcasting */
	MemoryContext row;
	MemoryContext program_context;
	bool has_program;
	Jsonb *document; /* of the program, NULL for none */
	text *named;	 /* what it was named or written by, NULL where it was given as a document */
	uint64 hash;	 /* of the document, 0 for none */
	f6_fold_program *program;
} fold_site;

/* A group, and its fold. */
typedef struct fold_group
{
	f6_fold *fold;
	uint64 hash; /* of the document that it is folded by, 0 for none */
} fold_group;

/* site_of returns what the groups of an aggregate share. */
static fold_site *
site_of(FmgrInfo *call)
{
	fold_site *site = call->fn_extra;

	if (site != NULL)
		return site;
	site = MemoryContextAllocZero(call->fn_mcxt, sizeof(fold_site));
	site->upcasts.fn_mcxt = call->fn_mcxt;
	site->row = AllocSetContextCreate(call->fn_mcxt, "f6 fold row", ALLOCSET_DEFAULT_SIZES);
	site->program_context =
		AllocSetContextCreate(call->fn_mcxt, "f6 fold program", ALLOCSET_DEFAULT_SIZES);
	call->fn_extra = site;
	return site;
}

/* is_same_document tells whether two folds, NULL for none, are the same to the byte. */
static bool
is_same_document(const Jsonb *one, const Jsonb *other)
{
	if (one == NULL || other == NULL)
		return one == other;
	return VARSIZE(one) == VARSIZE(other) && memcmp(one, other, VARSIZE(one)) == 0;
}

/* document_hash returns a hash of a fold, 0 for none. */
static uint64
document_hash(const Jsonb *document)
{
	return document == NULL
			   ? 0
			   : hash_bytes_extended((const unsigned char *) document, (int) VARSIZE(document), 1);
}

/* ready_program compiles a fold, unless it is the one that was compiled before. */
static void
ready_program(fold_site *site, const Jsonb *document)
{
	MemoryContext caller;

	if (site->has_program && site->named == NULL && is_same_document(site->document, document))
		return;
	site->has_program = false;
	MemoryContextReset(site->program_context);
	caller = MemoryContextSwitchTo(site->program_context);
	site->document =
		document == NULL ? NULL : memcpy(palloc(VARSIZE(document)), document, VARSIZE(document));
	site->hash = document_hash(document);
	site->named = NULL;
	site->program = f6_fold_program_compile(site->document);
	site->has_program = true;
	MemoryContextSwitchTo(caller);
}

/* is_json tells whether a text is a fold as JSON, and not the name of a projection. */
static bool
is_json(const char *text)
{
	while (isspace((unsigned char) *text))
		text++;
	return *text == '{' || *text == '"' || *text == '[';
}

/* program_of returns the program of a projection, in the current memory context. */
static f6_fold_program *
program_of(const char *name)
{
	const f6_projection *projection = f6_projection_get(name);
	f6_fold_program *program;
	f6_acting before;

	if (projection->handler_text != NULL)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("projection \"%s\" has no fold", name),
						errdetail("It has a handler.")));
	f6_projection_act(projection, &before);
	program = f6_projection_program(projection);
	f6_act_end(&before);
	return program;
}

/* ready_named compiles a fold that is written as text, or that of the projection which this names, unless it is the one of before. */
static void
ready_named(fold_site *site, const text *named)
{
	MemoryContext caller;
	char *name;

	if (site->has_program && site->named != NULL && VARSIZE(site->named) == VARSIZE(named) &&
		memcmp(site->named, named, VARSIZE(named)) == 0)
		return;
	site->has_program = false;
	MemoryContextReset(site->program_context);
	caller = MemoryContextSwitchTo(site->program_context);
	site->named = memcpy(palloc(VARSIZE(named)), named, VARSIZE(named));
	site->hash = hash_bytes_extended((const unsigned char *) named, (int) VARSIZE(named), 2);
	name = text_to_cstring(named);
	site->program = is_json(name) ? f6_fold_program_compile(DatumGetJsonbP(
										DirectFunctionCall1(jsonb_in, CStringGetDatum(name))))
								  : program_of(name);
	site->has_program = true;
	MemoryContextSwitchTo(caller);
}

/* begin_group begins the fold of a group. */
static fold_group *
begin_group(MemoryContext context, uint64 hash)
{
	fold_group *group = MemoryContextAlloc(context, sizeof(fold_group));

	group->fold = f6_fold_begin(context);
	group->hash = hash;
	return group;
}

/* describe says of an error which event was being folded, if it has an id. */
static void
describe(void *id)
{
	if (id != NULL)
		errcontext("fold of event %s", f6_uuid_text(id));
}

/* check_row refuses a row that lacks what every event has, and a table whose columns somebody has changed. */
static void
check_row(HeapTuple row, TupleDesc descriptor)
{
	f6_event_check_columns(descriptor);
	if (heap_attisnull(row, F6_EVENT_EVENT_TYPE, descriptor) ||
		heap_attisnull(row, F6_EVENT_EVENT_VERSION, descriptor) ||
		heap_attisnull(row, F6_EVENT_EVENT_KIND, descriptor) ||
		heap_attisnull(row, F6_EVENT_DATA, descriptor))
		ereport(ERROR,
				(errcode(F6_ERR_NULL_ARGUMENT),
				 errmsg("an event to fold has a type, a version, a kind and data"),
				 errhint("Give rows of f6.event: select f6_fold(e order by e.\"position\") from "
						 "f6.event as e.")));
}

/* column returns a column of an event, which has one. */
static Datum
column(HeapTuple row, TupleDesc descriptor, int number)
{
	bool isnull;

	return heap_getattr(row, number, descriptor, &isnull);
}

/* is_skipped tells whether a fold takes an event as not there. */
static bool
is_skipped(const fold_site *site, HeapTuple row, TupleDesc descriptor)
{
	return !heap_attisnull(row, F6_EVENT_POSITION_COLUMN, descriptor) &&
		   f6_fold_program_skips(site->program,
								 DatumGetInt64(column(row, descriptor, F6_EVENT_POSITION_COLUMN)));
}

/* handler_of returns what a fold does with an event; corrections and validations say something about events, and nothing to a fold. */
static f6_fold_handler *
handler_of(fold_site *site, HeapTuple row, TupleDesc descriptor)
{
	Oid kind = DatumGetObjectId(column(row, descriptor, F6_EVENT_EVENT_KIND));

	if (kind != f6_event_kind_oid(F6_CLAIM) || is_skipped(site, row, descriptor))
		return NULL;
	return f6_fold_program_handler(
		site->program, TextDatumGetCString(column(row, descriptor, F6_EVENT_EVENT_TYPE)));
}

/* apply folds an event by its handler, in the version to read. */
static void
apply(fold_site *site, f6_fold *fold, f6_fold_handler *handler, HeapTuple row, TupleDesc descriptor)
{
	f6_fold_event event = { .row_type = descriptor->tdtypeid };
	HeapTuple upcast = f6_upcast_row(&site->upcasts, row, descriptor, NULL);
	HeapTuple read = upcast != NULL ? upcast : row;
	Jsonb *data = DatumGetJsonbP(column(read, descriptor, F6_EVENT_DATA));

	f6_jsonb_root(data, &event.data);
	if (handler->needs_row)
		event.row = heap_copy_tuple_as_datum(read, descriptor);
	f6_fold_apply(fold, handler, &event);
}

/* fold_row folds an event into the state of a group; errors that come of it say which event it was. */
static void
fold_row(fold_site *site, fold_group *group, HeapTupleHeader given)
{
	TupleDesc descriptor =
		lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(given), HeapTupleHeaderGetTypMod(given));
	HeapTupleData row = { .t_len = HeapTupleHeaderGetDatumLength(given), .t_data = given };
	ErrorContextCallback context = { error_context_stack, describe, NULL };
	f6_fold_handler *handler;

	ItemPointerSetInvalid(&row.t_self);
	check_row(&row, descriptor);
	handler = handler_of(site, &row, descriptor);
	if (handler != NULL && handler->way != F6_FOLD_NOTHING)
	{
		if (!heap_attisnull(&row, F6_EVENT_ID, descriptor))
			context.arg = DatumGetUUIDP(column(&row, descriptor, F6_EVENT_ID));
		error_context_stack = &context;
		apply(site, group->fold, handler, &row, descriptor);
		error_context_stack = context.previous;
	}
	ReleaseTupleDesc(descriptor);
}

/* step folds the next event of a group, if there is one, by the program that is ready. */
static fold_group *
step(fold_site *site, FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext caller;
	fold_group *group =
		PG_ARGISNULL(0) ? begin_group(context, site->hash) : (fold_group *) PG_GETARG_POINTER(0);

	if (group->hash != site->hash)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("the fold must be the same for all events of a group"),
						errhint("Give a constant, or group by what it depends on.")));
	if (PG_ARGISNULL(1))
		return group;
	caller = MemoryContextSwitchTo(site->row);
	fold_row(site, group, PG_GETARG_HEAPTUPLEHEADER(1));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(site->row);
	return group;
}

/* context_of returns the memory context of the aggregate that calls a function. */
static MemoryContext
context_of(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "f6.fold_step was called outside an aggregate");
	return context;
}

/* f6.fold_step(group, event, fold) folds the next event of a group. */
Datum
f6_fold_step(PG_FUNCTION_ARGS)
{
	MemoryContext context = context_of(fcinfo);
	fold_site *site = site_of(fcinfo->flinfo);

	ready_program(site, PG_NARGS() < 3 || PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	PG_RETURN_POINTER(step(site, fcinfo, context));
}

/* f6.fold_step(group, event, fold) does so with a fold that is written as text, or a projection's, which this names. */
Datum
f6_fold_step_named(PG_FUNCTION_ARGS)
{
	MemoryContext context = context_of(fcinfo);
	fold_site *site = site_of(fcinfo->flinfo);

	if (PG_ARGISNULL(2))
		ready_program(site, NULL);
	else
		ready_named(site, PG_GETARG_TEXT_P(2));
	PG_RETURN_POINTER(step(site, fcinfo, context));
}

/* f6.fold_final(group) returns the state; NULL where there is none. */
Datum
f6_fold_final(PG_FUNCTION_ARGS)
{
	fold_group *group = PG_ARGISNULL(0) ? NULL : (fold_group *) PG_GETARG_POINTER(0);
	Jsonb *state = group == NULL ? NULL : f6_fold_result(group->fold);

	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(state);
}
