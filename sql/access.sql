-- Who may do what, and what a dump takes along.

grant select on f6.event, f6.event_object, f6.event_link to f6_reader;
grant select on f6.schema, f6.event_type, f6.event_type_deprecation, f6.upcaster, f6.zone, f6.field, f6.in_flight
    to f6_reader, f6_writer, f6_importer, f6_admin;

grant insert (zone_id, id, occurred_at, object_ids, event_type, event_version, event_kind, event_source_id,
              event_source_type, event_reference, event_data, metadata)
    on f6.event to f6_writer, f6_importer;
grant insert (created_at) on f6.event to f6_importer;
grant select ("position", id, created_at) on f6.event to f6_writer, f6_importer;

grant insert (event_type, event_version, schema, valid_from, legal_when_claimed, assert_format)
    on f6.event_type to f6_admin;
grant insert (uri, schema) on f6.schema to f6_admin;
grant usage on sequence f6.event_type_ordinal_seq to f6_admin;
grant insert (event_type, event_version, reason) on f6.event_type_deprecation to f6_admin;
grant insert (event_type, from_version, to_version, function, steps, validate) on f6.upcaster to f6_admin;
grant usage on sequence f6.upcaster_ordinal_seq to f6_admin;
grant insert, delete on f6.field to f6_admin;
grant select on f6.kept_field to f6_admin;
grant select on f6.projection, f6.projection_skip, f6.projections, f6.rebuild, f6.rebuild_progress to f6_reader, f6_writer, f6_importer, f6_admin;
-- Errors may tell of events.
grant select on f6.projection_progress to f6_reader;
grant insert, update, delete on f6.projection to f6_admin;
grant select on f6.command to f6_reader, f6_writer, f6_importer, f6_admin;
grant insert (name, handler, schema, context, fold, attempts, rejected_type), delete on f6.command to f6_admin;
grant select on f6.command_run to f6_reader, f6_admin;
grant delete on f6.command_run to f6_admin;
grant select ("position", created_at) on f6.event to f6_admin;
grant usage on sequence f6.projection_projection_id_seq to f6_admin;
revoke execute on function f6.fill_projection(text), f6.lock_projection(text), f6.pause_appends() from public;
revoke execute on function @extschema@.f6_start_worker() from public;
grant execute on function @extschema@.f6_start_worker() to f6_admin;
grant execute on function f6.fill_projection(text), f6.lock_projection(text), f6.pause_appends() to f6_admin;
grant select on f6.subscription_definition, f6.subscription to f6_reader, f6_writer, f6_importer, f6_admin;
grant select on f6.schedule to f6_reader, f6_writer, f6_importer, f6_admin;
-- It appends as the owners of schedules, whatever the caller's settings are.
revoke execute on function @extschema@.f6_run_schedules() from public;
grant execute on function @extschema@.f6_run_schedules() to f6_admin;
grant select on f6.reaction_definition, f6.reaction to f6_reader, f6_writer, f6_importer, f6_admin;
-- Reasons and errors may tell of events.
grant select on f6.parked, f6.due, f6.reaction_run to f6_reader;
grant select (run_id, reaction, "position", attempt, outcome, started_at, duration, appended, retry_at), delete on f6.reaction_run to f6_admin;
grant insert on f6.reaction_definition to f6_admin;
grant insert (organisation, name), update (organisation, name) on f6.zone to f6_admin;
grant usage on sequence f6.zone_zone_id_seq to f6_admin;

-- A trigger needs no privilege to run its function; only making another trigger of it would.
revoke execute on function f6.forbid_change(), f6.registry_changed(), f6.zone_before_change(),
    f6.schema_before_insert(), f6.event_type_before_insert(), f6.event_type_deprecation_before_insert(), f6.upcaster_before_insert(),
    f6.event_before_insert(), f6.event_after_insert(), f6.projection_before_change(), f6.projection_after_delete() from public;

-- CREATE EXTENSION makes the default zone anew, so a dump leaves it out.
select pg_catalog.pg_extension_config_dump('f6.zone', 'where zone_id operator(pg_catalog.<>) 1');
select pg_catalog.pg_extension_config_dump('f6.zone_zone_id_seq', '');
select pg_catalog.pg_extension_config_dump('f6.schema', '');
select pg_catalog.pg_extension_config_dump('f6.event_type', '');
select pg_catalog.pg_extension_config_dump('f6.event_type_ordinal_seq', '');
select pg_catalog.pg_extension_config_dump('f6.event_type_deprecation', '');
select pg_catalog.pg_extension_config_dump('f6.upcaster', '');
select pg_catalog.pg_extension_config_dump('f6.upcaster_ordinal_seq', '');
select pg_catalog.pg_extension_config_dump('f6.field', '');
select pg_catalog.pg_extension_config_dump('f6.projection',
    'where table_name is null or exists (select from pg_catalog.pg_class as c where c.oid operator(pg_catalog.=) table_name)');
select pg_catalog.pg_extension_config_dump('f6.projection_projection_id_seq', '');
select pg_catalog.pg_extension_config_dump('f6.projection_progress', 'where projection_id operator(pg_catalog.>) 0');
select pg_catalog.pg_extension_config_dump('f6.projection_end', 'where projection_id operator(pg_catalog.>) 0');
select pg_catalog.pg_extension_config_dump('f6.projection_skip', '');
select pg_catalog.pg_extension_config_dump('f6.subscription_definition', '');
select pg_catalog.pg_extension_config_dump('f6.subscription_definition_subscription_id_seq', '');
select pg_catalog.pg_extension_config_dump('f6.subscription_partition', '');
select pg_catalog.pg_extension_config_dump('f6.subscription_failure', '');
select pg_catalog.pg_extension_config_dump('f6.parked_event', '');
select pg_catalog.pg_extension_config_dump('f6.reaction_definition', '');
select pg_catalog.pg_extension_config_dump('f6.reaction_due', '');
select pg_catalog.pg_extension_config_dump('f6.reaction_run', '');
select pg_catalog.pg_extension_config_dump('f6.reaction_run_run_id_seq', '');
select pg_catalog.pg_extension_config_dump('f6.schedule_definition', '');
select pg_catalog.pg_extension_config_dump('f6.command', '');
select pg_catalog.pg_extension_config_dump('f6.command_run', '');
select pg_catalog.pg_extension_config_dump('f6.event', '');
select pg_catalog.pg_extension_config_dump('f6.event_position_seq', '');
select pg_catalog.pg_extension_config_dump('f6.event_object', '');
select pg_catalog.pg_extension_config_dump('f6.event_link', '');
