/*
 * subscription_poll.c
 *		f6_poll: the next events of a subscription, leased to a consumer.
 *
 * Who polls looks first, without a lock, and then locks the partition that has something; if it is not as it was seen, somebody else was faster.  So
 * nobody who only looks, or waits, holds up who acknowledges.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "own_statement.h"
#include "part.h"
#include "spi_connection.h"
#include "subscription_next.h"
#include "waiting.h"

F6_FUNCTION(f6_poll);

#define MOST_EVENTS 10000

/* How long, in milliseconds, who waits sleeps at most before looking again, though nobody has said that there is something. */
#define LONGEST_SLEEP 1000

/* How long who was woken in vain rests at most before looking again: under many appends somebody wakes it all the time. */
#define LONGEST_REST 16

/* How long, while that goes on, it looks at the log alone: what other consumers do, which wakes it as well, it sees after that. */
#define LONGEST_GLANCE 100

/* So many events that are not a partition's are worth noting that they need not be looked at again. */
#define EVENTS_WORTH_NOTING 100

/* Somebody who polls. */
typedef struct poll
{
	FunctionCallInfo fcinfo;
	const f6_subscription *subscription;
	const f6_query *query;
	int max_events;
	char *consumer;
	Interval *lease;
	TimestampTz until; /* how long to wait */
	/* of the last look */
	TimestampTz looked_at;
	TimestampTz due_at;
	int64 horizon;
} poll;

static f6_own_statement mark_delivered = {
	.text = "update f6.parked_event set is_delivered = true"
			" where subscription_id = $1 and \"position\" = any ($2)",
	.parameter_count = 2,
	.types = { INT4OID, INT8ARRAYOID },
};

static f6_own_statement settle_delivered = {
	.text = "update f6.parked_event set is_done = true, is_delivered = false, replay = false"
			" where subscription_id = $1 and partition = $2 and is_delivered",
	.parameter_count = 2,
	.types = { INT4OID, INT4OID },
};

static f6_own_statement take_back = {
	.text = "update f6.parked_event set is_delivered = false, replay = false,"
			" attempts = attempts + 1, reason = $3"
			" where subscription_id = $1 and partition = $2 and is_delivered",
	.parameter_count = 3,
	.types = { INT4OID, INT4OID, TEXTOID },
};

static f6_own_statement insert_parked = {
	.text = "insert into f6.parked_event (subscription_id, \"position\", partition, object_ids,"
			" attempts, waits_for, replay, reason, parked_at)"
			" values ($1, $2, $3, $4, $5, nullif($6, 0), $7, $8, clock_timestamp())"
			" on conflict do nothing",
	.parameter_count = 8,
	.types = { INT4OID, INT8OID, INT4OID, UUIDARRAYOID, INT4OID, INT8OID, BOOLOID, TEXTOID },
};

/* run runs a statement on f6's own tables. */
static void
run(f6_own_statement *statement, Datum *values, const char *nulls)
{
	f6_spi_connect();
	f6_own_run(statement, values, nulls);
	SPI_finish();
}

/* expiry_reason returns why what a partition had delivered has failed whose lease ran out. */
static Datum
expiry_reason(const f6_partition *partition)
{
	return CStringGetTextDatum(
		psprintf("the lease of consumer \"%s\" ran out", partition->consumer));
}

/* park_events parks events that wait for others, or that consumers' leases ran out with. */
static void
park_events(const f6_subscription *subscription, const f6_partition *partition, const List *list)
{
	ListCell *cell;

	foreach (cell, list)
	{
		const f6_parked *parked = lfirst(cell);
		bool waits = parked->waits_for != 0;
		Datum values[] = { Int32GetDatum(subscription->id),	 Int64GetDatum(parked->position),
						   Int32GetDatum(parked->partition), f6_uuids_array(&parked->objects),
						   Int32GetDatum(parked->attempts),	 Int64GetDatum(parked->waits_for),
						   BoolGetDatum(parked->replay),	 (Datum) 0 };

		if (!waits)
			values[7] = expiry_reason(partition);
		run(&insert_parked, values, waits ? "       n" : NULL);
	}
}

