/*
 * sequence.h
 *		The sequence that gives out positions, as it is now.
 */
#ifndef F6_SEQUENCE_H
#define F6_SEQUENCE_H

#include "access/xlogdefs.h"
#include "storage/buf.h"
#include "utils/relcache.h"

typedef struct f6_sequence
{
	Relation relation;
	Buffer buffer;
} f6_sequence;

extern void f6_sequence_open(f6_sequence *sequence);
extern int64 f6_sequence_last(f6_sequence *sequence, XLogRecPtr *logged);
extern void f6_sequence_close(f6_sequence *sequence);

#endif /* F6_SEQUENCE_H */
