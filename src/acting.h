/*
 * acting.h
 *		Doing something as somebody else, whatever the caller's settings are.
 */
#ifndef F6_ACTING_H
#define F6_ACTING_H

/* What there was before. */
typedef struct f6_acting
{
	Oid user;
	int security;
	int settings; /* 0: they are the session's */
} f6_acting;

extern void f6_act_as_user(Oid user, f6_acting *before);
extern void f6_act_by_settings(const char *time_zone, f6_acting *before);
extern void f6_act_as(Oid user, const char *time_zone, f6_acting *before);
extern void f6_act_end(const f6_acting *before);

#endif /* F6_ACTING_H */
