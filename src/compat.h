/*
 * compat.h
 *		What differs between the supported servers: the only place that knows a version number.
 */
#ifndef F6_COMPAT_H
#define F6_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "f6 needs PostgreSQL 15 or later"
#endif

/* Before 16 the server left every symbol of a library visible, and the macro empty. */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

/* Until 15 each kind of object had a function of its own that checks privileges. */
#if PG_VERSION_NUM < 160000
#define f6_may_execute(function) \
	(pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#else
#define f6_may_execute(function) \
	(object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK)
#endif

/* From 18 the server makes time-ordered UUIDs itself. */
#if PG_VERSION_NUM >= 180000
#include "utils/fmgrprotos.h"
#define F6_SERVER_HAS_UUIDV7
#endif

/* Whether this transaction holds a lock in exactly this mode; from 17 the server is told that. */
#if PG_VERSION_NUM >= 170000
#define f6_lock_is_held(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define f6_lock_is_held(tag, mode) LockHeldByMe(tag, mode)
#endif

/* The process that runs a transaction; until 16 it went by a backend's number. */
#if PG_VERSION_NUM >= 170000
#define f6_process_of(transaction) ProcNumberGetProc((transaction).procNumber)
#else
#include "storage/sinvaladt.h"
#define f6_process_of(transaction) BackendIdGetProc((transaction).backendId)
#endif

/* From 18 an index scan can count what it costs. */
#if PG_VERSION_NUM >= 180000
#define f6_index_beginscan(table, index, snapshot, keys) \
	index_beginscan(table, index, snapshot, NULL, keys, 0)
#else
#define f6_index_beginscan(table, index, snapshot, keys) \
	index_beginscan(table, index, snapshot, keys, 0)
#endif

/* From 16 the entries of summarizing indexes can be inserted alone, and from 18 a row be left out of the search for one like it. */
#if PG_VERSION_NUM >= 160000
#define f6_insert_index_entries(result, row, estate, conflicts, arbiters) \
	ExecInsertIndexTuples(result, row, estate, false, true, conflicts, arbiters, false)
#else
#define f6_insert_index_entries(result, row, estate, conflicts, arbiters) \
	ExecInsertIndexTuples(result, row, estate, false, true, conflicts, arbiters)
#endif
#if PG_VERSION_NUM >= 180000
#define f6_check_arbiters(result, row, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(result, row, estate, conflict, NULL, arbiters)
#else
#define f6_check_arbiters(result, row, estate, conflict, arbiters) \
	ExecCheckIndexConstraints(result, row, estate, conflict, arbiters)
#endif

/* From 16 what is wrong with a type's name can be told otherwise than by an error. */
#if PG_VERSION_NUM >= 160000
#define f6_parse_type(text, type, typmod) parseTypeString(text, type, typmod, NULL)
#else
#define f6_parse_type(text, type, typmod) parseTypeString(text, type, typmod, false)
#endif

/* Until 15 a relation's file had other names. */
#if PG_VERSION_NUM < 160000
#define rd_locator	  rd_node
#define relNumber	  relNode
#define RelFileNumber Oid
#endif

/* Declares and registers a function that SQL calls. */
#define F6_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* A lexer of JSON over a text; PostgreSQL 17 can put it where the caller wants, and knows how to free it. */
#if PG_VERSION_NUM >= 170000
#define f6_json_lexer(text, length, encoding) \
	makeJsonLexContextCstringLen(NULL, text, length, encoding, false)
#define f6_json_lexer_free(lexer) freeJsonLexContext(lexer)
#else
#define f6_json_lexer(text, length, encoding) \
	makeJsonLexContextCstringLen(text, length, encoding, false)
#define f6_json_lexer_free(lexer) pfree(lexer)
#endif

#endif /* F6_COMPAT_H */
