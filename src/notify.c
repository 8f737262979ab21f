/*
 * notify.c
 *		Telling who listens that there may be something to poll: notifications on the channel f6, and on those of subscriptions.
 *
 * A commit that notifies takes a lock of the whole server, until it is flushed: all that do so go one by one.  So the worker tells what appends have
 * brought, once for many of them.  Appends do it themselves, when they commit, only where somebody has set that.
 *
 * What a commit can tell is the horizon as it is without its own marker.  Of two that commit at the same time each would see the marker of the other.
 * So the lock comes first: who has it is alone among those that have not told yet, and the last one of them sees no marker but of those who
 * are to come.  What it has to tell begins after its own marker: what is before that, nobody was kept from telling by it.
 *
 * Nothing here may keep an append from being committed, so what fails is undone, in a subtransaction, and reported.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "event.h"
#include "event_query.h"
#include "event_scan.h"
#include "guc.h"
#include "horizon.h"
#include "marker.h"
#include "notify.h"
#include "part.h"
#include "relation.h"
#include "subscription.h"
#include "waiting.h"
#include "zone.h"

F6_FUNCTION(f6_subscription_channel);

#define CHANNEL		   "f6"
#define CHANNEL_PREFIX "f6_"

/* How many hexadecimal digits of a digest stand for a name that is too long. */
#define DIGEST_LENGTH 32

/* Appends do not notify when so much of the server's queue is taken: some session listens and does not take what it is told. */
#define FULL_QUEUE 0.9

/* Something has come about that is told nobody before. */
typedef struct news
{
	int64 after;   /* after this position; -1: of each subscription, after what it is done with */
	int64 horizon; /* and up to this one */
	char *payload;
} news;

/* The subscriptions of which the current transaction has events delivered again, by name; they are told when it commits. */
static List *replayed = NIL;

/* What the worker has told, and what it tells if its transaction is committed; -1: nothing. */
static int64 told = -1;
static int64 telling = -1;
static Oid told_of = InvalidOid;

/* channel_of returns the channel of a subscription. */
static char *
channel_of(const char *name)
{
	char *channel = psprintf(CHANNEL_PREFIX "%s", name);
	Datum digest;

	if (strlen(channel) < NAMEDATALEN)
		return channel;
	digest = DirectFunctionCall1(sha256_bytea, PointerGetDatum(cstring_to_text(name)));
	digest = DirectFunctionCall2(binary_encode, digest, CStringGetTextDatum("hex"));
	return psprintf(CHANNEL_PREFIX "%.*s", DIGEST_LENGTH, TextDatumGetCString(digest));
}

/* f6.subscription_channel(name) returns the channel on which a subscription's consumers are told that there may be something for them. */
Datum
f6_subscription_channel(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(channel_of(text_to_cstring(PG_GETARG_TEXT_PP(0)))));
}

/* payload_of returns what is told: the zone that f6.zone names, if it names one, and the horizon. */
static char *
payload_of(int64 horizon)
{
	int32 zone_id;

	if (!f6_zone_is_set(&zone_id))
		return psprintf("{\"zone\": null, \"horizon\": " INT64_FORMAT "}", horizon);
	return psprintf("{\"zone\": %d, \"horizon\": " INT64_FORMAT "}", zone_id, horizon);
}

/* has_event tells whether an event between two positions matches some items, which is committed by now or the transaction's own. */
static bool
has_event(Relation event, const f6_query *items, int64 after, int64 horizon)
{
	f6_event_scan *scan = f6_event_scan_begin(items, after, SnapshotSelf, AccessShareLock);
	bool is_found = false;
	int64 position;

	while (!is_found && f6_event_scan_next(scan, &position) && position <= horizon)
	{
		CHECK_FOR_INTERRUPTS();
		is_found = f6_event_find_at(event, position, SnapshotSelf, NULL);
	}
	f6_event_scan_end(scan);
	return is_found;
}

/* has_match tells whether an event between two positions matches a query. */
static bool
has_match(Relation event, const f6_query *query, int64 after, int64 horizon)
{
	bool is_found = false;

	for (int i = 0; i < query->count && !is_found;)
	{
		f6_query items = f6_query_part(query, i);

		is_found = has_event(event, &items, after, horizon);
		i += items.count;
	}
	return is_found;
}

/* done_until returns the position up to which a subscription is done. */
static int64
done_until(int32 id)
{
	f6_subscription subscription = { .id = id };
	int64 position = PG_INT64_MAX;
	int count;
	f6_partition *partitions = f6_partitions_read(&subscription, &count);

	for (int i = 0; i < count; i++)
		position = Min(position, partitions[i].position);
	return position;
}

/* tell_if_new notifies the channel of a subscription, if there is news about what it delivers. */
static void
tell_if_new(Relation event, HeapTuple row, TupleDesc descriptor, const news *news)
{
	bool isnull;
	int32 id = DatumGetInt32(heap_getattr(row, F6_SUBSCRIPTION_ID, descriptor, &isnull));
	char *name = TextDatumGetCString(heap_getattr(row, F6_SUBSCRIPTION_NAME, descriptor, &isnull));
	Jsonb *query = DatumGetJsonbP(heap_getattr(row, F6_SUBSCRIPTION_QUERY, descriptor, &isnull));
	int64 after = news->after >= 0 ? news->after : done_until(id);

	if (has_match(event, f6_query_read(query), after, news->horizon))
		Async_Notify(channel_of(name), news->payload);
}

