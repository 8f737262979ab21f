/*
 * projection_fold.c
 *		Folding events into the rows of a projection, some at a time.
 *
 * A row is the fold of all claims with its key that count: at any material time, as known by the last event that was taken.  A claim that
 * comes after all that its row counts is folded into the row's state.  Whatever else comes, a claim that belongs before others, a
 * correction, a validation, has the rows that it may concern folded anew from the log.
 *
 * Where others write the same rows at the same time, each is locked before the log is read for it; for one that does not exist its
 * key is taken by an insert, which waits for that of somebody else: of the row when it is written, or, where the fold may come to nothing,
 * of an end before the log is read.
 */
#include "postgres.h"

#include "catalog/pg_collation_d.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "f6.h"
#include "projection_event.h"
#include "projection_fold.h"
#include "projection_source.h"
#include "projection_table.h"
#include "state.h"
#include "uuid.h"

/* A row that is being made. */
typedef struct row
{
	Datum key;
	f6_fold *fold;
	int64 read_position; /* the last, as it was read */
	int64 last_position;
	TimestampTz last_material_time;
	ItemPointerData place; /* in the table, if it is to be updated there */
	bool is_read;		   /* has it been looked for in the table? */
	bool is_there;		   /* in the table */
	bool has_end;		   /* in f6.projection_end */
	bool is_decided;	   /* does an event that is no claim concern it? */
	bool is_changed;	   /* is it to be written? */
	bool is_anew;		   /* is it to be folded anew? */
	bool is_empty;		   /* was it folded anew, of nothing? */
} row;

/* A row, by its key. */
typedef struct row_entry
{
	Datum key;
	uint32 hash;
	row *row;
	char status;
} row_entry;

/* hash_key returns the hash of a key. */
static inline uint32
hash_key(const TypeCacheEntry *type, Datum key)
{
	return DatumGetUInt32(
		FunctionCall1Coll((FmgrInfo *) &type->hash_proc_finfo, DEFAULT_COLLATION_OID, key));
}

/* is_same_key tells whether two keys are the same. */
static inline bool
is_same_key(const TypeCacheEntry *type, Datum a, Datum b)
{
	return DatumGetBool(
		FunctionCall2Coll((FmgrInfo *) &type->eq_opr_finfo, DEFAULT_COLLATION_OID, a, b));
}

#define SH_PREFIX			 rows
#define SH_ELEMENT_TYPE		 row_entry
#define SH_KEY_TYPE			 Datum
#define SH_KEY				 key
#define SH_HASH_KEY(tb, key) hash_key((tb)->private_data, key)
#define SH_EQUAL(tb, a, b)	 is_same_key((tb)->private_data, a, b)
#define SH_SCOPE			 static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct f6_projection_fold
{
	f6_projection *projection;
	f6_projection_table *table;
	f6_acting *
		acting; /* of the caller, who acts by the session's settings until others are needed; NULL: they are set */
	f6_projection_reader *reader;
	TypeCacheEntry *key_type;
	bool with_others; /* does anybody else write the rows at the same time? */
	int64 until;	  /* no event after this position counts; 0: all that there are */
	bool may_end;
	MemoryContext context; /* of the rows, emptied when they are written */
	MemoryContext states;  /* in that: of what was read of them */
	MemoryContext event;   /* emptied after each event */
	rows_hash *rows;
	f6_projection_inserter
		*inserter; /* of rows that are not there, while rows are written; NULL: one by one */
};

/* begin_rows begins with no rows. */
static void
begin_rows(f6_projection_fold *folding)
{
	MemoryContextReset(folding->context);
	folding->states =
		AllocSetContextCreate(folding->context, "f6 projection states", ALLOCSET_DEFAULT_SIZES);
	folding->rows = rows_create(folding->context, 64, folding->key_type);
}

/*
 * f6_projection_fold_begin begins to fold into the rows of a projection, by events up to a position (0: all that there are), in the
 * current memory context.  The caller acts as the owner, who may see every event; acting: not by the settings that code of others needs.
 */
