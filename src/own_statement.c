/*
 * own_statement.c
 *		Statements on the tables in which f6 keeps what it knows, which are run as their owner: callers need no privileges on them.
 */
#include "postgres.h"

#include "f6.h"
#include "acting.h"
#include "own_statement.h"
#include "relation.h"
#include "spi_connection.h"

/* f6_run_own_nulls runs a statement as f6_run_own does, with parameters that may be NULL. */
void
f6_run_own_nulls(const char *text, int count, Oid *types, Datum *values, const char *nulls,
				 bool reads)
{
	f6_acting before;

	f6_act_as(f6_relation_owner(f6_relation_oid(F6_EVENT)), NULL, &before);
	if (SPI_execute_with_args(text, count, types, values, nulls, reads, 0) < 0)
		elog(ERROR, "could not run a statement on the tables of f6");
	f6_act_end(&before);
}

/* f6_run_own runs a statement on the tables in which f6 keeps what it knows, as their owner; inside an SPI connection. */
void
f6_run_own(const char *text, int count, Oid *types, Datum *values, bool reads)
{
	f6_run_own_nulls(text, count, types, values, NULL, reads);
}

/* prepare returns a statement's plan, made when it is first asked for, for as long as the backend lives; inside an SPI connection. */
static SPIPlanPtr
prepare(f6_own_statement *statement)
{
	if (statement->plan == NULL)
	{
		SPIPlanPtr plan =
			SPI_prepare(statement->text, statement->parameter_count, statement->types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not plan a statement on the tables of f6: %s",
				 SPI_result_code_string(SPI_result));
		statement->plan = plan;
	}
	return statement->plan;
}

/* f6_own_run runs a statement that is run often; inside an SPI connection.  Nulls: as SPI takes them, NULL if no value is. */
void
f6_own_run(f6_own_statement *statement, Datum *values, const char *nulls)
{
	f6_acting before;
	int result;

	f6_act_as(f6_relation_owner(f6_relation_oid(F6_EVENT)), NULL, &before);
	result = SPI_execute_plan(prepare(statement), values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not run a statement on the tables of f6: %s",
			 SPI_result_code_string(result));
	f6_act_end(&before);
}
