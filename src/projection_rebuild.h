/*
 * projection_rebuild.h
 *		Making the rows of a projection anew, beside those that are there.
 */
#ifndef F6_PROJECTION_REBUILD_H
#define F6_PROJECTION_REBUILD_H

#include "projection.h"

extern int f6_rebuild_parts_left(const f6_projection *projection);
extern bool f6_rebuild_take_part(f6_projection *projection);

#endif /* F6_PROJECTION_REBUILD_H */
