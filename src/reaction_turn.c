/*
 * reaction_turn.c
 *		Reacting to what is new, and to what is due, in the current transaction.
 *
 * Some events are handled in a subtransaction that also says that they are done: so they are handled once, whatever happens.  Where that fails, all that
 * is undone, and they are handled one by one, each in a subtransaction: so it shows which one fails, and that is noted.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
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
#include "marker.h"
#include "own_statement.h"
#include "part.h"
#include "reaction_due.h"
#include "reaction_handler.h"
#include "reaction_turn.h"
#include "reading.h"
#include "spi_connection.h"
#include "subscription_ack.h"
#include "subscription_deliver.h"
#include "time_limit.h"

/* How many events are handled together. */
#define EVENTS_TOGETHER 100

/* How many bytes of an error are noted. */
#define LONGEST_REASON 10000

/* For how long, in milliseconds, a turn goes on that has appended. */
#define APPENDING_TIME 10

/* A turn of a reaction. */
typedef struct turn
{
	f6_reaction *reaction;
	Interval lease; /* nobody sees it: what is delivered is settled in the same transaction */
	MemoryContext context; /* emptied after the events that are handled together */
	TimestampTz began_at;
	int milliseconds; /* it takes not much longer; 0: any time */
	f6_reacted result;
	List *events; /* that are delivered */
	/* of the event that is reacted to */
	f6_reaction_event *event;
	const f6_due *due; /* NULL: it is with the subscription's consumer */
	bool is_run;
	bool is_chain_too_long;
	bool has_taken_too_long;
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

/* chain_of returns how many events led to one, each because of the one before; it counts as far as the reaction allows, and one more. */
static int
chain_of(const turn *turn)
{
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Jsonb *metadata = turn->event->metadata;
	int64 position = turn->event->position;
	int length = 0;
	pg_uuid_t cause;
	f6_event_row row;

	while (length <= turn->reaction->max_chain && f6_cause_of(metadata, &cause) &&
		   f6_event_find(event, UUIDPGetDatum(&cause), &row))
	{
		int64 before = DatumGetInt64(f6_event_value(&row, F6_EVENT_POSITION_COLUMN));

		CHECK_FOR_INTERRUPTS();
		/* Nothing led to what came before it: an application has named the event as its own cause. */
		if (before >= position)
			break;
		position = before;
		length++;
		metadata = f6_event_has(&row, F6_EVENT_METADATA)
					   ? DatumGetJsonbP(f6_event_value(&row, F6_EVENT_METADATA))
					   : NULL;
	}
	table_close(event, AccessShareLock);
	return length;
}

/* check_chain refuses an event to which too many led. */
static void
check_chain(turn *turn)
{
	turn->is_chain_too_long = chain_of(turn) > turn->reaction->max_chain;
	if (turn->is_chain_too_long)
		ereport(ERROR,
				(errcode(F6_ERR_TOO_DEEP),
				 errmsg("more than %d events led to this one, each because of the one before",
						turn->reaction->max_chain)));
}

/* handle has the handler take the event, as the reaction's owner. */
static void
handle(turn *turn)
{
	turn->is_run = true;
	turn->result.runs++;
	turn->positions = f6_reaction_handle(turn->reaction, turn->event);
}

/* react_as_owner reacts to the event: now, or not at all, and tells whether it is to be handled later, and when. */
static bool
react_as_owner(turn *turn, TimestampTz *due_at)
{
	f6_reaction *reaction = turn->reaction;

	if (turn->due == NULL && (reaction->due_text != NULL || reaction->delay != NULL))
	{
		if (!f6_reaction_due(reaction, turn->event, due_at))
			return false;
		if (*due_at > GetCurrentTimestamp())
			return true;
	}
	handle(turn);
	return false;
}

/* begin_event begins with an event. */
static void
begin_event(turn *turn, f6_reaction_event *event)
{
	turn->event = event;
	turn->started_at = GetCurrentTimestamp();
	turn->is_run = false;
	turn->is_chain_too_long = false;
	turn->has_taken_too_long = false;
	turn->positions = (Datum) 0;
}

/* react_in_time reacts as the owner, for not longer than it may take; a handler that does not let itself be cancelled has failed all the same. */
static bool
react_in_time(turn *turn, TimestampTz *due_at)
{
	volatile bool is_later = false;

	f6_time_limit_begin(turn->reaction->timeout);
	PG_TRY();
	{
		is_later = react_as_owner(turn, due_at);
	}
	PG_FINALLY();
	{
		turn->has_taken_too_long = f6_time_limit_end();
	}
	PG_END_TRY();
	if (turn->has_taken_too_long)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("it took too long")));
	return is_later;
}

