/*
 * projection_event.c
 *		Events as a projection takes them: the claims that it counts, and the keys of the rows that each event concerns.
 *
 * A claim concerns the rows of its keys; a correction or validation those of all claims that it is about, as they were recorded and as they are
 * restated, since it may take them from one row to another.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "f6.h"
#include "event_thread.h"
#include "jsonb_walk.h"
#include "projection_event.h"
#include "relation.h"
#include "state.h"

/*
 * f6_projection_reader_begin begins to read events for a projection, which is compiled, in the current memory context.  Until: no event after this
 * position counts; 0: all that there are.  Acting: see f6_projection_settings.
 */
f6_projection_reader *
f6_projection_reader_begin(f6_projection *projection, int64 until, f6_acting *acting)
{
	f6_projection_reader *reader = palloc0(sizeof(f6_projection_reader));

	reader->projection = projection;
	reader->acting = acting;
	reader->until = until;
	reader->types = f6_claim_types_begin(NULL, projection->program);
	reader->descriptor = lookup_rowtype_tupdesc(get_rel_type_id(f6_relation_oid(F6_EVENT)), -1);
	f6_event_check_columns(reader->descriptor);
	reader->values = palloc(sizeof(Datum) * reader->descriptor->natts);
	reader->nulls = palloc(sizeof(bool) * reader->descriptor->natts);
	reader->claim_kind = f6_event_kind_oid(F6_CLAIM);
	reader->correction_kind = f6_event_kind_oid(F6_CORRECTION);
	return reader;
}

/* f6_projection_reader_end ends the reading. */
void
f6_projection_reader_end(f6_projection_reader *reader)
{
	ReleaseTupleDesc(reader->descriptor);
}

/* f6_projection_event_read reads the columns of an event, a value of type f6.event, which must last as long as what is read. */
void
f6_projection_event_read(const f6_projection_reader *reader, Datum datum,
						 f6_projection_event *event)
{
	HeapTupleData tuple = { .t_data = DatumGetHeapTupleHeader(datum) };

	event->header = tuple.t_data;
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	heap_deform_tuple(&tuple, reader->descriptor, reader->values, reader->nulls);
	memcpy(event->row.values, reader->values, sizeof(event->row.values));
	memcpy(event->row.nulls, reader->nulls, sizeof(event->row.nulls));
	event->kind = DatumGetObjectId(f6_event_value(&event->row, F6_EVENT_EVENT_KIND));
	event->is_claim = event->kind == reader->claim_kind;
}

/* f6_projection_event_id returns the id of an event. */
pg_uuid_t *
f6_projection_event_id(const f6_projection_event *event)
{
	return DatumGetUUIDP(f6_event_value(&event->row, F6_EVENT_ID));
}

/* f6_projection_event_position returns the position of an event. */
int64
f6_projection_event_position(const f6_projection_event *event)
{
	return DatumGetInt64(f6_event_value(&event->row, F6_EVENT_POSITION_COLUMN));
}

/* set_settings sets what code of others goes by. */
static void
set_settings(const f6_projection_reader *reader)
{
	f6_projection_settings(reader->projection, reader->acting);
}

/* type_key returns the type and version of an event. */
static f6_type_key
type_key(const f6_event_row *event)
{
	text *name = DatumGetTextPP(f6_event_value(event, F6_EVENT_EVENT_TYPE));
	text *version = DatumGetTextPP(f6_event_value(event, F6_EVENT_EVENT_VERSION));
	f6_type_key key = { VARDATA_ANY(name), VARDATA_ANY(version), (int) VARSIZE_ANY_EXHDR(name),
						(int) VARSIZE_ANY_EXHDR(version) };

	return key;
}

/* f6_projection_claim_read reads a claim as it was recorded, and tells whether the projection counts it: with legal force, if only that counts. */
bool
f6_projection_claim_read(f6_projection_reader *reader, const f6_projection_event *event, bool legal,
						 f6_claim *claim)
{
	const f6_event_row *row = &event->row;
	const f6_event_type *type = f6_claim_type(reader->types, type_key(row));
	JsonbValue data;

	if (f6_claim_handler(type)->way == F6_FOLD_NOTHING || (legal && !type->legal_when_claimed))
		return false;
	/* A date of effect without an offset is of the projection's time zone; an upcaster may be code of others. */
	if (type->valid_from != NULL || f6_claim_upcast(reader->types, type) != NULL)
		set_settings(reader);
	claim->position = f6_projection_event_position(event);
	claim->id = *f6_projection_event_id(event);
	claim->occurred_at = DatumGetTimestampTz(f6_event_value(row, F6_EVENT_OCCURRED_AT));
	claim->type = type;
	claim->stored_type = type;
	claim->data = DatumGetJsonbP(f6_event_value(row, F6_EVENT_DATA));
	claim->row = event->header;
	f6_jsonb_root(claim->data, &data);
	claim->material_time = type->valid_from == NULL
							   ? claim->occurred_at
							   : f6_material_time(type, &data, claim->occurred_at);
	return true;
}

/* f6_projection_claim_keys passes on the keys of a claim as it counts. */
void
f6_projection_claim_keys(f6_projection_reader *reader, f6_claim_types *types, const f6_claim *claim,
						 f6_key_receiver receive, void *state)
{
	f6_projection *projection = reader->projection;
	Datum event = PointerGetDatum(claim->row);

	/* Its objects are the same in every version. */
	if (projection->key_text != NULL)
		event = f6_claim_row(types, claim, f6_claim_data(types, claim));
	f6_projection_key_each(projection->key, event, receive, state);
}

