/*
 * subscription_next.c
 *		What a partition of a subscription has to deliver next.
 *
 * An event that names objects of several partitions is delivered in the first of them, when the others are done with all that is before it; these go on
 * after it when it is done.  So each object's events are delivered one after the other, and the first event that is not done is never kept back by others.
 *
 * While an event is parked, later ones that share an object with it are parked as well, so that the order is kept when they are delivered after all.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "event.h"
#include "own_statement.h"
#include "spi_connection.h"
#include "subscription_next.h"

/* How many positions are found at a time. */
#define POSITIONS_AT_A_TIME 256

/* How many events are looked at in a partition before others have their turn. */
#define EVENTS_AT_A_LOOK 10000

/* columns of the statement that reads parked events */
enum parked_column
{
	PARKED_POSITION = 1,
	PARKED_PARTITION,
	PARKED_OBJECTS,
	PARKED_ATTEMPTS,
	PARKED_WAITS_FOR,
	PARKED_REPLAY,
	PARKED_IS_DELIVERED,
	PARKED_IS_DONE
};

/* and of that which reads failures */
enum failure_column
{
	FAILURE_POSITION = 1,
	FAILURE_ATTEMPTS,
	FAILURE_RETRY_AT
};

static f6_own_statement read_parked = {
	.text = "select \"position\", partition, object_ids, attempts, coalesce(waits_for, 0), replay,"
			" is_delivered, is_done from f6.parked_event where subscription_id = $1 order by "
			"\"position\"",
	.parameter_count = 1,
	.types = { INT4OID },
};

static f6_own_statement read_failures = {
	.text = "select \"position\", attempts, retry_at from f6.subscription_failure"
			" where subscription_id = $1",
	.parameter_count = 1,
	.types = { INT4OID },
};

/* value returns a value of a row that a statement has read. */
static Datum
value(uint64 row, int number)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);
}

/* look_at_parked reads which events are parked. */
static void
look_at_parked(f6_looking *looking, MemoryContext context)
{
	Datum values[] = { Int32GetDatum(looking->subscription->id) };

	f6_own_run(&read_parked, values, NULL);
	looking->parked_count = (int) SPI_processed;
	looking->parked =
		MemoryContextAllocZero(context, sizeof(f6_parked) * Max(looking->parked_count, 1));
	for (int i = 0; i < looking->parked_count; i++)
	{
		f6_parked *parked = &looking->parked[i];
		MemoryContext caller = MemoryContextSwitchTo(context);

		parked->position = DatumGetInt64(value(i, PARKED_POSITION));
		parked->partition = DatumGetInt32(value(i, PARKED_PARTITION));
		f6_uuids_read(PointerGetDatum(DatumGetArrayTypePCopy(value(i, PARKED_OBJECTS))),
					  "object_ids", &parked->objects);
		parked->attempts = DatumGetInt32(value(i, PARKED_ATTEMPTS));
		parked->waits_for = DatumGetInt64(value(i, PARKED_WAITS_FOR));
		parked->replay = DatumGetBool(value(i, PARKED_REPLAY));
		parked->is_delivered = DatumGetBool(value(i, PARKED_IS_DELIVERED));
		parked->is_done = DatumGetBool(value(i, PARKED_IS_DONE));
		MemoryContextSwitchTo(caller);
	}
}

/* look_at_failures reads which events consumers have failed at. */
static void
look_at_failures(f6_looking *looking, MemoryContext context)
{
	Datum values[] = { Int32GetDatum(looking->subscription->id) };

	f6_own_run(&read_failures, values, NULL);
	looking->failure_count = (int) SPI_processed;
	looking->failures =
		MemoryContextAlloc(context, sizeof(f6_failure) * Max(looking->failure_count, 1));
	for (int i = 0; i < looking->failure_count; i++)
	{
		looking->failures[i].position = DatumGetInt64(value(i, FAILURE_POSITION));
		looking->failures[i].attempts = DatumGetInt32(value(i, FAILURE_ATTEMPTS));
		looking->failures[i].retry_at = DatumGetTimestampTz(value(i, FAILURE_RETRY_AT));
	}
}

/*
 * f6_looking_begin looks how a subscription stands, in the current memory context; its events are those up to the horizon.
 */
void
f6_looking_begin(f6_looking *looking, const f6_subscription *subscription)
{
	MemoryContext context = CurrentMemoryContext;

	looking->context = context;
	looking->subscription = subscription;
	looking->due_at = DT_NOEND;
	looking->partitions = f6_partitions_read(subscription, &looking->partition_count);
	f6_spi_connect();
	look_at_parked(looking, context);
	look_at_failures(looking, context);
	SPI_finish();
	looking->now = GetCurrentTimestamp();
	f6_reading_begin(&looking->read, f6_query_read(subscription->query));
	looking->read.end = looking->read.horizon;
}

