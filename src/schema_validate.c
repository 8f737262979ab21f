/*
 * schema_validate.c
 *		Running a compiled schema over a binary jsonb.
 *
 * One routine serves both runs: the first stops at the first failure and allocates nothing (but for
 * uniqueItems of many items and multipleOf a number that is no power of ten); only when it fails does a
 * second run collect failures.  So the two can't disagree.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "f6.h"
#include "schema_failure.h"
#include "schema_validate.h"

/* Up to this many items are compared pairwise, more are sorted. */
#define F6_MAX_PAIRWISE_ITEMS 16

typedef struct f6_run
{
	const f6_program *program;
	bool collecting; /* false: stop at the first failure */
	List *failures;
} f6_run;

/* An item of an array with its hash, for sorting. */
typedef struct f6_hashed_item
{
	uint32 hash;
	JsonbValue value;
} f6_hashed_item;

static bool run_node(f6_run *run, f6_node_id id, const JsonbValue *value,
					 const f6_jsonb_path *path);

/* Tells whether the run has collected all the failures that it may. */
static bool
is_full(const f6_run *run)
{
	return list_length(run->failures) >= F6_MAX_REPORTED_FAILURES;
}

/* Adds a failure of a keyword of a subschema. */
static void
add_failure(f6_run *run, const f6_jsonb_path *path, const f6_jsonb_path *schema,
			const char *keyword, char *message)
{
	f6_jsonb_path place = { schema, keyword, strlen(keyword), -1 };

	if (!is_full(run))
		run->failures = lappend(run->failures, f6_failure_create(path, &place, keyword, message));
}

/* Tells whether a subschema accepts the value, and collects nothing. */
static bool
accepts(f6_run *run, f6_node_id node, const JsonbValue *value, const f6_jsonb_path *path)
{
	bool collecting = run->collecting;
	bool result;

	run->collecting = false;
	result = run_node(run, node, value, path);
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

/* Returns the value's type as a bit. */
static inline uint32
type_bit(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return F6_TYPE_NULL;
		case jbvBool:
			return F6_TYPE_BOOLEAN;
		case jbvNumeric:
			return F6_TYPE_NUMBER;
		case jbvString:
			return F6_TYPE_STRING;
		default:
			return f6_jsonb_is_object(value) ? F6_TYPE_OBJECT : F6_TYPE_ARRAY;
	}
}

/* Checks type; an integer is a number without a fraction. */
static bool
check_type(uint32 types, const JsonbValue *value)
{
	if ((types & type_bit(value)) != 0)
		return true;
	return (types & F6_TYPE_INTEGER) != 0 && value->type == jbvNumeric &&
		   f6_jsonb_number_is_integer(value->val.numeric);
}

/* Checks const and enum. */
static bool
check_values(const f6_values *values, const JsonbValue *value)
{
	int low = 0;
	int high = values->count - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;
		int order = f6_jsonb_compare(value, &values->values[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return false;
}

/* Checks multipleOf, exactly. */
static bool
check_multiple(const f6_divisor *divisor, Numeric number)
{
	Numeric remainder;
	bool is_multiple;

	if (divisor->decimals >= 0)
		return DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(number))) <=
			   divisor->decimals;

	remainder = DatumGetNumeric(DirectFunctionCall2(numeric_mod, NumericGetDatum(number),
													NumericGetDatum(divisor->number)));
	is_multiple = f6_jsonb_compare_numbers(remainder, divisor->zero) == 0;
	pfree(remainder);
	return is_multiple;
}

/* Checks minLength; counts characters only where the number of bytes doesn't tell. */
static bool
check_min_length(uint32 limit, const JsonbValue *value)
{
	return (uint32) value->val.string.len >= limit && f6_string_length(value) >= limit;
}

/* Checks maxLength, likewise. */
static bool
check_max_length(uint32 limit, const JsonbValue *value)
{
	return (uint32) value->val.string.len <= limit || f6_string_length(value) <= limit;
}

/* Compares each item with those after it; true if all differ. */
static bool
check_unique_pairwise(const JsonbValue *array)
{
	JsonbValue items[F6_MAX_PAIRWISE_ITEMS];
	f6_jsonb_array_walk walk;
	int count = 0;
	int i;

	f6_jsonb_array_begin(&walk, array);
	while (f6_jsonb_array_next(&walk, &items[count]))
	{
		for (i = 0; i < count; i++)
		{
			if (f6_jsonb_compare(&items[i], &items[count]) == 0)
				return false;
		}
		if (++count == walk.count)
			break;
	}
	return true;
}

