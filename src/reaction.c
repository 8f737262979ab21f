/*
 * reaction.c
 *		Reactions, as they are kept in a table beside their subscriptions.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "own_statement.h"
#include "reaction.h"
#include "relation.h"
#include "spi_connection.h"

/* columns of the statement that reads a reaction */
enum definition_column
{
	DEFINITION_HANDLER = 1,
	DEFINITION_DUE,
	DEFINITION_DELAY,
	DEFINITION_ONLY_OBJECTS,
	DEFINITION_ENABLED,
	DEFINITION_TIMEOUT,
	DEFINITION_MAX_CHAIN,
	DEFINITION_TIME_ZONE
};

static f6_own_statement read_definition = {
	.text = "select r.handler, r.due, r.delay, r.only_objects, r.enabled,"
			" (extract(epoch from r.timeout) * 1000)::integer, r.max_chain, r.time_zone"
			" from f6.reaction_definition as r join f6.subscription_definition as s using "
			"(subscription_id)"
			" where s.name = $1 for key share of r",
	.parameter_count = 1,
	.types = { TEXTOID },
};

/* value returns a value of the row that a statement has read. */
static Datum
value(int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, isnull);
}

/* text_value returns one that is a text; NULL for NULL. */
static char *
text_value(int number)
{
	bool isnull;
	Datum found = value(number, &isnull);

	return isnull ? NULL : TextDatumGetCString(found);
}

/* read_reaction reads the reaction that a statement has found, in the current memory context. */
static f6_reaction *
read_reaction(void)
{
	f6_reaction *reaction = palloc0(sizeof(f6_reaction));
	bool isnull;
	Datum delay = value(DEFINITION_DELAY, &isnull);
	Datum objects;

	reaction->context = CurrentMemoryContext;
	reaction->upcasts.fn_mcxt = CurrentMemoryContext;
	if (!isnull)
	{
		reaction->delay = palloc(sizeof(Interval));
		*reaction->delay = *DatumGetIntervalP(delay);
	}
	objects = value(DEFINITION_ONLY_OBJECTS, &isnull);
	reaction->is_limited = !isnull;
	if (!isnull)
		f6_uuids_read(PointerGetDatum(DatumGetArrayTypePCopy(objects)), "only_objects",
					  &reaction->only_objects);
	reaction->handler_text = text_value(DEFINITION_HANDLER);
	reaction->due_text = text_value(DEFINITION_DUE);
	reaction->is_enabled = DatumGetBool(value(DEFINITION_ENABLED, &isnull));
	reaction->timeout = DatumGetInt32(value(DEFINITION_TIMEOUT, &isnull));
	reaction->max_chain = DatumGetInt32(value(DEFINITION_MAX_CHAIN, &isnull));
	reaction->time_zone = text_value(DEFINITION_TIME_ZONE);
	return reaction;
}

/*
 * f6_reaction_find returns the reaction of a name, which nobody drops, moves or replays until the transaction ends; NULL: there is none.
 */
f6_reaction *
f6_reaction_find(char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[] = { CStringGetTextDatum(name) };
	f6_reaction *reaction = NULL;

	f6_spi_connect();
	f6_own_run(&read_definition, values, NULL);
	if (SPI_processed > 0)
	{
		MemoryContext connected = MemoryContextSwitchTo(caller);

		reaction = read_reaction();
		MemoryContextSwitchTo(connected);
	}
	SPI_finish();
	if (reaction != NULL)
		reaction->subscription = f6_subscription_find(name);
	return reaction;
}

/* f6_reaction_act begins to act as a reaction's owner. */
void
f6_reaction_act(const f6_reaction *reaction, f6_acting *before)
{
	Oid owner = reaction->subscription->owner;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("the owner of reaction \"%s\" does not exist any more",
							   reaction->subscription->name),
						errhint("Drop the reaction with f6_drop_reaction.")));
	f6_act_as(owner, reaction->time_zone, before);
}

/* f6_reaction_is_about tells whether a reaction is about an event of its subscription, or only about other objects. */
bool
f6_reaction_is_about(const f6_reaction *reaction, const f6_reaction_event *event)
{
	if (!reaction->is_limited)
		return true;
	for (int i = 0; i < event->objects.count; i++)
	{
		for (int j = 0; j < reaction->only_objects.count; j++)
		{
			if (memcmp(&event->objects.ids[i], &reaction->only_objects.ids[j], UUID_LEN) == 0)
				return true;
		}
	}
	return false;
}

/* f6_reaction_event_of returns an event that is reacted to, for which time it may be, in the current memory context. */
f6_reaction_event *
f6_reaction_event_of(HeapTuple row, TupleDesc descriptor, int attempt)
{
	f6_reaction_event *event = palloc0(sizeof(f6_reaction_event));
	HeapTuple copy = heap_copytuple(row);
	bool isnull;
	Datum metadata = heap_getattr(copy, F6_EVENT_METADATA, descriptor, &isnull);

	event->metadata = isnull ? NULL : DatumGetJsonbP(metadata);
	event->row = heap_copy_tuple_as_datum(copy, descriptor);
	event->position =
		DatumGetInt64(heap_getattr(copy, F6_EVENT_POSITION_COLUMN, descriptor, &isnull));
	event->id = *DatumGetUUIDP(heap_getattr(copy, F6_EVENT_ID, descriptor, &isnull));
	event->created_at =
		DatumGetTimestampTz(heap_getattr(copy, F6_EVENT_CREATED_AT, descriptor, &isnull));
	f6_uuids_read(heap_getattr(copy, F6_EVENT_OBJECT_IDS, descriptor, &isnull), "object_ids",
				  &event->objects);
	event->attempt = attempt;
	return event;
}
