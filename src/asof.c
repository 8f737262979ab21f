/*
 * asof.c
 *		What was true of an object at a material time, as known at a formal time.
 *
 * The object's events are read once, newest first.  A correction or validation stands later in the log than what it
 * references, so what is known when an event is met decides about it for good.  What counts is sorted and folded.
 *
 * Reading is an ordinary query in the caller's name and snapshot: privileges, row level security and isolation are theirs.
 * Rows are judged as the executor delivers them; only what counts is copied, into memory that the caller frees as a whole.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "f6.h"
#include "asof.h"
#include "errors.h"
#include "event_row.h"
#include "event_type.h"
#include "fold.h"
#include "index_plan.h"
#include "jsonb_walk.h"
#include "relation.h"
#include "uuid_array.h"

F6_FUNCTION(f6_events);
F6_FUNCTION(f6_state_asof);

/*
 * The history of an object, newest first; the row itself comes last, where it is asked for.  The subquery's OFFSET makes
 * each event a look-up by its position: it can't be planned as a join that reads the whole log.
 */
#define HISTORY_COLUMNS \
	"e.\"position\", e.id, e.occurred_at, e.event_type, e.event_version, e.event_kind, " \
	"e.event_reference, e.event_data"
#define HISTORY_FROM(columns) \
	" from f6.event_object as o" \
	" cross join lateral (select " columns " from f6.event as r" \
	" where r.\"position\" operator(pg_catalog.=) o.\"position\" offset 0) as e" \
	" where o.object_id operator(pg_catalog.=) $1 and e.created_at operator(pg_catalog.<=) $2" \
	" order by o.\"position\" desc"

#define HISTORY_OF_POSITIONS \
	"select " HISTORY_COLUMNS " from f6.event as e" \
	" where e.\"position\" operator(pg_catalog.=) any ($1)" \
	" and e.created_at operator(pg_catalog.<=) $2 order by e.\"position\" desc"

#define HISTORY_QUERY "select " HISTORY_COLUMNS HISTORY_FROM("r.*")
#define HISTORY_QUERY_WITH_ROW \
	"select " HISTORY_COLUMNS ", e.f6_row" HISTORY_FROM("r.*, r as f6_row")

/* columns of these queries */
enum history_column
{
	HISTORY_POSITION,
	HISTORY_ID,
	HISTORY_OCCURRED_AT,
	HISTORY_EVENT_TYPE,
	HISTORY_EVENT_VERSION,
	HISTORY_EVENT_KIND,
	HISTORY_REFERENCE,
	HISTORY_DATA,
	HISTORY_ROW
};

/* Claims that a resolution has room for at first. */
#define INITIAL_CLAIMS 64

/* A type and version, as the log's columns hold them. */
typedef struct type_key
{
	const char *name;
	const char *version;
	int name_length;
	int version_length;
} type_key;

/* What an event says: its own content, or that of the correction which restates it. */
typedef struct content
{
	Jsonb *data; /* NULL: the event is removed */
	TimestampTz occurred_at;
	type_key type; /* the data is valid under this type and version */
} content;

