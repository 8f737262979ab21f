/*
 * event_link.c
 *		Writing f6.event_object and f6.event_link: which events name an object, which are based on an event.
 *
 * Rows are written below the level of statements, so the statement triggers that guard both tables don't see f6 itself,
 * and the caller needs no privilege on them.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"

#include "f6.h"
#include "event_link.h"
#include "uuid_array.h"

/* An open link table. */
typedef struct link_table
{
	Relation relation;
	ResultRelInfo *result;
	TupleTableSlot *slot;
} link_table;

struct f6_link_writer
{
	EState *estate;
	link_table objects;
	link_table references;
};

/* open_table readies a link table for writing. */
static void
open_table(EState *estate, const char *name, link_table *table)
{
	table->relation = table_open(f6_relation_oid(name), RowExclusiveLock);
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->relation, 0, NULL, 0);
	ExecOpenIndices(table->result, false);
	table->slot =
		ExecInitExtraTupleSlot(estate, RelationGetDescr(table->relation), &TTSOpsHeapTuple);
}

/* close_table ends writing to a link table; its lock stays until the transaction ends. */
static void
close_table(link_table *table)
{
	ExecCloseIndices(table->result);
	table_close(table->relation, NoLock);
}

/* write_links adds a row for each id to a link table. */
static void
write_links(EState *estate, link_table *table, const f6_event_row *row, const f6_uuids *ids)
{
	for (int i = 0; i < ids->count; i++)
	{
		TupleTableSlot *slot = ExecClearTuple(table->slot);

		CHECK_FOR_INTERRUPTS();
		/* The table may have more columns, which are not f6's. */
		memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
		memset(slot->tts_isnull, false, sizeof(bool) * F6_LINK_COLUMNS);
		slot->tts_values[F6_LINK_ZONE_ID - 1] = f6_event_value(row, F6_EVENT_ZONE_ID);
		slot->tts_values[F6_LINK_TARGET - 1] = UUIDPGetDatum(&ids->ids[i]);
		slot->tts_values[F6_LINK_POSITION - 1] = f6_event_value(row, F6_EVENT_POSITION_COLUMN);
		ExecStoreVirtualTuple(slot);
		ExecSimpleRelationInsert(table->result, estate, slot);
		ResetPerTupleExprContext(estate);
	}
}

/* f6_links_begin readies both link tables for writing. */
f6_link_writer *
f6_links_begin(void)
{
	f6_link_writer *writer = palloc0(sizeof(f6_link_writer));

	writer->estate = CreateExecutorState();
	open_table(writer->estate, F6_EVENT_OBJECT, &writer->objects);
	open_table(writer->estate, F6_EVENT_LINK, &writer->references);
	return writer;
}

/* f6_links_write links an event to its objects and to the events it references. */
void
f6_links_write(f6_link_writer *writer, const f6_event_row *row)
{
	f6_uuids ids;

	f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", &ids);
	write_links(writer->estate, &writer->objects, row, &ids);
	if (f6_event_has(row, F6_EVENT_REFERENCE))
	{
		f6_uuids_read(f6_event_value(row, F6_EVENT_REFERENCE), "event_reference", &ids);
		write_links(writer->estate, &writer->references, row, &ids);
	}
}

/* f6_links_end ends the writing. */
void
f6_links_end(f6_link_writer *writer)
{
	close_table(&writer->objects);
	close_table(&writer->references);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	FreeExecutorState(writer->estate);
	pfree(writer);
}
