/*
 * projection_refresh.h
 *		Taking the events up to the horizon into projections that are written later.
 */
#ifndef F6_PROJECTION_REFRESH_H
#define F6_PROJECTION_REFRESH_H

#include "nodes/pg_list.h"

/* What came of a refresh that leaves a projection as it was where it fails. */
typedef struct f6_refreshed
{
	int64 events;
	bool is_done;	   /* is there nothing left that could be taken now? */
	const char *error; /* NULL: none */
} f6_refreshed;

extern List *f6_projections_async(void);
extern f6_refreshed f6_projection_refresh_safely(const char *name, int64 max_events);

#endif /* F6_PROJECTION_REFRESH_H */
