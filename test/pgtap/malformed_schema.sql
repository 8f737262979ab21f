-- Schemas that draft 2020-12 does not allow are refused with the place at fault; odd ones that it allows are not.
begin;
select no_plan();

-- Returns how f6_validate takes a schema: 'accepted', or the error's SQLSTATE and the place that its detail names.
create function pg_temp.refusal(schema text) returns text language plpgsql as $$
declare
    detail text;
begin
    perform f6_validate(schema::jsonb, 'null');
    return 'accepted';
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return sqlstate || ' ' || coalesce(substring(detail from '^At ("(?:[^"\\]|\\.)*"): expected .+, found .+\.$'), sqlerrm);
end $$;

-- The schema itself.
select is(pg_temp.refusal(schema), '22023 ""', schema) from (values
    ('1'), ('1.5'), ('"object"'), ('""'), ('null'), ('[]'), ('[{}]')) schemas (schema);

-- Each keyword with values of types that it doesn't have.
select is(pg_temp.refusal(format('{%s: %s}', to_json(keyword), value)), format('22023 "/%s"', keyword), format('%s: %s', keyword, value))
from (values
    ('type', '1'), ('type', 'null'), ('type', '{}'), ('type', '[]'), ('type', '"any"'), ('type', '"Integer"'), ('type', '""'),
    ('type', '["string", "string"]'), ('type', '["string", 1]'), ('type', '["string", "text"]'), ('type', '[["string"]]'),
    ('enum', '1'), ('enum', '{}'), ('enum', 'null'),
    ('minimum', '"1"'), ('minimum', 'null'), ('minimum', '[1]'), ('maximum', 'true'), ('maximum', '{}'),
    ('exclusiveMinimum', 'true'), ('exclusiveMinimum', '"0"'), ('exclusiveMaximum', 'false'), ('exclusiveMaximum', '[]'),
    ('multipleOf', '0'), ('multipleOf', '0.0'), ('multipleOf', '-0.1'), ('multipleOf', '-1e400'), ('multipleOf', '"2"'), ('multipleOf', 'null'),
    ('minLength', '-1'), ('minLength', '0.5'), ('minLength', '"1"'), ('minLength', 'true'), ('maxLength', '-1e300'), ('maxLength', '1e-1'),
    ('maxLength', 'null'), ('minItems', '-1'), ('minItems', '1.000001'), ('maxItems', '{}'), ('maxItems', '-0.5'),
    ('minProperties', '[]'), ('minProperties', '-2'), ('maxProperties', '"0"'), ('maxProperties', '2.5'),
    ('minContains', '-1'), ('minContains', 'true'), ('maxContains', '1.5'), ('maxContains', '"1"'),
    ('uniqueItems', '1'), ('uniqueItems', '"true"'), ('uniqueItems', 'null'), ('uniqueItems', '{}'),
    ('pattern', '1'), ('pattern', 'null'), ('pattern', '["a"]'), ('pattern', '"("'), ('pattern', '")"'), ('pattern', '"["'), ('pattern', '"a{2,1}"'),
    ('pattern', '"*a"'), ('pattern', '"a**"'), ('pattern', '"\\"'), ('pattern', '"[b-a]"'), ('pattern', '"\\p{Nothing}"'), ('pattern', '"(?<n>a)(?<n>b)"'),
    ('pattern', '"\\Z"'), ('pattern', '"(?>a)"'), ('pattern', '"(?#a)"'), ('pattern', '"a?+"'), ('pattern', '"(?i)a"'), ('pattern', '"(?P<a>b)"'),
    ('required', '"a"'), ('required', '{}'), ('required', 'true'), ('required', '[1]'), ('required', '["a", null]'), ('required', '["a", "b", "a"]'),
    ('properties', '[]'), ('properties', 'true'), ('properties', '"a"'), ('patternProperties', '[]'), ('patternProperties', 'false'),
    ('additionalProperties', '1'), ('additionalProperties', '[]'), ('additionalProperties', 'null'),
    ('propertyNames', '[]'), ('propertyNames', '"a"'), ('items', '[]'), ('items', '[{}]'), ('items', '"string"'), ('items', 'null'),
    ('prefixItems', '[]'), ('prefixItems', '{}'), ('prefixItems', 'true'), ('contains', '[]'), ('contains', '0'), ('contains', 'null'),
    ('dependentRequired', '[]'), ('dependentRequired', '1'), ('dependentSchemas', '[]'), ('dependentSchemas', 'true'),
    ('allOf', '[]'), ('allOf', '{}'), ('allOf', 'true'), ('anyOf', '[]'), ('anyOf', 'null'), ('oneOf', '[]'), ('oneOf', '"a"'),
    ('not', '[]'), ('not', '1'), ('not', 'null'), ('if', '"a"'), ('then', '[]'), ('else', '0'),
    ('$defs', '[]'), ('$defs', 'true'), ('$comment', '1'), ('$comment', 'null'), ('$schema', '1'), ('$schema', '{}'),
    ('$ref', '1'), ('$ref', 'null'), ('$ref', '["#"]'), ('$id', '1'), ('$id', '{}'), ('$id', '"http://example.com/a#b"'),
    ('title', '1'), ('title', '[]'), ('description', '{}'), ('description', 'null'), ('examples', '{}'), ('examples', '1'),
    ('deprecated', '"yes"'), ('deprecated', '1'), ('readOnly', '1'), ('writeOnly', 'null'),
    ('contentEncoding', '1'), ('contentMediaType', '[]'), ('contentSchema', '"a"'), ('contentSchema', '[]')
) malformed (keyword, value);

