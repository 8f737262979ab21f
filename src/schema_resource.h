/*
 * schema_resource.h
 *		The schemas that a compilation knows by URI: documents, the resources in them, and anchors.
 */
#ifndef F6_SCHEMA_RESOURCE_H
#define F6_SCHEMA_RESOURCE_H

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "jsonb_walk.h"
#include "schema_dialect.h"

/* A schema with a URI of its own: a document, or a subschema with an $id. */
typedef struct f6_resource
{
	uint32 number;
	const char *uri; /* absolute, or as far as it is known; without a fragment */
	f6_dialect dialect;
	JsonbValue schema;
	const f6_jsonb_path *path;
	List *dynamic_anchors; /* of f6_anchor */
	bool is_used;		   /* a node of the program comes from it */
} f6_resource;

/* A place in a document, and the resource to which it belongs. */
typedef struct f6_place
{
	f6_resource *resource;
	JsonbValue schema;
	const f6_jsonb_path *path;
} f6_place;

/* What dynamic anchors of one name, in any resources, have in common; $recursiveAnchor has the empty name. */
typedef struct f6_anchor_name
{
	const char *name;
	uint32 number;
	bool is_referenced; /* by a dynamic reference */
} f6_anchor_name;

/* A name within a resource. */
typedef struct f6_anchor
{
	f6_place place;
	f6_anchor_name *dynamic; /* NULL: it is not dynamic */
	bool is_compiled;		 /* as what a dynamic reference may lead to */
} f6_anchor;

/* All that is known: it lives in the memory context in which it was created. */
typedef struct f6_resources
{
	MemoryContext context;
	HTAB *by_uri;			/* resources, and anchors as uri#name */
	HTAB *by_object;		/* the resource of each subschema that was indexed */
	HTAB *anchor_names;		/* those of dynamic anchors */
	List *all;				/* of f6_resource, by number */
	bool tolerates_absence; /* a metaschema that isn't registered is no error */
	bool uses_registry;
} f6_resources;

extern f6_resources *f6_resources_create(bool tolerates_absence);
extern f6_resource *f6_resources_add_document(f6_resources *resources, const char *uri,
											  Jsonb *document, const f6_dialect *dialect,
											  const f6_jsonb_path *path);
extern f6_resource *f6_resources_find(f6_resources *resources, const char *uri,
									  const f6_dialect *dialect);
extern const f6_anchor *f6_resources_find_anchor(f6_resources *resources,
												 const f6_resource *resource, const char *name);
extern f6_resource *f6_resources_of(f6_resources *resources, f6_resource *parent,
									const JsonbValue *schema, const f6_jsonb_path *path);
extern f6_resource *f6_resources_enclosing(f6_resources *resources, f6_resource *outer,
										   const JsonbValue *value);
extern void f6_resources_forget(f6_resources *resources);

#endif /* F6_SCHEMA_RESOURCE_H */
