-- One event by the function; all clients append about one object.
select f6_append('Residence', array['00000000-0000-0000-0000-000000000001'::uuid], :data::jsonb);
