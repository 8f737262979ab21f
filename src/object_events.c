/*
 * object_events.c
 *		Reading the events of an object, newest first, with the caller's privileges and snapshot.
 *
 * Who may see all of f6.event reads by the indexes, without a plan: the object's positions from one, an event for each
 * from the other.  Links are not looked at: an event and its links become visible together.  For anybody else, and where
 * somebody watches or has split up the tables, it is an ordinary query of the caller.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "event.h"
#include "event_link.h"
#include "event_row.h"
#include "index_plan.h"
#include "object_events.h"
#include "relation.h"

/* columns of the index of an object's positions */
#define LINK_OBJECT	  1
#define LINK_POSITION 2

/*
 * The query; the row itself comes last, where it is asked for.  The subquery's OFFSET makes each event a look-up by its
 * position: it can't be planned as a join that reads the whole log.
 */
#define QUERY_COLUMNS \
	"e.\"position\", e.id, e.event_kind, e.created_at, e.occurred_at, e.event_type, " \
	"e.event_version, " \
	"e.event_reference, e.event_data"
#define QUERY_FROM(columns) \
	" from f6.event_object as o" \
	" cross join lateral (select " columns " from f6.event as r" \
	" where r.\"position\" operator(pg_catalog.=) o.\"position\" offset 0) as e" \
	" where o.object_id operator(pg_catalog.=) $1 and e.created_at operator(pg_catalog.<=) $2" \
	" and o.\"position\" operator(pg_catalog.<=) $3" \
	" order by o.\"position\" desc"

#define QUERY_OF_POSITIONS \
	"select " QUERY_COLUMNS ", e as f6_row from f6.event as e" \
	" where e.\"position\" operator(pg_catalog.=) any ($1)" \
	" and e.created_at operator(pg_catalog.<=) $2 and e.\"position\" operator(pg_catalog.<=) $3" \
	" order by e.\"position\" desc"
#define QUERY		   "select " QUERY_COLUMNS QUERY_FROM("r.*")
#define QUERY_WITH_ROW "select " QUERY_COLUMNS ", e.f6_row" QUERY_FROM("r.*, r as f6_row")

/* columns of these queries */
enum query_column
{
	QUERY_POSITION,
	QUERY_ID,
	QUERY_EVENT_KIND,
	QUERY_CREATED_AT,
	QUERY_OCCURRED_AT,
	QUERY_EVENT_TYPE,
	QUERY_EVENT_VERSION,
	QUERY_REFERENCE,
	QUERY_DATA,
	QUERY_ROW
};

/* Who is told of the events that a query returns. */
typedef struct query_receiver
{
	bool with_row;
	f6_object_event_receiver receive;
	void *state;
} query_receiver;

/* type_key returns a type and version that point into two texts. */
static f6_type_key
type_key(Datum event_type, Datum event_version)
{
	const text *name = DatumGetTextPP(event_type);
	const text *version = DatumGetTextPP(event_version);
	f6_type_key key = { VARDATA_ANY(name), VARDATA_ANY(version), (int) VARSIZE_ANY_EXHDR(name),
						(int) VARSIZE_ANY_EXHDR(version) };

	return key;
}

/* receive_row passes on a row of the query. */
static void
receive_row(void *state, const Datum *values, const bool *nulls)
{
	query_receiver *receiver = state;
	f6_object_event event;

	event.position = DatumGetInt64(values[QUERY_POSITION]);
	event.id = *DatumGetUUIDP(values[QUERY_ID]);
	event.kind = DatumGetObjectId(values[QUERY_EVENT_KIND]);
	event.created_at = DatumGetTimestampTz(values[QUERY_CREATED_AT]);
	event.occurred_at = DatumGetTimestampTz(values[QUERY_OCCURRED_AT]);
	event.type = type_key(values[QUERY_EVENT_TYPE], values[QUERY_EVENT_VERSION]);
	event.has_references = !nulls[QUERY_REFERENCE];
	event.references = values[QUERY_REFERENCE];
	event.data = values[QUERY_DATA];
	event.row = receiver->with_row ? values[QUERY_ROW] : (Datum) 0;
	event.stays = false;
	receiver->receive(receiver->state, &event);
}

/* last_position returns the last position that is read. */
static int64
last_position(const f6_object_reading *reading)
{
	return reading->until == 0 ? PG_INT64_MAX : reading->until;
}

/* query_of returns the query of a reading. */
static f6_index_plan *
query_of(const f6_object_reading *reading)
{
	static f6_index_plan plans[] = {
		{ .text = QUERY, .parameter_count = 3, .types = { UUIDOID, TIMESTAMPTZOID, INT8OID } },
		{ .text = QUERY_WITH_ROW,
		  .parameter_count = 3,
		  .types = { UUIDOID, TIMESTAMPTZOID, INT8OID } },
		{ .text = QUERY_OF_POSITIONS,
		  .parameter_count = 3,
		  .types = { INT8ARRAYOID, TIMESTAMPTZOID, INT8OID } }
	};

	if (reading->positions != (Datum) 0)
		return &plans[2];
	return &plans[reading->with_row ? 1 : 0];
}

