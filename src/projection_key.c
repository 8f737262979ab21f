/*
 * projection_key.c
 *		By what the rows of a projection are told apart: the objects of an event, or what an expression makes of it.
 *
 * The expression is SQL over the columns of f6.event, as those of an index are: immutable, without subqueries.  It is kept with all its
 * names qualified, so that it means the same to everybody.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "f6.h"
#include "acting.h"
#include "errors.h"
#include "event_row.h"
#include "projection_key.h"
#include "relation.h"

/* By what the columns of an event go in an expression, beside their own names. */
#define EVENT_NAME "event"

/* The expression of who gives none. */
#define OBJECT_KEY "object_ids"

struct f6_projection_key
{
	ExprState *expression;
	ExprContext *context;
	TupleTableSlot *slot;
	bool is_array;
	bool is_running;	  /* is the expression being evaluated? */
	bool needs_place;	  /* does it look at the position of an event, or at all of it? */
	TypeCacheEntry *type; /* of a key */
};

/* refuse_key raises the error for what is no key expression. */
static void __attribute__((noreturn)) refuse_key(const char *text, const char *detail)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("key \"%s\" is not valid", text),
			 errdetail("%s", detail),
			 errhint("Give an immutable SQL expression over the columns of f6.event, such as "
					 "event_data ->> 'product'.")));
}

/* is_expression tells whether a statement is nothing but SELECT and one value. */
static bool
is_expression(const SelectStmt *statement)
{
	return list_length(statement->targetList) == 1 && statement->op == SETOP_NONE &&
		   statement->distinctClause == NIL && statement->intoClause == NULL &&
		   statement->fromClause == NIL && statement->whereClause == NULL &&
		   statement->groupClause == NIL && statement->havingClause == NULL &&
		   statement->windowClause == NIL && statement->sortClause == NIL &&
		   statement->limitOffset == NULL && statement->limitCount == NULL &&
		   statement->lockingClause == NIL && statement->withClause == NULL;
}

/* place_error has an error point into an expression, rather than into the statement that brought it. */
static void
place_error(void *statement)
{
	int place = geterrposition();

	if (place <= 0)
		return;
	errposition(0);
	internalerrposition(place);
	internalerrquery(statement);
}

/* parse_text returns what the parser makes of an expression. */
static Node *
parse_text(const char *text)
{
	char *query = psprintf("select %s", text);
	ErrorContextCallback context = { error_context_stack, place_error, query };
	List *statements;
	Node *statement;
	ResTarget *target;

	error_context_stack = &context;
	statements = raw_parser(query, RAW_PARSE_DEFAULT);
	error_context_stack = context.previous;
	statement = list_length(statements) == 1 ? linitial_node(RawStmt, statements)->stmt : NULL;
	if (statement == NULL || !IsA(statement, SelectStmt) ||
		!is_expression((SelectStmt *) statement))
		refuse_key(text, "It is not one expression.");
	target = linitial_node(ResTarget, ((SelectStmt *) statement)->targetList);
	if (target->name != NULL ||
		(IsA(target->val, ColumnRef) && IsA(llast(((ColumnRef *) target->val)->fields), A_Star)))
		refuse_key(text, "It is not one expression.");
	return target->val;
}

/* analyze_text returns what an expression means over the rows of the log. */
static Node *
analyze_text(const char *text, Relation event)
{
	ParseState *state = make_parsestate(NULL);
	ParseNamespaceItem *columns;
	Node *expression;

	columns = addRangeTableEntryForRelation(state, event, AccessShareLock,
											makeAlias(EVENT_NAME, NIL), false, true);
	addNSItemToQuery(state, columns, true, true, true);
	expression = transformExpr(state, parse_text(text), EXPR_KIND_INDEX_EXPRESSION);
	assign_expr_collations(state, expression);
	free_parsestate(state);
	if (contain_mutable_functions((Node *) expression_planner((Expr *) copyObject(expression))))
		refuse_key(text, "It calls a function that is not immutable.");
	return expression;
}

/* f6_projection_key_normal returns an expression with all its names qualified as far as f6_act_as needs that. */
char *
f6_projection_key_normal(const char *text)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Node *expression = analyze_text(text, event);
	List *context = deparse_context_for(EVENT_NAME, RelationGetRelid(event));
	f6_acting before;
	char *normal;

	/* A name that is found without a schema would be written without one. */
	f6_act_as(GetUserId(), NULL, &before);
	normal = deparse_expression(expression, context, false, false);
	f6_act_end(&before);
	table_close(event, AccessShareLock);
	return normal;
}

