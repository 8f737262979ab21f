/*
 * schema_keywords.c
 *		What each keyword of draft 2020-12 compiles to.
 *
 * A keyword is a line in the table at the end and a function above it, which checks the value as the
 * metaschema does and adds operations to the builder.  Keywords that only mean something together
 * (properties and additionalProperties, for one) fill one operand in the builder, and
 * f6_keywords_finish makes the operation.  A keyword that isn't in the table is unknown and means
 * nothing, as the specification says; one that restricts and isn't implemented is in the table and
 * refused.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_keywords.h"

#define F6_DIALECT "https://json-schema.org/draft/2020-12/schema"

static const struct
{
	const char *name;
	uint32 type;
} type_names[] = {
	{ "array", F6_TYPE_ARRAY },	  { "boolean", F6_TYPE_BOOLEAN }, { "integer", F6_TYPE_INTEGER },
	{ "null", F6_TYPE_NULL },	  { "number", F6_TYPE_NUMBER },	  { "object", F6_TYPE_OBJECT },
	{ "string", F6_TYPE_STRING },
};

#define F6_TYPE_EXPECTED \
	"one of array, boolean, integer, null, number, object, string, or a list of them"

/* Raises an error for a value of the wrong type. */
static void
refuse_value(const f6_jsonb_path *path, const char *expected, const JsonbValue *value)
{
	f6_schema_invalid(path, expected, f6_jsonb_type_name(value));
}

/* Raises an error unless the value is an object. */
static void
require_object(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (!f6_jsonb_is_object(value))
		refuse_value(path, "an object", value);
}

/* Raises an error unless the value is an array. */
static void
require_array(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (!f6_jsonb_is_array(value))
		refuse_value(path, "an array", value);
}

/* Raises an error unless the value is a string. */
static void
require_string(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (value->type != jbvString)
		refuse_value(path, "a string", value);
}

/* Raises an error unless the value is a boolean. */
static void
require_boolean(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (value->type != jbvBool)
		refuse_value(path, "a boolean", value);
}

/* Raises an error unless the value is a number. */
static void
require_number(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (value->type != jbvNumeric)
		refuse_value(path, "a number", value);
}

/* Returns the value as a size; larger ones than any jsonb has become F6_NO_LIMIT. */
static uint32
size_value(const f6_jsonb_path *path, const JsonbValue *value)
{
	Numeric number = value->val.numeric;

	if (value->type != jbvNumeric || !f6_jsonb_number_is_integer(number))
		refuse_value(path, "a non-negative integer", value);
	if (f6_jsonb_compare_numbers(number, int64_to_numeric(0)) < 0)
		f6_schema_invalid(path, "a non-negative integer", "a negative one");
	if (f6_jsonb_compare_numbers(number, int64_to_numeric(F6_NO_LIMIT)) >= 0)
		return F6_NO_LIMIT;
	return (uint32) DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number)));
}

/* Compares two values for qsort. */
static int
compare_values(const void *left, const void *right)
{
	return f6_jsonb_compare(left, right);
}

/* Returns an array's elements, sorted. */
static JsonbValue *
sorted_elements(const JsonbValue *array, int *count)
{
	f6_jsonb_array_walk walk;
	JsonbValue element;
	JsonbValue *elements;
	int i = 0;

	*count = f6_jsonb_count(array);
	elements = palloc_extended(Max(*count, 1) * sizeof(JsonbValue), MCXT_ALLOC_HUGE);
	f6_jsonb_array_begin(&walk, array);
	while (f6_jsonb_array_next(&walk, &element))
		elements[i++] = element;
	qsort(elements, *count, sizeof(JsonbValue), compare_values);
	return elements;
}

/*
 * Returns the strings of an array, sorted; raises an error for anything but strings, and for one that
 * comes twice.
 */
