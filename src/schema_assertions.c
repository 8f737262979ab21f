/*
 * schema_assertions.c
 *		What the keywords compile to that look at one value alone: no subschemas.
 *
 * A compile function checks the keyword's value as the metaschema does, and adds operations to the
 * builder.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_keywords.h"

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
void
f6_require_object(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (!f6_jsonb_is_object(value))
		refuse_value(path, "an object", value);
}

/* Raises an error unless the value is an array. */
void
f6_require_array(const f6_jsonb_path *path, const JsonbValue *value)
{
	if (!f6_jsonb_is_array(value))
		refuse_value(path, "an array", value);
}

/* Raises an error unless the value is a string. */
void
f6_require_string(const f6_jsonb_path *path, const JsonbValue *value)
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
uint32
f6_size_value(const f6_jsonb_path *path, const JsonbValue *value)
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
JsonbValue *
f6_distinct_strings(const f6_jsonb_path *path, const JsonbValue *value, int *count)
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
void
f6_compile_annotation(f6_builder *builder pg_attribute_unused(), const f6_keyword *keyword,
					  const f6_jsonb_path *path, const JsonbValue *value)
{
	switch (keyword->operand)
	{
		case F6_TYPE_STRING:
			f6_require_string(path, value);
			break;
		case F6_TYPE_BOOLEAN:
			require_boolean(path, value);
			break;
		case F6_TYPE_ARRAY:
			f6_require_array(path, value);
			break;
		default:
			break;
	}
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
void
f6_compile_type(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				const JsonbValue *value)
{
	uint32 types = 0;

	if (f6_jsonb_is_array(value))
	{
		int count;
		JsonbValue *names = f6_distinct_strings(path, value, &count);
		int i;

		if (count == 0)
			f6_schema_invalid(path, F6_TYPE_EXPECTED, "an empty array");
		for (i = 0; i < count; i++)
			types |= type_value(path, &names[i]);
	}
	else
		types = type_value(path, value);
	if (builder->resource->dialect.draft == F6_DRAFT_4 && (types & F6_TYPE_INTEGER) != 0)
		types ^= F6_TYPE_INTEGER | F6_TYPE_WRITTEN;
	f6_builder_add(builder, F6_OP_TYPE, keyword->applies, keyword->name)->as.types = types;
}

/* Compiles const. */
void
f6_compile_const(f6_builder *builder, const f6_keyword *keyword,
				 const f6_jsonb_path *path pg_attribute_unused(), const JsonbValue *value)
{
	f6_values *values = palloc(sizeof(f6_values));

	values->count = 1;
	values->values = palloc(sizeof(JsonbValue));
	values->values[0] = *value;
	f6_builder_add(builder, F6_OP_CONST, keyword->applies, keyword->name)->as.values = values;
}

/* Compiles enum. */
void
f6_compile_enum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				const JsonbValue *value)
{
	f6_values *values = palloc(sizeof(f6_values));

	f6_require_array(path, value);
	values->values = sorted_elements(value, &values->count);
	f6_builder_add(builder, F6_OP_ENUM, keyword->applies, keyword->name)->as.values = values;
}

/* Tells whether a bound of draft 4 is made exclusive by the boolean beside it. */
static bool
is_exclusive(const f6_builder *builder, f6_opcode bound)
{
	const char *name = bound == F6_OP_MINIMUM ? "exclusiveMinimum" : "exclusiveMaximum";
	JsonbValue value;

	return builder->resource->dialect.draft == F6_DRAFT_4 &&
		   f6_jsonb_get(&builder->schema, name, strlen(name), &value) && value.type == jbvBool &&
		   value.val.boolean;
}

