-- One event by the function.
\set n random(1, 100000)
select f6_append('Residence', array[lpad(to_hex(:n::integer), 32, '0')::uuid], :data::jsonb);
