/*
 * find.c
 *		f6_find: whose state has a value at a field, at one time as known at another.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "guc.h"
#include "jsonb_walk.h"
#include "kept_field.h"
#include "lock.h"
#include "question.h"
#include "relation.h"
#include "span.h"

F6_FUNCTION(f6_find);
F6_FUNCTION(f6_fill_field);
F6_FUNCTION(f6_empty_field);
F6_FUNCTION(f6_lock_field_of);

/* As much as an index takes, with the rest of its entry. */
#define MAX_PATH_LENGTH 2000

/* What is asked. */
typedef struct search
{
	f6_field field;
	Jsonb *value;
	TimestampTz valid_at;
	TimestampTz known_at;
	f6_objects changed; /* objects for which what is kept does not count */
	ReturnSetInfo *result;
} search;

/* read_field reads a field from a function's arguments: its path, and whether only what has legal force counts. */
static void
read_field(FunctionCallInfo fcinfo, int path, int legal, f6_field *field)
{
	if (PG_ARGISNULL(path))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("path must not be NULL"),
						errhint("Give the JSON Pointer of a field, such as '/address/street'.")));
	field->path = text_to_cstring(PG_GETARG_TEXT_PP(path));
	field->legal = f6_argument_legal(fcinfo, legal);
	if (!f6_jsonb_pointer_is_valid(field->path))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("path \"%s\" is not a JSON Pointer", field->path),
						errhint("It begins with a slash: '/address/street'. A slash in a name is "
								"written ~1, a tilde ~0.")));
}

/* check_reader refuses a caller who may not see every event: what is kept is of all. */
static void
check_reader(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation links = table_open(f6_relation_oid(F6_EVENT_OBJECT), AccessShareLock);
	bool may_read = f6_may_read(event) && f6_may_read(links);

	table_close(links, NoLock);
	table_close(event, NoLock);
	if (!may_read)
		ereport(
			ERROR,
			(errcode(F6_ERR_NO_PRIVILEGE),
			 errmsg("permission denied to search the states of all objects"),
			 errhint("It takes SELECT on f6.event and f6.event_object, without policies for their "
					 "rows.")));
}

/* check_keeper refuses a caller who may not say which fields are kept. */
static void
check_keeper(void)
{
	Relation table = table_open(f6_relation_oid(F6_FIELD), AccessShareLock);
	AclResult allowed =
		pg_class_aclcheck(RelationGetRelid(table), GetUserId(), ACL_INSERT | ACL_DELETE);

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_TABLE, RelationGetRelationName(table));
	table_close(table, NoLock);
}

/* check_registered refuses a field that is not kept. */
static void
check_registered(const f6_field *field)
{
	if (!f6_field_is_registered(field))
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN),
				 errmsg("field \"%s\" is not kept%s", field->path,
						field->legal ? " for what has legal force" : ""),
				 errhint("Have it kept with f6_keep_field; f6.field lists those that are.")));
}

/* read_search reads what is asked from the arguments of f6_find. */
static void
read_search(FunctionCallInfo fcinfo, search *search)
{
	f6_argument_projection(fcinfo, 0);
	read_field(fcinfo, 1, 5, &search->field);
	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("value must not be NULL"),
						errhint("Give the value as JSON, a string in double quotes; the null of "
								"JSON is 'null'.")));
	search->value = PG_GETARG_JSONB_P(2);
	search->valid_at = Min(f6_argument_valid_at(fcinfo, 3), F6_LAST_MOMENT);
	search->known_at = Min(f6_argument_known_at(fcinfo, 4, "known_at"), F6_LAST_MOMENT);
	search->result = (ReturnSetInfo *) fcinfo->resultinfo;
}

/* put_found adds a row to the result. */
static void
put_found(const search *search, const pg_uuid_t *object, const f6_field_span *span)
{
	Datum values[] = { UUIDPGetDatum(object), TimestampTzGetDatum(span->valid_from),
					   TimestampTzGetDatum(span->valid_to) };
	bool nulls[lengthof(values)] = { false };

	tuplestore_putvalues(search->result->setResult, search->result->setDesc, values, nulls);
}

