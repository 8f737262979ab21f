/*
 * subscription_poll.c
 *		f6_poll: the next events of a subscription, for which it waits.
 *
 * Who waits is woken by the end of each transaction that appends, and looks again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "reading.h"
#include "subscription_deliver.h"
#include "waiting.h"

F6_FUNCTION(f6_poll);

#define MOST_EVENTS 10000

/* How long, in milliseconds, who waits sleeps at most before looking again, though nobody has said that there is something. */
#define LONGEST_SLEEP 1000

/* How long who was woken in vain rests at most before looking again: under many appends somebody wakes it all the time. */
#define LONGEST_REST 16

/* How long, while that goes on, it looks at the log alone: what other consumers do, which wakes it as well, it sees after that. */
#define LONGEST_GLANCE 100

/* Somebody who polls. */
typedef struct poll
{
	f6_delivering delivering;
	const f6_query *query;
	TimestampTz until; /* how long to wait */
} poll;

/* put_row adds an event to a function's result. */
static void
put_row(void *state, HeapTuple event, TupleDesc descriptor, int attempt)
{
	ReturnSetInfo *returned = state;
	Datum *values = palloc(sizeof(Datum) * (descriptor->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (descriptor->natts + 1));

	heap_deform_tuple(event, descriptor, values, nulls);
	values[F6_EVENT_COLUMNS] = Int32GetDatum(attempt);
	nulls[F6_EVENT_COLUMNS] = false;
	tuplestore_putvalues(returned->setResult, returned->setDesc, values, nulls);
}

/* look_on looks until there is something, or nothing more to be noted, and tells whether to wait: not for others to wait for what was noted. */
static bool
look_on(poll *poll)
{
	bool is_noted = false;
	f6_delivered result;

	while ((result = f6_deliver(&poll->delivering)) == F6_NOTED)
	{
		CHECK_FOR_INTERRUPTS();
		is_noted = true;
	}
	return result == F6_NOTHING && !is_noted;
}

/* glance tells whether the log has anything new, if that is all that there is to be seen yet. */
static bool
glance(const poll *poll)
{
	TimestampTz now = GetCurrentTimestamp();
	f6_reading read;
	bool is_new;

	if (now >= poll->delivering.due_at || now >= poll->until ||
		TimestampDifferenceExceeds(poll->delivering.looked_at, now, LONGEST_GLANCE))
		return true;
	f6_reading_begin(&read, poll->query);
	read.end = read.horizon;
	is_new = f6_reading_next(&read, poll->delivering.horizon, 1).count > 0;
	f6_reading_end(&read);
	return is_new;
}

/* rest_and_glance rests a while, which grows from time to time, until the log has something new or there may be something for another reason. */
static void
rest_and_glance(const poll *poll, int *rest)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 glance", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	do
	{
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
		pg_usleep(*rest * 1000L);
		*rest = Min(Max(2 * *rest, 1), LONGEST_REST);
	} while (!glance(poll));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* sleep_until_due sleeps until somebody has appended, or there may be something for another reason. */
static void
sleep_until_due(const poll *poll, TimestampTz now)
{
	TimestampTz end = Min(poll->until, poll->delivering.due_at);
	long milliseconds = TimestampDifferenceMilliseconds(now, end);

	f6_waiting_sleep(Min(Max(milliseconds, 1), LONGEST_SLEEP));
}

/* wait_and_look looks until there is something, or the time is over. */
static void
wait_and_look(poll *poll)
{
	TimestampTz now = GetCurrentTimestamp();
	int rest = 0;

	if (!look_on(poll) || now >= poll->until)
		return;
	f6_waiting_begin();
	while (look_on(poll) && (now = GetCurrentTimestamp()) < poll->until)
	{
		sleep_until_due(poll, now);
		if (TimestampDifferenceExceeds(now, GetCurrentTimestamp(), LONGEST_REST))
			rest = 0;
		else
			rest_and_glance(poll, &rest);
	}
	f6_waiting_end();
}

/* interval_argument returns an argument that is a span of time; one that is not positive, or is negative, is refused. */
static Interval *
interval_argument(FunctionCallInfo fcinfo, int number, const char *name, bool may_be_zero)
{
	Interval *span = PG_ARGISNULL(number) ? NULL : PG_GETARG_INTERVAL_P(number);
	Interval zero = { 0 };
	int sign = span == NULL ? -1
							: DatumGetInt32(DirectFunctionCall2(interval_cmp, PointerGetDatum(span),
																PointerGetDatum(&zero)));

	if (sign < 0 || (sign == 0 && !may_be_zero))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("%s must be a span of time that is %s", name,
													  may_be_zero ? "not negative" : "positive")));
	return span;
}

/* read_arguments reads the arguments of f6_poll but for the name. */
static void
read_arguments(poll *poll, FunctionCallInfo fcinfo)
{
	TimestampTz lease_end;

	poll->delivering.call_site = fcinfo->flinfo;
	poll->delivering.receive = put_row;
	poll->delivering.state = fcinfo->resultinfo;
	poll->delivering.max_events = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	if (poll->delivering.max_events < 1 || poll->delivering.max_events > MOST_EVENTS)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("max_events must be 1 to %d", MOST_EVENTS)));
	poll->until = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
							PointerGetDatum(interval_argument(fcinfo, 2, "wait", true))));
	poll->delivering.consumer =
		PG_ARGISNULL(3) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(3));
	poll->delivering.lease = interval_argument(fcinfo, 4, "lease", false);
	lease_end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														TimestampTzGetDatum(GetCurrentTimestamp()),
														PointerGetDatum(poll->delivering.lease)));
	if (TIMESTAMP_NOT_FINITE(lease_end))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("lease must end"),
						errhint("Each acknowledgement renews it.")));
}

/* f6_poll(name, max_events, wait, consumer, lease) returns the next events of a subscription, and waits for some if there are none. */
Datum
f6_poll(PG_FUNCTION_ARGS)
{
	poll poll = { 0 };

	PreventCommandIfReadOnly("f6_poll()");
	PreventCommandIfParallelMode("f6_poll()");
	f6_subscription_check_snapshot();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	poll.delivering.subscription = f6_subscription_get(fcinfo);
	poll.query = f6_query_read(poll.delivering.subscription->query);
	read_arguments(&poll, fcinfo);
	wait_and_look(&poll);
	return (Datum) 0;
}
