-- Versions of event types: upcasters, what they do to data, which version readers see, and deprecation.

begin;
select plan(221);

set local timezone = 'UTC';
create schema versions;
select set_config('search_path', 'versions, ' || current_setting('search_path'), true);

create function object(name text) returns uuid language sql as $$ select f6_object_id('versions', name) $$;

-- Appends a claim and returns its id.
create function claim(name text, type text, version text, data jsonb, occurred timestamptz default null) returns uuid
language sql as $$
    select id from f6_append(type, array[object(name)], data, event_version => version, occurred_at => occurred);
$$;

create function state(name text, versions jsonb default null) returns jsonb language sql as $$
    select f6_state_asof(object(name), versions => versions);
$$;

-- Returns what a query gives to a member of a role, or the SQLSTATE of its error.
create function as_role(role text, query text) returns text language plpgsql as $$
declare
    answer text;
begin
    perform set_config('role', role, true);
    execute query into answer;
    perform set_config('role', 'none', true);
    return answer;
exception when others then
    return sqlstate;
end
$$;

-- Returns the detail of the error that a query ends in.
create function detail_of(query text) returns text language plpgsql as $$
declare
    detail text;
begin
    execute query;
    return null;
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return detail;
end
$$;

--
-- Steps
--

-- Runs steps over data, as an upcaster of a type of their own; an error gives its SQLSTATE.
create sequence patches;
create function patched(data jsonb, steps jsonb) returns jsonb language plpgsql as $$
declare
    type text := 'Patched ' || nextval('patches');
begin
    perform f6_register_event_type(type, '1', 'true'), f6_register_event_type(type, '2', 'true');
    perform f6_register_upcaster(type, '1', '2', steps => steps);
    perform claim(type, type, '1', data);
    return (select event_data from f6_events(object(type)));
exception when others then
    return to_jsonb(sqlstate);
end
$$;

-- Registers steps; an error gives its SQLSTATE and detail.
create function refused(steps jsonb) returns text language plpgsql as $$
declare
    type text := 'Refused ' || nextval('patches');
    detail text;
begin
    perform f6_register_event_type(type, '1', 'true'), f6_register_event_type(type, '2', 'true');
    perform f6_register_upcaster(type, '1', '2', steps => steps);
    return null;
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return sqlstate || ': ' || sqlerrm || ': ' || detail;
end
$$;

