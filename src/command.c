/*
 * command.c
 *		The commands that there are, compiled: f6.command, kept for the backend's life.
 *
 * A command is read and compiled when it is first executed.  When the table or a function changes all of them are forgotten.  What was read
 * before stays while commands are executed, for whoever is still at it.  A command runs as its caller, so the privileges on its functions
 * are checked whenever it is executed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "acting.h"
#include "command.h"
#include "errors.h"
#include "event_type.h"
#include "jsonb_walk.h"
#include "registered_function.h"
#include "registry.h"
#include "relation.h"
#include "schema_compile.h"

F6_FUNCTION(f6_command_shape);

/* columns of f6.command */
enum command_column
{
	COMMAND_NAME = 1,
	COMMAND_HANDLER,
	COMMAND_SCHEMA,
	COMMAND_CONTEXT,
	COMMAND_FOLD,
	COMMAND_ATTEMPTS,
	COMMAND_REJECTED_TYPE,
	COMMAND_COLUMNS = COMMAND_REJECTED_TYPE
};

static MemoryContext cache = NULL;
static List *commands; /* in the cache */
static Oid command_relation = InvalidOid;
static uint64 function_generation;
static bool stale = true;
static int executing = 0; /* how many commands are being executed, one within another */

/* forget marks the cache stale when f6.command changes, or when anything may have. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == command_relation)
		stale = true;
}

/* f6_command_init readies the commands; called once, when the library is loaded. */
void
f6_command_init(void)
{
	f6_registry_init(forget);
}

/* f6_command_spoil has commands compiled anew, after an error that may have left functions in the midst of a call. */
void
f6_command_spoil(void)
{
	stale = true;
}

/* f6_command_begin notes that a command is going to be executed: what was read is kept until the end of it. */
void
f6_command_begin(void)
{
	executing++;
}

/* f6_command_end notes that this has ended. */
void
f6_command_end(void)
{
	executing--;
}

/* retire frees what was read where it may be wrong; or leaves it to the transaction, whose end does, for whoever is still at it. */
static void
retire(void)
{
	if (!stale && function_generation == f6_function_generation())
		return;
	if (cache != NULL && executing == 0)
		MemoryContextDelete(cache);
	else if (cache != NULL)
		MemoryContextSetParent(cache, TopTransactionContext);
	cache = NULL;
	commands = NIL;
	command_relation = f6_relation_oid(F6_COMMAND);
	function_generation = f6_function_generation();
	/* What changes while a command is read has it read again. */
	stale = false;
}

/* check_table refuses a table whose columns somebody has changed. */
static void
check_table(TupleDesc descriptor)
{
	static const f6_column columns[] = {
		{ "name", TEXTOID },		  { "handler", TEXTOID }, { "schema", JSONBOID },
		{ "context", JSONBOID },	  { "fold", JSONBOID },	  { "attempts", INT4OID },
		{ "rejected_type", TEXTOID },
	};

	StaticAssertStmt(lengthof(columns) == COMMAND_COLUMNS, "each column has a name and a type");
	f6_check_columns(descriptor, F6_COMMAND, columns, lengthof(columns));
}

/* row_jsonb returns a copy of a column of type jsonb, NULL for NULL. */
static Jsonb *
row_jsonb(HeapTuple row, TupleDesc descriptor, int column)
{
	bool isnull;
	Datum value = heap_getattr(row, column, descriptor, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* find_handler returns the function with a signature, which must do for the handler of a command. */
static Oid
find_handler(const char *signature)
{
	f6_function_role role = f6_function_command();

	return f6_function_find(signature, &role);
}

/* check_rejected_type refuses a type of recorded rejections that the context or the fold names: these are no part of the state. */
static void
check_rejected_type(const f6_command_context *context, Jsonb *fold, const char *type)
{
	JsonbValue root;
	JsonbValue member;
	bool is_folded = false;

	if (fold != NULL)
	{
		f6_jsonb_root(fold, &root);
		is_folded = f6_jsonb_is_object(&root) && f6_jsonb_member(&root, type, &member);
	}
	if (is_folded || f6_command_context_names_type(context, type))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("%s names the rejected_type \"%s\"",
							   is_folded ? "the fold" : "the context", type),
						errdetail("Rejections that are recorded are no part of the state.")));
}

/* check_definition refuses a command whose rejections can't be recorded beside what it decides on, or that has a fold of nothing. */
static void
check_definition(const f6_command_context *context, Jsonb *fold, const char *rejected_type)
{
	if (fold != NULL && context == NULL)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("a fold needs a context"),
						errhint("It makes a state of the events of the context.")));
	if (rejected_type == NULL)
		return;
	if (context == NULL || !f6_command_context_may_name_objects(context))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("rejected_type needs a context with objects"),
				 errdetail("A rejection is recorded of the objects of the context.")));
	check_rejected_type(context, fold, rejected_type);
}

