/*
 * projection_admin.c
 *		Making projections, filling them, and waiting for them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "f6.h"
#include "errors.h"
#include "event_type.h"
#include "horizon.h"
#include "projection_inline.h"
#include "projection_making.h"
#include "projection_progress.h"
#include "projection_run.h"
#include "registered_function.h"
#include "relation.h"

F6_FUNCTION(f6_projection_shape);
F6_FUNCTION(f6_fill_projection);
F6_FUNCTION(f6_pause_appends);
F6_FUNCTION(f6_lock_projection);
F6_FUNCTION(f6_wait_for);

/* How long f6_wait_for waits before it looks again, in milliseconds: at first, and at most. */
#define FIRST_WAIT 1
#define LAST_WAIT  50

/* columns of what f6.projection_shape returns */
enum shape_column
{
	SHAPE_HANDLER,
	SHAPE_KEY,
	SHAPE_KEY_TYPE,
	SHAPE_COLUMN_TYPES,
	SHAPE_COLUMNS
};

/* check_types refuses types of events that are not registered; a pattern may be for later ones. */
static void
check_types(ArrayType *array)
{
	Datum *types;
	bool *nulls;
	int count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &types, &nulls, &count);
	if (count == 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("event_types must not be empty"),
						errhint("NULL stands for all types.")));
	for (int i = 0; i < count; i++)
	{
		char *type;

		if (nulls[i])
			ereport(ERROR,
					(errcode(F6_ERR_NULL_ARGUMENT), errmsg("event_types must not contain NULL")));
		type = TextDatumGetCString(types[i]);
		if (strchr(type, '*') == NULL)
			(void) f6_event_type_newest(type);
	}
}

/* handler_name returns the qualified name of a handler. */
static char *
handler_name(const char *signature)
{
	f6_function_role role = f6_function_handler();
	Oid function = f6_function_find(signature, &role);

	f6_function_check_privilege(function);
	return f6_function_signature(function);
}

/* columns_of returns the columns of a table, whose types are found without the caller's search_path. */
static f6_projection_column *
columns_of(Jsonb *document, int *count)
{
	f6_acting before;
	f6_projection_column *columns;

	f6_act_as(GetUserId(), NULL, &before);
	columns = f6_projection_columns(document, count);
	f6_act_end(&before);
	return columns;
}

/* column_types returns the columns of a table with their types, as CREATE TABLE takes them: an array. */
static Datum
column_types(Jsonb *document)
{
	int count;
	f6_projection_column *columns = columns_of(document, &count);
	Datum *texts = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		texts[i] = CStringGetTextDatum(
			psprintf("%s %s", quote_identifier(columns[i].name),
					 format_type_extended(columns[i].type, columns[i].typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY)));
	return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* check_fold refuses a fold that does not do for a projection, whose functions are found without the caller's search_path. */
static void
check_fold(Jsonb *fold)
{
	f6_acting before;

	f6_act_as(GetUserId(), NULL, &before);
	(void) f6_fold_program_compile(fold);
	f6_act_end(&before);
}

/* f6.projection_shape(event_types, fold, handler, key, columns) checks what makes a projection, and returns it with all names qualified. */
Datum
f6_projection_shape(PG_FUNCTION_ARGS)
{
	TupleDesc descriptor;
	Datum values[SHAPE_COLUMNS] = { 0 };
	bool nulls[SHAPE_COLUMNS] = { true, true, true, false };
	char *key = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	const TypeCacheEntry *key_type;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!PG_ARGISNULL(0))
		check_types(PG_GETARG_ARRAYTYPE_P(0));
	check_fold(PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1));
	if (!PG_ARGISNULL(2))
	{
		values[SHAPE_HANDLER] =
			CStringGetTextDatum(handler_name(text_to_cstring(PG_GETARG_TEXT_PP(2))));
		nulls[SHAPE_HANDLER] = false;
	}
	if (key != NULL)
	{
		key = f6_projection_key_normal(key);
		values[SHAPE_KEY] = CStringGetTextDatum(key);
		nulls[SHAPE_KEY] = false;
	}
	key_type = f6_projection_key_type(f6_projection_key_compile(key));
	values[SHAPE_KEY_TYPE] = CStringGetTextDatum(format_type_extended(
		key_type->type_id, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	nulls[SHAPE_KEY_TYPE] = false;
	values[SHAPE_COLUMN_TYPES] = column_types(PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/* f6.lock_projection(name) lets nobody else refresh or change a projection until the transaction ends. */
Datum
f6_lock_projection(PG_FUNCTION_ARGS)
{
	f6_projection_check_snapshot();
	(void) f6_projection_lock(f6_projection_argument(fcinfo));
	PG_RETURN_VOID();
}

/* f6.pause_appends() lets nobody else append until the transaction ends. */
Datum
f6_pause_appends(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	f6_appends_pause();
	PG_RETURN_VOID();
}

/* fill takes all events into an inline projection, those too that its handler appends meanwhile. */
static void
fill(f6_projection *projection)
{
	int64 filled = f6_horizon_now(false);
	int64 last;

	(void) f6_projection_run(projection, 0, filled);
	f6_appends_pause();
	while ((last = f6_horizon_now(true)) > filled)
	{
		(void) f6_projection_run(projection, filled, last);
		filled = last;
	}
}

/*
 * f6.fill_projection(name) takes all events into an inline projection: at first while others append, then the rest while nobody does, until the
 * transaction ends.
 */
Datum
f6_fill_projection(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	int32 before;

	f6_projection_check_owner(projection);
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	f6_projection_note_making(projection);
	before = f6_projection_inline_leave_out(projection->id);
	PG_TRY();
	{
		fill(projection);
	}
	PG_FINALLY();
	{
		(void) f6_projection_inline_leave_out(before);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

/* has_come tells whether a projection has the events up to a position, for all that others have committed by now. */
static bool
has_come(const f6_projection *projection, int64 position)
{
	bool has;

	if (projection->mode != F6_PROJECTION_ASYNC)
		return true;
	PushActiveSnapshot(GetLatestSnapshot());
	has = f6_projection_position(projection, true) >= position;
	PopActiveSnapshot();
	return has;
}

/* wait_a_moment waits for some milliseconds. */
static void
wait_a_moment(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* f6_wait_for(name, position, timeout) waits until a projection has the events up to a position, and tells whether it has. */
Datum
f6_wait_for(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end;
	long wait = FIRST_WAIT;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(F6_ERR_NULL_ARGUMENT), errmsg("position and timeout must not be NULL"),
				 errhint("Give the position that an append has returned, and how long to wait.")));
	end = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(2)));
	while (!has_come(projection, PG_GETARG_INT64(1)))
	{
		now = GetCurrentTimestamp();
		if (now >= end)
			PG_RETURN_BOOL(false);
		wait_a_moment(Min(wait, TimestampDifferenceMilliseconds(now, end) + 1));
		wait = Min(2 * wait, LAST_WAIT);
	}
	PG_RETURN_BOOL(true);
}
