/*
 * projection_rebuild.c
 *		Making the rows of a projection anew, beside those that are there: f6_rebuild.
 *
 * A table beside the projection's is filled from the log in parts, each of the rows of some keys; whoever calls f6_rebuild takes the next
 * part that nobody is at, and the transaction of each step commits.  When all parts are whole, one transaction adds what has been appended
 * meanwhile, and changes the rows that differ.  Readers see the rows of before until that commits, and wait for nothing.  The
 * table itself stays, so all stays that depends on it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "commands/comment.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "f6.h"
#include "errors.h"
#include "horizon.h"
#include "own_statement.h"
#include "projection_making.h"
#include "projection_progress.h"
#include "projection_rebuild.h"
#include "projection_run.h"
#include "projection_table.h"
#include "relation.h"
#include "spi_connection.h"

F6_FUNCTION(f6_begin_rebuild);
F6_FUNCTION(f6_take_rebuild_part);
F6_FUNCTION(f6_put_rebuild);
F6_FUNCTION(f6_drop_rebuild);

#define MAX_PARTS 1024

/* About as much memory as a row takes besides its state, and how many times the memory of the state on disk it takes as a tree. */
#define ROW_SIZE   1500
#define TREE_RATIO 3

/* Positions that may be left to be taken in the last transaction. */
#define LAST_POSITIONS 20000

/* So many positions are worth the help of other processes, each of which reads the log. */
#define POSITIONS_WORTH_HELP 100000

/* A part of a rebuild. */
typedef struct rebuild_part
{
	int part;
	int parts;
	Oid table;
	int64 position;
	int64 until;
} rebuild_part;

/* run_as_owner runs a statement as the projection's owner, inside an SPI connection. */
static void
run_as_owner(const f6_projection *projection, const char *text)
{
	f6_acting before;

	f6_projection_act(projection, &before);
	if (SPI_execute(text, false, 0) < 0)
		elog(ERROR, "could not run a statement of projection \"%s\"", projection->name);
	f6_act_end(&before);
}

/* run_for runs a statement on f6.rebuild that has the projection's id as its parameter, inside an SPI connection. */
static void
run_for(const f6_projection *projection, const char *text)
{
	Oid types[] = { INT4OID };
	Datum values[] = { Int32GetDatum(projection->id) };

	f6_run_own(text, lengthof(types), types, values, false);
}

/* result_value returns a column of the first row that a statement has returned. */
static Datum
result_value(int column)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
}

/* check_rebuilt refuses to rebuild what is not kept in a table, or is somebody else's. */
static void
check_rebuilt(const f6_projection *projection)
{
	f6_projection_check_owner(projection);
	if (projection->handler_text != NULL || projection->mode == F6_PROJECTION_LIVE)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("projection \"%s\" cannot be rebuilt", projection->name),
						errdetail(projection->handler_text != NULL
									  ? "Only its handler knows what it has written."
									  : "It is live: its rows are made when somebody asks.")));
}

/* parts_that_fit returns in how many parts the rows of a projection fit into the memory that there is for them. */
static int
parts_that_fit(const f6_projection *projection)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(projection->table));
	double needed = 0;
	double memory = maintenance_work_mem * 1024.0;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class table = (Form_pg_class) GETSTRUCT(tuple);

		needed =
			Max(table->reltuples, 0) * ROW_SIZE + (double) table->relpages * BLCKSZ * TREE_RATIO;
		ReleaseSysCache(tuple);
	}
	return (int) Min(Max(needed / memory + 1, 1), MAX_PARTS);
}

/* parts_for returns in how many parts a projection is rebuilt: of a log that is worth it, in one for each process that may help as well. */
static int
parts_for(const f6_projection *projection, int64 horizon)
{
	int parts = parts_that_fit(projection);

	if (horizon < POSITIONS_WORTH_HELP)
		return parts;
	return Min(Max(parts, max_parallel_maintenance_workers + 1), MAX_PARTS);
}

/* read_parts reads how many parts are asked for. */
static int
read_parts(FunctionCallInfo fcinfo, const f6_projection *projection, int64 horizon)
{
	int parts;

	if (PG_ARGISNULL(1))
		return parts_for(projection, horizon);
	parts = PG_GETARG_INT32(1);
	if (parts < 1 || parts > MAX_PARTS)
		ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
						errmsg("parts must be between 1 and %d, found %d", MAX_PARTS, parts)));
	return parts;
}

/* drop_table drops a table that was made beside a projection's, where there still is one; inside an SPI connection. */
static void
drop_table(const f6_projection *projection, Oid table)
{
	if (get_rel_name(table) != NULL)
		run_as_owner(projection,
					 psprintf("drop table %s", quote_qualified_identifier(
												   get_namespace_name(get_rel_namespace(table)),
												   get_rel_name(table))));
}

/* drop_left_over drops such a table that a dump has brought, without the rebuild that had made it; inside an SPI connection. */
static void
drop_left_over(const f6_projection *projection, Oid table, const char *comment)
{
	char *said = OidIsValid(table) ? GetComment(table, RelationRelationId, 0) : NULL;

	if (said != NULL && strcmp(said, comment) == 0)
		drop_table(projection, table);
}