static JsonbValue *
distinct_strings(const f6_jsonb_path *path, const JsonbValue *value, int *count)
{
	JsonbValue *strings;
	int i;

	if (!f6_jsonb_is_array(value))
		refuse_value(path, "an array of strings", value);
	strings = sorted_elements(value, count);
	for (i = 0; i < *count; i++)
	{
		if (strings[i].type != jbvString)
			f6_schema_invalid(path, "an array of strings", f6_jsonb_type_name(&strings[i]));
		if (i > 0 && f6_jsonb_compare(&strings[i - 1], &strings[i]) == 0)
			f6_schema_invalid(path, "an array of distinct strings", "one twice");
	}
	return strings;
}

/* Checks a keyword that restricts nothing: its operand is the type that the metaschema wants. */
static void
compile_annotation(f6_builder *builder pg_attribute_unused(), const f6_keyword *keyword,
				   const f6_jsonb_path *path, const JsonbValue *value)
{
	switch (keyword->operand)
	{
		case F6_TYPE_STRING:
			require_string(path, value);
			break;
		case F6_TYPE_BOOLEAN:
			require_boolean(path, value);
			break;
		case F6_TYPE_ARRAY:
			require_array(path, value);
			break;
		default:
			break;
	}
}

/* Refuses a keyword that restricts instances in a way that f6 doesn't know. */
static void
compile_unsupported(f6_builder *builder pg_attribute_unused(), const f6_keyword *keyword,
					const f6_jsonb_path *path, const JsonbValue *value pg_attribute_unused())
{
	f6_schema_unsupported(path, psprintf("keyword \"%s\"", keyword->name));
}

/* Compiles $schema: only draft 2020-12 is known. */
static void
compile_dialect(f6_builder *builder pg_attribute_unused(),
				const f6_keyword *keyword pg_attribute_unused(), const f6_jsonb_path *path,
				const JsonbValue *value)
{
	int length;

	require_string(path, value);
	length = value->val.string.len;
	if (length > 0 && value->val.string.val[length - 1] == '#')
		length--;
	if (length != (int) strlen(F6_DIALECT) ||
		memcmp(value->val.string.val, F6_DIALECT, length) != 0)
		f6_schema_unsupported(path, "dialect other than " F6_DIALECT);
}

/* Compiles $id, which only the whole document may have. */
static void
compile_id(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
		   const f6_jsonb_path *path, const JsonbValue *value)
{
	const char *hash;

	require_string(path, value);
	hash = memchr(value->val.string.val, '#', value->val.string.len);
	if (hash != NULL && hash + 1 < value->val.string.val + value->val.string.len)
		f6_schema_invalid(path, "a URI reference without a fragment", "one with a fragment");
	if (builder->path != NULL)
		f6_schema_unsupported(path, "keyword \"$id\" in a subschema");
}

/* Compiles $ref. */
static void
compile_ref(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			const JsonbValue *value)
{
	f6_node_id node;

	require_string(path, value);
	node = f6_compile_reference(builder, value, path, keyword->name);
	f6_builder_add(builder, F6_OP_REF, F6_TYPE_ANY, keyword->name)->as.node = node;
}

/* Compiles subschemas that only references use, so that a bad one is refused. */
static void
compile_definitions(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					const JsonbValue *value)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;

	require_object(path, value);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
		f6_compile_subschema(builder->compiler, &schema,
							 f6_schema_path(path, name.val.string.val, name.val.string.len, -1),
							 keyword->name);
}

/* Compiles a subschema that is not applied, so that a bad one is refused. */
static void
compile_unused(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			   const JsonbValue *value)
{
	f6_compile_subschema(builder->compiler, value, path, keyword->name);
}

/* Returns the bit of the type that a string names; raises an error if it names none. */
static uint32
type_value(const f6_jsonb_path *path, const JsonbValue *value)
{
	int i;

	if (value->type != jbvString)
		refuse_value(path, F6_TYPE_EXPECTED, value);
	for (i = 0; i < (int) lengthof(type_names); i++)
	{
		if (value->val.string.len == (int) strlen(type_names[i].name) &&
			memcmp(value->val.string.val, type_names[i].name, value->val.string.len) == 0)
			return type_names[i].type;
	}
	f6_schema_invalid(path, F6_TYPE_EXPECTED, "another string");
}

