-- The words of schemas that are refused, and of data that is not valid.

create function pg_temp.refusal(schema jsonb, data jsonb default 'null') returns text language plpgsql as $$
declare
    detail text;
begin
    perform f6_validate(schema, data);
    return 'accepted';
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return format('%s %s | %s', sqlstate, sqlerrm, detail);
end $$;

-- What draft 2020-12 does not allow.
select schema, pg_temp.refusal(schema::jsonb) from (values
    ('1'),
    ('"object"'),
    ('[]'),
    ('{"type": "strnig"}'),
    ('{"type": []}'),
    ('{"type": ["string", "string"]}'),
    ('{"enum": "a"}'),
    ('{"minimum": "1"}'),
    ('{"exclusiveMinimum": true}'),
    ('{"multipleOf": 0}'),
    ('{"multipleOf": -1}'),
    ('{"minLength": -1}'),
    ('{"maxLength": 1.5}'),
    ('{"maxLength": "1"}'),
    ('{"uniqueItems": "yes"}'),
    ('{"required": "a"}'),
    ('{"required": ["a", "a"]}'),
    ('{"required": ["a", 1]}'),
    ('{"properties": []}'),
    ('{"properties": {"a/b": {"~": 1, "properties": {"c~d": 3}}}}'),
    ('{"patternProperties": {"(": true}}'),
    ('{"additionalProperties": "no"}'),
    ('{"items": [true]}'),
    ('{"prefixItems": {}}'),
    ('{"prefixItems": []}'),
    ('{"contains": 1}'),
    ('{"minContains": -1}'),
    ('{"allOf": []}'),
    ('{"anyOf": {}}'),
    ('{"oneOf": [1]}'),
    ('{"not": []}'),
    ('{"then": 1}'),
    ('{"dependentRequired": {"a": "b"}}'),
    ('{"dependentSchemas": {"a": ["b"]}}'),
    ('{"$defs": {"unused": {"type": "nothing"}}}'),
    ('{"title": 1}'),
    ('{"examples": {}}'),
    ('{"readOnly": "yes"}'),
    ('{"$schema": 1}'),
    ('{"$id": "http://example.com/a#b"}'),
    ('{"$ref": 1}'),
    ('{"$ref": "#/$defs/nowhere"}'),
    ('{"$ref": "#/%zz"}'),
    ('{"$ref": "#/~2"}'),
    ('{"$ref": "#/text", "text": "no schema"}'),
    ('{"$ref": "#"}'),
    ('{"$defs": {"a": {"anyOf": [true, {"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}}'),
    ('{"pattern": "(a"}'),
    ('{"pattern": "a++"}'),
    ('{"pattern": "\\A"}'),
    ('{"pattern": "(*UTF)a"}'),
    ('{"pattern": 1}')
) schemas (schema);

-- References, anchors and identifiers that are no good.
select schema, pg_temp.refusal(schema::jsonb) from (values
    ('{"$ref": "#a"}'),
    ('{"$ref": "other.json"}'),
    ('{"$ref": "https://example.com/address"}'),
    ('{"$id": "https://example.com/a/", "$ref": "b"}'),
    ('{"$dynamicRef": "#a"}'),
    ('{"$dynamicRef": 1}'),
    ('{"$anchor": "#a"}'),
    ('{"$anchor": ""}'),
    ('{"$dynamicAnchor": 1}'),
    ('{"$vocabulary": ["https://json-schema.org/draft/2020-12/vocab/core"]}'),
    ('{"$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": 1}}'),
    ('{"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}'),
    ('{"$defs": {"a": {"$id": "urn:a"}, "b": {"$id": "urn:a"}}}'),
    ('{"$ref": "https://json-schema.org/draft/2020-12/schema#/nowhere"}'),
    ('{"unevaluatedProperties": 1}'),
    ('{"unevaluatedItems": []}'),
    ('{"dependencies": {"a": 1}}'),
    ('{"format": 1}'),
    ('{"$schema": "http://json-schema.org/draft-03/schema#"}')
) schemas (schema);

-- What an older draft says of itself.
select schema, pg_temp.refusal(jsonb_build_object('$schema', 'http://json-schema.org/' || draft || '/schema#') || schema::jsonb)
from (values
    ('draft-04', '{"exclusiveMinimum": 1}'),
    ('draft-04', '{"properties": {"a": true}}'),
    ('draft-04', '{"additionalProperties": false, "additionalItems": false}'),
    ('draft-04', '{"const": [], "contains": 1}'),
    ('draft-04', '{"id": 1}'),
    ('draft-06', '{"exclusiveMinimum": true}'),
    ('draft-06', '{"if": 1, "$comment": 1}'),
    ('draft-07', '{"if": 1}'),
    ('draft-07', '{"items": [1]}'),
    ('draft-07', '{"$ref": "#", "type": 1}'),
    ('draft-07', '{"definitions": {"a": {"$id": "#a"}}, "items": {"$ref": "#a"}}'),
    ('draft/2019-09', '{"$recursiveRef": "#a"}'),
    ('draft/2019-09', '{"$recursiveAnchor": 1}'),
    ('draft/2019-09', '{"prefixItems": 1, "$dynamicRef": 1}')
) schemas (draft, schema);