create temp table patch_case (data jsonb, steps jsonb, result jsonb, description text, number serial);
insert into patch_case (data, steps, result, description) values
    ('{"x": "1"}', '[{"op": "add", "path": "/y", "value": "2", "from": 1, "xyz": 123}, {"op": "remove", "path": "/x", "value": 3}]', '{"y": "2"}', 'other keys of RFC 6902''s operations are ignored'),
    -- add
    ('{"x": "1"}', '[{"op": "add", "path": "/y", "value": "2"}]', '{"x": "1", "y": "2"}', 'add: a member'),
    ('{"x": "1"}', '[{"op": "add", "path": "/x", "value": [2]}]', '{"x": [2]}', 'add: a member that exists is replaced'),
    ('{"l": ["a", "c"]}', '[{"op": "add", "path": "/l/1", "value": "b"}]', '{"l": ["a", "b", "c"]}', 'add: an element is inserted'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/1", "value": "b"}]', '{"l": ["a", "b"]}', 'add: an element at the end, by its index'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/-", "value": ["b", "c"]}]', '{"l": ["a", ["b", "c"]]}', 'add: an element at the end, by "-"'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/2", "value": "b"}]', '"23514"', 'add: an index behind the end'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/00", "value": "b"}]', '"23514"', 'add: an index with a leading zero'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/1e0", "value": "b"}]', '"23514"', 'add: an index that is none'),
    ('{"l": ["a"]}', '[{"op": "add", "path": "/l/99999999999999999999", "value": "b"}]', '"23514"', 'add: an index beyond all'),
    ('{"x": 1}', '[{"op": "add", "path": "/y/z", "value": 2}]', '"23514"', 'add: below what does not exist'),
    ('{"x": 1}', '[{"op": "add", "path": "/x/z", "value": 2}]', '"23514"', 'add: below a scalar'),
    ('{"x": 1}', '[{"op": "add", "path": "/y/z", "value": 2, "optional": true}]', '{"x": 1}', 'add: optional, below what does not exist'),
    ('{"x": 1}', '[{"op": "add", "path": "/y", "value": {"n": null}}, {"op": "add", "path": "/y/z", "value": null}]', '{"x": 1, "y": {"n": null, "z": null}}', 'add: below what was added, null as a value'),
    ('{"x": 1}', '[{"op": "add", "path": "", "value": ["whole"]}]', '["whole"]', 'add: the whole document'),
    ('{"": 1}', '[{"op": "add", "path": "/", "value": 2}]', '{"": 2}', 'add: a member without a name'),
    ('{"a/b": 1, "m~n": 1, "~1": 1}', '[{"op": "add", "path": "/a~1b", "value": 2}, {"op": "add", "path": "/m~0n", "value": 3}, {"op": "add", "path": "/~01", "value": 4}]', '{"a/b": 2, "m~n": 3, "~1": 4}', 'add: names with / and ~'),
    ('{"o": {"-": 1, "0": 2}}', '[{"op": "add", "path": "/o/-", "value": 3}, {"op": "add", "path": "/o/0", "value": 4}]', '{"o": {"-": 3, "0": 4}}', 'add: members that look like indexes'),
    -- remove
    ('{"x": 1, "y": 2}', '[{"op": "remove", "path": "/y"}]', '{"x": 1}', 'remove: a member'),
    ('{"l": [1, 2, 3]}', '[{"op": "remove", "path": "/l/1"}]', '{"l": [1, 3]}', 'remove: an element'),
    ('{"l": [1]}', '[{"op": "remove", "path": "/l/1"}]', '"23514"', 'remove: an element that does not exist'),
    ('{"l": [1]}', '[{"op": "remove", "path": "/l/-"}]', '"23514"', 'remove: "-" is no element'),
    ('{"x": 1}', '[{"op": "remove", "path": "/y"}]', '"23514"', 'remove: a member that does not exist'),
    ('{"x": 1}', '[{"op": "remove", "path": "/y", "optional": true}]', '{"x": 1}', 'remove: optional'),
    ('{"x": {"y": {"z": 1}}}', '[{"op": "remove", "path": "/x/y/z"}]', '{"x": {"y": {}}}', 'remove: deep'),
    -- replace
    ('{"x": {"y": 1}}', '[{"op": "replace", "path": "/x", "value": 2.50}]', '{"x": 2.50}', 'replace: a member'),
    ('{"l": [1, 2]}', '[{"op": "replace", "path": "/l/0", "value": [3]}]', '{"l": [[3], 2]}', 'replace: an element'),
    ('{"x": 1}', '[{"op": "replace", "path": "/y", "value": 2}]', '"23514"', 'replace: what does not exist'),
    ('{"x": 1}', '[{"op": "replace", "path": "/y", "value": 2, "optional": true}]', '{"x": 1}', 'replace: optional'),
    ('{"x": 1}', '[{"op": "replace", "path": "", "value": "all"}]', '"all"', 'replace: the whole document'),
    -- move
    ('{"a": {"b": 1, "c": 2}, "d": {"e": 3}}', '[{"op": "move", "from": "/a/b", "path": "/d/f"}]', '{"a": {"c": 2}, "d": {"e": 3, "f": 1}}', 'move: a member'),
    ('{"l": ["a", "b", "c", "d"]}', '[{"op": "move", "from": "/l/1", "path": "/l/3"}]', '{"l": ["a", "c", "d", "b"]}', 'move: an element, which is gone when it is added'),
    ('{"a": {"b": {"c": 1}}}', '[{"op": "move", "from": "/a/b", "path": "/a"}]', '{"a": {"c": 1}}', 'move: into the place of what holds it'),
    ('{"a": {"b": {"c": 1}}}', '[{"op": "move", "from": "/a/b", "path": ""}]', '{"c": 1}', 'move: into the place of all'),
    ('{"a": 1}', '[{"op": "move", "from": "/a", "path": "/a"}]', '{"a": 1}', 'move: to where it is'),
    ('{"a": 1}', '[{"op": "move", "from": "/b", "path": "/b"}]', '"23514"', 'move: what does not exist, to where it is not'),
    ('{"a": 1}', '[{"op": "move", "from": "/b", "path": "/c"}]', '"23514"', 'move: what does not exist'),
    ('{"a": 1}', '[{"op": "move", "from": "/b", "path": "/c", "optional": true}]', '{"a": 1}', 'move: optional'),
    ('{"a": 1}', '[{"op": "move", "from": "/a", "path": "/b/c", "optional": true}]', '"23514"', 'move: optional is what is moved, not where to'),
    ('{"a": 1, "ab": 2}', '[{"op": "move", "from": "/a", "path": "/ab"}]', '{"ab": 1}', 'move: a name that only begins alike'),
    -- copy
    ('{"a": {"b": [1, {"c": 2}]}}', '[{"op": "copy", "from": "/a/b", "path": "/d"}]', '{"a": {"b": [1, {"c": 2}]}, "d": [1, {"c": 2}]}', 'copy: a member'),
    ('{"a": {"b": 1}}', '[{"op": "copy", "from": "/a", "path": "/a/c"}]', '{"a": {"b": 1, "c": {"b": 1}}}', 'copy: into itself'),
    ('{"a": {"b": 1}}', '[{"op": "copy", "from": "/a", "path": "/c"}, {"op": "add", "path": "/c/b", "value": 2}]', '{"a": {"b": 1}, "c": {"b": 2}}', 'copy: a change of the copy leaves the original'),
    ('{"a": {"b": 1}}', '[{"op": "add", "path": "/a/x", "value": 2}, {"op": "copy", "from": "/a", "path": "/c"}, {"op": "remove", "path": "/a/b"}]', '{"a": {"x": 2}, "c": {"b": 1, "x": 2}}', 'copy: what was changed before'),
    ('{"a": 1}', '[{"op": "copy", "from": "", "path": "/b"}]', '{"a": 1, "b": {"a": 1}}', 'copy: the whole document'),
    ('{"a": 1}', '[{"op": "copy", "from": "/b", "path": "/c"}]', '"23514"', 'copy: what does not exist'),
    ('{"l": [1, 2]}', '[{"op": "copy", "from": "/l/0", "path": "/l/-"}]', '{"l": [1, 2, 1]}', 'copy: an element'),
    -- test
    ('{"a": {"x": 1.0, "y": [null]}}', '[{"op": "test", "path": "/a", "value": {"y": [null], "x": 1}}]', '{"a": {"x": 1.0, "y": [null]}}', 'test: equal as JSON Schema has it'),
    ('{"a": 10}', '[{"op": "test", "path": "/a", "value": "10"}]', '"23514"', 'test: a number is not a string'),
    ('{"a": [1, 2]}', '[{"op": "test", "path": "/a", "value": [2, 1]}]', '"23514"', 'test: elements have an order'),
    ('{"a": null}', '[{"op": "test", "path": "/a", "value": null}]', '{"a": null}', 'test: null'),
    ('{}', '[{"op": "test", "path": "/a", "value": null}]', '"23514"', 'test: what is absent is not null'),
    ('{}', '[{"op": "test", "path": "/a", "value": 1, "optional": true}]', '{}', 'test: optional, absent'),
    ('{"a": 2}', '[{"op": "test", "path": "/a", "value": 1, "optional": true}]', '"23514"', 'test: optional, but there'),
    ('{"a": 1}', '[{"op": "test", "path": "", "value": {"a": 1}}]', '{"a": 1}', 'test: the whole document'),
    ('{"a": 1}', '[{"op": "add", "path": "/b", "value": {"c": 1}}, {"op": "add", "path": "/b/d", "value": 2}, {"op": "test", "path": "/b", "value": {"d": 2, "c": 1}}]', '{"a": 1, "b": {"c": 1, "d": 2}}', 'test: what was made before'),
    -- rename
    ('{"a": {"b": 1, "x": 2}}', '[{"op": "rename", "path": "/a/b", "to": "c"}]', '{"a": {"c": 1, "x": 2}}', 'rename: a member'),
    ('{"l": [{"b": 1}]}', '[{"op": "rename", "path": "/l/0/b", "to": "c"}]', '{"l": [{"c": 1}]}', 'rename: a member of an element'),
    ('{"a": 1}', '[{"op": "rename", "path": "/b", "to": "c"}]', '{"a": 1}', 'rename: absent'),
    ('{"a": 1}', '[{"op": "rename", "path": "/b/c/d", "to": "e"}]', '{"a": 1}', 'rename: deeply absent'),
    ('{"a": 1}', '[{"op": "rename", "path": "/a", "to": "a"}]', '{"a": 1}', 'rename: to the same'),
    ('{"a": 1, "b": 2}', '[{"op": "rename", "path": "/a", "to": "b"}]', '"23514"', 'rename: loses no other member'),
    ('[1]', '[{"op": "rename", "path": "/0", "to": "b"}]', '"23514"', 'rename: an element has no name'),
    ('{"a": 1}', '[{"op": "rename", "path": "/a", "to": "b/c~"}]', '{"b/c~": 1}', 'rename: to is a name, not a pointer'),
    -- default
    ('{"a": 1}', '[{"op": "default", "path": "/b", "value": {"c": 2}}]', '{"a": 1, "b": {"c": 2}}', 'default: absent'),
    ('{"a": null}', '[{"op": "default", "path": "/a", "value": 1}]', '{"a": null}', 'default: null is a value'),
    ('{"a": {}}', '[{"op": "default", "path": "/a/b", "value": 1}, {"op": "default", "path": "/x/b", "value": 1}]', '{"a": {"b": 1}}', 'default: not below what is absent'),
    ('["a"]', '[{"op": "default", "path": "/a", "value": 1}]', '["a"]', 'default: not in what is no object'),
    -- all
    ('{"a": 1}', '[]', '{"a": 1}', 'no steps'),
    ('"scalar"', '[{"op": "rename", "path": "/a", "to": "b"}, {"op": "replace", "path": "", "value": {"s": 1}}, {"op": "default", "path": "/t", "value": 2}]', '{"s": 1, "t": 2}', 'a scalar becomes an object'),
    ('{"k1": 1, "k2": 2, "k3": 3, "k4": 4, "k5": 5, "k6": 6, "k7": 7, "k8": 8, "k9": 9, "k10": 10, "k11": 11, "k12": 12, "k13": 13, "k14": 14, "k15": 15, "k16": 16, "k17": 17, "k18": 18}',
     '[{"op": "rename", "path": "/k3", "to": "k33"}, {"op": "remove", "path": "/k18"}, {"op": "remove", "path": "/k1"}, {"op": "default", "path": "/k2", "value": 0}, {"op": "add", "path": "/k1", "value": 11}]',
     '{"k1": 11, "k2": 2, "k33": 3, "k4": 4, "k5": 5, "k6": 6, "k7": 7, "k8": 8, "k9": 9, "k10": 10, "k11": 11, "k12": 12, "k13": 13, "k14": 14, "k15": 15, "k16": 16, "k17": 17}', 'a large object');
