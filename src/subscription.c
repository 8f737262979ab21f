/*
 * subscription.c
 *		Subscriptions and their partitions, as they are kept in tables.
 *
 * Each object belongs to one partition of a subscription, by its hash, so that a partition's events keep each object's order, whoever consumes them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "own_statement.h"
#include "spi_connection.h"
#include "subscription.h"

/* the hash of Fowler, Noll and Vo, FNV-1a */
#define FNV_BASIS 2166136261U
#define FNV_PRIME 16777619U

#define PARTITION_COLUMNS \
	"partition, \"position\", delivered, version, head, careful_until, expirations, consumer, " \
	"lease," \
	" leased_until"

/* columns of the statement that reads a subscription */
enum definition_column
{
	DEFINITION_ID = 1,
	DEFINITION_QUERY,
	DEFINITION_PARTITIONS,
	DEFINITION_ATTEMPTS,
	DEFINITION_BACKOFF,
	DEFINITION_MAX_BACKOFF,
	DEFINITION_OWNER
};

/* those of the statements that read partitions */
enum partition_column
{
	PARTITION_NUMBER = 1,
	PARTITION_POSITION,
	PARTITION_DELIVERED,
	PARTITION_VERSION,
	PARTITION_HEAD,
	PARTITION_CAREFUL_UNTIL,
	PARTITION_EXPIRATIONS,
	PARTITION_CONSUMER,
	PARTITION_LEASE,
	PARTITION_LEASED_UNTIL
};

static f6_own_statement read_definition = {
	.text = "select subscription_id, query, partitions, attempts, backoff, "
			"max_backoff, owner::oid"
			" from f6.subscription_definition where name = $1",
	.parameter_count = 1,
	.types = { TEXTOID },
};

/* Those at which something was delivered the longest ago come first. */
static f6_own_statement read_partitions = {
	.text = "select " PARTITION_COLUMNS " from f6.subscription_partition"
			" where subscription_id = $1 order by delivered_at nulls first, partition",
	.parameter_count = 1,
	.types = { INT4OID },
};

static f6_own_statement make_partitions = {
	.text = "insert into f6.subscription_partition"
			" (subscription_id, partition, \"position\", delivered)"
			" select s.subscription_id, p, s.start_position, s.start_position"
			" from f6.subscription_definition as s, generate_series(0, s.partitions - 1) as p"
			" where s.subscription_id = $1 on conflict do nothing",
	.parameter_count = 1,
	.types = { INT4OID },
};

static f6_own_statement lock_partition = {
	.text = "select " PARTITION_COLUMNS " from f6.subscription_partition"
			" where subscription_id = $1 and partition = $2 for no key update",
	.parameter_count = 2,
	.types = { INT4OID, INT4OID },
};

static f6_own_statement try_partition = {
	.text = "select " PARTITION_COLUMNS " from f6.subscription_partition"
			" where subscription_id = $1 and partition = $2 for no key update skip locked",
	.parameter_count = 2,
	.types = { INT4OID, INT4OID },
};

static f6_own_statement write_partition = {
	.text = "update f6.subscription_partition set version = version + 1, \"position\" = $3,"
			" delivered = $4, head = $5, careful_until = $6, expirations = $7, consumer = $8,"
			" lease = $9, leased_until = $10,"
			" delivered_at = case when $11 then clock_timestamp() else delivered_at end,"
			" acknowledged_at = case when $12 then clock_timestamp() else acknowledged_at end"
			" where subscription_id = $1 and partition = $2",
	.parameter_count = 12,
	.types = { INT4OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT4OID, TEXTOID, INTERVALOID,
			   TIMESTAMPTZOID, BOOLOID, BOOLOID },
};

static f6_own_statement change_partitions = {
	.text = "update f6.subscription_partition set version = version + 1 where subscription_id = $1",
	.parameter_count = 1,
	.types = { INT4OID },
};

/* What is done behind what is not is kept in mind only so long. */
static f6_own_statement forget_done = {
	.text = "delete from f6.parked_event where subscription_id = $1 and partition = $2"
			" and is_done and \"position\" <= $3",
	.parameter_count = 3,
	.types = { INT4OID, INT4OID, INT8OID },
};

/* value returns a value of a row that a statement has read. */
static Datum
value(uint64 row, int number)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);
}

