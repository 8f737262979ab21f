-- One event about a new object and its link in plain SQL, into tables that nothing guards.
with appended as (
    insert into plain.event (position, zone_id, event_kind, id, created_at, occurred_at, object_ids, event_type,
                             event_version, event_data, appended_by, client_addr, application_name)
        values (nextval('plain.event_position_seq'), 1, 'claim', gen_random_uuid(), clock_timestamp(), now(),
                array[gen_random_uuid()], 'Residence', '1', :data::jsonb,
                session_user, inet_client_addr(), current_setting('application_name'))
        returning position, object_ids[1] as object_id)
insert into plain.event_object (object_id, position)
    select object_id, position from appended;
