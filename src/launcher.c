/*
 * launcher.c
 *		Starting the workers of databases: the launcher, which sees to it that each database has the one that it should, and f6_start_worker.
 *
 * With f6 in shared_preload_libraries the launcher starts a worker in each database of f6.databases; without it, f6_start_worker does in the
 * current one.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "f6.h"
#include "errors.h"
#include "guc.h"
#include "launcher.h"
#include "lock.h"
#include "worker_process.h"

F6_FUNCTION(f6_start_worker);

extern PGDLLEXPORT void f6_launcher_main(Datum argument);

/* How long, in milliseconds, the launcher waits before it looks again. */
#define LAUNCHER_INTERVAL 10000

/* How long, in seconds, the server waits before it starts a launcher again that has ended. */
#define LAUNCHER_RESTART 1

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
	f6_worker_begin();
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
	f6_worker_commit();
	report_room(has_room);
}

/* f6_launcher_main is the launcher; the server starts it again when it ends. */
void
f6_launcher_main(Datum argument)
{
	(void) argument;
	f6_worker_take_signals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	for (;;)
	{
		launch_wanted();
		f6_worker_wait(LAUNCHER_INTERVAL);
	}
}

/* f6_launcher_init has the server start the launcher, where it loads the library when it starts. */
void
f6_launcher_init(void)
{
	BackgroundWorker launcher = { 0 };

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
	launcher.bgw_restart_time = LAUNCHER_RESTART;
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
