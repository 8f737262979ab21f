/*
 * fold_program.c
 *		What a fold does with events of each type: merge their data, run rules, call a function, or nothing.
 *
 * A program is the JSON string "merge", or an object whose members are types of events, or patterns of them.  The type itself goes
 * before any pattern, and of several patterns the one that says most.  Events that nothing is said of do nothing.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "fold_program.h"
#include "jsonb_walk.h"
#include "registered_function.h"

/* A type that events were met of, and its handler. */
typedef struct met_type
{
	const char *name;
	f6_fold_handler *handler;
	char status;
} met_type;

#define SH_PREFIX			 met_types
#define SH_ELEMENT_TYPE		 met_type
#define SH_KEY_TYPE			 const char *
#define SH_KEY				 name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key), (int) strlen(key))
#define SH_EQUAL(tb, a, b)	 (strcmp((a), (b)) == 0)
#define SH_SCOPE			 static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct f6_fold_program
{
	MemoryContext context;
	int count;
	f6_fold_handler *handlers; /* what goes before others first */
	bool is_limited;
	int limit_count;
	const char *const *limits; /* types and patterns: others do nothing, if it is limited */
	const char *exception;	   /* a type that does nothing; NULL: none */
	int skip_count;
	const int64 *skips; /* events at these positions, ascending, are as if they were not there */
	uint64 hash;
	met_types_hash *met;
};

/* For the types that no handler is for. */
static f6_fold_handler no_handler = { .way = F6_FOLD_NOTHING };

/* refuse_program raises the error for a fold that is none. */
static void __attribute__((noreturn)) refuse_program(const char *type, const char *found)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("the fold for \"%s\" is not valid", type),
			 errdetail("It must be \"merge\", \"ignore\", an array of rules, or an object with a "
					   "\"function\", found %s.",
					   found)));
}

/* read_function readies the function that a handler names. */
static void
read_function(const JsonbValue *object, f6_fold_handler *handler)
{
	f6_function_role role = f6_function_fold();
	JsonbValue signature;
	Oid function;

	if (f6_jsonb_count(object) != 1 || !f6_jsonb_member(object, "function", &signature) ||
		signature.type != jbvString)
		refuse_program(handler->type, "another object");
	function =
		f6_function_find(pnstrdup(signature.val.string.val, signature.val.string.len), &role);
	f6_function_check_privilege(function);
	fmgr_info(function, &handler->function);
	handler->way = F6_FOLD_FUNCTION;
	handler->needs_row = true;
}

/* read_handler reads what is done with events of a type. */
static void
read_handler(const JsonbValue *value, f6_fold_handler *handler)
{
	if (f6_jsonb_is_text(value, "merge"))
		handler->way = F6_FOLD_MERGE;
	else if (f6_jsonb_is_text(value, "ignore"))
		handler->way = F6_FOLD_NOTHING;
	else if (f6_jsonb_is_array(value))
	{
		handler->way = F6_FOLD_RULES;
		handler->rules = f6_rules_compile(value, handler->type);
		handler->needs_row = f6_rules_need_row(handler->rules);
	}
	else if (f6_jsonb_is_object(value))
		read_function(value, handler);
	else
		refuse_program(handler->type,
					   value->type == jbvString ? "another string" : f6_jsonb_type_name(value));
}

/* says tells how much a type or pattern says: all, or the number of its characters besides the stars. */
static int
says(const char *type)
{
	int characters = 0;

	if (strchr(type, '*') == NULL)
		return PG_INT32_MAX;
	for (const char *at = type; *at != '\0'; at++)
		characters += *at != '*';
	return characters;
}

/* compare_handlers brings what goes before others first, for qsort. */
static int
compare_handlers(const void *a, const void *b)
{
	const f6_fold_handler *first = a;
	const f6_fold_handler *second = b;
	int difference = says(second->type) - says(first->type);

	return difference != 0 ? difference : strcmp(first->type, second->type);
}

/* read_handlers reads the members of a program. */
static void
read_handlers(f6_fold_program *program, const JsonbValue *object)
{
	f6_jsonb_object_walk walk;
	JsonbValue type;
	JsonbValue value;

	program->handlers = palloc_extended(sizeof(f6_fold_handler) * Max(f6_jsonb_count(object), 1),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &type, &value))
	{
		f6_fold_handler *handler = &program->handlers[program->count++];

		CHECK_FOR_INTERRUPTS();
		handler->type = pnstrdup(type.val.string.val, type.val.string.len);
		read_handler(&value, handler);
	}
	qsort(program->handlers, program->count, sizeof(f6_fold_handler), compare_handlers);
}

/* merge_all makes a program that merges the data of all events. */
static void
merge_all(f6_fold_program *program)
{
	program->handlers = palloc0(sizeof(f6_fold_handler));
	program->handlers[0].type = "*";
	program->handlers[0].way = F6_FOLD_MERGE;
	program->count = 1;
}

/* read_document reads the handlers of a program. */
static void
read_document(f6_fold_program *program, Jsonb *document)
{
	JsonbValue root;

	f6_jsonb_root(document, &root);
	if (f6_jsonb_is_object(&root))
		read_handlers(program, &root);
	else if (f6_jsonb_is_text(&root, "merge"))
		merge_all(program);
	else
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("a fold must be \"merge\", or a JSON object by types of events"),
						errhint("Such as '{\"Order*\": \"merge\"}'.")));
}

/* f6_fold_program_compile compiles a program into the current memory context, where the document must live as long; NULL merges all. */
f6_fold_program *
f6_fold_program_compile(Jsonb *document)
{
	f6_fold_program *program = palloc0(sizeof(f6_fold_program));

	program->context = CurrentMemoryContext;
	program->met = met_types_create(program->context, 16, NULL);
	if (document != NULL)
	{
		program->hash =
			hash_bytes_extended((const unsigned char *) document, (int) VARSIZE(document), 1);
		read_document(program, document);
	}
	else
		merge_all(program);
	return program;
}