/* read_by_query reads the events by the query. */
static void
read_by_query(const f6_object_reading *reading, f6_object_event_receiver receive, void *state)
{
	query_receiver receiver = { reading->with_row, receive, state };
	Datum arguments[] = { reading->positions != (Datum) 0 ? reading->positions
														  : UUIDPGetDatum(&reading->object_id),
						  TimestampTzGetDatum(reading->known_at),
						  Int64GetDatum(last_position(reading)) };

	f6_index_plan_run(query_of(reading), arguments, receive_row, &receiver);
}

/* Events that are looked up by their positions, one after the other. */
typedef struct event_lookup
{
	Relation event;
	Relation by_position;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} event_lookup;

/* is_plain tells whether a table is read by a query as it is by its indexes. */
static bool
is_plain(Relation table)
{
	return table->rd_rel->relkind == RELKIND_RELATION && !table->rd_rel->relhassubclass &&
		   f6_may_read(table);
}

/* is_readable_by_index tells whether the caller may have the events without a query. */
static bool
is_readable_by_index(Relation event, Relation event_object)
{
	return ExecutorCheckPerms_hook == NULL && is_plain(event) && is_plain(event_object);
}

/* lookup_begin readies the look-up of events. */
static void
lookup_begin(event_lookup *lookup, Relation event)
{
	lookup->event = event;
	lookup->by_position = index_open(f6_relation_oid(F6_EVENT_POSITION_INDEX), AccessShareLock);
	lookup->scan = f6_index_beginscan(event, lookup->by_position, GetActiveSnapshot(), 1);
	lookup->slot = table_slot_create(event, NULL);
}

/* lookup_end ends it. */
static void
lookup_end(event_lookup *lookup)
{
	ExecDropSingleTupleTableSlot(lookup->slot);
	index_endscan(lookup->scan);
	index_close(lookup->by_position, AccessShareLock);
}

/* lookup_event finds the event at a position, if the caller sees one there; its columns after the data are not read. */
static bool
lookup_event(event_lookup *lookup, int64 position)
{
	ScanKeyData key;

	ScanKeyInit(&key, F6_EVENT_POSITION_COLUMN, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(position));
	index_rescan(lookup->scan, &key, 1, NULL, 0);
	if (!index_getnext_slot(lookup->scan, ForwardScanDirection, lookup->slot))
		return false;
	slot_getsomeattrs(lookup->slot, F6_EVENT_DATA);
	return true;
}

/* column returns a column of an event that was looked up. */
static inline Datum
column(const TupleTableSlot *slot, int number)
{
	return slot->tts_values[number - 1];
}

/* read_position passes on the event at a position, if the caller sees one there and it was known. */
static void
read_position(const f6_object_reading *reading, event_lookup *lookup, int64 position,
			  f6_object_event_receiver receive, void *state)
{
	TupleTableSlot *slot = lookup->slot;
	f6_object_event event;

	CHECK_FOR_INTERRUPTS();
	if (!lookup_event(lookup, position) ||
		DatumGetTimestampTz(column(slot, F6_EVENT_CREATED_AT)) > reading->known_at)
		return;
	event.position = position;
	event.id = *DatumGetUUIDP(column(slot, F6_EVENT_ID));
	event.kind = DatumGetObjectId(column(slot, F6_EVENT_EVENT_KIND));
	event.created_at = DatumGetTimestampTz(column(slot, F6_EVENT_CREATED_AT));
	event.occurred_at = DatumGetTimestampTz(column(slot, F6_EVENT_OCCURRED_AT));
	event.type = type_key(column(slot, F6_EVENT_EVENT_TYPE), column(slot, F6_EVENT_EVENT_VERSION));
	event.has_references = !slot->tts_isnull[F6_EVENT_REFERENCE - 1];
	event.references = column(slot, F6_EVENT_REFERENCE);
	event.data = column(slot, F6_EVENT_DATA);
	event.row = reading->with_row ? ExecFetchSlotHeapTupleDatum(slot) : (Datum) 0;
	event.stays = false;
	receive(state, &event);
	ExecClearTuple(slot);
}

/* The positions of an object, from its index: also of events that are not committed, or never will be. */
typedef struct position_scan
{
	Relation by_object;
	IndexScanDesc scan;
} position_scan;

/* positions_begin begins to read the positions of an object up to one, newest first. */
static void
positions_begin(position_scan *positions, Relation event_object, const pg_uuid_t *object,
				int64 until)
{
	ScanKeyData keys[LINK_POSITION];

	positions->by_object = index_open(f6_relation_oid(F6_EVENT_OBJECT_INDEX), AccessShareLock);
	positions->scan =
		f6_index_beginscan(event_object, positions->by_object, GetActiveSnapshot(), lengthof(keys));
	ScanKeyInit(&keys[0], LINK_OBJECT, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(object));
	ScanKeyInit(&keys[1], LINK_POSITION, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(until));
	positions->scan->xs_want_itup = true;
	index_rescan(positions->scan, keys, lengthof(keys), NULL, 0);
}

