-- Zones: the parts of an organisation that own events.

create sequence f6.zone_zone_id_seq as integer start with 2;
comment on sequence f6.zone_zone_id_seq is 'the numbers of zones; gaps allowed';

create table f6.zone (
    zone_id integer not null default pg_catalog.nextval('f6.zone_zone_id_seq')
        check (zone_id operator(pg_catalog.>) 0),
    organisation text not null check (organisation operator(pg_catalog.<>) ''),
    name text not null check (name operator(pg_catalog.<>) ''),
    primary key (zone_id),
    unique (organisation, name)
);
alter sequence f6.zone_zone_id_seq owned by f6.zone.zone_id;

comment on table f6.zone is 'the zones: each event belongs to one';
comment on column f6.zone.zone_id is 'the zone''s number in this database; 1 is the zone that always exists';
comment on column f6.zone.organisation is 'the organisation that the zone is part of, e.g. a municipality';
comment on column f6.zone.name is 'the zone''s name within its organisation, e.g. civil registry';

create function f6.zone_before_change() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_zone_before_change';
comment on function f6.zone_before_change() is
    'trigger: keeps the number of a zone, and the default zone as it is';

create trigger before_change before update on f6.zone
    for each row execute function f6.zone_before_change();
create trigger forbid_change before delete or truncate on f6.zone
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before delete on f6.zone
    for each row execute function f6.forbid_change();
create trigger registry_changed after insert or update on f6.zone
    for each row execute function f6.registry_changed();
alter table f6.zone enable always trigger before_change;
alter table f6.zone enable always trigger forbid_change;
alter table f6.zone enable always trigger forbid_row_change;
alter table f6.zone enable always trigger registry_changed;

insert into f6.zone (zone_id, organisation, name) values (1, 'default', 'default');

create function @extschema@.f6_register_zone(organisation text, name text) returns integer
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    found_id integer;
begin
    if coalesce(f6_register_zone.organisation, '') = '' or coalesce(f6_register_zone.name, '') = '' then
        raise exception 'a zone needs an organisation and a name'
            using errcode = 'invalid_parameter_value',
                  hint = 'Neither may be NULL or empty.';
    end if;
    insert into f6.zone (organisation, name)
        values (f6_register_zone.organisation, f6_register_zone.name)
        on conflict (organisation, name) do nothing
        returning zone_id into found_id;
    if found_id is null then
        select z.zone_id into strict found_id
            from f6.zone as z
            where z.organisation = f6_register_zone.organisation and z.name = f6_register_zone.name;
    end if;
    return found_id;
end
$body$;
comment on function @extschema@.f6_register_zone(text, text) is
    'registers a zone of an organisation and returns its number; a zone that exists keeps the one it has';
