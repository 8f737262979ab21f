/*
 * schema_cache.h
 *		The programs of schemas that calls of SQL functions bring along.
 */
#ifndef F6_SCHEMA_CACHE_H
#define F6_SCHEMA_CACHE_H

#include "fmgr.h"

#include "schema_compile.h"

extern const f6_program *f6_schema_cached(FmgrInfo *call_site, Datum schema, bool assert_format);

#endif /* F6_SCHEMA_CACHE_H */
