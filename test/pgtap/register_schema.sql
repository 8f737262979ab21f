-- Which documents f6.schema takes, from whom, and that they stay.
begin;
select plan(129);

create function document(uri text) returns jsonb language sql as $$
    select schema from f6.schema as s where s.uri = document.uri
$$;

-- Runs a statement as another role.
create function as_role(role name, statement text) returns void language plpgsql as $$
begin
    execute format('set local role %I', role);
    execute statement;
    reset role;
end
$$;

-- what is registered
select f6_register_schema('https://example.com/address', '{"type": "object", "properties": {"street": {"type": "string"}}}');
select results_eq(
    $$select uri, schema, registered_by, registered_at between now() and clock_timestamp() from f6.schema$$,
    $$values ('https://example.com/address', '{"type": "object", "properties": {"street": {"type": "string"}}}'::jsonb, session_user::name, true)$$,
    'a document is registered under its URI, with who and when');
select lives_ok(
    $$select f6_register_schema('https://example.com/address', '{"properties": {"street": {"type": "string"}}, "type": "object"}')$$,
    'the same again is no error');
select lives_ok(
    $$select f6_register_schema('https://example.com/address#', '{"properties": {"street": {"type": "string"}}, "type": "object"}')$$,
    'nor with an empty fragment');
select is((select count(*) from f6.schema), 1::bigint, 'and changes nothing');
select throws_ok($$select f6_register_schema('https://example.com/address', 'true')$$, '42710',
    'schema "https://example.com/address" is registered already, with another content', 'another content is refused');
select throws_ok($$select f6_register_schema('https://example.com/address#', 'true')$$, '42710',
    'schema "https://example.com/address" is registered already, with another content', 'with an empty fragment too');
select throws_ok($$insert into f6.schema (uri, schema) values ('https://example.com/address#', 'true')$$, '23505', null,
    'an INSERT adds no second document');
select f6_register_schema('https://example.com/place#', 'true');
select is(document('https://example.com/place'), 'true'::jsonb, 'an empty fragment is left out');
insert into f6.schema (uri, schema) values ('https://example.com/inserted#', 'false');
select is(document('https://example.com/inserted'), 'false'::jsonb, 'by an INSERT too');
select lives_ok(format($$select f6_register_schema(%L, '{}')$$, uri), 'a URI may be ' || uri)
    from unnest(array['urn:uuid:feebdaed-ffff-0000-ffff-0000deadbeef', 'tag:example.com,2024:schemas', 'HTTPS://Example.com/address',
        'https://example.com/address/', 'https://example.com/address?version=2', 'file:///schemas/address.json', 'json-schema:address',
        'https://voorbeeld.nl/één', 'https://json-schema.org/draft/2020-12', 'https://json-schema.org/draft-05/schema',
        'https://example.com/draft-07/schema']) as uri;
select f6_register_schema('https://example.com/large', jsonb_build_object('enum', (select jsonb_agg(md5(n::text)) from generate_series(1, 10000) as n)));
select is(jsonb_array_length(document('https://example.com/large') -> 'enum'), 10000, 'a document may be large');

-- what is refused
create table kept as table f6.schema;
select throws_ok($$select f6_register_schema(null, 'true')$$, '22004', 'uri must not be NULL', 'a URI is needed');
select throws_ok($$select f6_register_schema('https://example.com/null', null)$$, '22004', 'schema must not be NULL', 'a schema is needed');
select throws_ok($$insert into f6.schema (schema) values ('true')$$, '22004', 'uri must not be NULL', 'by an INSERT too');
select throws_ok($$insert into f6.schema (uri) values ('https://example.com/null')$$, '22004', 'schema must not be NULL', 'both');
select throws_ok($$select f6_register_schema('', 'true')$$, '22023', 'uri must not be empty', 'an empty URI is refused');
select throws_ok(format($$select f6_register_schema(%L, 'true')$$, uri), '22023', format('uri must be absolute: "%s"', uri),
    'a relative URI is refused: ' || uri)
    from unnest(array['address', 'schemas/address', '/address', '//example.com/address', '?version=2', '#', '#address', '1https://example.com',
        'the address: all of it', ':', 'één:address']) as uri;
select throws_ok(format($$select f6_register_schema(%L, 'true')$$, uri), '22023', format('uri must not have a fragment: "%s"', uri),
    'a fragment is refused: ' || uri)
    from unnest(array['https://example.com/a#b', 'urn:example:a#/$defs/b', 'https://example.com/a##']) as uri;
