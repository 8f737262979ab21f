/*
 * projection_table.c
 *		The rows of a projection's table, and what is kept of those that have ended.
 *
 * They are read and written by statements, as the projection's owner, so that all that the owner has put on the table goes with it: indexes,
 * constraints, triggers.  Nobody else writes the table: see f6_guard_projection.
 *
 * A fold may end a state, and an event may come later that belongs before the end.  So when a row goes, f6.projection_end keeps how far it had
 * come.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "nodes/makefuncs.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "f6.h"
#include "errors.h"
#include "jsonb_walk.h"
#include "projection_direct.h"
#include "projection_table.h"
#include "relation.h"
#include "spi_connection.h"
#include "table_writer.h"

F6_FUNCTION(f6_guard_projection);

/* The statements, of a projection's table and of f6.projection_end. */
typedef enum statement
{
	READ_ROW,
	LOCK_ROW,
	INSERT_ROW,
	UPDATE_ROW,
	DELETE_ROW,
	READ_END,
	TAKE_END,
	WRITE_END,
	FORGET_END,
	STATEMENTS
} statement;

/* parameters that all statements begin with, but for those of f6.projection_end, which has the projection's id before */
enum row_parameter
{
	ROW_KEY,
	ROW_STATE,
	ROW_LAST_POSITION,
	ROW_LAST_MATERIAL_TIME,
	ROW_PARAMETERS
};

/* The plans of a projection's statements. */
typedef struct table_plans
{
	char *table; /* its name, which may change */
	SPIPlanPtr plans[STATEMENTS];
	MemoryContextCallback end;
} table_plans;

struct f6_projection_table
{
	f6_projection *projection;
	f6_direct *direct; /* NULL: only statements can do what is to be done */
};

/* The table that is being written. */
static Oid written_table = InvalidOid;

/* free_plans frees the plans of a projection, when its memory goes. */
static void
free_plans(void *argument)
{
	table_plans *plans = argument;

	for (int i = 0; i < STATEMENTS; i++)
	{
		if (plans->plans[i] != NULL)
			SPI_freeplan(plans->plans[i]);
		plans->plans[i] = NULL;
	}
}

/* f6_projection_table_name returns the qualified name of a projection's table; one that is gone is an error. */
char *
f6_projection_table_name(const f6_projection *projection)
{
	char *name = get_rel_name(projection->table);

	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("the table of projection \"%s\" does not exist", projection->name),
						errhint("Drop the projection with f6_drop_projection.")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(projection->table)),
									  name);
}

/* f6_projection_key_name returns what the key of a projection's rows is called. */
const char *
f6_projection_key_name(const f6_projection *projection)
{
	return projection->key_text == NULL ? "object_id" : "key";
}

/* equals returns the operator by which keys are the same, as SQL has it wherever it is; the projection is compiled. */
static char *
equals(const f6_projection *projection)
{
	HeapTuple tuple =
		SearchSysCache1(OPEROID, ObjectIdGetDatum(f6_projection_key_type(projection->key)->eq_opr));
	Form_pg_operator row;
	char *text;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for the operator of a key");
	row = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("operator(%s.%s)", quote_identifier(get_namespace_name(row->oprnamespace)),
					NameStr(row->oprname));
	ReleaseSysCache(tuple);
	return text;
}

/* add_columns adds what stands for each typed column of a projection, with its name and the number of its parameter. */
static void
add_columns(StringInfo text, const f6_projection *projection, bool with_name, bool with_parameter)
{
	for (int i = 0; i < projection->column_count; i++)
	{
		appendStringInfoString(text, ", ");
		if (with_name)
			appendStringInfoString(text, quote_identifier(projection->columns[i].name));
		if (with_name && with_parameter)
			appendStringInfoString(text, " = ");
		if (with_parameter)
			appendStringInfo(text, "$%d", ROW_PARAMETERS + 1 + i);
	}
}

/* insert_text returns the statement that inserts a row, unless there is one. */
static char *
insert_text(const f6_projection *projection, const char *table)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "insert into %s (%s, state, last_position, last_material_time", table,
					 f6_projection_key_name(projection));
	add_columns(&text, projection, true, false);
	appendStringInfoString(&text, ") values ($1, $2, $3, $4");
	add_columns(&text, projection, false, true);
	appendStringInfo(&text, ") on conflict (%s) do nothing", f6_projection_key_name(projection));
	return text.data;
}

