/*
 * event_graph.c
 *		Events and what references them: what is based on an event, and which corrections and validations are in force.
 *
 * Events are read many at a time, by the indexes, as the caller: what the caller does not see is not there.  References lead
 * from later positions to earlier ones, so what holds for corrections is decided from the newest event to the oldest, and what
 * holds for a basis from the oldest to the newest, without recursion.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event_graph.h"
#include "event_link.h"
#include "event_row.h"
#include "event_type.h"
#include "index_plan.h"
#include "uuid.h"
#include "uuid_array.h"

/* About how many events are asked for at a time. */
#define EVENTS_AT_A_TIME 10000

/* What a list and a graph have room for at first. */
#define INITIAL_ROOM 64

/*
 * The queries.  The subqueries' OFFSETs make each event a look-up: they can't be planned as joins that read the whole log.  Data
 * is only looked at where it may say that a correction removes.
 */
#define EVENT_COLUMNS \
	"e.\"position\", e.id, e.event_kind, e.event_type, e.event_version, " \
	"e.event_reference, " \
	"case when e.event_kind operator(pg_catalog.=) 'correction'::f6.event_kind" \
	" then e.event_data operator(pg_catalog.=) 'null'::pg_catalog.jsonb else false end as " \
	"is_removal"
#define QUERY_OF_IDS \
	"select " EVENT_COLUMNS " from f6.event as e" \
	" where e.id operator(pg_catalog.=) any ($1) and e.created_at operator(pg_catalog.<=) $2"
#define QUERY_OF_REFERENCING(condition) \
	"select r.* from (select distinct l.\"position\" from pg_catalog.unnest($1) as i (id)" \
	" cross join lateral (select k.\"position\" from f6.event_link as k" \
	" where k.reference_id operator(pg_catalog.=) i.id offset 0) as l order by 1 offset 0) as p" \
	" cross join lateral (select " EVENT_COLUMNS " from f6.event as e" \
	" where e.\"position\" operator(pg_catalog.=) p.\"position\"" \
	" and e.created_at operator(pg_catalog.<=) $2" condition " offset 0) as r"
#define IS_DECISION " and e.event_kind operator(pg_catalog.<>) 'claim'::f6.event_kind"

/* columns of these queries */
enum query_column
{
	QUERY_POSITION,
	QUERY_ID,
	QUERY_EVENT_KIND,
	QUERY_EVENT_TYPE,
	QUERY_EVENT_VERSION,
	QUERY_REFERENCE,
	QUERY_IS_REMOVAL
};

#define QUERY_PARAMETERS .parameter_count = 2, .types = { UUIDARRAYOID, TIMESTAMPTZOID }

static f6_index_plan events_of_ids = { .text = QUERY_OF_IDS, QUERY_PARAMETERS };
static f6_index_plan events_referencing = { .text = QUERY_OF_REFERENCING(""), QUERY_PARAMETERS };
static f6_index_plan decisions_referencing = { .text = QUERY_OF_REFERENCING(IS_DECISION),
											   QUERY_PARAMETERS };

/* The number of the event with an id. */
typedef struct number_entry
{
	pg_uuid_t id;
	uint32 number;
	char status;
} number_entry;

#define SH_PREFIX			 numbers
#define SH_ELEMENT_TYPE		 number_entry
#define SH_KEY_TYPE			 pg_uuid_t
#define SH_KEY				 id
#define SH_HASH_KEY(tb, key) hash_bytes((key).data, UUID_LEN)
#define SH_EQUAL(tb, a, b)	 (memcmp((a).data, (b).data, UUID_LEN) == 0)
#define SH_SCOPE			 static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The name of a type or version, which all events of it share. */
typedef struct name_entry
{
	const char *name;
	char status;
} name_entry;

#define SH_PREFIX			 names
#define SH_ELEMENT_TYPE		 name_entry
#define SH_KEY_TYPE			 const char *
#define SH_KEY				 name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key), strlen(key))
#define SH_EQUAL(tb, a, b)	 (strcmp(a, b) == 0)
#define SH_SCOPE			 static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct f6_graph
{
	TimestampTz known_at;
	Oid kinds[F6_VALIDATION + 1];
	MemoryContext context;
	MemoryContext row; /* emptied after each row */
	numbers_hash *numbers;
	names_hash *names;
	uint32 count;
	uint32 room;
	f6_graph_event *events;
	uint64 reference_count;
	uint64 reference_room;
	uint32 *references;
	f6_graph_list *read; /* what is being read is added to it */
};

