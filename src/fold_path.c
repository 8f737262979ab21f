/*
 * fold_path.c
 *		What a rule of a fold takes from an event: SQL/JSON paths over the event, its data, and the state so far.
 *
 * Most paths are chains of members, such as $.data.amount, and are walked in place.  Any other, and one that meets an array on its
 * way, is the server's to evaluate, over a document made of what the path names.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonpath.h"

#include "f6.h"
#include "fold_path.h"
#include "json_pointer.h"
#include "jsonb_walk.h"

/* The documents that a path may name. */
typedef enum path_root
{
	ROOT_DATA,
	ROOT_EVENT,
	ROOT_STATE,
	ROOTS
} path_root;

static const char *const root_names[ROOTS] = { "data", "event", "state" };

struct f6_fold_path
{
	JsonPath *path;
	Jsonb *no_variables; /* {} */
	bool names[ROOTS];	 /* the documents that it may lead into */
	bool is_chain;
	path_root root;	  /* of a chain */
	f6_pointer chain; /* below it */
};

/* root_of returns which document a member of the path's root is; ROOTS for none. */
static path_root
root_of(const char *name, int length)
{
	for (int root = 0; root < ROOTS; root++)
	{
		if ((int) strlen(root_names[root]) == length && memcmp(root_names[root], name, length) == 0)
			return root;
	}
	return ROOTS;
}

/* name_root notes which document a path leads into from its root, and tells whether there is one. */
static bool
name_root(f6_fold_path *path, JsonPathItem *root)
{
	JsonPathItem next;
	int32 length;
	const char *name;
	path_root named;

	if (!jspGetNext(root, &next) || next.type != jpiKey)
		return false;
	name = jspGetString(&next, &length);
	named = root_of(name, length);
	if (named == ROOTS)
		return false;
	path->names[named] = true;
	return true;
}

static bool name_roots(f6_fold_path *path, JsonPathItem *item);

/* name_subscripts notes which documents the subscripts of an array lead into. */
static bool
name_subscripts(f6_fold_path *path, JsonPathItem *item)
{
	for (int i = 0; i < item->content.array.nelems; i++)
	{
		JsonPathItem from;
		JsonPathItem to;
		bool has_to = jspGetArraySubscript(item, &from, &to, i);

		if (!name_roots(path, &from) || (has_to && !name_roots(path, &to)))
			return false;
	}
	return true;
}

/* name_arguments notes which documents the operands of an item lead into. */
static bool
name_arguments(f6_fold_path *path, JsonPathItem *item)
{
	JsonPathItem argument;

	switch (item->type)
	{
		case jpiRoot:
			return name_root(path, item);
		case jpiVariable:
			return false;
		case jpiAnd:
		case jpiOr:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiAdd:
		case jpiSub:
		case jpiMul:
		case jpiDiv:
		case jpiMod:
		case jpiStartsWith:
			jspGetLeftArg(item, &argument);
			if (!name_roots(path, &argument))
				return false;
			jspGetRightArg(item, &argument);
			return name_roots(path, &argument);
		case jpiNot:
		case jpiIsUnknown:
		case jpiExists:
		case jpiFilter:
		case jpiPlus:
		case jpiMinus:
			jspGetArg(item, &argument);
			return name_roots(path, &argument);
		case jpiLikeRegex:
			jspInitByBuffer(&argument, item->base, item->content.like_regex.expr);
			return name_roots(path, &argument);
		case jpiIndexArray:
			return name_subscripts(path, item);
		default:
			return true;
	}
}

/* name_roots notes which documents a path leads into, and tells whether it leads anywhere else. */
static bool
name_roots(f6_fold_path *path, JsonPathItem *item)
{
	JsonPathItem current = *item;
	JsonPathItem next;

	check_stack_depth();
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!name_arguments(path, &current))
			return false;
		if (!jspGetNext(&current, &next))
			return true;
		current = next;
	}
}

