-- Reading the log by a query.

create function @extschema@.f6_read(query jsonb default '[{}]', after bigint default 0, max_events integer default null)
    returns setof f6.event
    language c volatile cost 1000 as 'MODULE_PATHNAME', 'f6_read';
comment on function @extschema@.f6_read(jsonb, bigint, integer) is
    'the events that match a query and follow a position, in order, up to the horizon: nobody who goes on from the last one misses any';

create type f6.context as (events f6.event[], state jsonb, "position" bigint);
comment on type f6.context is 'what a decision depends on: events or their fold, and the position up to which they are known';

create function @extschema@.f6_read_context(query jsonb, folded boolean default false) returns f6.context
    language c volatile cost 1000 as 'MODULE_PATHNAME', 'f6_read_context';
comment on function @extschema@.f6_read_context(jsonb, boolean) is
    'all events that match a query, or their fold, and the position to append after on the condition that no other matches';
