-- Why a state is as it is.

create function @extschema@.f6_explain(
    object_id uuid,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null,
    out "position" bigint,
    out id uuid,
    out event_kind f6.event_kind,
    out event_type text,
    out created_at timestamptz,
    out material_time timestamptz,
    out part text,
    out decided_by uuid,
    out fields text[]
) returns setof record
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_explain';
comment on function @extschema@.f6_explain(uuid, timestamptz, timestamptz, text, boolean, jsonb) is
    'each event of an object, with its part in the state at a material time as known at a formal time, and the fields of it that the event was the last to write';
