/*
 * schema_compile.c
 *		Compiling a JSON Schema: subschemas, references, and what makes a schema invalid.
 *
 * The schema is read from its binary jsonb, where numbers are exact.  First its resources are indexed
 * (schema_resource.c), then its subschemas are compiled, and what they refer to in other documents.
 * Everything lives in the memory context that is current when compilation starts, whether it succeeds or
 * not: there is nothing else to free.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "schema_compile.h"
#include "schema_document.h"
#include "schema_keywords.h"
#include "schema_validate.h"
#include "uri.h"

/* A subschema that was met, by the place of its object in the document. */
typedef struct f6_compiled
{
	JsonbContainer *schema;
	f6_node_id node;
} f6_compiled;

/* One node applies another to the same instance. */
typedef struct f6_edge
{
	f6_node_id from;
	f6_node_id to;
} f6_edge;

/* How far the search for endless references has come with a node. */
typedef enum f6_visit
{
	F6_VISIT_NONE,
	F6_VISIT_UNDER_WAY,
	F6_VISIT_DONE
} f6_visit;

typedef struct f6_cycle_search
{
	const f6_program *program;
	f6_visit *visits;
	uint32 *first_edge; /* by node, into targets; one more at the end */
	f6_node_id *targets;
} f6_cycle_search;

/* Returns the path's text as a JSON string. */
static char *
quoted_path(const f6_jsonb_path *path)
{
	StringInfoData text;
	StringInfoData quoted;

	initStringInfo(&text);
	initStringInfo(&quoted);
	f6_jsonb_path_append(&text, path);
	escape_json(&quoted, text.data);
	return quoted.data;
}

/* Raises the error for a schema that its draft doesn't allow. */
void
f6_schema_invalid(const f6_jsonb_path *path, const char *expected, const char *found)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("invalid JSON Schema"),
			 errdetail("At %s: expected %s, found %s.", quoted_path(path), expected, found)));
}

/* Raises the error for a schema that f6 can't honour: it never ignores what restricts. */
void
f6_schema_unsupported(const f6_jsonb_path *path, const char *what)
{
	ereport(ERROR, (errcode(F6_ERR_UNSUPPORTED), errmsg("JSON Schema %s is not supported", what),
					errdetail("It is at %s.", quoted_path(path))));
}

/* Raises the error for a document that a schema refers to and nobody has registered. */
void
f6_schema_unregistered(const f6_jsonb_path *path, const char *uri)
{
	ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("JSON Schema \"%s\" is not registered", uri),
					errdetail("The schema refers to it at %s.", quoted_path(path)),
					errhint("Register the document with f6_register_schema: none is fetched from "
							"the network.")));
}

/* Creates a path that lives as long as the program; the name is not copied. */
f6_jsonb_path *
f6_schema_path(const f6_jsonb_path *parent, const char *name, int length, int index)
{
	f6_jsonb_path *path = palloc(sizeof(f6_jsonb_path));

	path->parent = parent;
	path->name = name;
	path->length = length;
	path->index = index;
	return path;
}

/* Adds a node that accepts everything. */
static f6_node_id
add_node(f6_compiler *compiler, f6_resource *resource, const f6_jsonb_path *path,
		 const char *keyword)
{
	f6_program *program = compiler->program;
	f6_node *node;

	if (program->node_count == compiler->node_space)
	{
		compiler->node_space *= 2;
		program->nodes =
			repalloc_huge(program->nodes, (Size) compiler->node_space * sizeof(f6_node));
	}
	node = &program->nodes[program->node_count];
	memset(node, 0, sizeof(f6_node));
	node->keyword = keyword;
	node->schema = path;
	node->resource = resource->number;
	resource->is_used = true;
	return program->node_count++;
}

/* Adds an operation to the subschema under construction, for the caller to fill. */
f6_op *
f6_builder_add(f6_builder *builder, f6_opcode code, uint32 applies, const char *keyword)
{
	f6_op *op = palloc0(sizeof(f6_op));

	op->code = code;
	op->applies = applies;
	op->keyword = keyword;
	op->schema = builder->path;
	builder->ops = lappend(builder->ops, op);
	return op;
}

/* Orders operations by their code; equal ones stay as they came. */
static int
compare_ops(const ListCell *left, const ListCell *right)
{
	const f6_op *left_op = lfirst(left);
	const f6_op *right_op = lfirst(right);

	return (int) left_op->code - (int) right_op->code;
}

