/*
 * fold_aggregate.c
 *		f6_fold: folding the events of a query into a state, as an aggregate.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "fold.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "upcast.h"
#include "uuid.h"

F6_FUNCTION(f6_fold_step);
F6_FUNCTION(f6_fold_final);

/* A fold that is under way in a group. */
typedef struct folding
{
	f6_fold *fold;
	f6_fold_program *program;
	Jsonb *document; /* of the program, NULL for none */
	MemoryContext row;
} folding;

/* same_document tells whether a program is the one that the group began with. */
static bool
same_document(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* begin begins the fold of a group. */
static folding *
begin(MemoryContext group, Jsonb *document)
{
	MemoryContext caller = MemoryContextSwitchTo(group);
	folding *result = palloc0(sizeof(folding));

	if (document != NULL)
		result->document = memcpy(palloc(VARSIZE(document)), document, VARSIZE(document));
	result->program = f6_fold_program_compile(result->document);
	result->fold = f6_fold_begin(group);
	result->row = AllocSetContextCreate(group, "f6 fold row", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(caller);
	return result;
}

/* describe says of an error which event was being folded. */
static void
describe(void *id)
{
	errcontext("fold of event %s", f6_uuid_text(id));
}

/* apply folds an event; errors that come of it say which it was. */
static void
apply(folding *folding, const f6_fold_event *event, pg_uuid_t *id)
{
	ErrorContextCallback context = { error_context_stack, describe, id };

	if (id != NULL)
		error_context_stack = &context;
	f6_fold_apply(folding->fold, folding->program, event);
	error_context_stack = context.previous;
}

/* check_row refuses a row that lacks what every event has. */
static void
check_row(HeapTuple row, TupleDesc descriptor)
{
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

/* fold_row folds an event; corrections and validations say something about events, and nothing to a fold. */
static void
fold_row(FunctionCallInfo fcinfo, folding *folding, HeapTupleHeader given)
{
	Oid row_type = HeapTupleHeaderGetTypeId(given);
	TupleDesc descriptor = lookup_rowtype_tupdesc(row_type, HeapTupleHeaderGetTypMod(given));
	HeapTupleData row = { .t_len = HeapTupleHeaderGetDatumLength(given), .t_data = given };
	f6_fold_event event = { .row_type = row_type };
	HeapTuple upcast;
	HeapTuple read;
	Datum kind;
	Datum id;
	Jsonb *data;
	bool isnull;
	bool has_no_id;

	ItemPointerSetInvalid(&row.t_self);
	check_row(&row, descriptor);
	upcast = f6_upcast_row(fcinfo->flinfo, &row, descriptor, NULL);
	read = upcast != NULL ? upcast : &row;
	id = heap_getattr(read, F6_EVENT_ID, descriptor, &has_no_id);
	kind = heap_getattr(read, F6_EVENT_EVENT_KIND, descriptor, &isnull);
	event.type = TextDatumGetCString(heap_getattr(read, F6_EVENT_EVENT_TYPE, descriptor, &isnull));
	data = DatumGetJsonbP(heap_getattr(read, F6_EVENT_DATA, descriptor, &isnull));
	if (DatumGetObjectId(kind) == f6_event_kind_oid(F6_CLAIM))
	{
		f6_jsonb_root(data, &event.data);
		if (f6_fold_program_needs_row(folding->program))
			event.row = upcast == NULL ? PointerGetDatum(given)
									   : heap_copy_tuple_as_datum(upcast, descriptor);
		apply(folding, &event, has_no_id ? NULL : DatumGetUUIDP(id));
	}
	ReleaseTupleDesc(descriptor);
}

/* f6.fold_step(folding, event, fold) folds the next event of a group. */
Datum
f6_fold_step(PG_FUNCTION_ARGS)
{
	MemoryContext group;
	MemoryContext caller;
	Jsonb *document = PG_NARGS() < 3 || PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	folding *folding;

	if (!AggCheckCallContext(fcinfo, &group))
		elog(ERROR, "f6.fold_step was called outside an aggregate");
	folding = PG_ARGISNULL(0) ? begin(group, document) : (void *) PG_GETARG_POINTER(0);
	if (!same_document(folding->document, document))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("the fold must be the same for all events of a group")));
	if (!PG_ARGISNULL(1))
	{
		caller = MemoryContextSwitchTo(folding->row);
		fold_row(fcinfo, folding, PG_GETARG_HEAPTUPLEHEADER(1));
		MemoryContextSwitchTo(caller);
		MemoryContextReset(folding->row);
	}
	PG_RETURN_POINTER(folding);
}

/* f6.fold_final(folding) returns the state; NULL where there is none. */
Datum
f6_fold_final(PG_FUNCTION_ARGS)
{
	folding *folding = PG_ARGISNULL(0) ? NULL : (void *) PG_GETARG_POINTER(0);
	Jsonb *state = folding == NULL ? NULL : f6_fold_result(folding->fold);

	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(state);
}
