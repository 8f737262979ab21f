/*
 * sequence.c
 *		The sequence that gives out positions, as it is now.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "commands/sequence.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "f6.h"
#include "relation.h"
#include "sequence.h"

/* f6_sequence_open readies the sequence, so that looking at it takes a lock on its page, and nothing that might wait. */
void
f6_sequence_open(f6_sequence *sequence)
{
	sequence->relation =
		relation_open(f6_relation_oid(F6_EVENT_POSITION_SEQUENCE), AccessShareLock);
	sequence->buffer = ReadBuffer(sequence->relation, 0);
}

/* f6_sequence_last returns the last position that was given out, 0 if none, and which part of WAL says so. */
int64
f6_sequence_last(f6_sequence *sequence, XLogRecPtr *logged)
{
	Page page = BufferGetPage(sequence->buffer);
	HeapTupleData tuple;
	Form_pg_sequence_data state;
	int64 position;

	LockBuffer(sequence->buffer, BUFFER_LOCK_SHARE);
	tuple.t_data = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	state = (Form_pg_sequence_data) GETSTRUCT(&tuple);
	position = state->is_called ? state->last_value : state->last_value - 1;
	if (logged != NULL)
		*logged = BufferGetLSNAtomic(sequence->buffer);
	LockBuffer(sequence->buffer, BUFFER_LOCK_UNLOCK);
	return position;
}

/* f6_sequence_close lets go of the sequence. */
void
f6_sequence_close(f6_sequence *sequence)
{
	ReleaseBuffer(sequence->buffer);
	relation_close(sequence->relation, AccessShareLock);
}
