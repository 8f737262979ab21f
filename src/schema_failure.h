/*
 * schema_failure.h
 *		What a failed validation says.
 */
#ifndef F6_SCHEMA_FAILURE_H
#define F6_SCHEMA_FAILURE_H

#include "schema_program.h"
#include "schema_validate.h"

extern f6_failure *f6_failure_create(const f6_jsonb_path *instance, const f6_jsonb_path *schema,
									 const char *keyword, char *message);
extern char *f6_failure_message(const f6_op *op, const JsonbValue *value);
extern char *f6_failure_missing(const char *name, int length, const f6_dependency *dependency);
extern char *f6_failure_count(const char *bound, uint32 limit, const char *unit, const char *units,
							  uint32 found);
extern char *f6_failure_matches(int schemas, int accepting);
extern uint32 f6_string_length(const JsonbValue *value);

#endif /* F6_SCHEMA_FAILURE_H */
