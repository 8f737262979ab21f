/*
 * json_tree.h
 *		A JSON document as a mutable tree.
 *
 * A node whose memory is all zero holds nothing.  Nodes move in memory when members or elements are added beside them:
 * a pointer to one is good until the next change of what holds it.
 */
#ifndef F6_JSON_TREE_H
#define F6_JSON_TREE_H

#include "utils/jsonb.h"

typedef struct f6_tree_object f6_tree_object;
typedef struct f6_tree_array f6_tree_array;

/* One place in a tree: an unfolded object or array, or else a scalar or a container that is still folded. */
typedef struct f6_tree_node
{
	f6_tree_object *object;
	f6_tree_array *array;
	JsonbValue value;
	char *
		buffer; /* the node's own copy of the value's bytes; NULL: it has none, or they are somebody else's */
	Size capacity;
} f6_tree_node;

extern void f6_tree_clear(f6_tree_node *node);
extern void f6_tree_refer(f6_tree_node *node, const JsonbValue *value);
extern void f6_tree_set(MemoryContext context, f6_tree_node *node, const JsonbValue *value);
extern void f6_tree_make_object(MemoryContext context, f6_tree_node *node);
extern void f6_tree_make_array(MemoryContext context, f6_tree_node *node);
extern bool f6_tree_is_null(const f6_tree_node *node);
extern void f6_tree_merge(MemoryContext context, f6_tree_node *node, const JsonbValue *patch);
extern Jsonb *f6_tree_write(const f6_tree_node *node);

extern bool f6_tree_is_object(const f6_tree_node *node);
extern bool f6_tree_is_array(const f6_tree_node *node);
extern f6_tree_node *f6_tree_member(MemoryContext context, f6_tree_node *object, const char *key,
									int length);
extern f6_tree_node *f6_tree_add_member(MemoryContext context, f6_tree_node *object,
										const char *key, int length);
extern void f6_tree_remove_member(f6_tree_node *object, const char *key, int length);
extern int f6_tree_count(const f6_tree_node *array);
extern f6_tree_node *f6_tree_element(MemoryContext context, f6_tree_node *array, int index);
extern f6_tree_node *f6_tree_add_element(MemoryContext context, f6_tree_node *array, int index);
extern void f6_tree_remove_element(f6_tree_node *array, int index);

#endif /* F6_JSON_TREE_H */
