/*
 * schema_keywords.h
 *		What schema_compile.c (subschemas, references) and schema_keywords.c (meanings) share.
 */
#ifndef F6_SCHEMA_KEYWORDS_H
#define F6_SCHEMA_KEYWORDS_H

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "schema_program.h"

/* A compilation under way. */
typedef struct f6_compiler
{
	MemoryContext context; /* where the program lives */
	Jsonb *document;	   /* the program's own copy */
	JsonbValue root;
	const char *base; /* the document's own URI, or NULL */
	int base_length;
	bool assert_format;
	HTAB *compiled; /* node by subschema */
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

/*
 * A keyword that f6 knows.  The operand is what the compile function makes of it: an operation's code,
 * or the type that an annotation must have.  An operation concerns the types of instances in applies.
 */
struct f6_keyword
{
	const char *name;
	f6_keyword_compile compile;
	int operand;
	uint32 applies;
};

/* schema_keywords.c */
extern const f6_keyword *f6_keyword_find(const char *name, int length);
extern void f6_keywords_finish(f6_builder *builder);

/* schema_compile.c */
extern f6_node_id f6_compile_subschema(f6_compiler *compiler, const JsonbValue *value,
									   const f6_jsonb_path *path, const char *keyword);
extern f6_node_id f6_compile_in_place(f6_builder *builder, const JsonbValue *value,
									  const f6_jsonb_path *path, const char *keyword);
extern f6_node_id f6_compile_reference(f6_builder *builder, const JsonbValue *value,
									   const f6_jsonb_path *path, const char *keyword);
extern f6_op *f6_builder_add(f6_builder *builder, f6_opcode code, uint32 applies,
							 const char *keyword);
extern f6_jsonb_path *f6_schema_path(const f6_jsonb_path *parent, const char *name, int length,
									 int index);
extern void f6_schema_invalid(const f6_jsonb_path *path, const char *expected, const char *found)
	__attribute__((noreturn));
extern void f6_schema_unsupported(const f6_jsonb_path *path, const char *what)
	__attribute__((noreturn));

#endif /* F6_SCHEMA_KEYWORDS_H */
