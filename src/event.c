/*
 * event.c
 *		An event on its way into the log: filling what the caller left open, and checking all of it.
 *
 * Everything is checked before the event takes a position, so a refused event leaves no gap.  Memory is the caller's
 * current context; look-ups see what is committed and what this transaction has done, the current statement included.
 */
#include "postgres.h"

#include <time.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "f6.h"
#include "errors.h"
#include "event.h"
#include "event_basis.h"
#include "event_cause.h"
#include "event_type.h"
#include "horizon.h"
#include "jsonb_walk.h"
#include "schema_validate.h"
#include "uuid.h"
#include "uuid_array.h"
#include "zone.h"

#define F6_IMPORTER_ROLE "f6_importer"

/* Two readings of two clocks lie apart by some microseconds. */
#define CLOCK_TOLERANCE 1000

/* check_generated refuses a row with a value in a column that only f6 fills. */
static void
check_generated(Relation event, const f6_event_row *row)
{
	for (int column = 1; column <= F6_EVENT_COLUMNS; column++)
	{
		if (f6_event_has(row, column) && f6_event_is_generated(column))
			f6_event_refuse_generated(
				NameStr(TupleDescAttr(RelationGetDescr(event), column - 1)->attname));
	}
}

/* f6_event_check_importer refuses a caller who may not say when an event was recorded. */
void
f6_event_check_importer(void)
{
	Oid importer = get_role_oid(F6_IMPORTER_ROLE, true);

	if (!superuser() && (!OidIsValid(importer) || !has_privs_of_role(GetUserId(), importer)))
		ereport(ERROR, (errcode(F6_ERR_NO_PRIVILEGE), errmsg("permission denied to set created_at"),
						errdetail("Only members of the role %s say when an event was recorded.",
								  F6_IMPORTER_ROLE),
						errhint("Leave created_at out: it is the clock at the append. To say when "
								"something happened, set occurred_at.")));
}

/* read_next reads the next row of a scan, copied into the current memory context, and tells whether there is one. */
static bool
read_next(Relation event, SysScanDesc scan, f6_event_row *row)
{
	HeapTuple tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
		f6_event_deform(event, heap_copytuple(tuple), row);
	return HeapTupleIsValid(tuple);
}

/* f6_event_find reads the event with that id, copied into the current memory context, and tells whether there is one. */
bool
f6_event_find(Relation event, Datum id, f6_event_row *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, F6_EVENT_ID, BTEqualStrategyNumber, F_UUID_EQ, id);
	scan =
		systable_beginscan(event, f6_relation_oid(F6_EVENT_ID_INDEX), true, SnapshotSelf, 1, &key);
	found = read_next(event, scan, row);
	systable_endscan(scan);
	return found;
}

/* f6_event_find_at reads the event at a position, if a snapshot sees one there; it only tells so where no row is given. */
bool
f6_event_find_at(Relation event, int64 position, Snapshot snapshot, f6_event_row *row)
{
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, F6_EVENT_POSITION_COLUMN, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(position));
	scan = systable_beginscan(event, f6_relation_oid(F6_EVENT_POSITION_INDEX), true, snapshot, 1,
							  &key);
	found = row == NULL ? HeapTupleIsValid(systable_getnext(scan)) : read_next(event, scan, row);
	systable_endscan(scan);
	return found;
}

/* same_value tells whether two rows have the same in a column. */
static bool
same_value(Relation event, int column, const f6_event_row *a, const f6_event_row *b)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(event), column - 1);
	TypeCacheEntry *type;

	if (!f6_event_has(a, column) || !f6_event_has(b, column))
		return f6_event_has(a, column) == f6_event_has(b, column);
	type = lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR_FINFO);
	return DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, attribute->attcollation,
										  f6_event_value(a, column), f6_event_value(b, column)));
}