/* expire has a partition, whose lease ran out, be as if nothing had been delivered, but that what was goes one by one. */
static void
expire(const poll *poll, f6_partition *partition)
{
	Datum values[] = { Int32GetDatum(poll->subscription->id), Int32GetDatum(partition->number),
					   expiry_reason(partition) };

	/* What was replayed says nothing of what comes next in the log. */
	if (partition->delivered > partition->position)
	{
		partition->careful_until = Max(partition->careful_until, partition->delivered);
		partition->expirations++;
	}
	partition->delivered = partition->position;
	run(&take_back, values, NULL);
}

/* note_delivered writes what a partition, which is locked, delivers. */
static void
note_delivered(const poll *poll, const f6_looking *looking, const f6_partition *seen,
			   const f6_next *next)
{
	f6_partition partition = *seen;
	Datum values[] = { Int32GetDatum(poll->subscription->id), f6_found_array(&next->found) };

	if (f6_partition_has_expired(looking, seen))
		expire(poll, &partition);
	if (next->is_replay)
		run(&mark_delivered, values, NULL);
	else
	{
		partition.expirations = partition.head == next->found.list[0] ? partition.expirations : 0;
		partition.head = next->found.list[0];
		partition.delivered = next->found.list[next->found.count - 1];
	}
	partition.consumer = poll->consumer;
	partition.lease = poll->lease;
	f6_partition_lease(&partition);
	park_events(poll->subscription, seen, next->parked);
	f6_partition_write(poll->subscription, &partition, true, false);
}

/* note_nothing writes that a partition, which is locked, has nothing to deliver up to a position, so that nobody looks there again. */
static void
note_nothing(const poll *poll, const f6_looking *looking, const f6_partition *seen,
			 const f6_next *next)
{
	f6_partition partition = *seen;
	bool has_expired = f6_partition_has_expired(looking, seen);

	if (has_expired)
		expire(poll, &partition);
	park_events(poll->subscription, seen, next->parked);
	if (partition.delivered == partition.position)
		partition.position = partition.delivered = Max(partition.position, next->until);
	if (has_expired)
		partition.consumer = NULL;
	f6_partition_write(poll->subscription, &partition, false, false);
}

/* What is written of a partition. */
typedef void (*partition_note)(const poll *, const f6_looking *, const f6_partition *,
							   const f6_next *);

/* note_if_same writes something of a partition, if it is as it was seen and nobody else has it, and tells whether it did. */
static bool
note_if_same(const poll *poll, const f6_looking *looking, const f6_partition *seen,
			 const f6_next *next, partition_note note)
{
	f6_partition locked;

	if (!f6_partition_lock(poll->subscription, seen->number, false, &locked) ||
		locked.version != seen->version)
		return false;
	note(poll, looking, seen, next);
	return true;
}

/* lock_and_note does so in a subtransaction, so that no lock stays where it did not. */
static bool
lock_and_note(const poll *poll, const f6_looking *looking, const f6_partition *seen,
			  const f6_next *next, partition_note note)
{
	f6_part part;
	volatile bool is_noted = false;

	f6_part_begin(&part);
	PG_TRY();
	{
		is_noted = note_if_same(poll, looking, seen, next, note);
		f6_part_end(&part, is_noted);
	}
	PG_CATCH();
	{
		ReThrowError(f6_part_fail(&part));
	}
	PG_END_TRY();
	return is_noted;
}

/* Rows on their way into a function's result. */
typedef struct row_putter
{
	ReturnSetInfo *returned;
	TupleDesc event;
	const f6_next *next;
} row_putter;

/* attempt_at returns for which time the event at a position is delivered. */
static int
attempt_at(const f6_next *next, int64 position)
{
	int i = 0;

	while (i < next->found.count - 1 && next->found.list[i] != position)
		i++;
	return next->attempts[i];
}

/* put_row adds an event to the result. */
static void
put_row(void *state, HeapTuple row)
{
	row_putter *putter = state;
	int columns = putter->event->natts;
	Datum *values = palloc(sizeof(Datum) * (columns + 1));
	bool *nulls = palloc(sizeof(bool) * (columns + 1));

	heap_deform_tuple(row, putter->event, values, nulls);
	values[F6_EVENT_COLUMNS] = Int32GetDatum(
		attempt_at(putter->next, DatumGetInt64(values[F6_EVENT_POSITION_COLUMN - 1])));
	nulls[F6_EVENT_COLUMNS] = false;
	tuplestore_putvalues(putter->returned->setResult, putter->returned->setDesc, values, nulls);
}

