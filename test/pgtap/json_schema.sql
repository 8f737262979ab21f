-- The JSON Schema validator: what it accepts, and what it can bear.
begin;
select no_plan();

create function pg_temp.accepts(schema text, data text) returns boolean language sql
    as $$ select f6_validate(schema::jsonb, data::jsonb) $$;

-- Numbers are exact.
select ok(pg_temp.accepts('{"type": "integer"}', '1.0'), '1.0 is an integer');
select ok(pg_temp.accepts('{"const": 1}', '1.00'), 'const compares numbers by value');
select ok(pg_temp.accepts('{"enum": [[1, {"a": 2.0}]]}', '[1.0, {"a": 2}]'), 'enum compares numbers by value at any depth');
select ok(not pg_temp.accepts('{"const": 12345678901234567890}', '12345678901234567891'), 'large integers differ in their last digit');
select ok(not pg_temp.accepts('{"const": true}', '1'), 'true is not 1');
select ok(pg_temp.accepts('{"multipleOf": 0.01}', '19.99'), '19.99 is a multiple of 0.01');
select ok(pg_temp.accepts('{"multipleOf": 0.3}', '0.9'), '0.9 is a multiple of 0.3');
select ok(not pg_temp.accepts('{"multipleOf": 3}', '1e400'), '1e400 is no multiple of 3');
select ok(not pg_temp.accepts('{"maximum": 1e400}', '1.1e400'), 'numbers beyond a double are compared');

-- Sizes.
select ok(pg_temp.accepts('{"minLength": 2, "maxLength": 2}', '"é😀"'), 'lengths are in characters');
select ok(pg_temp.accepts('{"maxLength": 1e400}', '"a"'), 'a limit may be larger than any size');
select ok(not pg_temp.accepts('{"minLength": 99999999999}', '"a"'), 'and then nothing is long enough');
select ok(pg_temp.accepts('{"minLength": 2.0}', '"ab"'), 'a limit may be written with a fraction of zero');

