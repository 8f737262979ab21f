/*
 * projection_refresh.c
 *		Taking the events up to the horizon into projections that are written later: f6_refresh, and what the worker does.
 *
 * The position up to which a projection has the events commits together with its rows.  Where an event can't be taken, the ones before it are,
 * and the projection stands still; it is tried again after a while, which doubles each time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "horizon.h"
#include "own_statement.h"
#include "part.h"
#include "projection_making.h"
#include "projection_progress.h"
#include "projection_refresh.h"
#include "projection_run.h"
#include "relation.h"
#include "spi_connection.h"

F6_FUNCTION(f6_refresh);
F6_FUNCTION(f6_refresh_all);
F6_FUNCTION(f6_skip);

/* columns of what f6_refresh returns for all projections */
enum refreshed_column
{
	REFRESHED_NAME,
	REFRESHED_EVENTS,
	REFRESHED_ERROR,
	REFRESHED_COLUMNS
};

/* refresh takes at most so many events (0: any number) into a projection that is locked, and returns how many. */
static int64
refresh(f6_projection *projection, int64 max_events, bool *is_done)
{
	int64 position = f6_projection_position(projection, false);
	/* What the transaction has appended itself is there as long as its refresh is. */
	int64 horizon = f6_horizon_now(true);
	int64 reached;
	int64 taken;

	*is_done = true;
	if (horizon <= position)
		return 0;
	/* What changes while rows are made is seen later. */
	if (position == 0)
		f6_projection_note_making(projection);
	reached = f6_projection_run_part(projection, position, horizon, max_events, &taken);
	f6_projection_set_position(projection, reached);
	*is_done = reached >= horizon;
	return taken;
}

/* f6_refresh(name) takes the events up to the horizon into an async projection, and returns how many they are. */
Datum
f6_refresh(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	int64 taken = 0;
	bool is_done;

	if (projection->mode != F6_PROJECTION_ASYNC)
		PG_RETURN_INT64(0);
	PreventCommandIfReadOnly("f6_refresh()");
	PreventCommandIfParallelMode("f6_refresh()");
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	do
	{
		CHECK_FOR_INTERRUPTS();
		taken += refresh(projection, 0, &is_done);
	} while (!is_done);
	PG_RETURN_INT64(taken);
}

/* f6_projections_async returns the names of the projections that are refreshed, in the current memory context. */
List *
f6_projections_async(void)
{
	List *names = NIL;
	ListCell *cell;

	foreach (cell, f6_projections_all())
	{
		const f6_projection *projection = lfirst(cell);

		if (projection->mode == F6_PROJECTION_ASYNC)
			names = lappend(names, pstrdup(projection->name));
	}
	return names;
}

/* is_due tells whether a projection is not to be left alone for a while, since it has failed. */
static bool
is_due(const f6_projection *projection)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(projection->id) };
	bool due;

	f6_spi_connect();
	f6_run_own("select from f6.projection_progress where projection_id = $1"
			   " and retry_at > clock_timestamp()",
			   lengthof(types), types, values, true);
	due = SPI_processed == 0;
	SPI_finish();
	return due;
}

/* try_refresh refreshes a projection, if it is there, nobody else is at it and it is due. */
static void
try_refresh(const char *name, int64 max_events, f6_refreshed *result)
{
	f6_projection *projection = f6_projection_find(name);

	result->is_done = true;
	if (projection == NULL)
		return;
	projection = f6_projection_try_lock(projection);
	if (projection != NULL && projection->mode == F6_PROJECTION_ASYNC && is_due(projection))
		result->events += refresh(projection, max_events, &result->is_done);
}

