-- Schedules: which times a cron expression says, what is appended at them and as whom, what fails, and what is refused.
begin;
select no_plan();
set local timezone = 'UTC';
create schema scheduling;
select set_config('search_path', 'scheduling, ' || current_setting('search_path'), true);
select f6_register_event_type(type, '1', 'true') from unnest('{Ended, Other}'::text[]) as type;
select f6_register_event_type('Strict', '1', '{"required": ["n"]}');

-- Returns the next times of an expression, by the clocks of a zone, with the offset.
create function times(cron text, after timestamptz, zone text, count integer) returns text[] language plpgsql as $$
declare
    result text[] := '{}';
begin
    perform set_config('TimeZone', zone, true);
    for i in 1 .. count loop
        after := f6.cron_next(cron, after, zone);
        result := result || coalesce(to_char(after, 'YYYY-MM-DD HH24:MITZH:TZM'), 'none');
    end loop;
    perform set_config('TimeZone', 'UTC', true);
    return result;
end $$;
-- The same in UTC, without the year and the offset.
create function t(cron text, count integer default 3, after timestamptz default '2024-01-01 00:00:30+00') returns text language sql as
    $$ select array_to_string(array(select substr(x, 6, 11) from unnest(times(cron, after, 'UTC', count)) as x), ', ') $$;

-- The fields.
select is(t('* * * * *'), '01-01 00:01, 01-01 00:02, 01-01 00:03', 'each minute');
select is(t('30 2 * * *'), '01-01 02:30, 01-02 02:30, 01-03 02:30', 'each day');
select is(t('0,30 */12 * * *', 4), '01-01 00:30, 01-01 12:00, 01-01 12:30, 01-02 00:00', 'lists and steps');
select is(t('5-10/2 9 * * *', 4), '01-01 09:05, 01-01 09:07, 01-01 09:09, 01-02 09:05', 'steps of ranges');
select is(t('0 0 1 jan,MAR-apr *', 4), '03-01 00:00, 04-01 00:00, 01-01 00:00, 03-01 00:00', 'months by name');
select is(t('0 12 * * mon-fri', 6), '01-01 12:00, 01-02 12:00, 01-03 12:00, 01-04 12:00, 01-05 12:00, 01-08 12:00', 'days of the week by name');
select is(t('0 12 * * 0', 2), '01-07 12:00, 01-14 12:00', '0 is Sunday');
select is(t('0 12 * * 7', 2), '01-07 12:00, 01-14 12:00', '7 too');
select is(t('0 12 * * fri-sun'), '01-05 12:00, 01-06 12:00, 01-07 12:00', 'and the last of a week that begins on Monday');
select is(t('0 12 * * 5-7/2'), '01-05 12:00, 01-07 12:00, 01-12 12:00', 'with a step too');
select is(t('0 0 13 * fri', 4), '01-05 00:00, 01-12 00:00, 01-13 00:00, 01-19 00:00', 'a day of the month or of the week, where both are given');
select is(t('0 0 */2 * fri'), '01-05 00:00, 01-19 00:00, 02-09 00:00', 'and both, where one begins with *');
select is(t('0 0 1-7 * */3', 4), '01-03 00:00, 01-06 00:00, 01-07 00:00, 02-03 00:00', 'whichever it is');
select is(t('0 0 31 * *'), '01-31 00:00, 03-31 00:00, 05-31 00:00', 'a day that not every month has');
select is(times('0 0 29 2 *', '2024-03-01 00:00+00', 'UTC', 2), '{"2028-02-29 00:00+00:00","2032-02-29 00:00+00:00"}', 'nor every year');
select is(f6.cron_next('0 0 29 2 *', '2096-03-01', 'UTC'), '2104-02-29', 'not even every fourth');
select is(f6.cron_next('0 0 30 2 *', '2024-01-01', 'UTC'), null, 'a day that no year has');
select is(t(e'  0\t12 1  *   * ', 1), '01-01 12:00', 'blanks do not count');
select is(t('@hourly', 2), '01-01 01:00, 01-01 02:00', '@hourly');
select is(t('@Daily', 2), '01-02 00:00, 01-03 00:00', '@daily');
select is(t('@weekly', 2), '01-07 00:00, 01-14 00:00', '@weekly');
select is(t('@monthly', 2), '02-01 00:00, 03-01 00:00', '@monthly');
select is(times('@yearly', '2024-01-01', 'UTC', 2), '{"2025-01-01 00:00+00:00","2026-01-01 00:00+00:00"}', '@yearly, after a time and not at it');
select is(t('59 23 31 12 *', 1), '12-31 23:59', 'the last minute of all');

