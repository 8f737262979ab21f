/*
 * schema_validate.h
 *		Validating a jsonb value against a compiled JSON Schema.
 */
#ifndef F6_SCHEMA_VALIDATE_H
#define F6_SCHEMA_VALIDATE_H

#include "schema_compile.h"

/* One reason why an instance is not valid.  It names types and sizes, never the instance's own values. */
typedef struct f6_failure
{
	char *instance_location; /* JSON Pointer into the instance */
	char *schema_location;	 /* JSON Pointer into the schema */
	const char *keyword;
	char *message; /* expected ..., found ... */
} f6_failure;

/* Is given each failure while it lasts. */
typedef void (*f6_failure_report)(void *argument, const f6_failure *failure);

extern bool f6_schema_accepts(const f6_program *program, const JsonbValue *instance);
extern void f6_schema_explain(const f6_program *program, const JsonbValue *instance, uint64 limit,
							  f6_failure_report report, void *argument);
extern char *f6_schema_failures_text(const f6_program *program, const JsonbValue *instance);

#endif /* F6_SCHEMA_VALIDATE_H */