/* Moves the builder's operations to the program, side by side. */
static void
store_ops(f6_builder *builder)
{
	f6_compiler *compiler = builder->compiler;
	f6_program *program = compiler->program;
	f6_node *node = &program->nodes[builder->node];
	ListCell *cell;

	list_sort(builder->ops, compare_ops);
	node->first_op = program->op_count;
	node->op_count = list_length(builder->ops);
	while (program->op_count + node->op_count > compiler->op_space)
	{
		compiler->op_space *= 2;
		program->ops = repalloc_huge(program->ops, (Size) compiler->op_space * sizeof(f6_op));
	}
	foreach (cell, builder->ops)
	{
		const f6_op *op = lfirst(cell);

		node->tracks |=
			op->code == F6_OP_UNEVALUATED_ITEMS || op->code == F6_OP_UNEVALUATED_PROPERTIES;
		program->ops[program->op_count++] = *op;
		pfree(lfirst(cell));
	}
	list_free(builder->ops);
}

/* Tells whether a keyword means nothing because of a $ref beside it: so it was up to draft 7. */
static bool
is_hidden(const f6_builder *builder, const f6_keyword *keyword)
{
	JsonbValue ref;

	return (builder->resource->dialect.draft & F6_DRAFTS_TO_7) != 0 &&
		   strcmp(keyword->name, "$ref") != 0 && f6_jsonb_get(&builder->schema, "$ref", 4, &ref);
}

/* Compiles every keyword of a schema object into its node. */
static void
compile_keywords(f6_builder *builder)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, &builder->schema);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		const f6_keyword *keyword =
			f6_keyword_find(key.val.string.val, key.val.string.len, &builder->resource->dialect);

		CHECK_FOR_INTERRUPTS();
		if (keyword != NULL && !is_hidden(builder, keyword))
			keyword->compile(
				builder, keyword,
				f6_schema_path(builder->path, key.val.string.val, key.val.string.len, -1), &value);
	}
	f6_applicators_finish(builder);
	store_ops(builder);
}

/* Compiles a schema object, once: a second reference to it gives the same node. */
static f6_node_id
compile_object(f6_compiler *compiler, f6_resource *parent, const JsonbValue *value,
			   const f6_jsonb_path *path, const char *keyword)
{
	f6_builder builder = { 0 };
	f6_compiled *compiled;
	JsonbContainer *schema = value->val.binary.data;
	bool found;

	compiled = hash_search(compiler->compiled, &schema, HASH_ENTER, &found);
	if (found)
		return compiled->node;

	builder.compiler = compiler;
	builder.resource = f6_resources_of(compiler->resources, parent, value, path);
	builder.schema = *value;
	builder.path = path;
	builder.node = compiled->node = add_node(compiler, builder.resource, path, keyword);
	compile_keywords(&builder);
	return builder.node;
}

/* Compiles a schema that was found in a resource: an object or a boolean. */
static f6_node_id
compile_schema(f6_compiler *compiler, f6_resource *parent, const JsonbValue *value,
			   const f6_jsonb_path *path, const char *keyword)
{
	f6_node_id node;

	check_stack_depth();

	if (f6_jsonb_is_object(value))
		return compile_object(compiler, parent, value, path, keyword);
	if (value->type != jbvBool)
		f6_schema_invalid(path, "a schema (an object or a boolean)", f6_jsonb_type_name(value));
	if (parent->dialect.draft == F6_DRAFT_4 && strncmp(keyword, "additional", 10) != 0)
		f6_schema_invalid(path, "a schema (an object)", "a boolean");

	node = add_node(compiler, parent, path, keyword);
	compiler->program->nodes[node].is_false = !value->val.boolean;
	return node;
}

/* Compiles a subschema; the keyword is the one that holds it. */
f6_node_id
f6_compile_subschema(f6_builder *builder, const JsonbValue *value, const f6_jsonb_path *path,
					 const char *keyword)
{
	return compile_schema(builder->compiler, builder->resource, value, path, keyword);
}

/* Compiles the schema at a place to which a reference leads. */
f6_node_id
f6_compile_place(f6_builder *builder, f6_place *place, const char *keyword)
{
	return compile_schema(builder->compiler, place->resource, &place->schema, place->path, keyword);
}

/* Notes that the subschema under construction applies another to its own instance. */
void
f6_builder_add_edge(f6_builder *builder, f6_node_id to)
{
	f6_edge *edge = palloc(sizeof(f6_edge));

	edge->from = builder->node;
	edge->to = to;
	builder->compiler->edges = lappend(builder->compiler->edges, edge);
}