/* What later events in force say about an event. */
typedef struct mark
{
	pg_uuid_t id;
	const content *corrected; /* by the latest correction in force; NULL: by none */
	bool validated;
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

/* A type of the object's events: a copy, which stays whatever happens to the registry's cache. */
typedef struct kept_type
{
	f6_event_type type; /* must come first: claims point to it */
	bool is_readied;
	f6_upcast *upcast; /* once readied: to the version to read, NULL when it is this one */
} kept_type;

/* The types of the object's events, by name and version. */
typedef struct known_type
{
	type_key key;
	uint32 hash;
	const f6_event_type *type;
	char status;
} known_type;

/* hash_type_key returns a hash of a type and version. */
static inline uint32
hash_type_key(type_key key)
{
	return hash_combine(hash_bytes((const unsigned char *) key.name, key.name_length),
						hash_bytes((const unsigned char *) key.version, key.version_length));
}

/* same_bytes tells whether two strings are the same. */
static inline bool
same_bytes(const char *a, int a_length, const char *b, int b_length)
{
	return a_length == b_length && memcmp(a, b, a_length) == 0;
}

#define SH_PREFIX			 known_types
#define SH_ELEMENT_TYPE		 known_type
#define SH_KEY_TYPE			 type_key
#define SH_KEY				 key
#define SH_HASH_KEY(tb, key) hash_type_key(key)
#define SH_EQUAL(tb, a, b) \
	(same_bytes((a).name, (a).name_length, (b).name, (b).name_length) && \
	 same_bytes((a).version, (a).version_length, (b).version, (b).version_length))
#define SH_SCOPE static inline
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* An event as read; it points into the executor's row, or into what is emptied after each row. */
typedef struct history_event
{
	int64 position;
	pg_uuid_t id;
	Oid kind;
	TimestampTz occurred_at;
	type_key type;
	Datum references;
	bool has_references;
	Datum data;
	Datum row;
} history_event;

/* The answer to a question, while the object's history is read. */
typedef struct resolution
{
	DestReceiver receiver; /* must come first */
	const f6_question *question;
	Oid claim_kind;
	Oid correction_kind;
	MemoryContext kept;	   /* what counts */
	MemoryContext working; /* what is needed until the history has been read */
	MemoryContext row;	   /* emptied after each row */
	marks_hash *marks;
	known_types_hash *types;
	uint64 room;
	f6_claims *result;
} resolution;

/* text_key returns a type and version that point into two (detoasted) texts. */
static type_key
text_key(const text *name, const text *version)
{
	type_key key = { VARDATA_ANY(name), VARDATA_ANY(version), (int) VARSIZE_ANY_EXHDR(name),
					 (int) VARSIZE_ANY_EXHDR(version) };

	return key;
}

/* keep_type copies what a claim needs to know of its type. */
static const f6_event_type *
keep_type(MemoryContext context, const f6_event_type *type)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	kept_type *kept = palloc0(sizeof(kept_type));

	kept->type = *type;
	kept->type.event_type = pstrdup(type->event_type);
	kept->type.event_version = pstrdup(type->event_version);
	kept->type.valid_from = type->valid_from == NULL ? NULL : pstrdup(type->valid_from);
	kept->type.program = NULL;
	MemoryContextSwitchTo(caller);
	return &kept->type;
}

/* find_type returns a type, from the registry when it is met for the first time. */
static const f6_event_type *
find_type(resolution *resolving, type_key key)
{
	known_type *known = known_types_lookup(resolving->types, key);
	const f6_event_type *type;
	bool found;

	if (known != NULL)
		return known->type;

	type = keep_type(resolving->kept, f6_event_type_get(pnstrdup(key.name, key.name_length),
														pnstrdup(key.version, key.version_length)));
	key.name = type->event_type;
	key.version = type->event_version;
	known = known_types_insert(resolving->types, key, &found);
	known->type = type;
	return type;
}

/* data_key returns the type of a claim, at the version that the data of its content was written for. */
static type_key
data_key(const history_event *claim, const content *said)
{
	if (same_bytes(said->type.name, said->type.name_length, claim->type.name,
				   claim->type.name_length))
		return said->type;
	return claim->type;
}

/* has_force tells whether an event counts as far as its validation goes. */
static bool
has_force(resolution *resolving, const history_event *event, const mark *own)
{
	if (!resolving->question->legal || (own != NULL && own->validated))
		return true;
	return find_type(resolving, event->type)->legal_when_claimed;
}

/* is_removed tells whether a correction in force removes an event. */
static bool
is_removed(const mark *own)
{
	return own != NULL && own->corrected != NULL && own->corrected->data == NULL;
}

/* mark_event returns the mark of an event, made when it is the first word about it. */
static mark *
mark_event(resolution *resolving, const pg_uuid_t *id)
{
	bool found;
	mark *target = marks_insert(resolving->marks, *id, &found);

	if (!found)
	{
		target->corrected = NULL;
		target->validated = false;
	}
	return target;
}

/* read_references returns the ids that an event references. */
static f6_uuids
read_references(const history_event *event)
{
	f6_uuids references = { 0, NULL };

	if (event->has_references)
		f6_uuids_read(event->references, "event_reference", &references);
	return references;
}

/* copy_text copies a piece of text. */
static const char *
copy_text(const char *text, int length)
{
	return memcpy(palloc(length), text, length);
}

