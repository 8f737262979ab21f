/*
 * acting.c
 *		Doing something as somebody else, whatever the caller's settings are.
 *
 * What a projection's owner has written runs as the owner, as what maintains a materialized view or an index does: it can neither take
 * the caller's role back nor leave anything behind in the session.  An error ends that too, as it ends the transaction.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "f6.h"
#include "acting.h"

/* set_setting sets a setting until the acting ends, unless it has the value already. */
static void
set_setting(const char *name, const char *value)
{
	const char *now = GetConfigOption(name, false, false);

	if (now != NULL && pg_strcasecmp(now, value) == 0)
		return;
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/* f6_act_as begins to act as a user, by the names of the catalog alone and in a time zone; NULL: the session's. */
void
f6_act_as(Oid user, const char *time_zone, f6_acting *before)
{
	GetUserIdAndSecContext(&before->user, &before->security);
	SetUserIdAndSecContext(user, before->security | SECURITY_LOCAL_USERID_CHANGE |
									 SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	before->settings = NewGUCNestLevel();
	set_setting("search_path", "pg_catalog, pg_temp");
	/* By these, values are read and written as text. */
	set_setting("DateStyle", "ISO, MDY");
	set_setting("IntervalStyle", "postgres");
	set_setting("bytea_output", "hex");
	set_setting("extra_float_digits", "1");
	if (time_zone != NULL)
		set_setting("TimeZone", time_zone);
}

/* f6_act_end ends that. */
void
f6_act_end(const f6_acting *before)
{
	AtEOXact_GUC(false, before->settings);
	SetUserIdAndSecContext(before->user, before->security);
}
