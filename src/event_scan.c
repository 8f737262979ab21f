/*
 * event_scan.c
 *		The positions of the events that match a query, in order.
 *
 * Each object and each type has a list of positions in an index.  An item of a query is the intersection of its objects'
 * lists and of the union of its types' lists.  All are in order, so they are leapt through: each is sought from where the
 * others have come to, and the shortest decides how many steps there are.
 *
 * Only indexes are read, which also hold what is not committed or was rolled back: a position is a candidate, and whether
 * the caller may see an event there is for it to look up.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/relscan.h"
#include "access/table.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "f6.h"
#include "event_link.h"
#include "event_scan.h"
#include "relation.h"

/* Where the position stands in an index whose first column is what is listed. */
#define LIST_COLUMN		1
#define POSITION_COLUMN 2

/* The positions of the events that name an object, that are of a type, or of all; it stands at one of them. */
typedef struct position_list
{
	IndexScanDesc scan;
	int position_column;
	ScanKeyData keys[2];
	int64 position; /* the least one sought, or later; PG_INT64_MAX at the end */
	bool is_begun;
} position_list;

/* An item's lists: those of its objects, which must agree, and those of its types, any of which will do. */
typedef struct item_scan
{
	int object_count;
	position_list *objects;
	int type_count;
	position_list *types;
	int64 position; /* the next match; PG_INT64_MAX at the end */
} item_scan;

struct f6_event_scan
{
	Snapshot snapshot;
	LOCKMODE lock;
	/* open when a list is in them, else NULL */
	Relation event;
	Relation event_object;
	Relation by_position;
	Relation by_type;
	Relation by_object;

	int count;
	item_scan *items;
	int64 next; /* the least position that was not returned */
};

/* need_table opens a table, unless it is open. */
static Relation
need_table(f6_event_scan *scan, Relation *table, const char *name)
{
	if (*table == NULL)
		*table = table_open(f6_relation_oid(name), scan->lock);
	return *table;
}

/* need_index opens an index, unless it is open. */
static Relation
need_index(f6_event_scan *scan, Relation *index, const char *name)
{
	if (*index == NULL)
		*index = index_open(f6_relation_oid(name), scan->lock);
	return *index;
}

/* list_begin readies a list for being sought in. */
static void
list_begin(position_list *list, f6_event_scan *scan, Relation table, Relation index)
{
	list->position_column = RelationGetNumberOfAttributes(index) > 1 ? POSITION_COLUMN : 1;
	ScanKeyInit(&list->keys[list->position_column - 1], list->position_column,
				BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(0));
	list->scan = f6_index_beginscan(table, index, scan->snapshot, list->position_column);
	list->scan->xs_want_itup = true;
	list->is_begun = false;
}

/* list_begin_of_object readies the list of an object. */
static void
list_begin_of_object(position_list *list, f6_event_scan *scan, const pg_uuid_t *object)
{
	ScanKeyInit(&list->keys[0], LIST_COLUMN, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(object));
	if (scan->event_object == NULL)
		f6_link_check_columns(need_table(scan, &scan->event_object, F6_EVENT_OBJECT));
	list_begin(list, scan, scan->event_object,
			   need_index(scan, &scan->by_object, F6_EVENT_OBJECT_INDEX));
}

/* list_begin_of_type readies the list of a type. */
static void
list_begin_of_type(position_list *list, f6_event_scan *scan, const f6_query_type *type)
{
	text *name = cstring_to_text_with_len(type->name, type->length);
	Relation index = need_index(scan, &scan->by_type, F6_EVENT_BY_TYPE_INDEX);

	ScanKeyEntryInitialize(&list->keys[0], 0, LIST_COLUMN, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[LIST_COLUMN - 1], F_TEXTEQ,
						   PointerGetDatum(name));
	list_begin(list, scan, need_table(scan, &scan->event, F6_EVENT), index);
}

/* list_next moves a list to its next position. */
static void
list_next(position_list *list)
{
	bool isnull;

	if (index_getnext_tid(list->scan, ForwardScanDirection) == NULL)
		list->position = PG_INT64_MAX;
	else
		list->position = DatumGetInt64(index_getattr(list->scan->xs_itup, list->position_column,
													 list->scan->xs_itupdesc, &isnull));
}

