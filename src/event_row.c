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
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"
#include "relation.h"

/* row_type_of returns what stands for a row type as it is now; 0 where nothing does. */
static uint64
row_type_of(TupleDesc descriptor)
{
	if (descriptor->tdtypeid == RECORDOID || !OidIsValid(descriptor->tdtypeid))
		return 0;
	return assign_record_type_identifier(descriptor->tdtypeid, descriptor->tdtypmod);
}

/* f6_event_check_columns refuses a table, or rows of it, whose columns somebody has changed. */
void
f6_event_check_columns(TupleDesc descriptor)
{
	static uint64 checked;
	uint64 row_type = row_type_of(descriptor);
	static const f6_column columns[] = {
		{ "position", INT8OID },		  { "zone_id", INT4OID },
		{ "event_kind", InvalidOid },	  { "id", UUIDOID },
		{ "created_at", TIMESTAMPTZOID }, { "occurred_at", TIMESTAMPTZOID },
		{ "object_ids", UUIDARRAYOID },	  { "event_type", TEXTOID },
		{ "event_version", TEXTOID },	  { "event_source_id", UUIDOID },
		{ "event_source_type", TEXTOID }, { "event_reference", UUIDARRAYOID },
		{ "event_data", JSONBOID },		  { "metadata", JSONBOID },
		{ "appended_by", TEXTOID },		  { "client_addr", INETOID },
		{ "application_name", TEXTOID },
	};

	StaticAssertStmt(lengthof(columns) == F6_EVENT_COLUMNS, "each column has a name and a type");
	if (row_type != 0 && row_type == checked)
		return;
	f6_check_columns(descriptor, F6_EVENT, columns, lengthof(columns));
	checked = row_type;
}

/* f6_event_check_table refuses a log whose columns somebody has changed; it stays as it is until the transaction ends. */
void
f6_event_check_table(void)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);

	f6_event_check_columns(RelationGetDescr(event));
	table_close(event, NoLock);
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
