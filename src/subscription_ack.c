/*
 * subscription_ack.c
 *		What consumers say of the events that they were given: f6_ack and f6_nack.
 *
 * Both refuse what the consumer has no lease of any more, so that the transaction is rolled back in which a consumer has done something about an event
 * that another one has been given since.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "event_query.h"
#include "own_statement.h"
#include "spi_connection.h"
#include "subscription_ack.h"
#include "waiting.h"

F6_FUNCTION(f6_ack);
F6_FUNCTION(f6_nack);

/* What a consumer says something about. */
typedef struct saying
{
	const f6_subscription *subscription;
	int64 position;
	const char *consumer;
	f6_uuids objects; /* of the event there */
	bool is_parked;
	f6_partition partition; /* where that event is delivered, locked */
} saying;

static f6_own_statement find_parked = {
	.text = "select is_delivered from f6.parked_event"
			" where subscription_id = $1 and \"position\" = $2 and not is_done",
	.parameter_count = 2,
	.types = { INT4OID, INT8OID },
};

static f6_own_statement find_delivered = {
	.text = "select from f6.parked_event"
			" where subscription_id = $1 and partition = $2 and is_delivered limit 1",
	.parameter_count = 2,
	.types = { INT4OID, INT4OID },
};

static f6_own_statement settle_parked = {
	.text =
		"update f6.parked_event set is_done = true, is_delivered = false, replay = false"
		" where subscription_id = $1 and partition = $2 and \"position\" <= $3 and is_delivered",
	.parameter_count = 3,
	.types = { INT4OID, INT4OID, INT8OID },
};

static f6_own_statement forget_failures = {
	.text = "delete from f6.subscription_failure where subscription_id = $1 and partition = $2"
			" and \"position\" <= $3",
	.parameter_count = 3,
	.types = { INT4OID, INT4OID, INT8OID },
};

static f6_own_statement note_failure = {
	.text = "insert into f6.subscription_failure as f (subscription_id, \"position\", partition,"
			" attempts, reason, failed_at, retry_at)"
			" values ($1, $3, $2, 1, $4, clock_timestamp(), clock_timestamp() + least($5, $6))"
			" on conflict (subscription_id, \"position\") do update set attempts = f.attempts + 1,"
			" reason = excluded.reason, failed_at = excluded.failed_at,"
			" retry_at = clock_timestamp() + least($5 * 2 ^ least(f.attempts, 20), $6)"
			" returning attempts, retry_at",
	.parameter_count = 6,
	.types = { INT4OID, INT4OID, INT8OID, TEXTOID, INTERVALOID, INTERVALOID },
};

static f6_own_statement park_failure = {
	.text = "with failed as (delete from f6.subscription_failure"
			" where subscription_id = $1 and \"position\" = $3 returning attempts, reason)"
			" insert into f6.parked_event (subscription_id, partition, \"position\", object_ids,"
			" attempts, reason, parked_at)"
			" select $1, $2, $3, $4, attempts, reason, clock_timestamp() from failed",
	.parameter_count = 4,
	.types = { INT4OID, INT4OID, INT8OID, UUIDARRAYOID },
};

static f6_own_statement park_again = {
	.text = "update f6.parked_event set attempts = attempts + 1, reason = $4, replay = false"
			" where subscription_id = $1 and partition = $2 and \"position\" = $3",
	.parameter_count = 4,
	.types = { INT4OID, INT4OID, INT8OID, TEXTOID },
};

static f6_own_statement take_back = {
	.text = "update f6.parked_event set is_delivered = false"
			" where subscription_id = $1 and partition = $2 and is_delivered",
	.parameter_count = 2,
	.types = { INT4OID, INT4OID },
};

/* run runs a statement on f6's own tables about what is said, and returns how many rows it found or changed. */
static uint64
run(f6_own_statement *statement, const saying *said)
{
	Datum values[] = { Int32GetDatum(said->subscription->id), Int32GetDatum(said->partition.number),
					   Int64GetDatum(said->position) };
	uint64 count;

	f6_spi_connect();
	f6_own_run(statement, values, NULL);
	count = SPI_processed;
	SPI_finish();
	return count;
}

