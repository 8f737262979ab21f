/*
 * table_writer.c
 *		Writing rows into f6's own tables below the level of statements, many at a time.
 *
 * No privilege is asked for, no trigger fires and no constraint but those of indexes is checked: whoever writes so answers for
 * that, or has the rows written one by one, with all that somebody has added for each of them.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "table_writer.h"

/* Rows are kept until there are so many of them, or so many bytes. */
#define ROWS_AT_A_TIME	1000
#define BYTES_AT_A_TIME ((Size) 256 * 1024)

struct f6_table_writer
{
	Relation table;
	MemoryContext context; /* of what is kept */
	EState *estate;
	ResultRelInfo *result;
	bool one_by_one;
	int count; /* the rows that are kept */
	Size size;
	int slot_count;
	TupleTableSlot *slots[ROWS_AT_A_TIME];
};

/* f6_table_writer_begin begins to write into an open table. */
f6_table_writer *
f6_table_writer_begin(Relation table)
{
	f6_table_writer *writer = palloc(sizeof(f6_table_writer));

	writer->table = table;
	writer->context = CurrentMemoryContext;
	writer->estate = CreateExecutorState();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, table, 0, NULL, 0);
	ExecOpenIndices(writer->result, false);
	writer->one_by_one = false;
	writer->count = 0;
	writer->size = 0;
	writer->slot_count = 0;
	return writer;
}

/* f6_table_writer_can_defer tells whether the table has an index that is checked at the transaction's end. */
bool
f6_table_writer_can_defer(const f6_table_writer *writer)
{
	for (int i = 0; i < writer->result->ri_NumIndices; i++)
	{
		if (!writer->result->ri_IndexRelationDescs[i]->rd_index->indimmediate)
			return true;
	}
	return false;
}

/* f6_table_writer_one_by_one has the rows written one by one. */
void
f6_table_writer_one_by_one(f6_table_writer *writer)
{
	writer->one_by_one = true;
}

/* f6_table_writer_row returns the next row, for the caller to fill; all its columns are NULL. */
TupleTableSlot *
f6_table_writer_row(f6_table_writer *writer)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->context);
	TupleTableSlot *row;

	if (writer->count == writer->slot_count)
		writer->slots[writer->slot_count++] = table_slot_create(writer->table, NULL);
	MemoryContextSwitchTo(caller);
	row = ExecClearTuple(writer->slots[writer->count]);
	memset(row->tts_isnull, true, sizeof(bool) * row->tts_tupleDescriptor->natts);
	return row;
}

/* write_rows writes the rows that are kept. */
static void
write_rows(f6_table_writer *writer)
{
	CommandId command = GetCurrentCommandId(true);

	if (writer->count == 1)
		table_tuple_insert(writer->table, writer->slots[0], command, 0, NULL);
	else
		table_multi_insert(writer->table, writer->slots, writer->count, command, 0, NULL);
	for (int i = 0; i < writer->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) f6_insert_index_tuples(writer->result, writer->slots[i], writer->estate);
		ResetPerTupleExprContext(writer->estate);
	}
	for (int i = 0; i < writer->count; i++)
		ExecClearTuple(writer->slots[i]);
	writer->count = 0;
	writer->size = 0;
}

/* f6_table_writer_put takes the row that was filled, of about the given size, and keeps a copy. */
void
f6_table_writer_put(f6_table_writer *writer, Size size)
{
	TupleTableSlot *row = writer->slots[writer->count];

	ExecStoreVirtualTuple(row);
	ExecMaterializeSlot(row);
	if (writer->one_by_one)
	{
		ExecSimpleRelationInsert(writer->result, writer->estate, row);
		ResetPerTupleExprContext(writer->estate);
		return;
	}
	writer->count++;
	writer->size += size;
	if (writer->count == ROWS_AT_A_TIME || writer->size >= BYTES_AT_A_TIME)
		write_rows(writer);
}

/* f6_table_writer_end writes what is left, and ends the writing. */
void
f6_table_writer_end(f6_table_writer *writer)
{
	if (writer->count > 0)
		write_rows(writer);
	for (int i = 0; i < writer->slot_count; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	ExecCloseIndices(writer->result);
	FreeExecutorState(writer->estate);
	pfree(writer);
}
