/*
 * kept_field.c
 *		What is kept of fields, so that who has a value there is found without folding everybody.
 *
 * f6.kept_span has the spans of every object's field, up to a position of the log.  Whoever asks reads it, folds the objects
 * that later events are about, and brings it up to the horizon when these are many: what is kept is never wrong, only behind.
 * What is registered may change how earlier events are read, so the objects of such a type count as changed too.  And nobody
 * knows when an upcaster's function comes to return something else: objects that it is run for are folded each time.
 *
 * Rows are read and written below the level of statements, by callers who may see every event.  They are visible as any rows
 * are.  Dates without a time zone are in the session's, so there is something of its own for each of these.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "commands/sequence.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "horizon.h"
#include "index_plan.h"
#include "jsonb_walk.h"
#include "kept_field.h"
#include "lock.h"
#include "relation.h"
#include "span.h"
#include "table_writer.h"
#include "uuid.h"

/* objects that there is room for at first */
#define INITIAL_OBJECTS 64

/* About as much memory as a row takes besides its value. */
#define ROW_SIZE 128

/* The hash, like that of no value, in the rows of objects of which nothing can be kept. */
#define HASH_OF_NOTHING (-1)

/* columns of f6.field, of its primary key, and the first ones of f6.kept_field */
enum field_column
{
	FIELD_PATH = 1,
	FIELD_LEGAL,
	FIELD_COLUMNS = FIELD_LEGAL
};

/* columns of f6.kept_field; its primary key has the first three */
enum kept_column
{
	KEPT_PATH = FIELD_PATH,
	KEPT_LEGAL = FIELD_LEGAL,
	KEPT_TIME_ZONE,
	KEPT_ID,
	KEPT_POSITION,
	KEPT_LAST_TYPE,
	KEPT_LAST_UPCASTER,
	KEPT_DEPRECATIONS,
	KEPT_COLUMNS = KEPT_DEPRECATIONS
};

/* columns of f6.kept_span */
enum span_column
{
	SPAN_KEPT_ID = 1,
	SPAN_OBJECT_ID,
	SPAN_KNOWN_FROM,
	SPAN_KNOWN_TO,
	SPAN_VALID_FROM,
	SPAN_VALID_TO,
	SPAN_VALUE_HASH,
	SPAN_VALUE,
	SPAN_COLUMNS = SPAN_VALUE
};

/* columns of the index by which spans are found by object */
enum by_object_column
{
	BY_OBJECT_KEPT_ID = 1,
	BY_OBJECT_OBJECT_ID,
	BY_OBJECT_COLUMNS = BY_OBJECT_OBJECT_ID
};

/* columns of the index by which spans are found by value */
enum by_value_column
{
	BY_VALUE_KEPT_ID = 1,
	BY_VALUE_HASH,
	BY_VALUE_KNOWN_TO,
	BY_VALUE_VALID_TO,
	BY_VALUE_KNOWN_FROM,
	BY_VALUE_VALID_FROM,
	BY_VALUE_COLUMNS = BY_VALUE_VALID_FROM
};

/* The objects of later events, as far as a position. */
static f6_index_plan objects_since = {
	"select e.object_ids from f6.event as e"
	" where e.\"position\" operator(pg_catalog.>) $1 and e.\"position\" operator(pg_catalog.<=) $2",
	2,
	{ INT8OID, INT8OID },
	NULL,
	InvalidOid,
	NULL
};

/* The objects of a type's events, as far as a position. */
static f6_index_plan objects_of_type = {
	"select e.object_ids from f6.event as e"
	" where e.event_type operator(pg_catalog.=) $1 and e.\"position\" operator(pg_catalog.<=) $2",
	2,
	{ TEXTOID, INT8OID },
	NULL,
	InvalidOid,
	NULL
};

/*
 * f6_kept_fields_lock locks what is kept in a mode until the transaction ends: to empty it is nothing that snapshots hide, and
 * must not come between reading how far it goes and reading it.
 */
void
f6_kept_fields_lock(LOCKMODE mode)
{
	LockRelationOid(f6_relation_oid(F6_KEPT_FIELD), mode);
	LockRelationOid(f6_relation_oid(F6_KEPT_SPAN), mode);
}

