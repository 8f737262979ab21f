/*
 * json_patch.c
 *		The JSON Patch (RFC 6902) that leads from one document to another.
 *
 * Objects are compared member by member, anything else as a whole: an array that changes is replaced.  The operations
 * concern different places, so that they may be applied in any order.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/jsonb.h"

#include "f6.h"
#include "json_patch.h"
#include "jsonb_walk.h"

/* A walk over the members of an object that stands still at one of them. */
typedef struct member_walk
{
	f6_jsonb_object_walk walk;
	bool has_member;
	JsonbValue key;
	JsonbValue value;
} member_walk;

/* push_text pushes a string. */
static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text, int length)
{
	JsonbValue value = { .type = jbvString };

	value.val.string.val = (char *) text;
	value.val.string.len = length;
	pushJsonbValue(state, token, &value);
}

/* push_member pushes a member whose value is a string. */
static void
push_member(JsonbParseState **state, const char *key, const char *text, int length)
{
	push_text(state, WJB_KEY, key, (int) strlen(key));
	push_text(state, WJB_VALUE, text, length);
}

/* push_operation pushes an operation on a place; value: what comes to stand there, NULL for nothing. */
static void
push_operation(JsonbParseState **state, const char *operation, const f6_jsonb_path *path,
			   const JsonbValue *value)
{
	StringInfoData pointer;

	initStringInfo(&pointer);
	f6_jsonb_path_append(&pointer, path);
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_member(state, "op", operation, (int) strlen(operation));
	push_member(state, "path", pointer.data, pointer.len);
	if (value != NULL)
	{
		push_text(state, WJB_KEY, "value", (int) strlen("value"));
		pushJsonbValue(state, WJB_VALUE, (JsonbValue *) value);
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* next_member goes to the next member. */
static void
next_member(member_walk *members)
{
	members->has_member = f6_jsonb_object_next(&members->walk, &members->key, &members->value);
}

/* begin_members goes to the first member of an object. */
static void
begin_members(member_walk *members, const JsonbValue *object)
{
	f6_jsonb_object_begin(&members->walk, object);
	next_member(members);
}

/* compare_members compares where two walks stand, by the order of the keys; a walk that is over stands last. */
static int
compare_members(const member_walk *before, const member_walk *after)
{
	if (!before->has_member || !after->has_member)
		return before->has_member ? -1 : 1;
	return f6_jsonb_compare_keys(before->key.val.string.val, before->key.val.string.len,
								 after->key.val.string.val, after->key.val.string.len);
}

/* step_to returns the path to a member. */
static f6_jsonb_path
step_to(const f6_jsonb_path *object, const JsonbValue *key)
{
	f6_jsonb_path step = { object, key->val.string.val, key->val.string.len, 0 };

	return step;
}

static void push_difference(JsonbParseState **state, const f6_jsonb_path *path,
							const JsonbValue *before, const JsonbValue *after);

/* push_members pushes what leads from the members of one object to those of another. */
static void
push_members(JsonbParseState **state, const f6_jsonb_path *path, const JsonbValue *before,
			 const JsonbValue *after)
{
	member_walk old_members;
	member_walk new_members;

	begin_members(&old_members, before);
	begin_members(&new_members, after);
	while (old_members.has_member || new_members.has_member)
	{
		int order = compare_members(&old_members, &new_members);
		f6_jsonb_path step = step_to(path, order <= 0 ? &old_members.key : &new_members.key);

		if (order < 0)
			push_operation(state, "remove", &step, NULL);
		else if (order > 0)
			push_operation(state, "add", &step, &new_members.value);
		else
			push_difference(state, &step, &old_members.value, &new_members.value);
		if (order <= 0)
			next_member(&old_members);
		if (order >= 0)
			next_member(&new_members);
	}
}

/* push_difference pushes what leads from one value to another at the same place. */
static void
push_difference(JsonbParseState **state, const f6_jsonb_path *path, const JsonbValue *before,
				const JsonbValue *after)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (f6_jsonb_is_object(before) && f6_jsonb_is_object(after))
		push_members(state, path, before, after);
	else if (f6_jsonb_compare(before, after) != 0)
		push_operation(state, "replace", path, after);
}

/* f6_json_patch returns the patch from a document, NULL for none, to another, and leaves litter in the current memory context. */
Jsonb *
f6_json_patch(Jsonb *before, Jsonb *after)
{
	JsonbParseState *state = NULL;
	JsonbValue old_value;
	JsonbValue new_value;

	f6_jsonb_root(after, &new_value);
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	if (before == NULL)
		push_operation(&state, "add", NULL, &new_value);
	else
	{
		f6_jsonb_root(before, &old_value);
		push_difference(&state, NULL, &old_value, &new_value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}