-- Places below a keyword, as JSON Pointers with their escapes.
select is(pg_temp.refusal(schema), '22023 ' || to_json(place), schema) from (values
    ('{"properties": {"a": 1}}', '/properties/a'),
    ('{"properties": {"a/b": {"~": 1, "properties": {"c~d": 3}}}}', '/properties/a~1b/properties/c~0d'),
    ('{"properties": {"": {"type": 1}}}', '/properties//type'),
    ('{"properties": {"\"": {"minLength": -1}}}', '/properties/"/minLength'),
    ('{"patternProperties": {"[": true}}', '/patternProperties/['),
    ('{"patternProperties": {"a": []}}', '/patternProperties/a'),
    ('{"additionalProperties": {"type": 1}}', '/additionalProperties/type'),
    ('{"propertyNames": {"pattern": "("}}', '/propertyNames/pattern'),
    ('{"items": {"items": {"items": 1}}}', '/items/items/items'),
    ('{"prefixItems": [true, 1]}', '/prefixItems/1'),
    ('{"prefixItems": [true, {"enum": 1}]}', '/prefixItems/1/enum'),
    ('{"contains": {"multipleOf": 0}}', '/contains/multipleOf'),
    ('{"allOf": [{}, {}, null]}', '/allOf/2'),
    ('{"anyOf": [{"required": ["a", "a"]}]}', '/anyOf/0/required'),
    ('{"oneOf": [[{}]]}', '/oneOf/0'),
    ('{"not": {"not": {"not": "a"}}}', '/not/not/not'),
    ('{"if": {"type": "a"}}', '/if/type'),
    ('{"then": {"type": "a"}}', '/then/type'),
    ('{"else": {"type": "a"}}', '/else/type'),
    ('{"dependentRequired": {"a": "b"}}', '/dependentRequired/a'),
    ('{"dependentRequired": {"a": ["b", "b"]}}', '/dependentRequired/a'),
    ('{"dependentRequired": {"a": [1]}}', '/dependentRequired/a'),
    ('{"dependentRequired": {"a": {}}}', '/dependentRequired/a'),
    ('{"dependentSchemas": {"a": ["b"]}}', '/dependentSchemas/a'),
    ('{"dependentSchemas": {"a": {"minItems": -1}}}', '/dependentSchemas/a/minItems'),
    ('{"contentSchema": {"type": "a"}}', '/contentSchema/type'),
    ('{"$defs": {"unused": {"type": "nothing"}}}', '/$defs/unused/type'),
    ('{"$defs": {"a": 1}}', '/$defs/a')
) malformed (schema, place);