/* copy_content returns what a correction says itself, to be kept as long as the question is open. */
static content *
copy_content(resolution *resolving, const history_event *correction)
{
	/* The data may come to count, so it stands with what does. */
	MemoryContext caller = MemoryContextSwitchTo(resolving->kept);
	Jsonb *data = DatumGetJsonbPCopy(correction->data);
	JsonbValue value;
	content *said;

	f6_jsonb_root(data, &value);
	MemoryContextSwitchTo(resolving->working);
	said = palloc(sizeof(content));
	said->data = data;
	if (f6_jsonb_is_null(&value))
	{
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

/* meet_correction lets a correction that is in force decide about the events about which no later one has. */
static void
meet_correction(resolution *resolving, const history_event *correction, const mark *own)
{
	const content *said;
	f6_uuids targets;

	if (is_removed(own) || !has_force(resolving, correction, own))
		return;

	if (own != NULL && own->corrected != NULL)
		said = own->corrected;
	else
		said = copy_content(resolving, correction);

	targets = read_references(correction);
	for (int i = 0; i < targets.count; i++)
	{
		mark *target = mark_event(resolving, &targets.ids[i]);

		if (target->corrected == NULL)
			target->corrected = said;
	}
}

/* meet_validation lets a validation that is in force give legal force; restated, it still does. */
static void
meet_validation(resolution *resolving, const history_event *validation, const mark *own)
{
	f6_uuids targets;

	if (!resolving->question->legal || is_removed(own))
		return;

	targets = read_references(validation);
	for (int i = 0; i < targets.count; i++)
		mark_event(resolving, &targets.ids[i])->validated = true;
}

/* add_claim returns a new place at the end of the claims. */
static f6_claim *
add_claim(resolution *resolving)
{
	f6_claims *result = resolving->result;

	if (result->count == resolving->room)
	{
		resolving->room *= 2;
		result->claims = repalloc_huge(result->claims, resolving->room * sizeof(f6_claim));
	}
	return &result->claims[result->count++];
}

/* own_data returns a copy of the data that an event was recorded with. */
static Jsonb *
own_data(MemoryContext context, const history_event *event)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Jsonb *data = DatumGetJsonbPCopy(event->data);

	MemoryContextSwitchTo(caller);
	return data;
}

/* copy_row returns a copy of the row that an event is stored as. */
static HeapTupleHeader
copy_row(resolution *resolving, const history_event *event)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(event->row);
	uint32 length = HeapTupleHeaderGetDatumLength(row);

	return memcpy(MemoryContextAlloc(resolving->kept, length), row, length);
}

/*
 * meet_claim adds a claim that counts to the answer.
 *
 * Most claims that do not count are seen not to before their data is touched: only a date of effect needs it.
 */
static void
meet_claim(resolution *resolving, const history_event *event, const mark *own)
{
	const f6_question *question = resolving->question;
	content said = { NULL, event->occurred_at, event->type };
	const f6_event_type *type;
	TimestampTz material_time;
	f6_claim *claim;

	if (is_removed(own) || !has_force(resolving, event, own))
		return;

	if (own != NULL && own->corrected != NULL)
		said = *own->corrected;

	type = find_type(resolving, data_key(event, &said));
	material_time = said.occurred_at;
	if (type->valid_from != NULL)
	{
		JsonbValue value;

		if (said.data == NULL)
			said.data = own_data(question->with_data ? resolving->kept : resolving->row, event);
		f6_jsonb_root(said.data, &value);
		material_time = f6_material_time(type, &value, said.occurred_at);
	}
	if (material_time > question->valid_at)
		return;

	if (question->with_data && said.data == NULL)
		said.data = own_data(resolving->kept, event);

	claim = add_claim(resolving);
	claim->position = event->position;
	claim->id = event->id;
	claim->occurred_at = said.occurred_at;
	claim->material_time = material_time;
	claim->type = type;
	claim->data = question->with_data ? said.data : NULL;
	claim->row = question->with_row ? copy_row(resolving, event) : NULL;
	claim->stored_type = question->with_row ? find_type(resolving, event->type) : NULL;
}