/* check_match refuses an event that the subscription does not deliver. */
static void
check_match(const saying *said, const text *type)
{
	if (!f6_query_matches(f6_query_read(said->subscription->query), VARDATA_ANY(type),
						  (int) VARSIZE_ANY_EXHDR(type), &said->objects))
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN),
				 errmsg("subscription \"%s\" does not deliver the event at position " INT64_FORMAT,
						said->subscription->name, said->position)));
}

/* read_objects reads the objects of the event that something is said about, which there must be. */
static void
read_objects(saying *said)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	f6_event_row row;

	if (!f6_event_find_at(event, said->position, snapshot, &row))
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("there is no event at position " INT64_FORMAT, said->position)));
	f6_uuids_read(f6_event_value(&row, F6_EVENT_OBJECT_IDS), "object_ids", &said->objects);
	check_match(said, DatumGetTextPP(f6_event_value(&row, F6_EVENT_EVENT_TYPE)));
	UnregisterSnapshot(snapshot);
	table_close(event, AccessShareLock);
}

/* read_parked tells whether the event is parked; one that is not with a consumer is refused. */
static bool
read_parked(const saying *said)
{
	Datum values[] = { Int32GetDatum(said->subscription->id), Int64GetDatum(said->position) };
	bool is_parked;
	bool is_delivered = false;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&find_parked, values, NULL);
	is_parked = SPI_processed > 0;
	if (is_parked)
		is_delivered =
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	if (is_parked && !is_delivered)
		ereport(ERROR, (errcode(F6_ERR_LEASE),
						errmsg("the event at position " INT64_FORMAT " is parked", said->position),
						errhint("f6_replay has it delivered again, f6_discard gives up on it.")));
	return is_parked;
}

/* check_lease refuses what is said of an event that the consumer has not, or has no more. */
static void
check_lease(const saying *said)
{
	const f6_partition *partition = &said->partition;

	if (!said->is_parked && said->position <= partition->position)
		ereport(ERROR, (errcode(F6_ERR_LEASE),
						errmsg("the event at position " INT64_FORMAT " is done", said->position),
						errdetail("It has been acknowledged, or passed by f6_seek.")));
	if (partition->consumer != NULL && strcmp(partition->consumer, said->consumer) != 0)
		ereport(ERROR,
				(errcode(F6_ERR_LEASE),
				 errmsg("consumer \"%s\" has no lease of the event at position " INT64_FORMAT,
						said->consumer, said->position),
				 errdetail("Consumer \"%s\" has it.", partition->consumer),
				 errhint("The lease has run out; f6_poll's parameter lease makes it longer.")));
	if (partition->consumer == NULL || (!said->is_parked && said->position > partition->delivered))
		ereport(ERROR, (errcode(F6_ERR_LEASE),
						errmsg("the event at position " INT64_FORMAT " is with no consumer",
							   said->position),
						errhint("f6_poll delivers it.")));
}

/* begin reads what a consumer says something about, and locks its partition. */
static void
begin(const f6_subscription *subscription, int64 position, const char *consumer, saying *said)
{
	said->subscription = subscription;
	said->position = position;
	said->consumer = consumer;
	read_objects(said);
	if (!f6_partition_lock(subscription, f6_partition_home(subscription, &said->objects), true,
						   &said->partition))
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("subscription \"%s\" has ended", subscription->name)));
	said->is_parked = read_parked(said);
	check_lease(said);
}

/* write_partition writes the partition; who has nothing more of it has no lease any more. */
static void
write_partition(saying *said, bool is_acknowledged)
{
	f6_partition *partition = &said->partition;

	if (partition->delivered == partition->position && run(&find_delivered, said) == 0)
		partition->consumer = NULL;
	else if (is_acknowledged)
		f6_partition_lease(partition);
	f6_partition_write(said->subscription, partition, false, is_acknowledged);
	/* Others may go on. */
	f6_wake_at_end();
}

