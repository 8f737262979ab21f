/*
 * instruction.c
 *		An object of JSON that says what is to be done: a step of an upcaster, or a rule of a fold.
 *
 * Its "op" names one of several operations; which other keys it has depends on that.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "f6.h"
#include "instruction.h"
#include "jsonb_walk.h"

/* refuse raises the error for an instruction that is no good. */
static void __attribute__((noreturn)) refuse(const f6_instruction *instruction, const char *reason)
{
	instruction->refuse(instruction->arg, reason);
	pg_unreachable();
}

/* name_of returns the name of an operation, which is the first thing in it. */
static const char *
name_of(const void *operation)
{
	return *(const char *const *) operation;
}

/* operation_at returns one of several operations. */
static const void *
operation_at(const void *operations, int index, Size size)
{
	return (const char *) operations + index * size;
}

/* names_of returns the names of operations, for an error. */
static const char *
names_of(const void *operations, int count, Size size)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < count; i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
						 name_of(operation_at(operations, i, size)));
	return names.data;
}

/* f6_instruction_operation returns the operation of an instruction: one of an array of structures that begin with their names. */
const void *
f6_instruction_operation(const f6_instruction *instruction, const void *operations, int count,
						 Size size)
{
	JsonbValue name;

	if (!f6_jsonb_is_object(instruction->object))
		refuse(instruction, "It is not a JSON object.");
	if (!f6_jsonb_member(instruction->object, "op", &name))
		refuse(instruction, psprintf("It has no \"op\", which is one of %s.",
									 names_of(operations, count, size)));
	for (int i = 0; i < count; i++)
	{
		const void *operation = operation_at(operations, i, size);

		if (f6_jsonb_is_text(&name, name_of(operation)))
			return operation;
	}
	refuse(instruction, psprintf("Its \"op\" is none of %s.", names_of(operations, count, size)));
}

/* is_one_of tells whether a key is one of several, of which some may be NULL. */
static bool
is_one_of(const JsonbValue *key, const char *const *keys, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (keys[i] != NULL && f6_jsonb_is_text(key, keys[i]))
			return true;
	}
	return false;
}

/* f6_instruction_check_keys refuses keys that an operation does not have; a key of those that is NULL is none. */
void
f6_instruction_check_keys(const f6_instruction *instruction, const char *operation,
						  const char *const *keys, int count)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, instruction->object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		if (!is_one_of(&key, keys, count))
			refuse(instruction, psprintf("\"%s\" has no key \"%.*s\".", operation,
										 key.val.string.len, key.val.string.val));
	}
}

/* f6_instruction_text returns a key's value, which must be a string; NULL where there is no such key. */
const char *
f6_instruction_text(const f6_instruction *instruction, const char *key)
{
	JsonbValue value;

	if (!f6_jsonb_member(instruction->object, key, &value))
		return NULL;
	if (value.type != jbvString)
		refuse(instruction, psprintf("Its \"%s\" is not a string.", key));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* f6_instruction_needed_text returns a key's value, which must be there, and a string. */
const char *
f6_instruction_needed_text(const f6_instruction *instruction, const char *key)
{
	const char *text = f6_instruction_text(instruction, key);

	if (text == NULL)
		refuse(instruction, psprintf("It has no \"%s\".", key));
	return text;
}

/* f6_instruction_pointer returns a key's value, which must be a JSON Pointer, taken apart. */
f6_pointer
f6_instruction_pointer(const f6_instruction *instruction, const char *key)
{
	const char *text = f6_instruction_needed_text(instruction, key);
	f6_pointer pointer;

	if (!f6_pointer_parse(text, &pointer))
		refuse(instruction, psprintf("Its \"%s\" is not a JSON Pointer: \"%s\".", key, text));
	return pointer;
}