/* receive_kept adds what is kept of an object to the result, if that counts. */
static void
receive_kept(void *state, const pg_uuid_t *object, const f6_field_span *span)
{
	const search *search = state;

	if (!f6_objects_contain(&search->changed, object))
		put_found(search, object, span);
}

/* find_kept finds the objects of which what is kept counts. */
static void
find_kept(search *search, const f6_kept_field *kept)
{
	if (kept->exists)
		f6_kept_field_spans(kept, search->value, search->valid_at, search->known_at, receive_kept,
							search);
}

/* find_changed finds the others. */
static void
find_changed(search *search)
{
	MemoryContext per_object =
		AllocSetContextCreate(CurrentMemoryContext, "f6 search", ALLOCSET_DEFAULT_SIZES);

	for (uint64 i = 0; i < search->changed.count; i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(per_object);
		f6_field_spans spans;

		CHECK_FOR_INTERRUPTS();
		f6_field_spans_read(&search->field, &search->changed.ids[i], &spans);
		for (uint64 j = 0; j < spans.count; j++)
		{
			const f6_field_span *span = &spans.spans[j];

			if (f6_field_span_holds(span, search->valid_at, search->known_at) &&
				f6_same_state(span->value, search->value))
				put_found(search, &search->changed.ids[i], span);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_object);
	}
	MemoryContextDelete(per_object);
}

/* look_up finds out what is kept, and for which objects that does not count. */
static void
look_up(search *search, f6_kept_field *kept)
{
	f6_kept_field_read(&search->field, kept);
	f6_kept_field_changed(kept, PG_INT64_MAX, &search->changed);
}

/* f6_find(projection, path, value, valid_at, known_at, legal) returns the objects whose state has a value at a field. */
Datum
f6_find(PG_FUNCTION_ARGS)
{
	search search;
	f6_kept_field kept;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	read_search(fcinfo, &search);
	check_reader();
	f6_kept_fields_lock(AccessShareLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	check_registered(&search.field);
	look_up(&search, &kept);
	if (kept.exists && f6_snapshot_events_setting > 0 &&
		search.changed.count > (uint64) f6_snapshot_events_setting)
	{
		f6_field_keep(&search.field, false);
		PopActiveSnapshot();
		PushActiveSnapshot(GetTransactionSnapshot());
		look_up(&search, &kept);
	}
	f6_kept_field_lacking(&kept, &search.changed);
	find_kept(&search, &kept);
	find_changed(&search);
	PopActiveSnapshot();
	return (Datum) 0;
}

/* f6_fill_field(path, legal) brings what is kept of a field up to the horizon. */
Datum
f6_fill_field(PG_FUNCTION_ARGS)
{
	f6_field field;

	read_field(fcinfo, 0, 1, &field);
	check_keeper();
	check_reader();
	f6_field_keep(&field, true);
	PG_RETURN_VOID();
}

/* f6_lock_field_of(projection, path, legal) keeps others from keeping anything of a field until the transaction ends. */
Datum
f6_lock_field_of(PG_FUNCTION_ARGS)
{
	f6_field field;

	f6_argument_projection(fcinfo, 0);
	read_field(fcinfo, 1, 2, &field);
	check_keeper();
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("which fields are kept cannot be changed with a snapshot of before"),
						errhint("Do it in a transaction that is READ COMMITTED.")));
	if (strlen(field.path) > MAX_PATH_LENGTH)
		ereport(ERROR,
				(errcode(F6_ERR_TOO_DEEP), errmsg("path is longer than %d bytes", MAX_PATH_LENGTH),
				 errhint("Keep a field further up.")));
	(void) f6_lock_field(field.path, field.legal, true);
	PG_RETURN_VOID();
}

/* f6_empty_field(path, legal) removes all that is kept of a field. */
Datum
f6_empty_field(PG_FUNCTION_ARGS)
{
	f6_field field;

	read_field(fcinfo, 0, 1, &field);
	check_keeper();
	f6_field_forget(&field);
	PG_RETURN_VOID();
}
