/*
 * subscription.h
 *		Subscriptions, their partitions, and what consumers have failed at.
 */
#ifndef F6_SUBSCRIPTION_H
#define F6_SUBSCRIPTION_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/jsonb.h"

#include "event_row.h"
#include "uuid_array.h"

/* A subscription as it was made. */
typedef struct f6_subscription
{
	int32 id;
	char *name;
	Jsonb *query;
	int partitions;
	int attempts;
	Interval *backoff;
	Interval *max_backoff;
	Oid owner;
} f6_subscription;

/* How far a partition has come, and who is at it. */
typedef struct f6_partition
{
	int number;
	int64 position;		 /* what is up to there is done */
	int64 delivered;	 /* what is up to there is with the consumer, while the lease holds */
	int64 version;		 /* how often it has changed */
	int64 head;			 /* the first event that was delivered last */
	int64 careful_until; /* what is up to there is delivered one by one */
	int expirations;	 /* how often a lease has run out with that */
	char *consumer;		 /* NULL: none */
	Interval *lease;	 /* how long a lease holds that is not renewed */
	TimestampTz leased_until;
} f6_partition;

extern f6_subscription *f6_subscription_find(char *name);
extern f6_subscription *f6_subscription_get(FunctionCallInfo fcinfo);
extern void f6_subscription_check_snapshot(void);
extern int64 f6_subscription_position_argument(FunctionCallInfo fcinfo);
extern void f6_partitions_make(const f6_subscription *subscription);
extern void f6_partitions_change(const f6_subscription *subscription);
extern f6_partition *f6_partitions_read(const f6_subscription *subscription, int *count);
extern bool f6_partition_lock(const f6_subscription *subscription, int number, bool wait,
							  f6_partition *partition);
extern void f6_partition_write(const f6_subscription *subscription, const f6_partition *partition,
							   bool is_delivered, bool is_acknowledged);
extern int f6_partition_of(const f6_subscription *subscription, const pg_uuid_t *object);
extern int f6_partition_home(const f6_subscription *subscription, const f6_uuids *objects);
extern void f6_partition_lease(f6_partition *partition);
extern bool f6_partition_is_leased(const f6_partition *partition, TimestampTz now);

#endif /* F6_SUBSCRIPTION_H */
