/*
 * subscription_admin.c
 *		What is done about subscriptions beside consuming them: they are made, moved and ended, and parked events replayed or discarded.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "f6.h"
#include "errors.h"
#include "event_query.h"
#include "notify.h"
#include "own_statement.h"
#include "relation.h"
#include "spi_connection.h"
#include "subscription.h"
#include "waiting.h"

F6_FUNCTION(f6_make_subscription);
F6_FUNCTION(f6_unsubscribe);
F6_FUNCTION(f6_seek);
F6_FUNCTION(f6_replay);
F6_FUNCTION(f6_discard);

/* check_reader refuses a caller who may not read the log. */
static void
check_reader(void)
{
	if (pg_class_aclcheck(f6_relation_oid(F6_EVENT), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(F6_ERR_NO_PRIVILEGE), errmsg("only who may read events may subscribe"),
				 errhint("Grant f6_reader to the role.")));
}

/* f6.make_subscription(name, query, start_position, partitions, attempts, backoff, max_backoff) makes a subscription of the caller. */
Datum
f6_make_subscription(PG_FUNCTION_ARGS)
{
	Oid types[] = {
		TEXTOID, JSONBOID, INT8OID, INT4OID, INT4OID, INTERVALOID, INTERVALOID, OIDOID
	};
	Datum values[lengthof(types)];

	check_reader();
	(void) f6_query_read(PG_GETARG_JSONB_P(1));
	for (int i = 0; i < (int) lengthof(types) - 1; i++)
		values[i] = PG_GETARG_DATUM(i);
	values[lengthof(types) - 1] = ObjectIdGetDatum(GetUserId());
	f6_spi_connect();
	f6_run_own("insert into f6.subscription_definition (name, query, start_position, partitions,"
			   " attempts, backoff, max_backoff, owner) values ($1, $2, $3, $4, $5, $6, $7, $8)",
			   lengthof(types), types, values, false);
	SPI_finish();
	f6_partitions_make(f6_subscription_find(text_to_cstring(PG_GETARG_TEXT_PP(0))));
	PG_RETURN_VOID();
}

/* keep_reaction_out waits for the turn of the reaction that a subscription may be, and has the next one wait until the transaction ends. */
static void
keep_reaction_out(const f6_subscription *subscription)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(subscription->id) };

	f6_spi_connect();
	f6_run_own("select from f6.reaction_definition where subscription_id = $1 for update",
			   lengthof(types), types, values, false);
	SPI_finish();
}

/* f6_unsubscribe(name) ends a subscription. */
Datum
f6_unsubscribe(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = f6_subscription_get(fcinfo);
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(subscription->id) };

	keep_reaction_out(subscription);
	/* Locked in the order in which consumers do. */
	f6_partitions_change(subscription);
	f6_spi_connect();
	f6_run_own("delete from f6.subscription_definition where subscription_id = $1", lengthof(types),
			   types, values, false);
	SPI_finish();
	f6_wake_at_end();
	PG_RETURN_VOID();
}

/* start_of returns the position that a text says to start after. */
static int64
start_of(FunctionCallInfo fcinfo)
{
	Oid types[] = { TEXTOID };
	Datum values[] = { PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1) };
	bool isnull;
	int64 position;

	f6_spi_connect();
	if (SPI_execute_with_args("select f6.subscription_start($1)", 1, types, values,
							  PG_ARGISNULL(1) ? "n" : NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find where to start");
	position =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return position;
}

/* f6_seek(name, start) has a subscription start anew after a position, and returns that. */
Datum
f6_seek(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = f6_subscription_get(fcinfo);
	Oid types[] = { INT4OID, INT8OID };
	Datum values[lengthof(types)] = { Int32GetDatum(subscription->id) };
	int64 position = start_of(fcinfo);

	values[1] = Int64GetDatum(position);
	keep_reaction_out(subscription);
	f6_spi_connect();
	f6_run_own("update f6.subscription_partition set version = version + 1, \"position\" = $2,"
			   " delivered = $2, head = 0,"
			   " careful_until = 0, expirations = 0, consumer = null, lease = null,"
			   " leased_until = null"
			   " where subscription_id = $1",
			   lengthof(types), types, values, false);
	f6_run_own("delete from f6.subscription_failure where subscription_id = $1", 1, types, values,
			   false);
	f6_run_own("delete from f6.parked_event where subscription_id = $1", 1, types, values, false);
	/* They are met again. */
	f6_run_own("delete from f6.reaction_due where subscription_id = $1 and \"position\" > $2",
			   lengthof(types), types, values, false);
	SPI_finish();
	f6_notify_subscription(subscription->name);
	PG_RETURN_INT64(position);
}

/* The parked events that wait for one, and those that wait for these. */
#define WAITING_FOR_IT \
	"with recursive waiting as (select \"position\" from f6.parked_event" \
	" where subscription_id = $1 and \"position\" = $2" \
	" union select k.\"position\" from f6.parked_event as k, waiting as w" \
	" where k.subscription_id = $1 and k.waits_for = w.\"position\")"

/* check_parked refuses an event that a subscription has not parked. */
static void
check_parked(const f6_subscription *subscription, Datum position)
{
	Oid types[] = { INT4OID, INT8OID };
	Datum values[] = { Int32GetDatum(subscription->id), position };

	f6_run_own("select from f6.parked_event where subscription_id = $1 and \"position\" = $2"
			   " and not is_done",
			   lengthof(types), types, values, false);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN),
				 errmsg("subscription \"%s\" has not parked the event at position " INT64_FORMAT,
						subscription->name, DatumGetInt64(position)),
				 errhint("f6.parked lists what is parked.")));
}

