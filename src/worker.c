/*
 * worker.c
 *		The background worker of a database, and the launcher that sees to it that each database has the one that it should.
 *
 * The worker refreshes projections, in the order of the log and batch by batch, each in a transaction of its own.  With f6 in
 * shared_preload_libraries the launcher starts a worker in each database of f6.databases; without it, f6_start_worker does in the current one.
 * A database has at most one.
 *
 * Whoever drops or renames the database waits for a few seconds that others leave it.  So the worker looks whether somebody has locked the
 * database, and ends if so.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
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
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "f6.h"
#include "errors.h"
#include "guc.h"
#include "lock.h"
#include "projection_progress.h"
#include "projection_refresh.h"
#include "worker.h"

F6_FUNCTION(f6_start_worker);

extern PGDLLEXPORT void f6_worker_main(Datum argument);
extern PGDLLEXPORT void f6_launcher_main(Datum argument);

/*
 * How long, in milliseconds, the launcher waits before it looks again, and the worker after an error or where there is no f6, or the server
 * before it starts a launcher that has ended.
 */
#define LAUNCHER_INTERVAL 10000
#define LONG_INTERVAL	  1000

/* A database's worker, as the launcher knows it. */
typedef struct launched
{
	Oid database;
	BackgroundWorkerHandle *handle;
} launched;

/* The workers that the launcher has started. */
static List *workers = NIL;

/* Was there no room for one? */
static bool is_full;

/* end_soon has the process end: at once where it waits, by an error that nobody can catch where it works. */
static void
end_soon(SIGNAL_ARGS)
{
	int saved = errno;

	(void) postgres_signal_arg;
	ShutdownRequestPending = true;
	ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
	errno = saved;
}

/* wait_for waits for some milliseconds, or for a signal. */
static void
wait_for(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (ShutdownRequestPending)
		proc_exit(1);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* take_signals readies a process for the signals that it is sent. */
static void
take_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, end_soon);
	BackgroundWorkerUnblockSignals();
}

/* begin_transaction begins a transaction in which something can be read. */
static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* end_transaction commits it. */
static void
end_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
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

/* clean_session leaves nothing to the next projection of what functions of one may have left in the session. */
static void
clean_session(void)
{
	ResetTempTableNamespace();
	/* They may release advisory locks, too, even that of the worker. */
	LockReleaseSession(USER_LOCKMETHOD);
	if (!f6_lock_worker())
		proc_exit(0);
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

/* read_names returns the names of the projections that are refreshed, in a memory context; none where there is no f6. */
static List *
read_names(MemoryContext context, bool *is_f6_there)
{
	List *names = NIL;
	MemoryContext caller;

	begin_transaction();
	leave_if_locked();
	*is_f6_there = hold_f6();
	if (*is_f6_there)
	{
		caller = MemoryContextSwitchTo(context);
		names = f6_projections_async();
		MemoryContextSwitchTo(caller);
	}
	end_transaction();
	return names;
}

/* refresh_one takes some events into a projection, and tells whether there is nothing left to be taken now. */
static bool
refresh_one(MemoryContext context, const char *name)
{
	f6_refreshed result = { .is_done = true };

	begin_transaction();
	leave_if_locked();
	pgstat_report_activity(STATE_RUNNING, name);
	if (hold_f6())
		result = f6_projection_refresh_safely(name, F6_EVENTS_PER_REFRESH);
	if (result.events > 0 || result.error != NULL)
		clean_session();
	if (result.error != NULL)
		result.error = MemoryContextStrdup(context, result.error);
	end_transaction();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	if (result.error != NULL)
		ereport(LOG, (errmsg("projection \"%s\" could not be refreshed", name),
					  errdetail_internal("%s", result.error)));
	return result.is_done;
}

/* work does what there is to do, and returns how long, in milliseconds, to wait before the next look; 0: there is more. */
static long
work(MemoryContext context)
{
	bool is_f6_there;
	bool is_done = true;
	List *names;
	ListCell *cell;

	CHECK_FOR_INTERRUPTS();
	names = read_names(context, &is_f6_there);
	foreach (cell, names)
		is_done = refresh_one(context, lfirst(cell)) && is_done;
	if (!is_f6_there)
		return LONG_INTERVAL;
	return is_done ? f6_worker_interval_setting : 0;
}

/* work_safely does so, and reports an error. */
static long
work_safely(MemoryContext context)
{
	volatile long wait = LONG_INTERVAL;

	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		wait = work(context);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextReset(context);
	(void) pgstat_report_stat(false);
	return wait;
}

/* is_only_one tells whether this is the only worker of the database. */
static bool
is_only_one(void)
{
	bool is_only;

	StartTransactionCommand();
	is_only = f6_lock_worker();
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

	on_proc_exit(end_well, (Datum) 0);
	take_signals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
	pgstat_report_appname("f6 worker");
	set_defaults();
	if (!is_only_one())
		proc_exit(0);
	context = AllocSetContextCreate(TopMemoryContext, "f6 worker", ALLOCSET_DEFAULT_SIZES);
	for (;;)
		wait_for(work_safely(context));
}

/* describe_worker fills in what the server is to know of a worker of a database. */
static void
describe_worker(BackgroundWorker *worker, Oid database, int restart)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = restart;
	strlcpy(worker->bgw_library_name, "f6", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, "f6_worker_main", sizeof(worker->bgw_function_name));
	snprintf(worker->bgw_name, sizeof(worker->bgw_name), "f6 worker of database %u", database);
	strlcpy(worker->bgw_type, "f6 worker", sizeof(worker->bgw_type));
	worker->bgw_main_arg = ObjectIdGetDatum(database);
}