/* check_tables refuses tables whose columns somebody has changed. */
static void
check_tables(void)
{
	Relation link = table_open(f6_relation_oid(F6_EVENT_LINK), AccessShareLock);

	f6_event_check_table();
	f6_link_check_columns(link);
	table_close(link, AccessShareLock);
}

/* f6_graph_begin returns a graph without events, in the current memory context: of what was recorded by a formal time. */
f6_graph *
f6_graph_begin(TimestampTz known_at)
{
	f6_graph *graph = palloc0(sizeof(f6_graph));

	check_tables();
	graph->known_at = known_at;
	for (int kind = F6_CLAIM; kind <= F6_VALIDATION; kind++)
		graph->kinds[kind] = f6_event_kind_oid(kind);
	graph->context = CurrentMemoryContext;
	graph->row = AllocSetContextCreate(graph->context, "f6 graph row", ALLOCSET_DEFAULT_SIZES);
	graph->numbers = numbers_create(graph->context, INITIAL_ROOM, NULL);
	graph->names = names_create(graph->context, INITIAL_ROOM, NULL);
	graph->room = INITIAL_ROOM;
	graph->events = palloc(sizeof(f6_graph_event) * graph->room);
	graph->reference_room = INITIAL_ROOM;
	graph->references = palloc(sizeof(uint32) * graph->reference_room);
	return graph;
}

/* f6_graph_at returns the event with a number; it is good until another one is added. */
f6_graph_event *
f6_graph_at(f6_graph *graph, uint32 number)
{
	return &graph->events[number];
}

/* f6_graph_list_add adds a number to a list, which begins as zeroes, in the current memory context. */
void
f6_graph_list_add(f6_graph_list *list, uint32 number)
{
	if (list->count == list->room)
	{
		list->room = Max(INITIAL_ROOM, 2 * list->room);
		list->numbers = list->numbers == NULL
							? palloc(sizeof(uint32) * list->room)
							: repalloc_huge(list->numbers, sizeof(uint32) * list->room);
	}
	list->numbers[list->count++] = number;
}

/* list_clear empties a list. */
static void
list_clear(f6_graph_list *list)
{
	list->count = 0;
}

/* f6_graph_add returns the number of the event with an id, which the graph then knows of. */
uint32
f6_graph_add(f6_graph *graph, const pg_uuid_t *id)
{
	bool found;
	number_entry *entry = numbers_insert(graph->numbers, *id, &found);
	f6_graph_event *event;

	if (found)
		return entry->number;
	if (graph->count == graph->room)
	{
		graph->room *= 2;
		graph->events = repalloc_huge(graph->events, sizeof(f6_graph_event) * graph->room);
	}
	entry->number = graph->count++;
	event = &graph->events[entry->number];
	memset(event, 0, sizeof(f6_graph_event));
	event->id = *id;
	event->via = F6_NO_EVENT;
	return entry->number;
}

/* shared_name returns the name of a type or version as all events of it share it. */
static const char *
shared_name(f6_graph *graph, Datum value)
{
	char *name = TextDatumGetCString(value);
	bool found;
	name_entry *entry = names_insert(graph->names, name, &found);

	if (!found)
		entry->name = MemoryContextStrdup(graph->context, name);
	return entry->name;
}

/* kind_of returns the kind that a stored value stands for. */
static f6_event_kind
kind_of(const f6_graph *graph, Oid label)
{
	for (int kind = F6_CLAIM; kind <= F6_VALIDATION; kind++)
	{
		if (graph->kinds[kind] == label)
			return kind;
	}
	return f6_event_kind_of(label);
}

/* add_reference notes the next reference of the event that is being read. */
static void
add_reference(f6_graph *graph, uint32 referenced)
{
	if (graph->reference_count == graph->reference_room)
	{
		graph->reference_room *= 2;
		graph->references =
			repalloc_huge(graph->references, sizeof(uint32) * graph->reference_room);
	}
	graph->references[graph->reference_count++] = referenced;
}