/* Orders two items by hash, and by value where that is the same. */
static int
compare_hashed_items(const void *left, const void *right)
{
	const f6_hashed_item *left_item = left;
	const f6_hashed_item *right_item = right;

	CHECK_FOR_INTERRUPTS();
	if (left_item->hash != right_item->hash)
		return left_item->hash < right_item->hash ? -1 : 1;
	return f6_jsonb_compare(&left_item->value, &right_item->value);
}

/* Sorts the items, so that equal ones stand side by side; true if all differ. */
static bool
check_unique_sorted(const JsonbValue *array)
{
	f6_hashed_item *items;
	f6_jsonb_array_walk walk;
	bool unique = true;
	int i;

	f6_jsonb_array_begin(&walk, array);
	items = palloc_extended(walk.count * sizeof(f6_hashed_item), MCXT_ALLOC_HUGE);
	for (i = 0; f6_jsonb_array_next(&walk, &items[i].value); i++)
	{
		items[i].hash = f6_jsonb_hash(&items[i].value);
		if (i + 1 == walk.count)
			break;
	}
	qsort(items, walk.count, sizeof(f6_hashed_item), compare_hashed_items);
	for (i = 1; i < walk.count && unique; i++)
		unique = compare_hashed_items(&items[i - 1], &items[i]) != 0;
	pfree(items);
	return unique;
}

/* Checks uniqueItems. */
static bool
check_unique(const JsonbValue *array)
{
	int count = f6_jsonb_count(array);

	if (count < 2)
		return true;
	if (count <= F6_MAX_PAIRWISE_ITEMS)
		return check_unique_pairwise(array);
	return check_unique_sorted(array);
}

/* Runs an operation that looks at no other subschema. */
static bool
check_assertion(const f6_op *op, const JsonbValue *value)
{
	switch (op->code)
	{
		case F6_OP_TYPE:
			return check_type(op->as.types, value);
		case F6_OP_CONST:
		case F6_OP_ENUM:
			return check_values(op->as.values, value);
		case F6_OP_MINIMUM:
			return f6_jsonb_compare_numbers(value->val.numeric, op->as.number) >= 0;
		case F6_OP_MAXIMUM:
			return f6_jsonb_compare_numbers(value->val.numeric, op->as.number) <= 0;
		case F6_OP_EXCLUSIVE_MINIMUM:
			return f6_jsonb_compare_numbers(value->val.numeric, op->as.number) > 0;
		case F6_OP_EXCLUSIVE_MAXIMUM:
			return f6_jsonb_compare_numbers(value->val.numeric, op->as.number) < 0;
		case F6_OP_MULTIPLE_OF:
			return check_multiple(op->as.divisor, value->val.numeric);
		case F6_OP_MIN_LENGTH:
			return check_min_length(op->as.limit, value);
		case F6_OP_MAX_LENGTH:
			return check_max_length(op->as.limit, value);
		case F6_OP_PATTERN:
			return f6_pattern_matches(op->as.pattern, value->val.string.val, value->val.string.len);
		case F6_OP_MIN_ITEMS:
		case F6_OP_MIN_PROPERTIES:
			return (uint32) f6_jsonb_count(value) >= op->as.limit;
		case F6_OP_MAX_ITEMS:
		case F6_OP_MAX_PROPERTIES:
			return (uint32) f6_jsonb_count(value) <= op->as.limit;
		case F6_OP_UNIQUE_ITEMS:
			return check_unique(value);
		default:
			elog(ERROR, "unexpected schema operation %d", (int) op->code);
			return false;
	}
}

/* Runs a node on an object's member. */
static bool
run_member(f6_run *run, f6_node_id node, const JsonbValue *key, const JsonbValue *value,
		   const f6_jsonb_path *path)
{
	f6_jsonb_path place = { path, key->val.string.val, key->val.string.len, -1 };

	return run_node(run, node, value, &place);
}

/* Runs a node on an array's element. */
static bool
run_element(f6_run *run, f6_node_id node, int index, const JsonbValue *value,
			const f6_jsonb_path *path)
{
	f6_jsonb_path place = { path, NULL, 0, index };

	return run_node(run, node, value, &place);
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
		else if (member->node != F6_NO_NODE && !run_node(run, member->node, &value, &place))
			valid = false;
		if (!valid && !run->collecting)
			return false;
	}
	if (run->collecting && members->required_count > 0)
		add_missing(run, op, object, path);
	return valid;
}