/* attempt refreshes a projection in a subtransaction; an error undoes it, and its message is returned; NULL: there was none. */
static const char *
attempt(const char *name, int64 max_events, f6_refreshed *result)
{
	f6_part part;
	ErrorData *volatile error = NULL;

	f6_part_begin(&part);
	PG_TRY();
	{
		try_refresh(name, max_events, result);
		f6_part_end(&part, true);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	if (error == NULL)
		return NULL;
	if (f6_part_is_cancelled(error))
		ReThrowError(error);
	return f6_part_error_text(error);
}

/* note_failure notes that an event can't be taken, and when that is to be tried again. */
static void
note_failure(const char *name, int64 position, const char *message)
{
	f6_projection *projection = f6_projection_find(name);
	Oid types[] = { INT4OID, INT8OID, TEXTOID };
	Datum values[lengthof(types)];

	if (projection == NULL || (projection = f6_projection_try_lock(projection)) == NULL)
		return;
	values[0] = Int32GetDatum(projection->id);
	values[1] = Int64GetDatum(position);
	values[2] = CStringGetTextDatum(message);
	f6_spi_connect();
	f6_run_own("insert into f6.projection_progress as p (projection_id, \"position\", refreshed_at,"
			   " failures, failed_position, failed_at, error, retry_at)"
			   " values ($1, 0, clock_timestamp(), 1, nullif($2, 0), clock_timestamp(), $3,"
			   " clock_timestamp() + interval '1 second')"
			   " on conflict (projection_id) do update set failures = p.failures + 1,"
			   " failed_position = excluded.failed_position, failed_at = excluded.failed_at,"
			   " error = excluded.error,"
			   " retry_at = clock_timestamp() + least(interval '5 minutes',"
			   " interval '1 second' * 2 ^ least(p.failures, 20))",
			   lengthof(types), types, values, false);
	SPI_finish();
}

/*
 * f6_projection_refresh_safely takes at most so many events into a projection.  Where that fails they are taken one by one, up to the one that
 * can't be, which is noted.
 */
f6_refreshed
f6_projection_refresh_safely(const char *name, int64 max_events)
{
	f6_refreshed result = { 0 };

	f6_projection_run_forget();
	result.error = attempt(name, max_events, &result);
	if (result.error == NULL)
		return result;
	for (int64 i = 0; i < max_events; i++)
	{
		CHECK_FOR_INTERRUPTS();
		f6_projection_run_forget();
		result.error = attempt(name, 1, &result);
		if (result.error != NULL)
			break;
		if (result.is_done)
			return result;
	}
	if (result.error == NULL)
		return result;
	note_failure(name, f6_projection_run_at(), result.error);
	result.is_done = true;
	return result;
}

/* put_refreshed adds a row for a projection to the result. */
static void
put_refreshed(ReturnSetInfo *result, const char *name, const f6_refreshed *refreshed)
{
	Datum values[REFRESHED_COLUMNS] = { CStringGetTextDatum(name), Int64GetDatum(refreshed->events),
										(Datum) 0 };
	bool nulls[REFRESHED_COLUMNS] = { false, false, refreshed->error == NULL };

	if (refreshed->error != NULL)
		values[REFRESHED_ERROR] = CStringGetTextDatum(refreshed->error);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* f6_refresh() takes events into all async projections; what fails is noted, and left alone for a while. */
Datum
f6_refresh_all(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;

	PreventCommandIfReadOnly("f6_refresh()");
	PreventCommandIfParallelMode("f6_refresh()");
	f6_projection_check_snapshot();
	InitMaterializedSRF(fcinfo, 0);
	foreach (cell, f6_projections_async())
	{
		f6_refreshed all = { 0 };

		do
		{
			f6_refreshed some = f6_projection_refresh_safely(lfirst(cell), F6_EVENTS_PER_REFRESH);

			all.events += some.events;
			all.is_done = some.is_done;
			all.error = some.error;
		} while (!all.is_done);
		put_refreshed(result, lfirst(cell), &all);
	}
	return (Datum) 0;
}

/* failed_position returns the position of the event that a projection fails at, which there must be. */
static int64
failed_position(const f6_projection *projection)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(projection->id) };
	int64 position = 0;
	bool isnull = true;

	f6_run_own("select failed_position from f6.projection_progress where projection_id = $1"
			   " and failures > 0",
			   lengthof(types), types, values, true);
	if (SPI_processed > 0)
		position =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	if (isnull)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("projection \"%s\" fails at no event", projection->name),
						errhint("Give the position of the event that is to be skipped.")));
	return position;
}

/* check_event refuses a position where there is no event. */
static void
check_event(int64 position)
{
	if (SPI_execute_with_args("select from f6.event where \"position\" operator(pg_catalog.=) $1",
							  1, (Oid[]){ INT8OID }, (Datum[]){ Int64GetDatum(position) }, NULL,
							  true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for an event");
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("there is no event at position " INT64_FORMAT, position)));
}

/* skip has a projection take the event at a position as not there. */
static void
skip(const f6_projection *projection, int64 position, FunctionCallInfo fcinfo)
{
	Oid types[] = { INT4OID, INT8OID, TEXTOID };
	Datum values[] = { Int32GetDatum(projection->id), Int64GetDatum(position),
					   PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2) };

	f6_run_own_nulls("insert into f6.projection_skip values"
					 " ($1, $2, clock_timestamp(), session_user, $3) on conflict do nothing",
					 lengthof(types), types, values, PG_ARGISNULL(2) ? "  n" : NULL, false);
	f6_run_own("update f6.projection_progress set failures = 0, failed_position = null,"
			   " failed_at = null, error = null, retry_at = null where projection_id = $1",
			   1, types, values, false);
}

/* f6_skip(name, position, reason) has a projection take an event as not there, and returns its position. */
Datum
f6_skip(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	int64 position;

	f6_projection_check_owner(projection);
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	f6_spi_connect();
	position = PG_ARGISNULL(1) ? failed_position(projection) : PG_GETARG_INT64(1);
	check_event(position);
	skip(projection, position, fcinfo);
	SPI_finish();
	PG_RETURN_INT64(position);
}