/* count_keys returns the number of members that a path leads through, -1 where it is not a chain of members. */
static int
count_keys(JsonPathItem *root)
{
	JsonPathItem item = *root;
	JsonPathItem next;
	int count = 0;

	if (item.type != jpiRoot)
		return -1;
	while (jspGetNext(&item, &next))
	{
		if (next.type != jpiKey)
			return -1;
		item = next;
		count++;
	}
	return count;
}

/* read_chain reads a path that is nothing but members, which are walked as lax paths are. */
static void
read_chain(f6_fold_path *path, JsonPathItem *root)
{
	JsonPathItem item;
	int keys = count_keys(root);
	int32 length;
	const char *name;

	if (keys < 0 || !(path->path->header & JSONPATH_LAX))
		return;
	path->is_chain = true;
	path->chain.text = "";
	path->chain.count = keys - 1;
	path->chain.tokens =
		palloc_extended(sizeof(f6_pointer_token) * Max(keys - 1, 1), MCXT_ALLOC_HUGE);
	jspGetNext(root, &item);
	name = jspGetString(&item, &length);
	path->root = root_of(name, length);
	for (int i = 0; i < keys - 1; i++)
	{
		JsonPathItem next;

		jspGetNext(&item, &next);
		path->chain.tokens[i].name = jspGetString(&next, &length);
		path->chain.tokens[i].length = length;
		item = next;
	}
}

/* f6_fold_path_compile compiles a path into the current memory context; NULL where it leads nowhere, for a reason. */
f6_fold_path *
f6_fold_path_compile(const char *text, const char **reason)
{
	f6_fold_path *path = palloc0(sizeof(f6_fold_path));
	JsonPathItem item;

	path->path = DatumGetJsonPathP(DirectFunctionCall1(jsonpath_in, CStringGetDatum(text)));
	path->no_variables = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	jspInit(&item, path->path);
	if (!name_roots(path, &item))
	{
		*reason =
			"Each $ in it must lead into $.data, $.event or $.state, and there are no variables.";
		return NULL;
	}
	read_chain(path, &item);
	return path;
}

/* f6_fold_path_needs_row tells whether a path may lead into the event itself. */
bool
f6_fold_path_needs_row(const f6_fold_path *path)
{
	return path->is_chain ? path->root == ROOT_EVENT : path->names[ROOT_EVENT];
}

/* make_row_document returns an event as a document whose members are its columns. */
static Jsonb *
make_row_document(const f6_fold_input *input)
{
	FmgrInfo function;
	Const *row = makeConst(input->row_type, -1, InvalidOid, -1, input->row, false, false);
	FuncExpr *call = makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(row), InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);

	fmgr_info(F_TO_JSONB, &function);
	fmgr_info_set_expr((Node *) call, &function);
	return DatumGetJsonbP(FunctionCall1(&function, input->row));
}

/* node_value returns a copy of what a node of the state holds: a rule may put it where it comes from. */
static JsonbValue
node_value(const f6_tree_node *node)
{
	JsonbValue value;

	f6_jsonb_root(f6_tree_write(node), &value);
	return value;
}

/* root_value gives one of the documents, and tells whether there is one. */
static bool
root_value(f6_fold_input *input, path_root root, JsonbValue *value)
{
	switch (root)
	{
		case ROOT_DATA:
			*value = input->data;
			return true;
		case ROOT_EVENT:
			if (input->row == (Datum) 0)
				return false;
			if (input->row_document == NULL)
				input->row_document = make_row_document(input);
			f6_jsonb_root(input->row_document, value);
			return true;
		case ROOT_STATE:
			if (input->state == NULL)
				return false;
			*value = node_value(input->state);
			return true;
		default:
			return false;
	}
}

/* push_value pushes a member of a document. */
static void
push_value(JsonbParseState **state, const char *name, JsonbValue *value)
{
	JsonbValue key = { .type = jbvString };

	key.val.string.val = (char *) name;
	key.val.string.len = (int) strlen(name);
	pushJsonbValue(state, WJB_KEY, &key);
	pushJsonbValue(state, WJB_VALUE, value);
}