/* update_text returns the statement that updates a row. */
static char *
update_text(const f6_projection *projection, const char *table)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "update %s set state = $2, last_position = $3, last_material_time = $4",
					 table);
	add_columns(&text, projection, true, true);
	appendStringInfo(&text, " where %s %s $1", f6_projection_key_name(projection),
					 equals(projection));
	return text.data;
}

/* statement_text returns a statement. */
static char *
statement_text(const f6_projection *projection, const char *table, statement number)
{
	const char *key = f6_projection_key_name(projection);

	switch (number)
	{
		case READ_ROW:
		case LOCK_ROW:
			return psprintf(
				"select state, last_position, last_material_time from %s where %s %s $1%s", table,
				key, equals(projection), number == LOCK_ROW ? " for update" : "");
		case INSERT_ROW:
			return insert_text(projection, table);
		case UPDATE_ROW:
			return update_text(projection, table);
		case DELETE_ROW:
			return psprintf("delete from %s where %s %s $1", table, key, equals(projection));
		case READ_END:
			return psprintf("select null::jsonb, last_position, last_material_time"
							" from f6.projection_end where projection_id = %d"
							" and key = $1",
							projection->id);
		case TAKE_END:
			return psprintf("insert into f6.projection_end values (%d, $1, 0, '-infinity')"
							" on conflict (projection_id, key) do update"
							" set last_position = projection_end.last_position"
							" returning null::jsonb, last_position, last_material_time",
							projection->id);
		case WRITE_END:
			return psprintf("insert into f6.projection_end values (%d, $1, $3, $4)"
							" on conflict (projection_id, key) do update"
							" set last_position = greatest(projection_end.last_position,"
							" excluded.last_position), last_material_time ="
							" greatest(projection_end.last_material_time,"
							" excluded.last_material_time)",
							projection->id);
		default:
			return psprintf("delete from f6.projection_end where projection_id = %d"
							" and key = $1",
							projection->id);
	}
}

/* parameter_count returns how many parameters a statement has. */
static int
parameter_count(const f6_projection *projection, statement number)
{
	if (number == INSERT_ROW || number == UPDATE_ROW)
		return ROW_PARAMETERS + projection->column_count;
	return number == WRITE_END ? ROW_PARAMETERS : ROW_KEY + 1;
}

/* prepare returns the plan of a statement, for as long as the projection is kept; inside an SPI connection. */
static SPIPlanPtr
prepare(f6_projection *projection, const char *table, statement number)
{
	int count = parameter_count(projection, number);
	Oid *types = palloc(sizeof(Oid) * (ROW_PARAMETERS + projection->column_count));
	SPIPlanPtr plan;

	types[ROW_KEY] =
		number >= READ_END ? JSONBOID : f6_projection_key_type(projection->key)->type_id;
	types[ROW_STATE] = JSONBOID;
	types[ROW_LAST_POSITION] = INT8OID;
	types[ROW_LAST_MATERIAL_TIME] = TIMESTAMPTZOID;
	for (int i = 0; i < projection->column_count; i++)
		types[ROW_PARAMETERS + i] = projection->columns[i].type;
	plan = SPI_prepare(statement_text(projection, table, number), count, types);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not plan a statement of projection \"%s\": %s", projection->name,
			 SPI_result_code_string(SPI_result));
	return plan;
}

/* plans_of returns the plans of a projection, those that are there; another name of its table makes them void. */
static table_plans *
plans_of(f6_projection *projection)
{
	table_plans *plans = projection->table_plans;
	char *table = f6_projection_table_name(projection);

	if (plans == NULL || strcmp(plans->table, table) != 0)
	{
		plans = MemoryContextAllocZero(projection->context, sizeof(table_plans));
		plans->end.func = free_plans;
		plans->end.arg = plans;
		MemoryContextRegisterResetCallback(projection->context, &plans->end);
		plans->table = MemoryContextStrdup(projection->context, table);
		projection->table_plans = plans;
	}
	return plans;
}

/* run_plan runs a plan, whose table the guard lets be written meanwhile. */
static int
run_plan(SPIPlanPtr plan, Oid table, Datum *values, const char *nulls, bool in_active_snapshot)
{
	Oid before = written_table;
	volatile int result = 0;

	written_table = table;
	PG_TRY();
	{
		result = SPI_execute_plan(plan, values, nulls, in_active_snapshot, 0);
	}
	PG_FINALLY();
	{
		written_table = before;
	}
	PG_END_TRY();
	return result;
}

