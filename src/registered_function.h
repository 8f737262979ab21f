/*
 * registered_function.h
 *		SQL functions of users: upcasters, folds, handlers of events and of commands.
 */
#ifndef F6_REGISTERED_FUNCTION_H
#define F6_REGISTERED_FUNCTION_H

/* What a function is for, and what it must take and return. */
typedef struct f6_function_role
{
	const char *name;		  /* such as "upcaster" */
	const char *with_article; /* such as "an upcaster" */
	const char *shape;		  /* what it takes and returns, as SQL writes it */
	const char *demand;		  /* the same in a sentence */
	int argument_count;
	Oid arguments[2];
	Oid result;
	bool has_effects; /* may it be volatile? */
	bool takes_null;  /* must it be called with NULL too? */
	Oid other_result; /* what it may return as well; invalid: nothing */
} f6_function_role;

extern f6_function_role f6_function_upcaster(void);
extern f6_function_role f6_function_fold(void);
extern f6_function_role f6_function_handler(void);
extern f6_function_role f6_function_reaction(void);
extern f6_function_role f6_function_due(void);
extern f6_function_role f6_function_command(void);
extern f6_function_role f6_function_context(void);
extern Oid f6_function_find(const char *signature, const f6_function_role *role);
extern char *f6_function_signature(Oid function);
extern void f6_function_check_privilege(Oid function);
extern uint64 f6_function_generation(void);
extern void f6_function_init(void);

#endif /* F6_REGISTERED_FUNCTION_H */