/* compile makes a command of its row, however that got into the table, in the current memory context. */
static f6_command *
compile(HeapTuple row, TupleDesc descriptor)
{
	f6_command *command = palloc0(sizeof(f6_command));
	Jsonb *context = row_jsonb(row, descriptor, COMMAND_CONTEXT);
	Jsonb *fold = row_jsonb(row, descriptor, COMMAND_FOLD);
	bool isnull;

	command->name = f6_row_text(row, descriptor, COMMAND_NAME);
	command->attempts = DatumGetInt32(heap_getattr(row, COMMAND_ATTEMPTS, descriptor, &isnull));
	command->rejected_type = f6_row_text(row, descriptor, COMMAND_REJECTED_TYPE);
	command->handler = find_handler(f6_row_text(row, descriptor, COMMAND_HANDLER));
	command->context = context == NULL ? NULL : f6_command_context_compile(context);
	check_definition(command->context, fold, command->rejected_type);
	command->program = f6_fold_program_compile(fold);
	if (command->rejected_type != NULL)
		f6_fold_program_except(command->program, command->rejected_type);
	command->schema = row_jsonb(row, descriptor, COMMAND_SCHEMA);
	command->schema_site.fn_mcxt = CurrentMemoryContext;
	return command;
}

/* read_command reads a command and compiles it in the current memory context, by the names of the catalog alone; NULL: there is none. */
static f6_command *
read_command(const char *name)
{
	Relation table = table_open(command_relation, AccessShareLock);
	f6_command *command = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;

	check_table(RelationGetDescr(table));
	ScanKeyEntryInitialize(&key, 0, COMMAND_NAME, BTEqualStrategyNumber, InvalidOid,
						   TupleDescAttr(RelationGetDescr(table), COMMAND_NAME - 1)->attcollation,
						   F_TEXTEQ, CStringGetTextDatum(name));
	scan = systable_beginscan(table, f6_relation_oid(F6_COMMAND_INDEX), true, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		f6_registry_row_read(row);
		command = compile(row, RelationGetDescr(table));
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return command;
}

/* read_into_cache reads a command into the cache; NULL: there is none. */
static f6_command *
read_into_cache(const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "f6 command", ALLOCSET_SMALL_SIZES);
	f6_command *command;
	f6_acting before;

	GetUserIdAndSecContext(&before.user, &before.security);
	f6_act_by_settings(NULL, &before);
	MemoryContextSwitchTo(context);
	command = read_command(name);
	f6_act_end(&before);
	if (command != NULL)
	{
		if (cache == NULL)
			cache = AllocSetContextCreate(CacheMemoryContext, "f6 commands", ALLOCSET_SMALL_SIZES);
		MemoryContextSetParent(context, cache);
		MemoryContextSwitchTo(cache);
		commands = lappend(commands, command);
	}
	MemoryContextSwitchTo(caller);
	return command;
}

/* f6_command_get returns the command of a name, which must exist, as it is now. */
f6_command *
f6_command_get(const char *name)
{
	f6_command *command;
	ListCell *cell;

	AcceptInvalidationMessages();
	retire();
	foreach (cell, commands)
	{
		command = lfirst(cell);
		if (strcmp(command->name, name) == 0)
			return command;
	}
	command = read_into_cache(name);
	if (command == NULL)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("command \"%s\" does not exist", name),
						errhint("f6.command lists them; f6_create_command makes one.")));
	return command;
}

/* check_function refuses a caller who may not execute a function of a fold. */
static void
check_function(void *state, Oid function)
{
	(void) state;
	f6_function_check_privilege(function);
}

/* f6_command_check_privileges refuses a caller who may not execute the functions of a command. */
void
f6_command_check_privileges(const f6_command *command)
{
	f6_function_check_privilege(command->handler);
	if (command->context == NULL)
		return;
	if (OidIsValid(f6_command_context_function(command->context)))
		f6_function_check_privilege(f6_command_context_function(command->context));
	f6_fold_program_each_function(command->program, check_function, NULL);
}

/* read_context returns the context that a document describes, whose function the caller must be allowed to execute; NULL for NULL. */
static f6_command_context *
read_context(Jsonb *document)
{
	f6_command_context *context;

	if (document == NULL)
		return NULL;
	context = f6_command_context_compile(document);
	if (OidIsValid(f6_command_context_function(context)))
		f6_function_check_privilege(f6_command_context_function(context));
	return context;
}

/*
 * f6.command_shape(handler, schema, context, fold, rejected_type) checks what makes a command, and returns the handler with its name qualified.
 * The names of other functions are found without the caller's search_path, as when they are called.
 */
Datum
f6_command_shape(PG_FUNCTION_ARGS)
{
	Oid handler = find_handler(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Jsonb *fold = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	char *rejected_type = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	f6_command_context *context;
	f6_acting before;

	f6_function_check_privilege(handler);
	GetUserIdAndSecContext(&before.user, &before.security);
	f6_act_by_settings(NULL, &before);
	if (!PG_ARGISNULL(1))
		(void) f6_schema_compile(PG_GETARG_JSONB_P(1), true);
	context = read_context(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	check_definition(context, fold, rejected_type);
	(void) f6_fold_program_compile(fold);
	if (rejected_type != NULL)
		(void) f6_event_type_newest(rejected_type);
	f6_act_end(&before);
	PG_RETURN_TEXT_P(cstring_to_text(f6_function_signature(handler)));
}
