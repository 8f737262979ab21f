/*
 * uuid_array.c
 *		Arrays of UUIDs, as the log's columns hold them.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

#include "f6.h"
#include "errors.h"
#include "uuid.h"
#include "uuid_array.h"

/* f6_uuids_read returns the elements of an array; one that is NULL, or more than one dimension, is an error. */
void
f6_uuids_read(Datum array, const char *column, f6_uuids *uuids)
{
	ArrayType *ids = DatumGetArrayTypeP(array);

	if (ARR_NDIM(ids) > 1)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("%s must have one dimension", column),
						errdetail("It has %d.", ARR_NDIM(ids))));
	if (array_contains_nulls(ids))
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT), errmsg("%s must not contain NULL", column)));
	uuids->count = ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids));
	uuids->ids = (pg_uuid_t *) ARR_DATA_PTR(ids);
}

/* f6_uuids_array returns the ids as an array. */
Datum
f6_uuids_array(const f6_uuids *uuids)
{
	Datum *elements = palloc(sizeof(Datum) * Max(uuids->count, 1));

	for (int i = 0; i < uuids->count; i++)
		elements[i] = UUIDPGetDatum(&uuids->ids[i]);
	return PointerGetDatum(
		construct_array(elements, uuids->count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
}

/* f6_uuids_duplicate returns an id that occurs twice, or NULL. */
const pg_uuid_t *
f6_uuids_duplicate(const f6_uuids *uuids)
{
	pg_uuid_t *sorted;

	if (uuids->count < 2)
		return NULL;
	sorted = palloc(sizeof(pg_uuid_t) * uuids->count);
	memcpy(sorted, uuids->ids, sizeof(pg_uuid_t) * uuids->count);
	qsort(sorted, uuids->count, sizeof(pg_uuid_t), f6_uuid_compare);
	for (int i = 1; i < uuids->count; i++)
	{
		if (f6_uuid_compare(&sorted[i - 1], &sorted[i]) == 0)
			return &sorted[i];
	}
	pfree(sorted);
	return NULL;
}

/* f6_uuids_text lists the ids for a message. */
char *
f6_uuids_text(const f6_uuids *uuids)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < uuids->count; i++)
		appendStringInfo(&list, "%s%s", i == 0 ? "" : ", ", f6_uuid_text(&uuids->ids[i]));
	return list.data;
}
