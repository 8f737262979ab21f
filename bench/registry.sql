-- Once the residences of the test set of the Dutch population registry are appended: the rectangles of both times in a table, which
-- somebody would have to keep.

create table bench.person as select distinct object_id from f6.event_object;
create table bench.rectangle as
    select p.object_id, r.* from bench.person as p cross join lateral f6_bitemporal(p.object_id) as r;
alter table bench.rectangle add primary key (object_id, known_from, valid_from);
vacuum (freeze, analyze);

-- Both ways of asking give the same answers, or the comparison means nothing.
do $body$
declare
    valid timestamptz;
    known timestamptz;
begin
    for valid, known in
        select timestamptz '1900-01-01' + n * 137 % 45000 * interval '1 day', timestamptz '1994-01-01' + n * 89 % 10500 * interval '1 day'
            from generate_series(1, 100) as n
    loop
        if exists (
            (select object_id, state from f6_states_asof(array(select object_id from bench.person), valid, known) where state is not null
             except
             select object_id, state from bench.rectangle
                 where known_from <= known and known < known_to and valid_from <= valid and valid < valid_to)
            union all
            (select object_id, state from bench.rectangle
                 where known_from <= known and known < known_to and valid_from <= valid and valid < valid_to
             except
             select object_id, state from f6_states_asof(array(select object_id from bench.person), valid, known)))
        then
            raise exception 'states differ on % as known at %', valid, known;
        end if;
    end loop;
end
$body$;
