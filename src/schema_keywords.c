/*
 * schema_keywords.c
 *		The keywords of drafts 4, 6, 7, 2019-09 and 2020-12.
 *
 * A keyword whose meaning changed from draft to draft has a line for each meaning.  One that isn't in the
 * table, or not in the schema's draft or vocabularies, is unknown and means nothing, as the specification
 * says.
 */
#include "postgres.h"

#include "f6.h"
#include "schema_keywords.h"

#define ALL	 F6_DRAFTS_ALL
#define D4	 F6_DRAFT_4
#define D6	 F6_DRAFTS_FROM_6
#define D7	 F6_DRAFTS_FROM_7
#define D19	 F6_DRAFTS_FROM_2019
#define D20	 F6_DRAFT_2020_12
#define TO19 F6_DRAFTS_TO_2019

#define CORE   F6_VOCABULARY_CORE
#define APPLY  F6_VOCABULARY_APPLICATOR
#define REST   F6_VOCABULARY_UNEVALUATED
#define VALID  F6_VOCABULARY_VALIDATION
#define META   F6_VOCABULARY_META_DATA
#define FORMAT F6_VOCABULARY_FORMAT
#define TEXT   F6_VOCABULARY_CONTENT

#define SCHEMA	 F6_HOLDS_SCHEMA
#define ELEMENTS F6_HOLDS_ELEMENTS
#define MEMBERS	 F6_HOLDS_MEMBERS

