-- Subscriptions: durable cursors over the events that match a query, shared by consumers.

create table f6.subscription_definition (
    subscription_id serial not null,
    name text collate "C" not null check (name operator(pg_catalog.<>) ''),
    query jsonb not null,
    start_position bigint not null check (start_position operator(pg_catalog.>=) 0),
    partitions integer not null check (partitions operator(pg_catalog.>=) 1 and partitions operator(pg_catalog.<=) 1024),
    attempts integer not null check (attempts operator(pg_catalog.>=) 1),
    backoff interval not null check (backoff operator(pg_catalog.>=) interval '0'),
    max_backoff interval not null check (max_backoff operator(pg_catalog.>=) interval '0'),
    owner regrole not null,
    primary key (subscription_id),
    unique (name)
);
comment on table f6.subscription_definition is 'the subscriptions that there are';
comment on column f6.subscription_definition.subscription_id is 'the subscription''s number in this database';
comment on column f6.subscription_definition.name is 'its name';
comment on column f6.subscription_definition.query is 'which events it delivers';
comment on column f6.subscription_definition.start_position is 'it began after this position';
comment on column f6.subscription_definition.partitions is 'how many consumers can be at it at the same time; each object belongs to one partition';
comment on column f6.subscription_definition.attempts is 'how often an event is delivered that consumers fail at, before it is parked';
comment on column f6.subscription_definition.backoff is 'how long after the first failure it is delivered again; each time doubles that';
comment on column f6.subscription_definition.max_backoff is 'the longest that it is kept back';
comment on column f6.subscription_definition.owner is 'whose members may consume from it';

create table f6.subscription_partition (
    subscription_id integer not null references f6.subscription_definition on delete cascade,
    partition integer not null,
    "position" bigint not null,
    delivered bigint not null,
    version bigint not null default 0,
    head bigint not null default 0,
    careful_until bigint not null default 0,
    expirations integer not null default 0,
    consumer text,
    lease interval,
    leased_until timestamptz,
    delivered_at timestamptz,
    acknowledged_at timestamptz,
    primary key (subscription_id, partition)
) with (fillfactor = 50);
comment on table f6.subscription_partition is 'how far the partitions of subscriptions have come, and who is at them';
comment on column f6.subscription_partition.subscription_id is 'the subscription';
comment on column f6.subscription_partition.partition is 'the partition, counted from 0';
comment on column f6.subscription_partition."position" is 'its events up to this position are acknowledged, or parked';
comment on column f6.subscription_partition.delivered is 'those up to this one are with the consumer, while its lease holds';
comment on column f6.subscription_partition.version is 'how often the row, or what is parked, has changed';
comment on column f6.subscription_partition.head is 'the first event that was delivered last';
comment on column f6.subscription_partition.careful_until is 'those up to this one are delivered one by one: a consumer''s lease ran out that had them';
comment on column f6.subscription_partition.expirations is 'how often that has happened with that first event';
comment on column f6.subscription_partition.consumer is 'who has the lease; NULL: nobody';
comment on column f6.subscription_partition.lease is 'how long the lease holds after it was given, or something was acknowledged';
comment on column f6.subscription_partition.leased_until is 'when the lease runs out';
comment on column f6.subscription_partition.delivered_at is 'when events were delivered last';
comment on column f6.subscription_partition.acknowledged_at is 'when events were acknowledged last';

create table f6.subscription_failure (
    subscription_id integer not null references f6.subscription_definition on delete cascade,
    "position" bigint not null,
    partition integer not null,
    attempts integer not null,
    reason text,
    failed_at timestamptz not null,
    retry_at timestamptz not null,
    primary key (subscription_id, "position")
);
comment on table f6.subscription_failure is 'events that consumers have failed at and that are delivered again';
comment on column f6.subscription_failure.subscription_id is 'the subscription';
comment on column f6.subscription_failure."position" is 'the event''s position';
comment on column f6.subscription_failure.partition is 'its partition';
comment on column f6.subscription_failure.attempts is 'how often a consumer has failed at it';
comment on column f6.subscription_failure.reason is 'why, by the last one';
comment on column f6.subscription_failure.failed_at is 'when that was';
comment on column f6.subscription_failure.retry_at is 'when it is delivered again';

