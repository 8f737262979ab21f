/*
 * event_row.c
 *		A row of f6.event, column by column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"

/* The types of the columns; that of event_kind is f6's own. */
static const Oid column_types[] = { INT8OID,		INT4OID,		InvalidOid,	  UUIDOID,
									TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDARRAYOID, TEXTOID,
									TEXTOID,		UUIDOID,		TEXTOID,	  UUIDARRAYOID,
									JSONBOID,		JSONBOID,		TEXTOID,	  INETOID,
									TEXTOID };

StaticAssertDecl(lengthof(column_types) == F6_EVENT_COLUMNS, "each column has a type");

/* is_as_made tells whether a column has a type, or that of event_kind. */
static bool
is_as_made(const FormData_pg_attribute *column, Oid type)
{
	if (column->attisdropped)
		return false;
	return OidIsValid(type) ? column->atttypid == type
							: column->attbyval && column->attlen == sizeof(Oid);
}

/* f6_event_check_columns refuses a table whose columns somebody has changed. */
void
f6_event_check_columns(Relation event)
{
	TupleDesc descriptor = RelationGetDescr(event);

	for (int i = 0; i < F6_EVENT_COLUMNS; i++)
	{
		if (i >= descriptor->natts || !is_as_made(TupleDescAttr(descriptor, i), column_types[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d of %s.%s is not as f6 has made it", i + 1, F6_SCHEMA,
							RelationGetRelationName(event)),
					 errhint("Change the table back: columns may be added to it, at the end.")));
	}
}

/* f6_event_check_table does so for who reads the log by a query. */
void
f6_event_check_table(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);

	f6_event_check_columns(event);
	table_close(event, AccessShareLock);
}

/* f6_event_deform reads the columns of a row of f6.event. */
void
f6_event_deform(Relation event, HeapTuple tuple, f6_event_row *row)
{
	TupleDesc descriptor = RelationGetDescr(event);
	Datum *values = palloc(sizeof(Datum) * descriptor->natts);
	bool *nulls = palloc(sizeof(bool) * descriptor->natts);

	heap_deform_tuple(tuple, descriptor, values, nulls);
	memcpy(row->values, values, sizeof(row->values));
	memcpy(row->nulls, nulls, sizeof(row->nulls));
}

/* f6_event_form makes a row of f6.event; columns that are not f6's come from another one, or are NULL. */
HeapTuple
f6_event_form(Relation event, HeapTuple other_columns, const f6_event_row *row)
{
	TupleDesc descriptor = RelationGetDescr(event);
	Datum *values = palloc0(sizeof(Datum) * descriptor->natts);
	bool *nulls = palloc(sizeof(bool) * descriptor->natts);

	memset(nulls, true, sizeof(bool) * descriptor->natts);
	if (other_columns != NULL)
		heap_deform_tuple(other_columns, descriptor, values, nulls);
	memcpy(values, row->values, sizeof(row->values));
	memcpy(nulls, row->nulls, sizeof(row->nulls));
	return heap_form_tuple(descriptor, values, nulls);
}

/* f6_event_keep copies into the current memory context what a row has that it did not have when it was kept before. */
void
f6_event_keep(Relation event, f6_event_row *row, const f6_event_row *kept)
{
	for (int i = 0; i < F6_EVENT_COLUMNS; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(event), i);

		if (!row->nulls[i] && (kept->nulls[i] || row->values[i] != kept->values[i]))
			row->values[i] = datumCopy(row->values[i], attribute->attbyval, attribute->attlen);
	}
}

/* f6_event_refuse_generated raises the error for a column that only f6 fills. */
void
f6_event_refuse_generated(const char *column)
{
	ereport(ERROR, (errcode(F6_ERR_GENERATED_COLUMN),
					errmsg("cannot insert a value into column \"%s\" of f6.event", column),
					errdetail("f6 fills it."), errhint("Leave the column out.")));
}

/* f6_event_is_generated tells whether a column is one that only f6 fills. */
bool
f6_event_is_generated(int column)
{
	return column == F6_EVENT_POSITION_COLUMN || column == F6_EVENT_APPENDED_BY ||
		   column == F6_EVENT_CLIENT_ADDR || column == F6_EVENT_APPLICATION_NAME;
}
