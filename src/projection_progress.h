/*
 * projection_progress.h
 *		How far projections have come, and who may take them further.
 */
#ifndef F6_PROJECTION_PROGRESS_H
#define F6_PROJECTION_PROGRESS_H

#include "projection.h"

extern f6_projection *f6_projection_argument(FunctionCallInfo fcinfo);
extern void f6_projection_check_snapshot(void);
extern f6_projection *f6_projection_lock(f6_projection *projection);
extern void f6_appends_pause(void);
extern int64 f6_projection_position(const f6_projection *projection, bool in_active_snapshot);
extern void f6_projection_set_position(const f6_projection *projection, int64 position);
extern void f6_run_own(const char *text, int count, Oid *types, Datum *values, bool reads);

#endif /* F6_PROJECTION_PROGRESS_H */
