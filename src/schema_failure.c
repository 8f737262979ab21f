/*
 * schema_failure.c
 *		The words of a failed validation.
 *
 * An instance may hold personal data, and errors end up in logs: so a message quotes the schema, and
 * says no more of the instance than its type and size.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "f6.h"
#include "schema_failure.h"

/* A message quotes at most this many bytes of a text, and this many values of an enum. */
#define F6_MAX_QUOTED_BYTES	 100
#define F6_MAX_QUOTED_VALUES 10

/* Creates a failure in the current memory context; the message is not copied. */
f6_failure *
f6_failure_create(const f6_jsonb_path *instance, const f6_jsonb_path *schema, const char *keyword,
				  char *message)
{
	f6_failure *failure = palloc(sizeof(f6_failure));
	StringInfoData location;

	initStringInfo(&location);
	f6_jsonb_path_append(&location, instance);
	failure->instance_location = location.data;

	initStringInfo(&location);
	f6_jsonb_path_append(&location, schema);
	failure->schema_location = location.data;

	failure->keyword = keyword;
	failure->message = message;
	return failure;
}

/* Returns the number of characters of a string. */
uint32
f6_string_length(const JsonbValue *value)
{
	const char *text = value->val.string.val;
	int length = value->val.string.len;
	uint32 characters = 0;
	int i;

	if (GetDatabaseEncoding() != PG_UTF8)
		return pg_mbstrlen_with_len(text, length);

	/* Every character has one byte that doesn't continue another. */
	for (i = 0; i < length; i++)
		characters += ((unsigned char) text[i] & 0xc0) != 0x80;
	return characters;
}

/* Appends a text of the schema as a JSON string, shortened. */
static void
append_quoted(StringInfo message, const char *text, int length)
{
	int shown = pg_mbcliplen(text, length, F6_MAX_QUOTED_BYTES);
	char *copy = pnstrdup(text, shown);

	if (shown < length)
		copy = psprintf("%s...", copy);
	escape_json(message, copy);
}

/* Appends a number of the schema, shortened. */
static void
append_number(StringInfo message, Numeric number)
{
	char *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

	if (strlen(text) > F6_MAX_QUOTED_BYTES)
		appendStringInfo(message, "%.*s...", F6_MAX_QUOTED_BYTES, text);
	else
		appendStringInfoString(message, text);
}

/* Appends a value of the schema: scalars as JSON, the rest by type. */
static void
append_value(StringInfo message, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(message, "null");
			break;
		case jbvBool:
			appendStringInfoString(message, value->val.boolean ? "true" : "false");
			break;
		case jbvNumeric:
			append_number(message, value->val.numeric);
			break;
		case jbvString:
			append_quoted(message, value->val.string.val, value->val.string.len);
			break;
		default:
			appendStringInfo(message, "a certain %s", f6_jsonb_type_name(value));
			break;
	}
}

/* Appends the values that const or enum allows. */
static void
append_values(StringInfo message, const f6_values *values)
{
	int i;

	if (values->count == 0)
		appendStringInfoString(message, "no value");
	else if (values->count > 1)
		appendStringInfoString(message, "one of ");
	for (i = 0; i < values->count; i++)
	{
		if (i > 0)
			appendStringInfoString(message, ", ");
		if (i == F6_MAX_QUOTED_VALUES)
		{
			appendStringInfo(message, "%d more", values->count - i);
			return;
		}
		append_value(message, &values->values[i]);
	}
}

/* Appends the names of types. */
static void
append_types(StringInfo message, uint32 types)
{
	static const char *const names[] = {
		"null",	 "boolean", "number",  "string",
		"array", "object",	"integer", "integer without a fraction"
	};
	const char *separator = "";
	int i;

	for (i = 0; i < (int) lengthof(names); i++)
	{
		if ((types & (1U << i)) != 0)
		{
			appendStringInfo(message, "%s%s", separator, names[i]);
			separator = " or ";
		}
	}
}

/* Appends what a bound on numbers expects. */
static void
append_bound(StringInfo message, const f6_op *op)
{
	const char *relation;
	const char *found;

	switch (op->code)
	{
		case F6_OP_MINIMUM:
			relation = "of at least";
			found = "a smaller one";
			break;
		case F6_OP_MAXIMUM:
			relation = "of at most";
			found = "a larger one";
			break;
		case F6_OP_EXCLUSIVE_MINIMUM:
			relation = "greater than";
			found = "one that is not";
			break;
		default:
			relation = "less than";
			found = "one that is not";
			break;
	}
	appendStringInfo(message, "expected a number %s ", relation);
	append_number(message, op->as.number);
	appendStringInfo(message, ", found %s", found);
}