/* Compiles type. */
static void
compile_type(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			 const JsonbValue *value)
{
	uint32 types = 0;

	if (f6_jsonb_is_array(value))
	{
		int count;
		JsonbValue *names = distinct_strings(path, value, &count);
		int i;

		if (count == 0)
			f6_schema_invalid(path, F6_TYPE_EXPECTED, "an empty array");
		for (i = 0; i < count; i++)
			types |= type_value(path, &names[i]);
	}
	else
		types = type_value(path, value);
	f6_builder_add(builder, F6_OP_TYPE, keyword->applies, keyword->name)->as.types = types;
}

/* Compiles const. */
static void
compile_const(f6_builder *builder, const f6_keyword *keyword,
			  const f6_jsonb_path *path pg_attribute_unused(), const JsonbValue *value)
{
	f6_values *values = palloc(sizeof(f6_values));

	values->count = 1;
	values->values = palloc(sizeof(JsonbValue));
	values->values[0] = *value;
	f6_builder_add(builder, F6_OP_CONST, keyword->applies, keyword->name)->as.values = values;
}

/* Compiles enum. */
static void
compile_enum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			 const JsonbValue *value)
{
	f6_values *values = palloc(sizeof(f6_values));

	require_array(path, value);
	values->values = sorted_elements(value, &values->count);
	f6_builder_add(builder, F6_OP_ENUM, keyword->applies, keyword->name)->as.values = values;
}

/* Compiles minimum, maximum and the exclusive ones. */
static void
compile_bound(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			  const JsonbValue *value)
{
	require_number(path, value);
	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.number =
		value->val.numeric;
}

/* Returns k if the number is 10 to the power -k, else -1. */
static int
decimals_of_power(Numeric number)
{
	int scale = DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(number)));
	Datum power = DirectFunctionCall3(numeric_in, CStringGetDatum(psprintf("1e-%d", scale)),
									  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return f6_jsonb_compare_numbers(number, DatumGetNumeric(power)) == 0 ? scale : -1;
}

/* Compiles multipleOf. */
static void
compile_multiple_of(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					const JsonbValue *value)
{
	f6_divisor *divisor = palloc(sizeof(f6_divisor));

	require_number(path, value);
	divisor->number = value->val.numeric;
	divisor->zero = int64_to_numeric(0);
	if (f6_jsonb_compare_numbers(divisor->number, divisor->zero) <= 0)
		f6_schema_invalid(path, "a number greater than 0", "one that isn't");
	divisor->decimals = decimals_of_power(divisor->number);
	f6_builder_add(builder, F6_OP_MULTIPLE_OF, keyword->applies, keyword->name)->as.divisor =
		divisor;
}

/* Compiles a lower limit on a size. */
static void
compile_size_minimum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	uint32 limit = size_value(path, value);

	if (limit > 0)
		f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.limit =
			limit;
}

/* Compiles an upper limit on a size. */
static void
compile_size_maximum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	uint32 limit = size_value(path, value);

	if (limit != F6_NO_LIMIT)
		f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.limit =
			limit;
}

/* Returns the compiled regular expression of a string; raises an error if it is none. */
static f6_pattern *
pattern_value(f6_builder *builder, const f6_jsonb_path *path, const JsonbValue *value)
{
	char *problem = NULL;
	f6_pattern *pattern = f6_pattern_compile(builder->compiler->patterns, value->val.string.val,
											 value->val.string.len, &problem);

	if (pattern == NULL)
		f6_schema_invalid(path, "a regular expression", psprintf("an error (%s)", problem));
	return pattern;
}

/* Compiles pattern. */
static void
compile_pattern(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				const JsonbValue *value)
{
	f6_pattern *pattern;

	require_string(path, value);
	pattern = pattern_value(builder, path, value);
	f6_builder_add(builder, F6_OP_PATTERN, keyword->applies, keyword->name)->as.pattern = pattern;
}

