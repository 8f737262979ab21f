/*
 * provenance.c
 *		Which claim last wrote each field of a state that claims make by JSON Merge Patch.
 *
 * A field is what a state has no members below: a scalar, an array, an empty object.  The claims are looked at from the last
 * to the first, so the first one to say anything about a field of the state is the one that wrote it: had a later one taken it
 * away or put something else in its place, the field would not be there.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "provenance.h"

/* A field whose writer is known. */
typedef struct written_field
{
	const char *path;
	uint32 hash;
	char status;
} written_field;

#define SH_PREFIX				written
#define SH_ELEMENT_TYPE			written_field
#define SH_KEY_TYPE				const char *
#define SH_KEY					path
#define SH_HASH_KEY(table, key) hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(table, a, b)	(strcmp((a), (b)) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, element) (element)->hash
#define SH_SCOPE					static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* is_field tells whether a part of a state has no members below. */
static bool
is_field(const JsonbValue *value)
{
	return !f6_jsonb_is_object(value) || f6_jsonb_count(value) == 0;
}

/* note_field adds a field to those that a claim wrote, unless a later claim did. */
static void
note_field(written_hash *written, const f6_jsonb_path *path, List **fields)
{
	StringInfoData text;
	bool found;

	initStringInfo(&text);
	f6_jsonb_path_append(&text, path);
	(void) written_insert(written, text.data, &found);
	if (found)
		pfree(text.data);
	else
		*fields = lappend(*fields, text.data);
}

/* note_fields adds the fields of a state that a claim's data writes, as far as no later claim did. */
static void
note_fields(written_hash *written, const JsonbValue *data, const JsonbValue *state,
			const f6_jsonb_path *path, List **fields)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue member;
	JsonbValue below;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (f6_jsonb_is_object(data) != f6_jsonb_is_object(state))
		return;
	if (is_field(state))
		note_field(written, path, fields);
	if (!f6_jsonb_is_object(data))
		return;
	f6_jsonb_object_begin(&walk, data);
	while (f6_jsonb_object_next(&walk, &key, &member))
	{
		f6_jsonb_path step = { path, key.val.string.val, key.val.string.len, 0 };

		if (f6_jsonb_get(state, key.val.string.val, key.val.string.len, &below))
			note_fields(written, &member, &below, &step, fields);
	}
}

/* f6_provenance returns, for each claim, the JSON Pointers of the fields of their state that it was the last to write. */
List **
f6_provenance(const f6_claims *claims, Jsonb *state)
{
	List **fields = palloc0(sizeof(List *) * Max(claims->count, 1));
	written_hash *written = written_create(CurrentMemoryContext, 64, NULL);
	JsonbValue root;

	f6_jsonb_root(state, &root);
	for (uint64 i = claims->count; i-- > 0;)
	{
		const f6_claim *claim = &claims->claims[i];
		f6_upcast *upcast = f6_claim_upcast(claims->types, claim->type);
		JsonbValue data;

		f6_jsonb_root(
			upcast == NULL ? claim->data : f6_upcast_data(upcast, &claim->id, claim->data), &data);
		note_fields(written, &data, &root, NULL, &fields[i]);
	}
	return fields;
}
