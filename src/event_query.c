/*
 * event_query.c
 *		Which events somebody asks about: a JSON array of items such as {"types": ["A", "B"], "objects": ["..."]}.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "errors.h"
#include "event_query.h"
#include "jsonb_walk.h"
#include "uuid.h"

/* How many objects and types are looked for at a time, if not one item has more; each takes some 50 kB and a page of buffers. */
#define LISTS_AT_A_TIME 64
/* So many objects may one item have. */
#define MAX_OBJECTS 100

/* refuse_query raises the error for a document that is no query; the item counts from 1, 0 is the whole. */
static void __attribute__((noreturn)) refuse_query(int item, const char *reason)
{
	ereport(
		ERROR,
		(errcode(F6_ERR_BAD_ARGUMENT), errmsg("malformed query of events"),
		 item > 0 ? errdetail_internal("In item %d %s", item, reason)
				  : errdetail_internal("%s", reason),
		 errhint("A query is an array of items such as {\"types\": [\"A\", \"B\"], \"objects\": "
				 "[\"UUID\"]}; either may be left out, and [{}] is all events.")));
}

/* f6_query_is_uuid tells whether a text is a UUID in one of the forms that the server reads. */
bool
f6_query_is_uuid(const char *text, int length)
{
	int digits = 0;

	if (length >= 2 && text[0] == '{' && text[length - 1] == '}')
	{
		text++;
		length -= 2;
	}
	for (int i = 0; i < length; i++)
	{
		if (isxdigit((unsigned char) text[i]))
			digits++;
		else if (text[i] != '-' || digits == 0 || digits % 4 != 0 || text[i - 1] == '-')
			return false;
	}
	return digits == 2 * UUID_LEN && text[length - 1] != '-';
}

/* add_object adds an object to those that an item's events must name, unless it is among them. */
static void
add_object(f6_uuids *objects, const pg_uuid_t *object, int item)
{
	for (int i = 0; i < objects->count; i++)
	{
		if (f6_uuid_compare(&objects->ids[i], object) == 0)
			return;
	}
	if (objects->count == MAX_OBJECTS)
		refuse_query(item, psprintf("there are more than %d objects.", MAX_OBJECTS));
	objects->ids[objects->count++] = *object;
}

/* read_objects reads the objects that an item's events must name, each once, in their order. */
static void
read_objects(const JsonbValue *list, int item, f6_query_item *result)
{
	f6_jsonb_array_walk walk;
	JsonbValue object;

	result->objects.ids = palloc(sizeof(pg_uuid_t) * Min(f6_jsonb_count(list) + 1, MAX_OBJECTS));
	f6_jsonb_array_begin(&walk, list);
	while (f6_jsonb_array_next(&walk, &object))
	{
		char *text;

		CHECK_FOR_INTERRUPTS();
		if (object.type != jbvString ||
			!f6_query_is_uuid(object.val.string.val, object.val.string.len))
			refuse_query(item, "\"objects\" must hold UUIDs as strings.");
		text = pnstrdup(object.val.string.val, object.val.string.len);
		add_object(&result->objects,
				   DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text))), item);
	}
}

/* read_types reads the types of an item's events. */
static void
read_types(const JsonbValue *list, int item, f6_query_item *result)
{
	f6_jsonb_array_walk walk;
	JsonbValue type;

	result->types = palloc(sizeof(f6_query_type) * Max(f6_jsonb_count(list), 1));
	f6_jsonb_array_begin(&walk, list);
	while (f6_jsonb_array_next(&walk, &type))
	{
		if (type.type != jbvString || type.val.string.len == 0)
			refuse_query(item, "\"types\" must hold names of event types.");
		result->types[result->type_count].name = type.val.string.val;
		result->types[result->type_count++].length = type.val.string.len;
	}
}

/* is_key tells whether a key of an object is the given one. */
static bool
is_key(const JsonbValue *key, const char *name)
{
	return (size_t) key->val.string.len == strlen(name) &&
		   memcmp(key->val.string.val, name, strlen(name)) == 0;
}

/* read_item reads an item; an empty list asks for nothing in particular, as if it were left out. */
static void
read_item(const JsonbValue *object, int item, f6_query_item *result)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue list;

	CHECK_FOR_INTERRUPTS();
	memset(result, 0, sizeof(f6_query_item));
	if (!f6_jsonb_is_object(object))
		refuse_query(item, "there is no JSON object.");
	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &list))
	{
		bool is_types = is_key(&key, "types");

		if (!is_types && !is_key(&key, "objects"))
			refuse_query(item, psprintf("the key \"%.*s\" is not known.", key.val.string.len,
										key.val.string.val));
		if (!f6_jsonb_is_array(&list))
			refuse_query(item, psprintf("\"%.*s\" must be an array.", key.val.string.len,
										key.val.string.val));
		if (is_types)
			read_types(&list, item, result);
		else
			read_objects(&list, item, result);
	}
}