select is(patched(data, steps), result, description) from patch_case order by number;

select f6_register_event_type('Copied', v, 'true') from unnest('{1, 2}'::text[]) as v;
select f6_register_upcaster('Copied', '1', '2', steps => jsonb_agg('{"op": "copy", "from": "/0", "path": "/0/-"}'::jsonb))
    from generate_series(1, 40);
select claim('copied', 'Copied', '1', '[[1]]');
select throws_ok($$ select f6_events(object('copied')) $$, '54000', $$the steps of the upcaster make too much of the event's data$$,
    'copies of copies come to an end before they take all memory');

select throws_ok($$ select f6_register_event_type('S', '1', 'true'), f6_register_event_type('S', '2', 'true'),
    f6_register_upcaster('S', '1', '2', steps => '{"op": "remove"}') $$, '22023', 'steps must be a JSON array of objects', 'steps are an array');
select is(refused(steps), '22023: step ' || number || ' of the upcaster is not valid: ' || detail, 'refused: ' || steps::text)
    from (values
        (1, '["x"]'::jsonb, 'It is not a JSON object.'),
        (2, '[{"op": "remove", "path": "/a"}, {"path": "/a"}]', 'It has no "op", which is one of add, copy, default, move, remove, rename, replace, test.'),
        (1, '[{"op": "delete", "path": "/a"}]', 'Its "op" is none of add, copy, default, move, remove, rename, replace, test.'),
        (1, '[{"op": 1, "path": "/a"}]', 'Its "op" is none of add, copy, default, move, remove, rename, replace, test.'),
        (1, '[{"op": "add", "path": "/a"}]', 'It has no "value".'),
        (1, '[{"op": "add", "value": 1}]', 'It has no "path".'),
        (1, '[{"op": "add", "path": 1, "value": 1}]', 'Its "path" is not a string.'),
        (1, '[{"op": "add", "path": "a", "value": 1}]', 'Its "path" is not a JSON Pointer: "a".'),
        (1, '[{"op": "add", "path": "/~2", "value": 1}]', 'Its "path" is not a JSON Pointer: "/~2".'),
        (1, '[{"op": "default", "path": "/a", "value": 1, "from": "/b"}]', '"default" has no key "from".'),
        (1, '[{"op": "rename", "path": "/a", "to": "b", "value": 1}]', '"rename" has no key "value".'),
        (1, '[{"op": "remove", "path": ""}]', 'Its "path" is the whole document.'),
        (1, '[{"op": "move", "path": "/a"}]', 'It has no "from".'),
        (1, '[{"op": "move", "from": "/a", "path": "/a/b"}]', 'What is at "/a" can''t be moved into itself.'),
        (1, '[{"op": "move", "from": "", "path": "/a/b"}]', 'What is at "" can''t be moved into itself.'),
        (1, '[{"op": "rename", "path": "/a"}]', 'It has no "to".'),
        (1, '[{"op": "rename", "path": "", "to": "a"}]', 'Its "path" is the whole document.'),
        (1, '[{"op": "remove", "path": "/a", "optional": 1}]', 'Its "optional" is not a boolean.')) as c (number, steps, detail);

