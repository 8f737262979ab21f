/*
 * projection_live.c
 *		Rows of live projections, made when somebody asks.
 *
 * The log is read as who asks, who may see some of it; the projection's key, fold and columns are its owner's, as whom they run.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "errors.h"
#include "projection.h"
#include "projection_source.h"
#include "projection_table.h"
#include "state.h"

F6_FUNCTION(f6_live_rows);
F6_FUNCTION(f6_live_columns);

/* A claim of a row. */
typedef struct row_claim
{
	Datum key;
	uint64 claim; /* in the order in which claims are folded */
} row_claim;

/* The claims of all rows. */
typedef struct row_claims
{
	const TypeCacheEntry *type; /* of keys */
	uint64 claim;				/* whose keys are being taken */
	uint64 count;
	uint64 room;
	row_claim *list;
	MemoryContext context;
} row_claims;

/* live_projection returns the live projection that the first argument names, compiled. */
static f6_projection *
live_projection(FunctionCallInfo fcinfo)
{
	f6_projection *projection = f6_projection_get(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	f6_acting before;

	if (projection->mode != F6_PROJECTION_LIVE)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("projection \"%s\" is not live", projection->name),
						errhint("Read its table.")));
	f6_projection_act(projection, &before);
	f6_projection_compile(projection);
	f6_act_end(&before);
	return projection;
}

/* check_result refuses a result of other columns than a projection's from some number on. */
static void
check_result(const f6_projection *projection, TupleDesc result, int from)
{
	int count = F6_ROW_STATE + projection->column_count - from + 1;

	if (result->natts != count)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("projection \"%s\" has %d columns here, not %d", projection->name,
							   count, result->natts)));
	for (int i = 0; i < count; i++)
	{
		Oid type = f6_projection_column_type(projection, from + i);

		if (TupleDescAttr(result, i)->atttypid != type)
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column %d of projection \"%s\" is of type %s", i + 1,
								   projection->name, format_type_be(type))));
	}
}

/* any_claim is the filter that lets every claim matter. */
static bool
any_claim(void *state, Datum event)
{
	(void) state;
	(void) event;
	return true;
}

/* claims_of returns the claims that count for a projection, as far as the caller sees them. */
static f6_claims *
claims_of(f6_projection *projection)
{
	f6_question question = { .positions = f6_source_positions(projection, 0, any_claim, NULL),
							 .valid_at = DT_NOEND,
							 .known_at = DT_NOEND,
							 .legal = projection->legal,
							 .with_data = true,
							 .with_row = true,
							 .program = projection->program };

	return f6_claims_asof(&question);
}

/* add_key takes note that a claim has a key. */
static void
add_key(void *state, Datum key)
{
	row_claims *rows = state;
	MemoryContext caller = MemoryContextSwitchTo(rows->context);

	if (rows->count == rows->room)
	{
		rows->room = Max(2 * rows->room, 1024);
		rows->list = rows->list == NULL ? palloc(sizeof(row_claim) * rows->room)
										: repalloc_huge(rows->list, sizeof(row_claim) * rows->room);
	}
	rows->list[rows->count].key = datumCopy(key, rows->type->typbyval, rows->type->typlen);
	rows->list[rows->count++].claim = rows->claim;
	MemoryContextSwitchTo(caller);
}

/* compare_claims brings claims in the order of their rows, and of folding, for qsort_arg. */
static int
compare_claims(const void *a, const void *b, void *type)
{
	const row_claim *first = a;
	const row_claim *second = b;
	int order = f6_projection_key_compare(type, first->key, second->key);

	if (order != 0)
		return order;
	return first->claim < second->claim ? -1 : first->claim > second->claim;
}

/* group brings the claims that count in the order of the rows that they make. */
static void
group(const f6_projection *projection, const f6_claims *claims, row_claims *rows)
{
	MemoryContext event =
		AllocSetContextCreate(CurrentMemoryContext, "f6 live keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(event);

	for (rows->claim = 0; rows->claim < claims->count; rows->claim++)
	{
		const f6_claim *claim = &claims->claims[rows->claim];

		CHECK_FOR_INTERRUPTS();
		if (f6_claim_handler(claim->type)->way != F6_FOLD_NOTHING)
			f6_projection_key_each(
				projection->key,
				f6_claim_row(claims->types, claim, f6_claim_data(claims->types, claim)), add_key,
				rows);
		MemoryContextReset(event);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(event);
	if (rows->count > 0)
		qsort_arg(rows->list, rows->count, sizeof(row_claim), compare_claims, (void *) rows->type);
}

/* fold_row folds the claims of a row, which follow each other, and returns its state (NULL: none) and the claims after them. */
static Jsonb *
fold_row(const f6_claims *claims, const row_claims *rows, uint64 *next)
{
	MemoryContext row = CurrentMemoryContext;
	MemoryContext event = AllocSetContextCreate(row, "f6 live event", ALLOCSET_DEFAULT_SIZES);
	f6_fold *fold = f6_fold_begin(row);
	uint64 first = *next;
	Jsonb *state;

	MemoryContextSwitchTo(event);
	do
	{
		CHECK_FOR_INTERRUPTS();
		f6_state_fold(fold, claims->types, &claims->claims[rows->list[*next].claim]);
		MemoryContextReset(event);
		(*next)++;
	} while (*next < rows->count && f6_projection_key_compare(rows->type, rows->list[first].key,
															  rows->list[*next].key) == 0);
	MemoryContextSwitchTo(row);
	state = f6_fold_result(fold);
	MemoryContextDelete(event);
	return state;
}

/* put_rows puts the rows of a projection into a result. */
static void
put_rows(const f6_projection *projection, const f6_claims *claims, const row_claims *rows,
		 ReturnSetInfo *result)
{
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "f6 live row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(row);
	uint64 next = 0;

	while (next < rows->count)
	{
		Datum *values = palloc(sizeof(Datum) * result->setDesc->natts);
		bool *nulls = palloc0(sizeof(bool) * result->setDesc->natts);
		Datum key = rows->list[next].key;
		Jsonb *state = fold_row(claims, rows, &next);

		if (state != NULL)
		{
			values[F6_ROW_KEY - 1] = key;
			values[F6_ROW_STATE - 1] = JsonbPGetDatum(state);
			f6_projection_columns_fill(projection, state, &values[F6_ROW_STATE],
									   &nulls[F6_ROW_STATE]);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row);
}

/* f6.live_rows(name) returns the rows of a live projection: their keys, states and columns. */
Datum
f6_live_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_projection *projection = live_projection(fcinfo);
	row_claims rows = { .type = f6_projection_key_type(projection->key),
						.context = CurrentMemoryContext };
	f6_claims *claims;
	f6_acting before;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_result(projection, result->setDesc, F6_ROW_KEY);
	claims = claims_of(projection);
	f6_projection_act(projection, &before);
	group(projection, claims, &rows);
	put_rows(projection, claims, &rows, result);
	f6_act_end(&before);
	return (Datum) 0;
}

/* f6.live_columns(name, state) returns what a state has for the columns of a live projection. */
Datum
f6_live_columns(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_projection *projection = live_projection(fcinfo);
	Datum *values;
	bool *nulls;
	f6_acting before;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_result(projection, result->setDesc, F6_ROW_STATE + 1);
	values = palloc(sizeof(Datum) * (projection->column_count + 1));
	nulls = palloc(sizeof(bool) * (projection->column_count + 1));
	f6_projection_act(projection, &before);
	f6_projection_columns_fill(projection, PG_GETARG_JSONB_P(1), values, nulls);
	f6_act_end(&before);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}
