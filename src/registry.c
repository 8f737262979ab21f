/*
 * registry.c
 *		What the caches of f6's registries share: hearing of changes.
 *
 * A relcache invalidation of a registry's table, which its trigger sends, reaches every session's caches.  The trigger
 * fires when a statement ends, but what the statement calls may read rows before, and it may then fail.  So the end of a
 * transaction that is undone makes the caches forget such rows, and of a part of one too.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"

#include "f6.h"
#include "registry.h"

#define REGISTRY_CACHES 5

static RelcacheCallbackFunction caches[REGISTRY_CACHES];
static int cache_count = 0;
static bool own_rows_read =
	false; /* the caches may hold rows of the transaction that is going on */

/* forget_own_rows makes the caches forget everything, if there may be something of this transaction's in them. */
static void
forget_own_rows(void)
{
	if (!own_rows_read)
		return;
	own_rows_read = false;
	for (int i = 0; i < cache_count; i++)
		caches[i]((Datum) 0, InvalidOid);
}

/* end_transaction keeps what was read when the transaction is committed; a prepared one's rows are not there yet. */
static void
end_transaction(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PARALLEL_COMMIT)
		own_rows_read = false;
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT ||
			 event == XACT_EVENT_PREPARE)
		forget_own_rows();
}

/* end_part does the same for a part of a transaction. */
static void
end_part(SubXactEvent event, SubTransactionId part, SubTransactionId parent, void *arg)
{
	(void) part;
	(void) parent;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_own_rows();
}

/*
 * f6_registry_init has a cache's callback called when a relation changes, with InvalidOid when anything may have; called when
 * the library is loaded, once for each cache.
 */
void
f6_registry_init(RelcacheCallbackFunction forget)
{
	Assert(cache_count < REGISTRY_CACHES);
	if (cache_count == 0)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_part, NULL);
	}
	caches[cache_count++] = forget;
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

/* f6_registry_row_read takes note of a row of a registry before a cache keeps anything of it. */
void
f6_registry_row_read(HeapTuple row)
{
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->t_data)))
		own_rows_read = true;
}