/* add_references notes what the event that is being read references. */
static void
add_references(f6_graph *graph, uint32 number, Datum references)
{
	uint64 first = graph->reference_count;
	f6_uuids ids;

	f6_uuids_read(references, "event_reference", &ids);
	for (int i = 0; i < ids.count; i++)
		add_reference(graph, f6_graph_add(graph, &ids.ids[i]));
	graph->events[number].first_reference = first;
	graph->events[number].reference_count = ids.count;
}

/* receive_event takes up an event that a query has found; one that was read before stays as it is. */
static void
receive_event(void *state, const Datum *values, const bool *nulls)
{
	f6_graph *graph = state;
	MemoryContext caller;
	uint32 number = f6_graph_add(graph, DatumGetUUIDP(values[QUERY_ID]));
	f6_graph_event *event = &graph->events[number];

	if (event->is_read)
		return;
	MemoryContextReset(graph->row);
	caller = MemoryContextSwitchTo(graph->row);
	event->is_read = true;
	event->position = DatumGetInt64(values[QUERY_POSITION]);
	event->kind = kind_of(graph, DatumGetObjectId(values[QUERY_EVENT_KIND]));
	event->event_type = shared_name(graph, values[QUERY_EVENT_TYPE]);
	event->event_version = shared_name(graph, values[QUERY_EVENT_VERSION]);
	event->is_removal = DatumGetBool(values[QUERY_IS_REMOVAL]);
	if (!nulls[QUERY_REFERENCE])
		add_references(graph, number, values[QUERY_REFERENCE]);
	MemoryContextSwitchTo(graph->context);
	f6_graph_list_add(graph->read, number);
	MemoryContextSwitchTo(caller);
}

/* id_array returns the ids of some events as an array of SQL. */
static Datum
id_array(f6_graph *graph, const uint32 *numbers, uint32 count)
{
	f6_uuids ids = { (int) count, palloc(sizeof(pg_uuid_t) * count) };

	for (uint32 i = 0; i < count; i++)
		ids.ids[i] = graph->events[numbers[i]].id;
	return f6_uuids_array(&ids);
}

/* run_query runs a query about the events of a list, and adds what it has not read before to another. */
static void
run_query(f6_graph *graph, f6_index_plan *query, const f6_graph_list *list, f6_graph_list *read)
{
	MemoryContext working =
		AllocSetContextCreate(CurrentMemoryContext, "f6 graph query", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(working);

	graph->read = read;
	for (uint32 done = 0; done < list->count;)
	{
		uint32 count = Min(list->count - done, EVENTS_AT_A_TIME);
		Datum arguments[] = { id_array(graph, list->numbers + done, count),
							  TimestampTzGetDatum(graph->known_at) };

		CHECK_FOR_INTERRUPTS();
		f6_index_plan_run(query, arguments, receive_event, graph);
		done += count;
		MemoryContextReset(working);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(working);
}

/* f6_graph_read reads the events of a list, which the graph knows by their ids. */
void
f6_graph_read(f6_graph *graph, const f6_graph_list *list)
{
	f6_graph_list read = { 0 };

	run_query(graph, &events_of_ids, list, &read);
}

/* compare_positions compares two events by position, for qsort_arg. */
static int
compare_positions(const void *a, const void *b, void *graph)
{
	int64 first = f6_graph_at(graph, *(const uint32 *) a)->position;
	int64 second = f6_graph_at(graph, *(const uint32 *) b)->position;

	return first < second ? -1 : first > second ? 1 : 0;
}

/* sort_list brings a list into the order of positions. */
static void
sort_list(f6_graph *graph, f6_graph_list *list)
{
	if (list->count > 1)
		qsort_arg(list->numbers, list->count, sizeof(uint32), compare_positions, graph);
}

/* via_of returns the event through which a consequence was reached: of those a level above it, the first in the log. */
static uint32
via_of(f6_graph *graph, const f6_graph_event *event)
{
	uint32 via = F6_NO_EVENT;

	for (uint32 i = 0; i < event->reference_count; i++)
	{
		uint32 number = graph->references[event->first_reference + i];
		const f6_graph_event *referenced = &graph->events[number];

		if (referenced->is_consequence && referenced->depth + 1 == event->depth &&
			(via == F6_NO_EVENT || referenced->position < graph->events[via].position))
			via = number;
	}
	return via;
}

/* place_level says of each event of a level where it stands among the consequences. */
static void
place_level(f6_graph *graph, const f6_graph_list *level, uint32 depth)
{
	for (uint32 i = 0; i < level->count; i++)
	{
		f6_graph_event *event = &graph->events[level->numbers[i]];

		event->is_consequence = true;
		event->depth = depth;
		event->via = via_of(graph, event);
		if (depth > 0 && event->via == F6_NO_EVENT)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("event \"%s\" has a link to an event that it does not reference",
						f6_uuid_text(&event->id)),
				 errhint("A row of f6.event_link does not belong to it. Restore a dump of f6.event "
						 "and its links together.")));
	}
}