create table f6.parked_event (
    subscription_id integer not null references f6.subscription_definition on delete cascade,
    "position" bigint not null,
    partition integer not null,
    object_ids uuid[] not null,
    attempts integer not null,
    reason text,
    waits_for bigint,
    parked_at timestamptz not null,
    replay boolean not null default false,
    is_delivered boolean not null default false,
    is_done boolean not null default false,
    primary key (subscription_id, "position")
);
comment on table f6.parked_event is 'events that subscriptions have put aside: f6.parked shows them by name';
comment on column f6.parked_event.subscription_id is 'the subscription';
comment on column f6.parked_event."position" is 'the event''s position';
comment on column f6.parked_event.partition is 'its partition';
comment on column f6.parked_event.object_ids is 'its objects, whose later events wait for it';
comment on column f6.parked_event.attempts is 'how often a consumer has failed at it';
comment on column f6.parked_event.reason is 'why, by the last one';
comment on column f6.parked_event.waits_for is 'the parked event of the same object that it waits for; NULL: consumers have failed at this one';
comment on column f6.parked_event.parked_at is 'since when it is parked';
comment on column f6.parked_event.replay is 'whether it is to be delivered again';
comment on column f6.parked_event.is_delivered is 'whether it is with a consumer, while its lease holds';

comment on column f6.parked_event.is_done is 'whether it is done, but there may be others before it that are not';

create function f6.subscription_start(start text) returns bigint
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $body$
declare
    begun timestamptz;
    horizon bigint;
begin
    if start is null or start = '' then
        raise exception 'start must be ''beginning'', ''now'', a position or a time, found %', coalesce(quote_literal(start), 'NULL')
            using errcode = 'invalid_parameter_value';
    elsif start = 'beginning' then
        return 0;
    elsif start = 'now' then
        return @extschema@.f6_horizon();
    elsif start ~ '^[0-9]+$' then
        return start::bigint;
    end if;
    begin
        begun := start::timestamptz;
    exception when datetime_field_overflow or invalid_datetime_format or invalid_parameter_value then
        raise exception 'start must be ''beginning'', ''now'', a position or a time, found "%"', start
            using errcode = 'invalid_parameter_value';
    end;
    -- What is in flight may have been recorded before what is visible by now.
    horizon := @extschema@.f6_horizon();
    return least((select min(e."position") - 1 from f6.event as e where e.created_at >= begun), horizon);
end
$body$;
comment on function f6.subscription_start(text) is 'the position after which a subscription starts';

create function f6.make_subscription(
    name text, query jsonb, start_position bigint, partitions integer, attempts integer, backoff interval, max_backoff interval
) returns void
    language c volatile strict as 'MODULE_PATHNAME', 'f6_make_subscription';
comment on function f6.make_subscription(text, jsonb, bigint, integer, integer, interval, interval) is
    'makes a subscription, of the caller, whose arguments have been checked';

create function @extschema@.f6_subscribe(
    name text,
    query jsonb default '[{}]',
    start text default 'beginning',
    partitions integer default 1,
    attempts integer default 5,
    backoff interval default '1 second',
    max_backoff interval default '5 minutes'
) returns void
    language plpgsql volatile
