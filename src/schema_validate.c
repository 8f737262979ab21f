/*
 * schema_validate.c
 *		Running a compiled schema over a binary jsonb.
 *
 * One routine serves both runs: the first stops at the first failure and allocates nothing (but for
 * what schema_assert.c and evaluated members beyond F6_OWN_WORDS need); only when it fails does a second
 * run collect failures.  So the two can't disagree.
 *
 * unevaluatedProperties and unevaluatedItems need to know what the other keywords have evaluated, in the
 * same subschema or in those that it applies to the same instance.  So each function that runs a part of a
 * subschema is given a set to mark, or NULL where nobody asks.  What a subschema has marked counts only if it
 * accepts the instance.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "schema_assert.h"
#include "schema_failure.h"
#include "schema_validate.h"

/* A set of up to so many words of 64 members or items needs no allocation. */
#define F6_OWN_WORDS 4

/* The members or items of an instance that were evaluated, by their index. */
typedef struct f6_evaluated
{
	int words;
	uint64 *bits;
	uint64 own[F6_OWN_WORDS];
} f6_evaluated;

/* The resources that the run has entered on its way, the last first. */
typedef struct f6_scope
{
	uint32 resource;
	const struct f6_scope *outer;
} f6_scope;

/* The dynamic references that the run has followed on its way, the last first. */
typedef struct f6_jump
{
	f6_node_id node;
	const f6_jsonb_path *path;
	const struct f6_jump *outer;
} f6_jump;

/* Whether a schema is about values of another kind than the one at a place. */
typedef struct f6_probe
{
	const f6_jsonb_path *path;
	bool is_other_kind;
} f6_probe;

typedef struct f6_run
{
	const f6_program *program;
	bool collecting;	   /* false: stop at the first failure */
	const f6_scope *scope; /* only for programs with dynamic references */
	const f6_jump *jumps;
	MemoryContext memory; /* where sets live */
	f6_probe *probe;	  /* looks at failures in place of reporting them, or NULL */
	uint64 room;		  /* how many failures may still be reported */
	f6_failure_report report;
	void *report_argument;
} f6_run;

static bool run_node(f6_run *run, f6_node_id id, const JsonbValue *value, const f6_jsonb_path *path,
					 f6_evaluated *evaluated);

/* Makes an empty set for the members or items of a value. */
static void
evaluated_begin(f6_run *run, f6_evaluated *evaluated, const JsonbValue *value)
{
	evaluated->words = (f6_jsonb_count(value) + 63) / 64;
	evaluated->bits = evaluated->own;
	if (evaluated->words <= F6_OWN_WORDS)
		memset(evaluated->own, 0, sizeof(evaluated->own));
	else
		evaluated->bits = MemoryContextAllocZero(run->memory, evaluated->words * sizeof(uint64));
}

/* Frees what the set has allocated. */
static void
evaluated_end(f6_evaluated *evaluated)
{
	if (evaluated->bits != evaluated->own)
		pfree(evaluated->bits);
}

/* Marks a member or item, if somebody asks. */
static inline void
mark_evaluated(f6_evaluated *evaluated, int index)
{
	if (evaluated != NULL)
		evaluated->bits[index / 64] |= UINT64CONST(1) << (index % 64);
}

/* Tells whether a member or item is marked. */
static inline bool
is_evaluated(const f6_evaluated *evaluated, int index)
{
	return (evaluated->bits[index / 64] & UINT64CONST(1) << (index % 64)) != 0;
}

/* Marks what another set of the same instance has marked. */
static void
evaluated_merge(f6_evaluated *evaluated, const f6_evaluated *other)
{
	int i;

	for (i = 0; i < evaluated->words; i++)
		evaluated->bits[i] |= other->bits[i];
}

/* Tells whether further failures don't matter: the run has reported all that it may, or the probe knows enough. */
static bool
is_full(const f6_run *run)
{
	return run->room == 0 || (run->probe != NULL && run->probe->is_other_kind);
}

/*
 * Takes note of a failure that tells that the schema is about another kind of value: the value's type is
 * another, or it or a member of it is another constant.
 */
