/*
 * reading.c
 *		The positions at which events match a query, as one snapshot sees the log.
 *
 * They are found in the indexes, below the level of statements; the events themselves are read as the caller, who sees what privileges and policies
 * allow.  The snapshot is taken after the horizon: only then does it see all that is at or below it.  In a transaction whose snapshot is older, the log
 * is taken to end before the first event that the snapshot does not see.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "event.h"
#include "event_scan.h"
#include "horizon.h"
#include "index_plan.h"
#include "reading.h"
#include "relation.h"
#include "spi_connection.h"
#include "upcast.h"

/* How many positions are found at a time. */
#define POSITIONS_AT_A_TIME 1000

#define READ_QUERY \
	"select e from f6.event as e where e.\"position\" operator(pg_catalog.=) any ($1) " \
	"order by e.\"position\""

/* f6_reading_begin readies the reading of what matches a query; its snapshot is the active one until f6_reading_end. */
void
f6_reading_begin(f6_reading *read, const f6_query *query)
{
	read->query = query;
	read->event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	f6_event_check_columns(RelationGetDescr(read->event));
	read->horizon = f6_horizon_now(true);
	/* What this transaction has appended before belongs to the log, as it sees it. */
	CommandCounterIncrement();
	PushActiveSnapshot(IsolationUsesXactSnapshot() ? GetTransactionSnapshot()
												   : GetLatestSnapshot());
	read->snapshot = GetActiveSnapshot();
	read->end = PG_INT64_MAX;
}

/* f6_reading_end ends it. */
void
f6_reading_end(f6_reading *read)
{
	PopActiveSnapshot();
	table_close(read->event, AccessShareLock);
}

/* merge_positions returns the first of two lists in order, each position once, at most so many. */
static f6_found
merge_positions(f6_found a, f6_found b, int limit)
{
	f6_found merged = { 0, palloc_extended(sizeof(int64) * Max(a.count + b.count, 1),
										   MCXT_ALLOC_HUGE) };
	int i = 0;
	int j = 0;

	while (merged.count < limit && (i < a.count || j < b.count))
	{
		bool from_a = j == b.count || (i < a.count && a.list[i] <= b.list[j]);
		int64 position = from_a ? a.list[i++] : b.list[j++];

		if (merged.count == 0 || merged.list[merged.count - 1] != position)
			merged.list[merged.count++] = position;
	}
	return merged;
}

/* scan_positions returns the first positions after the given one at which events may match some items, at most so many. */
static f6_found
scan_positions(const f6_reading *read, const f6_query *items, int64 after, int limit)
{
	f6_event_scan *scan = f6_event_scan_begin(items, after, read->snapshot, AccessShareLock);
	f6_found found = { 0, palloc(sizeof(int64) * limit) };

	while (found.count < limit && f6_event_scan_next(scan, &found.list[found.count]) &&
		   found.list[found.count] <= read->end)
		found.count++;
	f6_event_scan_end(scan);
	return found;
}

/*
 * f6_reading_end_before_unseen lets the log end before the first of some positions that holds an event which the snapshot does not see,
 * though it is committed.
 */
void
f6_reading_end_before_unseen(f6_reading *read, f6_found *found)
{
	for (int i = 0; i < found->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (f6_event_find_at(read->event, found->list[i], read->snapshot, NULL) ||
			!f6_event_find_at(read->event, found->list[i], SnapshotSelf, NULL))
			continue;
		read->end = found->list[i] - 1;
		found->count = i;
	}
}

/* f6_reading_next returns the next positions at which the reading may find events, none at its end. */
f6_found
f6_reading_next(f6_reading *read, int64 after, int limit)
{
	f6_found found = { 0, NULL };

	for (int i = 0; i < read->query->count;)
	{
		f6_query items = f6_query_part(read->query, i);

		found = merge_positions(found, scan_positions(read, &items, after, limit), limit);
		i += items.count;
	}
	if (IsolationUsesXactSnapshot())
		f6_reading_end_before_unseen(read, &found);
	return found;
}

/* f6_reading_all returns all positions after the given one at which the reading may find events. */
f6_found
f6_reading_all(f6_reading *read, int64 after)
{
	f6_found all = { 0, palloc(sizeof(int64) * POSITIONS_AT_A_TIME) };
	int room = POSITIONS_AT_A_TIME;
	f6_found found;

	do
	{
		found = f6_reading_next(read, all.count > 0 ? all.list[all.count - 1] : after,
								POSITIONS_AT_A_TIME);
		if (all.count + found.count > room)
		{
			room *= 2;
			all.list = repalloc_huge(all.list, sizeof(int64) * room);
		}
		memcpy(all.list + all.count, found.list, sizeof(int64) * found.count);
		all.count += found.count;
	} while (found.count == POSITIONS_AT_A_TIME);
	return all;
}

/* f6_found_array returns positions as an array of SQL. */
Datum
f6_found_array(const f6_found *found)
{
	Datum *elements = palloc_extended(sizeof(Datum) * Max(found->count, 1), MCXT_ALLOC_HUGE);

	for (int i = 0; i < found->count; i++)
		elements[i] = Int64GetDatum(found->list[i]);
	return PointerGetDatum(
		construct_array(elements, found->count, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
}

/* run_query reads the events at some positions into SPI's result, as the caller, inside an SPI connection. */
static void
run_query(Datum position_array)
{
	static f6_index_plan plan = { .text = READ_QUERY,
								  .parameter_count = 1,
								  .types = { INT8ARRAYOID } };
	int result = SPI_execute_plan(f6_index_plan_ready(&plan), &position_array, NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read events: %s", SPI_result_code_string(result));
}

/* read_row returns a row that the query has found, in the version to read, or, without a call site, as it is stored. */
static HeapTuple
read_row(FmgrInfo *call_site, TupleDesc descriptor, uint64 number, HeapTuple stored)
{
	HeapTuple upcast;
	bool isnull;

	memset(stored, 0, sizeof(*stored));
	stored->t_data = DatumGetHeapTupleHeader(
		SPI_getbinval(SPI_tuptable->vals[number], SPI_tuptable->tupdesc, 1, &isnull));
	stored->t_len = HeapTupleHeaderGetDatumLength(stored->t_data);
	upcast = call_site == NULL ? NULL : f6_upcast_row(call_site, stored, descriptor, NULL);
	return upcast != NULL ? upcast : stored;
}

/*
 * f6_reading_rows passes on the events at some positions that the caller may see, in order and in the version to read, at most so many, in the
 * active snapshot; it returns how many.  Call site: that of the caller's, which keeps what upcasting needs; NULL
 * leaves them as they are stored.
 */
int
f6_reading_rows(FmgrInfo *call_site, TupleDesc descriptor, const f6_found *found, int limit,
				f6_reading_receiver receive, void *state)
{
	uint64 count;

	f6_spi_connect();
	run_query(f6_found_array(found));
	count = Min(SPI_processed, (uint64) limit);
	for (uint64 i = 0; i < count; i++)
	{
		HeapTupleData stored;

		CHECK_FOR_INTERRUPTS();
		receive(state, read_row(call_site, descriptor, i, &stored));
	}
	SPI_finish();
	return (int) count;
}
