/*
 * command_answer.c
 *		What the handler of a command decides: events, or a rejection.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "f6.h"
#include "command_answer.h"
#include "errors.h"
#include "jsonb_walk.h"

/* refuse_answer raises the error for an answer that is neither events nor a rejection. */
static void __attribute__((noreturn)) refuse_answer(const char *detail)
{
	ereport(ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("the handler returned no decision"),
			 errdetail("%s", detail),
			 errhint("It returns an array of events as f6_append takes them, one such event, "
					 "{\"rejected\": \"reason\", \"detail\": ...}, or NULL where nothing is to be "
					 "appended.")));
}

/* value_text returns a value of a document as text: a string itself, anything else as JSON. */
static char *
value_text(const JsonbValue *value)
{
	Jsonb *document;

	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	document = JsonbValueToJsonb(unconstify(JsonbValue *, value));
	return JsonbToCString(NULL, &document->root, VARSIZE(document));
}

/* read_rejection reads an answer that rejects. */
static void
read_rejection(f6_answer *answer, const JsonbValue *object, const JsonbValue *reason)
{
	JsonbValue detail;
	bool has_detail = f6_jsonb_member(object, "detail", &detail);

	if (reason->type != jbvString || reason->val.string.len == 0)
		refuse_answer("The reason of a rejection must be a string that is not empty.");
	if (f6_jsonb_count(object) != 1 + has_detail)
		refuse_answer("A rejection has no other members than \"rejected\" and \"detail\".");
	answer->reason = value_text(reason);
	if (has_detail && !f6_jsonb_is_null(&detail))
		answer->detail = value_text(&detail);
}

/* batch_of returns a batch of one event. */
static Jsonb *
batch_of(JsonbValue *event)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	(void) pushJsonbValue(&state, WJB_ELEM, event);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* f6_answer_read reads what a handler returned, NULL for NULL. */
void
f6_answer_read(f6_answer *answer, Jsonb *document)
{
	JsonbParseState *nothing = NULL;
	JsonbValue root;
	JsonbValue member;

	memset(answer, 0, sizeof(f6_answer));
	if (document == NULL)
	{
		(void) pushJsonbValue(&nothing, WJB_BEGIN_ARRAY, NULL);
		answer->events = JsonbValueToJsonb(pushJsonbValue(&nothing, WJB_END_ARRAY, NULL));
		return;
	}
	f6_jsonb_root(document, &root);
	if (f6_jsonb_is_array(&root))
		answer->events = document;
	else if (!f6_jsonb_is_object(&root))
		refuse_answer(psprintf("It is %s.", f6_jsonb_type_name(&root)));
	else if (f6_jsonb_member(&root, "rejected", &member))
		read_rejection(answer, &root, &member);
	else if (f6_jsonb_member(&root, "event_type", &member))
		answer->events = batch_of(&root);
	else
		refuse_answer("It is an object with neither \"event_type\" nor \"rejected\".");
}

/* put_members adds the members of an object to one that is being made; of two under the same key the later one stays. */
static void
put_members(JsonbParseState **state, const JsonbValue *object)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	f6_jsonb_object_begin(&walk, object);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		(void) pushJsonbValue(state, WJB_KEY, &key);
		(void) pushJsonbValue(state, WJB_VALUE, &value);
	}
}

/* put_metadata adds the metadata of an event, with the given one merged into it. */
static void
put_metadata(JsonbParseState **state, const JsonbValue *event, const JsonbValue *metadata)
{
	JsonbValue key = { .type = jbvString, .val.string = { 8, "metadata" } };
	JsonbValue own;
	bool has_own = f6_jsonb_member(event, "metadata", &own) && !f6_jsonb_is_null(&own);

	if (has_own && !f6_jsonb_is_object(&own))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("metadata can't be merged into that of an event"),
						errdetail("The handler has given the event metadata that is %s.",
								  f6_jsonb_type_name(&own))));
	(void) pushJsonbValue(state, WJB_KEY, &key);
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	if (has_own)
		put_members(state, &own);
	put_members(state, metadata);
	(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* f6_answer_add_metadata merges an object into the metadata of each event of an answer. */
void
f6_answer_add_metadata(f6_answer *answer, Jsonb *metadata)
{
	JsonbParseState *state = NULL;
	f6_jsonb_array_walk walk;
	JsonbValue given;
	JsonbValue events;
	JsonbValue event;

	f6_jsonb_root(metadata, &given);
	f6_jsonb_root(answer->events, &events);
	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	f6_jsonb_array_begin(&walk, &events);
	while (f6_jsonb_array_next(&walk, &event))
	{
		CHECK_FOR_INTERRUPTS();
		if (!f6_jsonb_is_object(&event))
			refuse_answer("One of its events is no object.");
		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		put_members(&state, &event);
		put_metadata(&state, &event, &given);
		(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	answer->events = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}
