/*
 * event_json.h
 *		Events as JSON: the batch form of f6_append.
 */
#ifndef F6_EVENT_JSON_H
#define F6_EVENT_JSON_H

#include "utils/jsonb.h"

#include "event.h"

extern f6_event_row *f6_events_from_json(Relation event, Jsonb *events, int *count);

#endif /* F6_EVENT_JSON_H */
