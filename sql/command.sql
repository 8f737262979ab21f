-- Commands: decisions on what the log says, appended only while it still says so.

create table f6.command (
    name text collate "C" not null check (name operator(pg_catalog.<>) ''),
    handler text not null,
    schema jsonb,
    context jsonb,
    fold jsonb,
    attempts integer not null check (attempts operator(pg_catalog.>) 0),
    rejected_type text,
    created_at timestamptz not null default pg_catalog.clock_timestamp(),
    created_by name not null default session_user,
    primary key (name)
);
comment on table f6.command is 'the commands that there are';
comment on column f6.command.name is 'the command''s name';
comment on column f6.command.handler is 'the function that decides';
comment on column f6.command.schema is 'the JSON Schema that a payload satisfies; NULL: any will do';
comment on column f6.command.context is 'the events that a decision depends on: a query that is made of the payload; NULL: none';
comment on column f6.command.fold is 'what makes the state of them, as f6_fold takes it; NULL: their data is merged';
comment on column f6.command.attempts is 'how often it is tried at most, when the context changes meanwhile';
comment on column f6.command.rejected_type is 'the type of the events that record rejections; NULL: they are not recorded';
comment on column f6.command.created_at is 'when it was created';
comment on column f6.command.created_by is 'the session user that created it';

create trigger registry_changed after insert or update or delete on f6.command
    for each row execute function f6.registry_changed();
alter table f6.command enable always trigger registry_changed;

create table f6.command_run (
    command text collate "C" not null,
    idempotency_key text collate "C" not null,
    payload_hash bytea not null,
    status text not null,
    reason text,
    detail text,
    ids uuid[] not null,
    positions bigint[] not null,
    executed_at timestamptz not null default pg_catalog.clock_timestamp(),
    executed_by text not null default session_user,
    primary key (command, idempotency_key)
);
comment on table f6.command_run is 'what came of commands that were executed under a key';
comment on column f6.command_run.command is 'the command';
comment on column f6.command_run.idempotency_key is 'the key that its caller gave';
comment on column f6.command_run.payload_hash is 'the SHA-256 of the payload as text, numbers without zeros at the end';
comment on column f6.command_run.status is 'accepted or rejected';
comment on column f6.command_run.reason is 'why it was rejected';
comment on column f6.command_run.detail is 'and what else there was to say';
comment on column f6.command_run.ids is 'the events that were appended';
comment on column f6.command_run.positions is 'their positions';
comment on column f6.command_run.executed_at is 'when it was executed';
comment on column f6.command_run.executed_by is 'the session user that executed it';

create type f6.executed as (status text, reason text, detail text, ids uuid[], positions bigint[], attempts integer);
comment on type f6.executed is 'what came of a command';

create function f6.command_shape(handler text, schema jsonb, context jsonb, fold jsonb, rejected_type text) returns text
    language c stable as 'MODULE_PATHNAME', 'f6_command_shape';
comment on function f6.command_shape(text, jsonb, jsonb, jsonb, text) is
    'checks what makes a command, and returns the handler with its name qualified';

create function @extschema@.f6_create_command(
    name text,
    handler text,
    schema jsonb default null,
    context jsonb default null,
    fold jsonb default null,
    attempts integer default 5,
    rejected_type text default null
) returns void
    language plpgsql volatile
as $body$
begin
    if name is null or handler is null or attempts is null then
        raise exception 'name, handler and attempts must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if name operator(pg_catalog.=) '' or pg_catalog.octet_length(name) operator(pg_catalog.>) 1000 then
        raise exception 'the name of a command must have from 1 to 1000 bytes' using errcode = 'invalid_parameter_value';
    end if;
    if not attempts operator(pg_catalog.>) 0 then
        raise exception 'attempts must be 1 or more, found %', attempts using errcode = 'invalid_parameter_value';
    end if;
    if exists (select 1 from f6.command as c where c.name operator(pg_catalog.=) f6_create_command.name) then
        raise exception 'command "%" exists', name
            using errcode = 'duplicate_object', hint = 'f6.command lists them; f6_drop_command drops one.';
    end if;
    insert into f6.command (name, handler, schema, context, fold, attempts, rejected_type)
        values (f6_create_command.name,
                f6.command_shape(f6_create_command.handler, f6_create_command.schema, f6_create_command.context,
                                 f6_create_command.fold, f6_create_command.rejected_type),
                f6_create_command.schema, f6_create_command.context, f6_create_command.fold,
                f6_create_command.attempts, f6_create_command.rejected_type);
exception
    when unique_violation then
        raise exception 'command "%" exists', name
            using errcode = 'duplicate_object', hint = 'f6.command lists them; f6_drop_command drops one.';
end
$body$;
comment on function @extschema@.f6_create_command(text, text, jsonb, jsonb, jsonb, integer, text) is
    'makes a command: a handler that decides on a payload and the state of the events that this depends on';

create function @extschema@.f6_drop_command(name text) returns void
    language plpgsql volatile
as $body$
begin
    delete from f6.command as c where c.name operator(pg_catalog.=) f6_drop_command.name;
    if not found then
        raise exception 'command "%" does not exist', name
            using errcode = 'undefined_object', hint = 'f6.command lists them.';
    end if;
end
$body$;
comment on function @extschema@.f6_drop_command(text) is 'drops a command; what came of it under keys is kept';

create function @extschema@.f6_execute(
    name text,
    payload jsonb default '{}',
    metadata jsonb default null,
    idempotency_key text default null,
    dry_run boolean default false
) returns f6.executed
    language c volatile cost 10000 as 'MODULE_PATHNAME', 'f6_execute';
comment on function @extschema@.f6_execute(text, jsonb, jsonb, text, boolean) is
    'executes a command: appends what its handler decides, if the events that it depends on are still the same, and returns what came of it';