/* f6_looking_end ends that. */
void
f6_looking_end(f6_looking *looking)
{
	f6_reading_end(&looking->read);
}

/* partition_numbered returns a partition by its number; NULL: the subscription is ending. */
static const f6_partition *
partition_numbered(const f6_looking *looking, int number)
{
	for (int i = 0; i < looking->partition_count; i++)
	{
		if (looking->partitions[i].number == number)
			return &looking->partitions[i];
	}
	return NULL;
}

/* is_done_in tells whether a partition is done with an event. */
static bool
is_done_in(const f6_looking *looking, int number, int64 position)
{
	const f6_partition *partition = partition_numbered(looking, number);

	return partition == NULL || partition->position >= position;
}

/* f6_partition_has_expired tells whether a lease ran out with something not done that had been delivered. */
bool
f6_partition_has_expired(const f6_looking *looking, const f6_partition *partition)
{
	return partition->consumer != NULL && !f6_partition_is_leased(partition, looking->now);
}

/* share_object tells whether two lists of objects have one in common. */
static bool
share_object(const f6_uuids *a, const f6_uuids *b)
{
	for (int i = 0; i < a->count; i++)
	{
		for (int j = 0; j < b->count; j++)
		{
			if (memcmp(&a->ids[i], &b->ids[j], UUID_LEN) == 0)
				return true;
		}
	}
	return false;
}