/* key_type returns the type of the keys that an expression of some type makes. */
static TypeCacheEntry *
key_type(const char *text, Oid type, bool *is_array)
{
	Oid element = get_base_element_type(type);
	TypeCacheEntry *entry;

	*is_array = OidIsValid(element);
	entry = lookup_type_cache(*is_array ? element : type, TYPECACHE_EQ_OPR_FINFO |
															  TYPECACHE_HASH_PROC_FINFO |
															  TYPECACHE_CMP_PROC_FINFO);
	if (get_typtype(entry->type_id) == TYPTYPE_PSEUDO)
		refuse_key(text, "It has no type of which there are values in tables.");
	if (!OidIsValid(entry->eq_opr_finfo.fn_oid) || !OidIsValid(entry->hash_proc_finfo.fn_oid) ||
		!OidIsValid(entry->cmp_proc_finfo.fn_oid))
		refuse_key(text, psprintf("Values of type %s can't be told apart by an index.",
								  format_type_be(entry->type_id)));
	return entry;
}

/* looks_at tells whether an expression looks at a column of the event; 0: at the whole row. */
static bool
looks_at(Node *expression, int column)
{
	Bitmapset *columns = NULL;

	pull_varattnos(expression, 1, &columns);
	return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, columns);
}

/* f6_projection_key_compile compiles an expression into the current memory context; NULL: the objects of an event. */
f6_projection_key *
f6_projection_key_compile(const char *text)
{
	f6_projection_key *key = palloc0(sizeof(f6_projection_key));
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Node *expression = analyze_text(text == NULL ? OBJECT_KEY : text, event);

	key->type = key_type(text, exprType(expression), &key->is_array);
	key->needs_place = looks_at(expression, F6_EVENT_POSITION_COLUMN) || looks_at(expression, 0);
	key->expression = ExecInitExpr(expression_planner((Expr *) expression), NULL);
	key->context = CreateStandaloneExprContext();
	key->slot =
		MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(event)), &TTSOpsHeapTuple);
	key->context->ecxt_scantuple = key->slot;
	table_close(event, AccessShareLock);
	return key;
}

/* f6_projection_key_needs_place tells whether the keys of an event can't be told before it has its place in the log. */
bool
f6_projection_key_needs_place(const f6_projection_key *key)
{
	return key->needs_place;
}

/* f6_projection_key_type returns the type of the keys, with its functions for comparing and hashing. */
TypeCacheEntry *
f6_projection_key_type(const f6_projection_key *key)
{
	return key->type;
}

/* f6_projection_key_compare tells which of two keys comes first: as strcmp does. */
int
f6_projection_key_compare(const TypeCacheEntry *type, Datum a, Datum b)
{
	return DatumGetInt32(
		FunctionCall2Coll((FmgrInfo *) &type->cmp_proc_finfo, DEFAULT_COLLATION_OID, a, b));
}

/* compare_keys brings keys in order, for qsort_arg. */
static int
compare_keys(const void *a, const void *b, void *type)
{
	return f6_projection_key_compare(type, *(const Datum *) a, *(const Datum *) b);
}

/* drop_nulls returns how many elements are left when the NULLs are gone. */
static int
drop_nulls(Datum *elements, const bool *nulls, int count)
{
	int kept = 0;

	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			elements[kept++] = elements[i];
	}
	return kept;
}

/* each_element passes on the elements of an array, in order, each once. */
static void
each_element(const f6_projection_key *key, Datum array, f6_key_receiver receive, void *state)
{
	Datum *elements;
	bool *nulls;
	int count;

	deconstruct_array(DatumGetArrayTypeP(array), key->type->type_id, key->type->typlen,
					  key->type->typbyval, key->type->typalign, &elements, &nulls, &count);
	count = drop_nulls(elements, nulls, count);
	qsort_arg(elements, count, sizeof(Datum), compare_keys, key->type);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || f6_projection_key_compare(key->type, elements[i - 1], elements[i]) != 0)
			receive(state, elements[i]);
	}
}

/* evaluate returns what the expression makes of the event in the slot. */
static Datum
evaluate(f6_projection_key *key, bool *isnull)
{
	volatile Datum value = (Datum) 0;

	if (key->is_running)
		ereport(ERROR, (errcode(F6_ERR_FORBIDDEN_CHANGE),
						errmsg("the key of a projection must not append events of the projection"),
						errhint("Have its expression call functions that are immutable indeed.")));
	key->is_running = true;
	PG_TRY();
	{
		value = ExecEvalExprSwitchContext(key->expression, key->context, isnull);
	}
	PG_FINALLY();
	{
		key->is_running = false;
	}
	PG_END_TRY();
	return value;
}

/* f6_projection_key_each passes on the keys of an event, a value of type f6.event, that are not NULL, in order: good until the next event. */
void
f6_projection_key_each(f6_projection_key *key, Datum row, f6_key_receiver receive, void *state)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(row);
	HeapTupleData tuple = { .t_data = header, .t_len = HeapTupleHeaderGetDatumLength(header) };
	bool isnull;
	Datum value;

	ItemPointerSetInvalid(&tuple.t_self);
	if (!key->is_running)
	{
		ResetExprContext(key->context);
		ExecStoreHeapTuple(&tuple, key->slot, false);
	}
	value = evaluate(key, &isnull);
	if (isnull)
		;
	else if (key->is_array)
		each_element(key, value, receive, state);
	else
		receive(state, value);
	ExecClearTuple(key->slot);
}
