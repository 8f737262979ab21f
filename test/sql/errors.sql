-- Each error of the log: its text, detail and hint.  \errverbose would show places in the source, so SQLSTATEs stand apart.
\set VERBOSITY default
\set SHOW_CONTEXT always
set timezone = 'UTC';
select f6_register_event_type('Address', '1', '{
    "type": "object",
    "properties": {"street": {"type": "string", "minLength": 1}, "number": {"type": "integer", "minimum": 1}},
    "required": ["street"],
    "additionalProperties": false}', valid_from => '/since');
select f6_register_event_type('Address', '2', '{
    "type": "object",
    "properties": {"street": {"type": "string"}, "number": {"type": "integer"}, "since": {"type": ["string", "number", "null"]}},
    "required": ["street", "number"]}', valid_from => '/since');
select f6_register_event_type('Many', '1', '{"type": "object", "additionalProperties": {"type": "integer"}}');

-- 42704: unknown type, version, zone
select f6_append('Adress', array[f6_object_id('test', 'a')], '{}');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', array[f6_object_id('test', 'a')], '{}', event_version => '3');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1}', zone_id => 99);
\echo :LAST_ERROR_SQLSTATE
set f6.zone = 'nowhere';
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1}');
\echo :LAST_ERROR_SQLSTATE
reset f6.zone;

-- 23514: the schema is violated, once or many times
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": 1, "number": "12a"}');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "", "number": 0, "town": "X"}', event_version => '1');
select f6_append('Many', array[f6_object_id('test', 'a')],
    (select jsonb_object_agg('key ' || i, 'x') from generate_series(1, 12) as i));
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1, "since": "soon"}');
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1, "since": 2024}');
insert into f6.event (event_type, object_ids, event_data) values ('Address', array[f6_object_id('test', 'a')], '[]');
copy f6.event (event_type, object_ids, event_data) from stdin (format csv);
Address,{00000000-0000-0000-0000-00000000000a},"{""street"": ""A"", ""number"": 1}"
Address,{00000000-0000-0000-0000-00000000000a},"{""street"": ""A""}"
\.

-- 23503: references to nothing, all of them named
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1}',
    event_reference => array['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002']::uuid[]);
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', null, 'null', event_kind => 'correction', id => '00000000-0000-0000-0000-000000000003',
    event_reference => array['00000000-0000-0000-0000-000000000003']::uuid[]);

-- 22023: objects and references that make no sense
select f6_append('Address', array[]::uuid[], '{"street": "A", "number": 1}');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', null::uuid[], '{"street": "A", "number": 1}');
select f6_append('Address', array[f6_object_id('test', 'a'), null], '{"street": "A", "number": 1}');
select f6_append('Address', array['00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000a']::uuid[],
    '{"street": "A", "number": 1}');
select f6_append('Address', array[array[f6_object_id('test', 'a')], array[f6_object_id('test', 'b')]], '{"street": "A", "number": 1}');
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1}', event_reference => array[null]::uuid[]);
select f6_object_id('', 'x');
select f6_object_id('x', '');

-- 22004: what must not be NULL
select f6_append(null, array[f6_object_id('test', 'a')], '{}');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', array[f6_object_id('test', 'a')], null);
select f6_append('Address', null, null, event_kind => 'correction');
select f6_append(null::jsonb);

-- 23514: kinds without a basis
select f6_append('Address', array[f6_object_id('test', 'a')], null, event_kind => 'validation');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Address', array[f6_object_id('test', 'a')], '{"street": "A", "number": 1}', event_kind => 'correction', event_reference => '{}');
select from f6_append('Address', array['00000000-0000-0000-0000-00000000000a']::uuid[], '{"street": "A", "number": 1}',
    id => '00000000-0000-0000-0000-0000000000c1');
select from f6_append('Address', null, null, event_kind => 'validation', id => '00000000-0000-0000-0000-0000000000d1',
    event_reference => array['00000000-0000-0000-0000-0000000000c1']::uuid[]);
select f6_append('Address', null, null, event_kind => 'validation',
    event_reference => array['00000000-0000-0000-0000-0000000000d1']::uuid[]);
select f6_append('Address', array['00000000-0000-0000-0000-00000000000b']::uuid[], 'null', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000c1']::uuid[]);
\echo :LAST_ERROR_SQLSTATE
select f6_append('Many', null, '{"number": 1}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000c1']::uuid[]);

-- 23505: another event has the id
select f6_append('Address', array['00000000-0000-0000-0000-00000000000a']::uuid[], '{"street": "B", "number": 1}',
    id => '00000000-0000-0000-0000-0000000000c1');
\echo :LAST_ERROR_SQLSTATE

