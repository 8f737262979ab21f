-- The database that the measurements start from: f6 with two event types, tables like f6's own without
-- a single trigger, and batches of events.

create extension f6;

select f6_register_event_type('Residence', '1', '{
    "type": "object",
    "required": ["since", "street", "house_number", "postcode", "town", "country"],
    "additionalProperties": false,
    "properties": {
        "since": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "street": {"type": "string", "minLength": 1, "maxLength": 80},
        "house_number": {"type": "integer", "minimum": 1, "maximum": 99999},
        "postcode": {"type": "string", "pattern": "^[1-9][0-9]{3} [A-Z]{2}$"},
        "town": {"type": "string", "minLength": 1, "maxLength": 80},
        "country": {"enum": ["NL", "BE", "DE"]}}}', valid_from => '/since');

-- The same with a schema that accepts everything, to see what the other costs.
select f6_register_event_type('Unchecked', '1', 'true', valid_from => '/since');

create schema bench;

-- The n-th object: the scripts of pgbench say the same in SQL.
create function bench.object_id(n integer) returns uuid
    language sql immutable
    return lpad(to_hex(n), 32, '0')::uuid;

-- Data of a typical event, about 150 bytes of JSON, valid under the schema.
create function bench.residence(n integer) returns jsonb
    language sql immutable
    return jsonb_build_object(
        'since', to_char('1990-01-01'::date + n % 12000, 'YYYY-MM-DD'),
        'street', 'Burgemeester van der Meulenlaan ' || chr(65 + n % 26),
        'house_number', 1 + n % 2500,
        'postcode', 1000 + n % 9000 || ' AB',
        'town', 'Heuvelrode aan de Waterdam',
        'country', 'NL');

-- COPY leaves its fast path where a column's default is volatile, and so would not be the limit.
-- Under the label "stable" it stays there, and still calls this for each row.
create function bench.new_id() returns uuid
    language internal stable as 'gen_random_uuid';

-- What f6 has, without f6.  The defaults fill for COPY what the server knows and f6 fills itself.
create schema plain;
create sequence plain.event_position_seq as bigint;
create sequence plain.link_position_seq as bigint;

create table plain.event (like f6.event including indexes);
alter table plain.event
    alter "position" set default nextval('plain.event_position_seq'),
    alter zone_id set default 1,
    alter id set default bench.new_id(),
    alter created_at set default statement_timestamp(),
    alter occurred_at set default now(),
    alter event_version set default '1',
    alter event_kind set default 'claim',
    alter appended_by set default session_user,
    alter client_addr set default inet_client_addr(),
    alter application_name set default current_setting('application_name');

-- One client copies one link an event: the second sequence walks in step with the first.
create table plain.event_object (like f6.event_object including indexes);
alter table plain.event_object
    alter "position" set default nextval('plain.link_position_seq');

-- Batches as a client sends them to f6_append.
create table bench.batch (size integer primary key, events text not null);
insert into bench.batch (size, events)
    select s.size, jsonb_agg(jsonb_build_object(
            'event_type', 'Residence',
            'object_ids', array[bench.object_id(n)],
            'event_data', bench.residence(n)) order by n)::text
        from (values (1), (10), (100), (1000), (10000)) as s (size)
            cross join generate_series(1, s.size) as n
        group by s.size;
