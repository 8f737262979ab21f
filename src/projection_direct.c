/*
 * projection_direct.c
 *		Reading and updating the rows of plain tables of projections below the level of statements.
 *
 * A statement costs several times what it does to one row.  Where nobody has put anything on the table that a statement would look after, but
 * for indexes and constraints of single rows, a row is found by the primary key, locked and updated as logical replication does it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "projection_direct.h"
#include "relation.h"

/* is_guard tells whether a function is the trigger that guards the tables of projections. */
static bool
is_guard(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc row;
	bool is_it;

	if (!HeapTupleIsValid(tuple))
		return false;
	row = (Form_pg_proc) GETSTRUCT(tuple);
	is_it = row->pronamespace == get_namespace_oid(F6_SCHEMA, false) &&
			strcmp(NameStr(row->proname), "guard_projection") == 0;
	ReleaseSysCache(tuple);
	return is_it;
}

/* has_guard_only tells whether no trigger stands on a table but the one that guards it. */
static bool
has_guard_only(Relation table)
{
	const TriggerDesc *triggers = table->trigdesc;

	return triggers == NULL ||
		   (triggers->numtriggers == 1 && is_guard(triggers->triggers[0].tgfoid));
}

/* has_own_columns_only tells whether a table has the columns of a projection, as they were made, and no others. */
static bool
has_own_columns_only(const f6_projection *projection, TupleDesc descriptor)
{
	int last = F6_ROW_STATE + projection->column_count;

	if (descriptor->natts != last + F6_ROW_COLUMNS_AT_END ||
		(descriptor->constr != NULL && descriptor->constr->has_generated_stored))
		return false;
	for (int i = 0; i < descriptor->natts; i++)
	{
		const FormData_pg_attribute *column = TupleDescAttr(descriptor, i);
		const char *name = f6_projection_column_name(projection, i + 1);

		if (column->attisdropped || strcmp(NameStr(column->attname), name) != 0 ||
			column->atttypid != f6_projection_column_type(projection, i + 1) ||
			(!column->attnotnull && (i < F6_ROW_STATE || i >= last)))
			return false;
	}
	return true;
}

/* is_plain tells whether a statement would do no more with a row of a table than is done here. */
static bool
is_plain(const f6_projection *projection, Relation table)
{
	Oid oid = RelationGetRelid(table);
	AclMode needed = ACL_SELECT | ACL_INSERT | ACL_UPDATE;

	return !IsolationUsesXactSnapshot() && ExecutorCheckPerms_hook == NULL &&
		   table->rd_rel->relkind == RELKIND_RELATION && !table->rd_rel->relispartition &&
		   !table->rd_rel->relhassubclass && table->rd_rules == NULL &&
		   pg_class_aclmask(oid, GetUserId(), needed, ACLMASK_ALL) == needed &&
		   check_enable_rls(oid, InvalidOid, true) != RLS_ENABLED && has_guard_only(table) &&
		   has_own_columns_only(projection, RelationGetDescr(table));
}

/* key_index returns the primary key of a table, if it is the projection's key alone; InvalidOid if not. */
static Oid
key_index(Relation table)
{
	Relation index;
	Oid oid;
	bool is_key;

	list_free(RelationGetIndexList(table));
	oid = table->rd_pkindex;
	if (!OidIsValid(oid))
		return InvalidOid;
	index = index_open(oid, AccessShareLock);
	is_key = index->rd_index->indnkeyatts == 1 && index->rd_index->indkey.values[0] == F6_ROW_KEY &&
			 index->rd_index->indisvalid;
	index_close(index, AccessShareLock);
	return is_key ? oid : InvalidOid;
}

/* f6_direct_open opens the table of a projection, if it is plain, for its rows to be read and updated; else NULL. */
Relation
f6_direct_open(const f6_projection *projection)
{
	Relation table = try_table_open(projection->table, RowExclusiveLock);

	if (table == NULL)
		return NULL;
	if (is_plain(projection, table) && OidIsValid(key_index(table)))
		return table;
	table_close(table, NoLock);
	return NULL;
}

/* f6_direct_close closes it; the lock stays. */
void
f6_direct_close(Relation table)
{
	table_close(table, NoLock);
}

/* set_key sets the key by which the index is searched. */
static void
set_key(ScanKey search, Relation index, Datum key)
{
	Oid input = index->rd_opcintype[0];
	Oid equal = get_opfamily_member(index->rd_opfamily[0], input, input, BTEqualStrategyNumber);

	ScanKeyEntryInitialize(search, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[0], get_opcode(equal), key);
}

/* lock_row locks the row in a slot, in the version that is the latest by then; false: it is gone. */
static bool
lock_row(Relation table, Snapshot snapshot, TupleTableSlot *slot)
{
	ItemPointerData place = slot->tts_tid;
	TM_FailureData failure;
	TM_Result result;

	result = table_tuple_lock(table, &place, snapshot, slot, GetCurrentCommandId(false),
							  LockTupleNoKeyExclusive, LockWaitBlock,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_Deleted)
		return false;
	if (result != TM_Ok)
		elog(ERROR, "could not lock a row of table \"%s\": %d", RelationGetRelationName(table),
			 result);
	return true;
}

