-- The schema of f6's relations, and the group roles that work with them.

create schema f6;
comment on schema f6 is 'f6, the event store: its relations; its functions live where the extension was created';
grant usage on schema f6 to public;

-- Roles belong to the whole server: another database, or another session at this moment, may have made them.
do $roles$
declare
    role_name text;
begin
    foreach role_name in array array['f6_reader', 'f6_writer', 'f6_importer', 'f6_admin']
    loop
        if not exists (select from pg_catalog.pg_roles where rolname operator(pg_catalog.=) role_name)
        then
            begin
                execute pg_catalog.format('create role %I nologin', role_name);
            exception
                when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
end
$roles$;

create function f6.forbid_change() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_forbid_change';
comment on function f6.forbid_change() is
    'trigger: refuses a change of what is append-only, save a dump being restored by the owner';

create function f6.registry_changed() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_registry_changed';
comment on function f6.registry_changed() is
    'trigger: tells every session that a registry has changed';
