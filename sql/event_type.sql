-- The registry: which types of event there are, in which versions, the JSON Schema of each, and which take no new events.

create sequence f6.event_type_ordinal_seq as bigint;
comment on sequence f6.event_type_ordinal_seq is 'the order in which event types are registered; gaps allowed';

create table f6.event_type (
    event_type text not null,
    event_version text not null,
    ordinal bigint not null default pg_catalog.nextval('f6.event_type_ordinal_seq'),
    schema jsonb not null,
    valid_from text,
    legal_when_claimed boolean not null default false,
    assert_format boolean not null,
    registered_at timestamptz not null default pg_catalog.clock_timestamp(),
    registered_by name not null default session_user,
    primary key (event_type, event_version)
);
alter sequence f6.event_type_ordinal_seq owned by f6.event_type.ordinal;

comment on table f6.event_type is 'the registered event types, a row a version; append-only';
comment on column f6.event_type.event_type is 'the type''s name';
comment on column f6.event_type.event_version is 'the version of its format';
comment on column f6.event_type.ordinal is 'order of registration: the highest of a type is its newest version';
comment on column f6.event_type.schema is 'the JSON Schema, draft 2020-12, that event_data satisfies';
comment on column f6.event_type.valid_from is 'JSON Pointer to the field of event_data that holds the date of effect';
comment on column f6.event_type.legal_when_claimed is 'true: a claim of this type has legal force without a validation';
comment on column f6.event_type.assert_format is
    'true: the schema''s "format" refuses data; default: the setting f6.assert_format at registration';
comment on column f6.event_type.registered_at is 'when it was registered';
comment on column f6.event_type.registered_by is 'the session user who registered it';

create function f6.event_type_before_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_event_type_before_insert';
comment on function f6.event_type_before_insert() is
    'trigger: refuses a type whose names, schema or valid_from are no good';

create trigger before_insert before insert on f6.event_type
    for each row execute function f6.event_type_before_insert();
create trigger forbid_change before update or delete or truncate on f6.event_type
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.event_type
    for each row execute function f6.forbid_change();
create trigger registry_changed after insert on f6.event_type
    for each row execute function f6.registry_changed();
alter table f6.event_type enable always trigger forbid_change;
alter table f6.event_type enable always trigger forbid_row_change;
alter table f6.event_type enable always trigger registry_changed;

create function @extschema@.f6_register_event_type(
    event_type text,
    event_version text,
    schema jsonb,
    valid_from text default null,
    legal_when_claimed boolean default false,
    assert_format boolean default null
) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    known f6.event_type;
begin
    insert into f6.event_type (event_type, event_version, schema, valid_from, legal_when_claimed, assert_format)
        values (f6_register_event_type.event_type, f6_register_event_type.event_version,
                f6_register_event_type.schema, f6_register_event_type.valid_from,
                f6_register_event_type.legal_when_claimed,
                f6_register_event_type.assert_format)
        on conflict (event_type, event_version) do nothing;
    if found then
        return;
    end if;
    select t.* into strict known
        from f6.event_type as t
        where t.event_type = f6_register_event_type.event_type
          and t.event_version = f6_register_event_type.event_version;
    if (known.schema, known.legal_when_claimed)
           is distinct from (f6_register_event_type.schema, f6_register_event_type.legal_when_claimed)
       or known.valid_from is distinct from f6_register_event_type.valid_from
       or known.assert_format <> f6_register_event_type.assert_format
    then
        raise exception 'event type "%" version "%" is registered already, with another definition',
                known.event_type, known.event_version
            using errcode = 'duplicate_object',
                  detail = format('It differs in: %s.', concat_ws(', ',
                      case when known.schema <> f6_register_event_type.schema then 'schema' end,
                      case when known.valid_from is distinct from f6_register_event_type.valid_from then 'valid_from' end,
                      case when known.legal_when_claimed <> f6_register_event_type.legal_when_claimed then 'legal_when_claimed' end,
                      case when known.assert_format <> f6_register_event_type.assert_format then 'assert_format' end)),
                  hint = 'Events may have been recorded under it: register the change as a new version.';
    end if;
end
$body$;
comment on function @extschema@.f6_register_event_type(text, text, jsonb, text, boolean, boolean) is
    'registers a version of an event type with its JSON Schema; the same again changes nothing, another definition is refused';

create table f6.event_type_deprecation (
    event_type text not null,
    event_version text not null,
    deprecated_at timestamptz not null default pg_catalog.clock_timestamp(),
    deprecated_by name not null default session_user,
    reason text,
    primary key (event_type, event_version)
);
comment on table f6.event_type_deprecation is
    'the versions of event types that take no new events; those that are stored are still read; append-only';
comment on column f6.event_type_deprecation.event_type is 'the type''s name';
comment on column f6.event_type_deprecation.event_version is 'the version that is deprecated';
comment on column f6.event_type_deprecation.deprecated_at is 'since when';
comment on column f6.event_type_deprecation.deprecated_by is 'the session user who deprecated it';
comment on column f6.event_type_deprecation.reason is 'why, for the error that refuses an event';

create function f6.event_type_deprecation_before_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_event_type_deprecation_before_insert';
comment on function f6.event_type_deprecation_before_insert() is
    'trigger: refuses to deprecate a version that is not registered';

create trigger before_insert before insert on f6.event_type_deprecation
    for each row execute function f6.event_type_deprecation_before_insert();
create trigger forbid_change before update or delete or truncate on f6.event_type_deprecation
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.event_type_deprecation
    for each row execute function f6.forbid_change();
create trigger registry_changed after insert on f6.event_type_deprecation
    for each row execute function f6.registry_changed();
alter table f6.event_type_deprecation enable always trigger forbid_change;
alter table f6.event_type_deprecation enable always trigger forbid_row_change;
alter table f6.event_type_deprecation enable always trigger registry_changed;

create function @extschema@.f6_deprecate_event_type(event_type text, event_version text, reason text default null)
    returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    known f6.event_type_deprecation;
begin
    insert into f6.event_type_deprecation (event_type, event_version, reason)
        values (f6_deprecate_event_type.event_type, f6_deprecate_event_type.event_version,
                f6_deprecate_event_type.reason)
        on conflict (event_type, event_version) do nothing;
    if found then
        return;
    end if;
    select d.* into strict known
        from f6.event_type_deprecation as d
        where d.event_type = f6_deprecate_event_type.event_type
          and d.event_version = f6_deprecate_event_type.event_version;
    if known.reason is distinct from f6_deprecate_event_type.reason then
        raise exception 'version "%" of event type "%" is deprecated already, with another reason',
                known.event_version, known.event_type
            using errcode = 'duplicate_object',
                  detail = format('It is deprecated since %s.', known.deprecated_at);
    end if;
end
$body$;
comment on function @extschema@.f6_deprecate_event_type(text, text, text) is
    'deprecates a version of an event type: new events of it are refused, stored ones are still read; the same again changes nothing';

create function @extschema@.f6_check_event_type(
    event_type text,
    schema jsonb,
    event_version text default null,
    examples integer default 10,
    assert_format boolean default null
) returns table (event_version text, events bigint, failing bigint, examples jsonb)
    language c stable parallel restricted
    as 'MODULE_PATHNAME', 'f6_check_event_type';
comment on function @extschema@.f6_check_event_type(text, jsonb, text, integer, boolean) is
    'how many stored events of a type would not pass a schema, by version, with the first of them as examples';