/* forget_stopped forgets the workers that run no longer. */
static void
forget_stopped(void)
{
	ListCell *cell;

	foreach (cell, workers)
	{
		launched *worker = lfirst(cell);
		pid_t pid;

		if (GetBackgroundWorkerPid(worker->handle, &pid) != BGWH_STOPPED)
			continue;
		workers = foreach_delete_current(workers, cell);
		pfree(worker->handle);
		pfree(worker);
	}
}

/* running returns the worker that the launcher has running in a database; NULL: none. */
static launched *
running(Oid database)
{
	ListCell *cell;

	foreach (cell, workers)
	{
		launched *worker = lfirst(cell);

		if (worker->database == database)
			return worker;
	}
	return NULL;
}

/* report_room says, once, that there is no room for a worker. */
static void
report_room(bool has_room)
{
	if (!has_room && !is_full)
		ereport(LOG,
				(errmsg("there is no room for all of f6's workers"),
				 errhint("Raise max_worker_processes, or name fewer databases in f6.databases.")));
	is_full = !has_room;
}

/* launch starts a worker in a database, unless it has one; false: there is no room for it. */
static bool
launch(Oid database)
{
	BackgroundWorker description;
	BackgroundWorkerHandle *handle;
	MemoryContext caller;
	launched *worker;

	if (running(database) != NULL || f6_lock_worker_process(database) != 0)
		return true;
	describe_worker(&description, database, BGW_NEVER_RESTART);
	caller = MemoryContextSwitchTo(TopMemoryContext);
	if (RegisterDynamicBackgroundWorker(&description, &handle))
	{
		worker = palloc(sizeof(launched));
		worker->database = database;
		worker->handle = handle;
		workers = lappend(workers, worker);
	}
	MemoryContextSwitchTo(caller);
	return running(database) != NULL;
}

/* end_worker ends the worker that the launcher has started in a database. */
static void
end_worker(Oid database)
{
	launched *worker = running(database);

	if (worker != NULL)
		TerminateBackgroundWorker(worker->handle);
}

/* is_wanted tells whether a database is one of those that f6.databases names. */
static bool
is_wanted(const char *database)
{
	char *setting = pstrdup(f6_databases_setting);
	List *names;
	ListCell *cell;

	if (!SplitGUCList(setting, ',', &names))
		return false;
	foreach (cell, names)
	{
		if (strcmp(lfirst(cell), "*") == 0 || strcmp(lfirst(cell), database) == 0)
			return true;
	}
	return false;
}

/* launch_wanted starts the workers that are to be there, and ends those that are not. */
static void
launch_wanted(void)
{
	Relation databases;
	TableScanDesc scan;
	HeapTuple row;
	bool has_room = true;

	forget_stopped();
	begin_transaction();
	databases = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(databases, 0, NULL);
	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(row);

		if (database->datallowconn && !database->datistemplate &&
			is_wanted(NameStr(database->datname)))
			has_room = launch(database->oid) && has_room;
		else
			end_worker(database->oid);
	}
	table_endscan(scan);
	table_close(databases, AccessShareLock);
	end_transaction();
	report_room(has_room);
}

/* f6_launcher_main is the launcher; the server starts it again when it ends. */
void
f6_launcher_main(Datum argument)
{
	(void) argument;
	take_signals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	for (;;)
	{
		launch_wanted();
		wait_for(LAUNCHER_INTERVAL);
	}
}

/* f6_worker_init has the server start the launcher, where it loads the library when it starts. */
void
f6_worker_init(void)
{
	BackgroundWorker launcher = { 0 };

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
	launcher.bgw_restart_time = LONG_INTERVAL / 1000;
	strlcpy(launcher.bgw_library_name, "f6", sizeof(launcher.bgw_library_name));
	strlcpy(launcher.bgw_function_name, "f6_launcher_main", sizeof(launcher.bgw_function_name));
	strlcpy(launcher.bgw_name, "f6 launcher", sizeof(launcher.bgw_name));
	strlcpy(launcher.bgw_type, "f6 launcher", sizeof(launcher.bgw_type));
	RegisterBackgroundWorker(&launcher);
}

/* wait_for_worker waits until a worker is the database's, and returns its process; 0: another one is, and this one has ended. */
static int
wait_for_worker(BackgroundWorkerHandle *handle)
{
	pid_t pid = 0;

	while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
	{
		if (pid != 0 && f6_lock_worker_process(MyDatabaseId) == (int) pid)
			return (int) pid;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return 0;
}

/* f6_start_worker() starts the worker of the current database, and returns its process; NULL: there is one already. */
Datum
f6_start_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorker description;
	BackgroundWorkerHandle *handle;
	int process;

	(void) fcinfo;
	PreventCommandDuringRecovery("f6_start_worker()");
	if (f6_lock_worker_process(MyDatabaseId) != 0)
		PG_RETURN_NULL();
	describe_worker(&description, MyDatabaseId, LAUNCHER_INTERVAL / 1000);
	description.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&description, &handle))
		ereport(ERROR, (errcode(F6_ERR_TOO_MANY), errmsg("there is no room for another worker"),
						errhint("Raise max_worker_processes.")));
	process = wait_for_worker(handle);
	if (process == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(process);
}