/* execute_in runs a statement, inside an SPI connection: one that writes nothing in the active snapshot, if wanted. */
static void
execute_in(f6_projection *projection, statement number, Datum *values, const char *nulls,
		   bool in_active_snapshot)
{
	table_plans *plans = plans_of(projection);
	int result;

	if (plans->plans[number] == NULL)
		plans->plans[number] = prepare(projection, plans->table, number);
	result = run_plan(plans->plans[number], projection->table, values, nulls, in_active_snapshot);
	if (result < 0)
		elog(ERROR, "could not run a statement of projection \"%s\": %s", projection->name,
			 SPI_result_code_string(result));
}

/* execute runs a statement, inside an SPI connection. */
static void
execute(f6_projection *projection, statement number, Datum *values, const char *nulls)
{
	execute_in(projection, number, values, nulls, false);
}

/* key_document returns a key as JSON; its type may have a cast to that, which runs as the projection's owner. */
static Datum
key_document(const f6_projection *projection, Datum key)
{
	Param *argument = makeNode(Param);
	FmgrInfo function;

	argument->paramkind = PARAM_EXTERN;
	argument->paramid = 1;
	argument->paramtype = f6_projection_key_type(projection->key)->type_id;
	fmgr_info(F_TO_JSONB, &function);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &function);
	return FunctionCall1(&function, key);
}

/* run_own runs a statement on f6.projection_end, as its owner, inside an SPI connection. */
static void
run_own(f6_projection *projection, statement number, Datum *values)
{
	Oid table = f6_relation_oid(F6_PROJECTION_END);
	f6_acting before;

	values[ROW_KEY] = key_document(projection, values[ROW_KEY]);
	f6_act_as(f6_relation_owner(table), NULL, &before);
	execute(projection, number, values, NULL);
	f6_act_end(&before);
}

/* f6_projection_column_list returns the names of the columns of a projection's table, of that of a name in a query, or of any (NULL). */
char *
f6_projection_column_list(const f6_projection *projection, const char *of)
{
	const char *names[] = { f6_projection_key_name(projection), "state", "last_position",
							"last_material_time" };
	int count;
	const f6_projection_column *columns = f6_projection_columns(projection->columns_text, &count);
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < (int) lengthof(names) + count; i++)
		appendStringInfo(
			&list, "%s%s%s%s", i == 0 ? "" : ", ", of == NULL ? "" : of, of == NULL ? "" : ".",
			i < (int) lengthof(names) ? names[i]
									  : quote_identifier(columns[i - (int) lengthof(names)].name));
	return list.data;
}

/* put runs a statement that writes a projection's table, as its owner; inside an SPI connection. */
static void
put(const f6_projection *projection, const char *text)
{
	f6_acting before;
	SPIPlanPtr plan;

	f6_projection_act(projection, &before);
	plan = SPI_prepare(text, 0, NULL);
	if (plan == NULL || run_plan(plan, projection->table, NULL, NULL, false) < 0)
		elog(ERROR, "could not put the rows of projection \"%s\"", projection->name);
	f6_act_end(&before);
}

/* f6_projection_table_put makes the rows of a projection those of another table; what is the same stays as it is. */
void
f6_projection_table_put(const f6_projection *projection, Oid table)
{
	char *old = f6_projection_table_name(projection);
	char *new = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
										   get_rel_name(table));
	const char *key = f6_projection_key_name(projection);
	char *columns = f6_projection_column_list(projection, NULL);
	char *values = f6_projection_column_list(projection, "n");
	char *equal = equals(projection);

	f6_spi_connect();
	put(projection, psprintf("delete from %s as o where not exists"
							 " (select from %s as n where n.%s %s o.%s)",
							 old, new, key, equal, key));
	put(projection,
		psprintf("update %s as o set (%s) = row (%s) from %s as n where n.%s %s o.%s and"
				 " (n.state, n.last_position, n.last_material_time) is distinct from"
				 " (o.state, o.last_position, o.last_material_time)",
				 old, columns, values, new, key, equal, key));
	put(projection, psprintf("insert into %s (%s) select %s from %s as n where not exists"
							 " (select from %s as o where o.%s %s n.%s)",
							 old, columns, values, new, old, key, equal, key));
	SPI_finish();
}

