/*
 * json_pointer.h
 *		A JSON Pointer (RFC 6901), taken apart, and the places in a tree that it leads to.
 */
#ifndef F6_JSON_POINTER_H
#define F6_JSON_POINTER_H

#include "json_tree.h"

typedef struct f6_pointer_token
{
	const char *name;
	int length;
} f6_pointer_token;

/* No tokens: the whole document. */
typedef struct f6_pointer
{
	const char *text;
	int count;
	f6_pointer_token *tokens;
} f6_pointer;

extern bool f6_pointer_parse(const char *text, f6_pointer *pointer);
extern f6_pointer *f6_pointer_make(const char *text);
extern const f6_pointer_token *f6_pointer_last(const f6_pointer *pointer);
extern bool f6_pointer_is_end(const f6_pointer_token *token);
extern int f6_pointer_place(const f6_pointer_token *token, int count);
extern f6_tree_node *f6_pointer_child(MemoryContext context, f6_tree_node *node,
									  const f6_pointer_token *token);
extern f6_tree_node *f6_pointer_find(const f6_pointer *pointer, int tokens, MemoryContext context,
									 f6_tree_node *root);
extern void f6_pointer_remove(const f6_pointer *pointer, MemoryContext context, f6_tree_node *root);
extern bool f6_pointer_get(const f6_pointer *pointer, const JsonbValue *root, JsonbValue *value);

#endif /* F6_JSON_POINTER_H */
