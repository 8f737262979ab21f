/*
 * notify.h
 *		Telling who listens that there may be something to poll.
 */
#ifndef F6_NOTIFY_H
#define F6_NOTIFY_H

#include "datatype/timestamp.h"

extern void f6_notify_init(void);
extern void f6_notify_subscription(const char *name);
extern TimestampTz f6_notify_run(const char *name);

#endif /* F6_NOTIFY_H */
