-- Projections: folds over chosen events, whose results are kept in tables of the user's.

create table f6.projection (
    projection_id serial not null,
    name text collate "C" not null check (name operator(pg_catalog.<>) ''),
    mode text collate "C" not null,
    event_types text[],
    fold jsonb,
    handler text,
    key text,
    columns jsonb,
    legal boolean not null,
    time_zone text not null,
    table_name regclass,
    owner regrole not null,
    next_fold jsonb,
    primary key (projection_id),
    unique (name),
    check (projection_id operator(pg_catalog.>) 0),
    check (mode operator(pg_catalog.=) any (array['inline', 'async', 'live']))
);
comment on table f6.projection is 'the projections that there are';
comment on column f6.projection.projection_id is 'the projection''s number in this database';
comment on column f6.projection.name is 'its name';
comment on column f6.projection.mode is 'inline: written by the transaction that appends; async: later; live: made when somebody asks';
comment on column f6.projection.event_types is 'the types of events, or patterns of them, that it is about; NULL: all';
comment on column f6.projection.fold is 'what events do to a state, as f6_fold takes it; NULL: their data is merged';
comment on column f6.projection.handler is 'the function that handles events instead';
comment on column f6.projection.key is 'the SQL expression over an event by which rows are told apart; NULL: the event''s objects';
comment on column f6.projection.columns is 'the columns that take their values from a place in the state';
comment on column f6.projection.legal is 'whether it counts only what has legal force';
comment on column f6.projection.time_zone is 'the time zone in which dates without one are read';
comment on column f6.projection.table_name is 'the table or view that has its rows; NULL: it has a handler';
comment on column f6.projection.owner is 'as whom its functions are run, the log is read for it and its rows are written';
comment on column f6.projection.next_fold is 'the fold that it is to be rebuilt with; the null of JSON: merging; NULL: it stays as it is';

create function f6.projection_before_change() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
begin
    if tg_op <> 'INSERT' and not pg_has_role(current_user, old.owner, 'usage')
       or tg_op <> 'DELETE' and not pg_has_role(current_user, new.owner, 'usage') then
        raise exception 'projection "%" is not yours', case when tg_op = 'INSERT' then new.name else old.name end
            using errcode = 'insufficient_privilege', hint = 'Its functions run as its owner.';
    end if;
    if tg_op = 'UPDATE' and new.projection_id <> old.projection_id then
        raise exception 'a projection keeps its number' using errcode = 'object_not_in_prerequisite_state';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end
$body$;
comment on function f6.projection_before_change() is 'trigger: lets nobody make functions run as somebody else';

create table f6.projection_progress (
    projection_id integer not null,
    "position" bigint not null,
    refreshed_at timestamptz not null,
    failures integer not null default 0,
    failed_position bigint,
    failed_at timestamptz,
    error text,
    retry_at timestamptz,
    functions bigint,
    last_upcaster bigint,
    deprecations bigint,
    primary key (projection_id)
) with (fillfactor = 50);
comment on table f6.projection_progress is 'how far the projections have come that are refreshed';
comment on column f6.projection_progress.projection_id is 'the projection';
comment on column f6.projection_progress."position" is 'it has the events up to this position';
comment on column f6.projection_progress.refreshed_at is 'since then';
comment on column f6.projection_progress.failures is 'how often taking the next event has failed';
comment on column f6.projection_progress.failed_position is 'the position of that event';
comment on column f6.projection_progress.failed_at is 'when it failed last';
comment on column f6.projection_progress.error is 'by what error';
comment on column f6.projection_progress.retry_at is 'when it is tried again';
comment on column f6.projection_progress.functions is 'a hash of the functions that its rows were made by';
comment on column f6.projection_progress.last_upcaster is 'the last upcaster that was registered when the making of its rows began: its ordinal';
comment on column f6.projection_progress.deprecations is 'how many versions of event types were deprecated then';

create table f6.projection_skip (
    projection_id integer not null,
    "position" bigint not null,
    skipped_at timestamptz not null,
    skipped_by text not null,
    reason text,
    primary key (projection_id, "position")
);
comment on table f6.projection_skip is 'events that projections take as not there: somebody has said so';
comment on column f6.projection_skip.projection_id is 'the projection';
comment on column f6.projection_skip."position" is 'the position of the event';
comment on column f6.projection_skip.skipped_at is 'since when it is skipped';
comment on column f6.projection_skip.skipped_by is 'who has said so';
comment on column f6.projection_skip.reason is 'and why';

