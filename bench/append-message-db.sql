-- One event in a stream that must be new, by message-db.
select message_store.write_message(gen_random_uuid()::text, 'residence-' || gen_random_uuid(), 'Residence', :data::jsonb, null, -1);
