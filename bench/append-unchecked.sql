-- One event of the type without a check, by the function.
\set n random(1, 100000)
select f6_append('Unchecked', array[lpad(to_hex(:n::integer), 32, '0')::uuid], :data::jsonb);