/* Compiles a subschema that is applied to the same instance as the one that holds it. */
f6_node_id
f6_compile_in_place(f6_builder *builder, const JsonbValue *value, const f6_jsonb_path *path,
					const char *keyword)
{
	f6_node_id node = f6_compile_subschema(builder, value, path, keyword);

	f6_builder_add_edge(builder, node);
	return node;
}

/* Returns the value of a hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char) pg_ascii_tolower((unsigned char) c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns a URI's fragment with its percent-encoding, which is of UTF-8, undone; NULL if that is no text. */
static char *
decode_fragment(const char *fragment, int length)
{
	char *utf8 = pg_server_to_any(fragment, length, PG_UTF8);
	char *decoded;
	char *to;
	int i;

	if (utf8 != fragment)
		length = strlen(utf8);
	decoded = to = palloc(length + 1);
	for (i = 0; i < length; i++)
	{
		if (utf8[i] != '%')
		{
			*to++ = utf8[i];
			continue;
		}
		if (i + 2 >= length || hex_digit(utf8[i + 1]) < 0 || hex_digit(utf8[i + 2]) < 0)
			return NULL;
		*to++ = (char) (hex_digit(utf8[i + 1]) << 4 | hex_digit(utf8[i + 2]));
		i += 2;
	}
	*to = '\0';
	if (!pg_verify_mbstr(PG_UTF8, decoded, to - decoded, true))
		return NULL;
	return pg_any_to_server(decoded, to - decoded, PG_UTF8);
}

/* Finds the place that a JSON Pointer names in a resource, which may lie in a resource within it. */
static void
find_pointer(f6_builder *builder, const f6_jsonb_path *path, const char *pointer, f6_place *place)
{
	int length;

	if (!f6_jsonb_pointer_is_valid(pointer))
		f6_schema_invalid(path, "a JSON Pointer as the fragment", "another text");
	while (*pointer != '\0')
	{
		JsonbValue child;
		const char *token = f6_jsonb_pointer_token(&pointer, &length);

		if (!f6_jsonb_step(&place->schema, token, length, &child))
			f6_schema_invalid(path, "a reference to a schema of the document",
							  "one that leads nowhere");
		place->path = f6_schema_path(place->path, token, length, -1);
		place->schema = child;
		place->resource =
			f6_resources_enclosing(builder->compiler->resources, place->resource, &child);
	}
}

/*
 * Finds the schema to which a reference leads, and the anchor by which it does, if there is one (that
 * without a name is $recursiveAnchor).  Returns false where the document is absent, and may be.
 */
bool
f6_find_reference(f6_builder *builder, const JsonbValue *value, const f6_jsonb_path *path,
				  f6_place *place, const f6_anchor **anchor)
{
	f6_resources *resources = builder->compiler->resources;
	char *uri =
		f6_uri_resolve(builder->resource->uri, value->val.string.val, value->val.string.len);
	char *document = f6_uri_without_fragment(uri);
	const char *fragment = f6_uri_fragment(uri);

	*anchor = NULL;
	place->resource = f6_resources_find(resources, document, &builder->resource->dialect);
	if (place->resource == NULL && builder->compiler->tolerates_absence)
		return false;
	if (place->resource == NULL)
		f6_schema_unregistered(path, document);
	place->schema = place->resource->schema;
	place->path = place->resource->path;

	fragment = fragment != NULL ? decode_fragment(fragment, strlen(fragment)) : "";
	if (fragment == NULL)
		f6_schema_invalid(path, "a fragment of UTF-8, percent-encoded", "another text");
	if (*fragment != '/')
		*anchor = f6_resources_find_anchor(resources, place->resource, fragment);
	if (*anchor != NULL)
		*place = (*anchor)->place;
	else if (*fragment != '\0' && *fragment != '/')
		f6_schema_invalid(path, "a reference to an anchor of the document",
						  "one that leads nowhere");
	else
		find_pointer(builder, path, fragment, place);
	pfree(document);
	pfree(uri);
	return true;
}

/* Compiles what dynamic anchors name in a resource that may come to be in the dynamic scope; returns how many there are. */
static uint32
compile_anchors_of(f6_compiler *compiler, const f6_resource *resource)
{
	uint32 count = 0;
	int i;

	for (i = 0; resource->is_used && i < list_length(resource->dynamic_anchors); i++)
	{
		f6_anchor *anchor = list_nth(resource->dynamic_anchors, i);

		if (!anchor->dynamic->is_referenced)
			continue;
		count++;
		if (!anchor->is_compiled)
			compile_schema(compiler, anchor->place.resource, &anchor->place.schema,
						   anchor->place.path, "$dynamicAnchor");
		anchor->is_compiled = true;
	}
	return count;
}

