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
#include "instruction.h"
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
	const char *name; /* first, for f6_instruction_operation */
	bool is_patch;	  /* RFC 6902 has it, and says to ignore other keys */
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
static void __attribute__((noreturn)) refuse_step(const void *refused, const char *reason)
{
	const upcast_step *step = refused;

	ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
					errmsg("step %d of the upcaster is not valid", step->number),
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
	index = f6_pointer_place(token, f6_tree_count(parent));
	if (index < 0)
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

/* check_keys refuses keys that a step's operation does not have, where they are not to be ignored. */
static void
check_keys(const step_operation *operation, const f6_instruction *instruction)
{
	const char *const keys[] = { "op", "path", "optional", operation->has_value ? "value" : NULL,
								 operation->has_name ? "to" : NULL };

	if (!operation->is_patch)
		f6_instruction_check_keys(instruction, operation->name, keys, lengthof(keys));
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
read_optional(const upcast_step *step, const JsonbValue *document)
{
	JsonbValue value;

	if (!f6_jsonb_member(document, "optional", &value))
		return false;
	if (value.type != jbvBool)
		refuse_step(step, "Its \"optional\" is not a boolean.");
	return value.val.boolean;
}

/* compile_step compiles one step, whose number is known. */
static void
compile_step(const JsonbValue *document, upcast_step *step)
{
	const f6_instruction instruction = { document, refuse_step, step };
	const step_operation *operation = f6_instruction_operation(
		&instruction, operations, lengthof(operations), sizeof(step_operation));

	step->operation = operation;
	check_keys(operation, &instruction);
	step->optional = read_optional(step, document);
	step->path = f6_instruction_pointer(&instruction, "path");
	if (operation->needs_place && step->path.count == 0)
		refuse_step(step, "Its \"path\" is the whole document.");
	if (operation->has_value && !f6_jsonb_member(document, "value", &step->value))
		refuse_step(step, "It has no \"value\".");
	if (operation->has_name)
	{
		step->to = f6_instruction_needed_text(&instruction, "to");
		step->to_length = (int) strlen(step->to);
	}
	if (operation->has_from)
		step->from = f6_instruction_pointer(&instruction, "from");
	if (operation->run == run_move && leads_into(&step->from, &step->path))
		refuse_step(step,
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
		upcast_step *step = &steps->steps[steps->count++];

		CHECK_FOR_INTERRUPTS();
		step->number = steps->count;
		compile_step(&object, step);
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
