/*
 * event_basis.c
 *		The events that an event references, and the objects that it names.
 *
 * Referenced events are looked up below the level of statements: those of the same batch count, and what the caller may
 * read of the log doesn't matter.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "f6.h"
#include "errors.h"
#include "event_basis.h"
#include "uuid.h"
#include "uuid_array.h"

/* find_event reads an event of the batch, or of the log, and tells whether there is one. */
static bool
find_event(Relation event, f6_batch *batch, const pg_uuid_t *id, f6_event_row *row)
{
	int earlier = f6_batch_find(batch, UUIDPGetDatum(id));

	/* One that the log has already stands in the batch as it was given, without what was filled in. */
	if (earlier < 0 || !f6_event_has(&batch->rows[earlier], F6_EVENT_APPENDED_BY))
		return f6_event_find(event, UUIDPGetDatum(id), row);
	*row = batch->rows[earlier];
	return true;
}

/* f6_basis_read reads the events that a row references; those that do not exist are an error that lists them all. */
void
f6_basis_read(Relation event, f6_batch *batch, const f6_event_row *row, f6_basis *basis)
{
	f6_uuids references = { 0, NULL };
	f6_uuids missing;
	const pg_uuid_t *twice;

	basis->count = 0;
	basis->events = NULL;
	if (!f6_event_has(row, F6_EVENT_REFERENCE))
		return;
	f6_uuids_read(f6_event_value(row, F6_EVENT_REFERENCE), "event_reference", &references);
	twice = f6_uuids_duplicate(&references);
	if (twice != NULL)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("event_reference must not contain duplicates"),
						errdetail("%s occurs more than once.", f6_uuid_text(twice))));

	basis->events = palloc_extended(sizeof(f6_event_row) * references.count, MCXT_ALLOC_HUGE);
	missing.count = 0;
	missing.ids = palloc(sizeof(pg_uuid_t) * references.count);
	for (int i = 0; i < references.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (find_event(event, batch, &references.ids[i], &basis->events[basis->count]))
			basis->count++;
		else
			missing.ids[missing.count++] = references.ids[i];
	}
	if (missing.count > 0)
		ereport(ERROR, (errcode(F6_ERR_MISSING_REFERENCE), errmsg("referenced events do not exist"),
						errdetail("Missing: %s.", f6_uuids_text(&missing)),
						errhint("An event is appended after the events that it is based on.")));
}

/* event_kind returns the kind of a stored event. */
static f6_event_kind
event_kind(const f6_event_row *row)
{
	return f6_event_kind_of(DatumGetObjectId(f6_event_value(row, F6_EVENT_EVENT_KIND)));
}

/* f6_basis_check refuses a validation that has nothing to give legal force to, and a correction of nothing. */
void
f6_basis_check(f6_event_kind kind, const f6_basis *basis)
{
	bool has_subject = false;

	for (int i = 0; i < basis->count && !has_subject; i++)
		has_subject = event_kind(&basis->events[i]) != F6_VALIDATION;
	if (kind == F6_VALIDATION && !has_subject)
		ereport(
			ERROR,
			(errcode(F6_ERR_INVALID_EVENT),
			 errmsg("a validation must reference a claim or a correction"),
			 errdetail(basis->count == 0 ? "It references no event."
										 : "It references only validations."),
			 errhint(
				 "Give in event_reference the ids of the events to which it gives legal force.")));
	if (kind == F6_CORRECTION && basis->count == 0)
		ereport(ERROR,
				(errcode(F6_ERR_INVALID_EVENT), errmsg("a correction must reference an event"),
				 errdetail("It references no event."),
				 errhint("Give in event_reference the ids of the events that it corrects.")));
}

