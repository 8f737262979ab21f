/*
 * zone.c
 *		The zones: which one a session appends to, and which ones exist.
 *
 * The last answers are kept for the backend, until f6.zone changes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "guc.h"
#include "registry.h"
#include "relation.h"
#include "zone.h"

F6_FUNCTION(f6_zone_before_change);

static Oid zone_relation = InvalidOid;
static bool zones_stale = true;
static char *current_setting = NULL; /* the setting that current_zone answers */
static int32 current_zone;
static int32 checked_zone; /* a zone that exists */

/* forget marks the kept answers stale when f6.zone changes, or when anything may have. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == zone_relation)
		zones_stale = true;
}

/* f6_zone_init readies the zones; called once, when the library is loaded. */
void
f6_zone_init(void)
{
	f6_registry_init(forget);
}

/* ready_zones forgets the kept answers where they may be wrong. */
static void
ready_zones(void)
{
	if (!zones_stale)
		return;
	if (current_setting != NULL)
		pfree(current_setting);
	current_setting = NULL;
	checked_zone = 0;
	zone_relation = f6_relation_oid(F6_ZONE);
	zones_stale = false;
}

/* How well a setting names a zone: what is more exact comes first. */
typedef enum zone_match
{
	MATCH_NUMBER,
	MATCH_FULL_NAME,
	MATCH_NAME,
	MATCH_NONE
} zone_match;

/* match_zone tells whether the setting is a zone's number, its organisation/name, or its name. */
static zone_match
match_zone(const char *setting, HeapTuple row, TupleDesc descriptor)
{
	bool isnull;
	int32 zone_id = DatumGetInt32(heap_getattr(row, F6_ZONE_ID, descriptor, &isnull));
	char *organisation =
		TextDatumGetCString(heap_getattr(row, F6_ZONE_ORGANISATION, descriptor, &isnull));
	char *name = TextDatumGetCString(heap_getattr(row, F6_ZONE_NAME, descriptor, &isnull));

	if (strcmp(setting, psprintf("%d", zone_id)) == 0)
		return MATCH_NUMBER;
	if (strcmp(setting, psprintf("%s/%s", organisation, name)) == 0)
		return MATCH_FULL_NAME;
	return strcmp(setting, name) == 0 ? MATCH_NAME : MATCH_NONE;
}

/* count_zones returns how many zones the setting names best, and one of them. */
static int
count_zones(const char *setting, int32 *zone_id)
{
	Relation relation = table_open(zone_relation, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	zone_match best = MATCH_NONE;
	int matches = 0;
	HeapTuple row;
	bool isnull;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		zone_match match = match_zone(setting, row, RelationGetDescr(relation));

		if (match == MATCH_NONE || match > best)
			continue;
		f6_registry_row_read(row);
		matches = match < best ? 1 : matches + 1;
		best = match;
		*zone_id =
			DatumGetInt32(heap_getattr(row, F6_ZONE_ID, RelationGetDescr(relation), &isnull));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return matches;
}

/* find_zone returns the one zone that the setting names best. */
static int32
find_zone(const char *setting)
{
	int32 zone_id = 0;
	int matches = count_zones(setting, &zone_id);

	if (matches == 0)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("zone \"%s\" does not exist", setting),
						errdetail("The setting f6.zone names it."),
						errhint("Register it with f6_register_zone, or set f6.zone to a zone's "
								"number, name or organisation/name.")));
	if (matches > 1)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("zone \"%s\" is ambiguous", setting),
						errdetail("%d zones go by it.", matches),
						errhint("Set f6.zone to the zone's organisation/name, or to its number.")));
	return zone_id;
}

/* f6_zone_current returns the zone that the session appends to, by the setting f6.zone. */
int32
f6_zone_current(void)
{
	const char *setting = f6_zone_setting != NULL ? f6_zone_setting : "";

	ready_zones();
	if (current_setting == NULL || strcmp(current_setting, setting) != 0)
	{
		int32 zone_id = find_zone(setting);

		if (current_setting != NULL)
			pfree(current_setting);
		current_setting = NULL;
		current_setting = MemoryContextStrdup(CacheMemoryContext, setting);
		current_zone = zone_id;
	}
	return current_zone;
}

/* f6_zone_is_set tells whether the setting names a zone, and which. */
bool
f6_zone_is_set(int32 *zone_id)
{
	const char *setting = f6_zone_setting != NULL ? f6_zone_setting : "";

	ready_zones();
	*zone_id = current_zone;
	return (current_setting != NULL && strcmp(current_setting, setting) == 0) ||
		   count_zones(setting, zone_id) == 1;
}

/* f6_zone_check refuses a zone that does not exist. */
void
f6_zone_check(int32 zone_id)
{
	Relation relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	bool found;

	ready_zones();
	if (checked_zone == zone_id && zone_id != 0)
		return;
	relation = table_open(zone_relation, AccessShareLock);
	ScanKeyInit(&key, F6_ZONE_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(zone_id));
	scan = systable_beginscan(relation, f6_relation_oid(F6_ZONE_INDEX), true, NULL, 1, &key);
	row = systable_getnext(scan);
	found = HeapTupleIsValid(row);
	if (found)
		f6_registry_row_read(row);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (!found)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("zone %d does not exist", zone_id),
						errhint("Register it with f6_register_zone; f6.zone lists the zones.")));
	checked_zone = zone_id;
}

/* f6_zone_before_change is the trigger that keeps a zone's number, and the default zone as it is. */
Datum
f6_zone_before_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc descriptor;
	int32 before;
	int32 after;
	bool isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ||
		!f6_is_relation(trigger->tg_relation, F6_ZONE))
		f6_refuse_protocol("f6_zone_before_change");
	descriptor = RelationGetDescr(trigger->tg_relation);
	before = DatumGetInt32(heap_getattr(trigger->tg_trigtuple, F6_ZONE_ID, descriptor, &isnull));
	after = DatumGetInt32(heap_getattr(trigger->tg_newtuple, F6_ZONE_ID, descriptor, &isnull));
	if (isnull || before != after)
		ereport(ERROR,
				(errcode(F6_ERR_FORBIDDEN_CHANGE), errmsg("the number of a zone cannot be changed"),
				 errdetail("Events bear the number %d.", before)));
	if (before == F6_DEFAULT_ZONE)
		ereport(ERROR,
				(errcode(F6_ERR_FORBIDDEN_CHANGE), errmsg("the default zone cannot be changed"),
				 errhint("Register a zone of your own with f6_register_zone, and set f6.zone.")));
	return PointerGetDatum(trigger->tg_newtuple);
}
