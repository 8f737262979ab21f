/*
 * projection.c
 *		The projections that there are, compiled: f6.projection, kept for the backend's life.
 *
 * The rows are read together, and each is compiled, as its owner, when it is first needed.  When the table or a function changes all of
 * them are read anew.  What was read before stays until the transaction ends, for whoever is still at it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "f6.h"
#include "errors.h"
#include "jsonb_walk.h"
#include "projection.h"
#include "registered_function.h"
#include "registry.h"
#include "relation.h"

/* columns of f6.projection */
enum projection_column
{
	PROJECTION_ID = 1,
	PROJECTION_NAME,
	PROJECTION_MODE,
	PROJECTION_EVENT_TYPES,
	PROJECTION_FOLD,
	PROJECTION_HANDLER,
	PROJECTION_KEY,
	PROJECTION_COLUMNS_OF_TABLE,
	PROJECTION_LEGAL,
	PROJECTION_TIME_ZONE,
	PROJECTION_TABLE,
	PROJECTION_OWNER,
	PROJECTION_NEXT_FOLD,
	PROJECTION_COLUMNS = PROJECTION_NEXT_FOLD
};

/* columns of f6.projection_skip */
enum skip_column
{
	SKIP_PROJECTION = 1,
	SKIP_POSITION
};

static const char *const mode_names[] = { "inline", "async", "live" };

static MemoryContext cache = NULL;
static List *projections; /* in the cache, by their ids */
static List *inline_projections;
static Oid projection_relation = InvalidOid;
static Oid skip_relation = InvalidOid;
static uint64 function_generation;
static bool stale = true;
static SubTransactionId used_in; /* the last in which any of them was compiled or used */

/* forget marks the cache stale when f6.projection changes, or when anything may have. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == projection_relation || relation == skip_relation)
		stale = true;
}

/*
 * forget_aborted marks the cache stale after an error, which may have left functions in the midst of a call: of a call that began in the
 * subtransaction, or in one of its own, whose ids are greater.
 */
static void
forget_aborted(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		stale |= used_in >= id;
}

/* forget_at_end does so when a transaction fails. */
static void
forget_at_end(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		stale |= used_in != InvalidSubTransactionId;
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PARALLEL_PRE_COMMIT &&
		event != XACT_EVENT_PRE_PREPARE)
		used_in = InvalidSubTransactionId;
}

/* f6_projection_init readies the projections; called once, when the library is loaded. */
void
f6_projection_init(void)
{
	f6_registry_init(forget);
	RegisterSubXactCallback(forget_aborted, NULL);
	RegisterXactCallback(forget_at_end, NULL);
}

/* f6_projection_mode_name returns what a mode is called. */
const char *
f6_projection_mode_name(f6_projection_mode mode)
{
	return mode_names[mode];
}

/* mode_of returns the mode of that name. */
static f6_projection_mode
mode_of(const char *name)
{
	for (int i = 0; i < (int) lengthof(mode_names); i++)
	{
		if (strcmp(name, mode_names[i]) == 0)
			return (f6_projection_mode) i;
	}
	elog(ERROR, "mode \"%s\" of a projection is not known", name);
}

/* read_types reads the types that a projection is limited to. */
static void
read_types(f6_projection *projection, Datum array, bool isnull)
{
	Datum *elements;
	int count;

	projection->type_count = -1;
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	projection->types = palloc(sizeof(char *) * Max(count, 1));
	for (int i = 0; i < count; i++)
		projection->types[i] = TextDatumGetCString(elements[i]);
	projection->type_count = count;
}

