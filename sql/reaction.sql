-- Reactions: functions that f6's worker runs for the events of a subscription, each once.

create table f6.reaction_definition (
    subscription_id integer not null references f6.subscription_definition on delete cascade,
    handler text not null,
    due text,
    delay interval,
    only_objects uuid[],
    enabled boolean not null,
    timeout interval not null check (timeout operator(pg_catalog.>=) interval '1 millisecond' and timeout operator(pg_catalog.<=) interval '1 day'),
    max_chain integer not null check (max_chain operator(pg_catalog.>=) 0),
    time_zone text not null,
    created_at timestamptz not null default pg_catalog.clock_timestamp(),
    primary key (subscription_id)
);
comment on table f6.reaction_definition is 'the reactions that there are: f6.reaction shows them by name';
comment on column f6.reaction_definition.subscription_id is 'the subscription that delivers its events';
comment on column f6.reaction_definition.handler is 'the function that handles them';
comment on column f6.reaction_definition.due is 'the function that says when; NULL: when they were recorded';
comment on column f6.reaction_definition.delay is 'how long after that; NULL: at once';
comment on column f6.reaction_definition.only_objects is 'the objects that it is about; NULL: all';
comment on column f6.reaction_definition.enabled is 'whether it reacts';
comment on column f6.reaction_definition.timeout is 'how long the handler may take for an event';
comment on column f6.reaction_definition.max_chain is 'an event to which more events led than this, each because of the one before, is parked';
comment on column f6.reaction_definition.time_zone is 'the time zone that its functions run in';
comment on column f6.reaction_definition.created_at is 'when it was made';

create table f6.reaction_due (
    subscription_id integer not null references f6.reaction_definition on delete cascade,
    "position" bigint not null,
    due_at timestamptz not null,
    run_at timestamptz not null,
    attempts integer not null default 0,
    reason text,
    failed_at timestamptz,
    primary key (subscription_id, "position")
);
create index reaction_due_run_at on f6.reaction_due (subscription_id, run_at, "position");
comment on table f6.reaction_due is 'events that reactions handle later: f6.due shows them by name';
comment on column f6.reaction_due.subscription_id is 'the reaction';
comment on column f6.reaction_due."position" is 'the event''s position';
comment on column f6.reaction_due.due_at is 'when it is due';
comment on column f6.reaction_due.run_at is 'when it is handled: then, or later when that has failed';
comment on column f6.reaction_due.attempts is 'how often it has failed';
comment on column f6.reaction_due.reason is 'why, the last time';
comment on column f6.reaction_due.failed_at is 'when that was';

create table f6.reaction_run (
    run_id bigserial not null,
    reaction text collate "C" not null,
    "position" bigint not null,
    attempt integer not null,
    outcome text not null,
    started_at timestamptz not null,
    duration interval not null,
    appended bigint[],
    error text,
    retry_at timestamptz,
    primary key (run_id)
);
create index reaction_run_event on f6.reaction_run ("position");
create index reaction_run_started_at on f6.reaction_run (started_at);
comment on table f6.reaction_run is 'what reactions have done';
comment on column f6.reaction_run.run_id is 'the run''s number';
comment on column f6.reaction_run.reaction is 'the reaction';
comment on column f6.reaction_run."position" is 'the position of the event that it reacted to';
comment on column f6.reaction_run.attempt is 'for which time, counted from 1';
comment on column f6.reaction_run.outcome is 'done, failed or parked: it failed, and is handled again, or no more until f6_replay';
comment on column f6.reaction_run.started_at is 'when that began';
comment on column f6.reaction_run.duration is 'how long it took';
comment on column f6.reaction_run.appended is 'the positions of the events that the handler returned; NULL: none';
comment on column f6.reaction_run.error is 'why it failed';
comment on column f6.reaction_run.retry_at is 'when it is handled again';

create function f6.make_reaction(
    name text, handler text, due text, delay interval, only_objects uuid[], enabled boolean, timeout interval, max_chain integer
) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_make_reaction';
comment on function f6.make_reaction(text, text, text, interval, uuid[], boolean, interval, integer) is
    'makes a reaction of a subscription, of the caller, whose other arguments have been checked';

create function @extschema@.f6_create_reaction(
    name text,
    query jsonb,
    handler text,
    start text default 'now',
    due text default null,
    delay interval default null,
    only_objects uuid[] default null,
    enabled boolean default true,
    partitions integer default 1,
    attempts integer default 5,
    backoff interval default '1 second',
    max_backoff interval default '5 minutes',
    timeout interval default '1 minute',
    max_chain integer default 32
) returns void
    language plpgsql volatile
