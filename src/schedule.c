/*
 * schedule.c
 *		Running schedules: appending the events that are due.
 *
 * The row of a schedule is locked until the transaction ends that appends its event and writes there when the next one is due.  So each is
 * appended once, whoever else runs schedules and whatever ends the server.  An append that fails is undone alone, and noted in the row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "acting.h"
#include "append.h"
#include "errors.h"
#include "event_cause.h"
#include "own_statement.h"
#include "part.h"
#include "schedule.h"
#include "spi_connection.h"

F6_FUNCTION(f6_run_schedules);

/* How long, in milliseconds, what somebody else is running is left alone. */
#define BUSY_INTERVAL 1000

/* columns of the statement that finds what is due */
enum due_column
{
	DUE_NAME = 1,
	DUE_TIMEZONE,
	DUE_OWNER
};

/* and of that which makes its event */
enum event_column
{
	EVENT_AT = 1,
	EVENT_NEXT,
	EVENT_DOCUMENT
};

static f6_own_statement lock_due = {
	.text = "select name, timezone, owner::oid from f6.schedule_definition"
			" where enabled and next_at <= $1 and (retry_at > $1) is not true"
			" order by greatest(next_at, retry_at), name limit 1 for no key update skip locked",
	.parameter_count = 1,
	.types = { TIMESTAMPTZOID },
};

/* Of the times that have passed it is the last one. */
static f6_own_statement make_event = {
	.text = "select l.at, f6.cron_next(s.cron, $2, s.timezone), f6.schedule_event(s, l.at)"
			" from f6.schedule_definition as s,"
			" f6.cron_last(s.cron, s.next_at, $2, s.timezone) as l (at)"
			" where s.name = $1",
	.parameter_count = 2,
	.types = { TEXTOID, TIMESTAMPTZOID },
};

static f6_own_statement note_success = {
	.text = "update f6.schedule_definition set next_at = $2, last_at = $3, last_position = $4,"
			" failures = 0, error = null, retry_at = null where name = $1",
	.parameter_count = 4,
	.types = { TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID },
};

static f6_own_statement note_failure = {
	.text = "update f6.schedule_definition set failures = failures + 1, error = $2,"
			" retry_at = clock_timestamp() + least(interval '5 minutes',"
			" interval '1 second' * 2 ^ least(failures, 20)) where name = $1",
	.parameter_count = 2,
	.types = { TEXTOID, TEXTOID },
};

static f6_own_statement find_next = {
	.text = "select min(greatest(next_at, retry_at)) from f6.schedule_definition"
			" where enabled and next_at is not null",
};

/* value returns a value of the row that a statement has read. */
static Datum
value(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

/* lock_next locks a schedule that is due, and that nobody else has locked, until the transaction ends; false: there is none. */
static bool
lock_next(TimestampTz now, f6_schedule *schedule)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { TimestampTzGetDatum(now) };
	bool is_found;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&lock_due, values, NULL);
	is_found = SPI_processed > 0;
	if (is_found)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		schedule->name = TextDatumGetCString(value(DUE_NAME, &isnull));
		schedule->timezone = TextDatumGetCString(value(DUE_TIMEZONE, &isnull));
		schedule->owner = DatumGetObjectId(value(DUE_OWNER, &isnull));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return is_found;
}

/* make_document returns the event that a schedule appends for the last of the times that have come until one, and notes which these are. */
static Jsonb *
make_document(const f6_schedule *schedule, TimestampTz until, f6_scheduled *result)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { CStringGetTextDatum(schedule->name), TimestampTzGetDatum(until) };
	MemoryContext spi;
	Jsonb *document;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&make_event, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "schedule \"%s\" is gone", schedule->name);
	spi = MemoryContextSwitchTo(caller);
	document = DatumGetJsonbPCopy(value(EVENT_DOCUMENT, &isnull));
	MemoryContextSwitchTo(spi);
	result->at = DatumGetTimestampTz(value(EVENT_AT, &isnull));
	result->next = DatumGetTimestampTz(value(EVENT_NEXT, &isnull));
	result->has_next = !isnull;
	SPI_finish();
	return document;
}

