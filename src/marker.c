/*
 * marker.c
 *		The notes that appending transactions leave: the positions from which on their events may be.
 *
 * f6.marker has a fixed number of rows.  Before its first position a transaction writes itself into a free one, in place
 * and logged: not as an UPDATE, which others would not see before it commits, and which would leave versions behind for as
 * long as anybody reads an old snapshot.  A marker counts as long as its transaction is in progress, so nothing must take
 * it away: not at commit, after which the events are visible; not at a rollback, also to a savepoint; not after a crash.
 * That of a prepared transaction stays.  The log carries markers to standbys before it carries what they announce.
 *
 * A marker is written while nobody reads its page, and its position is read then.  So whoever has not seen it has looked at the
 * positions before, and has told nobody that the log is complete beyond it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/rel.h"

#include "f6.h"
#include "errors.h"
#include "marker.h"
#include "relation.h"
#include "sequence.h"

#define MARKER_COLUMNS 4
#define MARKER_SIZE	   (offsetof(f6_marker, pid) + sizeof(int32))

/* The last marker that this backend has set, and in which table: the extension may have been created anew. */
static f6_marker held;
static Oid held_in;

/* f6_marker_held returns the position of the current transaction's marker, or -1 if none is in force. */
int64
f6_marker_held(void)
{
	FullTransactionId current = GetTopFullTransactionIdIfAny();

	if (!FullTransactionIdIsValid(held.xid) || !FullTransactionIdIsValid(current) ||
		FullTransactionIdPrecedes(held.xid, current) ||
		!TransactionIdIsCurrentTransactionId(XidFromFullTransactionId(held.xid)) ||
		held_in != f6_relation_oid(F6_MARKER))
		return -1;
	return held.position;
}

/* marker_at returns the marker in a line of a page, NULL if there is none. */
static f6_marker *
marker_at(Page page, OffsetNumber line)
{
	ItemId item = PageGetItemId(page, line);
	HeapTupleHeader tuple;

	if (!ItemIdIsNormal(item))
		return NULL;
	tuple = (HeapTupleHeader) PageGetItem(page, item);
	if (HeapTupleHeaderGetNatts(tuple) != MARKER_COLUMNS ||
		(tuple->t_infomask & HEAP_HASNULL) != 0 ||
		ItemIdGetLength(item) != tuple->t_hoff + MARKER_SIZE)
		return NULL;
	return (f6_marker *) ((char *) tuple + tuple->t_hoff);
}

/* is_in_progress tells whether the transaction of a marker has not ended yet. */
static bool
is_in_progress(const f6_marker *marker, FullTransactionId next)
{
	if (!FullTransactionIdIsValid(marker->xid))
		return false;
	/* A transaction of half of all numbers ago has ended; its number means another one now. */
	return U64FromFullTransactionId(next) - U64FromFullTransactionId(marker->xid) < (1U << 31) &&
		   TransactionIdIsInProgress(XidFromFullTransactionId(marker->xid));
}

/* free_line returns a line of a page with a marker of which nothing depends any more, or InvalidOffsetNumber. */
static OffsetNumber
free_line(Page page)
{
	FullTransactionId next = ReadNextFullTransactionId();

	for (OffsetNumber line = FirstOffsetNumber; line <= PageGetMaxOffsetNumber(page); line++)
	{
		const f6_marker *marker = marker_at(page, line);

		if (marker != NULL && !is_in_progress(marker, next))
			return line;
	}
	return InvalidOffsetNumber;
}

/*
 * log_marker writes a marker to WAL, as what changes on a locked page.
 *
 * The record is one of the server's generic ones, whose form is: from where on, how many bytes, and these.  The server's own
 * functions for them copy and compare the whole page, which takes several times as long.
 */
static XLogRecPtr
log_marker(Buffer buffer, const f6_marker *place)
{
	OffsetNumber where[] = { (const char *) place - (const char *) BufferGetPage(buffer),
							 MARKER_SIZE };

	XLogBeginInsert();
	XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
	XLogRegisterBufData(0, (char *) where, sizeof(where));
	XLogRegisterBufData(0, (char *) place, MARKER_SIZE);
	return XLogInsert(RM_GENERIC_ID, 0);
}