-- References that lead to no schema, or round in a circle.
select is(pg_temp.refusal(schema), '22023 ' || to_json(place), schema) from (values
    ('{"$ref": "#/$defs/nowhere"}', '/$ref'),
    ('{"$ref": "#/%zz"}', '/$ref'),
    ('{"$ref": "#/%"}', '/$ref'),
    ('{"$ref": "#/%ff"}', '/$ref'),
    ('{"$ref": "#/~2"}', '/$ref'),
    ('{"$ref": "#/~"}', '/$ref'),
    ('{"allOf": [true], "$ref": "#/allOf/1"}', '/$ref'),
    ('{"allOf": [true], "$ref": "#/allOf/00"}', '/$ref'),
    ('{"allOf": [true], "$ref": "#/allOf/-"}', '/$ref'),
    ('{"items": {"$ref": "#/$defs/a/b"}, "$defs": {"a": true}}', '/items/$ref'),
    ('{"$ref": "#/text", "text": "no schema"}', '/text'),
    ('{"$ref": "#/deep/1", "deep": [{}, 5]}', '/deep/1'),
    ('{"$ref": "#/odd", "odd": {"type": 1}}', '/odd/type'),
    ('{"$ref": "#"}', ''),
    ('{"allOf": [{"$ref": "#"}]}', ''),
    ('{"not": {"$ref": "#"}}', ''),
    ('{"if": true, "then": {"$ref": "#"}}', ''),
    ('{"dependentSchemas": {"a": {"$ref": "#"}}}', '')
) malformed (schema, place);
select is(left(pg_temp.refusal('{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}'), 6), '22023 ',
    'definitions that refer to each other alone');

