/*
 * schema_document.c
 *		Finding the documents that schemas refer to by URI, and registering them in f6.schema.
 *
 * Nothing ever comes from the network: a document is a metaschema that f6 brings along, or it is in f6.schema.  Documents
 * are not kept here.  Who keeps what was made of one keeps the generation beside it, asked for before the document was.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "metaschema.h"
#include "registry.h"
#include "relation.h"
#include "schema_compile.h"
#include "schema_document.h"
#include "uri.h"

F6_FUNCTION(f6_schema_before_insert);

static Oid document_relation = InvalidOid; /* f6.schema as it was read last */
static uint64 generation = 0;

/* forget begins a new generation when f6.schema changes, or when anything may have; what was never read matters to nobody. */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (relation == InvalidOid || relation == document_relation)
		generation++;
}

/* f6_schema_document_init readies the documents; called once, when the library is loaded. */
void
f6_schema_document_init(void)
{
	f6_registry_init(forget);
}

/* f6_schema_generation returns a number that is another one after each change of f6.schema. */
uint64
f6_schema_generation(void)
{
	return generation;
}

/* read_document returns a registered document, copied; NULL when there is none. */
static Jsonb *
read_document(const char *uri)
{
	Relation relation;
	Jsonb *document = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	bool isnull;

	document_relation = f6_relation_oid(F6_SCHEMA_DOCUMENT);
	relation = table_open(document_relation, AccessShareLock);
	ScanKeyInit(&key, F6_SCHEMA_DOCUMENT_URI, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(uri));
	key.sk_collation =
		TupleDescAttr(RelationGetDescr(relation), F6_SCHEMA_DOCUMENT_URI - 1)->attcollation;
	scan = systable_beginscan(relation, f6_relation_oid(F6_SCHEMA_DOCUMENT_INDEX), true, NULL, 1,
							  &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		f6_registry_row_read(row);
		document = DatumGetJsonbPCopy(
			heap_getattr(row, F6_SCHEMA_DOCUMENT_SCHEMA, RelationGetDescr(relation), &isnull));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return document;
}

/*
 * f6_schema_document returns the document with an absolute URI without fragment, NULL when there is none.
 *
 * A metaschema lives as long as the backend.  A document of f6.schema, which the caller is told of, is a copy in the current
 * memory context.
 */
Jsonb *
f6_schema_document(const char *uri, bool *registered)
{
	Jsonb *document = f6_metaschema(uri);

	*registered = false;
	if (document != NULL)
		return document;
	document = read_document(uri);
	*registered = document != NULL;
	return document;
}

/* check_document refuses what is no JSON Schema, whatever other documents will be registered. */
static void
check_document(const char *uri, Jsonb *document)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema check", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	f6_schema_check(uri, document);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* check_uri refuses a URI by which no reference could find a document, and returns it without an empty fragment. */
static char *
check_uri(const char *uri)
{
	const char *fragment = f6_uri_fragment(uri);
	char *whole = f6_uri_without_fragment(uri);
	char *resolved = f6_uri_resolve(NULL, whole, strlen(whole));

	if (!f6_uri_is_absolute(uri, strlen(uri)))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 *uri == '\0' ? errmsg("uri must not be empty")
							  : errmsg("uri must be absolute: \"%s\"", uri),
				 errhint("Give the whole URI, such as https://example.com/address or urn:example:"
						 "address.")));
	if (fragment != NULL && *fragment != '\0')
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("uri must not have a fragment: \"%s\"", uri),
				 errhint("Register the whole document as \"%s\"; a reference may have a "
						 "fragment.",
						 whole)));
	if (strcmp(resolved, whole) != 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("uri must not have the segments \".\" and \"..\": \"%s\"", uri),
						errhint("References lead to \"%s\".", resolved)));
	if (f6_metaschema(whole) != NULL)
		ereport(ERROR, (errcode(F6_ERR_REGISTERED), errmsg("schema \"%s\" is built in", whole),
						errhint("It is always there. Register a document of your own under a URI "
								"of your own.")));
	return whole;
}

/* require refuses a column without a value, and returns the value. */
static Datum
require(HeapTuple row, TupleDesc descriptor, int column, const char *name)
{
	bool isnull;
	Datum value = heap_getattr(row, column, descriptor, &isnull);

	if (isnull)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", name)));
	return value;
}

/* checked_row returns a row with its URI as references have it; a document that is no good is refused. */
static HeapTuple
checked_row(HeapTuple row, TupleDesc descriptor)
{
	Datum uri = require(row, descriptor, F6_SCHEMA_DOCUMENT_URI, "uri");
	Datum document = require(row, descriptor, F6_SCHEMA_DOCUMENT_SCHEMA, "schema");
	int column = F6_SCHEMA_DOCUMENT_URI;
	bool isnull = false;
	char *checked;

	checked = check_uri(TextDatumGetCString(uri));
	check_document(checked, DatumGetJsonbP(document));
	uri = CStringGetTextDatum(checked);
	return heap_modify_tuple_by_cols(row, descriptor, 1, &column, &uri, &isnull);
}

/* f6_schema_before_insert is the trigger that refuses a document which is no good; a dump's rows were checked before. */
Datum
f6_schema_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!f6_is_relation(trigger->tg_relation, F6_SCHEMA_DOCUMENT))
		f6_refuse_protocol("f6_schema_before_insert");
	if (f6_is_restoring(trigger->tg_relation))
		return PointerGetDatum(trigger->tg_trigtuple);
	return PointerGetDatum(
		checked_row(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation)));
}
