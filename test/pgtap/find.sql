-- Fields: f6_keep_field, f6_find and f6_forget_field.  What is found is held against folding everybody.
-- In a database of its own, since nothing is kept of events that a transaction has not committed.

set client_min_messages = warning;
drop database if exists f6_find;
drop role if exists find_reader, find_some, find_admin;
create database f6_find;
\connect f6_find
set client_min_messages = warning;
create extension f6;
create extension pgtap;
select plan(58);

set timezone = 'UTC';
create schema find;
select set_config('search_path', 'find, ' || current_setting('search_path'), false);

create function object(name text) returns uuid language sql as $$ select f6_object_id('find', name) $$;

-- Returns who was found, and since when until when, as text.
create function found(path text, value jsonb, valid_at timestamptz default now(), known_at timestamptz default clock_timestamp()) returns text language sql as $$
    select string_agg(o.name || ' ' || f.valid_from::date || ' ' || f.valid_to::date, ', ' order by o.name, f.valid_from)
        from f6_find(null, path, value, valid_at, known_at) as f
        left join (values ('anna'), ('bob'), ('carl')) as o (name) on object(o.name) = f.object_id;
$$;

select f6_register_event_type('Move', '1', '{"type": "object"}', valid_from => '/since');
select f6_register_event_type('Note', '1', '{}', legal_when_claimed => true);

-- A story: who lived at this address on that day?
select throws_ok($$select f6_find(null, '/street', '"Elm 1"')$$, '42704', 'field "/street" is not kept', 'a field must be kept to be searched');
select lives_ok($$select f6_keep_field('/street')$$, 'a field is kept');
select lives_ok($$select f6_keep_field('/street')$$, 'and may be twice');
select results_eq('select path, legal from f6.field', $$values ('/street' collate "C", false)$$, 'once');

select is(found('/street', '"Elm 1"'), null, 'nobody lives there');
select f6_append('Move', array[object('anna')], '{"street": "Elm 1", "since": "2001-05-01"}');
select f6_append('Move', array[object('bob')], '{"street": "Elm 1", "since": "2003-05-01"}');
select f6_append('Move', array[object('anna')], '{"street": "Oak 2", "since": "2004-05-01"}');
select clock_timestamp() as before_correction \gset
select f6_append('Move', array[object('carl')], '{"street": "Elm 1", "floor": 2, "since": "2002-01-01"}', id => object('event of carl'));
select f6_append('Move', array[object('carl')], '{"floor": 3, "since": "2003-01-01"}');

