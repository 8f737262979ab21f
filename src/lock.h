/*
 * lock.h
 *		The locks between appends and conditions: who appends shares them, who depends on nothing being appended excludes.
 */
#ifndef F6_LOCK_H
#define F6_LOCK_H

#include "storage/lock.h"
#include "utils/uuid.h"

typedef struct f6_lock f6_lock;

/* The locks that an append or a condition needs: collected first, then taken in one order. */
typedef struct f6_locks
{
	f6_lock *locks;
	int count;
	int room;
} f6_locks;

extern void f6_locks_begin(f6_locks *locks);
extern void f6_locks_append(f6_locks *locks);
extern void f6_locks_append_type(f6_locks *locks, const char *event_type, int length);
extern void f6_locks_append_object(f6_locks *locks, const pg_uuid_t *object);
extern void f6_locks_append_id(f6_locks *locks, const pg_uuid_t *id);
extern void f6_locks_query(f6_locks *locks);
extern void f6_locks_query_all(f6_locks *locks);
extern void f6_locks_query_type(f6_locks *locks, const char *event_type, int length);
extern void f6_locks_query_object(f6_locks *locks, const pg_uuid_t *object);
extern void f6_locks_take(f6_locks *locks);
extern bool f6_lock_try_snapshots(const pg_uuid_t *object);
extern bool f6_lock_field(const char *path, bool legal, bool wait);
extern bool f6_lock_worker(bool for_session);
extern void f6_lock_command_run(const char *command, const char *key);
extern int f6_lock_worker_process(Oid database);
extern void f6_lock_wait(void);
extern void f6_unlock_wait(void);
extern VirtualTransactionId *f6_lock_waiting(int *count);
extern bool f6_locks_are_held_by_others(f6_locks *locks);

#endif /* F6_LOCK_H */
