/*
 * subscription_lag.c
 *		How far subscriptions lag behind the log.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "f6.h"
#include "event.h"
#include "relation.h"
#include "subscription_next.h"

F6_FUNCTION(f6_subscription_lag);

/* How many positions are found at a time. */
#define POSITIONS_AT_A_TIME 256

/* So many events are counted at most. */
#define MOST_EVENTS 100000

/* columns of what f6.subscription_lag returns */
enum lag_column
{
	LAG_EVENTS,
	LAG_FIRST,
	LAG_COLUMNS
};

/* done_until returns the position up to which all partitions are done. */
static int64
done_until(const f6_looking *looking)
{
	int64 position = PG_INT64_MAX;

	for (int i = 0; i < looking->partition_count; i++)
		position = Min(position, looking->partitions[i].position);
	return position;
}

/* count counts the events that are to be delivered yet, and says which is the first, 0: none. */
static int64
count(f6_looking *looking, int64 *first)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 lag", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	int64 after = done_until(looking);
	int64 events = 0;
	f6_found found;

	*first = 0;
	do
	{
		found = f6_reading_next(&looking->read, after, POSITIONS_AT_A_TIME);
		for (int i = 0; i < found.count && events < MOST_EVENTS; i++)
		{
			CHECK_FOR_INTERRUPTS();
			after = found.list[i];
			if (!f6_looking_is_left(looking, after))
				continue;
			*first = events++ == 0 ? after : *first;
		}
		MemoryContextReset(scratch);
	} while (found.count == POSITIONS_AT_A_TIME && events < MOST_EVENTS);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return events;
}

/* f6.subscription_lag(name) returns how many events are to be delivered yet, and the position of the first; NULL to who may not read events. */
Datum
f6_subscription_lag(PG_FUNCTION_ARGS)
{
	f6_subscription *subscription = f6_subscription_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	TupleDesc descriptor;
	f6_looking looking;
	Datum values[LAG_COLUMNS] = { 0 };
	bool nulls[LAG_COLUMNS] = { true, true };
	int64 first;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "f6.subscription_lag returns a row");
	f6_looking_begin(&looking, subscription);
	if (f6_may_read(looking.read.event))
	{
		values[LAG_EVENTS] = Int64GetDatum(count(&looking, &first));
		values[LAG_FIRST] = Int64GetDatum(first);
		nulls[LAG_EVENTS] = false;
		nulls[LAG_FIRST] = first == 0;
	}
	f6_looking_end(&looking);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
