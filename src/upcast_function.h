/*
 * upcast_function.h
 *		SQL functions that serve as upcasters.
 */
#ifndef F6_UPCAST_FUNCTION_H
#define F6_UPCAST_FUNCTION_H

extern Oid f6_upcast_function_find(const char *signature);
extern char *f6_upcast_function_signature(Oid function);
extern void f6_upcast_function_check_privilege(Oid function);
extern uint64 f6_upcast_function_generation(void);
extern void f6_upcast_function_init(void);

#endif /* F6_UPCAST_FUNCTION_H */