-- Clocks that are put forward and back.
select is(times('30 2 * * *', '2024-03-30 12:00+00', 'Europe/Amsterdam', 2), '{"2024-03-31 03:00+02:00","2024-04-01 02:30+02:00"}', 'a time that clocks leave out is when they do so');
select is(times('*/20 2,3 * * *', '2024-03-31 00:50+00', 'Europe/Amsterdam', 3), '{"2024-03-31 03:00+02:00","2024-03-31 03:20+02:00","2024-03-31 03:40+02:00"}', 'once, however many there are');
select is(times('30 2 * * *', '2024-10-26 12:00+00', 'Europe/Amsterdam', 2), '{"2024-10-27 02:30+02:00","2024-10-28 02:30+01:00"}', 'a time that clocks show twice is the first of both');
select is(times('*/30 2,3 * * *', '2024-10-27 00:10+00', 'Europe/Amsterdam', 2), '{"2024-10-27 02:30+02:00","2024-10-27 03:00+01:00"}', 'only');
select is(times('*/30 2,3 * * *', '2024-10-27 01:10+00', 'Europe/Amsterdam', 1), '{"2024-10-27 03:00+01:00"}', 'even when one asks after the first');
select is(times('15 2 * * *', '2024-10-05 12:00+00', 'Australia/Lord_Howe', 2), '{"2024-10-06 02:30+11:00","2024-10-07 02:15+11:00"}', 'half an hour that is left out');
select is(times('45 1 * * *', '2024-04-06 12:00+00', 'Australia/Lord_Howe', 2), '{"2024-04-07 01:45+11:00","2024-04-08 01:45+10:30"}', 'and one that is shown twice');
select is(times('0 12 * * *', '2011-12-29 23:00+00', 'Pacific/Apia', 2), '{"2011-12-31 00:00+14:00","2011-12-31 12:00+14:00"}', 'a whole day that is left out');
select is(times('0 0 * * *', '2018-11-03 12:00+00', 'America/Sao_Paulo', 2), '{"2018-11-04 01:00-02:00","2018-11-05 00:00-02:00"}', 'midnight, left out');
select is(times('30 1 * * *', '2024-10-26 12:00+00', 'Europe/Dublin', 2), '{"2024-10-27 01:30+01:00","2024-10-28 01:30+00:00"}', 'where winter is the exception');
-- Debian has such zones apart, in tzdata-legacy.
select case when exists (select from pg_timezone_names where name = 'CET')
    then is(times('0 12 * * *', '2024-07-01', 'CET', 1), '{"2024-07-01 12:00+02:00"}', 'a zone with the name of an offset is a zone')
    else skip('there is no zone CET') end;
select is(f6.cron_next('0 12 * * *', '2024-07-01'), '2024-07-01 12:00+00', 'the zone of the session, if none is given');
set local timezone = 'Europe/Amsterdam';
select is(f6.cron_next('0 12 * * *', '2024-07-01'), '2024-07-01 12:00+02', 'whichever that is');
select is(current_setting('TimeZone'), 'Europe/Amsterdam', 'and stays');
select is(f6.cron_next('0 12 * * *', '2024-07-01 00:00+00', 'America/New_York'), '2024-07-01 12:00-04', 'another one');
set local timezone = 'UTC';

-- The last of those that have passed.
create function walked(cron text, first timestamptz, until timestamptz, zone text) returns timestamptz language plpgsql as $$
declare
    next timestamptz;
begin
    loop
        next := f6.cron_next(cron, first, zone);
        if next > until or next is null then return first; end if;
        first := next;
    end loop;
end $$;
select is(f6.cron_last(c, first, first + passed, zone), walked(c, first, first + passed, zone), format('the last of %s within %s', c, passed))
    from unnest('{*/7 * * * *, 0 0 * * *, 30 2 * * *, 0 0 29 2 *, 0 0 30 2 *, @hourly, 59 23 1-3 * 2}'::text[]) as c,
         unnest('{0, 59 seconds, 1 minute, 1 hour, 3 days 5 hours 7 seconds}'::interval[]) as passed,
         (values ('2024-03-30 21:00:17+00'::timestamptz, 'Europe/Amsterdam'), ('2024-10-27 00:00+00', 'Europe/Amsterdam'), ('2024-02-28 23:59+00', 'UTC')) as x (first, zone);
