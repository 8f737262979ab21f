/*
 * schema_compile.c
 *		Compiling a JSON Schema: subschemas, references, and what makes a schema invalid.
 *
 * The schema is read from its binary jsonb, where numbers are exact.  Everything lives in the memory
 * context that is current when compilation starts, whether it succeeds or not: there is nothing else to
 * free.
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
#include "schema_keywords.h"

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

/* Raises the error for a schema that draft 2020-12 doesn't allow. */
void
f6_schema_invalid(const f6_jsonb_path *path, const char *expected, const char *found)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("invalid JSON Schema"),
			 errdetail("At %s: expected %s, found %s.", quoted_path(path), expected, found)));
}

/* Raises the error for a schema that f6 can't check yet: it never ignores what restricts. */
void
f6_schema_unsupported(const f6_jsonb_path *path, const char *what)
{
	ereport(ERROR, (errcode(F6_ERR_UNSUPPORTED), errmsg("JSON Schema %s is not supported", what),
					errdetail("It is at %s.", quoted_path(path))));
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
add_node(f6_compiler *compiler, const f6_jsonb_path *path, const char *keyword)
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
		program->ops[program->op_count++] = *(f6_op *) lfirst(cell);
		pfree(lfirst(cell));
	}
	list_free(builder->ops);
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
		const f6_keyword *keyword = f6_keyword_find(key.val.string.val, key.val.string.len);

		CHECK_FOR_INTERRUPTS();
		if (keyword != NULL)
			keyword->compile(
				builder, keyword,
				f6_schema_path(builder->path, key.val.string.val, key.val.string.len, -1), &value);
	}
	f6_keywords_finish(builder);
	store_ops(builder);
}

/* Compiles a schema object, once: a second reference to it gives the same node. */
static f6_node_id
compile_object(f6_compiler *compiler, const JsonbValue *value, const f6_jsonb_path *path,
			   const char *keyword)
{
	f6_builder builder = { 0 };
	f6_compiled *compiled;
	JsonbContainer *schema = value->val.binary.data;
	bool found;

	compiled = hash_search(compiler->compiled, &schema, HASH_ENTER, &found);
	if (found)
		return compiled->node;

	builder.compiler = compiler;
	builder.schema = *value;
	builder.path = path;
	builder.node = compiled->node = add_node(compiler, path, keyword);
	compile_keywords(&builder);
	return builder.node;
}

/* Compiles a subschema, which is an object or a boolean; the keyword is the one that holds it. */
f6_node_id
f6_compile_subschema(f6_compiler *compiler, const JsonbValue *value, const f6_jsonb_path *path,
					 const char *keyword)
{
	f6_node_id node;

	check_stack_depth();

	if (f6_jsonb_is_object(value))
		return compile_object(compiler, value, path, keyword);
	if (value->type != jbvBool)
		f6_schema_invalid(path, "a schema (an object or a boolean)", f6_jsonb_type_name(value));

	node = add_node(compiler, path, keyword);
	compiler->program->nodes[node].is_false = !value->val.boolean;
	return node;
}

/* Notes that a node applies another to its own instance. */
static void
add_edge(f6_builder *builder, f6_node_id to)
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
	f6_node_id node = f6_compile_subschema(builder->compiler, value, path, keyword);

	add_edge(builder, node);
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

/* Returns where in a reference the fragment starts, if the reference stays in this document; else NULL. */
static const char *
local_fragment(const f6_compiler *compiler, const char *reference, int length, int *fragment_length)
{
	const char *hash = memchr(reference, '#', length);
	int prefix = hash != NULL ? hash - reference : length;

	if (prefix > 0 &&
		(prefix != compiler->base_length || memcmp(reference, compiler->base, prefix) != 0))
		return NULL;
	*fragment_length = Max(length - prefix - 1, 0);
	return reference + Min(prefix + 1, length);
}

/* Compiles the subschema that a $ref names, and returns its node. */
f6_node_id
f6_compile_reference(f6_builder *builder, const JsonbValue *value, const f6_jsonb_path *path,
					 const char *keyword)
{
	f6_compiler *compiler = builder->compiler;
	JsonbValue target = compiler->root;
	const f6_jsonb_path *target_path = NULL;
	const char *fragment;
	const char *pointer;
	int length;
	f6_node_id node;

	fragment = local_fragment(compiler, value->val.string.val, value->val.string.len, &length);
	if (fragment == NULL)
		f6_schema_unsupported(path, "$ref to another document");

	pointer = decode_fragment(fragment, length);
	if (pointer != NULL && pointer[0] != '\0' && pointer[0] != '/')
		f6_schema_unsupported(path, "$ref to an anchor");
	if (pointer == NULL || !f6_jsonb_pointer_is_valid(pointer))
		f6_schema_invalid(path, "a JSON Pointer as the fragment", "another text");

	while (*pointer != '\0')
	{
		JsonbValue child;
		const char *token = f6_jsonb_pointer_token(&pointer, &length);

		if (!f6_jsonb_step(&target, token, length, &child))
			f6_schema_invalid(path, "a reference to a schema of this document",
							  "one that leads nowhere");
		target_path = f6_schema_path(target_path, token, length, -1);
		target = child;
	}

	node = f6_compile_subschema(compiler, &target, target_path, keyword);
	add_edge(builder, node);
	return node;
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

/* Remembers the URI by which the document may refer to itself. */
static void
note_base(f6_compiler *compiler)
{
	JsonbValue id;
	const char *hash;

	if (!f6_jsonb_is_object(&compiler->root) || !f6_jsonb_get(&compiler->root, "$id", 3, &id) ||
		id.type != jbvString || memchr(id.val.string.val, ':', id.val.string.len) == NULL)
		return;
	hash = memchr(id.val.string.val, '#', id.val.string.len);
	compiler->base = id.val.string.val;
	compiler->base_length = hash != NULL ? hash - id.val.string.val : id.val.string.len;
}

/* Creates the program, and all that compiling it needs, in the current memory context. */
static void
compiler_begin(f6_compiler *compiler, Jsonb *document)
{
	HASHCTL control = { 0 };

	memset(compiler, 0, sizeof(f6_compiler));
	compiler->context = CurrentMemoryContext;
	compiler->document = palloc_extended(VARSIZE(document), MCXT_ALLOC_HUGE);
	memcpy(compiler->document, document, VARSIZE(document));
	f6_jsonb_root(compiler->document, &compiler->root);
	note_base(compiler);

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
}

/*
 * Compiles a schema in the current memory context.  Raises 22023 for a schema that is not valid under
 * draft 2020-12, and 0A000 for one that restricts in a way that f6 doesn't know.  The keyword format asserts where the
 * caller says so; else it is an annotation.
 */
f6_program *
f6_schema_compile(Jsonb *document, bool assert_format)
{
	f6_compiler compiler;

	compiler_begin(&compiler, document);
	compiler.assert_format = assert_format;
	compiler.program->root = f6_compile_subschema(&compiler, &compiler.root, NULL, "false");
	refuse_endless_references(&compiler);
	hash_destroy(compiler.compiled);
	return compiler.program;
}