/* Runs the subschemas of patternProperties and additionalProperties that concern a member. */
static bool
run_other_members(f6_run *run, const f6_members *members, bool is_named, const JsonbValue *key,
				  const JsonbValue *value, const f6_jsonb_path *path)
{
	bool valid = true;
	bool is_matched = is_named;
	int i;

	for (i = 0; i < members->pattern_count; i++)
	{
		const f6_pattern_member *member = &members->patterns[i];

		if (!f6_pattern_matches(member->pattern, key->val.string.val, key->val.string.len))
			continue;
		is_matched = true;
		if (!run_member(run, member->node, key, value, path))
			valid = false;
		if (!valid && !run->collecting)
			return false;
	}
	if (!is_matched && members->additional != F6_NO_NODE &&
		!run_member(run, members->additional, key, value, path))
		valid = false;
	return valid;
}

/* Walks the object's members beside the schema's: both are sorted. */
static bool
run_members_by_walk(f6_run *run, const f6_op *op, const JsonbValue *object,
					const f6_jsonb_path *path)
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
		bool is_named = false;

		at = seek_member(members, at, &key, &found);
		if (found)
		{
			const f6_member *member = &members->members[at++];

			required += member->required;
			is_named = member->node != F6_NO_NODE;
			if (is_named && !run_member(run, member->node, &key, &value, path))
				valid = false;
		}
		if (!run_other_members(run, members, is_named, &key, &value, path))
			valid = false;
		if (!valid && !run->collecting)
			return false;
	}
	if (required == members->required_count)
		return valid;
	if (run->collecting)
		add_missing(run, op, object, path);
	return false;
}

/* Runs properties, required, patternProperties and additionalProperties. */
static bool
run_members(f6_run *run, const f6_op *op, const JsonbValue *object, const f6_jsonb_path *path)
{
	const f6_members *members = op->as.members;
	int count = f6_jsonb_count(object);

	if (members->pattern_count == 0 && count / 8 > members->count &&
		(members->additional == F6_NO_NODE || accepts_all(run, members->additional)))
		return run_members_by_name(run, op, object, path);
	return run_members_by_walk(run, op, object, path);
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

		if (accepts(run, op->as.node, &key, &place))
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

/* Runs dependentRequired and dependentSchemas. */
static bool
run_dependencies(f6_run *run, const f6_op *op, const JsonbValue *object, const f6_jsonb_path *path)
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
		if (!(dependency->node != F6_NO_NODE ? run_node(run, dependency->node, object, path)
											 : run_dependency(run, op, dependency, object, path)))
			valid = false;
		if (!valid && !run->collecting)
			return false;
	}
	return valid;
}