/* set_field_keys sets the keys by which a field is found in f6.field, or what is kept of it in f6.kept_field. */
static void
set_field_keys(ScanKey keys, const f6_field *field)
{
	ScanKeyInit(&keys[0], FIELD_PATH, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(field->path));
	ScanKeyInit(&keys[1], FIELD_LEGAL, BTEqualStrategyNumber, F_BOOLEQ, BoolGetDatum(field->legal));
}

/* f6_field_is_registered tells whether a field is one that is kept. */
bool
f6_field_is_registered(const f6_field *field)
{
	Relation table = table_open(f6_relation_oid(F6_FIELD), AccessShareLock);
	ScanKeyData keys[FIELD_COLUMNS];
	SysScanDesc scan;
	bool is_registered;

	set_field_keys(keys, field);
	scan = systable_beginscan(table, f6_relation_oid(F6_FIELD_INDEX), true, GetActiveSnapshot(),
							  lengthof(keys), keys);
	is_registered = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(table, NoLock);
	return is_registered;
}

/* time_zone returns the time zone that what is kept depends on, empty if it depends on none. */
static const char *
time_zone(void)
{
	bool has_dates;

	(void) f6_event_type_fingerprint(&has_dates);
	return has_dates ? pg_get_timezone_name(session_timezone) : "";
}

/* read_kept reads what is kept of a field, and where that is said. */
static void
read_kept(const f6_field *field, f6_kept_field *kept, ItemPointer place)
{
	Relation table = table_open(f6_relation_oid(F6_KEPT_FIELD), AccessShareLock);
	ScanKeyData keys[KEPT_TIME_ZONE];
	SysScanDesc scan;
	HeapTuple row;

	memset(kept, 0, sizeof(f6_kept_field));
	set_field_keys(keys, field);
	ScanKeyInit(&keys[2], KEPT_TIME_ZONE, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(time_zone()));
	scan = systable_beginscan(table, f6_relation_oid(F6_KEPT_FIELD_INDEX), true,
							  GetActiveSnapshot(), lengthof(keys), keys);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		Datum values[KEPT_COLUMNS];
		bool nulls[KEPT_COLUMNS];

		heap_deform_tuple(row, RelationGetDescr(table), values, nulls);
		kept->exists = true;
		kept->kept_id = DatumGetInt64(values[KEPT_ID - 1]);
		kept->position = DatumGetInt64(values[KEPT_POSITION - 1]);
		kept->registry.last_type = DatumGetInt64(values[KEPT_LAST_TYPE - 1]);
		kept->registry.last_upcaster = DatumGetInt64(values[KEPT_LAST_UPCASTER - 1]);
		kept->registry.deprecations = DatumGetInt64(values[KEPT_DEPRECATIONS - 1]);
		*place = row->t_self;
	}
	systable_endscan(scan);
	table_close(table, NoLock);
}

/* f6_kept_field_read reads what is kept of a field: at first nothing. */
void
f6_kept_field_read(const f6_field *field, f6_kept_field *kept)
{
	ItemPointerData place;

	read_kept(field, kept, &place);
}

