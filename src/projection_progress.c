/*
 * projection_progress.c
 *		How far projections have come, and who may take them further.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"

#include "f6.h"
#include "errors.h"
#include "lock.h"
#include "own_statement.h"
#include "projection_progress.h"
#include "relation.h"
#include "spi_connection.h"

/* f6_projection_argument returns the projection that a function's first argument names. */
f6_projection *
f6_projection_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("name must not be NULL"),
						errhint("Give the name of a projection; f6.projection lists them.")));
	return f6_projection_get(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/* f6_projection_check_owner refuses a caller who may not act as a projection's owner. */
void
f6_projection_check_owner(const f6_projection *projection)
{
	if (!has_privs_of_role(GetUserId(), projection->owner))
		ereport(ERROR, (errcode(F6_ERR_NO_PRIVILEGE),
						errmsg("projection \"%s\" is not yours", projection->name),
						errhint("Its functions run as its owner.")));
}

/* f6_projection_check_snapshot refuses a transaction that does not see what others have committed by now. */
void
f6_projection_check_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("a projection cannot be changed with a snapshot of before"),
						errhint("Do it in a transaction that is READ COMMITTED.")));
}

/* lock locks a projection, and returns what it is then; NULL if that would mean to wait, and the caller does not want to, or it is gone. */
static f6_projection *
lock(f6_projection *projection, bool wait)
{
	char *name = pstrdup(projection->name);

	for (;;)
	{
		int32 id = projection->id;
		LOCKTAG tag;

		SET_LOCKTAG_OBJECT(tag, MyDatabaseId, f6_relation_oid(F6_PROJECTION), id, 0);
		if (LockAcquire(&tag, ExclusiveLock, false, !wait) == LOCKACQUIRE_NOT_AVAIL)
			return NULL;
		AcceptInvalidationMessages();
		projection = wait ? f6_projection_get(name) : f6_projection_find(name);
		if (projection == NULL || projection->id == id)
			return projection;
		/* Somebody has dropped it, and made another. */
		LockRelease(&tag, ExclusiveLock, false);
	}
}

/* f6_projection_lock lets nobody else refresh or change a projection until the transaction ends; it returns what it is then. */
f6_projection *
f6_projection_lock(f6_projection *projection)
{
	return lock(projection, true);
}

/* f6_projection_try_lock does so if nobody else has it; NULL: somebody has, or the projection is gone. */
f6_projection *
f6_projection_try_lock(f6_projection *projection)
{
	return lock(projection, false);
}

/* f6_appends_pause lets nobody else append until the transaction ends. */
void
f6_appends_pause(void)
{
	f6_locks locks;

	f6_locks_begin(&locks);
	f6_locks_query(&locks);
	f6_locks_query_all(&locks);
	f6_locks_take(&locks);
}

/* f6_projection_position returns the position up to which a projection has the events, in the active snapshot, or in a new one. */
int64
f6_projection_position(const f6_projection *projection, bool in_active_snapshot)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(projection->id) };
	int64 position = 0;
	bool isnull;

	f6_spi_connect();
	f6_run_own("select \"position\" from f6.projection_progress where projection_id = $1", 1, types,
			   values, in_active_snapshot);
	if (SPI_processed > 0)
		position =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return position;
}

/* f6_projection_set_position notes the position up to which a projection has the events. */
void
f6_projection_set_position(const f6_projection *projection, int64 position)
{
	Oid types[] = { INT4OID, INT8OID };
	Datum values[] = { Int32GetDatum(projection->id), Int64GetDatum(position) };

	f6_spi_connect();
	f6_run_own("insert into f6.projection_progress (projection_id, \"position\", refreshed_at)"
			   " values ($1, $2, clock_timestamp())"
			   " on conflict (projection_id) do update set \"position\" = excluded.\"position\","
			   " refreshed_at = excluded.refreshed_at, failures = 0, failed_position = null,"
			   " failed_at = null, error = null, retry_at = null",
			   2, types, values, false);
	SPI_finish();
}
