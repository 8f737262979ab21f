/*
 * worker.c
 *		The background worker of a database: it does what is to be done when events have been appended, or when time has passed.
 *
 * What it does are jobs.  Each runs in a transaction of its own, or several, and none is kept from it by what another one fails at.  A job runs each
 * f6.worker_interval, or less often, when it is due by its own account, and, if it is a prompt one, when somebody has appended.  While appends keep coming the worker
 * rests between them, so that a burst of appends makes few passes.
 *
 * It waits in a transaction, since the server knows nobody as the holder of a lock who is in none: the lock by which who appends knows whom to wake
 * (waiting.c).  That transaction has no snapshot and no other lock, and so is in nobody's way.
 *
 * Whoever drops or renames the database waits for a few seconds that others leave it.  So the worker looks whether somebody has locked the
 * database, and ends if so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "guc.h"
#include "horizon.h"
#include "lock.h"
#include "notify.h"
#include "part.h"
#include "projection_progress.h"
#include "projection_refresh.h"
#include "reaction_watch.h"
#include "schedule.h"
#include "waiting.h"
#include "worker_process.h"

extern PGDLLEXPORT void f6_worker_main(Datum argument);

/* How long, in milliseconds, what has failed is left alone, and the worker waits where there is no f6. */
#define LONG_INTERVAL 1000

/* How long, in milliseconds, the worker rests at most between passes while appends keep coming. */
#define LONGEST_REST 50

#define HOUR (3600 * 1000)

/* A job.  Times at which it is due next: DT_NOBEGIN is at once, DT_NOEND when somebody has appended. */
typedef struct worker_job
{
	const char *what; /* what it does, as its errors say it */
	bool is_prompt;	  /* is it to run as soon as somebody has appended? */
	List *(*names)(
		void); /* what it is to be run for, each in a transaction of its own; NULL: it is run once, with no name */
	TimestampTz (*run)(
		const char *name); /* runs it in a transaction, and returns when it is due next */
	int interval;		   /* in milliseconds; 0: f6.worker_interval */
	TimestampTz ran_at;
	TimestampTz due_at;
} worker_job;

/* A job, for a name if it has any, that failed, and until when it is left alone. */
typedef struct failure
{
	const worker_job *job;
	char *name;
	TimestampTz until;
} failure;

static TimestampTz refresh_projection(const char *name);
static TimestampTz run_schedule(const char *name);

/* The jobs, in the order in which they run. */
static worker_job jobs[] = {
	{ .what = "notifying", .is_prompt = true, .run = f6_notify_run },
	{ .what = "reacting",
	  .is_prompt = true,
	  .names = f6_reactions_ready,
	  .run = f6_reaction_react },
	{ .what = "refreshing projection", .names = f6_projections_async, .run = refresh_projection },
	{ .what = "running schedules", .run = run_schedule },
	{ .what = "forgetting runs of reactions", .run = f6_reaction_forget_runs, .interval = HOUR },
};

static List *failures = NIL;

/* refresh_projection takes some events into a projection. */
static TimestampTz
refresh_projection(const char *name)
{
	f6_refreshed result = f6_projection_refresh_safely(name, F6_EVENTS_PER_REFRESH);

	if (result.error != NULL)
		ereport(LOG, (errmsg("projection \"%s\" could not be refreshed", name),
					  errdetail_internal("%s", result.error), errhidecontext(true)));
	return result.is_done ? DT_NOEND : DT_NOBEGIN;
}

/* run_schedule appends the event of a schedule that is due. */
static TimestampTz
run_schedule(const char *name)
{
	(void) name;
	return f6_schedules_run();
}

/* leave_if_locked ends the process when somebody has locked its database, as who drops, renames or copies it does. */
static void
leave_if_locked(void)
{
	LOCKTAG tag;

	/* The mode that whoever connects takes. */
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		proc_exit(0);
	LockRelease(&tag, RowExclusiveLock, false);
}

/* clean_session leaves nothing to the next job of what functions of users that one has run may have left in the session. */
static void
clean_session(void)
{
	ResetTempTableNamespace();
	/* They may release advisory locks, too, even that of the worker. */
	if (!f6_lock_worker(false))
		proc_exit(0);
	LockReleaseSession(USER_LOCKMETHOD);
	(void) f6_lock_worker(true);
}

/*
 * hold_f6 keeps the extension from being dropped until the transaction ends, and tells whether it is there.  Who drops it locks it first
 * and its tables after that: who is in the midst of these must have done the same.
 */
static bool
hold_f6(void)
{
	Oid extension = get_extension_oid("f6", true);

	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return get_extension_oid("f6", true) == extension;
}