-- A metaschema of one's own: its vocabularies, and what else it asks.
select f6_register_schema('https://example.com/strict', '{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/strict",
    "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": true,
        "https://json-schema.org/draft/2020-12/vocab/validation": true},
    "$dynamicAnchor": "meta",
    "$ref": "https://json-schema.org/draft/2020-12/schema",
    "required": ["title"]}');
select f6_register_schema('https://example.com/unheard-of', '{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$vocabulary": {"https://json-schema.org/draft/2020-12/vocab/core": true, "https://example.com/vocab": true}}');
select pg_temp.refusal('{"$schema": "https://example.com/strict", "type": "string"}');
select pg_temp.refusal('{"$schema": "https://example.com/unheard-of"}');
select f6_validate('{"$schema": "https://example.com/strict", "title": "Text", "type": "string"}', '1') as "type counts",
    f6_validate('{"$schema": "https://example.com/strict", "title": "Text", "not": {"title": "Any"}}', '1') as "not is unknown";

-- What a failure says: it quotes the schema, never the data.
select schema, data, instance_location, schema_location, keyword, message
from (values
    (1, '{"type": "integer"}', '"secret"'),
    (2, '{"type": ["integer", "null"]}', '1.5'),
    (3, '{"const": "a"}', '"secret"'),
    (4, '{"const": {"a": 1}}', '{}'),
    (5, '{"enum": ["b", 1.50, null, true, [1]]}', '"secret"'),
    (6, '{"enum": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}', '0'),
    (7, '{"minimum": 1}', '0'),
    (8, '{"maximum": 1.5}', '2'),
    (9, '{"exclusiveMinimum": 1}', '1'),
    (10, '{"exclusiveMaximum": 1}', '1'),
    (11, '{"multipleOf": 0.01}', '0.001'),
    (12, '{"minLength": 3}', '"éé"'),
    (13, '{"maxLength": 1}', '"éé"'),
    (14, '{"pattern": "^[0-9]{4}$"}', '"secret"'),
    (15, '{"minItems": 1}', '[]'),
    (16, '{"maxItems": 1}', '[1, 2]'),
    (17, '{"minProperties": 1}', '{}'),
    (18, '{"maxProperties": 1}', '{"a": 1, "b": 1}'),
    (19, '{"uniqueItems": true}', '[1, 1.0]'),
    (20, '{"required": ["a", "b"]}', '{"b": 1}'),
    (21, '{"properties": {"a/b": {"type": "string"}}}', '{"a/b": 1}'),
    (22, '{"additionalProperties": false}', '{"a~b": 1}'),
    (23, '{"patternProperties": {"^x": false}}', '{"x": 1}'),
    (24, '{"propertyNames": {"maxLength": 1}}', '{"ab": 1}'),
    (25, '{"items": {"type": "string"}}', '["a", 1]'),
    (26, '{"prefixItems": [true, {"type": "string"}], "items": false}', '[1, 1, 1]'),
    (27, '{"contains": {"type": "string"}}', '[1]'),
    (28, '{"contains": {"type": "string"}, "minContains": 2}', '["a"]'),
    (29, '{"contains": {"type": "string"}, "maxContains": 1}', '["a", "b"]'),
    (30, '{"allOf": [{"minimum": 1}, {"minimum": 2}]}', '0'),
    (31, '{"anyOf": [{"minimum": 1}, {"minimum": 2}]}', '0'),
    (32, '{"oneOf": [{"minimum": 1}, {"minimum": 2}]}', '0'),
    (33, '{"oneOf": [{"minimum": 1}, {"minimum": 2}]}', '3'),
    (34, '{"not": {"type": "string"}}', '"secret"'),
    (35, '{"if": {"type": "string"}, "then": {"minLength": 9}}', '"secret"'),
    (36, '{"if": {"type": "string"}, "else": false}', '1'),
    (37, '{"dependentRequired": {"a": ["b", "c"]}}', '{"a": 1}'),
    (38, '{"dependentSchemas": {"a": {"maxProperties": 1}}}', '{"a": 1, "b": 2}'),
    (39, '{"$ref": "#/$defs/text", "$defs": {"text": {"type": "string"}}}', '1'),
    (40, 'false', '1')
) cases (number, schema, data), f6_validation_errors(schema::jsonb, data::jsonb)
order by number, instance_location, message;

-- The first failures only.
select count(*) from f6_validation_errors('{"items": false}', (select jsonb_agg(i) from generate_series(1, 100) i));

-- What would take too long is an error.
select f6_validate('{"pattern": "^(a+)+$"}', to_jsonb(repeat('a', 50) || 'b'));
