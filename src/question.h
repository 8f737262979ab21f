/*
 * question.h
 *		What is asked of an object's events, and reading it from a function's arguments.
 */
#ifndef F6_QUESTION_H
#define F6_QUESTION_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "fold_program.h"

/* later than any time, and earlier than infinity */
#define F6_LAST_MOMENT (DT_NOEND - 1)

typedef struct f6_question
{
	pg_uuid_t object_id;
	Datum
		positions; /* an array: of the events at these positions instead of an object's; 0: none */
	TimestampTz valid_at;	  /* material time */
	TimestampTz known_at;	  /* formal time */
	bool legal;				  /* only what has legal force? */
	bool with_data;			  /* fill in the claims' data? */
	bool with_row;			  /* fill in the claims' rows? */
	Jsonb *versions;		  /* types to read in another version than by default; NULL: none */
	f6_fold_program *program; /* what makes states of claims; NULL: their data is merged */
	int64 until;			  /* only events up to this position; 0: all */
} f6_question;

extern TimestampTz f6_argument_valid_at(FunctionCallInfo fcinfo, int number);
extern TimestampTz f6_argument_known_at(FunctionCallInfo fcinfo, int number, const char *name);
extern TimestampTz f6_argument_known_from(FunctionCallInfo fcinfo, int number);
extern void f6_check_known_span(TimestampTz known_from, TimestampTz known_to);
extern bool f6_argument_legal(FunctionCallInfo fcinfo, int number);
extern void f6_argument_projection(FunctionCallInfo fcinfo, int number);
extern void f6_argument_fold(FunctionCallInfo fcinfo, int number, f6_question *question);
extern Jsonb *f6_argument_versions(FunctionCallInfo fcinfo, int number);

#endif /* F6_QUESTION_H */