/* basis_objects returns the union of the objects that the referenced events name, in the order of their first mention. */
static void
basis_objects(const f6_basis *basis, f6_uuids *objects)
{
	HASHCTL control = { .keysize = UUID_LEN, .entrysize = UUID_LEN, .hcxt = CurrentMemoryContext };
	HTAB *seen = hash_create("f6 objects", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	int room = 0;

	objects->count = 0;
	objects->ids = NULL;
	for (int i = 0; i < basis->count; i++)
	{
		f6_uuids named;

		f6_uuids_read(f6_event_value(&basis->events[i], F6_EVENT_OBJECT_IDS), "object_ids", &named);
		if (objects->count + named.count > room)
		{
			room = Max(2 * room, objects->count + named.count);
			objects->ids = objects->ids == NULL ? palloc(sizeof(pg_uuid_t) * room)
												: repalloc(objects->ids, sizeof(pg_uuid_t) * room);
		}
		for (int j = 0; j < named.count; j++)
		{
			bool found;

			hash_search(seen, &named.ids[j], HASH_ENTER, &found);
			if (!found)
				objects->ids[objects->count++] = named.ids[j];
		}
	}
	hash_destroy(seen);
}

/* read_known reads those of the events that a row references which are in the log. */
static void
read_known(Relation event, const f6_event_row *row, f6_basis *basis)
{
	f6_uuids references;

	f6_uuids_read(f6_event_value(row, F6_EVENT_REFERENCE), "event_reference", &references);
	basis->count = 0;
	basis->events = palloc_extended(sizeof(f6_event_row) * references.count, MCXT_ALLOC_HUGE);
	for (int i = 0; i < references.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (f6_event_find(event, UUIDPGetDatum(&references.ids[i]), &basis->events[basis->count]))
			basis->count++;
	}
}

/*
 * f6_basis_expect_objects returns the objects that a row names, or will name as it stands on others.  What is about to be
 * appended with it, or elsewhere, is not known yet.
 */
void
f6_basis_expect_objects(Relation event, const f6_event_row *row, f6_uuids *objects)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext working;
	f6_basis basis;
	f6_uuids found;

	objects->count = 0;
	objects->ids = NULL;
	if (f6_event_has(row, F6_EVENT_OBJECT_IDS))
		f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", objects);
	if (f6_event_has(row, F6_EVENT_OBJECT_IDS) || !f6_event_has(row, F6_EVENT_REFERENCE))
		return;
	working = AllocSetContextCreate(caller, "f6 basis", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(working);
	read_known(event, row, &basis);
	basis_objects(&basis, &found);
	MemoryContextSwitchTo(caller);
	objects->count = found.count;
	objects->ids = palloc(sizeof(pg_uuid_t) * Max(found.count, 1));
	for (int i = 0; i < found.count; i++)
		objects->ids[i] = found.ids[i];
	MemoryContextDelete(working);
}

/* check_covers refuses a row that leaves out objects of the events that it references; a reader of these learns which. */
static void
check_covers(Relation event, const f6_event_row *row, const f6_uuids *wanted)
{
	f6_uuids named;
	f6_uuids missing = { 0, palloc(sizeof(pg_uuid_t) * Max(wanted->count, 1)) };
	pg_uuid_t *sorted;

	f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", &named);
	sorted = palloc(sizeof(pg_uuid_t) * Max(named.count, 1));
	memcpy(sorted, named.ids, sizeof(pg_uuid_t) * named.count);
	qsort(sorted, named.count, sizeof(pg_uuid_t), f6_uuid_compare);
	for (int i = 0; i < wanted->count; i++)
	{
		if (bsearch(&wanted->ids[i], sorted, named.count, sizeof(pg_uuid_t), f6_uuid_compare) ==
			NULL)
			missing.ids[missing.count++] = wanted->ids[i];
	}
	if (missing.count > 0)
		ereport(
			ERROR,
			(errcode(F6_ERR_INVALID_EVENT),
			 errmsg("a correction or validation must name every object of the events that it "
					"references"),
			 f6_may_read(event) ? errdetail("Missing: %s.", f6_uuids_text(&missing)) : 0,
			 errhint(
				 "Leave object_ids out: the objects of the referenced events are the default.")));
}

/* f6_basis_complete_objects gives a correction or validation the objects of its basis, or checks that it names them. */
void
f6_basis_complete_objects(Relation event, f6_event_row *row, const f6_basis *basis)
{
	f6_uuids objects;

	basis_objects(basis, &objects);
	if (f6_event_has(row, F6_EVENT_OBJECT_IDS))
		check_covers(event, row, &objects);
	else
		f6_event_set(row, F6_EVENT_OBJECT_IDS, f6_uuids_array(&objects));
}

/* f6_objects_check refuses a row without objects, or with one that it names twice. */
void
f6_objects_check(const f6_event_row *row)
{
	f6_uuids objects = { 0, NULL };
	const pg_uuid_t *twice;

	if (f6_event_has(row, F6_EVENT_OBJECT_IDS))
		f6_uuids_read(f6_event_value(row, F6_EVENT_OBJECT_IDS), "object_ids", &objects);
	if (objects.count == 0)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("an event must name at least one object"),
				 errhint("Give in object_ids the objects that it concerns; f6_object_id makes one "
						 "of a natural key.")));
	twice = f6_uuids_duplicate(&objects);
	if (twice != NULL)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT), errmsg("object_ids must not contain duplicates"),
				 errdetail("%s occurs more than once.", f6_uuid_text(twice))));
}
