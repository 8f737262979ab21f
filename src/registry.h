/*
 * registry.h
 *		What the caches of f6's registries share: hearing of changes.
 */
#ifndef F6_REGISTRY_H
#define F6_REGISTRY_H

#include "access/htup.h"
#include "utils/inval.h"

extern void f6_registry_init(RelcacheCallbackFunction forget);
extern void f6_registry_row_read(HeapTuple row);

#endif /* F6_REGISTRY_H */