/* take_row returns the row that a statement found, if it did, in the caller's memory context. */
static bool
take_row(f6_projection_row *row, MemoryContext context)
{
	MemoryContext caller;
	bool isnull;
	Datum state;

	if (SPI_processed == 0)
		return false;
	state = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	caller = MemoryContextSwitchTo(context);
	row->state = isnull ? NULL : DatumGetJsonbPCopy(state);
	MemoryContextSwitchTo(caller);
	row->last_position =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	row->last_material_time = DatumGetTimestampTz(
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	return true;
}

/* f6_projection_column_name returns the name of a column of a projection's table, counted from 1. */
const char *
f6_projection_column_name(const f6_projection *projection, int number)
{
	int last = F6_ROW_STATE + projection->column_count;

	if (number == F6_ROW_KEY)
		return f6_projection_key_name(projection);
	if (number == F6_ROW_STATE)
		return "state";
	if (number > last)
		return number == last + 1 ? "last_position" : "last_material_time";
	return projection->columns[number - F6_ROW_STATE - 1].name;
}

/* f6_projection_column_type returns its type. */
Oid
f6_projection_column_type(const f6_projection *projection, int number)
{
	int last = F6_ROW_STATE + projection->column_count;

	if (number == F6_ROW_KEY)
		return f6_projection_key_type(projection->key)->type_id;
	if (number == F6_ROW_STATE)
		return JSONBOID;
	if (number > last)
		return number == last + 1 ? INT8OID : TIMESTAMPTZOID;
	return projection->columns[number - F6_ROW_STATE - 1].type;
}

/* f6_projection_table_open opens the table of a projection, in the current memory context, for its rows to be read and written. */
f6_projection_table *
f6_projection_table_open(f6_projection *projection)
{
	f6_projection_table *table = palloc(sizeof(f6_projection_table));

	table->projection = projection;
	table->direct = f6_direct_open(projection);
	return table;
}

/* f6_projection_table_close closes it; the lock stays. */
void
f6_projection_table_close(f6_projection_table *table)
{
	if (table->direct != NULL)
		f6_direct_close(table->direct);
	pfree(table);
}

/* f6_projection_table_runs_code tells whether code of others may run when a row is written. */
bool
f6_projection_table_runs_code(const f6_projection_table *table)
{
	return table->direct == NULL || f6_direct_runs_code(table->direct) ||
		   table->projection->column_count > 0;
}

/* f6_projection_row_read reads a row into the current memory context, locked or not, and tells whether there is one. */
bool
f6_projection_row_read(f6_projection_table *table, Datum key, bool lock, f6_projection_row *row)
{
	MemoryContext caller = CurrentMemoryContext;
	bool found;

	ItemPointerSetInvalid(&row->place);
	if (table->direct != NULL)
		return f6_direct_read(table->direct, key, row);
	f6_spi_connect();
	execute(table->projection, lock ? LOCK_ROW : READ_ROW, &key, NULL);
	found = take_row(row, caller);
	SPI_finish();
	return found;
}

/* f6_projection_row_check_absent refuses a row that the transaction's snapshot is too old to see: its transaction is to be repeated. */
void
f6_projection_row_check_absent(f6_projection *projection, Datum key)
{
	if (!IsolationUsesXactSnapshot())
		return;
	f6_spi_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	execute_in(projection, READ_ROW, &key, NULL, true);
	PopActiveSnapshot();
	if (SPI_processed > 0)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("could not serialize access due to concurrent update"),
						errdetail("Another transaction has made a row of projection \"%s\".",
								  projection->name)));
	SPI_finish();
}

/* describe_column says of an error for which column a value was meant. */
static void
describe_column(void *argument)
{
	const f6_projection_column *column = argument;

	errcontext("column \"%s\" from \"%s\" of the state", column->name, column->pointer.text);
}

/* read_value makes a value for a column of text; NULL: none, which only a domain may refuse. */
static Datum
read_value(const f6_projection_column *column, char *text)
{
	ErrorContextCallback context = { error_context_stack, describe_column, (void *) column };
	Oid function;
	Oid parameter;
	Datum value;

	error_context_stack = &context;
	getTypeInputInfo(column->type, &function, &parameter);
	value = text == NULL && column->base_type == column->type
				? (Datum) 0
				: OidInputFunctionCall(function, text, parameter, column->typmod);
	error_context_stack = context.previous;
	return value;
}