/* Returns the operand that properties, required, patternProperties and additionalProperties share. */
static f6_members *
builder_members(f6_builder *builder)
{
	if (builder->members == NULL)
	{
		builder->members = palloc0(sizeof(f6_members));
		builder->members->additional = F6_NO_NODE;
	}
	return builder->members;
}

/* Makes room for more members, and returns where they start. */
static f6_member *
extend_members(f6_members *members, int more)
{
	Size size = Max((Size) members->count + more, 1) * sizeof(f6_member);

	if (members->members == NULL)
		members->members = palloc_extended(size, MCXT_ALLOC_HUGE);
	else
		members->members = repalloc_huge(members->members, size);
	members->count += more;
	return members->members + members->count - more;
}

/* Compiles properties. */
static void
compile_properties(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				   const JsonbValue *value)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;
	f6_member *member;

	require_object(path, value);
	member = extend_members(builder_members(builder), f6_jsonb_count(value));
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
	{
		member->name = name.val.string.val;
		member->length = name.val.string.len;
		member->required = false;
		member->node = f6_compile_subschema(builder->compiler, &schema,
											f6_schema_path(path, member->name, member->length, -1),
											keyword->name);
		member++;
	}
}

/* Compiles required. */
static void
compile_required(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
				 const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_members *members = builder_members(builder);
	int count;
	JsonbValue *names = distinct_strings(path, value, &count);
	f6_member *member = extend_members(members, count);
	int i;

	members->required_count = count;
	for (i = 0; i < count; i++)
	{
		member[i].name = names[i].val.string.val;
		member[i].length = names[i].val.string.len;
		member[i].required = true;
		member[i].node = F6_NO_NODE;
	}
}

/* Compiles patternProperties. */
static void
compile_pattern_properties(f6_builder *builder, const f6_keyword *keyword,
						   const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_members *members = builder_members(builder);
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;

	require_object(path, value);
	members->patterns =
		palloc_extended(Max(f6_jsonb_count(value), 1) * sizeof(f6_pattern_member), MCXT_ALLOC_HUGE);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
	{
		const f6_jsonb_path *place =
			f6_schema_path(path, name.val.string.val, name.val.string.len, -1);
		f6_pattern_member *member = &members->patterns[members->pattern_count++];

		member->pattern = pattern_value(builder, place, &name);
		member->node = f6_compile_subschema(builder->compiler, &schema, place, keyword->name);
	}
}

/* Compiles additionalProperties. */
static void
compile_additional_properties(f6_builder *builder, const f6_keyword *keyword,
							  const f6_jsonb_path *path, const JsonbValue *value)
{
	builder_members(builder)->additional =
		f6_compile_subschema(builder->compiler, value, path, keyword->name);
}

/* Compiles a keyword whose one operand is a subschema for other values than the instance itself. */
static void
compile_property_names(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					   const JsonbValue *value)
{
	f6_node_id node = f6_compile_subschema(builder->compiler, value, path, keyword->name);

	f6_builder_add(builder, F6_OP_PROPERTY_NAMES, keyword->applies, keyword->name)->as.node = node;
}

/* Returns the operand that items and prefixItems share. */
static f6_items *
builder_items(f6_builder *builder)
{
	if (builder->items == NULL)
	{
		builder->items = palloc0(sizeof(f6_items));
		builder->items->rest = F6_NO_NODE;
	}
	return builder->items;
}

/* Compiles items. */
static void
compile_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			  const JsonbValue *value)
{
	builder_items(builder)->rest =
		f6_compile_subschema(builder->compiler, value, path, keyword->name);
}

/* Returns the nodes of an array of subschemas, which must not be empty. */
static f6_node_id *
compile_schema_array(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value, bool in_place, int *count)
{
	f6_jsonb_array_walk walk;
	JsonbValue schema;
	f6_node_id *nodes;
	int i = 0;

	require_array(path, value);
	*count = f6_jsonb_count(value);
	if (*count == 0)
		f6_schema_invalid(path, "at least one schema", "an empty array");
	nodes = palloc_extended(*count * sizeof(f6_node_id), MCXT_ALLOC_HUGE);
	f6_jsonb_array_begin(&walk, value);
	while (f6_jsonb_array_next(&walk, &schema))
	{
		const f6_jsonb_path *place = f6_schema_path(path, NULL, 0, i);

		nodes[i++] = in_place
						 ? f6_compile_in_place(builder, &schema, place, keyword->name)
						 : f6_compile_subschema(builder->compiler, &schema, place, keyword->name);
	}
	return nodes;
}