/* parked_at returns what is known of the event at a position that is parked, or was; NULL: it was not. */
static const f6_parked *
parked_at(const f6_looking *looking, int64 position)
{
	int from = 0;
	int to = looking->parked_count;

	while (from < to)
	{
		int middle = (from + to) / 2;

		if (looking->parked[middle].position == position)
			return &looking->parked[middle];
		if (looking->parked[middle].position < position)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

/* blocker_among returns the parked event before a position that shares an object with an event, if it is among those of a list. */
static const f6_parked *
blocker_among(const List *list, int64 position, const f6_uuids *objects)
{
	ListCell *cell;

	foreach (cell, list)
	{
		const f6_parked *parked = lfirst(cell);

		if (parked->position < position && share_object(&parked->objects, objects))
			return parked;
	}
	return NULL;
}

/* blocker_of returns the parked event, or one that is to be parked, that an event has to wait for; NULL: none. */
static const f6_parked *
blocker_of(const f6_looking *looking, const f6_next *next, int64 position, const f6_uuids *objects)
{
	for (int i = 0; i < looking->parked_count; i++)
	{
		const f6_parked *parked = &looking->parked[i];

		if (!parked->is_done && parked->position < position &&
			share_object(&parked->objects, objects))
			return parked;
	}
	return blocker_among(next->parked, position, objects);
}

/* failure_at returns the failure at a position; NULL: there is none. */
static const f6_failure *
failure_at(const f6_looking *looking, int64 position)
{
	for (int i = 0; i < looking->failure_count; i++)
	{
		if (looking->failures[i].position == position)
			return &looking->failures[i];
	}
	return NULL;
}

/* read_objects reads the objects of the event at a position, and tells whether there is one. */
static bool
read_objects(const f6_looking *looking, int64 position, f6_uuids *objects)
{
	f6_event_row row;

	if (!f6_event_find_at(looking->read.event, position, looking->read.snapshot, &row))
		return false;
	f6_uuids_read(f6_event_value(&row, F6_EVENT_OBJECT_IDS), "object_ids", objects);
	return true;
}

/* has_partition tells whether any of some objects belongs to a partition. */
static bool
has_partition(const f6_looking *looking, const f6_uuids *objects, int number)
{
	for (int i = 0; i < objects->count; i++)
	{
		if (f6_partition_of(looking->subscription, &objects->ids[i]) == number)
			return true;
	}
	return false;
}

/* is_pending tells whether an event is not done that one partition has to do with, unless another one delivers it, which asks. */
static bool
is_pending(const f6_looking *looking, int number, int asking, int64 position)
{
	f6_uuids objects;
	int home;

	if (!read_objects(looking, position, &objects) || !has_partition(looking, &objects, number) ||
		parked_at(looking, position) != NULL)
		return false;
	home = f6_partition_home(looking->subscription, &objects);
	/* Who asks delivers its own in order. */
	return home != asking && !is_done_in(looking, home, position);
}

/* f6_looking_is_left tells whether the event at a position is to be delivered yet, if it is one of the subscription's. */
bool
f6_looking_is_left(const f6_looking *looking, int64 position)
{
	f6_uuids objects;

	return read_objects(looking, position, &objects) && parked_at(looking, position) == NULL &&
		   !is_done_in(looking, f6_partition_home(looking->subscription, &objects), position);
}

/* pending_among tells whether any of some positions, in order, has a pending event that is before another; *is_end: they reach that. */
static bool
pending_among(const f6_looking *looking, int number, int asking, const f6_found *found,
			  int64 position, bool *is_end)
{
	for (int i = 0; i < found->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		*is_end = found->list[i] >= position;
		if (*is_end)
			return false;
		if (is_pending(looking, number, asking, found->list[i]))
			return true;
	}
	return false;
}

/* has_pending tells whether a partition has to do with events before a position that are not done, and that others than who asks deliver. */
static bool
has_pending(f6_looking *looking, const f6_partition *partition, int asking, int64 position)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 pending", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	int64 after = partition->position;
	bool is_found = false;
	bool is_end = false;

	while (!is_found && !is_end)
	{
		f6_found found = f6_reading_next(&looking->read, after, POSITIONS_AT_A_TIME);

		is_found = pending_among(looking, partition->number, asking, &found, position, &is_end);
		is_end = is_end || found.count < POSITIONS_AT_A_TIME;
		after = found.count > 0 ? found.list[found.count - 1] : after;
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return is_found;
}

/* are_others_done tells whether the other partitions of an event's objects are done with all before it. */
static bool
are_others_done(f6_looking *looking, const f6_uuids *objects, int own, int64 position)
{
	for (int i = 0; i < objects->count; i++)
	{
		int number = f6_partition_of(looking->subscription, &objects->ids[i]);
		const f6_partition *partition = partition_numbered(looking, number);

		if (number != own && partition != NULL && partition->position < position - 1 &&
			has_pending(looking, partition, own, position))
			return false;
	}
	return true;
}

/* What becomes of an event that a partition meets. */
typedef enum verdict
{
	PASS,	 /* it is not this partition's, or done, or parked */
	DELIVER, /* it is next */
	STOP	 /* neither it nor what comes after it is to be delivered now */
} verdict;

/* judge_place judges an event by the partitions of its objects. */
static verdict
judge_place(f6_looking *looking, const f6_partition *partition, const f6_uuids *objects,
			int64 position)
{
	int home;

	if (looking->subscription->partitions == 1)
		return DELIVER;
	if (!has_partition(looking, objects, partition->number))
		return PASS;
	home = f6_partition_home(looking->subscription, objects);
	if (home != partition->number)
		return is_done_in(looking, home, position) || parked_at(looking, position) != NULL ? PASS
																						   : STOP;
	return are_others_done(looking, objects, home, position) ? DELIVER : STOP;
}

/* park has an event parked. */
static void
park(const f6_looking *looking, f6_next *next, int64 position, int partition,
	 const f6_uuids *objects, int attempts, const f6_parked *waits_for)
{
	MemoryContext caller = MemoryContextSwitchTo(looking->context);
	f6_parked *parked = palloc0(sizeof(f6_parked));

	parked->position = position;
	parked->partition = partition;
	parked->objects.count = objects->count;
	parked->objects.ids = palloc(sizeof(pg_uuid_t) * Max(objects->count, 1));
	memcpy(parked->objects.ids, objects->ids, sizeof(pg_uuid_t) * objects->count);
	parked->attempts = attempts;
	if (waits_for != NULL)
	{
		parked->waits_for = waits_for->position;
		parked->replay = waits_for->replay;
	}
	next->parked = lappend(next->parked, parked);
	MemoryContextSwitchTo(caller);
}

/* judge judges an event that a partition meets. */
static verdict
judge(f6_looking *looking, const f6_partition *partition, f6_next *next, int64 position)
{
	const f6_parked *blocker;
	const f6_failure *failure;
	f6_uuids objects;
	verdict verdict;
	bool is_head;

	if (!read_objects(looking, position, &objects))
		return PASS;
	next->seen++;
	verdict = judge_place(looking, partition, &objects, position);
	if (verdict != DELIVER || parked_at(looking, position) != NULL)
		return verdict == DELIVER ? PASS : verdict;
	blocker = blocker_of(looking, next, position, &objects);
	if (blocker != NULL)
	{
		park(looking, next, position, partition->number, &objects, 0, blocker);
		return PASS;
	}
	failure = failure_at(looking, position);
	if (failure != NULL && failure->retry_at > looking->now)
	{
		looking->due_at = Min(looking->due_at, failure->retry_at);
		return STOP;
	}
	is_head = !next->has_head;
	next->has_head = true;
	/* Consumers have had it alone, and their leases ran out. */
	if (is_head && position == partition->head && f6_partition_has_expired(looking, partition) &&
		partition->expirations >= looking->subscription->attempts)
	{
		park(looking, next, position, partition->number, &objects, partition->expirations, NULL);
		return PASS;
	}
	return DELIVER;
}

/* careful_until returns the position up to which a partition's events are delivered one by one. */
static int64
careful_until(const f6_looking *looking, const f6_partition *partition)
{
	return f6_partition_has_expired(looking, partition)
			   ? Max(partition->delivered, partition->careful_until)
			   : partition->careful_until;
}

/* attempt_at returns for which time the event at a position is delivered. */
static int
attempt_at(const f6_looking *looking, const f6_partition *partition, int64 position)
{
	const f6_failure *failure = failure_at(looking, position);
	int attempt = failure == NULL ? 1 : failure->attempts + 1;

	if (position > careful_until(looking, partition))
		return attempt;
	if (position != partition->head)
		return attempt + 1;
	return attempt + Max(partition->expirations + f6_partition_has_expired(looking, partition), 1);
}

/* add adds an event to what is delivered. */
static void
add(f6_next *next, int64 position, int attempt)
{
	next->attempts[next->found.count] = attempt;
	next->found.list[next->found.count++] = position;
}

/* take_found takes of some positions, in order, what a partition is to deliver, at most so many events, and tells whether to go on. */
static bool
take_found(f6_looking *looking, const f6_partition *partition, const f6_found *found,
		   int max_events, f6_next *next)
{
	for (int i = 0; i < found->count; i++)
	{
		verdict verdict = judge(looking, partition, next, found->list[i]);

		CHECK_FOR_INTERRUPTS();
		if (verdict == STOP || (verdict == DELIVER && next->found.count == max_events))
		{
			next->until = found->list[i] - 1;
			return false;
		}
		if (verdict == DELIVER)
			add(next, found->list[i], attempt_at(looking, partition, found->list[i]));
	}
	next->is_cut = next->seen >= EVENTS_AT_A_LOOK && found->count == POSITIONS_AT_A_TIME;
	if (next->is_cut)
		next->until = found->list[found->count - 1];
	return !next->is_cut && found->count == POSITIONS_AT_A_TIME;
}

/* look_at_log finds what comes next in the log. */
static void
look_at_log(f6_looking *looking, const f6_partition *partition, int max_events, f6_next *next)
{
	MemoryContext scratch =
		AllocSetContextCreate(looking->context, "f6 next events", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	int64 after = partition->position;
	bool goes_on = true;

	next->until = looking->read.end;
	while (goes_on)
	{
		f6_found found = f6_reading_next(&looking->read, after, POSITIONS_AT_A_TIME);

		goes_on = take_found(looking, partition, &found, max_events, next);
		after = found.count > 0 ? found.list[found.count - 1] : after;
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

/*
 * look_at_replays finds which parked events are to be delivered again: those that wait for no other, and before which all else is done or delivered
 * later than they.
 */
static void
look_at_replays(const f6_looking *looking, const f6_partition *partition, int max_events,
				f6_next *next)
{
	int64 last = next->found.count > 0 ? next->found.list[0] - 1 : next->until;
	bool has_expired = f6_partition_has_expired(looking, partition);
	List *others = NIL;
	bool is_begun = false;

	for (int i = 0; i < looking->parked_count && looking->parked[i].position <= last; i++)
	{
		f6_parked *parked = &looking->parked[i];

		CHECK_FOR_INTERRUPTS();
		if (parked->is_done)
			continue;
		if (parked->partition != partition->number || !parked->replay ||
			(has_expired && parked->is_delivered) ||
			(is_begun && next->found.count == max_events) ||
			blocker_among(others, parked->position, &parked->objects) != NULL)
		{
			others = lappend(others, parked);
			continue;
		}
		if (!is_begun)
			next->found.count = 0;
		is_begun = true;
		add(next, parked->position, parked->attempts + 1);
	}
	next->is_replay = is_begun;
}

/* has_replays tells whether a partition has anything to deliver again. */
static bool
has_replays(const f6_looking *looking, const f6_partition *partition)
{
	for (int i = 0; i < looking->parked_count; i++)
	{
		if (looking->parked[i].partition == partition->number && looking->parked[i].replay)
			return true;
	}
	return false;
}

/*
 * f6_next_look finds what a partition has to deliver next, at most so many events; nothing while somebody has its lease.  That goes for the same consumer,
 * too: it may have been started again, and would acknowledge what it does not know of with what comes after that.
 */
void
f6_next_look(f6_looking *looking, const f6_partition *partition, int max_events, f6_next *next)
{
	memset(next, 0, sizeof(*next));
	next->until = partition->position;
	if (f6_partition_is_leased(partition, looking->now))
	{
		looking->due_at = Min(looking->due_at, partition->leased_until);
		return;
	}
	if (partition->position < careful_until(looking, partition))
		max_events = Min(max_events, 1);
	next->found.list = palloc(sizeof(int64) * max_events);
	next->attempts = palloc(sizeof(int) * max_events);
	look_at_log(looking, partition, max_events, next);
	if (has_replays(looking, partition))
		look_at_replays(looking, partition, max_events, next);
}
