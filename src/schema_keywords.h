/*
 * schema_keywords.h
 *		What the files that compile a schema share: schema_compile.c (subschemas, references),
 *		schema_keywords.c (the table), schema_assertions.c and schema_applicators.c (meanings).
 */
#ifndef F6_SCHEMA_KEYWORDS_H
#define F6_SCHEMA_KEYWORDS_H

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "schema_dialect.h"
#include "schema_program.h"
#include "schema_resource.h"

/* A compilation under way. */
typedef struct f6_compiler
{
	f6_resources *resources;
	bool asserts_format;	/* the caller wants format to assert */
	bool tolerates_absence; /* a reference to a document that isn't registered is no error */
	HTAB *compiled;			/* node by subschema */
	f6_pattern_set *patterns;
	f6_program *program;
	uint32 node_space;
	uint32 op_space;
	List *edges; /* pairs of nodes: the second is applied to the same instance */
} f6_compiler;

/* One subschema being compiled: its operations so far, and the keywords that only mean something together. */
typedef struct f6_builder
{
	f6_compiler *compiler;
	f6_resource *resource;
	JsonbValue schema;
	const f6_jsonb_path *path;
	f6_node_id node;
	List *ops;
	f6_members *members;
	f6_items *items;
	f6_contains *contains;
	f6_condition *condition;
} f6_builder;

/* Compiles one keyword of a subschema. */
typedef struct f6_keyword f6_keyword;
typedef void (*f6_keyword_compile)(f6_builder *builder, const f6_keyword *keyword,
								   const f6_jsonb_path *path, const JsonbValue *value);

/* Where a keyword's value holds subschemas, as bits. */
#define F6_HOLDS_SCHEMA	  0x01
#define F6_HOLDS_ELEMENTS 0x02
#define F6_HOLDS_MEMBERS  0x04

/* Which of the keywords that share an operand is compiled. */
#define F6_CONTAINS_MINIMUM 1
#define F6_CONTAINS_MAXIMUM 2
#define F6_CONDITION_THEN	1
#define F6_CONDITION_ELSE	2

/*
 * A keyword that f6 knows, in some drafts and as a part of a vocabulary.  The operand is what the compile
 * function makes of it: an operation's code, or the type that an annotation must have.  An operation
 * concerns the types of instances in applies.
 */
struct f6_keyword
{
	const char *name;
	int drafts;
	int vocabulary;
	int holds;
	f6_keyword_compile compile;
	int operand;
	uint32 applies;
};

/* schema_keywords.c */
extern const f6_keyword *f6_keyword_find(const char *name, int length, const f6_dialect *dialect);

/* schema_assertions.c */
extern void f6_compile_annotation(f6_builder *builder, const f6_keyword *keyword,
								  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_type(f6_builder *builder, const f6_keyword *keyword,
							const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_const(f6_builder *builder, const f6_keyword *keyword,
							 const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_enum(f6_builder *builder, const f6_keyword *keyword,
							const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_bound(f6_builder *builder, const f6_keyword *keyword,
							 const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_multiple_of(f6_builder *builder, const f6_keyword *keyword,
								   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_size_minimum(f6_builder *builder, const f6_keyword *keyword,
									const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_size_maximum(f6_builder *builder, const f6_keyword *keyword,
									const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_pattern(f6_builder *builder, const f6_keyword *keyword,
							   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_format(f6_builder *builder, const f6_keyword *keyword,
							  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_content(f6_builder *builder, const f6_keyword *keyword,
							   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_unique_items(f6_builder *builder, const f6_keyword *keyword,
									const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_required(f6_builder *builder, const f6_keyword *keyword,
								const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_require_object(const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_require_array(const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_require_string(const f6_jsonb_path *path, const JsonbValue *value);
extern uint32 f6_size_value(const f6_jsonb_path *path, const JsonbValue *value);
extern JsonbValue *f6_distinct_strings(const f6_jsonb_path *path, const JsonbValue *value,
									   int *count);
extern f6_pattern *f6_pattern_value(f6_builder *builder, const f6_jsonb_path *path,
									const JsonbValue *value);

/* schema_applicators.c */
extern void f6_compile_id(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						  const JsonbValue *value);
extern void f6_compile_anchor(f6_builder *builder, const f6_keyword *keyword,
							  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_vocabulary(f6_builder *builder, const f6_keyword *keyword,
								  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_ref(f6_builder *builder, const f6_keyword *keyword,
						   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_dynamic_ref(f6_builder *builder, const f6_keyword *keyword,
								   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_definitions(f6_builder *builder, const f6_keyword *keyword,
								   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_unused(f6_builder *builder, const f6_keyword *keyword,
							  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_properties(f6_builder *builder, const f6_keyword *keyword,
								  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_pattern_properties(f6_builder *builder, const f6_keyword *keyword,
										  const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_additional_properties(f6_builder *builder, const f6_keyword *keyword,
											 const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_children(f6_builder *builder, const f6_keyword *keyword,
								const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_items(f6_builder *builder, const f6_keyword *keyword,
							 const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_prefix_items(f6_builder *builder, const f6_keyword *keyword,
									const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_additional_items(f6_builder *builder, const f6_keyword *keyword,
										const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_contains(f6_builder *builder, const f6_keyword *keyword,
								const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_combination(f6_builder *builder, const f6_keyword *keyword,
								   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_not(f6_builder *builder, const f6_keyword *keyword,
						   const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_condition(f6_builder *builder, const f6_keyword *keyword,
								 const f6_jsonb_path *path, const JsonbValue *value);
extern void f6_compile_dependencies(f6_builder *builder, const f6_keyword *keyword,
									const f6_jsonb_path *path, const JsonbValue *value);
extern f6_members *f6_builder_members(f6_builder *builder);
extern f6_member *f6_members_extend(f6_members *members, int more);
extern void f6_applicators_finish(f6_builder *builder);

/* schema_compile.c */
extern f6_node_id f6_compile_subschema(f6_builder *builder, const JsonbValue *value,
									   const f6_jsonb_path *path, const char *keyword);
extern f6_node_id f6_compile_in_place(f6_builder *builder, const JsonbValue *value,
									  const f6_jsonb_path *path, const char *keyword);
extern void f6_builder_add_edge(f6_builder *builder, f6_node_id to);
extern f6_op *f6_builder_add(f6_builder *builder, f6_opcode code, uint32 applies,
							 const char *keyword);
extern f6_jsonb_path *f6_schema_path(const f6_jsonb_path *parent, const char *name, int length,
									 int index);
extern f6_node_id f6_compile_place(f6_builder *builder, f6_place *place, const char *keyword);
extern bool f6_find_reference(f6_builder *builder, const JsonbValue *value,
							  const f6_jsonb_path *path, f6_place *place, const f6_anchor **anchor);
extern void f6_schema_invalid(const f6_jsonb_path *path, const char *expected, const char *found)
	__attribute__((noreturn));
extern void f6_schema_unsupported(const f6_jsonb_path *path, const char *what)
	__attribute__((noreturn));
extern void f6_schema_unregistered(const f6_jsonb_path *path, const char *uri)
	__attribute__((noreturn));

#endif /* F6_SCHEMA_KEYWORDS_H */
