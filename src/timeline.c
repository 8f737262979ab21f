/*
 * timeline.c
 *		The histories of an object: f6_history, f6_formal_history, f6_bitemporal, f6_changes.
 *
 * Spans are closed at their beginning and open at their end, and the last one's end is infinity.  What is dated infinity
 * never comes to be true in any of them.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "f6.h"
#include "errors.h"
#include "json_patch.h"
#include "known_claims.h"
#include "question.h"
#include "rectangle.h"
#include "span.h"
#include "span_change.h"

F6_FUNCTION(f6_history);
F6_FUNCTION(f6_formal_history);
F6_FUNCTION(f6_bitemporal);
F6_FUNCTION(f6_changes);

/* columns of f6.rectangle */
#define RECTANGLE_KNOWN_FROM 1
#define RECTANGLE_VALID_FROM 3
#define RECTANGLE_COLUMNS	 6

/* read_question reads what is asked of all times: the object, and the projection, legal and versions from an argument on. */
static void
read_question(FunctionCallInfo fcinfo, int projection, f6_question *question)
{
	memset(question, 0, sizeof(f6_question));
	question->object_id = *PG_GETARG_UUID_P(0);
	question->valid_at = F6_LAST_MOMENT;
	question->known_at = F6_LAST_MOMENT;
	question->with_data = true;
	question->legal = f6_argument_legal(fcinfo, projection + 1);
	f6_argument_fold(fcinfo, projection, question);
	question->versions = f6_argument_versions(fcinfo, projection + 2);
}

/* put_span adds a row to the result: a span of time, the state in it, and the event that began it. */
static void
put_span(ReturnSetInfo *result, const f6_span *span)
{
	Datum values[] = { TimestampTzGetDatum(span->from), TimestampTzGetDatum(span->to),
					   JsonbPGetDatum(span->state), UUIDPGetDatum(&span->event_id) };
	bool nulls[lengthof(values)] = { false };

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* f6_history(object_id, known_at, projection, legal, versions) returns the states of an object along material time. */
Datum
f6_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_question question;
	f6_claims *claims;
	f6_span_walk walk;
	f6_span span;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 2, &question);
	question.known_at = f6_argument_known_at(fcinfo, 1, "known_at");

	claims = f6_claims_asof(&question);
	f6_span_walk_begin(&walk, f6_claim_fold_begin(claims->types, NULL), claims->claims,
					   claims->count);
	while (f6_span_walk_next(&walk, &span))
	{
		put_span(result, &span);
		pfree(span.state);
	}
	return (Datum) 0;
}

/* put_formal_history adds the rows of f6_formal_history to the result. */
static void
put_formal_history(ReturnSetInfo *result, f6_known_claims *known)
{
	const f6_claims *claims = f6_known_claims_now(known);
	f6_claim_fold *fold = f6_claim_fold_begin(claims->types, NULL);
	f6_span span = { 0 };
	TimestampTz known_at;
	f6_claims_change change;

	while (f6_known_claims_next(known, &known_at))
	{
		Jsonb *state;

		CHECK_FOR_INTERRUPTS();
		if (!f6_known_claims_advance(known, known_at, &change))
			continue;
		f6_claim_fold_forget(fold, change.from);
		state = f6_claim_fold_state(fold, claims->claims, claims->count);
		if (!f6_same_state(span.state, state))
		{
			span.to = known_at;
			if (span.state != NULL)
			{
				put_span(result, &span);
				pfree(span.state);
			}
			span.from = known_at;
			span.state = state;
			span.event_id = *f6_known_claims_last(known);
		}
		else if (state != NULL)
			pfree(state);
	}
	span.to = DT_NOEND;
	if (span.state != NULL)
		put_span(result, &span);
}

/* f6_formal_history(object_id, valid_at, projection, legal, versions) returns what was known of a material time along formal time. */
Datum
f6_formal_history(PG_FUNCTION_ARGS)
{
	f6_question question;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 2, &question);
	question.valid_at = f6_argument_valid_at(fcinfo, 1);
	put_formal_history((ReturnSetInfo *) fcinfo->resultinfo, f6_known_claims_begin(&question));
	return (Datum) 0;
}

/* sort_begin begins to sort rectangles by their beginnings, along formal time and then along material time. */
static Tuplesortstate *
sort_begin(TupleDesc descriptor)
{
	TypeCacheEntry *type = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_LT_OPR);
	AttrNumber columns[] = { RECTANGLE_KNOWN_FROM, RECTANGLE_VALID_FROM };
	Oid operators[] = { type->lt_opr, type->lt_opr };
	Oid collations[] = { InvalidOid, InvalidOid };
	bool nulls_first[] = { false, false };

	return tuplesort_begin_heap(descriptor, lengthof(columns), columns, operators, collations,
								nulls_first, work_mem, NULL, TUPLESORT_NONE);
}

/* Rectangles being sorted. */
typedef struct sorting
{
	Tuplesortstate *sort;
	TupleTableSlot *slot;
} sorting;

