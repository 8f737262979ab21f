-- What f6 takes for a schema, and what the metaschema of each draft does: every keyword with every kind of value.
begin;
select no_plan();

-- Whether f6 compiles a schema; an error that is not about the schema's validity is raised.
create function pg_temp.compiles(schema jsonb) returns boolean language plpgsql as $$
begin
    perform f6_validate(schema, 'null');
    return true;
exception
    when invalid_parameter_value then return false;
end $$;

create temporary table draft (name text, uri text);
insert into draft values
    ('4', 'http://json-schema.org/draft-04/schema#'), ('6', 'http://json-schema.org/draft-06/schema#'),
    ('7', 'http://json-schema.org/draft-07/schema#'), ('2019-09', 'https://json-schema.org/draft/2019-09/schema'),
    ('2020-12', 'https://json-schema.org/draft/2020-12/schema');

create temporary table keyword as select unnest(string_to_array('$anchor $comment $defs $dynamicAnchor $id $recursiveAnchor
    $vocabulary additionalItems additionalProperties allOf anyOf const contains contentEncoding contentMediaType contentSchema default
    definitions dependencies dependentRequired dependentSchemas deprecated description else enum examples exclusiveMaximum
    exclusiveMinimum format id if items maxContains maxItems maxLength maxProperties maximum minContains minItems minLength
    minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems properties propertyNames readOnly required
    then title type unevaluatedItems unevaluatedProperties uniqueItems unknown writeOnly', ' ')) as name;
update keyword set name = btrim(name, E' \n');
delete from keyword where name = '';

create temporary table value as select unnest(array['null', 'true', 'false', '0', '1', '1.0', '-1', '1.5', '1e400', '""', '"a"', '"integer"',
    '"(a"', '"^a"', '[]', '[1]', '["a"]', '["a", "a"]', '["integer"]', '["integer", "integer"]', '["string", "other"]', '[[]]', '[true]',
    '[{}]', '[{}, {"type": "other"}]', '{}', '{"a": 1}', '{"a": true}', '{"a": {}}', '{"a": []}', '{"a": ["b"]}', '{"a": ["b", "b"]}',
    '{"a": [1]}', '{"a": {"type": "other"}}', '{"(": {}}', '{"type": "other"}', '{"type": "string"}', '{"minLength": -1}',
    '{"not": {"required": 1}}', '{"unknown": {"type": "other"}}']::jsonb[]) as content;

-- Differences that are meant: a schema that is clear enough is not refused for its form, and one that can't be run is.
create function pg_temp.is_meant(draft text, keyword text, content jsonb, f6 boolean) returns boolean language sql as $$
    select case
        -- An expression that is none can't be matched, though the older drafts have no format for it.
        when not f6 then draft in ('4', '6') and keyword in ('pattern', 'patternProperties')
        -- Lists that are empty or name a value twice.
        when keyword = 'enum' then jsonb_typeof(content) = 'array' and draft in ('4', '6', '7')
        when keyword = 'items' then content = '[]' and draft <> '2020-12'
        when keyword = 'required' then content = '[]' and draft = '4'
        when keyword = 'dependencies' then content = '{"a": []}' and draft = '4'
        -- A size that is written 1.0, and an exclusive bound without the bound.
        when keyword ~ '^(min|max)(Items|Length|Properties)$' then draft = '4' and content = '1.0'
        when keyword like 'exclusive%' then draft = '4' and jsonb_typeof(content) = 'boolean'
        -- URIs that are none lead nowhere.
        when keyword = '$id' then content = '"^a"'
        when keyword = '$vocabulary' then content = '{"a": true}'
        -- Draft 2020-12 has no such keyword, but its metaschema remembers it.
        when keyword = '$recursiveAnchor' then draft = '2020-12'
        else false end
$$;

select is_empty(format($$
    select k.name, v.content, f6, metaschema from keyword k, value v,
        lateral (select pg_temp.compiles(jsonb_build_object('$schema', %L::text, k.name, v.content)) as f6,
            f6_validate(jsonb_build_object('$ref', %L::text), jsonb_build_object('$schema', %L::text, k.name, v.content), true) as metaschema) verdicts
    where f6 <> metaschema and not pg_temp.is_meant(%L, k.name, v.content, f6)
    order by 1, 2 $$, uri, uri, uri, name), format('draft %s: f6 and the metaschema agree about %s schemas', name,
        (select count(*) from keyword) * (select count(*) from value)))
from draft;

select * from finish();
rollback;
