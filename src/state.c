/*
 * state.c
 *		The state that claims make: their data, in the versions to read, folded in their order.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "f6.h"
#include "acting.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "state.h"

/* row_of returns the row of a claim as it counts: restated, and in the version to read. */
static HeapTuple
row_of(const f6_claim *claim, const char *version, Jsonb *data, TupleDesc descriptor)
{
	int columns[] = { F6_EVENT_OCCURRED_AT, F6_EVENT_EVENT_VERSION, F6_EVENT_DATA };
	Datum values[] = { TimestampTzGetDatum(claim->occurred_at), CStringGetTextDatum(version),
					   JsonbPGetDatum(data) };
	bool nulls[lengthof(columns)] = { false };
	HeapTupleData stored = { .t_data = claim->row,
							 .t_len = HeapTupleHeaderGetDatumLength(claim->row) };

	ItemPointerSetInvalid(&stored.t_self);
	return heap_modify_tuple_by_cols(&stored, descriptor, lengthof(columns), columns, values,
									 nulls);
}

/* f6_claim_row returns the row of a claim as it counts, with its data in the version to read, as a value of type f6.event. */
Datum
f6_claim_row(f6_claim_types *types, const f6_claim *claim, Jsonb *data)
{
	f6_upcast *upcast = f6_claim_upcast(types, claim->type);
	TupleDesc descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(claim->row),
												  HeapTupleHeaderGetTypMod(claim->row));
	const char *version = upcast != NULL ? f6_upcast_version(upcast) : claim->type->event_version;
	Datum row = heap_copy_tuple_as_datum(row_of(claim, version, data, descriptor), descriptor);

	ReleaseTupleDesc(descriptor);
	return row;
}

/* f6_claim_data returns the data of a claim in the version to read: a copy, or the claim's own. */
Jsonb *
f6_claim_data(f6_claim_types *types, const f6_claim *claim)
{
	f6_upcast *upcast = f6_claim_upcast(types, claim->type);

	return upcast != NULL ? f6_upcast_data(upcast, &claim->id, claim->data) : claim->data;
}

/* f6_state_fold folds a claim into a state.  What it leaves in the current memory context may be freed afterwards. */
void
f6_state_fold(f6_fold *fold, f6_claim_types *types, const f6_claim *claim)
{
	f6_fold_handler *handler = f6_claim_handler(claim->type);
	f6_fold_event event = { .row_type = InvalidOid };
	Jsonb *data;

	if (handler != NULL && handler->way == F6_FOLD_NOTHING)
		return;
	data = f6_claim_data(types, claim);
	f6_jsonb_root(data, &event.data);
	if (handler == NULL)
		f6_fold_merge(fold, &event.data);
	else
	{
		if (handler->needs_row)
		{
			event.row = f6_claim_row(types, claim, data);
			event.row_type = HeapTupleHeaderGetTypeId(DatumGetHeapTupleHeader(event.row));
		}
		f6_fold_apply(fold, handler, &event);
	}
	if (data != claim->data)
		pfree(data);
}

/*
 * f6_state_of_claims returns the state that claims make of the given one, or of nothing (NULL), in the current memory context;
 * NULL for none.
 */
Jsonb *
f6_state_of_claims(Jsonb *start, const f6_claims *claims)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working = AllocSetContextCreate(caller, "f6 fold", ALLOCSET_DEFAULT_SIZES);
	MemoryContext claim = AllocSetContextCreate(working, "f6 fold claim", ALLOCSET_DEFAULT_SIZES);
	f6_fold *fold;
	Jsonb *state;

	fold = f6_fold_begin(working);
	if (start != NULL)
		f6_fold_resume(fold, start);
	MemoryContextSwitchTo(claim);
	for (uint64 i = 0; i < claims->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		f6_state_fold(fold, claims->types, &claims->claims[i]);
		MemoryContextReset(claim);
	}
	MemoryContextSwitchTo(caller);
	state = f6_fold_result(fold);
	MemoryContextDelete(working);
	return state;
}

/* f6_state_of returns the state that answers a question, in the current memory context; NULL where nothing is known. */
Jsonb *
f6_state_of(const f6_question *question)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working = AllocSetContextCreate(caller, "f6 state", ALLOCSET_DEFAULT_SIZES);
	f6_claims *claims;
	Jsonb *state;

	MemoryContextSwitchTo(working);
	claims = f6_claims_asof(question);
	MemoryContextSwitchTo(caller);
	state = f6_state_of_claims(NULL, claims);
	MemoryContextDelete(working);
	return state;
}

/* compare_positions compares two claims by their positions, for qsort. */
static int
compare_positions(const void *a, const void *b)
{
	const f6_claim *first = a;
	const f6_claim *second = b;

	return first->position < second->position ? -1 : first->position > second->position;
}

/*
 * f6_state_by_position returns the state that a program makes of the claims among the events at some positions, as the corrections among
 * them restate these, in the order of positions; NULL where there are none.
 */
Jsonb *
f6_state_by_position(Datum positions, f6_fold_program *program)
{
	f6_question question = { .valid_at = DT_NOEND,
							 .known_at = DT_NOEND,
							 .with_data = true,
							 .with_row = f6_fold_program_needs_row(program),
							 .program = program,
							 .positions = positions };
	f6_claims *claims = f6_claims_asof(&question);
	f6_acting before;
	Jsonb *state;

	qsort(claims->claims, claims->count, sizeof(f6_claim), compare_positions);
	if (f6_fold_program_is_declared(program))
		return f6_state_of_claims(NULL, claims);
	GetUserIdAndSecContext(&before.user, &before.security);
	f6_act_by_settings(NULL, &before);
	state = f6_state_of_claims(NULL, claims);
	f6_act_end(&before);
	return state;
}

/* f6_state_of_events returns the state that the events at some positions make, NULL where there are none. */
Jsonb *
f6_state_of_events(Datum positions)
{
	f6_question question = {
		.valid_at = DT_NOEND, .known_at = DT_NOEND, .with_data = true, .positions = positions
	};

	return f6_state_of(&question);
}
