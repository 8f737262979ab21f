/*
 * event_type.c
 *		The registry of event types, read from f6.event_type and kept compiled for the backend's life.
 *
 * The cache lives in one memory context.  A change of the table marks it stale, by relcache callback; the next look-up
 * then drops it whole and reads on demand.  A type is entered last, when all of it is there, so an error leaves no half of one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_collation_d.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "event_type.h"
#include "iso_time.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "schema_compile.h"

F6_FUNCTION(f6_event_type_before_insert);

/* One version of a type: what others see, and the schema until it's compiled. */
typedef struct registry_version
{
	f6_event_type type;
	Jsonb *schema;
	struct registry_version *older;
} registry_version;

/* A type with its versions, the newest first. */
typedef struct registry_type
{
	const char *name;
	registry_version *newest;
	MemoryContext context;
	uint32 hash;
	char status;
} registry_type;

/* A table of types by name. */
#define SH_PREFIX				registry
#define SH_ELEMENT_TYPE			registry_type
#define SH_KEY_TYPE				const char *
#define SH_KEY					name
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(table, a, b)	(strcmp((a), (b)) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, element) (element)->hash
#define SH_SCOPE					static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static MemoryContext registry_context = NULL;
static registry_hash *registry = NULL;
static Oid registry_relation = InvalidOid;
static bool registry_stale = false;

/* forget marks the cache stale when the table of types changes, or when anything may have. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == registry_relation)
		registry_stale = true;
}

/* f6_event_type_init readies the registry; called once, when the library is loaded. */
void
f6_event_type_init(void)
{
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

/* ready_registry makes an empty cache where there is none, or where what it holds may be wrong. */
static void
ready_registry(void)
{
	if (registry != NULL && !registry_stale)
		return;
	registry = NULL;
	if (registry_context == NULL)
		registry_context =
			AllocSetContextCreate(CacheMemoryContext, "f6 event types", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(registry_context);
	registry_relation = f6_relation_oid(F6_EVENT_TYPE);
	registry_stale = false;
	registry = registry_create(registry_context, 64, NULL);
}

/* row_text returns a column of a registry row as a string, NULL for NULL. */
static char *
row_text(HeapTuple row, TupleDesc descriptor, int column)
{
	bool isnull;
	Datum value = heap_getattr(row, column, descriptor, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* read_version copies a row of the registry into the current memory context. */
static registry_version *
read_version(HeapTuple row, TupleDesc descriptor)
{
	registry_version *version = palloc0(sizeof(registry_version));
	bool isnull;

	version->type.event_type = row_text(row, descriptor, F6_EVENT_TYPE_NAME);
	version->type.event_version = row_text(row, descriptor, F6_EVENT_TYPE_VERSION);
	version->type.ordinal =
		DatumGetInt64(heap_getattr(row, F6_EVENT_TYPE_ORDINAL, descriptor, &isnull));
	version->type.valid_from = row_text(row, descriptor, F6_EVENT_TYPE_VALID_FROM);
	version->type.legal_when_claimed =
		DatumGetBool(heap_getattr(row, F6_EVENT_TYPE_LEGAL_WHEN_CLAIMED, descriptor, &isnull));
	version->schema =
		DatumGetJsonbPCopy(heap_getattr(row, F6_EVENT_TYPE_SCHEMA, descriptor, &isnull));
	return version;
}

/* add_version puts a version in its place among the others of its type and returns the newest. */
static registry_version *
add_version(registry_version *newest, registry_version *version)
{
	registry_version **place = &newest;

	while (*place != NULL && (*place)->type.ordinal > version->type.ordinal)
		place = &(*place)->older;
	version->older = *place;
	*place = version;
	return newest;
}

/* read_versions reads all versions of a type into the current memory context, NULL when there are none. */
static registry_version *
read_versions(const char *event_type)
{
	Relation relation = table_open(registry_relation, AccessShareLock);
	registry_version *newest = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;

	ScanKeyInit(&key, F6_EVENT_TYPE_NAME, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(event_type));
	key.sk_collation =
		TupleDescAttr(RelationGetDescr(relation), F6_EVENT_TYPE_NAME - 1)->attcollation;
	scan = systable_beginscan(relation, f6_relation_oid(F6_EVENT_TYPE_INDEX), true, NULL, 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		newest = add_version(newest, read_version(row, RelationGetDescr(relation)));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return newest;
}

/* load_type reads a type into the cache. */
static registry_type *
load_type(const char *event_type)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 event type", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	registry_version *newest = read_versions(event_type);
	registry_type *entry;
	bool found;

	MemoryContextSwitchTo(caller);
	if (newest == NULL)
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN), errmsg("event type \"%s\" is not registered", event_type),
				 errhint("Register it with f6_register_event_type; f6.event_type lists the types "
						 "and their versions.")));
	MemoryContextSetParent(context, registry_context);
	entry = registry_insert(registry, newest->type.event_type, &found);
	entry->newest = newest;
	entry->context = context;
	return entry;
}

/* find_type returns a type from the cache, reading it first where needed. */
static registry_type *
find_type(const char *event_type)
{
	registry_type *entry;

	ready_registry();
	entry = registry_lookup(registry, event_type);
	return entry != NULL ? entry : load_type(event_type);
}

/* compile_schema makes the program of a version, once. */
static void
compile_schema(registry_type *entry, registry_version *version)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_program *program = f6_schema_compile(version->schema, true);

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, entry->context);
	version->type.program = program;
}

