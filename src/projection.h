/*
 * projection.h
 *		The projections that there are, compiled.
 */
#ifndef F6_PROJECTION_H
#define F6_PROJECTION_H

#include "nodes/pg_list.h"

#include "acting.h"
#include "fold_program.h"
#include "json_pointer.h"
#include "projection_key.h"

/* When the rows of a projection are written. */
typedef enum f6_projection_mode
{
	F6_PROJECTION_INLINE, /* by the transaction that appends */
	F6_PROJECTION_ASYNC,  /* later, by whoever refreshes it */
	F6_PROJECTION_LIVE	  /* never: they are made when somebody asks */
} f6_projection_mode;

/* A column that takes its values from a place in the state. */
typedef struct f6_projection_column
{
	const char *name;
	Oid type;
	int32 typmod;
	Oid base_type; /* that of a domain */
	f6_pointer pointer;
} f6_projection_column;

/* What is known of a projection from its row in f6.projection; good until the end of the transaction. */
typedef struct f6_projection
{
	int32 id;
	const char *name;
	f6_projection_mode mode;
	Oid owner;
	Oid table; /* InvalidOid: of a handler */
	bool legal;
	const char *time_zone;
	const char *key_text; /* NULL: rows are of objects */
	int type_count;		  /* -1: all types */
	const char **types;	  /* and patterns of them */
	Jsonb *fold;		  /* NULL: data is merged */
	bool has_next_fold;	  /* is it to be rebuilt with another? */
	Jsonb *next_fold;	  /* JSON's null: data is merged */
	const char *handler_text;
	Jsonb *columns_text;

	int skip_count;
	int64 *skips; /* positions, ascending, of events that it takes as not there */

	/* of one that is being rebuilt: it has the keys of one of so many parts; 0: all */
	int part;
	int parts;

	/* once it is compiled */
	bool is_compiled;
	f6_fold_program *program;
	FmgrInfo handler; /* fn_oid is invalid for a fold */
	f6_projection_key *key;
	int column_count;
	f6_projection_column *columns;
	void *table_plans; /* of projection_table.c */

	MemoryContext context;
} f6_projection;

extern void f6_projection_init(void);
extern f6_projection *f6_projection_find(const char *name);
extern f6_projection *f6_projection_get(const char *name);
extern f6_projection *f6_projection_of_id(int32 id);
extern List *f6_projections_inline(void);
extern List *f6_projections_all(void);
extern f6_projection *f6_projection_shadow(const f6_projection *projection, Oid table);
extern void f6_projection_act(const f6_projection *projection, f6_acting *before);
extern void f6_projection_act_as_user(const f6_projection *projection, f6_acting *before);
extern void f6_projection_settings(const f6_projection *projection, f6_acting *acting);
extern bool f6_projection_runs_code(const f6_projection *projection);
extern f6_fold_program *f6_projection_program(const f6_projection *projection);
extern void f6_projection_compile(f6_projection *projection);
extern f6_projection_column *f6_projection_columns(Jsonb *document, int *count);
extern bool f6_projection_skips(const f6_projection *projection, int64 position);
extern bool f6_projection_is_about(const f6_projection *projection, const char *event_type);
extern bool f6_projection_takes(const f6_projection *projection, const char *event_type);
extern const char *f6_projection_mode_name(f6_projection_mode mode);

#endif /* F6_PROJECTION_H */
