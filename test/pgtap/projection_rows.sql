-- Projections: which rows they have, and what they say when they can't.
begin;
select no_plan();
set local timezone = 'UTC';
create schema projecting;
select set_config('search_path', 'projecting, ' || current_setting('search_path'), true);
select f6_register_event_type(type, '1', 'true') from unnest('{Ordered, Paid}'::text[]) as type;

-- Returns the object of a name, and appends a claim about it.
create function o(name text) returns uuid language sql immutable as $$ select f6_object_id('projected', name) $$;
create function claim(type text, data jsonb, id uuid default null) returns bigint language sql as
    $$ select position from f6_append(type, array[o('one')], data, id => id) $$;
-- Returns the context of the error that a statement raises.
create function context_of(statement text) returns text language plpgsql as $$
declare
    context text;
begin
    execute statement;
    return 'none';
exception when others then
    get stacked diagnostics context = pg_exception_context;
    return regexp_replace(context, '[0-9a-f]+-[0-9a-f][-0-9a-f]+', 'ID', 'g');
end $$;

-- A handler has the events of its types, whatever else is appended with them.
create table handled (position bigint, type text);
create function handle(event f6.event) returns void language sql as $$ insert into projecting.handled values (event.position, event.event_type) $$;
select f6_create_projection('handling', '{Paid}', mode => 'inline', handler => 'projecting.handle(f6.event)');
select f6_append('[{"event_type": "Ordered", "object_ids": ["018cc251-0000-7000-8000-000000000001"], "event_data": 1},
    {"event_type": "Paid", "object_ids": ["018cc251-0000-7000-8000-000000000001"], "event_data": 2},
    {"event_type": "Ordered", "object_ids": ["018cc251-0000-7000-8000-000000000001"], "event_data": 3}]');
select results_eq('select type from handled', array['Paid'], 'an inline handler has only what it is about');
select f6_drop_projection('handling');

-- An array has each of its elements as a key once.
select f6_create_projection('counting', '{Paid}', '{"*": [{"op": "count", "path": "/n"}]}', 'inline', 'projecting.counting',
    key => $$array[event_data ->> 'b', event_data ->> 'a', event_data ->> 'b']$$);
select claim('Paid', '{"a": "x", "b": "x"}'), claim('Paid', '{"a": "y", "b": "x"}', o('event')), claim('Paid', '{"a": "z"}');
select results_eq('select key, (state ->> ''n'')::int from counting order by 1', $$ values ('x', 2), ('y', 1), ('z', 1) $$, 'a key is counted once an event');
select f6_append('Paid', null, '{"a": "z", "b": "z"}', event_kind => 'correction', event_reference => array[o('event')]);
select results_eq('select key, (state ->> ''n'')::int from counting order by 1', $$ values ('x', 1), ('z', 2) $$, 'a correction moves it');
select f6_drop_projection('counting');

-- What can't be done says in which projection, with which event, and leaves nothing behind.
select f6_create_projection('adding', '{Ordered}', '{"*": [{"op": "increment", "path": "/n", "from": "$.data.n"}]}', 'inline', 'projecting.adding',
    key => $$(12 / (event_data ->> 'd')::int)$$, columns => '{"n": "smallint"}');
select claim('Ordered', '{"n": 1, "d": 2}', o('ordered'));
create table before as select count(*) from f6.event;
select is(context_of($$ select f6_append('Ordered', array[projecting.o('one')], '{"n": "x", "d": 2}') $$) ~ e'^fold of event ID\nprojection "adding"', true, 'the fold of a claim');
select is(context_of($$ select f6_append('Ordered', array[projecting.o('one')], '{"n": 1, "d": 0}') $$) ~ e'^fold of event ID\nprojection "adding"', true, 'the key of a claim');
select is(context_of($$ select f6_append('Ordered', null, '{"n": "x", "d": 2}', event_kind => 'correction', event_reference => array[projecting.o('ordered')]) $$)
    ~ e'^fold of event ID\nprojection "adding"', true, 'the fold of what a correction restates');
select is(context_of($$ select f6_append('Ordered', null, '{"n": 1, "d": 0}', event_kind => 'correction', event_reference => array[projecting.o('ordered')]) $$)
    ~ e'^fold of event ID\nprojection "adding"', true, 'the key of what a correction restates');
select is(context_of($$ select f6_append(jsonb_build_array(jsonb_build_object('event_type', 'Ordered', 'object_ids', array[projecting.o('one')], 'event_data', '{"n": 1, "d": 1}'::jsonb),
    jsonb_build_object('event_type', 'Ordered', 'object_ids', array[projecting.o('one')], 'event_data', '{"n": 1, "d": 0}'::jsonb))) $$) ~ e'^fold of event ID\nprojection "adding"',
    true, 'one event among others');