/* sort_rectangle adds a rectangle to those that are sorted. */
static void
sort_rectangle(void *state, const f6_rectangle *rectangle)
{
	const sorting *sorting = state;
	const f6_span *span = &rectangle->span;
	Datum values[RECTANGLE_COLUMNS] = { TimestampTzGetDatum(rectangle->known_from),
										TimestampTzGetDatum(rectangle->known_to),
										TimestampTzGetDatum(span->from),
										TimestampTzGetDatum(span->to),
										JsonbPGetDatum(span->state),
										UUIDPGetDatum(&span->event_id) };

	ExecClearTuple(sorting->slot);
	memcpy(sorting->slot->tts_values, values, sizeof(values));
	memset(sorting->slot->tts_isnull, false, RECTANGLE_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(sorting->slot);
	tuplesort_puttupleslot(sorting->sort, sorting->slot);
	ExecClearTuple(sorting->slot);
}

/* put_rectangles adds the rectangles that were sorted to the result. */
static void
put_rectangles(ReturnSetInfo *result, Tuplesortstate *sort)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple);

	tuplesort_performsort(sort);
	while (tuplesort_gettupleslot(sort, true, false, slot, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(result->setResult, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_end(sort);
}

/* f6_bitemporal(object_id, projection, legal, versions) returns the states of an object along both times. */
Datum
f6_bitemporal(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_question question;
	sorting sorting;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 1, &question);

	sorting.sort = sort_begin(result->setDesc);
	sorting.slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
	f6_rectangles(&question, sort_rectangle, &sorting);
	ExecDropSingleTupleTableSlot(sorting.slot);
	put_rectangles(result, sorting.sort);
	return (Datum) 0;
}

/* state_at returns the state at a time that the span does not end before; NULL of none. */
static Jsonb *
state_at(const f6_span *span, bool has_span, TimestampTz at)
{
	return has_span && span->from <= at ? span->state : NULL;
}

/* end_after returns where a span begins or ends next after a time. */
static TimestampTz
end_after(const f6_span *span, bool has_span, TimestampTz at)
{
	if (!has_span)
		return DT_NOEND;
	return span->from > at ? span->from : span->to;
}

/* put_change adds a row of f6_changes to the result. */
static void
put_change(ReturnSetInfo *result, TimestampTz from, TimestampTz to, Jsonb *before, Jsonb *after,
		   MemoryContext scratch)
{
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	Datum values[] = { TimestampTzGetDatum(from), TimestampTzGetDatum(to), JsonbPGetDatum(before),
					   JsonbPGetDatum(after),
					   JsonbPGetDatum(after == NULL ? NULL : f6_json_patch(before, after)) };
	bool nulls[] = { false, false, before == NULL, after == NULL, after == NULL };

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(scratch);
}

/* put_changes adds what is different, from a material time on, to the result. */
static void
put_changes(ReturnSetInfo *result, f6_span_change *compared, TimestampTz from)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 changes", ALLOCSET_DEFAULT_SIZES);
	f6_span before = { 0 };
	f6_span after = { 0 };
	bool has_before = f6_span_walk_step(&compared->before, &before);
	bool has_after = f6_span_walk_step(&compared->after, &after);

	/* Each step goes to the next time at which a span of either begins or ends. */
	while (has_before || has_after)
	{
		Jsonb *old_state = state_at(&before, has_before, from);
		Jsonb *new_state = state_at(&after, has_after, from);
		TimestampTz to =
			Min(end_after(&before, has_before, from), end_after(&after, has_after, from));

		CHECK_FOR_INTERRUPTS();
		if (from < to && !f6_same_state(old_state, new_state))
			put_change(result, from, to, old_state, new_state, scratch);
		from = to;
		if (has_before && before.to <= from)
			has_before = f6_span_walk_step(&compared->before, &before);
		if (has_after && after.to <= from)
			has_after = f6_span_walk_step(&compared->after, &after);
	}
}

/* f6_changes(object_id, known_from, known_to, projection, legal, versions) returns what was learned of an object in a formal time. */
Datum
f6_changes(PG_FUNCTION_ARGS)
{
	f6_question question;
	TimestampTz known_from;
	TimestampTz known_to;
	f6_known_claims *known;
	f6_claims_change change;
	f6_span_change compared;
	f6_span around = { .from = DT_NOBEGIN };

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 3, &question);
	known_from = f6_argument_known_from(fcinfo, 1);
	known_to = f6_argument_known_at(fcinfo, 2, "known_to");
	f6_check_known_span(known_from, known_to);

	question.known_at = known_to;
	known = f6_known_claims_begin(&question);
	(void) f6_known_claims_advance(known, known_from, &change);
	if (f6_known_claims_advance(known, known_to, &change))
	{
		const f6_claims *claims = f6_known_claims_now(known);

		f6_span_change_begin(&compared, f6_claim_fold_begin(claims->types, NULL), claims, &change,
							 &around);
		put_changes((ReturnSetInfo *) fcinfo->resultinfo, &compared, change.material_time);
		f6_span_change_end(&compared);
	}
	return (Datum) 0;
}
