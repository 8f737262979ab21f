/*
 * event_graph.h
 *		Events and what references them: what is based on an event, and which corrections and validations are in force.
 */
#ifndef F6_EVENT_GRAPH_H
#define F6_EVENT_GRAPH_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

#include "relation.h"

/* No event: stands where the number of one could. */
#define F6_NO_EVENT PG_UINT32_MAX

/* An event of a graph.  Events are known by their numbers there, because they move when others are added. */
typedef struct f6_graph_event
{
	pg_uuid_t id;
	int64 position;
	const char *event_type;
	const char *event_version;
	uint64 first_reference; /* its references are one after the other in the graph's */
	uint32 reference_count;
	uint32 depth;		 /* of a consequence */
	uint32 via;			 /* the event through which it was reached */
	uint32 corrected_by; /* the correction in force that decides about it */
	uint32 validated_by; /* the newest validation in force */
	f6_event_kind kind;
	bool
		is_read; /* false: it is known by its id alone; the caller does not see it, or was not told of it */
	bool is_consequence;
	bool is_removal;	/* it was recorded as a correction that removes */
	bool is_removed;	/* by the correction that decides about it */
	bool was_validated; /* a validation references it that is not in force any more */
	bool stands;		/* neither it nor what it is based on has been removed */
} f6_graph_event;

/* Numbers of events. */
typedef struct f6_graph_list
{
	uint32 count;
	uint32 room;
	uint32 *numbers;
} f6_graph_list;

typedef struct f6_graph f6_graph;

extern f6_graph *f6_graph_begin(TimestampTz known_at);
extern f6_graph_event *f6_graph_at(f6_graph *graph, uint32 number);
extern uint32 f6_graph_add(f6_graph *graph, const pg_uuid_t *id);
extern void f6_graph_list_add(f6_graph_list *list, uint32 number);
extern void f6_graph_read(f6_graph *graph, const f6_graph_list *list);
extern void f6_graph_read_consequences(f6_graph *graph, uint32 number, f6_graph_list *consequences);
extern void f6_graph_read_bases(f6_graph *graph);
extern void f6_graph_read_decisions(f6_graph *graph, const f6_graph_list *list);
extern void f6_graph_read_references(f6_graph *graph, const f6_graph_list *list);
extern void f6_graph_decide(f6_graph *graph, bool legal);
extern bool f6_graph_would_decide(f6_graph *graph, const f6_graph_event *correction);

#endif /* F6_EVENT_GRAPH_H */
