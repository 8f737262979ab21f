/*
 * snapshot_state.c
 *		States that go on from the newest snapshot that serves, and keep another when that took long.
 *
 * The object's events are read newest first, until a snapshot has them all.  It serves if none of those that were read reaches
 * behind it: says anything about an event that the snapshot has, or counts before a claim that it has.  Else the reading
 * goes on to the next older one, and in the end to the whole history.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "guc.h"
#include "horizon.h"
#include "object_events.h"
#include "resolution.h"
#include "snapshot.h"
#include "snapshot_state.h"
#include "state.h"

/* A state in the making. */
typedef struct making
{
	const f6_question *question;
	f6_fold_version version;
	f6_snapshot_scan *snapshots;  /* NULL: they can't be read */
	const f6_snapshot *candidate; /* the newest snapshot that may serve; NULL: none is left */
	bool serves;				  /* does it, so that no older events are needed? */

	f6_resolution *resolving; /* NULL until there is an event */
	f6_positions read;
	TimestampTz recorded_until;
	instr_time began;
} making;

/* f6_snapshots_serve tells whether snapshots may answer a question. */
bool
f6_snapshots_serve(const f6_question *question)
{
	return question->positions == (Datum) 0 && question->versions == NULL && question->until == 0 &&
		   (question->program == NULL || f6_fold_program_is_declared(question->program)) &&
		   f6_snapshots_may_be_read() && f6_object_events_are_indexed();
}

/* next_candidate moves on to the next snapshot that is of the times asked about, if there is one. */
static void
next_candidate(making *making)
{
	const f6_question *question = making->question;

	do
		making->candidate = f6_snapshots_next(making->snapshots);
	while (making->candidate != NULL && (making->candidate->recorded_until > question->known_at ||
										 making->candidate->valid_from > question->valid_at ||
										 making->candidate->valid_to <= question->valid_at));
}

/* is_enough tells whether a snapshot serves that has the event at the next position and all before it. */
static bool
is_enough(void *state, int64 position)
{
	making *making = state;

	while (making->candidate != NULL && making->candidate->position >= position)
	{
		if (making->resolving == NULL ||
			!f6_resolution_reaches_behind(making->resolving, making->candidate->valid_from))
		{
			making->serves = true;
			return true;
		}
		next_candidate(making);
	}
	return false;
}

/* note_position adds a position to those that were read. */
static void
note_position(f6_positions *read, int64 position)
{
	if (read->count == read->room)
	{
		read->room = Max(read->room * 2, 64);
		read->list = read->list == NULL ? palloc(sizeof(int64) * read->room)
										: repalloc_huge(read->list, sizeof(int64) * read->room);
	}
	read->list[read->count++] = position;
}

/* meet_event lets the resolution meet an event, and takes note of it; the reading of the history calls it. */
static void
meet_event(void *state, const f6_object_event *event)
{
	making *making = state;

	if (making->resolving == NULL)
		making->resolving = f6_resolution_begin(making->question, NULL);
	(void) f6_resolution_meet(making->resolving, event);
	note_position(&making->read, event->position);
	making->recorded_until = Max(making->recorded_until, event->created_at);
}

/* has_taken_long tells whether it took so many events, or so long, that the state is to be kept. */
static bool
has_taken_long(const making *making)
{
	instr_time taken;

	if (making->read.count == 0)
		return false;
	if (making->read.count >= (uint64) f6_snapshot_events_setting)
		return true;
	INSTR_TIME_SET_CURRENT(taken);
	INSTR_TIME_SUBTRACT(taken, making->began);
	return INSTR_TIME_GET_MILLISEC(taken) >= f6_snapshot_time_setting;
}

/* are_declared tells whether the data of all claims was read as stored, or upcast by steps, which nobody can change. */
static bool
are_declared(const f6_claims *claims)
{
	for (uint64 i = 0; i < claims->count; i++)
	{
		const f6_upcast *upcast = f6_claim_upcast(claims->types, claims->claims[i].type);

		if (upcast != NULL && !f6_upcast_is_declared(upcast))
			return false;
	}
	return true;
}

