/*
 * projection_making.h
 *		By what the rows of a projection were made: whether they would be made in another way now.
 */
#ifndef F6_PROJECTION_MAKING_H
#define F6_PROJECTION_MAKING_H

#include "projection.h"

extern void f6_projection_note_making(f6_projection *projection);

#endif /* F6_PROJECTION_MAKING_H */
