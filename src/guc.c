/*
 * guc.c
 *		f6's settings.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "f6.h"
#include "guc.h"

char *f6_zone_setting;
bool f6_assert_format_setting = true;
int f6_bulk_threshold_setting = -1;
int f6_snapshot_events_setting = 32;
int f6_snapshot_time_setting = 5;
char *f6_databases_setting;
int f6_worker_interval_setting = 100;
int f6_keep_runs_setting = 30;
int f6_notify_setting = F6_NOTIFY_AUTO;

static const struct config_enum_entry notify_options[] = { { "auto", F6_NOTIFY_AUTO, false },
														   { "worker", F6_NOTIFY_WORKER, false },
														   { "commit", F6_NOTIFY_COMMIT, false },
														   { "off", F6_NOTIFY_OFF, false },
														   { NULL, 0, false } };

/* f6_guc_init defines the settings; called once, when the library is loaded. */
void
f6_guc_init(void)
{
	/* So that each application, or each database, appends to its own zone without naming it in every event. */
	DefineCustomStringVariable("f6.zone", "The zone that appended events belong to.",
							   "A zone's number, organisation/name, or name.", &f6_zone_setting,
							   "default/default", PGC_USERSET, 0, NULL, NULL, NULL);

	/* What it says when a type is registered is stored with the type: a verdict depends on nobody's setting. */
	DefineCustomBoolVariable("f6.assert_format",
							 "Whether event types are registered with \"format\" as an assertion.",
							 "f6_register_event_type's parameter assert_format goes before it.",
							 &f6_assert_format_setting, true, PGC_USERSET, 0, NULL, NULL, NULL);

	/* Appends in bulk wait for all conditions, and conditions for them: so not before the lock table might fill up. */
	DefineCustomIntVariable(
		"f6.bulk_threshold", "How many types, objects and ids a transaction locks one by one.",
		"A transaction that appends to more takes one lock for all of them. -1 means "
		"max_locks_per_transaction.",
		&f6_bulk_threshold_setting, -1, -1, PG_INT32_MAX, PGC_USERSET, 0, NULL, NULL, NULL);

	/* Keeping a state costs a write: not for what is read again in a moment. */
	DefineCustomIntVariable(
		"f6.snapshot_events", "How many events of an object are read before its state is kept.",
		"Who asks for a state, and reads so many since the last one that was kept, keeps it for "
		"those "
		"who ask next. 0 keeps and uses none.",
		&f6_snapshot_events_setting, 32, 0, PG_INT32_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"f6.snapshot_time", "How long a state takes, in milliseconds, before it is kept.",
		"Goes beside f6.snapshot_events, for events that are few and large.",
		&f6_snapshot_time_setting, 5, 0, PG_INT32_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	/* So that projections are refreshed without anybody asking for it. */
	DefineCustomStringVariable("f6.databases", "The databases in which f6's worker runs.",
							   "A list of names; * stands for all. It needs f6 in "
							   "shared_preload_libraries.",
							   &f6_databases_setting, "", PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL,
							   NULL);
	DefineCustomIntVariable(
		"f6.worker_interval",
		"How long f6's worker waits, in milliseconds, when there is nothing to do.", NULL,
		&f6_worker_interval_setting, 100, 1, 60 * 1000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"f6.keep_runs", "How long, in days, f6's worker keeps what is logged of runs of reactions.",
		"-1 keeps it for good.", &f6_keep_runs_setting, 30, -1, 36500, PGC_SIGHUP, 0, NULL, NULL,
		NULL);

	/* Commits that notify go one by one. */
	DefineCustomEnumVariable("f6.notify", "Who notifies of what is appended.",
							 "auto, worker: f6's worker, where one runs; commit: each transaction "
							 "that appends; off: nobody.",
							 &f6_notify_setting, F6_NOTIFY_AUTO, notify_options, PGC_SUSET, 0, NULL,
							 NULL, NULL);

	MarkGUCPrefixReserved("f6");
}
