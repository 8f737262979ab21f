/*
 * json_patch.h
 *		The JSON Patch (RFC 6902) that leads from one document to another.
 */
#ifndef F6_JSON_PATCH_H
#define F6_JSON_PATCH_H

#include "utils/jsonb.h"

extern Jsonb *f6_json_patch(Jsonb *before, Jsonb *after);

#endif /* F6_JSON_PATCH_H */
