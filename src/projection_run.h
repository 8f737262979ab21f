/*
 * projection_run.h
 *		Taking events into a projection: by its fold, or by its handler.
 */
#ifndef F6_PROJECTION_RUN_H
#define F6_PROJECTION_RUN_H

#include "projection.h"

extern int64 f6_projection_run(f6_projection *projection, int64 after, int64 until);
extern int64 f6_projection_run_part(f6_projection *projection, int64 after, int64 until,
									int64 max_events, int64 *taken);
extern int64 f6_projection_run_at(void);
extern void f6_projection_run_forget(void);
extern void f6_projection_run_events(f6_projection *projection, const Datum *events, int count);

#endif /* F6_PROJECTION_RUN_H */