/* give_back has what was delivered, and is not done, be delivered again. */
static void
give_back(saying *said)
{
	(void) run(&take_back, said);
	said->partition.delivered = said->partition.position;
}

/*
 * f6_subscription_ack acknowledges the events of a partition that were delivered to a consumer up to a position, which may give back the others.
 */
void
f6_subscription_ack(const f6_subscription *subscription, int64 position, const char *consumer,
					bool gives_back)
{
	saying said;

	begin(subscription, position, consumer, &said);
	if (said.is_parked)
		(void) run(&settle_parked, &said);
	else
	{
		said.partition.position = position;
		(void) run(&forget_failures, &said);
	}
	if (gives_back)
		give_back(&said);
	write_partition(&said, true);
}

/* consumer_argument returns an argument that is a consumer's name, the empty one for NULL. */
static char *
consumer_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/* f6_ack(name, position, consumer) acknowledges the events of a partition that were delivered up to a position. */
Datum
f6_ack(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription;

	PreventCommandIfReadOnly("f6_ack()");
	PreventCommandIfParallelMode("f6_ack()");
	f6_subscription_check_snapshot();
	subscription = f6_subscription_get(fcinfo);
	f6_subscription_ack(subscription, f6_subscription_position_argument(fcinfo),
						consumer_argument(fcinfo, 2), false);
	PG_RETURN_VOID();
}

/* note notes that a consumer has failed at an event, and tells whether it is delivered again, and when. */
static bool
note(const saying *said, Datum *values, const char *nulls, TimestampTz *retry_at)
{
	HeapTuple row;
	bool isnull;

	f6_own_run(&note_failure, values, nulls);
	row = SPI_tuptable->vals[0];
	*retry_at = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	return DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull)) <
		   said->subscription->attempts;
}

/* fail notes that a consumer has failed at an event, and tells whether it is delivered again, and when; if not, it is parked. */
static bool
fail(const saying *said, const char *reason, bool for_good, TimestampTz *retry_at)
{
	Datum values[] = { Int32GetDatum(said->subscription->id),
					   Int32GetDatum(said->partition.number),
					   Int64GetDatum(said->position),
					   reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason),
					   PointerGetDatum(said->subscription->backoff),
					   PointerGetDatum(said->subscription->max_backoff) };
	const char *nulls = reason == NULL ? "   n  " : NULL;
	bool is_retried = false;

	f6_spi_connect();
	if (said->is_parked)
		f6_own_run(&park_again, values, nulls);
	else
	{
		is_retried = note(said, values, nulls, retry_at) && !for_good;
		values[3] = f6_uuids_array(&said->objects);
		if (!is_retried)
			f6_own_run(&park_failure, values, NULL);
	}
	SPI_finish();
	return is_retried;
}

/*
 * f6_subscription_nack gives back what was delivered to a consumer, since the event at a position failed, and tells whether that is delivered again, and
 * when: not if it has failed for good, or too often.  Reason: NULL, there is none.
 */
bool
f6_subscription_nack(const f6_subscription *subscription, int64 position, const char *consumer,
					 const char *reason, bool for_good, TimestampTz *retry_at)
{
	saying said;
	bool is_retried;

	begin(subscription, position, consumer, &said);
	is_retried = fail(&said, reason, for_good, retry_at);
	give_back(&said);
	write_partition(&said, false);
	return is_retried;
}

/* f6_nack(name, position, reason, consumer) gives back what was delivered, since the event at a position failed. */
Datum
f6_nack(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription;
	TimestampTz retry_at;

	PreventCommandIfReadOnly("f6_nack()");
	PreventCommandIfParallelMode("f6_nack()");
	f6_subscription_check_snapshot();
	subscription = f6_subscription_get(fcinfo);
	if (!f6_subscription_nack(
			subscription, f6_subscription_position_argument(fcinfo), consumer_argument(fcinfo, 3),
			PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)), false, &retry_at))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(retry_at);
}
