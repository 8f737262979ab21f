/*
 * event_batch.c
 *		Events that are appended together: those before an event in its batch count as if the log held them.
 */
#include "postgres.h"

#include "utils/uuid.h"

#include "f6.h"
#include "event_batch.h"

/* An event of the batch, by its id. */
typedef struct batch_entry
{
	pg_uuid_t id;
	int number;
} batch_entry;

/* f6_batch_begin begins a batch of rows, none of which has been added yet; it lives in the current memory context. */
void
f6_batch_begin(f6_batch *batch, f6_event_row *rows, int room)
{
	HASHCTL control = { .keysize = UUID_LEN,
						.entrysize = sizeof(batch_entry),
						.hcxt = CurrentMemoryContext };

	batch->rows = rows;
	batch->count = 0;
	batch->by_id = NULL;
	if (room > 1)
		batch->by_id =
			hash_create("f6 batch", room, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* f6_batch_add adds the next row, which has an id. */
void
f6_batch_add(f6_batch *batch)
{
	Datum id = f6_event_value(&batch->rows[batch->count], F6_EVENT_ID);
	batch_entry *entry;
	bool found = true;

	if (batch->by_id != NULL)
		entry = hash_search(batch->by_id, DatumGetUUIDP(id), HASH_ENTER, &found);
	if (!found)
		entry->number = batch->count;
	batch->count++;
}

/* f6_batch_find returns the number of the event with an id, -1 if there is none; also without a batch. */
int
f6_batch_find(f6_batch *batch, Datum id)
{
	batch_entry *entry = NULL;

	if (batch != NULL && batch->by_id != NULL)
		entry = hash_search(batch->by_id, DatumGetUUIDP(id), HASH_FIND, NULL);
	return entry == NULL ? -1 : entry->number;
}