/* Notes in the program where dynamic references may lead to, now that all of it is compiled. */
static void
store_targets(f6_compiler *compiler, uint32 count)
{
	f6_program *program = compiler->program;
	ListCell *each_resource;
	ListCell *each_anchor;

	program->targets =
		palloc_extended((Size) Max(count, 1) * sizeof(f6_dynamic_target), MCXT_ALLOC_HUGE);
	foreach (each_resource, compiler->resources->all)
	{
		const f6_resource *resource = lfirst(each_resource);

		foreach (each_anchor, resource->dynamic_anchors)
		{
			const f6_anchor *anchor = lfirst(each_anchor);
			f6_dynamic_target *target = &program->targets[program->target_count];

			if (!anchor->is_compiled)
				continue;
			target->anchor = anchor->dynamic->number;
			target->resource = resource->number;
			target->node = compile_schema(compiler, anchor->place.resource, &anchor->place.schema,
										  anchor->place.path, "$dynamicAnchor");
			program->target_count++;
		}
	}
	qsort(program->targets, program->target_count, sizeof(f6_dynamic_target),
		  f6_dynamic_target_compare);
}

/* Compiles all that dynamic references may lead to; what is compiled may bring further resources. */
static void
compile_dynamic_anchors(f6_compiler *compiler)
{
	uint32 nodes;
	uint32 count;
	int i;

	do
	{
		CHECK_FOR_INTERRUPTS();
		nodes = compiler->program->node_count;
		count = 0;
		for (i = 0; i < list_length(compiler->resources->all); i++)
			count += compile_anchors_of(compiler, list_nth(compiler->resources->all, i));
	} while (compiler->program->node_count > nodes);
	store_targets(compiler, count);
}

/* Follows a node's edges; raises an error when they lead back to a node that is under way. */
static void
search_cycle(f6_cycle_search *search, f6_node_id node)
{
	uint32 i;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (search->visits[node] == F6_VISIT_DONE)
		return;
	if (search->visits[node] == F6_VISIT_UNDER_WAY)
		f6_schema_invalid(search->program->nodes[node].schema,
						  "a schema that comes to an end for every instance",
						  "one that refers to itself without end");

	search->visits[node] = F6_VISIT_UNDER_WAY;
	for (i = search->first_edge[node]; i < search->first_edge[node + 1]; i++)
		search_cycle(search, search->targets[i]);
	search->visits[node] = F6_VISIT_DONE;
}

