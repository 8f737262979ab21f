/*
 * condition.c
 *		What an append demands: that nothing relevant was appended since its caller looked.
 *
 * Whoever checks a condition holds its locks, so that no event that matches can be in flight elsewhere.  What is looked at
 * is the log as it is now, the current transaction's own events included, whatever snapshot the caller has.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "condition.h"
#include "errors.h"
#include "event.h"
#include "event_scan.h"
#include "uuid.h"

/* So much a scan takes, for a condition on an object or two. */
#define SCAN_MEMORY ((Size) 128 * 1024)

/* f6_condition_read reads the parameters after and unless of an append. */
void
f6_condition_read(f6_condition *condition, const NullableDatum *after, const NullableDatum *unless)
{
	condition->is_given = !after->isnull || !unless->isnull;
	condition->after = after->isnull ? 0 : DatumGetInt64(after->value);
	condition->query = unless->isnull ? NULL : f6_query_read(DatumGetJsonbP(unless->value));
	if (condition->after < 0)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("after must not be negative"),
				 errdetail("It is " INT64_FORMAT ".", condition->after),
				 errhint("It is the position up to which the caller knows the log, 0 for none.")));
}

/* refuse_append raises the error for an append whose condition does not hold; who may read the log learns why. */
static void
refuse_append(Relation event, const f6_condition *condition, const f6_event_row *found)
{
	ereport(ERROR,
			(errcode(F6_ERR_CONDITION), errmsg("the condition of the append does not hold"),
			 f6_may_read(event)
				 ? errdetail("Event %s of type \"%s\" at position " INT64_FORMAT " matches it.",
							 f6_uuid_text(DatumGetUUIDP(f6_event_value(found, F6_EVENT_ID))),
							 TextDatumGetCString(f6_event_value(found, F6_EVENT_EVENT_TYPE)),
							 DatumGetInt64(f6_event_value(found, F6_EVENT_POSITION_COLUMN)))
				 : errdetail("There is an event after position " INT64_FORMAT " that matches it.",
							 condition->after),
			 errhint("Read the events again, decide again, and append with their position.")));
}

/*
 * scan_memory returns an empty memory context for a scan.  It keeps its memory from one condition to the next: a scan of an index
 * takes tens of kilobytes, which the C library would have to get from the system and give back each time.
 */
static MemoryContext
scan_memory(void)
{
	static MemoryContext memory = NULL;

	if (memory == NULL)
		memory = GenerationContextCreate(TopMemoryContext, "f6 condition", 0, SCAN_MEMORY,
										 8 * SCAN_MEMORY);
	MemoryContextReset(memory);
	return memory;
}

/* find_first finds the first event after a position that matches some items and stands before a limit. */
static bool
find_first(Relation event, const f6_query *items, int64 after, int64 *limit, f6_event_row *found)
{
	MemoryContext caller = MemoryContextSwitchTo(scan_memory());
	f6_event_scan *scan = f6_event_scan_begin(items, after, SnapshotSelf, RowExclusiveLock);
	bool is_found = false;
	int64 position;

	while (!is_found && f6_event_scan_next(scan, &position) && position < *limit)
	{
		MemoryContextSwitchTo(caller);
		is_found = f6_event_find_at(event, position, SnapshotSelf, found);
		if (is_found)
			*limit = position;
	}
	f6_event_scan_end(scan);
	MemoryContextSwitchTo(caller);
	return is_found;
}

/* f6_condition_check raises an error if an event after the condition's position matches the query; its locks are held. */
void
f6_condition_check(Relation event, const f6_condition *condition, const f6_query *query)
{
	int64 limit = PG_INT64_MAX;
	bool is_found = false;
	f6_event_row found;

	for (int i = 0; i < query->count;)
	{
		f6_query items = f6_query_part(query, i);

		is_found |= find_first(event, &items, condition->after, &limit, &found);
		i += items.count;
	}
	if (is_found)
		refuse_append(event, condition, &found);
}