select is(f6.cron_last('* * * * *', '1994-01-01 00:00+00', '2024-01-01 00:00:59+00', 'UTC'), '2024-01-01 00:00+00', 'of 30 years');

-- What is no expression.
create function refused(cron text, zone text default 'UTC') returns text language plpgsql as $$
declare
    detail text;
    hint text;
begin
    perform f6.cron_next(cron, '2024-01-01', zone);
    return 'accepted';
exception when invalid_parameter_value then
    get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
    return case when hint <> '' then sqlerrm || case when detail like 'The fields are%' then '' else '|' || detail end else 'no hint' end;
end $$;
select is(refused(null), 'cron must not be NULL', 'NULL');
select is(refused(''), 'a cron expression must not be empty', 'nothing');
select is(refused(e' \n '), 'a cron expression must not be empty', 'next to nothing');
select is(refused('0 0 * * * *'), 'a cron expression must have five fields, found 6 in "0 0 * * * *"', 'six fields');
select is(refused('@reboot'), 'a cron expression must have five fields, found 1 in "@reboot"', 'another name');
select is(refused('@daily 0'), 'a cron expression must have five fields, found 2 in "@daily 0"', 'a name and more');
select is(refused(repeat('0,', 5000) || '0 * * * *'), 'a cron expression must have at most 1000 characters, found 10009', 'one that is huge');
select is(refused(repeat('0,', 400) || '0 * * * *'), 'accepted', 'but not one that is long');
select is(refused(cron), format('the %s of cron expression "%s" is not valid|%s', field, cron, why), cron) from (values
    ('60 * * * *', 'minute', '60 is not from 0 to 59.'),
    ('61 * * * *', 'minute', '61 is not from 0 to 59.'),
    ('0 24 * * *', 'hour', '24 is not from 0 to 23.'),
    ('0 0 0 * *', 'day of month', '0 is not from 1 to 31.'),
    ('0 0 32 * *', 'day of month', '32 is not from 1 to 31.'),
    ('0 0 * 13 *', 'month', '13 is not from 1 to 12.'),
    ('0 0 * 0-3 *', 'month', '0-3 is not from 1 to 12.'),
    ('0 0 * * 8', 'day of week', '8 is not from 0 to 7.'),
    ('*/0 * * * *', 'minute', 'The step of */0 is not from 1 to 60.'),
    ('*/61 * * * *', 'minute', 'The step of */61 is not from 1 to 60.'),
    ('0 */90 * * *', 'hour', 'The step of */90 is not from 1 to 24.'),
    ('5-1 * * * *', 'minute', 'The range 5-1 ends before it begins.'),
    ('0 0 * * sat-mon', 'day of week', 'The range sat-mon ends before it begins.'),
    ('5/10 * * * *', 'minute', '5/10 has a step, but no range.'),
    ('mon * * * *', 'minute', '"mon" is none of these.'),
    ('0 0 * mon *', 'month', '"mon" is none of these.'),
    ('0 0 * * xyz', 'day of week', '"xyz" is none of these.'),
    ('0 0 * * 1-xyz', 'day of week', '"1-xyz" is none of these.'),
    ('1,,2 * * * *', 'minute', '"" is none of these.'),
    (', * * * *', 'minute', '"" is none of these.'),
    ('-1 * * * *', 'minute', '"-1" is none of these.'),
    ('1.5 * * * *', 'minute', '"1.5" is none of these.'),
    ('123 * * * *', 'minute', '"123" is none of these.'),
    ('99999999999999999999 * * * *', 'minute', '"99999999999999999999" is none of these.'),
    ('0 0 L * *', 'day of month', '"l" is none of these.'),
    ('0 0 ? * *', 'day of month', '"?" is none of these.'),
    ('** * * * *', 'minute', '"**" is none of these.'),
    ('*/ * * * *', 'minute', '"*/" is none of these.')) as r (cron, field, why);
select is(refused('* * * * *', 'Europe/Nowhere'), 'there is no time zone "Europe/Nowhere"|', 'an unknown time zone');
select is(refused('* * * * *', ''), 'there is no time zone ""|', 'one without a name');
select is(refused('* * * * *', null), 'there is no time zone NULL|', 'or none');
select throws_ok($$ select f6.cron_next('* * * * *', null) $$, '22023', 'after must be a time, found NULL', 'after NULL');
select throws_ok($$ select f6.cron_next('* * * * *', 'infinity') $$, '22023', 'after must be a time, found infinity', 'after all times');

