/*
 * zone.h
 *		The zones: who owns an event.
 */
#ifndef F6_ZONE_H
#define F6_ZONE_H

extern void f6_zone_init(void);
extern int32 f6_zone_current(void);
extern bool f6_zone_is_set(int32 *zone_id);
extern void f6_zone_check(int32 zone_id);

#endif /* F6_ZONE_H */