/* first_difference returns the first column in which a given row differs from a stored one, 0 when it is the same event. */
static int
first_difference(Relation event, const f6_event_row *given, const f6_event_row *stored)
{
	/* What f6 would have filled in counts only where the caller gave it. */
	static const int defaulted[] = { F6_EVENT_ZONE_ID, F6_EVENT_CREATED_AT, F6_EVENT_OCCURRED_AT,
									 F6_EVENT_OBJECT_IDS, F6_EVENT_EVENT_VERSION };
	static const int plain[] = { F6_EVENT_EVENT_TYPE,  F6_EVENT_EVENT_KIND, F6_EVENT_SOURCE_ID,
								 F6_EVENT_SOURCE_TYPE, F6_EVENT_REFERENCE,	F6_EVENT_DATA,
								 F6_EVENT_METADATA };

	for (int i = 0; i < (int) lengthof(plain); i++)
	{
		if (!same_value(event, plain[i], given, stored))
			return plain[i];
	}
	for (int i = 0; i < (int) lengthof(defaulted); i++)
	{
		if (f6_event_has(given, defaulted[i]) && !same_value(event, defaulted[i], given, stored))
			return defaulted[i];
	}
	return 0;
}

/* complete_kind makes a claim of an event that does not say what it is, and returns the kind. */
static f6_event_kind
complete_kind(f6_event_row *row)
{
	if (!f6_event_has(row, F6_EVENT_EVENT_KIND))
		f6_event_set(row, F6_EVENT_EVENT_KIND, ObjectIdGetDatum(f6_event_kind_oid(F6_CLAIM)));
	return f6_event_kind_of(DatumGetObjectId(f6_event_value(row, F6_EVENT_EVENT_KIND)));
}

/* complete_data gives a validation without content the content null; every other event must have some. */
static void
complete_data(f6_event_row *row, f6_event_kind kind)
{
	if (f6_event_has(row, F6_EVENT_DATA))
		return;
	if (kind != F6_VALIDATION)
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("event_data must not be NULL"),
						kind == F6_CORRECTION
							? errhint("A correction restates the data, or removes the event with "
									  "the JSON value null: 'null'::jsonb.")
							: errhint("An event without content has an empty object: '{}'.")));
	f6_event_set(row, F6_EVENT_DATA, DirectFunctionCall1(jsonb_in, CStringGetDatum("null")));
}

/* count_from_one gives an array the usual lower bound, so that the same elements are the same value. */
static void
count_from_one(f6_event_row *row, int column)
{
	ArrayType *array;

	if (!f6_event_has(row, column))
		return;
	array = DatumGetArrayTypeP(f6_event_value(row, column));
	if (ARR_NDIM(array) != 1 || ARR_LBOUND(array)[0] == 1)
		return;
	array = DatumGetArrayTypePCopy(f6_event_value(row, column));
	ARR_LBOUND(array)[0] = 1;
	f6_event_set(row, column, PointerGetDatum(array));
}

/* complete_reference makes no difference between an empty list of references and none. */
static void
complete_reference(f6_event_row *row)
{
	if (f6_event_has(row, F6_EVENT_REFERENCE) &&
		ARR_NDIM(DatumGetArrayTypeP(f6_event_value(row, F6_EVENT_REFERENCE))) == 0)
		row->nulls[F6_EVENT_REFERENCE - 1] = true;
}

/* complete_content brings what an event says into the one form in which it is compared and stored, and returns its kind. */
static f6_event_kind
complete_content(f6_event_row *row)
{
	f6_event_kind kind = complete_kind(row);

	f6_cause_note(row);
	complete_data(row, kind);
	complete_reference(row);
	count_from_one(row, F6_EVENT_OBJECT_IDS);
	count_from_one(row, F6_EVENT_REFERENCE);
	return kind;
}

/* refuse_duplicate raises the error for an id that an event with other content has; who may not read it learns no more. */
static void
refuse_duplicate(Relation event, const f6_event_row *stored, int column)
{
	const char *id = f6_uuid_text(DatumGetUUIDP(f6_event_value(stored, F6_EVENT_ID)));

	ereport(ERROR,
			(errcode(F6_ERR_DUPLICATE_ID),
			 errmsg("an event with this id exists, with other content"),
			 !f6_event_has(stored, F6_EVENT_POSITION_COLUMN)
				 ? errdetail("Event %s, earlier in the batch, differs in column \"%s\".", id,
							 NameStr(TupleDescAttr(RelationGetDescr(event), column - 1)->attname))
			 : f6_may_read(event)
				 ? errdetail("Event %s, at position " INT64_FORMAT ", differs in column \"%s\".",
							 id, DatumGetInt64(f6_event_value(stored, F6_EVENT_POSITION_COLUMN)),
							 NameStr(TupleDescAttr(RelationGetDescr(event), column - 1)->attname))
				 : errdetail("Event %s.", id),
			 errhint("An append is repeated with the same content, or made with another id.")));
}