f6_projection_fold *
f6_projection_fold_begin(f6_projection *projection, bool with_others, int64 until,
						 f6_acting *acting)
{
	f6_projection_fold *folding = palloc0(sizeof(f6_projection_fold));

	folding->projection = projection;
	folding->acting = acting;
	if (!projection->is_compiled || f6_projection_runs_code(projection))
		f6_projection_settings(folding->projection, folding->acting);
	f6_projection_compile(projection);
	folding->table = f6_projection_table_open(projection);
	if (f6_projection_table_runs_code(folding->table))
		f6_projection_settings(folding->projection, folding->acting);
	folding->key_type = f6_projection_key_type(projection->key);
	folding->with_others = with_others;
	folding->until = until;
	folding->may_end = f6_fold_program_may_end(projection->program);
	folding->reader = f6_projection_reader_begin(projection, until, acting);
	folding->context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 projection rows", ALLOCSET_DEFAULT_SIZES);
	folding->event =
		AllocSetContextCreate(CurrentMemoryContext, "f6 projection event", ALLOCSET_DEFAULT_SIZES);
	begin_rows(folding);
	return folding;
}

/* read_anew has the rows read once more, which may have been written since. */
static void
read_anew(f6_projection_fold *folding)
{
	rows_iterator iterator;
	row_entry *entry;

	rows_start_iterate(folding->rows, &iterator);
	while ((entry = rows_iterate(folding->rows, &iterator)) != NULL)
		entry->row->is_read = false;
}

/* forget_states forgets what was read of the rows, of which none has changed. */
static void
forget_states(f6_projection_fold *folding)
{
	read_anew(folding);
	MemoryContextReset(folding->states);
}

/*
 * f6_projection_fold_resume goes on where the caller acts as the owner once more; rows that were locked may have been written meanwhile by
 * the session, or not.
 */
void
f6_projection_fold_resume(f6_projection_fold *folding, bool are_rows_written)
{
	if (f6_projection_runs_code(folding->projection) ||
		f6_projection_table_runs_code(folding->table))
		f6_projection_settings(folding->projection, folding->acting);
	if (are_rows_written)
		read_anew(folding);
}

/* f6_projection_fold_end ends the folding. */
void
f6_projection_fold_end(f6_projection_fold *folding)
{
	f6_projection_table_close(folding->table);
	f6_projection_reader_end(folding->reader);
}

/* f6_projection_fold_is_large tells whether the rows take more memory than a limit, in bytes. */
bool
f6_projection_fold_is_large(f6_projection_fold *folding, Size limit)
{
	return MemoryContextMemAllocated(folding->context, true) > limit;
}

/* row_of returns the row with a key, made when it is first asked for. */
static row *
row_of(f6_projection_fold *folding, Datum key)
{
	const TypeCacheEntry *type = folding->key_type;
	bool found;
	row_entry *entry = rows_insert(folding->rows, key, &found);
	MemoryContext caller;

	if (found)
		return entry->row;
	caller = MemoryContextSwitchTo(folding->context);
	entry->key = datumCopy(key, type->typbyval, type->typlen);
	entry->row = palloc0(sizeof(row));
	entry->row->key = entry->key;
	entry->row->last_material_time = DT_NOBEGIN;
	MemoryContextSwitchTo(caller);
	return entry->row;
}

/* start_from begins the fold of a row with a state, NULL for none; it must last as long as the rows. */
static void
start_from(f6_projection_fold *folding, row *row, Jsonb *state)
{
	row->fold = f6_fold_begin(folding->states);
	if (state != NULL)
		f6_fold_resume(row->fold, state);
}

/*
 * read_row looks for a row in the table, and for how far it had come if it has ended.  One that is in neither place, and may come to
 * nothing, is taken where the ends are kept, and then looked for again: somebody else may have had it.
 */
