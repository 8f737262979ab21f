-- What is read: 300,000 typical data, and a log with histories among the events of others.

create table bench.typical as select bench.residence(n) as data from generate_series(1, 300000) as n;

create aggregate bench.merge(jsonb) (sfunc = jsonb_concat, stype = jsonb);

create table bench.history (kind text, size integer, object_id uuid, primary key (kind, size));
insert into bench.history (kind, size, object_id)
    select kind, size, bench.object_id(1000000 + row_number() over ()::integer)
        from (values ('claimed', 10), ('claimed', 100), ('claimed', 1000), ('claimed', 10000), ('claimed', 100000), ('claimed', 1000000),
                  ('validated', 10), ('validated', 100), ('validated', 1000), ('validated', 10000), ('growing', 5000)) as h (kind, size);

-- A type whose data has a field for each event, so that a state of 5,000 events has 100 kB.
select f6_register_event_type('Entry', '1', '{"type": "object", "additionalProperties": {"type": "string"}}');

-- A history of claims alone has as many as its size; in one of validated claims every second event is
-- the validation of the one before.  All are spread over the log evenly, and grow with time.
insert into f6.event (id, event_type, object_ids, event_kind, event_reference, event_data)
    with planned as (
        select object_id, size, n, kind = 'validated' and n % 2 = 0 as validates, kind = 'growing' as grows
            from bench.history cross join generate_series(1, size) as n
        union all
        select bench.object_id(n), 100000, n, false, false from generate_series(1, 100000) as n
    )
    select md5(object_id::text || n)::uuid, case when grows then 'Entry' else 'Residence' end, array[object_id],
           case when validates then 'validation' else 'claim' end::f6.event_kind,
           case when validates then array[md5(object_id::text || n - 1)::uuid] end,
           case when grows then jsonb_build_object('entry ' || n, left(md5(n::text), 6))
                when not validates then bench.residence(n) end
        from planned
        order by n::float8 / size, object_id;

-- What a table of states would be, which somebody would have to keep.
create table bench.state as select object_id, state from f6_states_asof(array(select bench.object_id(n) from generate_series(1, 100000) as n));
alter table bench.state add primary key (object_id);
truncate f6.snapshot;

vacuum (freeze, analyze);

-- Both ways of asking give the same answer, or the comparison means nothing.
do $body$
declare
    wrong bench.history;
begin
    for wrong in
        select h.* from bench.history as h
            where h.size < 100000 and f6_state_asof(h.object_id, legal => h.kind = 'validated') is distinct from
                (select bench.merge(event_data order by e.position)
                     from f6.event_object as o join f6.event as e on e.position = o.position
                     where o.object_id = h.object_id and e.event_kind = 'claim')
    loop
        raise exception 'states differ: %', wrong;
    end loop;
end
$body$;
