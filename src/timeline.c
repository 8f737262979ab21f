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
#include "span.h"

F6_FUNCTION(f6_history);
F6_FUNCTION(f6_formal_history);
F6_FUNCTION(f6_bitemporal);
F6_FUNCTION(f6_changes);

/* later than any time, and earlier than infinity */
#define LAST_MOMENT (DT_NOEND - 1)

/* columns of f6.rectangle */
#define RECTANGLE_KNOWN_FROM 1
#define RECTANGLE_VALID_FROM 3
#define RECTANGLE_COLUMNS	 6

/* spans that there is room for at first */
#define INITIAL_SPANS 64

/* read_question reads what is asked of all times: the object, and the projection, legal and versions from an argument on. */
static void
read_question(FunctionCallInfo fcinfo, int projection, f6_question *question)
{
	memset(question, 0, sizeof(f6_question));
	question->object_id = *PG_GETARG_UUID_P(0);
	question->valid_at = LAST_MOMENT;
	question->known_at = LAST_MOMENT;
	question->with_data = true;
	f6_argument_projection(fcinfo, projection);
	question->legal = f6_argument_legal(fcinfo, projection + 1);
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

/* The spans of material time before and after claims change, from the first on that may be different. */
typedef struct comparison
{
	f6_span_walk before;
	f6_span_walk after;
	uint64 from; /* where they begin to differ: so many claims are the same */
	uint64 rest; /* so many claims at their ends are the same */
} comparison;

/* copy_state returns a copy of a state; NULL of none. */
static Jsonb *
copy_state(const Jsonb *state)
{
	return state == NULL
			   ? NULL
			   : memcpy(palloc_extended(VARSIZE(state), MCXT_ALLOC_HUGE), state, VARSIZE(state));
}

/*
 * compare_spans begins to walk over the spans before and after a change; both begin with the one, if any, in which the
 * change finds them, whose beginning and event the caller knows.  after: the fold of the claims as they were, which
 * becomes that of the claims as they are.
 */
static void
compare_spans(comparison *compared, f6_claim_fold *after, const f6_claims *claims,
			  const f6_claims_change *change, const f6_span *around)
{
	f6_claim_fold *before;
	f6_span span = *around;

	f6_claim_fold_forget(after, change->from);
	span.state = f6_claim_fold_state(after, claims->claims, change->from);
	before = f6_claim_fold_begin(claims->types, span.state);
	f6_span_walk_begin(&compared->before, before, change->before, change->before_count);
	f6_span_walk_from(&compared->before, 0, &span);
	f6_span_walk_begin(&compared->after, after, claims->claims, claims->count);
	span.state = copy_state(span.state);
	f6_span_walk_from(&compared->after, change->from, &span);
	compared->from = change->from;
	compared->rest = change->rest;
}

/* is_equal tells whether two states are the same to the byte, so that numbers have the same digits too. */
static bool
is_equal(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* is_over tells whether, from the spans on that are being walked through, the states before and after are the same. */
static bool
is_over(const comparison *compared)
{
	uint64 before = compared->before.count - compared->before.next;
	uint64 after = compared->after.count - compared->after.next;

	return before == after && before > 0 && before <= compared->rest &&
		   is_equal(compared->before.span.state, compared->after.span.state);
}

/* compare_spans_end ends it. */
static void
compare_spans_end(comparison *compared)
{
	f6_claim_fold_end(compared->before.fold);
}

/* A span that is in the timeline at present. */
typedef struct open_span
{
	TimestampTz known_from;
	TimestampTz valid_from;
	pg_uuid_t event_id; /* of the claim that began it as known first */
	pg_uuid_t now_id;	/* of the claim that begins it as known now */
} open_span;

typedef struct open_spans
{
	uint64 count;
	uint64 room;
	open_span *spans;
} open_spans;

/* Rectangles under way. */
typedef struct rectangles
{
	f6_known_claims *known;
	f6_claim_fold *fold; /* of the claims that count at present */
	open_spans open;	 /* the timeline at present */
	open_spans opened;	 /* what comes to stand at its end after a change */
	Tuplesortstate *sort;
	TupleTableSlot *slot;
} rectangles;

/* open_spans_begin begins with no spans. */
static void
open_spans_begin(open_spans *open)
{
	open->count = 0;
	open->room = INITIAL_SPANS;
	open->spans = palloc(open->room * sizeof(open_span));
}

/* open_spans_reserve makes room for so many spans. */
static void
open_spans_reserve(open_spans *open, uint64 count)
{
	if (count <= open->room)
		return;
	open->room = Max(count, 2 * open->room);
	open->spans = repalloc_huge(open->spans, open->room * sizeof(open_span));
}

/* open_spans_add adds a span. */
static void
open_spans_add(open_spans *open, const open_span *span)
{
	open_spans_reserve(open, open->count + 1);
	open->spans[open->count++] = *span;
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

/* close_span adds the rectangle that a span of the timeline makes with the formal time in which it stood there. */
static void
close_span(rectangles *rectangles, const open_span *open, TimestampTz known_to, const f6_span *span)
{
	TupleTableSlot *slot = rectangles->slot;
	Datum values[RECTANGLE_COLUMNS] = {
		TimestampTzGetDatum(open->known_from), TimestampTzGetDatum(known_to),
		TimestampTzGetDatum(open->valid_from), TimestampTzGetDatum(span->to),
		JsonbPGetDatum(span->state),		   UUIDPGetDatum(&open->event_id)
	};

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(values));
	memset(slot->tts_isnull, false, RECTANGLE_COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(rectangles->sort, slot);
	ExecClearTuple(slot);
}

/* open_at returns a span of the timeline, which must begin where it did when it came to stand there. */
static const open_span *
open_at(const open_spans *open, uint64 number, const f6_span *span)
{
	if (number >= open->count || open->spans[number].valid_from != span->from)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_FUNCTION),
				 errmsg("the same events did not make the same state twice"),
				 errhint("An upcaster's function must depend on nothing but its argument.")));
	return &open->spans[number];
}

