/*
 * snapshot.h
 *		States that were kept, so that not every question needs an object's whole history.
 */
#ifndef F6_SNAPSHOT_H
#define F6_SNAPSHOT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* Which fold makes states: what is registered, and the time zone of dates without one. */
typedef struct f6_fold_version
{
	int64 registry;
	int64 fold;
	uint64 generation; /* of the session's cache of what is registered */
	uint64 program;	   /* a hash of what makes states of claims, 0 where their data is merged */
} f6_fold_version;

/*
 * A state, and what it is of: the object's events up to a position, as long as none was recorded behind it.  It is the state at
 * any material time from valid_from on, and before valid_to if it ends.
 */
typedef struct f6_snapshot
{
	int64 position;
	int64 events;				/* so many were read for it, over all */
	TimestampTz recorded_until; /* the latest formal time among these */
	TimestampTz valid_from;
	bool ends;
	TimestampTz valid_to;
} f6_snapshot;

typedef struct f6_snapshot_scan f6_snapshot_scan;

extern void f6_snapshot_init(void);
extern bool f6_snapshots_may_be_read(void);
extern bool f6_snapshot_may_be_kept(const f6_snapshot *snapshot);
extern f6_fold_version f6_fold_version_now(uint64 program);
extern bool f6_fold_version_is_now(const f6_fold_version *version);
extern f6_snapshot_scan *f6_snapshots_begin(const pg_uuid_t *object, bool legal,
											const f6_fold_version *version);
extern const f6_snapshot *f6_snapshots_next(f6_snapshot_scan *scan);
extern Jsonb *f6_snapshots_state(f6_snapshot_scan *scan);
extern void f6_snapshots_end(f6_snapshot_scan *scan);
extern void f6_snapshot_keep(const pg_uuid_t *object, bool legal, const f6_fold_version *version,
							 const f6_snapshot *snapshot, Jsonb *state);

#endif /* F6_SNAPSHOT_H */
