-- Schedules: events that are appended at the times that a cron expression says.

create table f6.schedule_definition (
    name text collate "C" not null check (name operator(pg_catalog.<>) ''),
    cron text not null,
    timezone text not null,
    event_type text not null,
    object_ids uuid[] not null,
    event_data jsonb not null,
    zone_id integer not null,
    owner regrole not null,
    enabled boolean not null default true,
    next_at timestamptz,
    last_at timestamptz,
    last_position bigint,
    failures integer not null default 0,
    error text,
    retry_at timestamptz,
    primary key (name)
);
comment on table f6.schedule_definition is 'the schedules that there are: f6.schedule shows them';
comment on column f6.schedule_definition.name is 'the schedule''s name';
comment on column f6.schedule_definition.cron is 'when events are appended: a cron expression';
comment on column f6.schedule_definition.timezone is 'the time zone whose clocks it goes by';
comment on column f6.schedule_definition.event_type is 'the type of the events';
comment on column f6.schedule_definition.object_ids is 'their objects';
comment on column f6.schedule_definition.event_data is 'their data';
comment on column f6.schedule_definition.zone_id is 'their zone';
comment on column f6.schedule_definition.owner is 'as whom they are appended';
comment on column f6.schedule_definition.enabled is 'whether any are';
comment on column f6.schedule_definition.next_at is 'the time of the next one; NULL: there is none';
comment on column f6.schedule_definition.last_at is 'the time of the last one';
comment on column f6.schedule_definition.last_position is 'its position';
comment on column f6.schedule_definition.failures is 'how often the next one could not be appended';
comment on column f6.schedule_definition.error is 'why it could not, the last time';
comment on column f6.schedule_definition.retry_at is 'not before this it is tried again';

