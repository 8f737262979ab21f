/*
 * worker.h
 *		The background worker of a database.
 */
#ifndef F6_WORKER_H
#define F6_WORKER_H

extern void f6_worker_init(void);

#endif /* F6_WORKER_H */
