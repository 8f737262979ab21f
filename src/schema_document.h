/*
 * schema_document.h
 *		The documents that schemas refer to: metaschemas, and those of f6.schema.
 */
#ifndef F6_SCHEMA_DOCUMENT_H
#define F6_SCHEMA_DOCUMENT_H

#include "utils/jsonb.h"

extern void f6_schema_document_init(void);
extern Jsonb *f6_schema_document(const char *uri, bool *registered);
extern uint64 f6_schema_generation(void);

#endif /* F6_SCHEMA_DOCUMENT_H */