--
-- Chains
--

select f6_register_event_type('Home', v, s) from (values
    ('1', 'true'::jsonb), ('2', '{"required": ["road"]}'), ('3', '{"required": ["road", "town"]}')) as t (v, s);
select claim('home', 'Home', '1', '{"street": "Lane", "n": 1}');
select throws_ok($$ select state('home') $$, '55000', 'event type "Home" has no upcaster from version "1" to version "3"', 'a missing link is an error when it is read');
select f6_register_upcaster('Home', '1', '2', steps => '[{"op": "rename", "path": "/street", "to": "road"}]');
select throws_ok($$ select * from f6_events(object('home')) $$, '55000', 'event type "Home" has no upcaster from version "1" to version "3"', 'for events too');
select is(detail_of($$ select state('home') $$), 'Upcasters lead from "1" to: "2", "1". They lead to "3" from: "3".', 'and says what is missing');
select is(state('home', '{"Home": "2"}'), '{"road": "Lane", "n": 1}', 'a version that can be reached can be asked for');
select is(state('home', '{"Home": "1"}'), '{"street": "Lane", "n": 1}', 'and the one that is stored');
create function versions.add_town(jsonb) returns jsonb immutable language sql as $$ select $1 || '{"town": "Waterdam"}' $$;
select f6_register_upcaster('Home', '2', '3', 'versions.add_town(jsonb)');
select is(state('home'), '{"road": "Lane", "n": 1, "town": "Waterdam"}', 'a chain of steps and a function');
select results_eq($$ select event_version, event_data from f6_events(object('home')) $$,
    $$ values ('3', '{"road": "Lane", "n": 1, "town": "Waterdam"}'::jsonb) $$, 'f6_events gives events in the newest version');
select results_eq($$ select event_version, event_data from f6_events(object('home'), versions => '{"Home": "2"}') $$,
    $$ values ('2', '{"road": "Lane", "n": 1}'::jsonb) $$, 'or in the one that is asked for');
select results_eq($$ select event_version, event_data from f6.event where event_type = 'Home' $$,
    $$ values ('1', '{"street": "Lane", "n": 1}'::jsonb) $$, 'what is stored stays');
select results_eq($$ select to_jsonb(u) - 'event_data' - 'event_version' from f6_events(object('home')) as u $$,
    $$ select to_jsonb(e) - 'event_data' - 'event_version' from f6.event as e where event_type = 'Home' $$, 'and nothing else changes');
select claim('home', 'Home', '3', '{"road": "Quay", "town": "Otherdam", "street": null}');
select is(state('home'), '{"road": "Quay", "n": 1, "town": "Otherdam"}', 'events of several versions are folded together');
select is(state('home', '{"Home": "3"}'), state('home'), 'the newest may be asked for');
select throws_ok($$ select state('home', '{"Home": "1"}') $$, '55000', 'event type "Home" has no upcaster from version "3" to version "1"', 'there is no way back');
select f6_register_upcaster('Home', '3', '1', steps => '[{"op": "rename", "path": "/road", "to": "street", "optional": true}]');
select throws_ok($$ select state('home', '{"Home": "1"}') $$, '23514', null, 'unless it is registered (this one loses no member)');
select is((select string_agg(from_version || to_version, ' ' order by ordinal) from f6.upcaster where event_type = 'Home'), '12 23 31', 'a loop does no harm');
select is(state('home'), '{"road": "Quay", "n": 1, "town": "Otherdam"}', 'to the newest');

-- the shortest way, and of two as short the one registered first
select f6_register_event_type('Way', v, 'true') from (values ('1'), ('2'), ('2b'), ('3')) as t (v);
create function versions.mark(mark text) returns jsonb language sql immutable as $$
    select jsonb_build_array(jsonb_build_object('op', 'add', 'path', '/-', 'value', mark));
$$;
select f6_register_upcaster('Way', '2b', '3', steps => versions.mark('2b-3'));
select f6_register_upcaster('Way', '1', '2', steps => versions.mark('1-2'));
select f6_register_upcaster('Way', '1', '2b', steps => versions.mark('1-2b'));
select f6_register_upcaster('Way', '2', '3', steps => versions.mark('2-3'));
select claim('way', 'Way', '1', '[]');
select is(state('way'), '["1-2", "2-3"]', 'of two ways the one whose first upcaster was registered first');
select f6_register_upcaster('Way', '1', '3', steps => versions.mark('1-3'));
select is(state('way'), '["1-3"]', 'a shorter way goes before, at once');

--
-- Validation of what comes out
--

select f6_register_event_type('Strict', v, s) from (values
    ('1', 'true'::jsonb), ('2', '{"required": ["a"]}'), ('3', '{"required": ["b"]}')) as t (v, s);
select f6_register_upcaster('Strict', '1', '2'), f6_register_upcaster('Strict', '2', '3', steps => '[{"op": "default", "path": "/b", "value": 1}]');
select claim('strict', 'Strict', '1', '{"a": 1}');
select is(state('strict'), '{"a": 1, "b": 1}', 'an upcaster without function and steps leaves data as it is');
create temp table strict as select claim('loose', 'Strict', '1', '{"c": "secret"}') as id;
select throws_ok($$ select state('loose') $$, '23514', format('event %s, upcast from version "1" to version "3", is not valid for event type "Strict" version "2"', (select id from strict)),
    'what comes out on the way is validated');
