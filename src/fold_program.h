/*
 * fold_program.h
 *		What a fold does with events of each type: merge their data, run rules, call a function, or nothing.
 */
#ifndef F6_FOLD_PROGRAM_H
#define F6_FOLD_PROGRAM_H

#include "fmgr.h"
#include "utils/jsonb.h"

#include "fold_rules.h"

/* How events of a type are folded. */
typedef enum f6_fold_way
{
	F6_FOLD_NOTHING,
	F6_FOLD_MERGE,
	F6_FOLD_RULES,
	F6_FOLD_FUNCTION
} f6_fold_way;

typedef struct f6_fold_handler
{
	const char *type; /* or a pattern: * stands for any characters */
	f6_fold_way way;
	bool needs_row; /* may it look at an event beside its data? */
	f6_rules *rules;
	FmgrInfo function;
	Oid owner; /* as whom the function is called; InvalidOid: as the caller */
	const char *time_zone;
	bool is_running; /* is the function being called? */
} f6_fold_handler;

typedef struct f6_fold_program f6_fold_program;

extern f6_fold_program *f6_fold_program_compile(Jsonb *document);
extern void f6_fold_program_limit(f6_fold_program *program, const char *const *types, int count);
extern void f6_fold_program_except(f6_fold_program *program, const char *type);
extern void f6_fold_program_skip(f6_fold_program *program, const int64 *positions, int count);
extern bool f6_fold_program_skips(const f6_fold_program *program, int64 position);
extern void f6_fold_program_run_as(f6_fold_program *program, Oid owner, const char *time_zone);
extern bool f6_fold_program_needs_row(const f6_fold_program *program);
extern bool f6_fold_program_may_end(const f6_fold_program *program);
extern bool f6_fold_program_is_declared(const f6_fold_program *program);
extern void f6_fold_program_each_function(const f6_fold_program *program,
										  void (*receive)(void *state, Oid function), void *state);
extern uint64 f6_fold_program_hash(const f6_fold_program *program);
extern bool f6_is_like(const char *pattern, const char *name);
extern f6_fold_handler *f6_fold_program_handler(f6_fold_program *program, const char *type);

#endif /* F6_FOLD_PROGRAM_H */
