/*
 * guc.c
 *		f6's settings.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "f6.h"
#include "guc.h"

char *f6_zone_setting;

/* f6_guc_init defines the settings; called once, when the library is loaded. */
void
f6_guc_init(void)
{
	/* So that each application, or each database, appends to its own zone without naming it in every event. */
	DefineCustomStringVariable("f6.zone", "The zone that appended events belong to.",
							   "A zone's number, organisation/name, or name.", &f6_zone_setting,
							   "default/default", PGC_USERSET, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("f6");
}
