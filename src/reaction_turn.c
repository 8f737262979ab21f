/*
 * reaction_turn.c
 *		Reacting to what is new, and to what is due, in the current transaction.
 *
 * Each event is handled in a subtransaction that also says that it is done: so it is handled once, whatever happens.  Where that fails, all that it did is
 * undone, and it is noted that it failed.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "event_cause.h"
#include "own_statement.h"
#include "part.h"
#include "reaction_due.h"
#include "reaction_handler.h"
#include "reaction_turn.h"
#include "reading.h"
#include "spi_connection.h"
#include "subscription_ack.h"
#include "subscription_deliver.h"

/* A turn of a reaction. */
typedef struct turn
{
	f6_reaction *reaction;
	Interval lease; /* nobody sees it: what is delivered is settled in the same transaction */
	MemoryContext context; /* emptied after each event */
	f6_reacted result;
	/* of the event that is reacted to */
	f6_reaction_event *event;
	const f6_due *due; /* NULL: it is with the subscription's consumer */
	bool is_run;
	TimestampTz started_at;
	Datum positions; /* of what was appended, an array; 0: nothing */
} turn;

/* How a run of a handler has ended. */
typedef enum ending
{
	DONE,
	FAILED,
	PARKED
} ending;

static const char *const ending_names[] = { "done", "failed", "parked" };

static f6_own_statement log_run = {
	.text = "insert into f6.reaction_run (reaction, \"position\", attempt, outcome, started_at,"
			" duration, appended, error, retry_at)"
			" values ($1, $2, $3, $4, $5, clock_timestamp() - $5, $6, $7, $8)",
	.parameter_count = 8,
	.types = { TEXTOID, INT8OID, INT4OID, TEXTOID, TIMESTAMPTZOID, INT8ARRAYOID, TEXTOID,
			   TIMESTAMPTZOID },
};

/* log_ending logs how a run has ended; error: NULL, none; retry_at: infinity, never. */
static void
log_ending(const turn *turn, ending ending, const char *error, TimestampTz retry_at)
{
	Datum values[] = { CStringGetTextDatum(turn->reaction->subscription->name),
					   Int64GetDatum(turn->event->position),
					   Int32GetDatum(turn->event->attempt),
					   CStringGetTextDatum(ending_names[ending]),
					   TimestampTzGetDatum(turn->started_at),
					   turn->positions,
					   error == NULL ? (Datum) 0 : CStringGetTextDatum(error),
					   TimestampTzGetDatum(retry_at) };
	char nulls[] = "        ";

	nulls[5] = ending != DONE || turn->positions == (Datum) 0 ? 'n' : ' ';
	nulls[6] = error == NULL ? 'n' : ' ';
	nulls[7] = TIMESTAMP_IS_NOEND(retry_at) ? 'n' : ' ';
	f6_spi_connect();
	f6_own_run(&log_run, values, nulls);
	SPI_finish();
}

/* is_chain_too_long tells whether more events led to one, each because of the one before, than the reaction allows. */
static bool
is_chain_too_long(const turn *turn)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Jsonb *metadata = turn->event->metadata;
	int length = 0;
	pg_uuid_t cause;
	f6_event_row row;

	while (length <= turn->reaction->max_chain && f6_cause_of(metadata, &cause) &&
		   f6_event_find(event, UUIDPGetDatum(&cause), &row))
	{
		CHECK_FOR_INTERRUPTS();
		length++;
		metadata = f6_event_has(&row, F6_EVENT_METADATA)
					   ? DatumGetJsonbP(f6_event_value(&row, F6_EVENT_METADATA))
					   : NULL;
	}
	table_close(event, AccessShareLock);
	return length > turn->reaction->max_chain;
}

/* handle has the handler take the event, as the reaction's owner. */
static void
handle(turn *turn)
{
	turn->is_run = true;
	turn->started_at = GetCurrentTimestamp();
	turn->positions = f6_reaction_handle(turn->reaction, turn->event);
}

