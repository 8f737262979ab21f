/*
 * schema_resource.c
 *		Finding the resources and anchors of a document: a walk over its subschemas, and nothing else.
 *
 * An $id in an enum, say, names nothing; so the walk goes only where the keywords' table says that
 * subschemas are.  What a reference finds at a place that no known keyword holds is indexed then.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "schema_document.h"
#include "schema_keywords.h"
#include "schema_resource.h"
#include "uri.h"

/* The longest identifier of a schema, in bytes and when it is resolved: much more than any has. */
#define F6_MAX_IDENTIFIER_LENGTH 8192

/* A resource, or an anchor, by its URI. */
typedef struct uri_entry
{
	const char *uri;
	f6_resource *resource;
	f6_anchor *anchor;
} uri_entry;

/* The resource of a subschema, by the place of its object in the document. */
typedef struct object_entry
{
	JsonbContainer *object;
	f6_resource *resource;
} object_entry;

static void index_schema(f6_resources *resources, f6_resource *resource, const JsonbValue *schema,
						 const f6_jsonb_path *path);

/* Hashes a URI that a pointer leads to. */
static uint32
hash_uri(const void *key, Size size pg_attribute_unused())
{
	const char *uri = *(const char *const *) key;

	return hash_bytes((const unsigned char *) uri, strlen(uri));
}

/* Compares two URIs that pointers lead to. */
static int
match_uri(const void *left, const void *right, Size size pg_attribute_unused())
{
	return strcmp(*(const char *const *) left, *(const char *const *) right);
}

