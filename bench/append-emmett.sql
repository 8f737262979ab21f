-- One event in a stream that must be new, by Emmett.
select * from emt_append_to_stream(array[gen_random_uuid()::text], array[:data::jsonb], array['{}'::jsonb], array['1'],
    array['Residence'], array['E'], 'residence-' || gen_random_uuid(), 'residence', 0, 'emt:' || 'default');
