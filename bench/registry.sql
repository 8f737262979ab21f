-- Once the residences of the test set of the Dutch population registry are appended: the rectangles of both times, as claimed, in
-- a table with an index over both, which somebody would have to keep.

create table bench.person as select distinct object_id from f6.event_object;
create table bench.rectangle as
    select p.object_id, tstzrange(r.known_from, r.known_to) as known, tstzrange(r.valid_from, r.valid_to) as valid, r.state
        from bench.person as p cross join lateral f6_bitemporal(p.object_id) as r;
create index on bench.rectangle using gist (known, valid);
vacuum (freeze, analyze);

-- Both ways of asking give the same answers, or the comparison means nothing.
do $body$
declare
    valid_at timestamptz;
    known_at timestamptz;
    found bigint := 0;
begin
    for valid_at, known_at in
        select timestamptz '1980-01-01' + n * 4507 % 15340 * interval '1 day', timestamptz '1994-01-01' + n * 1049 % 10500 * interval '1 day'
            from generate_series(1, 100) as n
    loop
        if exists (
            select
                from (select object_id, state from bench.rectangle where known @> known_at and valid @> valid_at) as r
                    full join (select object_id, state from f6_states_asof(array(select object_id from bench.person), valid_at, known_at)
                                   where state is not null) as s using (object_id)
                where r.state is distinct from s.state)
        then
            raise exception 'states differ on % as known at %', valid_at, known_at;
        end if;
        found := found + (select count(*) from bench.rectangle where known @> known_at and valid @> valid_at);
    end loop;
    if found < 20000 then
        raise exception 'only % states were found at 100 pairs of times', found;
    end if;
end
$body$;