create table f6.projection_end (
    projection_id integer not null,
    key jsonb not null,
    last_position bigint not null,
    last_material_time timestamptz not null,
    primary key (projection_id, key)
);
comment on table f6.projection_end is 'rows of projections that a fold has ended: a later event may belong before the end';
comment on column f6.projection_end.projection_id is 'the projection';
comment on column f6.projection_end.key is 'the key of the row';
comment on column f6.projection_end.last_position is 'the last event that the row had';
comment on column f6.projection_end.last_material_time is 'the latest material time of its claims';

create table f6.rebuild (
    projection_id integer not null,
    part integer not null,
    parts integer not null,
    table_name regclass not null,
    began_at timestamptz not null,
    "position" bigint not null,
    until bigint not null,
    events bigint not null,
    updated_at timestamptz not null,
    primary key (projection_id, part)
) with (fillfactor = 50);
comment on table f6.rebuild is 'the rebuilds that are under way, part by part: each has the rows of some keys';
comment on column f6.rebuild.projection_id is 'the projection';
comment on column f6.rebuild.part is 'the part, counted from 0';
comment on column f6.rebuild.parts is 'how many parts there are';
comment on column f6.rebuild.table_name is 'the table that is being filled';
comment on column f6.rebuild.began_at is 'when the rebuild began';
comment on column f6.rebuild."position" is 'the part has the events up to this position';
comment on column f6.rebuild.until is 'and is to have them up to this one';
comment on column f6.rebuild.events is 'how many events have been read for the part';
comment on column f6.rebuild.updated_at is 'when that was';

create function f6.projection_after_delete() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $body$
begin
    delete from f6.projection_progress as p where p.projection_id in (old.projection_id, - old.projection_id);
    delete from f6.projection_end as e where e.projection_id in (old.projection_id, - old.projection_id);
    delete from f6.rebuild as r where r.projection_id = old.projection_id;
    delete from f6.projection_skip as s where s.projection_id = old.projection_id;
    return null;
end
$body$;
comment on function f6.projection_after_delete() is 'trigger: forgets what is known of a projection that is gone';

create trigger before_change before insert or update or delete on f6.projection
    for each row execute function f6.projection_before_change();
create trigger after_delete after delete on f6.projection
    for each row execute function f6.projection_after_delete();
create trigger registry_changed after insert or update or delete on f6.projection
    for each row execute function f6.registry_changed();
alter table f6.projection enable always trigger before_change;
alter table f6.projection enable always trigger after_delete;
alter table f6.projection enable always trigger registry_changed;

create trigger registry_changed after insert or update or delete on f6.projection_skip
    for each row execute function f6.registry_changed();
alter table f6.projection_skip enable always trigger registry_changed;

create function f6.guard_projection() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_guard_projection';
comment on function f6.guard_projection() is 'trigger: lets nobody but its projection write a table';

create function f6.projection_shape(
    event_types text[], fold jsonb, handler text, key text, columns jsonb,
    out handler_name text, out key_text text, out key_type text, out column_types text[]
) returns record
    language c stable as 'MODULE_PATHNAME', 'f6_projection_shape';
comment on function f6.projection_shape(text[], jsonb, text, text, jsonb) is
    'checks what makes a projection, and returns it with all names qualified';