/* react reacts to the event, if the reaction is about it: now, later or not at all. */
static void
react(turn *turn)
{
	TimestampTz due_at;
	bool is_later;
	f6_acting before;

	turn->result.events++;
	if (!f6_reaction_is_about(turn->reaction, turn->event))
		return;
	check_chain(turn);
	f6_reaction_act(turn->reaction, &before);
	is_later = react_in_time(turn, &due_at);
	f6_act_end(&before);
	if (is_later)
		f6_due_add(turn->reaction, turn->event->position, due_at);
	if (turn->is_run)
		log_ending(turn, DONE, NULL, DT_NOEND);
}

/* settle says that the event is done, with those that were delivered before it; those after it are delivered again. */
static void
settle(const turn *turn)
{
	if (turn->due != NULL)
		f6_due_remove(turn->reaction, turn->event->position);
	else
		f6_subscription_ack(turn->reaction->subscription, turn->event->position,
							F6_REACTION_CONSUMER, true);
}

/* react_and_settle reacts to one event. */
static void
react_and_settle(turn *turn)
{
	react(turn);
	settle(turn);
}

/*
 * is_cancelled tells whether an error is what cancelling a client's statement raises.  Who cancels the worker while a handler runs means the handler.
 */
static bool
is_cancelled(const turn *turn, const ErrorData *error)
{
	return f6_part_is_cancelled(error) && !turn->has_taken_too_long &&
		   !(MyBackendType == B_BG_WORKER && turn->is_run);
}

