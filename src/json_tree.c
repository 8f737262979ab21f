/*
 * json_tree.c
 *		A JSON document as a mutable tree: merging, editing, and writing it out as jsonb.
 *
 * Changes are made in place, and the tree is written out only when that is asked for, so that they cost what they touch,
 * whatever the size of the document.  Containers are unfolded when a change leads into them.  A merge copies what it keeps
 * into the tree's memory context and frees what is replaced: memory follows the document, not the number of changes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "f6.h"
#include "json_tree.h"
#include "jsonb_walk.h"

/* An object with more members than this is searched by hash. */
#define TREE_LINEAR_MEMBERS 16

/* A buffer may be this much larger than twice what it holds before it is given back. */
#define TREE_BUFFER_SLACK 64

typedef struct tree_key
{
	char *text;
	int length;
} tree_key;

typedef struct tree_member
{
	tree_key key;
	f6_tree_node node;
} tree_member;

typedef struct tree_index_entry
{
	tree_key key;
	uint32 hash;
	int place; /* in the object's members */
	char status;
} tree_index_entry;

#define SH_PREFIX			 tree_index
#define SH_ELEMENT_TYPE		 tree_index_entry
#define SH_KEY_TYPE			 tree_key
#define SH_KEY				 key
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).text, (key).length)
#define SH_EQUAL(tb, a, b)	 tree_key_equal(a, b)
#define SH_SCOPE			 static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_DECLARE
#define SH_DEFINE