/* find_same reads the event in the log, or in a batch, that has the id of a given one; other content is an error. */
static f6_event_state
find_same(Relation event, f6_batch *batch, const f6_event_row *given, f6_event_row *stored)
{
	f6_event_state state = F6_EVENT_STORED;
	int earlier;
	int column;

	if (!f6_event_has(given, F6_EVENT_ID))
		return F6_EVENT_NEW;
	earlier = f6_batch_find(batch, f6_event_value(given, F6_EVENT_ID));
	if (earlier >= 0)
	{
		*stored = batch->rows[earlier];
		state = F6_EVENT_REPEATED;
	}
	else if (!f6_event_find(event, f6_event_value(given, F6_EVENT_ID), stored))
		return F6_EVENT_NEW;
	column = first_difference(event, given, stored);
	if (column != 0)
		refuse_duplicate(event, stored, column);
	return state;
}

/* f6_event_find_same reads the event in the log that a given one repeats, if there is one; other content is an error. */
bool
f6_event_find_same(Relation event, const f6_event_row *given, f6_event_row *stored)
{
	f6_event_row completed = *given;

	(void) complete_content(&completed);
	return find_same(event, NULL, &completed, stored) == F6_EVENT_STORED;
}

/* complete_zone puts an event into the session's zone, or checks that the zone it names exists. */
static void
complete_zone(f6_event_row *row)
{
	if (f6_event_has(row, F6_EVENT_ZONE_ID))
		f6_zone_check(DatumGetInt32(f6_event_value(row, F6_EVENT_ZONE_ID)));
	else
		f6_event_set(row, F6_EVENT_ZONE_ID, Int32GetDatum(f6_zone_current()));
}

/* event_text returns a column of type text as a string. */
static char *
event_text(const f6_event_row *row, int column)
{
	return TextDatumGetCString(f6_event_value(row, column));
}

/* complete_version gives an event the newest version of its type where it names none. */
static void
complete_version(f6_event_row *row)
{
	if (!f6_event_has(row, F6_EVENT_EVENT_VERSION))
		f6_event_set(
			row, F6_EVENT_EVENT_VERSION,
			CStringGetTextDatum(f6_event_type_newest(event_text(row, F6_EVENT_EVENT_TYPE))));
}

/*
 * check_version refuses an event of a version that was deprecated when the event was recorded: now, or when an importer says.
 * What was recorded before, elsewhere, may so be imported afterwards.
 */
static void
check_version(const f6_event_row *row, bool imported)
{
	TimestampTz recorded_at =
		imported ? DatumGetTimestampTz(f6_event_value(row, F6_EVENT_CREATED_AT)) : DT_NOEND;

	f6_event_type_check_use(event_text(row, F6_EVENT_EVENT_TYPE),
							event_text(row, F6_EVENT_EVENT_VERSION), recorded_at);
}

/* check_depth refuses data that is nested so deeply that folding it might exceed a reader's stack. */
static void
check_depth(const JsonbValue *data)
{
	if (f6_jsonb_is_deeper(data, F6_MAX_DATA_DEPTH))
		ereport(ERROR, (errcode(F6_ERR_TOO_DEEP), errmsg("event data is nested too deeply"),
						errdetail("Arrays and objects may stand in each other up to %d levels.",
								  F6_MAX_DATA_DEPTH)));
}

/* check_content refuses data that is not valid under a type's schema, or has no readable date of effect. */
static void
check_content(const char *event_type, const char *event_version, const JsonbValue *data)
{
	const f6_event_type *type = f6_event_type_compiled(event_type, event_version);
	TimestampTz effect;

	check_depth(data);
	if (!f6_schema_accepts(type->program, data))
		ereport(ERROR, (errcode(F6_ERR_INVALID_EVENT),
						errmsg("event data is not valid for event type \"%s\" version \"%s\"",
							   event_type, event_version),
						errdetail("%s", f6_schema_failures_text(type->program, data))));
	(void) f6_effect_time(type, data, &effect);
}