/* tell_subscriptions notifies the channels of the subscriptions that there is news about. */
static void
tell_subscriptions(const news *news)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 notify", ALLOCSET_DEFAULT_SIZES);
	Relation event = table_open(f6_relation_oid(F6_EVENT), AccessShareLock);
	Relation subscription =
		table_open(f6_relation_oid(F6_SUBSCRIPTION_DEFINITION), AccessShareLock);
	SysScanDesc scan = systable_beginscan(subscription, InvalidOid, false, SnapshotSelf, 0, NULL);
	HeapTuple row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		tell_if_new(event, row, RelationGetDescr(subscription), news);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	systable_endscan(scan);
	table_close(subscription, AccessShareLock);
	table_close(event, AccessShareLock);
	MemoryContextDelete(context);
}

/* tell notifies all channels that there is news for. */
static void
tell(int64 after, int64 horizon)
{
	news news = { after, horizon, payload_of(horizon) };

	Async_Notify(CHANNEL, news.payload);
	tell_subscriptions(&news);
}

/* set_until_end sets a setting until the transaction, or the level of settings, ends. */
static void
set_until_end(const char *name, const char *value, GucAction action)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, action, true, 0, false);
}

/* queue_up takes the lock that who notifies takes to commit, however long that takes. */
static void
queue_up(void)
{
	int level = 0;

	if (LockTimeout > 0)
	{
		level = NewGUCNestLevel();
		set_until_end("lock_timeout", "0", GUC_ACTION_SAVE);
	}
	LockSharedObject(DatabaseRelationId, InvalidOid, 0, AccessExclusiveLock);
	if (level > 0)
		AtEOXact_GUC(false, level);
}

/* has_queue_room tells whether the server has room for notifications: who notifies where it has none fails. */
static bool
has_queue_room(void)
{
	return DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0)) < FULL_QUEUE;
}

/* tell_replayed notifies the channels of the subscriptions of which the transaction has events delivered again. */
static void
tell_replayed(void)
{
	ListCell *cell;

	foreach (cell, replayed)
		Async_Notify(channel_of(lfirst(cell)), payload_of(f6_horizon_at_commit()));
}

/* tell_at_commit tells what the current transaction brings, which commits now. */
static void
tell_at_commit(void)
{
	int64 announced;
	int64 horizon;

	/* It may have dropped the extension. */
	if (f6_notify_setting == F6_NOTIFY_OFF || !OidIsValid(get_namespace_oid(F6_SCHEMA, true)))
		return;
	announced = f6_marker_held();
	if (announced >= 0 && f6_notify_setting == F6_NOTIFY_COMMIT)
	{
		queue_up();
		horizon = f6_horizon_at_commit();
		if (horizon > announced && has_queue_room())
			tell(announced, horizon);
	}
	tell_replayed();
}

/* tell_safely does so with a snapshot that is up to date, and undoes it where it fails: that is no reason not to commit, unless somebody asked for it. */
static void
tell_safely(void)
{
	f6_part part;
	ErrorData *volatile error = NULL;

	f6_part_begin(&part);
	PG_TRY();
	{
		PushActiveSnapshot(GetLatestSnapshot());
		tell_at_commit();
		PopActiveSnapshot();
		f6_part_end(&part, true);
	}
	PG_CATCH();
	{
		error = f6_part_fail(&part);
	}
	PG_END_TRY();
	if (error == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(WARNING, (errmsg("f6 could not notify"), errdetail_internal("%s", error->message)));
}

/* may_tell tells whether the current transaction, which commits, may have something to tell. */
static bool
may_tell(void)
{
	return replayed != NIL || (f6_notify_setting == F6_NOTIFY_COMMIT && f6_is_waking_at_end());
}

/* at_end tells what is to be told when the transaction commits, and forgets it when it has ended. */
static void
at_end(XactEvent event, void *argument)
{
	(void) argument;
	if (event == XACT_EVENT_PRE_COMMIT && may_tell())
		tell_safely();
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && telling >= 0)
		told = telling;
	telling = -1;
	replayed = NIL;
}

/* f6_notify_init readies notifications; called once, when the library is loaded. */
void
f6_notify_init(void)
{
	RegisterXactCallback(at_end, NULL);
}

/* f6_notify_subscription has the channel of a subscription notified when the current transaction commits, since it delivers events again. */
void
f6_notify_subscription(const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

	replayed = lappend(replayed, pstrdup(name));
	MemoryContextSwitchTo(caller);
	f6_wake_at_end();
}

/* f6_notify_run is the worker's part: it tells the horizon, once it has moved, and at first. */
TimestampTz
f6_notify_run(const char *name)
{
	Oid log = f6_relation_oid(F6_EVENT);
	int64 horizon;

	(void) name;
	if (f6_notify_setting != F6_NOTIFY_AUTO && f6_notify_setting != F6_NOTIFY_WORKER)
		return DT_NOEND;
	if (told_of != log)
		told = -1;
	told_of = log;
	horizon = f6_horizon_now(false);
	if (horizon <= told)
		return DT_NOEND;
	/* Who is told later, or after a crash never, finds what there is all the same. */
	set_until_end("synchronous_commit", "off", GUC_ACTION_LOCAL);
	tell(told, horizon);
	telling = horizon;
	return DT_NOEND;
}
