/*
 * schema_program.h
 *		What a JSON Schema compiles to: private to the schema_* files.
 *
 * A program is two flat arrays: a node per subschema, and the operations of each node side by side.
 * Nodes name each other by number, so that a schema may contain itself.  A program is never changed
 * once compiled; it lives in one memory context and points into its own copies of the schema's document
 * and of the registered ones that it refers to.
 */
#ifndef F6_SCHEMA_PROGRAM_H
#define F6_SCHEMA_PROGRAM_H

#include "utils/numeric.h"

#include "format.h"
#include "jsonb_walk.h"
#include "schema_compile.h"
#include "schema_pattern.h"

typedef uint32 f6_node_id;

/* Stands for a subschema that the schema doesn't have. */
#define F6_NO_NODE PG_UINT32_MAX

/* A limit that nothing reaches: a jsonb has fewer members, elements and characters than this. */
#define F6_NO_LIMIT PG_UINT32_MAX

/*
 * The types of instances, as bits.  A number that is an integer has the bit of numbers only.  Draft 4
 * calls a number an integer only if it is written without a fraction.
 */
#define F6_TYPE_NULL	0x01
#define F6_TYPE_BOOLEAN 0x02
#define F6_TYPE_NUMBER	0x04
#define F6_TYPE_STRING	0x08
#define F6_TYPE_ARRAY	0x10
#define F6_TYPE_OBJECT	0x20
#define F6_TYPE_INTEGER 0x40
#define F6_TYPE_WRITTEN 0x80
#define F6_TYPE_ANY		0x3f

/* The operations, cheap ones first: a node runs its own in this order. */
typedef enum f6_opcode
{
	F6_OP_TYPE,
	F6_OP_CONST,
	F6_OP_ENUM,
	F6_OP_MINIMUM,
	F6_OP_MAXIMUM,
	F6_OP_EXCLUSIVE_MINIMUM,
	F6_OP_EXCLUSIVE_MAXIMUM,
	F6_OP_MULTIPLE_OF,
	F6_OP_MIN_LENGTH,
	F6_OP_MAX_LENGTH,
	F6_OP_FORMAT,
	F6_OP_CONTENT_ENCODING,
	F6_OP_CONTENT_MEDIA_TYPE,
	F6_OP_PATTERN,
	F6_OP_MIN_ITEMS,
	F6_OP_MAX_ITEMS,
	F6_OP_MIN_PROPERTIES,
	F6_OP_MAX_PROPERTIES,
	F6_OP_DEPENDENT_REQUIRED,
	F6_OP_MEMBERS,
	F6_OP_PROPERTY_NAMES,
	F6_OP_ITEMS,
	F6_OP_CONTAINS,
	F6_OP_UNIQUE_ITEMS,
	F6_OP_REF,
	F6_OP_DYNAMIC_REF,
	F6_OP_ALL_OF,
	F6_OP_ANY_OF,
	F6_OP_ONE_OF,
	F6_OP_NOT,
	F6_OP_CONDITION,
	F6_OP_DEPENDENT_SCHEMAS,
	F6_OP_DEPENDENCIES,
	F6_OP_UNEVALUATED_ITEMS,
	F6_OP_UNEVALUATED_PROPERTIES
} f6_opcode;

/* A member that a schema names: its subschema, or F6_NO_NODE where it is only required. */
typedef struct f6_member
{
	const char *name;
	int length;
	bool required;
	f6_node_id node;
} f6_member;

typedef struct f6_pattern_member
{
	f6_pattern *pattern;
	f6_node_id node;
} f6_pattern_member;

/*
 * properties, required, patternProperties and additionalProperties: the members sorted as jsonb sorts
 * keys.
 */
typedef struct f6_members
{
	int count;
	int required_count;
	int pattern_count;
	f6_member *members;
	f6_pattern_member *patterns;
	f6_node_id additional;
} f6_members;

