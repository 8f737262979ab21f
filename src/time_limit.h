/*
 * time_limit.h
 *		A limit to the time that something takes.
 */
#ifndef F6_TIME_LIMIT_H
#define F6_TIME_LIMIT_H

extern void f6_time_limit_begin(int milliseconds);
extern bool f6_time_limit_end(void);

#endif /* F6_TIME_LIMIT_H */
