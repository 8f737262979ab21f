/*
 * fold.c
 *		The default fold: JSON Merge Patch (RFC 7396) on a mutable tree.
 *
 * Patches change the tree in place, and it is written out as jsonb only when the result is asked for, so a fold costs what
 * its events cost, whatever the size of the state.  The tree copies what it keeps into its own memory context and frees
 * what is replaced: memory follows the state, not the number of events.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "fold.h"
#include "jsonb_walk.h"

/* An object with more members than this is searched by hash. */
#define FOLD_LINEAR_MEMBERS 16

/* A buffer may be this much larger than twice what it holds before it is given back. */
#define FOLD_BUFFER_SLACK 64

typedef struct fold_object fold_object;

/* One place in the tree.  The bytes of a string, a number or an array stand in the buffer; only objects are unfolded. */
typedef struct fold_node
{
	fold_object *object; /* NULL: the value holds a scalar or an array */
	JsonbValue value;
	char *buffer;
	Size capacity;
} fold_node;

typedef struct fold_key
{
	char *text;
	int length;
} fold_key;

typedef struct fold_member
{
	fold_key key;
	fold_node node;
} fold_member;

typedef struct fold_index_entry
{
	fold_key key;
	uint32 hash;
	int place; /* in the object's members */
	char status;
} fold_index_entry;

#define SH_PREFIX			 fold_index
#define SH_ELEMENT_TYPE		 fold_index_entry
#define SH_KEY_TYPE			 fold_key
#define SH_KEY				 key
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).text, (key).length)
#define SH_EQUAL(tb, a, b)	 fold_key_equal(a, b)
#define SH_SCOPE			 static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_DECLARE
#define SH_DEFINE