/* positions_next finds the next position, and tells whether there is one. */
static bool
positions_next(position_scan *positions, int64 *position)
{
	IndexScanDesc scan = positions->scan;
	bool isnull;

	if (index_getnext_tid(scan, BackwardScanDirection) == NULL)
		return false;
	*position =
		DatumGetInt64(index_getattr(scan->xs_itup, LINK_POSITION, scan->xs_itupdesc, &isnull));
	return true;
}

/* positions_end ends the reading. */
static void
positions_end(position_scan *positions)
{
	index_endscan(positions->scan);
	index_close(positions->by_object, AccessShareLock);
}

/* read_object passes on the events of an object, until it is told to stop. */
static void
read_object(const f6_object_reading *reading, Relation event_object, event_lookup *lookup,
			f6_object_event_stop stop, f6_object_event_receiver receive, void *state)
{
	position_scan positions;
	int64 position;

	positions_begin(&positions, event_object, &reading->object_id, last_position(reading));
	while (positions_next(&positions, &position) && (stop == NULL || !stop(state, position)))
		read_position(reading, lookup, position, receive, state);
	positions_end(&positions);
}

/* compare_positions orders positions from the newest to the oldest, for qsort. */
static int
compare_positions(const void *a, const void *b)
{
	int64 first = DatumGetInt64(*(const Datum *) a);
	int64 second = DatumGetInt64(*(const Datum *) b);

	return first < second ? 1 : first > second ? -1 : 0;
}

/* read_positions passes on the events at the reading's positions. */
static void
read_positions(const f6_object_reading *reading, event_lookup *lookup,
			   f6_object_event_receiver receive, void *state)
{
	Datum *positions;
	int count;

	deconstruct_array(DatumGetArrayTypeP(reading->positions), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &positions, NULL, &count);
	qsort(positions, count, sizeof(Datum), compare_positions);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || positions[i] != positions[i - 1])
			read_position(reading, lookup, DatumGetInt64(positions[i]), receive, state);
	}
}

/* read_by_index reads the events by the indexes. */
static void
read_by_index(const f6_object_reading *reading, Relation event, Relation event_object,
			  f6_object_event_receiver receive, void *state)
{
	event_lookup lookup;

	lookup_begin(&lookup, event);
	if (reading->positions != (Datum) 0)
		read_positions(reading, &lookup, receive, state);
	else
		read_object(reading, event_object, &lookup, NULL, receive, state);
	lookup_end(&lookup);
}

/* f6_object_events_read tells the receiver of each event, newest first. */
void
f6_object_events_read(const f6_object_reading *reading, f6_object_event_receiver receive,
					  void *state)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation event_object = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);

	f6_event_check_columns(RelationGetDescr(event));
	f6_link_check_columns(event_object);
	if (is_readable_by_index(event, event_object))
		read_by_index(reading, event, event_object, receive, state);
	else
		read_by_query(reading, receive, state);
	table_close(event_object, AccessShareLock);
	table_close(event, AccessShareLock);
}

/* f6_object_events_are_indexed tells whether the caller may have the events of any object without a query. */
bool
f6_object_events_are_indexed(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation event_object = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);
	bool are_indexed = is_readable_by_index(event, event_object);

	f6_event_check_columns(RelationGetDescr(event));
	f6_link_check_columns(event_object);
	table_close(event_object, NoLock);
	table_close(event, NoLock);
	return are_indexed;
}

/*
 * f6_object_events_read_until tells the receiver of each event by the indexes, newest first, until it is told to stop before
 * the next position.  The caller may do so: see f6_object_events_are_indexed.
 */
void
f6_object_events_read_until(const f6_object_reading *reading, f6_object_event_stop stop,
							f6_object_event_receiver receive, void *state)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation event_object = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);
	event_lookup lookup;

	lookup_begin(&lookup, event);
	read_object(reading, event_object, &lookup, stop, receive, state);
	lookup_end(&lookup);
	table_close(event_object, AccessShareLock);
	table_close(event, AccessShareLock);
}

/* f6_object_events_are_all tells whether an object has no other committed events after a position than those at the given ones. */
bool
f6_object_events_are_all(const pg_uuid_t *object, int64 after, const f6_positions *known)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation event_object = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);
	position_scan positions;
	int64 position;
	uint64 next = 0;
	bool are_all = true;

	positions_begin(&positions, event_object, object, PG_INT64_MAX);
	while (are_all && positions_next(&positions, &position) && position > after)
	{
		CHECK_FOR_INTERRUPTS();
		if (next < known->count && position == known->list[next])
			next++;
		else
			are_all = !f6_event_find_at(event, position, SnapshotSelf, NULL);
	}
	positions_end(&positions);
	table_close(event_object, AccessShareLock);
	table_close(event, AccessShareLock);
	return are_all;
}