/* The schemas of the first items, and that of the rest. */
typedef struct f6_items
{
	int prefix_count;
	f6_node_id *prefix;
	f6_node_id rest;
} f6_items;

/* contains, minContains and maxContains; from draft 2020-12 on, an item that it accepts is evaluated. */
typedef struct f6_contains
{
	f6_node_id node;
	uint32 minimum;
	uint32 maximum;
	bool has_minimum;
	bool evaluates;
} f6_contains;

/* if, then and else. */
typedef struct f6_condition
{
	f6_node_id test;
	f6_node_id consequence;
	f6_node_id alternative;
} f6_condition;

/*
 * $dynamicRef and $recursiveRef: the node that the reference leads to by itself, and the anchor by which
 * a resource in the dynamic scope may take its place.
 */
typedef struct f6_dynamic
{
	f6_node_id node;
	uint32 anchor;
} f6_dynamic;

/* The node that a dynamic anchor names in a resource. */
typedef struct f6_dynamic_target
{
	uint32 anchor;
	uint32 resource;
	f6_node_id node;
} f6_dynamic_target;

/* Orders two of them, for qsort and bsearch. */
static inline int
f6_dynamic_target_compare(const void *left, const void *right)
{
	const f6_dynamic_target *first = left;
	const f6_dynamic_target *second = right;

	if (first->anchor != second->anchor)
		return first->anchor < second->anchor ? -1 : 1;
	if (first->resource != second->resource)
		return first->resource < second->resource ? -1 : 1;
	return 0;
}

/* format: the text's check, for texts of UTF-8. */
typedef struct f6_format
{
	const char *name;
	int length;
	f6_format_check check;
} f6_format;

typedef struct f6_node_list
{
	int count;
	f6_node_id *nodes;
} f6_node_list;

/* Values of const and enum, sorted by f6_jsonb_compare. */
typedef struct f6_values
{
	int count;
	JsonbValue *values;
} f6_values;

/* What the presence of one member demands: other members, or a subschema of the whole object. */
typedef struct f6_dependency
{
	const char *name;
	int length;
	JsonbValue required; /* an array of strings */
	f6_node_id node;
} f6_dependency;

typedef struct f6_dependencies
{
	int count;
	f6_dependency *dependencies;
} f6_dependencies;

/* multipleOf: a power of ten from 1 downwards is decided by counting digits. */
typedef struct f6_divisor
{
	Numeric number;
	Numeric zero;
	int decimals; /* -1: not such a power */
} f6_divisor;

typedef struct f6_op
{
	f6_opcode code;
	uint32 applies; /* the types of instances that it concerns */
	const char *keyword;
	const f6_jsonb_path *schema; /* the subschema that holds the keyword */
	union
	{
		uint32 types;
		uint32 limit;
		bool is_base64; /* what has a media type is encoded as well */
		Numeric number;
		f6_pattern *pattern;
		f6_node_id node;
		f6_values *values;
		f6_divisor *divisor;
		f6_members *members;
		f6_items *items;
		f6_contains *contains;
		f6_condition *condition;
		f6_dynamic *dynamic;
		f6_format *format;
		f6_node_list *list;
		f6_dependencies *dependencies;
	} as;
} f6_op;

typedef struct f6_node
{
	bool is_false; /* accepts nothing; one without operations that isn't accepts all */
	bool tracks;   /* an operation asks which members or items others have evaluated */
	uint32 resource;
	uint32 first_op;
	uint32 op_count;
	const char *keyword; /* the keyword that holds the subschema */
	const f6_jsonb_path *schema;
} f6_node;

struct f6_program
{
	Jsonb *document;
	f6_node *nodes;
	f6_op *ops;
	uint32 node_count;
	uint32 op_count;
	f6_node_id root;

	/* What dynamic references may lead to, sorted by anchor and resource. */
	f6_dynamic_target *targets;
	uint32 target_count;

	bool uses_registry; /* it holds what f6.schema held at this generation */
	uint64 generation;
};

#endif /* F6_SCHEMA_PROGRAM_H */