/* read_event reads a row of the history. */
static void
read_event(TupleTableSlot *slot, history_event *event)
{
	Datum *values = slot->tts_values;

	slot_getallattrs(slot);
	event->position = DatumGetInt64(values[HISTORY_POSITION]);
	event->id = *DatumGetUUIDP(values[HISTORY_ID]);
	event->kind = DatumGetObjectId(values[HISTORY_EVENT_KIND]);
	event->occurred_at = DatumGetTimestampTz(values[HISTORY_OCCURRED_AT]);
	event->type = text_key(DatumGetTextPP(values[HISTORY_EVENT_TYPE]),
						   DatumGetTextPP(values[HISTORY_EVENT_VERSION]));
	event->references = values[HISTORY_REFERENCE];
	event->has_references = !slot->tts_isnull[HISTORY_REFERENCE];
	event->data = values[HISTORY_DATA];
	event->row = slot->tts_tupleDescriptor->natts > HISTORY_ROW ? values[HISTORY_ROW] : (Datum) 0;
}

/* meet_row decides about the next event of the history; the executor calls it. */
static bool
meet_row(TupleTableSlot *slot, DestReceiver *self)
{
	resolution *resolving = (resolution *) self;
	MemoryContext caller = MemoryContextSwitchTo(resolving->row);
	history_event event;
	const mark *own;

	read_event(slot, &event);
	own = marks_lookup(resolving->marks, event.id);
	if (event.kind == resolving->claim_kind)
		meet_claim(resolving, &event, own);
	else if (event.kind == resolving->correction_kind)
		meet_correction(resolving, &event, own);
	else if (f6_event_kind_of(event.kind) == F6_VALIDATION)
		meet_validation(resolving, &event, own);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(resolving->row);
	return true;
}

/* begin_history has nothing to do: the executor tells that rows are coming. */
static void
begin_history(DestReceiver *self, int operation, TupleDesc descriptor)
{
	(void) self;
	(void) operation;
	(void) descriptor;
}

/* end_history has nothing to do: the executor tells that no more rows are coming, or that it is done. */
static void
end_history(DestReceiver *self)
{
	(void) self;
}

/* history_plan returns the plan that reads a history. */
static SPIPlanPtr
history_plan(const f6_question *question)
{
	static f6_index_plan plans[] = {
		{ .text = HISTORY_QUERY, .parameter_count = 2, .types = { UUIDOID, TIMESTAMPTZOID } },
		{ .text = HISTORY_QUERY_WITH_ROW,
		  .parameter_count = 2,
		  .types = { UUIDOID, TIMESTAMPTZOID } },
		{ .text = HISTORY_OF_POSITIONS,
		  .parameter_count = 2,
		  .types = { INT8ARRAYOID, TIMESTAMPTZOID } }
	};

	if (question->positions != (Datum) 0)
		return f6_index_plan_ready(&plans[2]);
	return f6_index_plan_ready(&plans[question->with_row ? 1 : 0]);
}

/* history_parameter sets a parameter of the query. */
static void
history_parameter(ParamListInfo parameters, int number, Oid type, Datum value)
{
	ParamExternData *parameter = &parameters->params[number];

	parameter->value = value;
	parameter->isnull = false;
	parameter->pflags = PARAM_FLAG_CONST;
	parameter->ptype = type;
}

/* read_history sends the events known of the object to the receiver, newest first. */
static void
read_history(const f6_question *question, DestReceiver *receiver)
{
	SPIExecuteOptions options = { 0 };
	int result;

	f6_event_check_table();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");

	options.params = makeParamList(2);
	if (question->positions != (Datum) 0)
		history_parameter(options.params, 0, INT8ARRAYOID, question->positions);
	else
		history_parameter(options.params, 0, UUIDOID, UUIDPGetDatum(&question->object_id));
	history_parameter(options.params, 1, TIMESTAMPTZOID, TimestampTzGetDatum(question->known_at));
	options.read_only = true;
	options.dest = receiver;
	result = SPI_execute_plan_extended(history_plan(question), &options);
	if (result < 0)
		elog(ERROR, "could not read a history: %s", SPI_result_code_string(result));

	SPI_finish();
}

/* compare_claims compares two claims by the order in which they are folded. */
static int
compare_claims(const void *a, const void *b)
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
	qsort(result->claims, result->count, sizeof(f6_claim), compare_claims);
}

/* version_to_read returns the version in which the question has a type read. */
static const char *
version_to_read(const f6_question *question, const char *event_type)
{
	JsonbValue root;
	JsonbValue version;

	if (question->versions != NULL)
	{
		f6_jsonb_root(question->versions, &root);
		if (f6_jsonb_get(&root, event_type, (int) strlen(event_type), &version))
			return pnstrdup(version.val.string.val, version.val.string.len);
	}
	return f6_event_type_readable(event_type);
}