/* read_jsonb returns a copy of a column of type jsonb, NULL for NULL. */
static Jsonb *
read_jsonb(Datum value, bool isnull)
{
	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* read_next_fold reads the fold with which a projection is to be rebuilt. */
static void
read_next_fold(f6_projection *projection, Datum value, bool isnull)
{
	Jsonb *fold = read_jsonb(value, isnull);
	JsonbValue root;

	if (fold == NULL)
		return;
	f6_jsonb_root(fold, &root);
	projection->has_next_fold = true;
	projection->next_fold = f6_jsonb_is_null(&root) ? NULL : fold;
}

/* read_row reads a row of f6.projection into the current memory context. */
static f6_projection *
read_row(HeapTuple row, TupleDesc descriptor)
{
	f6_projection *projection = palloc0(sizeof(f6_projection));
	Datum values[PROJECTION_COLUMNS];
	bool nulls[PROJECTION_COLUMNS];

	heap_deform_tuple(row, descriptor, values, nulls);
	projection->id = DatumGetInt32(values[PROJECTION_ID - 1]);
	projection->name = TextDatumGetCString(values[PROJECTION_NAME - 1]);
	projection->mode = mode_of(TextDatumGetCString(values[PROJECTION_MODE - 1]));
	read_types(projection, values[PROJECTION_EVENT_TYPES - 1], nulls[PROJECTION_EVENT_TYPES - 1]);
	projection->fold = read_jsonb(values[PROJECTION_FOLD - 1], nulls[PROJECTION_FOLD - 1]);
	projection->handler_text = f6_row_text(row, descriptor, PROJECTION_HANDLER);
	projection->key_text = f6_row_text(row, descriptor, PROJECTION_KEY);
	projection->columns_text =
		read_jsonb(values[PROJECTION_COLUMNS_OF_TABLE - 1], nulls[PROJECTION_COLUMNS_OF_TABLE - 1]);
	projection->legal = DatumGetBool(values[PROJECTION_LEGAL - 1]);
	projection->time_zone = TextDatumGetCString(values[PROJECTION_TIME_ZONE - 1]);
	projection->table =
		nulls[PROJECTION_TABLE - 1] ? InvalidOid : DatumGetObjectId(values[PROJECTION_TABLE - 1]);
	projection->owner = DatumGetObjectId(values[PROJECTION_OWNER - 1]);
	read_next_fold(projection, values[PROJECTION_NEXT_FOLD - 1], nulls[PROJECTION_NEXT_FOLD - 1]);
	projection->context = CurrentMemoryContext;
	return projection;
}

/* compare_ids brings projections in the order of their ids, for list_sort. */
static int
compare_ids(const ListCell *a, const ListCell *b)
{
	const f6_projection *first = lfirst(a);
	const f6_projection *second = lfirst(b);

	return first->id < second->id ? -1 : first->id > second->id;
}

/* check_table refuses a table whose columns somebody has changed. */
static void
check_table(TupleDesc descriptor)
{
	static const f6_column columns[] = {
		{ "projection_id", INT4OID },
		{ "name", TEXTOID },
		{ "mode", TEXTOID },
		{ "event_types", TEXTARRAYOID },
		{ "fold", JSONBOID },
		{ "handler", TEXTOID },
		{ "key", TEXTOID },
		{ "columns", JSONBOID },
		{ "legal", BOOLOID },
		{ "time_zone", TEXTOID },
		{ "table_name", REGCLASSOID },
		{ "owner", REGROLEOID },
		{ "next_fold", JSONBOID },
	};

	StaticAssertStmt(lengthof(columns) == PROJECTION_COLUMNS, "each column has a name and a type");
	f6_check_columns(descriptor, F6_PROJECTION, columns, lengthof(columns));
}

/* read_table reads f6.projection into the current memory context. */
static void
read_table(void)
{
	Relation table = table_open(projection_relation, AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	HeapTuple row;

	check_table(RelationGetDescr(table));
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		f6_projection *projection = read_row(row, RelationGetDescr(table));

		f6_registry_row_read(row);
		projections = lappend(projections, projection);
		if (projection->mode == F6_PROJECTION_INLINE)
			inline_projections = lappend(inline_projections, projection);
	}
	list_sort(projections, compare_ids);
	list_sort(inline_projections, compare_ids);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

/* add_skip adds the position of an event that a projection takes as not there. */
static void
add_skip(int32 id, int64 position)
{
	ListCell *cell;

	foreach (cell, projections)
	{
		f6_projection *projection = lfirst(cell);

		if (projection->id != id)
			continue;
		projection->skips =
			projection->skips == NULL
				? palloc(sizeof(int64))
				: repalloc(projection->skips, sizeof(int64) * (projection->skip_count + 1));
		projection->skips[projection->skip_count++] = position;
	}
}

/* read_skips reads f6.projection_skip, in the order of its key. */
static void
read_skips(void)
{
	Relation table = table_open(skip_relation, AccessShareLock);
	Relation index = index_open(f6_relation_oid(F6_PROJECTION_SKIP_INDEX), AccessShareLock);
	SysScanDesc scan = systable_beginscan_ordered(table, index, NULL, 0, NULL);
	HeapTuple row;

	while (HeapTupleIsValid(row = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		bool isnull;

		f6_registry_row_read(row);
		add_skip(
			DatumGetInt32(heap_getattr(row, SKIP_PROJECTION, RelationGetDescr(table), &isnull)),
			DatumGetInt64(heap_getattr(row, SKIP_POSITION, RelationGetDescr(table), &isnull)));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);
}

/* retire leaves what was read to the transaction, whose end frees it. */
static void
retire(void)
{
	if (cache != NULL)
		MemoryContextSetParent(cache, TopTransactionContext);
	cache = NULL;
	projections = NIL;
	inline_projections = NIL;
}

/* ready reads the projections, where what was read before may be wrong. */
static void
ready(void)
{
	MemoryContext caller;
	MemoryContext context;

	if (!stale && function_generation == f6_function_generation())
		return;
	retire();
	projection_relation = f6_relation_oid(F6_PROJECTION);
	skip_relation = f6_relation_oid(F6_PROJECTION_SKIP);
	function_generation = f6_function_generation();
	/* What changes while they are read has them read again. */
	stale = false;
	context = AllocSetContextCreate(CurrentMemoryContext, "f6 projections", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	PG_TRY();
	{
		read_table();
		read_skips();
	}
	PG_CATCH();
	{
		stale = true;
		projections = NIL;
		inline_projections = NIL;
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	cache = context;
}

/* f6_projection_find returns the projection of a name, NULL if there is none. */
f6_projection *
f6_projection_find(const char *name)
{
	ListCell *cell;

	ready();
	foreach (cell, projections)
	{
		f6_projection *projection = lfirst(cell);

		if (strcmp(projection->name, name) == 0)
			return projection;
	}
	return NULL;
}

/* f6_projection_get returns the projection of a name, which must exist. */
f6_projection *
f6_projection_get(const char *name)
{
	f6_projection *projection = f6_projection_find(name);

	if (projection == NULL)
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN), errmsg("projection \"%s\" does not exist", name),
						errhint("f6.projection lists them; f6_create_projection makes one.")));
	return projection;
}

/* f6_projection_of_id returns the projection with an id, NULL if there is none. */
f6_projection *
f6_projection_of_id(int32 id)
{
	ListCell *cell;

	ready();
	foreach (cell, projections)
	{
		f6_projection *projection = lfirst(cell);

		if (projection->id == id)
			return projection;
	}
	return NULL;
}

/* f6_projections_all returns all projections, by their ids. */
List *
f6_projections_all(void)
{
	ready();
	return projections;
}

/* f6_projections_inline returns the projections that appends write. */
List *
f6_projections_inline(void)
{
	ready();
	return inline_projections;
}

/*
 * f6_projection_shadow returns a projection like another, with the fold that this is to have, whose rows are made in another table; it is good
 * until the end of the transaction.
 */
f6_projection *
f6_projection_shadow(const f6_projection *projection, Oid table)
{
	MemoryContext context =
		AllocSetContextCreate(TopTransactionContext, "f6 shadow", ALLOCSET_SMALL_SIZES);
	f6_projection *shadow = MemoryContextAlloc(context, sizeof(f6_projection));

	*shadow = *projection;
	shadow->context = context;
	shadow->id = -projection->id;
	shadow->table = table;
	if (projection->has_next_fold)
		shadow->fold = projection->next_fold;
	shadow->is_compiled = false;
	shadow->program = NULL;
	shadow->key = NULL;
	shadow->columns = NULL;
	shadow->table_plans = NULL;
	return shadow;
}

/* check_owner refuses a projection whose owner is gone. */
static void
check_owner(const f6_projection *projection)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(projection->owner)))
		ereport(ERROR, (errcode(F6_ERR_UNKNOWN),
						errmsg("the owner of projection \"%s\" does not exist", projection->name),
						errhint("Drop the projection with f6_drop_projection.")));
}