/* Runs prefixItems and items. */
static bool
run_items(f6_run *run, const f6_items *items, const JsonbValue *array, const f6_jsonb_path *path)
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
		if (!run_element(run, node, i, &element, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs contains, minContains and maxContains. */
static bool
run_contains(f6_run *run, const f6_op *op, const JsonbValue *array, const f6_jsonb_path *path)
{
	const f6_contains *contains = op->as.contains;
	f6_jsonb_array_walk walk;
	JsonbValue element;
	uint32 count = 0;
	bool is_low;
	int i;

	f6_jsonb_array_begin(&walk, array);
	for (i = 0; f6_jsonb_array_next(&walk, &element); i++)
	{
		f6_jsonb_path place = { path, NULL, 0, i };

		if (!accepts(run, contains->node, &element, &place))
			continue;
		count++;
		if (!run->collecting && count > contains->maximum)
			return false;
		if (count >= contains->minimum && contains->maximum == F6_NO_LIMIT)
			return true;
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
		   const f6_jsonb_path *path)
{
	bool valid = true;
	int i;

	for (i = 0; i < list->count; i++)
	{
		if (!run_node(run, list->nodes[i], value, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	return valid;
}

/* Runs anyOf. */
static bool
run_any_of(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	const f6_node_list *list = op->as.list;
	int i;

	for (i = 0; i < list->count; i++)
	{
		if (accepts(run, list->nodes[i], value, path))
			return true;
	}
	if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_message(op, value));
	return false;
}

/* Runs oneOf. */
static bool
run_one_of(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	const f6_node_list *list = op->as.list;
	int accepting = 0;
	int i;

	for (i = 0; i < list->count && accepting < 2; i++)
		accepting += accepts(run, list->nodes[i], value, path);
	if (accepting == 1)
		return true;
	if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_matches(list->count, accepting));
	return false;
}

/* Runs if, then and else. */
static bool
run_condition(f6_run *run, const f6_condition *condition, const JsonbValue *value,
			  const f6_jsonb_path *path)
{
	f6_node_id node;

	if (condition->consequence == F6_NO_NODE && condition->alternative == F6_NO_NODE)
		return true;
	node = accepts(run, condition->test, value, path) ? condition->consequence
													  : condition->alternative;
	return node == F6_NO_NODE || run_node(run, node, value, path);
}

/* Runs not. */
static bool
run_not(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	if (!accepts(run, op->as.node, value, path))
		return true;
	if (run->collecting)
		add_failure(run, path, op->schema, op->keyword, f6_failure_message(op, value));
	return false;
}

/* Runs one operation on a value that it concerns. */
static bool
run_op(f6_run *run, const f6_op *op, const JsonbValue *value, const f6_jsonb_path *path)
{
	switch (op->code)
	{
		case F6_OP_MEMBERS:
			return run_members(run, op, value, path);
		case F6_OP_PROPERTY_NAMES:
			return run_property_names(run, op, value, path);
		case F6_OP_DEPENDENT_REQUIRED:
		case F6_OP_DEPENDENT_SCHEMAS:
			return run_dependencies(run, op, value, path);
		case F6_OP_ITEMS:
			return run_items(run, op->as.items, value, path);
		case F6_OP_CONTAINS:
			return run_contains(run, op, value, path);
		case F6_OP_REF:
			return run_node(run, op->as.node, value, path);
		case F6_OP_ALL_OF:
			return run_all_of(run, op->as.list, value, path);
		case F6_OP_ANY_OF:
			return run_any_of(run, op, value, path);
		case F6_OP_ONE_OF:
			return run_one_of(run, op, value, path);
		case F6_OP_NOT:
			return run_not(run, op, value, path);
		case F6_OP_CONDITION:
			return run_condition(run, op->as.condition, value, path);
		default:
			if (check_assertion(op, value))
				return true;
			if (run->collecting)
				add_failure(run, path, op->schema, op->keyword, f6_failure_message(op, value));
			return false;
	}
}

/* Collects the failure of the schema false, which is named by the keyword that holds it. */
static void
add_false(f6_run *run, const f6_node *node, const JsonbValue *value, const f6_jsonb_path *path)
{
	if (!is_full(run))
		run->failures = lappend(
			run->failures,
			f6_failure_create(path, node->schema, node->keyword,
							  psprintf("expected no value, found %s", f6_jsonb_type_name(value))));
}

/* Tells whether a subschema accepts the value; a collecting run adds the reasons why not. */
static bool
run_node(f6_run *run, f6_node_id id, const JsonbValue *value, const f6_jsonb_path *path)
{
	const f6_node *node = &run->program->nodes[id];
	const f6_op *op = &run->program->ops[node->first_op];
	const f6_op *end = op + node->op_count;
	uint32 type = type_bit(value);
	bool valid = true;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	for (; op < end; op++)
	{
		if ((op->applies & type) == 0)
			continue;
		if (!run_op(run, op, value, path))
			valid = false;
		if (!valid && (!run->collecting || is_full(run)))
			return false;
	}
	if (node->is_false)
	{
		if (run->collecting)
			add_false(run, node, value, path);
		return false;
	}
	return valid;
}

/* Tells whether the schema accepts the instance. */
bool
f6_schema_accepts(const f6_program *program, const JsonbValue *instance)
{
	f6_run run = { program, false, NIL };

	return run_node(&run, program->root, instance, NULL);
}

/*
 * Returns why the schema doesn't accept the instance, as f6_failures in the current memory context: at most
 * F6_MAX_REPORTED_FAILURES, and none if it accepts.
 */
List *
f6_schema_failures(const f6_program *program, const JsonbValue *instance)
{
	f6_run run = { program, true, NIL };

	run_node(&run, program->root, instance, NULL);
	return run.failures;
}

/* Returns the failures as text, a line each: "<JSON Pointer>" <keyword>: expected ..., found ... */
char *
f6_schema_failures_text(const f6_program *program, const JsonbValue *instance)
{
	StringInfoData text;
	ListCell *cell;

	initStringInfo(&text);
	foreach (cell, f6_schema_failures(program, instance))
	{
		const f6_failure *failure = lfirst(cell);

		if (text.len > 0)
			appendStringInfoChar(&text, '\n');
		escape_json(&text, failure->instance_location);
		appendStringInfo(&text, " %s: %s", failure->keyword, failure->message);
	}
	return text.data;
}
