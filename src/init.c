/*
 * init.c
 *		What happens when the server loads the library.
 */
#include "postgres.h"

#include "f6.h"
#include "command.h"
#include "event_type.h"
#include "guc.h"
#include "launcher.h"
#include "notify.h"
#include "projection.h"
#include "projection_inline.h"
#include "relation.h"
#include "schema_document.h"
#include "snapshot.h"
#include "registered_function.h"
#include "zone.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* _PG_init readies f6 for a backend. */
void
_PG_init(void)
{
	f6_guc_init();
	f6_relation_init();
	f6_snapshot_init();
	f6_zone_init();
	f6_schema_document_init();
	f6_event_type_init();
	f6_function_init();
	f6_projection_init();
	f6_projection_inline_init();
	f6_command_init();
	f6_notify_init();
	f6_launcher_init();
}