/* Compiles prefixItems. */
static void
compile_prefix_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	f6_items *items = builder_items(builder);

	items->prefix =
		compile_schema_array(builder, keyword, path, value, false, &items->prefix_count);
}

/* Returns the operand that contains, minContains and maxContains share. */
static f6_contains *
builder_contains(f6_builder *builder)
{
	if (builder->contains == NULL)
	{
		builder->contains = palloc0(sizeof(f6_contains));
		builder->contains->node = F6_NO_NODE;
		builder->contains->minimum = 1;
		builder->contains->maximum = F6_NO_LIMIT;
	}
	return builder->contains;
}

/* Compiles contains. */
static void
compile_contains(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				 const JsonbValue *value)
{
	builder_contains(builder)->node =
		f6_compile_subschema(builder->compiler, value, path, keyword->name);
}

/* Compiles minContains. */
static void
compile_min_contains(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
					 const f6_jsonb_path *path, const JsonbValue *value)
{
	builder_contains(builder)->minimum = size_value(path, value);
	builder->contains->has_minimum = true;
}

/* Compiles maxContains. */
static void
compile_max_contains(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
					 const f6_jsonb_path *path, const JsonbValue *value)
{
	builder_contains(builder)->maximum = size_value(path, value);
}

/* Compiles uniqueItems. */
static void
compile_unique_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	require_boolean(path, value);
	if (value->val.boolean)
		f6_builder_add(builder, F6_OP_UNIQUE_ITEMS, keyword->applies, keyword->name);
}

/* Compiles allOf, anyOf and oneOf. */
static void
compile_combination(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					const JsonbValue *value)
{
	f6_node_list *list = palloc(sizeof(f6_node_list));

	list->nodes = compile_schema_array(builder, keyword, path, value, true, &list->count);
	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.list = list;
}

/* Compiles not. */
static void
compile_not(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			const JsonbValue *value)
{
	f6_node_id node = f6_compile_in_place(builder, value, path, keyword->name);

	f6_builder_add(builder, F6_OP_NOT, keyword->applies, keyword->name)->as.node = node;
}

/* Returns the operand that if, then and else share. */
static f6_condition *
builder_condition(f6_builder *builder)
{
	if (builder->condition == NULL)
	{
		builder->condition = palloc(sizeof(f6_condition));
		builder->condition->test = F6_NO_NODE;
		builder->condition->consequence = F6_NO_NODE;
		builder->condition->alternative = F6_NO_NODE;
	}
	return builder->condition;
}

/* Compiles if. */
static void
compile_if(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
		   const JsonbValue *value)
{
	builder_condition(builder)->test = f6_compile_in_place(builder, value, path, keyword->name);
}

/* Compiles then. */
static void
compile_then(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			 const JsonbValue *value)
{
	builder_condition(builder)->consequence =
		f6_compile_in_place(builder, value, path, keyword->name);
}

/* Compiles else. */
static void
compile_else(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			 const JsonbValue *value)
{
	builder_condition(builder)->alternative =
		f6_compile_in_place(builder, value, path, keyword->name);
}

/* Compiles dependentRequired and dependentSchemas; the operand says which. */
static void
compile_dependencies(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	f6_dependencies *operand = palloc0(sizeof(f6_dependencies));
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue demand;

	require_object(path, value);
	operand->dependencies =
		palloc_extended(Max(f6_jsonb_count(value), 1) * sizeof(f6_dependency), MCXT_ALLOC_HUGE);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &demand))
	{
		f6_dependency *dependency = &operand->dependencies[operand->count++];
		const f6_jsonb_path *place;
		int count;

		dependency->name = name.val.string.val;
		dependency->length = name.val.string.len;
		dependency->required = demand;
		dependency->node = F6_NO_NODE;
		place = f6_schema_path(path, dependency->name, dependency->length, -1);
		if (keyword->operand == F6_OP_DEPENDENT_SCHEMAS)
			dependency->node = f6_compile_in_place(builder, &demand, place, keyword->name);
		else
			pfree(distinct_strings(place, &demand, &count));
	}
	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.dependencies =
		operand;
}