create function f6.fill_projection(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_fill_projection';
comment on function f6.fill_projection(text) is
    'takes all events into an inline projection, and lets nobody append until the transaction ends';

create function f6.pause_appends() returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_pause_appends';
comment on function f6.pause_appends() is 'lets nobody else append until the transaction ends';

create function f6.lock_projection(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_lock_projection';
comment on function f6.lock_projection(text) is 'lets nobody else refresh or change a projection until the transaction ends';

create function @extschema@.f6_refresh(name text) returns bigint
    language c volatile as 'MODULE_PATHNAME', 'f6_refresh';
comment on function @extschema@.f6_refresh(text) is
    'takes the events up to the horizon into an async projection, and returns how many they are';

create function @extschema@.f6_refresh() returns table (name text, events bigint, error text)
    language c volatile as 'MODULE_PATHNAME', 'f6_refresh_all';
comment on function @extschema@.f6_refresh() is
    'does what the worker does, once: takes events into all async projections, and notes what fails, to be tried again later';

create function @extschema@.f6_skip(name text, "position" bigint default null, reason text default null) returns bigint
    language c volatile as 'MODULE_PATHNAME', 'f6_skip';
comment on function @extschema@.f6_skip(text, bigint, text) is
    'has a projection take an event as not there, by default the one that fails, and returns its position';

create function @extschema@.f6_start_worker() returns integer
    language c volatile as 'MODULE_PATHNAME', 'f6_start_worker';
comment on function @extschema@.f6_start_worker() is
    'starts f6''s worker in the current database, unless one runs there, and returns its process';

create function @extschema@.f6_wait_for(
    name text, "position" bigint, timeout interval default '10 seconds'
) returns boolean
    language c volatile as 'MODULE_PATHNAME', 'f6_wait_for';
comment on function @extschema@.f6_wait_for(text, bigint, interval) is
    'waits until a projection has the events up to a position, and tells whether it has';

create function f6.create_projection_table(name text, target text, key_name text, key_type text, columns text[], writable boolean)
    returns regclass
    language plpgsql volatile
as $body$
begin
    execute pg_catalog.format(
        'create table %s (%I %s primary key, state jsonb not null, %s last_position bigint not null, '
        'last_material_time timestamptz not null)',
        target, key_name, key_type,
        (select pg_catalog.string_agg(c, ', ') operator(pg_catalog.||) ', ' from pg_catalog.unnest(columns) as c));
    execute pg_catalog.format('comment on table %s is %L', target,
        case when writable then '' else e'@omit create,update,delete\n' end
            operator(pg_catalog.||) pg_catalog.format('projection "%s" of f6: written by it alone', name));
    execute pg_catalog.format('comment on column %s.%I is %L', target, key_name, 'what the row is of');
    execute pg_catalog.format('comment on column %s.state is %L', target, 'the state that the events make');
    execute pg_catalog.format('comment on column %s.last_position is %L', target, 'the last event that the row has');
    execute pg_catalog.format('comment on column %s.last_material_time is %L', target,
        'the latest material time of the claims that it counts');
    if not writable then
        execute pg_catalog.format(
            'create trigger f6_guard before insert or update or delete or truncate on %s '
            'for each statement execute function f6.guard_projection()', target);
        execute pg_catalog.format('alter table %s enable always trigger f6_guard', target);
    end if;
    return target::pg_catalog.regclass;
end
$body$;
comment on function f6.create_projection_table(text, text, text, text, text[], boolean) is
    'makes the table of a projection';

create function f6.live_rows(name text) returns setof record
    language c stable strict cost 100000 as 'MODULE_PATHNAME', 'f6_live_rows';
comment on function f6.live_rows(text) is 'the rows of a live projection: their keys, states and columns';

create function f6.live_columns(name text, state jsonb) returns setof record
    language c stable strict rows 1 as 'MODULE_PATHNAME', 'f6_live_columns';
comment on function f6.live_columns(text, jsonb) is 'what a state has for the columns of a live projection';

create function f6.create_projection_view(name text, target text, key_type text, columns text[]) returns regclass
    language plpgsql volatile
as $body$
declare
    definitions text := nullif(pg_catalog.array_to_string(columns, ', '), '');
begin
    if key_type is not null then
        execute pg_catalog.format('create view %s as select c.* from f6.live_rows(%L) as c (key %s, state jsonb%s)',
            target, name, key_type, ', ' operator(pg_catalog.||) definitions);
    else
        execute pg_catalog.format(
            'create view %s as select o.object_id, s.state%s '
            'from (select distinct l.object_id from f6.event_object as l) as o '
            'cross join lateral (select @extschema@.f6_state_asof(o.object_id, %L, %L, %L) as state offset 0) as s '
            '%s where s.state is not null',
            target, case when definitions is not null then ', c.*' end, 'infinity', 'infinity', name,
            pg_catalog.format('cross join lateral f6.live_columns(%L, s.state) as c (', name)
            operator(pg_catalog.||) definitions operator(pg_catalog.||) ')');
    end if;
    execute pg_catalog.format('comment on view %s is %L', target,
        pg_catalog.format(e'@omit create,update,delete\n@primaryKey %s\nprojection "%s" of f6: made when somebody asks',
            case when key_type is null then 'object_id' else 'key' end, name));
    return target::pg_catalog.regclass;
end
$body$;
comment on function f6.create_projection_view(text, text, text, text[]) is 'makes the view of a live projection';

create function @extschema@.f6_create_projection(
    name text,
    event_types text[] default null,
    fold jsonb default null,
    mode text default 'async',
    into_table text default null,
    columns jsonb default null,
    key text default null,
    legal boolean default false,
    handler text default null,
    writable boolean default false
) returns void
    language plpgsql volatile
as $body$
declare
    shape pg_catalog.record;
    parts text[];
    target text;
    made regclass;
begin
    if name is null or name operator(pg_catalog.=) '' then
        raise exception 'a projection needs a name'
            using errcode = 'invalid_parameter_value', hint = 'It may be neither NULL nor empty.';
    end if;
    if mode is null or not mode operator(pg_catalog.=) any (array['inline', 'async', 'live']) then
        raise exception 'mode must be inline, async or live, found %', coalesce(pg_catalog.quote_literal(mode), 'NULL')
            using errcode = 'invalid_parameter_value';
    end if;
    if legal is null or writable is null then
        raise exception 'legal and writable must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if exists (select 1 from f6.projection as p where p.name operator(pg_catalog.=) f6_create_projection.name) then
        raise exception 'projection "%" exists', name
            using errcode = 'duplicate_object', hint = 'f6.projection lists them; f6_drop_projection drops one.';
    end if;
    if handler is not null and (fold is not null or into_table is not null or columns is not null or key is not null
                                or legal or writable) then
        raise exception 'a handler makes rows of any shape itself'
            using errcode = 'invalid_parameter_value',
                  hint = 'Leave out fold, into_table, columns, key, legal and writable.';
    end if;
    if mode operator(pg_catalog.=) 'live' and (handler is not null or writable) then
        raise exception 'a live projection has no table'
            using errcode = 'invalid_parameter_value',
                  hint = 'Leave out handler and writable, or choose the mode async.';
    end if;
    shape := f6.projection_shape(event_types, fold, handler, key, columns);
    if handler is null then
        parts := pg_catalog.parse_ident(coalesce(into_table, pg_catalog.quote_ident(name)));
        if pg_catalog.cardinality(parts) operator(pg_catalog.>) 2 then
            raise exception 'into_table must be the name of a table, found "%"', into_table
                using errcode = 'invalid_parameter_value';
        end if;
        if pg_catalog.cardinality(parts) operator(pg_catalog.=) 1 then
            parts := pg_catalog.array_prepend(pg_catalog.current_schema()::text, parts);
        end if;
        target := pg_catalog.format('%I.%I', parts[1], parts[2]);
        if mode operator(pg_catalog.=) 'live' then
            made := f6.create_projection_view(name, target, case when key is not null then shape.key_type end, shape.column_types);
        else
            made := f6.create_projection_table(name, target, case when key is null then 'object_id' else 'key' end,
                                               shape.key_type, shape.column_types, writable);
        end if;
    end if;
    insert into f6.projection (name, mode, event_types, fold, handler, key, columns, legal, time_zone, table_name, owner)
        values (f6_create_projection.name, f6_create_projection.mode, f6_create_projection.event_types,
                f6_create_projection.fold, shape.handler_name, shape.key_text, f6_create_projection.columns,
                f6_create_projection.legal, pg_catalog.current_setting('TimeZone'), made,
                pg_catalog.quote_ident(current_user)::pg_catalog.regrole);
    if mode operator(pg_catalog.=) 'inline' then
        perform f6.fill_projection(name);
    end if;
end
$body$;
comment on function @extschema@.f6_create_projection(text, text[], jsonb, text, text, jsonb, text, boolean, text, boolean) is
    'makes a projection: a fold of events into the rows of a new table, or a handler of events';

create function @extschema@.f6_drop_projection(name text, keep_table boolean default false) returns void
    language plpgsql volatile
as $body$
declare
    dropped f6.projection;
begin
    perform f6.lock_projection(name);
    select p.* into dropped from f6.projection as p
        where p.name operator(pg_catalog.=) f6_drop_projection.name;
    if dropped.mode operator(pg_catalog.=) 'inline' then
        perform f6.pause_appends();
    end if;
    if dropped.handler is null and dropped.mode operator(pg_catalog.<>) 'live' then
        perform f6.drop_rebuild(name);
    end if;
    delete from f6.projection as p where p.projection_id operator(pg_catalog.=) dropped.projection_id;
    if dropped.table_name is null
       or not exists (select 1 from pg_catalog.pg_class as c where c.oid operator(pg_catalog.=) dropped.table_name) then
        return;
    end if;
    if keep_table and dropped.mode operator(pg_catalog.<>) 'live' then
        execute pg_catalog.format('drop trigger if exists f6_guard on %s', dropped.table_name);
    else
        execute pg_catalog.format('drop %s %s',
            case when dropped.mode operator(pg_catalog.=) 'live' then 'view' else 'table' end, dropped.table_name);
    end if;
end
$body$;
comment on function @extschema@.f6_drop_projection(text, boolean) is
    'drops a projection with its table, or leaves that as an ordinary one';

create function f6.projection_is_stale(projection_id integer) returns boolean
    language c stable strict as 'MODULE_PATHNAME', 'f6_projection_is_stale';
comment on function f6.projection_is_stale(integer) is
    'whether the rows of a projection would be made in another way now';

create view f6.projections as
    select p.name, p.mode,
           case when p.table_name is not null and c.oid is null then 'lost'
                when g.failures operator(pg_catalog.>) 0 then 'failing'
                when exists (select 1 from f6.rebuild as r where r.projection_id operator(pg_catalog.=) p.projection_id)
                    then 'rebuilding'
                when p.next_fold is not null or f6.projection_is_stale(p.projection_id) then 'stale'
                else 'ready' end as state,
           case when c.oid is not null then p.table_name::text end as table_name,
           case when p.mode operator(pg_catalog.=) 'async' then coalesce(g."position", 0) end as "position",
           l.events as lag_events, l.since as lag_time, g.refreshed_at,
           coalesce(g.failures, 0) as failures, g.failed_position,
           case when pg_catalog.has_table_privilege('f6.event', 'select') then g.error end as error, g.retry_at
        from f6.projection as p
        left join pg_catalog.pg_class as c on c.oid operator(pg_catalog.=) p.table_name
        left join f6.projection_progress as g using (projection_id)
        left join lateral (
            select pg_catalog.count(*) as events,
                   pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.min(e.created_at) as since
                from f6.event as e
                where e."position" operator(pg_catalog.>) coalesce(g."position", 0)) as l
            on p.mode operator(pg_catalog.=) 'async';
comment on view f6.projections is 'the projections, how far they have come, and what they fail at';
comment on column f6.projections.name is 'the projection';
comment on column f6.projections.mode is 'inline, async or live';
comment on column f6.projections.state is
    'ready; failing: the next event can''t be taken; stale: it is to be rebuilt, with another fold, or since a function or upcaster has changed; rebuilding; lost: its table is gone';
comment on column f6.projections.table_name is 'the table or view that has its rows';
comment on column f6.projections."position" is 'of an async one: it has the events up to this position';
comment on column f6.projections.lag_events is 'how many events there are after that';
comment on column f6.projections.lag_time is 'how long ago the first of them was recorded';
comment on column f6.projections.refreshed_at is 'when it came there';
comment on column f6.projections.failures is 'how often taking the next event has failed';
comment on column f6.projections.failed_position is 'the position of that event';
comment on column f6.projections.error is 'by what error it failed last; NULL to who may not read events, of which it may tell';
comment on column f6.projections.retry_at is 'when it is tried again';

create function @extschema@.f6_projections() returns setof f6.projections
    language sql stable
    as $$ select * from f6.projections order by name $$;
comment on function @extschema@.f6_projections() is 'the rows of f6.projections, by name';

create view f6.rebuild_progress as
    select p.name, pg_catalog.min(r.began_at) as began_at,
           pg_catalog.sum(r."position")::bigint as done, pg_catalog.sum(r.until)::bigint as total,
           pg_catalog.sum(r.events)::bigint as events,
           (pg_catalog.sum(r.events) operator(pg_catalog./)
            nullif(extract(epoch from pg_catalog.max(r.updated_at) operator(pg_catalog.-) pg_catalog.min(r.began_at)), 0)
           )::bigint as events_per_second,
           (pg_catalog.max(r.updated_at) operator(pg_catalog.-) pg_catalog.min(r.began_at)) operator(pg_catalog.*)
           ((pg_catalog.sum(r.until) operator(pg_catalog.-) pg_catalog.sum(r."position")) operator(pg_catalog./)
            nullif(pg_catalog.sum(r."position"), 0))::double precision as remaining
        from f6.rebuild as r
        join f6.projection as p using (projection_id)
        group by p.projection_id;
comment on view f6.rebuild_progress is 'how far the rebuilds have come that are under way';
comment on column f6.rebuild_progress.name is 'the projection';
comment on column f6.rebuild_progress.began_at is 'when its rebuild began';
comment on column f6.rebuild_progress.done is 'the positions of the log that have been read, over all parts';
comment on column f6.rebuild_progress.total is 'those that are to be read, over all parts';
comment on column f6.rebuild_progress.events is 'the events that were read at them, over all parts';
comment on column f6.rebuild_progress.events_per_second is 'as many in a second since it began, as of the last part that was written';
comment on column f6.rebuild_progress.remaining is 'the time that the rest takes if it goes on so';

create function f6.take_rebuild_part(name text) returns boolean
    language c volatile as 'MODULE_PATHNAME', 'f6_take_rebuild_part';
comment on function f6.take_rebuild_part(text) is
    'fills some of a table that is to be rebuilt, and tells whether there is anything left that nobody is at';

create function f6.put_rebuild(name text) returns boolean
    language c volatile as 'MODULE_PATHNAME', 'f6_put_rebuild';
comment on function f6.put_rebuild(text) is
    'makes the rows of a projection those that were rebuilt, if all parts are whole, and tells whether it did';

create function f6.begin_rebuild(name text, parts integer) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_begin_rebuild';
comment on function f6.begin_rebuild(text, integer) is 'begins to rebuild a projection, unless that is under way';

create function f6.drop_rebuild(name text) returns boolean
    language c volatile as 'MODULE_PATHNAME', 'f6_drop_rebuild';
comment on function f6.drop_rebuild(text) is 'drops what a rebuild has made, and tells whether there was one';

create function f6.help_rebuild(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_help_rebuild';
comment on function f6.help_rebuild(text) is
    'starts processes that take parts of a rebuild, as many as there are parts and max_parallel_maintenance_workers allows';

create procedure @extschema@.f6_rebuild(name text, parts integer default null)
    language plpgsql
as $body$
begin
    perform f6.begin_rebuild(name, parts);
    commit;
    perform f6.help_rebuild(name);
    loop
        while f6.take_rebuild_part(name) loop
            commit;
        end loop;
        commit;
        exit when f6.put_rebuild(name);
        commit;
    end loop;
    if not f6.drop_rebuild(name) then
        raise notice 'another session has ended the rebuild of projection "%"', name;
    end if;
end
$body$;
comment on procedure @extschema@.f6_rebuild(text, integer) is
    'makes the rows of a projection anew from the log beside those that are there, and then puts them in their place';

create function @extschema@.f6_cancel_rebuild(name text) returns void
    language plpgsql volatile
as $body$
begin
    if not f6.drop_rebuild(name) then
        raise exception 'projection "%" is not being rebuilt', name using errcode = 'undefined_object';
    end if;
end
$body$;
comment on function @extschema@.f6_cancel_rebuild(text) is 'drops what the rebuild of a projection has made so far';

create function @extschema@.f6_change_fold(name text, fold jsonb) returns void
    language plpgsql volatile
as $body$
declare
    changed f6.projection;
begin
    perform f6.lock_projection(name);
    select p.* into changed from f6.projection as p where p.name operator(pg_catalog.=) f6_change_fold.name;
    if changed.handler is not null then
        raise exception 'projection "%" has a handler', name using errcode = 'invalid_parameter_value';
    end if;
    perform f6.projection_shape(null, fold, null, null, null);
    if exists (select 1 from f6.rebuild as r where r.projection_id operator(pg_catalog.=) changed.projection_id) then
        raise exception 'projection "%" is being rebuilt', name
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Wait for that, or end it with f6_cancel_rebuild.';
    end if;
    if changed.mode operator(pg_catalog.=) 'live' then
        update f6.projection as p set fold = f6_change_fold.fold
            where p.projection_id operator(pg_catalog.=) changed.projection_id;
    else
        update f6.projection as p set next_fold = coalesce(f6_change_fold.fold, 'null')
            where p.projection_id operator(pg_catalog.=) changed.projection_id;
    end if;
end
$body$;
comment on function @extschema@.f6_change_fold(text, jsonb) is
    'gives a projection another fold, with which it is to be rebuilt; until then it goes on with the one that it has';
