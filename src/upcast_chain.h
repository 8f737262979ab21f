/*
 * upcast_chain.h
 *		Ways from one version of an event type to another, over its upcasters.
 */
#ifndef F6_UPCAST_CHAIN_H
#define F6_UPCAST_CHAIN_H

#include "schema_compile.h"
#include "upcast_steps.h"

/* A registered upcaster.  With neither function nor steps the data stays as it is. */
typedef struct f6_upcaster
{
	int from; /* versions are numbers here, from 0 */
	int to;
	const char *from_version;
	const char *to_version;
	int64 ordinal;
	const char *function; /* its signature, or NULL */
	Jsonb *document;	  /* of the steps, or NULL */
	const f6_steps *steps;
	bool validate;
	const f6_program
		*program; /* of the schema that the result is valid under; NULL: it isn't validated */
} f6_upcaster;

/* What brings data from one version to another. */
typedef struct f6_chain
{
	const char *event_type;
	const char *from_version;
	const char *to_version;
	int count;
	f6_upcaster **links;
} f6_chain;

extern int f6_chain_find(f6_upcaster *upcasters, int count, int versions, int from, int to,
						 f6_upcaster **links);
extern bool *f6_chain_reachable(const f6_upcaster *upcasters, int count, int versions, int start,
								bool backward);

#endif /* F6_UPCAST_CHAIN_H */
