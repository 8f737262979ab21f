/*
 * upcast_steps.c
 *		The steps of a declarative upcaster: JSON Patch (RFC 6902), and what upcasting needs besides.
 *
 * Steps are compiled once and run on a tree, one after the other.  What they put into the tree they refer to, so the compiled
 * steps must live as long as the tree.  A step that fails leaves the tree half changed: the caller throws it away.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "json_pointer.h"
#include "jsonb_walk.h"
#include "upcast_steps.h"

/* What the steps may make of an event in memory, so that copies of copies come to an end. */
#define F6_STEPS_MEMORY ((Size) 512 * 1024 * 1024)

typedef struct upcast_step upcast_step;

/* What a step runs on. */
typedef struct step_run
{
	const upcast_step *step;
	MemoryContext context; /* of the tree */
	f6_tree_node *root;
} step_run;

/* An operation: its name, the keys that it has besides "op" and "optional", and what it does. */
typedef struct step_operation
{
	const char *name;
	bool is_patch; /* RFC 6902 has it, and says to ignore other keys */
	bool has_from;
	bool has_value;
	bool has_name;	  /* "to", a member's name */
	bool needs_place; /* the path may not be the whole document */
	void (*run)(const step_run *run);
} step_operation;

struct upcast_step
{
	const step_operation *operation;
	int number; /* counts from 1 */
	f6_pointer path;
	f6_pointer from;
	JsonbValue value;
	const char *to;
	int to_length;
	bool optional;
};

struct f6_steps
{
	int count;
	upcast_step *steps;
};

/* refuse_step raises the error for a step that is no good. */
static void __attribute__((noreturn)) refuse_step(int number, const char *reason)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("step %d of the upcaster is not valid", number),
			 errdetail("%s", reason)));
}

/* fail_step raises the error for a step that can't be done with the data; the data itself is not quoted. */
static void
fail_step(const step_run *run, const char *what, const char *place)
{
	ereport(ERROR,
			(errcode(F6_ERR_INVALID_EVENT),
			 errmsg("step %d (%s) of the upcaster failed", run->step->number,
					run->step->operation->name),
			 errdetail("%s \"%s\".", what, place),
			 errhint("Of steps that edit what may be absent, \"rename\" and \"default\" ignore "
					 "that, and others do so with \"optional\": true.")));
}

/* fail_missing raises the error for a place that does not exist. */
static void
fail_missing(const step_run *run, const f6_pointer *pointer)
{
	fail_step(run, "There is nothing at", pointer->text);
}

/* find_place returns the node at the first tokens of a pointer, NULL if there is none. */
static f6_tree_node *
find_place(const step_run *run, const f6_pointer *pointer, int tokens)
{
	return f6_pointer_find(pointer, tokens, run->context, run->root);
}

/* make_place returns the node that takes what is added at a pointer, cleared; a place that can't be made is an error. */
static f6_tree_node *
make_place(const step_run *run, const f6_pointer *pointer)
{
	const f6_pointer_token *token;
	f6_tree_node *parent;
	f6_tree_node *place;
	int index;

	if (pointer->count == 0)
	{
		f6_tree_clear(run->root);
		return run->root;
	}
	token = f6_pointer_last(pointer);
	parent = find_place(run, pointer, pointer->count - 1);
	if (parent != NULL && f6_tree_is_object(parent))
	{
		place = f6_tree_member(run->context, parent, token->name, token->length);
		if (place == NULL)
			return f6_tree_add_member(run->context, parent, token->name, token->length);
		f6_tree_clear(place);
		return place;
	}
	if (parent == NULL || !f6_tree_is_array(parent))
		fail_step(run, "There is no object or array that could hold", pointer->text);
	index = token->length == 1 && token->name[0] == '-'
				? f6_tree_count(parent)
				: f6_jsonb_token_index(token->name, token->length);
	if (index < 0 || index > f6_tree_count(parent))
		fail_step(run, "The array has no place for", pointer->text);
	return f6_tree_add_element(run->context, parent, index);
}

/* take returns what a node holds, and leaves it empty. */
static f6_tree_node
take(f6_tree_node *node)
{
	f6_tree_node content = *node;

	memset(node, 0, sizeof(f6_tree_node));
	return content;
}

/* written returns what a node holds as a value, which stands in the tree's memory. */
static JsonbValue
written(const step_run *run, const f6_tree_node *node)
{
	MemoryContext caller;
	JsonbValue value;

	if (node->object == NULL && node->array == NULL)
		return node->value;
	caller = MemoryContextSwitchTo(run->context);
	f6_jsonb_root(f6_tree_write(node), &value);
	MemoryContextSwitchTo(caller);
	return value;
}

/* found returns the node that a step works on, NULL where there is none and the step may be left out. */
static f6_tree_node *
found(const step_run *run, const f6_pointer *pointer)
{
	f6_tree_node *node = find_place(run, pointer, pointer->count);

	if (node == NULL && !run->step->optional)
		fail_missing(run, pointer);
	return node;
}

