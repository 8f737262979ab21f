/*
 * claim_type.c
 *		The types of the events that a question meets: copies, which stay whatever happens to the registry's cache.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "f6.h"
#include "claim_type.h"
#include "jsonb_walk.h"

/* A type as copied. */
typedef struct kept_type
{
	f6_event_type type; /* must come first: claims point to it; it has no program */
	bool is_readied;
	f6_upcast *upcast;		  /* once readied: to the version to read, NULL when it is this one */
	f6_fold_handler *handler; /* what is done with claims of the type; NULL: their data is merged */
} kept_type;

/* A type that was met, by name and version. */
typedef struct known_type
{
	f6_type_key key;
	uint32 hash;
	const f6_event_type *type;
	char status;
} known_type;

/* hash_type_key returns a hash of a type and version. */
static inline uint32
hash_type_key(f6_type_key key)
{
	return hash_combine(hash_bytes((const unsigned char *) key.name, key.name_length),
						hash_bytes((const unsigned char *) key.version, key.version_length));
}

/* same_bytes tells whether two strings are the same. */
static inline bool
same_bytes(const char *a, int a_length, const char *b, int b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

#define SH_PREFIX			 known_types
#define SH_ELEMENT_TYPE		 known_type
#define SH_KEY_TYPE			 f6_type_key
#define SH_KEY				 key
#define SH_HASH_KEY(tb, key) hash_type_key(key)
#define SH_EQUAL(tb, a, b) \
	(same_bytes((a).name, (a).name_length, (b).name, (b).name_length) && \
	 same_bytes((a).version, (a).version_length, (b).version, (b).version_length))
#define SH_SCOPE static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct f6_claim_types
{
	MemoryContext context;
	Jsonb *versions;		  /* types to read in another version than by default; NULL: none */
	f6_fold_program *program; /* what is done with claims; NULL: their data is merged */
	const known_type *last;	  /* the type that was met last */
	known_types_hash *known;
	bool has_function; /* does any need an upcaster's function? */
};

/* f6_claim_types_begin begins with no types, in the current memory context. */
f6_claim_types *
f6_claim_types_begin(Jsonb *versions, f6_fold_program *program)
{
	f6_claim_types *types = palloc0(sizeof(f6_claim_types));

	types->context = CurrentMemoryContext;
	types->versions = versions;
	types->program = program;
	types->known = known_types_create(CurrentMemoryContext, 16, NULL);
	return types;
}

/* keep_type copies what a claim needs to know of its type. */
static const f6_event_type *
keep_type(f6_claim_types *types, const f6_event_type *type)
{
	MemoryContext caller = MemoryContextSwitchTo(types->context);
	kept_type *kept = palloc0(sizeof(kept_type));

	kept->type = *type;
	kept->type.event_type = pstrdup(type->event_type);
	kept->type.event_version = pstrdup(type->event_version);
	kept->type.valid_from =
		type->valid_from == NULL ? NULL : f6_pointer_make(pstrdup(type->valid_from->text));
	kept->type.program = NULL;
	kept->handler = types->program == NULL
						? NULL
						: f6_fold_program_handler(types->program, kept->type.event_type);
	MemoryContextSwitchTo(caller);
	return &kept->type;
}

/* f6_claim_type returns a type, from the registry when it is met for the first time. */
const f6_event_type *
f6_claim_type(f6_claim_types *types, f6_type_key key)
{
	known_type *known;
	const f6_event_type *type;
	bool found;

	if (types->last != NULL && f6_same_type(types->last->key, key))
		return types->last->type;
	known = known_types_lookup(types->known, key);
	if (known == NULL)
	{
		type = keep_type(types, f6_event_type_get(pnstrdup(key.name, key.name_length),
												  pnstrdup(key.version, key.version_length)));
		key.name = type->event_type;
		key.version = type->event_version;
		types->last = NULL;
		known = known_types_insert(types->known, key, &found);
		known->type = type;
	}
	types->last = known;
	return known->type;
}

/* f6_same_type tells whether two types are the same, at the same version. */
bool
f6_same_type(f6_type_key a, f6_type_key b)
{
	return same_bytes(a.version, a.version_length, b.version, b.version_length) &&
		   same_bytes(a.name, a.name_length, b.name, b.name_length);
}

/* f6_claim_handler returns what is done with claims of a type; NULL: their data is merged. */
f6_fold_handler *
f6_claim_handler(const f6_event_type *type)
{
	return ((const kept_type *) type)->handler;
}

/* version_to_read returns the version in which a type is read. */
static const char *
version_to_read(const f6_claim_types *types, const char *event_type)
{
	JsonbValue root;
	JsonbValue version;

	if (types->versions != NULL)
	{
		f6_jsonb_root(types->versions, &root);
		if (f6_jsonb_get(&root, event_type, (int) strlen(event_type), &version))
			return pnstrdup(version.val.string.val, version.val.string.len);
	}
	return f6_event_type_readable(event_type);
}

/* f6_claim_upcast returns what brings data of a type to the version to read, NULL when it is that one. */
f6_upcast *
f6_claim_upcast(f6_claim_types *types, const f6_event_type *type)
{
	kept_type *kept = (kept_type *) type;

	if (!kept->is_readied)
	{
		MemoryContext caller = MemoryContextSwitchTo(types->context);

		kept->upcast = f6_upcast_begin(type->event_type, type->event_version,
									   version_to_read(types, type->event_type));
		kept->is_readied = true;
		types->has_function |= kept->upcast != NULL && !f6_upcast_is_declared(kept->upcast);
		MemoryContextSwitchTo(caller);
	}
	return kept->upcast;
}

/* f6_claim_types_are_declared tells whether all data was read as stored, or upcast by steps, which nobody can change. */
bool
f6_claim_types_are_declared(const f6_claim_types *types)
{
	return !types->has_function;
}
