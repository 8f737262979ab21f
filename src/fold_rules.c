/*
 * fold_rules.c
 *		Declarative rules by which events change a state.
 *
 * Rules are compiled once and run on a tree, one after the other.  What they put into the tree is copied, so an event may be freed
 * when its rules have run.  A rule that fails leaves the tree half changed: the caller throws it away.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "f6.h"
#include "errors.h"
#include "fold_rules.h"
#include "instruction.h"
#include "jsonb_walk.h"

typedef struct fold_rule fold_rule;

/* What the rules run on. */
typedef struct rule_run
{
	const fold_rule *rule;
	MemoryContext context; /* of the tree */
	MemoryContext scratch; /* emptied after each look at an element; NULL before the first */
	f6_tree_node *root;
	bool exists; /* is there a state? */
	f6_fold_input *input;
	f6_fold_values match; /* of the rule, as the state was before it */
} rule_run;

/* Where the values of a rule come from. */
typedef struct value_source
{
	bool is_given;
	f6_fold_path *path; /* NULL: the constant */
	JsonbValue constant;
} value_source;

/* An operation: its name, which keys it has besides "op" and "when", and what it does with a value, or once. */
typedef struct rule_operation
{
	const char *name; /* first, for f6_instruction_operation */
	bool has_path;
	bool takes_value; /* "value" or "from" */
	bool needs_value; /* one of them must be there */
	bool has_key;	  /* "key", a pointer into an element */
	bool has_match;	  /* "match" or "match_from", what the key must be */
	void (*run)(rule_run *run, const JsonbValue *value);
} rule_operation;

struct fold_rule
{
	const rule_operation *operation;
	int number;		  /* counts from 1 */
	const char *type; /* the type or pattern of events that the rule is for */
	f6_fold_path *when;
	f6_pointer path;
	f6_pointer key;
	value_source value;
	value_source match;
};

struct f6_rules
{
	int count;
	fold_rule *rules;
};

/* refuse_rule raises the error for a rule that is no good. */
static void __attribute__((noreturn)) refuse_rule(const void *refused, const char *reason)
{
	const fold_rule *rule = refused;

	ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
					errmsg("rule %d of the fold for \"%s\" is not valid", rule->number, rule->type),
					errdetail("%s", reason)));
}

/* fail_rule raises the error for a rule that can't be done with the state; neither it nor the data is quoted. */
static void __attribute__((noreturn)) fail_rule(const rule_run *run, const char *what)
{
	ereport(ERROR, (errcode(F6_ERR_INVALID_EVENT),
					errmsg("rule %d (%s) of the fold for \"%s\" failed", run->rule->number,
						   run->rule->operation->name, run->rule->type),
					errdetail("At \"%s\": %s.", run->rule->path.text, what),
					errhint("A rule can be left out by a condition, \"when\", for events and "
							"states that it is not for.")));
}

/* child_made returns a member or element of a node, made null where there is none; a node that is nothing becomes what can hold it. */
static f6_tree_node *
child_made(const rule_run *run, f6_tree_node *node, const f6_pointer_token *token)
{
	f6_tree_node *child;

	if (f6_tree_is_null(node) && f6_pointer_is_end(token))
		f6_tree_make_array(run->context, node);
	else if (f6_tree_is_null(node))
		f6_tree_make_object(run->context, node);
	if (f6_tree_is_array(node) && f6_pointer_is_end(token))
		return f6_tree_add_element(run->context, node, f6_tree_count(node));
	child = f6_pointer_child(run->context, node, token);
	if (child == NULL && f6_tree_is_object(node))
		return f6_tree_add_member(run->context, node, token->name, token->length);
	if (child == NULL)
		fail_rule(run, "there is nothing that could hold the value");
	return child;
}

/* node_made returns the node at the first tokens of the rule's path, with all that leads there; null where there was none. */
static f6_tree_node *
node_made(rule_run *run, int tokens)
{
	f6_tree_node *node = run->root;

	run->exists = true;
	for (int i = 0; i < tokens; i++)
		node = child_made(run, node, &run->rule->path.tokens[i]);
	return node;
}

/* place_made returns the node at the rule's path, with all that leads there; null where there was none. */
static f6_tree_node *
place_made(rule_run *run)
{
	return node_made(run, run->rule->path.count);
}