static void
probe_failure(f6_probe *probe, const f6_jsonb_path *path, const char *keyword)
{
	bool is_constant = strcmp(keyword, "const") == 0 || strcmp(keyword, "enum") == 0;

	if (path == probe->path)
		probe->is_other_kind |= is_constant || strcmp(keyword, "type") == 0;
	else if (path != NULL && path->parent == probe->path)
		probe->is_other_kind |= is_constant;
}

/*
 * Reports a failure of a keyword at a place of the schema, in the caller's memory context; frees all that its
 * text has cost, reported or not.
 */
static void
report_failure(f6_run *run, const f6_jsonb_path *path, const f6_jsonb_path *schema,
			   const char *keyword, char *message)
{
	if (run->probe != NULL)
		probe_failure(run->probe, path, keyword);
	else if (!is_full(run))
	{
		const f6_failure *failure = f6_failure_create(path, schema, keyword, message);
		MemoryContext own = MemoryContextSwitchTo(run->memory);

		run->room--;
		run->report(run->report_argument, failure);
		MemoryContextSwitchTo(own);
	}
	MemoryContextReset(CurrentMemoryContext);
}

/* Reports a failure of a keyword of a subschema. */
static void
add_failure(f6_run *run, const f6_jsonb_path *path, const f6_jsonb_path *schema,
			const char *keyword, char *message)
{
	f6_jsonb_path place = { schema, keyword, strlen(keyword), -1 };

	report_failure(run, path, &place, keyword, message);
}

/* Tells whether a subschema accepts the value, and reports nothing. */
static bool
accepts(f6_run *run, f6_node_id node, const JsonbValue *value, const f6_jsonb_path *path,
		f6_evaluated *evaluated)
{
	bool collecting = run->collecting;
	f6_evaluated own;
	bool result;

	run->collecting = false;
	if (evaluated != NULL)
		evaluated_begin(run, &own, value);
	result = run_node(run, node, value, path, evaluated != NULL ? &own : NULL);
	if (evaluated != NULL)
	{
		if (result)
			evaluated_merge(evaluated, &own);
		evaluated_end(&own);
	}
	run->collecting = collecting;
	return result;
}

/* Tells whether a node accepts whatever it is given. */
static bool
accepts_all(const f6_run *run, f6_node_id id)
{
	const f6_node *node = &run->program->nodes[id];

	return node->op_count == 0 && !node->is_false;
}

/* Runs a node on an object's member. */
static bool
run_member(f6_run *run, f6_node_id node, const JsonbValue *key, const JsonbValue *value,
		   const f6_jsonb_path *path)
{
	f6_jsonb_path place = { path, key->val.string.val, key->val.string.len, -1 };

	return run_node(run, node, value, &place, NULL);
}

/* Runs a node on an array's element. */
static bool
run_element(f6_run *run, f6_node_id node, int index, const JsonbValue *value,
			const f6_jsonb_path *path)
{
	f6_jsonb_path place = { path, NULL, 0, index };

	return run_node(run, node, value, &place, NULL);
}

/*
 * Returns the first member, from the given one, that doesn't come before the key.  Doubling steps make
 * a whole object cost little where either side is much larger than the other, and one comparison a
 * member where they are alike.
 */