/* Tells whether two keys are the same. */
static inline bool
fold_key_equal(fold_key a, fold_key b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

#include "lib/simplehash.h"

/* The members stand in no order: jsonb sorts them when the tree is written out. */
struct fold_object
{
	fold_member *members;
	int count;
	int allocated;
	fold_index_hash *index; /* NULL while the object is small */
};

struct f6_fold
{
	MemoryContext context; /* holds the tree */
	MemoryContext scratch; /* emptied after every result */
	bool merged;		   /* anything yet? */
	fold_node root;
};

static void free_object(fold_object *object);

/* Adds an index entry for the member at a place. */
static void
index_member(fold_object *object, int place)
{
	bool found;
	fold_index_entry *entry;

	entry = fold_index_insert(object->index, object->members[place].key, &found);
	Assert(!found);
	entry->place = place;
}

/*
 * Finds the place of a key among the members, or -1.  The search begins at a hint: patches of one shape meet their keys in the
 * order in which the first of them added these.
 */
static int
find_member(const fold_object *object, fold_key key, int hint)
{
	if (hint < object->count && fold_key_equal(object->members[hint].key, key))
		return hint;

	if (object->index != NULL)
	{
		fold_index_entry *entry = fold_index_lookup(object->index, key);

		return entry == NULL ? -1 : entry->place;
	}

	for (int place = 0; place < object->count; place++)
	{
		if (fold_key_equal(object->members[place].key, key))
			return place;
	}
	return -1;
}

/* Adds a member whose value is still to be set, and returns its place. */
static int
add_member(f6_fold *fold, fold_object *object, fold_key key)
{
	int place = object->count;
	fold_member *member;

	if (object->count == object->allocated)
	{
		object->allocated *= 2;
		object->members = repalloc_huge(object->members, object->allocated * sizeof(fold_member));
	}

	member = &object->members[place];
	memset(member, 0, sizeof(fold_member));
	member->key.text = MemoryContextAlloc(fold->context, key.length);
	memcpy(member->key.text, key.text, key.length);
	member->key.length = key.length;
	object->count++;

	if (object->index != NULL)
		index_member(object, place);
	else if (object->count > FOLD_LINEAR_MEMBERS)
	{
		object->index = fold_index_create(fold->context, 2 * object->count, NULL);
		for (int i = 0; i < object->count; i++)
			index_member(object, i);
	}
	return place;
}

/* Frees what a node holds; the node itself is then as new. */
static void
clear_node(fold_node *node)
{
	if (node->object != NULL)
		free_object(node->object);
	if (node->buffer != NULL)
		pfree(node->buffer);
	memset(node, 0, sizeof(fold_node));
}

/* Removes the member at a place; the last one takes it. */
static void
remove_member(fold_object *object, int place)
{
	fold_member *member = &object->members[place];
	int last = object->count - 1;

	if (object->index != NULL)
	{
		fold_index_delete(object->index, member->key);
		if (place != last)
			fold_index_lookup(object->index, object->members[last].key)->place = place;
	}

	clear_node(&member->node);
	pfree(member->key.text);
	if (place != last)
		*member = object->members[last];
	object->count = last;
}

/* Makes an object without members. */
static fold_object *
make_object(f6_fold *fold)
{
	fold_object *object = MemoryContextAllocZero(fold->context, sizeof(fold_object));

	object->allocated = 4;
	object->members = MemoryContextAlloc(fold->context, object->allocated * sizeof(fold_member));
	return object;
}

/* Frees an object with all below it. */
static void
free_object(fold_object *object)
{
	check_stack_depth();

	for (int place = 0; place < object->count; place++)
	{
		clear_node(&object->members[place].node);
		pfree(object->members[place].key.text);
	}
	if (object->index != NULL)
		fold_index_destroy(object->index);
	pfree(object->members);
	pfree(object);
}

/* Copies bytes into the node's buffer and returns where they now are. */
static char *
keep_bytes(f6_fold *fold, fold_node *node, const void *bytes, Size length)
{
	if (node->buffer == NULL || node->capacity < length ||
		node->capacity > 2 * length + FOLD_BUFFER_SLACK)
	{
		if (node->buffer != NULL)
			pfree(node->buffer);
		node->buffer = NULL;
		node->buffer = MemoryContextAlloc(fold->context, length);
		node->capacity = length;
	}
	memcpy(node->buffer, bytes, length);
	return node->buffer;
}

/* Makes the node hold a copy of a scalar or an array. */
static void
set_value(f6_fold *fold, fold_node *node, const JsonbValue *value)
{
	if (node->object != NULL || value->type == jbvNull || value->type == jbvBool)
		clear_node(node);

	node->value = *value;
	switch (value->type)
	{
		case jbvNull:
		case jbvBool:
			break;
		case jbvString:
			node->value.val.string.val =
				keep_bytes(fold, node, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			node->value.val.numeric = (Numeric) keep_bytes(fold, node, value->val.numeric,
														   VARSIZE_ANY(value->val.numeric));
			break;
		case jbvBinary:
			node->value.val.binary.data = (JsonbContainer *) keep_bytes(
				fold, node, value->val.binary.data, value->val.binary.len);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/* Merges a patch into a node, as RFC 7396's MergePatch does. */
static void
merge_node(f6_fold *fold, fold_node *node, const JsonbValue *patch)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue value;
	int hint = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (!f6_jsonb_is_object(patch))
	{
		set_value(fold, node, patch);
		return;
	}

	if (node->object == NULL)
	{
		clear_node(node);
		node->object = make_object(fold);
	}

	f6_jsonb_object_begin(&walk, patch);
	while (f6_jsonb_object_next(&walk, &name, &value))
	{
		fold_key key = { name.val.string.val, name.val.string.len };
		int place = find_member(node->object, key, hint);

		if (f6_jsonb_is_null(&value))
		{
			if (place >= 0)
				remove_member(node->object, place);
			continue;
		}
		if (place < 0)
			place = add_member(fold, node->object, key);
		merge_node(fold, &node->object->members[place].node, &value);
		hint = place + 1;
	}
}

/* Pushes a node and all below it, and returns the topmost value when the whole is done. */
static JsonbValue *
push_node(JsonbParseState **state, JsonbIteratorToken token, fold_node *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (node->object == NULL)
		return pushJsonbValue(state, token, &node->value);

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int place = 0; place < node->object->count; place++)
	{
		fold_member *member = &node->object->members[place];
		JsonbValue name;

		name.type = jbvString;
		name.val.string.val = member->key.text;
		name.val.string.len = member->key.length;
		pushJsonbValue(state, WJB_KEY, &name);
		push_node(state, WJB_VALUE, &member->node);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

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

/* Merges a patch into the state.  The patch may be freed afterwards. */
void
f6_fold_merge(f6_fold *fold, const JsonbValue *patch)
{
	merge_node(fold, &fold->root, patch);
	fold->merged = true;
}

/* Returns the state so far in the current memory context, or NULL when nothing was merged.  The fold may go on. */
Jsonb *
f6_fold_result(f6_fold *fold)
{
	MemoryContext caller;
	JsonbParseState *state = NULL;
	JsonbValue *top;
	Jsonb *written;
	Jsonb *result;

	if (!fold->merged)
		return NULL;

	caller = MemoryContextSwitchTo(fold->scratch);
	if (fold->root.object != NULL)
		top = push_node(&state, WJB_VALUE, &fold->root);
	else
		top = &fold->root.value;
	written = JsonbValueToJsonb(top);
	MemoryContextSwitchTo(caller);

	result = palloc(VARSIZE(written));
	memcpy(result, written, VARSIZE(written));
	MemoryContextReset(fold->scratch);
	return result;
}