static void
read_row(f6_projection_fold *folding, row *row)
{
	f6_projection *projection = folding->projection;
	MemoryContext caller = MemoryContextSwitchTo(folding->states);
	f6_projection_row found = { .last_material_time = DT_NOBEGIN };

	row->is_there = f6_projection_row_read(folding->table, row->key, folding->with_others, &found);
	if (!row->is_there && (folding->may_end || (row->is_decided && folding->with_others)))
	{
		row->has_end = f6_projection_end_read(projection, row->key, folding->with_others, &found);
		row->is_there =
			folding->with_others && f6_projection_row_read(folding->table, row->key, true, &found);
		if (folding->with_others && !row->is_there)
			f6_projection_row_check_absent(projection, row->key);
	}
	row->place = found.place;
	row->read_position = found.last_position;
	row->last_position = found.last_position;
	row->last_material_time = found.last_material_time;
	start_from(folding, row, found.state);
	row->is_read = true;
	MemoryContextSwitchTo(caller);
}

/* is_later tells whether a claim comes after all that a row counts. */
static bool
is_later(const row *row, const f6_claim *claim)
{
	return claim->position > row->last_position && claim->material_time >= row->last_material_time;
}

/* is_own tells whether the row of a key is one of those that are to be made. */
static bool
is_own(const f6_projection_fold *folding, Datum key)
{
	const f6_projection *projection = folding->projection;

	return projection->parts <= 1 || (int) (hash_key(folding->key_type, key) %
											(uint32) projection->parts) == projection->part;
}

/* A claim on its way into rows. */
typedef struct claim_taker
{
	f6_projection_fold *folding;
	f6_claim_types *types;
	const f6_claim *claim;
} claim_taker;

/* take_claim_for folds a claim into the row of a key, or has that folded anew. */
static void
take_claim_for(void *state, Datum key)
{
	claim_taker *taker = state;
	f6_projection_fold *folding = taker->folding;
	const f6_claim *claim = taker->claim;
	row *row;

	if (!is_own(folding, key))
		return;
	row = row_of(folding, key);
	if (!row->is_read)
		read_row(folding, row);
	row->is_anew = row->is_anew || !is_later(row, claim);
	if (!row->is_anew)
		f6_state_fold(row->fold, taker->types, claim);
	row->is_changed = true;
	row->last_position = Max(row->last_position, claim->position);
	row->last_material_time = Max(row->last_material_time, claim->material_time);
}

/* meet_key makes a row for a key. */
static void
meet_key(void *state, Datum key)
{
	(void) row_of(state, key);
}

/* meet_decided_key makes a row for a key that an event concerns which is no claim. */
static void
meet_decided_key(void *state, Datum key)
{
	row_of(state, key)->is_decided = true;
}

/* What is folded anew because of an event. */
typedef struct anew_taker
{
	f6_projection_fold *folding;
	int64 position;
} anew_taker;

/* take_anew has the row of a key folded anew. */
static void
take_anew(void *state, Datum key)
{
	anew_taker *taker = state;
	row *row;

	if (!is_own(taker->folding, key))
		return;
	row = row_of(taker->folding, key);
	if (!row->is_read || (!row->is_decided && !row->is_there))
	{
		row->is_decided = true;
		read_row(taker->folding, row);
	}
	row->is_anew = true;
	row->is_changed = true;
	row->last_position = Max(row->last_position, taker->position);
}

/* describe says of an error which event was being folded. */
static void
describe(void *id)
{
	errcontext("fold of event %s", f6_uuid_text(id));
}

/* take_event folds a claim into its rows; those that another event may change are to be folded anew. */
static void
take_event(f6_projection_fold *folding, const f6_projection_event *event)
{
	f6_claim claim = { 0 };
	claim_taker claims = { folding, folding->reader->types, &claim };
	anew_taker anew = { folding, f6_projection_event_position(event) };

	if (!event->is_claim)
		f6_projection_decision_keys(folding->reader, event, take_anew, &anew);
	else if (f6_projection_claim_read(folding->reader, event, folding->projection->legal, &claim))
		f6_projection_claim_keys(folding->reader, claims.types, &claim, take_claim_for, &claims);
}

/* meet_event takes note of the rows that an event concerns. */
static void
meet_event(f6_projection_fold *folding, const f6_projection_event *event)
{
	f6_claim claim = { 0 };

	if (!event->is_claim)
		f6_projection_decision_keys(folding->reader, event, meet_decided_key, folding);
	else if (f6_projection_claim_read(folding->reader, event, folding->projection->legal, &claim))
		f6_projection_claim_keys(folding->reader, folding->reader->types, &claim, meet_key,
								 folding);
}

