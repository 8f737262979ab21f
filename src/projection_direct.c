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
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
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
#include "projection_direct.h"
#include "relation.h"

struct f6_direct
{
	Relation table;
	Oid key;   /* the index of the projection's key */
	int index; /* which of the table's it is */
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *found;
	TupleTableSlot *row; /* that is written */
	bool runs_code;
};

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

/* has_own_order tells whether an index goes by operators that are not the server's. */
static bool
has_own_order(Relation index)
{
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		if (index->rd_opfamily[i] >= FirstNormalObjectId)
			return true;
	}
	return false;
}

/* runs_code tells whether code of others runs when a row of a table is written: of constraints, and of the expressions and operators of indexes. */
static bool
runs_code(Relation table, const ResultRelInfo *result)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;

	if (constraints != NULL && constraints->num_check > 0)
		return true;
	for (int i = 0; i < result->ri_NumIndices; i++)
	{
		const IndexInfo *index = result->ri_IndexRelationInfo[i];

		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			has_own_order(result->ri_IndexRelationDescs[i]))
			return true;
	}
	return false;
}

/* ready_writing readies the writing of rows with their entries in the indexes of a table. */
static void
ready_writing(f6_direct *direct)
{
	direct->estate = CreateExecutorState();
	direct->result = makeNode(ResultRelInfo);
	InitResultRelInfo(direct->result, direct->table, 0, NULL, 0);
	ExecOpenIndices(direct->result, false);
	for (int i = 0; i < direct->result->ri_NumIndices; i++)
	{
		if (RelationGetRelid(direct->result->ri_IndexRelationDescs[i]) == direct->key)
			direct->index = i;
	}
	direct->found = table_slot_create(direct->table, NULL);
	direct->row = table_slot_create(direct->table, NULL);
	direct->runs_code = runs_code(direct->table, direct->result);
}

/* f6_direct_open opens the table of a projection, if it is plain, for its rows to be read and written; else NULL. */
f6_direct *
f6_direct_open(const f6_projection *projection)
{
	Relation table = try_table_open(projection->table, RowExclusiveLock);
	Oid key;
	f6_direct *direct;

	if (table == NULL)
		return NULL;
	key = is_plain(projection, table) ? key_index(table) : InvalidOid;
	if (!OidIsValid(key))
	{
		table_close(table, NoLock);
		return NULL;
	}
	direct = palloc0(sizeof(f6_direct));
	direct->table = table;
	direct->key = key;
	ready_writing(direct);
	return direct;
}

/* f6_direct_close closes it; the lock stays. */
void
f6_direct_close(f6_direct *direct)
{
	ExecDropSingleTupleTableSlot(direct->found);
	ExecDropSingleTupleTableSlot(direct->row);
	ExecCloseIndices(direct->result);
	FreeExecutorState(direct->estate);
	table_close(direct->table, NoLock);
	pfree(direct);
}

/* f6_direct_table returns the table. */
Relation
f6_direct_table(const f6_direct *direct)
{
	return direct->table;
}

/* f6_direct_runs_code tells whether code of others runs when a row is written. */
bool
f6_direct_runs_code(const f6_direct *direct)
{
	return direct->runs_code;
}

