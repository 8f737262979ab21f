/*
 * worker_process.h
 *		What f6's launcher and workers share as processes of the server: signals, waiting, transactions.
 */
#ifndef F6_WORKER_PROCESS_H
#define F6_WORKER_PROCESS_H

extern void f6_worker_take_signals(void);
extern void f6_worker_wait(long milliseconds);
extern void f6_worker_begin(void);
extern void f6_worker_commit(void);

#endif /* F6_WORKER_PROCESS_H */
