/*
 * reaction_turn.h
 *		Reacting: to what is new, and to what is due.
 */
#ifndef F6_REACTION_TURN_H
#define F6_REACTION_TURN_H

#include "datatype/timestamp.h"

/* What a turn has come to. */
typedef struct f6_reacted
{
	int32 id;			   /* of the reaction; 0: there is none, or it is disabled */
	int64 runs;			   /* of the handler */
	int64 events;		   /* that it met */
	bool is_done;		   /* is there nothing left to be done now? */
	TimestampTz due_at;	   /* when there may be more, though nobody appends */
	TimestampTz first_due; /* of what is handled later */
	int64 horizon;
} f6_reacted;

extern f6_reacted f6_reaction_turn(char *name, int milliseconds);

#endif /* F6_REACTION_TURN_H */
