/*
 * event_json.c
 *		Events as JSON: an array of objects whose keys are the columns of f6.event.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "f6.h"
#include "errors.h"
#include "event_json.h"
#include "jsonb_walk.h"

/* What an error says about where it happened. */
typedef struct json_place
{
	int event;	  /* counts from 1 */
	char *column; /* NULL: the event as a whole */
} json_place;

/* report_place adds the place in the batch to an error that arises there. */
static void
report_place(void *arg)
{
	json_place *place = arg;

	if (place->column != NULL)
		errcontext("key \"%s\" of event %d in the batch", place->column, place->event);
	else
		errcontext("event %d in the batch", place->event);
}

/* find_column returns the column of f6.event that a key names; another key is an error. */
static int
find_column(TupleDesc descriptor, const JsonbValue *key, const json_place *place)
{
	for (int i = 0; i < F6_EVENT_COLUMNS; i++)
	{
		const char *name = NameStr(TupleDescAttr(descriptor, i)->attname);

		if (strlen(name) == (size_t) key->val.string.len &&
			memcmp(name, key->val.string.val, key->val.string.len) == 0)
			return i + 1;
	}
	ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
					errmsg("unknown key \"%.*s\" in event %d", key->val.string.len,
						   key->val.string.val, place->event),
					errhint("The keys are the names of the columns of f6.event.")));
}

/* refuse_shape raises the error for a value of another JSON type than its column takes. */
static void
refuse_shape(const char *column, const char *expected)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("\"%s\" must be %s or null", column, expected)));
}

/* read_text reads a value through the input function of its column's type. */
static Datum
read_text(Oid type, const char *text, int length)
{
	Oid function;
	Oid argument;

	getTypeInputInfo(type, &function, &argument);
	return OidInputFunctionCall(function, pnstrdup(text, length), argument, -1);
}

/* read_uuids reads an array of strings as an array of UUIDs. */
static Datum
read_uuids(const char *column, const JsonbValue *array)
{
	int count = f6_jsonb_count(array);
	Datum *ids = palloc(sizeof(Datum) * Max(count, 1));
	f6_jsonb_array_walk walk;
	JsonbValue element;
	int n = 0;

	f6_jsonb_array_begin(&walk, array);
	while (f6_jsonb_array_next(&walk, &element))
	{
		if (element.type != jbvString)
			ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
							errmsg("\"%s\" must hold only strings", column)));
		ids[n++] = read_text(UUIDOID, element.val.string.val, element.val.string.len);
	}
	return PointerGetDatum(construct_array(ids, n, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* read_value reads a JSON value that is not null as the value of a column. */
static Datum
read_value(Form_pg_attribute attribute, JsonbValue *value)
{
	const char *column = NameStr(attribute->attname);

	switch (attribute->atttypid)
	{
		case JSONBOID:
			return JsonbPGetDatum(JsonbValueToJsonb(value));
		case UUIDARRAYOID:
			if (!f6_jsonb_is_array(value))
				refuse_shape(column, "an array of strings");
			return read_uuids(column, value);
		case INT4OID:
			if (value->type != jbvNumeric || !f6_jsonb_number_is_integer(value->val.numeric))
				refuse_shape(column, "an integer");
			return DirectFunctionCall1(numeric_int4, NumericGetDatum(value->val.numeric));
		default:
			if (value->type != jbvString)
				refuse_shape(column, "a string");
			return read_text(attribute->atttypid, value->val.string.val, value->val.string.len);
	}
}

/* read_event reads one object as an event. */
static void
read_event(TupleDesc descriptor, const JsonbValue *object, json_place *place, f6_event_row *row)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	if (!f6_jsonb_is_object(object))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("an event must be a JSON object")));
	memset(row->nulls, true, sizeof(row->nulls));
	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		int column = find_column(descriptor, &key, place);
		Form_pg_attribute attribute = TupleDescAttr(descriptor, column - 1);

		/* Only as the content of an event does null say something. */
		if (f6_jsonb_is_null(&value) && column != F6_EVENT_DATA)
			continue;
		if (f6_event_is_generated(column))
			f6_event_refuse_generated(NameStr(attribute->attname));
		place->column = NameStr(attribute->attname);
		f6_event_set(row, column, read_value(attribute, &value));
		place->column = NULL;
	}
}

/* f6_events_from_json reads an array of events, or a single one. */
f6_event_row *
f6_events_from_json(Relation event, Jsonb *events, int *count)
{
	ErrorContextCallback context = { error_context_stack, report_place, NULL };
	json_place place = { 0, NULL };
	JsonbValue root;
	JsonbValue element;
	f6_jsonb_array_walk walk;
	f6_event_row *rows;

	f6_jsonb_root(events, &root);
	if (!f6_jsonb_is_array(&root) && !f6_jsonb_is_object(&root))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("events must be a JSON array of objects, or one object")));
	*count = f6_jsonb_is_array(&root) ? f6_jsonb_count(&root) : 1;
	rows = palloc_extended(sizeof(f6_event_row) * Max(*count, 1), MCXT_ALLOC_HUGE);

	context.arg = &place;
	error_context_stack = &context;
	if (f6_jsonb_is_array(&root))
	{
		f6_jsonb_array_begin(&walk, &root);
		while (f6_jsonb_array_next(&walk, &element))
		{
			CHECK_FOR_INTERRUPTS();
			place.event++;
			read_event(RelationGetDescr(event), &element, &place, &rows[place.event - 1]);
		}
	}
	else
	{
		place.event = 1;
		read_event(RelationGetDescr(event), &root, &place, &rows[0]);
	}
	error_context_stack = context.previous;
	return rows;
}
