/*
 * condition.h
 *		What an append demands: that nothing relevant was appended since its caller looked.
 */
#ifndef F6_CONDITION_H
#define F6_CONDITION_H

#include "utils/relcache.h"

#include "event_query.h"

/* The append fails if an event after a position matches the query. */
typedef struct f6_condition
{
	bool is_given;
	int64 after;
	f6_query *query; /* NULL: the events that name any of the objects that are appended to */
} f6_condition;

extern void f6_condition_read(f6_condition *condition, const NullableDatum *after,
							  const NullableDatum *unless);
extern void f6_condition_check(Relation event, const f6_condition *condition,
							   const f6_query *query);

#endif /* F6_CONDITION_H */
