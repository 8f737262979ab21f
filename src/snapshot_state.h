/*
 * snapshot_state.h
 *		States that go on from the newest snapshot that serves, and keep another when that took long.
 */
#ifndef F6_SNAPSHOT_STATE_H
#define F6_SNAPSHOT_STATE_H

#include "utils/jsonb.h"

#include "question.h"

extern bool f6_snapshots_serve(const f6_question *question);
extern Jsonb *f6_snapshot_state(const f6_question *question);

#endif /* F6_SNAPSHOT_STATE_H */