/* key_index_of returns the index by which rows are found. */
static Relation
key_index_of(const f6_direct *direct)
{
	return direct->result->ri_IndexRelationDescs[direct->index];
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
find_row(f6_direct *direct, Datum key, bool *is_there)
{
	Relation index = key_index_of(direct);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	IndexScanDesc scan = f6_index_beginscan(direct->table, index, snapshot, 1);
	ScanKeyData search;
	bool is_locked;

	set_key(&search, index, key);
	index_rescan(scan, &search, 1, NULL, 0);
	*is_there = index_getnext_slot(scan, ForwardScanDirection, direct->found);
	is_locked = *is_there && lock_row(direct->table, snapshot, direct->found);
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
f6_direct_read(f6_direct *direct, Datum key, f6_projection_row *row)
{
	bool is_there;
	bool is_locked;

	CommandCounterIncrement();
	do
		is_locked = find_row(direct, key, &is_there);
	while (is_there && !is_locked);
	if (is_locked)
		take_row(direct->found, row);
	ExecClearTuple(direct->found);
	return is_locked;
}

/* f6_direct_is_unconstrained tells whether rows need no look before they are inserted: the columns that may be NULL may be so still. */
bool
f6_direct_is_unconstrained(const f6_direct *direct)
{
	TupleDesc descriptor = RelationGetDescr(direct->table);

	if (descriptor->constr != NULL && descriptor->constr->num_check > 0)
		return false;
	for (int i = F6_ROW_STATE; i < descriptor->natts - F6_ROW_COLUMNS_AT_END; i++)
	{
		if (TupleDescAttr(descriptor, i)->attnotnull)
			return false;
	}
	return true;
}

/* put_row makes the row that is to be written one of some values. */
static void
put_row(f6_direct *direct, const Datum *values, const bool *nulls)
{
	int columns = RelationGetDescr(direct->table)->natts;

	ExecClearTuple(direct->row);
	memcpy(direct->row->tts_values, values, sizeof(Datum) * columns);
	memcpy(direct->row->tts_isnull, nulls, sizeof(bool) * columns);
	ExecStoreVirtualTuple(direct->row);
}

/* end_row ends the writing of a row, which can be seen. */
static void
end_row(f6_direct *direct)
{
	ExecClearTuple(direct->row);
	ResetPerTupleExprContext(direct->estate);
	CommandCounterIncrement();
}

/* insert_speculatively inserts a row unless there is one with its key by then, and tells whether it did. */
static bool
insert_speculatively(f6_direct *direct)
{
	bool conflicts = false;
	uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());

	table_tuple_insert_speculative(direct->table, direct->row, GetCurrentCommandId(true), 0, NULL,
								   token);
	list_free(f6_insert_index_entries(direct->result, direct->row, direct->estate, &conflicts,
									  list_make1_oid(direct->key)));
	table_tuple_complete_speculative(direct->table, direct->row, token, !conflicts);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	return !conflicts;
}

/* ready_inserting readies the inserting of rows unless there are others with their keys, once. */
static void
ready_inserting(f6_direct *direct)
{
	IndexInfo *index = direct->result->ri_IndexRelationInfo[direct->index];
	MemoryContext caller = MemoryContextSwitchTo(direct->estate->es_query_cxt);

	if (index->ii_UniqueOps == NULL)
		BuildSpeculativeIndexInfo(key_index_of(direct), index);
	MemoryContextSwitchTo(caller);
}

/* f6_direct_insert inserts a row, unless there is one with its key that will stay; it tells whether it did. */
bool
f6_direct_insert(f6_direct *direct, const Datum *values, const bool *nulls)
{
	ItemPointerData conflict;
	bool is_inserted;

	ready_inserting(direct);
	put_row(direct, values, nulls);
	if (RelationGetDescr(direct->table)->constr != NULL)
		ExecConstraints(direct->result, direct->row, direct->estate);
	do
		is_inserted = f6_check_arbiters(direct->result, direct->row, direct->estate, &conflict,
										list_make1_oid(direct->key)) &&
					  insert_speculatively(direct);
	while (!is_inserted && !ItemPointerIsValid(&conflict));
	end_row(direct);
	return is_inserted;
}

/* f6_direct_update updates the row that was read. */
void
f6_direct_update(f6_direct *direct, const f6_projection_row *row, const Datum *values,
				 const bool *nulls)
{
	put_row(direct, values, nulls);
	direct->estate->es_snapshot = GetActiveSnapshot();
	/* Only triggers of rows would look at the row once more. */
	direct->found->tts_tid = row->place;
	ExecSimpleRelationUpdate(direct->result, direct->estate, NULL, direct->found, direct->row);
	end_row(direct);
}