/* make_table makes the table beside a projection's, without rows, and returns it; inside an SPI connection. */
static Oid
make_table(const f6_projection *projection)
{
	char *schema = get_namespace_name(get_rel_namespace(projection->table));
	char *name = psprintf("f6_rebuild_%d", projection->id);
	char *table = quote_qualified_identifier(schema, name);
	char *comment = psprintf("what projection \"%s\" of f6 is rebuilt in", projection->name);

	drop_left_over(projection, get_relname_relid(name, get_rel_namespace(projection->table)),
				   comment);
	run_as_owner(projection, psprintf("create table %s as select %s from %s with no data", table,
									  f6_projection_column_list(projection, NULL),
									  f6_projection_table_name(projection)));
	run_as_owner(projection, psprintf("alter table %s add primary key (%s)", table,
									  f6_projection_key_name(projection)));
	run_as_owner(projection,
				 psprintf("comment on table %s is %s", table, quote_literal_cstr(comment)));
	return get_relname_relid(name, get_rel_namespace(projection->table));
}

/* f6.begin_rebuild(name, parts) begins to rebuild a projection, unless that is under way. */
Datum
f6_begin_rebuild(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	Oid types[] = { INT4OID, INT4OID, OIDOID, INT8OID };
	Datum values[lengthof(types)];
	int64 horizon;

	check_rebuilt(projection);
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	values[0] = Int32GetDatum(projection->id);
	horizon = f6_horizon_now(false);
	values[1] = Int32GetDatum(read_parts(fcinfo, projection, horizon));
	values[3] = Int64GetDatum(horizon);
	f6_spi_connect();
	run_for(projection, "select from f6.rebuild where projection_id = $1");
	if (SPI_processed == 0)
	{
		values[2] = ObjectIdGetDatum(make_table(projection));
		/* Under the number of the shadow: what changes while rows are made is seen later. */
		f6_projection_note_making(f6_projection_shadow(projection, DatumGetObjectId(values[2])));
		f6_run_own("insert into f6.rebuild select $1, p, $2, $3, clock_timestamp(), 0, $4, 0,"
				   " clock_timestamp() from generate_series(0, $2 - 1) as p",
				   lengthof(types), types, values, false);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

/* f6_rebuild_parts_left returns how many parts of a rebuild are not whole. */
int
f6_rebuild_parts_left(const f6_projection *projection)
{
	int count;

	f6_spi_connect();
	run_for(projection, "select count(*)::integer from f6.rebuild"
						" where projection_id = $1 and \"position\" < until");
	count = DatumGetInt32(result_value(1));
	SPI_finish();
	return count;
}

/* take_part takes a part that is not whole and that nobody is at, and tells whether there is one. */
static bool
take_part(const f6_projection *projection, rebuild_part *part)
{
	bool found;

	f6_spi_connect();
	run_for(projection, "select part, parts, table_name, \"position\", until from f6.rebuild"
						" where projection_id = $1 and \"position\" < until"
						" order by part limit 1 for update skip locked");
	found = SPI_processed > 0;
	if (found)
	{
		part->part = DatumGetInt32(result_value(1));
		part->parts = DatumGetInt32(result_value(2));
		part->table = DatumGetObjectId(result_value(3));
		part->position = DatumGetInt64(result_value(4));
		part->until = DatumGetInt64(result_value(5));
	}
	SPI_finish();
	return found;
}

/* put_part notes how far a part has come. */
static void
put_part(const f6_projection *projection, const rebuild_part *part, int64 events)
{
	Oid types[] = { INT4OID, INT4OID, INT8OID, INT8OID };
	Datum values[] = { Int32GetDatum(projection->id), Int32GetDatum(part->part),
					   Int64GetDatum(part->position), Int64GetDatum(events) };

	f6_spi_connect();
	f6_run_own("update f6.rebuild set \"position\" = $3, events = events + $4,"
			   " updated_at = clock_timestamp() where projection_id = $1 and part = $2",
			   lengthof(types), types, values, false);
	SPI_finish();
}

/* f6_rebuild_take_part fills some of a table that is being rebuilt, and tells whether there was anything left that nobody is at. */
bool
f6_rebuild_take_part(f6_projection *projection)
{
	f6_projection *shadow;
	rebuild_part part;
	int64 events;

	check_rebuilt(projection);
	f6_projection_check_snapshot();
	if (!take_part(projection, &part))
		return false;
	shadow = f6_projection_shadow(projection, part.table);
	shadow->part = part.part;
	shadow->parts = part.parts;
	part.position = f6_projection_run_part(shadow, part.position, part.until, 0, &events);
	put_part(projection, &part, events);
	return true;
}

/* f6.take_rebuild_part(name) does that. */
Datum
f6_take_rebuild_part(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(f6_rebuild_take_part(f6_projection_argument(fcinfo)));
}

/* What all parts of a rebuild say. */
typedef struct rebuild
{
	bool exists;
	bool is_whole; /* are all parts? */
	Oid table;
	int64 until;
} rebuild;

/* read_rebuild reads what all parts say, when nobody is at one any more. */
static void
read_rebuild(const f6_projection *projection, rebuild *rebuild)
{
	f6_spi_connect();
	run_for(projection,
			"with locked as (select * from f6.rebuild where projection_id = $1 order by part for "
			"update)"
			" select bool_and(\"position\" >= until), min(table_name::oid::bigint), min(until)"
			" from locked having count(*) > 0");
	rebuild->exists = SPI_processed > 0;
	if (rebuild->exists)
	{
		rebuild->is_whole = DatumGetBool(result_value(1));
		rebuild->table = (Oid) DatumGetInt64(result_value(2));
		rebuild->until = DatumGetInt64(result_value(3));
	}
	SPI_finish();
}

/* go_further has all parts of a rebuild come to a later position. */
static void
go_further(const f6_projection *projection, int64 until)
{
	Oid types[] = { INT4OID, INT8OID };
	Datum values[] = { Int32GetDatum(projection->id), Int64GetDatum(until) };

	f6_spi_connect();
	f6_run_own("update f6.rebuild set until = $2 where projection_id = $1", lengthof(types), types,
			   values, false);
	SPI_finish();
}

/* take_rest takes into a table what has been appended since, and returns how far it has the events then. */
static int64
take_rest(f6_projection *projection, const rebuild *rebuild)
{
	f6_projection *shadow = f6_projection_shadow(projection, rebuild->table);
	int64 horizon = f6_horizon_now(false);
	int64 last;

	(void) f6_projection_run(shadow, rebuild->until, horizon);
	if (projection->mode != F6_PROJECTION_INLINE)
		return horizon;
	f6_appends_pause();
	last = f6_horizon_now(true);
	(void) f6_projection_run(shadow, horizon, last);
	return last;
}

/* put_ends puts what is known of rows that have ended, as of the rebuild, in the place of what was known. */
static void
put_ends(const f6_projection *projection)
{
	f6_spi_connect();
	run_for(projection, "delete from f6.projection_end where projection_id = $1");
	run_for(projection,
			"update f6.projection_end set projection_id = $1 where projection_id = -$1");
	SPI_finish();
}

/* put_fold makes the fold that a projection was rebuilt with its fold. */
static void
put_fold(const f6_projection *projection)
{
	f6_spi_connect();
	run_for(projection,
			"update f6.projection set fold = nullif(next_fold, 'null'), next_fold = null"
			" where projection_id = $1 and next_fold is not null");
	SPI_finish();
}

/* put_making makes what the rebuild was begun by what the rows are made by. */
static void
put_making(const f6_projection *projection)
{
	f6_spi_connect();
	run_for(projection, "update f6.projection_progress as p set functions = b.functions,"
						" last_upcaster = b.last_upcaster, deprecations = b.deprecations"
						" from f6.projection_progress as b"
						" where p.projection_id = $1 and b.projection_id = -$1");
	SPI_finish();
}

/* compile compiles a projection, as its owner. */
static void
compile(f6_projection *projection)
{
	f6_acting before;

	f6_projection_act(projection, &before);
	f6_projection_compile(projection);
	f6_act_end(&before);
}

/* f6.put_rebuild(name) makes the rows of a projection those that were rebuilt, if all parts are whole, and tells whether they are. */
Datum
f6_put_rebuild(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	rebuild rebuild;
	int64 horizon;

	check_rebuilt(projection);
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	read_rebuild(projection, &rebuild);
	if (!rebuild.exists)
		PG_RETURN_BOOL(true);
	horizon = f6_horizon_now(false);
	if (!rebuild.is_whole || horizon - rebuild.until > LAST_POSITIONS)
	{
		if (rebuild.is_whole)
			go_further(projection, horizon);
		PG_RETURN_BOOL(false);
	}
	horizon = take_rest(projection, &rebuild);
	compile(projection);
	f6_projection_table_put(projection, rebuild.table);
	put_ends(projection);
	put_fold(projection);
	if (projection->mode == F6_PROJECTION_ASYNC)
		f6_projection_set_position(projection, horizon);
	put_making(projection);
	PG_RETURN_BOOL(true);
}

/* f6.drop_rebuild(name) drops what a rebuild has made, and tells whether there was one. */
Datum
f6_drop_rebuild(PG_FUNCTION_ARGS)
{
	f6_projection *projection = f6_projection_argument(fcinfo);
	rebuild rebuild;

	check_rebuilt(projection);
	f6_projection_check_snapshot();
	projection = f6_projection_lock(projection);
	read_rebuild(projection, &rebuild);
	if (!rebuild.exists)
		PG_RETURN_BOOL(false);
	f6_spi_connect();
	drop_table(projection, rebuild.table);
	run_for(projection, "delete from f6.projection_end where projection_id = -$1");
	run_for(projection, "delete from f6.projection_progress where projection_id = -$1");
	run_for(projection, "delete from f6.rebuild where projection_id = $1");
	SPI_finish();
	PG_RETURN_BOOL(true);
}
