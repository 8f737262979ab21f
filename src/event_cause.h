/*
 * event_cause.h
 *		Because of which event others are appended.
 */
#ifndef F6_EVENT_CAUSE_H
#define F6_EVENT_CAUSE_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "event_row.h"

/* What reacts to which event. */
typedef struct f6_cause
{
	const char *reaction; /* NULL: none, there is only a user */
	pg_uuid_t event;
	Jsonb *metadata; /* of that event; NULL: none */
	Oid user;		 /* as whom */
} f6_cause;

extern const f6_cause *f6_cause_set(const f6_cause *cause);
extern bool f6_cause_is_set(void);
extern Oid f6_cause_user(void);
extern void f6_cause_note(f6_event_row *row);
extern bool f6_cause_of(const Jsonb *metadata, pg_uuid_t *event);

#endif /* F6_EVENT_CAUSE_H */
