/*
 * subscription_deliver.c
 *		Delivering the next events of a subscription, leased to a consumer.
 *
 * Who delivers looks first, without a lock, and then locks the partition that has something; if it is not as it was seen, somebody else was faster.  So
 * nobody who only looks, or waits, holds up who acknowledges.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "own_statement.h"
#include "part.h"
#include "spi_connection.h"
#include "subscription_deliver.h"
#include "subscription_next.h"

/* So many events that are not a partition's are worth noting that they need not be looked at again. */
#define EVENTS_WORTH_NOTING 100

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
expire(const f6_delivering *delivering, f6_partition *partition)
{
	Datum values[] = { Int32GetDatum(delivering->subscription->id),
					   Int32GetDatum(partition->number), expiry_reason(partition) };

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
note_delivered(const f6_delivering *delivering, const f6_looking *looking, const f6_partition *seen,
			   const f6_next *next)
{
	f6_partition partition = *seen;
	Datum values[] = { Int32GetDatum(delivering->subscription->id), f6_found_array(&next->found) };

	if (f6_partition_has_expired(looking, seen))
		expire(delivering, &partition);
	if (next->is_replay)
		run(&mark_delivered, values, NULL);
	else
	{
		partition.expirations = partition.head == next->found.list[0] ? partition.expirations : 0;
		partition.head = next->found.list[0];
		partition.delivered = next->found.list[next->found.count - 1];
	}
	partition.consumer = delivering->consumer;
	partition.lease = delivering->lease;
	f6_partition_lease(&partition);
	park_events(delivering->subscription, seen, next->parked);
	f6_partition_write(delivering->subscription, &partition, true, false);
}

/* note_nothing writes that a partition, which is locked, has nothing to deliver up to a position, so that nobody looks there again. */
static void
note_nothing(const f6_delivering *delivering, const f6_looking *looking, const f6_partition *seen,
			 const f6_next *next)
{
	f6_partition partition = *seen;
	bool has_expired = f6_partition_has_expired(looking, seen);

	if (has_expired)
		expire(delivering, &partition);
	park_events(delivering->subscription, seen, next->parked);
	if (partition.delivered == partition.position)
		partition.position = partition.delivered = Max(partition.position, next->until);
	if (has_expired)
		partition.consumer = NULL;
	f6_partition_write(delivering->subscription, &partition, false, false);
}

/* What is written of a partition. */
typedef void (*partition_note)(const f6_delivering *, const f6_looking *, const f6_partition *,
							   const f6_next *);

/* note_if_same writes something of a partition, if it is as it was seen and nobody else has it, and tells whether it did. */
static bool
note_if_same(const f6_delivering *delivering, const f6_looking *looking, const f6_partition *seen,
			 const f6_next *next, partition_note note)
{
	f6_partition locked;

	if (!f6_partition_lock(delivering->subscription, seen->number, false, &locked) ||
		locked.version != seen->version)
		return false;
	note(delivering, looking, seen, next);
	return true;
}

/* lock_and_note does so in a subtransaction, so that no lock stays where it did not. */
static bool
lock_and_note(const f6_delivering *delivering, const f6_looking *looking, const f6_partition *seen,
			  const f6_next *next, partition_note note)
{
	f6_part part;
	volatile bool is_noted = false;

	f6_part_begin(&part);
	PG_TRY();
	{
		is_noted = note_if_same(delivering, looking, seen, next, note);
		f6_part_end(&part, is_noted);
	}
	PG_CATCH();
	{
		ReThrowError(f6_part_fail(&part));
	}
	PG_END_TRY();
	return is_noted;
}

/* Events on their way to who receives them. */
typedef struct handing
{
	const f6_delivering *delivering;
	const f6_next *next;
	TupleDesc event;
} handing;

/* attempt_at returns for which time the event at a position is delivered. */
static int
attempt_at(const f6_next *next, int64 position)
{
	int i = 0;

	while (i < next->found.count - 1 && next->found.list[i] != position)
		i++;
	return next->attempts[i];
}

/* hand_over hands an event to who receives it. */
static void
hand_over(void *state, HeapTuple row)
{
	handing *handing = state;
	bool isnull;
	int64 position =
		DatumGetInt64(heap_getattr(row, F6_EVENT_POSITION_COLUMN, handing->event, &isnull));

	handing->delivering->receive(handing->delivering->state, row, handing->event,
								 attempt_at(handing->next, position));
}

/* hand_events hands over the events that are delivered, those that the caller may see, and returns how many they are. */
static int
hand_events(const f6_delivering *delivering, const f6_looking *looking, const f6_next *next)
{
	handing handing = { delivering, next, RelationGetDescr(looking->read.event) };

	return f6_reading_rows(delivering->call_site, handing.event, &next->found, next->found.count,
						   hand_over, &handing);
}

/* pass_by has a partition be done with events that it has delivered, none of which the caller may see. */
static void
pass_by(const f6_delivering *delivering, int number)
{
	Datum values[] = { Int32GetDatum(delivering->subscription->id), Int32GetDatum(number) };
	f6_partition partition;

	if (!f6_partition_lock(delivering->subscription, number, true, &partition))
		return;
	run(&settle_delivered, values, NULL);
	partition.position = partition.delivered;
	partition.consumer = NULL;
	f6_partition_write(delivering->subscription, &partition, false, false);
}

/* deliver_from delivers what a partition has next. */
static f6_delivered
deliver_from(const f6_delivering *delivering, f6_looking *looking, const f6_partition *partition)
{
	f6_next next;

	f6_next_look(looking, partition, delivering->max_events, &next);
	if (next.found.count == 0)
	{
		if (next.parked == NIL && next.seen <= EVENTS_WORTH_NOTING &&
			!f6_partition_has_expired(looking, partition))
			return F6_NOTHING;
		return lock_and_note(delivering, looking, partition, &next, note_nothing) ? F6_NOTED
																				  : F6_NOTHING;
	}
	if (!lock_and_note(delivering, looking, partition, &next, note_delivered))
		return F6_NOTHING;
	if (hand_events(delivering, looking, &next) > 0)
		return F6_DELIVERED;
	pass_by(delivering, partition->number);
	return F6_NOTED;
}

/* f6_deliver looks once, and delivers what the first partition has that has anything. */
f6_delivered
f6_deliver(f6_delivering *delivering)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 delivery", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_looking looking;
	f6_delivered result = F6_NOTHING;

	f6_looking_begin(&looking, delivering->subscription);
	if (looking.partition_count == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("subscription \"%s\" has ended", delivering->subscription->name)));
	for (int i = 0; i < looking.partition_count && result != F6_DELIVERED; i++)
	{
		f6_delivered one = deliver_from(delivering, &looking, &looking.partitions[i]);

		result = Max(result, one);
	}
	delivering->looked_at = looking.now;
	delivering->due_at = looking.due_at;
	delivering->horizon = looking.read.horizon;
	f6_looking_end(&looking);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return result;
}
