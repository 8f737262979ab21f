/*
 * upcast.c
 *		Reading event data in another version of its type than it was stored in.
 *
 * Data goes through a chain of upcasters.  Steps work on a tree, functions on jsonb, and validation too: the one is made of
 * the other only where the next link needs it.  All of it happens in memory that is emptied after each event.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "event_row.h"
#include "event_type.h"
#include "json_tree.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "schema_validate.h"
#include "upcast.h"
#include "registered_function.h"
#include "upcast_steps.h"
#include "uuid.h"

F6_FUNCTION(f6_upcast_event);

/* A chain that is ready to run, for the role that began it. */
struct f6_upcast
{
	const f6_chain *chain;
	FmgrInfo *functions; /* of each link; those without one have none */
	MemoryContext scratch;
	const pg_uuid_t *id; /* of the event that is being upcast */
	int link;			 /* where in the chain it is */
};

/* Data on its way through a chain: as a tree, as jsonb, or as both where these are the same. */
typedef struct upcast_data
{
	bool is_tree;
	f6_tree_node tree;
	Jsonb *written; /* NULL: the tree has changed since */
} upcast_data;

/* f6_upcast_begin readies the upcasters from one version to another, NULL when it is the same; they last as the current memory context. */
f6_upcast *
f6_upcast_begin(const char *event_type, const char *from_version, const char *to_version)
{
	const f6_chain *chain = f6_event_type_chain(event_type, from_version, to_version);
	f6_function_role role = f6_function_upcaster();
	f6_upcast *upcast;

	if (chain == NULL)
		return NULL;
	upcast = palloc0(sizeof(f6_upcast));
	upcast->chain = chain;
	upcast->functions = palloc0(sizeof(FmgrInfo) * chain->count);
	for (int i = 0; i < chain->count; i++)
	{
		Oid function;

		if (chain->links[i]->function == NULL)
			continue;
		function = f6_function_find(chain->links[i]->function, &role);
		f6_function_check_privilege(function);
		fmgr_info(function, &upcast->functions[i]);
	}
	upcast->scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 upcast", ALLOCSET_DEFAULT_SIZES);
	return upcast;
}

/* f6_upcast_is_declared tells whether the upcasters are steps alone, and no functions, which may be replaced by others. */
bool
f6_upcast_is_declared(const f6_upcast *upcast)
{
	for (int i = 0; i < upcast->chain->count; i++)
	{
		if (upcast->chain->links[i]->function != NULL)
			return false;
	}
	return true;
}

/* f6_upcast_version returns the version that data is brought to. */
const char *
f6_upcast_version(const f6_upcast *upcast)
{
	return upcast->chain->to_version;
}

/* report_link adds to an error which upcaster met it, and with which event. */
static void
report_link(void *arg)
{
	const f6_upcast *upcast = arg;
	const f6_upcaster *link = upcast->chain->links[upcast->link];

	errcontext("upcaster of event type \"%s\" from version \"%s\" to version \"%s\", event %s",
			   upcast->chain->event_type, link->from_version, link->to_version,
			   upcast->id == NULL ? "without id" : f6_uuid_text(upcast->id));
}

/* written returns the data as jsonb. */
static Jsonb *
written(upcast_data *data)
{
	if (data->written == NULL)
		data->written = f6_tree_write(&data->tree);
	return data->written;
}

/* run_steps runs the steps of a link. */
static void
run_steps(const f6_steps *steps, MemoryContext context, upcast_data *data)
{
	if (!data->is_tree)
	{
		JsonbValue root;

		f6_jsonb_root(data->written, &root);
		f6_tree_clear(&data->tree);
		f6_tree_refer(&data->tree, &root);
		data->is_tree = true;
	}
	f6_steps_run(steps, context, &data->tree);
	data->written = NULL;
}

/* run_function calls the function of a link. */
static void
run_function(FmgrInfo *function, upcast_data *data)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum result;

	InitFunctionCallInfoData(*fcinfo, function, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(written(data));
	fcinfo->args[0].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT),
						errmsg("an upcaster's function must not return NULL"),
						errhint("Data that is nothing is the JSON value null: 'null'::jsonb.")));
	data->written = DatumGetJsonbP(result);
	data->is_tree = false;
}