/* f6_schedule_append appends the event of a schedule for the last of the times that have come until one, as its owner. */
void
f6_schedule_append(const f6_schedule *schedule, TimestampTz until, f6_scheduled *result)
{
	Jsonb *document = make_document(schedule, until, result);
	f6_condition condition = { 0 };
	f6_acting before;
	Datum *positions;
	Datum *ids;
	/* The worker's own user says nothing. */
	f6_cause cause = { .user =
						   MyBackendType == B_BG_WORKER ? schedule->owner : GetSessionUserId() };
	const f6_cause *reason;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(schedule->owner)))
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("the owner of schedule \"%s\" does not exist", schedule->name),
						errhint("Drop it, and make it anew.")));
	f6_act_as(schedule->owner, schedule->timezone, &before);
	reason = f6_cause_set(&cause);
	PG_TRY();
	{
		(void) f6_append_document(document, &condition, &ids, &positions);
	}
	PG_FINALLY();
	{
		(void) f6_cause_set(reason);
	}
	PG_END_TRY();
	f6_act_end(&before);
	result->position = DatumGetInt64(positions[0]);
}

/* keep_success notes that the event of a schedule was appended, and when the next one is due. */
static void
keep_success(const f6_schedule *schedule, const f6_scheduled *result)
{
	Datum values[] = { CStringGetTextDatum(schedule->name), TimestampTzGetDatum(result->next),
					   TimestampTzGetDatum(result->at), Int64GetDatum(result->position) };

	f6_spi_connect();
	f6_own_run(&note_success, values, result->has_next ? NULL : " n  ");
	SPI_finish();
}

/* keep_failure notes that it could not be, why, and when that is to be tried again. */
static void
keep_failure(const f6_schedule *schedule, const ErrorData *error)
{
	char *text = f6_part_error_text(error);
	Datum values[] = { CStringGetTextDatum(schedule->name), CStringGetTextDatum(text) };

	ereport(LOG, (errmsg("schedule \"%s\" could not append its event", schedule->name),
				  errdetail_internal("%s", text)));
	f6_spi_connect();
	f6_own_run(&note_failure, values, NULL);
	SPI_finish();
}

/* run appends the event of a schedule that is locked, and tells whether that could be done. */
static bool
run(const f6_schedule *schedule, TimestampTz now)
{
	ErrorData *volatile error = NULL;
	f6_scheduled result;
	f6_part part;

	f6_part_begin(&part);
	PG_TRY();
	{
		f6_schedule_append(schedule, now, &result);
		keep_success(schedule, &result);
		f6_part_end(&part, true);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	if (error == NULL)
		return true;
	if (f6_part_is_cancelled(error))
		ReThrowError(error);
	keep_failure(schedule, error);
	return false;
}

/* run_due runs a schedule that is due at a time, if there is one, and counts what it appends; once run, it is due at that time no more. */
static bool
run_due(TimestampTz now, int64 *appended)
{
	f6_schedule schedule;

	CHECK_FOR_INTERRUPTS();
	if (!lock_next(now, &schedule))
		return false;
	if (run(&schedule, now))
		(*appended)++;
	return true;
}

/* next_time returns when the next event is due; DT_NOEND: there is none. */
static TimestampTz
next_time(void)
{
	TimestampTz next;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&find_next, NULL, NULL);
	next = DatumGetTimestampTz(value(1, &isnull));
	SPI_finish();
	return isnull ? DT_NOEND : next;
}

/*
 * f6_schedules_run appends the event of one schedule that is due, if there is one, and returns when the next one is: at once, perhaps;
 * DT_NOEND: there is none.  One, since what a transaction has appended holds back the horizon until it ends.
 */
TimestampTz
f6_schedules_run(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = next_time();
	int64 appended = 0;

	if (next > now)
		return next;
	if (run_due(now, &appended))
		return next_time();
	/* Somebody else has it. */
	return TimestampTzPlusMilliseconds(now, BUSY_INTERVAL);
}

/* f6_run_schedules() appends an event for each schedule that is due, and returns how many it has appended. */
Datum
f6_run_schedules(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 appended = 0;

	(void) fcinfo;
	PreventCommandIfReadOnly("f6_run_schedules()");
	PreventCommandIfParallelMode("f6_run_schedules()");
	while (run_due(now, &appended))
		;
	PG_RETURN_INT64(appended);
}
