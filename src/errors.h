/*
 * errors.h
 *		The SQLSTATEs that f6 raises, by what they mean to a caller.
 */
#ifndef F6_ERRORS_H
#define F6_ERRORS_H

#include "utils/errcodes.h"

/* 55000: the log and the registry are append-only */
#define F6_ERR_FORBIDDEN_CHANGE ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
/* 55000: a version that takes no new events, or that no upcaster leads to */
#define F6_ERR_VERSION ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
/* 55000: an event that the consumer has no lease of */
#define F6_ERR_LEASE ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
/* 42704: no such event, event type, version, zone, projection, subscription, schedule or command */
#define F6_ERR_UNKNOWN ERRCODE_UNDEFINED_OBJECT
/* 42710: the name stands for another definition already */
#define F6_ERR_REGISTERED ERRCODE_DUPLICATE_OBJECT
/* 23514: the event's content, or what it references, breaks a rule */
#define F6_ERR_INVALID_EVENT ERRCODE_CHECK_VIOLATION
/* 23503: a referenced event does not exist */
#define F6_ERR_MISSING_REFERENCE ERRCODE_FOREIGN_KEY_VIOLATION
/* 23505: the id belongs to an event with other content */
#define F6_ERR_DUPLICATE_ID ERRCODE_UNIQUE_VIOLATION
/* 42883: the function of an upcaster, a fold or a command does not exist */
#define F6_ERR_NO_FUNCTION ERRCODE_UNDEFINED_FUNCTION
/* 42P17: the function of an upcaster, a fold or a command does not do for one */
#define F6_ERR_BAD_FUNCTION ERRCODE_INVALID_OBJECT_DEFINITION
/* 40001: what was decided on has changed; it may be tried again */
#define F6_ERR_CONDITION ERRCODE_T_R_SERIALIZATION_FAILURE
/* 22023: an argument that makes no sense */
#define F6_ERR_BAD_ARGUMENT ERRCODE_INVALID_PARAMETER_VALUE
/* 22004: an argument that must not be NULL */
#define F6_ERR_NULL_ARGUMENT ERRCODE_NULL_VALUE_NOT_ALLOWED
/* 428C9: a column that only f6 fills */
#define F6_ERR_GENERATED_COLUMN ERRCODE_GENERATED_ALWAYS
/* 42501: the caller's role may not do this */
#define F6_ERR_NO_PRIVILEGE ERRCODE_INSUFFICIENT_PRIVILEGE
/* 0A000: JSON Schema in a vocabulary or dialect that the validator does not know */
#define F6_ERR_UNSUPPORTED ERRCODE_FEATURE_NOT_SUPPORTED
/* 53000: more appending transactions at a time than f6 takes */
#define F6_ERR_TOO_MANY ERRCODE_INSUFFICIENT_RESOURCES
/* 54000: more than f6 takes */
#define F6_ERR_TOO_DEEP ERRCODE_PROGRAM_LIMIT_EXCEEDED

#endif /* F6_ERRORS_H */
