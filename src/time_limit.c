/*
 * time_limit.c
 *		A limit to the time that something takes.
 *
 * It is a timer of f6's own: statement_timeout is the client's, and goes on beside it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/timeout.h"

#include "f6.h"
#include "time_limit.h"

/* The timer; MAX_TIMEOUTS: none yet. */
static TimeoutId timer = MAX_TIMEOUTS;

static volatile sig_atomic_t has_run_out = false;

/* run_out cancels what takes too long, as who cancels a statement does. */
static void
run_out(void)
{
	has_run_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* f6_time_limit_begin has what is done from now on be cancelled after some time. */
void
f6_time_limit_begin(int milliseconds)
{
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, run_out);
	has_run_out = false;
	enable_timeout_after(timer, milliseconds);
}

/* f6_time_limit_end ends that, and tells whether it took too long. */
bool
f6_time_limit_end(void)
{
	disable_timeout(timer, false);
	/* It may have run out a moment after what was to be cancelled; a client's own time-out is left to end its statement. */
	if (has_run_out && !get_timeout_indicator(STATEMENT_TIMEOUT, false))
		QueryCancelPending = false;
	return has_run_out;
}
