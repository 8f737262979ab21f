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

create function f6.query_matches(query jsonb, event_type text, object_ids uuid[]) returns boolean
    language c immutable parallel safe cost 20 as 'MODULE_PATHNAME', 'f6_query_matches_event';
comment on function f6.query_matches(jsonb, text, uuid[]) is 'whether an event of a type that names objects matches a query';

create function f6.query_objects(query jsonb) returns uuid[]
    language c immutable parallel safe as 'MODULE_PATHNAME', 'f6_query_objects';
comment on function f6.query_objects(jsonb) is
    'objects of which every event that matches a query names one; NULL: there may be events that name none of any';

create function f6.check_known(known_from timestamptz, known_to timestamptz) returns boolean
    language c immutable parallel safe as 'MODULE_PATHNAME', 'f6_check_known';
comment on function f6.check_known(timestamptz, timestamptz) is 'true; an error if these times make no span of formal time';

create function @extschema@.f6_events_between(
    known_from timestamptz,
    known_to timestamptz default pg_catalog.clock_timestamp(),
    query jsonb default '[{}]'
) returns setof f6.event
    language sql stable parallel restricted cost 1000
as $$
    select u.*
        from (
            select e as event
                from f6.event as e
                where f6.check_known($1, $2) and f6.query_objects($3) is null
                    and e.created_at operator(pg_catalog.>) $1 and e.created_at operator(pg_catalog.<=) $2
                    and f6.query_matches($3, e.event_type, e.object_ids)
            union all
            select e
                from (select distinct o."position" from f6.event_object as o
                          where o.object_id operator(pg_catalog.=) any (f6.query_objects($3))) as o
                join f6.event as e on e."position" operator(pg_catalog.=) o."position"
                where f6.check_known($1, $2)
                    and e.created_at operator(pg_catalog.>) $1 and e.created_at operator(pg_catalog.<=) $2
                    and f6.query_matches($3, e.event_type, e.object_ids)
        ) as found
        cross join lateral @extschema@.f6_upcast(found.event) as u
        order by u."position"
$$;
comment on function @extschema@.f6_events_between(timestamptz, timestamptz, jsonb) is
    'the events that were recorded after one formal time and until another, and match a query, in order';
