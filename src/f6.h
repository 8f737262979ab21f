/*
 * f6.h
 *		What every file of f6 may rely on: names and limits.
 */
#ifndef F6_H
#define F6_H

#include "compat.h"

/* The schema that holds f6's relations; functions live where the user put the extension. */
#define F6_SCHEMA "f6"

/* A violation of a schema reports at most this many failures. */
#define F6_MAX_REPORTED_FAILURES 10

/* Event data is nested at most this deep, so that every session can fold whatever the log holds. */
#define F6_MAX_DATA_DEPTH 1000

#endif /* F6_H */
