/*
 * projection_making.c
 *		By what the rows of a projection were made: whether they would be made in another way now.
 *
 * What may change while a projection stays as it is: the functions of its fold, and how events of its types are read, by upcasters and
 * deprecations.  What these functions call is not looked at.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/resowner.h"

#include "f6.h"
#include "event_type.h"
#include "own_statement.h"
#include "projection_making.h"
#include "projection_progress.h"
#include "spi_connection.h"

F6_FUNCTION(f6_projection_is_stale);

/* What rows were made by. */
typedef struct making
{
	int64 functions; /* a hash of their definitions */
	f6_registry_moment registry;
} making;

/* add_function adds the definition of a function to a hash. */
static void
add_function(void *state, Oid function)
{
	uint64 *hash = state;
	char *definition =
		TextDatumGetCString(DirectFunctionCall1(pg_get_functiondef, ObjectIdGetDatum(function)));

	*hash = hash_combine64(*hash, hash_bytes_extended((const unsigned char *) definition,
													  (int) strlen(definition), 0));
}

/* functions_of returns a hash of the definitions of the functions of a fold, as its owner sees them. */
static int64
functions_of(f6_projection *projection)
{
	uint64 hash = 0;
	f6_acting before;

	f6_projection_act(projection, &before);
	f6_projection_compile(projection);
	f6_fold_program_each_function(projection->program, add_function, &hash);
	f6_act_end(&before);
	return (int64) hash;
}

/* f6_projection_note_making notes what the rows of a projection are made by, from now on. */
void
f6_projection_note_making(f6_projection *projection)
{
	Oid types[] = { INT4OID, INT8OID, INT8OID, INT8OID };
	f6_registry_moment registry = { 0 };
	Datum values[lengthof(types)];

	if (projection->handler_text != NULL)
		return;
	(void) f6_event_type_changed(&registry);
	values[0] = Int32GetDatum(projection->id);
	values[1] = Int64GetDatum(functions_of(projection));
	values[2] = Int64GetDatum(registry.last_upcaster);
	values[3] = Int64GetDatum(registry.deprecations);
	f6_spi_connect();
	f6_run_own("insert into f6.projection_progress as p (projection_id, \"position\", refreshed_at,"
			   " functions, last_upcaster, deprecations)"
			   " values ($1, 0, clock_timestamp(), $2, $3, $4)"
			   " on conflict (projection_id) do update set functions = excluded.functions,"
			   " last_upcaster = excluded.last_upcaster, deprecations = excluded.deprecations",
			   lengthof(types), types, values, false);
	SPI_finish();
}

/* read_making reads what the rows of a projection were made by, and tells whether that is known. */
static bool
read_making(const f6_projection *projection, making *made)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(projection->id) };
	bool isnull;
	bool is_known;

	f6_spi_connect();
	f6_run_own("select functions, last_upcaster, deprecations from f6.projection_progress"
			   " where projection_id = $1 and functions is not null",
			   lengthof(types), types, values, true);
	is_known = SPI_processed > 0;
	if (is_known)
	{
		HeapTuple row = SPI_tuptable->vals[0];
		TupleDesc descriptor = SPI_tuptable->tupdesc;

		made->functions = DatumGetInt64(SPI_getbinval(row, descriptor, 1, &isnull));
		made->registry.last_upcaster = DatumGetInt64(SPI_getbinval(row, descriptor, 2, &isnull));
		made->registry.deprecations = DatumGetInt64(SPI_getbinval(row, descriptor, 3, &isnull));
		/* Another version alone has nobody read an event in another way. */
		made->registry.last_type = PG_INT64_MAX;
	}
	SPI_finish();
	return is_known;
}

/* is_stale tells whether the rows of a projection would be made in another way now. */
static bool
is_stale(f6_projection *projection)
{
	making made;
	ListCell *cell;

	if (!read_making(projection, &made))
		return false;
	if (made.functions != functions_of(projection))
		return true;
	foreach (cell, f6_event_type_changed(&made.registry))
	{
		if (f6_projection_is_about(projection, lfirst(cell)))
			return true;
	}
	return false;
}

/* is_stale_or_fails tells whether that is so, or can't be told, since a function is gone. */
static bool
is_stale_or_fails(f6_projection *projection)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool stale = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		stale = is_stale(projection);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return stale;
}

/* f6.projection_is_stale(projection_id) tells whether the rows of a projection would be made in another way now. */
Datum
f6_projection_is_stale(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_of_id(PG_GETARG_INT32(0));

	PG_RETURN_BOOL(projection != NULL && projection->handler_text == NULL &&
				   projection->mode != F6_PROJECTION_LIVE && is_stale_or_fails(projection));
}
