/*
 * spi_connection.c
 *		Connections by which functions run statements.
 */
#include "postgres.h"

#include "f6.h"
#include "spi_connection.h"

/* f6_spi_connect begins to run statements; SPI_finish ends that, as an error does. */
void
f6_spi_connect(void)
{
	int result = SPI_connect();

	if (result != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI: %s", SPI_result_code_string(result));
}
