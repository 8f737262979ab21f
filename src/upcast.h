/*
 * upcast.h
 *		Reading event data in another version of its type than it was stored in.
 */
#ifndef F6_UPCAST_H
#define F6_UPCAST_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

typedef struct f6_upcast f6_upcast;

extern f6_upcast *f6_upcast_begin(const char *event_type, const char *from_version,
								  const char *to_version);
extern Jsonb *f6_upcast_data(f6_upcast *upcast, const pg_uuid_t *id, Jsonb *data);
extern bool f6_upcast_is_declared(const f6_upcast *upcast);
extern const char *f6_upcast_version(const f6_upcast *upcast);
extern HeapTuple f6_upcast_row(FmgrInfo *call_site, HeapTuple row, TupleDesc descriptor,
							   const char *to_version);
extern Datum f6_upcast_datum(FmgrInfo *call_site, Datum event);

#endif /* F6_UPCAST_H */