select is(detail_of($$ select state('loose') $$), '"" required: expected property "a", found none', 'the detail says what is wrong, and not the data');
select f6_register_event_type('Strict', '4', 'false');
select f6_register_upcaster('Strict', '1', '4', validate => false);
select is(state('loose'), '{"c": "secret"}', 'unless that is turned off');
select f6_register_event_type('Strict', '5', '{"required": ["e"]}');
select f6_register_upcaster('Strict', '4', '5', steps => '[{"op": "test", "path": "/c", "value": "other"}]');
select throws_ok($$ select state('loose') $$, '23514', 'step 1 (test) of the upcaster failed', 'a step that fails');
select is(detail_of($$ select state('loose') $$), 'Another value than expected is at "/c".', 'says where, and not the data');

--
-- Corrections, dates of effect, removal
--

select f6_register_event_type('Stay', '1', 'true', valid_from => '/since');
select f6_register_event_type('Stay', '2', 'true', valid_from => '/from');
select f6_register_event_type('Stay', '3', 'true');
select f6_register_upcaster('Stay', '1', '2', steps => '[{"op": "rename", "path": "/since", "to": "from"}, {"op": "add", "path": "/via", "value": 2}]');
select f6_register_upcaster('Stay', '2', '3', steps => '[{"op": "replace", "path": "/from", "value": "1800-01-01"}]');
create temp table stay as select claim('stay', 'Stay', '1', '{"since": "2001-01-01", "at": "A"}', '1900-01-01') as id;
select is(f6_state_asof(object('stay'), '2000-12-31'), null, 'upcasting does not move events in time');
select is(f6_state_asof(object('stay'), '2001-01-01'), '{"from": "1800-01-01", "at": "A", "via": 2}', 'they count from the date that is stored, where their own version has it');
create temp table restated as
    select id from f6_append('Stay', null, '{"from": "2002-02-02", "at": "B"}', event_version => '2', event_kind => 'correction',
                             event_reference => array(select id from stay));
select is(f6_state_asof(object('stay'), '2002-02-02'), '{"from": "1800-01-01", "at": "B"}', 'a restatement is upcast from its own version');
select is(f6_state_asof(object('stay'), '2002-02-01'), null, 'and counts from its own date');
select is(f6_state_asof(object('stay'), '2002-02-02', versions => '{"Stay": "2"}'), '{"from": "2002-02-02", "at": "B"}', 'in its own version it is as it is');
select is((select event_data from f6_events(object('stay'))), '{"from": "1800-01-01", "at": "A", "via": 2}', 'f6_events gives the claim itself');
select f6_append('Stay', null, 'null', event_version => '1', event_kind => 'correction', event_reference => array(select id from restated));
select is(f6_state_asof(object('stay'), '2001-01-01'), '{"from": "1800-01-01", "at": "A", "via": 2}', 'a removal is not upcast');
select f6_append('Stay', null, null, event_version => '1', event_kind => 'validation', event_reference => array(select id from stay));
select is(f6_state_asof(object('stay'), '2001-01-01', legal => true), '{"from": "1800-01-01", "at": "A", "via": 2}', 'nor a validation');

--
-- f6_upcast
--

select results_eq($$ select (f6_upcast(e)).event_version, (f6_upcast(e)).event_data, event_kind from f6.event as e where event_type = 'Stay' order by position $$,
    $$ values ('3', '{"from": "1800-01-01", "at": "A", "via": 2}'::jsonb, 'claim'::f6.event_kind),
              ('3', '{"from": "1800-01-01", "at": "B"}', 'correction'), ('1', 'null', 'correction'), ('1', 'null', 'validation') $$,
    'f6_upcast reads the log: what has no data stays as it is');
select is((select string_agg((f6_upcast(e, '2')).event_data ->> 'from', ' ' order by position) from f6.event as e
    where event_type = 'Stay' and event_data <> 'null'), '2001-01-01 2002-02-02', 'in another version');
select is(f6_upcast(null), null, 'of nothing it makes nothing');
select is((select f6_upcast(e) is not distinct from e from f6.event as e where event_type = 'Home' and event_version = '3'), true, 'what is in the version already is the same');
select throws_ok($$ select f6_upcast(e, '9') from f6.event as e where event_type = 'Home' $$, '42704', 'version "9" of event type "Home" is not registered', 'to a version that does not exist');
select throws_ok($$ select f6_upcast(row(1)::f6.event) $$, '42846', null, 'a row of another kind');
select throws_ok($$ select f6_upcast((select e from (select null::f6.event) as n (e) union all select jsonb_populate_record(null::f6.event, '{"event_type": "Home"}') offset 1)) $$,
    '22004', 'an event to upcast has a type, a version, a kind and data', 'an event that is none');
do $$
declare e f6.event;
begin
    -- one call site sees the registry change
    for i in 1 .. 2 loop
        select * into e from f6.event where event_type = 'Way';
        e := f6_upcast(e);
        perform f6_register_event_type('Way', '4', 'true'), f6_register_upcaster('Way', '1', '4', steps => versions.mark('1-4'));
        perform set_config('versions.seen', coalesce(current_setting('versions.seen', true), '') || (e.event_data ->> 0) || ' ', true);
    end loop;
end $$;
select is(current_setting('versions.seen'), '1-3 1-4 ', 'one call site of f6_upcast sees the registry change');

--
-- versions
--

select throws_ok($$ select state('home', '["Home"]') $$, '22023', 'versions must be a JSON object, found array', 'versions is an object');
select throws_ok($$ select state('home', '{"Home": 3}') $$, '22023', 'the version of event type "Home" must be a string, found integer', 'of strings');
select throws_ok($$ select state('home', '{"House": "1"}') $$, '42704', 'event type "House" is not registered', 'a type must exist');
select throws_ok($$ select * from f6_events(object('home'), versions => '{"Home": "9"}') $$, '42704', 'version "9" of event type "Home" is not registered', 'and a version');
select is(state('home', '{}'), state('home'), 'an empty one says nothing');

