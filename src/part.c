/*
 * part.c
 *		Parts of a transaction that can be undone alone: subtransactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "f6.h"
#include "part.h"

/* f6_part_begin begins a part, in the current memory context. */
void
f6_part_begin(f6_part *part)
{
	part->caller = CurrentMemoryContext;
	part->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(part->caller);
}

/* f6_part_end ends a part, which is kept or undone. */
void
f6_part_end(const f6_part *part, bool commit)
{
	if (commit)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(part->caller);
	CurrentResourceOwner = part->owner;
}

/* f6_part_fail undoes a part that has failed, where its error is caught, and returns that. */
ErrorData *
f6_part_fail(const f6_part *part)
{
	ErrorData *error;

	MemoryContextSwitchTo(part->caller);
	error = CopyErrorData();
	FlushErrorState();
	f6_part_end(part, false);
	return error;
}