as $body$
begin
    if handler is null or enabled is null then
        raise exception 'handler and enabled must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if (timeout operator(pg_catalog.>=) interval '1 millisecond' and timeout operator(pg_catalog.<=) interval '1 day') is not true then
        raise exception 'timeout must be from a millisecond to a day, found %', coalesce(timeout::text, 'NULL')
            using errcode = 'invalid_parameter_value';
    end if;
    if max_chain is null or max_chain operator(pg_catalog.<) 0 or max_chain operator(pg_catalog.>) 10000 then
        raise exception 'max_chain must be 0 to 10000, found %', coalesce(max_chain::text, 'NULL')
            using errcode = 'invalid_parameter_value';
    end if;
    if (delay operator(pg_catalog.>=) interval '-1000 years' and delay operator(pg_catalog.<=) interval '1000 years') is false then
        raise exception 'delay must be at most a thousand years, found %', delay
            using errcode = 'invalid_parameter_value';
    end if;
    perform @extschema@.f6_subscribe(name, query, start, partitions, attempts, backoff, max_backoff);
    perform f6.make_reaction(name, handler, due, delay, only_objects, enabled, timeout, max_chain);
end
$body$;
comment on function @extschema@.f6_create_reaction(text, jsonb, text, text, text, interval, uuid[], boolean, integer, integer, interval, interval, interval, integer) is
    'makes a reaction: a function that f6''s worker runs for each event that matches a query, once';

create function @extschema@.f6_enable_reaction(name text, only_objects uuid[] default null) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_enable_reaction';
comment on function @extschema@.f6_enable_reaction(text, uuid[]) is
    'has a reaction react, about all objects or only some, from where it was';

create function @extschema@.f6_disable_reaction(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_disable_reaction';
comment on function @extschema@.f6_disable_reaction(text) is
    'has a reaction not react until it is enabled; it keeps its place';

create function @extschema@.f6_drop_reaction(name text) returns void
    language plpgsql volatile
as $body$
begin
    if not exists (
        select from f6.reaction as r where r.name operator(pg_catalog.=) f6_drop_reaction.name)
    then
        raise exception 'there is no reaction "%"', coalesce(name, 'NULL')
            using errcode = 'undefined_object', hint = 'f6.reaction lists them.';
    end if;
    perform @extschema@.f6_unsubscribe(name);
end
$body$;
comment on function @extschema@.f6_drop_reaction(text) is
    'drops a reaction, with what it has parked and what is due; what it has done stays in f6.reaction_run';

create function @extschema@.f6_run_reactions(name text default null) returns bigint
    language c volatile cost 10000 as 'MODULE_PATHNAME', 'f6_run_reactions';
comment on function @extschema@.f6_run_reactions(text) is
    'has a reaction, or all that are the caller''s, react until nothing is left, and returns how often handlers have run';

create view f6.reaction as
    select s.name, s.query, r.handler, r.due, r.delay, r.only_objects, r.enabled, s.owner, s."position", s.lag_events, s.lag_time,
           coalesce(d.waiting, 0) as waiting, d.next_at, s.failing operator(pg_catalog.+) coalesce(d.failing, 0) as failing, s.parked, s.error, s.failed_at, s.retry_at
        from f6.reaction_definition as r
        join f6.subscription_definition as sd using (subscription_id)
        join f6.subscription as s on s.name operator(pg_catalog.=) sd.name
        left join lateral (
            select pg_catalog.count(*) as waiting, pg_catalog.min(d.run_at) as next_at,
                   pg_catalog.count(*) filter (where d.attempts operator(pg_catalog.>) 0) as failing
                from f6.reaction_due as d where d.subscription_id operator(pg_catalog.=) r.subscription_id) as d on true;
comment on view f6.reaction is 'the reactions, how far they have come and what they fail at';
comment on column f6.reaction.name is 'the reaction, and the subscription that delivers its events';
comment on column f6.reaction.query is 'to which events it reacts';
comment on column f6.reaction.handler is 'the function that handles them';
comment on column f6.reaction.due is 'the function that says when';
comment on column f6.reaction.delay is 'how long after that';
comment on column f6.reaction.only_objects is 'the objects that it is about; NULL: all';
comment on column f6.reaction.enabled is 'whether it reacts';
comment on column f6.reaction.owner is 'as whom its functions run';
comment on column f6.reaction."position" is 'all its events up to this position are done, parked or wait until they are due';
comment on column f6.reaction.lag_events is 'how many of its events are not, of those up to the horizon, 100,000 at most; for those who may read events';
comment on column f6.reaction.lag_time is 'how long ago the first of them was recorded';
comment on column f6.reaction.waiting is 'how many events wait until they are due';
comment on column f6.reaction.next_at is 'when the first of these is handled';
comment on column f6.reaction.failing is 'how many events have failed that are handled again';
comment on column f6.reaction.parked is 'how many events are parked';
comment on column f6.reaction.error is 'why handling one failed last; for those who may read events';
comment on column f6.reaction.failed_at is 'when that was';
comment on column f6.reaction.retry_at is 'when it is handled again';

create view f6.due as
    select s.name, d."position", d.due_at, d.run_at, d.attempts, d.reason, d.failed_at
        from f6.reaction_due as d
        join f6.subscription_definition as s using (subscription_id);
comment on view f6.due is 'events that reactions handle later: f6_discard gives up on one';
comment on column f6.due.name is 'the reaction';
comment on column f6.due."position" is 'the event''s position';
comment on column f6.due.due_at is 'when it is due';
comment on column f6.due.run_at is 'when it is handled: then, or later when that has failed';
comment on column f6.due.attempts is 'how often it has failed';
comment on column f6.due.reason is 'why, the last time';
comment on column f6.due.failed_at is 'when that was';