/* Tells whether two keys are the same. */
static inline bool
tree_key_equal(tree_key a, tree_key b)
{
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

#include "lib/simplehash.h"

/* The members stand in no order: jsonb sorts them when the tree is written out. */
struct f6_tree_object
{
	tree_member *members;
	int count;
	int allocated;
	tree_index_hash *index; /* NULL while the object is small */
};

/* The elements in their order. */
struct f6_tree_array
{
	f6_tree_node *elements;
	int count;
	int allocated;
};

static void free_object(f6_tree_object *object);
static void free_array(f6_tree_array *array);

/* Adds an index entry for the member at a place. */
static void
index_member(f6_tree_object *object, int place)
{
	bool found;
	tree_index_entry *entry;

	entry = tree_index_insert(object->index, object->members[place].key, &found);
	Assert(!found);
	entry->place = place;
}

/*
 * Finds the place of a key among the members, or -1.  The search begins at a hint: patches of one shape meet their keys in the
 * order in which the first of them added these.
 */
static int
find_member(const f6_tree_object *object, tree_key key, int hint)
{
	if (hint < object->count && tree_key_equal(object->members[hint].key, key))
		return hint;

	if (object->index != NULL)
	{
		tree_index_entry *entry = tree_index_lookup(object->index, key);

		return entry == NULL ? -1 : entry->place;
	}

	for (int place = 0; place < object->count; place++)
	{
		if (tree_key_equal(object->members[place].key, key))
			return place;
	}
	return -1;
}

/* Adds a member whose value is still to be set, and returns its place. */
static int
add_member(MemoryContext context, f6_tree_object *object, tree_key key)
{
	int place = object->count;
	tree_member *member;

	if (object->count == object->allocated)
	{
		object->allocated *= 2;
		object->members = repalloc_huge(object->members, object->allocated * sizeof(tree_member));
	}

	member = &object->members[place];
	memset(member, 0, sizeof(tree_member));
	member->key.text = MemoryContextAlloc(context, key.length);
	memcpy(member->key.text, key.text, key.length);
	member->key.length = key.length;
	object->count++;

	if (object->index != NULL)
		index_member(object, place);
	else if (object->count > TREE_LINEAR_MEMBERS)
	{
		object->index = tree_index_create(context, 2 * object->count, NULL);
		for (int i = 0; i < object->count; i++)
			index_member(object, i);
	}
	return place;
}

/* f6_tree_clear frees what a node holds; the node itself is then as new. */
void
f6_tree_clear(f6_tree_node *node)
{
	if (node->object != NULL)
		free_object(node->object);
	if (node->array != NULL)
		free_array(node->array);
	if (node->buffer != NULL)
		pfree(node->buffer);
	memset(node, 0, sizeof(f6_tree_node));
}

/* Removes the member at a place; the last one takes it. */
static void
remove_member(f6_tree_object *object, int place)
{
	tree_member *member = &object->members[place];
	int last = object->count - 1;

	if (object->index != NULL)
	{
		tree_index_delete(object->index, member->key);
		if (place != last)
			tree_index_lookup(object->index, object->members[last].key)->place = place;
	}

	f6_tree_clear(&member->node);
	pfree(member->key.text);
	if (place != last)
		*member = object->members[last];
	object->count = last;
}

/* Makes an object without members. */
static f6_tree_object *
make_object(MemoryContext context)
{
	f6_tree_object *object = MemoryContextAllocZero(context, sizeof(f6_tree_object));

	object->allocated = 4;
	object->members = MemoryContextAlloc(context, object->allocated * sizeof(tree_member));
	return object;
}

/* Frees an object with all below it. */
static void
free_object(f6_tree_object *object)
{
	check_stack_depth();

	for (int place = 0; place < object->count; place++)
	{
		f6_tree_clear(&object->members[place].node);
		pfree(object->members[place].key.text);
	}
	if (object->index != NULL)
		tree_index_destroy(object->index);
	pfree(object->members);
	pfree(object);
}

/* Makes an array without elements, with room for some. */
static f6_tree_array *
make_array(MemoryContext context, int room)
{
	f6_tree_array *array = MemoryContextAllocZero(context, sizeof(f6_tree_array));

	array->allocated = Max(room, 4);
	array->elements = MemoryContextAllocExtended(context, array->allocated * sizeof(f6_tree_node),
												 MCXT_ALLOC_HUGE);
	return array;
}

/* Frees an array with all below it. */
static void
free_array(f6_tree_array *array)
{
	check_stack_depth();

	for (int place = 0; place < array->count; place++)
		f6_tree_clear(&array->elements[place]);
	pfree(array->elements);
	pfree(array);
}

/* Copies bytes into the node's buffer and returns where they now are. */
static char *
keep_bytes(MemoryContext context, f6_tree_node *node, const void *bytes, Size length)
{
	if (node->buffer == NULL || node->capacity < length ||
		node->capacity > 2 * length + TREE_BUFFER_SLACK)
	{
		if (node->buffer != NULL)
			pfree(node->buffer);
		node->buffer = NULL;
		node->buffer = MemoryContextAlloc(context, length);
		node->capacity = length;
	}
	memcpy(node->buffer, bytes, length);
	return node->buffer;
}

/* f6_tree_set makes a node hold a copy of a value, which must not stand in the node's own bytes. */
void
f6_tree_set(MemoryContext context, f6_tree_node *node, const JsonbValue *value)
{
	if (node->object != NULL || node->array != NULL || value->type == jbvNull ||
		value->type == jbvBool)
		f6_tree_clear(node);

	node->value = *value;
	switch (value->type)
	{
		case jbvNull:
		case jbvBool:
			break;
		case jbvString:
			node->value.val.string.val =
				keep_bytes(context, node, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			node->value.val.numeric = (Numeric) keep_bytes(context, node, value->val.numeric,
														   VARSIZE_ANY(value->val.numeric));
			break;
		case jbvBinary:
			node->value.val.binary.data = (JsonbContainer *) keep_bytes(
				context, node, value->val.binary.data, value->val.binary.len);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/*
 * f6_tree_refer makes a node hold a value without copying it: the document that the value stands in, and that the tree
 * leaves as it is, must live as long as the tree.
 */
void
f6_tree_refer(f6_tree_node *node, const JsonbValue *value)
{
	f6_tree_clear(node);
	node->value = *value;
}

/* Makes a folded object an unfolded one, whose members refer to what was folded. */
static void
unfold_object(MemoryContext context, f6_tree_node *node)
{
	f6_tree_object *object = make_object(context);
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, &node->value);
	while (f6_jsonb_object_next(&walk, &name, &value))
	{
		tree_key key = { name.val.string.val, name.val.string.len };
		int place = add_member(context, object, key);

		object->members[place].node.value = value;
	}
	/* The members may refer to the node's own bytes, which so must stay until the node is cleared. */
	node->object = object;
}

/* Makes a folded array an unfolded one. */
static void
unfold_array(MemoryContext context, f6_tree_node *node)
{
	f6_tree_array *array = make_array(context, f6_jsonb_count(&node->value));
	f6_jsonb_array_walk walk;
	JsonbValue value;

	f6_jsonb_array_begin(&walk, &node->value);
	while (f6_jsonb_array_next(&walk, &value))
	{
		f6_tree_node *element = &array->elements[array->count++];

		memset(element, 0, sizeof(f6_tree_node));
		element->value = value;
	}
	node->array = array;
}

/* f6_tree_is_object tells whether a node is an object. */
bool
f6_tree_is_object(const f6_tree_node *node)
{
	return node->object != NULL || (node->array == NULL && f6_jsonb_is_object(&node->value));
}

/* f6_tree_is_null tells whether a node is null, or holds nothing. */
bool
f6_tree_is_null(const f6_tree_node *node)
{
	return node->object == NULL && node->array == NULL && node->value.type == jbvNull;
}

/* f6_tree_make_object makes a node an object without members. */
void
f6_tree_make_object(MemoryContext context, f6_tree_node *node)
{
	f6_tree_clear(node);
	node->object = make_object(context);
}

/* f6_tree_make_array makes a node an array without elements. */
void
f6_tree_make_array(MemoryContext context, f6_tree_node *node)
{
	f6_tree_clear(node);
	node->array = make_array(context, 0);
}

/* f6_tree_is_array tells whether a node is an array. */
bool
f6_tree_is_array(const f6_tree_node *node)
{
	return node->array != NULL || (node->object == NULL && f6_jsonb_is_array(&node->value));
}

/* Unfolds an object where it is folded. */
static f6_tree_object *
object_of(MemoryContext context, f6_tree_node *node)
{
	if (node->object == NULL)
		unfold_object(context, node);
	return node->object;
}

/* Unfolds an array where it is folded. */
static f6_tree_array *
array_of(MemoryContext context, f6_tree_node *node)
{
	if (node->array == NULL)
		unfold_array(context, node);
	return node->array;
}

/* f6_tree_member returns a member of an object, NULL if it has no such member. */
f6_tree_node *
f6_tree_member(MemoryContext context, f6_tree_node *object, const char *key, int length)
{
	tree_key wanted = { (char *) key, length };
	f6_tree_object *unfolded = object_of(context, object);
	int place = find_member(unfolded, wanted, 0);

	return place < 0 ? NULL : &unfolded->members[place].node;
}

/* f6_tree_add_member returns a new member of an object that has none of that name; it is still to be set. */
f6_tree_node *
f6_tree_add_member(MemoryContext context, f6_tree_node *object, const char *key, int length)
{
	tree_key wanted = { (char *) key, length };
	f6_tree_object *unfolded = object_of(context, object);
	int place = add_member(context, unfolded, wanted);

	return &unfolded->members[place].node;
}

/* f6_tree_remove_member removes a member that f6_tree_member has found. */
void
f6_tree_remove_member(f6_tree_node *object, const char *key, int length)
{
	tree_key wanted = { (char *) key, length };

	remove_member(object->object, find_member(object->object, wanted, 0));
}

/* f6_tree_count returns the number of elements of an array. */
int
f6_tree_count(const f6_tree_node *array)
{
	return array->array != NULL ? array->array->count : f6_jsonb_count(&array->value);
}

/* f6_tree_element returns an element of an array, NULL outside it. */
f6_tree_node *
f6_tree_element(MemoryContext context, f6_tree_node *array, int index)
{
	if (index < 0 || index >= f6_tree_count(array))
		return NULL;
	return &array_of(context, array)->elements[index];
}

/* f6_tree_add_element returns a new element of an array, before the one with that index or, if there is none, at the end. */
f6_tree_node *
f6_tree_add_element(MemoryContext context, f6_tree_node *array, int index)
{
	f6_tree_array *unfolded = array_of(context, array);
	f6_tree_node *element;

	if (unfolded->count == unfolded->allocated)
	{
		unfolded->allocated *= 2;
		unfolded->elements =
			repalloc_huge(unfolded->elements, unfolded->allocated * sizeof(f6_tree_node));
	}
	element = &unfolded->elements[index];
	memmove(element + 1, element, (unfolded->count - index) * sizeof(f6_tree_node));
	memset(element, 0, sizeof(f6_tree_node));
	unfolded->count++;
	return element;
}

/* f6_tree_remove_element removes an element that f6_tree_element has found. */
void
f6_tree_remove_element(f6_tree_node *array, int index)
{
	f6_tree_array *unfolded = array->array;
	f6_tree_node *element = &unfolded->elements[index];

	f6_tree_clear(element);
	memmove(element, element + 1, (unfolded->count - index - 1) * sizeof(f6_tree_node));
	unfolded->count--;
}

/* f6_tree_merge merges a patch into a node, as RFC 7396's MergePatch does, and copies what it takes from the patch. */
void
f6_tree_merge(MemoryContext context, f6_tree_node *node, const JsonbValue *patch)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue value;
	int hint = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (!f6_jsonb_is_object(patch))
	{
		f6_tree_set(context, node, patch);
		return;
	}

	if (node->object == NULL && f6_tree_is_object(node))
		unfold_object(context, node);
	else if (node->object == NULL)
		f6_tree_make_object(context, node);

	f6_jsonb_object_begin(&walk, patch);
	while (f6_jsonb_object_next(&walk, &name, &value))
	{
		tree_key key = { name.val.string.val, name.val.string.len };
		int place = find_member(node->object, key, hint);

		if (f6_jsonb_is_null(&value))
		{
			if (place >= 0)
				remove_member(node->object, place);
			continue;
		}
		if (place < 0)
			place = add_member(context, node->object, key);
		f6_tree_merge(context, &node->object->members[place].node, &value);
		hint = place + 1;
	}
}

static JsonbValue *push_node(JsonbParseState **state, JsonbIteratorToken token,
							 const f6_tree_node *node);

/* Pushes an object and all below it. */
static JsonbValue *
push_object(JsonbParseState **state, const f6_tree_object *object)
{
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (int place = 0; place < object->count; place++)
	{
		const tree_member *member = &object->members[place];
		JsonbValue name;

		name.type = jbvString;
		name.val.string.val = member->key.text;
		name.val.string.len = member->key.length;
		pushJsonbValue(state, WJB_KEY, &name);
		push_node(state, WJB_VALUE, &member->node);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* Pushes an array and all below it. */
static JsonbValue *
push_array(JsonbParseState **state, const f6_tree_array *array)
{
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int place = 0; place < array->count; place++)
		push_node(state, WJB_ELEM, &array->elements[place]);
	return pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* Pushes a node and all below it, and returns the topmost value when the whole is done. */
static JsonbValue *
push_node(JsonbParseState **state, JsonbIteratorToken token, const f6_tree_node *node)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (node->object != NULL)
		return push_object(state, node->object);
	if (node->array != NULL)
		return push_array(state, node->array);
	return pushJsonbValue(state, token, (JsonbValue *) &node->value);
}

/* f6_tree_write returns a node with all below it as jsonb, and leaves litter in the current memory context. */
Jsonb *
f6_tree_write(const f6_tree_node *node)
{
	JsonbParseState *state = NULL;

	if (node->object == NULL && node->array == NULL)
		return JsonbValueToJsonb((JsonbValue *) &node->value);
	return JsonbValueToJsonb(push_node(&state, WJB_VALUE, node));
}
