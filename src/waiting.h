/*
 * waiting.h
 *		Waiting for the horizon to move, without looking at tables.
 */
#ifndef F6_WAITING_H
#define F6_WAITING_H

extern void f6_wake_at_end(void);
extern bool f6_is_waking_at_end(void);
extern void f6_waiting_begin(void);
extern void f6_waiting_sleep(long milliseconds);
extern void f6_waiting_end(void);

#endif /* F6_WAITING_H */