select is(context_of($$ select f6_append('Ordered', array[projecting.o('one')], '{"n": 40000, "d": 2}') $$)
    ~ e'^column "n" from "/n" of the state\nrow with the event at position \\d+\nprojection "adding"', true, 'a value that is none of its column');
select results_eq('select count(*) from f6.event', 'table before', 'no event is left');
select results_eq('select key, n from adding', $$ values (6, 1::smallint) $$, 'and no row');

-- What code of a user appends or writes while an event is taken is not lost on projections that take the event after it.
create function bump(e f6.event) returns void language plpgsql set search_path from current as $$
begin
    if e.event_data ? 'first' then
        perform f6_append('Nested', e.object_ids, '{"inner": 1}');
    end if;
end $$;
create function echo() returns trigger language plpgsql set search_path from current as $$
begin
    if new.state ? 'first' and not new.state ? 'echo' then
        perform f6_append('Nested', array[new.object_id], '{"echo": 1}');
    end if;
    return null;
end $$;
select f6_register_event_type('Nested', '1', 'true');
select f6_create_projection('a handler', '{Nested}', handler => 'projecting.bump(f6.event)', mode => 'inline');
select f6_create_projection('b_echoed', '{Nested}', mode => 'inline');
create trigger echo after insert or update on b_echoed for each row execute function echo();
select f6_create_projection('c_counted', '{Nested}', '{"Nested": [{"op": "merge", "path": "", "from": "$.data"}, {"op": "count", "path": "/events"}]}', mode => 'inline');
select f6_create_projection('d_ended', '{Nested}', '{"Nested": [{"op": "delete", "when": "$.data.end"}, {"op": "merge", "path": "", "from": "$.data"}]}', mode => 'inline');
select f6_append('Nested', array[o('nested')], '{"n": 1}') is not null;
select f6_append('Nested', array[o('nested')], '{"first": 1}') is not null;
select is(f.fold, '{"n": 1, "echo": 1, "first": 1, "inner": 1}', 'all that was appended is in the log')
    from (select f6_state_asof(o('nested')) as fold) as f;
select is((select state from b_echoed), f6_state_asof(o('nested')), 'what a handler and a trigger append is in the row that made it');
select is((select state from c_counted), f6_state_asof(o('nested')) || '{"events": 4}', 'and once in the rows of others');
select is((select state from d_ended), f6_state_asof(o('nested')), 'those that may end too');
select is((select count(*) from f6.projection_end), 0::bigint, 'and none has ended');
select f6_append(jsonb_build_array(jsonb_build_object('event_type', 'Nested', 'object_ids', array[o('many')], 'event_data', '{"first": 1}'::jsonb),
    jsonb_build_object('event_type', 'Nested', 'object_ids', array[o('many')], 'event_data', '{"n": 2}'::jsonb))) is not null;
select is((select state - 'events' from c_counted where object_id = o('many')), f6_state_asof(o('many')), 'of several events too');
select is((select state -> 'events' from c_counted where object_id = o('many')), '4', 'each once');
select is((select state from d_ended where object_id = o('many')), f6_state_asof(o('many')), 'in each table');

-- Rows that are more than fit into the memory for them are locked, and read once more.
select f6_append(jsonb_agg(jsonb_build_object('event_type', 'Nested', 'object_ids', array[o('large ' || n)], 'event_data', jsonb_build_object('text', repeat(md5(n::text), 200)))))
    is not null from generate_series(1, 50) as n;
set local work_mem = '64kB';
select f6_append(jsonb_agg(jsonb_build_object('event_type', 'Nested', 'object_ids', array[o('large ' || n)], 'event_data', jsonb_build_object(m::text, n)))) is not null
    from generate_series(1, 50) as n, generate_series(1, 2) as m;
reset work_mem;
select is((select count(*) from generate_series(1, 50) as n join c_counted on object_id = o('large ' || n) where state = f6_state_asof(object_id) || '{"events": 3}'),
    50::bigint, 'a batch with much to fold loses nothing');

-- A trigger on a projection's table appends about the other rows that the same events change, those that are there and those that are not.
create function ring() returns trigger language plpgsql set search_path from current as $$
begin
    if new.state ? 'ring' then
        perform f6_append('Rung', array[other], jsonb_build_object('rung', new.state -> 'name')) from unnest(array[o('ring 1'), o('ring 2'), o('ring 3')]) as other
            where other <> new.object_id;
    end if;
    return null;
end $$;
select f6_register_event_type(type, '1', 'true') from unnest('{Rang, Rung}'::text[]) as type;
select f6_create_projection('e_ringing', '{Rang, Rung}', '{"*": [{"op": "delete", "when": "$.data.end"}, {"op": "merge", "path": "", "from": "$.data"},
    {"op": "count", "path": "/events"}]}', mode => 'inline');