/* in_part does something in a subtransaction; an error undoes that, and is returned; NULL: there was none. */
static ErrorData *
in_part(turn *turn, void (*something)(struct turn *turn))
{
	f6_reacted before = turn->result;
	f6_part part;
	ErrorData *volatile error = NULL;

	f6_part_begin(&part);
	PG_TRY();
	{
		something(turn);
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
	turn->result = before;
	return error;
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

/* reason_of returns what is noted of an error: not more of it than somebody reads. */
static char *
reason_of(const turn *turn, const ErrorData *error)
{
	char *reason;

	if (turn->has_taken_too_long)
		return psprintf("%s: it took longer than %d ms", unpack_sql_state(ERRCODE_QUERY_CANCELED),
						turn->reaction->timeout);
	reason = f6_part_error_text(error);
	reason[pg_mbcliplen(reason, (int) strlen(reason), LONGEST_REASON)] = '\0';
	return reason;
}

/* meet reacts to the event in a subtransaction, and notes it when that fails. */
static void
meet(turn *turn)
{
	ErrorData *error = in_part(turn, react_and_settle);
	TimestampTz retry_at;
	char *reason;

	if (error == NULL)
		return;
	turn->result.events++;
	turn->result.runs += turn->is_run;
	reason = reason_of(turn, error);
	retry_at = repeat_or_park(turn, reason, turn->is_chain_too_long);
	log_ending(turn, TIMESTAMP_IS_NOEND(retry_at) ? PARKED : FAILED, reason, retry_at);
}

/* take keeps an event that is delivered. */
static void
take(void *state, HeapTuple row, TupleDesc descriptor, int attempt)
{
	turn *turn = state;
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	turn->events = lappend(turn->events, f6_reaction_event_of(row, descriptor, attempt));
	MemoryContextSwitchTo(caller);
}

/* deliver has the subscription deliver the next events, at most so many. */
static void
deliver(turn *turn, int max_events)
{
	f6_delivering delivering = { .subscription = turn->reaction->subscription,
								 .max_events = max_events,
								 .consumer = pstrdup(F6_REACTION_CONSUMER),
								 .lease = &turn->lease,
								 /* Upcasting may fail, and so belongs to reacting. */
								 .call_site = NULL,
								 .receive = take,
								 .state = turn };
	f6_acting before;

	turn->events = NIL;
	f6_reaction_act(turn->reaction, &before);
	while (f6_deliver(&delivering) == F6_NOTED)
		CHECK_FOR_INTERRUPTS();
	f6_act_end(&before);
	turn->result.due_at = delivering.due_at;
	turn->result.horizon = delivering.horizon;
}

/* is_over tells whether a turn has taken its time: less, once it has appended, since that holds back the horizon. */
static bool
is_over(const turn *turn)
{
	int milliseconds =
		f6_marker_held() >= 0 ? Min(turn->milliseconds, APPENDING_TIME) : turn->milliseconds;

	return turn->milliseconds > 0 &&
		   TimestampDifferenceExceeds(turn->began_at, GetCurrentTimestamp(), milliseconds);
}

/* meet_together reacts to the next events of the subscription. */
static void
meet_together(turn *turn)
{
	ListCell *cell;

	deliver(turn, EVENTS_TOGETHER);
	foreach (cell, turn->events)
	{
		CHECK_FOR_INTERRUPTS();
		begin_event(turn, lfirst(cell));
		react(turn);
		if (is_over(turn))
			break;
	}
	if (turn->events != NIL)
		settle(turn);
}

/* meet_one_by_one does so where they can't be handled together, and tells whether there were any. */
static bool
meet_one_by_one(turn *turn)
{
	bool is_met = false;

	for (int i = 0; i < EVENTS_TOGETHER && !(is_met && is_over(turn)); i++)
	{
		CHECK_FOR_INTERRUPTS();
		deliver(turn, 1);
		if (turn->events == NIL)
			break;
		begin_event(turn, linitial(turn->events));
		meet(turn);
		is_met = true;
	}
	return is_met;
}

/* meet_new reacts to the next events of the subscription, and tells whether there were any. */
static bool
meet_new(turn *turn)
{
	turn->due = NULL;
	turn->is_run = false;
	if (in_part(turn, meet_together) != NULL)
		return meet_one_by_one(turn);
	return turn->events != NIL;
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

	turn->events = NIL;
	f6_reaction_act(turn->reaction, &before);
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) f6_reading_rows(NULL, RelationGetDescr(event), &found, 1, take_due, turn);
	PopActiveSnapshot();
	f6_act_end(&before);
	table_close(event, AccessShareLock);
	return turn->events != NIL;
}

/* meet_due reacts to what is due by now, up to some events, and tells whether anything was. */
static bool
meet_due(turn *turn)
{
	f6_due *due = palloc(sizeof(f6_due) * EVENTS_TOGETHER);
	int count = f6_due_next(turn->reaction, due, EVENTS_TOGETHER);

	for (int i = 0; i < count && !(i > 0 && is_over(turn)); i++)
	{
		CHECK_FOR_INTERRUPTS();
		turn->due = &due[i];
		if (read_due(turn))
		{
			begin_event(turn, linitial(turn->events));
			meet(turn);
		}
		else
			f6_due_postpone(turn->reaction, due[i].position,
							"the owner of the reaction does not see the event");
	}
	return count > 0;
}

/* find reads the reaction, as whatever has been done meanwhile has left it, and tells whether it is there and enabled. */
static bool
find(turn *turn, char *name)
{
	turn->reaction = f6_reaction_find(name);
	return turn->reaction != NULL && turn->reaction->is_enabled;
}

/* meet_next reacts to what is due or to what is new, by turns, and tells whether there was anything. */
static bool
meet_next(turn *turn, char *name, bool is_new_first)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	bool is_met = false;

	if (find(turn, name))
	{
		turn->result.id = turn->reaction->subscription->id;
		is_met = is_new_first ? meet_new(turn) || meet_due(turn) : meet_due(turn) || meet_new(turn);
		turn->result.first_due = f6_due_first(turn->reaction);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(turn->context);
	return is_met;
}

/* f6_reaction_turn has a reaction react, if it is enabled, for not much longer than it says, in milliseconds; 0: until nothing is left. */
f6_reacted
f6_reaction_turn(char *name, int milliseconds)
{
	static bool is_new_first = false;
	turn turn = { .began_at = GetCurrentTimestamp(),
				  .milliseconds = milliseconds,
				  .result = { .due_at = DT_NOEND } };

	turn.lease.time = USECS_PER_MINUTE;
	turn.context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 reaction", ALLOCSET_DEFAULT_SIZES);
	do
	{
		CHECK_FOR_INTERRUPTS();
		is_new_first = !is_new_first;
		turn.result.is_done = !meet_next(&turn, name, is_new_first);
	} while (!turn.result.is_done && (milliseconds == 0 || turn.result.events < EVENTS_TOGETHER) &&
			 !is_over(&turn));
	turn.result.due_at = Min(turn.result.due_at, turn.result.first_due);
	MemoryContextDelete(turn.context);
	return turn.result;
}