select throws_ok(format($$select f6_register_schema(%L, 'true')$$, uri), '22023', format('uri must not have the segments "." and "..": "%s"', uri),
    'what references never lead to is refused: ' || uri)
    from unnest(array['https://example.com/a/../b', 'https://example.com/./b', 'https://example.com/a/..#']) as uri;
select throws_ok(format($$select f6_register_schema(%L, 'true')$$, uri || fragment), '42710', format('schema "%s" is built in', uri),
    'a metaschema is built in: ' || uri || fragment)
    from unnest(array['http', 'https']) as scheme,
         unnest(array['draft-04/schema', 'draft-06/schema', 'draft-07/schema', 'draft/2019-09/schema', 'draft/2019-09/meta/core',
             'draft/2019-09/meta/applicator', 'draft/2019-09/meta/validation', 'draft/2019-09/meta/meta-data', 'draft/2019-09/meta/format',
             'draft/2019-09/meta/content', 'draft/2020-12/schema', 'draft/2020-12/meta/core', 'draft/2020-12/meta/applicator',
             'draft/2020-12/meta/unevaluated', 'draft/2020-12/meta/validation', 'draft/2020-12/meta/meta-data',
             'draft/2020-12/meta/format-annotation', 'draft/2020-12/meta/format-assertion', 'draft/2020-12/meta/content']) as path,
         concat(scheme, '://json-schema.org/', path) as uri,
         unnest(case when path like 'draft-%' then '{"", "#"}' else '{""}' end::text[]) as fragment;
select throws_ok(format($$select f6_register_schema('https://example.com/bad', %L)$$, schema), '22023', 'invalid JSON Schema',
    'no schema: ' || schema)
    from unnest(array['null', '1', '"true"', '[]', '{"type": "strnig"}', '{"properties": {"a": 1}}']) as schema;
select throws_ok($$insert into f6.schema (uri, schema) values ('https://example.com/bad', '{"required": "a"}')$$, '22023', 'invalid JSON Schema',
    'by an INSERT too');
select set_eq('table f6.schema', 'table kept', 'what is refused leaves nothing behind');

-- what is registered stays
select throws_ok(change, '55000', null, 'refused: ' || change)
    from unnest(array['update f6.schema set schema = ''true''', 'update f6.schema set uri = uri where false', 'delete from f6.schema',
        'truncate f6.schema', 'merge into f6.schema using (values (1)) as v on true when matched then delete',
        'insert into f6.schema (uri, schema) values (''https://example.com/address'', ''true'') on conflict (uri) do update set schema = ''true''']) as change;
set local session_replication_role = replica;
select throws_ok('delete from f6.schema', '55000', 'DELETE is not allowed on f6.schema', 'in a replica too');
set local session_replication_role = origin;
create table elsewhere (uri text, schema jsonb);
create trigger before_insert before insert on elsewhere for each row execute function f6.schema_before_insert();
select throws_ok($$insert into elsewhere values ('a', 'true')$$, '39P01', null, 'the trigger serves f6.schema alone');
select throws_ok('select f6.schema_before_insert()', '39P01', null, 'and is no function to call');
select set_eq('table f6.schema', 'table kept', 'all is as it was');

-- who may
create role some_reader in role f6_reader;
create role some_writer in role f6_writer;
create role some_importer in role f6_importer;
create role some_admin in role f6_admin;
create role nobody;
select throws_ok(format($$select as_role(%L, 'select f6_register_schema(''https://example.com/role'', ''true'')')$$, role), '42501',
    'permission denied for table schema', role || ' registers nothing')
    from unnest(array['some_reader', 'some_writer', 'some_importer', 'nobody']) as role;
select lives_ok(format($$select as_role(%L, 'select from f6.schema')$$, role), role || ' reads the documents')
    from unnest(array['some_reader', 'some_writer', 'some_importer', 'some_admin']) as role;
select throws_ok($$select as_role('nobody', 'select from f6.schema')$$, '42501', null, 'a role without a role of f6 does not');
select lives_ok($$select as_role('some_admin', 'select f6_register_schema(''https://example.com/role'', ''true'')')$$, 'some_admin registers');
select lives_ok($$select as_role('some_admin', 'select f6_register_schema(''https://example.com/role'', ''true'')')$$, 'and again');
select throws_ok($$select as_role('some_admin', 'select f6_register_schema(''https://example.com/role'', ''false'')')$$, '42710', null,
    'but nothing else in its place');