/* value_text returns a value as JSON text. */
static char *
value_text(const JsonbValue *value)
{
	JsonbValue copy = *value;
	Jsonb *document = JsonbValueToJsonb(&copy);

	return JsonbToCString(NULL, &document->root, VARSIZE(document));
}

/* column_value returns what a state has for a column. */
static Datum
column_value(const f6_projection_column *column, Jsonb *state, bool *isnull)
{
	JsonbValue root;
	JsonbValue value;

	f6_jsonb_root(state, &root);
	*isnull = !f6_pointer_get(&column->pointer, &root, &value) || f6_jsonb_is_null(&value);
	if (*isnull)
		return read_value(column, NULL);
	if (column->type == JSONBOID)
		return JsonbPGetDatum(JsonbValueToJsonb(&value));
	if (value.type == jbvString && column->base_type != JSONBOID && column->base_type != JSONOID)
		return read_value(column, pnstrdup(value.val.string.val, value.val.string.len));
	return read_value(column, value_text(&value));
}

/* write_row runs a statement with a row. */
static uint64
write_row(f6_projection *projection, statement number, Datum key, const f6_projection_row *row)
{
	int count = ROW_PARAMETERS + projection->column_count;
	Datum *values;
	char *nulls;
	uint64 written;

	f6_spi_connect();
	values = palloc(sizeof(Datum) * count);
	nulls = palloc(count);
	memset(nulls, ' ', count);
	values[ROW_KEY] = key;
	values[ROW_STATE] = JsonbPGetDatum(row->state);
	values[ROW_LAST_POSITION] = Int64GetDatum(row->last_position);
	values[ROW_LAST_MATERIAL_TIME] = TimestampTzGetDatum(row->last_material_time);
	for (int i = 0; i < projection->column_count; i++)
	{
		bool isnull;

		values[ROW_PARAMETERS + i] = column_value(&projection->columns[i], row->state, &isnull);
		nulls[ROW_PARAMETERS + i] = isnull ? 'n' : ' ';
	}
	execute(projection, number, values, nulls);
	written = SPI_processed;
	SPI_finish();
	return written;
}

/* f6_projection_columns_fill fills in the columns of a row with types of their own, from its state. */
void
f6_projection_columns_fill(const f6_projection *projection, Jsonb *state, Datum *values,
						   bool *nulls)
{
	for (int i = 0; i < projection->column_count; i++)
		values[i] = column_value(&projection->columns[i], state, &nulls[i]);
}

/* fill_row fills in the columns of a row. */
static void
fill_row(const f6_projection *projection, Datum key, const f6_projection_row *row, Datum *values,
		 bool *nulls)
{
	int last = F6_ROW_STATE + projection->column_count;

	memset(nulls, false, sizeof(bool) * (last + F6_ROW_COLUMNS_AT_END));
	values[F6_ROW_KEY - 1] = key;
	values[F6_ROW_STATE - 1] = JsonbPGetDatum(row->state);
	f6_projection_columns_fill(projection, row->state, &values[F6_ROW_STATE], &nulls[F6_ROW_STATE]);
	values[last] = Int64GetDatum(row->last_position);
	values[last + 1] = TimestampTzGetDatum(row->last_material_time);
}

/* room_for_row returns room for the columns of a row, and for whether they are NULL. */
static Datum *
room_for_row(const f6_projection *projection, bool **nulls)
{
	int count = F6_ROW_STATE + projection->column_count + F6_ROW_COLUMNS_AT_END;

	*nulls = palloc(sizeof(bool) * count);
	return palloc(sizeof(Datum) * count);
}

/* f6_projection_row_insert inserts a row, unless there is one; it tells whether it did. */
bool
f6_projection_row_insert(f6_projection_table *table, Datum key, const f6_projection_row *row)
{
	Datum *values;
	bool *nulls;

	if (table->direct == NULL)
		return write_row(table->projection, INSERT_ROW, key, row) > 0;
	values = room_for_row(table->projection, &nulls);
	fill_row(table->projection, key, row, values, nulls);
	return f6_direct_insert(table->direct, values, nulls);
}

