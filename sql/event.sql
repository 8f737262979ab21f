-- The log, and the link tables that make it queryable.

create type f6.event_kind as enum ('claim', 'correction', 'validation');
comment on type f6.event_kind is
    'claim: something occurred; correction: a past event was recorded wrongly; validation: a claim has legal force';

create sequence f6.event_position_seq as bigint;
comment on sequence f6.event_position_seq is 'the positions of events; gaps allowed';

create table f6.event (
    "position" bigint not null,
    zone_id integer not null,
    event_kind f6.event_kind not null,
    id uuid not null,
    created_at timestamptz not null,
    occurred_at timestamptz not null,
    object_ids uuid[] not null,
    event_type text not null,
    event_version text not null,
    event_source_id uuid,
    event_source_type text,
    event_reference uuid[],
    event_data jsonb not null,
    metadata jsonb,
    appended_by text not null,
    client_addr inet,
    application_name text,
    primary key ("position"),
    unique (id)
);
create index event_event_type_position_idx on f6.event (event_type, "position");
create index event_created_at_idx on f6.event using brin (created_at) with (autosummarize = on);
alter sequence f6.event_position_seq owned by f6.event."position";

comment on table f6.event is 'the log: one row an event, append-only for everybody';
comment on column f6.event."position" is 'place in the log: unique, ever increasing, gaps allowed; set by f6';
comment on column f6.event.zone_id is 'the zone that owns the event; default: the zone of the setting f6.zone';
comment on column f6.event.event_kind is 'claim (the default), correction or validation';
comment on column f6.event.id is 'the event''s identity; default: a new UUIDv7';
comment on column f6.event.created_at is 'formal time: when it was recorded; set by f6, given only by members of f6_importer';
comment on column f6.event.occurred_at is 'material time: when it happened in reality; default: now';
comment on column f6.event.object_ids is 'the objects that it concerns: at least one, no duplicates';
comment on column f6.event.event_type is 'its type, registered in f6.event_type';
comment on column f6.event.event_version is 'the version of the type''s format; default: the newest';
comment on column f6.event.event_source_id is 'who made it: a person or a system';
comment on column f6.event.event_source_type is 'the authority in which they made it';
comment on column f6.event.event_reference is 'ids of the events that it is based on';
comment on column f6.event.event_data is 'the content, valid under the type''s schema';
comment on column f6.event.metadata is 'free: correlation id, trace context';
comment on column f6.event.appended_by is 'the session user who appended it; set by f6';
comment on column f6.event.client_addr is 'the address that it was appended from, NULL for a local socket; set by f6';
comment on column f6.event.application_name is 'the application that appended it, as it names itself; set by f6';

create table f6.event_object (
    object_id uuid not null,
    "position" bigint not null,
    primary key (object_id, "position")
);
comment on table f6.event_object is 'which events name which object; kept by f6';
comment on column f6.event_object.object_id is 'an object that the event names';
comment on column f6.event_object."position" is 'the event''s position';

create table f6.event_link (
    reference_id uuid not null,
    "position" bigint not null,
    primary key (reference_id, "position")
);
comment on table f6.event_link is 'which events are based on which event; kept by f6';
comment on column f6.event_link.reference_id is 'id of the event that is referenced';
comment on column f6.event_link."position" is 'position of the event that references it';

create function f6.event_before_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_event_before_insert';
comment on function f6.event_before_insert() is
    'trigger: fills what the caller left open, checks all, and gives the event its position';

create function f6.event_after_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_event_after_insert';
comment on function f6.event_after_insert() is
    'trigger: links the appended events to their objects and to the events they reference';

-- BEFORE triggers run in the order of their names: what another one changes is checked after that.
create trigger zz_before_insert before insert on f6.event
    for each row execute function f6.event_before_insert();
create trigger after_insert after insert on f6.event
    referencing new table as appended
    for each statement execute function f6.event_after_insert();

-- The row triggers are for logical replication, which fires no others when it applies changes.
create trigger forbid_change before update or delete or truncate on f6.event
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.event
    for each row execute function f6.forbid_change();

-- f6 itself writes these two below the level of statements, so an INSERT is always somebody else's.
create trigger forbid_insert before insert on f6.event_object
    for each statement execute function f6.forbid_change();
create trigger forbid_change before update or delete or truncate on f6.event_object
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.event_object
    for each row execute function f6.forbid_change();
create trigger forbid_insert before insert on f6.event_link
    for each statement execute function f6.forbid_change();
create trigger forbid_change before update or delete or truncate on f6.event_link
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.event_link
    for each row execute function f6.forbid_change();

-- What replicates a table inserts into it, and never changes it: session_replication_role lifts the one guard alone.
alter table f6.event enable always trigger forbid_change;
alter table f6.event enable always trigger forbid_row_change;
alter table f6.event_object enable always trigger forbid_change;
alter table f6.event_object enable always trigger forbid_row_change;
alter table f6.event_link enable always trigger forbid_change;
alter table f6.event_link enable always trigger forbid_row_change;