/* begin begins a transaction for a job, and tells whether there is an f6. */
static bool
begin(void)
{
	f6_worker_begin();
	leave_if_locked();
	return hold_f6();
}

/* read_names returns what a job is to be run for, in a memory context. */
static List *
read_names(MemoryContext context, const worker_job *job)
{
	List *names = NIL;

	if (begin())
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		names = job->names();
		MemoryContextSwitchTo(caller);
	}
	f6_worker_commit();
	return names;
}

/* run_one runs a job for a name, and returns when that is due next. */
static TimestampTz
run_one(const worker_job *job, const char *name)
{
	TimestampTz due_at = DT_NOEND;

	if (begin())
	{
		pgstat_report_activity(STATE_RUNNING, name != NULL ? name : job->what);
		/* One that failed has not come to do so. */
		clean_session();
		due_at = job->run(name);
		clean_session();
	}
	f6_worker_commit();
	return due_at;
}

/* report_error reports the error that has been caught, and ends the transaction that it came from. */
static void
report_error(MemoryContext context)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	RESUME_INTERRUPTS();
}

/* note_failure has a job be left alone for a while, for a name if it has any, and returns until when. */
static TimestampTz
note_failure(const worker_job *job, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	failure *failed = palloc(sizeof(failure));

	failed->job = job;
	failed->name = name != NULL ? pstrdup(name) : NULL;
	failed->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONG_INTERVAL);
	failures = lappend(failures, failed);
	MemoryContextSwitchTo(caller);
	return failed->until;
}

/* is_of tells whether a failure is that of a job for a name. */
static bool
is_of(const failure *failed, const worker_job *job, const char *name)
{
	return failed->job == job &&
		   (name == NULL ? failed->name == NULL
						 : failed->name != NULL && strcmp(failed->name, name) == 0);
}

/* failed_until returns until when a job is left alone, for a name if it has any; DT_NOBEGIN: it is not. */
static TimestampTz
failed_until(const worker_job *job, const char *name)
{
	ListCell *cell;

	foreach (cell, failures)
	{
		const failure *failed = lfirst(cell);

		if (is_of(failed, job, name))
			return failed->until;
	}
	return DT_NOBEGIN;
}

/* forget_failures forgets those that have been left alone for long enough. */
static void
forget_failures(void)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell *cell;

	foreach (cell, failures)
	{
		failure *failed = lfirst(cell);

		if (failed->until > now)
			continue;
		failures = foreach_delete_current(failures, cell);
		if (failed->name != NULL)
			pfree(failed->name);
		pfree(failed);
	}
}

/* run_safely runs a job for a name, unless that has failed lately, and returns when it is due next; an error is reported, and ends there. */
static TimestampTz
run_safely(MemoryContext context, const worker_job *job, const char *name)
{
	volatile TimestampTz due_at = failed_until(job, name);

	if (due_at != DT_NOBEGIN)
		return due_at;
	PG_TRY();
	{
		due_at = run_one(job, name);
	}
	PG_CATCH();
	{
		report_error(context);
		due_at = note_failure(job, name);
	}
	PG_END_TRY();
	(void) pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return due_at;
}

/* names_safely returns what a job is to be run for; an error is reported, and taken as one of the job. */
static List *
names_safely(MemoryContext context, const worker_job *job)
{
	List *volatile names = NIL;

	if (job->names == NULL)
		return list_make1(NULL);
	if (failed_until(job, NULL) != DT_NOBEGIN)
		return NIL;
	PG_TRY();
	{
		names = read_names(context, job);
	}
	PG_CATCH();
	{
		report_error(context);
		(void) note_failure(job, NULL);
	}
	PG_END_TRY();
	return names;
}

/* say_job adds to an error in which job it came about. */
static void
say_job(void *argument)
{
	const worker_job *job = argument;

	errcontext("f6's worker, %s", job->what);
}

/* run_job runs a job for all that it is to be run for, and notes when it is due next. */
static void
run_job(MemoryContext context, worker_job *job)
{
	ErrorContextCallback callback = { error_context_stack, say_job, job };
	List *names;
	ListCell *cell;

	error_context_stack = &callback;
	MemoryContextSwitchTo(context);
	names = names_safely(context, job);
	job->due_at = DT_NOEND;
	foreach (cell, names)
	{
		TimestampTz due_at = run_safely(context, job, lfirst(cell));

		job->due_at = Min(job->due_at, due_at);
	}
	job->ran_at = GetCurrentTimestamp();
	error_context_stack = callback.previous;
}

/* next_due returns when a job is due, though nobody appends. */
static TimestampTz
next_due(const worker_job *job)
{
	int interval = job->interval != 0 ? job->interval : f6_worker_interval_setting;

	return Min(job->due_at, TimestampTzPlusMilliseconds(job->ran_at, interval));
}