/* f6_projection_act begins to act as a projection's owner. */
void
f6_projection_act(const f6_projection *projection, f6_acting *before)
{
	check_owner(projection);
	f6_act_as(projection->owner, projection->time_zone, before);
}

/* f6_projection_act_as_user does so by the session's settings, for what runs no code of others. */
void
f6_projection_act_as_user(const f6_projection *projection, f6_acting *before)
{
	check_owner(projection);
	f6_act_as_user(projection->owner, before);
}

/* f6_projection_runs_code tells whether code of others may run when a claim in the version to read is folded; the projection is compiled. */
bool
f6_projection_runs_code(const f6_projection *projection)
{
	return projection->program == NULL || projection->key_text != NULL ||
		   projection->column_count > 0 || f6_fold_program_needs_row(projection->program);
}

/* refuse_column raises the error for a column that is not said to be what and from where. */
static void __attribute__((noreturn)) refuse_column(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("column \"%s\" is not valid", name),
			 errdetail("%s", detail),
			 errhint("Give the name of a type, or {\"type\": ..., \"path\": ...} with a JSON "
					 "Pointer into the state.")));
}

/* read_string returns a member of an object that is a string; NULL where there is none. */
static const char *
read_string(const char *name, const JsonbValue *object, const char *member)
{
	JsonbValue value;

	if (!f6_jsonb_member(object, member, &value))
		return NULL;
	if (value.type != jbvString)
		refuse_column(name, psprintf("\"%s\" must be a string.", member));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* pointer_to returns a JSON Pointer to the member of a state that has a name. */
static const char *
pointer_to(const char *name)
{
	StringInfoData pointer;

	initStringInfo(&pointer);
	appendStringInfoChar(&pointer, '/');
	for (const char *at = name; *at != '\0'; at++)
	{
		if (*at == '~')
			appendStringInfoString(&pointer, "~0");
		else if (*at == '/')
			appendStringInfoString(&pointer, "~1");
		else
			appendStringInfoChar(&pointer, *at);
	}
	return pointer.data;
}

/* read_column reads what is said of a column. */
static void
read_column(const JsonbValue *said, f6_projection_column *column)
{
	const char *type = NULL;
	const char *path = NULL;

	if (said->type == jbvString)
		type = pnstrdup(said->val.string.val, said->val.string.len);
	else if (f6_jsonb_is_object(said))
	{
		type = read_string(column->name, said, "type");
		path = read_string(column->name, said, "path");
		if (f6_jsonb_count(said) != 1 + (path != NULL))
			refuse_column(column->name, "It has other members than \"type\" and \"path\".");
	}
	if (type == NULL)
		refuse_column(column->name, "It has no type.");
	f6_parse_type(type, &column->type, &column->typmod);
	if (get_typtype(column->type) == TYPTYPE_PSEUDO)
		refuse_column(column->name, psprintf("There are no columns of type %s.", type));
	column->base_type = getBaseType(column->type);
	if (path == NULL)
		path = pointer_to(column->name);
	if (!f6_pointer_parse(path, &column->pointer))
		refuse_column(column->name, psprintf("\"%s\" is not a JSON Pointer.", path));
}

/* f6_projection_columns reads the columns of a projection's table from a document, in the current memory context; NULL has none. */
f6_projection_column *
f6_projection_columns(Jsonb *document, int *count)
{
	f6_projection_column *columns;
	f6_jsonb_object_walk walk;
	JsonbValue root;
	JsonbValue name;
	JsonbValue said;

	*count = 0;
	if (document == NULL)
		return NULL;
	f6_jsonb_root(document, &root);
	if (!f6_jsonb_is_object(&root))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("columns must be a JSON object, found %s", f6_jsonb_type_name(&root)),
				 errhint("It has the names of columns and their types, such as "
						 "'{\"total\": \"numeric\"}'.")));
	columns = palloc0(sizeof(f6_projection_column) * Max(f6_jsonb_count(&root), 1));
	f6_jsonb_object_begin(&walk, &root);
	while (f6_jsonb_object_next(&walk, &name, &said))
	{
		f6_projection_column *column = &columns[(*count)++];

		column->name = pnstrdup(name.val.string.val, name.val.string.len);
		read_column(&said, column);
	}
	return columns;
}