/*
 * f6_graph_read_consequences reads all that references an event, directly or not, and lists it by depth and position, the event
 * itself first.  The event must have been read, and nothing else.
 */
void
f6_graph_read_consequences(f6_graph *graph, uint32 number, f6_graph_list *consequences)
{
	f6_graph_list level = { 0 };
	f6_graph_list next = { 0 };

	f6_graph_list_add(&next, number);
	for (uint32 depth = 0; next.count > 0; depth++)
	{
		f6_graph_list done = level;

		level = next;
		next = done;
		list_clear(&next);
		sort_list(graph, &level);
		place_level(graph, &level, depth);
		for (uint32 i = 0; i < level.count; i++)
			f6_graph_list_add(consequences, level.numbers[i]);
		run_query(graph, &events_referencing, &level, &next);
	}
}

/* list_events lists events of the graph, from a number on: at most so many of those that were read, or that were not. */
static uint32
list_events(f6_graph *graph, uint32 number, uint32 limit, bool is_read, f6_graph_list *list)
{
	list_clear(list);
	while (number < graph->count && list->count < limit)
	{
		if (graph->events[number].is_read == is_read)
			f6_graph_list_add(list, number);
		number++;
	}
	return number;
}

/*
 * f6_graph_read_bases reads all that the events of the graph reference, directly or not, and what decides about it.  What decides
 * about the events of the graph must have been read.
 */
void
f6_graph_read_bases(f6_graph *graph)
{
	f6_graph_list bases = { 0 };
	f6_graph_list asked = { 0 };
	uint32 number = 0;

	/* An event that is read here adds what it references at the end, so each is come to. */
	while (number < graph->count)
	{
		number = list_events(graph, number, EVENTS_AT_A_TIME, false, &asked);
		run_query(graph, &events_of_ids, &asked, &bases);
	}
	f6_graph_read_decisions(graph, &bases);
}

/* f6_graph_read_decisions reads the corrections and validations of the events of a list, those of these, and so on. */
void
f6_graph_read_decisions(f6_graph *graph, const f6_graph_list *list)
{
	f6_graph_list asked = *list;

	while (asked.count > 0)
	{
		f6_graph_list read = { 0 };

		run_query(graph, &decisions_referencing, &asked, &read);
		asked = read;
	}
}

/* compare_numbers compares two numbers of events, for qsort. */
static int
compare_numbers(const void *a, const void *b)
{
	uint32 first = *(const uint32 *) a;
	uint32 second = *(const uint32 *) b;

	return first < second ? -1 : first > second ? 1 : 0;
}

/* list_once leaves each number once in a list. */
static void
list_once(f6_graph_list *list)
{
	uint32 kept = 0;

	if (list->count > 1)
		qsort(list->numbers, list->count, sizeof(uint32), compare_numbers);
	for (uint32 i = 0; i < list->count; i++)
	{
		if (i == 0 || list->numbers[i] != list->numbers[i - 1])
			list->numbers[kept++] = list->numbers[i];
	}
	list->count = kept;
}

/*
 * f6_graph_read_references reads what the events of a list reference, and the decisions about that.  The events must have been
 * read.
 */
void
f6_graph_read_references(f6_graph *graph, const f6_graph_list *list)
{
	f6_graph_list referenced = { 0 };

	for (uint32 i = 0; i < list->count; i++)
	{
		const f6_graph_event *event = f6_graph_at(graph, list->numbers[i]);

		for (uint32 j = 0; j < event->reference_count; j++)
			f6_graph_list_add(&referenced, graph->references[event->first_reference + j]);
	}
	list_once(&referenced);
	f6_graph_read(graph, &referenced);
	f6_graph_read_decisions(graph, &referenced);
}