/* add_unseen adds the events of a basis to a list, each of them once. */
static List *
add_unseen(List *events, HTAB *seen, const f6_basis *basis)
{
	for (int i = 0; i < basis->count; i++)
	{
		bool found;

		hash_search(seen, DatumGetUUIDP(f6_event_value(&basis->events[i], F6_EVENT_ID)), HASH_ENTER,
					&found);
		if (!found)
			events = lappend(events, &basis->events[i]);
	}
	return events;
}

/*
 * check_restatement checks data that restates events against the types of those events too.
 *
 * A correction that restates a correction acts on what that one corrects, and so on.  Each event is looked at once,
 * however many ways lead to it.
 */
static void
check_restatement(Relation event, f6_batch *batch, const f6_basis *basis, const char *checked_type,
				  const JsonbValue *data)
{
	HASHCTL control = { .keysize = UUID_LEN, .entrysize = UUID_LEN, .hcxt = CurrentMemoryContext };
	HTAB *seen = hash_create("f6 restated", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	List *restated = add_unseen(NIL, seen, basis);

	for (int i = 0; i < list_length(restated); i++)
	{
		const f6_event_row *target = list_nth(restated, i);
		char *type = event_text(target, F6_EVENT_EVENT_TYPE);
		f6_basis deeper;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(type, checked_type) != 0)
			check_content(type, event_text(target, F6_EVENT_EVENT_VERSION), data);
		if (DatumGetObjectId(f6_event_value(target, F6_EVENT_EVENT_KIND)) ==
			f6_event_kind_oid(F6_CORRECTION))
		{
			f6_basis_read(event, batch, target, &deeper);
			restated = add_unseen(restated, seen, &deeper);
		}
	}
	hash_destroy(seen);
}

/* check_data checks an event's content against its type, and that of a correction against what it restates. */
static void
check_data(Relation event, f6_batch *batch, const f6_event_row *row, f6_event_kind kind,
		   const f6_basis *basis)
{
	char *type = event_text(row, F6_EVENT_EVENT_TYPE);
	char *version = event_text(row, F6_EVENT_EVENT_VERSION);
	JsonbValue data;

	f6_jsonb_root(DatumGetJsonbP(f6_event_value(row, F6_EVENT_DATA)), &data);
	if (kind != F6_CLAIM && f6_jsonb_is_null(&data))
	{
		/* Nothing to check: a bare validation, or a removal.  The type must exist all the same. */
		(void) f6_event_type_get(type, version);
		return;
	}
	check_content(type, version, &data);
	if (kind == F6_CORRECTION)
		check_restatement(event, batch, basis, type, &data);
}

/* newest_created_at returns when the newest event was recorded, of one zone or of all (0); false when there is none. */
static bool
newest_created_at(Relation event, int32 zone_id, TimestampTz *created_at)
{
	Relation index = index_open(f6_relation_oid(F6_EVENT_POSITION_INDEX), AccessShareLock);
	SnapshotData dirty;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	InitDirtySnapshot(dirty);
	scan = systable_beginscan_ordered(event, index, &dirty, 0, NULL);
	while (!found &&
		   HeapTupleIsValid(tuple = systable_getnext_ordered(scan, BackwardScanDirection)))
	{
		bool isnull;
		Datum owner = heap_getattr(tuple, F6_EVENT_ZONE_ID, RelationGetDescr(event), &isnull);

		CHECK_FOR_INTERRUPTS();
		if (zone_id == 0 || DatumGetInt32(owner) == zone_id)
		{
			*created_at = DatumGetTimestampTz(
				heap_getattr(tuple, F6_EVENT_CREATED_AT, RelationGetDescr(event), &isnull));
			found = true;
		}
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return found;
}

/* check_created_at refuses a formal time that contradicts the order of the log. */
static void
check_created_at(Relation event, const f6_event_row *row, TimestampTz created_at)
{
	int32 zone_id = DatumGetInt32(f6_event_value(row, F6_EVENT_ZONE_ID));
	TimestampTz newest;

	if (TIMESTAMP_NOT_FINITE(created_at) || created_at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("created_at must be a moment in the past"),
				 errdetail("It is %s.", timestamptz_to_str(created_at))));
	if (newest_created_at(event, zone_id, &newest) && created_at < newest)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("created_at is earlier than the newest event of zone %d", zone_id),
				 errdetail("The newest event was recorded at %s.", timestamptz_to_str(newest)),
				 errhint("Import history in the order in which it was recorded, or into a zone of "
						 "its own.")));
}

