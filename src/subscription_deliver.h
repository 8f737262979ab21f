/*
 * subscription_deliver.h
 *		Delivering the next events of a subscription, leased to a consumer.
 */
#ifndef F6_SUBSCRIPTION_DELIVER_H
#define F6_SUBSCRIPTION_DELIVER_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "subscription.h"

/* Who is handed an event, and for which time it is; the row is good until the next one. */
typedef void (*f6_delivery_receiver)(void *state, HeapTuple event, TupleDesc descriptor,
									 int attempt);

/* To whom events are delivered. */
typedef struct f6_delivering
{
	const f6_subscription *subscription;
	int max_events;
	char *consumer;
	Interval *lease;
	FmgrInfo *call_site; /* which keeps what upcasting needs */
	f6_delivery_receiver receive;
	void *state;
	/* of the last look */
	TimestampTz looked_at;
	TimestampTz due_at; /* when there may be more, though nobody appends */
	int64 horizon;
} f6_delivering;

/* What a look has come to. */
typedef enum f6_delivered
{
	F6_NOTHING,
	F6_NOTED, /* nothing, but it has been noted how far that goes, so there may be more after it */
	F6_DELIVERED
} f6_delivered;

extern f6_delivered f6_deliver(f6_delivering *delivering);

#endif /* F6_SUBSCRIPTION_DELIVER_H */
