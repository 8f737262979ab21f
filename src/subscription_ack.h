/*
 * subscription_ack.h
 *		What consumers say of the events that they were given.
 */
#ifndef F6_SUBSCRIPTION_ACK_H
#define F6_SUBSCRIPTION_ACK_H

#include "subscription.h"

extern void f6_subscription_ack(const f6_subscription *subscription, int64 position,
								const char *consumer, bool gives_back);
extern bool f6_subscription_nack(const f6_subscription *subscription, int64 position,
								 const char *consumer, const char *reason, bool for_good,
								 TimestampTz *retry_at);

#endif /* F6_SUBSCRIPTION_ACK_H */