--
-- Functions
--

select f6_register_event_type('Called', v, 'true') from (values ('1'), ('2'), ('3')) as t (v);
create function versions.volatile(jsonb) returns jsonb language sql as $$ select $1 $$;
create function versions.other(text) returns jsonb stable language sql as $$ select to_jsonb($1) $$;
create function versions.several(jsonb) returns setof jsonb stable language sql as $$ select $1 $$;
create function versions.nothing(jsonb) returns jsonb stable language sql as $$ select null::jsonb $$;
create function versions."Failing f"(jsonb) returns jsonb stable language plpgsql as $$ begin raise exception 'no' using errcode = 'XX123'; end $$;
create aggregate versions.collect(jsonb) (sfunc = jsonb_concat, stype = jsonb);
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 'versions.volatile(jsonb)') $$, '42P17', 'function versions.volatile(pg_catalog.jsonb) cannot be an upcaster', 'a volatile function');
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 'versions.other(text)') $$, '42P17', null, 'a function of text');
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 'versions.several(jsonb)') $$, '42P17', null, 'a function of sets');
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 'versions.collect(jsonb)') $$, '42P17', null, 'an aggregate');
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 0::oid::regprocedure) $$, '42883', null, 'no function');
select throws_ok($$ select f6_register_upcaster('Called', '1', '2', 'versions.nothing(jsonb)', '[]') $$, '22023', 'an upcaster has a function or steps, not both', 'a function and steps');
select f6_register_upcaster('Called', '1', '2', 'versions.nothing(jsonb)'), f6_register_upcaster('Called', '1', '3', 'versions."Failing f"(jsonb)');
select is((select string_agg(function, ' ' order by ordinal) from f6.upcaster where event_type = 'Called'),
    'versions.nothing(pg_catalog.jsonb) versions."Failing f"(pg_catalog.jsonb)', 'functions are stored by their full names');
select claim('called', 'Called', '1', '{"a": 1}');
select throws_ok($$ select state('called', '{"Called": "2"}') $$, '22004', 'an upcaster''s function must not return NULL', 'NULL is no data');
select throws_ok($$ select state('called') $$, 'XX123', 'no', 'an error of the function is its own');
create or replace function versions."Failing f"(jsonb) returns jsonb stable language plpgsql as $$ begin return '"mended"'; end $$;
select is(state('called'), '"mended"', 'a function may be mended');
alter function versions."Failing f"(jsonb) volatile;
select throws_ok($$ select state('called') $$, '42P17', null, 'but not be made volatile');
drop function versions."Failing f"(jsonb);
select throws_ok($$ select state('called') $$, '42883', 'upcaster function versions."Failing f"(pg_catalog.jsonb) does not exist', 'a function that was dropped is missed');
create function versions."Failing f"(jsonb) returns jsonb immutable language sql as $$ select '"back"'::jsonb $$;
select is(state('called'), '"back"', 'until it is back');
-- a function that itself asks
select f6_register_event_type('Asking', '1', 'true'), f6_register_event_type('Asking', '2', 'true');
create function versions.ask(jsonb) returns jsonb stable language sql as $$ select $1 || jsonb_build_object('home', versions.state('home')) $$;
select f6_register_upcaster('Asking', '1', '2', 'versions.ask(jsonb)');
select claim('asking', 'Asking', '1', '{"a": 1}');
select is(state('asking'), jsonb_build_object('a', 1, 'home', state('home')), 'a function may read the log');

--
-- Registering
--

select throws_ok($$ select f6_register_upcaster('None', '1', '2') $$, '42704', 'event type "None" is not registered', 'of a type that is not registered');
select throws_ok($$ select f6_register_upcaster('Home', '1', '9') $$, '42704', 'version "9" of event type "Home" is not registered', 'to a version that is not');
select throws_ok($$ select f6_register_upcaster('Home', '9', '1') $$, '42704', 'version "9" of event type "Home" is not registered', 'from one');
select throws_ok($$ select f6_register_upcaster('Home', '1', '1') $$, '22023', 'an upcaster leads from one version to another', 'to the same version');
select throws_ok($$ select f6_register_upcaster('Home', null, '1') $$, '22004', 'from_version must not be NULL', 'from no version');
select throws_ok($$ select f6_register_upcaster('Home', '1', '3', validate => null) $$, '23502', null, 'whether to validate is known');
select lives_ok($$ select f6_register_upcaster('Home', '2', '3', 'versions.add_town(jsonb)') $$, 'the same function again');
select lives_ok($$ select f6_register_upcaster('Home', '1', '2', steps => '[{"to": "road", "op": "rename", "path": "/street"}]') $$, 'the same steps again');
select throws_ok($$ select f6_register_upcaster('Home', '2', '3') $$, '42710', 'event type "Home" has an upcaster from version "2" to version "3" already, with another definition', 'another definition');
select is(detail_of($$ select f6_register_upcaster('Home', '2', '3', steps => '[]', validate => false) $$), 'It differs in: function, steps, validate.', 'and what differs');
select throws_ok($$ update f6.upcaster set validate = false $$, '55000', 'UPDATE is not allowed on f6.upcaster', 'upcasters stay');
select throws_ok($$ delete from f6.upcaster $$, '55000', 'DELETE is not allowed on f6.upcaster', 'all of them');
select throws_ok($$ truncate f6.upcaster $$, '55000', 'TRUNCATE is not allowed on f6.upcaster', 'together');
insert into f6.upcaster (event_type, from_version, to_version, function) values ('Called', '2', '3', 'add_town(jsonb)');
select is((select function from f6.upcaster where event_type = 'Called' and from_version = '2'), 'versions.add_town(pg_catalog.jsonb)', 'an INSERT is checked and completed as well');
select throws_ok($$ insert into f6.upcaster (event_type, from_version, to_version, steps) values ('Called', '3', '2', '[1]') $$, '22023', null, 'and refused');

