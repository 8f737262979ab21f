-- What was true at one time, as known at another.
--
-- These functions are STABLE: they read with the snapshot of the query that calls them, so that all answers of one query agree
-- with each other and with the rest of it.  The defaults are the clock, not the transaction's start, so that a transaction
-- sees what it appended before.

create function @extschema@.f6_events(
    object_id uuid,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    legal boolean default false,
    versions jsonb default null
) returns setof f6.event
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_events';
comment on function @extschema@.f6_events(uuid, timestamptz, timestamptz, boolean, jsonb) is
    'the claims that count for an object at a material time, as known at a formal time: in the version to read, in the order in which they are folded';

create function @extschema@.f6_state_asof(
    object_id uuid,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null
) returns jsonb
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_state_asof';
comment on function @extschema@.f6_state_asof(uuid, timestamptz, timestamptz, text, boolean, jsonb) is
    'the state of an object at a material time, as known at a formal time; NULL where nothing is known';

create function @extschema@.f6_states_asof(
    object_ids uuid[],
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null,
    out object_id uuid,
    out state jsonb
) returns setof record
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_states_asof';
comment on function @extschema@.f6_states_asof(uuid[], timestamptz, timestamptz, text, boolean, jsonb) is
    'the states of many objects at a material time, as known at a formal time, in the order of the objects';

create function @extschema@.f6_states_asof(
    query jsonb,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null,
    out object_id uuid,
    out state jsonb
) returns setof record
    language sql volatile
    as $$
        select s.object_id, s.state
            from @extschema@.f6_states_asof(
                array(select distinct o from @extschema@.f6_read(query) as e, pg_catalog.unnest(e.object_ids) as o order by o),
                valid_at, known_at, projection, legal, versions) as s
    $$;
comment on function @extschema@.f6_states_asof(jsonb, timestamptz, timestamptz, text, boolean, jsonb) is
    'the states of all objects that the events name which match a query, at a material time, as known at a formal time';
