/*
 * uuid.c
 *		The identities that f6 makes: UUIDv7 for events, UUIDv5 for the objects behind natural keys (RFC 9562).
 */
#include "postgres.h"

#include <time.h>

#include "common/cryptohash.h"
#include "common/sha1.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "f6.h"
#include "errors.h"
#include "uuid.h"

F6_FUNCTION(f6_object_id);

#define NANOSECONDS_PER_MILLISECOND 1000000

/* The namespace of f6's object ids. It is part of the public contract: it never changes. */
static const pg_uuid_t object_namespace = { { 0xf6, 0xe5, 0x0b, 0x1e, 0xc7, 0xa5, 0x5f, 0x5e, 0x9e,
											  0x0d, 0x0f, 0x6f, 0x6f, 0x6f, 0x6f, 0x6f } };

/* stamp writes a version and RFC 9562's variant into a UUID. */
static void
stamp(pg_uuid_t *uuid, unsigned char version)
{
	uuid->data[6] = (uuid->data[6] & 0x0f) | (version << 4);
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
}

#ifndef F6_SERVER_HAS_UUIDV7

/* next_tick returns the clock in steps of a 4096th of a millisecond, later than all it returned before in this backend. */
static uint64
next_tick(void)
{
	static uint64 last_tick = 0;
	struct timespec now;
	uint64 tick;

	clock_gettime(CLOCK_REALTIME, &now);
	tick = ((uint64) now.tv_sec * 1000 + now.tv_nsec / NANOSECONDS_PER_MILLISECOND) << 12;
	tick |=
		((uint64) (now.tv_nsec % NANOSECONDS_PER_MILLISECOND) << 12) / NANOSECONDS_PER_MILLISECOND;
	if (tick <= last_tick)
		tick = last_tick + 1;
	last_tick = tick;
	return tick;
}

/* random_bytes fills in random bytes; they are fetched from the system many at a time. */
static void
random_bytes(unsigned char *bytes, size_t length)
{
	static unsigned char fetched[512];
	static size_t used = sizeof(fetched);

	if (used + length > sizeof(fetched))
	{
		used = sizeof(fetched);
		if (!pg_strong_random(fetched, sizeof(fetched)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
		used = 0;
	}
	memcpy(bytes, fetched + used, length);
	used += length;
}

/* f6_uuid_new returns a new UUIDv7, later in order than all that this backend made before. */
Datum
f6_uuid_new(void)
{
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));
	uint64 tick = next_tick();

	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (tick >> (52 - 8 * i));
	uuid->data[6] = (unsigned char) ((tick >> 8) & 0x0f);
	uuid->data[7] = (unsigned char) tick;
	random_bytes(uuid->data + 8, UUID_LEN - 8);
	stamp(uuid, 7);
	return UUIDPGetDatum(uuid);
}

#else

/* f6_uuid_new returns a new UUIDv7, as the server makes them. */
Datum
f6_uuid_new(void)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	return uuidv7(fcinfo);
}

#endif

/* f6_uuid_text returns a UUID as text, for messages. */
char *
f6_uuid_text(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/* f6_uuid_compare orders UUIDs by their bytes, for qsort and bsearch. */
int
f6_uuid_compare(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/* name_based returns the UUIDv5 of a name in a namespace. */
static pg_uuid_t
name_based(const pg_uuid_t *name_space, const char *name, size_t length)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA1);
	uint8 digest[SHA1_DIGEST_LENGTH];
	pg_uuid_t uuid;

	if (pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, name_space->data, UUID_LEN) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) name, length) < 0 ||
		pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not compute SHA-1 hash: %s", pg_cryptohash_error(hash))));
	pg_cryptohash_free(hash);

	memcpy(uuid.data, digest, UUID_LEN);
	stamp(&uuid, 5);
	return uuid;
}

/* name_based_text returns the UUIDv5 of a text, the same whatever the database's encoding. */
static pg_uuid_t
name_based_text(const pg_uuid_t *name_space, text *name, const char *what)
{
	char *server = text_to_cstring(name);
	char *utf8 = pg_server_to_any(server, strlen(server), PG_UTF8);

	if (*utf8 == '\0')
		ereport(
			ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("the %s of an object must not be empty", what),
			 errhint(
				 "An object id is made of a kind, such as 'username', and a key, such as 'ada'.")));
	return name_based(name_space, utf8, strlen(utf8));
}

/* f6_uuid_of_key returns the object id of a natural key, in the current memory context. */
pg_uuid_t *
f6_uuid_of_key(text *kind, text *key)
{
	pg_uuid_t *result = palloc(sizeof(pg_uuid_t));
	pg_uuid_t of_kind = name_based_text(&object_namespace, kind, "kind");

	*result = name_based_text(&of_kind, key, "key");
	return result;
}

/* f6_object_id(kind, key) returns the object id of a natural key. */
Datum
f6_object_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_UUID_P(f6_uuid_of_key(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1)));
}
