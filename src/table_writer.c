/*
 * table_writer.c
 *		Writing rows into f6's own tables below the level of statements, many at a time.
 *
 * No privilege is asked for, no trigger fires and no constraint is checked but that of unique indexes: whoever writes so
 * answers for that, or has the rows written one by one, with all that somebody has added for each of them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
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
	ResultRelInfo *result;
	EState *estate;		/* NULL until expressions are to be evaluated */
	bool plain_indexes; /* are their entries columns of the row, for each row? */
	bool one_by_one;
	int count; /* the rows that are kept */
	Size size;
	int slot_count;
	TupleTableSlot *slots[ROWS_AT_A_TIME];
};

/* has_plain_indexes tells whether the entries of all indexes are columns of the row, one for each row, and checked at once. */
static bool
has_plain_indexes(const ResultRelInfo *result)
{
	for (int i = 0; i < result->ri_NumIndices; i++)
	{
		const IndexInfo *index = result->ri_IndexRelationInfo[i];

		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL || !index->ii_ReadyForInserts ||
			!result->ri_IndexRelationDescs[i]->rd_index->indimmediate)
			return false;
	}
	return true;
}

/* executor_state returns what the executor needs to evaluate expressions. */
static EState *
executor_state(f6_table_writer *writer)
{
	MemoryContext caller = MemoryContextSwitchTo(writer->context);

	if (writer->estate == NULL)
		writer->estate = CreateExecutorState();
	MemoryContextSwitchTo(caller);
	return writer->estate;
}

/* f6_table_writer_begin begins to write into an open table. */
f6_table_writer *
f6_table_writer_begin(Relation table)
{
	f6_table_writer *writer = palloc(sizeof(f6_table_writer));

	writer->table = table;
	writer->context = CurrentMemoryContext;
	writer->estate = NULL;
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, table, 0, NULL, 0);
	ExecOpenIndices(writer->result, false);
	writer->plain_indexes = has_plain_indexes(writer->result);
	writer->one_by_one = false;
	writer->count = 0;
	writer->size = 0;
	writer->slot_count = 0;
	return writer;
}

/* f6_table_writer_is_plain tells whether the indexes ask for nothing that only a statement can do. */
bool
f6_table_writer_is_plain(const f6_table_writer *writer)
{
	return writer->plain_indexes;
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

/* write_index_entries writes the entries of a row in all indexes. */
static void
write_index_entries(f6_table_writer *writer, TupleTableSlot *row)
{
	ResultRelInfo *result = writer->result;
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	for (int i = 0; i < result->ri_NumIndices; i++)
	{
		Relation index = result->ri_IndexRelationDescs[i];
		IndexInfo *info = result->ri_IndexRelationInfo[i];

		FormIndexDatum(info, row, NULL, values, nulls);
		(void) index_insert(index, values, nulls, &row->tts_tid, writer->table,
							index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
							false, info);
	}
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
		write_index_entries(writer, writer->slots[i]);
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
		ExecSimpleRelationInsert(writer->result, executor_state(writer), row);
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
	if (writer->estate != NULL)
		FreeExecutorState(writer->estate);
	pfree(writer);
}
