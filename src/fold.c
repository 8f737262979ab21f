/*
 * fold.c
 *		The default fold: JSON Merge Patch (RFC 7396) on a mutable tree.
 *
 * Patches change the tree in place, and it is written out as jsonb only when the result is asked for, so a fold costs what
 * its events cost, whatever the size of the state.
 */
#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "fold.h"
#include "json_tree.h"
#include "jsonb_walk.h"

struct f6_fold
{
	MemoryContext context; /* holds the tree */
	MemoryContext scratch; /* emptied after every result */
	bool merged;		   /* anything yet? */
	f6_tree_node root;
};

/* Begins a fold from nothing; it lives in a child of the given context, and ends with it. */
f6_fold *
f6_fold_begin(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "f6 fold", ALLOCSET_DEFAULT_SIZES);
	f6_fold *fold = MemoryContextAllocZero(context, sizeof(f6_fold));

	fold->context = context;
	fold->scratch = AllocSetContextCreate(context, "f6 fold result", ALLOCSET_DEFAULT_SIZES);
	return fold;
}

/* Goes on from a state, which must last as long as the fold; nothing has been merged yet. */
void
f6_fold_resume(f6_fold *fold, Jsonb *state)
{
	JsonbValue root;

	f6_jsonb_root(state, &root);
	f6_tree_refer(&fold->root, &root);
	fold->merged = true;
}

/* Merges a patch into the state.  The patch may be freed afterwards. */
void
f6_fold_merge(f6_fold *fold, const JsonbValue *patch)
{
	f6_tree_merge(fold->context, &fold->root, patch);
	fold->merged = true;
}

/* Returns the state so far in the current memory context, or NULL when nothing was merged.  The fold may go on. */
Jsonb *
f6_fold_result(f6_fold *fold)
{
	MemoryContext caller;
	Jsonb *written;
	Jsonb *result;

	if (!fold->merged)
		return NULL;

	caller = MemoryContextSwitchTo(fold->scratch);
	written = f6_tree_write(&fold->root);
	MemoryContextSwitchTo(caller);

	result = palloc(VARSIZE(written));
	memcpy(result, written, VARSIZE(written));
	MemoryContextReset(fold->scratch);
	return result;
}
