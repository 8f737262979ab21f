/*
 * acting.c
 *		Doing something as somebody else, whatever the caller's settings are.
 *
 * What a projection's owner has written runs as the owner, as what maintains a materialized view or an index does: it can neither take
 * the caller's role back nor leave anything behind in the session.  An error ends that too, as it ends the transaction.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"

#include "f6.h"
#include "acting.h"

/* The names that are found without a schema. */
#define SEARCH_PATH "pg_catalog, pg_temp"

/* set_setting sets a setting until the acting ends. */
static void
set_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* f6_act_as_user begins to act as a user, by the settings that there are, for what neither finds names nor writes values as text. */
void
f6_act_as_user(Oid user, f6_acting *before)
{
	GetUserIdAndSecContext(&before->user, &before->security);
	SetUserIdAndSecContext(user, before->security | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	before->settings = 0;
}

/* f6_act_by_settings has what acts go by the names of the catalog alone and by a time zone, until it ends; NULL: the session's. */
void
f6_act_by_settings(const char *time_zone, f6_acting *before)
{
	before->settings = NewGUCNestLevel();
	if (strcmp(namespace_search_path, SEARCH_PATH) != 0)
		set_setting("search_path", SEARCH_PATH);
	/* By these, values are read and written as text. */
	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_MDY)
		set_setting("DateStyle", "ISO, MDY");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_setting("IntervalStyle", "postgres");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_setting("bytea_output", "hex");
	if (extra_float_digits != 1)
		set_setting("extra_float_digits", "1");
	if (time_zone != NULL && strcmp(pg_get_timezone_name(session_timezone), time_zone) != 0)
		set_setting("TimeZone", time_zone);
}

/* f6_act_as begins to act as a user, by the names of the catalog alone and in a time zone; NULL: the session's. */
void
f6_act_as(Oid user, const char *time_zone, f6_acting *before)
{
	f6_act_as_user(user, before);
	f6_act_by_settings(time_zone, before);
}

/* f6_act_end ends that. */
void
f6_act_end(const f6_acting *before)
{
	if (before->settings != 0)
		AtEOXact_GUC(false, before->settings);
	SetUserIdAndSecContext(before->user, before->security);
}