/* check_result refuses the result of a link that is not valid under the schema of its version. */
static void
check_result(const f6_upcast *upcast, upcast_data *data)
{
	const f6_upcaster *link = upcast->chain->links[upcast->link];
	JsonbValue root;

	f6_jsonb_root(written(data), &root);
	if (f6_schema_accepts(link->program, &root))
		return;
	ereport(
		ERROR,
		(errcode(F6_ERR_INVALID_EVENT),
		 errmsg("event %s, upcast from version \"%s\" to version \"%s\", is not valid for event "
				"type \"%s\" version \"%s\"",
				upcast->id == NULL ? "without id" : f6_uuid_text(upcast->id),
				upcast->chain->from_version, upcast->chain->to_version, upcast->chain->event_type,
				link->to_version),
		 errdetail("%s", f6_schema_failures_text(link->program, &root)),
		 errhint("An upcaster stays as it is registered: mend its function, or register a new "
				 "version and an upcaster to that.")));
}

/* run_link brings data from one version to the next. */
static void
run_link(f6_upcast *upcast, upcast_data *data)
{
	const f6_upcaster *link = upcast->chain->links[upcast->link];

	if (link->steps != NULL)
		run_steps(link->steps, upcast->scratch, data);
	else if (link->function != NULL)
		run_function(&upcast->functions[upcast->link], data);
	if (link->program != NULL)
		check_result(upcast, data);
}

/* copy_result returns data in a memory context. */
static Jsonb *
copy_result(MemoryContext context, const Jsonb *data)
{
	Jsonb *copy = MemoryContextAllocHuge(context, VARSIZE(data));

	return memcpy(copy, data, VARSIZE(data));
}

/* f6_upcast_data returns an event's data in the other version, in the current memory context; the data given stays as it is. */
Jsonb *
f6_upcast_data(f6_upcast *upcast, const pg_uuid_t *id, Jsonb *given)
{
	ErrorContextCallback place = { error_context_stack, report_link, upcast };
	MemoryContext caller;
	upcast_data data = { 0 };
	Jsonb *result;

	/* An error may have left something in it. */
	MemoryContextReset(upcast->scratch);
	caller = MemoryContextSwitchTo(upcast->scratch);
	data.written = given;
	upcast->id = id;
	error_context_stack = &place;
	for (upcast->link = 0; upcast->link < upcast->chain->count; upcast->link++)
		run_link(upcast, &data);
	error_context_stack = place.previous;
	result = copy_result(caller, written(&data));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(upcast->scratch);
	return result;
}

/* A chain that a call site of f6_upcast has needed. */
typedef struct site_chain
{
	char *event_type;
	char *from_version;
	char *to_version;
	f6_upcast *upcast; /* NULL: the versions are the same */
	struct site_chain *next;
} site_chain;

/* What a call site keeps, as long as the registry, the functions and the role are the same. */
typedef struct upcast_site
{
	MemoryContext context;
	uint64 registry;
	uint64 functions;
	Oid user;
	site_chain *chains;
} upcast_site;

/* ready_site returns what the call site keeps, made anew where it may be wrong. */
static upcast_site *
ready_site(FmgrInfo *call_site)
{
	upcast_site *site = call_site->fn_extra;
	uint64 registry = f6_event_type_generation();
	uint64 functions = f6_function_generation();
	MemoryContext context;

	if (site != NULL && site->registry == registry && site->functions == functions &&
		site->user == GetUserId())
		return site;
	if (site != NULL)
	{
		call_site->fn_extra = NULL;
		MemoryContextDelete(site->context);
	}
	context = AllocSetContextCreate(call_site->fn_mcxt, "f6 upcasts", ALLOCSET_SMALL_SIZES);
	site = MemoryContextAllocZero(context, sizeof(upcast_site));
	site->context = context;
	site->registry = registry;
	site->functions = functions;
	site->user = GetUserId();
	call_site->fn_extra = site;
	return site;
}

/* find_upcast returns what brings data of one version to another, NULL when it is the same. */
static f6_upcast *
find_upcast(FmgrInfo *call_site, const char *event_type, const char *from_version,
			const char *to_version)
{
	upcast_site *site = ready_site(call_site);
	MemoryContext caller;
	site_chain *chain;

	for (chain = site->chains; chain != NULL; chain = chain->next)
	{
		if (strcmp(chain->event_type, event_type) == 0 &&
			strcmp(chain->from_version, from_version) == 0 &&
			strcmp(chain->to_version, to_version) == 0)
			return chain->upcast;
	}
	caller = MemoryContextSwitchTo(site->context);
	chain = palloc(sizeof(site_chain));
	chain->event_type = pstrdup(event_type);
	chain->from_version = pstrdup(from_version);
	chain->to_version = pstrdup(to_version);
	chain->upcast = f6_upcast_begin(event_type, from_version, to_version);
	chain->next = site->chains;
	site->chains = chain;
	MemoryContextSwitchTo(caller);
	return chain->upcast;
}

