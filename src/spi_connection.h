/*
 * spi_connection.h
 *		Connections by which functions run statements.
 */
#ifndef F6_SPI_CONNECTION_H
#define F6_SPI_CONNECTION_H

#include "executor/spi.h"

extern void f6_spi_connect(void);

#endif /* F6_SPI_CONNECTION_H */
