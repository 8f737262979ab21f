/*
 * reaction_due.c
 *		Events that reactions handle later, in the order of when they are due.
 *
 * The subscription is done with them: they hold up nothing.  One that fails for good is parked there like all others.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "acting.h"
#include "index_plan.h"
#include "own_statement.h"
#include "reaction_due.h"
#include "relation.h"
#include "spi_connection.h"

static f6_own_statement add_due = {
	.text = "insert into f6.reaction_due (subscription_id, \"position\", due_at, run_at)"
			" values ($1, $2, $3, $3)"
			" on conflict (subscription_id, \"position\") do update set due_at = excluded.due_at,"
			" run_at = excluded.run_at, attempts = 0, reason = null, failed_at = null",
	.parameter_count = 3,
	.types = { INT4OID, INT8OID, TIMESTAMPTZOID },
};

/* By the index, whatever the server thinks that the table has: not all that waits is looked at. */
static f6_index_plan next_due = {
	.text = "select \"position\", attempts from f6.reaction_due"
			" where subscription_id = $1 and run_at <= $2"
			" order by run_at, \"position\" limit $3 for update skip locked",
	.parameter_count = 3,
	.types = { INT4OID, TIMESTAMPTZOID, INT4OID },
};

static f6_own_statement first_due = {
	.text = "select min(run_at) from f6.reaction_due where subscription_id = $1",
	.parameter_count = 1,
	.types = { INT4OID },
};

static f6_own_statement remove_due = {
	.text = "delete from f6.reaction_due where subscription_id = $1 and \"position\" = $2",
	.parameter_count = 2,
	.types = { INT4OID, INT8OID },
};

static f6_own_statement postpone_due = {
	.text =
		"update f6.reaction_due set run_at = clock_timestamp() + interval '1 second', reason = $3"
		" where subscription_id = $1 and \"position\" = $2",
	.parameter_count = 3,
	.types = { INT4OID, INT8OID, TEXTOID },
};

static f6_own_statement repeat_due = {
	.text = "update f6.reaction_due as d set attempts = d.attempts + 1, reason = $3,"
			" failed_at = clock_timestamp(),"
			" run_at = clock_timestamp() + least($4 * 2 ^ least(d.attempts, 20), $5)"
			" where subscription_id = $1 and \"position\" = $2 returning run_at",
	.parameter_count = 5,
	.types = { INT4OID, INT8OID, TEXTOID, INTERVALOID, INTERVALOID },
};

static f6_own_statement park_due = {
	.text =
		"insert into f6.parked_event as k (subscription_id, \"position\", partition, object_ids,"
		" attempts, reason, parked_at) values ($1, $2, $3, $4, $5, $6, clock_timestamp())"
		" on conflict (subscription_id, \"position\") do update set attempts = excluded.attempts,"
		" reason = excluded.reason, parked_at = excluded.parked_at, waits_for = null,"
		" replay = false, is_delivered = false, is_done = false",
	.parameter_count = 6,
	.types = { INT4OID, INT8OID, INT4OID, UUIDARRAYOID, INT4OID, TEXTOID },
};

/* run runs a statement about a reaction. */
static void
run(f6_own_statement *statement, Datum *values)
{
	f6_spi_connect();
	f6_own_run(statement, values, NULL);
	SPI_finish();
}

/* f6_due_add has the event at a position be handled later. */
void
f6_due_add(const f6_reaction *reaction, int64 position, TimestampTz due_at)
{
	Datum values[] = { Int32GetDatum(reaction->subscription->id), Int64GetDatum(position),
					   TimestampTzGetDatum(due_at) };

	run(&add_due, values);
}

/* f6_due_next locks events that are due by now and that nobody else is at, in order and at most so many, and returns how many they are. */
int
f6_due_next(const f6_reaction *reaction, f6_due *due, int limit)
{
	Datum values[] = { Int32GetDatum(reaction->subscription->id),
					   TimestampTzGetDatum(GetCurrentTimestamp()), Int32GetDatum(limit) };
	f6_acting before;
	int count;
	bool isnull;

	f6_spi_connect();
	f6_act_as(f6_relation_owner(f6_relation_oid(F6_EVENT)), NULL, &before);
	if (SPI_execute_plan(f6_index_plan_ready(&next_due), values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what is due");
	f6_act_end(&before);
	count = (int) SPI_processed;
	for (int i = 0; i < count; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];

		due[i].position = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		due[i].attempts = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_finish();
	return count;
}

/* f6_due_first returns when the first event is to be handled; infinity: none is. */
TimestampTz
f6_due_first(const f6_reaction *reaction)
{
	Datum values[] = { Int32GetDatum(reaction->subscription->id) };
	TimestampTz first;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&first_due, values, NULL);
	first = DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return isnull ? DT_NOEND : first;
}

/* f6_due_remove has the event at a position not be handled later any more. */
void
f6_due_remove(const f6_reaction *reaction, int64 position)
{
	Datum values[] = { Int32GetDatum(reaction->subscription->id), Int64GetDatum(position) };

	run(&remove_due, values);
}

/* f6_due_postpone has the event at a position be looked at again a little later, without its having failed. */
void
f6_due_postpone(const f6_reaction *reaction, int64 position, const char *reason)
{
	Datum values[] = { Int32GetDatum(reaction->subscription->id), Int64GetDatum(position),
					   CStringGetTextDatum(reason) };

	run(&postpone_due, values);
}

/* f6_due_repeat has one that has failed be handled once more, and returns when. */
TimestampTz
f6_due_repeat(const f6_reaction *reaction, const f6_due *due, const char *reason)
{
	const f6_subscription *subscription = reaction->subscription;
	Datum values[] = { Int32GetDatum(subscription->id), Int64GetDatum(due->position),
					   CStringGetTextDatum(reason), PointerGetDatum(subscription->backoff),
					   PointerGetDatum(subscription->max_backoff) };
	TimestampTz run_at;
	bool isnull;

	f6_spi_connect();
	f6_own_run(&repeat_due, values, NULL);
	run_at = DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return run_at;
}

/* f6_due_park parks one that has failed for good. */
void
f6_due_park(const f6_reaction *reaction, const f6_due *due, const f6_uuids *objects,
			const char *reason)
{
	const f6_subscription *subscription = reaction->subscription;
	Datum values[] = { Int32GetDatum(subscription->id),
					   Int64GetDatum(due->position),
					   Int32GetDatum(f6_partition_home(subscription, objects)),
					   f6_uuids_array(objects),
					   Int32GetDatum(due->attempts + 1),
					   CStringGetTextDatum(reason) };

	f6_partitions_change(subscription);
	run(&park_due, values);
	f6_due_remove(reaction, due->position);
}
