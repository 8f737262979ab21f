/*
 * schema_cache.c
 *		Compiled schemas, by their content, within a fixed amount of memory.
 *
 * A backend compiles a schema once, however many places of however many queries use it.  A call site
 * (fn_extra) holds the program that it used last, and needs no look-up as long as the schema is the same.
 * What nobody holds is forgotten when the memory is used up, the least recently used first.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/ilist.h"
#include "nodes/primnodes.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "schema_cache.h"
#include "schema_document.h"
#include "schema_program.h"

/* What programs that nobody holds may take: some thousands of ordinary ones. */
#define F6_SCHEMA_CACHE_SIZE ((Size) 32 * 1024 * 1024)

/* By what a schema is found; two schemas with the same key take turns. */
typedef struct cache_key
{
	uint64 hash;
	uint32 size;
	uint32 assert_format;
} cache_key;

/* A program in the cache; it lives in its own memory context. */
typedef struct cached_schema
{
	dlist_node node;
	cache_key key;
	MemoryContext context;
	Size size;
	const f6_program *program;
	int holders;
	bool is_forgotten; /* out of the cache, and freed when the last holder lets go */
} cached_schema;

typedef struct cache_entry
{
	cache_key key;
	cached_schema *schema;
} cache_entry;

/* What a call site holds. */
typedef struct held_schema
{
	cached_schema *schema;
	struct varlena *given; /* a copy of the argument, which may be compressed */
	bool is_constant;	   /* the call site can't give another schema */
	bool assert_format;
	MemoryContextCallback let_go;
} held_schema;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static dlist_head recently_used = DLIST_STATIC_INIT(recently_used);
static Size cache_size = 0;

