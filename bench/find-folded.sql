-- The same by folding everybody.
\set number random(1, 2500)
\set days random(0, 12000)
select count(*)
    from f6_states_asof(array(select bench.object_id(n) from generate_series(1, 100000) as n), '1990-01-01'::timestamptz + :days * interval '1 day')
    where state -> 'house_number' = to_jsonb(:number::integer);
