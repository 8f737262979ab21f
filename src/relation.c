/*
 * relation.c
 *		f6's own tables: finding them by name through the system caches, whatever the caller's search_path.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "f6.h"
#include "errors.h"
#include "relation.h"

/* f6 has so many, in each file that names them. */
#define MAX_KNOWN_RELATIONS 64

static const char *const kind_labels[] = { "claim", "correction", "validation" };

/* The relations that were looked up before, by the addresses of their names. */
static struct
{
	const char *name;
	Oid oid;
} known[MAX_KNOWN_RELATIONS];
static int known_count;

/* The values of f6.event_kind that were looked up before; InvalidOid: not yet. */
static Oid known_kinds[lengthof(kind_labels)];

/* forget_relations forgets them, when the catalogs have changed. */
static void
forget_relations(Datum arg, int cache, uint32 hash)
{
	(void) arg;
	(void) cache;
	(void) hash;
	known_count = 0;
	memset(known_kinds, 0, sizeof(known_kinds));
}

/* f6_relation_init readies the look-up of relations; called once, when the library is loaded. */
void
f6_relation_init(void)
{
	CacheRegisterSyscacheCallback(RELNAMENSP, forget_relations, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACENAME, forget_relations, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPENAMENSP, forget_relations, (Datum) 0);
	CacheRegisterSyscacheCallback(ENUMTYPOIDNAME, forget_relations, (Datum) 0);
}

/* remember_relation keeps what was looked up. */
static void
remember_relation(const char *name, Oid oid)
{
	if (known_count == MAX_KNOWN_RELATIONS)
		return;
	known[known_count].name = name;
	known[known_count++].oid = oid;
}

/* f6_relation_oid returns the OID of a relation of f6's schema; the name must stay where it is. */
Oid
f6_relation_oid(const char *name)
{
	Oid relation;

	for (int i = 0; i < known_count; i++)
	{
		if (known[i].name == name)
			return known[i].oid;
	}
	relation = get_relname_relid(name, get_namespace_oid(F6_SCHEMA, false));

	if (!OidIsValid(relation))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation \"%s.%s\" does not exist", F6_SCHEMA, name),
						errhint("It is part of the extension f6: create the extension anew.")));
	remember_relation(name, relation);
	return relation;
}

/* f6_relation_owner returns the owner of a relation. */
Oid
f6_relation_owner(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relation);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* is_as_made tells whether a column is the one that f6 has made. */
static bool
is_as_made(const FormData_pg_attribute *column, const f6_column *made)
{
	if (column->attisdropped || strcmp(NameStr(column->attname), made->name) != 0)
		return false;
	if (OidIsValid(made->type))
		return column->atttypid == made->type;
	/* Looking the enum up would cost more than all of the rest; what is stored like one at least misleads nobody. */
	return column->atttypid >= FirstNormalObjectId && column->attbyval &&
		   column->attlen == sizeof(Oid);
}

/* changed_column returns the first column that is not as f6 has made it, NULL if all are. */
static const f6_column *
changed_column(TupleDesc descriptor, const f6_column *columns, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (i >= descriptor->natts || !is_as_made(TupleDescAttr(descriptor, i), &columns[i]))
			return &columns[i];
	}
	return NULL;
}

/* f6_has_columns tells whether a relation has the columns that f6 has made; those that were added at the end don't matter. */
bool
f6_has_columns(TupleDesc descriptor, const f6_column *columns, int count)
{
	return changed_column(descriptor, columns, count) == NULL;
}

/* f6_check_columns refuses a relation that does not have them. */
void
f6_check_columns(TupleDesc descriptor, const char *relation, const f6_column *columns, int count)
{
	const f6_column *changed = changed_column(descriptor, columns, count);

	if (changed != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s.%s is not as f6 has made it", changed->name, F6_SCHEMA,
						relation),
				 errhint("Change it back; if it was dropped, restore a dump. You may add columns "
						 "at the end.")));
}

/* f6_is_relation tells whether an open relation is the table of f6 with that name. */
bool
f6_is_relation(Relation relation, const char *name)
{
	return RelationGetRelid(relation) == f6_relation_oid(name);
}

/*
 * f6_is_restoring tells whether the table's owner is loading a dump into it.
 *
 * pg_dump opens each of its scripts with these two settings, which nobody else has both of: SET can't make the search_path
 * empty.  The session's user counts as well, because a function of the owner's runs with its caller's settings.
 */
bool
f6_is_restoring(Relation relation)
{
	Oid owner = relation->rd_rel->relowner;

	return !check_function_bodies && namespace_search_path[0] == '\0' &&
		   has_privs_of_role(GetUserId(), owner) && has_privs_of_role(GetSessionUserId(), owner);
}

/* f6_is_own tells whether a relation is one of f6's. */
bool
f6_is_own(Relation relation)
{
	return RelationGetNamespace(relation) == get_namespace_oid(F6_SCHEMA, false);
}

/* f6_refuse_protocol raises the error for a trigger function that is called in another way than f6's own triggers do. */
void
f6_refuse_protocol(const char *function)
{
	ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
					errmsg("function \"%s\" was not called as a trigger of f6", function)));
}

/* f6_may_read tells whether the caller may see every row and column of a relation. */
bool
f6_may_read(Relation relation)
{
	return pg_class_aclcheck(RelationGetRelid(relation), GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		   check_enable_rls(RelationGetRelid(relation), InvalidOid, true) != RLS_ENABLED;
}

/* f6_event_kind_type returns the OID of the enum f6.event_kind. */
static Oid
f6_event_kind_type(void)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("event_kind"),
						   ObjectIdGetDatum(get_namespace_oid(F6_SCHEMA, false)));
}

/* f6_event_kind_oid returns the enum value of a kind, as stored. */
Oid
f6_event_kind_oid(f6_event_kind kind)
{
	if (!OidIsValid(known_kinds[kind]))
		known_kinds[kind] = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid,
											ObjectIdGetDatum(f6_event_kind_type()),
											CStringGetDatum(kind_labels[kind]));
	return known_kinds[kind];
}

/* f6_event_kind_of returns the kind that a stored enum value stands for. */
f6_event_kind
f6_event_kind_of(Oid label)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(label));
	int kind = -1;

	if (HeapTupleIsValid(tuple))
	{
		const char *name = NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel);

		for (int i = 0; i < (int) lengthof(kind_labels); i++)
		{
			if (strcmp(name, kind_labels[i]) == 0)
				kind = i;
		}
		ReleaseSysCache(tuple);
	}
	if (kind < 0)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("value %u of f6.event_kind is not known to this version of f6", label)));
	return (f6_event_kind) kind;
}

/* f6_row_text returns a column of a row as a string, NULL for NULL. */
char *
f6_row_text(HeapTuple row, TupleDesc descriptor, int column)
{
	bool isnull;
	Datum value = heap_getattr(row, column, descriptor, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}
