/*
 * metaschema.h
 *		The schemas of JSON Schema itself, which f6 brings along.
 */
#ifndef F6_METASCHEMA_H
#define F6_METASCHEMA_H

#include "utils/jsonb.h"

extern Jsonb *f6_metaschema(const char *uri);

#endif /* F6_METASCHEMA_H */