/* place_found returns the node at the rule's path, NULL if there is none. */
static f6_tree_node *
place_found(const rule_run *run)
{
	if (!run->exists)
		return NULL;
	return f6_pointer_find(&run->rule->path, run->rule->path.count, run->context, run->root);
}

/* as_array returns a node that is an array, or becomes one because it is nothing. */
static f6_tree_node *
as_array(const rule_run *run, f6_tree_node *node)
{
	if (f6_tree_is_null(node))
		f6_tree_make_array(run->context, node);
	if (!f6_tree_is_array(node))
		fail_rule(run, "there is no array");
	return node;
}

/* array_made returns the array at the rule's path, made where there was nothing. */
static f6_tree_node *
array_made(rule_run *run)
{
	return as_array(run, place_made(run));
}

/* array_found returns the array at the rule's path, NULL where there is nothing. */
static f6_tree_node *
array_found(const rule_run *run)
{
	f6_tree_node *place = place_found(run);

	if (place == NULL || f6_tree_is_null(place))
		return NULL;
	if (!f6_tree_is_array(place))
		fail_rule(run, "there is no array");
	return place;
}

/* node_field gives the field of an element that the rule's key leads to, and tells whether there is one. */
static bool
node_field(const rule_run *run, f6_tree_node *element, JsonbValue *value)
{
	const f6_pointer *key = &run->rule->key;

	if (element->object == NULL && element->array == NULL)
		return f6_pointer_get(key, &element->value, value);
	element = f6_pointer_find(key, key->count, run->context, element);
	if (element == NULL)
		return false;
	if (element->object == NULL && element->array == NULL)
		*value = element->value;
	else
		f6_jsonb_root(f6_tree_write(element), value);
	return true;
}