/* check_order refuses a parked event that has to wait for another one, which stays parked. */
static void
check_order(const f6_subscription *subscription, Datum position)
{
	Oid types[] = { INT4OID, INT8OID };
	Datum values[] = { Int32GetDatum(subscription->id), position };
	Datum blocker;
	bool isnull;

	f6_run_own("select min(b.\"position\") from f6.parked_event as b, f6.parked_event as k"
			   " where k.subscription_id = $1 and k.\"position\" = $2 and b.subscription_id = $1"
			   " and b.\"position\" < $2 and not b.replay and not b.is_done and b.object_ids && "
			   "k.object_ids",
			   lengthof(types), types, values, false);
	blocker = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		return;
	ereport(ERROR, (errcode(F6_ERR_FORBIDDEN_CHANGE),
					errmsg("the event at position " INT64_FORMAT " waits for another",
						   DatumGetInt64(position)),
					errdetail("That at position " INT64_FORMAT
							  " is about one of its objects, and stays parked.",
							  DatumGetInt64(blocker)),
					errhint("Replay or discard that one.")));
}

/* f6_replay(name, position) has parked events delivered again, all or one with those that wait for it, and returns how many they are. */
Datum
f6_replay(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = f6_subscription_get(fcinfo);
	Oid types[] = { INT4OID, INT8OID };
	Datum values[lengthof(types)] = { Int32GetDatum(subscription->id) };
	int64 count;

	keep_reaction_out(subscription);
	f6_partitions_change(subscription);
	f6_spi_connect();
	if (PG_ARGISNULL(1))
		f6_run_own("update f6.parked_event set replay = true"
				   " where subscription_id = $1 and not replay and not is_done",
				   1, types, values, false);
	else
	{
		values[1] = PG_GETARG_DATUM(1);
		check_parked(subscription, values[1]);
		check_order(subscription, values[1]);
		f6_run_own(WAITING_FOR_IT " update f6.parked_event as k set replay = true from waiting as w"
								  " where k.subscription_id = $1"
								  " and k.\"position\" = w.\"position\" and not k.replay",
				   lengthof(types), types, values, false);
	}
	count = (int64) SPI_processed;
	SPI_finish();
	if (count > 0)
		f6_notify_subscription(subscription->name);
	PG_RETURN_INT64(count);
}

/* discard_due gives up on an event that a reaction is to handle later, and tells whether it is one. */
static bool
discard_due(int count, Oid *types, Datum *values)
{
	f6_run_own("delete from f6.reaction_due where subscription_id = $1 and \"position\" = $2",
			   count, types, values, false);
	return SPI_processed > 0;
}

/* discard_parked gives up on a parked event; those that wait for it are delivered. */
static void
discard_parked(const f6_subscription *subscription, int count, Oid *types, Datum *values)
{
	check_parked(subscription, values[1]);
	f6_run_own(WAITING_FOR_IT " update f6.parked_event as k set replay = true from waiting as w"
							  " where k.subscription_id = $1 and k.\"position\" = w.\"position\"",
			   count, types, values, false);
	f6_run_own("update f6.parked_event set is_done = true, is_delivered = false, replay = false"
			   " where subscription_id = $1 and \"position\" = $2",
			   count, types, values, false);
}

/* f6_discard(name, position) gives up on an event that is parked, or that a reaction is to handle later. */
Datum
f6_discard(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = f6_subscription_get(fcinfo);
	Oid types[] = { INT4OID, INT8OID };
	Datum values[lengthof(types)] = { Int32GetDatum(subscription->id) };

	values[1] = Int64GetDatum(f6_subscription_position_argument(fcinfo));
	keep_reaction_out(subscription);
	f6_partitions_change(subscription);
	f6_spi_connect();
	if (!discard_due(lengthof(types), types, values))
		discard_parked(subscription, lengthof(types), types, values);
	SPI_finish();
	f6_notify_subscription(subscription->name);
	PG_RETURN_VOID();
}
