/*
 * asof.c
 *		What was true of an object at a material time, as known at a formal time: f6_state_asof, f6_states_asof, f6_events.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "event_row.h"
#include "snapshot_state.h"
#include "state.h"
#include "uuid_array.h"

F6_FUNCTION(f6_events);
F6_FUNCTION(f6_state_asof);
F6_FUNCTION(f6_states_asof);

/* columns of what f6_states_asof returns */
enum state_column
{
	STATE_OBJECT_ID,
	STATE_STATE,
	STATE_COLUMNS
};

/* read_question reads what is asked from a function's arguments; legal and the versions are the last of them. */
static void
read_question(FunctionCallInfo fcinfo, int legal, f6_question *question)
{
	memset(question, 0, sizeof(f6_question));
	question->valid_at = f6_argument_valid_at(fcinfo, 1);
	question->known_at = f6_argument_known_at(fcinfo, 2, "known_at");
	question->legal = f6_argument_legal(fcinfo, legal);
	question->versions = f6_argument_versions(fcinfo, legal + 1);
}

/* state_of returns the state that answers a question, in the current memory context; NULL where nothing is known. */
static Jsonb *
state_of(const f6_question *question)
{
	return f6_snapshots_serve(question) ? f6_snapshot_state(question) : f6_state_of(question);
}

/* f6_state_asof(object_id, valid_at, known_at, projection, legal, versions) returns the object's state, NULL where nothing is known. */
Datum
f6_state_asof(PG_FUNCTION_ARGS)
{
	f6_question question;
	Jsonb *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	read_question(fcinfo, 4, &question);
	question.object_id = *PG_GETARG_UUID_P(0);
	f6_argument_fold(fcinfo, 3, &question);
	question.with_data = true;
	state = state_of(&question);
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(state);
}

/* put_state adds the state of the question's object to a function's result. */
static void
put_state(ReturnSetInfo *result, const f6_question *question)
{
	Jsonb *state = state_of(question);
	Datum values[STATE_COLUMNS];
	bool nulls[STATE_COLUMNS] = { false };

	values[STATE_OBJECT_ID] = UUIDPGetDatum(&question->object_id);
	values[STATE_STATE] = PointerGetDatum(state);
	nulls[STATE_STATE] = state == NULL;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* f6_states_asof(object_ids, valid_at, known_at, projection, legal, versions) returns the states of many objects, in their order. */
Datum
f6_states_asof(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	f6_question question;
	f6_uuids objects;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 4, &question);
	f6_argument_fold(fcinfo, 3, &question);
	question.with_data = true;
	f6_uuids_read(PG_GETARG_DATUM(0), "object_ids", &objects);
	scratch = AllocSetContextCreate(caller, "f6 states", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < objects.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(scratch);
		question.object_id = objects.ids[i];
		put_state(result, &question);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
	}
	return (Datum) 0;
}

/* upcast_row returns the row of a claim in another version. */
static HeapTuple
upcast_row(f6_upcast *upcast, const f6_claim *claim, HeapTuple row, TupleDesc descriptor)
{
	int columns[] = { F6_EVENT_EVENT_VERSION, F6_EVENT_DATA };
	Datum changed[2];
	bool nulls[] = { false, false };
	Datum stored;
	bool isnull;

	stored = heap_getattr(row, F6_EVENT_DATA, descriptor, &isnull);
	changed[0] = CStringGetTextDatum(f6_upcast_version(upcast));
	changed[1] = JsonbPGetDatum(f6_upcast_data(upcast, &claim->id, DatumGetJsonbP(stored)));
	return heap_modify_tuple_by_cols(row, descriptor, lengthof(columns), columns, changed, nulls);
}

/* put_row adds the row of a claim, in the version to read, to a function's result. */
static void
put_row(ReturnSetInfo *result, f6_claim_types *types, const f6_claim *claim, MemoryContext scratch)
{
	f6_upcast *upcast = f6_claim_upcast(types, claim->stored_type);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	HeapTupleData stored = { 0 };
	HeapTuple row = &stored;

	stored.t_data = claim->row;
	stored.t_len = HeapTupleHeaderGetDatumLength(claim->row);
	if (upcast != NULL)
		row = upcast_row(upcast, claim, &stored, result->setDesc);
	tuplestore_puttuple(result->setResult, row);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(scratch);
}

/* f6_events(object_id, valid_at, known_at, legal, versions) returns the events that count, in fold order. */
Datum
f6_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext scratch;
	f6_question question;
	f6_claims *claims;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 3, &question);
	question.object_id = *PG_GETARG_UUID_P(0);
	question.with_row = true;

	claims = f6_claims_asof(&question);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "f6 events", ALLOCSET_DEFAULT_SIZES);
	for (uint64 i = 0; i < claims->count; i++)
		put_row(result, claims->types, &claims->claims[i], scratch);
	return (Datum) 0;
}