/* The keywords, sorted by name as strcmp does. */
static const f6_keyword keywords[] = {
	/* clang-format off */
	{ "$anchor", D19, CORE, 0, f6_compile_anchor, 0, 0 },
	{ "$comment", D7, CORE, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "$defs", D19, CORE, MEMBERS, f6_compile_definitions, 0, 0 },
	{ "$dynamicAnchor", D20, CORE, 0, f6_compile_anchor, 0, 0 },
	{ "$dynamicRef", D20, CORE, 0, f6_compile_dynamic_ref, 0, 0 },
	{ "$id", D6, CORE, 0, f6_compile_id, 0, 0 },
	{ "$recursiveAnchor", F6_DRAFT_2019_09, CORE, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "$recursiveRef", F6_DRAFT_2019_09, CORE, 0, f6_compile_dynamic_ref, 0, 0 },
	{ "$ref", ALL, CORE, 0, f6_compile_ref, 0, 0 },
	{ "$schema", ALL, CORE, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "$vocabulary", D19, CORE, 0, f6_compile_vocabulary, 0, 0 },
	{ "additionalItems", TO19, APPLY, SCHEMA, f6_compile_additional_items, 0, 0 },
	{ "additionalProperties", ALL, APPLY, SCHEMA, f6_compile_additional_properties, 0, 0 },
	{ "allOf", ALL, APPLY, ELEMENTS, f6_compile_combination, F6_OP_ALL_OF, F6_TYPE_ANY },
	{ "anyOf", ALL, APPLY, ELEMENTS, f6_compile_combination, F6_OP_ANY_OF, F6_TYPE_ANY },
	{ "const", D6, VALID, 0, f6_compile_const, 0, F6_TYPE_ANY },
	{ "contains", D6, APPLY, SCHEMA, f6_compile_contains, 0, 0 },
	{ "contentEncoding", F6_DRAFT_7, TEXT, 0, f6_compile_content, F6_OP_CONTENT_ENCODING, F6_TYPE_STRING },
	{ "contentEncoding", D19, TEXT, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "contentMediaType", F6_DRAFT_7, TEXT, 0, f6_compile_content, F6_OP_CONTENT_MEDIA_TYPE, F6_TYPE_STRING },
	{ "contentMediaType", D19, TEXT, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "contentSchema", D19, TEXT, SCHEMA, f6_compile_unused, 0, 0 },
	{ "default", ALL, META, 0, f6_compile_annotation, F6_TYPE_ANY, 0 },
	{ "definitions", ALL, CORE, MEMBERS, f6_compile_definitions, 0, 0 },
	{ "dependencies", ALL, APPLY, MEMBERS, f6_compile_dependencies, F6_OP_DEPENDENCIES, F6_TYPE_OBJECT },
	{ "dependentRequired", D19, VALID, 0, f6_compile_dependencies, F6_OP_DEPENDENT_REQUIRED, F6_TYPE_OBJECT },
	{ "dependentSchemas", D19, APPLY, MEMBERS, f6_compile_dependencies, F6_OP_DEPENDENT_SCHEMAS, F6_TYPE_OBJECT },
	{ "deprecated", D19, META, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "description", ALL, META, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "else", D7, APPLY, SCHEMA, f6_compile_condition, F6_CONDITION_ELSE, 0 },
	{ "enum", ALL, VALID, 0, f6_compile_enum, 0, F6_TYPE_ANY },
	{ "examples", D6, META, 0, f6_compile_annotation, F6_TYPE_ARRAY, 0 },
	{ "exclusiveMaximum", D4, VALID, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "exclusiveMaximum", D6, VALID, 0, f6_compile_bound, F6_OP_EXCLUSIVE_MAXIMUM, F6_TYPE_NUMBER },
	{ "exclusiveMinimum", D4, VALID, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "exclusiveMinimum", D6, VALID, 0, f6_compile_bound, F6_OP_EXCLUSIVE_MINIMUM, F6_TYPE_NUMBER },
	{ "format", ALL, FORMAT, 0, f6_compile_format, 0, F6_TYPE_STRING },
	{ "id", D4, CORE, 0, f6_compile_id, 0, 0 },
	{ "if", D7, APPLY, SCHEMA, f6_compile_condition, 0, 0 },
	{ "items", TO19, APPLY, SCHEMA | ELEMENTS, f6_compile_items, 0, 0 },
	{ "items", D20, APPLY, SCHEMA, f6_compile_items, 0, 0 },
	{ "maxContains", D19, VALID, 0, f6_compile_contains, F6_CONTAINS_MAXIMUM, 0 },
	{ "maxItems", ALL, VALID, 0, f6_compile_size_maximum, F6_OP_MAX_ITEMS, F6_TYPE_ARRAY },
	{ "maxLength", ALL, VALID, 0, f6_compile_size_maximum, F6_OP_MAX_LENGTH, F6_TYPE_STRING },
	{ "maxProperties", ALL, VALID, 0, f6_compile_size_maximum, F6_OP_MAX_PROPERTIES, F6_TYPE_OBJECT },
	{ "maximum", ALL, VALID, 0, f6_compile_bound, F6_OP_MAXIMUM, F6_TYPE_NUMBER },
	{ "minContains", D19, VALID, 0, f6_compile_contains, F6_CONTAINS_MINIMUM, 0 },
	{ "minItems", ALL, VALID, 0, f6_compile_size_minimum, F6_OP_MIN_ITEMS, F6_TYPE_ARRAY },
	{ "minLength", ALL, VALID, 0, f6_compile_size_minimum, F6_OP_MIN_LENGTH, F6_TYPE_STRING },
	{ "minProperties", ALL, VALID, 0, f6_compile_size_minimum, F6_OP_MIN_PROPERTIES, F6_TYPE_OBJECT },
	{ "minimum", ALL, VALID, 0, f6_compile_bound, F6_OP_MINIMUM, F6_TYPE_NUMBER },
	{ "multipleOf", ALL, VALID, 0, f6_compile_multiple_of, 0, F6_TYPE_NUMBER },
	{ "not", ALL, APPLY, SCHEMA, f6_compile_not, 0, F6_TYPE_ANY },
	{ "oneOf", ALL, APPLY, ELEMENTS, f6_compile_combination, F6_OP_ONE_OF, F6_TYPE_ANY },
	{ "pattern", ALL, VALID, 0, f6_compile_pattern, 0, F6_TYPE_STRING },
	{ "patternProperties", ALL, APPLY, MEMBERS, f6_compile_pattern_properties, 0, 0 },
	{ "prefixItems", D20, APPLY, ELEMENTS, f6_compile_prefix_items, 0, 0 },
	{ "properties", ALL, APPLY, MEMBERS, f6_compile_properties, 0, 0 },
	{ "propertyNames", D6, APPLY, SCHEMA, f6_compile_children, F6_OP_PROPERTY_NAMES, F6_TYPE_OBJECT },
	{ "readOnly", D7, META, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	{ "required", ALL, VALID, 0, f6_compile_required, 0, 0 },
	{ "then", D7, APPLY, SCHEMA, f6_compile_condition, F6_CONDITION_THEN, 0 },
	{ "title", ALL, META, 0, f6_compile_annotation, F6_TYPE_STRING, 0 },
	{ "type", ALL, VALID, 0, f6_compile_type, 0, F6_TYPE_ANY },
	{ "unevaluatedItems", D19, REST, SCHEMA, f6_compile_children, F6_OP_UNEVALUATED_ITEMS, F6_TYPE_ARRAY },
	{ "unevaluatedProperties", D19, REST, SCHEMA, f6_compile_children, F6_OP_UNEVALUATED_PROPERTIES, F6_TYPE_OBJECT },
	{ "uniqueItems", ALL, VALID, 0, f6_compile_unique_items, 0, F6_TYPE_ARRAY },
	{ "writeOnly", D7, META, 0, f6_compile_annotation, F6_TYPE_BOOLEAN, 0 },
	/* clang-format on */
};

/* Orders a name and a keyword's. */
static int
compare_name(const char *name, int length, const char *keyword)
{
	int order = strncmp(name, keyword, length);

	return order == 0 && keyword[length] != '\0' ? -1 : order;
}

/* Returns the first line of the table with this name, or the number of lines. */
static int
find_line(const char *name, int length)
{
	int low = 0;
	int high = lengthof(keywords);

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (compare_name(name, length, keywords[middle].name) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Returns what a keyword means in a dialect, or NULL if that is nothing. */
const f6_keyword *
f6_keyword_find(const char *name, int length, const f6_dialect *dialect)
{
	int i;

	for (i = find_line(name, length); i < (int) lengthof(keywords); i++)
	{
		const f6_keyword *keyword = &keywords[i];

		if (compare_name(name, length, keyword->name) != 0)
			break;
		if ((keyword->drafts & dialect->draft) != 0)
			return (keyword->vocabulary & dialect->vocabularies) != 0 ? keyword : NULL;
	}
	return NULL;
}