/* span_state says of which material times a state is, and of how many events. */
static void
span_state(const making *making, const f6_snapshot *base, const f6_claims *claims,
		   f6_snapshot *snapshot)
{
	snapshot->position = making->read.list[0];
	snapshot->events = making->read.count;
	snapshot->recorded_until = making->recorded_until;
	snapshot->valid_from =
		claims->count == 0 ? DT_NOBEGIN : claims->claims[claims->count - 1].material_time;
	if (base == NULL)
		return;
	snapshot->events += base->events;
	snapshot->recorded_until = Max(snapshot->recorded_until, base->recorded_until);
	snapshot->valid_from = Max(snapshot->valid_from, base->valid_from);
	if (base->ends && (!snapshot->ends || base->valid_to < snapshot->valid_to))
	{
		snapshot->ends = true;
		snapshot->valid_to = base->valid_to;
	}
}

/* keep_state keeps a state, if it is of all that was recorded. */
static void
keep_state(const making *making, const f6_snapshot *base, const f6_claims *claims,
		   const f6_snapshot *snapshot, Jsonb *state)
{
	const f6_question *question = making->question;

	if (f6_snapshot_may_be_kept(snapshot) && are_declared(claims) &&
		f6_horizon_covers(snapshot->position) &&
		f6_object_events_are_all(&question->object_id, base == NULL ? 0 : base->position,
								 &making->read))
		f6_snapshot_keep(&question->object_id, question->legal, &making->version, snapshot, state);
}

/* go_on returns the state that the events read make of that of a snapshot, or of nothing, in the caller's memory context. */
static Jsonb *
go_on(making *making, MemoryContext caller)
{
	f6_snapshot base;
	bool has_base = making->serves;
	Jsonb *start = NULL;
	f6_snapshot snapshot;
	f6_claims *claims;
	Jsonb *state;

	if (has_base)
	{
		base = *making->candidate;
		start = f6_snapshots_state(making->snapshots);
	}
	if (making->snapshots != NULL)
		f6_snapshots_end(making->snapshots);
	snapshot.ends = f6_resolution_next(making->resolving, &snapshot.valid_to);
	claims = f6_resolution_end(making->resolving);
	span_state(making, has_base ? &base : NULL, claims, &snapshot);
	MemoryContextSwitchTo(caller);
	state = f6_state_of_claims(start, claims);
	/* What was kept under another registry must not be mixed with what was read under this one. */
	if (has_base && !f6_fold_version_is_now(&making->version))
		return f6_state_of(making->question);
	if (has_taken_long(making))
		keep_state(making, has_base ? &base : NULL, claims, &snapshot, state);
	return state;
}

/* f6_snapshot_state returns the state that answers a question, in the current memory context; NULL where nothing is known. */
Jsonb *
f6_snapshot_state(const f6_question *question)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working = AllocSetContextCreate(caller, "f6 state", ALLOCSET_DEFAULT_SIZES);
	f6_object_reading reading = { question->object_id, (Datum) 0, question->known_at,
								  question->with_row, question->until };
	making making = { .question = question, .recorded_until = DT_NOBEGIN };
	Jsonb *state = NULL;

	INSTR_TIME_SET_CURRENT(making.began);
	MemoryContextSwitchTo(working);
	making.version = f6_fold_version_now(
		question->program == NULL ? 0 : f6_fold_program_hash(question->program));
	making.snapshots = f6_snapshots_begin(&question->object_id, question->legal, &making.version);
	if (making.snapshots != NULL)
		next_candidate(&making);
	f6_object_events_read_until(&reading, is_enough, meet_event, &making);
	if (making.resolving != NULL)
		state = go_on(&making, caller);
	else
	{
		MemoryContextSwitchTo(caller);
		if (making.serves)
			state = f6_snapshots_state(making.snapshots);
		if (making.snapshots != NULL)
			f6_snapshots_end(making.snapshots);
	}
	MemoryContextDelete(working);
	return state;
}