-- 22023: JSON input
select f6_append('[{"event_type": "Address", "objects": []}]');
\echo :LAST_ERROR_SQLSTATE
select f6_append('"Address"');
select f6_append('[1]');
select f6_append('[{"event_type": 1}]');
select f6_append('[{"zone_id": 1.5}]');
select f6_append('[{"object_ids": "x"}]');
select f6_append('[{"object_ids": [1]}]');
select f6_append('[{}, {"object_ids": ["x"]}]');
\echo :LAST_ERROR_SQLSTATE
select f6_append('[{"occurred_at": "when?"}]');
select f6_append('[{"event_kind": "rumour"}]');
select f6_append('[
    {"event_type": "Address", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"street": "A", "number": 1}},
    {"event_type": "Address", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"street": "A"}}]');

-- 428C9: what only f6 fills, by every door
insert into f6.event ("position", event_type, object_ids, event_data) values (1, 'Many', array[f6_object_id('test', 'a')], '{}');
\echo :LAST_ERROR_SQLSTATE
insert into f6.event (appended_by, event_type, object_ids, event_data) values ('me', 'Many', array[f6_object_id('test', 'a')], '{}');
insert into f6.event (client_addr, event_type, object_ids, event_data) values ('::1', 'Many', array[f6_object_id('test', 'a')], '{}');
insert into f6.event (application_name, event_type, object_ids, event_data) values ('me', 'Many', array[f6_object_id('test', 'a')], '{}');
select f6_append('[{"position": 1}]');
\echo :LAST_ERROR_SQLSTATE

-- 42501 and 22023: formal time
create role f6_test_writer in role f6_writer;
set role f6_test_writer;
select f6_append('Many', array[f6_object_id('test', 'a')], '{}', created_at => '2020-01-01');
\echo :LAST_ERROR_SQLSTATE
insert into f6.event (created_at, event_type, object_ids, event_data) values ('2020-01-01', 'Many', array[f6_object_id('test', 'a')], '{}');
\echo :LAST_ERROR_SQLSTATE
reset role;
drop role f6_test_writer;
select f6_register_zone('Test', 'import') as zone \gset
set f6.zone = 'Test/import';
select from f6_append('Many', array[f6_object_id('test', 'a')], '{}', created_at => '2020-01-02');
select f6_append('Many', array[f6_object_id('test', 'a')], '{}', created_at => '2020-01-01') is null;
\echo :LAST_ERROR_SQLSTATE
select f6_append('Many', array[f6_object_id('test', 'a')], '{}', created_at => '2999-01-01');
\echo :LAST_ERROR_SQLSTATE
select f6_append('Many', array[f6_object_id('test', 'a')], '{}', created_at => 'infinity');
reset f6.zone;

-- 55000: the log does not change
update f6.event set event_data = '{}';
\echo :LAST_ERROR_SQLSTATE
delete from f6.event where false;
truncate f6.event;
insert into f6.event_object values (f6_object_id('test', 'a'), 1);
update f6.event_object set "position" = 2;
delete from f6.event_link;
truncate f6.event_link;
update f6.event_type set schema = 'true';
delete from f6.event_type;
truncate f6.event_type;
delete from f6.zone where zone_id = 2;
update f6.zone set name = 'mine' where zone_id = 1;
update f6.zone set zone_id = 77 where zone_id = 2;
set session_replication_role = replica;
update f6.event set event_data = '{}';
\echo :LAST_ERROR_SQLSTATE
reset session_replication_role;

-- the registry, whose functions are PL/pgSQL: their place in it is no part of the contract
\set SHOW_CONTEXT never
select f6_register_event_type('Many', '1', '{"type": "object"}');
\echo :LAST_ERROR_SQLSTATE
select f6_register_event_type('Many', '1', '{"type": "object"}', '/since', true);
select f6_register_event_type('Many', '1', '{"type": "object", "additionalProperties": {"type": "integer"}}');
select f6_register_event_type('', '1', 'true');
select f6_register_event_type('Many', '', 'true');
select f6_register_event_type(null, '1', 'true');
select f6_register_event_type('Many', '2', null);
select f6_register_event_type('Many', '2', 'true', 'since');
\echo :LAST_ERROR_SQLSTATE
select f6_register_event_type('Many', '2', '{"type": "strnig"}');
\echo :LAST_ERROR_SQLSTATE
select f6_register_event_type('Many', '2', '{"properties": {"a": {"$ref": "https://example.com/nowhere"}}}');
\echo :LAST_ERROR_SQLSTATE
select f6_register_zone('Test', '');
select f6_register_zone(null, 'x');
\echo :LAST_ERROR_SQLSTATE
select f6_register_zone('Test', 'import') = :zone as same_zone;
select f6_register_zone('Other', 'import') > 0 as registered;
set f6.zone = 'import';
select f6_append('Many', array[f6_object_id('test', 'a')], '{}');
\echo :LAST_ERROR_SQLSTATE
reset f6.zone;

-- what none of it left behind
select count(*) from f6.event;
select count(*) from f6.event_object;
