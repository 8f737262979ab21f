/*
 * marker.h
 *		The notes that appending transactions leave: the positions from which on their events may be.
 */
#ifndef F6_MARKER_H
#define F6_MARKER_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* A row of f6.marker, as it lies on its page. */
typedef struct f6_marker
{
	FullTransactionId xid; /* the transaction, or the subtransaction, that appends */
	int64 position;		   /* its events have later positions */
	TimestampTz since;	   /* when its transaction began */
	int32 pid;			   /* the process that it runs, or was prepared, in */
} f6_marker;

extern int64 f6_marker_held(void);
extern int64 f6_marker_set(void);
extern void f6_marker_set_zero(void);
extern List *f6_markers_in_progress(void);

#endif /* F6_MARKER_H */
