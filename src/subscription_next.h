/*
 * subscription_next.h
 *		What a partition of a subscription has to deliver next.
 */
#ifndef F6_SUBSCRIPTION_NEXT_H
#define F6_SUBSCRIPTION_NEXT_H

#include "reading.h"
#include "subscription.h"

/* An event that is parked, or is to be. */
typedef struct f6_parked
{
	int64 position;
	int partition;
	f6_uuids objects;
	int attempts;
	int64 waits_for; /* the parked event of the same object that it waits for; 0: none */
	bool replay;
	bool is_delivered;
	bool is_done; /* it is only known because something before it is not done */
} f6_parked;

/* An event that consumers have failed at. */
typedef struct f6_failure
{
	int64 position;
	int attempts;
	TimestampTz retry_at;
} f6_failure;

/* What somebody sees who looks for events. */
typedef struct f6_looking
{
	MemoryContext context;
	const f6_subscription *subscription;
	TimestampTz now;
	f6_reading read;
	int partition_count;
	f6_partition *partitions;
	int parked_count;
	f6_parked *parked; /* by position */
	int failure_count;
	f6_failure *failures;
	TimestampTz due_at; /* when there may be more, though nobody appends */
} f6_looking;

/* What a partition has to deliver. */
typedef struct f6_next
{
	f6_found found;
	int *attempts;	/* for which time each is delivered */
	bool is_replay; /* are they parked ones? */
	bool has_head;	/* has the first been met that may be delivered? */
	bool is_cut;	/* may there be more after what has been looked at? */
	int64 until;	/* all up to there has been looked at */
	int64 seen;		/* how many events that was */
	List *
		parked; /* of f6_parked: those that are to be parked, because they wait for others, or leases ran out */
} f6_next;

extern void f6_looking_begin(f6_looking *looking, const f6_subscription *subscription);
extern void f6_looking_end(f6_looking *looking);
extern bool f6_looking_is_left(const f6_looking *looking, int64 position);
extern void f6_next_look(f6_looking *looking, const f6_partition *partition, int max_events,
						 f6_next *next);
extern bool f6_partition_has_expired(const f6_looking *looking, const f6_partition *partition);

#endif /* F6_SUBSCRIPTION_NEXT_H */
