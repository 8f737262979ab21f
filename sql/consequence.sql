-- What was based on an event.

create function @extschema@.f6_consequences(
    event_id uuid,
    known_at timestamptz default pg_catalog.clock_timestamp(),
    out id uuid,
    out "position" bigint,
    out event_type text,
    out event_kind f6.event_kind,
    out depth integer,
    out via uuid,
    out path uuid[],
    out stands boolean
) returns setof record
    language c stable parallel restricted cost 1000
    as 'MODULE_PATHNAME', 'f6_consequences';
comment on function @extschema@.f6_consequences(uuid, timestamptz) is
    'all that is based on an event, directly or not, as known at a formal time, and whether its basis still stands';
