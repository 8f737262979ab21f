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

/* f6_part_is_cancelled tells whether an error is what cancelling raises, and not a function's imitation of it. */
bool
f6_part_is_cancelled(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->funcname != NULL &&
		   strcmp(error->funcname, "ProcessInterrupts") == 0;
}

/* f6_part_error_text returns what is kept of an error: its SQLSTATE, message and detail. */
char *
f6_part_error_text(const ErrorData *error)
{
	return psprintf("%s: %s%s%s", unpack_sql_state(error->sqlerrcode), error->message,
					error->detail == NULL ? "" : "\n", error->detail == NULL ? "" : error->detail);
}