/* run_add puts a value where the path leads: a member is replaced, an element is inserted. */
static void
run_add(const step_run *run)
{
	const f6_pointer *path = &run->step->path;

	if (run->step->optional && path->count > 0 && find_place(run, path, path->count - 1) == NULL)
		return;
	f6_tree_refer(make_place(run, path), &run->step->value);
}

/* run_remove removes what is there. */
static void
run_remove(const step_run *run)
{
	if (found(run, &run->step->path) != NULL)
		f6_pointer_remove(&run->step->path, run->context, run->root);
}

/* run_replace puts a value in the place of what is there. */
static void
run_replace(const step_run *run)
{
	f6_tree_node *node = found(run, &run->step->path);

	if (node != NULL)
		f6_tree_refer(node, &run->step->value);
}

/* run_move removes what is there and adds it elsewhere. */
static void
run_move(const step_run *run)
{
	const upcast_step *step = run->step;
	f6_tree_node *node = found(run, &step->from);
	f6_tree_node content;

	if (node == NULL || strcmp(step->from.text, step->path.text) == 0)
		return;
	content = take(node);
	f6_pointer_remove(&step->from, run->context, run->root);
	*make_place(run, &step->path) = content;
}

/* run_copy adds elsewhere what is there. */
static void
run_copy(const step_run *run)
{
	f6_tree_node *node = found(run, &run->step->from);
	JsonbValue value;

	if (node == NULL)
		return;
	value = written(run, node);
	f6_tree_refer(make_place(run, &run->step->path), &value);
}

/* run_test refuses data that has another value there. */
static void
run_test(const step_run *run)
{
	f6_tree_node *node = found(run, &run->step->path);
	JsonbValue value;

	if (node == NULL)
		return;
	value = written(run, node);
	if (f6_jsonb_compare(&value, &run->step->value) != 0)
		fail_step(run, "Another value than expected is at", run->step->path.text);
}

/* run_rename gives a member another name, where there is one. */
static void
run_rename(const step_run *run)
{
	const upcast_step *step = run->step;
	const f6_pointer_token *token = f6_pointer_last(&step->path);
	f6_tree_node *parent = find_place(run, &step->path, step->path.count - 1);
	f6_tree_node *node = parent == NULL ? NULL : f6_pointer_child(run->context, parent, token);
	f6_tree_node content;

	if (node == NULL ||
		(token->length == step->to_length && memcmp(token->name, step->to, step->to_length) == 0))
		return;
	if (!f6_tree_is_object(parent))
		fail_step(run, "No member of an object is at", step->path.text);
	if (f6_tree_member(run->context, parent, step->to, step->to_length) != NULL)
		fail_step(run, psprintf("There is a member \"%s\" already beside", step->to),
				  step->path.text);
	content = take(node);
	f6_tree_remove_member(parent, token->name, token->length);
	*f6_tree_add_member(run->context, parent, step->to, step->to_length) = content;
}

/* run_default adds a member that an object lacks. */
static void
run_default(const step_run *run)
{
	const upcast_step *step = run->step;
	const f6_pointer_token *token = f6_pointer_last(&step->path);
	f6_tree_node *parent = find_place(run, &step->path, step->path.count - 1);

	if (parent != NULL && f6_tree_is_object(parent) &&
		f6_tree_member(run->context, parent, token->name, token->length) == NULL)
		f6_tree_refer(f6_tree_add_member(run->context, parent, token->name, token->length),
					  &step->value);
}

/* clang-format off */
static const step_operation operations[] = {
	/* name		  patch	 from	value  to	  place */
	{ "add",	  true,	 false, true,  false, false, run_add },
	{ "copy",	  true,	 true,	false, false, false, run_copy },
	{ "default",  false, false, true,  false, true,	 run_default },
	{ "move",	  true,	 true,	false, false, false, run_move },
	{ "remove",	  true,	 false, false, false, true,	 run_remove },
	{ "rename",	  false, false, false, true,  true,	 run_rename },
	{ "replace",  true,	 false, true,  false, false, run_replace },
	{ "test",	  true,	 false, true,  false, false, run_test }
};
/* clang-format on */

#define OPERATIONS "add, copy, default, move, remove, rename, replace, test"

/* read_operation returns the operation of a step. */
static const step_operation *
read_operation(const JsonbValue *object, int number)
{
	JsonbValue name;

	if (!f6_jsonb_member(object, "op", &name))
		refuse_step(number, "It has no \"op\", which is one of " OPERATIONS ".");
	for (int i = 0; i < (int) lengthof(operations); i++)
	{
		if (f6_jsonb_is_text(&name, operations[i].name))
			return &operations[i];
	}
	refuse_step(number, "Its \"op\" is none of " OPERATIONS ".");
}