/* run_jobs runs the jobs that are due. */
static void
run_jobs(MemoryContext context, bool is_woken)
{
	forget_failures();
	for (int i = 0; i < (int) lengthof(jobs); i++)
	{
		if ((is_woken && jobs[i].is_prompt) || next_due(&jobs[i]) <= GetCurrentTimestamp())
			run_job(context, &jobs[i]);
	}
	MemoryContextReset(context);
}

/* time_left returns for how long, in milliseconds, no job is due. */
static long
time_left(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz first = DT_NOEND;

	for (int i = 0; i < (int) lengthof(jobs); i++)
		first = Min(first, next_due(&jobs[i]));
	/* From minus infinity there is no difference. */
	return first <= now ? 0 : TimestampDifferenceMilliseconds(now, first);
}

/* read_horizon returns the horizon, and leaves no lock behind; -1: there is no f6. */
static int64
read_horizon(void)
{
	f6_part part;
	int64 horizon = -1;

	f6_part_begin(&part);
	leave_if_locked();
	if (hold_f6())
		horizon = f6_horizon_now(false);
	f6_part_end(&part, false);
	/* What the catalog was read by would keep rows from being vacuumed. */
	InvalidateCatalogSnapshot();
	return horizon;
}

/* wait_until_woken waits until the horizon is another one than it was, some milliseconds at most, and tells whether it is. */
static bool
wait_until_woken(long milliseconds, int64 *horizon)
{
	int64 before = *horizon;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	f6_waiting_begin();
	*horizon = read_horizon();
	if (*horizon == before)
	{
		f6_worker_wait(*horizon < 0 ? LONG_INTERVAL : milliseconds);
		CHECK_FOR_INTERRUPTS();
		*horizon = read_horizon();
	}
	CommitTransactionCommand();
	return *horizon != before;
}

/* wait_safely does so; an error is reported. */
static bool
wait_safely(MemoryContext context, long milliseconds, int64 *horizon)
{
	volatile bool is_woken = false;
	volatile bool has_failed = false;

	PG_TRY();
	{
		is_woken = wait_until_woken(milliseconds, horizon);
	}
	PG_CATCH();
	{
		report_error(context);
		has_failed = true;
	}
	PG_END_TRY();
	if (has_failed)
		f6_worker_wait(LONG_INTERVAL);
	return is_woken;
}

/* wait_and_rest waits until there is something to do, and tells whether somebody has appended; soon after it worked on that it rests first. */
static bool
wait_and_rest(MemoryContext context, int64 *horizon)
{
	static int rest = 0;
	static bool was_woken = false;
	static TimestampTz worked_at = 0;
	long milliseconds = time_left();

	if (was_woken)
		worked_at = GetCurrentTimestamp();
	was_woken = wait_safely(context, milliseconds, horizon);
	/* What is due at once keeps nobody waiting. */
	if (!was_woken || milliseconds == 0)
		return was_woken;
	if (TimestampDifferenceExceeds(worked_at, GetCurrentTimestamp(), LONGEST_REST))
		rest = 0;
	else
	{
		rest = Min(Max(2 * rest, 1), LONGEST_REST);
		pg_usleep(rest * 1000L);
	}
	return true;
}

/* is_only_one tells whether this is the only worker of the database. */
static bool
is_only_one(void)
{
	bool is_only;

	StartTransactionCommand();
	is_only = f6_lock_worker(true);
	CommitTransactionCommand();
	return is_only;
}

/* set_defaults has transactions be what the worker needs, whatever the database's settings are. */
static void
set_defaults(void)
{
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("application_name", "f6 worker", PGC_USERSET, PGC_S_SESSION);
	/* From PostgreSQL 17 on. */
	if (GetConfigOption("transaction_timeout", true, false) != NULL)
		SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
}

/* end_well has the server not start a worker again that somebody has ended. */
static void
end_well(int code, Datum argument)
{
	(void) argument;
	if (code != 0 && ShutdownRequestPending)
		proc_exit(0);
}

/* f6_worker_main is the worker of the database that its argument says. */
void
f6_worker_main(Datum argument)
{
	MemoryContext context;
	int64 horizon = -1;

	on_proc_exit(end_well, (Datum) 0);
	f6_worker_take_signals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
	set_defaults();
	if (!is_only_one())
		proc_exit(0);
	context = AllocSetContextCreate(TopMemoryContext, "f6 worker", ALLOCSET_DEFAULT_SIZES);
	for (;;)
		run_jobs(context, wait_and_rest(context, &horizon));
}
