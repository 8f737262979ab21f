-- Who lives where: 100,000 people with three residences each, of which the house number is kept, and the same spans under a
-- GiST index of both times.

do $body$
begin
    for batch in 0 .. 299 loop
        perform f6_append((
            select jsonb_agg(jsonb_build_object(
                    'event_type', 'Residence',
                    'object_ids', array[bench.object_id(batch * 1000 % 100000 + n)],
                    'event_data', bench.residence(batch / 100 * 4001 + batch * 1000 % 100000 + n * (batch / 100 + 1))))
                from generate_series(1, 1000) as n));
    end loop;
end
$body$;

select clock_timestamp() as beginning \gset
select f6_keep_field('/house_number');
create table bench.filling as
    select 1e6 * extract(epoch from clock_timestamp() - :'beginning') / count(distinct object_id) as microseconds from f6.kept_span;

create table bench.span as
    select object_id, int8range((value #>> '{}')::bigint, (value #>> '{}')::bigint, '[]') as house_number,
           tstzrange(known_from, known_to) as known, tstzrange(valid_from, valid_to) as valid
        from f6.kept_span;
create index on bench.span using gist (house_number, known, valid);
vacuum (freeze, analyze);

-- All ways of asking find the same, or the comparison means nothing.
do $body$
declare
    at timestamptz := '2005-01-01';
    found bigint := (select count(*) from f6_find(null, '/house_number', '17', at));
begin
    if found = 0
        or found <> (select count(*) from bench.span where house_number @> 17::bigint and known @> now() and valid @> at)
        or found <> (select count(*) from f6_states_asof(array(select bench.object_id(n) from generate_series(1, 100000) as n), at)
                         where state -> 'house_number' = '17')
    then
        raise exception 'searches differ';
    end if;
end
$body$;
