/*
 * command_context.c
 *		The events on which a command depends: a query that is made of its payload.
 *
 * It is written as a query of events whose objects may be taken from the payload: by a path, or as the natural key at one.  Or a function
 * makes the query.  Each way the result is read as any other query is.
 */
#include "postgres.h"

#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonpath.h"

#include "f6.h"
#include "acting.h"
#include "command_context.h"
#include "errors.h"
#include "jsonb_walk.h"
#include "registered_function.h"
#include "uuid.h"

/* Stands for an object that only the payload tells. */
#define NO_OBJECT "00000000-0000-0000-0000-000000000000"

/* Where an object comes from. */
typedef struct object_source
{
	const char *constant; /* the UUID; NULL: it comes from the payload */
	const char *kind;	  /* of a natural key; NULL: the payload has the UUID */
	const char *path_text;
	JsonPath *path;
} object_source;

struct f6_command_context
{
	Jsonb *document;
	Oid function;	 /* makes the query; InvalidOid: the document says it */
	f6_query *query; /* the same with other objects; NULL: a function makes it */
	bool names_objects;
	int source_count;
	object_source *sources; /* in the order of the document */
};

/* A query that is being made: while the payload is NULL, the sources are being read. */
typedef struct making
{
	f6_command_context *context;
	Jsonb *payload;
	JsonbParseState *state;
	int next;
} making;

/* refuse_context raises the error for a context that is none. */
static void __attribute__((noreturn)) refuse_context(const char *reason)
{
	ereport(
		ERROR,
		(errcode(F6_ERR_BAD_ARGUMENT), errmsg("malformed context of a command"),
		 errdetail("%s", reason),
		 errhint(
			 "A context is a query of events, in whose \"objects\" may stand UUIDs, paths into the "
			 "payload such as \"$.id\", and natural keys such as {\"kind\": \"name\", \"key\": "
			 "\"$.name\"}; or {\"function\": \"schema.name(jsonb)\"}.")));
}

/* text_of returns a string of a document. */
static char *
text_of(const JsonbValue *string)
{
	return pnstrdup(string->val.string.val, string->val.string.len);
}

/* read_path reads a path into the payload. */
static void
read_path(object_source *source, char *text)
{
	source->path_text = text;
	source->path = DatumGetJsonPathP(DirectFunctionCall1(jsonpath_in, CStringGetDatum(text)));
}

/* read_key reads an object that is given by its natural key. */
static void
read_key(object_source *source, const JsonbValue *element)
{
	JsonbValue kind;
	JsonbValue key;

	if (f6_jsonb_count(element) != 2 || !f6_jsonb_member(element, "kind", &kind) ||
		!f6_jsonb_member(element, "key", &key) || kind.type != jbvString || key.type != jbvString)
		refuse_context("An object in \"objects\" must have a \"kind\" and a \"key\", both strings, "
					   "and nothing else.");
	if (key.val.string.len > 0 && key.val.string.val[0] == '$')
	{
		source->kind = text_of(&kind);
		read_path(source, text_of(&key));
		return;
	}
	if (strstr(text_of(&key), "$.") != NULL)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("malformed context of a command"),
				 errdetail("The key \"%s\" has a \"$.\" in it, and is no path.", text_of(&key)),
				 errhint("A path into the payload begins with $.")));
	source->constant = f6_uuid_text(
		f6_uuid_of_key(cstring_to_text(text_of(&kind)), cstring_to_text(text_of(&key))));
}

/* read_source reads where an object comes from; what is neither a path nor a natural key is left to whoever reads the query. */
static bool
read_source(object_source *source, const JsonbValue *element)
{
	memset(source, 0, sizeof(object_source));
	if (element->type == jbvString)
	{
		if (element->val.string.len > 0 && element->val.string.val[0] == '$')
			read_path(source, text_of(element));
		else
			source->constant = text_of(element);
		return true;
	}
	if (!f6_jsonb_is_object(element))
		return false;
	read_key(source, element);
	return true;
}

/* put_text adds a string to the query. */
static void
put_text(making *making, const char *text)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) strlen(text);
	(void) pushJsonbValue(&making->state, WJB_ELEM, &value);
}

