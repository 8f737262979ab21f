/*
 * uuid_array.h
 *		Arrays of UUIDs, as the log's columns hold them.
 */
#ifndef F6_UUID_ARRAY_H
#define F6_UUID_ARRAY_H

#include "utils/uuid.h"

/* The elements of an array, in order. */
typedef struct f6_uuids
{
	int count;
	pg_uuid_t *ids;
} f6_uuids;

extern void f6_uuids_read(Datum array, const char *column, f6_uuids *uuids);
extern Datum f6_uuids_array(const f6_uuids *uuids);
extern const pg_uuid_t *f6_uuids_duplicate(const f6_uuids *uuids);
extern char *f6_uuids_text(const f6_uuids *uuids);

#endif /* F6_UUID_ARRAY_H */
