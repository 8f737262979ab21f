/*
 * resolution.c
 *		What an object's events make of each other: which claims count, as the corrections in force restate them.
 *
 * Events are met newest first.  A correction or validation stands later in the log than what it references, so what is known
 * when an event is met decides about it for good.  Only what counts is copied, into memory that the caller frees as a whole.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "resolution.h"
#include "uuid_array.h"

/* Claims that a resolution has room for at first. */
#define INITIAL_CLAIMS 64

/* What an event says: its own content, or that of the correction which restates it. */
typedef struct content
{
	Jsonb *data; /* NULL: the event is removed */
	TimestampTz occurred_at;
	f6_type_key type; /* the data is valid under this type and version */
} content;

/* What later events in force say about an event. */
typedef struct mark
{
	pg_uuid_t id;
	const content *corrected; /* by the latest correction in force; NULL: by none */
	pg_uuid_t corrected_by;
	bool validated;
	bool met; /* has the event been met? */
	char status;
} mark;

#define SH_PREFIX			 marks
#define SH_ELEMENT_TYPE		 mark
#define SH_KEY_TYPE			 pg_uuid_t
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, UUID_LEN)
#define SH_EQUAL(tb, a, b)	 (memcmp((a).data, (b).data, UUID_LEN) == 0)
#define SH_SCOPE			 static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A resolution that is under way. */
struct f6_resolution
{
	const f6_question *question;
	Oid claim_kind;
	Oid correction_kind;
	MemoryContext kept;	   /* what counts */
	MemoryContext working; /* what is needed until the last event has been met */
	MemoryContext row;	   /* emptied after each event */
	marks_hash *marks;	   /* NULL until there is one */
	uint64 unmet;		   /* marks of events that have not been met */
	TimestampTz earliest;  /* material time of a claim that counts */
	bool has_next;
	TimestampTz next; /* material time of a claim that is not yet valid */
	uint64 room;
	f6_claims *result;
};

/* data_key returns the type of a claim, at the version that the data of its content was written for. */
static f6_type_key
data_key(const f6_object_event *claim, const content *said)
{
	if (said->type.name_length == claim->type.name_length &&
		memcmp(said->type.name, claim->type.name, claim->type.name_length) == 0)
		return said->type;
	return claim->type;
}

/* type_of returns a type. */
static const f6_event_type *
type_of(f6_resolution *resolving, f6_type_key key)
{
	return f6_claim_type(resolving->result->types, key);
}

/* has_force tells whether an event counts as far as its validation goes. */
static bool
has_force(f6_resolution *resolving, const f6_object_event *event, const mark *own)
{
	if (!resolving->question->legal || (own != NULL && own->validated))
		return true;
	return type_of(resolving, event->type)->legal_when_claimed;
}

/* is_removed tells whether a correction in force removes an event. */
static bool
is_removed(const mark *own)
{
	return own != NULL && own->corrected != NULL && own->corrected->data == NULL;
}

/* mark_event returns the mark of an event, made when it is the first word about it. */
static mark *
mark_event(f6_resolution *resolving, const pg_uuid_t *id)
{
	bool found;
	mark *target;

	if (resolving->marks == NULL)
		resolving->marks = marks_create(resolving->working, INITIAL_CLAIMS, NULL);
	target = marks_insert(resolving->marks, *id, &found);
	if (!found)
	{
		target->corrected = NULL;
		target->validated = false;
		target->met = false;
		resolving->unmet++;
	}
	return target;
}

/* read_references returns the ids that an event references. */
static f6_uuids
read_references(const f6_object_event *event)
{
	f6_uuids references = { 0, NULL };

	if (event->has_references)
		f6_uuids_read(event->references, "event_reference", &references);
	return references;
}

/* own_data returns the data that an event was recorded with: a copy, unless the event stays where it is. */
static Jsonb *
own_data(MemoryContext context, const f6_object_event *event)
{
	MemoryContext caller;
	Jsonb *data;

	if (event->stays)
		return DatumGetJsonbP(event->data);
	caller = MemoryContextSwitchTo(context);
	data = DatumGetJsonbPCopy(event->data);
	MemoryContextSwitchTo(caller);
	return data;
}

