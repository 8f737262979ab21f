/*
 * projection_run.h
 *		Taking events into a projection: by its fold, or by its handler.
 */
#ifndef F6_PROJECTION_RUN_H
#define F6_PROJECTION_RUN_H

#include "projection.h"

/* A run of a projection over events that are being appended. */
typedef struct f6_projection_intake f6_projection_intake;

extern int64 f6_projection_run(f6_projection *projection, int64 after, int64 until);
extern int64 f6_projection_run_part(f6_projection *projection, int64 after, int64 until,
									int64 max_events, int64 *taken);
extern int64 f6_projection_run_at(void);
extern void f6_projection_run_forget(void);

extern f6_projection_intake *f6_projection_intake_begin(f6_projection *projection);
extern const f6_projection *f6_projection_intake_of(const f6_projection_intake *run);
extern bool f6_projection_intake_hold(f6_projection_intake *run, const Datum *events, int count);
extern bool f6_projection_intake_take(f6_projection_intake *run, const Datum *events, int count,
									  bool are_rows_written);
extern void f6_projection_intake_end(f6_projection_intake *run);

#endif /* F6_PROJECTION_RUN_H */
