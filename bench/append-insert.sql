-- One event by INSERT.
\set n random(1, 100000)
insert into f6.event (event_type, object_ids, event_data)
    values ('Residence', array[lpad(to_hex(:n::integer), 32, '0')::uuid], :data::jsonb);