/* Creates an index in the current memory context; it tolerates metaschemas that aren't registered, or refuses. */
f6_resources *
f6_resources_create(bool tolerates_absence)
{
	f6_resources *resources = palloc0(sizeof(f6_resources));
	HASHCTL control = { 0 };

	resources->context = CurrentMemoryContext;
	resources->tolerates_absence = tolerates_absence;
	control.keysize = sizeof(const char *);
	control.entrysize = sizeof(uri_entry);
	control.hash = hash_uri;
	control.match = match_uri;
	control.hcxt = CurrentMemoryContext;
	resources->by_uri = hash_create("f6 schema resources", 16, &control,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	control.entrysize = sizeof(f6_anchor_name);
	resources->anchor_names = hash_create("f6 dynamic anchors", 16, &control,
										  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	control.keysize = sizeof(JsonbContainer *);
	control.entrysize = sizeof(object_entry);
	resources->by_object =
		hash_create("f6 subschemas", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return resources;
}

/* Returns a member's string as a C string, or NULL if it has none there. */
static char *
string_member(const JsonbValue *object, const char *name)
{
	JsonbValue value;

	if (!f6_jsonb_get(object, name, strlen(name), &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* Enters a URI; returns its entry, or NULL if it has one already. */
static uri_entry *
enter_uri(f6_resources *resources, const char *uri)
{
	bool found;
	uri_entry *entry = hash_search(resources->by_uri, &uri, HASH_ENTER, &found);

	if (found)
		return NULL;
	entry->resource = NULL;
	entry->anchor = NULL;
	return entry;
}

/* Returns the URI that an identifier stands for; its length counts for each reference that is resolved against it. */
static char *
resolve_identifier(const char *base, const char *id, const f6_jsonb_path *path)
{
	char *uri = f6_uri_resolve(base, id, strlen(id));

	if (strlen(uri) > F6_MAX_IDENTIFIER_LENGTH)
		f6_schema_unsupported(
			path, "identifier of more than " CppAsString2(F6_MAX_IDENTIFIER_LENGTH) " bytes");
	return uri;
}

/* Raises the error for a $schema that can't be honoured. */
static void
refuse_dialect(f6_dialect_problem problem, const f6_jsonb_path *path, const char *uri)
{
	const f6_jsonb_path *place = f6_schema_path(path, "$schema", 7, -1);

	if (problem == F6_DIALECT_UNREGISTERED)
		f6_schema_unregistered(place, uri);
	if (problem == F6_DIALECT_UNKNOWN_VOCABULARY)
		f6_schema_unsupported(place, psprintf("vocabulary \"%s\"", uri));
	f6_schema_unsupported(
		place, psprintf("dialect \"%s\", which builds on no draft from 4 to 2020-12", uri));
}

/* Returns the dialect that a resource's $schema names, else the one that surrounds it. */
static f6_dialect
dialect_of(f6_resources *resources, const char *base, const JsonbValue *schema,
		   const f6_jsonb_path *path, const f6_dialect *outer)
{
	char *name = f6_jsonb_is_object(schema) ? string_member(schema, "$schema") : NULL;
	f6_dialect dialect = *outer;
	f6_dialect_problem problem;
	char *detail = NULL;

	if (name == NULL)
		return dialect;
	name = f6_uri_resolve(base, name, strlen(name));
	problem = f6_dialect_find(name, &dialect, &resources->uses_registry, &detail);
	if (problem == F6_DIALECT_FOUND)
		return dialect;
	if (problem != F6_DIALECT_UNREGISTERED || !resources->tolerates_absence)
		refuse_dialect(problem, path, detail);

	/* Nothing can be said about the keywords of an unknown language. */
	dialect.vocabularies = 0;
	return dialect;
}

/* Adds a resource, which other resources can find by its URI. */
static f6_resource *
add_resource(f6_resources *resources, const char *uri, const JsonbValue *schema,
			 const f6_jsonb_path *path, const f6_dialect *dialect)
{
	f6_resource *resource = palloc0(sizeof(f6_resource));
	uri_entry *entry = enter_uri(resources, uri);

	resource->number = list_length(resources->all);
	resource->uri = uri;
	resource->dialect = *dialect;
	resource->schema = *schema;
	resource->path = path;
	resources->all = lappend(resources->all, resource);
	if (entry != NULL)
		entry->resource = resource;
	return resource;
}

/* Returns what dynamic anchors of a name have in common. */
static f6_anchor_name *
enter_anchor_name(f6_resources *resources, const char *name)
{
	uint32 number = hash_get_num_entries(resources->anchor_names);
	bool found;
	f6_anchor_name *entry = hash_search(resources->anchor_names, &name, HASH_ENTER, &found);

	if (!found)
	{
		entry->number = number;
		entry->is_referenced = false;
	}
	return entry;
}

/* Adds an anchor to a resource. */
static void
add_anchor(f6_resources *resources, f6_resource *resource, const char *name,
		   const JsonbValue *schema, const f6_jsonb_path *path, bool is_dynamic)
{
	f6_anchor *anchor = palloc0(sizeof(f6_anchor));
	uri_entry *entry = enter_uri(resources, psprintf("%s#%s", resource->uri, name));

	anchor->place.resource = resource;
	anchor->place.schema = *schema;
	anchor->place.path = path;
	if (is_dynamic)
	{
		anchor->dynamic = enter_anchor_name(resources, name);
		resource->dynamic_anchors = lappend(resource->dynamic_anchors, anchor);
	}
	if (entry != NULL)
		entry->anchor = anchor;
	else if (f6_resources_find_anchor(resources, resource, name)->place.schema.val.binary.data !=
			 schema->val.binary.data)
		f6_schema_invalid(path, "an anchor that the resource has once",
						  psprintf("\"%s\" twice", name));
}

/* Adds the anchors that a subschema declares. */
static void
add_anchors(f6_resources *resources, f6_resource *resource, const JsonbValue *schema,
			const f6_jsonb_path *path)
{
	int draft = resource->dialect.draft;
	char *name = NULL;
	JsonbValue value;

	if ((draft & F6_DRAFTS_FROM_2019) != 0 && (name = string_member(schema, "$anchor")) != NULL)
		add_anchor(resources, resource, name, schema, path, false);
	if (draft == F6_DRAFT_2020_12 && (name = string_member(schema, "$dynamicAnchor")) != NULL)
		add_anchor(resources, resource, name, schema, path, true);
	if (draft == F6_DRAFT_2019_09 && schema->val.binary.data == resource->schema.val.binary.data &&
		f6_jsonb_get(schema, "$recursiveAnchor", 16, &value) && value.type == jbvBool &&
		value.val.boolean)
		add_anchor(resources, resource, "", schema, path, true);
}

/*
 * Returns the resource to which a subschema belongs: a new one where it has an identifier of its own.  Up
 * to draft 7 an identifier that is a fragment only is an anchor, and a $ref hides what stands beside it.
 */
static f6_resource *
resource_of(f6_resources *resources, f6_resource *outer, const JsonbValue *schema,
			const f6_jsonb_path *path)
{
	int draft = outer->dialect.draft;
	char *id = string_member(schema, draft == F6_DRAFT_4 ? "id" : "$id");
	const char *fragment;
	const char *base;
	f6_resource *resource = outer;
	f6_dialect dialect;
	JsonbValue ref;

	if (id == NULL || ((draft & F6_DRAFTS_TO_7) != 0 && f6_jsonb_get(schema, "$ref", 4, &ref)))
		return outer;
	id = resolve_identifier(outer->uri, id, path);
	fragment = f6_uri_fragment(id);
	base = f6_uri_without_fragment(id);
	if (strcmp(base, outer->uri) != 0)
	{
		if (hash_search(resources->by_uri, &base, HASH_FIND, NULL) != NULL)
			f6_schema_invalid(path, "an identifier that no other schema has",
							  psprintf("\"%s\" twice", base));
		dialect = dialect_of(resources, outer->uri, schema, path, &outer->dialect);
		resource = add_resource(resources, base, schema, path, &dialect);
	}
	if ((draft & F6_DRAFTS_TO_7) != 0 && fragment != NULL && *fragment != '\0')
		add_anchor(resources, resource, fragment, schema, path, false);
	return resource;
}

/* Indexes the subschemas that an object holds as members. */
static void
index_members(f6_resources *resources, f6_resource *resource, const JsonbValue *object,
			  const f6_jsonb_path *path)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;

	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &name, &schema))
	{
		if (f6_jsonb_is_object(&schema))
			index_schema(resources, resource, &schema,
						 f6_schema_path(path, name.val.string.val, name.val.string.len, -1));
	}
}

/* Indexes the subschemas that an array holds as elements. */
static void
index_elements(f6_resources *resources, f6_resource *resource, const JsonbValue *array,
			   const f6_jsonb_path *path)
{
	f6_jsonb_array_walk walk;
	JsonbValue schema;
	int i;

	f6_jsonb_array_begin(&walk, array);
	for (i = 0; f6_jsonb_array_next(&walk, &schema); i++)
	{
		if (f6_jsonb_is_object(&schema))
			index_schema(resources, resource, &schema, f6_schema_path(path, NULL, 0, i));
	}
}

/* Indexes what a keyword holds. */
static void
index_keyword(f6_resources *resources, f6_resource *resource, const f6_keyword *keyword,
			  const JsonbValue *value, const f6_jsonb_path *path)
{
	if (f6_jsonb_is_object(value))
	{
		if ((keyword->holds & F6_HOLDS_SCHEMA) != 0)
			index_schema(resources, resource, value, path);
		else if ((keyword->holds & F6_HOLDS_MEMBERS) != 0)
			index_members(resources, resource, value, path);
	}
	else if (f6_jsonb_is_array(value) && (keyword->holds & F6_HOLDS_ELEMENTS) != 0)
		index_elements(resources, resource, value, path);
}

/* Indexes the subschemas that a schema holds. */
static void
index_children(f6_resources *resources, f6_resource *resource, const JsonbValue *schema,
			   const f6_jsonb_path *path)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, schema);
	while (f6_jsonb_object_next(&walk, &name, &value))
	{
		const f6_keyword *keyword =
			f6_keyword_find(name.val.string.val, name.val.string.len, &resource->dialect);

		if (keyword != NULL && keyword->holds != 0)
			index_keyword(resources, resource, keyword, &value,
						  f6_schema_path(path, name.val.string.val, name.val.string.len, -1));
	}
}

/* Indexes a schema object, unless it was met before, and all that it holds. */
static void
index_schema(f6_resources *resources, f6_resource *resource, const JsonbValue *schema,
			 const f6_jsonb_path *path)
{
	JsonbContainer *object = schema->val.binary.data;
	object_entry *entry;
	bool found;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	entry = hash_search(resources->by_object, &object, HASH_ENTER, &found);
	if (found)
		return;
	entry->resource = resource;
	if (object != resource->schema.val.binary.data)
		entry->resource = resource = resource_of(resources, resource, schema, path);
	add_anchors(resources, resource, schema, path);
	index_children(resources, resource, schema, path);
}

/*
 * Returns the resource that has a document's identifier already, or NULL.  It must be of the same document:
 * else what a reference means would depend on which was met first.
 */
static f6_resource *
find_same(f6_resources *resources, const char *uri, const JsonbValue *document,
		  const f6_jsonb_path *path)
{
	uri_entry *entry = hash_search(resources->by_uri, &uri, HASH_FIND, NULL);

	if (entry == NULL || entry->resource == NULL)
		return NULL;
	if (f6_jsonb_compare(&entry->resource->schema, document) != 0)
		f6_schema_invalid(path, "an identifier that no other schema has",
						  psprintf("\"%s\" twice", uri));
	return entry->resource;
}

/*
 * Adds a document, which is found by the given URI, and by its own identifier if it has one; returns its
 * outermost resource.  The dialect is that of a document that names none.
 */
f6_resource *
f6_resources_add_document(f6_resources *resources, const char *uri, Jsonb *document,
						  const f6_dialect *dialect, const f6_jsonb_path *path)
{
	MemoryContext caller = MemoryContextSwitchTo(resources->context);
	JsonbValue root;
	f6_dialect own;
	f6_resource *resource;
	uri_entry *entry;
	const char *own_uri = uri;
	bool is_known;
	char *id = NULL;

	f6_jsonb_root(document, &root);
	own = dialect_of(resources, uri, &root, path, dialect);
	if (f6_jsonb_is_object(&root))
		id = string_member(&root, own.draft == F6_DRAFT_4 ? "id" : "$id");
	if (id != NULL && (own.draft & F6_DRAFTS_TO_7) != 0)
	{
		JsonbValue ref;

		if (*id == '#' || f6_jsonb_get(&root, "$ref", 4, &ref))
			id = NULL;
	}
	if (id != NULL)
		own_uri = f6_uri_without_fragment(resolve_identifier(uri, id, path));
	resource = find_same(resources, own_uri, &root, path);
	is_known = resource != NULL;
	if (!is_known)
		resource = add_resource(resources, own_uri, &root, path, &own);
	entry = enter_uri(resources, uri);
	if (entry != NULL)
		entry->resource = resource;
	if (!is_known && f6_jsonb_is_object(&root))
		index_schema(resources, resource, &root, path);
	MemoryContextSwitchTo(caller);
	return resource;
}

/* Adds a document that is built in or registered, or returns NULL. */
static f6_resource *
load_document(f6_resources *resources, const char *uri, const f6_dialect *dialect)
{
	MemoryContext caller = MemoryContextSwitchTo(resources->context);
	bool is_registered = false;
	Jsonb *document =
		f6_uri_is_absolute(uri, strlen(uri)) ? f6_schema_document(uri, &is_registered) : NULL;
	f6_resource *resource = NULL;

	if (document != NULL)
	{
		uri = pstrdup(uri);
		resources->uses_registry |= is_registered;
		resource =
			f6_resources_add_document(resources, uri, document, dialect,
									  f6_schema_path(NULL, uri, strlen(uri), F6_PATH_DOCUMENT));
	}
	MemoryContextSwitchTo(caller);
	return resource;
}

/*
 * Returns the resource with this URI, which has no fragment; NULL if there is none.  A document that is
 * loaded for it and names no dialect is read in the one given.
 */
f6_resource *
f6_resources_find(f6_resources *resources, const char *uri, const f6_dialect *dialect)
{
	uri_entry *entry = hash_search(resources->by_uri, &uri, HASH_FIND, NULL);

	if (entry != NULL && entry->resource != NULL)
		return entry->resource;
	return load_document(resources, uri, dialect);
}

/* Returns the anchor with this name, or NULL. */
const f6_anchor *
f6_resources_find_anchor(f6_resources *resources, const f6_resource *resource, const char *name)
{
	char *uri = psprintf("%s#%s", resource->uri, name);
	uri_entry *entry = hash_search(resources->by_uri, &uri, HASH_FIND, NULL);

	pfree(uri);
	return entry != NULL ? entry->anchor : NULL;
}

/* Returns the resource of a schema object that was found in the parent resource, indexing it where that is new. */
f6_resource *
f6_resources_of(f6_resources *resources, f6_resource *parent, const JsonbValue *schema,
				const f6_jsonb_path *path)
{
	MemoryContext caller = MemoryContextSwitchTo(resources->context);
	object_entry *entry;

	index_schema(resources, parent, schema, path);
	entry = hash_search(resources->by_object, &schema->val.binary.data, HASH_FIND, NULL);
	MemoryContextSwitchTo(caller);
	return entry->resource;
}

/* Returns the resource of a value that is an indexed schema, else the one given, in which the value was found. */
f6_resource *
f6_resources_enclosing(f6_resources *resources, f6_resource *outer, const JsonbValue *value)
{
	object_entry *entry;

	if (!f6_jsonb_is_object(value))
		return outer;
	entry = hash_search(resources->by_object, &value->val.binary.data, HASH_FIND, NULL);
	return entry != NULL ? entry->resource : outer;
}

/* Frees what only finding needs; the resources stay. */
void
f6_resources_forget(f6_resources *resources)
{
	hash_destroy(resources->by_uri);
	hash_destroy(resources->by_object);
	hash_destroy(resources->anchor_names);
}