select throws_ok($$select as_role('some_admin', 'insert into f6.schema (uri, schema, registered_by) values (''https://example.com/other'', ''true'', ''me'')')$$,
    '42501', null, 'nor in the name of another');

-- two documents with one identifier
select f6_register_schema('https://example.com/mine', '{"$id": "https://example.com/name", "$ref": "#/$defs/a", "$defs": {"a": {"const": 1}}}');
select f6_register_schema('https://example.com/name', '{"$ref": "#/$defs/a", "$defs": {"a": {"const": 2}}}');
select f6_register_schema('https://example.com/same', '{"$id": "https://example.com/shared", "$anchor": "x", "const": 3}');
select f6_register_schema('https://example.com/shared', '{"$id": "https://example.com/shared", "$anchor": "x", "const": 3}');
select throws_ok(format('select f6_validate(%L, %L)', '{"$defs": {"a": {"$ref": "https://example.com/name"}, "b": {"$ref": "https://example.com/mine"}}}', '1'),
    '22023', 'invalid JSON Schema', 'two documents do not have one identifier');
select ok(f6_validate('{"allOf": [{"$ref": "https://example.com/shared#x"}, {"$ref": "https://example.com/same#x"}, {"$ref": "https://example.com/shared"}]}', '3'),
    'one document may be registered twice');
select ok(f6_validate(format('{"anyOf": [{"$ref": "http://%1$s"}, {"$ref": "https://%1$s"}]}', 'json-schema.org/draft-07/schema')::jsonb, '{}'),
    'metaschemas go by two URIs');

-- A metaschema may want every format asserted, and so none that nobody knows.
select f6_register_schema('https://example.com/asserting', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/asserting",
    "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": true, "https://json-schema.org/draft/2020-12/vocab/format-assertion": true}}');
select ok(not f6_validate('{"$schema": "https://example.com/asserting", "format": "date"}', '"a"'), 'a format that the metaschema wants asserted is');
select throws_ok($$select f6_validate('{"$schema": "https://example.com/asserting", "format": "colour"}', '"a"')$$, '0A000',
    'JSON Schema format "colour" is not supported', 'and one that nobody knows is an error');

-- a statement that fails after something that it calls has read its rows; what is planned ahead would read too early
create temporary table documents (schema jsonb, data jsonb);
insert into documents values ('{"$ref": "urn:undone"}', '1');
create function accepted() returns boolean language plpgsql as $$
begin
    return (select f6_validate(schema, data) from documents);
end
$$;
create function appended(type text) returns boolean language plpgsql as $$
begin
    perform f6_append(type, array[f6_object_id('undone', type)], '{}');
    return true;
end
$$;
select f6_register_event_type('In a zone', '1', 'true');
create function undone(statement text) returns text language plpgsql as $$
begin
    execute statement;
    return null;
exception when division_by_zero then
    return sqlstate;
end
$$;
select is(undone($$insert into f6.schema (uri, schema) select case i when 1 then 'urn:undone' when 2 then 'urn:' || accepted() else (1 / (3 - i))::text end, 'true' from generate_series(1, 3) as i$$),
    '22012', 'a document is read by the statement that registers it, which fails');
select throws_ok('select accepted()', '42704', 'JSON Schema "urn:undone" is not registered', 'and it is not registered');
select is(undone($$insert into f6.event_type (event_type, event_version, schema) select 'Undone', case i when 1 then '1' when 2 then appended('Undone')::text else (1 / (3 - i))::text end, 'true' from generate_series(1, 3) as i$$),
    '22012', 'a type is used by the statement that registers it, which fails');
select throws_ok($$select appended('Undone')$$, '42704', 'event type "Undone" is not registered', 'and takes no events');
select is(undone($$insert into f6.zone (organisation, name) select 'undone', case i when 1 then 'z' when 2 then (set_config('f6.zone', 'undone/z', true) is not null and appended('In a zone'))::text else (1 / (3 - i))::text end from generate_series(1, 3) as i$$),
    '22012', 'a zone is used by the statement that registers it, which fails');
set local f6.zone = 'undone/z';
select throws_ok($$select appended('In a zone')$$, '42704', 'zone "undone/z" does not exist', 'and is none to append to');
reset f6.zone;

select finish();
rollback;
