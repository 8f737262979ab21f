/*
 * event_type_trigger.c
 *		The triggers of the registry's tables: they refuse what is no good before anybody depends on it.
 *
 * The rows of a dump were checked when they were made, and what they refer to may be restored after them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "event_type.h"
#include "guc.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "schema_compile.h"
#include "registered_function.h"
#include "upcast_steps.h"

F6_FUNCTION(f6_event_type_before_insert);
F6_FUNCTION(f6_event_type_deprecation_before_insert);
F6_FUNCTION(f6_upcaster_before_insert);

/* with_value returns a row with another value in a column. */
static HeapTuple
with_value(HeapTuple row, TupleDesc descriptor, int column, Datum value)
{
	bool isnull = false;

	return heap_modify_tuple_by_cols(row, descriptor, 1, &column, &value, &isnull);
}

/* check_protocol refuses to be called but before an insert into one of f6's tables. */
static void
check_protocol(FunctionCallInfo fcinfo, const char *table, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!f6_is_relation(trigger->tg_relation, table))
		f6_refuse_protocol(function);
}

/* check_name refuses a type or version without a name. */
static void
check_name(const char *name, const char *column)
{
	if (name == NULL)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", column)));
	if (*name == '\0')
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("%s must not be empty", column)));
}

/* check_valid_from refuses a date of effect that is no JSON Pointer. */
static void
check_valid_from(const char *pointer)
{
	if (pointer != NULL && !f6_jsonb_pointer_is_valid(pointer))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("valid_from is not a JSON Pointer: \"%s\"", pointer),
						errhint("It names the field of event_data with the date of effect, such as "
								"'/valid_from'.")));
}

/* check_schema refuses what is not a schema that f6 can check events with. */
static void
check_schema(HeapTuple row, TupleDesc descriptor, bool assert_format)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 schema check", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	bool isnull;
	Datum schema = heap_getattr(row, F6_EVENT_TYPE_SCHEMA, descriptor, &isnull);

	if (isnull)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("schema must not be NULL"),
						errhint("The schema 'true' accepts every event.")));
	f6_schema_compile(DatumGetJsonbP(schema), assert_format);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* assert_format_of returns whether "format" refuses data of a type: as the row says, or else as the setting does. */
static bool
assert_format_of(HeapTuple row, TupleDesc descriptor)
{
	bool isnull;
	Datum value = heap_getattr(row, F6_EVENT_TYPE_ASSERT_FORMAT, descriptor, &isnull);

	return isnull ? f6_assert_format_setting : DatumGetBool(value);
}

/* f6_event_type_before_insert is the trigger that refuses a type which is no good. */
Datum
f6_event_type_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc descriptor;
	HeapTuple row;
	bool assert_format;

	check_protocol(fcinfo, F6_EVENT_TYPE, "f6_event_type_before_insert");
	descriptor = RelationGetDescr(trigger->tg_relation);
	row = trigger->tg_trigtuple;
	if (f6_is_restoring(trigger->tg_relation))
		return PointerGetDatum(row);

	assert_format = assert_format_of(row, descriptor);
	check_name(f6_row_text(row, descriptor, F6_EVENT_TYPE_NAME), "event_type");
	check_name(f6_row_text(row, descriptor, F6_EVENT_TYPE_VERSION), "event_version");
	check_valid_from(f6_row_text(row, descriptor, F6_EVENT_TYPE_VALID_FROM));
	check_schema(row, descriptor, assert_format);
	return PointerGetDatum(
		with_value(row, descriptor, F6_EVENT_TYPE_ASSERT_FORMAT, BoolGetDatum(assert_format)));
}

/* f6_event_type_deprecation_before_insert is the trigger that refuses to deprecate what does not exist. */
Datum
f6_event_type_deprecation_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc descriptor;
	char *type;
	char *version;

	check_protocol(fcinfo, F6_EVENT_TYPE_DEPRECATION, "f6_event_type_deprecation_before_insert");
	if (f6_is_restoring(trigger->tg_relation))
		return PointerGetDatum(trigger->tg_trigtuple);

	descriptor = RelationGetDescr(trigger->tg_relation);
	type = f6_row_text(trigger->tg_trigtuple, descriptor, F6_DEPRECATION_TYPE);
	version = f6_row_text(trigger->tg_trigtuple, descriptor, F6_DEPRECATION_VERSION);
	check_name(type, "event_type");
	check_name(version, "event_version");
	(void) f6_event_type_get(type, version);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/* check_versions refuses an upcaster between versions that do not exist, or from one to itself. */
static void
check_versions(HeapTuple row, TupleDesc descriptor)
{
	char *type = f6_row_text(row, descriptor, F6_UPCASTER_TYPE);
	char *from = f6_row_text(row, descriptor, F6_UPCASTER_FROM);
	char *to = f6_row_text(row, descriptor, F6_UPCASTER_TO);

	check_name(type, "event_type");
	check_name(from, "from_version");
	check_name(to, "to_version");
	(void) f6_event_type_get(type, from);
	(void) f6_event_type_get(type, to);
	if (strcmp(from, to) == 0)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("an upcaster leads from one version to another"),
						errdetail("It would lead from \"%s\" to the same.", from)));
}

/* check_steps refuses steps that can't be run. */
static void
check_steps(Datum steps)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 steps check", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	(void) f6_steps_compile(DatumGetJsonbP(steps));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* f6_upcaster_before_insert is the trigger that refuses an upcaster which is no good, and writes its function out in full. */
Datum
f6_upcaster_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple row;
	TupleDesc descriptor;
	f6_function_role role = f6_function_upcaster();
	char *function;
	Datum steps;
	bool isnull;

	check_protocol(fcinfo, F6_UPCASTER, "f6_upcaster_before_insert");
	row = trigger->tg_trigtuple;
	if (f6_is_restoring(trigger->tg_relation))
		return PointerGetDatum(row);

	descriptor = RelationGetDescr(trigger->tg_relation);
	check_versions(row, descriptor);
	function = f6_row_text(row, descriptor, F6_UPCASTER_FUNCTION);
	steps = heap_getattr(row, F6_UPCASTER_STEPS, descriptor, &isnull);
	if (function != NULL && !isnull)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("an upcaster has a function or steps, not both"),
						errhint("Without either, data of the one version is data of the other.")));
	if (!isnull)
		check_steps(steps);
	if (function != NULL)
		row = with_value(
			row, descriptor, F6_UPCASTER_FUNCTION,
			CStringGetTextDatum(f6_function_signature(f6_function_find(function, &role))));
	return PointerGetDatum(row);
}