/*
 * f6_projection_program compiles the fold of a projection into the current memory context, for its types and without what it skips; the caller
 * acts as its owner.
 */
f6_fold_program *
f6_projection_program(const f6_projection *projection)
{
	f6_fold_program *program = f6_fold_program_compile(projection->fold);

	if (projection->type_count >= 0)
		f6_fold_program_limit(program, projection->types, projection->type_count);
	f6_fold_program_run_as(program, projection->owner, projection->time_zone);
	f6_fold_program_skip(program, projection->skips, projection->skip_count);
	return program;
}

/*
 * f6_projection_compile compiles what makes the rows of a projection, unless it is; the caller acts as its owner.
 */
void
f6_projection_compile(f6_projection *projection)
{
	MemoryContext caller;
	f6_function_role role;

	used_in = GetCurrentSubTransactionId();
	if (projection->is_compiled)
		return;
	caller = MemoryContextSwitchTo(projection->context);
	if (projection->handler_text != NULL)
	{
		role = f6_function_handler();
		fmgr_info(f6_function_find(projection->handler_text, &role), &projection->handler);
		f6_function_check_privilege(projection->handler.fn_oid);
	}
	else
	{
		projection->program = f6_projection_program(projection);
		projection->key = f6_projection_key_compile(projection->key_text);
		projection->columns =
			f6_projection_columns(projection->columns_text, &projection->column_count);
	}
	projection->is_compiled = true;
	MemoryContextSwitchTo(caller);
}