/* microseconds returns what a clock shows. */
static int64
microseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (int64) time.tv_sec * USECS_PER_SEC + time.tv_nsec / 1000;
}

/*
 * earliest_created_at returns a moment before which no event must be recorded now: that of the newest event in the log, or an
 * older one that the clock has passed since.
 *
 * While the clock goes forward no session records an event later than now, so what was looked up a moment ago is good enough.
 * A clock that is set back falls behind one that nobody can set.
 */
static TimestampTz
earliest_created_at(Relation event)
{
	static Oid looked_up_in;
	static int64 looked_up_at;
	static int64 lead;
	static TimestampTz newest;
	int64 steady = microseconds(CLOCK_MONOTONIC);
	int64 lead_now = microseconds(CLOCK_REALTIME) - steady;

	if (looked_up_in != RelationGetRelid(event) || lead_now < lead - CLOCK_TOLERANCE ||
		steady > looked_up_at + USECS_PER_SEC)
	{
		newest = DT_NOBEGIN;
		looked_up_in = InvalidOid;
		(void) newest_created_at(event, 0, &newest);
		looked_up_in = RelationGetRelid(event);
		looked_up_at = steady;
		lead = lead_now;
	}
	lead = Max(lead, lead_now);
	return newest;
}

/*
 * complete_created_at sets the formal time: the clock, but never before the newest event in the log, even when the clock
 * has been set back.  What an importer gives is checked instead.
 */
static void
complete_created_at(Relation event, f6_event_row *row, TimestampTz *newest)
{
	if (f6_event_has(row, F6_EVENT_CREATED_AT))
	{
		check_created_at(event, row, DatumGetTimestampTz(f6_event_value(row, F6_EVENT_CREATED_AT)));
		return;
	}
	if (*newest == DT_NOBEGIN)
		*newest = earliest_created_at(event);
	*newest = Max(GetCurrentTimestamp(), *newest);
	f6_event_set(row, F6_EVENT_CREATED_AT, TimestampTzGetDatum(*newest));
}

/* restates tells whether an event is a correction that restates others, rather than removing them. */
static bool
restates(const f6_event_row *row)
{
	JsonbValue data;

	if (DatumGetObjectId(f6_event_value(row, F6_EVENT_EVENT_KIND)) !=
		f6_event_kind_oid(F6_CORRECTION))
		return false;
	f6_jsonb_root(DatumGetJsonbP(f6_event_value(row, F6_EVENT_DATA)), &data);
	return !f6_jsonb_is_null(&data);
}

/* common_occurrence returns when the events of a basis occurred, and tells whether that is one moment, which is known. */
static bool
common_occurrence(const f6_basis *basis, Datum *occurred_at)
{
	for (int i = 0; i < basis->count; i++)
	{
		Datum first = f6_event_value(&basis->events[0], F6_EVENT_OCCURRED_AT);
		Datum moment = f6_event_value(&basis->events[i], F6_EVENT_OCCURRED_AT);

		if (!f6_event_has(&basis->events[i], F6_EVENT_OCCURRED_AT) ||
			DatumGetTimestampTz(moment) != DatumGetTimestampTz(first))
			return false;
		*occurred_at = moment;
	}
	return basis->count > 0;
}

/* keep_occurred_at leaves the moment as it was when a correction restates events, because it takes the place of those. */
static void
keep_occurred_at(f6_event_row *row, const f6_basis *basis)
{
	Datum occurred_at = (Datum) 0;

	if (!f6_event_has(row, F6_EVENT_OCCURRED_AT) && restates(row) &&
		common_occurrence(basis, &occurred_at))
		f6_event_set(row, F6_EVENT_OCCURRED_AT, occurred_at);
}

/*
 * complete_occurred_at says when an event that has its formal time happened, where nobody does: when it was recorded, so that what was decided
 * on other events comes after them.
 */
static void
complete_occurred_at(Relation event, f6_batch *batch, f6_event_row *row)
{
	f6_basis basis;

	if (f6_event_has(row, F6_EVENT_OCCURRED_AT))
		return;
	if (batch != NULL && restates(row))
	{
		/* Events of the batch have got their moment by now. */
		f6_basis_read(event, batch, row, &basis);
		keep_occurred_at(row, &basis);
	}
	if (!f6_event_has(row, F6_EVENT_OCCURRED_AT))
		f6_event_set(row, F6_EVENT_OCCURRED_AT, f6_event_value(row, F6_EVENT_CREATED_AT));
}