/* make_unique puts objects in order, each once. */
static void
make_unique(f6_objects *objects)
{
	if (objects->count == 0)
		return;
	qsort(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
	objects->count = qunique(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
}

/* begin_objects begins with no objects. */
static void
begin_objects(f6_objects *objects)
{
	objects->count = 0;
	objects->room = INITIAL_OBJECTS;
	objects->ids = palloc(objects->room * sizeof(pg_uuid_t));
}

/* make_room makes room for so many more: each object that is there stays once, and the rest of the room is at least as large. */
static void
make_room(f6_objects *objects, uint64 count)
{
	make_unique(objects);
	if (objects->count + count <= objects->room / 2)
		return;
	objects->room = 2 * (objects->room + count);
	objects->ids = repalloc_huge(objects->ids, objects->room * sizeof(pg_uuid_t));
}

/* add_object_ids adds objects to others. */
static void
add_object_ids(f6_objects *objects, const pg_uuid_t *ids, uint64 count)
{
	if (objects->count + count > objects->room)
		make_room(objects, count);
	memcpy(&objects->ids[objects->count], ids, count * sizeof(pg_uuid_t));
	objects->count += count;
}

/* add_objects adds those of an event to others. */
static void
add_objects(void *state, const Datum *values, const bool *nulls)
{
	ArrayType *array = DatumGetArrayTypeP(values[0]);

	(void) nulls;
	add_object_ids(state, (const pg_uuid_t *) ARR_DATA_PTR(array),
				   ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	if ((Pointer) array != DatumGetPointer(values[0]))
		pfree(array);
}

/*
 * f6_kept_field_changed returns the objects that may have other spans than those that are kept, by the events up to a position
 * that the caller sees.
 */
void
f6_kept_field_changed(const f6_kept_field *kept, int64 until, f6_objects *objects)
{
	f6_registry_moment registry = kept->registry;
	ListCell *cell;

	begin_objects(objects);
	f6_index_plan_run(&objects_since,
					  (Datum[]){ Int64GetDatum(kept->position), Int64GetDatum(until) }, add_objects,
					  objects);
	if (kept->exists)
	{
		foreach (cell, f6_event_type_changed(&registry))
			f6_index_plan_run(&objects_of_type,
							  (Datum[]){ CStringGetTextDatum(lfirst(cell)), Int64GetDatum(until) },
							  add_objects, objects);
	}
	make_unique(objects);
}

/* f6_objects_contain tells whether an object is one of several. */
bool
f6_objects_contain(const f6_objects *objects, const pg_uuid_t *object)
{
	return bsearch(object, objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare) !=
		   NULL;
}

/* value_hash returns the hash of a value; equal values have the same. */
static int64
value_hash(Jsonb *value)
{
	JsonbValue root;

	f6_jsonb_root(value, &root);
	return f6_jsonb_hash(&root);
}

/* read_span reads a row of f6.kept_span; its value points into the row. */
static void
read_span(const Datum *values, f6_field_span *span)
{
	span->known_from = DatumGetTimestampTz(values[SPAN_KNOWN_FROM - 1]);
	span->known_to = DatumGetTimestampTz(values[SPAN_KNOWN_TO - 1]);
	span->valid_from = DatumGetTimestampTz(values[SPAN_VALID_FROM - 1]);
	span->valid_to = DatumGetTimestampTz(values[SPAN_VALID_TO - 1]);
	span->value = DatumGetJsonbP(values[SPAN_VALUE - 1]);
}

/* delete_spans deletes the rows of an object that are none of its spans any more, and notes which spans are there. */
static void
delete_spans(Relation table, int64 kept_id, const pg_uuid_t *object, const f6_field_spans *spans,
			 bool *are_there)
{
	ScanKeyData keys[BY_OBJECT_COLUMNS];
	SysScanDesc scan;
	HeapTuple row;

	ScanKeyInit(&keys[0], SPAN_KEPT_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(kept_id));
	ScanKeyInit(&keys[1], SPAN_OBJECT_ID, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(object));
	scan = systable_beginscan(table, f6_relation_oid(F6_KEPT_SPAN_BY_OBJECT), true,
							  GetActiveSnapshot(), lengthof(keys), keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Datum values[SPAN_COLUMNS];
		bool nulls[SPAN_COLUMNS];
		f6_field_span span;
		uint64 number = spans->count;

		heap_deform_tuple(row, RelationGetDescr(table), values, nulls);
		if (!nulls[SPAN_VALUE - 1])
		{
			read_span(values, &span);
			number = f6_field_spans_find(spans, &span);
		}
		if (number < spans->count)
			are_there[number] = true;
		else
			simple_table_tuple_delete(table, &row->t_self, GetActiveSnapshot());
	}
	systable_endscan(scan);
}

/* write_nothing writes a row that says that nothing of an object can be kept. */
static void
write_nothing(f6_table_writer *writer, int64 kept_id, const pg_uuid_t *object)
{
	TupleTableSlot *row = f6_table_writer_row(writer);
	Datum *values = row->tts_values;

	memset(row->tts_isnull, false, SPAN_COLUMNS);
	values[SPAN_KEPT_ID - 1] = Int64GetDatum(kept_id);
	values[SPAN_OBJECT_ID - 1] = UUIDPGetDatum(object);
	values[SPAN_KNOWN_FROM - 1] = TimestampTzGetDatum(DT_NOBEGIN);
	values[SPAN_KNOWN_TO - 1] = TimestampTzGetDatum(DT_NOEND);
	values[SPAN_VALID_FROM - 1] = TimestampTzGetDatum(DT_NOBEGIN);
	values[SPAN_VALID_TO - 1] = TimestampTzGetDatum(DT_NOEND);
	values[SPAN_VALUE_HASH - 1] = Int64GetDatum(HASH_OF_NOTHING);
	row->tts_isnull[SPAN_VALUE - 1] = true;
	f6_table_writer_put(writer, ROW_SIZE);
}

/* write_span writes a row for a span. */
static void
write_span(f6_table_writer *writer, int64 kept_id, const pg_uuid_t *object,
		   const f6_field_span *span)
{
	TupleTableSlot *row = f6_table_writer_row(writer);
	Datum *values = row->tts_values;

	memset(row->tts_isnull, false, SPAN_COLUMNS);
	values[SPAN_KEPT_ID - 1] = Int64GetDatum(kept_id);
	values[SPAN_OBJECT_ID - 1] = UUIDPGetDatum(object);
	values[SPAN_KNOWN_FROM - 1] = TimestampTzGetDatum(span->known_from);
	values[SPAN_KNOWN_TO - 1] = TimestampTzGetDatum(span->known_to);
	values[SPAN_VALID_FROM - 1] = TimestampTzGetDatum(span->valid_from);
	values[SPAN_VALID_TO - 1] = TimestampTzGetDatum(span->valid_to);
	values[SPAN_VALUE_HASH - 1] = Int64GetDatum(value_hash(span->value));
	values[SPAN_VALUE - 1] = JsonbPGetDatum(span->value);
	f6_table_writer_put(writer, ROW_SIZE + VARSIZE(span->value));
}

/* keep_objects keeps the spans of objects as they are now. */
static void
keep_objects(const f6_field *field, const f6_kept_field *kept, const f6_objects *objects)
{
	Relation table = table_open(f6_relation_oid(F6_KEPT_SPAN), RowExclusiveLock);
	f6_table_writer *writer = f6_table_writer_begin(table);
	MemoryContext per_object =
		AllocSetContextCreate(CurrentMemoryContext, "f6 field", ALLOCSET_DEFAULT_SIZES);

	for (uint64 i = 0; i < objects->count; i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(per_object);
		f6_field_spans spans;
		bool *are_there;

		CHECK_FOR_INTERRUPTS();
		f6_field_spans_read(field, &objects->ids[i], &spans);
		if (!spans.may_be_kept)
			spans.count = 0;
		are_there = palloc0(Max(spans.count, 1) * sizeof(bool));
		if (kept->exists)
			delete_spans(table, kept->kept_id, &objects->ids[i], &spans, are_there);
		for (uint64 j = 0; j < spans.count; j++)
		{
			if (!are_there[j])
				write_span(writer, kept->kept_id, &objects->ids[i], &spans.spans[j]);
		}
		if (!spans.may_be_kept)
			write_nothing(writer, kept->kept_id, &objects->ids[i]);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_object);
	}
	f6_table_writer_end(writer);
	MemoryContextDelete(per_object);
	table_close(table, NoLock);
}

/* write_kept says what is kept now, in the place of what was said before, if anything was. */
static void
write_kept(const f6_field *field, const f6_kept_field *kept, ItemPointer place)
{
	Relation table = table_open(f6_relation_oid(F6_KEPT_FIELD), RowExclusiveLock);
	f6_table_writer *writer = f6_table_writer_begin(table);
	TupleTableSlot *row = f6_table_writer_row(writer);
	Datum *values = row->tts_values;

	if (kept->exists)
		simple_table_tuple_delete(table, place, GetActiveSnapshot());
	memset(row->tts_isnull, false, KEPT_COLUMNS);
	values[KEPT_PATH - 1] = CStringGetTextDatum(field->path);
	values[KEPT_LEGAL - 1] = BoolGetDatum(field->legal);
	values[KEPT_TIME_ZONE - 1] = CStringGetTextDatum(time_zone());
	values[KEPT_ID - 1] = Int64GetDatum(kept->kept_id);
	values[KEPT_POSITION - 1] = Int64GetDatum(kept->position);
	values[KEPT_LAST_TYPE - 1] = Int64GetDatum(kept->registry.last_type);
	values[KEPT_LAST_UPCASTER - 1] = Int64GetDatum(kept->registry.last_upcaster);
	values[KEPT_DEPRECATIONS - 1] = Int64GetDatum(kept->registry.deprecations);
	f6_table_writer_put(writer, ROW_SIZE);
	f6_table_writer_end(writer);
	table_close(table, NoLock);
}

/*
 * registry_now returns the present moment in the life of the registry.  Somebody may be at it, whose change might be visible
 * without this session having heard of it: who does not wait for that gets false.
 */
static bool
registry_now(f6_registry_moment *moment, bool wait)
{
	memset(moment, 0, sizeof(f6_registry_moment));
	if (wait)
		f6_event_type_lock();
	else if (!f6_event_type_try_lock())
		return false;
	(void) f6_event_type_changed(moment);
	f6_event_type_unlock();
	return true;
}

/* bring_up brings what is kept of a field up to a position and a moment of the registry. */
static void
bring_up(const f6_field *field, int64 position, const f6_registry_moment *registry)
{
	f6_kept_field kept;
	ItemPointerData place;
	f6_objects objects;

	if (!f6_field_is_registered(field))
		return;
	read_kept(field, &kept, &place);
	position = Max(position, kept.position);
	if (kept.exists && position == kept.position &&
		memcmp(registry, &kept.registry, sizeof(f6_registry_moment)) == 0)
		return;
	if (!kept.exists)
		kept.kept_id = nextval_internal(f6_relation_oid(F6_KEPT_FIELD_SEQUENCE), false);
	f6_kept_field_changed(&kept, position, &objects);
	keep_objects(field, &kept, &objects);
	kept.position = position;
	kept.registry = *registry;
	write_kept(field, &kept, &place);
}

/*
 * f6_field_keep brings what is kept of a field up to the horizon, if the transaction can do so: it must write, and see what
 * others have committed by now.  Who does not want to wait leaves it to those who are at it.
 */
void
f6_field_keep(const f6_field *field, bool wait)
{
	f6_registry_moment registry;
	int64 horizon;

	if (XactReadOnly || RecoveryInProgress() || IsInParallelMode() || IsolationUsesXactSnapshot())
		return;
	if (!f6_lock_field(field->path, field->legal, wait) || !registry_now(&registry, wait))
		return;
	f6_kept_fields_lock(RowExclusiveLock);
	/* The transaction's own events hold it back too: not all of these need be visible to it yet. */
	horizon = f6_horizon_now(false);
	PushActiveSnapshot(GetTransactionSnapshot());
	bring_up(field, horizon, &registry);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

/* forget_spans removes the spans that belong to what is kept. */
static void
forget_spans(Relation table, int64 kept_id)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;

	ScanKeyInit(&key, SPAN_KEPT_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(kept_id));
	scan = systable_beginscan(table, f6_relation_oid(F6_KEPT_SPAN_BY_OBJECT), true,
							  GetActiveSnapshot(), 1, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		simple_table_tuple_delete(table, &row->t_self, GetActiveSnapshot());
	}
	systable_endscan(scan);
}

/* f6_field_forget removes all that is kept of a field, in every time zone; who is keeping it is waited for. */
void
f6_field_forget(const f6_field *field)
{
	Relation kept;
	Relation spans;
	ScanKeyData keys[FIELD_COLUMNS];
	SysScanDesc scan;
	HeapTuple row;

	(void) f6_lock_field(field->path, field->legal, true);
	f6_kept_fields_lock(RowExclusiveLock);
	kept = table_open(f6_relation_oid(F6_KEPT_FIELD), NoLock);
	spans = table_open(f6_relation_oid(F6_KEPT_SPAN), NoLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	set_field_keys(keys, field);
	scan = systable_beginscan(kept, f6_relation_oid(F6_KEPT_FIELD_INDEX), true, GetActiveSnapshot(),
							  lengthof(keys), keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool isnull;
		Datum kept_id = heap_getattr(row, KEPT_ID, RelationGetDescr(kept), &isnull);

		forget_spans(spans, DatumGetInt64(kept_id));
		simple_table_tuple_delete(kept, &row->t_self, GetActiveSnapshot());
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	CommandCounterIncrement();
	table_close(spans, NoLock);
	table_close(kept, NoLock);
}

/* f6_kept_field_lacking returns the objects of which nothing can be kept, together with others. */
void
f6_kept_field_lacking(const f6_kept_field *kept, f6_objects *objects)
{
	Relation table = table_open(f6_relation_oid(F6_KEPT_SPAN), AccessShareLock);
	ScanKeyData keys[BY_VALUE_HASH];
	SysScanDesc scan;
	HeapTuple row;

	ScanKeyInit(&keys[0], SPAN_KEPT_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(kept->kept_id));
	ScanKeyInit(&keys[1], SPAN_VALUE_HASH, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(HASH_OF_NOTHING));
	scan = systable_beginscan(table, f6_relation_oid(F6_KEPT_SPAN_BY_VALUE), true,
							  GetActiveSnapshot(), lengthof(keys), keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool isnull;
		Datum object = heap_getattr(row, SPAN_OBJECT_ID, RelationGetDescr(table), &isnull);

		CHECK_FOR_INTERRUPTS();
		add_object_ids(objects, DatumGetUUIDP(object), 1);
	}
	systable_endscan(scan);
	table_close(table, NoLock);
	make_unique(objects);
}

/* set_bound sets a key of the index by value. */
static void
set_bound(ScanKey keys, int column, StrategyNumber strategy, RegProcedure procedure,
		  TimestampTz time)
{
	ScanKeyInit(&keys[column - 1], column, strategy, procedure, TimestampTzGetDatum(time));
}

/* f6_kept_field_spans hands on the objects whose field had a value at a material time as known at a formal time, as kept. */
void
f6_kept_field_spans(const f6_kept_field *kept, Jsonb *value, TimestampTz valid_at,
					TimestampTz known_at, f6_field_span_receiver receive, void *state)
{
	Relation table = table_open(f6_relation_oid(F6_KEPT_SPAN), AccessShareLock);
	Relation index = index_open(f6_relation_oid(F6_KEPT_SPAN_BY_VALUE), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	ScanKeyData keys[BY_VALUE_COLUMNS];
	MemoryContext per_row =
		AllocSetContextCreate(CurrentMemoryContext, "f6 spans", ALLOCSET_DEFAULT_SIZES);
	IndexScanDesc scan;

	ScanKeyInit(&keys[BY_VALUE_KEPT_ID - 1], BY_VALUE_KEPT_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(kept->kept_id));
	ScanKeyInit(&keys[BY_VALUE_HASH - 1], BY_VALUE_HASH, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(value_hash(value)));
	set_bound(keys, BY_VALUE_KNOWN_TO, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, known_at);
	set_bound(keys, BY_VALUE_VALID_TO, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, valid_at);
	set_bound(keys, BY_VALUE_KNOWN_FROM, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, known_at);
	set_bound(keys, BY_VALUE_VALID_FROM, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, valid_at);
	scan = f6_index_beginscan(table, index, GetActiveSnapshot(), BY_VALUE_COLUMNS);
	index_rescan(scan, keys, BY_VALUE_COLUMNS, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(per_row);
		f6_field_span span;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		read_span(slot->tts_values, &span);
		if (f6_same_state(span.value, value))
			receive(state, DatumGetUUIDP(slot->tts_values[SPAN_OBJECT_ID - 1]), &span);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_row);
	}
	MemoryContextDelete(per_row);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(table, NoLock);
}
