/*
 * explain.c
 *		f6_explain: the part that each event of an object has in the answer to a question.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "object_events.h"
#include "provenance.h"
#include "question.h"
#include "state.h"

F6_FUNCTION(f6_explain);

/* columns of what f6_explain returns */
enum explanation_column
{
	EXPLANATION_POSITION,
	EXPLANATION_ID,
	EXPLANATION_EVENT_KIND,
	EXPLANATION_EVENT_TYPE,
	EXPLANATION_CREATED_AT,
	EXPLANATION_MATERIAL_TIME,
	EXPLANATION_PART,
	EXPLANATION_DECIDED_BY,
	EXPLANATION_FIELDS,
	EXPLANATION_COLUMNS
};

/* What is said of an event. */
typedef struct explanation
{
	int64 position;
	pg_uuid_t id;
	Oid kind;
	text *event_type;
	TimestampTz created_at;
	const char *part;
	bool has_time;
	TimestampTz material_time;
	bool has_by;
	pg_uuid_t by;
} explanation;

/* An explanation that is under way. */
typedef struct explaining
{
	const f6_question *question;
	f6_resolution *resolving;
	uint64 count;
	uint64 room;
	explanation *events; /* newest first */
} explaining;

/* part_name returns the word for a part. */
static const char *
part_name(f6_part part)
{
	switch (part)
	{
		case F6_PART_COUNTED:
			return "counted";
		case F6_PART_RESTATED:
			return "restated";
		case F6_PART_REMOVED:
			return "removed";
		case F6_PART_SKIPPED:
			return "skipped";
		case F6_PART_NOT_VALIDATED:
			return "not validated";
		case F6_PART_NOT_YET_VALID:
			return "not yet valid";
		case F6_PART_CORRECTS:
			return "corrects";
		case F6_PART_SUPERSEDED:
			return "superseded";
		case F6_PART_VALIDATES:
			return "validates";
	}
	pg_unreachable();
}

/* add_explanation returns a new place at the end. */
static explanation *
add_explanation(explaining *explaining)
{
	if (explaining->count == explaining->room)
	{
		explaining->room *= 2;
		explaining->events =
			repalloc_huge(explaining->events, sizeof(explanation) * explaining->room);
	}
	return &explaining->events[explaining->count++];
}

/* explain_event notes what is to be said of an event; the reading of the history calls it. */
static void
explain_event(void *state, const f6_object_event *event)
{
	explaining *explaining = state;
	explanation *said = add_explanation(explaining);

	memset(said, 0, sizeof(explanation));
	said->position = event->position;
	said->id = event->id;
	said->kind = event->kind;
	said->event_type = cstring_to_text_with_len(event->type.name, event->type.name_length);
	said->created_at = event->created_at;
	if (event->created_at > explaining->question->known_at)
		said->part = "not yet known";
	else
	{
		f6_verdict verdict = f6_resolution_meet(explaining->resolving, event);

		said->part = part_name(verdict.part);
		said->has_time = verdict.has_time;
		said->material_time = verdict.material_time;
		said->has_by = verdict.by != NULL;
		if (said->has_by)
			said->by = *verdict.by;
	}
}

/* compare_position compares a claim's position with that of another, for bsearch. */
static int
compare_position(const void *a, const void *b)
{
	int64 first = ((const explanation *) a)->position;
	int64 second = ((const explanation *) b)->position;

	return first > second ? -1 : first < second ? 1 : 0;
}

/* event_fields returns the fields that each event has written last, in the order of the explanation. */
static List **
event_fields(const explaining *explaining, const f6_claims *claims)
{
	List **by_event = palloc0(sizeof(List *) * Max(explaining->count, 1));
	Jsonb *state = f6_state_of_claims(NULL, claims);
	List **by_claim;

	if (state == NULL)
		return by_event;
	by_claim = f6_provenance(claims, state);
	for (uint64 i = 0; i < claims->count; i++)
	{
		explanation key = { .position = claims->claims[i].position };
		explanation *event = bsearch(&key, explaining->events, explaining->count,
									 sizeof(explanation), compare_position);

		by_event[event - explaining->events] = by_claim[i];
	}
	return by_event;
}

/* text_array returns strings as an array of text. */
static Datum
text_array(const List *strings)
{
	Datum *elements = palloc(sizeof(Datum) * Max(list_length(strings), 1));
	int count = 0;
	const ListCell *cell;

	foreach (cell, strings)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* put_explanation adds a row to the result. */
static void
put_explanation(ReturnSetInfo *result, const explanation *said, const List *fields)
{
	Datum values[EXPLANATION_COLUMNS];
	bool nulls[EXPLANATION_COLUMNS] = { false };

	values[EXPLANATION_POSITION] = Int64GetDatum(said->position);
	values[EXPLANATION_ID] = UUIDPGetDatum(&said->id);
	values[EXPLANATION_EVENT_KIND] = ObjectIdGetDatum(said->kind);
	values[EXPLANATION_EVENT_TYPE] = PointerGetDatum(said->event_type);
	values[EXPLANATION_CREATED_AT] = TimestampTzGetDatum(said->created_at);
	values[EXPLANATION_MATERIAL_TIME] = TimestampTzGetDatum(said->material_time);
	nulls[EXPLANATION_MATERIAL_TIME] = !said->has_time;
	values[EXPLANATION_PART] = CStringGetTextDatum(said->part);
	values[EXPLANATION_DECIDED_BY] = UUIDPGetDatum(&said->by);
	nulls[EXPLANATION_DECIDED_BY] = !said->has_by;
	values[EXPLANATION_FIELDS] = text_array(fields);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* f6_explain(object_id, valid_at, known_at, projection, legal, versions) returns each event of an object with its part in the answer. */
Datum
f6_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	f6_object_reading reading = { .known_at = DT_NOEND };
	f6_question question = { .with_data = true };
	explaining explaining = { .question = &question, .room = 64 };
	List **fields;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	reading.object_id = *PG_GETARG_UUID_P(0);
	question.valid_at = f6_argument_valid_at(fcinfo, 1);
	question.known_at = f6_argument_known_at(fcinfo, 2, "known_at");
	f6_argument_projection(fcinfo, 3);
	question.legal = f6_argument_legal(fcinfo, 4);
	question.versions = f6_argument_versions(fcinfo, 5);

	explaining.events = palloc(sizeof(explanation) * explaining.room);
	explaining.resolving = f6_resolution_begin(&question, NULL);
	f6_object_events_read(&reading, explain_event, &explaining);
	fields = event_fields(&explaining, f6_resolution_end(explaining.resolving));
	for (uint64 i = explaining.count; i-- > 0;)
		put_explanation(result, &explaining.events[i], fields[i]);
	return (Datum) 0;
}
