/*
 * projection_event.h
 *		Events as a projection takes them: the claims that it counts, and the keys of the rows that each event concerns.
 */
#ifndef F6_PROJECTION_EVENT_H
#define F6_PROJECTION_EVENT_H

#include "access/htup.h"

#include "claim_type.h"
#include "event_row.h"
#include "projection.h"
#include "projection_key.h"
#include "state.h"

/* What reads events for a projection. */
typedef struct f6_projection_reader
{
	f6_projection *projection;
	f6_acting *acting;
	int64 until; /* no event after this position counts; 0: all that there are */
	f6_claim_types *types;
	TupleDesc descriptor; /* of events */
	Datum *values;		  /* room for the columns of one */
	bool *nulls;
	Oid claim_kind;
	Oid correction_kind;
} f6_projection_reader;

/* An event that has been read. */
typedef struct f6_projection_event
{
	HeapTupleHeader header;
	f6_event_row row;
	Oid kind;
	bool is_claim;
} f6_projection_event;

extern f6_projection_reader *f6_projection_reader_begin(f6_projection *projection, int64 until,
														f6_acting *acting);
extern void f6_projection_reader_end(f6_projection_reader *reader);
extern void f6_projection_event_read(const f6_projection_reader *reader, Datum datum,
									 f6_projection_event *event);
extern pg_uuid_t *f6_projection_event_id(const f6_projection_event *event);
extern int64 f6_projection_event_position(const f6_projection_event *event);
extern bool f6_projection_claim_read(f6_projection_reader *reader, const f6_projection_event *event,
									 bool legal, f6_claim *claim);
extern void f6_projection_claim_keys(f6_projection_reader *reader, f6_claim_types *types,
									 const f6_claim *claim, f6_key_receiver receive, void *state);
extern void f6_projection_decision_keys(f6_projection_reader *reader,
										const f6_projection_event *event, f6_key_receiver receive,
										void *state);
extern void f6_projection_reading_begin(void);

#endif /* F6_PROJECTION_EVENT_H */
