/*
 * state.c
 *		The state that claims make: their data, in the versions to read, folded in their order.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "state.h"

/* f6_state_merge merges a claim into a state. */
void
f6_state_merge(f6_fold *fold, f6_claim_types *types, const f6_claim *claim)
{
	f6_upcast *upcast = f6_claim_upcast(types, claim->type);
	Jsonb *data = claim->data;
	JsonbValue patch;

	if (upcast != NULL)
		data = f6_upcast_data(upcast, &claim->id, data);
	f6_jsonb_root(data, &patch);
	f6_fold_merge(fold, &patch);
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
	f6_fold *fold;
	Jsonb *state;

	MemoryContextSwitchTo(working);
	fold = f6_fold_begin(working);
	if (start != NULL)
		f6_fold_resume(fold, start);
	for (uint64 i = 0; i < claims->count; i++)
		f6_state_merge(fold, claims->types, &claims->claims[i]);
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

/* f6_state_of_events returns the state that the events at some positions make, NULL where there are none. */
Jsonb *
f6_state_of_events(Datum positions)
{
	f6_question question = {
		.valid_at = DT_NOEND, .known_at = DT_NOEND, .with_data = true, .positions = positions
	};

	return f6_state_of(&question);
}