/* known_versions lists the versions of a type, the newest first, for a hint. */
static char *
known_versions(const registry_version *newest)
{
	StringInfoData list;

	initStringInfo(&list);
	for (const registry_version *version = newest; version != NULL; version = version->older)
		appendStringInfo(&list, "%s\"%s\"", list.len == 0 ? "" : ", ", version->type.event_version);
	return list.data;
}

/* f6_event_type_newest returns the newest version of a type, copied; an unknown type is an error. */
char *
f6_event_type_newest(const char *event_type)
{
	return pstrdup(find_type(event_type)->newest->type.event_version);
}

/* find_version returns a version of a type from the cache; an unknown one is an error. */
static registry_version *
find_version(registry_type *entry, const char *event_version)
{
	registry_version *version = entry->newest;

	while (version != NULL && strcmp(version->type.event_version, event_version) != 0)
		version = version->older;
	if (version == NULL)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("version \"%s\" of event type \"%s\" is not registered",
							   event_version, entry->name),
						errhint("Known versions: %s.", known_versions(entry->newest))));
	return version;
}

/*
 * f6_event_type_get returns a version of a type; an unknown one is an error.  It may lack the schema's program.
 *
 * What it returns is valid until the next call of a function of this file.
 */
const f6_event_type *
f6_event_type_get(const char *event_type, const char *event_version)
{
	return &find_version(find_type(event_type), event_version)->type;
}

/* f6_event_type_compiled does the same, and the type has its schema's program. */
const f6_event_type *
f6_event_type_compiled(const char *event_type, const char *event_version)
{
	registry_type *entry = find_type(event_type);
	registry_version *version = find_version(entry, event_version);

	if (version->type.program == NULL)
		compile_schema(entry, version);
	return &version->type;
}

/* f6_effect_time reads the date of effect that event data holds, and tells whether it holds one. */
bool
f6_effect_time(const f6_event_type *type, const JsonbValue *data, TimestampTz *effect)
{
	JsonbValue field;

	if (type->valid_from == NULL || !f6_jsonb_pointer_get(data, type->valid_from, &field) ||
		f6_jsonb_is_null(&field))
		return false;
	if (field.type != jbvString ||
		!f6_iso_time_parse(field.val.string.val, field.val.string.len, effect))
		ereport(ERROR,
				(errcode(F6_ERR_INVALID_EVENT),
				 errmsg("event data is not valid for event type \"%s\" version \"%s\"",
						type->event_type, type->event_version),
				 errdetail("\"%s\" valid_from: expected an ISO 8601 date or date-time, found %s",
						   type->valid_from,
						   field.type == jbvString ? "another string" : f6_jsonb_type_name(&field)),
				 errhint("The type names this field as its date of effect, such as "
						 "2024-03-20 or 2024-03-20T10:00:00+01:00.")));
	return true;
}

/* f6_material_time returns when an event's content took effect: its date of effect, else when it occurred. */
TimestampTz
f6_material_time(const f6_event_type *type, const JsonbValue *data, TimestampTz occurred_at)
{
	TimestampTz effect;

	return f6_effect_time(type, data, &effect) ? effect : occurred_at;
}

/* check_name refuses a type or version without a name. */
static void
check_name(const char *name, const char *column)
{
	if (name == NULL)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", column)));
	if (*name == '\0')
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("%s must not be empty", column)));
}

/* check_valid_from refuses a date of effect that is no JSON Pointer. */
static void
check_valid_from(const char *pointer)
{
	if (pointer != NULL && !f6_jsonb_pointer_is_valid(pointer))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("valid_from is not a JSON Pointer: \"%s\"", pointer),
						errhint("It names the field of event_data with the date of effect, such as "
								"'/valid_from'.")));
}

/* check_schema refuses what is not a schema that f6 can check events with. */
static void
check_schema(HeapTuple row, TupleDesc descriptor)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema check", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool isnull;
	Datum schema = heap_getattr(row, F6_EVENT_TYPE_SCHEMA, descriptor, &isnull);

	if (isnull)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("schema must not be NULL"),
						errhint("The schema 'true' accepts every event.")));
	f6_schema_compile(DatumGetJsonbP(schema), true);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* f6_event_type_before_insert is the trigger that refuses a type which is no good; a dump's rows were checked before. */
Datum
f6_event_type_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc descriptor;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!f6_is_relation(trigger->tg_relation, F6_EVENT_TYPE))
		f6_refuse_protocol("f6_event_type_before_insert");
	descriptor = RelationGetDescr(trigger->tg_relation);
	if (!f6_is_restoring(trigger->tg_relation))
	{
		check_name(row_text(trigger->tg_trigtuple, descriptor, F6_EVENT_TYPE_NAME), "event_type");
		check_name(row_text(trigger->tg_trigtuple, descriptor, F6_EVENT_TYPE_VERSION),
				   "event_version");
		check_valid_from(row_text(trigger->tg_trigtuple, descriptor, F6_EVENT_TYPE_VALID_FROM));
		check_schema(trigger->tg_trigtuple, descriptor);
	}
	return PointerGetDatum(trigger->tg_trigtuple);
}
