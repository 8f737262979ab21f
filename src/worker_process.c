/*
 * worker_process.c
 *		What f6's launcher and workers share as processes of the server: signals, waiting, transactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "f6.h"
#include "worker_process.h"

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

/* f6_worker_take_signals readies a process for the signals that it is sent. */
void
f6_worker_take_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, end_soon);
	BackgroundWorkerUnblockSignals();
}

/* f6_worker_wait waits for some milliseconds, or until somebody sets the latch, and does what signals have asked for meanwhile. */
void
f6_worker_wait(long milliseconds)
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

/* f6_worker_begin begins a transaction in which something can be read. */
void
f6_worker_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* f6_worker_commit commits it. */
void
f6_worker_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}
