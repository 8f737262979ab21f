/*
 * schema_assert.h
 *		The operations of a program that look at one value alone.
 */
#ifndef F6_SCHEMA_ASSERT_H
#define F6_SCHEMA_ASSERT_H

#include "schema_program.h"

/* Returns the value's type as a bit. */
static inline uint32
f6_type_bit(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return F6_TYPE_NULL;
		case jbvBool:
			return F6_TYPE_BOOLEAN;
		case jbvNumeric:
			return F6_TYPE_NUMBER;
		case jbvString:
			return F6_TYPE_STRING;
		default:
			return f6_jsonb_is_object(value) ? F6_TYPE_OBJECT : F6_TYPE_ARRAY;
	}
}

extern bool f6_assertion_holds(const f6_op *op, const JsonbValue *value);

#endif /* F6_SCHEMA_ASSERT_H */