/* name_argument returns a function's first argument, the name of a subscription. */
static char *
name_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("name must not be NULL"),
						errhint("Give the name of a subscription; f6.subscription lists them.")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/* check_owner refuses a caller who may not consume from a subscription. */
static void
check_owner(const f6_subscription *subscription)
{
	if (!has_privs_of_role(GetUserId(), subscription->owner))
		ereport(ERROR, (errcode(F6_ERR_NO_PRIVILEGE),
						errmsg("subscription \"%s\" is not yours", subscription->name),
						errhint("Members of the role that has made it may consume from it.")));
}

/* read_subscription reads the subscription that a statement has found, in a memory context. */
static f6_subscription *
read_subscription(MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_subscription *subscription = palloc0(sizeof(f6_subscription));

	subscription->id = DatumGetInt32(value(0, DEFINITION_ID));
	subscription->query = DatumGetJsonbPCopy(value(0, DEFINITION_QUERY));
	subscription->partitions = DatumGetInt32(value(0, DEFINITION_PARTITIONS));
	subscription->attempts = DatumGetInt32(value(0, DEFINITION_ATTEMPTS));
	subscription->backoff = palloc(sizeof(Interval));
	*subscription->backoff = *DatumGetIntervalP(value(0, DEFINITION_BACKOFF));
	subscription->max_backoff = palloc(sizeof(Interval));
	*subscription->max_backoff = *DatumGetIntervalP(value(0, DEFINITION_MAX_BACKOFF));
	subscription->owner = DatumGetObjectId(value(0, DEFINITION_OWNER));
	MemoryContextSwitchTo(caller);
	return subscription;
}

/* f6_subscription_find returns the subscription of a name, which there must be. */
f6_subscription *
f6_subscription_find(char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { CStringGetTextDatum(name) };
	f6_subscription *subscription;

	f6_spi_connect();
	f6_own_run(&read_definition, values, NULL);
	if (SPI_processed == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("there is no subscription \"%s\"", name),
						errhint("f6.subscription lists them.")));
	subscription = read_subscription(caller);
	SPI_finish();
	subscription->name = name;
	return subscription;
}

/* f6_subscription_get returns the subscription that a function's first argument names, from which the caller may consume. */
f6_subscription *
f6_subscription_get(FunctionCallInfo fcinfo)
{
	f6_subscription *subscription = f6_subscription_find(name_argument(fcinfo));

	check_owner(subscription);
	return subscription;
}

/* f6_subscription_check_snapshot refuses a transaction that does not see what others have committed by now. */
void
f6_subscription_check_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("a subscription cannot be consumed with a snapshot of before"),
						errhint("Do it in a transaction that is READ COMMITTED.")));
}

/* f6_subscription_position_argument returns a function's second argument, the position of an event. */
int64
f6_subscription_position_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("position must not be NULL"),
						errhint("Give the position of an event that f6_poll has returned.")));
	return PG_GETARG_INT64(1);
}

/* read_partition reads a partition that a statement has found, in a memory context. */
static void
read_partition(uint64 row, MemoryContext context, f6_partition *partition)
{
	bool isnull;
	Datum consumer =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, PARTITION_CONSUMER, &isnull);
	MemoryContext caller = MemoryContextSwitchTo(context);

	partition->number = DatumGetInt32(value(row, PARTITION_NUMBER));
	partition->position = DatumGetInt64(value(row, PARTITION_POSITION));
	partition->delivered = DatumGetInt64(value(row, PARTITION_DELIVERED));
	partition->version = DatumGetInt64(value(row, PARTITION_VERSION));
	partition->head = DatumGetInt64(value(row, PARTITION_HEAD));
	partition->careful_until = DatumGetInt64(value(row, PARTITION_CAREFUL_UNTIL));
	partition->expirations = DatumGetInt32(value(row, PARTITION_EXPIRATIONS));
	partition->consumer = isnull ? NULL : TextDatumGetCString(consumer);
	partition->lease = NULL;
	if (!isnull)
	{
		partition->lease = palloc(sizeof(Interval));
		*partition->lease = *DatumGetIntervalP(value(row, PARTITION_LEASE));
	}
	partition->leased_until =
		isnull ? DT_NOBEGIN : DatumGetTimestampTz(value(row, PARTITION_LEASED_UNTIL));
	MemoryContextSwitchTo(caller);
}