create function f6.cron_field(cron text, number integer, field text) returns integer[]
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $body$
declare
    subject text := (array['minute', 'hour', 'day of month', 'month', 'day of week'])[number];
    lowest integer := (array[0, 0, 1, 1, 0])[number];
    highest integer := (array[59, 23, 31, 12, 7])[number];
    names text[] := case number
        when 4 then array['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
        when 5 then array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
    end;
    item text;
    parts text[];
    first integer;
    last integer;
    step integer;
    wrong text;
    result integer[] := '{}';
begin
    foreach item in array string_to_array(field, ',') loop
        parts := regexp_match(item, '^(?:[*]|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?$');
        first := case when parts[1] ~ '[0-9]' then parts[1]::integer
                      when parts[1] is not null then array_position(names, parts[1]) - 1 + lowest
                      else lowest end;
        last := case when parts[2] ~ '[0-9]' then parts[2]::integer
                     -- A week may end on Sunday.
                     when number = 5 and parts[2] = 'sun' then 7
                     when parts[2] is not null then array_position(names, parts[2]) - 1 + lowest
                     when parts[1] is not null then first
                     else highest end;
        step := coalesce(parts[3]::integer, 1);
        wrong := case
            when parts is null or first is null or last is null then format('"%s" is none of these.', item)
            when first < lowest or greatest(first, last) > highest then format('%s is not from %s to %s.', item, lowest, highest)
            when first > last then format('The range %s ends before it begins.', item)
            when parts[3] is not null and parts[1] is not null and parts[2] is null then format('%s has a step, but no range.', item)
            when step < 1 or step > highest - lowest + 1 then format('The step of %s is not from 1 to %s.', item, highest - lowest + 1)
        end;
        if wrong is not null then
            raise exception 'the % of cron expression "%" is not valid', subject, cron
                using errcode = 'invalid_parameter_value', detail = wrong,
                      hint = 'Write *, a value, a range such as 1-5, or several with commas between them; * and a range may have a step, such as */2.';
        end if;
        result := result || array(select case when number = 5 then n % 7 else n end from generate_series(first, last, step) as n);
    end loop;
    return array(select distinct n from unnest(result) as n order by n);
end
$body$;
comment on function f6.cron_field(text, integer, text) is 'the values that a field of a cron expression stands for, the fields being counted from 1';

create function f6.cron_fields(
    cron text,
    out minutes integer[], out hours integer[], out days integer[], out months integer[], out weekdays integer[], out either boolean
)
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $body$
declare
    fields text[];
    problem text;
begin
    fields := regexp_split_to_array(regexp_replace(lower(left(cron, 1001) collate "C"), '^\s+|\s+$', '', 'g'), '\s+');
    fields := case
        when fields = '{@hourly}' then '{0,*,*,*,*}'
        when fields = '{@daily}' then '{0,0,*,*,*}'
        when fields = '{@weekly}' then '{0,0,*,*,0}'
        when fields = '{@monthly}' then '{0,0,1,*,*}'
        when fields = '{@yearly}' then '{0,0,1,1,*}'
        else fields
    end;
    problem := case
        when cron is null then 'cron must not be NULL'
        when length(cron) > 1000 then format('a cron expression must have at most 1000 characters, found %s', length(cron))
        when fields = '{""}' then 'a cron expression must not be empty'
        when cardinality(fields) <> 5 then format('a cron expression must have five fields, found %s in "%s"', cardinality(fields), cron)
    end;
    if problem is not null then
        raise exception '%', problem
            using errcode = 'invalid_parameter_value',
                  detail = 'The fields are minute, hour, day of month, month and day of week.',
                  hint = 'For example: ''30 2 * * mon-fri'', half past two on weekdays; or one of @hourly, @daily, @weekly, @monthly and @yearly.';
    end if;
    minutes := f6.cron_field(cron, 1, fields[1]);
    hours := f6.cron_field(cron, 2, fields[2]);
    days := f6.cron_field(cron, 3, fields[3]);
    months := f6.cron_field(cron, 4, fields[4]);
    weekdays := f6.cron_field(cron, 5, fields[5]);
    -- As cron has it: a field that begins with * does not restrict.
    either := left(fields[3], 1) <> '*' and left(fields[5], 1) <> '*';
end
$body$;
comment on function f6.cron_fields(text) is 'the values that the fields of a cron expression stand for, and whether either of its kinds of days suffices';

create function f6.cron_moment(shown timestamp) returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $body$
declare
    -- Of two the server takes the later one; where there is none, the time by the clock before the gap.
    moment timestamptz := shown::timestamptz;
    shift numeric := extract(epoch from moment::timestamp - (moment - interval '24 hours')::timestamp) - 24 * 60 * 60;
    earlier timestamptz := moment + make_interval(secs => shift::float8);
    base timestamptz := moment - interval '48 hours';
    before integer := 0;
    after integer := 48 * 60 * 60;
begin
    if moment::timestamp = shown then
        return case when earlier < moment and earlier::timestamp = shown then earlier else moment end;
    end if;
    -- The gap ends at the first second at which the clock shows that time, or a later one.
    while after - before > 1 loop
        if (base + make_interval(secs => (before + after) / 2))::timestamp >= shown then
            after := (before + after) / 2;
        else
            before := (before + after) / 2;
        end if;
    end loop;
    return base + make_interval(secs => after);
end
$body$;
comment on function f6.cron_moment(timestamp) is
    'when the clocks of the session''s time zone first show a time; where they never do, when they are put forward past it';

-- The setting has the zones by their names alone; AT TIME ZONE would take CET for an offset that is the same all year.
create function f6.cron_next(cron text, after timestamptz, timezone text default pg_catalog.current_setting('TimeZone')) returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
    set timezone = 'UTC'
as $body$
declare
    fields record;
    earliest timestamp;
    day timestamp;
    on_day boolean;
    on_weekday boolean;
    hour integer;
    minute integer;
    moment timestamptz;
begin
    fields := f6.cron_fields(cron);
    if isfinite(after) is not true then
        raise exception 'after must be a time, found %', coalesce(after::text, 'NULL') using errcode = 'invalid_parameter_value';
    end if;
    begin
        perform set_config('TimeZone', nullif(timezone, ''), true) where timezone <> '';
        if not found then
            raise exception 'no name' using errcode = 'invalid_parameter_value';
        end if;
    exception when invalid_parameter_value then
        raise exception 'there is no time zone %', coalesce(quote_ident(timezone), 'NULL')
            using errcode = 'invalid_parameter_value', hint = 'pg_timezone_names lists them.';
    end;
    earliest := date_trunc('minute', after::timestamp) + interval '1 minute';
    day := date_trunc('day', earliest);
    while day < earliest + interval '30 years' loop
        if not extract(month from day) = any (fields.months) then
            day := date_trunc('month', day) + interval '1 month';
            continue;
        end if;
        on_day := extract(day from day) = any (fields.days);
        on_weekday := extract(dow from day) = any (fields.weekdays);
        if (case when fields.either then on_day or on_weekday else on_day and on_weekday end) then
            foreach hour in array fields.hours loop
                continue when day + make_interval(hours => hour, mins => 59) < earliest;
                foreach minute in array fields.minutes loop
                    continue when day + make_interval(hours => hour, mins => minute) < earliest;
                    moment := f6.cron_moment(day + make_interval(hours => hour, mins => minute));
                    -- What clocks show for a second time was passed already.
                    if moment > after then
                        return moment;
                    end if;
                end loop;
            end loop;
        end if;
        day := day + interval '1 day';
    end loop;
    return null;
end
$body$;
comment on function f6.cron_next(text, timestamptz, text) is
    'the first time after a time that a cron expression says, by the clocks of a time zone; NULL: there is none within 30 years';

create function f6.cron_last(cron text, first timestamptz, until timestamptz, timezone text) returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
    set timezone = 'UTC'
as $body$
declare
    last timestamptz := first;
    -- There is none from here to the end.
    bound timestamptz := until;
    middle timestamptz;
    next timestamptz;
begin
    loop
        next := f6.cron_next(cron, last, timezone);
        if next > until or next is null then
            return last;
        end if;
        last := next;
        middle := last + (bound - last) / 2;
        next := f6.cron_next(cron, middle, timezone);
        if next <= until then
            last := next;
        else
            bound := middle;
        end if;
    end loop;
end
$body$;
comment on function f6.cron_last(text, timestamptz, timestamptz, text) is
    'the last time, from a first one on until another, that a cron expression says';

create function f6.schedule_event(schedule f6.schedule_definition, occurred_at timestamptz) returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $body$
    select jsonb_build_object('event_type', schedule.event_type, 'object_ids', to_jsonb(schedule.object_ids),
                              'event_data', schedule.event_data, 'zone_id', schedule.zone_id,
                              'occurred_at', to_jsonb(occurred_at), 'metadata', jsonb_build_object('schedule', schedule.name))
$body$;
comment on function f6.schedule_event(f6.schedule_definition, timestamptz) is 'the event that a schedule appends for a time, as f6_append takes it';

create function f6.make_schedule(
    name text, cron text, event_type text, object_ids uuid[], event_data jsonb, timezone text, next_at timestamptz
) returns void
    language c volatile strict as 'MODULE_PATHNAME', 'f6_make_schedule';
comment on function f6.make_schedule(text, text, text, uuid[], jsonb, text, timestamptz) is
    'makes a schedule, of the caller, whose arguments have been checked, and tries its event';

create function @extschema@.f6_create_schedule(
    name text,
    cron text,
    event_type text,
    object_ids uuid[] default '{}',
    event_data jsonb default '{}',
    timezone text default pg_catalog.current_setting('TimeZone')
) returns timestamptz
    language plpgsql volatile
as $body$
declare
    first_at timestamptz;
begin
    if name is null or name operator(pg_catalog.=) '' or pg_catalog.octet_length(name) operator(pg_catalog.>) 1000 then
        raise exception 'the name of a schedule must have from 1 to 1000 bytes' using errcode = 'invalid_parameter_value';
    end if;
    if event_type is null or event_data is null then
        raise exception 'event_type and event_data must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'An event without content has an empty object: ''{}''.';
    end if;
    first_at := f6.cron_next(cron, pg_catalog.clock_timestamp(), timezone);
    if first_at is null then
        raise exception 'cron expression "%" says no time within 30 years', cron
            using errcode = 'invalid_parameter_value', detail = 'None of its months has such a day.';
    end if;
    if pg_catalog.cardinality(object_ids) operator(pg_catalog.>) 0 is not true then
        object_ids := array[@extschema@.f6_object_id('schedule', name)];
    end if;
    perform f6.make_schedule(name, cron, event_type, object_ids, event_data, timezone, first_at);
    return first_at;
end
$body$;
comment on function @extschema@.f6_create_schedule(text, text, text, uuid[], jsonb, text) is
    'makes a schedule, which appends an event at the times that a cron expression says, and returns the first of them';

create function @extschema@.f6_enable_schedule(name text, enabled boolean default true) returns timestamptz
    language c volatile as 'MODULE_PATHNAME', 'f6_enable_schedule';
comment on function @extschema@.f6_enable_schedule(text, boolean) is
    'has a schedule append events or not, and returns the time of the next one; NULL: there is none';

create function @extschema@.f6_drop_schedule(name text) returns void
    language c volatile as 'MODULE_PATHNAME', 'f6_drop_schedule';
comment on function @extschema@.f6_drop_schedule(text) is 'drops a schedule; the events that it has appended stay';

create function @extschema@.f6_run_schedules() returns bigint
    language c volatile cost 10000 as 'MODULE_PATHNAME', 'f6_run_schedules';
comment on function @extschema@.f6_run_schedules() is
    'appends an event for each schedule that is due, as its owner, and returns how many it has appended: what the worker does by itself';

create view f6.schedule as
    select s.name, s.cron, s.timezone, s.event_type, s.object_ids, case when may.read then s.event_data end as event_data, s.zone_id,
           s.owner, s.enabled, s.next_at, s.last_at, s.last_position, s.failures, case when may.read then s.error end as error, s.retry_at
        from f6.schedule_definition as s
        cross join lateral (
            select pg_catalog.has_table_privilege('f6.event', 'select') or pg_catalog.pg_has_role(s.owner::pg_catalog.oid, 'usage') as read) as may;
comment on view f6.schedule is 'the schedules, when their next events are due and what they fail at';
comment on column f6.schedule.name is 'the schedule';
comment on column f6.schedule.cron is 'when events are appended: a cron expression';
comment on column f6.schedule.timezone is 'the time zone whose clocks it goes by';
comment on column f6.schedule.event_type is 'the type of the events';
comment on column f6.schedule.object_ids is 'their objects';
comment on column f6.schedule.event_data is 'their data; for those who may read events, and members of the owner';
comment on column f6.schedule.zone_id is 'their zone';
comment on column f6.schedule.owner is 'as whom they are appended; its members may drop, disable and enable the schedule';
comment on column f6.schedule.enabled is 'whether any are';
comment on column f6.schedule.next_at is 'the time of the next one; NULL: there is none';
comment on column f6.schedule.last_at is 'the time of the last one: its occurred_at';
comment on column f6.schedule.last_position is 'its position';
comment on column f6.schedule.failures is 'how often the next one could not be appended; 0 when one was';
comment on column f6.schedule.error is 'why it could not, the last time; for those who may read events, and members of the owner';
comment on column f6.schedule.retry_at is 'not before this it is tried again';
