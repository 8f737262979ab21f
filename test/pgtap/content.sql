-- What draft 7 says a string holds: base64, JSON.
begin;
select no_plan();

select is(f6_validate('{"$schema": "http://json-schema.org/draft-07/schema#", "contentEncoding": "base64"}', to_jsonb(text), true), valid,
    format('base64: %L', text))
    from (values ('', true), ('QQ==', true), ('QUI=', true), ('QUJD', true), ('QUJDQQ==', true), ('+/+/', true),
                 ('Q', false), ('QQ', false), ('QQ=', false), ('Q===', false), ('====', false), ('QQ=Q', false), ('QQ==QUJD', false),
                 ('=QQQ', false), ('QQ= ', false), (E'QUJD\n', false), ('QU-_', false), ('QUé=', false)) as example (text, valid);
select is(f6_validate('{"$schema": "http://json-schema.org/draft-07/schema#", "contentMediaType": "application/json"}', to_jsonb(text), true), valid,
    format('JSON: %L', text))
    from (values ('1', true), (' {"a": [null]} ', true), ('"é"', true), ('', false), ('{', false), ('{"a": }', false), ('1 2', false), ('a', false))
        as example (text, valid);

-- Returns the most memory, in megabytes, that the backend has had so far.
create function pg_temp.peak() returns bigint language sql as $$
    select substring(pg_read_file('/proc/self/status') from 'VmHWM:\s+(\d+) kB')::bigint / 1024
$$;

-- Strings are looked into one after the other, and what that takes is given back.
create temp table texts as select jsonb_agg('1'::text) as data from generate_series(1, 1000000);
select is(jsonb_array_length(data), 1000000, 'a million strings') from texts;
select pg_temp.peak() as peak \gset
select ok(f6_validate('{"$schema": "http://json-schema.org/draft-07/schema#", "items": {"contentMediaType": "application/json"}}', data, true),
    'hold JSON') from texts;
select cmp_ok(pg_temp.peak() - :peak, '<', 50::bigint, 'and to know it costs no memory');
select * from finish();
rollback;
