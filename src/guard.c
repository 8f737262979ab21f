/*
 * guard.c
 *		The triggers that all of f6's tables share: what was written stays, and a changed registry is read anew.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "horizon.h"
#include "relation.h"

F6_FUNCTION(f6_forbid_change);
F6_FUNCTION(f6_registry_changed);

/* forbidden_operation names the statement that a trigger refuses. */
static const char *
forbidden_operation(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "INSERT";
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return "UPDATE";
	return TRIGGER_FIRED_BY_DELETE(event) ? "DELETE" : "TRUNCATE";
}

/* way_instead says what to do instead of changing a table. */
static const char *
way_instead(Relation relation)
{
	if (f6_is_relation(relation, F6_EVENT))
		return "Append a correction that references the event.";
	if (f6_is_relation(relation, F6_EVENT_TYPE))
		return "Register a new version of the event type.";
	if (f6_is_relation(relation, F6_SCHEMA_DOCUMENT))
		return "Register the change under a new URI.";
	if (f6_is_relation(relation, F6_EVENT_TYPE_DEPRECATION))
		return "What is deprecated stays so: register a new version of the event type.";
	if (f6_is_relation(relation, F6_UPCASTER))
		return "Register an upcaster to a new version of the event type.";
	if (f6_is_relation(relation, F6_ZONE))
		return "A zone stays, because its events do.";
	return "f6 keeps this table: append to f6.event.";
}

/* f6_forbid_change is the trigger that refuses a change; a dump's rows may be inserted. */
Datum
f6_forbid_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!f6_is_own(trigger->tg_relation))
		f6_refuse_protocol("f6_forbid_change");
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || !f6_is_restoring(trigger->tg_relation))
		ereport(ERROR, (errcode(F6_ERR_FORBIDDEN_CHANGE),
						errmsg("%s is not allowed on %s.%s", forbidden_operation(trigger->tg_event),
							   F6_SCHEMA, RelationGetRelationName(trigger->tg_relation)),
						errhint("%s", way_instead(trigger->tg_relation))));
	/* While a dump brings links, nobody can tell which events of an object there are. */
	if (f6_is_relation(trigger->tg_relation, F6_EVENT_OBJECT))
		f6_horizon_hold();
	return PointerGetDatum(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ? trigger->tg_trigtuple : NULL);
}

/* f6_registry_changed is the trigger that tells every session to forget what it knows of a table. */
Datum
f6_registry_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!f6_is_own(trigger->tg_relation))
		f6_refuse_protocol("f6_registry_changed");
	CacheInvalidateRelcache(trigger->tg_relation);
	return PointerGetDatum(NULL);
}
