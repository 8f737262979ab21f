/*
 * event_write.c
 *		The direct path: writing checked events and their links below the level of statements.
 *
 * It is for tables on which nothing but f6's own triggers, no policy, no rule, no constraint and no column of somebody
 * else stands: what these would do can't be done here.  Nor is it taken where an extension watches whose privileges a
 * statement uses, such as for an audit.  The caller's privileges are to be checked before, as an INSERT would.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "f6.h"
#include "event_link.h"
#include "event_write.h"
#include "table_writer.h"

/* About as much memory as an event takes besides what may be large. */
#define EVENT_SIZE 300

struct f6_event_writer
{
	f6_table_writer *events;
	f6_link_writer *links;
};

/* Who is told of what is written; NULL: nobody. */
static const f6_event_follower *followed_by;

/* f6_follow_events has somebody be told of events when they are written; called once, when the library is loaded. */
void
f6_follow_events(const f6_event_follower *follower)
{
	followed_by = follower;
}

/* f6_events_follower returns who is told of events when they are written. */
const f6_event_follower *
f6_events_follower(void)
{
	return followed_by;
}

/* fires tells whether a trigger fires for an INSERT of this session. */
static bool
fires(const Trigger *trigger)
{
	if (!TRIGGER_FOR_INSERT(trigger->tgtype) || trigger->tgenabled == TRIGGER_DISABLED)
		return false;
	if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
		return trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN;
	return trigger->tgenabled != TRIGGER_FIRES_ON_REPLICA;
}

/* is_own_trigger tells whether a trigger is one of the two by which f6 receives events. */
static bool
is_own_trigger(const Trigger *trigger)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(trigger->tgfoid));
	Form_pg_proc function;
	bool is_own;

	if (!HeapTupleIsValid(tuple))
		return false;
	function = (Form_pg_proc) GETSTRUCT(tuple);
	is_own = function->pronamespace == get_namespace_oid(F6_SCHEMA, false) &&
			 (strcmp(NameStr(function->proname), "event_before_insert") == 0 ||
			  strcmp(NameStr(function->proname), "event_after_insert") == 0);
	ReleaseSysCache(tuple);
	return is_own;
}

/* has_own_triggers_only tells whether f6's two triggers, and no others, would receive an event. */
static bool
has_own_triggers_only(Relation event)
{
	const TriggerDesc *triggers = event->trigdesc;
	int own = 0;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (!fires(&triggers->triggers[i]))
			continue;
		if (!is_own_trigger(&triggers->triggers[i]))
			return false;
		own++;
	}
	return own == 2;
}

/* has_own_columns_only tells whether the table has f6's columns, no others, and NULL may stand where f6 leaves it. */
static bool
has_own_columns_only(Relation event)
{
	static const int nullable[] = { F6_EVENT_SOURCE_ID,	  F6_EVENT_SOURCE_TYPE,
									F6_EVENT_REFERENCE,	  F6_EVENT_METADATA,
									F6_EVENT_CLIENT_ADDR, F6_EVENT_APPLICATION_NAME };
	TupleDesc descriptor = RelationGetDescr(event);

	if (descriptor->natts != F6_EVENT_COLUMNS)
		return false;
	for (int i = 0; i < (int) lengthof(nullable); i++)
	{
		if (TupleDescAttr(descriptor, nullable[i] - 1)->attnotnull)
			return false;
	}
	return true;
}

/* is_plain tells whether an INSERT into the table would do no more than f6 does itself. */
static bool
is_plain(Relation event)
{
	const TupleConstr *constraints = RelationGetDescr(event)->constr;

	return ExecutorCheckPerms_hook == NULL && event->rd_rel->relkind == RELKIND_RELATION &&
		   !event->rd_rel->relispartition && event->rd_rules == NULL &&
		   has_own_columns_only(event) && (constraints == NULL || constraints->num_check == 0) &&
		   check_enable_rls(RelationGetRelid(event), InvalidOid, true) != RLS_ENABLED &&
		   has_own_triggers_only(event);
}

/* check_columns refuses a caller who lacks a privilege on a table and on one of some columns. */
static void
check_columns(Relation event, AclMode privilege, const int *columns, int count)
{
	Oid relation = RelationGetRelid(event);

	if (pg_class_aclcheck(relation, GetUserId(), privilege) == ACLCHECK_OK)
		return;
	for (int i = 0; i < count; i++)
	{
		if (pg_attribute_aclcheck(relation, columns[i], GetUserId(), privilege) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(event));
	}
}

/* f6_event_check_writer refuses a caller who may not insert what a writer gives, or see what an append returns. */
void
f6_event_check_writer(Relation event)
{
	static const int given[] = { F6_EVENT_ZONE_ID,	  F6_EVENT_ID,		   F6_EVENT_OCCURRED_AT,
								 F6_EVENT_OBJECT_IDS, F6_EVENT_EVENT_TYPE, F6_EVENT_EVENT_VERSION,
								 F6_EVENT_EVENT_KIND, F6_EVENT_SOURCE_ID,  F6_EVENT_SOURCE_TYPE,
								 F6_EVENT_REFERENCE,  F6_EVENT_DATA,	   F6_EVENT_METADATA };
	static const int returned[] = { F6_EVENT_POSITION_COLUMN, F6_EVENT_ID, F6_EVENT_CREATED_AT };

	(void) LookupExplicitNamespace(F6_SCHEMA, false);
	check_columns(event, ACL_INSERT, given, lengthof(given));
	check_columns(event, ACL_SELECT, returned, lengthof(returned));
}

/*
 * f6_event_writer_begin begins to write events, which may reference others or not; NULL where only a statement can do all
 * that is to be done.
 */
f6_event_writer *
f6_event_writer_begin(Relation event, bool with_references)
{
	f6_event_writer *writer;

	if (!is_plain(event) || !f6_links_are_plain(with_references))
		return NULL;
	writer = palloc(sizeof(f6_event_writer));
	writer->events = f6_table_writer_begin(event);
	if (!f6_table_writer_is_plain(writer->events))
	{
		f6_table_writer_end(writer->events);
		return NULL;
	}
	writer->links = f6_links_begin();
	return writer;
}

/* row_size returns about how much memory an event takes. */
static Size
row_size(const f6_event_row *row)
{
	static const int large[] = { F6_EVENT_DATA, F6_EVENT_OBJECT_IDS, F6_EVENT_METADATA,
								 F6_EVENT_REFERENCE };
	Size size = EVENT_SIZE;

	for (int i = 0; i < (int) lengthof(large); i++)
	{
		if (f6_event_has(row, large[i]))
			size += VARSIZE_ANY(DatumGetPointer(f6_event_value(row, large[i])));
	}
	return size;
}

/* f6_event_writer_put writes an event that is complete and has its place, and its links. */
void
f6_event_writer_put(f6_event_writer *writer, const f6_event_row *row)
{
	TupleTableSlot *slot = f6_table_writer_row(writer->events);

	memcpy(slot->tts_values, row->values, sizeof(row->values));
	memcpy(slot->tts_isnull, row->nulls, sizeof(row->nulls));
	f6_table_writer_put(writer->events, row_size(row));
	f6_links_write(writer->links, row);
}

/* f6_event_writer_end writes what is left; the rest of the transaction sees all of it. */
void
f6_event_writer_end(f6_event_writer *writer)
{
	f6_table_writer_end(writer->events);
	f6_links_end(writer->links);
	CommandCounterIncrement();
	pfree(writer);
}