/* has_force tells whether an event counts as far as its validation goes; what is later in the log has been decided about. */
static bool
has_force(const f6_graph_event *event, bool legal)
{
	return !legal || event->kind == F6_VALIDATION || event->validated_by != F6_NO_EVENT ||
		   f6_event_type_get(event->event_type, event->event_version)->legal_when_claimed;
}

/* removes tells whether a correction in force removes what it references; one that is restated does not. */
static bool
removes(const f6_graph_event *correction)
{
	return correction->is_removal && correction->corrected_by == F6_NO_EVENT;
}

/* decide_about lets a correction or validation decide about an event that it references. */
static void
decide_about(f6_graph *graph, uint32 number, f6_graph_event *referenced, bool legal)
{
	const f6_graph_event *event = &graph->events[number];

	if (event->kind == F6_VALIDATION && event->is_removed)
		referenced->was_validated = true;
	if (event->is_removed || !has_force(event, legal))
		return;
	if (event->kind == F6_VALIDATION && referenced->validated_by == F6_NO_EVENT)
		referenced->validated_by = number;
	if (event->kind == F6_CORRECTION && referenced->corrected_by == F6_NO_EVENT)
	{
		referenced->corrected_by = number;
		referenced->is_removed = removes(event);
	}
}

/* decide_stands decides whether an event and its basis stand; what it is based on has been decided about. */
static void
decide_stands(const f6_graph *graph, f6_graph_event *event)
{
	event->stands = !event->is_removed;
	/* What removes an event is not based on it. */
	if (event->kind == F6_CORRECTION && removes(event))
		return;
	for (uint32 i = 0; i < event->reference_count && event->stands; i++)
		event->stands = graph->events[graph->references[event->first_reference + i]].stands;
}

/* forget_decisions forgets what was decided about the events. */
static void
forget_decisions(f6_graph *graph)
{
	for (uint32 i = 0; i < graph->count; i++)
	{
		f6_graph_event *event = &graph->events[i];

		event->corrected_by = F6_NO_EVENT;
		event->validated_by = F6_NO_EVENT;
		event->is_removed = false;
		event->was_validated = false;
		event->stands = true;
	}
}

/* f6_graph_decide decides what the events that were read say about each other: those with legal force, or all that is claimed. */
void
f6_graph_decide(f6_graph *graph, bool legal)
{
	f6_graph_list order = { 0 };

	forget_decisions(graph);
	list_events(graph, 0, PG_UINT32_MAX, true, &order);
	sort_list(graph, &order);
	for (uint32 i = order.count; i-- > 0;)
	{
		const f6_graph_event *event = &graph->events[order.numbers[i]];

		CHECK_FOR_INTERRUPTS();
		if (event->kind == F6_CLAIM)
			continue;
		for (uint32 j = 0; j < event->reference_count; j++)
			decide_about(graph, order.numbers[i],
						 &graph->events[graph->references[event->first_reference + j]], legal);
	}
	for (uint32 i = 0; i < order.count; i++)
		decide_stands(graph, &graph->events[order.numbers[i]]);
}

/* would_decide tells whether a correction would decide about an event that has been given legal force: no later one does. */
static bool
would_decide(f6_graph *graph, const f6_graph_event *correction, const f6_graph_event *event)
{
	return event->is_read && has_force(event, true) &&
		   (event->corrected_by == F6_NO_EVENT ||
			f6_graph_at(graph, event->corrected_by)->position <= correction->position);
}

/*
 * f6_graph_would_decide tells whether a correction would decide legally about anything that it references, if it were validated.
 * What has legal force must have been decided, also about what it references.
 */
bool
f6_graph_would_decide(f6_graph *graph, const f6_graph_event *correction)
{
	if (correction->is_removed)
		return false;
	for (uint32 i = 0; i < correction->reference_count; i++)
	{
		uint32 number = graph->references[correction->first_reference + i];

		CHECK_FOR_INTERRUPTS();
		if (would_decide(graph, correction, &graph->events[number]))
			return true;
	}
	return false;
}
