-- A state that is kept in a table of its own, by its key.
\set n random(1, 100000)
select state from bench.state where object_id = lpad(to_hex(:n::integer), 32, '0')::uuid;