--
-- Deprecation
--

select f6_register_event_type('Old', v, 'true') from (values ('1'), ('2'), ('3')) as t (v);
select f6_register_upcaster('Old', '1', '2', steps => '[{"op": "add", "path": "/via", "value": 2}]'),
       f6_register_upcaster('Old', '3', '2', steps => '[{"op": "add", "path": "/via", "value": 3}]'),
       f6_register_upcaster('Old', '2', '3'), f6_register_upcaster('Old', '1', '3');
create temp table old as select claim('old', 'Old', '1', '{"a": 1}') as id;
select f6_append('Old', array[object('kept')], '{"n": 3}', id => object('kept id'));
select f6_deprecate_event_type('Old', '3', 'It was a mistake.');
select throws_ok($$ select claim('old', 'Old', '3', '{}') $$, '55000', 'version "3" of event type "Old" is deprecated', 'a deprecated version takes no claims');
select matches(detail_of($$ select claim('old', 'Old', '3', '{}') $$), '^It takes no new events since \d{4}-.*: It was a mistake\.$', 'and says since when and why');
select throws_ok($$ select f6_append('Old', null, 'null', event_version => '3', event_kind => 'correction', event_reference => array(select id from old)) $$, '55000', null, 'nor corrections');
select throws_ok($$ select f6_append('Old', null, null, event_version => '3', event_kind => 'validation', event_reference => array(select id from old)) $$, '55000', null, 'nor validations');
select throws_ok($$ insert into f6.event (event_type, event_version, object_ids, event_data) values ('Old', '3', array[object('old')], '{}') $$, '55000', null, 'by no door');
select throws_ok($$ select f6_append(jsonb_build_object('event_type', 'Old', 'event_version', '3', 'object_ids', array[object('old')], 'event_data', 1)) $$, '55000', null, 'nor as JSON');
select f6_append('Old', array[object('newer')], '{}');
select is((select event_version from f6.event order by position desc limit 1), '2', 'the newest version is the newest that is not deprecated');
select is(state('kept'), '{"n": 3, "via": 3}', 'what is stored is read, in that version');
select is(state('old'), '{"a": 1, "via": 2}', 'by a chain that leads there');
select lives_ok($$ select f6_append('Old', array[object('kept')], '{"n": 3}', event_version => '3', id => object('kept id')) $$, 'an append may still be repeated');
select f6_register_zone('versions', 'import') as import_zone \gset
select lives_ok(format($$ select f6_append('Old', array[object('imported')], '{}', event_version => '3', zone_id => %s, created_at => '2001-01-01') $$, :import_zone),
    'history from before the deprecation may be imported');
select throws_ok(format($$ select f6_append('Old', array[object('imported')], '{}', event_version => '3', zone_id => %s, created_at => clock_timestamp()) $$, :import_zone),
    '55000', null, 'history from after it may not');
select lives_ok($$ select f6_deprecate_event_type('Old', '3', 'It was a mistake.') $$, 'the same again changes nothing');
select throws_ok($$ select f6_deprecate_event_type('Old', '3') $$, '42710', 'version "3" of event type "Old" is deprecated already, with another reason', 'another reason does not');
select throws_ok($$ select f6_deprecate_event_type('Old', '9') $$, '42704', 'version "9" of event type "Old" is not registered', 'what is deprecated exists');
select throws_ok($$ select f6_deprecate_event_type(null, '9') $$, '22004', 'event_type must not be NULL', 'and has a name');
select throws_ok($$ delete from f6.event_type_deprecation $$, '55000', 'DELETE is not allowed on f6.event_type_deprecation', 'what is deprecated stays so');
select throws_ok($$ update f6.event_type_deprecation set reason = 'none' $$, '55000', 'UPDATE is not allowed on f6.event_type_deprecation', 'for the same reason');
select f6_deprecate_event_type('Old', '1'), f6_deprecate_event_type('Old', '2');
select throws_ok($$ select f6_append('Old', array[object('old')], '{}') $$, '55000', 'every version of event type "Old" is deprecated', 'a type may be deprecated whole');
select is(state('kept'), '{"n": 3}', 'and is read in its newest version');
select is((select f6_append('Home', array[object('other home')], '{"road": "x", "town": "y"}') is not null), true, 'other types do not mind');

--
-- The option of formats
--

select f6_register_event_type('Format', 'default', 'true'), f6_register_event_type('Format', 'off', 'true', assert_format => false);
set local f6.assert_format = off;
select f6_register_event_type('Format', 'setting', 'true'), f6_register_event_type('Format', 'on', 'true', assert_format => true);
insert into f6.event_type (event_type, event_version, schema) values ('Format', 'insert', 'true');
select is((select string_agg(event_version || ' ' || assert_format, ', ' order by ordinal) from f6.event_type where event_type = 'Format'),
    'default true, off false, setting false, on true, insert false', 'assert_format is what is given, or the setting at registration');
select lives_ok($$ select f6_register_event_type('Format', 'default', 'true') $$, 'the same without it is the same under another setting');
select throws_ok($$ select f6_register_event_type('Format', 'default', 'true', assert_format => false) $$, '42710', null, 'another is another definition');
select is(detail_of($$ select f6_register_event_type('Format', 'off', 'true', assert_format => true) $$), 'It differs in: assert_format.', 'and says so');
reset f6.assert_format;
select f6_register_event_type('Formatted', 'asserts', '{"format": "date"}'),
    f6_register_event_type('Formatted', 'notes', '{"format": "date"}', assert_format => false);
select throws_ok($$ select f6_append('Formatted', array[f6_object_id('format', '1')], '"2024-02-30"', event_version => 'asserts') $$,
    '23514', null, 'format refuses data of an event type');
