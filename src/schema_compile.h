/*
 * schema_compile.h
 *		Compiling a JSON Schema (draft 2020-12) from its binary jsonb.
 */
#ifndef F6_SCHEMA_COMPILE_H
#define F6_SCHEMA_COMPILE_H

#include "utils/jsonb.h"

typedef struct f6_program f6_program;

extern f6_program *f6_schema_compile(Jsonb *document, bool assert_format);
extern void f6_schema_check(const char *uri, Jsonb *document);

#endif /* F6_SCHEMA_COMPILE_H */