/* copy_text copies a piece of text. */
static const char *
copy_text(const char *text, int length)
{
	return memcpy(palloc(length), text, length);
}

/* copy_content returns what a correction says itself, to be kept until the last event has been met. */
static content *
copy_content(f6_resolution *resolving, const f6_object_event *correction)
{
	/* The data may come to count, so it stands with what does. */
	Jsonb *data = own_data(resolving->kept, correction);
	MemoryContext caller = MemoryContextSwitchTo(resolving->working);
	content *said = palloc(sizeof(content));
	JsonbValue value;

	f6_jsonb_root(data, &value);
	said->data = data;
	if (f6_jsonb_is_null(&value))
	{
		if (!correction->stays)
			pfree(data);
		said->data = NULL;
	}
	said->occurred_at = correction->occurred_at;
	said->type = correction->type;
	said->type.name = copy_text(correction->type.name, correction->type.name_length);
	said->type.version = copy_text(correction->type.version, correction->type.version_length);
	MemoryContextSwitchTo(caller);
	return said;
}

/* correct_targets lets a correction decide about the events about which no later one has, and tells whether there are any. */
static bool
correct_targets(f6_resolution *resolving, const f6_object_event *correction, const content *said)
{
	f6_uuids targets = read_references(correction);
	bool decides = false;

	for (int i = 0; i < targets.count; i++)
	{
		mark *target = mark_event(resolving, &targets.ids[i]);

		if (target->corrected != NULL)
			continue;
		target->corrected = said;
		target->corrected_by = correction->id;
		decides = true;
	}
	return decides;
}

/* verdict_by returns a verdict on an event that a correction may restate or remove. */
static f6_verdict
verdict_by(f6_part part, const mark *own)
{
	f6_verdict verdict = { .part = part };

	if (own != NULL && own->corrected != NULL)
		verdict.by = &own->corrected_by;
	return verdict;
}

/* keep_by keeps what a verdict names until the next event is met: marks move when others are added. */
static void
keep_by(f6_verdict *verdict)
{
	if (verdict->by != NULL)
		verdict->by = memcpy(palloc(UUID_LEN), verdict->by, UUID_LEN);
}

/* meet_correction lets a correction that is in force decide. */
static f6_verdict
meet_correction(f6_resolution *resolving, const f6_object_event *correction, const mark *own)
{
	const content *said;
	f6_verdict verdict;

	if (is_removed(own))
		return verdict_by(F6_PART_REMOVED, own);
	if (!has_force(resolving, correction, own))
		return verdict_by(F6_PART_NOT_VALIDATED, own);
	verdict = verdict_by(F6_PART_CORRECTS, own);
	said = verdict.by != NULL ? own->corrected : copy_content(resolving, correction);
	keep_by(&verdict);
	if (!correct_targets(resolving, correction, said))
		verdict.part = F6_PART_SUPERSEDED;
	return verdict;
}

/* meet_validation lets a validation that is in force give legal force; restated, it still does. */
static f6_verdict
meet_validation(f6_resolution *resolving, const f6_object_event *validation, const mark *own)
{
	f6_verdict verdict = verdict_by(F6_PART_VALIDATES, own);
	f6_uuids targets;

	if (is_removed(own))
		return verdict_by(F6_PART_REMOVED, own);
	if (resolving->question->legal)
	{
		keep_by(&verdict);
		targets = read_references(validation);
		for (int i = 0; i < targets.count; i++)
			mark_event(resolving, &targets.ids[i])->validated = true;
	}
	return verdict;
}

/* add_claim returns a new place at the end of the claims. */
static f6_claim *
add_claim(f6_resolution *resolving)
{
	f6_claims *result = resolving->result;

	if (result->count == resolving->room)
	{
		resolving->room *= 2;
		result->claims = repalloc_huge(result->claims, resolving->room * sizeof(f6_claim));
	}
	return &result->claims[result->count++];
}