select is(found('/street', '"Elm 1"'), 'bob 2003-05-01 infinity, carl 2002-01-01 infinity', 'who lives there now');
select is(found('/street', '"Elm 1"', '2003-06-01'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity, carl 2002-01-01 infinity',
    'who lived there on a day, as one span whatever else changed in it');
select is(found('/street', '"Elm 1"', '2003-06-01', :'before_correction'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'as known before');
select is(found('/street', '"Elm 1"', '1999-01-01'), null, 'and before anybody did');
select is(found('/street', '"Elm 1"', 'infinity'), 'bob 2003-05-01 infinity, carl 2002-01-01 infinity', 'for all that is recorded');
select is(found('/street', '"Elm 1"', '-infinity'), null, 'before all that is recorded');
select f6_append('Move', null::uuid[], 'null', event_kind => 'correction', event_reference => array[object('event of carl')]);
select is(found('/street', '"Elm 1"', '2003-06-01'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'what is removed is not found');

-- What is kept serves.
select is((select count(*) from f6.kept_span), 0::bigint, 'nothing was kept for so few');
select f6_keep_field('/street');
select is((select count(*) from f6.kept_span), 5::bigint, 'until it is asked for: a row for each span in which the value is the same');
select is(found('/street', '"Elm 1"', '2003-06-01'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'the same is found by it');
select is((select count(*) from f6.kept_field), 1::bigint, 'it says how far it goes');
set timezone = 'America/New_York';
select is(found('/street', '"Elm 1"', '2003-05-01 04:00+00'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'a date begins with the day of the session');
select is(found('/street', '"Elm 1"', '2003-05-01 03:59+00'), 'anna 2001-05-01 2004-05-01', 'and not before it');
select f6_keep_field('/street');
select is((select count(*) from f6.kept_field), 2::bigint, 'so there is something of its own for each time zone');
select is(found('/street', '"Elm 1"', '2003-05-01 03:59+00'), 'anna 2001-05-01 2004-05-01', 'with the same answer');
set timezone = 'UTC';
select is(found('/street', '"Elm 1"', '2003-05-01 03:59+00'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'which is not that of others');

-- Errors
select throws_ok($$select f6_find('p', '/street', '1')$$, '42704', 'projection "p" does not exist', 'a projection');
select throws_ok($$select f6_find(null, null, '1')$$, '22004', 'path must not be NULL', 'no path');
select throws_ok($$select f6_find(null, '/street', null)$$, '22004', 'value must not be NULL', 'no value');
select throws_ok($$select f6_find(null, '/street', '1', null)$$, '22004', 'valid_at must not be NULL', 'no material time');
select throws_ok($$select f6_find(null, '/street', '1', now(), null)$$, '22004', 'known_at must not be NULL', 'no formal time');
select throws_ok($$select f6_find(null, '/street', '1', legal => null)$$, '22004', 'legal must not be NULL', 'no legal');
select throws_ok($$select f6_find(null, 'street', '1')$$, '22023', 'path "street" is not a JSON Pointer', 'no JSON Pointer');
select throws_ok($$select f6_find(null, '/street', '1', legal => true)$$, '42704', 'field "/street" is not kept for what has legal force', 'what has legal force is another field');
select throws_ok($$select f6_keep_field('street')$$, '22023', 'path "street" is not a JSON Pointer', 'no JSON Pointer can be kept');
select throws_ok($$select f6_keep_field(null)$$, '22004', 'path must not be NULL', 'nor none');
select throws_ok($$select f6_keep_field('/street', 'p')$$, '42704', 'projection "p" does not exist', 'nor of a projection');
select throws_ok($$select f6_forget_field('/town')$$, '42704', 'field "/town" is not kept', 'what is not kept cannot be forgotten');
select throws_ok(format('select f6_keep_field(%L)', '/' || repeat('x', 2000)), '54000', 'path is longer than 2000 bytes', 'nor a path that no index takes');
select is((select count(*) from f6.field), 1::bigint, 'and nothing is left of that');
begin isolation level repeatable read;
select throws_ok($$select f6_keep_field('/street')$$, '25001', null, 'nor is a field kept with a snapshot of before');
rollback;

-- Privileges
create role find_reader;
create role find_some;
grant usage on schema find to find_reader, find_some;
grant f6_reader to find_reader, find_some;
set role find_reader;
select is(found('/street', '"Elm 1"', '2003-06-01'), 'anna 2001-05-01 2004-05-01, bob 2003-05-01 infinity', 'who may read all events may search');
select throws_ok('select from f6.kept_span', '42501', null, 'but not read what is kept');
select throws_ok($$select f6_keep_field('/town')$$, '42501', null, 'nor have more kept');
select throws_ok($$select f6_forget_field('/street')$$, '42501', null, 'or less');
reset role;
create role find_admin;
grant usage on schema find to find_admin;
grant f6_admin, f6_reader to find_admin;
set role find_admin;
select lives_ok($$select f6_keep_field('/town')$$, 'an administrator who may read may');
select lives_ok($$select f6_forget_field('/town')$$, 'both');
reset role;
alter table f6.event enable row level security;
create policy find_policy on f6.event for select to find_reader using (event_type = 'Note');
set role find_reader;
select throws_ok($$select f6_find(null, '/street', '"Elm 1"')$$, '42501', 'permission denied to search the states of all objects', 'who sees some events cannot search');
reset role;
drop policy find_policy on f6.event;
alter table f6.event disable row level security;
alter table f6.event_object enable row level security;
create policy find_policy on f6.event_object for select to find_reader using (position > 2);
set role find_reader;
select throws_ok($$select f6_find(null, '/street', '"Elm 1"')$$, '42501', 'permission denied to search the states of all objects', 'nor who sees some links');
reset role;
drop policy find_policy on f6.event_object;
alter table f6.event_object disable row level security;
set role find_some;
select throws_ok($$select f6.lock_field(null, '/street', false)$$, '42501', null, 'who may not keep cannot keep others from it');
select throws_ok($$select f6.fill_field('/street', false)$$, '42501', null, 'nor begin what is kept, in whatever time zone');
select throws_ok($$select f6.empty_field('/street', false)$$, '42501', null, 'nor empty it');
reset role;

-- A trigger that searches while events are being appended.
create function search() returns trigger language plpgsql as $$ begin perform f6_find(null, '/mail', '"m"'); return new; end $$;
create trigger a_search before insert on f6.event for each row execute function search();
create trigger b_search after insert on f6.event for each row execute function search();
select f6_register_event_type('Mail', '1', '{}');
select f6_keep_field('/mail');
set f6.snapshot_events = 1;
select count(*) from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Mail', 'object_ids', array[object('mail ' || n)], 'event_data', '{"mail": "m"}'::jsonb)) from generate_series(1, 40) as n));
insert into f6.event (event_type, object_ids, event_data) select 'Mail', array[object('mail ' || n)], '{"mail": "m"}' from generate_series(41, 60) as n;
select is((select count(*) from f6_find(null, '/mail', '"m"')), 60::bigint, 'all are found afterwards');
select is((select count(*) from f6_find(null, '/mail', '"m"')), 60::bigint, 'and once they are kept');
select is((select count(distinct object_id) from f6.kept_span where value = '"m"'), 60::bigint, 'as they are');
drop trigger a_search on f6.event;
drop trigger b_search on f6.event;
reset f6.snapshot_events;
select f6_forget_field('/mail');

select lives_ok($$select f6_forget_field('/street')$$, 'a field is forgotten');
select is((select count(*) from f6.kept_span) + (select count(*) from f6.kept_field) + (select count(*) from f6.field), 0::bigint, 'with all that was kept');

-- Random histories: whoever is found is who has the value when everybody is folded.
select setseed(0.5);
create function below(upper_limit int) returns int language sql volatile as $$ select floor(random() * upper_limit)::int $$;
create function any_of(variadic list text[]) returns text language sql volatile as $$ select list[1 + below(array_length(list, 1))] $$;

create function random_event() returns void language plpgsql as $$
declare
    who uuid := object('random ' || below(25));
    earlier uuid := (select e.id from f6.event_object as o join f6.event as e using ("position") where o.object_id = who and e.event_kind <> 'validation' order by random() limit 1);
    what text := case when earlier is null then 'claim' else any_of('claim', 'claim', 'claim', 'correction', 'validation') end;
    content jsonb := case when below(12) = 0 then any_of('null', '[1]', '"x"')::jsonb
        else jsonb_build_object('since', '2001-01-0' || 1 + below(6))
            || jsonb_build_object(any_of('a', 'b', 'list', '~/'), any_of('1', '1.0', '2', 'null', '{"c": 1}', '{"c": null}', '{"0": 1}', '[1, 2]', '[2]')::jsonb) end;
begin
    if what = 'validation' then
        perform f6_append(any_of('Note', 'Any'), null::uuid[], '{}', event_kind => 'validation', event_reference => array[earlier]);
    elsif what = 'correction' then
        perform f6_append('Any', null::uuid[], case when below(3) = 0 then 'null' else content end, event_kind => 'correction', event_reference => array[earlier]);
    else
        perform f6_append(any_of('Any', 'Any', 'Note'), case below(4) when 0 then array[who, object('random ' || 25 + below(5))] else array[who] end, content);
    end if;
end
$$;

create temporary table round (number int, differences bigint, found bigint, kept bigint);
create function compare(number int, keep_from int) returns void language plpgsql as $$
begin
    perform set_config('f6.snapshot_events', keep_from::text, true);
    insert into round
        with asked as materialized (
            select p.path, p.steps, v::jsonb as value, m as valid_at, k as known_at, l as legal
                from (values ('', '{}'::text[]), ('/a', '{a}'), ('/b/c', '{b,c}'), ('/list/0', '{list,0}'), ('/~0~1', '{~/}')) as p (path, steps),
                    unnest(array['1', '2', '{"c": 1}', '[1, 2]', 'null', '"x"', '{}']) as v,
                    unnest(array['2001-01-03', '2001-01-01', 'infinity']::timestamptz[]) as m,
                    unnest(array['infinity', (select e.created_at from f6.event as e order by random() limit 1)]) as k,
                    unnest(array[true, false]) as l),
        states as materialized (
            select o.object_id, m as valid_at, k as known_at, l as legal, f6_state_asof(o.object_id, m, k, legal => l) as state
                from (select distinct object_id from f6.event_object) as o,
                    (select distinct valid_at as m, known_at as k, legal as l from asked) as times),
        truth as (
            select a.*, s.object_id from asked as a join states as s using (valid_at, known_at, legal) where s.state #> a.steps = a.value),
        answer as (
            select a.*, f.object_id from asked as a, lateral f6_find(null, a.path, a.value, a.valid_at, a.known_at, a.legal) as f)
        select number, (select count(*) from ((select * from truth except all select * from answer) union all (select * from answer except all select * from truth)) as d),
            (select count(*) from answer), (select count(*) from f6.kept_span);
end
$$;

select f6_register_event_type('Any', '1', '{}', valid_from => '/since');
select f6_keep_field(p, legal => l) from unnest(array['', '/a', '/b/c', '/list/0', '/~0~1']) as p, unnest(array[true, false]) as l;
select count(*) as kept_at_first from f6.kept_span \gset
select random_event() from generate_series(1, 150);
select compare(1, 0);
select is((select kept from round), :'kept_at_first'::bigint, 'nothing is kept where that is turned off');
select compare(2, 1);
select random_event() from generate_series(1, 20);
select compare(3, 1000);
select compare(4, 5);
select random_event() from generate_series(1, 3);
select compare(5, 5);
select f6_register_event_type('Any', '2', '{}', valid_from => '/since'), f6_register_upcaster('Any', '1', '2', steps => '[{"op": "rename", "path": "/a", "to": "b"}]');
select compare(6, 0);
select compare(7, 5);
select random_event() from generate_series(1, 100);
select compare(8, 5);
select f6_register_event_type('Other', '1', '{}');
select compare(9, 1);
select f6_register_event_type('Note', '2', '{}', legal_when_claimed => true), f6_register_upcaster('Note', '1', '2', steps => '[{"op": "rename", "path": "/a", "to": "b"}]');
select compare(13, 1);
select f6_deprecate_event_type('Note', '2', 'version 1 is read again');
select compare(10, 0);
select compare(11, 1);
truncate f6.kept_field, f6.kept_span;
select compare(12, 1);
select is((select sum(differences) from round), 0::numeric, 'whoever is found is who has the value');
select is((select kept from round where number = 12), 0::bigint, 'only f6_keep_field begins');
select f6_keep_field(p, legal => l) from unnest(array['', '/a', '/b/c', '/list/0', '/~0~1']) as p, unnest(array[true, false]) as l;
select cmp_ok((select min(found) from round), '>', 50::bigint, 'and somebody is');
select cmp_ok((select max(kept) from round), '>', 300::bigint, 'from what is kept');
select is((select count(*) from f6.kept_span as s join f6.kept_span as t using (kept_id, object_id)
    where s.ctid < t.ctid and s.known_from < t.known_to and t.known_from < s.known_to and s.valid_from < t.valid_to and t.valid_from < s.valid_to), 0::bigint,
    'where nothing overlaps');

select * from finish();
\connect f6_pgtap
set client_min_messages = warning;
drop database f6_find;
drop role find_reader, find_some, find_admin;