/* Compares two members for qsort. */
static int
compare_members(const void *left, const void *right)
{
	const f6_member *left_member = left;
	const f6_member *right_member = right;

	return f6_jsonb_compare_keys(left_member->name, left_member->length, right_member->name,
								 right_member->length);
}

/* Sorts the members, and makes one of a property that is also required. */
static void
merge_members(f6_members *members)
{
	int kept = 0;
	int i;

	qsort(members->members, members->count, sizeof(f6_member), compare_members);
	for (i = 1; i < members->count; i++)
	{
		f6_member *last = &members->members[kept];
		const f6_member *member = &members->members[i];

		if (compare_members(last, member) == 0)
		{
			last->required = true;
			if (last->node == F6_NO_NODE)
				last->node = member->node;
		}
		else
			members->members[++kept] = *member;
	}
	if (members->count > 0)
		members->count = kept + 1;
}

/*
 * Adds the operations of keywords that mean something together, when all of a subschema's keywords are
 * compiled.
 */
void
f6_keywords_finish(f6_builder *builder)
{
	f6_members *members = builder->members;
	f6_items *items = builder->items;
	f6_contains *contains = builder->contains;
	f6_condition *condition = builder->condition;

	if (members != NULL)
	{
		merge_members(members);
		if (members->count > 0 || members->pattern_count > 0 || members->additional != F6_NO_NODE)
			f6_builder_add(builder, F6_OP_MEMBERS, F6_TYPE_OBJECT, "properties")->as.members =
				members;
	}
	if (items != NULL)
		f6_builder_add(builder, F6_OP_ITEMS, F6_TYPE_ARRAY, "items")->as.items = items;
	if (contains != NULL && contains->node != F6_NO_NODE &&
		(contains->minimum > 0 || contains->maximum != F6_NO_LIMIT))
		f6_builder_add(builder, F6_OP_CONTAINS, F6_TYPE_ARRAY, "contains")->as.contains = contains;
	if (condition != NULL && condition->test != F6_NO_NODE)
		f6_builder_add(builder, F6_OP_CONDITION, F6_TYPE_ANY, "if")->as.condition = condition;
}