/* Creates the empty cache, when it is needed for the first time. */
static void
ready_cache(void)
{
	HASHCTL control = { 0 };

	if (cache != NULL)
		return;
	if (cache_context == NULL)
		cache_context =
			AllocSetContextCreate(TopMemoryContext, "f6 schemas", ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(cache_key);
	control.entrysize = sizeof(cache_entry);
	control.hcxt = cache_context;
	cache = hash_create("f6 schemas", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Takes a schema out of the cache, and frees it unless somebody holds it. */
static void
forget(cached_schema *schema)
{
	if (!schema->is_forgotten)
	{
		hash_search(cache, &schema->key, HASH_REMOVE, NULL);
		dlist_delete(&schema->node);
		cache_size -= schema->size;
		schema->is_forgotten = true;
	}
	if (schema->holders == 0)
		MemoryContextDelete(schema->context);
}

/* Forgets schemas that nobody holds, until the rest is within the limit. */
static void
make_room(void)
{
	dlist_node *node = dlist_is_empty(&recently_used) ? NULL : dlist_tail_node(&recently_used);

	while (cache_size > F6_SCHEMA_CACHE_SIZE && node != NULL)
	{
		cached_schema *schema = dlist_container(cached_schema, node, node);

		node = dlist_has_prev(&recently_used, node) ? dlist_prev_node(&recently_used, node) : NULL;
		if (schema->holders == 0)
			forget(schema);
	}
}

/* Tells whether the documents that the program was compiled with may have changed since. */
static bool
is_stale(const f6_program *program)
{
	return program->uses_registry && program->generation != f6_schema_generation();
}

/* Returns the schema of this content from the cache, or NULL. */
static cached_schema *
find_schema(const cache_key *key, Jsonb *document)
{
	cache_entry *entry = hash_search(cache, key, HASH_FIND, NULL);
	cached_schema *schema = entry != NULL ? entry->schema : NULL;

	if (schema == NULL)
		return NULL;
	if (is_stale(schema->program) ||
		memcmp(VARDATA(schema->program->document), VARDATA(document), key->size) != 0)
	{
		forget(schema);
		return NULL;
	}
	dlist_move_head(&recently_used, &schema->node);
	return schema;
}

/* Compiles a schema and puts it into the cache. */
static cached_schema *
add_schema(const cache_key *key, Jsonb *document)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	cached_schema *schema = palloc0(sizeof(cached_schema));
	cache_entry *entry;

	schema->key = *key;
	schema->context = context;
	schema->program = f6_schema_compile(document, key->assert_format != 0);
	schema->size = MemoryContextMemAllocated(context, true);
	MemoryContextSwitchTo(caller);

	entry = hash_search(cache, key, HASH_ENTER, NULL);
	entry->schema = schema;
	MemoryContextSetParent(context, cache_context);
	dlist_push_head(&recently_used, &schema->node);
	cache_size += schema->size;
	return schema;
}

/* Returns the schema of a document, from the cache or new. */
static cached_schema *
get_schema(Jsonb *document, bool assert_format)
{
	cache_key key = { 0 };
	cached_schema *schema;

	ready_cache();
	key.size = VARSIZE(document) - VARHDRSZ;
	key.hash = hash_bytes_extended((const unsigned char *) VARDATA(document), (int) key.size, 0);
	key.assert_format = assert_format;
	schema = find_schema(&key, document);
	return schema != NULL ? schema : add_schema(&key, document);
}

/* Lets go of what a call site holds; a large program goes at once. */
static void
let_go(void *argument)
{
	held_schema *held = argument;
	cached_schema *schema = held->schema;

	held->schema = NULL;
	if (schema == NULL || --schema->holders > 0)
		return;
	if (schema->is_forgotten)
		forget(schema);
	else
		make_room();
}

/* Tells whether the call's schema is a constant of the query, as in a CHECK constraint. */
static bool
schema_is_constant(const FmgrInfo *call_site)
{
	const FuncExpr *call = (const FuncExpr *) call_site->fn_expr;

	return call != NULL && IsA(call, FuncExpr) && IsA(linitial(call->args), Const);
}

/* Returns what the call site holds: nothing yet in its first call. */
static held_schema *
held_by(FmgrInfo *call_site)
{
	held_schema *held = call_site->fn_extra;

	if (held != NULL)
		return held;
	held = MemoryContextAllocZero(call_site->fn_mcxt, sizeof(held_schema));
	held->is_constant = schema_is_constant(call_site);
	held->let_go.func = let_go;
	held->let_go.arg = held;
	MemoryContextRegisterResetCallback(call_site->fn_mcxt, &held->let_go);
	call_site->fn_extra = held;
	return held;
}

/* Makes the call site hold the schema that it was given. */
static void
hold(FmgrInfo *call_site, held_schema *held, struct varlena *given, bool assert_format)
{
	Jsonb *document = (Jsonb *) pg_detoast_datum(given);
	cached_schema *schema = get_schema(document, assert_format);
	struct varlena *copy = MemoryContextAllocHuge(call_site->fn_mcxt, VARSIZE_ANY(given));

	memcpy(copy, given, VARSIZE_ANY(given));
	schema->holders++;
	let_go(held);
	if (held->given != NULL)
		pfree(held->given);
	held->given = copy;
	held->schema = schema;
	held->assert_format = assert_format;
	make_room();
	if ((struct varlena *) document != given)
		pfree(document);
}

/* Tells whether the call site holds the program of the schema that it is given now. */
static bool
holds(const held_schema *held, const struct varlena *given, bool assert_format)
{
	return held->schema != NULL && held->assert_format == assert_format &&
		   !is_stale(held->schema->program) &&
		   (held->is_constant || (VARSIZE_ANY(held->given) == VARSIZE_ANY(given) &&
								  memcmp(held->given, given, VARSIZE_ANY(given)) == 0));
}

/*
 * Returns the program of the schema that a call of a SQL function brings as its first argument.  It is valid
 * until the call site's next call of this function.
 */
const f6_program *
f6_schema_cached(FmgrInfo *call_site, Datum schema, bool assert_format)
{
	struct varlena *given = (struct varlena *) DatumGetPointer(schema);
	held_schema *held = held_by(call_site);

	if (!held->is_constant && VARATT_IS_EXTERNAL(given))
		given = pg_detoast_datum(given);
	if (!holds(held, given, assert_format))
		hold(call_site, held, given, assert_format);
	return held->schema->program;
}