static int
seek_member(const f6_members *members, int from, const JsonbValue *key, bool *found)
{
	int low = from;
	int high = from;
	int step = 1;

	*found = false;
	while (high < members->count)
	{
		const f6_member *member = &members->members[high];
		int order = f6_jsonb_compare_keys(member->name, member->length, key->val.string.val,
										  key->val.string.len);

		if (order == 0)
		{
			*found = true;
			return high;
		}
		if (order > 0)
			break;
		low = high + 1;
		high = Min(high + step, members->count);
		step *= 2;
	}

	/* All before low are smaller; the one at high, if there is one, is larger. */
	while (low < high)
	{
		int middle = low + (high - low) / 2;
		const f6_member *member = &members->members[middle];
		int order = f6_jsonb_compare_keys(member->name, member->length, key->val.string.val,
										  key->val.string.len);

		if (order == 0)
		{
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Collects the required members that the object lacks. */
static void
add_missing(f6_run *run, const f6_op *op, const JsonbValue *object, const f6_jsonb_path *path)
{
	const f6_members *members = op->as.members;
	JsonbValue value;
	int i;

	for (i = 0; i < members->count && !is_full(run); i++)
	{
		const f6_member *member = &members->members[i];

		if (member->required && !f6_jsonb_get(object, member->name, member->length, &value))
			add_failure(run, path, op->schema, "required",
						f6_failure_missing(member->name, member->length, NULL));
	}
}

/* Looks each named member up in the object: for objects that are much larger than the schema. */
static bool
run_members_by_name(f6_run *run, const f6_op *op, const JsonbValue *object,
					const f6_jsonb_path *path)
{
	const f6_members *members = op->as.members;
	bool valid = true;
	int i;

	for (i = 0; i < members->count; i++)
	{
		const f6_member *member = &members->members[i];
		f6_jsonb_path place = { path, member->name, member->length, -1 };
		JsonbValue value;

		if (!f6_jsonb_get(object, member->name, member->length, &value))
			valid = valid && !member->required;
		else if (member->node != F6_NO_NODE && !run_node(run, member->node, &value, &place, NULL))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	if (run->collecting && members->required_count > 0)
		add_missing(run, op, object, path);
	return valid;
}

/*
 * Runs the subschemas of patternProperties and additionalProperties that concern a member, and tells
 * whether any keyword does.
 */
static bool
run_other_members(f6_run *run, const f6_members *members, bool *is_matched, const JsonbValue *key,
				  const JsonbValue *value, const f6_jsonb_path *path)
{
	bool valid = true;
	int i;

	for (i = 0; i < members->pattern_count; i++)
	{
		const f6_pattern_member *member = &members->patterns[i];

		if (!f6_pattern_matches(member->pattern, key->val.string.val, key->val.string.len))
			continue;
		*is_matched = true;
		if (!run_member(run, member->node, key, value, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	if (*is_matched || members->additional == F6_NO_NODE)
		return valid;
	*is_matched = true;
	return run_member(run, members->additional, key, value, path) && valid;
}

/* Walks the object's members beside the schema's: both are sorted. */
static bool
run_members_by_walk(f6_run *run, const f6_op *op, const JsonbValue *object,
					const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	const f6_members *members = op->as.members;
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;
	bool valid = true;
	int required = 0;
	int at = 0;

	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		bool found;
		bool is_matched = false;

		at = seek_member(members, at, &key, &found);
		if (found)
		{
			const f6_member *member = &members->members[at++];

			required += member->required;
			is_matched = member->node != F6_NO_NODE;
			if (is_matched && !run_member(run, member->node, &key, &value, path))
				valid = false;
		}
		if (!run_other_members(run, members, &is_matched, &key, &value, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
		if (is_matched)
			mark_evaluated(evaluated, walk.next - 1);
	}
	if (required == members->required_count)
		return valid;
	if (run->collecting)
		add_missing(run, op, object, path);
	return false;
}

/* Runs properties, required, patternProperties and additionalProperties. */
static bool
run_members(f6_run *run, const f6_op *op, const JsonbValue *object, const f6_jsonb_path *path,
			f6_evaluated *evaluated)
{
	const f6_members *members = op->as.members;
	int count = f6_jsonb_count(object);

	if (evaluated == NULL && members->pattern_count == 0 && count / 8 > members->count &&
		(members->additional == F6_NO_NODE || accepts_all(run, members->additional)))
		return run_members_by_name(run, op, object, path);
	return run_members_by_walk(run, op, object, path, evaluated);
}

/* Runs propertyNames. */
static bool
run_property_names(f6_run *run, const f6_op *op, const JsonbValue *object,
				   const f6_jsonb_path *path)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;
	bool valid = true;

	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		f6_jsonb_path place = { path, key.val.string.val, key.val.string.len, -1 };

		if (accepts(run, op->as.node, &key, &place, NULL))
			continue;
		if (!run->collecting)
			return false;
		add_failure(run, &place, op->schema, op->keyword,
					pstrdup("expected a property name that the schema accepts, found another"));
		valid = false;
	}
	return valid;
}

/* Checks what the presence of one member demands of others. */
static bool
run_dependency(f6_run *run, const f6_op *op, const f6_dependency *dependency,
			   const JsonbValue *object, const f6_jsonb_path *path)
{
	f6_jsonb_array_walk walk;
	JsonbValue name;
	JsonbValue value;
	bool valid = true;

	f6_jsonb_array_begin(&walk, &dependency->required);
	while (f6_jsonb_array_next(&walk, &name))
	{
		if (f6_jsonb_get(object, name.val.string.val, name.val.string.len, &value))
			continue;
		if (!run->collecting)
			return false;
		add_failure(run, path, op->schema, op->keyword,
					f6_failure_missing(name.val.string.val, name.val.string.len, dependency));
		valid = false;
	}
	return valid;
}

/* Runs dependentRequired, dependentSchemas and dependencies. */
static bool
run_dependencies(f6_run *run, const f6_op *op, const JsonbValue *object, const f6_jsonb_path *path,
				 f6_evaluated *evaluated)
{
	const f6_dependencies *operand = op->as.dependencies;
	JsonbValue value;
	bool valid = true;
	int i;

	for (i = 0; i < operand->count; i++)
	{
		const f6_dependency *dependency = &operand->dependencies[i];

		if (!f6_jsonb_get(object, dependency->name, dependency->length, &value))
			continue;
		if (!(dependency->node != F6_NO_NODE
				  ? run_node(run, dependency->node, object, path, evaluated)
				  : run_dependency(run, op, dependency, object, path)))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs prefixItems and items. */
static bool
run_items(f6_run *run, const f6_items *items, const JsonbValue *array, const f6_jsonb_path *path,
		  f6_evaluated *evaluated)
{
	f6_jsonb_array_walk walk;
	JsonbValue element;
	bool valid = true;
	int i;

	f6_jsonb_array_begin(&walk, array);
	for (i = 0; f6_jsonb_array_next(&walk, &element); i++)
	{
		f6_node_id node = i < items->prefix_count ? items->prefix[i] : items->rest;

		if (node == F6_NO_NODE)
			break;
		mark_evaluated(evaluated, i);
		if (!run_element(run, node, i, &element, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs contains, minContains and maxContains. */
static bool
run_contains(f6_run *run, const f6_op *op, const JsonbValue *array, const f6_jsonb_path *path,
			 f6_evaluated *evaluated)
{
	const f6_contains *contains = op->as.contains;
	f6_jsonb_array_walk walk;
	JsonbValue element;
	uint32 count = 0;
	bool is_low;
	int i;

	if (!contains->evaluates)
		evaluated = NULL;
	f6_jsonb_array_begin(&walk, array);
	for (i = 0; f6_jsonb_array_next(&walk, &element); i++)
	{
		f6_jsonb_path place = { path, NULL, 0, i };

		if (evaluated == NULL && count >= contains->minimum && contains->maximum == F6_NO_LIMIT)
			return true;
		if (!accepts(run, contains->node, &element, &place, NULL))
			continue;
		mark_evaluated(evaluated, i);
		count++;
		if (!run->collecting && count > contains->maximum)
			return false;
	}
	is_low = count < contains->minimum;
	if (!is_low && count <= contains->maximum)
		return true;
	if (run->collecting)
		add_failure(run, path, op->schema,
					!is_low					? "maxContains"
					: contains->has_minimum ? "minContains"
											: "contains",
					f6_failure_count(is_low ? "at least" : "at most",
									 is_low ? contains->minimum : contains->maximum,
									 "item that the schema under contains accepts",
									 "items that the schema under contains accepts", count));
	return false;
}

/* Runs allOf: every schema, so that each can report. */
static bool
run_all_of(f6_run *run, const f6_node_list *list, const JsonbValue *value,
		   const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	bool valid = true;
	int i;

	for (i = 0; i < list->count; i++)
	{
		if (!run_node(run, list->nodes[i], value, path, evaluated))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Tells whether a schema that does not accept a value is about values of its kind. */
static bool
is_about(f6_run *run, f6_node_id node, const JsonbValue *value, const f6_jsonb_path *path)
{
	f6_probe probe = { path, false };

	run->probe = &probe;
	(void) run_node(run, node, value, path, NULL);
	run->probe = NULL;
	return !probe.is_other_kind;
}

/*
 * Reports why none of several schemas accepts a value.  Where one of them alone is about values of its
 * kind, the reasons why that one doesn't are what a person needs.
 */
static void
explain_branches(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path,
				 char *message)
{
	const f6_node_list *list = op->as.list;
	f6_node_id nearest = F6_NO_NODE;
	int count = 0;
	int i;

	add_failure(run, path, op->schema, op->keyword, message);
	if (run->probe != NULL || is_full(run))
		return;
	for (i = 0; i < list->count && count < 2; i++)
	{
		if (is_about(run, list->nodes[i], value, path))
		{
			nearest = list->nodes[i];
			count++;
		}
	}
	if (count == 1)
		(void) run_node(run, nearest, value, path, NULL);
}

/* Runs anyOf: up to the first schema that accepts, unless somebody asks what the others evaluate. */
static bool
run_any_of(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path,
		   f6_evaluated *evaluated)
{
	const f6_node_list *list = op->as.list;
	bool valid = false;
	int i;

	for (i = 0; i < list->count && (!valid || evaluated != NULL); i++)
		valid |= accepts(run, list->nodes[i], value, path, evaluated);
	if (!valid && run->collecting)
		explain_branches(run, op, value, path, f6_failure_message(op, value));
	return valid;
}

/* Runs oneOf. */
static bool
run_one_of(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path,
		   f6_evaluated *evaluated)
{
	const f6_node_list *list = op->as.list;
	int accepting = 0;
	int i;

	for (i = 0; i < list->count && accepting < 2; i++)
		accepting += accepts(run, list->nodes[i], value, path, evaluated);
	if (accepting == 1)
		return true;
	if (run->collecting && accepting == 0)
		explain_branches(run, op, value, path, f6_failure_matches(list->count, accepting));
	else if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_matches(list->count, accepting));
	return false;
}

/* Runs if, then and else; what if evaluates counts even without the others. */
static bool
run_condition(f6_run *run, const f6_condition *condition, const JsonbValue *value,
			  const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	f6_node_id node;

	if (condition->consequence == F6_NO_NODE && condition->alternative == F6_NO_NODE &&
		evaluated == NULL)
		return true;
	node = accepts(run, condition->test, value, path, evaluated) ? condition->consequence
																 : condition->alternative;
	return node == F6_NO_NODE || run_node(run, node, value, path, evaluated);
}

/* Returns the node to which a dynamic reference leads: the anchor in the outermost resource that has it. */
static f6_node_id
dynamic_target(const f6_run *run, const f6_dynamic *dynamic)
{
	const f6_program *program = run->program;
	f6_node_id node = dynamic->node;
	const f6_scope *scope;

	for (scope = run->scope; scope != NULL; scope = scope->outer)
	{
		f6_dynamic_target wanted = { dynamic->anchor, scope->resource, F6_NO_NODE };
		const f6_dynamic_target *target =
			bsearch(&wanted, program->targets, program->target_count, sizeof(f6_dynamic_target),
					f6_dynamic_target_compare);

		if (target != NULL)
			node = target->node;
	}
	return node;
}

/*
 * Runs $dynamicRef and $recursiveRef.  Where it leads is known only now, so now is the time to see that it
 * leads back to where it came from, on the same instance.
 */
static bool
run_dynamic_ref(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path,
				f6_evaluated *evaluated)
{
	f6_jump jump = { dynamic_target(run, op->as.dynamic), path, run->jumps };
	const f6_jump *outer;
	bool valid;

	for (outer = jump.outer; outer != NULL && outer->path == path; outer = outer->outer)
	{
		if (outer->node == jump.node)
			ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("invalid JSON Schema"),
							errdetail("Its dynamic references lead in a circle, without end.")));
	}
	run->jumps = &jump;
	valid = run_node(run, jump.node, value, path, evaluated);
	run->jumps = jump.outer;
	return valid;
}

/* Runs unevaluatedProperties on the members that are not marked; then all are. */
static bool
run_unevaluated_properties(f6_run *run, const f6_op *op, const JsonbValue *object,
						   const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;
	bool valid = true;

	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		if (is_evaluated(evaluated, walk.next - 1))
			continue;
		mark_evaluated(evaluated, walk.next - 1);
		if (!run_member(run, op->as.node, &key, &value, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs unevaluatedItems, likewise. */
static bool
run_unevaluated_items(f6_run *run, const f6_op *op, const JsonbValue *array,
					  const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	f6_jsonb_array_walk walk;
	JsonbValue element;
	bool valid = true;
	int i;

	f6_jsonb_array_begin(&walk, array);
	for (i = 0; f6_jsonb_array_next(&walk, &element); i++)
	{
		if (is_evaluated(evaluated, i))
			continue;
		mark_evaluated(evaluated, i);
		if (!run_element(run, op->as.node, i, &element, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs not. */
static bool
run_not(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	if (!accepts(run, op->as.node, value, path, NULL))
		return true;
	if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_message(op, value));
	return false;
}

/* Runs an operation that looks at no subschema. */
static bool
run_assertion(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	if (f6_assertion_holds(op, value))
		return true;
	if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_message(op, value));
	return false;
}

/*
 * Runs an operation that may look at subschemas.  Whatever leads to another node goes through here, so this is
 * where the stack is checked.
 */
static bool
run_applicator(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path,
			   f6_evaluated *evaluated)
{
	check_stack_depth();

	switch (op->code)
	{
		case F6_OP_MEMBERS:
			return run_members(run, op, value, path, evaluated);
		case F6_OP_PROPERTY_NAMES:
			return run_property_names(run, op, value, path);
		case F6_OP_DEPENDENT_REQUIRED:
		case F6_OP_DEPENDENT_SCHEMAS:
		case F6_OP_DEPENDENCIES:
			return run_dependencies(run, op, value, path, evaluated);
		case F6_OP_ITEMS:
			return run_items(run, op->as.items, value, path, evaluated);
		case F6_OP_CONTAINS:
			return run_contains(run, op, value, path, evaluated);
		case F6_OP_REF:
			return run_node(run, op->as.node, value, path, evaluated);
		case F6_OP_DYNAMIC_REF:
			return run_dynamic_ref(run, op, value, path, evaluated);
		case F6_OP_ALL_OF:
			return run_all_of(run, op->as.list, value, path, evaluated);
		case F6_OP_ANY_OF:
			return run_any_of(run, op, value, path, evaluated);
		case F6_OP_ONE_OF:
			return run_one_of(run, op, value, path, evaluated);
		case F6_OP_NOT:
			return run_not(run, op, value, path);
		case F6_OP_CONDITION:
			return run_condition(run, op->as.condition, value, path, evaluated);
		case F6_OP_UNEVALUATED_ITEMS:
			return run_unevaluated_items(run, op, value, path, evaluated);
		case F6_OP_UNEVALUATED_PROPERTIES:
			return run_unevaluated_properties(run, op, value, path, evaluated);
		default:
			return run_assertion(run, op, value, path);
	}
}

/* Runs one operation on a value of a type, which it concerns. */
static inline bool
run_op(f6_run *run, const f6_op *op, uint32 type, const JsonbValue *value,
	   const f6_jsonb_path *path, f6_evaluated *evaluated)
{
	if (op->code == F6_OP_TYPE && (op->as.types & type) != 0)
		return true;
	if (op->code < F6_OP_DEPENDENT_REQUIRED)
		return run_assertion(run, op, value, path);
	return run_applicator(run, op, value, path, evaluated);
}

/* Reports the failure of the schema false, which is named by the keyword that holds it. */
static void
add_false(f6_run *run, const f6_node *node, const JsonbValue *value, const f6_jsonb_path *path)
{
	report_failure(run, path, node->schema, node->keyword,
				   psprintf("expected no value, found %s", f6_jsonb_type_name(value)));
}

/*
 * Runs a node's operations.  Those that ask what others have evaluated come last, and only when these have
 * accepted: else they would report members that a failed keyword was about.
 */
static bool
run_ops(f6_run *run, const f6_node *node, const JsonbValue *value, const f6_jsonb_path *path,
		f6_evaluated *evaluated)
{
	const f6_op *op = &run->program->ops[node->first_op];
	const f6_op *end = op + node->op_count;
	uint32 type = f6_type_bit(value);
	bool valid = true;

	for (; op < end; op++)
	{
		if ((op->applies & type) == 0)
			continue;
		if (op->code >= F6_OP_UNEVALUATED_ITEMS && !valid)
			break;
		if (!run_op(run, op, type, value, path, evaluated))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs a node that asks what was evaluated: within it, whatever else its caller may ask. */
static bool
run_tracking(f6_run *run, const f6_node *node, const JsonbValue *value, const f6_jsonb_path *path,
			 f6_evaluated *evaluated)
{
	f6_evaluated own;
	bool valid;

	evaluated_begin(run, &own, value);
	valid = run_ops(run, node, value, path, &own);
	if (valid && evaluated != NULL)
		evaluated_merge(evaluated, &own);
	evaluated_end(&own);
	return valid;
}

/* Runs a node, in a scope that has its resource. */
static bool
run_in_scope(f6_run *run, const f6_node *node, const JsonbValue *value, const f6_jsonb_path *path,
			 f6_evaluated *evaluated)
{
	f6_scope scope = { node->resource, run->scope };
	bool valid;

	if (run->program->target_count > 0 &&
		(run->scope == NULL || run->scope->resource != node->resource))
		run->scope = &scope;
	valid = node->tracks && value->type == jbvBinary
				? run_tracking(run, node, value, path, evaluated)
				: run_ops(run, node, value, path, evaluated);
	run->scope = scope.outer;
	return valid;
}

/* Tells whether a subschema accepts the value; a collecting run reports the reasons why not. */
static bool
run_node(f6_run *run, f6_node_id id, const JsonbValue *value, const f6_jsonb_path *path,
		 f6_evaluated *evaluated)
{
	const f6_node *node = &run->program->nodes[id];

	CHECK_FOR_INTERRUPTS();

	if (node->is_false)
	{
		if (run->collecting)
			add_false(run, node, value, path);
		return false;
	}
	if (node->tracks || run->program->target_count > 0)
		return run_in_scope(run, node, value, path, evaluated);
	return run_ops(run, node, value, path, evaluated);
}

/* Tells whether the schema accepts the instance. */
bool
f6_schema_accepts(const f6_program *program, const JsonbValue *instance)
{
	f6_run run = { 0 };

	run.program = program;
	run.memory = CurrentMemoryContext;
	return run_node(&run, program->root, instance, NULL, NULL);
}

/*
 * Reports why the schema doesn't accept the instance, up to a number of reasons; none if it accepts.  A
 * failure that is reported is gone when the report returns.
 */
void
f6_schema_explain(const f6_program *program, const JsonbValue *instance, uint64 limit,
				  f6_failure_report report, void *argument)
{
	f6_run run = { 0 };
	MemoryContext caller;

	run.program = program;
	run.collecting = true;
	run.memory = CurrentMemoryContext;
	run.room = limit;
	run.report = report;
	run.report_argument = argument;
	caller = MemoryContextSwitchTo(
		AllocSetContextCreate(CurrentMemoryContext, "f6 failure", ALLOCSET_SMALL_SIZES));
	run_node(&run, program->root, instance, NULL, NULL);
	MemoryContextDelete(MemoryContextSwitchTo(caller));
}

/* Appends a failure to a text, as a line. */
static void
append_failure(void *argument, const f6_failure *failure)
{
	StringInfo text = argument;

	if (text->len > 0)
		appendStringInfoChar(text, '\n');
	escape_json(text, failure->instance_location);
	appendStringInfo(text, " %s: %s", failure->keyword, failure->message);
}

/* Returns the first failures as text, a line each: "<JSON Pointer>" <keyword>: expected ..., found ... */
char *
f6_schema_failures_text(const f6_program *program, const JsonbValue *instance)
{
	StringInfoData text;

	initStringInfo(&text);
	f6_schema_explain(program, instance, F6_MAX_REPORTED_FAILURES, append_failure, &text);
	return text.data;
}
