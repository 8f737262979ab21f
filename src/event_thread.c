/*
 * event_thread.c
 *		The events that decide about each other: a claim, and the corrections and validations of it and of each other.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/datum.h"

#include "f6.h"
#include "event_thread.h"
#include "index_plan.h"

/* The positions of an event's thread, as far as a position. */
static f6_index_plan thread = {
	"with recursive thread (\"position\", id, event_kind, event_reference) as ("
	" select e.\"position\", e.id, e.event_kind, e.event_reference from f6.event as e"
	" where e.id operator(pg_catalog.=) any ($1)"
	" union select n.\"position\", n.id, n.event_kind, n.event_reference from thread as t"
	" cross join lateral ("
	" select b.\"position\", b.id, b.event_kind, b.event_reference from f6.event as b"
	" where b.id operator(pg_catalog.=) any (t.event_reference)"
	" and t.event_kind operator(pg_catalog.<>) 'claim'"
	" union all"
	" select d.\"position\", d.id, d.event_kind, d.event_reference from f6.event_link as l"
	" join f6.event as d on d.\"position\" operator(pg_catalog.=) l.\"position\""
	" where l.reference_id operator(pg_catalog.=) t.id"
	" and d.event_kind operator(pg_catalog.<>) 'claim') as n"
	" where n.\"position\" operator(pg_catalog.<=) $2)"
	" select pg_catalog.array_agg(\"position\") from thread",
	2,
	{ UUIDARRAYOID, INT8OID },
	NULL,
	InvalidOid,
	NULL
};

/* The positions of all corrections and validations as far as a position, and of what they reference. */
static f6_index_plan decided = {
	"select pg_catalog.array_agg(p.\"position\") from ("
	" select e.\"position\" from f6.event as e"
	" where e.event_kind operator(pg_catalog.<>) 'claim' and e.\"position\" "
	"operator(pg_catalog.<=) $1"
	" union select b.\"position\" from f6.event as e"
	" cross join lateral pg_catalog.unnest(e.event_reference) as r (id)"
	" join f6.event as b on b.id operator(pg_catalog.=) r.id"
	" where e.event_kind operator(pg_catalog.<>) 'claim' and e.\"position\" "
	"operator(pg_catalog.<=) $1"
	") as p",
	1,
	{ INT8OID },
	NULL,
	InvalidOid,
	NULL
};

/* Where the array that a query returns is kept. */
typedef struct kept_array
{
	MemoryContext context;
	Datum array;
} kept_array;

/* keep_array keeps a copy of it. */
static void
keep_array(void *state, const Datum *values, const bool *nulls)
{
	kept_array *kept = state;
	MemoryContext caller = MemoryContextSwitchTo(kept->context);

	kept->array = nulls[0] ? PointerGetDatum(construct_empty_array(INT8OID))
						   : datumCopy(values[0], false, -1);
	MemoryContextSwitchTo(caller);
}

/* run returns the array that a query returns, in the current memory context. */
static Datum
run(f6_index_plan *query, const Datum *arguments)
{
	kept_array kept = { CurrentMemoryContext, (Datum) 0 };

	f6_index_plan_run(query, arguments, keep_array, &kept);
	return kept.array;
}

/* f6_event_thread returns the positions of the threads of some events, an array of ids, as far as one position: an array, in no order. */
Datum
f6_event_thread(Datum ids, int64 until)
{
	return run(&thread, (Datum[]){ ids, Int64GetDatum(until) });
}

/* f6_event_decided returns the positions of all corrections and validations as far as one, and of what they reference. */
Datum
f6_event_decided(int64 until)
{
	return run(&decided, (Datum[]){ Int64GetDatum(until) });
}