/* f6_claims_asof returns the claims that count, in the current memory context and children of it. */
f6_claims *
f6_claims_asof(const f6_question *question)
{
	resolution resolving = { 0 };

	resolving.receiver.receiveSlot = meet_row;
	resolving.receiver.rStartup = begin_history;
	resolving.receiver.rShutdown = end_history;
	resolving.receiver.rDestroy = end_history;
	resolving.receiver.mydest = DestNone;
	resolving.question = question;
	resolving.claim_kind = f6_event_kind_oid(F6_CLAIM);
	resolving.correction_kind = f6_event_kind_oid(F6_CORRECTION);
	resolving.kept =
		GenerationContextCreate(CurrentMemoryContext, "f6 claims", ALLOCSET_DEFAULT_SIZES);
	resolving.working =
		AllocSetContextCreate(CurrentMemoryContext, "f6 history", ALLOCSET_DEFAULT_SIZES);
	resolving.row =
		AllocSetContextCreate(resolving.working, "f6 history row", ALLOCSET_DEFAULT_SIZES);
	resolving.marks = marks_create(resolving.working, INITIAL_CLAIMS, NULL);
	resolving.types = known_types_create(resolving.working, 16, NULL);
	resolving.room = INITIAL_CLAIMS;
	resolving.result = palloc(sizeof(f6_claims));
	resolving.result->count = 0;
	resolving.result->claims = palloc(resolving.room * sizeof(f6_claim));

	read_history(question, &resolving.receiver);
	sort_claims(resolving.result);
	MemoryContextDelete(resolving.working);
	return resolving.result;
}

/*
 * f6_claims_upcast returns what brings data of a claim's type to the version to read, NULL when it is that one.  It is made
 * when it is needed first, in the current memory context, which must last as long as the claims.
 */
f6_upcast *
f6_claims_upcast(const f6_question *question, const f6_event_type *type)
{
	kept_type *kept = (kept_type *) type;

	if (!kept->is_readied)
	{
		kept->upcast = f6_upcast_begin(type->event_type, type->event_version,
									   version_to_read(question, type->event_type));
		kept->is_readied = true;
	}
	return kept->upcast;
}

/* required_argument raises an error when an argument that must have a value has none. */
static void
required_argument(FunctionCallInfo fcinfo, int number, const char *name, const char *hint)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", name),
						errhint("%s", hint)));
}

/* read_versions reads which types are to be read in another version; what is not registered is an error. */
static Jsonb *
read_versions(Jsonb *versions)
{
	f6_jsonb_object_walk walk;
	JsonbValue root;
	JsonbValue type;
	JsonbValue version;

	f6_jsonb_root(versions, &root);
	if (!f6_jsonb_is_object(&root))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("versions must be a JSON object, found %s", f6_jsonb_type_name(&root)),
				 errhint("It says which types to read in which version, such as "
						 "'{\"Residence\": \"1\"}'.")));
	f6_jsonb_object_begin(&walk, &root);
	while (f6_jsonb_object_next(&walk, &type, &version))
	{
		const char *event_type = pnstrdup(type.val.string.val, type.val.string.len);

		if (version.type != jbvString)
			ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
							errmsg("the version of event type \"%s\" must be a string, found %s",
								   event_type, f6_jsonb_type_name(&version))));
		(void) f6_event_type_get(event_type,
								 pnstrdup(version.val.string.val, version.val.string.len));
	}
	return versions;
}

/* read_question reads what is asked from a function's arguments; legal and the versions are the last of them. */
static void
read_question(FunctionCallInfo fcinfo, int legal, f6_question *question)
{
	required_argument(
		fcinfo, 1, "valid_at",
		"Leave it out to ask about now, or give 'infinity' for all that is recorded.");
	required_argument(fcinfo, 2, "known_at", "Leave it out to ask with what is known now.");
	required_argument(fcinfo, legal, "legal",
					  "Give true to count only what has legal force, false to count every claim.");

	memset(question, 0, sizeof(f6_question));
	question->object_id = *PG_GETARG_UUID_P(0);
	question->valid_at = PG_GETARG_TIMESTAMPTZ(1);
	question->known_at = PG_GETARG_TIMESTAMPTZ(2);
	question->legal = PG_GETARG_BOOL(legal);
	if (!PG_ARGISNULL(legal + 1))
		question->versions = read_versions(PG_GETARG_JSONB_P(legal + 1));
}

