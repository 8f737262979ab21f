-- Everybody in the registry, at one time as known at another, both by chance.
\set days random(0, 15340)
\set known random(0, 10500)
select count(state)
    from f6_states_asof(array(select object_id from bench.person), timestamptz '1980-01-01' + :days * interval '1 day',
                        timestamptz '1994-01-01' + :known * interval '1 day', legal => :legal::boolean);