create trigger ring after insert or update on e_ringing for each row when (new.state ? 'ring' and not new.state ? 'rung') execute function ring();
select f6_append('Rang', array[o('ring ' || n)], jsonb_build_object('name', n)) is not null from generate_series(2, 3) as n;
select f6_append(jsonb_agg(jsonb_build_object('event_type', 'Rang', 'object_ids', array[o('ring ' || n)], 'event_data', jsonb_build_object('ring', n)))) is not null
    from generate_series(1, 3) as n;
select is((select count(*) from f6.event where event_type = 'Rung'), 2::bigint, 'the trigger has appended');
select results_eq('select object_id, state from e_ringing order by 1', $$ select id, f6_state_asof(id, 'infinity', 'infinity', 'e_ringing')
    from unnest(array[o('ring 1'), o('ring 2'), o('ring 3')]) as id order by 1 $$, 'and nothing is lost on the rows that were written after it');
select f6_drop_projection(name) from unnest('{a handler,b_echoed,c_counted,d_ended}'::text[]) as name;

-- A date of effect without an offset is of the projection's time zone, whoever appends, and wherever.
select f6_register_event_type('Moved', '1', 'true', valid_from => '/since');
select f6_create_projection('moved', '{Moved}', mode => 'inline');
set local timezone = 'Asia/Tokyo';
select f6_append('Moved', array[o('mover')], '{"since": "2024-01-01T05:00", "city": "A"}') is not null;
set local timezone = 'UTC';
select f6_append('Moved', array[o('mover')], '{"since": "2024-01-01T01:00", "city": "B"}') is not null;
select is((select state ->> 'city' from moved), 'A', 'a date of effect is read in the time zone of the projection');
select is((select last_material_time from moved), '2024-01-01 05:00Z', 'for the row too');

-- An expression of a key may append, or look at the position, which an event does not have before it is written.
create function nosy(n integer, id uuid) returns integer language plpgsql immutable set search_path from current as $$
begin
    if n = 5 then
        perform f6_append('Paid', array[o('nosy')], '{"inner": 1, "n": 6}');
    end if;
    return n;
end $$;
select f6_register_event_type('Asked', '1', 'true');
select f6_create_projection('m paid', '{Paid,Asked}', mode => 'inline');
select f6_create_projection('n nosy', '{Asked}', mode => 'inline', key => 'projecting.nosy((event_data ->> ''n'')::int, id)');
select f6_append('Paid', array[o('nosy')], '{"n": 1, "first": 1}') is not null;
select f6_append('Asked', array[o('nosy')], '{"n": 5, "go": 2}') is not null;
select f6_create_projection('o nosy', '{Paid}', mode => 'inline', key => 'projecting.nosy((event_data ->> ''n'')::int, id)');
select throws_ok($$ select f6_append('Paid', array[o('nosy')], '{"n": 5}') $$, '55000', 'the key of a projection must not append events of the projection', 'but not on its own');
select lives_ok($$ select f6_append('Paid', array[o('nosy')], '{"n": 4}') $$, 'which goes on');
select is((select state from "m paid" where object_id = o('nosy')), f6_state_asof(o('nosy')), 'what the expression of a key appends is not lost on others');
select f6_drop_projection(n) from unnest('{moved,m paid,n nosy,o nosy}'::text[]) as n;
select f6_create_projection('by position', '{Paid}', mode => 'inline', key => '"position" % 2');
select "position" as last_paid from f6_append('Paid', array[o('placed')], '{"n": 1}') \gset
select results_eq('select key from "by position" where last_position = (select max("position") from f6.event)', format('values (%s::bigint)', :last_paid % 2), 'a key may look at the position');
select f6_drop_projection('by position');

-- The aggregate folds as a projection does that is named.
select f6_create_projection('named', '{Ordered}', '{"Ordered": [{"op": "count", "path": "/orders"}], "Paid": "merge"}', mode => 'live');
select is(f6_fold(e, 'named' order by e."position"), f6_fold(e, '{"Ordered": [{"op": "count", "path": "/orders"}]}'::jsonb order by e."position"),
    'f6_fold takes the fold of a projection, and its types') from f6.event as e;
select is(f6_fold(e, ' {"*": [{"op": "count", "path": "/all"}]}'), f6_fold(e, '{"*": [{"op": "count", "path": "/all"}]}'::jsonb),
    'or a fold that is written as text') from f6.event as e;
select throws_ok($$ select f6_fold(e, 'nobody') from f6.event as e $$, '42704', 'projection "nobody" does not exist', 'not a name of none');
select f6_create_projection('handled again', '{Paid}', handler => 'projecting.handle(f6.event)');
select throws_ok($$ select f6_fold(e, 'handled again') from f6.event as e $$, '22023', 'projection "handled again" has no fold', 'nor one with a handler');
select throws_ok($$ select f6_fold(e, case when e."position" % 2 = 0 then 'named' else '"merge"' end order by e."position") from f6.event as e $$, '22023',
    'the fold must be the same for all events of a group', 'nor another for each');

select * from finish();
rollback;