/* run runs a statement about a subscription. */
static void
run(f6_own_statement *statement, const f6_subscription *subscription)
{
	Datum values[] = { Int32GetDatum(subscription->id) };

	f6_spi_connect();
	f6_own_run(statement, values, NULL);
	SPI_finish();
}

/* f6_partitions_make makes the partitions of a subscription. */
void
f6_partitions_make(const f6_subscription *subscription)
{
	run(&make_partitions, subscription);
}

/* f6_partitions_change has whoever has looked at a subscription look again, and waits for who is delivering from it or acknowledging. */
void
f6_partitions_change(const f6_subscription *subscription)
{
	run(&change_partitions, subscription);
}

/* f6_partitions_read returns the partitions of a subscription, none if it has ended; those come first that delivered something the longest ago. */
f6_partition *
f6_partitions_read(const f6_subscription *subscription, int *count)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { Int32GetDatum(subscription->id) };
	f6_partition *partitions;

	f6_spi_connect();
	f6_own_run(&read_partitions, values, NULL);
	*count = (int) SPI_processed;
	partitions = MemoryContextAllocZero(caller, sizeof(f6_partition) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		read_partition(i, caller, &partitions[i]);
	SPI_finish();
	return partitions;
}

/*
 * f6_partition_lock locks a partition until the transaction ends, and reads it.  False: it is gone, or somebody else has it, and the caller does not
 * want to wait.
 */
bool
f6_partition_lock(const f6_subscription *subscription, int number, bool wait,
				  f6_partition *partition)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { Int32GetDatum(subscription->id), Int32GetDatum(number) };
	bool is_locked;

	f6_spi_connect();
	f6_own_run(wait ? &lock_partition : &try_partition, values, NULL);
	is_locked = SPI_processed > 0;
	if (is_locked)
		read_partition(0, caller, partition);
	SPI_finish();
	return is_locked;
}

/* f6_partition_write writes a partition that is locked, and when something was delivered or acknowledged, if it was. */
void
f6_partition_write(const f6_subscription *subscription, const f6_partition *partition,
				   bool is_delivered, bool is_acknowledged)
{
	bool has_consumer = partition->consumer != NULL;
	Datum values[] = { Int32GetDatum(subscription->id),
					   Int32GetDatum(partition->number),
					   Int64GetDatum(partition->position),
					   Int64GetDatum(partition->delivered),
					   Int64GetDatum(partition->head),
					   Int64GetDatum(partition->careful_until),
					   Int32GetDatum(partition->expirations),
					   has_consumer ? CStringGetTextDatum(partition->consumer) : (Datum) 0,
					   PointerGetDatum(partition->lease),
					   TimestampTzGetDatum(partition->leased_until),
					   BoolGetDatum(is_delivered),
					   BoolGetDatum(is_acknowledged) };

	f6_spi_connect();
	f6_own_run(&forget_done, values, NULL);
	f6_own_run(&write_partition, values, has_consumer ? NULL : "       nnn  ");
	SPI_finish();
}

/* f6_partition_of returns the partition that an object belongs to: the same on every machine, since a dump may take a subscription along. */
int
f6_partition_of(const f6_subscription *subscription, const pg_uuid_t *object)
{
	uint32 hash = FNV_BASIS;

	for (int i = 0; i < UUID_LEN; i++)
		hash = (hash ^ object->data[i]) * FNV_PRIME;
	/* The lower bits alone are of little worth. */
	return (int) ((hash ^ (hash >> 16)) % (uint32) subscription->partitions);
}

/* f6_partition_home returns the partition in which an event that names some objects is delivered: the first of theirs. */
int
f6_partition_home(const f6_subscription *subscription, const f6_uuids *objects)
{
	int home = subscription->partitions - 1;

	for (int i = 0; i < objects->count; i++)
		home = Min(home, f6_partition_of(subscription, &objects->ids[i]));
	return home;
}

/* f6_partition_lease has the lease of a partition hold for its time from now on. */
void
f6_partition_lease(f6_partition *partition)
{
	partition->leased_until = DatumGetTimestampTz(
		DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
							PointerGetDatum(partition->lease)));
}

/* f6_partition_is_leased tells whether somebody has the lease of a partition. */
bool
f6_partition_is_leased(const f6_partition *partition, TimestampTz now)
{
	return partition->consumer != NULL && partition->leased_until > now;
}
