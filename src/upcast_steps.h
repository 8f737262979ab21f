/*
 * upcast_steps.h
 *		The steps of a declarative upcaster: JSON Patch (RFC 6902), and what upcasting needs besides.
 */
#ifndef F6_UPCAST_STEPS_H
#define F6_UPCAST_STEPS_H

#include "json_tree.h"

typedef struct f6_steps f6_steps;

extern f6_steps *f6_steps_compile(Jsonb *document);
extern void f6_steps_run(const f6_steps *steps, MemoryContext context, f6_tree_node *root);

#endif /* F6_UPCAST_STEPS_H */