-- Making one.
create function due(schedule text, at timestamptz default now() - interval '1 hour') returns void language sql as
    $$ update f6.schedule_definition set next_at = at, retry_at = null where name = schedule $$;
create function appended(schedule text) returns setof f6.event language sql as
    $$ select * from f6.event where metadata ->> 'schedule' = schedule order by "position" $$;
select is(f6_create_schedule('day', '0 0 * * *', 'Ended'), date_trunc('day', clock_timestamp()) + interval '1 day', 'a schedule begins with its next time');
select results_eq($$ select cron, timezone, event_type, object_ids, event_data, zone_id, owner::oid, enabled, next_at > now(), last_at, last_position, failures, error, retry_at from f6.schedule where name = 'day' $$,
    $$ values ('0 0 * * *', 'UTC', 'Ended', array[f6_object_id('schedule', 'day')], '{}'::jsonb, 1, current_user::regrole::oid, true, true, null::timestamptz, null::bigint, 0, null::text, null::timestamptz) $$, 'it shows');
select is((select count(*) from appended('day')), 0::bigint, 'nothing is appended yet');
select is(f6_run_schedules(), 0::bigint, 'nor when nothing is due');
select due('day', date_trunc('day', now()) - interval '3 days');
select is(f6_run_schedules(), 1::bigint, 'one event for all times that were missed');
select results_eq($$ select event_type, occurred_at, object_ids, event_data, metadata, zone_id from appended('day') $$,
    $$ values ('Ended', date_trunc('day', clock_timestamp()), array[f6_object_id('schedule', 'day')], '{}'::jsonb, '{"schedule": "day"}'::jsonb, 1) $$, 'for the last of them');
select is(row (next_at, last_at, last_position), row (date_trunc('day', clock_timestamp()) + interval '1 day', e.occurred_at, e."position"), 'which it notes')
    from f6.schedule as s, appended('day') as e where s.name = 'day';
select is(f6_run_schedules(), 0::bigint, 'and none is due then');
select due('day', now() - interval '1 microsecond');
select is(f6_run_schedules(), 1::bigint, 'a time that has just passed');
select is(max(occurred_at), now() - interval '1 microsecond', 'is the time of the event') from appended('day');

-- What the event is.
select f6_register_zone('Scheduled', 'zone') as zone \gset
set local f6.zone = 'Scheduled/zone';
select f6_create_schedule('strict', '*/5 * * * *', 'Strict', array[f6_object_id('a', '1'), f6_object_id('a', '2')], '{"n": [1, null, 1.50]}', 'Europe/Amsterdam') is not null;
reset f6.zone;
select due('strict');
select is(f6_run_schedules(), 1::bigint, 'an event with objects and data');
select results_eq($$ select cardinality(object_ids), event_data::text, zone_id from appended('strict') $$, format('values (2, %L, %s)', '{"n": [1, null, 1.50]}', :zone), 'in the zone of who has made it');
select f6_create_schedule('a "quoted" ''näme''', '@hourly', 'Other') is not null;
select due('a "quoted" ''näme''');
select is(f6_run_schedules(), 1::bigint, 'any name');
select is((select count(*) from appended('a "quoted" ''näme''')), 1::bigint, 'is that in the metadata');
select lives_ok($$ select f6_create_schedule('null', '@daily', 'Ended', null) $$, 'objects may be left out');

-- Disabled and enabled.
select is(f6_enable_schedule('day', false), null, 'a schedule that is disabled has no next time');
select due('strict', null), due('day');
select is(f6_run_schedules(), 0::bigint, 'and appends nothing');
select is(f6_enable_schedule('day'), date_trunc('day', clock_timestamp()) + interval '1 day', 'when it is enabled it goes on with the next one');
select is(f6_run_schedules(), 0::bigint, 'and what it has missed is not made up for');
select due('day');
select f6_enable_schedule('day');
select is(f6_run_schedules(), 1::bigint, 'to enable one that is enabled changes nothing');

