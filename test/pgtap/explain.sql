-- f6_explain: the part of each event in an answer, and who wrote what.
begin;
select no_plan();
set local timezone = 'UTC';

create function o(name text) returns uuid language sql immutable as $$ select f6_object_id('explain', name) $$;
create function at(n int) returns bigint language sql as $$ select "position" from f6.event where id = o(n::text) $$;
create function number(id uuid) returns text language sql as
    $$ select n::text from generate_series(1, 20) as n where o(n::text) = id $$;
create function note(n int, object text, data jsonb, occurred text) returns void language sql as
    $$ select f6_append('Note', array[o(object)], data, id => o(n::text), occurred_at => occurred::timestamptz) $$;
create function about(n int, kind text, target int, data jsonb) returns void language sql as
    $$ select f6_append('Note', null, data, id => o(n::text), event_kind => kind::f6.event_kind, event_reference => array[o(target::text)]) $$;
-- A line an event: its number, its part, who decided, what it wrote.
create function told(object text, valid_at timestamptz, known_at timestamptz, legal boolean default false) returns text language sql as $$
    select string_agg(concat_ws(' ', number(id), part, 'by ' || number(decided_by), (select string_agg(f, ',' order by f) from unnest(fields) as f)), E'\n' order by "position")
        from f6_explain(o(object), valid_at, known_at, legal => legal)
$$;
select f6_register_event_type('Note', '1', 'true');

select note(1, 'a', '{"name": "Ann", "address": {"street": "A", "no": 1}}', '2020-01-01');
select note(2, 'a', '{"address": {"no": 2}}', '2021-01-01');
select note(3, 'a', '{"address": {"no": 3}, "tags": [1]}', '2022-01-01');
select about(4, 'correction', 3, '{"address": {"no": 4}}');
select about(5, 'correction', 2, 'null');
select about(6, 'validation', 1, null);
select about(7, 'correction', 2, '{"x": 1}');
select note(8, 'a', '{"future": {}}', '2122-01-01');
create temp table moment as select clock_timestamp() as known_at;
select note(9, 'a', '{"late": true}', '2019-01-01');

select is(told('a', '2024-01-01', known_at), E'1 counted /address/street,/name\n2 restated by 7 /x\n3 restated by 4 /address/no\n4 corrects\n'
    '5 superseded\n6 validates\n7 corrects\n8 not yet valid\n9 not yet known', 'every event has its part') from moment;
select is(told('a', '2024-01-01', known_at, true), E'1 counted /address/no,/address/street,/name\n2 not validated\n3 not validated\n4 not validated\n'
    '5 not validated\n6 validates\n7 not validated\n8 not validated\n9 not yet known', 'legally') from moment;
select is(told('a', 'infinity', 'infinity'), E'1 counted /address/street,/name\n2 restated by 7 /x\n3 restated by 4 /address/no\n4 corrects\n'
    '5 superseded\n6 validates\n7 corrects\n8 counted /future\n9 counted /late', 'in the end');
select results_eq($$select "position", event_kind::text, event_type, created_at, material_time from f6_explain(o('a')) where id in (o('3'), o('4'))$$,
    $$select "position", event_kind::text, event_type, created_at, case event_kind when 'claim' then timestamptz '2022-01-01' end
        from f6.event where id in (o('3'), o('4')) order by "position"$$, 'and says what it is');
select about(10, 'correction', 7, 'null');
select is(told('a', '2024-01-01', 'infinity'), E'1 counted /address/street,/name\n2 removed by 5\n3 restated by 4 /address/no\n4 corrects\n'
    '5 corrects\n6 validates\n7 removed by 10\n8 not yet valid\n9 counted /late\n10 corrects', 'a correction that is removed decides nothing');
select about(11, 'correction', 6, 'null');
select is(told('a', '2024-01-01', 'infinity', true), E'1 counted /address/no,/address/street,/name\n2 not validated\n3 not validated\n4 not validated\n5 not validated\n'
    '6 validates\n7 not validated\n8 not validated\n9 not validated\n10 not validated\n11 not validated', 'nor does one without force');
