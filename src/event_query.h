/*
 * event_query.h
 *		Which events somebody asks about: by types, and by the objects that they name.
 */
#ifndef F6_EVENT_QUERY_H
#define F6_EVENT_QUERY_H

#include "utils/jsonb.h"

#include "lock.h"
#include "uuid_array.h"

/* A type that is asked for; it points into the query's document. */
typedef struct f6_query_type
{
	const char *name;
	int length;
} f6_query_type;

/* Events of one of the types that name all of the objects; without types or objects, whatever these are. */
typedef struct f6_query_item
{
	int type_count;
	f6_query_type *types;
	f6_uuids objects;
} f6_query_item;

/* Events that match any of the items. */
typedef struct f6_query
{
	int count;
	f6_query_item *items;
} f6_query;

extern bool f6_query_is_uuid(const char *text, int length);
extern f6_query *f6_query_read(Jsonb *document);
extern f6_query *f6_query_of_objects(const f6_uuids *objects);
extern f6_query f6_query_part(const f6_query *query, int first);
extern bool f6_query_matches(const f6_query *query, const char *type, int length,
							 const f6_uuids *objects);
extern void f6_query_locks(const f6_query *query, f6_locks *locks);

#endif /* F6_EVENT_QUERY_H */