/* copy_row returns a copy of the row that an event is stored as. */
static HeapTupleHeader
copy_row(f6_resolution *resolving, const f6_object_event *event)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(event->row);
	uint32 length = HeapTupleHeaderGetDatumLength(row);

	return memcpy(MemoryContextAlloc(resolving->kept, length), row, length);
}

/* claim_time returns the material time of what a claim says; if that needs the claim's own data, it is fetched. */
static TimestampTz
claim_time(f6_resolution *resolving, const f6_event_type *type, const f6_object_event *event,
		   content *said)
{
	JsonbValue value;

	if (type->valid_from == NULL)
		return said->occurred_at;
	if (said->data == NULL)
		said->data =
			own_data(resolving->question->with_data ? resolving->kept : resolving->row, event);
	f6_jsonb_root(said->data, &value);
	return f6_material_time(type, &value, said->occurred_at);
}

/*
 * meet_claim adds a claim that counts to the answer.
 *
 * Most claims that do not count are seen not to before their data is touched: only a date of effect needs it.
 */
static f6_verdict
meet_claim(f6_resolution *resolving, const f6_object_event *event, const mark *own)
{
	const f6_question *question = resolving->question;
	content said = { NULL, event->occurred_at, event->type };
	f6_verdict verdict = verdict_by(F6_PART_COUNTED, own);
	const f6_event_type *type;
	f6_claim *claim;

	if (is_removed(own))
		return verdict_by(F6_PART_REMOVED, own);
	if (!has_force(resolving, event, own))
		return verdict_by(F6_PART_NOT_VALIDATED, own);
	if (verdict.by != NULL)
	{
		said = *own->corrected;
		verdict.part = F6_PART_RESTATED;
	}
	type = type_of(resolving, data_key(event, &said));
	verdict.has_time = true;
	verdict.material_time = claim_time(resolving, type, event, &said);
	if (verdict.material_time > question->valid_at)
	{
		verdict.part = F6_PART_NOT_YET_VALID;
		resolving->next = resolving->has_next ? Min(resolving->next, verdict.material_time)
											  : verdict.material_time;
		resolving->has_next = true;
		return verdict;
	}
	resolving->earliest = Min(resolving->earliest, verdict.material_time);
	if (question->with_data && said.data == NULL)
		said.data = own_data(resolving->kept, event);

	claim = add_claim(resolving);
	claim->position = event->position;
	claim->id = event->id;
	claim->occurred_at = said.occurred_at;
	claim->material_time = verdict.material_time;
	claim->type = type;
	claim->data = question->with_data ? said.data : NULL;
	claim->row = question->with_row ? copy_row(resolving, event) : NULL;
	claim->stored_type = question->with_row ? type_of(resolving, event->type) : NULL;
	return verdict;
}

/* is_skipped tells whether the fold takes an event as not there. */
static bool
is_skipped(const f6_resolution *resolving, const f6_object_event *event)
{
	const f6_fold_program *program = resolving->question->program;

	return program != NULL && f6_fold_program_skips(program, event->position);
}

/* f6_resolution_begin begins a resolution in the current memory context; types: those met before, NULL for none. */
f6_resolution *
f6_resolution_begin(const f6_question *question, f6_claim_types *types)
{
	f6_resolution *resolving = palloc0(sizeof(f6_resolution));

	resolving->question = question;
	resolving->claim_kind = f6_event_kind_oid(F6_CLAIM);
	resolving->correction_kind = f6_event_kind_oid(F6_CORRECTION);
	resolving->kept =
		GenerationContextCreate(CurrentMemoryContext, "f6 claims", ALLOCSET_DEFAULT_SIZES);
	resolving->working =
		AllocSetContextCreate(CurrentMemoryContext, "f6 history", ALLOCSET_DEFAULT_SIZES);
	resolving->row =
		AllocSetContextCreate(resolving->working, "f6 history row", ALLOCSET_DEFAULT_SIZES);
	resolving->earliest = DT_NOEND;
	resolving->room = INITIAL_CLAIMS;
	resolving->result = palloc(sizeof(f6_claims));
	resolving->result->count = 0;
	resolving->result->claims = palloc(resolving->room * sizeof(f6_claim));
	resolving->result->types =
		types != NULL ? types : f6_claim_types_begin(question->versions, question->program);
	return resolving;
}

