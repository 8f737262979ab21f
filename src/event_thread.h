/*
 * event_thread.h
 *		The events that decide about each other: a claim, and the corrections and validations of it and of each other.
 */
#ifndef F6_EVENT_THREAD_H
#define F6_EVENT_THREAD_H

#include "utils/uuid.h"

extern Datum f6_event_thread(Datum ids, int64 until);
extern Datum f6_event_decided(int64 until);

#endif /* F6_EVENT_THREAD_H */
