/*
 * guc.h
 *		f6's settings.
 */
#ifndef F6_GUC_H
#define F6_GUC_H

/* f6.zone: the zone that appends belong to, as number, name or organisation/name */
extern char *f6_zone_setting;

/* f6.assert_format: does "format" refuse data of types that are registered from now on? */
extern bool f6_assert_format_setting;

/* f6.bulk_threshold: from how many locks on does an append in bulk take one for all? -1: max_locks_per_transaction */
extern int f6_bulk_threshold_setting;

/* f6.snapshot_events, f6.snapshot_time: after how many events that were read, or milliseconds, is a state kept? */
extern int f6_snapshot_events_setting;
extern int f6_snapshot_time_setting;
/* f6.notify: who tells listeners what is appended? */
typedef enum f6_notify
{
	F6_NOTIFY_AUTO,
	F6_NOTIFY_WORKER,
	F6_NOTIFY_COMMIT,
	F6_NOTIFY_OFF
} f6_notify;
extern int f6_notify_setting;

extern char *f6_databases_setting;
extern int f6_worker_interval_setting;
extern int f6_keep_runs_setting;

extern void f6_guc_init(void);

#endif /* F6_GUC_H */
