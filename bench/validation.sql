-- What is validated: tables of data, documents large and small, and a function for each schema.

-- Schemas by name.  A schema of so many properties or items asks for half integers and half strings.
create table bench.schema (name text primary key, assert_format boolean not null, schema jsonb not null);

insert into bench.schema (name, assert_format, schema)
    select 'typical', false, schema from f6.event_type where event_type = 'Residence'
    union all
    select 'unevaluated', false, (schema - 'properties' - 'additionalProperties') || jsonb_build_object(
            'unevaluatedProperties', false,
            'allOf', jsonb_build_array(
                jsonb_build_object('properties', schema -> 'properties' #- '{since}' #- '{house_number}' #- '{country}'),
                jsonb_build_object('properties', schema -> 'properties' #- '{street}' #- '{postcode}' #- '{town}')))
        from f6.event_type where event_type = 'Residence'
    union all
    select 'formats', true, '{
        "type": "object",
        "required": ["id", "day", "at", "mail", "host", "site"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "mail": {"type": "string", "format": "email"},
            "host": {"type": "string", "format": "hostname"},
            "site": {"type": "string", "format": "uri"}}}'
    union all
    select 'properties_' || size, false, jsonb_build_object(
            'type', 'object',
            'additionalProperties', false,
            'properties', jsonb_object_agg('property_' || n,
                case n % 2 when 0 then '{"type": "integer", "minimum": 0}' else '{"type": "string", "maxLength": 40}' end::jsonb))
        from (values (10), (100), (1000)) as s (size) cross join generate_series(1, size) as n
        group by size
    union all
    select 'items', false, '{"type": "array", "items": {"type": ["integer", "string"], "minimum": 0, "maxLength": 40}}';

-- Documents by name: objects with all of the properties of their schema or with a tenth, and arrays.
create table bench.document (name text primary key, schema text not null references bench.schema, data jsonb not null);

insert into bench.document (name, schema, data)
    select 'all_' || size, 'properties_' || size, jsonb_object_agg('property_' || n,
            case n % 2 when 0 then to_jsonb(n) else to_jsonb('value ' || n) end)
        from (values (10), (100), (1000)) as s (size) cross join generate_series(1, size) as n
        group by size
    union all
    select 'tenth_' || size, 'properties_' || size, jsonb_object_agg('property_' || n,
            case n % 2 when 0 then to_jsonb(n) else to_jsonb('value ' || n) end)
        from (values (10), (100), (1000)) as s (size) cross join generate_series(5, size, 10) as n
        group by size
    union all
    select 'items_' || size, 'items', jsonb_agg(case n % 2 when 0 then to_jsonb(n) else to_jsonb('value ' || n) end)
        from (values (100), (1000), (10000)) as s (size) cross join generate_series(1, size) as n
        group by size;

-- Texts of the formats that data has most.
create table bench.formatted as
    select jsonb_build_object(
            'id', md5(n::text)::uuid,
            'day', '1990-01-01'::date + n % 12000,
            'at', '1990-01-01T00:00:00Z'::timestamptz + n * interval '1 hour',
            'mail', 'jan.de.vries.' || n || '@example.com',
            'host', 'server-' || n || '.example.com',
            'site', 'https://www.example.com/houses/' || n || '?lang=nl') as data
        from generate_series(1, 300000) as n;

-- A schema in each row, all different, or one of ten.
create table bench.many as
    select bench.residence(n) as data,
           schema || jsonb_build_object('title', n::text) as own,
           schema || jsonb_build_object('title', (n % 10)::text) as common
        from bench.schema cross join generate_series(1, 20000) as n
        where name = 'typical';

create table bench.number as select n from generate_series(1, 2000) as n;

-- A function for each schema, which the planner replaces by f6_validate with the schema as a constant.
select format('create function bench.is_%s(data jsonb) returns boolean language sql immutable
        return f6_validate(%L::jsonb, data, %L::boolean)', name, schema, assert_format)
    from bench.schema \gexec

vacuum (freeze, analyze);

-- Only data that are valid are measured.
do $body$
begin
    if exists (select from bench.typical where not bench.is_typical(data) or not bench.is_unevaluated(data))
       or exists (select from bench.formatted where not bench.is_formats(data))
       or exists (select from bench.many where not f6_validate(own, data) or not f6_validate(common, data))
       or exists (select from bench.document as d join bench.schema as s on s.name = d.schema
                      where not f6_validate(s.schema, d.data))
    then
        raise exception 'data are not valid';
    end if;
end
$body$;
