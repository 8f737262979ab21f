/*
 * own_statement.h
 *		Statements on the tables in which f6 keeps what it knows, which are run as their owner.
 */
#ifndef F6_OWN_STATEMENT_H
#define F6_OWN_STATEMENT_H

#include "executor/spi.h"

#define F6_OWN_PARAMETERS 12

/* A statement that is run often, and its plan. */
typedef struct f6_own_statement
{
	const char *text;
	int parameter_count;
	Oid types[F6_OWN_PARAMETERS];
	SPIPlanPtr plan; /* kept by f6_own_run */
} f6_own_statement;

extern void f6_run_own_nulls(const char *text, int count, Oid *types, Datum *values,
							 const char *nulls, bool reads);
extern void f6_run_own(const char *text, int count, Oid *types, Datum *values, bool reads);
extern void f6_own_run(f6_own_statement *statement, Datum *values, const char *nulls);

#endif /* F6_OWN_STATEMENT_H */
