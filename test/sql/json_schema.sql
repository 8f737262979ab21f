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

-- What f6 does not know yet is refused, never ignored.
select schema, pg_temp.refusal(schema::jsonb) from (values
    ('{"properties": {"a": {"format": "date"}}}'),
    ('{"$anchor": "a"}'),
    ('{"$dynamicRef": "#a"}'),
    ('{"$dynamicAnchor": "a"}'),
    ('{"$recursiveRef": "#"}'),
    ('{"$recursiveAnchor": true}'),
    ('{"$vocabulary": {}}'),
    ('{"unevaluatedItems": false}'),
    ('{"unevaluatedProperties": false}'),
    ('{"additionalItems": false}'),
    ('{"dependencies": {}}'),
    ('{"$schema": "http://json-schema.org/draft-07/schema#"}'),
    ('{"$defs": {"a": {"$id": "a.json"}}}'),
    ('{"$ref": "#a"}'),
    ('{"$ref": "other.json"}'),
    ('{"$ref": "https://json-schema.org/draft/2020-12/schema"}')
) schemas (schema);

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