-- Odd, and valid.
select is(pg_temp.refusal(schema), 'accepted', schema) from (values
    ('true'), ('false'), ('{}'), ('{"enum": []}'), ('{"enum": [1, 1]}'), ('{"required": []}'), ('{"properties": {}}'), ('{"patternProperties": {}}'),
    ('{"dependentRequired": {}}'), ('{"dependentRequired": {"a": []}}'), ('{"dependentSchemas": {}}'), ('{"$defs": {}}'), ('{"examples": []}'),
    ('{"minLength": 0}'), ('{"minLength": 1.0}'), ('{"maxItems": 1e2}'), ('{"maxLength": 1e400}'), ('{"minProperties": 99999999999999999999}'),
    ('{"minLength": 5, "maxLength": 1}'), ('{"minimum": 2, "maximum": 1}'), ('{"minimum": -1e400, "maximum": 1e400}'),
    ('{"multipleOf": 1e-400}'), ('{"multipleOf": 1e400}'), ('{"uniqueItems": false}'), ('{"minContains": 0}'), ('{"maxContains": 0}'),
    ('{"minContains": 2, "maxContains": 1, "contains": true}'), ('{"then": true}'), ('{"else": false}'), ('{"const": {"type": 1}}'),
    ('{"enum": [{"$ref": 1}]}'), ('{"default": {"type": 1}}'), ('{"examples": [{"type": 1}]}'),
    ('{"unknown": {"type": 1}}'), ('{"unknown": [{"required": "a"}], "Type": 1, "": 2, "minlength": -1}'), ('{"properties": {"type": true, "$ref": true}}'),
    ('{"properties": {"": true, "a/b": {}, "~": false}}'), ('{"pattern": ""}'), ('{"pattern": "^$|[]|[^]"}'), ('{"pattern": "(?<n>a)\\k<n>\\1"}'),
    ('{"pattern": "(?<!a)b(?!c)(?:d)(?=e)"}'), ('{"pattern": "\\ud83d\\ude00{2,3}?"}'), ('{"patternProperties": {"": false}}'),
    ('{"$schema": "https://json-schema.org/draft/2020-12/schema"}'), ('{"$schema": "https://json-schema.org/draft/2020-12/schema#"}'),
    ('{"$id": "http://example.com/a"}'), ('{"$id": "http://example.com/a#"}'), ('{"$comment": ""}'), ('{"title": "", "description": ""}'),
    ('{"properties": {"a": {"$ref": "#"}}}'), ('{"items": {"$ref": "#"}}'), ('{"$ref": "#/unknown/a", "unknown": {"a": {"type": "null"}}}'),
    ('{"$ref": "#/a%20b/~0~1", "a b": {"~/": true}}'), ('{"$defs": {"$defs": {"$defs": {}}}}'), ('{"contentSchema": true}'),
    ('{"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"properties": {"x": {"$ref": "#/$defs/a"}}}}}')
) odd (schema);
select is(pg_temp.refusal(repeat('{"items": ', 1000) || 'true' || repeat('}', 1000)), 'accepted', 'a thousand levels');
-- Identifiers, dynamic references, vocabularies, unevaluated items and properties, formats.
select is(pg_temp.refusal(schema), '22023 ' || to_json(place), schema) from (values
    ('{"$anchor": 1}', '/$anchor'), ('{"$anchor": ""}', '/$anchor'), ('{"$anchor": "1a"}', '/$anchor'), ('{"$anchor": "a#b"}', '/$anchor'),
    ('{"$anchor": "#a"}', '/$anchor'), ('{"$anchor": "a/b"}', '/$anchor'), ('{"$dynamicAnchor": null}', '/$dynamicAnchor'),
    ('{"$dynamicAnchor": "a b"}', '/$dynamicAnchor'), ('{"$dynamicRef": 1}', '/$dynamicRef'), ('{"$dynamicRef": "#nowhere"}', '/$dynamicRef'),
    ('{"$dynamicRef": "#/$defs/nowhere"}', '/$dynamicRef'), ('{"$ref": "#nowhere"}', '/$ref'),
    ('{"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}', '/$defs/b'),
    ('{"$defs": {"a": {"$id": "x.json"}, "b": {"$id": "x.json"}}}', '/$defs/b'),
    ('{"$defs": {"a": {"$id": "x.json#y"}}}', '/$defs/a/$id'), ('{"items": {"$id": 1}}', '/items/$id'),
    ('{"$defs": {"a": {"$id": "x.json"}}, "$ref": "x.json#/$defs/b"}', '/$ref'),
    ('{"$vocabulary": []}', '/$vocabulary'), ('{"$vocabulary": {"http://example.com/v": 1}}', '/$vocabulary/http:~1~1example.com~1v'),
    ('{"unevaluatedItems": 1}', '/unevaluatedItems'), ('{"unevaluatedItems": []}', '/unevaluatedItems'),
    ('{"unevaluatedProperties": "no"}', '/unevaluatedProperties'), ('{"unevaluatedProperties": {"type": 1}}', '/unevaluatedProperties/type'),
    ('{"format": 1}', '/format'), ('{"format": null}', '/format'), ('{"format": ["date"]}', '/format')
) malformed (schema, place);
select is(pg_temp.refusal(schema), 'accepted', schema) from (values
    ('{"$anchor": "_a.b-c"}'), ('{"$dynamicAnchor": "a", "items": {"$dynamicRef": "#a"}}'), ('{"$dynamicAnchor": "a", "$anchor": "b"}'),
    ('{"format": "unheard-of"}'), ('{"format": ""}'), ('{"unevaluatedItems": true, "unevaluatedProperties": {}}'), ('{"$vocabulary": {}}'),
    ('{"$id": "a.json", "$ref": "b.json", "$defs": {"b": {"$id": "b.json"}}}'), ('{"unknown": {"$id": "x#y"}, "const": {"$anchor": 1}}'),
    ('{"enum": [{"$id": 1}, {"$anchor": ""}], "default": {"$ref": 1}}')
) odd (schema);
select is(pg_temp.refusal(schema), '42704 JSON Schema "nowhere" is not registered', schema)
from (values ('{"$ref": "nowhere"}'), ('{"$schema": "nowhere"}')) unknown (schema);

-- What compiling takes grows with the schema, not with the product of its parts.
select is(left(pg_temp.refusal(format('{"$id": "http://a/%s"}', repeat('a', 8193))), 6), '0A000 ', 'an identifier that is too long');
select is(left(pg_temp.refusal(format('{"items": {"$id": "%s"}}', repeat('a', 8193))), 6), '0A000 ', 'and one of a subschema');
select is(pg_temp.refusal(format('{"$id": "http://a/%s", "items": {"$ref": "#"}}', repeat('a', 8000))), 'accepted', 'a long identifier');
select is(pg_temp.refusal(jsonb_build_object('$defs', jsonb_object_agg('d' || i, jsonb_build_object('$id', 'a' || i,
    '$dynamicAnchor', 'b' || i, 'items', jsonb_build_object('$dynamicRef', '#b' || i))))::text), 'accepted', 'dynamic anchors of many names')
    from generate_series(1, 5000) i;
select cmp_ok(sum(total_bytes), '<', 32 * 1024 * 1024::numeric, 'take no more memory than 5000 others')
    from pg_backend_memory_contexts where name = 'f6 schema';
select * from finish();
rollback;
