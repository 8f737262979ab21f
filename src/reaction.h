/*
 * reaction.h
 *		Reactions: functions that the worker runs for the events of a subscription.
 */
#ifndef F6_REACTION_H
#define F6_REACTION_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#include "acting.h"
#include "subscription.h"

/* The consumer that a reaction is to its subscription. */
#define F6_REACTION_CONSUMER "f6 worker"

/* A reaction as it was made. */
typedef struct f6_reaction
{
	f6_subscription *subscription; /* which has its name, too */
	char *handler_text;
	char *due_text; /* NULL: none */
	Interval *delay;
	bool is_limited; /* is it about some objects only? */
	f6_uuids only_objects;
	bool is_enabled;
	int timeout; /* in milliseconds */
	int max_chain;
	char *time_zone;
	/* what is kept as long as this: */
	FmgrInfo handler; /* its fn_oid is invalid until it is looked up */
	FmgrInfo due;
	FmgrInfo upcasts; /* the call site of upcasting */
	MemoryContext context;
} f6_reaction;

/* An event that is reacted to. */
typedef struct f6_reaction_event
{
	Datum row; /* a value of type f6.event, as it is stored */
	int64 position;
	pg_uuid_t id;
	TimestampTz created_at;
	f6_uuids objects;
	Jsonb *metadata; /* NULL: none */
	int attempt;
} f6_reaction_event;

extern f6_reaction *f6_reaction_find(char *name);
extern void f6_reaction_act(const f6_reaction *reaction, f6_acting *before);
extern bool f6_reaction_is_about(const f6_reaction *reaction, const f6_reaction_event *event);
extern f6_reaction_event *f6_reaction_event_of(HeapTuple row, TupleDesc descriptor, int attempt);

#endif /* F6_REACTION_H */
