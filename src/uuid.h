/*
 * uuid.h
 *		The identities that f6 makes: of events and of objects.
 */
#ifndef F6_UUID_H
#define F6_UUID_H

#include "utils/uuid.h"

extern Datum f6_uuid_new(void);
extern pg_uuid_t *f6_uuid_of_key(text *kind, text *key);
extern char *f6_uuid_text(const pg_uuid_t *uuid);
extern int f6_uuid_compare(const void *a, const void *b);

#endif /* F6_UUID_H */
