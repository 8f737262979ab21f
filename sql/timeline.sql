-- How what was true, and what was known of it, changed over time.
--
-- A span of time runs from its first moment until just before its second: closed and open, as SQL's own periods are.

create type f6.span as (valid_from timestamptz, valid_to timestamptz, state jsonb, event_id uuid);
comment on type f6.span is 'a span of material time in which a state is the same, and the claim that began it';

create type f6.formal_span as (known_from timestamptz, known_to timestamptz, state jsonb, event_id uuid);
comment on type f6.formal_span is 'a span of formal time in which a state was known, and the event that began it';

create type f6.rectangle as (
    known_from timestamptz, known_to timestamptz, valid_from timestamptz, valid_to timestamptz, state jsonb, event_id uuid
);
comment on type f6.rectangle is
    'a span of material time in which a state is the same, the span of formal time in which that was known, and the claim that began it';

create type f6.change as (valid_from timestamptz, valid_to timestamptz, before jsonb, after jsonb, patch jsonb);
comment on type f6.change is
    'a span of material time of which something was learned: the states before and after, and the JSON Patch that leads from one to the other';

create function @extschema@.f6_history(
    object_id uuid,
    known_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null
) returns setof f6.span
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_history';
comment on function @extschema@.f6_history(uuid, timestamptz, text, boolean, jsonb) is
    'the states of an object along material time, as known at a formal time: a row for each span in which the state is the same';

create function @extschema@.f6_formal_history(
    object_id uuid,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null
) returns setof f6.formal_span
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_formal_history';
comment on function @extschema@.f6_formal_history(uuid, timestamptz, text, boolean, jsonb) is
    'what was known of an object''s state at a material time, along formal time: a row for each span in which it was the same';

create function @extschema@.f6_bitemporal(
    object_id uuid,
    projection text default null,
    legal boolean default false,
    versions jsonb default null
) returns setof f6.rectangle
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_bitemporal';
comment on function @extschema@.f6_bitemporal(uuid, text, boolean, jsonb) is
    'the states of an object along both times: rectangles that do not overlap, which together hold all that was ever known';

create function @extschema@.f6_changes(
    object_id uuid,
    known_from timestamptz,
    known_to timestamptz default pg_catalog.clock_timestamp(),
    projection text default null,
    legal boolean default false,
    versions jsonb default null
) returns setof f6.change
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_changes';
comment on function @extschema@.f6_changes(uuid, timestamptz, timestamptz, text, boolean, jsonb) is
    'what was learned of an object after one formal time and until another: the states before and after, by spans of material time';