/* find_row looks for the row with a key and locks it; is_there: was there one in the latest snapshot, which may be gone by now? */
static bool
find_row(Relation table, Relation index, Datum key, TupleTableSlot *slot, bool *is_there)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan = f6_index_beginscan(table, index, snapshot, 1);
	ScanKeyData search;
	bool is_locked;

	set_key(&search, index, key);
	index_rescan(scan, &search, 1, NULL, 0);
	*is_there = index_getnext_slot(scan, ForwardScanDirection, slot);
	is_locked = *is_there && lock_row(table, snapshot, slot);
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	return is_locked;
}

/* take_row takes what a slot has, in the current memory context. */
static void
take_row(TupleTableSlot *slot, f6_projection_row *row)
{
	int last = slot->tts_tupleDescriptor->natts;

	slot_getallattrs(slot);
	row->state = DatumGetJsonbPCopy(slot->tts_values[F6_ROW_STATE - 1]);
	row->last_position = DatumGetInt64(slot->tts_values[last - 2]);
	row->last_material_time = DatumGetTimestampTz(slot->tts_values[last - 1]);
	row->place = slot->tts_tid;
}

/* f6_direct_read reads a row into the current memory context, locked, and tells whether there is one. */
bool
f6_direct_read(Relation table, Datum key, f6_projection_row *row)
{
	Relation index = index_open(key_index(table), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	bool is_there;
	bool is_locked;

	CommandCounterIncrement();
	do
		is_locked = find_row(table, index, key, slot, &is_there);
	while (is_there && !is_locked);
	if (is_locked)
		take_row(slot, row);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return is_locked;
}

/* f6_direct_is_unconstrained tells whether rows need no look before they are inserted: the columns that may be NULL may be so still. */
bool
f6_direct_is_unconstrained(Relation table)
{
	TupleDesc descriptor = RelationGetDescr(table);

	if (descriptor->constr != NULL && descriptor->constr->num_check > 0)
		return false;
	for (int i = F6_ROW_STATE; i < descriptor->natts - F6_ROW_COLUMNS_AT_END; i++)
	{
		if (TupleDescAttr(descriptor, i)->attnotnull)
			return false;
	}
	return true;
}

/* What is needed to write a row, with the entries of indexes. */
typedef struct row_writer
{
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *row;
} row_writer;

/* begin_row readies the writing of a row with some values; speculative: it may be taken back. */
static void
begin_row(row_writer *writer, Relation table, Datum *values, bool *nulls, bool speculative)
{
	int columns = RelationGetDescr(table)->natts;

	writer->estate = CreateExecutorState();
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, table, 0, NULL, 0);
	ExecOpenIndices(writer->result, speculative);
	writer->row = table_slot_create(table, NULL);
	memcpy(writer->row->tts_values, values, sizeof(Datum) * columns);
	memcpy(writer->row->tts_isnull, nulls, sizeof(bool) * columns);
	ExecStoreVirtualTuple(writer->row);
}

/* end_row ends it; what was written can be seen. */
static void
end_row(row_writer *writer)
{
	ExecCloseIndices(writer->result);
	ExecDropSingleTupleTableSlot(writer->row);
	FreeExecutorState(writer->estate);
	CommandCounterIncrement();
}

/* insert_speculatively inserts a row unless there is one with its key by then, and tells whether it did. */
static bool
insert_speculatively(row_writer *writer, Relation table)
{
	List *arbiters = list_make1_oid(key_index(table));
	bool conflicts = false;
	uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());

	table_tuple_insert_speculative(table, writer->row, GetCurrentCommandId(true), 0, NULL, token);
	list_free(
		f6_insert_index_entries(writer->result, writer->row, writer->estate, &conflicts, arbiters));
	table_tuple_complete_speculative(table, writer->row, token, !conflicts);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	return !conflicts;
}

/* f6_direct_insert inserts a row, unless there is one with its key that will stay; it tells whether it did. */
bool
f6_direct_insert(Relation table, Datum *values, bool *nulls)
{
	row_writer writer;
	ItemPointerData conflict;
	bool is_inserted;

	begin_row(&writer, table, values, nulls, true);
	if (RelationGetDescr(table)->constr != NULL)
		ExecConstraints(writer.result, writer.row, writer.estate);
	do
		is_inserted = f6_check_arbiters(writer.result, writer.row, writer.estate, &conflict,
										list_make1_oid(key_index(table))) &&
					  insert_speculatively(&writer, table);
	while (!is_inserted && !ItemPointerIsValid(&conflict));
	end_row(&writer);
	return is_inserted;
}

/* f6_direct_update updates the row that was read. */
void
f6_direct_update(Relation table, const f6_projection_row *row, Datum *values, bool *nulls)
{
	TupleTableSlot *old = table_slot_create(table, NULL);
	row_writer writer;

	begin_row(&writer, table, values, nulls, false);
	PushActiveSnapshot(GetLatestSnapshot());
	writer.estate->es_snapshot = GetActiveSnapshot();
	old->tts_tid = row->place;
	/* Only triggers of rows would look at the row once more. */
	ExecSimpleRelationUpdate(writer.result, writer.estate, NULL, old, writer.row);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(old);
	end_row(&writer);
}