as $body$
begin
    if name is null or name operator(pg_catalog.=) '' then
        raise exception 'a subscription needs a name'
            using errcode = 'invalid_parameter_value', hint = 'It may be neither NULL nor empty.';
    end if;
    if exists (select 1 from f6.subscription_definition as s where s.name operator(pg_catalog.=) f6_subscribe.name) then
        raise exception 'subscription "%" exists', name
            using errcode = 'duplicate_object', hint = 'f6.subscription lists them; f6_unsubscribe ends one.';
    end if;
    if query is null then
        raise exception 'query must not be NULL' using errcode = 'null_value_not_allowed', hint = 'All events are ''[{}]''.';
    end if;
    if partitions is null or partitions operator(pg_catalog.<) 1 or partitions operator(pg_catalog.>) 1024 then
        raise exception 'partitions must be 1 to 1024, found %', coalesce(partitions::text, 'NULL')
            using errcode = 'invalid_parameter_value';
    end if;
    if attempts is null or attempts operator(pg_catalog.<) 1 then
        raise exception 'attempts must be 1 or more, found %', coalesce(attempts::text, 'NULL')
            using errcode = 'invalid_parameter_value';
    end if;
    if (backoff operator(pg_catalog.>=) interval '0' and backoff operator(pg_catalog.<=) interval '1 year'
        and max_backoff operator(pg_catalog.>=) interval '0' and max_backoff operator(pg_catalog.<=) interval '1 year') is not true then
        raise exception 'backoff and max_backoff must be from nothing to a year'
            using errcode = 'invalid_parameter_value';
    end if;
    perform f6.make_subscription(name, query, f6.subscription_start(start), partitions, attempts, backoff, max_backoff);
end
$body$;
comment on function @extschema@.f6_subscribe(text, jsonb, text, integer, integer, interval, interval) is
    'makes a subscription: a durable cursor over the events that match a query';

