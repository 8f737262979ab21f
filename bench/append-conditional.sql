-- One event about an object that must be new, by the function.
select f6_append('Residence', array[gen_random_uuid()], :data::jsonb, after => 0);