-- Patterns mean what ECMA-262 says.
select ok(pg_temp.accepts('{"pattern": "b"}', '"abc"'), 'a pattern matches anywhere');
select ok(not pg_temp.accepts('{"pattern": "^a$"}', '"a\n"'), '$ is the very end');
select ok(not pg_temp.accepts('{"pattern": "^\\d$"}', '"٣"'), '\d is ASCII');
select ok(not pg_temp.accepts('{"pattern": "^\\w$"}', '"é"'), '\w is ASCII');
select ok(pg_temp.accepts('{"pattern": "^\\s$"}', '"\u00a0"'), '\s is Unicode');
select ok(pg_temp.accepts('{"pattern": "^\\p{Letter}\\p{Lu}$"}', '"éÉ"'), '\p{} knows long and short names');
select ok(pg_temp.accepts('{"pattern": "^[\\ud83d\\ude00]$"}', '"😀"'), 'a surrogate pair is one character');
select ok(pg_temp.accepts('{"pattern": "^\\u0061\\x62\\cA$"}', '"ab\u0001"'), 'characters by number');
select ok(pg_temp.accepts('{"pattern": "^[[]$"}', '"["'), 'a bracket within a class is itself');
select ok(not pg_temp.accepts('{"pattern": "^[\\S]$"}', '"\u00a0"'), '\S within a class is Unicode');
select ok(pg_temp.accepts('{"pattern": "^[\\w-.]+$"}', '"a-."'), 'a hyphen beside a set is itself');
select ok(pg_temp.accepts('{"pattern": "^a{2}{,3}$"}', '"aa{,3}"'), 'a brace that begins no number of repetitions is itself');
select ok(pg_temp.accepts('{"pattern": "^(?<π>.)\\k<π>\\1$"}', '"aaa"'), 'a group by name and by number');
select ok(pg_temp.accepts('{"pattern": "^\\p{Script=Greek}\\p{scx=Grek}\\P{gc=Lu}\\p{Assigned}$"}', '"αβγδ"'), 'scripts and categories');
select ok(not pg_temp.accepts('{"pattern": "[\\ud800-\\udfff]"}', '"😀"'), 'halves of pairs are not in texts');
select ok(not pg_temp.accepts('{"pattern": "[]"}', '"a"') and pg_temp.accepts('{"pattern": "^[^]$"}', '"\n"'), 'empty classes match nothing and everything');
select throws_ok(format('select f6_validate(%L, %L)', jsonb_build_object('pattern', pattern), '"a"'), '22023', null, pattern || ' is no pattern')
from unnest(array['(?i)a', '(*UTF)a', '(?P<n>a)', '(?>a)', '(?|a)', '(?#a)', 'a++', '\a', '\Z', '\1', '\k<n>', '\p{Greek}', '\p{digit', '\u{110000}',
    'a{2,1}', '[b-a]', '^*', '(?=a)*', 'a)', '(a', '[a', '(?<n>a)(?<n>a)', '\c1', '\x1', '\']) pattern;
select ok(pg_temp.accepts('{"pattern": "(?<=x)y$"}', to_jsonb(repeat('é', 500) || 'xy')::text), 'a match may start far into a text');

-- Objects of every size, against schemas of every size.
select ok(f6_validate(wide.schema, wide.data), format('%s properties, %s members', properties, members))
from unnest(array[1, 2, 30, 1000]) properties, unnest(array[1, 2, 30, 1000]) members,
    lateral (select
        jsonb_build_object('properties', (select jsonb_object_agg('p' || i, jsonb_build_object('const', i))
            from generate_series(1, properties) i), 'required', '["p1"]'::jsonb) as schema,
        (select jsonb_object_agg('p' || i, i) from generate_series(1, members) i) as data) wide;
select is((select count(*) from generate_series(1, 1000) i where f6_validate(
        jsonb_build_object('properties', (select jsonb_object_agg('p' || j, jsonb_build_object('const', j))
            from generate_series(1, 1000) j)),
        (select jsonb_object_agg('p' || j, j) from generate_series(1, 1000) j) || jsonb_build_object('p' || i, 0))),
    0::bigint, 'a wrong member is found wherever it is');
select is((select count(*) from generate_series(1, 40) i, generate_series(0, 4) extra where f6_validate(
        jsonb_build_object('required', (select jsonb_agg('p' || j) from generate_series(1, 40) j)),
        (select jsonb_object_agg('p' || j, j) from generate_series(1, 40 + extra * 200) j) - ('p' || i))),
    0::bigint, 'a missing member is found wherever it would be');

-- Unique items, few and many.
select ok(f6_validate('{"uniqueItems": true}', jsonb_agg(i) || jsonb_agg(i::text) || jsonb_agg(jsonb_build_array(i))),
    format('%s items that all differ', 3 * n))
from unnest(array[1, 5, 6, 1000]) n, generate_series(1, n) i group by n;
select ok(not f6_validate('{"uniqueItems": true}', jsonb_agg(jsonb_build_object('a', i)) || '{"a": 1.0}'),
    format('%s items and one again', n))
from unnest(array[1, 15, 16, 1000]) n, generate_series(1, n) i group by n;

-- References.
select ok(not pg_temp.accepts('{"properties": {"next": {"$ref": "#"}}, "required": ["id"]}', '{"id": 1, "next": {"id": 2, "next": {}}}'),
    'a schema may contain itself');
select ok(pg_temp.accepts('{"$ref": "#/$defs/a~1b%25/0", "$defs": {"a/b%": {"0": {"type": "null"}}}}', 'null'),
    'a reference may lead into a keyword that is unknown, escaped');
select ok(not pg_temp.accepts('{"$ref": "#/allOf/1", "allOf": [true, {"type": "null"}]}', '1'), 'a reference may lead into an array');
select ok(not pg_temp.accepts('{"$id": "http://example.com/s", "$ref": "http://example.com/s#/$defs/a", "$defs": {"a": false}}', '1'),
    'a reference may name the document itself');
select ok(pg_temp.accepts('{"unknownKeyword": {"type": "nothing"}, "$schema": "https://json-schema.org/draft/2020-12/schema"}', '1'),
    'an unknown keyword means nothing');

-- The two functions agree, and the cache at a call site follows the schema.
select is(array_agg(f6_validate(schema, '1') order by n), array[true, false, true, false], 'each row has its own schema')
from (values (1, 'true'::jsonb), (2, 'false'), (3, '{"type": "integer"}'), (4, '{"type": "string"}')) schemas (n, schema);
create temporary table checked (data jsonb check (f6_validate('{"type": "object", "required": ["a"]}', data)));
select lives_ok($$ insert into checked values ('{"a": 1}'), (null) $$, 'a CHECK constraint lets valid rows in');
select throws_ok($$ insert into checked values ('{"b": 1}') $$, '23514', null, 'and no others');
select ok(f6_validate(null, '1') is null and f6_validate('true', null) is null, 'NULL is unknown');
create temporary table stored as select jsonb_build_object('enum', jsonb_agg(md5(i::text))) as schema from generate_series(1, 5000) i;
select is((select count(*) from stored, generate_series(1, 100) i where f6_validate(schema, to_jsonb(md5(i::text)))), 100::bigint,
    'a schema may be stored out of line');

-- Where one schema of several is about values of this kind, its reasons are given.
create function pg_temp.reasons(schema text, data text) returns text language sql
    as $$ select string_agg(format('%s %s', instance_location, keyword), ', ') from f6_validation_errors(schema::jsonb, data::jsonb) $$;
select is(pg_temp.reasons('{"anyOf": [{"type": "null"}, {"type": "string", "minLength": 5}]}', '"abc"'), ' anyOf,  minLength',
    'of several types, that of the value');
select is(pg_temp.reasons('{"oneOf": [{"properties": {"kind": {"const": "a"}}, "required": ["x"]},
        {"properties": {"kind": {"enum": ["b"]}, "y": {"type": "string"}}}]}', '{"kind": "b", "y": 1}'), ' oneOf, /y type',
    'of several kinds of object, that which a constant names');
select is(pg_temp.reasons('{"anyOf": [{"minLength": 5}, {"minLength": 6}]}', '"abc"'), ' anyOf', 'of several that might be meant, none');
select is(pg_temp.reasons('{"anyOf": [{"type": "null"}, {"anyOf": [{"type": "array"}, {"type": "string", "maxLength": 1}]}]}', '"abc"'),
    ' anyOf,  anyOf,  maxLength', 'and so on within them');

-- What is evaluated by which keyword.
select is(pg_temp.reasons('{"properties": {"a": true}, "unevaluatedProperties": false}', '{"a": 1, "b": 2, "c": 3}'),
    '/b unevaluatedProperties, /c unevaluatedProperties', 'a property that nothing evaluates is named');
select is(pg_temp.reasons('{"properties": {"a": {"type": "string"}}, "unevaluatedProperties": false}', '{"a": 1, "b": 2}'),
    '/a type', 'but only where the other keywords accept');
select is(pg_temp.reasons('{"prefixItems": [true], "contains": {"type": "string"}, "unevaluatedItems": false}', '[1, "a", 2]'),
    '/2 unevaluatedItems', 'contains evaluates the items that it accepts');
select ok(pg_temp.accepts(format('{"anyOf": [{"patternProperties": {"^p": true}}], "unevaluatedProperties": false}'),
    (select jsonb_object_agg('p' || n, n)::text from generate_series(1, 1000) n)), 'a thousand properties are evaluated');
select ok(not pg_temp.accepts(format('{"anyOf": [{"patternProperties": {"^p": true}}], "unevaluatedProperties": false}'),
    (select jsonb_object_agg(case n when 700 then 'q' else 'p' || n end, n)::text from generate_series(1, 1000) n)), 'but for one');

-- Dynamic references that lead back to where they come from.
select throws_ok($$ select f6_validate('{"$dynamicAnchor": "a", "$dynamicRef": "#a"}', '1') $$, '22023', 'invalid JSON Schema',
    'an endless dynamic reference is an error');
select ok(f6_validate('{"$dynamicAnchor": "a", "properties": {"b": {"$dynamicRef": "#a"}}, "type": "object"}', '{"b": {"b": {}}}'),
    'one that goes down with the data is not');

-- What is endless or deep comes to an end.
select throws_ok($$ select f6_validate('{"pattern": "^(a|b|ab)*$"}', to_jsonb(repeat('ab', 200) || 'c')) $$, '54000', null,
    'a pattern that backtracks too much is an error');

-- Tells whether a query was cancelled soon after the timeout of a fifth of a second.
create function pg_temp.is_cancelled(query text) returns boolean language plpgsql as $$
declare
    start timestamptz := clock_timestamp();
begin
    execute query;
    return false;
exception when query_canceled then
    return clock_timestamp() - start < '5 s';
end $$;

set statement_timeout = 200;
select ok(pg_temp.is_cancelled($$ select f6_validate(
        jsonb_build_object('$ref', '#/$defs/0', '$defs', jsonb_object_agg(i,
            jsonb_build_object('allOf', jsonb_build_array(
                jsonb_build_object('$ref', '#/$defs/' || i + 1), jsonb_build_object('$ref', '#/$defs/' || i + 1))))
            || '{"40": {}}'), '1')
    from generate_series(0, 39) i $$), 'work that doubles at each level can be cancelled');
select ok(pg_temp.is_cancelled($$ select f6_validate('{"pattern": "a*[bc]"}', to_jsonb(repeat('a', 1000000))) $$),
    'so can the search of a long text');
select format('select ok(pg_temp.is_cancelled(%L), %L)',
        format('select f6_validate(%L, to_jsonb(repeat(%L, 200000)))', jsonb_build_object('pattern', pattern), 'a'),
        'so can a search each of whose steps runs through the text: ' || pattern)
    from unnest(array['^\w*\W*[^;]*;', '^(?:a(?=[^b]*$))*?[xy]', '^(?:(?=a{60000})a)*?[xy]']) as pattern \gexec
reset statement_timeout;

create temporary table deep as select
    (repeat('{"not": ', 2000) || 'true' || repeat('}', 2000))::jsonb as schema,
    (repeat('[', 2000) || repeat(']', 2000))::jsonb as data;
set local max_stack_depth = '200kB';
select throws_ok($$ select f6_validate('{"items": {"$ref": "#"}}', data) from deep $$, '54001', null,
    'data that is too deep is an error');
select throws_ok($$ select f6_validate('{"uniqueItems": true}', jsonb_build_array(data, data)) from deep $$, '54001', null,
    'so is data that is too deep to compare');
select throws_ok($$ select f6_validate(schema, '1') from deep $$, '54001', null, 'so is a schema that is too deep');
reset max_stack_depth;

select results_eq($$select f6_validate('{"pattern": "^.$"}', to_jsonb(c)) from unnest(array['a', E'\U0001F600', E'\u2028', E'\u2029', E'\n', E'\r', '.'])
    with ordinality as t (c, n) order by n$$, array[true, true, false, false, false, false, true], 'a dot is any character but a line terminator');

-- What a match has needed is kept once for the session, not with each schema.
select f6_register_event_type('Worded', '1', '{"properties": {"text": {"pattern": "^([a-z]+ ?)*$"}}}');
select lives_ok($$select f6_append('Worded', array[f6_object_id('t', '1')], jsonb_build_object('text', repeat('a ', 4000)))$$,
    'a long text is matched');
select ok(max(total_bytes) < 500000, 'its schema stays small')
    from pg_backend_memory_contexts where name = 'f6 schema';

-- Data is the same whichever way a table stores it.
create temporary table kept (how text, data jsonb);
alter table kept alter data set storage external;
insert into kept select 'aside', jsonb_agg('text ' || n) from generate_series(1, 1000) as n;
alter table kept alter data set storage extended;
insert into kept select 'compressed', jsonb_agg('text'::text) from generate_series(1, 1000) as n;
insert into kept select 'compressed aside', jsonb_agg('text ' || n) from generate_series(1, 20000) as n;
insert into kept select 'short ' || n, jsonb_agg(repeat('t', n)) from generate_series(1, 130) as n group by n;
insert into kept values ('a scalar', '"text"'), ('empty', '[]');
alter table kept alter data set storage plain;
insert into kept select 'plain', jsonb_agg('text ' || n) from generate_series(1, 100) as n;
select is_empty($$ select how from kept
    where not f6_validate('{"type": ["array", "string"], "items": {"type": "string", "pattern": "^t"}}', data)
       or f6_validate('{"type": "array", "not": {"items": {"pattern": "^t"}}}', data) $$,
    'data is validated however it is stored');

-- Small whole numbers are compared in a shorter way than others: both agree with the order of numeric.
create temporary table number (value numeric);
insert into number values (0), (0.0), (1), (1.0), (-1), (9999), (10000), (10001), (20000), (99999999), (100000000),
    (100000001), (0.5), (9999.5), (10000.5), (-10000), (1e20), (1e-20), (12345678), (12340000), (1e7), (1e8), (1e12);
select is_empty($$ select a.value, b.value from number as a cross join number as b
    where f6_validate(jsonb_build_object('minimum', a.value), to_jsonb(b.value)) <> (b.value >= a.value)
       or f6_validate(jsonb_build_object('exclusiveMaximum', a.value), to_jsonb(b.value)) <> (b.value < a.value)
       or f6_validate(jsonb_build_object('const', a.value), to_jsonb(b.value)) <> (b.value = a.value)
       or f6_validate('{"type": "integer"}', to_jsonb(b.value)) <> (b.value = trunc(b.value)) $$,
    'numbers are in their order');

-- So are lengths where the number of bytes tells enough.
select is_empty($$ select n, m from generate_series(0, 20) as n cross join generate_series(0, 20) as m
        cross join (values ('a'), ('é'), ('€'), (E'\U0001F600')) as c (character)
    where f6_validate(jsonb_build_object('minLength', m), to_jsonb(repeat(character, n))) <> (n >= m)
       or f6_validate(jsonb_build_object('maxLength', m), to_jsonb(repeat(character, n))) <> (n <= m) $$,
    'lengths are counted in characters');
select * from finish();
rollback;