create function @extschema@.f6_unsubscribe(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_unsubscribe';
comment on function @extschema@.f6_unsubscribe(text) is 'ends a subscription, with what it has parked';

create type f6.delivered_event as (
    "position" bigint,
    zone_id integer,
    event_kind f6.event_kind,
    id uuid,
    created_at timestamptz,
    occurred_at timestamptz,
    object_ids uuid[],
    event_type text,
    event_version text,
    event_source_id uuid,
    event_source_type text,
    event_reference uuid[],
    event_data jsonb,
    metadata jsonb,
    appended_by text,
    client_addr inet,
    application_name text,
    attempt integer
);
comment on type f6.delivered_event is 'an event as a subscription delivers it: the columns of f6.event, and for which time, counted from 1';

create function @extschema@.f6_poll(
    name text,
    max_events integer default 100,
    wait interval default '0',
    consumer text default '',
    lease interval default '30 seconds'
) returns setof f6.delivered_event
    language c volatile cost 10000 as 'MODULE_PATHNAME', 'f6_poll';
comment on function @extschema@.f6_poll(text, integer, interval, text, interval) is
    'the next events of a subscription, in order, leased to a consumer; it waits for them if there are none';

create function @extschema@.f6_ack(name text, "position" bigint, consumer text default '') returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_ack';
comment on function @extschema@.f6_ack(text, bigint, text) is
    'acknowledges the events that were delivered up to a position, of the partition of the event there: they are done';

create function @extschema@.f6_nack(name text, "position" bigint, reason text default null, consumer text default '') returns timestamptz
    language c volatile as 'MODULE_PATHNAME', 'f6_nack';
comment on function @extschema@.f6_nack(text, bigint, text, text) is
    'gives back the events that were delivered, since the one at a position failed; it returns when that is delivered again, NULL if it is parked';

create function @extschema@.f6_seek(name text, start text) returns bigint
    language c volatile as 'MODULE_PATHNAME', 'f6_seek';
comment on function @extschema@.f6_seek(text, text) is
    'has a subscription start anew after a position, which it returns: whatever was delivered, failed or parked is forgotten';

create function @extschema@.f6_replay(name text, "position" bigint default null) returns bigint
    language c volatile as 'MODULE_PATHNAME', 'f6_replay';
comment on function @extschema@.f6_replay(text, bigint) is
    'has parked events delivered again, with those that wait for them, and returns how many they are';

create function @extschema@.f6_discard(name text, "position" bigint) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_discard';
comment on function @extschema@.f6_discard(text, bigint) is
    'gives up on a parked event, and those that wait for it are delivered; or on one that a reaction is to handle later';

create function f6.subscription_lag(name text, out events bigint, out first_position bigint)
    language c volatile strict as 'MODULE_PATHNAME', 'f6_subscription_lag';
comment on function f6.subscription_lag(text) is 'how many events a subscription has to deliver yet, of those up to the horizon, and the position of the first';

create function f6.subscription_channel(name text) returns text
    language c immutable strict parallel safe as 'MODULE_PATHNAME', 'f6_subscription_channel';
comment on function f6.subscription_channel(text) is 'the channel on which consumers of a subscription are notified';

create view f6.subscription as
    select s.name, s.query, s.partitions, s.owner, p."position", l.events as lag_events,
           pg_catalog.clock_timestamp() operator(pg_catalog.-) e.created_at as lag_time,
           p.consumers, p.leased_until, coalesce(f.failing, 0) as failing, k.parked,
           case when pg_catalog.has_table_privilege('f6.event', 'select') then f.error end as error, f.failed_at, f.retry_at,
           f6.subscription_channel(s.name) as channel
        from f6.subscription_definition as s
        cross join lateral (
            select coalesce(pg_catalog.min(p."position"), s.start_position) as "position",
                   coalesce(pg_catalog.array_agg(distinct p.consumer) filter (where p.leased_until operator(pg_catalog.>) pg_catalog.clock_timestamp()), '{}') as consumers,
                   pg_catalog.min(p.leased_until) filter (where p.leased_until operator(pg_catalog.>) pg_catalog.clock_timestamp()) as leased_until
                from f6.subscription_partition as p where p.subscription_id operator(pg_catalog.=) s.subscription_id) as p
        left join lateral (
            select pg_catalog.count(*) over () as failing, f.reason as error, f.failed_at, f.retry_at
                from f6.subscription_failure as f where f.subscription_id operator(pg_catalog.=) s.subscription_id
                order by f.failed_at desc limit 1) as f on true
        cross join lateral (
            select pg_catalog.count(*) as parked from f6.parked_event as k
                where k.subscription_id operator(pg_catalog.=) s.subscription_id and not k.is_done) as k
        cross join lateral f6.subscription_lag(s.name) as l
        left join f6.event as e on e."position" operator(pg_catalog.=) l.first_position;
comment on view f6.subscription is 'the subscriptions, how far they have come, who is at them and what they fail at';
comment on column f6.subscription.name is 'the subscription';
comment on column f6.subscription.query is 'which events it delivers';
comment on column f6.subscription.partitions is 'how many consumers can be at it at the same time';
comment on column f6.subscription.owner is 'whose members may consume from it';
comment on column f6.subscription."position" is 'all its events up to this position are acknowledged, or parked';
comment on column f6.subscription.lag_events is 'how many of its events are not, of those up to the horizon, 100,000 at most; for those who may read events';
comment on column f6.subscription.lag_time is 'how long ago the first of them was recorded';
comment on column f6.subscription.consumers is 'who has a lease';
comment on column f6.subscription.leased_until is 'when the first of the leases runs out';
comment on column f6.subscription.failing is 'how many events consumers have failed at that are delivered again';
comment on column f6.subscription.parked is 'how many events are parked';
comment on column f6.subscription.error is 'why a consumer failed last; for those who may read events';
comment on column f6.subscription.failed_at is 'when that was';
comment on column f6.subscription.retry_at is 'when the event is delivered again';
comment on column f6.subscription.channel is 'the channel on which consumers are notified that there may be something for them';

create view f6.parked as
    select s.name, k."position", k.partition, k.object_ids, k.attempts, k.reason, k.waits_for, k.parked_at, k.replay
        from f6.parked_event as k
        join f6.subscription_definition as s using (subscription_id)
        where not k.is_done;
comment on view f6.parked is 'events that subscriptions have put aside: f6_replay has them delivered again, f6_discard gives up on one';
comment on column f6.parked.name is 'the subscription';
comment on column f6.parked."position" is 'the event''s position';
comment on column f6.parked.partition is 'its partition';
comment on column f6.parked.object_ids is 'its objects, whose later events wait for it';
comment on column f6.parked.attempts is 'how often a consumer has failed at it';
comment on column f6.parked.reason is 'why, by the last one';
comment on column f6.parked.waits_for is 'the parked event of the same object that it waits for; NULL: consumers have failed at this one';
comment on column f6.parked.parked_at is 'since when it is parked';
comment on column f6.parked.replay is 'whether it is to be delivered again';
