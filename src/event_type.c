/*
 * event_type.c
 *		The registry of event types: versions, what is deprecated, and upcasters, kept compiled for the backend's life.
 *
 * The cache lives in one memory context.  A change of a table marks it stale, by relcache callback; the next look-up
 * then drops it whole and reads on demand, or leaves it to those who still hold it and begins another.  A type is entered
 * last, when all of it is there, so an error leaves no half of one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation_d.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event_type.h"
#include "iso_time.h"
#include "jsonb_walk.h"
#include "registry.h"
#include "relation.h"
#include "schema_compile.h"

/* One version of a type: what others see, and the schema until it's compiled. */
typedef struct registry_version
{
	f6_event_type type;
	Jsonb *schema;
	int number; /* counts from 0 among the type's */
	TimestampTz deprecated_at;
	const char *deprecation_reason;
	struct registry_version *older;
} registry_version;

/* A way from one version to another that was asked for before. */
typedef struct registry_chain
{
	f6_chain chain;
	struct registry_chain *next;
} registry_chain;

/* A type with its versions, the newest first, and its upcasters, the oldest first. */
typedef struct registry_type
{
	const char *name;
	registry_version *newest;
	int versions;
	f6_upcaster *upcasters;
	int upcaster_count;
	registry_chain *chains;
	MemoryContext context;
	uint32 hash;
	char status;
} registry_type;

/* So many bytes of a type's name are quoted in an error: who mixes up arguments may have sent a whole document. */
#define QUOTED_NAME 200

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

/* What was read of the registry since it last changed. */
typedef struct registry_cache
{
	MemoryContext context;
	registry_hash *types;
	uint64 generation;
	bool has_fingerprint;
	uint64 fingerprint;
	bool has_dates; /* does any type have a date of effect? */
	int holders;
	bool retired; /* a change has made another cache take its place */
} registry_cache;

/* The tables whose changes make the cache stale. */
enum registry_table
{
	TYPES,
	DEPRECATIONS,
	UPCASTERS,
	DOCUMENTS, /* which the types' schemas may refer to */
	REGISTRY_TABLES
};

static registry_cache *registry = NULL;
static Oid registry_tables[REGISTRY_TABLES];
static bool registry_stale = false;
static uint64 registry_generation = 0;

/* forget marks the cache stale when a table of the registry changes, or when anything may have. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	for (int i = 0; i < REGISTRY_TABLES; i++)
		registry_stale |= relation == InvalidOid || relation == registry_tables[i];
}

/* f6_event_type_init readies the registry; called once, when the library is loaded. */
void
f6_event_type_init(void)
{
	f6_registry_init(forget);
}

/* retire gives up the cache: it goes now, or with the last of those who hold it. */
static void
retire(void)
{
	registry_cache *old = registry;

	registry = NULL;
	if (old == NULL)
		return;
	old->retired = true;
	if (old->holders == 0)
		MemoryContextDelete(old->context);
}

/* ready_registry makes an empty cache where there is none, or where what it holds may be wrong. */
static void
ready_registry(void)
{
	MemoryContext context;
	registry_cache *fresh;

	/* A statement that needs no lock that it does not have already would not hear of changes otherwise. */
	AcceptInvalidationMessages();
	if (registry != NULL && !registry_stale)
		return;
	retire();
	registry_tables[TYPES] = f6_relation_oid(F6_EVENT_TYPE);
	registry_tables[DEPRECATIONS] = f6_relation_oid(F6_EVENT_TYPE_DEPRECATION);
	registry_tables[UPCASTERS] = f6_relation_oid(F6_UPCASTER);
	registry_tables[DOCUMENTS] = f6_relation_oid(F6_SCHEMA_DOCUMENT);
	registry_stale = false;
	context = AllocSetContextCreate(CacheMemoryContext, "f6 event types", ALLOCSET_DEFAULT_SIZES);
	fresh = MemoryContextAllocZero(context, sizeof(registry_cache));
	fresh->context = context;
	fresh->types = registry_create(context, 64, NULL);
	fresh->generation = ++registry_generation;
	registry = fresh;
}