/* refuse_payload raises the error for a payload that does not have at a path what it should. */
static void __attribute__((noreturn))
refuse_payload(const object_source *source, int sqlstate, const char *found)
{
	ereport(
		ERROR,
		(errcode(sqlstate), errmsg("the payload has %s at \"%s\"", found, source->path_text),
		 source->kind != NULL
			 ? errdetail("The context of the command takes the key of a \"%s\" from there.",
						 source->kind)
			 : errdetail("The context of the command takes the UUID of an object from there.")));
}

/* object_text returns the object that a value of the payload stands for, as text. */
static const char *
object_text(const object_source *source, const JsonbValue *value)
{
	char *text;

	if (value->type != jbvString)
		refuse_payload(source, F6_ERR_BAD_ARGUMENT,
					   psprintf("%s and no string", f6_jsonb_type_name(value)));
	text = text_of(value);
	if (source->kind != NULL)
		return f6_uuid_text(f6_uuid_of_key(cstring_to_text(source->kind), cstring_to_text(text)));
	if (!f6_query_is_uuid(text, value->val.string.len))
		refuse_payload(source, ERRCODE_INVALID_TEXT_REPRESENTATION, "no UUID");
	return text;
}

/* put_found adds the objects that a source finds in the payload. */
static void
put_found(making *making, const object_source *source)
{
	Jsonb *nothing = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	Jsonb *found = DatumGetJsonbP(DirectFunctionCall4(
		jsonb_path_query_array, JsonbPGetDatum(making->payload), PointerGetDatum(source->path),
		JsonbPGetDatum(nothing), BoolGetDatum(false)));
	f6_jsonb_array_walk walk;
	JsonbValue values;
	JsonbValue value;

	f6_jsonb_root(found, &values);
	if (f6_jsonb_count(&values) == 0)
		refuse_payload(source, F6_ERR_BAD_ARGUMENT, "nothing");
	f6_jsonb_array_begin(&walk, &values);
	while (f6_jsonb_array_next(&walk, &value))
	{
		CHECK_FOR_INTERRUPTS();
		put_text(making, object_text(source, &value));
	}
}

/* put_object adds an element of "objects"; while the sources are read, any object stands for what only the payload tells. */
static void
put_object(making *making, JsonbValue *element)
{
	f6_command_context *context = making->context;
	object_source *source = &context->sources[making->next];

	if (making->payload == NULL)
	{
		context->sources =
			repalloc_huge(context->sources, sizeof(object_source) * (making->next + 2));
		source = &context->sources[making->next];
		if (!read_source(source, element))
		{
			(void) pushJsonbValue(&making->state, WJB_ELEM, element);
			return;
		}
		context->names_objects = true;
	}
	making->next++;
	if (source->constant != NULL)
		put_text(making, source->constant);
	else if (making->payload == NULL)
		put_text(making, NO_OBJECT);
	else
		put_found(making, source);
}

/* put_objects adds the objects of an item. */
static void
put_objects(making *making, const JsonbValue *list)
{
	f6_jsonb_array_walk walk;
	JsonbValue element;

	(void) pushJsonbValue(&making->state, WJB_BEGIN_ARRAY, NULL);
	f6_jsonb_array_begin(&walk, list);
	while (f6_jsonb_array_next(&walk, &element))
		put_object(making, &element);
	(void) pushJsonbValue(&making->state, WJB_END_ARRAY, NULL);
}

/* put_item adds an item; what is no object is left to whoever reads the query. */
static void
put_item(making *making, JsonbValue *item)
{
	f6_jsonb_object_walk walk;
	JsonbValue key;
	JsonbValue value;

	CHECK_FOR_INTERRUPTS();
	if (!f6_jsonb_is_object(item))
	{
		(void) pushJsonbValue(&making->state, WJB_ELEM, item);
		return;
	}
	(void) pushJsonbValue(&making->state, WJB_BEGIN_OBJECT, NULL);
	f6_jsonb_object_begin(&walk, item);
	while (f6_jsonb_object_next(&walk, &key, &value))
	{
		(void) pushJsonbValue(&making->state, WJB_KEY, &key);
		if (f6_jsonb_is_text(&key, "objects") && f6_jsonb_is_array(&value))
			put_objects(making, &value);
		else
			(void) pushJsonbValue(&making->state, WJB_VALUE, &value);
	}
	(void) pushJsonbValue(&making->state, WJB_END_OBJECT, NULL);
}