/* f6_resolution_meet decides about the next event; what the verdict points to is good until the next one. */
f6_verdict
f6_resolution_meet(f6_resolution *resolving, const f6_object_event *event)
{
	MemoryContext caller;
	mark *own;
	f6_verdict verdict;

	MemoryContextReset(resolving->row);
	caller = MemoryContextSwitchTo(resolving->row);
	own = resolving->marks == NULL ? NULL : marks_lookup(resolving->marks, event->id);
	if (own != NULL && !own->met)
	{
		own->met = true;
		resolving->unmet--;
	}
	if (is_skipped(resolving, event))
		verdict = verdict_by(F6_PART_SKIPPED, NULL);
	else if (event->kind == resolving->claim_kind)
		verdict = meet_claim(resolving, event, own);
	else if (event->kind == resolving->correction_kind)
		verdict = meet_correction(resolving, event, own);
	else
	{
		/* A kind that this version does not know is an error. */
		(void) f6_event_kind_of(event->kind);
		verdict = meet_validation(resolving, event, own);
	}
	MemoryContextSwitchTo(caller);
	return verdict;
}

/*
 * f6_resolution_reaches_behind tells whether the events met so far say anything about older ones, or count before a material
 * time.
 */
bool
f6_resolution_reaches_behind(const f6_resolution *resolving, TimestampTz material_time)
{
	return resolving->unmet > 0 || resolving->earliest < material_time;
}

/* f6_resolution_next tells whether a claim is not yet valid, and the material time of the first that is not. */
bool
f6_resolution_next(const f6_resolution *resolving, TimestampTz *material_time)
{
	*material_time = resolving->next;
	return resolving->has_next;
}

/* f6_claim_compare compares two claims by the order in which they are folded, for qsort. */
int
f6_claim_compare(const void *a, const void *b)
{
	const f6_claim *first = a;
	const f6_claim *second = b;

	if (first->material_time != second->material_time)
		return first->material_time < second->material_time ? -1 : 1;
	if (first->position != second->position)
		return first->position < second->position ? -1 : 1;
	return 0;
}

/* sort_claims brings claims that stand newest first into fold order. */
static void
sort_claims(f6_claims *result)
{
	/* Mostly things are recorded in the order in which they happen, and sorted input costs next to nothing. */
	for (uint64 low = 0, high = result->count; low + 1 < high; low++)
	{
		f6_claim claim = result->claims[low];

		result->claims[low] = result->claims[--high];
		result->claims[high] = claim;
	}
	CHECK_FOR_INTERRUPTS();
	qsort(result->claims, result->count, sizeof(f6_claim), f6_claim_compare);
}

/* f6_resolution_end returns the claims that count, in the memory context in which the resolution began and children of it. */
f6_claims *
f6_resolution_end(f6_resolution *resolving)
{
	f6_claims *result = resolving->result;

	sort_claims(result);
	MemoryContextDelete(resolving->working);
	pfree(resolving);
	return result;
}

/* receive_event lets a resolution meet an event. */
static void
receive_event(void *state, const f6_object_event *event)
{
	(void) f6_resolution_meet(state, event);
}

/* f6_claims_asof returns the claims that answer a question, in the current memory context and children of it. */
f6_claims *
f6_claims_asof(const f6_question *question)
{
	f6_object_reading reading = { question->object_id, question->positions, question->known_at,
								  question->with_row, question->until };
	f6_resolution *resolving = f6_resolution_begin(question, NULL);

	f6_object_events_read(&reading, receive_event, resolving);
	return f6_resolution_end(resolving);
}