/* is_same_span tells whether two spans are the same. */
static bool
is_same_span(const f6_span *a, const f6_span *b)
{
	return a->from == b->from && a->to == b->to && f6_same_state(a->state, b->state);
}

/* span_around returns the number of the span of the timeline in which a change finds it, 0 where there is none. */
static uint64
span_around(const open_spans *open, TimestampTz material_time, f6_span *around)
{
	uint64 low = 0;
	uint64 high = open->count;

	memset(around, 0, sizeof(f6_span));
	while (low < high)
	{
		uint64 middle = low + (high - low) / 2;

		if (open->spans[middle].valid_from < material_time)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	around->from = open->spans[low - 1].valid_from;
	around->event_id = open->spans[low - 1].now_id;
	return low - 1;
}

/* next_span goes to the next span of a walk, and frees the state of the last. */
static bool
next_span(f6_span_walk *walk, f6_span *span)
{
	if (span->state != NULL)
		pfree(span->state);
	span->state = NULL;
	return f6_span_walk_next(walk, span);
}

/* go_on lets a span of the timeline stand there after a change. */
static void
go_on(rectangles *rectangles, const open_span *open, const f6_span *after)
{
	open_span going_on = *open;

	going_on.now_id = after->event_id;
	open_spans_add(&rectangles->opened, &going_on);
}

/* open_span_after lets a span come to stand in the timeline. */
static void
open_span_after(rectangles *rectangles, const f6_span *after, TimestampTz known_at)
{
	open_span opened = { known_at, after->from, after->event_id, after->event_id };

	open_spans_add(&rectangles->opened, &opened);
}

/*
 * stop_comparing stops where all that follows is as it was.  number: of the span being walked through before the change,
 * which so ends where the next one begins.
 */
static void
stop_comparing(rectangles *rectangles, comparison *compared, uint64 number)
{
	const open_spans *open = &rectangles->open;
	TimestampTz end = number + 1 < open->count ? open->spans[number + 1].valid_from : DT_NOEND;

	f6_claim_fold_recall(rectangles->fold, compared->from + compared->before.next,
						 compared->after.next);
	f6_span_walk_stop(&compared->before, end);
	f6_span_walk_stop(&compared->after, end);
}

/*
 * merge_spans closes the spans that a change ends and opens those that it begins; number: of the first span.  It returns
 * the number of the first span that is as it was, like all that follow.
 */
static uint64
merge_spans(rectangles *rectangles, comparison *compared, uint64 number, TimestampTz known_at)
{
	f6_span before = { 0 };
	f6_span after = { 0 };
	bool has_before = next_span(&compared->before, &before);
	bool has_after = next_span(&compared->after, &after);

	while (has_before || has_after)
	{
		bool goes_on = has_before && has_after && is_same_span(&before, &after);
		bool ends = has_before && !goes_on && (!has_after || before.from <= after.from);

		CHECK_FOR_INTERRUPTS();
		if (goes_on)
			go_on(rectangles, open_at(&rectangles->open, number, &before), &after);
		else if (ends)
			close_span(rectangles, open_at(&rectangles->open, number, &before), known_at, &before);
		else
			open_span_after(rectangles, &after, known_at);
		if (is_over(compared))
			stop_comparing(rectangles, compared, number + (has_before ? 1 : 0));
		if (goes_on || ends)
		{
			has_before = next_span(&compared->before, &before);
			number++;
		}
		if (!ends)
			has_after = next_span(&compared->after, &after);
	}
	return number;
}

/* replace_spans replaces the spans of the timeline from one number up to, not including, another by those opened. */
static void
replace_spans(rectangles *rectangles, uint64 from, uint64 to)
{
	const open_spans *opened = &rectangles->opened;
	open_spans *open = &rectangles->open;
	uint64 rest = open->count - to;

	open_spans_reserve(open, from + opened->count + rest);
	memmove(&open->spans[from + opened->count], &open->spans[to], rest * sizeof(open_span));
	memcpy(&open->spans[from], opened->spans, opened->count * sizeof(open_span));
	open->count = from + opened->count + rest;
}

/* change_timeline takes in what became known at a formal time. */
static void
change_timeline(rectangles *rectangles, const f6_claims_change *change, TimestampTz known_at)
{
	comparison compared;
	f6_span around;
	uint64 from = span_around(&rectangles->open, change->material_time, &around);
	uint64 to;

	compare_spans(&compared, rectangles->fold, f6_known_claims_now(rectangles->known), change,
				  &around);
	rectangles->opened.count = 0;
	to = merge_spans(rectangles, &compared, from, known_at);
	compare_spans_end(&compared);
	replace_spans(rectangles, from, to);
}

/* close_timeline closes the spans that still stand. */
static void
close_timeline(rectangles *rectangles)
{
	const f6_claims *claims = f6_known_claims_now(rectangles->known);
	f6_span_walk walk;
	f6_span span = { 0 };

	f6_span_walk_begin(&walk, rectangles->fold, claims->claims, claims->count);
	for (uint64 number = 0; next_span(&walk, &span); number++)
		close_span(rectangles, open_at(&rectangles->open, number, &span), DT_NOEND, &span);
}

/* put_rectangles adds the rectangles to the result, in order. */
static void
put_rectangles(ReturnSetInfo *result, rectangles *rectangles)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsMinimalTuple);

	tuplesort_performsort(rectangles->sort);
	while (tuplesort_gettupleslot(rectangles->sort, true, false, slot, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_puttupleslot(result->setResult, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplesort_end(rectangles->sort);
}

/* f6_bitemporal(object_id, projection, legal, versions) returns the states of an object along both times. */
Datum
f6_bitemporal(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	rectangles rectangles;
	f6_question question;
	TimestampTz known_at;
	f6_claims_change change;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 1, &question);

	rectangles.known = f6_known_claims_begin(&question);
	rectangles.fold = f6_claim_fold_begin(f6_known_claims_now(rectangles.known)->types, NULL);
	open_spans_begin(&rectangles.open);
	open_spans_begin(&rectangles.opened);
	rectangles.sort = sort_begin(result->setDesc);
	rectangles.slot = MakeSingleTupleTableSlot(result->setDesc, &TTSOpsVirtual);
	while (f6_known_claims_next(rectangles.known, &known_at))
	{
		if (f6_known_claims_advance(rectangles.known, known_at, &change))
			change_timeline(&rectangles, &change, known_at);
	}
	close_timeline(&rectangles);
	put_rectangles(result, &rectangles);
	ExecDropSingleTupleTableSlot(rectangles.slot);
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
put_changes(ReturnSetInfo *result, comparison *compared, TimestampTz from)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 changes", ALLOCSET_DEFAULT_SIZES);
	f6_span before = { 0 };
	f6_span after = { 0 };
	bool has_before = next_span(&compared->before, &before);
	bool has_after = next_span(&compared->after, &after);

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
			has_before = next_span(&compared->before, &before);
		if (has_after && after.to <= from)
			has_after = next_span(&compared->after, &after);
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
	comparison compared;
	f6_span around = { .from = DT_NOBEGIN };

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 3, &question);
	known_from = f6_argument_known_from(fcinfo, 1);
	known_to = f6_argument_known_at(fcinfo, 2, "known_to");
	if (known_from > known_to)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("known_from must not be later than known_to")));

	question.known_at = known_to;
	known = f6_known_claims_begin(&question);
	(void) f6_known_claims_advance(known, known_from, &change);
	if (f6_known_claims_advance(known, known_to, &change))
	{
		const f6_claims *claims = f6_known_claims_now(known);

		compare_spans(&compared, f6_claim_fold_begin(claims->types, NULL), claims, &change,
					  &around);
		put_changes((ReturnSetInfo *) fcinfo->resultinfo, &compared, change.material_time);
		compare_spans_end(&compared);
	}
	return (Datum) 0;
}