/* is_bare tells whether an event has no data to upcast: a removal, or a validation without content. */
static bool
is_bare(Datum kind, Jsonb *data)
{
	JsonbValue root;

	f6_jsonb_root(data, &root);
	return f6_jsonb_is_null(&root) && DatumGetObjectId(kind) != f6_event_kind_oid(F6_CLAIM);
}

/*
 * f6_upcast_row returns an event in another version, by default the one that readers see, or NULL where it stays as it is.
 * The call site keeps what is needed for it.
 */
HeapTuple
f6_upcast_row(FmgrInfo *call_site, HeapTuple row, TupleDesc descriptor, const char *to_version)
{
	int columns[] = { F6_EVENT_EVENT_VERSION, F6_EVENT_DATA };
	bool changed_nulls[] = { false, false };
	Datum *values = palloc(sizeof(Datum) * descriptor->natts);
	bool *nulls = palloc(sizeof(bool) * descriptor->natts);
	Datum changed[2];
	char *event_type;
	f6_upcast *upcast;
	Jsonb *data;

	f6_event_check_columns(descriptor);
	heap_deform_tuple(row, descriptor, values, nulls);
	if (nulls[F6_EVENT_EVENT_TYPE - 1] || nulls[F6_EVENT_EVENT_VERSION - 1] ||
		nulls[F6_EVENT_EVENT_KIND - 1] || nulls[F6_EVENT_DATA - 1])
		ereport(ERROR,
				(errcode(F6_ERR_NULL_ARGUMENT),
				 errmsg("an event to upcast has a type, a version, a kind and data"),
				 errhint("Give a row of f6.event: select f6_upcast(e) from f6.event as e.")));
	event_type = TextDatumGetCString(values[F6_EVENT_EVENT_TYPE - 1]);
	upcast =
		find_upcast(call_site, event_type, TextDatumGetCString(values[F6_EVENT_EVENT_VERSION - 1]),
					to_version != NULL ? to_version : f6_event_type_readable(event_type));
	if (upcast == NULL)
		return NULL;
	data = DatumGetJsonbP(values[F6_EVENT_DATA - 1]);
	if (is_bare(values[F6_EVENT_EVENT_KIND - 1], data))
		return NULL;

	changed[0] = CStringGetTextDatum(f6_upcast_version(upcast));
	changed[1] = JsonbPGetDatum(f6_upcast_data(
		upcast, nulls[F6_EVENT_ID - 1] ? NULL : DatumGetUUIDP(values[F6_EVENT_ID - 1]), data));
	return heap_modify_tuple_by_cols(row, descriptor, lengthof(columns), columns, changed,
									 changed_nulls);
}

/* f6_upcast_datum returns an event, a value of type f6.event, in the version to read. */
Datum
f6_upcast_datum(FmgrInfo *call_site, Datum event)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(event);
	HeapTupleData row = { .t_data = header, .t_len = HeapTupleHeaderGetDatumLength(header) };
	TupleDesc descriptor =
		lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	HeapTuple changed;

	ItemPointerSetInvalid(&row.t_self);
	changed = f6_upcast_row(call_site, &row, descriptor, NULL);
	if (changed != NULL)
		event = heap_copy_tuple_as_datum(changed, descriptor);
	ReleaseTupleDesc(descriptor);
	return event;
}

/* f6_upcast(event, to_version) returns an event in another version of its type, by default the one that readers see. */
Datum
f6_upcast_event(PG_FUNCTION_ARGS)
{
	HeapTupleHeader given;
	HeapTupleData row = { 0 };
	HeapTuple upcast;
	TupleDesc descriptor;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	given = PG_GETARG_HEAPTUPLEHEADER(0);
	row.t_data = given;
	row.t_len = HeapTupleHeaderGetDatumLength(given);
	ItemPointerSetInvalid(&row.t_self);
	descriptor =
		lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(given), HeapTupleHeaderGetTypMod(given));
	upcast = f6_upcast_row(fcinfo->flinfo, &row, descriptor,
						   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	ReleaseTupleDesc(descriptor);
	if (upcast == NULL)
		PG_RETURN_DATUM(HeapTupleHeaderGetDatum(given));
	/* It bears the row type of the event that was given. */
	PG_RETURN_DATUM(HeapTupleGetDatum(upcast));
}