struct f6_projection_inserter
{
	f6_projection *projection;
	f6_table_writer *writer;
};

/* f6_projection_inserter_begin begins to insert rows together, in the current memory context; NULL where that can't be done. */
f6_projection_inserter *
f6_projection_inserter_begin(f6_projection_table *table)
{
	f6_projection_inserter *inserter;

	if (table->direct == NULL || !f6_direct_is_unconstrained(table->direct))
		return NULL;
	inserter = palloc(sizeof(f6_projection_inserter));
	inserter->projection = table->projection;
	inserter->writer = f6_table_writer_begin(f6_direct_table(table->direct));
	if (f6_table_writer_is_plain(inserter->writer))
		return inserter;
	f6_table_writer_end(inserter->writer);
	return NULL;
}

/* f6_projection_inserter_put inserts a row, of which there is none. */
void
f6_projection_inserter_put(f6_projection_inserter *inserter, Datum key,
						   const f6_projection_row *row)
{
	TupleTableSlot *slot = f6_table_writer_row(inserter->writer);

	fill_row(inserter->projection, key, row, slot->tts_values, slot->tts_isnull);
	f6_table_writer_put(inserter->writer, VARSIZE(row->state));
}

/* f6_projection_inserter_end writes what is left, and ends it. */
void
f6_projection_inserter_end(f6_projection_inserter *inserter)
{
	f6_table_writer_end(inserter->writer);
	CommandCounterIncrement();
}

/* f6_projection_row_update updates a row. */
void
f6_projection_row_update(f6_projection_table *table, Datum key, const f6_projection_row *row)
{
	Datum *values;
	bool *nulls;

	if (table->direct == NULL || !ItemPointerIsValid(&row->place))
	{
		(void) write_row(table->projection, UPDATE_ROW, key, row);
		return;
	}
	values = room_for_row(table->projection, &nulls);
	fill_row(table->projection, key, row, values, nulls);
	f6_direct_update(table->direct, row, values, nulls);
}

/* f6_projection_row_delete deletes a row. */
void
f6_projection_row_delete(f6_projection_table *table, Datum key)
{
	f6_spi_connect();
	execute(table->projection, DELETE_ROW, &key, NULL);
	SPI_finish();
}

/*
 * f6_projection_end_read reads how far a row had come that has ended, and tells whether one has.  To take it, for one that is in
 * nobody's hands, makes others wait who want the same; there is one then.
 */
bool
f6_projection_end_read(f6_projection *projection, Datum key, bool take, f6_projection_row *row)
{
	MemoryContext caller = CurrentMemoryContext;
	bool found;

	f6_spi_connect();
	run_own(projection, take ? TAKE_END : READ_END, &key);
	found = take_row(row, caller);
	SPI_finish();
	return found;
}

/* f6_projection_end_write keeps how far a row had come that has ended. */
void
f6_projection_end_write(f6_projection *projection, Datum key, const f6_projection_row *row)
{
	Datum values[ROW_PARAMETERS];

	values[ROW_KEY] = key;
	values[ROW_STATE] = (Datum) 0;
	values[ROW_LAST_POSITION] = Int64GetDatum(row->last_position);
	values[ROW_LAST_MATERIAL_TIME] = TimestampTzGetDatum(row->last_material_time);
	f6_spi_connect();
	run_own(projection, WRITE_END, values);
	SPI_finish();
}

/* f6_projection_end_forget forgets a row that had ended, since it is there again. */
void
f6_projection_end_forget(f6_projection *projection, Datum key)
{
	f6_spi_connect();
	run_own(projection, FORGET_END, &key);
	SPI_finish();
}

/* f6_guard_projection is the trigger that lets nobody but the projection write its table; a dump's rows may come back. */
Datum
f6_guard_projection(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		f6_refuse_protocol("f6_guard_projection");
	if (RelationGetRelid(trigger->tg_relation) != written_table &&
		!(TRIGGER_FIRED_BY_INSERT(trigger->tg_event) && f6_is_restoring(trigger->tg_relation)))
		ereport(ERROR, (errcode(F6_ERR_FORBIDDEN_CHANGE),
						errmsg("table \"%s\" is written by its projection alone",
							   RelationGetRelationName(trigger->tg_relation)),
						errhint("Append events. A projection that is made with writable => true "
								"leaves its table open.")));
	return PointerGetDatum(NULL);
}
