-- The documents that schemas may refer to by URI.

create table f6.schema (
    uri text not null,
    schema jsonb not null,
    registered_at timestamptz not null default pg_catalog.clock_timestamp(),
    registered_by name not null default session_user,
    primary key (uri)
);

comment on table f6.schema is 'the registered JSON Schema documents, which other schemas may refer to; append-only';
comment on column f6.schema.uri is 'the absolute URI, without fragment, by which references find the document';
comment on column f6.schema.schema is 'the document: a JSON Schema';
comment on column f6.schema.registered_at is 'when it was registered';
comment on column f6.schema.registered_by is 'the session user who registered it';

create function f6.schema_before_insert() returns trigger
    language c as 'MODULE_PATHNAME', 'f6_schema_before_insert';
comment on function f6.schema_before_insert() is
    'trigger: refuses a document whose URI or schema is no good, and takes an empty fragment off the URI';

create trigger before_insert before insert on f6.schema
    for each row execute function f6.schema_before_insert();
create trigger forbid_change before update or delete or truncate on f6.schema
    for each statement execute function f6.forbid_change();
create trigger forbid_row_change before update or delete on f6.schema
    for each row execute function f6.forbid_change();
create trigger registry_changed after insert on f6.schema
    for each row execute function f6.registry_changed();
alter table f6.schema enable always trigger forbid_change;
alter table f6.schema enable always trigger forbid_row_change;
alter table f6.schema enable always trigger registry_changed;

create function @extschema@.f6_register_schema(uri text, schema jsonb) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
#variable_conflict use_column
declare
    known jsonb;
begin
    insert into f6.schema (uri, schema)
        values (f6_register_schema.uri, f6_register_schema.schema)
        on conflict (uri) do nothing;
    if found then
        return;
    end if;
    select s.schema into strict known
        from f6.schema as s
        where s.uri = rtrim(f6_register_schema.uri, '#');
    if known <> f6_register_schema.schema then
        raise exception 'schema "%" is registered already, with another content', rtrim(f6_register_schema.uri, '#')
            using errcode = 'duplicate_object',
                  hint = 'Schemas may refer to it: register the change under a new URI.';
    end if;
end
$body$;
comment on function @extschema@.f6_register_schema(text, jsonb) is
    'registers a JSON Schema document by its URI, for others to refer to; the same again changes nothing, another content is refused';
