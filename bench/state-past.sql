-- The state at one time as known at another, both by chance.
\set days random(0, 12000)
\set part random(0, 1000)
select f6_state_asof(:object::uuid, '1990-01-01'::timestamptz + :days * interval '1 day',
                     :first::timestamptz + :part / 1000.0 * (:last::timestamptz - :first::timestamptz));
