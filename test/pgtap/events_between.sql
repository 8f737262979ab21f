-- f6_events_between: what was recorded in a span of formal time.

begin;
select plan(24);

set local timezone = 'UTC';
create schema between_times;
select set_config('search_path', 'between_times, ' || current_setting('search_path'), true);

create function object(name text) returns uuid language sql immutable as $$ select f6_object_id('between', name) $$;

-- Appends an event recorded on a day of 2024, in one of two zones.
create function add(name text, day text, type text, zone int, variadic objects text[]) returns void language sql as $$
    select f6_append(type, array(select object(o) from unnest(objects) as o), to_jsonb(name), zone_id => zone, created_at => ('2024-' || day)::timestamptz)
$$;

-- Returns the names of the events found.
create function found(known_from timestamptz, known_to timestamptz, query jsonb default '[{}]') returns text language sql as $$
    select string_agg(event_data #>> '{}', ' ') from f6_events_between(known_from, known_to, query)
$$;

select f6_register_event_type('A', '1', 'true'), f6_register_event_type('B', '1', 'true');
select f6_register_zone('between', 'one') as one, f6_register_zone('between', 'two') as two \gset
select add('a', '01-01', 'A', :one, 'x'), add('b', '01-02', 'B', :one, 'x', 'y'), add('c', '01-02', 'A', :one, 'y'), add('d', '01-05', 'B', :one, 'z');
select add('old', '01-01 12:00', 'A', :two, 'x');

select is(found('-infinity', 'infinity'), 'a b c d old', 'all, in the order of the log');
select is(found('2024-01-01', '2024-01-02'), 'b c old', 'after one time and until another, also what an importer brought later');
select is(found('2024-01-01', '2024-01-01'), null, 'nothing between a time and itself');
select is(found('2023-12-31', '2024-01-01'), 'a', 'the end is included');
select is(found('2024-01-02', 'infinity'), 'd', 'the beginning is not');
select is(found('2024-01-06', 'infinity'), null, 'nothing later');
select is(found('2024-01-01', '2024-01-05', '[{"types": ["B"]}]'), 'b d', 'of a type');
select is(found('2024-01-01', '2024-01-05', '{"types": ["A", "B"]}'), 'b c d old', 'of several; an item alone');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('x')]))), 'b old', 'about an object');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('x'), object('y')]))), 'b', 'about two');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('x')], 'types', array['A']))), 'old', 'about an object and of a type');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('x')]), jsonb_build_object('objects', array[object('y')]))),
    'b c old', 'of two items, each event once');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('x')]), jsonb_build_object('types', array['B']))),
    'b d old', 'of an object, or of a type');
select is(found('2024-01-01', '2024-01-05', jsonb_build_array(jsonb_build_object('objects', array[object('nobody')]))), null, 'about nobody');
select is((select count(*) from f6_events_between('-infinity')), 5::bigint, 'until now, of all events');

select f6_register_event_type('A', '2', 'true'), f6_register_upcaster('A', '1', '2');
select is((select string_agg(event_version, ' ') from f6_events_between('-infinity')), '2 1 2 1 2', 'in the version that readers see');

select throws_ok($$select f6_events_between(null)$$, '22004', 'known_from must not be NULL', 'no beginning');
select throws_ok($$select f6_events_between('-infinity', null)$$, '22004', 'known_to must not be NULL', 'no end');
select throws_ok($$select f6_events_between('2024-01-02', '2024-01-01')$$, '22023', 'known_from must not be later than known_to', 'the wrong way round');
select throws_ok($$select f6_events_between('-infinity', query => null)$$, '22004', 'query must not be NULL', 'no query');
select throws_ok($$select f6_events_between('-infinity', query => '[]')$$, '22023', null, 'an empty query');
select throws_ok($$select f6_events_between('-infinity', query => '"x"')$$, '22023', null, 'no query at all');

-- Against the definition, with random queries.
select setseed(0.3);
do $$
begin
    for n in 1 .. 300 loop
        perform f6_append((array['A', 'B'])[1 + floor(random() * 2)::int], array(select distinct object(floor(random() * 6)::text) from generate_series(1, 3)), '1');
    end loop;
end
$$;
create function random_item() returns jsonb language sql volatile as $$
    select case when random() < 0.4 then '{}' else jsonb_build_object('types', array(select distinct (array['A', 'B', 'C'])[1 + floor(random() * 3)::int] from generate_series(1, 2))) end
        || case when random() < 0.4 then '{}' else jsonb_build_object('objects', array(select distinct object(floor(random() * 7)::text) from generate_series(1, 2))) end
$$;
create temporary table asked as
    select n, jsonb_build_array(random_item(), random_item()) as query, least(a, b) as known_from, greatest(a, b) as known_to
        from (select n, (select created_at from f6.event where n > 0 order by random() limit 1) as a, (select created_at from f6.event where n > 0 order by random() limit 1) as b
                  from generate_series(1, 200) as n) as n;
create temporary table answer as select n, "position" from asked, f6_events_between(known_from, known_to, query);
select is((select count(*) from (
    select n, "position" from answer
    except all
    select n, e."position" from asked, f6.event as e
        where created_at > known_from and created_at <= known_to and exists (
            select from jsonb_array_elements(query) as item
                where (not item ? 'types' or item -> 'types' ? event_type)
                    and not exists (select from jsonb_array_elements_text(item -> 'objects') as o where o::uuid <> all (object_ids)))) as d), 0::bigint, 'nothing is found that does not match');
select is((select count(*) from answer), (
    select count(*) from asked, f6.event as e
        where created_at > known_from and created_at <= known_to and exists (
            select from jsonb_array_elements(query) as item
                where (not item ? 'types' or item -> 'types' ? event_type)
                    and not exists (select from jsonb_array_elements_text(item -> 'objects') as o where o::uuid <> all (object_ids)))), 'and all is found that does');

select * from finish();
rollback;
