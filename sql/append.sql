-- Appending, and the identities that events and objects go by.

create type f6.appended as (id uuid, "position" bigint, created_at timestamptz);
comment on type f6.appended is 'what an append returns for each event';

-- A relation without rows or storage: nothing reads, writes or vacuums it, so nothing but f6 locks it.
create type f6.append_lock as ();
comment on type f6.append_lock is 'what pg_locks shows as the relation that every append locks, and a condition more strongly';

create function @extschema@.f6_append(
    event_type text,
    object_ids uuid[],
    event_data jsonb,
    event_version text default null,
    event_kind f6.event_kind default 'claim',
    occurred_at timestamptz default null,
    event_reference uuid[] default null,
    event_source_id uuid default null,
    event_source_type text default null,
    metadata jsonb default null,
    id uuid default null,
    zone_id integer default null,
    created_at timestamptz default null,
    after bigint default null,
    unless jsonb default null
) returns f6.appended
    language c as 'MODULE_PATHNAME', 'f6_append_event';
comment on function @extschema@.f6_append(
    text, uuid[], jsonb, text, f6.event_kind, timestamptz, uuid[], uuid, text, jsonb, uuid, integer, timestamptz,
    bigint, jsonb) is
    'appends one event, on the condition that nothing relevant was appended before, and returns its id, position and formal time';

create function @extschema@.f6_append(event_type text, objects text, event_data jsonb) returns f6.appended
    language c as 'MODULE_PATHNAME', 'f6_append_untyped';
comment on function @extschema@.f6_append(text, text, jsonb) is
    'appends one event like the form with uuid[], for parameters without types';

create function @extschema@.f6_append(events jsonb, after bigint default null, unless jsonb default null)
    returns setof f6.appended
    language c as 'MODULE_PATHNAME', 'f6_append_events';
comment on function @extschema@.f6_append(jsonb, bigint, jsonb) is
    'appends a batch of events, all or none and on a condition, given as an array of objects with the column names as keys';

create function @extschema@.f6_object_id(kind text, key text) returns uuid
    language c immutable strict parallel safe as 'MODULE_PATHNAME', 'f6_object_id';
comment on function @extschema@.f6_object_id(text, text) is
    'the object id of a natural key: always the same for the same kind and key';
