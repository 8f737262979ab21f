/*
 * schedule_admin.c
 *		What is done about schedules beside running them: they are made, enabled, disabled and dropped.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "own_statement.h"
#include "part.h"
#include "schedule.h"
#include "spi_connection.h"
#include "zone.h"

F6_FUNCTION(f6_make_schedule);
F6_FUNCTION(f6_enable_schedule);
F6_FUNCTION(f6_drop_schedule);

/* arguments of f6.make_schedule, and the parameters of its statement, which has two more */
enum make_argument
{
	MAKE_NAME,
	MAKE_CRON,
	MAKE_EVENT_TYPE,
	MAKE_OBJECT_IDS,
	MAKE_EVENT_DATA,
	MAKE_TIMEZONE,
	MAKE_NEXT_AT,
	MAKE_ARGUMENTS,
	MAKE_ZONE_ID = MAKE_ARGUMENTS,
	MAKE_OWNER,
	MAKE_PARAMETERS
};

/* insert keeps a schedule of the caller; it refuses a name that another one has. */
static void
insert(FunctionCallInfo fcinfo)
{
	Oid types[MAKE_PARAMETERS] = { TEXTOID, TEXTOID,		TEXTOID, UUIDARRAYOID, JSONBOID,
								   TEXTOID, TIMESTAMPTZOID, INT4OID, OIDOID };
	Datum values[MAKE_PARAMETERS];

	for (int i = 0; i < MAKE_ARGUMENTS; i++)
		values[i] = PG_GETARG_DATUM(i);
	values[MAKE_ZONE_ID] = Int32GetDatum(f6_zone_current());
	values[MAKE_OWNER] = ObjectIdGetDatum(GetUserId());
	f6_spi_connect();
	f6_run_own("insert into f6.schedule_definition (name, cron, event_type, object_ids, event_data,"
			   " timezone, next_at, zone_id, owner) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
			   " on conflict do nothing",
			   lengthof(types), types, values, false);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(F6_ERR_REGISTERED),
						errmsg("schedule \"%s\" exists",
							   text_to_cstring(DatumGetTextPP(values[MAKE_NAME]))),
						errhint("f6.schedule lists them; f6_drop_schedule drops one.")));
	SPI_finish();
}

/* try_event refuses a schedule whose event would be refused: it appends that, and undoes it. */
static void
try_event(FunctionCallInfo fcinfo)
{
	f6_schedule schedule = { .name = text_to_cstring(PG_GETARG_TEXT_PP(MAKE_NAME)),
							 .timezone = text_to_cstring(PG_GETARG_TEXT_PP(MAKE_TIMEZONE)),
							 .owner = GetUserId() };
	ErrorData *volatile error = NULL;
	f6_scheduled result;
	f6_part part;

	f6_part_begin(&part);
	PG_TRY();
	{
		f6_schedule_append(&schedule, PG_GETARG_TIMESTAMPTZ(MAKE_NEXT_AT), &result);
		f6_part_end(&part, false);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	if (error != NULL)
		ReThrowError(error);
}

/* f6.make_schedule(name, cron, event_type, object_ids, event_data, timezone, next_at) makes a schedule of the caller. */
Datum
f6_make_schedule(PG_FUNCTION_ARGS)
{
	insert(fcinfo);
	try_event(fcinfo);
	PG_RETURN_VOID();
}

/* lock_schedule returns the schedule that a function's first argument names, which there must be and which must be the caller's, locked. */
static char *
lock_schedule(FunctionCallInfo fcinfo)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { PG_GETARG_DATUM(0) };
	bool isnull;
	char *name;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("name must not be NULL"),
						errhint("Give the name of a schedule; f6.schedule lists them.")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	f6_spi_connect();
	f6_run_own("select owner::oid from f6.schedule_definition where name = $1 for update",
			   lengthof(types), types, values, false);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("there is no schedule \"%s\"", name),
						errhint("f6.schedule lists them.")));
	if (!has_privs_of_role(GetUserId(),
						   DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
														  SPI_tuptable->tupdesc, 1, &isnull))))
		ereport(ERROR,
				(errcode(F6_ERR_NO_PRIVILEGE), errmsg("schedule \"%s\" is not yours", name),
				 errhint("Members of the role that has made it may disable, enable or drop it.")));
	SPI_finish();
	return name;
}

/* f6_enable_schedule(name, enabled) has a schedule append events or not, and returns when the next one is due, NULL if none is. */
Datum
f6_enable_schedule(PG_FUNCTION_ARGS)
{
	Oid types[] = { TEXTOID, BOOLOID };
	Datum values[] = { PG_GETARG_DATUM(0), PG_GETARG_DATUM(1) };
	TimestampTz next;
	bool isnull;

	(void) lock_schedule(fcinfo);
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("enabled must not be NULL"),
						errhint("Give true or false.")));
	f6_spi_connect();
	/* What has become due while it was disabled is passed by. */
	f6_run_own("update f6.schedule_definition set enabled = $2, failures = 0, error = null,"
			   " retry_at = null,"
			   " next_at = case when $2 then f6.cron_next(cron, clock_timestamp(), timezone) end"
			   " where name = $1 and enabled <> $2",
			   lengthof(types), types, values, false);
	f6_run_own("select next_at from f6.schedule_definition where name = $1", 1, types, values,
			   false);
	next = DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(next);
}

/* f6_drop_schedule(name) drops a schedule. */
Datum
f6_drop_schedule(PG_FUNCTION_ARGS)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { PG_GETARG_DATUM(0) };

	(void) lock_schedule(fcinfo);
	f6_spi_connect();
	f6_run_own("delete from f6.schedule_definition where name = $1", lengthof(types), types, values,
			   false);
	SPI_finish();
	PG_RETURN_VOID();
}