/* settle says that the event is done. */
static void
settle(const turn *turn)
{
	if (turn->due != NULL)
		f6_due_remove(turn->reaction, turn->event->position);
	else
		f6_subscription_ack(turn->reaction->subscription, turn->event->position,
							F6_REACTION_CONSUMER);
}

/* react reacts to the event: now, later or not at all. */
static void
react(turn *turn)
{
	f6_reaction *reaction = turn->reaction;
	TimestampTz due_at = DT_NOBEGIN;
	bool is_due = true;
	f6_acting before;

	f6_reaction_act(reaction, &before);
	if (turn->due == NULL && (reaction->due_text != NULL || reaction->delay != NULL))
		is_due = f6_reaction_due(reaction, turn->event, &due_at);
	if (is_due && due_at <= GetCurrentTimestamp())
		handle(turn);
	f6_act_end(&before);
	if (is_due && !turn->is_run)
		f6_due_add(reaction, turn->event->position, due_at);
	settle(turn);
	if (turn->is_run)
		log_ending(turn, DONE, NULL, DT_NOEND);
}

/* is_cancelled tells whether an error is what cancelling raises, but for the end of a handler's time. */
static bool
is_cancelled(const turn *turn, const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->funcname != NULL &&
		   strcmp(error->funcname, "ProcessInterrupts") == 0 &&
		   !(turn->is_run && TimestampDifferenceExceeds(turn->started_at, GetCurrentTimestamp(),
														turn->reaction->timeout));
}

/* try_to_react reacts to the event in a subtransaction; an error undoes that, and is returned as a text; NULL: there was none. */
static char *
try_to_react(turn *turn)
{
	f6_part part;
	ErrorData *volatile error = NULL;

	f6_part_begin(&part);
	PG_TRY();
	{
		react(turn);
		f6_part_end(&part, true);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	if (error == NULL)
		return NULL;
	if (is_cancelled(turn, error))
		ReThrowError(error);
	return psprintf("%s: %s%s%s", unpack_sql_state(error->sqlerrcode), error->message,
					error->detail == NULL ? "" : "\n", error->detail == NULL ? "" : error->detail);
}

/* repeat_or_park has an event that has failed be handled once more, and returns when; infinity: it is parked. */
static TimestampTz
repeat_or_park(const turn *turn, const char *reason, bool for_good)
{
	const f6_subscription *subscription = turn->reaction->subscription;
	TimestampTz retry_at;

	if (turn->due == NULL)
		return f6_subscription_nack(subscription, turn->event->position, F6_REACTION_CONSUMER,
									reason, for_good, &retry_at)
				   ? retry_at
				   : DT_NOEND;
	if (turn->due->attempts + 1 < subscription->attempts)
		return f6_due_repeat(turn->reaction, turn->due, reason);
	f6_due_park(turn->reaction, turn->due, &turn->event->objects, reason);
	return DT_NOEND;
}

/* fail notes that reacting to the event has failed. */
static void
fail(const turn *turn, const char *reason, bool for_good)
{
	TimestampTz retry_at = repeat_or_park(turn, reason, for_good);

	log_ending(turn, TIMESTAMP_IS_NOEND(retry_at) ? PARKED : FAILED, reason, retry_at);
}

/* meet reacts to the event, and notes what comes of it. */
static void
meet(turn *turn)
{
	char *error;

	turn->result.events++;
	turn->started_at = GetCurrentTimestamp();
	turn->is_run = false;
	turn->positions = (Datum) 0;
	if (!f6_reaction_is_about(turn->reaction, turn->event))
		settle(turn);
	else if (is_chain_too_long(turn))
		fail(turn,
			 psprintf("more than %d events led to this one, each because of the one before",
					  turn->reaction->max_chain),
			 true);
	else if ((error = try_to_react(turn)) != NULL)
		fail(turn, error, false);
	turn->result.runs += turn->is_run;
}

/* take keeps an event that is delivered. */
static void
take(void *state, HeapTuple row, TupleDesc descriptor, int attempt)
{
	turn *turn = state;
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	turn->event = f6_reaction_event_of(row, descriptor, attempt);
	MemoryContextSwitchTo(caller);
}

/* meet_new reacts to the next event of the subscription, and tells whether there was one. */
static bool
meet_new(turn *turn)
{
	f6_delivering delivering = { .subscription = turn->reaction->subscription,
								 .max_events = 1,
								 .consumer = pstrdup(F6_REACTION_CONSUMER),
								 .lease = &turn->lease,
								 .call_site = &turn->reaction->upcasts,
								 .receive = take,
								 .state = turn };
	f6_delivered delivered;
	f6_acting before;

	f6_reaction_act(turn->reaction, &before);
	while ((delivered = f6_deliver(&delivering)) == F6_NOTED)
		CHECK_FOR_INTERRUPTS();
	f6_act_end(&before);
	turn->result.due_at = delivering.due_at;
	turn->result.horizon = delivering.horizon;
	if (delivered == F6_NOTHING)
		return false;
	turn->due = NULL;
	meet(turn);
	return true;
}

/* take_due keeps an event that is due. */
static void
take_due(void *state, HeapTuple row)
{
	turn *turn = state;
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);

	take(state, row, RelationGetDescr(event), turn->due->attempts + 1);
	table_close(event, AccessShareLock);
}

