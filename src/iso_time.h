/*
 * iso_time.h
 *		Dates and times as JSON documents write them.
 */
#ifndef F6_ISO_TIME_H
#define F6_ISO_TIME_H

#include "datatype/timestamp.h"

extern bool f6_iso_time_parse(const char *text, int length, TimestampTz *result);

#endif /* F6_ISO_TIME_H */