/* with_event does something with an event, a value of type f6.event. */
static void
with_event(f6_projection_fold *folding, Datum datum,
		   void (*use)(f6_projection_fold *, const f6_projection_event *))
{
	MemoryContext caller = MemoryContextSwitchTo(folding->event);
	ErrorContextCallback context = { error_context_stack, describe, NULL };
	f6_projection_event event;

	f6_projection_event_read(folding->reader, datum, &event);
	context.arg = f6_projection_event_id(&event);
	error_context_stack = &context;
	use(folding, &event);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(folding->event);
}

/* f6_projection_fold_take takes the next event, a value of type f6.event: positions ascend. */
void
f6_projection_fold_take(f6_projection_fold *folding, Datum event)
{
	with_event(folding, event, take_event);
}

/* f6_projection_fold_meet takes note of the rows that an event concerns, which is to be taken when they are locked. */
void
f6_projection_fold_meet(f6_projection_fold *folding, Datum event)
{
	with_event(folding, event, meet_event);
}

/* f6_projection_fold_is_claim tells whether an event is a claim, whose rows it tells itself. */
bool
f6_projection_fold_is_claim(const f6_projection_fold *folding, Datum event)
{
	f6_projection_event read;

	f6_projection_event_read(folding->reader, event, &read);
	return read.is_claim;
}

/* compare_rows brings rows in the order of their keys, for qsort_arg. */
static int
compare_rows(const void *a, const void *b, void *type)
{
	const row *first = *(row *const *) a;
	const row *second = *(row *const *) b;

	return f6_projection_key_compare(type, first->key, second->key);
}

/* rows_in_order returns the rows in the order of their keys: that in which everybody locks them. */
static row **
rows_in_order(f6_projection_fold *folding, uint64 *count)
{
	row **list =
		MemoryContextAllocHuge(folding->context, sizeof(row *) * Max(folding->rows->members, 1));
	rows_iterator iterator;
	row_entry *entry;

	*count = 0;
	rows_start_iterate(folding->rows, &iterator);
	while ((entry = rows_iterate(folding->rows, &iterator)) != NULL)
		list[(*count)++] = entry->row;
	qsort_arg(list, *count, sizeof(row *), compare_rows, folding->key_type);
	return list;
}

/*
 * f6_projection_fold_lock locks the rows that were met.  What it has read of them it keeps for when they are taken, unless that is more than a limit,
 * in bytes: then they are read again.
 */
void
f6_projection_fold_lock(f6_projection_fold *folding, Size limit)
{
	uint64 count;
	row **list = rows_in_order(folding, &count);

	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!list[i]->is_read)
			read_row(folding, list[i]);
		if (MemoryContextMemAllocated(folding->states, true) > limit)
			forget_states(folding);
	}
}

/* begin_anew begins the fold of a row from nothing. */
static void
begin_anew(f6_projection_fold *folding, row *row)
{
	row->last_material_time = DT_NOBEGIN;
	row->is_empty = true;
	start_from(folding, row, NULL);
}

/* fold_counted folds a claim that counts into a row that is folded anew. */
static void
fold_counted(row *row, f6_claim_types *types, const f6_claim *claim)
{
	ErrorContextCallback context = { error_context_stack, describe, (void *) &claim->id };

	if (f6_claim_handler(claim->type)->way == F6_FOLD_NOTHING)
		return;
	error_context_stack = &context;
	f6_state_fold(row->fold, types, claim);
	error_context_stack = context.previous;
	row->last_position = Max(row->last_position, claim->position);
	row->last_material_time = Max(row->last_material_time, claim->material_time);
	row->is_empty = false;
}

/* question_of asks for all claims that count, of an object or at some positions. */
static f6_question
question_of(const f6_projection_fold *folding)
{
	f6_question question = { .valid_at = DT_NOEND,
							 .known_at = DT_NOEND,
							 .legal = folding->projection->legal,
							 .with_data = true,
							 .with_row = folding->projection->key_text != NULL ||
										 f6_fold_program_needs_row(folding->projection->program),
							 .program = folding->projection->program,
							 .until = folding->until };

	return question;
}