/* add_piece adds an item with some of its types, from the given one on. */
static void
add_piece(f6_query *query, int *room, const f6_query_item *item, int first)
{
	f6_query_item *piece;

	if (query->count == *room)
	{
		*room *= 2;
		query->items = repalloc_huge(query->items, sizeof(f6_query_item) * *room);
	}
	piece = &query->items[query->count++];
	*piece = *item;
	if (first > 0)
		piece->types += first;
	piece->type_count = Min(item->type_count - first, LISTS_AT_A_TIME);
}

/* add_item reads an item and adds it to a query: one of many types as several, which mean the same. */
static void
add_item(f6_query *query, int *room, const JsonbValue *object, int number)
{
	f6_query_item item;
	int first = 0;

	read_item(object, number, &item);
	do
	{
		add_piece(query, room, &item, first);
		first += LISTS_AT_A_TIME;
	} while (first < item.type_count);
}

/* f6_query_read reads a query; a single item may stand alone. */
f6_query *
f6_query_read(Jsonb *document)
{
	f6_query *query = palloc0(sizeof(f6_query));
	f6_jsonb_array_walk walk;
	JsonbValue root;
	JsonbValue object;
	int room;

	f6_jsonb_root(document, &root);
	room = f6_jsonb_is_array(&root) ? f6_jsonb_count(&root) : 1;
	if (room == 0)
		refuse_query(0, "There are no items, so nothing could match.");
	query->items = palloc_extended(sizeof(f6_query_item) * room, MCXT_ALLOC_HUGE);
	if (!f6_jsonb_is_array(&root))
	{
		add_item(query, &room, &root, 1);
		return query;
	}
	f6_jsonb_array_begin(&walk, &root);
	for (int number = 1; f6_jsonb_array_next(&walk, &object); number++)
		add_item(query, &room, &object, number);
	return query;
}

/* f6_query_of_objects returns the query for the events that name any of some objects. */
f6_query *
f6_query_of_objects(const f6_uuids *objects)
{
	f6_query *query = palloc(sizeof(f6_query));

	query->count = objects->count;
	query->items = palloc_extended(sizeof(f6_query_item) * Max(query->count, 1), MCXT_ALLOC_HUGE);
	memset(query->items, 0, sizeof(f6_query_item) * query->count);
	for (int i = 0; i < query->count; i++)
	{
		query->items[i].objects.count = 1;
		query->items[i].objects.ids = &objects->ids[i];
	}
	return query;
}

/* f6_query_part returns the next items of a query, from the given one on, as many as are looked for at a time. */
f6_query
f6_query_part(const f6_query *query, int first)
{
	f6_query part = { 0, query->items + first };
	int lists = 0;

	do
	{
		const f6_query_item *item = &part.items[part.count++];

		lists += Max(item->objects.count + item->type_count, 1);
	} while (first + part.count < query->count && lists < LISTS_AT_A_TIME);
	return part;
}

/* names_type tells whether an item is about a type. */
static bool
names_type(const f6_query_item *item, const char *type, int length)
{
	for (int i = 0; i < item->type_count; i++)
	{
		if (item->types[i].length == length && memcmp(item->types[i].name, type, length) == 0)
			return true;
	}
	return item->type_count == 0;
}

/* names_all tells whether objects are among others. */
static bool
names_all(const f6_uuids *named, const f6_uuids *objects)
{
	for (int i = 0; i < named->count; i++)
	{
		int j = 0;

		while (j < objects->count && memcmp(&objects->ids[j], &named->ids[i], UUID_LEN) != 0)
			j++;
		if (j == objects->count)
			return false;
	}
	return true;
}

/* f6_query_matches tells whether an event of a type that names objects matches a query. */
bool
f6_query_matches(const f6_query *query, const char *type, int length, const f6_uuids *objects)
{
	for (int i = 0; i < query->count; i++)
	{
		const f6_query_item *item = &query->items[i];

		if (names_type(item, type, length) && names_all(&item->objects, objects))
			return true;
	}
	return false;
}

/* item_locks adds the locks without which no event that matches an item can be appended: one of its objects suffices. */
static void
item_locks(const f6_query_item *item, f6_locks *locks)
{
	if (item->objects.count > 0)
		f6_locks_query_object(locks, &item->objects.ids[0]);
	else if (item->type_count == 0)
		f6_locks_query_all(locks);
	for (int i = 0; i < item->type_count && item->objects.count == 0; i++)
		f6_locks_query_type(locks, item->types[i].name, item->types[i].length);
}

/* f6_query_locks adds the locks that keep events from being appended that match a query. */
void
f6_query_locks(const f6_query *query, f6_locks *locks)
{
	f6_locks_query(locks);
	for (int i = 0; i < query->count; i++)
		item_locks(&query->items[i], locks);
}
