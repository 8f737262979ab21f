/*
 * event_link.c
 *		Writing f6.event_object and f6.event_link: which events name an object, which are based on an event.
 *
 * Rows are written below the level of statements, so the statement triggers that guard both tables don't see f6 itself,
 * and the caller needs no privilege on them.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "f6.h"
#include "event_link.h"
#include "table_writer.h"
#include "uuid_array.h"

/* About as much memory as a row of a link table takes. */
#define LINK_SIZE 64

struct f6_link_writer
{
	MemoryContext context;
	Relation object_table;
	Relation reference_table;
	f6_table_writer *objects;
	f6_table_writer *references; /* NULL until there are some */
};

/* f6_link_check_columns refuses a link table whose columns somebody has changed. */
void
f6_link_check_columns(Relation table)
{
	const f6_column columns[] = {
		{ f6_is_relation(table, F6_EVENT_OBJECT) ? "object_id" : "reference_id", UUIDOID },
		{ "position", INT8OID },
	};

	StaticAssertStmt(lengthof(columns) == F6_LINK_COLUMNS, "each column has a name and a type");
	f6_check_columns(RelationGetDescr(table), RelationGetRelationName(table), columns,
					 lengthof(columns));
}

/* has_additions tells whether somebody has added to a table what is to be done for each row. */
static bool
has_additions(Relation table)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;
	const TriggerDesc *triggers = table->trigdesc;

	return RelationGetNumberOfAttributes(table) != F6_LINK_COLUMNS ||
		   (constraints != NULL &&
			(constraints->num_check > 0 || constraints->has_generated_stored)) ||
		   (triggers != NULL &&
			(triggers->trig_insert_before_row || triggers->trig_insert_after_row));
}

/* is_plain tells whether nobody has added to a table, which stays locked so that nobody does until the transaction ends. */
static bool
is_plain(const char *name)
{
	Relation table = table_open(f6_relation_oid(name), RowExclusiveLock);
	bool is_plain;

	f6_link_check_columns(table);
	is_plain = !has_additions(table);

	table_close(table, NoLock);
	return is_plain;
}

/* f6_links_are_plain tells whether links, and those to referenced events as well, can be written without a statement. */
bool
f6_links_are_plain(bool with_references)
{
	return is_plain(F6_EVENT_OBJECT) && (!with_references || is_plain(F6_EVENT_LINK));
}

/* begin_table begins to write into a link table. */
static f6_table_writer *
begin_table(const char *name, Relation *table)
{
	f6_table_writer *writer;

	*table = table_open(f6_relation_oid(name), RowExclusiveLock);
	f6_link_check_columns(*table);
	writer = f6_table_writer_begin(*table);
	if (has_additions(*table) || !f6_table_writer_is_plain(writer))
		f6_table_writer_one_by_one(writer);
	return writer;
}

/* write_links adds a row for each id to a link table. */
static void
write_links(f6_table_writer *writer, const f6_event_row *row, const f6_uuids *ids)
{
	for (int i = 0; i < ids->count; i++)
	{
		/* The table may have more columns, which are not f6's: they are NULL. */
		TupleTableSlot *slot = f6_table_writer_row(writer);

		CHECK_FOR_INTERRUPTS();
		memset(slot->tts_isnull, false, sizeof(bool) * F6_LINK_COLUMNS);
		slot->tts_values[F6_LINK_TARGET - 1] = UUIDPGetDatum(&ids->ids[i]);
		slot->tts_values[F6_LINK_POSITION - 1] = f6_event_value(row, F6_EVENT_POSITION_COLUMN);
		f6_table_writer_put(writer, LINK_SIZE);
	}
}

/* f6_links_begin readies the link tables for writing. */
f6_link_writer *
f6_links_begin(void)
{
	f6_link_writer *writer = palloc0(sizeof(f6_link_writer));

	writer->context = CurrentMemoryContext;
	writer->objects = begin_table(F6_EVENT_OBJECT, &writer->object_table);
	return writer;
}

/* f6_links_write links an event to its objects and to the events it references. */
void
f6_links_write(f6_link_writer *writer, const f6_event_row *row)
{
	f6_uuids ids;

	f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", &ids);
	write_links(writer->objects, row, &ids);
	if (!f6_event_has(row, F6_EVENT_REFERENCE))
		return;
	if (writer->references == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(writer->context);

		writer->references = begin_table(F6_EVENT_LINK, &writer->reference_table);
		MemoryContextSwitchTo(caller);
	}
	f6_uuids_read(f6_event_value(row, F6_EVENT_REFERENCE), "event_reference", &ids);
	write_links(writer->references, row, &ids);
}

/* f6_links_end writes what is left, and ends the writing; the tables stay locked until the transaction ends. */
void
f6_links_end(f6_link_writer *writer)
{
	f6_table_writer_end(writer->objects);
	table_close(writer->object_table, NoLock);
	if (writer->references != NULL)
	{
		f6_table_writer_end(writer->references);
		table_close(writer->reference_table, NoLock);
	}
	pfree(writer);
}