/* f6_fold_program_limit has a program do nothing with events of other types than some, or patterns; they must live as long. */
void
f6_fold_program_limit(f6_fold_program *program, const char *const *types, int count)
{
	program->is_limited = true;
	program->limits = types;
	program->limit_count = count;
	for (int i = 0; i < count; i++)
		program->hash =
			hash_combine64(program->hash, hash_bytes_extended((const unsigned char *) types[i],
															  (int) strlen(types[i]), (uint64) i));
	met_types_reset(program->met);
}

/* f6_fold_program_except has a program do nothing with events of a type, whose name must live as long. */
void
f6_fold_program_except(f6_fold_program *program, const char *type)
{
	program->exception = type;
	program->hash = hash_combine64(
		program->hash, hash_bytes_extended((const unsigned char *) type, (int) strlen(type), 1));
	met_types_reset(program->met);
}

/* f6_fold_program_skip has a program take events at some positions, ascending, as not there; they must live as long. */
void
f6_fold_program_skip(f6_fold_program *program, const int64 *positions, int count)
{
	program->skips = positions;
	program->skip_count = count;
	for (int i = 0; i < count; i++)
		program->hash = hash_combine64(program->hash, (uint64) positions[i]);
}

/* compare_positions compares two positions, for bsearch. */
static int
compare_positions(const void *a, const void *b)
{
	int64 first = *(const int64 *) a;
	int64 second = *(const int64 *) b;

	return first < second ? -1 : first > second;
}

/* f6_fold_program_skips tells whether an event at a position is as if it were not there. */
bool
f6_fold_program_skips(const f6_fold_program *program, int64 position)
{
	return program->skip_count > 0 && bsearch(&position, program->skips, program->skip_count,
											  sizeof(int64), compare_positions) != NULL;
}

/* f6_fold_program_run_as has a program call its functions as somebody, in a time zone, whoever folds. */
void
f6_fold_program_run_as(f6_fold_program *program, Oid owner, const char *time_zone)
{
	for (int i = 0; i < program->count; i++)
	{
		program->handlers[i].owner = owner;
		program->handlers[i].time_zone = time_zone;
	}
}

/* f6_fold_program_needs_row tells whether a program may look at events beside their data. */
bool
f6_fold_program_needs_row(const f6_fold_program *program)
{
	for (int i = 0; i < program->count; i++)
	{
		if (program->handlers[i].needs_row)
			return true;
	}
	return false;
}

/* f6_fold_program_may_end tells whether a program may end a state, so that there is none. */
bool
f6_fold_program_may_end(const f6_fold_program *program)
{
	for (int i = 0; i < program->count; i++)
	{
		const f6_fold_handler *handler = &program->handlers[i];

		if (handler->way == F6_FOLD_FUNCTION ||
			(handler->way == F6_FOLD_RULES && f6_rules_may_end(handler->rules)))
			return true;
	}
	return false;
}

/* f6_fold_program_is_declared tells whether a program calls no functions, which somebody may change. */
bool
f6_fold_program_is_declared(const f6_fold_program *program)
{
	for (int i = 0; i < program->count; i++)
	{
		if (program->handlers[i].way == F6_FOLD_FUNCTION)
			return false;
	}
	return true;
}

/* f6_fold_program_each_function passes on the functions that a program calls, in the order of its handlers. */
void
f6_fold_program_each_function(const f6_fold_program *program,
							  void (*receive)(void *state, Oid function), void *state)
{
	for (int i = 0; i < program->count; i++)
	{
		if (program->handlers[i].way == F6_FOLD_FUNCTION)
			receive(state, program->handlers[i].function.fn_oid);
	}
}

/* f6_fold_program_hash returns a hash of what a program says. */
uint64
f6_fold_program_hash(const f6_fold_program *program)
{
	return program->hash;
}

/* f6_is_like tells whether a name is what a pattern says: * stands for any characters. */
bool
f6_is_like(const char *pattern, const char *name)
{
	const char *star = NULL;
	const char *again = NULL;

	while (*name != '\0')
	{
		if (*pattern == '*')
		{
			star = pattern++;
			again = name;
		}
		else if (*pattern != '\0' && *pattern == *name)
		{
			pattern++;
			name++;
		}
		else if (star != NULL)
		{
			pattern = star + 1;
			name = ++again;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* is_within tells whether a type is one that a program does anything with. */
static bool
is_within(const f6_fold_program *program, const char *type)
{
	if (!program->is_limited)
		return true;
	for (int i = 0; i < program->limit_count; i++)
	{
		if (f6_is_like(program->limits[i], type))
			return true;
	}
	return false;
}

/* find_handler returns the handler of a type. */
static f6_fold_handler *
find_handler(f6_fold_program *program, const char *type)
{
	if (!is_within(program, type) ||
		(program->exception != NULL && strcmp(type, program->exception) == 0))
		return &no_handler;
	for (int i = 0; i < program->count; i++)
	{
		if (f6_is_like(program->handlers[i].type, type))
			return &program->handlers[i];
	}
	return &no_handler;
}

/* f6_fold_program_handler returns what is done with events of a type. */
f6_fold_handler *
f6_fold_program_handler(f6_fold_program *program, const char *type)
{
	bool found;
	met_type *met = met_types_insert(program->met, type, &found);

	if (!found)
	{
		met->name = MemoryContextStrdup(program->context, type);
		met->handler = find_handler(program, type);
	}
	return met->handler;
}