/* matches tells whether the key of an element has one of some values. */
static bool
matches(rule_run *run, f6_tree_node *element, const f6_fold_values *wanted)
{
	MemoryContext caller = CurrentMemoryContext;
	bool is_match = false;
	JsonbValue value;

	if (run->scratch == NULL)
		run->scratch = AllocSetContextCreate(caller, "f6 fold element", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(run->scratch);
	if (node_field(run, element, &value))
	{
		for (int i = 0; i < wanted->count && !is_match; i++)
			is_match = f6_jsonb_compare(&value, &wanted->values[i]) == 0;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(run->scratch);
	return is_match;
}

/* add_number puts the sum of what is there and a number in its place; nothing counts as 0. */
static void
add_number(rule_run *run, Numeric number)
{
	f6_tree_node *place = place_made(run);
	JsonbValue sum = { .type = jbvNumeric };

	if (f6_tree_is_null(place))
		sum.val.numeric = number;
	else if (place->object == NULL && place->array == NULL && place->value.type == jbvNumeric)
		sum.val.numeric = DatumGetNumeric(DirectFunctionCall2(
			numeric_add, NumericGetDatum(place->value.val.numeric), NumericGetDatum(number)));
	else
		fail_rule(run, "there is no number");
	f6_tree_set(run->context, place, &sum);
}

/* run_set puts a value in the place of what is there. */
static void
run_set(rule_run *run, const JsonbValue *value)
{
	f6_tree_set(run->context, place_made(run), value);
}

/* run_merge merges a value into what is there, as JSON Merge Patch does. */
static void
run_merge(rule_run *run, const JsonbValue *value)
{
	f6_tree_merge(run->context, place_made(run), value);
}

/* run_append adds a value at the end of an array. */
static void
run_append(rule_run *run, const JsonbValue *value)
{
	f6_tree_node *array = array_made(run);

	f6_tree_set(run->context, f6_tree_add_element(run->context, array, f6_tree_count(array)),
				value);
}

/* run_prepend adds a value at the beginning of an array. */
static void
run_prepend(rule_run *run, const JsonbValue *value)
{
	f6_tree_set(run->context, f6_tree_add_element(run->context, array_made(run), 0), value);
}

/* run_insert adds a value to an array before the element that the path leads to, or at the end. */
static void
run_insert(rule_run *run, const JsonbValue *value)
{
	const f6_pointer *path = &run->rule->path;
	const f6_pointer_token *token = f6_pointer_last(path);
	f6_tree_node *array = as_array(run, node_made(run, path->count - 1));
	int index = f6_pointer_place(token, f6_tree_count(array));

	if (index < 0)
		fail_rule(run, "the array ends before that element");
	f6_tree_set(run->context, f6_tree_add_element(run->context, array, index), value);
}

/* run_increment adds a number, 1 without a value. */
static void
run_increment(rule_run *run, const JsonbValue *value)
{
	if (value == NULL)
		add_number(run, int64_to_numeric(1));
	else if (value->type == jbvNumeric)
		add_number(run, value->val.numeric);
	else
		fail_rule(run, "what is to be added is no number");
}

/* order compares two scalars of one type: numbers by value, strings by bytes, false before true. */
static int
order(const JsonbValue *one, const JsonbValue *other)
{
	int result;

	if (one->type != jbvString)
		return f6_jsonb_compare(one, other);
	result = memcmp(one->val.string.val, other->val.string.val,
					Min(one->val.string.len, other->val.string.len));
	return result != 0 ? result : one->val.string.len - other->val.string.len;
}

/* choose puts a value in the place of what is there if that is nothing, or if it stands on a side of it. */
static void
choose(rule_run *run, const JsonbValue *value, int side)
{
	f6_tree_node *place = place_made(run);

	if (place->object != NULL || place->array != NULL ||
		(!f6_tree_is_null(place) && place->value.type != value->type) || value->type == jbvBinary ||
		value->type == jbvNull)
		fail_rule(run, "what is there cannot be compared with the value");
	if (f6_tree_is_null(place) ||
		(side > 0 ? order(value, &place->value) > 0 : order(value, &place->value) < 0))
		f6_tree_set(run->context, place, value);
}

/* run_min keeps the lesser of what is there and a value. */
static void
run_min(rule_run *run, const JsonbValue *value)
{
	choose(run, value, -1);
}

/* run_max keeps the greater of what is there and a value. */
static void
run_max(rule_run *run, const JsonbValue *value)
{
	choose(run, value, 1);
}

/* run_remove removes what is there. */
static void
run_remove(rule_run *run, const JsonbValue *value)
{
	(void) value;
	if (place_found(run) != NULL)
		f6_pointer_remove(&run->rule->path, run->context, run->root);
}

/* run_delete ends the state; a later event may begin another one. */
static void
run_delete(rule_run *run, const JsonbValue *value)
{
	(void) value;
	f6_tree_clear(run->root);
	run->exists = false;
}

/* source_values gives the values of a source. */
static void
source_values(const rule_run *run, const value_source *source, f6_fold_values *values)
{
	if (source->path == NULL)
	{
		values->count = 1;
		values->values = palloc(sizeof(JsonbValue));
		values->values[0] = source->constant;
		return;
	}
	run->input->state = run->exists ? run->root : NULL;
	f6_fold_path_values(source->path, run->input, values);
}

/* run_remove_element removes the elements of an array whose key has a value. */
static void
run_remove_element(rule_run *run, const JsonbValue *value)
{
	f6_tree_node *array = array_found(run);
	f6_fold_values wanted = { 1, (JsonbValue *) value };

	for (int i = array == NULL ? 0 : f6_tree_count(array); i-- > 0;)
	{
		CHECK_FOR_INTERRUPTS();
		if (matches(run, f6_tree_element(run->context, array, i), &wanted))
			f6_tree_remove_element(array, i);
	}
}

/* merge_matching merges a value into the elements of an array whose key has one of some values, and tells whether there were any. */
static bool
merge_matching(rule_run *run, f6_tree_node *array, const f6_fold_values *wanted,
			   const JsonbValue *value)
{
	bool is_found = false;

	for (int i = 0; i < f6_tree_count(array); i++)
	{
		f6_tree_node *element = f6_tree_element(run->context, array, i);

		CHECK_FOR_INTERRUPTS();
		if (!matches(run, element, wanted))
			continue;
		f6_tree_merge(run->context, element, value);
		is_found = true;
	}
	return is_found;
}

/* run_update_element merges a value into the elements of an array whose key matches. */
static void
run_update_element(rule_run *run, const JsonbValue *value)
{
	f6_tree_node *array = array_found(run);

	if (array != NULL)
		(void) merge_matching(run, array, &run->match, value);
}

/* run_upsert_element merges a value into the elements of an array that have its key, or adds it at the end. */
static void
run_upsert_element(rule_run *run, const JsonbValue *value)
{
	f6_tree_node *array = array_made(run);
	JsonbValue key;
	f6_fold_values wanted = { 1, &key };

	if (!f6_pointer_get(&run->rule->key, value, &key))
		fail_rule(run, "the value has no key by which to find the element");
	if (!merge_matching(run, array, &wanted, value))
		f6_tree_merge(run->context, f6_tree_add_element(run->context, array, f6_tree_count(array)),
					  value);
}

/* clang-format off */
static const rule_operation operations[] = {
	/* name				path   takes  needs  key	match */
	{ "append",			true,  true,  true,	 false, false, run_append },
	{ "count",			true,  false, false, false, false, run_increment },
	{ "delete",			false, false, false, false, false, run_delete },
	{ "increment",		true,  true,  false, false, false, run_increment },
	{ "insert",			true,  true,  true,	 false, false, run_insert },
	{ "max",			true,  true,  true,	 false, false, run_max },
	{ "merge",			true,  true,  true,	 false, false, run_merge },
	{ "min",			true,  true,  true,	 false, false, run_min },
	{ "prepend",		true,  true,  true,	 false, false, run_prepend },
	{ "remove",			true,  false, false, false, false, run_remove },
	{ "remove_element", true,  true,  true,	 true,	false, run_remove_element },
	{ "set",			true,  true,  true,	 false, false, run_set },
	{ "update_element", true,  true,  true,	 true,	true,  run_update_element },
	{ "upsert_element", true,  true,  true,	 true,	false, run_upsert_element }
};
/* clang-format on */

/* check_keys refuses keys that a rule's operation does not have. */
static void
check_keys(const rule_operation *operation, const f6_instruction *instruction)
{
	const char *const keys[] = { "op",
								 "when",
								 operation->has_path ? "path" : NULL,
								 operation->takes_value ? "value" : NULL,
								 operation->takes_value ? "from" : NULL,
								 operation->has_key ? "key" : NULL,
								 operation->has_match ? "match" : NULL,
								 operation->has_match ? "match_from" : NULL };

	f6_instruction_check_keys(instruction, operation->name, keys, lengthof(keys));
}

/* Where a path stands, for the errors of the server that it raises. */
typedef struct path_place
{
	const fold_rule *rule;
	const char *key;
} path_place;

/* describe_path says of an error in which path of a fold it is. */
static void
describe_path(void *arg)
{
	const path_place *place = arg;

	errcontext("\"%s\" of rule %d of the fold for \"%s\"", place->key, place->rule->number,
			   place->rule->type);
}

/* read_path returns a key that is an SQL/JSON path, NULL where the rule has no such key. */
static f6_fold_path *
read_path(const fold_rule *rule, const f6_instruction *instruction, const char *key)
{
	const char *text = f6_instruction_text(instruction, key);
	path_place place = { rule, key };
	ErrorContextCallback context = { error_context_stack, describe_path, &place };
	const char *reason;
	f6_fold_path *path;

	if (text == NULL)
		return NULL;
	error_context_stack = &context;
	path = f6_fold_path_compile(text, &reason);
	error_context_stack = context.previous;
	if (path == NULL)
		refuse_rule(rule, psprintf("Its \"%s\" is \"%s\". %s", key, text, reason));
	return path;
}

/* read_source reads where values come from, by either of two keys. */
static void
read_source(const fold_rule *rule, const f6_instruction *instruction, const char *constant,
			const char *path, bool is_needed, value_source *source)
{
	source->path = read_path(rule, instruction, path);
	source->is_given = f6_jsonb_member(instruction->object, constant, &source->constant);
	if (source->path != NULL && source->is_given)
		refuse_rule(rule, psprintf("It has both \"%s\" and \"%s\".", constant, path));
	source->is_given |= source->path != NULL;
	if (is_needed && !source->is_given)
		refuse_rule(rule, psprintf("It has neither \"%s\" nor \"%s\".", constant, path));
}

/* check_places refuses paths to where an operation can do nothing. */
static void
check_places(const fold_rule *rule)
{
	bool is_whole = rule->operation->has_path && rule->path.count == 0;

	if (is_whole && (rule->operation->run == run_remove || rule->operation->run == run_insert))
		refuse_rule(rule, "Its \"path\" is the whole state.");
	if (rule->operation->run == run_insert)
	{
		const f6_pointer_token *token = f6_pointer_last(&rule->path);

		if (!f6_pointer_is_end(token) && f6_jsonb_token_index(token->name, token->length) < 0)
			refuse_rule(rule, "Its \"path\" does not end in the index of an element, or in \"-\".");
	}
}

/* compile_rule compiles one rule, whose number and type are known. */
static void
compile_rule(const JsonbValue *document, fold_rule *rule)
{
	const f6_instruction instruction = { document, refuse_rule, rule };
	const rule_operation *operation = f6_instruction_operation(
		&instruction, operations, lengthof(operations), sizeof(rule_operation));

	rule->operation = operation;
	check_keys(operation, &instruction);
	rule->when = read_path(rule, &instruction, "when");
	if (operation->has_path)
		rule->path = f6_instruction_pointer(&instruction, "path");
	if (operation->has_key)
		rule->key = f6_instruction_pointer(&instruction, "key");
	if (operation->takes_value)
		read_source(rule, &instruction, "value", "from", operation->needs_value, &rule->value);
	if (operation->has_match)
		read_source(rule, &instruction, "match", "match_from", true, &rule->match);
	check_places(rule);
}

/* f6_rules_compile compiles the rules for a type of events into the current memory context, where the document must live as long. */
f6_rules *
f6_rules_compile(const JsonbValue *document, const char *event_type)
{
	f6_rules *rules = palloc(sizeof(f6_rules));
	f6_jsonb_array_walk walk;
	JsonbValue object;

	rules->count = 0;
	rules->rules = palloc_extended(sizeof(fold_rule) * Max(f6_jsonb_count(document), 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	f6_jsonb_array_begin(&walk, document);
	while (f6_jsonb_array_next(&walk, &object))
	{
		fold_rule *rule = &rules->rules[rules->count++];

		CHECK_FOR_INTERRUPTS();
		rule->number = rules->count;
		rule->type = event_type;
		compile_rule(&object, rule);
	}
	return rules;
}

/* path_needs_row tells whether a path, if there is one, may lead into the event itself. */
static bool
path_needs_row(const f6_fold_path *path)
{
	return path != NULL && f6_fold_path_needs_row(path);
}

/* f6_rules_need_row tells whether a rule may look at an event beside its data. */
bool
f6_rules_need_row(const f6_rules *rules)
{
	for (int i = 0; i < rules->count; i++)
	{
		const fold_rule *rule = &rules->rules[i];

		if (path_needs_row(rule->when) || path_needs_row(rule->value.path) ||
			path_needs_row(rule->match.path))
			return true;
	}
	return false;
}

/* f6_rules_may_end tells whether a rule may end a state. */
bool
f6_rules_may_end(const f6_rules *rules)
{
	for (int i = 0; i < rules->count; i++)
	{
		if (rules->rules[i].operation->run == run_delete)
			return true;
	}
	return false;
}

/* run_rule runs a rule with each of its values, or once. */
static void
run_rule(rule_run *run)
{
	const fold_rule *rule = run->rule;
	f6_fold_values values;

	run->input->state = run->exists ? run->root : NULL;
	if (rule->when != NULL && !f6_fold_path_holds(rule->when, run->input))
		return;
	if (rule->match.is_given)
	{
		source_values(run, &rule->match, &run->match);
		if (run->match.count == 0)
			return;
	}
	if (!rule->value.is_given)
	{
		rule->operation->run(run, NULL);
		return;
	}
	source_values(run, &rule->value, &values);
	for (int i = 0; i < values.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		rule->operation->run(run, &values.values[i]);
	}
}

/*
 * f6_rules_run runs the rules on a tree, and tells whether there is a state afterwards; exists: whether there was one.  It leaves
 * litter in the current memory context.
 */
bool
f6_rules_run(const f6_rules *rules, MemoryContext context, f6_tree_node *root, bool exists,
			 f6_fold_input *input)
{
	rule_run run = { .context = context, .root = root, .exists = exists, .input = input };

	input->tree_context = context;
	for (int i = 0; i < rules->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		run.rule = &rules->rules[i];
		run_rule(&run);
	}
	return run.exists;
}
