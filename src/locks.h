/*
 * locks.h
 *		f6's own heavyweight locks.
 */
#ifndef F6_LOCKS_H
#define F6_LOCKS_H

extern void f6_lock_order(void);
extern void f6_unlock_order(void);

#endif /* F6_LOCKS_H */