select is(told('b', 'infinity', 'infinity'), null, 'an object without events');
select is((select count(*) from f6_explain(null)), 0::bigint, 'no object');
select throws_ok($$select f6_explain(o('a'), null)$$, '22004', null, 'valid_at must be given');
select throws_ok($$select f6_explain(o('a'), known_at => null)$$, '22004', null, 'and known_at');
select throws_ok($$select f6_explain(o('a'), legal => null)$$, '22004', null, 'and legal');
select throws_ok($$select f6_explain(o('a'), projection => 'none')$$, '42704', null, 'a projection that does not exist');

-- What is a field, and what takes it away.
select note(12, 'c', '"scalar"', '2020-01-01');
select is(told('c', 'infinity', 'infinity'), '12 counted ', 'the whole is a field');
select note(13, 'c', '{"a": {"b": {"c": 1}}, "m~n/o": [{"x": null}]}', '2020-01-02');
select note(14, 'c', '{"a": {"b": null}}', '2020-01-03');
select is(told('c', 'infinity', 'infinity'), E'12 counted\n13 counted /m~0n~1o\n14 counted /a', 'an object that has become empty is one');
select note(15, 'c', '{"a": 5, "m~n/o": null, "z": {}}', '2020-01-04');
select is(told('c', 'infinity', 'infinity'), E'12 counted\n13 counted\n14 counted\n15 counted /a,/z', 'and what takes the place of others');

-- Random histories: the fields that are told are those of the state, each once, and have the value that their event gave them.
create function leaves(state jsonb, path text default '') returns setof text language plpgsql as $$
begin
    if jsonb_typeof(state) = 'object' and state <> '{}' then
        return query select l from jsonb_each(state) as m, leaves(m.value, path || '/' || m.key) as l;
    elsif state is not null then
        return next path;
    end if;
end $$;
create function random_data(depth int) returns jsonb language sql volatile as $$
    select case when depth = 0 or random() < 0.2 then (array['1', '2', 'null', '[1]', '{}', '"x"'])[1 + floor(random() * 6)::int]::jsonb
        else (select jsonb_object_agg(chr(97 + floor(random() * 3)::int), random_data(depth - 1)) from generate_series(1, 1 + floor(random() * 2)::int)) end
$$;
select setseed(0.5);
select f6_append('Note', array[o('r' || n)], random_data(3), occurred_at => '2020-01-01'::timestamptz + floor(random() * 20) * interval '1 day')
    from generate_series(1, 100) as n, generate_series(1, 10) as k;
select is((select count(*) from generate_series(1, 100) as n where
        (select coalesce(array_agg(f order by f), '{}') from f6_explain(o('r' || n)), unnest(fields) as f)
        is distinct from (select coalesce(array_agg(l order by l), '{}') from leaves(f6_state_asof(o('r' || n))) as l)), 0::bigint, 'each field of a state has one writer');
select is((select count(*) from generate_series(1, 100) as n, f6_explain(o('r' || n)) as x join f6.event as e using (id), unnest(x.fields) as f,
        f6_state_asof(o('r' || n)) as s where f <> '' and e.event_data #> string_to_array(substr(f, 2), '/') is distinct from s #> string_to_array(substr(f, 2), '/')
            and s #> string_to_array(substr(f, 2), '/') <> '{}'), 0::bigint, 'which gave it its value');

-- Which correction restates a validation, also one of so many claims that what is known of them moves in memory.
create table validated as select (f6_append('Note', array[o('wide')], to_jsonb(n))).id from generate_series(1, 2000) as n;
create table wide as select (f6_append('Note', null, null, event_kind => 'validation', event_reference => array_agg(id))).id from validated;
create table restating as select (f6_append('Note', null, '{"why": "seen"}', event_kind => 'correction', event_reference => array[id])).id from wide;
select f6_append('Note', null, null, event_kind => 'validation', event_reference => array[id]) from restating;
select is((select x.part || ' ' || (x.decided_by = r.id) from f6_explain(o('wide'), legal => legal) as x, wide as w, restating as r where x.id = w.id),
    'validates true', 'a restated validation, ' || case when legal then 'legally' else 'as claimed' end) from unnest(array[true, false]) as legal;
select * from finish();
rollback;