/* Allocates an array of zeros, however large. */
static void *
allocate_zeroed(Size count, Size size)
{
	return palloc_extended(count * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* Raises an error if validation of some instance would never end. */
static void
refuse_endless_references(f6_compiler *compiler)
{
	f6_cycle_search search = { 0 };
	uint32 node_count = compiler->program->node_count;
	uint32 *fill;
	ListCell *cell;
	f6_node_id node;

	search.program = compiler->program;
	search.visits = allocate_zeroed(node_count, sizeof(f6_visit));
	search.first_edge = allocate_zeroed(node_count + 1, sizeof(uint32));
	search.targets = allocate_zeroed(list_length(compiler->edges) + 1, sizeof(f6_node_id));
	fill = allocate_zeroed(node_count, sizeof(uint32));

	foreach (cell, compiler->edges)
		search.first_edge[((f6_edge *) lfirst(cell))->from + 1]++;
	for (node = 0; node < node_count; node++)
	{
		search.first_edge[node + 1] += search.first_edge[node];
		fill[node] = search.first_edge[node];
	}
	foreach (cell, compiler->edges)
	{
		const f6_edge *edge = lfirst(cell);

		search.targets[fill[edge->from]++] = edge->to;
	}
	for (node = 0; node < node_count; node++)
		search_cycle(&search, node);

	pfree(search.visits);
	pfree(search.first_edge);
	pfree(search.targets);
	pfree(fill);
	list_free_deep(compiler->edges);
}

/* Returns a copy of the document, however large. */
static Jsonb *
copy_document(const Jsonb *document)
{
	Jsonb *copy = palloc_extended(VARSIZE(document), MCXT_ALLOC_HUGE);

	memcpy(copy, document, VARSIZE(document));
	return copy;
}

/* Creates the program, and all that compiling it needs, in the current memory context. */
static void
compiler_begin(f6_compiler *compiler, bool assert_format, bool tolerates_absence)
{
	HASHCTL control = { 0 };

	memset(compiler, 0, sizeof(f6_compiler));
	compiler->asserts_format = assert_format;
	compiler->tolerates_absence = tolerates_absence;
	compiler->resources = f6_resources_create(tolerates_absence);

	control.keysize = sizeof(JsonbContainer *);
	control.entrysize = sizeof(f6_compiled);
	control.hcxt = CurrentMemoryContext;
	compiler->compiled =
		hash_create("f6 compiled subschemas", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	compiler->patterns = f6_pattern_set_create();
	compiler->node_space = compiler->op_space = 16;
	compiler->program = palloc0(sizeof(f6_program));
	compiler->program->nodes = palloc(compiler->node_space * sizeof(f6_node));
	compiler->program->ops = palloc(compiler->op_space * sizeof(f6_op));
	compiler->program->generation = f6_schema_generation();
}

/* Raises an error unless the schema is valid under its metaschema, which is a registered document. */
static void
check_metaschema(const f6_resource *schema)
{
	MemoryContext context;
	MemoryContext caller;
	Jsonb *document;
	f6_program *metaschema;
	bool is_registered;

	if (schema->dialect.metaschema == NULL)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "f6 metaschema", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	document = f6_schema_document(schema->dialect.metaschema, &is_registered);

	/* It was there when the dialect was found, but the table's owner may have removed it since. */
	if (document == NULL)
		f6_schema_unregistered(f6_schema_path(NULL, "$schema", 7, -1), schema->dialect.metaschema);
	metaschema = f6_schema_compile(document, false);
	if (!f6_schema_accepts(metaschema, &schema->schema))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("invalid JSON Schema"),
						errdetail("%s", f6_schema_failures_text(metaschema, &schema->schema)),
						errhint("Its metaschema is \"%s\".", schema->dialect.metaschema)));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* Compiles a document that has the URI given, or none (""), in the current memory context. */
static f6_program *
compile_document(f6_compiler *compiler, const char *uri, Jsonb *document)
{
	f6_program *program = compiler->program;
	f6_dialect dialect = f6_dialect_newest();
	f6_resource *root;

	program->document = copy_document(document);
	root = f6_resources_add_document(compiler->resources, uri, program->document, &dialect, NULL);
	check_metaschema(root);
	program->root = compile_schema(compiler, root, &root->schema, NULL, "false");
	compile_dynamic_anchors(compiler);
	refuse_endless_references(compiler);
	program->uses_registry = compiler->resources->uses_registry;
	hash_destroy(compiler->compiled);
	f6_resources_forget(compiler->resources);
	return program;
}

/*
 * Compiles a schema in the current memory context.  Raises 22023 for a schema that is not valid under its
 * draft, 42704 for one that refers to a document which isn't registered, and 0A000 for one in a language
 * that f6 doesn't know.  The keyword format asserts where the caller says so; else it is an annotation.
 */
f6_program *
f6_schema_compile(Jsonb *document, bool assert_format)
{
	f6_compiler compiler;

	compiler_begin(&compiler, assert_format, false);
	return compile_document(&compiler, "", document);
}

/* Tells whether the schema of schemas with this URI accepts a document. */
static bool
is_schema_under(const char *metaschema, const JsonbValue *document)
{
	bool is_registered;

	return f6_schema_accepts(
		f6_schema_compile(f6_schema_document(metaschema, &is_registered), false), document);
}

/* Raises an error if a document, which doesn't say in which draft it is written, is valid in none. */
static void
check_any_draft(const JsonbValue *document)
{
	const char *metaschema;
	int i;

	for (i = 0; (metaschema = f6_dialect_metaschema(i)) != NULL; i++)
	{
		if (is_schema_under(metaschema, document))
			return;
	}
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("invalid JSON Schema"),
			 errdetail("No draft from 4 to 2020-12 accepts it."),
			 errhint("Say by $schema in which draft it is written, to be told what is wrong.")));
}

/*
 * Raises an error if a document can't serve as a schema, whatever else will be registered.  One that doesn't
 * say in which draft it is written is read in the draft of what refers to it.
 */
void
f6_schema_check(const char *uri, Jsonb *document)
{
	f6_compiler compiler;
	JsonbValue root;
	JsonbValue dialect;

	f6_jsonb_root(document, &root);
	if (f6_jsonb_is_object(&root) && !f6_jsonb_get(&root, "$schema", 7, &dialect))
	{
		check_any_draft(&root);
		return;
	}
	compiler_begin(&compiler, true, true);
	compile_document(&compiler, uri, document);
}