/* f6_event_type_generation returns a number that changes whenever the registry may have. */
uint64
f6_event_type_generation(void)
{
	ready_registry();
	return registry->generation;
}

/* add_fingerprint adds a hash of the rows of one of the registry's tables, whatever their order. */
static void
add_fingerprint(enum registry_table table)
{
	Relation relation = table_open(registry_tables[table], AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	HeapTuple row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		f6_registry_row_read(row);
		registry->fingerprint +=
			hash_bytes_extended((const unsigned char *) row->t_data + SizeofHeapTupleHeader,
								(int) (row->t_len - SizeofHeapTupleHeader), table);
		if (table == TYPES && !heap_attisnull(row, F6_EVENT_TYPE_VALID_FROM, NULL))
			registry->has_dates = true;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

/*
 * f6_event_type_fingerprint returns a number that is the same in all sessions, and that changes when what is registered does:
 * types, versions, deprecations, upcasters.  It tells as well whether any type has a date of effect.
 */
uint64
f6_event_type_fingerprint(bool *has_dates)
{
	ready_registry();
	if (!registry->has_fingerprint)
	{
		for (int i = TYPES; i < DOCUMENTS; i++)
			add_fingerprint(i);
		registry->has_fingerprint = true;
	}
	*has_dates = registry->has_dates;
	return registry->fingerprint;
}

/* add_changed adds the types that a table of the registry names after an ordinal, which becomes the last. */
static List *
add_changed(List *types, enum registry_table table, int type_column, int ordinal_column,
			int64 *last)
{
	Relation relation = table_open(registry_tables[table], AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	int64 after = *last;
	HeapTuple row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool isnull;
		int64 ordinal =
			DatumGetInt64(heap_getattr(row, ordinal_column, RelationGetDescr(relation), &isnull));

		if (ordinal > after)
			types = lappend(types, f6_row_text(row, RelationGetDescr(relation), type_column));
		*last = Max(*last, ordinal);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return types;
}

/* add_deprecated adds the types that have deprecated versions, if there were not so many before. */
static List *
add_deprecated(List *types, int64 *count)
{
	Relation relation = table_open(registry_tables[DEPRECATIONS], AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	List *deprecated = NIL;
	HeapTuple row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
		deprecated =
			lappend(deprecated, f6_row_text(row, RelationGetDescr(relation), F6_DEPRECATION_TYPE));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	if (list_length(deprecated) == *count)
		return types;
	*count = list_length(deprecated);
	return list_concat(types, deprecated);
}

/*
 * f6_event_type_changed returns the types that may be read in another way since a moment, which becomes the present one: for
 * which versions or upcasters were registered, or versions deprecated.  A type may come several times.
 */
List *
f6_event_type_changed(f6_registry_moment *moment)
{
	List *types;

	ready_registry();
	types = add_changed(NIL, TYPES, F6_EVENT_TYPE_NAME, F6_EVENT_TYPE_ORDINAL, &moment->last_type);
	types = add_changed(types, UPCASTERS, F6_UPCASTER_TYPE, F6_UPCASTER_ORDINAL,
						&moment->last_upcaster);
	return add_deprecated(types, &moment->deprecations);
}

/*
 * f6_event_type_try_lock locks what is registered against changes, unless somebody is at it, whose change may have become
 * visible without this session having heard of it.
 */
bool
f6_event_type_try_lock(void)
{
	ready_registry();
	for (int i = TYPES; i < DOCUMENTS; i++)
	{
		if (ConditionalLockRelationOid(registry_tables[i], ShareLock))
			continue;
		while (i-- > TYPES)
			UnlockRelationOid(registry_tables[i], ShareLock);
		return false;
	}
	return true;
}

/* f6_event_type_lock does so, and waits for whoever is at it. */
void
f6_event_type_lock(void)
{
	ready_registry();
	for (int i = TYPES; i < DOCUMENTS; i++)
		LockRelationOid(registry_tables[i], ShareLock);
}

/* f6_event_type_unlock lets others register again. */
void
f6_event_type_unlock(void)
{
	for (int i = TYPES; i < DOCUMENTS; i++)
		UnlockRelationOid(registry_tables[i], ShareLock);
}

/* release ends the hold of a memory context that goes. */
static void
release(void *arg)
{
	registry_cache *held = arg;

	held->holders--;
	if (held->retired && held->holders == 0)
		MemoryContextDelete(held->context);
}

/* hold keeps what the cache has given out until the current memory context goes, whatever changes meanwhile. */
static void
hold(void)
{
	MemoryContextCallback *end = palloc(sizeof(MemoryContextCallback));

	end->func = release;
	end->arg = registry;
	registry->holders++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, end);
}

/* read_pointer takes a JSON Pointer apart, which may be NULL. */
static const f6_pointer *
read_pointer(const char *text)
{
	return text == NULL ? NULL : f6_pointer_make(text);
}

/* read_version copies a row of the registry into the current memory context. */
static registry_version *
read_version(HeapTuple row, TupleDesc descriptor)
{
	registry_version *version = palloc0(sizeof(registry_version));
	bool isnull;

	version->type.event_type = f6_row_text(row, descriptor, F6_EVENT_TYPE_NAME);
	version->type.event_version = f6_row_text(row, descriptor, F6_EVENT_TYPE_VERSION);
	version->type.ordinal =
		DatumGetInt64(heap_getattr(row, F6_EVENT_TYPE_ORDINAL, descriptor, &isnull));
	version->type.valid_from = read_pointer(f6_row_text(row, descriptor, F6_EVENT_TYPE_VALID_FROM));
	version->type.legal_when_claimed =
		DatumGetBool(heap_getattr(row, F6_EVENT_TYPE_LEGAL_WHEN_CLAIMED, descriptor, &isnull));
	version->type.assert_format =
		DatumGetBool(heap_getattr(row, F6_EVENT_TYPE_ASSERT_FORMAT, descriptor, &isnull));
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

/* A scan of the rows of a type in one of the registry's tables, whose first column it is. */
typedef struct type_scan
{
	Relation relation;
	SysScanDesc scan;
} type_scan;

/* begin_type_scan begins to read the rows of a type. */
static type_scan
begin_type_scan(Oid table, const char *index, const char *event_type)
{
	type_scan reading = { table_open(table, AccessShareLock), NULL };
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(event_type));
	key.sk_collation = TupleDescAttr(RelationGetDescr(reading.relation), 0)->attcollation;
	reading.scan =
		systable_beginscan(reading.relation, f6_relation_oid(index), true, NULL, 1, &key);
	return reading;
}

/* next_row returns the next of them, NULL after the last. */
static HeapTuple
next_row(const type_scan *reading)
{
	HeapTuple row = systable_getnext(reading->scan);

	if (HeapTupleIsValid(row))
		f6_registry_row_read(row);
	return row;
}

/* end_type_scan ends it. */
static void
end_type_scan(type_scan *reading)
{
	systable_endscan(reading->scan);
	table_close(reading->relation, AccessShareLock);
}

/* read_versions reads all versions of a type into the current memory context, NULL when there are none. */
static registry_version *
read_versions(const char *event_type)
{
	type_scan reading = begin_type_scan(registry_tables[TYPES], F6_EVENT_TYPE_INDEX, event_type);
	registry_version *newest = NULL;
	HeapTuple row;

	while (HeapTupleIsValid(row = next_row(&reading)))
		newest = add_version(newest, read_version(row, RelationGetDescr(reading.relation)));
	end_type_scan(&reading);
	return newest;
}

/* version_named returns a version of a type, NULL if there is none of that name. */
static registry_version *
version_named(registry_version *newest, const char *event_version)
{
	registry_version *version = newest;

	while (version != NULL && strcmp(version->type.event_version, event_version) != 0)
		version = version->older;
	return version;
}

/* read_deprecations takes note of which versions of a type are deprecated. */
static void
read_deprecations(const char *event_type, registry_version *newest)
{
	type_scan reading =
		begin_type_scan(registry_tables[DEPRECATIONS], F6_DEPRECATION_INDEX, event_type);
	TupleDesc descriptor = RelationGetDescr(reading.relation);
	HeapTuple row;
	bool isnull;

	while (HeapTupleIsValid(row = next_row(&reading)))
	{
		registry_version *version =
			version_named(newest, f6_row_text(row, descriptor, F6_DEPRECATION_VERSION));

		if (version == NULL)
			continue;
		version->type.deprecated = true;
		version->deprecated_at =
			DatumGetTimestampTz(heap_getattr(row, F6_DEPRECATION_AT, descriptor, &isnull));
		version->deprecation_reason = f6_row_text(row, descriptor, F6_DEPRECATION_REASON);
	}
	end_type_scan(&reading);
}

/* read_upcaster copies a row of f6.upcaster, and tells whether both of its versions are known: replication may bring it first. */
static bool
read_upcaster(HeapTuple row, TupleDesc descriptor, registry_version *newest, f6_upcaster *upcaster)
{
	registry_version *from = version_named(newest, f6_row_text(row, descriptor, F6_UPCASTER_FROM));
	registry_version *to = version_named(newest, f6_row_text(row, descriptor, F6_UPCASTER_TO));
	Datum steps;
	bool isnull;

	if (from == NULL || to == NULL)
		return false;
	memset(upcaster, 0, sizeof(f6_upcaster));
	upcaster->from = from->number;
	upcaster->to = to->number;
	upcaster->from_version = from->type.event_version;
	upcaster->to_version = to->type.event_version;
	upcaster->ordinal = DatumGetInt64(heap_getattr(row, F6_UPCASTER_ORDINAL, descriptor, &isnull));
	upcaster->function = f6_row_text(row, descriptor, F6_UPCASTER_FUNCTION);
	steps = heap_getattr(row, F6_UPCASTER_STEPS, descriptor, &isnull);
	upcaster->document = isnull ? NULL : DatumGetJsonbPCopy(steps);
	upcaster->validate = DatumGetBool(heap_getattr(row, F6_UPCASTER_VALIDATE, descriptor, &isnull));
	return true;
}

/* compare_upcasters compares two upcasters by when they were registered. */
static int
compare_upcasters(const void *a, const void *b)
{
	int64 first = ((const f6_upcaster *) a)->ordinal;
	int64 second = ((const f6_upcaster *) b)->ordinal;

	return first < second ? -1 : first > second;
}

/* read_upcasters reads the upcasters of a type, the oldest first. */
static void
read_upcasters(registry_type *entry)
{
	type_scan reading = begin_type_scan(registry_tables[UPCASTERS], F6_UPCASTER_INDEX, entry->name);
	int room = 4;
	HeapTuple row;

	entry->upcasters = palloc(sizeof(f6_upcaster) * room);
	while (HeapTupleIsValid(row = next_row(&reading)))
	{
		if (entry->upcaster_count == room)
			entry->upcasters = repalloc(entry->upcasters, sizeof(f6_upcaster) * (room *= 2));
		if (read_upcaster(row, RelationGetDescr(reading.relation), entry->newest,
						  &entry->upcasters[entry->upcaster_count]))
			entry->upcaster_count++;
	}
	end_type_scan(&reading);
	qsort(entry->upcasters, entry->upcaster_count, sizeof(f6_upcaster), compare_upcasters);
}

/* read_type reads all of a type into the current memory context. */
static registry_type
read_type(const char *event_type)
{
	registry_type type = { 0 };

	type.newest = read_versions(event_type);
	if (type.newest == NULL)
		ereport(
			ERROR,
			(errcode(F6_ERR_UNKNOWN),
			 errmsg("event type \"%.*s\" is not registered",
					pg_mbcliplen(event_type, (int) strlen(event_type), QUOTED_NAME), event_type),
			 errhint("Register it with f6_register_event_type; f6.event_type lists the types "
					 "and their versions.")));
	type.name = type.newest->type.event_type;
	for (registry_version *version = type.newest; version != NULL; version = version->older)
		version->number = type.versions++;
	read_deprecations(event_type, type.newest);
	read_upcasters(&type);
	return type;
}

/* load_type reads a type into the cache. */
static registry_type *
load_type(const char *event_type)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 event type", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	registry_type type = read_type(event_type);
	registry_type *entry;
	bool found;

	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, registry->context);
	entry = registry_insert(registry->types, type.name, &found);
	type.context = context;
	type.hash = entry->hash;
	type.status = entry->status;
	*entry = type;
	return entry;
}

/* find_type returns a type from the cache, reading it first where needed. */
static registry_type *
find_type(const char *event_type)
{
	registry_type *entry;

	ready_registry();
	entry = registry_lookup(registry->types, event_type);
	return entry != NULL ? entry : load_type(event_type);
}

/* compile_schema makes the program of a version, once. */
static void
compile_schema(registry_type *entry, registry_version *version)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	f6_program *program = f6_schema_compile(version->schema, version->type.assert_format);

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

/* newest_in_use returns the newest version that is not deprecated, NULL if all are. */
static registry_version *
newest_in_use(const registry_type *entry)
{
	registry_version *version = entry->newest;

	while (version != NULL && version->type.deprecated)
		version = version->older;
	return version;
}

/* refuse_all_deprecated raises the error for a type that has no version for new events. */
static void
refuse_all_deprecated(const registry_type *entry)
{
	ereport(ERROR, (errcode(F6_ERR_VERSION),
					errmsg("every version of event type \"%s\" is deprecated", entry->name),
					errhint("Register a new version with f6_register_event_type.")));
}

/*
 * f6_event_type_newest returns the newest version of a type that is not deprecated, copied; an unknown type and one without
 * such a version are errors.
 */
char *
f6_event_type_newest(const char *event_type)
{
	registry_type *entry = find_type(event_type);
	registry_version *newest = newest_in_use(entry);

	if (newest == NULL)
		refuse_all_deprecated(entry);
	return pstrdup(newest->type.event_version);
}

/* f6_event_type_readable returns the version in which a type is read: the newest that is not deprecated, or of all. */
char *
f6_event_type_readable(const char *event_type)
{
	registry_type *entry = find_type(event_type);
	registry_version *newest = newest_in_use(entry);

	return pstrdup((newest != NULL ? newest : entry->newest)->type.event_version);
}

/* find_version returns a version of a type from the cache; an unknown one is an error. */
static registry_version *
find_version(registry_type *entry, const char *event_version)
{
	registry_version *version = version_named(entry->newest, event_version);

	if (version == NULL)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("version \"%s\" of event type \"%s\" is not registered",
							   event_version, entry->name),
						errhint("Known versions: %s.", known_versions(entry->newest))));
	return version;
}

