/*
 * event_cause.c
 *		Because of which event others are appended, as their metadata say: while a reaction runs, whoever appends, and by whatever door.
 *
 * So one can follow what led to an event, and a loop of reactions can be seen.  "causation_id" is the event that was reacted to, "reaction" is
 * by what, and "correlation_id" is the same for all that go back to one event.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "errors.h"
#include "event_cause.h"
#include "event_query.h"
#include "jsonb_walk.h"
#include "uuid.h"

#define CAUSATION	"causation_id"
#define CORRELATION "correlation_id"
#define REACTION	"reaction"

/* The event that is being reacted to; NULL: none. */
static const f6_cause *current = NULL;

/* f6_cause_set has events be appended because of another one from now on, NULL: of none, and returns what went before. */
const f6_cause *
f6_cause_set(const f6_cause *cause)
{
	const f6_cause *before = current;

	current = cause;
	return before;
}

/* f6_cause_user returns as whom events are appended: the session's user, unless the worker appends for somebody. */
Oid
f6_cause_user(void)
{
	return current == NULL ? GetSessionUserId() : current->user;
}

/* f6_cause_is_set tells whether events are appended because of another one. */
bool
f6_cause_is_set(void)
{
	return current != NULL;
}

/* put adds a member to an object. */
static void
put(JsonbParseState **state, const char *name, JsonbValue *value)
{
	JsonbValue key = { .type = jbvString };

	key.val.string.val = unconstify(char *, name);
	key.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_KEY, &key);
	(void) pushJsonbValue(state, WJB_VALUE, value);
}

/* put_text adds a member that is a string. */
static void
put_text(JsonbParseState **state, const char *name, const char *text)
{
	JsonbValue value = { .type = jbvString };

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) strlen(text);
	put(state, name, &value);
}

/* put_members adds the members of the metadata that an event was given. */
static void
put_members(JsonbParseState **state, const JsonbValue *metadata)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, metadata);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		(void) pushJsonbValue(state, WJB_KEY, &key);
		(void) pushJsonbValue(state, WJB_VALUE, &value);
	}
}

/* member reads a member of metadata that is an object, and tells whether there is one. */
static bool
member(const Jsonb *metadata, const char *name, JsonbValue *value)
{
	JsonbValue root;

	if (metadata == NULL)
		return false;
	f6_jsonb_root(unconstify(Jsonb *, metadata), &root);
	return f6_jsonb_is_object(&root) && f6_jsonb_member(&root, name, value);
}

/* put_correlation adds what all have in common that goes back to one event: that event, unless somebody has said something else. */
static void
put_correlation(JsonbParseState **state)
{
	JsonbValue value;

	if (member(current->metadata, CORRELATION, &value))
		put(state, CORRELATION, &value);
	else
		put_text(state, CORRELATION, f6_uuid_text(&current->event));
}

/* given_metadata reads the metadata that an event was given, and tells whether it was; what is no object has no room for a cause. */
static bool
given_metadata(const f6_event_row *row, JsonbValue *metadata)
{
	if (!f6_event_has(row, F6_EVENT_METADATA))
		return false;
	f6_jsonb_root(DatumGetJsonbP(f6_event_value(row, F6_EVENT_METADATA)), metadata);
	if (!f6_jsonb_is_object(metadata))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("metadata of an event that a reaction appends must be an object"),
						errdetail("It is %s.", f6_jsonb_type_name(metadata)),
						errhint("f6 adds because of which event it was appended.")));
	return true;
}

/* f6_cause_note notes in the metadata of an event that is appended because of which other one it is, if there is one. */
void
f6_cause_note(f6_event_row *row)
{
	JsonbParseState *state = NULL;
	JsonbValue given;
	JsonbValue ignored;
	bool is_given;

	if (current == NULL || current->reaction == NULL)
		return;
	is_given = given_metadata(row, &given);
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (is_given)
		put_members(&state, &given);
	if (!is_given || !f6_jsonb_member(&given, CORRELATION, &ignored))
		put_correlation(&state);
	/* Of two members of the same name the later one stays. */
	put_text(&state, CAUSATION, f6_uuid_text(&current->event));
	put_text(&state, REACTION, current->reaction);
	f6_event_set(row, F6_EVENT_METADATA,
				 JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL))));
}

/* f6_cause_of reads because of which event one with some metadata, NULL for none, was appended, and tells whether these say so. */
bool
f6_cause_of(const Jsonb *metadata, pg_uuid_t *event)
{
	JsonbValue value;
	char *text;

	if (!member(metadata, CAUSATION, &value) || value.type != jbvString ||
		!f6_query_is_uuid(value.val.string.val, value.val.string.len))
		return false;
	text = pnstrdup(value.val.string.val, value.val.string.len);
	*event = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)));
	return true;
}
