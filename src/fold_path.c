/*
 * fold_path.c
 *		What a rule of a fold takes from an event: SQL/JSON paths over the event, its data, and the state so far.
 *
 * Most paths are chains of members, such as $.data.amount, and are walked in place.  Any other, and one that meets an array on its
 * way, is the server's to evaluate, over a document made of what the path names.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
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
	bool is_predicate;
	bool names[ROOTS]; /* the documents that it may lead into */
	bool is_chain;
	path_root root;	  /* of a chain */
	f6_pointer chain; /* below it */
};

/* is_predicate tells whether an item of a path is a condition. */
static bool
is_predicate(JsonPathItemType type)
{
	switch (type)
	{
		case jpiAnd:
		case jpiOr:
		case jpiNot:
		case jpiIsUnknown:
		case jpiEqual:
		case jpiNotEqual:
		case jpiLess:
		case jpiGreater:
		case jpiLessOrEqual:
		case jpiGreaterOrEqual:
		case jpiExists:
		case jpiStartsWith:
		case jpiLikeRegex:
			return true;
		default:
			return false;
	}
}

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

/* read_chain reads a path that is nothing but members, and tells whether it is one; reason: why it leads nowhere. */
static bool
read_chain(f6_fold_path *path, JsonPathItem *item, const char **reason)
{
	JsonPathItem next;
	bool is_first = true;

	if (item->type != jpiRoot)
		return false;
	path->chain.text = "";
	path->chain.tokens = palloc(sizeof(f6_pointer_token) * VARSIZE(path->path));
	while (jspGetNext(item, &next))
	{
		int32 length;
		const char *name;

		if (next.type != jpiKey)
			return false;
		name = jspGetString(&next, &length);
		if (is_first)
			path->root = root_of(name, length);
		else
		{
			path->chain.tokens[path->chain.count].name = name;
			path->chain.tokens[path->chain.count++].length = length;
		}
		if (path->root == ROOTS)
		{
			*reason = "It does not begin with $.data, $.event or $.state.";
			return false;
		}
		is_first = false;
		*item = next;
	}
	return !is_first;
}

/* f6_fold_path_compile compiles a path into the current memory context; NULL where it leads nowhere, for a reason. */
f6_fold_path *
f6_fold_path_compile(const char *text, const char **reason)
{
	f6_fold_path *path = palloc0(sizeof(f6_fold_path));
	JsonPathItem item;

	*reason = NULL;
	path->path = DatumGetJsonPathP(DirectFunctionCall1(jsonpath_in, CStringGetDatum(text)));
	for (int root = 0; root < ROOTS; root++)
		path->names[root] = strstr(text, root_names[root]) != NULL;
	/* A path that has \u in it, or the whole document as its answer, may name any. */
	if (strchr(text, '\\') != NULL ||
		!(path->names[ROOT_DATA] || path->names[ROOT_EVENT] || path->names[ROOT_STATE]))
		memset(path->names, true, sizeof(path->names));
	jspInit(&item, path->path);
	path->is_predicate = is_predicate(item.type);
	path->is_chain = read_chain(path, &item, reason);
	return *reason == NULL ? path : NULL;
}

/* f6_fold_path_needs_row tells whether a path may lead into the event itself. */
bool
f6_fold_path_needs_row(const f6_fold_path *path)
{
	return path->is_chain ? path->root == ROOT_EVENT : path->names[ROOT_EVENT];
}

/* row_document returns an event as a document whose members are its columns. */
static Jsonb *
row_document(const f6_fold_input *input)
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
root_value(const f6_fold_input *input, path_root root, JsonbValue *value)
{
	switch (root)
	{
		case ROOT_DATA:
			*value = input->data;
			return true;
		case ROOT_EVENT:
			if (input->row == (Datum) 0)
				return false;
			f6_jsonb_root(row_document(input), value);
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
document_of(const f6_fold_path *path, const f6_fold_input *input)
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
walk_state(const f6_pointer *chain, const f6_fold_input *input, JsonbValue *value)
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
walk_chain(const f6_fold_path *path, const f6_fold_input *input, JsonbValue *value)
{
	if (path->root == ROOT_STATE)
		return walk_state(&path->chain, input, value);
	if (!root_value(input, path->root, value))
		return WALK_NOTHING;
	return walk_value(&path->chain, 0, value);
}

/* query evaluates a path over a document, and returns the values that it leads to as an array. */
static Jsonb *
query(const f6_fold_path *path, const f6_fold_input *input)
{
	Jsonb *none = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));

	return DatumGetJsonbP(DirectFunctionCall4(jsonb_path_query_array, document_of(path, input),
											  PointerGetDatum(path->path), JsonbPGetDatum(none),
											  BoolGetDatum(false)));
}

/* f6_fold_path_values gives the values that a path leads to, in the current memory context or in what the input holds. */
void
f6_fold_path_values(const f6_fold_path *path, const f6_fold_input *input, f6_fold_values *values)
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
	values->values = palloc(sizeof(JsonbValue) * Max(f6_jsonb_count(&found), 1));
	f6_jsonb_array_begin(&walk, &found);
	while (f6_jsonb_array_next(&walk, &values->values[values->count]))
		values->count++;
}

/* f6_fold_path_holds tells whether a path that is a condition is true, or whether any other leads to something. */
bool
f6_fold_path_holds(const f6_fold_path *path, const f6_fold_input *input)
{
	f6_fold_values values;

	f6_fold_path_values(path, input, &values);
	if (!path->is_predicate)
		return values.count > 0;
	return values.count == 1 && values.values[0].type == jbvBool && values.values[0].val.boolean;
}
