/*
 * rebuild_helper.c
 *		Background processes that take parts of a rebuild while the session is at others that has called f6_rebuild.
 *
 * They are as many as max_parallel_maintenance_workers says, of those that the server has left; a rebuild comes to its end without them.  They do
 * what another session would that calls it, and end when there is no part left that nobody is at, when a transaction of the session is aborted, or
 * with the session.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "projection_progress.h"
#include "projection_rebuild.h"

F6_FUNCTION(f6_help_rebuild);

extern PGDLLEXPORT void f6_rebuild_helper_main(Datum argument);

/* What a helper is told. */
typedef struct helper_task
{
	Oid database;
	Oid session_user;
	Oid user; /* as whom the session acts */
	int32 projection_id;
	int memory; /* maintenance_work_mem */
} helper_task;

/* Those that this session has started, but for those known to have ended. */
static List *helpers = NIL;

/* forget_ended forgets the helpers that have ended. */
static void
forget_ended(void)
{
	ListCell *cell;
	pid_t pid;

	foreach (cell, helpers)
	{
		if (GetBackgroundWorkerPid(lfirst(cell), &pid) != BGWH_STOPPED)
			continue;
		pfree(lfirst(cell));
		helpers = foreach_delete_current(helpers, cell);
	}
}

/* end_helpers ends the helpers. */
static void
end_helpers(void)
{
	ListCell *cell;

	foreach (cell, helpers)
		TerminateBackgroundWorker(lfirst(cell));
	list_free_deep(helpers);
	helpers = NIL;
}

/* end_with_transaction ends the helpers when a transaction of their session is aborted. */
static void
end_with_transaction(XactEvent event, void *argument)
{
	(void) argument;
	if (event == XACT_EVENT_ABORT)
		end_helpers();
}

/* end_with_session ends the helpers when their session ends. */
static void
end_with_session(int code, Datum argument)
{
	(void) code;
	(void) argument;
	end_helpers();
}

/* watch_session has the helpers end with what the session does. */
static void
watch_session(void)
{
	static bool is_watched = false;

	if (is_watched)
		return;
	RegisterXactCallback(end_with_transaction, NULL);
	before_shmem_exit(end_with_session, (Datum) 0);
	is_watched = true;
}

/* start_helper starts a helper, and tells whether the server had room for one. */
static bool
start_helper(const helper_task *task)
{
	BackgroundWorker worker = { 0 };
	BackgroundWorkerHandle *handle;
	MemoryContext caller;
	bool is_started;

	StaticAssertStmt(sizeof(helper_task) <= BGW_EXTRALEN, "a task must fit");
	/* Those of the server that are for queries and maintenance, as max_parallel_workers says. */
	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION | BGWORKER_CLASS_PARALLEL;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "f6", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "f6_rebuild_helper_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "f6 rebuild helper for PID %d", MyProcPid);
	strlcpy(worker.bgw_type, "f6 rebuild helper", sizeof(worker.bgw_type));
	memcpy(worker.bgw_extra, task, sizeof(helper_task));
	caller = MemoryContextSwitchTo(TopMemoryContext);
	is_started = RegisterDynamicBackgroundWorker(&worker, &handle);
	if (is_started)
		helpers = lappend(helpers, handle);
	MemoryContextSwitchTo(caller);
	return is_started;
}

/* f6.help_rebuild(name) starts helpers for a rebuild, so that each of its parts has somebody, as far as may be. */
Datum
f6_help_rebuild(PG_FUNCTION_ARGS)
{
	const f6_projection *projection = f6_projection_argument(fcinfo);
	helper_task task = { MyDatabaseId, GetSessionUserId(), GetUserId(), projection->id,
						 maintenance_work_mem };
	int count;

	f6_projection_check_owner(projection);
	/* A process that acts for the session is not started by code that acts for somebody else. */
	if (InSecurityRestrictedOperation())
		PG_RETURN_VOID();
	count = Min(f6_rebuild_parts_left(projection) - 1, max_parallel_maintenance_workers);
	watch_session();
	forget_ended();
	while (count > 0 && start_helper(&task))
		count--;
	PG_RETURN_VOID();
}

/* take_part takes a part of a rebuild in a transaction, and tells whether there was one. */
static bool
take_part(const helper_task *task)
{
	f6_projection *projection;
	bool is_taken;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SetUserIdAndSecContext(task->user, 0);
	PushActiveSnapshot(GetTransactionSnapshot());
	projection = f6_projection_of_id(task->projection_id);
	is_taken = projection != NULL && f6_rebuild_take_part(projection);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return is_taken;
}

/* f6_rebuild_helper_main is what a helper does. */
void
f6_rebuild_helper_main(Datum argument)
{
	helper_task task;

	(void) argument;
	memcpy(&task, MyBgworkerEntry->bgw_extra, sizeof(task));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(task.database, task.session_user, 0);
	pgstat_report_appname("f6 rebuild");
	SetConfigOption("maintenance_work_mem", psprintf("%dkB", task.memory), PGC_USERSET,
					PGC_S_SESSION);
	/* Whatever the settings of the database or of the role are. */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_RUNNING, "f6_rebuild");
	while (take_part(&task))
		CHECK_FOR_INTERRUPTS();
	proc_exit(0);
}