-- What fails.
select f6_create_schedule('failing', '* * * * *', 'Ended') is not null;
update f6.schedule_definition set event_type = 'Nothing' where name = 'failing';
select due('failing', now() - interval '2 hours'), due('day'), due('strict');
select is(f6_run_schedules(), 2::bigint, 'one that fails does not hold up the others');
select is(error, '42704: event type "Nothing" is not registered', 'it says why') from f6.schedule where name = 'failing';
select ok(failures = 1 and next_at < now() and retry_at between now() + interval '1 second' and clock_timestamp() + interval '1 second', 'and when it is tried again') from f6.schedule where name = 'failing';
select is(f6_run_schedules(), 0::bigint, 'not before that');
update f6.schedule_definition set retry_at = null where name = 'failing';
select is(f6_run_schedules(), 0::bigint, 'then');
select ok(failures = 2 and retry_at between now() + interval '2 seconds' and clock_timestamp() + interval '2 seconds', 'and later each time') from f6.schedule where name = 'failing';
update f6.schedule_definition set retry_at = null, failures = 100000 where name = 'failing';
select f6_run_schedules();
select ok(failures = 100001 and retry_at between now() + interval '5 minutes' and clock_timestamp() + interval '5 minutes', 'five minutes at most') from f6.schedule where name = 'failing';
update f6.schedule_definition set event_type = 'Strict' where name = 'failing';
update f6.schedule_definition set retry_at = null where name = 'failing';
select is(f6_run_schedules(), 0::bigint, 'data that the type refuses');
select ok(error like e'23514: event data is not valid for event type "Strict" version "1"\n%', 'is told in detail') from f6.schedule where name = 'failing';
update f6.schedule_definition set event_type = 'Ended', retry_at = null where name = 'failing';
select is(f6_run_schedules(), 1::bigint, 'what is mended goes on');
select is(row (failures, error, retry_at, last_at), row (0, null::text, null::timestamptz, date_trunc('minute', clock_timestamp())), 'with the last time that has passed, and nothing is left of the failures') from f6.schedule where name = 'failing';
update f6.schedule_definition set timezone = 'Gone/Nowhere' where name = 'failing';
select due('failing');
select is(f6_run_schedules(), 0::bigint, 'a time zone that is gone');
select is(error, '22023: there is no time zone "Gone/Nowhere"', 'is an error as others') from f6.schedule where name = 'failing';
select is(f6_enable_schedule('failing', false), null, 'it can be disabled');
select throws_ok($$ select f6_enable_schedule('failing') $$, '22023', 'there is no time zone "Gone/Nowhere"', 'but not enabled');
select f6_drop_schedule('failing');

-- What is refused.
select throws_ok($$ select f6_create_schedule('day', '@daily', 'Ended') $$, '42710', 'schedule "day" exists', 'a name twice');
select throws_ok($$ select f6_create_schedule('', '@daily', 'Ended') $$, '22023', null, 'no name');
select throws_ok($$ select f6_create_schedule(null, '@daily', 'Ended') $$, '22023', null, 'NULL');
select throws_ok($$ select f6_create_schedule(repeat('x', 1001), '@daily', 'Ended') $$, '22023', null, 'a name that is too long');
select throws_ok($$ select f6_create_schedule('x', null, 'Ended') $$, '22023', 'cron must not be NULL', 'no times');
select throws_ok($$ select f6_create_schedule('x', '0 0 30 2 *', 'Ended') $$, '22023', 'cron expression "0 0 30 2 *" says no time within 30 years', 'times that never come');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended', timezone => 'Nowhere') $$, '22023', 'there is no time zone "Nowhere"', 'no such zone');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended', timezone => null) $$, '22023', 'there is no time zone NULL', 'no zone');
select throws_ok($$ select f6_create_schedule('x', '@daily', null) $$, '22004', null, 'no type');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended', event_data => null) $$, '22004', null, 'no data');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Nothing') $$, '42704', 'event type "Nothing" is not registered', 'a type that is not registered');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Strict') $$, '23514', null, 'data that its type refuses');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended', array[null]::uuid[]) $$, '22023', null, 'a NULL as an object');
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended', array[f6_object_id('a', '1'), f6_object_id('a', '1')]) $$, '22023', 'object_ids must not contain duplicates', 'an object twice');
set local f6.zone = 'nowhere';
select throws_ok($$ select f6_create_schedule('x', '@daily', 'Ended') $$, '42704', null, 'a zone that there is not');
reset f6.zone;
select is((select count(*) from f6.schedule where name = 'x'), 0::bigint, 'nothing of that is left');
select throws_ok($$ select f6_drop_schedule('nothing') $$, '42704', 'there is no schedule "nothing"', 'dropping nothing');
select throws_ok($$ select f6_drop_schedule(null) $$, '22004', 'name must not be NULL', 'dropping NULL');
select throws_ok($$ select f6_enable_schedule('nothing') $$, '42704', 'there is no schedule "nothing"', 'enabling nothing');
select throws_ok($$ select f6_enable_schedule(null) $$, '22004', 'name must not be NULL', 'enabling NULL');
select throws_ok($$ select f6_enable_schedule('day', null) $$, '22004', 'enabled must not be NULL', 'enabling perhaps');

