-- What conditions of appends, and queries of events, mean.
begin;
select no_plan();

create function object(name text) returns uuid language sql immutable as $$ select f6_object_id('test', name) $$;
select f6_register_event_type(type, '1', 'true') from unnest('{A,B,C}'::text[]) as type;

-- Appends an event for each word, such as A:x,y, and keeps its position under the word.
create temp table appended (word text primary key, position bigint);
create function append(variadic words text[]) returns void language sql as $$
    insert into appended select word, (f6_append(split_part(word, ':', 1),
            array(select object(o) from unnest(string_to_array(split_part(word, ':', 2), ',')) as o), to_jsonb(word))).position
        from unnest(words) as word
$$;
create function at(word text) returns bigint language sql as $$ select position from appended where appended.word = at.word $$;
create function item(types text[] default null, objects text[] default null) returns jsonb language sql as $$
    select jsonb_strip_nulls(jsonb_build_object('types', types, 'objects', (select array_agg(object(o)) from unnest(objects) as o)))
$$;
create function read(variadic items jsonb[]) returns text language sql as $$
    select string_agg(event_data #>> '{}', ' ') from f6_read(to_jsonb(items))
$$;
-- Returns what stands in the way of an append, OK if nothing does.
create function try(objects text[], after bigint, unless jsonb) returns text language plpgsql as $$
declare
    detail text;
begin
    begin
        perform f6_append('C', array(select object(o) from unnest(objects) as o), '0', after => after, unless => unless);
        raise exception using errcode = 'TEST0';
    exception
        when sqlstate 'TEST0' then return 'OK';
        when serialization_failure then
            get stacked diagnostics detail = pg_exception_detail;
            return (select word from appended where detail ~ (' ' || position || ' ')
                        and detail ~ ('type "' || split_part(word, ':', 1) || '"'));
    end;
end $$;

select append('A:x', 'B:y', 'A:x,y', 'B:x,y,z', 'A:z');

-- f6_read
select is(read('{}'), 'A:x B:y A:x,y B:x,y,z A:z', 'an empty item matches every event');
select is(read(item('{A}')), 'A:x A:x,y A:z', 'a type');
select is(read(item('{A,B}')), 'A:x B:y A:x,y B:x,y,z A:z', 'one of several types');
select is(read(item('{A,A}')), 'A:x A:x,y A:z', 'a type that is named twice');
select is(read(item('{}', '{x}')), 'A:x A:x,y B:x,y,z', 'an object; an empty list is like none');
select is(read(item(null, '{x,y}')), 'A:x,y B:x,y,z', 'all of several objects');
select is(read(item(null, '{y,x,y}')), 'A:x,y B:x,y,z', 'an object that is named twice');
select is(read(item(null, '{x,nobody}')), null, 'one of them unknown');
select is(read(item('{B}', '{x,y}')), 'B:x,y,z', 'types and objects');
select is(read(item('{nothing}')), null, 'an unknown type');
select is(read(item(array(select 'T' || n from generate_series(1, 5000) n) || '{B,A}')), 'A:x B:y A:x,y B:x,y,z A:z', 'thousands of types');
select is(read(item('{A}' || array(select 'T' || n from generate_series(1, 200) n) || '{B}', '{x,y}')), 'A:x,y B:x,y,z', 'many types and all of two objects');
select is(read(item('{A}', '{z}'), item('{B}', '{y}')), 'B:y B:x,y,z A:z', 'any of several items, in the order of positions');
select is(read(item('{A}'), item('{A}', '{x}'), '{}'), 'A:x B:y A:x,y B:x,y,z A:z', 'items that match the same events');
select is((select array_agg(event_data #>> '{}') from f6_read(item('{A}'), at('A:x'))), '{"A:x,y",A:z}', 'after a position');
select is((select array_agg(event_data #>> '{}') from f6_read(item('{A}'), at('A:x'), 1)), '{"A:x,y"}', 'at most so many');
select is((select count(*) from f6_read('[{}]', 0, 0)), 0::bigint, 'none');
select is((select count(*) from f6_read('[{}]', at('A:z'))), 0::bigint, 'after the last');
select is((select count(*) from f6_read('[{}]', 9223372036854775807)), 0::bigint, 'after all that could be');
select is((select count(*) from f6_read(max_events => null)), 5::bigint, 'all, by default');
select is((select count(*) from f6_read(jsonb_build_array(item('{A}')) || (select jsonb_agg(item(null, array['o' || n])) from generate_series(1, 1000) n))),
    3::bigint, 'a thousand items');
select append(variadic array(select 'C:many,m' || n from generate_series(1, 2500) n));
select is((select array_agg(event_data #>> '{}') from f6_read(item('{C}', '{many}'))),
    array(select 'C:many,m' || n from generate_series(1, 2500) n), 'more than are read at a time');
select is((select array_agg(event_data #>> '{}') from f6_read(item('{C}', '{many}'), max_events => 2001)),
    array(select 'C:many,m' || n from generate_series(1, 2001) n), 'or as many');

-- after and unless
select is(try('{x}', 0, null), 'A:x', 'after alone: the first event that names the object');
select is(try('{x}', at('A:x'), null), 'A:x,y', 'or the first that is later');
select is(try('{x}', at('B:x,y,z'), null), 'OK', 'or none');
select is(try('{z,y}', at('A:x,y'), null), 'B:x,y,z', 'one of several objects suffices');
select is(try('{new}', 0, null), 'OK', 'an object of which nothing is known');
select is(try('{x}', at('B:x,y,z') + 1000000, null), 'OK', 'after more than there is');
select is(try('{new}', null, item('{A}')), 'A:x', 'unless alone: any match');
select is(try('{new}', at('A:x,y'), item('{A}')), 'A:z', 'a type, after a position');
select is(try('{new}', at('A:z'), item('{A,B}')), 'OK', 'none of several types');
select is(try('{new}', 0, item(null, '{x,z}')), 'B:x,y,z', 'all objects of an item');
select is(try('{x}', 0, item('{A}', '{x,z}')), 'OK', 'unless goes before the objects appended to');
select is(try('{new}', at('A:x'), jsonb_build_array(item('{A}', '{z}'), item('{B}', '{y}'))), 'B:y', 'any item, the first event');
select is(try('{new}', at('C:many,m2499'), '{}'), 'C:many,m2500', 'every event');
select is(try('{new}', at('C:many,m2500'), '{}'), 'OK', 'no event');
select is(try('{new}', null, (select jsonb_agg(item(null, array['o' || n])) from generate_series(1, 1000) n) || item('{B}', '{z}')), 'B:x,y,z',
    'a thousand items');
select throws_ok($$select f6_append('A', array[object('x')], '1', after => 1)$$, '40001', 'the condition of the append does not hold', 'the error');
select throws_ok($$select f6_append('A', array[object('x')], '{}', after => -1)$$, '22023', 'after must not be negative', 'after is a position');

-- A batch is checked against the state before it.
select lives_ok($$select f6_append(jsonb_build_array(jsonb_build_object('event_type', 'A', 'object_ids', array[object('batch')], 'event_data', 1),
        jsonb_build_object('event_type', 'B', 'object_ids', array[object('batch')], 'event_data', 2)), 0)$$, 'a batch about a new object');
select throws_ok($$select f6_append(jsonb_build_array(jsonb_build_object('event_type', 'A', 'object_ids', array[object('new')], 'event_data', 1),
        jsonb_build_object('event_type', 'B', 'object_ids', array[object('batch')], 'event_data', 2)), after => 0)$$, '40001', null, 'or partly about another');
select lives_ok($$select f6_append(jsonb_build_array(jsonb_build_object('event_type', 'A', 'object_ids', array[object('batch')], 'event_data', 1)),
        unless => item('{A}', '{new}'))$$, 'a batch with unless');
select is((select count(*) from f6_append('[]', after => 0, unless => '[{}]')), 0::bigint, 'an empty batch appends nothing, on any condition');

-- Corrections and validations name the objects of what they reference.
select f6_append('A', array[object('corrected')], '1', id => object('claim'));
select throws_ok($$select f6_append('A', null, '2', event_kind => 'correction', event_reference => array[object('claim')], after => 0)$$, '40001', null,
    'a correction names the object of what it corrects');
select throws_ok($$select f6_append(jsonb_build_array(
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('fresh')], 'event_data', 1, 'id', object('fresh claim')),
        jsonb_build_object('event_type', 'A', 'event_kind', 'validation', 'event_reference', array[object('claim'), object('fresh claim')])), after => 0)$$,
    '40001', null, 'also in a batch with it');
select lives_ok($$select f6_append(jsonb_build_array(
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('fresh')], 'event_data', 1, 'id', object('fresh claim')),
        jsonb_build_object('event_type', 'A', 'event_kind', 'validation', 'event_reference', array[object('fresh claim')])), after => 0)$$,
    'which may be new');

-- A repetition is answered, whatever has happened since.
select is(f6_append('A', array[object('once')], '1', id => object('once'), after => 0),
    f6_append('A', array[object('once')], '1', id => object('once'), after => 0), 'a repetition needs no condition');
select is((select array_agg(r.position) from f6_append(jsonb_build_array(
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('once')], 'event_data', 1, 'id', object('once')),
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('once')], 'event_data', 1, 'id', object('once'))), after => 0) as r),
    (select array[position, position] from f6.event where id = object('once')), 'nor does one in a batch');
select throws_ok($$select f6_append(jsonb_build_array(
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('once')], 'event_data', 1, 'id', object('once')),
        jsonb_build_object('event_type', 'A', 'object_ids', array[object('once')], 'event_data', 2)), after => 0)$$, '40001', null,
    'a batch with something new does');

-- queries that are none
select throws_ok(format('select f6_append(''A'', array[object(''x'')], ''1'', unless => %L)', query), '22023', 'malformed query of events', query)
from (values ('[]'), ('1'), ('null'), ('"A"'), ('[[]]'), ('[null]'), ('[1]'), ('{"type": ["A"]}'), ('{"types": "A"}'), ('{"types": null}'), ('{"types": [1]}'),
    ('{"types": [null]}'), ('{"types": [""]}'), ('{"types": [["A"]]}'), ('{"objects": {}}'), ('{"objects": ["x"]}'), ('{"objects": [""]}'), ('{"objects": [null]}'),
    ('{"objects": ["00000000-0000-0000-0000-0000000000000"]}'), ('{"objects": ["00000000-0000-0000-0000-00000000000"]}'), ('{"objects": ["{00000000-0000-0000-0000-000000000000"]}'),
    ('{"objects": ["0-0000000-0000-0000-0000-000000000000"]}'), ('{"objects": ["00000000--0000-0000-0000-000000000000"]}'), ('{"objects": ["-00000000000000000000000000000000"]}'),
    ('{"objects": ["00000000000000000000000000000000-"]}'), ('[{}, {"objects": ["00000000-0000-0000-0000-00000000000g"]}]')) malformed (query);
create function detail(query jsonb) returns text language plpgsql as $$
declare
    detail text;
begin
    perform f6_read(query);
    return null;
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return detail;
end $$;
select is(detail(jsonb_build_object(repeat('long', 10000), 1)), format('In item 1 the key "%s" is not known.', repeat('long', 10000)), 'a long key');
select append('C:' || (select string_agg('o' || n, ',' order by n) from generate_series(1, 100) n));
select is((select count(*) from f6_read(item(null, array(select 'o' || n % 100 + 1 from generate_series(1, 250) n)))), 1::bigint, 'a hundred objects, some of them named again');
select is((select count(*) from f6_read(item(null, array(select 'o' || n from generate_series(2, 100) n) || '{o101}'))), 0::bigint, 'one of a hundred is not named');
select throws_ok($$select f6_read(item(null, array(select 'o' || n from generate_series(1, 101) n)))$$, '22023', 'malformed query of events', 'more than a hundred objects');
select throws_ok(format('select f6_read(%L)', '[{"types": "A"}]'), '22023', 'malformed query of events', 'f6_read');
select throws_ok('select f6_read_context(''[]'')', '22023', 'malformed query of events', 'f6_read_context');
select throws_ok('select f6_read(null)', '22004', 'query must not be NULL', 'no query');
select throws_ok('select f6_read_context(null)', '22004', 'query must not be NULL', 'no query of a context');
select throws_ok('select f6_read(after => -1)', '22023', 'after must not be negative', 'a negative position');
select throws_ok('select f6_read(max_events => -1)', '22023', 'max_events must not be negative', 'a negative number');
select lives_ok(format('select f6_read(%L)', query), query)
from (values ('{"objects": ["{00000000-0000-0000-0000-000000000000}"]}'), ('{"objects": ["00000000000000000000000000000000", "0000-0000-0000-0000-0000-0000-0000-0000"]}'),
    ('{"objects": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], "types": []}')) odd (query);

-- f6_read_context
select is(row(array(select e.event_data #>> '{}' from unnest(c.events) as e), c.state, c.position >= at('A:z')), row(array['A:x', 'A:x,y'], null::jsonb, true),
    'a context is its events, and a position') from f6_read_context(item('{A}', '{x}')) as c;
select is(try('{new}', (f6_read_context(item('{A}'))).position, item('{A}')), 'OK', 'after which nothing matches');
select is(row(c.events, c.state, c.position > 0), row('{}'::f6.event[], null::jsonb, true), 'a context may be empty') from f6_read_context(item('{nothing}')) as c;
select f6_append('C', array[object('state')], '{"a": 1, "b": {"c": 2}}', id => object('first')), f6_append('C', array[object('state')], '{"b": {"c": null, "d": 3}}'),
    f6_append('C', array[object('state')], '{"a": 4, "b": {}}', event_kind => 'correction', event_reference => array[object('first')]);
select is(row(c.events, c.state), row(null::f6.event[], '{"a": 4, "b": {"d": 3}}'::jsonb), 'or its fold, as corrected') from f6_read_context(item(null, '{state}'), true) as c;
select is((f6_read_context(item('{nothing}'), true)).state, null, 'of nothing there is no fold');

-- versions
select f6_register_event_type('V', '1', 'true'), f6_register_event_type('V', '2', 'true'),
    f6_register_upcaster('V', '1', '2', steps => '[{"op": "default", "path": "/new", "value": true}]');
select f6_append('V', array[object('v')], '{"old": 1}', event_version => '1');
select is((select row(event_version, event_data) from f6_read(item('{V}'))), row('2'::text, '{"old": 1, "new": true}'::jsonb), 'events are read in the newest version');
select is((f6_read_context(item('{V}'))).events[1].event_data, '{"old": 1, "new": true}', 'in a context as well');
select is((f6_read_context(item('{V}'), true)).state, '{"old": 1, "new": true}', 'and in its fold');

-- Locks show in pg_locks, and are few, however many conditions a transaction has.
do $$ begin for n in 1 .. 1000 loop perform f6_append('A', array[object('one of many ' || n)], '1', after => 0); end loop; end $$;
select cmp_ok((select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objsubid >= 17920), '<', 3 * 64::bigint,
    'a thousand conditions in a transaction take few locks');
select throws_ok($$select f6_append('A', array[object('one of many 1000')], '1', after => 0)$$, '40001', null, 'and hold');
select * from finish();
rollback;