/* fold_object folds the row of an object anew. */
static void
fold_object(f6_projection_fold *folding, row *row)
{
	MemoryContext reading =
		AllocSetContextCreate(folding->context, "f6 projection object", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(reading);
	f6_question question = question_of(folding);
	f6_claims *claims;

	question.object_id = *DatumGetUUIDP(row->key);
	claims = f6_claims_asof(&question);
	begin_anew(folding, row);
	MemoryContextSwitchTo(folding->event);
	for (uint64 i = 0; i < claims->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fold_counted(row, claims->types, &claims->claims[i]);
		MemoryContextReset(folding->event);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(reading);
}

/* fold_counted_for folds a claim into the row of a key, if that is folded anew. */
static void
fold_counted_for(void *state, Datum key)
{
	claim_taker *taker = state;
	row_entry *entry = rows_lookup(taker->folding->rows, key);

	if (entry != NULL && entry->row->is_anew)
		fold_counted(entry->row, taker->types, taker->claim);
}

/* Whether any of some keys is that of a row that is folded anew. */
typedef struct wanted_key
{
	f6_projection_fold *folding;
	bool is_wanted;
} wanted_key;

/* want_key notes whether a key is. */
static void
want_key(void *state, Datum key)
{
	wanted_key *wanted = state;
	row_entry *entry = rows_lookup(wanted->folding->rows, key);

	wanted->is_wanted |= entry != NULL && entry->row->is_anew;
}

/* is_wanted tells whether a claim, as it was recorded, has the key of a row that is folded anew. */
static bool
is_wanted(void *state, Datum event)
{
	wanted_key wanted = { state, false };
	f6_projection_fold *folding = state;
	MemoryContext caller = MemoryContextSwitchTo(folding->event);
	f6_claim claim = { 0 };
	f6_projection_event read;

	f6_projection_event_read(folding->reader, event, &read);
	/* Without legal force when it was claimed, it may have that by now. */
	if (f6_projection_claim_read(folding->reader, &read, false, &claim))
		f6_projection_claim_keys(folding->reader, folding->reader->types, &claim, want_key,
								 &wanted);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(folding->event);
	return wanted.is_wanted;
}

/* fold_keys folds the rows anew that are to be, in one pass over the log. */
static void
fold_keys(f6_projection_fold *folding, row **list, uint64 count)
{
	MemoryContext reading =
		AllocSetContextCreate(folding->context, "f6 projection log", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(reading);
	f6_question question = question_of(folding);
	f6_claims *claims;

	question.positions =
		f6_source_positions(folding->projection, folding->until, is_wanted, folding);
	claims = f6_claims_asof(&question);
	for (uint64 i = 0; i < count; i++)
	{
		if (list[i]->is_anew)
			begin_anew(folding, list[i]);
	}
	for (uint64 i = 0; i < claims->count; i++)
	{
		claim_taker taker = { folding, claims->types, &claims->claims[i] };

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(folding->event);
		f6_projection_claim_keys(folding->reader, claims->types, &claims->claims[i],
								 fold_counted_for, &taker);
		MemoryContextSwitchTo(reading);
		MemoryContextReset(folding->event);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(reading);
}

/* fold_anew folds the rows anew that are to be. */
static void
fold_anew(f6_projection_fold *folding, row **list, uint64 count)
{
	bool any = false;

	for (uint64 i = 0; i < count && !any; i++)
		any = list[i]->is_anew;
	if (!any)
		return;
	f6_projection_settings(folding->projection, folding->acting);
	f6_projection_reading_begin();
	if (folding->projection->key_text != NULL)
		fold_keys(folding, list, count);
	else
	{
		for (uint64 i = 0; i < count; i++)
		{
			if (list[i]->is_anew)
				fold_object(folding, list[i]);
		}
	}
	for (uint64 i = 0; i < count; i++)
		list[i]->is_anew = false;
	PopActiveSnapshot();
}

/* write_end writes that a row has no state, or not any more. */
static void
write_end(f6_projection_fold *folding, row *row, const f6_projection_row *written)
{
	f6_projection_settings(folding->projection, folding->acting);
	if (row->is_there)
		f6_projection_row_delete(folding->table, row->key);
	/* Of nothing at all nobody has to know how far it had come. */
	if (folding->may_end && !row->is_empty)
		f6_projection_end_write(folding->projection, row->key, written);
	else if (row->has_end)
		f6_projection_end_forget(folding->projection, row->key);
}

/* write_state writes that a row has a state, and tells whether it did: not where somebody else has made the row since it was read. */
static bool
write_state(f6_projection_fold *folding, row *row, const f6_projection_row *written)
{
	if (row->is_there)
		f6_projection_row_update(folding->table, row->key, written);
	else if (folding->inserter != NULL)
		f6_projection_inserter_put(folding->inserter, row->key, written);
	else if (!f6_projection_row_insert(folding->table, row->key, written))
		return false;
	if (row->has_end)
		f6_projection_end_forget(folding->projection, row->key);
	return true;
}

/* read_again reads a row that somebody else has made since it was read, and folds it anew: with what they have taken. */
static void
read_again(f6_projection_fold *folding, row *row)
{
	int64 last_position = row->last_position;

	read_row(folding, row);
	row->last_position = Max(row->last_position, last_position);
	row->is_anew = true;
	fold_anew(folding, &row, 1);
}

/*
 * catch_up reads a row again if others have been written since it was read, by statements: a trigger may have appended events about this one, which
 * then has been written beside what was made of it here.
 */
static void
catch_up(f6_projection_fold *folding, row *row)
{
	struct row now = { .key = row->key, .is_decided = row->is_decided };

	if (!folding->with_others || !f6_projection_table_runs_code(folding->table))
		return;
	read_row(folding, &now);
	if (now.is_there != row->is_there || now.read_position != row->read_position)
		read_again(folding, row);
}

/* describe_row says of an error which row was being written. */
static void
describe_row(void *argument)
{
	errcontext("row with the event at position " INT64_FORMAT, ((row *) argument)->last_position);
}

/* write_row writes a row. */
static void
write_row(f6_projection_fold *folding, row *row)
{
	ErrorContextCallback context = { error_context_stack, describe_row, row };
	bool is_written = false;

	error_context_stack = &context;
	while (!is_written)
	{
		f6_projection_row written = { .state = f6_fold_result(row->fold),
									  .last_position = row->last_position,
									  .last_material_time = row->last_material_time,
									  .place = row->place };

		CHECK_FOR_INTERRUPTS();
		is_written = written.state == NULL || write_state(folding, row, &written);
		if (written.state == NULL)
			write_end(folding, row, &written);
		else if (!is_written)
			read_again(folding, row);
	}
	error_context_stack = context.previous;
}

/* let_go forgets the end of a row that was taken, but comes to nothing, or that somebody else has begun anew. */
static void
let_go(f6_projection_fold *folding, const row *row)
{
	if (!row->has_end || (!row->is_there && row->last_position > 0))
		return;
	f6_projection_settings(folding->projection, folding->acting);
	f6_projection_end_forget(folding->projection, row->key);
}

/* f6_projection_fold_write writes the rows that have changed, and begins anew with none. */
void
f6_projection_fold_write(f6_projection_fold *folding)
{
	MemoryContext caller = MemoryContextSwitchTo(folding->event);
	uint64 count;
	row **list = rows_in_order(folding, &count);

	fold_anew(folding, list, count);
	MemoryContextSwitchTo(folding->context);
	folding->inserter = folding->with_others ? NULL : f6_projection_inserter_begin(folding->table);
	MemoryContextSwitchTo(folding->event);
	for (uint64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			catch_up(folding, list[i]);
		if (list[i]->is_changed)
			write_row(folding, list[i]);
		else
			let_go(folding, list[i]);
		MemoryContextReset(folding->event);
	}
	if (folding->inserter != NULL)
		f6_projection_inserter_end(folding->inserter);
	MemoryContextSwitchTo(caller);
	begin_rows(folding);
}