/* Compiles minimum, maximum and the exclusive ones. */
void
f6_compile_bound(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				 const JsonbValue *value)
{
	f6_opcode code = keyword->operand;

	require_number(path, value);
	if (is_exclusive(builder, code))
		code = code == F6_OP_MINIMUM ? F6_OP_EXCLUSIVE_MINIMUM : F6_OP_EXCLUSIVE_MAXIMUM;
	f6_builder_add(builder, code, keyword->applies, keyword->name)->as.number = value->val.numeric;
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
void
f6_compile_multiple_of(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
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
void
f6_compile_size_minimum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						const JsonbValue *value)
{
	uint32 limit = f6_size_value(path, value);

	if (limit > 0)
		f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.limit =
			limit;
}

/* Compiles an upper limit on a size. */
void
f6_compile_size_maximum(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						const JsonbValue *value)
{
	uint32 limit = f6_size_value(path, value);

	if (limit != F6_NO_LIMIT)
		f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.limit =
			limit;
}

/* Returns the compiled regular expression of a string; raises an error if it is none. */
f6_pattern *
f6_pattern_value(f6_builder *builder, const f6_jsonb_path *path, const JsonbValue *value)
{
	char *problem = NULL;
	f6_pattern *pattern = f6_pattern_compile(builder->compiler->patterns, value->val.string.val,
											 value->val.string.len, &problem);

	if (pattern == NULL)
		f6_schema_invalid(path, "a regular expression", psprintf("an error (%s)", problem));
	return pattern;
}

/* Compiles pattern. */
void
f6_compile_pattern(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				   const JsonbValue *value)
{
	f6_pattern *pattern;

	f6_require_string(path, value);
	pattern = f6_pattern_value(builder, path, value);
	f6_builder_add(builder, F6_OP_PATTERN, keyword->applies, keyword->name)->as.pattern = pattern;
}

/* Returns the check of a format that the dialect's draft defines, or NULL. */
static f6_format_check
format_check(const JsonbValue *name, const f6_dialect *dialect)
{
	if (name->val.string.len == 5 && memcmp(name->val.string.val, "regex", 5) == 0 &&
		(dialect->draft & F6_DRAFTS_FROM_7) != 0)
		return f6_pattern_is_valid;
	return f6_format_find(name->val.string.val, name->val.string.len, f6_dialect_number(dialect));
}

/* Compiles format, where it asserts; a format that the draft doesn't know is an annotation. */
void
f6_compile_format(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				  const JsonbValue *value)
{
	const f6_dialect *dialect = &builder->resource->dialect;
	f6_format *format;
	f6_format_check check;

	f6_require_string(path, value);
	if (!builder->compiler->asserts_format && !dialect->asserts_format)
		return;
	check = format_check(value, dialect);
	if (check == NULL && dialect->asserts_format && dialect->draft == F6_DRAFT_2020_12)
		f6_schema_unsupported(
			path, psprintf("format \"%.*s\"", value->val.string.len, value->val.string.val));
	if (check == NULL)
		return;
	format = palloc(sizeof(f6_format));
	format->name = value->val.string.val;
	format->length = value->val.string.len;
	format->check = check;
	f6_builder_add(builder, F6_OP_FORMAT, keyword->applies, keyword->name)->as.format = format;
}

/* Tells whether a member of the subschema is a string of this text. */
static bool
has_text(const f6_builder *builder, const char *name, const char *text)
{
	JsonbValue value;

	return f6_jsonb_get(&builder->schema, name, strlen(name), &value) && value.type == jbvString &&
		   value.val.string.len == (int) strlen(text) &&
		   memcmp(value.val.string.val, text, value.val.string.len) == 0;
}

/*
 * Compiles draft 7's contentEncoding and contentMediaType, which assert where format does.  Encodings but
 * base64 and types but JSON are annotations.
 */
void
f6_compile_content(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				   const JsonbValue *value)
{
	bool is_base64 = has_text(builder, "contentEncoding", "base64");
	bool is_known = keyword->operand == F6_OP_CONTENT_ENCODING
						? is_base64
						: has_text(builder, "contentMediaType", "application/json");

	f6_require_string(path, value);
	if (builder->compiler->asserts_format && is_known)
		f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.is_base64 =
			is_base64;
}

/* Compiles uniqueItems. */
void
f6_compile_unique_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						const JsonbValue *value)
{
	require_boolean(path, value);
	if (value->val.boolean)
		f6_builder_add(builder, F6_OP_UNIQUE_ITEMS, keyword->applies, keyword->name);
}

/* Compiles required. */
void
f6_compile_required(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
					const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_members *members = f6_builder_members(builder);
	int count;
	JsonbValue *names = f6_distinct_strings(path, value, &count);
	f6_member *member = f6_members_extend(members, count);
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