/* The keywords, sorted by strcmp. */
static const f6_keyword keywords[] = {
	{ "$anchor", compile_unsupported, 0, 0 },
	{ "$comment", compile_annotation, F6_TYPE_STRING, 0 },
	{ "$defs", compile_definitions, 0, 0 },
	{ "$dynamicAnchor", compile_unsupported, 0, 0 },
	{ "$dynamicRef", compile_unsupported, 0, 0 },
	{ "$id", compile_id, 0, 0 },
	{ "$recursiveAnchor", compile_unsupported, 0, 0 },
	{ "$recursiveRef", compile_unsupported, 0, 0 },
	{ "$ref", compile_ref, 0, 0 },
	{ "$schema", compile_dialect, 0, 0 },
	{ "$vocabulary", compile_unsupported, 0, 0 },
	{ "additionalItems", compile_unsupported, 0, 0 },
	{ "additionalProperties", compile_additional_properties, 0, 0 },
	{ "allOf", compile_combination, F6_OP_ALL_OF, F6_TYPE_ANY },
	{ "anyOf", compile_combination, F6_OP_ANY_OF, F6_TYPE_ANY },
	{ "const", compile_const, 0, F6_TYPE_ANY },
	{ "contains", compile_contains, 0, 0 },
	{ "contentEncoding", compile_annotation, F6_TYPE_STRING, 0 },
	{ "contentMediaType", compile_annotation, F6_TYPE_STRING, 0 },
	{ "contentSchema", compile_unused, 0, 0 },
	{ "default", compile_annotation, F6_TYPE_ANY, 0 },
	{ "definitions", compile_definitions, 0, 0 },
	{ "dependencies", compile_unsupported, 0, 0 },
	{ "dependentRequired", compile_dependencies, F6_OP_DEPENDENT_REQUIRED, F6_TYPE_OBJECT },
	{ "dependentSchemas", compile_dependencies, F6_OP_DEPENDENT_SCHEMAS, F6_TYPE_OBJECT },
	{ "deprecated", compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "description", compile_annotation, F6_TYPE_STRING, 0 },
	{ "else", compile_else, 0, 0 },
	{ "enum", compile_enum, 0, F6_TYPE_ANY },
	{ "examples", compile_annotation, F6_TYPE_ARRAY, 0 },
	{ "exclusiveMaximum", compile_bound, F6_OP_EXCLUSIVE_MAXIMUM, F6_TYPE_NUMBER },
	{ "exclusiveMinimum", compile_bound, F6_OP_EXCLUSIVE_MINIMUM, F6_TYPE_NUMBER },
	{ "format", compile_unsupported, 0, 0 },
	{ "if", compile_if, 0, 0 },
	{ "items", compile_items, 0, 0 },
	{ "maxContains", compile_max_contains, 0, 0 },
	{ "maxItems", compile_size_maximum, F6_OP_MAX_ITEMS, F6_TYPE_ARRAY },
	{ "maxLength", compile_size_maximum, F6_OP_MAX_LENGTH, F6_TYPE_STRING },
	{ "maxProperties", compile_size_maximum, F6_OP_MAX_PROPERTIES, F6_TYPE_OBJECT },
	{ "maximum", compile_bound, F6_OP_MAXIMUM, F6_TYPE_NUMBER },
	{ "minContains", compile_min_contains, 0, 0 },
	{ "minItems", compile_size_minimum, F6_OP_MIN_ITEMS, F6_TYPE_ARRAY },
	{ "minLength", compile_size_minimum, F6_OP_MIN_LENGTH, F6_TYPE_STRING },
	{ "minProperties", compile_size_minimum, F6_OP_MIN_PROPERTIES, F6_TYPE_OBJECT },
	{ "minimum", compile_bound, F6_OP_MINIMUM, F6_TYPE_NUMBER },
	{ "multipleOf", compile_multiple_of, 0, F6_TYPE_NUMBER },
	{ "not", compile_not, 0, F6_TYPE_ANY },
	{ "oneOf", compile_combination, F6_OP_ONE_OF, F6_TYPE_ANY },
	{ "pattern", compile_pattern, 0, F6_TYPE_STRING },
	{ "patternProperties", compile_pattern_properties, 0, 0 },
	{ "prefixItems", compile_prefix_items, 0, 0 },
	{ "properties", compile_properties, 0, 0 },
	{ "propertyNames", compile_property_names, 0, F6_TYPE_OBJECT },
	{ "readOnly", compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "required", compile_required, 0, 0 },
	{ "then", compile_then, 0, 0 },
	{ "title", compile_annotation, F6_TYPE_STRING, 0 },
	{ "type", compile_type, 0, F6_TYPE_ANY },
	{ "unevaluatedItems", compile_unsupported, 0, 0 },
	{ "unevaluatedProperties", compile_unsupported, 0, 0 },
	{ "uniqueItems", compile_unique_items, 0, F6_TYPE_ARRAY },
	{ "writeOnly", compile_annotation, F6_TYPE_BOOLEAN, 0 },
};

/* Returns the keyword with this name, or NULL. */
const f6_keyword *
f6_keyword_find(const char *name, int length)
{
	int low = 0;
	int high = lengthof(keywords) - 1;

	while (low <= high)
	{
		int middle = (low + high) / 2;
		const char *candidate = keywords[middle].name;
		int order = strncmp(name, candidate, length);

		if (order == 0 && candidate[length] != '\0')
			order = -1;
		if (order == 0)
			return &keywords[middle];
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}