/* f6_event_type_check_use refuses a version that was deprecated when an event of it was recorded. */
void
f6_event_type_check_use(const char *event_type, const char *event_version, TimestampTz recorded_at)
{
	registry_type *entry = find_type(event_type);
	registry_version *version = find_version(entry, event_version);
	registry_version *newest = newest_in_use(entry);

	if (!version->type.deprecated || recorded_at < version->deprecated_at)
		return;
	ereport(
		ERROR,
		(errcode(F6_ERR_VERSION),
		 errmsg("version \"%s\" of event type \"%s\" is deprecated", event_version, event_type),
		 version->deprecation_reason == NULL
			 ? errdetail("It takes no new events since %s.",
						 timestamptz_to_str(version->deprecated_at))
			 : errdetail("It takes no new events since %s: %s",
						 timestamptz_to_str(version->deprecated_at), version->deprecation_reason),
		 newest == NULL ? errhint("Every version of it is: register a new one with "
								  "f6_register_event_type.")
						: errhint("The newest version is \"%s\".", newest->type.event_version)));
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

/* reachable_versions lists the versions that can be reached from one, or from which it can be, itself included. */
static char *
reachable_versions(const registry_type *entry, const registry_version *start, bool backward)
{
	bool *reachable = f6_chain_reachable(entry->upcasters, entry->upcaster_count, entry->versions,
										 start->number, backward);
	StringInfoData list;

	initStringInfo(&list);
	for (const registry_version *version = entry->newest; version != NULL; version = version->older)
	{
		if (reachable[version->number] || version == start)
			appendStringInfo(&list, "%s\"%s\"", list.len == 0 ? "" : ", ",
							 version->type.event_version);
	}
	return list.data;
}

/* refuse_missing_link raises the error for versions without a way from one to the other. */
static void
refuse_missing_link(const registry_type *entry, const registry_version *from,
					const registry_version *to)
{
	ereport(ERROR,
			(errcode(F6_ERR_VERSION),
			 errmsg("event type \"%s\" has no upcaster from version \"%s\" to version \"%s\"",
					entry->name, from->type.event_version, to->type.event_version),
			 errdetail("Upcasters lead from \"%s\" to: %s. They lead to \"%s\" from: %s.",
					   from->type.event_version, reachable_versions(entry, from, false),
					   to->type.event_version, reachable_versions(entry, to, true)),
			 errhint("Register the one that is missing with f6_register_upcaster, or read another "
					 "version.")));
}

/* ready_link compiles what an upcaster needs to run. */
static void
ready_link(registry_type *entry, f6_upcaster *link)
{
	if (link->document != NULL && link->steps == NULL)
	{
		MemoryContext context =
			AllocSetContextCreate(CurrentMemoryContext, "f6 upcaster", ALLOCSET_SMALL_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(context);
		const f6_steps *steps = f6_steps_compile(link->document);

		MemoryContextSwitchTo(caller);
		MemoryContextSetParent(context, entry->context);
		link->steps = steps;
	}
	if (link->validate && link->program == NULL)
	{
		registry_version *to = version_named(entry->newest, link->to_version);

		if (to->type.program == NULL)
			compile_schema(entry, to);
		link->program = to->type.program;
	}
}

/* make_chain resolves the way between two versions of a type and keeps it; where there is none that is an error. */
static const f6_chain *
make_chain(registry_type *entry, const registry_version *from, const registry_version *to)
{
	f6_upcaster **links = palloc(sizeof(f6_upcaster *) * entry->versions);
	int count = f6_chain_find(entry->upcasters, entry->upcaster_count, entry->versions,
							  from->number, to->number, links);
	registry_chain *made;

	if (count < 0)
		refuse_missing_link(entry, from, to);
	for (int i = 0; i < count; i++)
		ready_link(entry, links[i]);

	made = MemoryContextAllocZero(entry->context, sizeof(registry_chain));
	made->chain.links = MemoryContextAlloc(entry->context, sizeof(f6_upcaster *) * count);
	memcpy(made->chain.links, links, sizeof(f6_upcaster *) * count);
	made->chain.count = count;
	made->chain.event_type = entry->name;
	made->chain.from_version = from->type.event_version;
	made->chain.to_version = to->type.event_version;
	made->next = entry->chains;
	entry->chains = made;
	pfree(links);
	return &made->chain;
}

/*
 * f6_event_type_chain returns the upcasters that bring data from one version of a type to another, NULL when it is the same
 * version.  What it returns is valid as long as the current memory context.
 */
const f6_chain *
f6_event_type_chain(const char *event_type, const char *from_version, const char *to_version)
{
	registry_type *entry = find_type(event_type);
	registry_version *from = find_version(entry, from_version);
	registry_version *to = find_version(entry, to_version);

	if (from == to)
		return NULL;
	hold();
	for (const registry_chain *known = entry->chains; known != NULL; known = known->next)
	{
		/* A chain's names are those of the versions themselves. */
		if (known->chain.from_version == from->type.event_version &&
			known->chain.to_version == to->type.event_version)
			return &known->chain;
	}
	return make_chain(entry, from, to);
}

/* f6_effect_time reads the date of effect that event data holds, and tells whether it holds one. */
bool
f6_effect_time(const f6_event_type *type, const JsonbValue *data, TimestampTz *effect)
{
	JsonbValue field;

	if (type->valid_from == NULL || !f6_pointer_get(type->valid_from, data, &field) ||
		f6_jsonb_is_null(&field))
		return false;
	if (field.type != jbvString ||
		!f6_iso_time_parse(field.val.string.val, field.val.string.len, effect))
		ereport(ERROR,
				(errcode(F6_ERR_INVALID_EVENT),
				 errmsg("event data is not valid for event type \"%s\" version \"%s\"",
						type->event_type, type->event_version),
				 errdetail("\"%s\" valid_from: expected an ISO 8601 date or date-time, found %s",
						   type->valid_from->text,
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
