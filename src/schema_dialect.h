/*
 * schema_dialect.h
 *		The drafts of JSON Schema, their vocabularies, and which of them a schema is written in.
 */
#ifndef F6_SCHEMA_DIALECT_H
#define F6_SCHEMA_DIALECT_H

#include "utils/jsonb.h"

/* The drafts, as bits, so that a keyword can say in which ones it has its meaning. */
#define F6_DRAFT_4		 0x01
#define F6_DRAFT_6		 0x02
#define F6_DRAFT_7		 0x04
#define F6_DRAFT_2019_09 0x08
#define F6_DRAFT_2020_12 0x10

#define F6_DRAFTS_ALL		0x1f
#define F6_DRAFTS_FROM_6	0x1e
#define F6_DRAFTS_FROM_7	0x1c
#define F6_DRAFTS_FROM_2019 0x18
#define F6_DRAFTS_TO_7		0x07
#define F6_DRAFTS_TO_2019	0x0f

/* The vocabularies that a metaschema may switch on, as bits. */
#define F6_VOCABULARY_CORE		  0x01
#define F6_VOCABULARY_APPLICATOR  0x02
#define F6_VOCABULARY_UNEVALUATED 0x04
#define F6_VOCABULARY_VALIDATION  0x08
#define F6_VOCABULARY_META_DATA	  0x10
#define F6_VOCABULARY_FORMAT	  0x20
#define F6_VOCABULARY_CONTENT	  0x40
#define F6_VOCABULARY_ALL		  0x7f

/* How a resource is to be read. */
typedef struct f6_dialect
{
	int draft;
	int vocabularies;
	bool asserts_format;	/* its metaschema says so, whatever the caller says */
	const char *metaschema; /* the URI of one that is not built in, or NULL */
} f6_dialect;

/* What a $schema that f6 doesn't know leads to. */
typedef enum f6_dialect_problem
{
	F6_DIALECT_FOUND,
	F6_DIALECT_UNREGISTERED,
	F6_DIALECT_UNKNOWN_VOCABULARY,
	F6_DIALECT_NO_DRAFT
} f6_dialect_problem;

extern f6_dialect f6_dialect_newest(void);
extern const char *f6_dialect_metaschema(int number);
extern int f6_dialect_number(const f6_dialect *dialect);
extern f6_dialect_problem f6_dialect_find(const char *uri, f6_dialect *dialect, bool *uses_registry,
										  char **detail);

#endif /* F6_SCHEMA_DIALECT_H */