/* make_query makes a query of the context's document. */
static f6_query *
make_query(making *making)
{
	f6_jsonb_array_walk walk;
	JsonbValue root;
	JsonbValue item;

	f6_jsonb_root(making->context->document, &root);
	(void) pushJsonbValue(&making->state, WJB_BEGIN_ARRAY, NULL);
	if (f6_jsonb_is_array(&root))
	{
		f6_jsonb_array_begin(&walk, &root);
		while (f6_jsonb_array_next(&walk, &item))
			put_item(making, &item);
	}
	else
		put_item(making, &root);
	return f6_query_read(JsonbValueToJsonb(pushJsonbValue(&making->state, WJB_END_ARRAY, NULL)));
}

/* find_function returns the function that a context names; InvalidOid: it names none. */
static Oid
find_function(Jsonb *document)
{
	f6_function_role role = f6_function_context();
	JsonbValue root;
	JsonbValue signature;

	f6_jsonb_root(document, &root);
	if (!f6_jsonb_is_object(&root) || !f6_jsonb_member(&root, "function", &signature))
		return InvalidOid;
	if (f6_jsonb_count(&root) != 1 || signature.type != jbvString)
		refuse_context("\"function\" must be the signature of a function, and stand alone.");
	return f6_function_find(text_of(&signature), &role);
}

/* f6_command_context_compile reads a context into the current memory context, where the document must live as long. */
f6_command_context *
f6_command_context_compile(Jsonb *document)
{
	f6_command_context *context = palloc0(sizeof(f6_command_context));
	making making = { .context = context };

	context->document = document;
	context->function = find_function(document);
	context->sources = palloc(sizeof(object_source));
	if (!OidIsValid(context->function))
		context->query = make_query(&making);
	context->source_count = making.next;
	return context;
}

/* f6_command_context_may_name_objects tells whether the events of a context may be those of some objects. */
bool
f6_command_context_may_name_objects(const f6_command_context *context)
{
	return context->names_objects || OidIsValid(context->function);
}

/* f6_command_context_names_type tells whether a context names a type among those of its events. */
bool
f6_command_context_names_type(const f6_command_context *context, const char *type)
{
	if (context->query == NULL)
		return false;
	for (int i = 0; i < context->query->count; i++)
	{
		const f6_query_item *item = &context->query->items[i];

		for (int j = 0; j < item->type_count; j++)
		{
			if (item->types[j].length == (int) strlen(type) &&
				memcmp(item->types[j].name, type, item->types[j].length) == 0)
				return true;
		}
	}
	return false;
}

/* f6_command_context_function returns the function that makes the query, InvalidOid for none. */
Oid
f6_command_context_function(const f6_command_context *context)
{
	return context->function;
}

/* call_function has the context's function make the query. */
static Jsonb *
call_function(const f6_command_context *context, Jsonb *payload)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo function;
	f6_acting before;
	Datum query;

	fmgr_info(context->function, &function);
	InitFunctionCallInfoData(*fcinfo, &function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(payload);
	fcinfo->args[0].isnull = false;
	GetUserIdAndSecContext(&before.user, &before.security);
	f6_act_by_settings(NULL, &before);
	query = FunctionCallInvoke(fcinfo);
	f6_act_end(&before);
	if (fcinfo->isnull)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT),
						errmsg("the context of the command must not be NULL"),
						errdetail("Its function returned NULL.")));
	return DatumGetJsonbP(query);
}

/* f6_command_context_query returns the query for the events on which a command depends that has a payload. */
f6_query *
f6_command_context_query(const f6_command_context *context, Jsonb *payload)
{
	making making = { .context = unconstify(f6_command_context *, context), .payload = payload };

	if (OidIsValid(context->function))
		return f6_query_read(call_function(context, payload));
	return make_query(&making);
}

/* f6_command_context_objects returns the objects that a query names, each once. */
f6_uuids *
f6_command_context_objects(const f6_query *query)
{
	f6_uuids *objects = palloc0(sizeof(f6_uuids));
	int total = 0;

	for (int i = 0; i < query->count; i++)
		total += query->items[i].objects.count;
	objects->ids = palloc_extended(sizeof(pg_uuid_t) * Max(total, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < query->count; i++)
	{
		const f6_uuids *named = &query->items[i].objects;

		memcpy(objects->ids + objects->count, named->ids, sizeof(pg_uuid_t) * named->count);
		objects->count += named->count;
	}
	qsort(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
	objects->count = qunique(objects->ids, objects->count, sizeof(pg_uuid_t), f6_uuid_compare);
	return objects;
}