/* client_address returns where the client connects from; it tells whether that is known. */
static bool
client_address(Datum *address)
{
	LOCAL_FCINFO(fcinfo, 0);

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	*address = inet_client_addr(fcinfo);
	return !fcinfo->isnull;
}

/* complete_provenance records who appends, from where, and with what. */
static void
complete_provenance(f6_event_row *row)
{
	Datum address;

	f6_event_set(row, F6_EVENT_APPENDED_BY,
				 CStringGetTextDatum(GetUserNameFromId(f6_cause_user(), false)));
	if (client_address(&address))
		f6_event_set(row, F6_EVENT_CLIENT_ADDR, address);
	if (application_name != NULL && application_name[0] != '\0')
		f6_event_set(row, F6_EVENT_APPLICATION_NAME, CStringGetTextDatum(application_name));
}

/* f6_event_locks adds the locks that appending an event needs, as far as that is known before it is complete. */
void
f6_event_locks(Relation event, const f6_event_row *row, bool with_id, f6_locks *locks)
{
	f6_uuids objects;

	f6_locks_append(locks);
	if (f6_event_has(row, F6_EVENT_EVENT_TYPE))
	{
		text *type = DatumGetTextPP(f6_event_value(row, F6_EVENT_EVENT_TYPE));

		f6_locks_append_type(locks, VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type));
	}
	f6_basis_expect_objects(event, row, &objects);
	for (int i = 0; i < objects.count; i++)
		f6_locks_append_object(locks, &objects.ids[i]);
	if (with_id && f6_event_has(row, F6_EVENT_ID))
		f6_locks_append_id(locks, DatumGetUUIDP(f6_event_value(row, F6_EVENT_ID)));
}

/*
 * f6_event_complete fills and checks an event but for its place in the log and the moments that go with it, and tells what is to become of it.  One that
 * is stored gets that place.
 */
f6_event_state
f6_event_complete(Relation event, f6_batch *batch, f6_event_row *row)
{
	bool imported = f6_event_has(row, F6_EVENT_CREATED_AT);
	f6_event_row stored;
	f6_event_state state;
	f6_event_kind kind;
	f6_basis basis;

	check_generated(event, row);
	if (imported)
		f6_event_check_importer();
	if (!f6_event_has(row, F6_EVENT_EVENT_TYPE))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("event_type must not be NULL")));
	kind = complete_content(row);
	state = find_same(event, batch, row, &stored);
	if (state == F6_EVENT_STORED)
	{
		f6_event_set(row, F6_EVENT_POSITION_COLUMN,
					 f6_event_value(&stored, F6_EVENT_POSITION_COLUMN));
		f6_event_set(row, F6_EVENT_CREATED_AT, f6_event_value(&stored, F6_EVENT_CREATED_AT));
	}
	if (state != F6_EVENT_NEW)
		return state;

	complete_zone(row);
	complete_version(row);
	check_version(row, imported);
	f6_basis_read(event, batch, row, &basis);
	f6_basis_check(kind, &basis);
	if (kind != F6_CLAIM)
		f6_basis_complete_objects(event, row, &basis);
	f6_objects_check(row);
	check_data(event, batch, row, kind, &basis);

	if (!f6_event_has(row, F6_EVENT_ID))
		f6_event_set(row, F6_EVENT_ID, f6_uuid_new());
	keep_occurred_at(row, &basis);
	complete_provenance(row);
	return F6_EVENT_NEW;
}

/*
 * f6_event_place gives a complete event of a batch (NULL: alone) its formal time and its place in the log, after all that is there.  The newest formal
 * time in the log is looked up where the caller does not know it (DT_NOBEGIN), and becomes that of the event.
 */
void
f6_event_place(Relation event, f6_batch *batch, f6_event_row *row, TimestampTz *newest)
{
	complete_created_at(event, row, newest);
	complete_occurred_at(event, batch, row);
	f6_event_set(row, F6_EVENT_POSITION_COLUMN, Int64GetDatum(f6_position_next()));
}
