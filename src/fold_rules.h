/*
 * fold_rules.h
 *		Declarative rules by which events change a state.
 */
#ifndef F6_FOLD_RULES_H
#define F6_FOLD_RULES_H

#include "fold_path.h"

typedef struct f6_rules f6_rules;

extern f6_rules *f6_rules_compile(const JsonbValue *document, const char *event_type);
extern bool f6_rules_need_row(const f6_rules *rules);
extern bool f6_rules_may_end(const f6_rules *rules);
extern bool f6_rules_run(const f6_rules *rules, MemoryContext context, f6_tree_node *root,
						 bool exists, f6_fold_input *input);

#endif /* F6_FOLD_RULES_H */
