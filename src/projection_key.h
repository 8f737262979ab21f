/*
 * projection_key.h
 *		By what the rows of a projection are told apart: the objects of an event, or what an expression makes of it.
 */
#ifndef F6_PROJECTION_KEY_H
#define F6_PROJECTION_KEY_H

#include "utils/typcache.h"

/* A value of a key expression may be an array: each of its elements is a key. */
typedef struct f6_projection_key f6_projection_key;

/* Who is told of a key. */
typedef void (*f6_key_receiver)(void *state, Datum key);

extern char *f6_projection_key_normal(const char *text);
extern f6_projection_key *f6_projection_key_compile(const char *text);
extern bool f6_projection_key_needs_place(const f6_projection_key *key);
extern TypeCacheEntry *f6_projection_key_type(const f6_projection_key *key);
extern int f6_projection_key_compare(const TypeCacheEntry *type, Datum a, Datum b);
extern void f6_projection_key_each(f6_projection_key *key, Datum row, f6_key_receiver receive,
								   void *state);

#endif /* F6_PROJECTION_KEY_H */
