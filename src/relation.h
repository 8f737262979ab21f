/*
 * relation.h
 *		f6's own tables: their names, columns and indexes, and how to open them.
 */
#ifndef F6_RELATION_H
#define F6_RELATION_H

#include "access/attnum.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/relcache.h"

#define F6_EVENT				   "event"
#define F6_EVENT_ID_INDEX		   "event_id_key"
#define F6_EVENT_POSITION_INDEX	   "event_pkey"
#define F6_EVENT_BY_TYPE_INDEX	   "event_event_type_position_idx"
#define F6_EVENT_POSITION_SEQUENCE "event_position_seq"
#define F6_EVENT_OBJECT			   "event_object"
#define F6_EVENT_OBJECT_INDEX	   "event_object_pkey"
#define F6_EVENT_LINK			   "event_link"
#define F6_EVENT_TYPE			   "event_type"
#define F6_EVENT_TYPE_INDEX		   "event_type_pkey"
#define F6_SCHEMA_DOCUMENT		   "schema"
#define F6_SCHEMA_DOCUMENT_INDEX   "schema_pkey"
#define F6_EVENT_TYPE_DEPRECATION  "event_type_deprecation"
#define F6_DEPRECATION_INDEX	   "event_type_deprecation_pkey"
#define F6_UPCASTER				   "upcaster"
#define F6_UPCASTER_INDEX		   "upcaster_pkey"
#define F6_APPEND_LOCK			   "append_lock"
#define F6_MARKER				   "marker"
#define F6_SNAPSHOT				   "snapshot"
#define F6_SNAPSHOT_INDEX		   "snapshot_object_id_legal_fold_position_idx"
#define F6_FIELD				   "field"
#define F6_FIELD_INDEX			   "field_pkey"
#define F6_KEPT_FIELD			   "kept_field"
#define F6_KEPT_FIELD_INDEX		   "kept_field_pkey"
#define F6_KEPT_FIELD_SEQUENCE	   "kept_field_kept_id_seq"
#define F6_KEPT_SPAN			   "kept_span"
#define F6_KEPT_SPAN_BY_OBJECT	   "kept_span_kept_id_object_id_idx"
#define F6_KEPT_SPAN_BY_VALUE	   "kept_span_value_idx"
#define F6_PROJECTION			   "projection"
#define F6_REACTION_DEFINITION	   "reaction_definition"
#define F6_PROJECTION_END		   "projection_end"
#define F6_PROJECTION_PROGRESS	   "projection_progress"
#define F6_PROJECTION_SKIP		   "projection_skip"
#define F6_PROJECTION_SKIP_INDEX   "projection_skip_pkey"
#define F6_REBUILD				   "rebuild"
#define F6_COMMAND				   "command"
#define F6_COMMAND_INDEX		   "command_pkey"
#define F6_COMMAND_RUN			   "command_run"
#define F6_COMMAND_RUN_INDEX	   "command_run_pkey"
#define F6_SUBSCRIPTION_DEFINITION "subscription_definition"
#define F6_ZONE					   "zone"
#define F6_ZONE_INDEX			   "zone_pkey"

#define F6_DEFAULT_ZONE 1

/* columns of f6.event */
enum f6_event_column
{
	F6_EVENT_POSITION_COLUMN = 1,
	F6_EVENT_ZONE_ID,
	F6_EVENT_EVENT_KIND,
	F6_EVENT_ID,
	F6_EVENT_CREATED_AT,
	F6_EVENT_OCCURRED_AT,
	F6_EVENT_OBJECT_IDS,
	F6_EVENT_EVENT_TYPE,
	F6_EVENT_EVENT_VERSION,
	F6_EVENT_SOURCE_ID,
	F6_EVENT_SOURCE_TYPE,
	F6_EVENT_REFERENCE,
	F6_EVENT_DATA,
	F6_EVENT_METADATA,
	F6_EVENT_APPENDED_BY,
	F6_EVENT_CLIENT_ADDR,
	F6_EVENT_APPLICATION_NAME,
	F6_EVENT_COLUMNS = F6_EVENT_APPLICATION_NAME
};

/* columns of f6.event_object and f6.event_link: object or referenced event, position */
enum f6_link_column
{
	F6_LINK_TARGET = 1,
	F6_LINK_POSITION,
	F6_LINK_COLUMNS = F6_LINK_POSITION
};

/* columns of f6.event_type */
enum f6_event_type_column
{
	F6_EVENT_TYPE_NAME = 1,
	F6_EVENT_TYPE_VERSION,
	F6_EVENT_TYPE_ORDINAL,
	F6_EVENT_TYPE_SCHEMA,
	F6_EVENT_TYPE_VALID_FROM,
	F6_EVENT_TYPE_LEGAL_WHEN_CLAIMED,
	F6_EVENT_TYPE_ASSERT_FORMAT
};

/* columns of f6.event_type_deprecation */
enum f6_deprecation_column
{
	F6_DEPRECATION_TYPE = 1,
	F6_DEPRECATION_VERSION,
	F6_DEPRECATION_AT,
	F6_DEPRECATION_BY,
	F6_DEPRECATION_REASON
};

/* columns of f6.subscription_definition */
enum f6_subscription_column
{
	F6_SUBSCRIPTION_ID = 1,
	F6_SUBSCRIPTION_NAME,
	F6_SUBSCRIPTION_QUERY
};

/* columns of f6.upcaster */
enum f6_upcaster_column
{
	F6_UPCASTER_TYPE = 1,
	F6_UPCASTER_FROM,
	F6_UPCASTER_TO,
	F6_UPCASTER_FUNCTION,
	F6_UPCASTER_STEPS,
	F6_UPCASTER_VALIDATE,
	F6_UPCASTER_ORDINAL
};

/* columns of f6.schema */
enum f6_schema_document_column
{
	F6_SCHEMA_DOCUMENT_URI = 1,
	F6_SCHEMA_DOCUMENT_SCHEMA
};

/* columns of f6.zone */
enum f6_zone_column
{
	F6_ZONE_ID = 1,
	F6_ZONE_ORGANISATION,
	F6_ZONE_NAME
};

/* values of f6.event_kind */
typedef enum f6_event_kind
{
	F6_CLAIM,
	F6_CORRECTION,
	F6_VALIDATION
} f6_event_kind;

extern void f6_relation_init(void);
/* A column that f6 has made: its type, InvalidOid for one of f6's own enums. */
typedef struct f6_column
{
	const char *name;
	Oid type;
} f6_column;

extern bool f6_has_columns(TupleDesc descriptor, const f6_column *columns, int count);
extern void f6_check_columns(TupleDesc descriptor, const char *relation, const f6_column *columns,
							 int count);
extern Oid f6_relation_oid(const char *name);
extern Oid f6_relation_owner(Oid relation);
extern bool f6_is_relation(Relation relation, const char *name);
extern bool f6_is_own(Relation relation);
extern void f6_refuse_protocol(const char *function);
extern bool f6_may_read(Relation relation);
extern bool f6_is_restoring(Relation relation);
extern Oid f6_event_kind_oid(f6_event_kind kind);
extern f6_event_kind f6_event_kind_of(Oid label);
extern char *f6_row_text(HeapTuple row, TupleDesc descriptor, int column);

#endif /* F6_RELATION_H */
