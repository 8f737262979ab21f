/*
 * reaction_watch.c
 *		Which reactions have something to do, as far as the worker knows.
 *
 * A look for what is next takes several statements.  So it is remembered how the subscription stood when there was nothing: as long as nobody changes that,
 * no event comes that matches and nothing is due, there is nothing still.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "guc.h"
#include "own_statement.h"
#include "reaction_turn.h"
#include "reaction_watch.h"
#include "reading.h"
#include "spi_connection.h"

/* How long, in milliseconds, a turn of a reaction takes before others have theirs. */
#define TURN_TIME 100

/* After how long, in milliseconds, it is looked in any case. */
#define LONGEST_TRUST 10000

/* What is remembered of a reaction. */
typedef struct watched
{
	int32 id;
	uint64 pass;   /* when it was met last */
	bool is_known; /* was there nothing to be done? */
	int64 version; /* of its partitions, then */
	int64 horizon; /* then */
	TimestampTz looked_at;
	TimestampTz due_at;
} watched;

/* columns of the statement that reads all reactions */
enum reaction_column
{
	REACTION_ID = 1,
	REACTION_NAME,
	REACTION_QUERY,
	REACTION_VERSION,
	REACTION_DUE_AT
};

static f6_own_statement read_reactions = {
	.text = "select subscription_id, s.name, s.query,"
			" (select sum(p.version)::bigint from f6.subscription_partition as p"
			" where p.subscription_id = s.subscription_id),"
			" (select min(d.run_at) from f6.reaction_due as d"
			" where d.subscription_id = s.subscription_id)"
			" from f6.reaction_definition join f6.subscription_definition as s"
			" using (subscription_id) where enabled order by subscription_id",
};

static f6_own_statement forget_runs = {
	.text =
		"delete from f6.reaction_run where started_at < clock_timestamp() - $1 * interval '1 day'",
	.parameter_count = 1,
	.types = { INT4OID },
};

/* All that is remembered, by the subscription's number; and how often all were looked through. */
static HTAB *memory = NULL;
static uint64 passes = 0;

/* remembered returns what is remembered of a reaction. */
static watched *
remembered(int32 id)
{
	HASHCTL control = { .keysize = sizeof(int32), .entrysize = sizeof(watched) };
	bool found;
	watched *one;

	if (memory == NULL)
		memory = hash_create("f6 reactions", 64, &control, HASH_ELEM | HASH_BLOBS);
	one = hash_search(memory, &id, HASH_ENTER, &found);
	if (!found)
	{
		memset(one, 0, sizeof(*one));
		one->id = id;
	}
	return one;
}

/* is_quiet tells whether, as far as is remembered of a reaction, nobody has changed anything and nothing is due. */
static bool
is_quiet(const watched *one, int64 version, TimestampTz due_at)
{
	TimestampTz now = GetCurrentTimestamp();

	return one->is_known && one->version == version && now < one->due_at && now < due_at &&
		   !TimestampDifferenceExceeds(one->looked_at, now, LONGEST_TRUST);
}

/* has_news tells whether events match a query that were not there when a reaction was looked at. */
static bool
has_news(f6_reading *read, watched *one, Datum query)
{
	if (read->horizon == one->horizon)
		return false;
	read->query = f6_query_read(DatumGetJsonbP(query));
	if (read->horizon < one->horizon || f6_reading_next(read, one->horizon, 1).count > 0)
		return true;
	one->horizon = read->horizon;
	return false;
}

/* value returns a value of a row that a statement has read, or what stands for NULL. */
static Datum
value(uint64 row, int number, Datum null)
{
	bool isnull;
	Datum found = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, &isnull);

	return isnull ? null : found;
}

/* is_ready tells whether the reaction of a row may have something to do. */
static bool
is_ready(uint64 row, f6_reading *read)
{
	watched *one = remembered(DatumGetInt32(value(row, REACTION_ID, 0)));
	int64 version = DatumGetInt64(value(row, REACTION_VERSION, Int64GetDatum(-1)));
	TimestampTz due_at =
		DatumGetTimestampTz(value(row, REACTION_DUE_AT, TimestampTzGetDatum(DT_NOEND)));

	one->pass = passes;
	if (is_quiet(one, version, due_at) && !has_news(read, one, value(row, REACTION_QUERY, 0)))
		return false;
	one->is_known = false;
	one->version = version;
	return true;
}

/* forget_others forgets reactions that were not met in this pass: they are gone, or disabled. */
static void
forget_others(void)
{
	HASH_SEQ_STATUS all;
	watched *one;

	if (memory == NULL)
		return;
	hash_seq_init(&all, memory);
	while ((one = hash_seq_search(&all)) != NULL)
	{
		if (one->pass != passes)
			(void) hash_search(memory, &one->id, HASH_REMOVE, NULL);
	}
}

/* f6_reactions_ready returns the names of the reactions that may have something to do, in the current memory context. */
List *
f6_reactions_ready(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *names = NIL;
	f6_reading read;

	passes++;
	f6_spi_connect();
	f6_own_run(&read_reactions, NULL, NULL);
	if (SPI_processed > 0)
	{
		f6_reading_begin(&read, NULL);
		read.end = read.horizon;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			MemoryContext working;

			if (!is_ready(i, &read))
				continue;
			working = MemoryContextSwitchTo(caller);
			names = lappend(names, TextDatumGetCString(value(i, REACTION_NAME, 0)));
			MemoryContextSwitchTo(working);
		}
		f6_reading_end(&read);
	}
	SPI_finish();
	forget_others();
	return names;
}

/* f6_reaction_react has a reaction react for a short while, and returns when it has something to do next; DT_NOBEGIN: now. */
TimestampTz
f6_reaction_react(const char *name)
{
	f6_reacted result = f6_reaction_turn(pstrdup(name), TURN_TIME);
	watched *one;

	if (!result.is_done)
		return DT_NOBEGIN;
	if (result.id == 0)
		return DT_NOEND;
	one = remembered(result.id);
	one->is_known = true;
	one->horizon = result.horizon;
	one->due_at = result.due_at;
	one->looked_at = GetCurrentTimestamp();
	return result.due_at;
}

/* f6_reaction_forget_runs forgets runs of reactions that were logged long ago. */
TimestampTz
f6_reaction_forget_runs(const char *ignored)
{
	Datum values[] = { Int32GetDatum(f6_keep_runs_setting) };

	(void) ignored;
	if (f6_keep_runs_setting < 0)
		return DT_NOEND;
	f6_spi_connect();
	f6_own_run(&forget_runs, values, NULL);
	SPI_finish();
	return DT_NOEND;
}
