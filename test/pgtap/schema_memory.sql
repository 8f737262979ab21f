-- Neither a schema nor an instance makes the backend take memory out of proportion to its size.
begin;
select no_plan();

-- Returns the most memory, in megabytes, that the backend has had so far.
create function pg_temp.peak() returns bigint language sql as $$
    select substring(pg_read_file('/proc/self/status') from 'VmHWM:\s+(\d+) kB')::bigint / 1024
$$;

-- Failures that nobody hears of.
create temp table wide as select jsonb_object_agg('k' || n, n) as data from generate_series(1, 500000) as n;
create temp table long as select jsonb_agg(n) as data from generate_series(1, 500000) as n;
select f6_register_event_type('Wide', '1', '{"additionalProperties": {"type": "string"}}');
select pg_temp.peak() as peak \gset
select throws_ok($$select f6_append('Wide', array[gen_random_uuid()], (select data from wide))$$, '23514', null,
    'an event of 500,000 members that are all wrong is refused');
select cmp_ok(pg_temp.peak() - :peak, '<', 100::bigint, 'and what is not reported costs no memory');
select is((select count(*) from long, f6_validation_errors('{"anyOf": [{"items": {"minimum": 500001}}, {"items": {"type": "string"}}, {"type": "null"}]}', data)),
    1::bigint, 'two schemas are about arrays, so neither is meant');
select cmp_ok(pg_temp.peak() - :peak, '<', 100::bigint, 'and finding out costs no memory');
select * from finish();
rollback;