/* Returns the message for a count that is out of bounds; the units are the singular and the plural. */
char *
f6_failure_count(const char *bound, uint32 limit, const char *unit, const char *units, uint32 found)
{
	return psprintf("expected %s %u %s, found %u", bound, limit, limit == 1 ? unit : units, found);
}

/* Returns the message for a member that is missing, because it is required or another is there. */
char *
f6_failure_missing(const char *name, int length, const f6_dependency *dependency)
{
	StringInfoData message;

	initStringInfo(&message);
	appendStringInfoString(&message, "expected property ");
	append_quoted(&message, name, length);
	if (dependency != NULL)
	{
		appendStringInfoString(&message, " beside property ");
		append_quoted(&message, dependency->name, dependency->length);
	}
	appendStringInfoString(&message, ", found none");
	return message.data;
}

/* Returns the message for an instance that not exactly one of several schemas accepts. */
char *
f6_failure_matches(int schemas, int accepting)
{
	return psprintf("expected a value that exactly one of %d schemas accepts, found one that %s",
					schemas, accepting == 0 ? "none accepts" : "more than one accepts");
}

/* Returns the message for an operation that does not accept the value. */
char *
f6_failure_message(const f6_op *op, const JsonbValue *value)
{
	const char *found = f6_jsonb_type_name(value);
	StringInfoData message;
	const char *source;
	int length;

	initStringInfo(&message);
	switch (op->code)
	{
		case F6_OP_TYPE:
			appendStringInfoString(&message, "expected ");
			append_types(&message, op->as.types);
			appendStringInfo(&message, ", found %s", found);
			break;
		case F6_OP_CONST:
		case F6_OP_ENUM:
			appendStringInfoString(&message, "expected ");
			append_values(&message, op->as.values);
			appendStringInfo(&message, ", found another %s", found);
			break;
		case F6_OP_MINIMUM:
		case F6_OP_MAXIMUM:
		case F6_OP_EXCLUSIVE_MINIMUM:
		case F6_OP_EXCLUSIVE_MAXIMUM:
			append_bound(&message, op);
			break;
		case F6_OP_MULTIPLE_OF:
			appendStringInfoString(&message, "expected a multiple of ");
			append_number(&message, op->as.divisor->number);
			appendStringInfoString(&message, ", found another number");
			break;
		case F6_OP_MIN_LENGTH:
			return f6_failure_count("at least", op->as.limit, "character", "characters",
									f6_string_length(value));
		case F6_OP_MAX_LENGTH:
			return f6_failure_count("at most", op->as.limit, "character", "characters",
									f6_string_length(value));
		case F6_OP_FORMAT:
			appendStringInfoString(&message, "expected a string of the format ");
			append_quoted(&message, op->as.format->name, op->as.format->length);
			appendStringInfoString(&message, ", found another one");
			break;
		case F6_OP_CONTENT_ENCODING:
			appendStringInfoString(&message, "expected a string of base64, found another one");
			break;
		case F6_OP_CONTENT_MEDIA_TYPE:
			appendStringInfo(&message, "expected a string of %s, found another one",
							 op->as.is_base64 ? "JSON in base64" : "JSON");
			break;
		case F6_OP_PATTERN:
			source = f6_pattern_source(op->as.pattern, &length);
			appendStringInfoString(&message, "expected a string that matches ");
			append_quoted(&message, source, length);
			appendStringInfoString(&message, ", found another string");
			break;
		case F6_OP_MIN_ITEMS:
			return f6_failure_count("at least", op->as.limit, "item", "items",
									f6_jsonb_count(value));
		case F6_OP_MAX_ITEMS:
			return f6_failure_count("at most", op->as.limit, "item", "items",
									f6_jsonb_count(value));
		case F6_OP_MIN_PROPERTIES:
			return f6_failure_count("at least", op->as.limit, "property", "properties",
									f6_jsonb_count(value));
		case F6_OP_MAX_PROPERTIES:
			return f6_failure_count("at most", op->as.limit, "property", "properties",
									f6_jsonb_count(value));
		case F6_OP_UNIQUE_ITEMS:
			appendStringInfoString(&message, "expected items that all differ, found equal ones");
			break;
		case F6_OP_ANY_OF:
			appendStringInfo(&message,
							 "expected a value that at least one of %d schemas accepts, found "
							 "another %s",
							 op->as.list->count, found);
			break;
		case F6_OP_NOT:
			appendStringInfo(&message, "expected a value that the schema does not accept, found %s",
							 found);
			break;
		default:
			elog(ERROR, "unexpected schema operation %d", (int) op->code);
			break;
	}
	return message.data;
}
