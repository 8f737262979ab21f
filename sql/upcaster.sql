-- Upcasters: how data of one version of an event type is read in another.

create sequence f6.upcaster_ordinal_seq as bigint;
comment on sequence f6.upcaster_ordinal_seq is 'the order in which upcasters are registered; gaps allowed';

create table f6.upcaster (
    event_type text not null,
    from_version text not null,
    to_version text not null,
    function text,
    steps jsonb,
    validate boolean not null default true,
    ordinal bigint not null default pg_catalog.nextval('f6.upcaster_ordinal_seq'),
    registered_at timestamptz not null default pg_catalog.clock_timestamp(),
    registered_by name not null default session_user,
    primary key (event_type, from_version, to_version)
);
alter sequence f6.upcaster_ordinal_seq owned by f6.upcaster.ordinal;

comment on table f6.upcaster is 'the registered upcasters, a row for each; append-only';
comment on column f6.upcaster.event_type is 'the type''s name';
comment on column f6.upcaster.from_version is 'the version that data is in';
comment on column f6.upcaster.to_version is 'the version that it is brought to';
comment on column f6.upcaster.function is 'signature of the function (jsonb) returns jsonb that does it';
comment on column f6.upcaster.steps is 'the steps that do it; with neither, data of the one version is data of the other';
comment on column f6.upcaster.validate is 'true: the result must be valid under the schema of to_version';
comment on column f6.upcaster.ordinal is 'order of registration';
comment on column f6.upcaster.registered_at is 'when it was registered';
comment on column f6.upcaster.registered_by is 'the session user who registered it';

create function f6.upcaster_before_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_upcaster_before_insert';
comment on function f6.upcaster_before_insert() is
    'trigger: refuses an upcaster whose versions, function or steps are no good';

create trigger before_insert before insert on f6.upcaster
    for each row execute function f6.upcaster_before_insert();
create trigger forbid_change before update or delete or truncate on f6.upcaster
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.upcaster
    for each row execute function f6.forbid_change();
create trigger registry_changed after insert on f6.upcaster
    for each row execute function f6.registry_changed();
alter table f6.upcaster enable always trigger forbid_change;
alter table f6.upcaster enable always trigger forbid_row_change;
alter table f6.upcaster enable always trigger registry_changed;

create function @extschema@.f6_register_upcaster(
    event_type text,
    from_version text,
    to_version text,
    function regprocedure default null,
    steps jsonb default null,
    validate boolean default true
) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    -- as the table's trigger writes it; NULL for a function that is none, which the trigger is to refuse by its number
    signature text := (select format('%I.%I(%s)', n.nspname, p.proname,
                                     (select string_agg(format('%I.%I', tn.nspname, t.typname), ',' order by a.place)
                                          from unnest(p.proargtypes) with ordinality as a (type, place)
                                          join pg_type as t on t.oid = a.type
                                          join pg_namespace as tn on tn.oid = t.typnamespace))
                           from pg_proc as p
                           join pg_namespace as n on n.oid = p.pronamespace
                           where p.oid = f6_register_upcaster.function);
    known f6.upcaster;
begin
    insert into f6.upcaster (event_type, from_version, to_version, function, steps, validate)
        values (f6_register_upcaster.event_type, f6_register_upcaster.from_version, f6_register_upcaster.to_version,
                coalesce(signature, f6_register_upcaster.function::text), f6_register_upcaster.steps,
                f6_register_upcaster.validate)
        on conflict (event_type, from_version, to_version) do nothing;
    if found then
        return;
    end if;
    select u.* into strict known
        from f6.upcaster as u
        where u.event_type = f6_register_upcaster.event_type
          and u.from_version = f6_register_upcaster.from_version
          and u.to_version = f6_register_upcaster.to_version;
    if known.function is distinct from signature
       or known.steps is distinct from f6_register_upcaster.steps
       or known.validate <> f6_register_upcaster.validate
    then
        raise exception 'event type "%" has an upcaster from version "%" to version "%" already, with another definition',
                known.event_type, known.from_version, known.to_version
            using errcode = 'duplicate_object',
                  detail = format('It differs in: %s.', concat_ws(', ',
                      case when known.function is distinct from signature then 'function' end,
                      case when known.steps is distinct from f6_register_upcaster.steps then 'steps' end,
                      case when known.validate <> f6_register_upcaster.validate then 'validate' end)),
                  hint = 'States may have been read through it: register a new version and an upcaster to that.';
    end if;
end
$body$;
comment on function @extschema@.f6_register_upcaster(text, text, text, regprocedure, jsonb, boolean) is
    'registers how data of one version of an event type is read in another: by a function, by steps, or as it is';

create function @extschema@.f6_upcast(event f6.event, to_version text default null) returns f6.event
    language c stable parallel restricted cost 100
    as 'MODULE_PATHNAME', 'f6_upcast_event';
comment on function @extschema@.f6_upcast(f6.event, text) is
    'an event in another version of its type, by default the one that readers see';
