/*
 * schedule.h
 *		Schedules: events that are appended at the times that a cron expression says.
 */
#ifndef F6_SCHEDULE_H
#define F6_SCHEDULE_H

#include "datatype/timestamp.h"

/* A schedule, as far as appending its event takes. */
typedef struct f6_schedule
{
	char *name;
	char *timezone;
	Oid owner;
} f6_schedule;

/* What came of appending the event of a schedule. */
typedef struct f6_scheduled
{
	TimestampTz at; /* the time that it was due */
	TimestampTz next;
	bool has_next;
	int64 position;
} f6_scheduled;

extern void f6_schedule_append(const f6_schedule *schedule, TimestampTz until,
							   f6_scheduled *result);
extern TimestampTz f6_schedules_run(void);

#endif /* F6_SCHEDULE_H */
