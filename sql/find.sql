-- Who has a value at a field: fields that are kept, and what is kept of them.

create table f6.field (
    path text collate "C" not null,
    legal boolean not null,
    primary key (path, legal)
);
comment on table f6.field is 'the fields of states by whose values objects are found';
comment on column f6.field.path is 'JSON Pointer to the field';
comment on column f6.field.legal is 'whether it is a field of the states that have legal force';

create table f6.kept_field (
    path text collate "C" not null,
    legal boolean not null,
    time_zone text collate "C" not null,
    kept_id bigserial not null,
    "position" bigint not null,
    last_type bigint not null,
    last_upcaster bigint not null,
    deprecations bigint not null,
    primary key (path, legal, time_zone)
);
comment on table f6.kept_field is 'how far what is kept of fields goes: a cache, which f6_keep_field begins and f6_find brings up to date';
comment on column f6.kept_field.path is 'JSON Pointer to the field';
comment on column f6.kept_field.legal is 'whether it is a field of the states that have legal force';
comment on column f6.kept_field.time_zone is 'the time zone in which dates without one were read; empty: no event type has dates';
comment on column f6.kept_field.kept_id is 'the rows of f6.kept_span that belong to it';
comment on column f6.kept_field."position" is 'it is of the events up to this position';
comment on column f6.kept_field.last_type is 'the last version of an event type that was registered then: its ordinal';
comment on column f6.kept_field.last_upcaster is 'the last upcaster that was registered then: its ordinal';
comment on column f6.kept_field.deprecations is 'how many versions of event types were deprecated then';

create table f6.kept_span (
    kept_id bigint not null,
    object_id uuid not null,
    known_from timestamptz not null,
    known_to timestamptz not null,
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    value_hash bigint not null,
    value jsonb
);
create index kept_span_value_idx on f6.kept_span (kept_id, value_hash, known_to, valid_to, known_from, valid_from);
create index kept_span_kept_id_object_id_idx on f6.kept_span (kept_id, object_id);
comment on table f6.kept_span is 'when fields of objects had which values, as known when: a cache, as f6.kept_field is';
comment on column f6.kept_span.kept_id is 'of which row of f6.kept_field it is';
comment on column f6.kept_span.object_id is 'whose state has the value';
comment on column f6.kept_span.known_from is 'from this formal time on it was known';
comment on column f6.kept_span.known_to is 'and before this one; infinity: it is known still';
comment on column f6.kept_span.valid_from is 'that from this material time on the field has the value';
comment on column f6.kept_span.valid_to is 'and before this one; infinity: for good';
comment on column f6.kept_span.value_hash is 'a hash of the value, by which it is found';
comment on column f6.kept_span.value is 'the value of the field; NULL: nothing of the object can be kept, since an upcaster''s function was run for it';

create function f6.fill_field(path text, legal boolean) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_fill_field';
comment on function f6.fill_field(text, boolean) is 'brings what is kept of a field up to the horizon';

create function f6.empty_field(path text, legal boolean) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_empty_field';
comment on function f6.empty_field(text, boolean) is 'removes all that is kept of a field';

create function f6.lock_field(projection text, path text, legal boolean) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_lock_field_of';
comment on function f6.lock_field(text, text, boolean) is 'keeps others from keeping anything of a field until the transaction ends';

create type f6.found as (object_id uuid, valid_from timestamptz, valid_to timestamptz);
comment on type f6.found is 'an object whose state has the value that was searched for, and the span of material time in which it does';

create function @extschema@.f6_find(
    projection text,
    path text,
    value jsonb,
    valid_at timestamptz default pg_catalog.clock_timestamp(),
    known_at timestamptz default pg_catalog.clock_timestamp(),
    legal boolean default false
) returns setof f6.found
    language c volatile cost 1000 as 'MODULE_PATHNAME', 'f6_find';
comment on function @extschema@.f6_find(text, text, jsonb, timestamptz, timestamptz, boolean) is
    'the objects whose state has a value at a field that is kept, at a material time as known at a formal time';

create function @extschema@.f6_keep_field(path text, projection text default null, legal boolean default false) returns void
    language plpgsql volatile
as $$
begin
    perform f6.lock_field($2, $1, $3);
    insert into f6.field (path, legal) values ($1, $3) on conflict do nothing;
    perform f6.fill_field($1, $3);
end;
$$;
comment on function @extschema@.f6_keep_field(text, text, boolean) is
    'has the values of a field kept, of all objects and times, so that f6_find finds objects by them';

create function @extschema@.f6_forget_field(path text, projection text default null, legal boolean default false) returns void
    language plpgsql volatile
as $$
begin
    perform f6.lock_field($2, $1, $3);
    delete from f6.field as f where f.path operator(pg_catalog.=) $1 and f.legal operator(pg_catalog.=) $3;
    if not found then
        raise exception 'field "%" is not kept%', $1, case when $3 then ' for what has legal force' else '' end
            using errcode = 'undefined_object', hint = 'f6.field lists those that are.';
    end if;
    perform f6.empty_field($1, $3);
end;
$$;
comment on function @extschema@.f6_forget_field(text, text, boolean) is 'ends the keeping of a field, and removes what is kept';