/* check_keys refuses keys that a step's operation does not have, where they are not to be ignored. */
static void
check_keys(const JsonbValue *object, const step_operation *operation, int number)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	if (operation->is_patch)
		return;
	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		if (f6_jsonb_is_text(&key, "op") || f6_jsonb_is_text(&key, "path") ||
			f6_jsonb_is_text(&key, "optional") ||
			(operation->has_value && f6_jsonb_is_text(&key, "value")) ||
			(operation->has_name && f6_jsonb_is_text(&key, "to")))
			continue;
		refuse_step(number, psprintf("\"%s\" has no key \"%.*s\".", operation->name,
									 key.val.string.len, key.val.string.val));
	}
}

/* read_string returns a key's value, which must be a string. */
static const char *
read_string(const JsonbValue *object, const char *key, int number)
{
	JsonbValue value;

	if (!f6_jsonb_member(object, key, &value))
		refuse_step(number, psprintf("It has no \"%s\".", key));
	if (value.type != jbvString)
		refuse_step(number, psprintf("Its \"%s\" is not a string.", key));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* read_pointer returns a key's value, which must be a JSON Pointer, taken apart. */
static f6_pointer
read_pointer(const JsonbValue *object, const char *key, int number)
{
	const char *text = read_string(object, key, number);
	f6_pointer pointer;

	if (!f6_pointer_parse(text, &pointer))
		refuse_step(number, psprintf("Its \"%s\" is not a JSON Pointer: \"%s\".", key, text));
	return pointer;
}

/* leads_into tells whether a place is inside another one. */
static bool
leads_into(const f6_pointer *outer, const f6_pointer *inner)
{
	size_t length = strlen(outer->text);

	return strncmp(outer->text, inner->text, length) == 0 && inner->text[length] == '/';
}

/* read_optional tells whether a step is left out where what it works on does not exist. */
static bool
read_optional(const JsonbValue *object, int number)
{
	JsonbValue value;

	if (!f6_jsonb_member(object, "optional", &value))
		return false;
	if (value.type != jbvBool)
		refuse_step(number, "Its \"optional\" is not a boolean.");
	return value.val.boolean;
}

/* compile_step compiles one step. */
static void
compile_step(const JsonbValue *object, int number, upcast_step *step)
{
	const step_operation *operation;

	if (!f6_jsonb_is_object(object))
		refuse_step(number, "It is not a JSON object.");
	operation = read_operation(object, number);
	check_keys(object, operation, number);

	step->operation = operation;
	step->number = number;
	step->optional = read_optional(object, number);
	step->path = read_pointer(object, "path", number);
	if (operation->needs_place && step->path.count == 0)
		refuse_step(number, "Its \"path\" is the whole document.");
	if (operation->has_value && !f6_jsonb_member(object, "value", &step->value))
		refuse_step(number, "It has no \"value\".");
	if (operation->has_name)
	{
		step->to = read_string(object, "to", number);
		step->to_length = (int) strlen(step->to);
	}
	if (operation->has_from)
		step->from = read_pointer(object, "from", number);
	if (operation->run == run_move && leads_into(&step->from, &step->path))
		refuse_step(number,
					psprintf("What is at \"%s\" can't be moved into itself.", step->from.text));
}

/* f6_steps_compile compiles steps into the current memory context, where the document must live as long as they do. */
f6_steps *
f6_steps_compile(Jsonb *document)
{
	f6_steps *steps = palloc(sizeof(f6_steps));
	f6_jsonb_array_walk walk;
	JsonbValue root;
	JsonbValue object;

	f6_jsonb_root(document, &root);
	if (!f6_jsonb_is_array(&root))
		ereport(
			ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("steps must be a JSON array of objects"),
			 errhint("Such as '[{\"op\": \"rename\", \"path\": \"/street\", \"to\": \"road\"}]'; "
					 "an upcaster that changes nothing has neither steps nor a function.")));
	steps->count = 0;
	steps->steps = palloc_extended(sizeof(upcast_step) * Max(f6_jsonb_count(&root), 1),
								   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	f6_jsonb_array_begin(&walk, &root);
	while (f6_jsonb_array_next(&walk, &object))
	{
		CHECK_FOR_INTERRUPTS();
		compile_step(&object, steps->count + 1, &steps->steps[steps->count]);
		steps->count++;
	}
	return steps;
}

/* check_memory refuses steps that take more and more memory. */
static void
check_memory(const step_run *run)
{
	if (MemoryContextMemAllocated(run->context, true) <= F6_STEPS_MEMORY)
		return;
	ereport(ERROR, (errcode(F6_ERR_TOO_DEEP),
					errmsg("the steps of the upcaster make too much of the event's data"),
					errdetail("It takes more than %zu MB after step %d (%s).",
							  F6_STEPS_MEMORY / (1024 * 1024), run->step->number,
							  run->step->operation->name)));
}

/* f6_steps_run runs the steps on a tree, whose memory context must be one that the caller frees as a whole. */
void
f6_steps_run(const f6_steps *steps, MemoryContext context, f6_tree_node *root)
{
	for (int i = 0; i < steps->count; i++)
	{
		step_run run = { &steps->steps[i], context, root };

		CHECK_FOR_INTERRUPTS();
		run.step->operation->run(&run);
		check_memory(&run);
	}
}