/* document_of returns the document that a path is evaluated over: of what it names, what there is. */
static Datum
document_of(const f6_fold_path *path, f6_fold_input *input)
{
	JsonbParseState *state = NULL;
	JsonbValue value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int root = 0; root < ROOTS; root++)
	{
		if (path->names[root] && root_value(input, root, &value))
			push_value(&state, root_names[root], &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* walk_result says how far a chain could be walked. */
typedef enum walk_result
{
	WALK_FOUND,
	WALK_NOTHING,
	WALK_ARRAY /* which a path looks into, element by element */
} walk_result;

/* walk_value walks from a value along the tokens of a chain from one on. */
static walk_result
walk_value(const f6_pointer *chain, int from, JsonbValue *value)
{
	for (int i = from; i < chain->count; i++)
	{
		JsonbValue parent = *value;

		if (f6_jsonb_is_array(&parent))
			return WALK_ARRAY;
		if (!f6_jsonb_is_object(&parent) ||
			!f6_jsonb_get(&parent, chain->tokens[i].name, chain->tokens[i].length, value))
			return WALK_NOTHING;
	}
	return WALK_FOUND;
}

/* walk_state walks along a chain in the state. */
static walk_result
walk_state(const f6_pointer *chain, f6_fold_input *input, JsonbValue *value)
{
	f6_tree_node *node = input->state;

	for (int i = 0; node != NULL && i < chain->count; i++)
	{
		if (f6_tree_is_array(node))
			return WALK_ARRAY;
		node = f6_pointer_child(input->tree_context, node, &chain->tokens[i]);
	}
	if (node == NULL)
		return WALK_NOTHING;
	*value = node_value(node);
	return WALK_FOUND;
}

/* walk_chain walks along a path that is a chain. */
static walk_result
walk_chain(const f6_fold_path *path, f6_fold_input *input, JsonbValue *value)
{
	if (path->root == ROOT_STATE)
		return walk_state(&path->chain, input, value);
	if (!root_value(input, path->root, value))
		return WALK_NOTHING;
	return walk_value(&path->chain, 0, value);
}

/* query evaluates a path over a document, and returns the values that it leads to as an array. */
static Jsonb *
query(const f6_fold_path *path, f6_fold_input *input)
{
	return DatumGetJsonbP(DirectFunctionCall4(
		jsonb_path_query_array, document_of(path, input), PointerGetDatum(path->path),
		JsonbPGetDatum(path->no_variables), BoolGetDatum(false)));
}

/* f6_fold_path_values gives the values that a path leads to, in the current memory context or in what the input holds. */
void
f6_fold_path_values(const f6_fold_path *path, f6_fold_input *input, f6_fold_values *values)
{
	f6_jsonb_array_walk walk;
	JsonbValue found;
	walk_result walked = path->is_chain ? walk_chain(path, input, &found) : WALK_ARRAY;

	values->count = 0;
	if (walked == WALK_NOTHING)
		return;
	if (walked == WALK_FOUND)
	{
		values->values = palloc(sizeof(JsonbValue));
		values->values[values->count++] = found;
		return;
	}
	f6_jsonb_root(query(path, input), &found);
	values->values =
		palloc_extended(sizeof(JsonbValue) * Max(f6_jsonb_count(&found), 1), MCXT_ALLOC_HUGE);
	f6_jsonb_array_begin(&walk, &found);
	while (f6_jsonb_array_next(&walk, &values->values[values->count]))
		values->count++;
}

/* f6_fold_path_holds tells whether a condition is met: a path that leads to something else than false or null. */
bool
f6_fold_path_holds(const f6_fold_path *path, f6_fold_input *input)
{
	f6_fold_values values;

	f6_fold_path_values(path, input, &values);
	for (int i = 0; i < values.count; i++)
	{
		const JsonbValue *value = &values.values[i];

		if (value->type == jbvBool ? value->val.boolean : value->type != jbvNull)
			return true;
	}
	return false;
}