-- Who may do what.
create role planner;
create role colleague;
create role stranger;
create role admin;
grant f6_writer to planner;
grant f6_admin to admin;
grant usage on schema scheduling to planner, colleague, stranger, admin;
set local role planner;
select lives_ok($$ select f6_create_schedule('own', '@daily', 'Ended', event_data => '{"secret": 1}') $$, 'who may append may schedule');
select throws_ok($$ select f6_run_schedules() $$, '42501', null, 'but not run what others have made');
select throws_ok($$ select f6_drop_schedule('day') $$, '42501', 'schedule "day" is not yours', 'or drop it');
select throws_ok($$ select f6_enable_schedule('day', false) $$, '42501', 'schedule "day" is not yours', 'or disable it');
select throws_ok($$ update f6.schedule_definition set owner = 'postgres' $$, '42501', null, 'or change one');
select throws_ok($$ insert into f6.schedule_definition select * from f6.schedule_definition $$, '42501', null, 'or make one otherwise');
select throws_ok($$ select f6.make_schedule('own 2', 'no cron', 'Nothing', '{}', '{}', 'UTC', now()) $$, '22023', null, 'or past the checks');
select is(event_data, '{"secret": 1}', 'they see what is theirs') from f6.schedule where name = 'own';
select is(event_data, null, 'and not what others append, since they may not read it') from f6.schedule where name = 'strict';
set local role colleague;
select throws_ok($$ select f6_drop_schedule('own') $$, '42501', 'schedule "own" is not yours', 'nobody else may drop it');
set local role stranger;
select throws_ok($$ select f6_create_schedule('strange', '@daily', 'Ended') $$, '42501', null, 'who may not append may not schedule');
select throws_ok($$ select * from f6.schedule $$, '42501', null, 'nor look');
reset role;
grant planner to colleague;
set local role colleague;
select lives_ok($$ select f6_enable_schedule('own', false), f6_enable_schedule('own') $$, 'but members of the role that has made it');
reset role;
-- A trigger of the log's owner sees as whom an event is appended, and by which settings.
create table seen (who name, session name, path text, zone text);
grant insert on seen to public;
create function look() returns trigger language plpgsql as $$ begin insert into scheduling.seen values (current_user, session_user, current_setting('search_path'), current_setting('TimeZone')); return new; end $$;
create trigger look before insert on f6.event for each row execute function look();
grant execute on function look() to public;
select due('own');
set local role admin;
set local search_path = scheduling, public;
set local timezone = 'Asia/Tokyo';
select is(f6_run_schedules(), 1::bigint, 'an administrator runs them');
select is(current_user, 'admin'::name, 'and stays who they are');
select is(current_setting('TimeZone'), 'Asia/Tokyo', 'where they are');
reset role;
set local timezone = 'UTC';
select results_eq('select who, session, path, zone from seen', $$ values ('planner'::name, session_user, 'pg_catalog, pg_temp', 'UTC') $$, 'each is appended as its owner, by the names of the catalog and its own zone');
drop trigger look on f6.event;
revoke f6_writer from planner;
select due('own');
select is(f6_run_schedules(), 0::bigint, 'an owner who may append no longer');
select is(error, '42501: permission denied for table event', 'fails') from f6.schedule where name = 'own';
update f6.schedule_definition set owner = 4000000000::oid, retry_at = null where name = 'own';
select is(f6_run_schedules(), 0::bigint, 'and so does one who is gone');
select is(error, '42704: the owner of schedule "own" does not exist', 'whatever the number is') from f6.schedule where name = 'own';
select lives_ok($$ select f6_drop_schedule('own'), f6_drop_schedule('day') $$, 'a schedule is dropped');
select is((select count(*) from f6.schedule where name in ('own', 'day')), 0::bigint, 'and is gone');
select isnt((select count(*) from appended('day')), 0::bigint, 'its events are not');
set local transaction_read_only = on;
select throws_ok($$ select f6_run_schedules() $$, '25006', null, 'nothing is run where nothing can be written');
select * from finish();
rollback;