/* fold_claims returns the fold of claims, in the current memory context. */
static f6_fold *
fold_claims(const f6_question *question, const f6_claims *claims)
{
	f6_fold *fold = f6_fold_begin(CurrentMemoryContext);

	for (uint64 i = 0; i < claims->count; i++)
	{
		const f6_claim *claim = &claims->claims[i];
		f6_upcast *upcast = f6_claims_upcast(question, claim->type);
		Jsonb *data = claim->data;
		JsonbValue patch;

		if (upcast != NULL)
			data = f6_upcast_data(upcast, &claim->id, data);
		f6_jsonb_root(data, &patch);
		f6_fold_merge(fold, &patch);
		if (data != claim->data)
			pfree(data);
	}
	return fold;
}

/* state_of returns the state that answers a question, in the current memory context; NULL where nothing is known. */
static Jsonb *
state_of(const f6_question *question)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working = AllocSetContextCreate(caller, "f6 state", ALLOCSET_DEFAULT_SIZES);
	f6_fold *fold;
	Jsonb *state;

	MemoryContextSwitchTo(working);
	fold = fold_claims(question, f6_claims_asof(question));
	MemoryContextSwitchTo(caller);
	state = f6_fold_result(fold);
	MemoryContextDelete(working);
	return state;
}

/* f6_state_of_events returns the state that the events at some positions make, NULL where there are none. */
Jsonb *
f6_state_of_events(Datum positions)
{
	f6_question question = {
		.valid_at = DT_NOEND, .known_at = DT_NOEND, .with_data = true, .positions = positions
	};

	return state_of(&question);
}

/* f6_state_asof(object_id, valid_at, known_at, projection, legal, versions) returns the object's state, NULL where nothing is known. */
Datum
f6_state_asof(PG_FUNCTION_ARGS)
{
	f6_question question;
	Jsonb *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	read_question(fcinfo, 4, &question);
	question.with_data = true;
	if (!PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(F6_ERR_UNKNOWN),
				 errmsg("projection \"%s\" does not exist", text_to_cstring(PG_GETARG_TEXT_PP(3))),
				 errhint("Leave it out to merge the data of the events.")));

	state = state_of(&question);
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(state);
}

/* upcast_row returns the row of a claim in another version. */
static HeapTuple
upcast_row(f6_upcast *upcast, const f6_claim *claim, HeapTuple row, TupleDesc descriptor)
{
	int columns[] = { F6_EVENT_EVENT_VERSION, F6_EVENT_DATA };
	Datum changed[2];
	bool nulls[] = { false, false };
	Datum stored;
	bool isnull;

	stored = heap_getattr(row, F6_EVENT_DATA, descriptor, &isnull);
	changed[0] = CStringGetTextDatum(f6_upcast_version(upcast));
	changed[1] = JsonbPGetDatum(f6_upcast_data(upcast, &claim->id, DatumGetJsonbP(stored)));
	return heap_modify_tuple_by_cols(row, descriptor, lengthof(columns), columns, changed, nulls);
}

/* put_row adds the row of a claim, in the version to read, to a function's result. */
static void
put_row(ReturnSetInfo *result, const f6_question *question, const f6_claim *claim,
		MemoryContext scratch)
{
	f6_upcast *upcast = f6_claims_upcast(question, claim->stored_type);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	HeapTupleData stored = { 0 };
	HeapTuple row = &stored;

	stored.t_data = claim->row;
	stored.t_len = HeapTupleHeaderGetDatumLength(claim->row);
	if (upcast != NULL)
		row = upcast_row(upcast, claim, &stored, result->setDesc);
	tuplestore_puttuple(result->setResult, row);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(scratch);
}

/* f6_events(object_id, valid_at, known_at, legal, versions) returns the events that count, in fold order. */
Datum
f6_events(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext scratch;
	f6_question question;
	f6_claims *claims;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	read_question(fcinfo, 3, &question);
	question.with_row = true;

	claims = f6_claims_asof(&question);
	scratch = AllocSetContextCreate(CurrentMemoryContext, "f6 events", ALLOCSET_DEFAULT_SIZES);
	for (uint64 i = 0; i < claims->count; i++)
		put_row(result, &question, &claims->claims[i], scratch);
	return (Datum) 0;
}
