/*
 * fold_path.h
 *		What a rule of a fold takes from an event: SQL/JSON paths over the event, its data, and the state so far.
 */
#ifndef F6_FOLD_PATH_H
#define F6_FOLD_PATH_H

#include "json_tree.h"

/*
 * What paths lead into.  It is one event's, and of a state that may change between two paths; reading the state unfolds it on the
 * way, and gives copies.
 */
typedef struct f6_fold_input
{
	MemoryContext tree_context; /* of the state */
	f6_tree_node *state;		/* NULL: there is none yet */
	JsonbValue data;
	Datum row; /* the event, with the data in it; 0: none is at hand */
	Oid row_type;
	Jsonb *row_document; /* the event as a document, NULL until a path leads into it */
} f6_fold_input;

/* The values that a path leads to. */
typedef struct f6_fold_values
{
	int count;
	JsonbValue *values;
} f6_fold_values;

typedef struct f6_fold_path f6_fold_path;

extern f6_fold_path *f6_fold_path_compile(const char *text, const char **reason);
extern bool f6_fold_path_needs_row(const f6_fold_path *path);
extern void f6_fold_path_values(const f6_fold_path *path, f6_fold_input *input,
								f6_fold_values *values);
extern bool f6_fold_path_holds(const f6_fold_path *path, f6_fold_input *input);

#endif /* F6_FOLD_PATH_H */