/* decides tells whether an event that is no claim may change what the projection counts. */
static bool
decides(const f6_projection_reader *reader, const f6_projection_event *event)
{
	return reader->projection->legal || event->kind == reader->correction_kind;
}

/* What is passed on of a thread: the keys of its claims, as recorded and as its corrections restate them. */
typedef struct thread
{
	f6_projection_reader *reader;
	List *claims; /* of f6_claim */
	List *said;	  /* by corrections: of f6_claim, without a type of their own */
	f6_key_receiver receive;
	void *state;
} thread;

/* says tells whether an event restates others. */
static bool
says(const f6_projection_reader *reader, Oid kind, const f6_claim *claim)
{
	JsonbValue data;

	f6_jsonb_root(claim->data, &data);
	return kind == reader->correction_kind && !f6_jsonb_is_null(&data);
}

/* read_thread_event takes note of an event of a thread. */
static void
read_thread_event(void *state, const f6_object_event *event)
{
	thread *thread = state;
	f6_projection_reader *reader = thread->reader;
	f6_claim *claim = palloc0(sizeof(f6_claim));

	claim->position = event->position;
	claim->id = event->id;
	claim->occurred_at = event->occurred_at;
	claim->type = f6_claim_type(reader->types, event->type);
	claim->data = DatumGetJsonbPCopy(event->data);
	claim->row = DatumGetHeapTupleHeader(datumCopy(event->row, false, -1));
	if (event->kind == reader->claim_kind)
		thread->claims = lappend(thread->claims, claim);
	else if (says(reader, event->kind, claim))
		thread->said = lappend(thread->said, claim);
}

/* read_decision takes note of the event that a thread is read for, which may not be in the log yet. */
static void
read_decision(thread *thread, const f6_projection_event *event)
{
	const f6_event_row *row = &event->row;
	f6_claim *claim = palloc0(sizeof(f6_claim));

	claim->occurred_at = DatumGetTimestampTz(f6_event_value(row, F6_EVENT_OCCURRED_AT));
	claim->type = f6_claim_type(thread->reader->types, type_key(row));
	claim->data = DatumGetJsonbP(f6_event_value(row, F6_EVENT_DATA));
	if (says(thread->reader, event->kind, claim))
		thread->said = lappend(thread->said, claim);
}

/* ids_of returns the ids of an event and of what it references, an array. */
static Datum
ids_of(const f6_projection_event *event)
{
	ArrayBuildState *ids = NULL;
	ArrayIterator references;
	Datum id;
	bool isnull;

	ids = accumArrayResult(ids, UUIDPGetDatum(f6_projection_event_id(event)), false, UUIDOID,
						   CurrentMemoryContext);
	references = array_create_iterator(
		DatumGetArrayTypeP(f6_event_value(&event->row, F6_EVENT_REFERENCE)), 0, NULL);
	while (array_iterate(references, &id, &isnull))
		ids = accumArrayResult(ids, id, isnull, UUIDOID, CurrentMemoryContext);
	return makeArrayResult(ids, CurrentMemoryContext);
}

/* each_restated_key passes on the keys of a claim as a correction would restate it. */
static void
each_restated_key(const thread *thread, const f6_claim *claim, const f6_claim *said)
{
	f6_claim restated = *claim;

	restated.data = said->data;
	restated.occurred_at = said->occurred_at;
	if (strcmp(claim->type->event_type, said->type->event_type) == 0)
		restated.type = said->type;
	f6_projection_claim_keys(thread->reader, thread->reader->types, &restated, thread->receive,
							 thread->state);
}

/* each_thread_key passes on the keys that the claims of an event's thread have, or may have had. */
static void
each_thread_key(f6_projection_reader *reader, const f6_projection_event *event,
				f6_key_receiver receive, void *state)
{
	thread thread = { reader, NIL, NIL, receive, state };
	int64 until = reader->until == 0 ? PG_INT64_MAX : reader->until;
	f6_object_reading reading = { .positions = f6_event_thread(ids_of(event), until),
								  .known_at = DT_NOEND,
								  .with_row = true };
	ListCell *cell;
	ListCell *other;

	read_decision(&thread, event);
	f6_object_events_read(&reading, read_thread_event, &thread);
	foreach (cell, thread.claims)
	{
		const f6_claim *claim = lfirst(cell);

		if (f6_claim_handler(claim->type)->way == F6_FOLD_NOTHING)
			continue;
		f6_projection_claim_keys(reader, reader->types, claim, receive, state);
		foreach (other, thread.said)
			each_restated_key(&thread, claim, lfirst(other));
	}
}

/* f6_projection_reading_begin has what is read be of now: what has been written before too, and what others have committed, whose rows these are as well. */
void
f6_projection_reading_begin(void)
{
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
}

/* f6_projection_decision_keys passes on the keys of the rows that an event may change which is no claim. */
void
f6_projection_decision_keys(f6_projection_reader *reader, const f6_projection_event *event,
							f6_key_receiver receive, void *state)
{
	if (!decides(reader, event))
		return;
	set_settings(reader);
	f6_projection_reading_begin();
	/* It names all the objects of what it references. */
	if (reader->projection->key_text == NULL)
		f6_projection_key_each(reader->projection->key, PointerGetDatum(event->header), receive,
							   state);
	else
		each_thread_key(reader, event, receive, state);
	PopActiveSnapshot();
}
