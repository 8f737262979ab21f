/*
 * projection_progress.h
 *		How far projections have come, and who may take them further.
 */
#ifndef F6_PROJECTION_PROGRESS_H
#define F6_PROJECTION_PROGRESS_H

#include "projection.h"

/* Events that are taken in a transaction of its own at most, where nobody says otherwise. */
#define F6_EVENTS_PER_REFRESH 10000

extern f6_projection *f6_projection_argument(FunctionCallInfo fcinfo);
extern void f6_projection_check_snapshot(void);
extern void f6_projection_check_owner(const f6_projection *projection);
extern f6_projection *f6_projection_lock(f6_projection *projection);
extern f6_projection *f6_projection_try_lock(f6_projection *projection);
extern void f6_appends_pause(void);
extern int64 f6_projection_position(const f6_projection *projection, bool in_active_snapshot);
extern void f6_projection_set_position(const f6_projection *projection, int64 position);

#endif /* F6_PROJECTION_PROGRESS_H */
