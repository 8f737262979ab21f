/*
 * schema_assert.c
 *		Checking one value: the operations that look at no subschema.
 *
 * Nothing here allocates, but for uniqueItems of many items, multipleOf a number that is no power of ten,
 * and text in a database whose encoding isn't UTF-8.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "schema_assert.h"
#include "schema_content.h"
#include "schema_failure.h"

/* Up to this many items are compared pairwise, more are sorted. */
#define F6_MAX_PAIRWISE_ITEMS 16

/* An item of an array with its hash, for sorting. */
typedef struct f6_hashed_item
{
	uint32 hash;
	JsonbValue value;
} f6_hashed_item;

/* Checks type; an integer is a number without a fraction. */
static bool
check_type(uint32 types, const JsonbValue *value)
{
	if ((types & f6_type_bit(value)) != 0)
		return true;
	if (value->type != jbvNumeric)
		return false;
	if ((types & F6_TYPE_INTEGER) != 0)
		return f6_jsonb_number_is_integer(value->val.numeric);
	return (types & F6_TYPE_WRITTEN) != 0 &&
		   DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(value->val.numeric))) ==
			   0;
}

/* Checks what a text of UTF-8 says. */
static bool
check_utf8(const f6_op *op, const char *text, int length)
{
	switch (op->code)
	{
		case F6_OP_CONTENT_ENCODING:
			return f6_content_is_base64(text, length);
		case F6_OP_CONTENT_MEDIA_TYPE:
			return f6_content_is_json(text, length, op->as.is_base64);
		default:
			return op->as.format->check(text, length);
	}
}

/* Checks format, contentEncoding and contentMediaType. */
static bool
check_text(const f6_op *op, const JsonbValue *value)
{
	const char *text = value->val.string.val;
	int length = value->val.string.len;
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);
	bool result;

	if (utf8 == text)
		return check_utf8(op, text, length);
	result = check_utf8(op, utf8, strlen(utf8));
	pfree(utf8);
	return result;
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
	uint32 length = value->val.string.len;

	if (length / MAX_MULTIBYTE_CHAR_LEN >= limit)
		return true;
	return length >= limit && f6_string_length(value) >= limit;
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

/* Tells whether a value that an operation concerns passes it; the operation looks at no subschema. */
bool
f6_assertion_holds(const f6_op *op, const JsonbValue *value)
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
		case F6_OP_FORMAT:
		case F6_OP_CONTENT_ENCODING:
		case F6_OP_CONTENT_MEDIA_TYPE:
			return check_text(op, value);
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