/* read_due reads the event that is due, as the reaction's owner, and tells whether that may be seen. */
static bool
read_due(turn *turn)
{
	f6_found found = { 1, unconstify(int64 *, &turn->due->position) };
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	f6_acting before;
	int count;

	f6_reaction_act(turn->reaction, &before);
	PushActiveSnapshot(GetTransactionSnapshot());
	count = f6_reading_rows(&turn->reaction->upcasts, RelationGetDescr(event), &found, 1, take_due,
							turn);
	PopActiveSnapshot();
	f6_act_end(&before);
	table_close(event, AccessShareLock);
	return count > 0;
}

/* meet_due reacts to the first event that is due, and tells whether there was one. */
static bool
meet_due(turn *turn)
{
	f6_due due;

	if (!f6_due_next(turn->reaction, &due))
		return false;
	turn->due = &due;
	if (read_due(turn))
		meet(turn);
	else
		f6_due_remove(turn->reaction, due.position);
	turn->due = NULL;
	return true;
}

/* meet_next reacts to what is due or to what is new, and tells whether there was anything. */
static bool
meet_next(turn *turn)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	bool is_met = meet_due(turn) || meet_new(turn);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(turn->context);
	return is_met;
}

/* f6_reaction_turn has a reaction react, if it is enabled, to at most so many events (0: any number), and for not much longer than it says (0: any time). */
f6_reacted
f6_reaction_turn(char *name, int max_events, int milliseconds)
{
	TimestampTz began_at = GetCurrentTimestamp();
	turn turn = { .result = { .is_done = true, .due_at = DT_NOEND } };

	turn.reaction = f6_reaction_find(name);
	if (turn.reaction == NULL || !turn.reaction->is_enabled)
		return turn.result;
	turn.result.id = turn.reaction->subscription->id;
	turn.lease.time = USECS_PER_MINUTE;
	turn.context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 reaction", ALLOCSET_DEFAULT_SIZES);
	do
	{
		CHECK_FOR_INTERRUPTS();
		turn.result.is_done = !meet_next(&turn);
	} while (!turn.result.is_done && (max_events == 0 || turn.result.events < max_events) &&
			 (milliseconds == 0 ||
			  !TimestampDifferenceExceeds(began_at, GetCurrentTimestamp(), milliseconds)));
	turn.result.due_at = Min(turn.result.due_at, f6_due_first(turn.reaction));
	MemoryContextDelete(turn.context);
	return turn.result;
}