select lives_ok($$ select f6_append('Formatted', array[f6_object_id('format', '1')], '"2024-02-29"', event_version => 'asserts') $$,
    'and takes what is of the format');
select lives_ok($$ select f6_append('Formatted', array[f6_object_id('format', '1')], '"2024-02-30"', event_version => 'notes') $$,
    'unless the type says that it is an annotation');
select results_eq($$ select event_version, events, failing from f6_check_event_type('Formatted', '{"format": "date"}') order by 1 $$,
    $$ values ('asserts', 1::bigint, 0::bigint), ('notes', 1, 1) $$, 'so does a check of what is stored');
select results_eq($$ select sum(failing) from f6_check_event_type('Formatted', '{"format": "date"}', assert_format => false) $$,
    $$ values (0::numeric) $$, 'and it can be told otherwise');

--
-- f6_check_event_type
--

select f6_register_event_type('Checked', v, 'true') from (values ('1'), ('2')) as t (v);
create temp table checked as
    select claim('checked', 'Checked', '1', jsonb_build_object('n', n)) as id, n from generate_series(1, 25) as n;
select claim('checked', 'Checked', '2', '{"n": "two"}');
select f6_append('Checked', null, '{"n": "restated"}', event_version => '2', event_kind => 'correction', event_reference => array(select id from checked where n = 1));
select f6_append('Checked', null, 'null', event_version => '2', event_kind => 'correction', event_reference => array(select id from checked where n = 2));
select f6_append('Checked', null, '"words"', event_version => '2', event_kind => 'validation', event_reference => array(select id from checked where n = 3));
select results_eq($$ select event_version, events, failing, jsonb_array_length(examples) from f6_check_event_type('Checked', '{"properties": {"n": {"type": "integer", "maximum": 10}}}') $$,
    $$ values ('1', 25::bigint, 15::bigint, 10), ('2', 2, 2, 2) $$, 'f6_check_event_type counts by version what would not pass');
select results_eq($$ select event_version, events, failing, jsonb_array_length(examples) from f6_check_event_type('Checked', '{"properties": {"n": {"maximum": 10}}}', '1', 3) $$,
    $$ values ('1', 25::bigint, 15::bigint, 3) $$, 'of one version, with so many examples');
select is((select examples from f6_check_event_type('Checked', '{"properties": {"n": {"maximum": 24}}}', '1')),
    (select jsonb_build_array(jsonb_build_object('id', id, 'position', position, 'errors', jsonb_build_array(jsonb_build_object(
        'instance_location', '/n', 'schema_location', '/properties/n/maximum', 'keyword', 'maximum',
        'message', (select message from f6_validation_errors('{"properties": {"n": {"maximum": 24}}}', '{"n": 25}'))))))
        from f6.event where id = (select id from checked where n = 25)), 'examples say what is wrong');
select results_eq($$ select event_version, events, failing, examples from f6_check_event_type('Checked', 'true', '1', 0) $$,
    $$ values ('1', 25::bigint, 0::bigint, '[]'::jsonb) $$, 'all may pass');
select results_eq($$ select event_version, events from f6_check_event_type('Format', 'true', 'on') $$, $$ values ('on', 0::bigint) $$, 'of a version without events');
select is_empty($$ select * from f6_check_event_type('Format', 'true') $$, 'of a type without events');
select throws_ok($$ select * from f6_check_event_type('Checked', '{"type": 1}') $$, '22023', null, 'a bad schema');
select throws_ok($$ select * from f6_check_event_type('None', 'true') $$, '42704', null, 'an unknown type');
select throws_ok($$ select * from f6_check_event_type('Checked', 'true', '9') $$, '42704', null, 'an unknown version');
select throws_ok($$ select * from f6_check_event_type('Checked', null) $$, '22004', 'schema must not be NULL', 'no schema');
select throws_ok($$ select * from f6_check_event_type('Checked', 'true', examples => -1) $$, '22023', 'examples must not be negative', 'a negative number of examples');

--
-- Roles
--

create role versions_stranger;
grant usage on schema versions to f6_reader, f6_writer, f6_admin, versions_stranger;
select is(as_role('f6_reader', $$ select state('home') $$), state('home')::text, 'a reader''s question runs the functions');
revoke execute on function versions.add_town(jsonb) from public;
select is(as_role('f6_reader', $$ select state('home') $$), '42501', 'with the reader''s privileges');
select is(as_role('f6_reader', $$ select f6_upcast(e) from f6.event as e where event_type = 'Home' and event_version = '1' $$), '42501', 'also for f6_upcast');
grant execute on function versions.add_town(jsonb) to f6_reader;
select is(as_role('f6_reader', $$ select state('home') $$), state('home')::text, 'granted, it may');
select is(as_role('versions_stranger', $$ select count(*) from f6_check_event_type('Checked', 'true') $$), '42501', 'who may not read events may not have them checked');
select is(as_role('f6_reader', $$ select sum(events) from f6_check_event_type('Checked', 'true') $$), '27', 'a reader may');
select is(as_role(r, $$ select f6_register_upcaster('Checked', '1', '2') $$), '42501', r || ' registers no upcaster')
    from unnest('{f6_reader, f6_writer, versions_stranger}'::text[]) as r;
select is(as_role(r, $$ select f6_deprecate_event_type('Checked', '1') $$), '42501', r || ' deprecates nothing')
    from unnest('{f6_reader, f6_writer, versions_stranger}'::text[]) as r;
select is(as_role('f6_admin', $$ select f6_register_upcaster('Checked', '1', '2')::text $$), '', 'an administrator registers upcasters');
select is(as_role('f6_admin', $$ select f6_deprecate_event_type('Checked', '1')::text $$), '', 'and deprecates');
select is(as_role('f6_admin', $$ insert into f6.event_type_deprecation (event_type, event_version, deprecated_at) values ('Checked', '2', 'epoch') returning 1 $$), '42501', 'but does not say since when');

select * from finish();
rollback;