/* list_seek moves a list to its first position that is not less than the given one, and returns it. */
static int64
list_seek(position_list *list, int64 position)
{
	CHECK_FOR_INTERRUPTS();
	if (list->is_begun && list->position >= position)
		return list->position;
	/* What is sought is often the next one; if not, a descent into the index finds it. */
	if (list->is_begun)
		list_next(list);
	if (!list->is_begun || list->position < position)
	{
		list->keys[list->position_column - 1].sk_argument = Int64GetDatum(position);
		index_rescan(list->scan, list->keys, list->position_column, NULL, 0);
		list->is_begun = true;
		list_next(list);
	}
	return list->position;
}

/* types_seek returns the first position of any of an item's types that is not less than the given one. */
static int64
types_seek(item_scan *item, int64 position)
{
	int64 least = PG_INT64_MAX;

	for (int i = 0; i < item->type_count; i++)
		least = Min(least, list_seek(&item->types[i], position));
	return least;
}

/* item_seek moves an item to its first match that is not before a position. */
static void
item_seek(item_scan *item, int64 position)
{
	int64 agreed;

	do
	{
		agreed = position;
		for (int i = 0; i < item->object_count; i++)
			position = Max(position, list_seek(&item->objects[i], position));
		if (item->type_count > 0)
			position = Max(position, types_seek(item, position));
	} while (position != agreed && position != PG_INT64_MAX);
	item->position = position;
}

/* item_begin readies the lists of an item; one that asks for nothing in particular has the list of all events. */
static void
item_begin(item_scan *item, f6_event_scan *scan, const f6_query_item *query)
{
	item->type_count = query->type_count;
	item->types = palloc(sizeof(position_list) * Max(item->type_count, 1));
	for (int i = 0; i < item->type_count; i++)
		list_begin_of_type(&item->types[i], scan, &query->types[i]);
	item->object_count = query->objects.count;
	item->objects = palloc(sizeof(position_list) * Max(item->object_count, 1));
	for (int i = 0; i < item->object_count; i++)
		list_begin_of_object(&item->objects[i], scan, &query->objects.ids[i]);
	if (item->type_count == 0 && item->object_count == 0)
	{
		item->object_count = 1;
		list_begin(&item->objects[0], scan, need_table(scan, &scan->event, F6_EVENT),
				   need_index(scan, &scan->by_position, F6_EVENT_POSITION_INDEX));
	}
	item->position = -1;
}

/* item_end lets go of the lists of an item. */
static void
item_end(item_scan *item)
{
	for (int i = 0; i < item->object_count; i++)
		index_endscan(item->objects[i].scan);
	for (int i = 0; i < item->type_count; i++)
	{
		index_endscan(item->types[i].scan);
		pfree(DatumGetPointer(item->types[i].keys[LIST_COLUMN - 1].sk_argument));
	}
	pfree(item->objects);
	pfree(item->types);
}

/*
 * f6_event_scan_begin begins to look for the events that match a query after a position.  Tables and indexes are locked in
 * the given mode meanwhile: one in which the caller has them costs the least.
 */
f6_event_scan *
f6_event_scan_begin(const f6_query *query, int64 after, Snapshot snapshot, LOCKMODE lock)
{
	f6_event_scan *scan = palloc0(sizeof(f6_event_scan));

	scan->snapshot = snapshot;
	scan->lock = lock;
	scan->next = after == PG_INT64_MAX ? after : after + 1;
	scan->count = query->count;
	scan->items = palloc_extended(sizeof(item_scan) * scan->count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < scan->count; i++)
		item_begin(&scan->items[i], scan, &query->items[i]);
	return scan;
}

/* f6_event_scan_next finds the next position, and tells whether there is one. */
bool
f6_event_scan_next(f6_event_scan *scan, int64 *position)
{
	int64 least = PG_INT64_MAX;

	for (int i = 0; i < scan->count; i++)
	{
		item_scan *item = &scan->items[i];

		if (item->position < scan->next)
			item_seek(item, scan->next);
		least = Min(least, item->position);
	}
	if (least == PG_INT64_MAX)
		return false;
	*position = least;
	scan->next = least + 1;
	return true;
}

/* f6_event_scan_end ends the search. */
void
f6_event_scan_end(f6_event_scan *scan)
{
	Relation indexes[] = { scan->by_position, scan->by_type, scan->by_object };

	for (int i = 0; i < scan->count; i++)
		item_end(&scan->items[i]);
	for (int i = 0; i < (int) lengthof(indexes); i++)
	{
		if (indexes[i] != NULL)
			index_close(indexes[i], scan->lock);
	}
	if (scan->event_object != NULL)
		table_close(scan->event_object, scan->lock);
	if (scan->event != NULL)
		table_close(scan->event, scan->lock);
	pfree(scan->items);
	pfree(scan);
}