/*
 * f6_projection_settings has what acts as a projection's owner go by the settings that code of others needs, if it does not yet; NULL: it
 * does.
 */
void
f6_projection_settings(const f6_projection *projection, f6_acting *acting)
{
	if (acting != NULL && acting->settings == 0)
		f6_act_by_settings(projection->time_zone, acting);
}

/* f6_projection_skips tells whether a projection takes the event at a position as not there. */
bool
f6_projection_skips(const f6_projection *projection, int64 position)
{
	for (int i = 0; i < projection->skip_count; i++)
	{
		if (projection->skips[i] == position)
			return true;
	}
	return false;
}

/* f6_projection_takes tells whether a projection is about events of a type. */
bool
f6_projection_takes(const f6_projection *projection, const char *event_type)
{
	if (projection->type_count < 0)
		return true;
	for (int i = 0; i < projection->type_count; i++)
	{
		if (f6_is_like(projection->types[i], event_type))
			return true;
	}
	return false;
}

/* f6_projection_is_about tells whether a projection, which is compiled, does anything with events of a type. */
bool
f6_projection_is_about(const f6_projection *projection, const char *event_type)
{
	if (!f6_projection_takes(projection, event_type))
		return false;
	return projection->program == NULL ||
		   f6_fold_program_handler(projection->program, event_type)->way != F6_FOLD_NOTHING;
}
