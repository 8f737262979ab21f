/*
 * event_trigger.c
 *		The triggers of the log: the rules that hold whichever way an event comes in.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "f6.h"
#include "append.h"
#include "errors.h"
#include "event.h"
#include "event_link.h"
#include "event_row.h"
#include "event_write.h"
#include "horizon.h"
#include "relation.h"

F6_FUNCTION(f6_event_before_insert);
F6_FUNCTION(f6_event_after_insert);

/* check_complete refuses a restored row that lacks what only f6 fills. */
static void
check_complete(Relation event, const f6_event_row *row)
{
	static const int needed[] = {
		F6_EVENT_POSITION_COLUMN, F6_EVENT_ZONE_ID,		F6_EVENT_ID,
		F6_EVENT_CREATED_AT,	  F6_EVENT_OCCURRED_AT, F6_EVENT_APPENDED_BY
	};

	for (int i = 0; i < (int) lengthof(needed); i++)
	{
		if (!f6_event_has(row, needed[i]))
			ereport(
				ERROR,
				(errcode(F6_ERR_FORBIDDEN_CHANGE), errmsg("only complete events can be restored"),
				 errdetail("The session has the settings of a dump that is being restored, and "
						   "column \"%s\" is NULL.",
						   NameStr(TupleDescAttr(RelationGetDescr(event), needed[i] - 1)->attname)),
				 errhint("To append events in this session, reset search_path and "
						 "check_function_bodies.")));
	}
}

/* check_whole refuses rows that come in through a partitioned table: no statement on f6.event would link them. */
static void
check_whole(Relation event)
{
	if (event->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(F6_ERR_FORBIDDEN_CHANGE), errmsg("f6.event must not be a partition"),
				 errhint("Detach it from the partitioned table.")));
}

/* append_row readies a row for being written, under the locks of an append, and tells whether it is new. */
static bool
append_row(Relation event, f6_event_row *row, bool is_id_given)
{
	bool has_objects = f6_event_has(row, F6_EVENT_OBJECT_IDS);
	TimestampTz newest = DT_NOBEGIN;
	f6_locks locks;

	f6_locks_begin(&locks);
	f6_event_locks(event, row, is_id_given, &locks);
	f6_locks_take(&locks);
	if (f6_event_complete(event, NULL, row) != F6_EVENT_NEW)
		return false;
	if (!has_objects)
	{
		/* What it stands on may have been appended just now. */
		f6_locks_begin(&locks);
		f6_event_locks(event, row, false, &locks);
		f6_locks_take(&locks);
	}
	f6_event_place(event, NULL, row, &newest);
	return true;
}

/* f6_event_before_insert is the trigger that completes and checks an event; one that is in the log already is left out. */
Datum
f6_event_before_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	ErrorContextCallback *statement = error_context_stack;
	f6_event_row row;
	bool is_new;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		!f6_is_relation(trigger->tg_relation, F6_EVENT))
		f6_refuse_protocol("f6_event_before_insert");

	check_whole(trigger->tg_relation);
	f6_event_check_columns(RelationGetDescr(trigger->tg_relation));
	f6_event_deform(trigger->tg_relation, trigger->tg_trigtuple, &row);
	if (f6_is_restoring(trigger->tg_relation))
	{
		check_complete(trigger->tg_relation, &row);
		f6_horizon_hold();
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	error_context_stack = f6_append_error_context(&row);
	is_new = append_row(trigger->tg_relation, &row, error_context_stack == statement);
	error_context_stack = statement;
	return PointerGetDatum(is_new ? f6_event_form(trigger->tg_relation, trigger->tg_trigtuple, &row)
								  : NULL);
}

/* read_from_start readies the reading of a statement's events, as a reader of its own. */
static void
read_from_start(Tuplestorestate *appended)
{
	tuplestore_select_read_pointer(appended,
								   tuplestore_alloc_read_pointer(appended, EXEC_FLAG_REWIND));
	tuplestore_rescan(appended);
}

/* link_appended links the events of a finished statement. */
static void
link_appended(TriggerData *trigger)
{
	Tuplestorestate *appended = trigger->tg_newtable;
	TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
	MemoryContext per_event =
		AllocSetContextCreate(CurrentMemoryContext, "f6 links of an event", ALLOCSET_DEFAULT_SIZES);
	f6_link_writer *writer = f6_links_begin();

	read_from_start(appended);
	while (tuplestore_gettupleslot(appended, true, false, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(per_event);
		f6_event_row row;

		slot_getallattrs(slot);
		memcpy(row.values, slot->tts_values, sizeof(row.values));
		memcpy(row.nulls, slot->tts_isnull, sizeof(row.nulls));
		f6_links_write(writer, &row);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(per_event);
	}
	f6_links_end(writer);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(per_event);
}

/* tell_follower tells who follows the log of the events of a finished statement. */
static void
tell_follower(TriggerData *trigger)
{
	const f6_event_follower *follower = f6_events_follower();
	void *state = follower->begin(trigger->tg_relation);
	TupleTableSlot *slot;

	if (state == NULL)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation), &TTSOpsMinimalTuple);
	read_from_start(trigger->tg_newtable);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
	{
		f6_event_row row;

		slot_getallattrs(slot);
		memcpy(row.values, slot->tts_values, sizeof(row.values));
		memcpy(row.nulls, slot->tts_isnull, sizeof(row.nulls));
		follower->take(state, &row);
	}
	ExecDropSingleTupleTableSlot(slot);
	follower->end(state);
}

/* f6_event_after_insert is the trigger that links the events of a statement; a dump brings its own links. */
Datum
f6_event_after_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || trigger->tg_newtable == NULL ||
		!f6_is_relation(trigger->tg_relation, F6_EVENT))
		f6_refuse_protocol("f6_event_after_insert");

	if (!f6_is_restoring(trigger->tg_relation))
	{
		link_appended(trigger);
		tell_follower(trigger);
	}
	return PointerGetDatum(NULL);
}