/* put_events adds the events that are delivered to the result, those that the caller may see, and returns how many they are. */
static int
put_events(const poll *poll, const f6_looking *looking, const f6_next *next)
{
	row_putter putter = { (ReturnSetInfo *) poll->fcinfo->resultinfo,
						  RelationGetDescr(looking->read.event), next };

	return f6_reading_rows(poll->fcinfo->flinfo, putter.event, &next->found, next->found.count,
						   put_row, &putter);
}

/* pass_by has a partition be done with events that it has delivered, none of which the caller may see. */
static void
pass_by(const poll *poll, int number)
{
	Datum values[] = { Int32GetDatum(poll->subscription->id), Int32GetDatum(number) };
	f6_partition partition;

	if (!f6_partition_lock(poll->subscription, number, true, &partition))
		return;
	run(&settle_delivered, values, NULL);
	partition.position = partition.delivered;
	partition.consumer = NULL;
	f6_partition_write(poll->subscription, &partition, false, false);
}

/* What a look has come to. */
typedef enum outcome
{
	NOTHING,
	NOTED, /* nothing, but it has been noted how far that goes, so there may be more after it */
	DELIVERED
} outcome;

/* deliver delivers what a partition has next. */
static outcome
deliver(const poll *poll, f6_looking *looking, const f6_partition *partition)
{
	f6_next next;

	f6_next_look(looking, partition, poll->max_events, &next);
	if (next.found.count == 0)
	{
		if (next.parked == NIL && next.seen <= EVENTS_WORTH_NOTING &&
			!f6_partition_has_expired(looking, partition))
			return NOTHING;
		return lock_and_note(poll, looking, partition, &next, note_nothing) ? NOTED : NOTHING;
	}
	if (!lock_and_note(poll, looking, partition, &next, note_delivered))
		return NOTHING;
	if (put_events(poll, looking, &next) > 0)
		return DELIVERED;
	pass_by(poll, partition->number);
	return NOTED;
}

/* look delivers what the first partition has that has anything. */
static outcome
look(poll *poll)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 poll", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_looking looking;
	outcome result = NOTHING;

	f6_looking_begin(&looking, poll->subscription);
	if (looking.partition_count == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("subscription \"%s\" has ended", poll->subscription->name)));
	for (int i = 0; i < looking.partition_count && result != DELIVERED; i++)
	{
		outcome one = deliver(poll, &looking, &looking.partitions[i]);

		result = Max(result, one);
	}
	poll->looked_at = looking.now;
	poll->due_at = looking.due_at;
	poll->horizon = looking.read.horizon;
	f6_looking_end(&looking);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return result;
}

/* look_on looks until there is something, or nothing more to be noted, and tells whether to wait: not for others to wait for what was noted. */
static bool
look_on(poll *poll)
{
	bool is_noted = false;
	outcome result;

	while ((result = look(poll)) == NOTED)
	{
		CHECK_FOR_INTERRUPTS();
		is_noted = true;
	}
	return result == NOTHING && !is_noted;
}

/* glance tells whether the log has anything new, if that is all that there is to be seen yet. */
static bool
glance(const poll *poll)
{
	TimestampTz now = GetCurrentTimestamp();
	f6_reading read;
	bool is_new;

	if (now >= poll->due_at || now >= poll->until ||
		TimestampDifferenceExceeds(poll->looked_at, now, LONGEST_GLANCE))
		return true;
	f6_reading_begin(&read, poll->query);
	read.end = read.horizon;
	is_new = f6_reading_next(&read, poll->horizon, 1).count > 0;
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
	TimestampTz end = Min(poll->until, poll->due_at);
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

	poll->fcinfo = fcinfo;
	poll->max_events = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	if (poll->max_events < 1 || poll->max_events > MOST_EVENTS)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("max_events must be 1 to %d", MOST_EVENTS)));
	poll->until = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
							PointerGetDatum(interval_argument(fcinfo, 2, "wait", true))));
	poll->consumer = PG_ARGISNULL(3) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(3));
	poll->lease = interval_argument(fcinfo, 4, "lease", false);
	lease_end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														TimestampTzGetDatum(GetCurrentTimestamp()),
														PointerGetDatum(poll->lease)));
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
	poll.subscription = f6_subscription_get(fcinfo);
	poll.query = f6_query_read(poll.subscription->query);
	read_arguments(&poll, fcinfo);
	wait_and_look(&poll);
	return (Datum) 0;
}