/* put_marker puts a marker in a line of a locked page; with a sequence, it is about the positions still to be given out. */
static void
put_marker(Relation relation, Buffer buffer, OffsetNumber line, f6_marker *marker,
		   f6_sequence *sequence)
{
	Page page = BufferGetPage(buffer);
	f6_marker *place = marker_at(page, line);

	if (sequence != NULL)
		marker->position = f6_sequence_last(sequence, NULL);
	START_CRIT_SECTION();
	memcpy(place, marker, MARKER_SIZE);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(relation))
		PageSetLSN(page, log_marker(buffer, place));
	END_CRIT_SECTION();
}

/* write_on_page writes a marker on a page, and tells whether that had room for it. */
static bool
write_on_page(Relation relation, BlockNumber block, f6_marker *marker, f6_sequence *sequence)
{
	Buffer buffer = ReadBuffer(relation, block);
	OffsetNumber line;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	line = free_line(BufferGetPage(buffer));
	if (line != InvalidOffsetNumber)
		put_marker(relation, buffer, line, marker, sequence);
	UnlockReleaseBuffer(buffer);
	return line != InvalidOffsetNumber;
}

/* table_blocks returns how many pages the table has; it does not grow. */
static BlockNumber
table_blocks(Relation relation)
{
	static RelFileNumber counted;
	static BlockNumber blocks;

	if (counted != relation->rd_locator.relNumber)
	{
		blocks = RelationGetNumberOfBlocks(relation);
		counted = relation->rd_locator.relNumber;
	}
	return blocks;
}

/* write_marker writes a marker on the first page with room; backends begin at different ones. */
static void
write_marker(Relation relation, f6_marker *marker, f6_sequence *sequence)
{
	BlockNumber blocks = table_blocks(relation);

	for (BlockNumber i = 0; i < blocks; i++)
	{
		if (write_on_page(relation, (MyProcPid + i) % blocks, marker, sequence))
			return;
	}
	ereport(ERROR,
			(errcode(F6_ERR_TOO_MANY), errmsg("too many transactions are appending"),
			 errdetail("Each needs a row of %s.%s until it ends.", F6_SCHEMA, F6_MARKER),
			 errhint("Wait for some of those that f6.in_flight shows to end, and try again.")));
}

/* set_marker writes the current transaction's marker: at 0, or, with a sequence, at the last position given out. */
static void
set_marker(f6_sequence *sequence)
{
	Relation relation = table_open(f6_relation_oid(F6_MARKER), AccessShareLock);

	held.xid = GetCurrentFullTransactionId();
	held.position = 0;
	held.since = GetCurrentTransactionStartTimestamp();
	held.pid = MyProcPid;
	held_in = InvalidOid;
	write_marker(relation, &held, sequence);
	held_in = RelationGetRelid(relation);
	table_close(relation, AccessShareLock);
}

/*
 * f6_marker_set announces that the current transaction's events will have later positions than the last one given out, which
 * it returns.
 */
int64
f6_marker_set(void)
{
	f6_sequence sequence;

	f6_sequence_open(&sequence);
	set_marker(&sequence);
	f6_sequence_close(&sequence);
	return held.position;
}

/* f6_marker_set_zero announces that the current transaction's events may have any position. */
void
f6_marker_set_zero(void)
{
	if (f6_marker_held() != 0)
		set_marker(NULL);
}

/* add_markers_of_page adds copies of a page's markers that are in force to a list. */
static List *
add_markers_of_page(List *markers, Relation relation, BlockNumber block)
{
	Buffer buffer = ReadBuffer(relation, block);
	Page page = BufferGetPage(buffer);
	FullTransactionId next;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	next = ReadNextFullTransactionId();
	for (OffsetNumber line = FirstOffsetNumber; line <= PageGetMaxOffsetNumber(page); line++)
	{
		const f6_marker *marker = marker_at(page, line);

		if (marker != NULL && is_in_progress(marker, next))
			markers = lappend(markers, memcpy(palloc(sizeof(f6_marker)), marker, MARKER_SIZE));
	}
	UnlockReleaseBuffer(buffer);
	return markers;
}

/* f6_markers_in_progress returns the markers of all transactions that have not ended yet. */
List *
f6_markers_in_progress(void)
{
	Relation relation = table_open(f6_relation_oid(F6_MARKER), AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(relation);
	List *markers = NIL;

	for (BlockNumber block = 0; block < blocks; block++)
		markers = add_markers_of_page(markers, relation, block);
	table_close(relation, AccessShareLock);
	return markers;
}
