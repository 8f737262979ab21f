-- Timelines: f6_history, f6_formal_history, f6_bitemporal and f6_changes, on histories made by hand and on random ones.
--
-- A scenario has a zone and an object of its own.  Days are of 2024 ('03-20'); something occurs at the start of a day, and is
-- recorded at noon.

begin;
select plan(89);

set local timezone = 'UTC';
set local datestyle = 'ISO, YMD';

create schema timeline;
select set_config('search_path', 'timeline, ' || current_setting('search_path'), true);

-- Begins a scenario.
create function scenario(name text) returns void language plpgsql as $$
begin
    perform set_config('timeline.scenario', name, true);
    perform set_config('f6.zone', f6_register_zone('timeline', name)::text, true);
end
$$;

-- Returns the scenario's object.
create function object() returns uuid language sql as $$
    select f6_object_id('timeline', current_setting('timeline.scenario'));
$$;

-- Returns the id of an event of the scenario.
create function id(name text) returns uuid language sql as $$
    select f6_object_id('timeline event', current_setting('timeline.scenario') || name);
$$;

-- Returns the start of a day, as its text has it.
create function day(day text) returns timestamptz language sql as $$
    select case when day like '%infinity' then day else '2024-' || day end::timestamptz;
$$;

-- Returns noon of a day.
create function noon(day text) returns timestamptz language sql as $$
    select day(day) + interval '12 hours';
$$;

-- Returns a day as text: '03-20', or with its year if that is another.
create function text_of(moment timestamptz) returns text language sql as $$
    select case when not isfinite(moment) then moment::text
                else to_char(moment, case when extract(year from moment) = 2024 then 'MM-DD' else 'YYYY-MM-DD' end) end;
$$;

-- Records an event at noon of a day.
create function record(
    kind f6.event_kind, name text, recorded text, data jsonb, occurred text, targets text[], type text, version text
) returns void language sql as $$
    select f6_append(type, case when kind = 'claim' then array[object()] end, data, event_version => version, event_kind => kind,
                     occurred_at => day(coalesce(occurred, recorded)),
                     event_reference => (select array_agg(id(n)) from unnest(targets) as n),
                     metadata => jsonb_build_object('name', name), id => id(name), created_at => noon(recorded));
$$;

create function claim(
    name text, recorded text, data jsonb, occurred text default null, type text default 'Residence', version text default '1'
) returns void language sql as $$
    select record('claim', name, recorded, data, occurred, null, type, version);
$$;

create function correct(
    name text, targets text[], recorded text, data jsonb, occurred text default null, type text default 'Residence',
    version text default '1'
) returns void language sql as $$
    select record('correction', name, recorded, data, occurred, targets, type, version);
$$;

create function validate(name text, targets text[], recorded text) returns void language sql as $$
    select record('validation', name, recorded, 'null', recorded, targets, 'Residence', '1');
$$;

create function at(address text) returns jsonb language sql as $$
    select jsonb_build_object('at', address);
$$;

-- Returns a state as short text: the address, or the whole where there is more.
create function short(state jsonb) returns text language sql as $$
    select case when state - 'at' = '{}' then state ->> 'at' else coalesce(state::text, '-') end;
$$;

-- Returns the name of an event.
create function name_of(event_id uuid) returns text language sql as $$
    select e.metadata ->> 'name' from f6.event as e where e.id = event_id;
$$;

-- Returns the timeline as known on a day: 'from to state (event), ...'.
create function history(known text default 'infinity', legal boolean default false, versions jsonb default null) returns text
language sql as $$
    select string_agg(format('%s %s %s (%s)', text_of(valid_from), text_of(valid_to), short(state), name_of(event_id)), ', ')
        from f6_history(object(), noon(known), legal => legal, versions => versions);
$$;

-- Returns what was known of a day, in the same form.
create function formal_history(valid text default 'infinity', legal boolean default false, versions jsonb default null) returns text
language sql as $$
    select string_agg(format('%s %s %s (%s)', text_of(known_from), text_of(known_to), short(state), name_of(event_id)), ', ')
        from f6_formal_history(object(), day(valid), legal => legal, versions => versions);
$$;

-- Returns the rectangles: 'known from to, valid from to: state (event); ...'.
create function bitemporal(legal boolean default false) returns text language sql as $$
    select string_agg(format('%s %s, %s %s: %s (%s)', text_of(known_from), text_of(known_to), text_of(valid_from),
                             text_of(valid_to), short(state), name_of(event_id)), '; ')
        from f6_bitemporal(object(), legal => legal);
$$;

-- Returns what was learned between two days: 'from to before > after, ...'.
create function changes(known_from text, known_to text, legal boolean default false) returns text language sql as $$
    select string_agg(format('%s %s %s > %s', text_of(valid_from), text_of(valid_to), short(before), short(after)), ', ')
        from f6_changes(object(), noon(known_from), noon(known_to), legal => legal);
$$;

-- Returns a document as a JSON Patch leaves it; a patch of f6_changes leads only through objects.
create function patched(document jsonb, patch jsonb) returns jsonb language plpgsql as $$
declare
    operation jsonb;
    path text[];
begin
    for operation in select o from jsonb_array_elements(patch) with ordinality as u (o, n) order by n
    loop
        if operation ->> 'path' = '' then
            document := operation -> 'value';
            continue;
        end if;
        select array_agg(replace(replace(token, '~1', '/'), '~0', '~') order by n)
            into path
            from regexp_split_to_table(substr(operation ->> 'path', 2), '/') with ordinality as u (token, n);
        if (operation ->> 'op' = 'add') <> (document #> path is null) then
            raise exception 'the patch has no place at %', path;
        end if;
        case operation ->> 'op'
            when 'remove' then document := document #- path;
            when 'add', 'replace' then document := jsonb_set(document, path, operation -> 'value');
        end case;
    end loop;
    return document;
end
$$;

-- Residence: no date of effect, then one.  Decree: legal at once.
select f6_register_event_type('Residence', '1', 'true');
select f6_register_event_type('Residence', '2', 'true', valid_from => '/since');
select f6_register_event_type('Decree', '1', 'true', legal_when_claimed => true);
select f6_register_event_type('Renamed', '1', 'true');
select f6_register_event_type('Renamed', '2', 'true');
select f6_register_upcaster('Residence', '1', '2'), f6_register_upcaster('Residence', '2', '1');
select f6_register_upcaster('Renamed', '1', '2', steps => '[{"op": "rename", "path": "/address", "to": "at"}]');
select f6_register_upcaster('Renamed', '2', '1', steps => '[{"op": "rename", "path": "/at", "to": "address"}]');

--
-- Scenarios
--

select scenario('nothing');
select is(history(), null, 'of an object that no event names there is no timeline');
select is(formal_history(), null, 'nor along formal time');
select is(bitemporal(), null, 'nor along both');
select is(changes('-infinity', 'infinity'), null, 'nor was anything learned of it');

select scenario('moves');
select claim('A', '01-01', at('A'));
select claim('B', '02-01', at('B'));
select is(history(), '01-01 02-01 A (A), 02-01 infinity B (B)', 'a row for each span, the last one for ever');
select is(history('01-31'), '01-01 infinity A (A)', 'as known before');
select is(history('-infinity'), null, 'nothing is known before the first event');
select is(formal_history('02-10'), '01-01 02-01 A (A), 02-01 infinity B (B)', 'what was known of a day, for each span of formal time');
select is(formal_history('01-31'), '01-01 infinity A (A)', 'what is later in material time is not about that day');
select is((select count(*) from f6_formal_history(object(), '2023-12-31')), 0::bigint, 'of a day before the first there is nothing to know');
select is(bitemporal(),
          '01-01 02-01, 01-01 infinity: A (A); 02-01 infinity, 01-01 02-01: A (A); 02-01 infinity, 02-01 infinity: B (B)',
          'a span that is cut short ends a rectangle');
select is(changes('01-01', '02-01'), '02-01 infinity A > B', 'what was learned: before and after');
select is(changes('-infinity', 'infinity'), '01-01 02-01 - > A, 02-01 infinity - > B', 'all that was ever learned');
select is(changes('02-01', 'infinity'), null, 'nothing was learned later');
select is(changes('02-01', '02-01'), null, 'nor in no time');

select scenario('backdated');
select claim('A', '01-01', at('A'));
select claim('C', '03-01', at('C'));
select claim('B', '04-01', at('B'), '02-01');
select is(history(), '01-01 02-01 A (A), 02-01 03-01 B (B), 03-01 infinity C (C)', 'a backdated claim stands where it occurred');
select is(history('03-31'), '01-01 03-01 A (A), 03-01 infinity C (C)', 'and was not known before');
select is(formal_history('02-10'), '01-01 04-01 A (A), 04-01 infinity B (B)', 'what was known of the day that it is about changed');
select is(formal_history('03-10'), '01-01 03-01 A (A), 03-01 infinity C (C)', 'what is later was known all along');
select is(bitemporal(),
          '01-01 03-01, 01-01 infinity: A (A); 03-01 04-01, 01-01 03-01: A (A); 03-01 infinity, 03-01 infinity: C (C); '
          '04-01 infinity, 01-01 02-01: A (A); 04-01 infinity, 02-01 03-01: B (B)',
          'a rectangle that a change does not touch goes on');
select is(changes('03-01', '04-01'), '02-01 03-01 A > B', 'only the span that it is about was touched');

select scenario('corrections');
select claim('A', '01-01', at('A'));
select claim('B', '02-01', at('B'));
select correct('K1', array['B'], '03-01', at('C'), '02-01');
select correct('K2', array['B'], '03-02', at('C'), '01-15');
select correct('K3', array['B'], '03-03', 'null');
select correct('K4', array['K3'], '03-04', 'null');
select correct('K5', array['A', 'B'], '03-05', 'null');
select is(history('03-01'), '01-01 02-01 A (A), 02-01 infinity C (B)', 'a correction restates the claim that began a span');
select is(history('03-02'), '01-01 01-15 A (A), 01-15 infinity C (B)', 'or moves it');
select is(history('03-03'), '01-01 infinity A (A)', 'or removes it');
select is(history('03-04'), '01-01 01-15 A (A), 01-15 infinity C (B)', 'and may be removed itself');
select is(history('03-05'), null, 'where all is removed nothing is known');
select is(formal_history('02-10'),
          '01-01 02-01 A (A), 02-01 03-01 B (B), 03-01 03-03 C (K1), 03-03 03-04 A (K3), 03-04 03-05 C (K4)',
          'along formal time it is the correction that made the difference, and what is removed is not known any more');
select is(formal_history('01-20'), '01-01 03-02 A (A), 03-02 03-03 C (K2), 03-03 03-04 A (K3), 03-04 03-05 C (K4)',
          'also where it was moved to');
select is(changes('03-01', '03-02'), '01-15 02-01 A > C', 'what moves touches what lies between');
select is(changes('03-02', '03-03'), '01-15 infinity C > A', 'what is removed touches all it was about');
select is(changes('03-02', '03-04'), null, 'what is undone was not learned');
select is(changes('02-01', '03-05'), '01-01 02-01 A > -, 02-01 infinity B > -', 'where nothing is known any more there is no state after');
select is((select array_agg(patch) from f6_changes(object(), noon('02-01'), noon('03-05'))), array[null, null]::jsonb[],
          'nor a patch that leads to it');
select is((select array_agg(patch) from f6_changes(object(), '-infinity', noon('01-01'))),
          array['[{"op": "add", "path": "", "value": {"at": "A"}}]']::jsonb[], 'from nothing, the patch adds the whole');
select is(bitemporal(),
          '01-01 02-01, 01-01 infinity: A (A); 02-01 03-02, 01-01 02-01: A (A); 02-01 03-01, 02-01 infinity: B (B); '
          '03-01 03-02, 02-01 infinity: C (B); 03-02 03-03, 01-01 01-15: A (A); 03-02 03-03, 01-15 infinity: C (B); '
          '03-03 03-04, 01-01 infinity: A (A); 03-04 03-05, 01-01 01-15: A (A); 03-04 03-05, 01-15 infinity: C (B)',
          'all of it in rectangles');

select scenario('legal');
select claim('A', '01-01', at('A'), type => 'Decree');
select claim('B', '02-01', at('B'));
select validate('V1', array['B'], '02-10');
select correct('K', array['V1'], '02-20', 'null', type => 'Decree');
select validate('V2', array['B'], '03-01');
select is(history('02-05', true), '01-01 infinity A (A)', 'what is not validated is in no legal timeline');
select is(history('02-05'), '01-01 02-01 A (A), 02-01 infinity B (B)', 'as claimed it is');
select is(history('02-15', true), '01-01 02-01 A (A), 02-01 infinity B (B)', 'validated it stands where it occurred');
select is(formal_history('02-01', true), '01-01 02-10 A (A), 02-10 02-20 B (V1), 02-20 03-01 A (K), 03-01 infinity B (V2)',
          'a validation makes the difference, and so does its withdrawal');
select is(changes('02-05', '02-15', true), '02-01 infinity A > B', 'a validation may be all that was learned');
select is(changes('02-05', '02-15'), null, 'which as claimed was nothing');
select is(bitemporal(true),
          '01-01 02-10, 01-01 infinity: A (A); 02-10 02-20, 01-01 02-01: A (A); 02-10 02-20, 02-01 infinity: B (B); '
          '02-20 03-01, 01-01 infinity: A (A); 03-01 infinity, 01-01 02-01: A (A); 03-01 infinity, 02-01 infinity: B (B)',
          'legal rectangles');

select scenario('versions');
select claim('A', '01-01', '{"address": "A"}', type => 'Renamed', version => '1');
select claim('B', '02-01', at('B'), type => 'Renamed', version => '2');
select correct('K', array['A'], '02-02', '{"address": "C"}', '01-01', 'Renamed', '1');
select is(history(), '01-01 02-01 C (A), 02-01 infinity B (B)', 'states are read in the newest version');
select is(history(versions => '{"Renamed": "1"}'), '01-01 02-01 {"address": "C"} (A), 02-01 infinity {"address": "B"} (B)',
          'or in the one that is asked for');
select is(formal_history('01-10', versions => '{"Renamed": "1"}'), '01-01 02-02 {"address": "A"} (A), 02-02 infinity {"address": "C"} (K)',
          'along formal time too');
select is((select string_agg(short(state), ' ') from f6_bitemporal(object(), versions => '{"Renamed": "1"}')),
          '{"address": "A"} {"address": "A"} {"address": "B"} {"address": "C"}', 'and along both');
select is((select string_agg(short(after), ' ') from f6_changes(object(), '-infinity', versions => '{"Renamed": "1"}')),
          '{"address": "C"} {"address": "B"}', 'and what was learned, until now if nothing else is said');

select scenario('same instant');
select claim('A', '01-01', at('A'));
select claim('B', '01-01', '{"room": 1}');
select claim('C', '01-02', '{"room": 2}', '02-01');
select claim('D', '01-02', '{"room": 1}', '02-01');
select claim('E', '01-03', at('A'), '03-01');
select is(history(), '01-01 infinity {"at": "A", "room": 1} (B)', 'what occurs at one time is one step, and steps that change nothing begin no span');
select is(formal_history('infinity'), '01-01 infinity {"at": "A", "room": 1} (B)', 'nor along formal time');
select is(bitemporal(), '01-01 infinity, 01-01 infinity: {"at": "A", "room": 1} (B)', 'nor along both');
select is(changes('01-01', 'infinity'), null, 'nor was anything learned');

select scenario('dated');
select claim('A', '01-01', at('A'));
select claim('B', '01-02', '{"at": "B", "since": "2024-06-01"}', version => '2');
select is(history(), '01-01 06-01 A (A), 06-01 infinity {"at": "B", "since": "2024-06-01"} (B)', 'what is dated in the future is in the timeline');
select is(formal_history('05-31'), '01-01 infinity A (A)', 'and does not count before');

select scenario('infinity');
select claim('first', '01-01', at('first'), '-infinity');
select claim('A', '01-02', at('A'));
select claim('last', '01-03', at('last'), 'infinity');
select is(history(), '-infinity 01-02 first (first), 01-02 infinity A (A)', 'a timeline may begin at -infinity; what is dated infinity is in no span');
select is(bitemporal(), '01-01 01-02, -infinity infinity: first (first); 01-02 infinity, -infinity 01-02: first (first); 01-02 infinity, 01-02 infinity: A (A)',
          'nor in a rectangle');
select is(formal_history(), '01-01 01-02 first (first), 01-02 01-03 A (A), 01-03 infinity last (last)', 'of the end of time it is known');
select is(formal_history('-infinity'), '01-01 infinity first (first)', 'and of its beginning, what is dated so');
select is(changes('01-02', 'infinity'), null, 'what is dated infinity changes no span');

select scenario('patch');
select claim('A', '01-01', '{"a": 1, "b": {"c": [1, {"n": null}], "d": "x", "e/f~g": {}, "": 1}, "g": 1.0}');
select claim('B', '01-02', '{"a": null, "b": {"c": [1], "d": {"y": true}, "e/f~g": {"h": 1}, "": 2}, "g": 1.00, "i": "new"}', '01-01');
select is((select patch from f6_changes(object(), noon('01-01'), 'infinity')),
          '[{"op": "remove", "path": "/a"}, {"op": "replace", "path": "/b/", "value": 2}, {"op": "replace", "path": "/b/c", "value": [1]},
            {"op": "replace", "path": "/b/d", "value": {"y": true}}, {"op": "add", "path": "/b/e~1f~0g/h", "value": 1},
            {"op": "add", "path": "/i", "value": "new"}]',
          'objects are compared member by member, arrays are replaced, and numbers are compared by value');
select is((select patched(before, patch) from f6_changes(object(), noon('01-01'), 'infinity')), f6_state_asof(object()),
          'applied to the state before, the patch gives the state after');
select claim('C', '01-03', '["all"]', '01-01');
select is((select patch from f6_changes(object(), noon('01-02'), 'infinity')), '[{"op": "replace", "path": "", "value": ["all"]}]',
          'what becomes something else than an object is replaced as a whole');

--
-- Arguments and privileges
--

select is_empty($$ select * from f6_history(null) $$, 'no object has no timeline');
select is_empty($$ select * from f6_formal_history(null) $$, 'nor along formal time');
select is_empty($$ select * from f6_bitemporal(null) $$, 'nor along both');
select is_empty($$ select * from f6_changes(null, '-infinity') $$, 'nor was anything learned of it');
select throws_ok($$ select f6_history(object(), null) $$, '22004', 'known_at must not be NULL', 'known_at is required');
select throws_ok($$ select f6_formal_history(object(), null) $$, '22004', 'valid_at must not be NULL', 'valid_at is required');
select throws_ok($$ select f6_changes(object(), null) $$, '22004', 'known_from must not be NULL', 'known_from is required');
select throws_ok($$ select f6_changes(object(), '-infinity', null) $$, '22004', 'known_to must not be NULL', 'known_to is required');
select throws_ok($$ select f6_bitemporal(object(), legal => null) $$, '22004', 'legal must not be NULL', 'legal is required');
select throws_ok($$ select f6_bitemporal(object(), projection => 'x') $$, '42704', 'projection "x" does not exist', 'a projection must exist');
select throws_ok($$ select f6_changes(object(), 'infinity', '-infinity') $$, '22023', 'known_from must not be later than known_to',
                 'what was learned backwards is no question');

create role timeline_reader in role f6_reader;
grant usage on schema timeline to timeline_reader;
alter table f6.event enable row level security;
create policy timeline_hidden on f6.event for select to timeline_reader using (event_data <> '["all"]');
set local role timeline_reader;
select is((select count(*) from f6_bitemporal(object())), 2::bigint, 'row level security hides events from timelines');
reset role;
select is((select count(*) from f6_bitemporal(object())), 3::bigint, 'but only from those whom it concerns');
alter table f6.event disable row level security;

--
-- Random histories, compared with f6_state_asof at every time that matters and between these
--

select setseed(0.4);

-- Returns a random integer from 0 up to, not including, the limit.
create function below(upper_limit int) returns int language sql volatile as $$
    select floor(random() * upper_limit)::int;
$$;

-- Returns random data: small objects that write over each other's members, and now and then something else.
create function random_data() returns jsonb language plpgsql volatile as $$
declare
    data jsonb := '{}';
begin
    if below(20) = 0 then
        return (array['null', '[1, {"n": null}]', '"text"'])[1 + below(3)];
    end if;
    for i in 0 .. below(3) loop
        data := data || jsonb_build_object((array['a', 'b', 'c/d', ''])[1 + below(4)],
                                           ((array['1', '2', 'null', '{"x": 1}', '{"x": null, "y": [null, 2]}', '1.0'])[1 + below(6)])::jsonb);
    end loop;
    if below(2) = 0 then
        data := data || jsonb_build_object('since', to_char(timestamptz '2024-01-01' + below(8) * interval '1 day', 'YYYY-MM-DD'));
    end if;
    return data;
end
$$;

-- Appends a random event to the history of an object, next to the ids of those before, and returns its id.
create function random_event(object uuid, known uuid[], zones int[], clocks timestamptz[]) returns uuid language plpgsql volatile as $$
declare
    kind f6.event_kind := case when known = '{}' or below(2) = 0 then 'claim' when below(3) > 0 then 'correction' else 'validation' end;
    zone int := 1 + below(array_length(zones, 1));
    type text := (array['Residence', 'Residence', 'Decree', 'Renamed'])[1 + below(4)];
    targets uuid[];
    result uuid;
begin
    if kind <> 'claim' then
        targets := array[known[1 + below(array_length(known, 1))], known[greatest(1, array_length(known, 1) - below(3))]];
        targets := array(select distinct t from unnest(targets[1 : 1 + below(2)]) as t);
        if not exists (select from f6.event as e where e.id = any (targets) and e.event_kind <> 'validation') then
            kind := 'correction';
        end if;
    end if;
    select a.id into result
        from f6_append(type, case when kind = 'claim' then array[object] end,
                       case when kind <> 'claim' and below(2) = 0 then 'null' else random_data() end,
                       event_version => case when type = 'Decree' then '1' else (1 + below(2))::text end, event_kind => kind,
                       occurred_at => case when below(25) = 0 then (array['infinity', '-infinity'])[1 + below(2)]::timestamptz
                                           else timestamptz '2024-01-01' + below(8) * interval '1 day' end,
                       event_reference => targets, zone_id => zones[zone], created_at => clocks[zone]) as a;
    return result;
end
$$;

-- Appends random events to the history of an object, recorded at few times by two zones whose clocks do not agree.
create function random_history(number int, zones int[]) returns void language plpgsql volatile as $$
declare
    start timestamptz := timestamptz '2024-02-01' + number * interval '30 days' / 1000;
    clocks timestamptz[] := array[start, start];
    known uuid[] := '{}';
begin
    for i in 1 .. 2 + below(18) loop
        for zone in 1 .. 2 loop
            clocks[zone] := clocks[zone] + (below(3) / 2) * interval '1 minute';
        end loop;
        known := known || random_event(f6_object_id('timeline random', number::text), known, zones, clocks);
    end loop;
end
$$;

select random_history(n, array[f6_register_zone('timeline', 'random 1'), f6_register_zone('timeline', 'random 2')])
    from generate_series(1, 400) as n order by n;

create temporary table random_object as
    select f6_object_id('timeline random', n::text) as object, l.legal,
           case when n % 5 = 0 then '{"Renamed": "1", "Residence": "1"}'::jsonb end as versions
        from generate_series(1, 400) as n cross join (values (false), (true)) as l (legal);
create temporary table moment_valid as
    select t as valid_at from generate_series(timestamptz '2024-01-01', '2024-01-08', '1 day') as t
    union all select t - interval '1 microsecond' from generate_series(timestamptz '2024-01-01', '2024-01-09', '1 day') as t
    union all select '-infinity' union all select '2030-01-01';
create temporary table moment_known as
    select distinct eo.object_id as object, k.known_at
        from f6.event_object as eo join f6.event as e using ("position"),
             lateral (values (e.created_at), (e.created_at - interval '1 microsecond'), ('infinity')) as k (known_at)
        where eo.object_id in (select object from random_object);
create temporary table truth as
    select o.object, o.legal, o.versions, v.valid_at, k.known_at,
           f6_state_asof(o.object, v.valid_at, k.known_at, legal => o.legal, versions => o.versions) as state
        from random_object as o join moment_known as k using (object) cross join moment_valid as v;
create index on truth (object, legal, known_at, valid_at);
analyze truth;
select cmp_ok((select count(*) from truth where state is not null), '>', 50000::bigint, 'the random histories have states');

create temporary table history as
    select o.object, o.legal, k.known_at, h.*
        from random_object as o join moment_known as k using (object),
             lateral f6_history(o.object, k.known_at, legal => o.legal, versions => o.versions) with ordinality
                 as h (valid_from, valid_to, state, event_id, number);
create index on history (object, legal, known_at);
create temporary table formal_history as
    select o.object, o.legal, v.valid_at, h.*
        from random_object as o cross join moment_valid as v,
             lateral f6_formal_history(o.object, v.valid_at, legal => o.legal, versions => o.versions) with ordinality
                 as h (known_from, known_to, state, event_id, number);
create index on formal_history (object, legal, valid_at);
create temporary table rectangle as
    select o.object, o.legal, b.*
        from random_object as o, lateral f6_bitemporal(o.object, legal => o.legal, versions => o.versions) as b;
create index on rectangle (object, legal);
analyze history; analyze formal_history; analyze rectangle;

select is_empty($$
    select t.*, h.state from truth as t
        left join history as h on h.object = t.object and h.legal = t.legal and h.known_at = t.known_at
            and h.valid_from <= t.valid_at and t.valid_at < h.valid_to
        where h.state is distinct from t.state
$$, 'f6_history has the state of every time, and no other');
select is_empty($$
    select * from (select h.*, lag(valid_to) over w as before_to, lag(state) over w as before, lead(valid_from) over w as next_from
                       from history as h window w as (partition by object, legal, known_at order by number)) as h
        where valid_from >= valid_to or before_to <> valid_from or before = state or (next_from is null and valid_to <> 'infinity')
$$, 'its spans follow on each other in order, none is like the one before, and the last one is for ever');
select is_empty($$
    select h.* from history as h join random_object as o using (object, legal)
        where h.event_id is distinct from (
            select e.id
                from (select id, row_number() over () as place
                          from f6_events(h.object, h.valid_from, h.known_at, h.legal, o.versions)) as e
                order by e.place desc limit 1)
$$, 'and each names the last claim that counted when it began');
select is_empty($$
    select t.*, h.state from truth as t
        left join formal_history as h on h.object = t.object and h.legal = t.legal and h.valid_at = t.valid_at
            and h.known_from <= t.known_at and t.known_at < h.known_to
        where t.known_at <> 'infinity' and h.state is distinct from t.state
$$, 'f6_formal_history has the state at every formal time, and no other');
select is_empty($$
    select * from (select h.*, lag(known_to) over w as before_to, lag(state) over w as before
                       from formal_history as h window w as (partition by object, legal, valid_at order by number)) as h
        where known_from >= known_to or before_to > known_from or (before_to = known_from and before = state)
           or event_id is distinct from (select e.id from f6.event as e join f6.event_object as eo using ("position")
                                          where eo.object_id = h.object and e.created_at = h.known_from order by e."position" desc limit 1)
$$, 'its spans are in order, none is like the one before, and each names the last event recorded when it began');
select is_empty($$
    select t.object, t.legal, t.known_at, t.valid_at from truth as t
        left join rectangle as r on r.object = t.object and r.legal = t.legal
            and r.known_from <= t.known_at and t.known_at < r.known_to and r.valid_from <= t.valid_at and t.valid_at < r.valid_to
        where t.known_at <> 'infinity'
        group by t.object, t.legal, t.known_at, t.valid_at, t.state
        having count(r.known_from) <> (t.state is not null)::int or max(r.state::text)::jsonb is distinct from t.state
$$, 'each point that has a state is in exactly one rectangle of f6_bitemporal, which has that state');
select is_empty($$
    select r.* from rectangle as r
        where not exists (select from history as h
                           where h.object = r.object and h.legal = r.legal and h.known_at = r.known_from
                             and h.valid_from = r.valid_from and h.valid_to = r.valid_to and h.state = r.state and h.event_id = r.event_id)
$$, 'each rectangle is a span of the timeline when it became known');

create temporary table change as
    select o.object, o.legal, p.known_from, p.known_to, c.*
        from random_object as o
             cross join lateral (select k1.known_at as known_from, k2.known_at as known_to
                                     from moment_known as k1 join moment_known as k2 on k2.object = k1.object and k1.known_at <= k2.known_at
                                     where k1.object = o.object
                                     order by md5(k1.known_at::text || k2.known_at) limit 5) as p,
             lateral f6_changes(o.object, p.known_from, p.known_to, legal => o.legal, versions => o.versions) with ordinality
                 as c (valid_from, valid_to, before, after, patch, number);
create temporary table compared as
    select o.object, o.legal, p.known_from, p.known_to, b.valid_at, b.state as before, a.state as after
        from random_object as o
             cross join lateral (select k1.known_at as known_from, k2.known_at as known_to
                                     from moment_known as k1 join moment_known as k2 on k2.object = k1.object and k1.known_at <= k2.known_at
                                     where k1.object = o.object
                                     order by md5(k1.known_at::text || k2.known_at) limit 5) as p
             join truth as b on b.object = o.object and b.legal = o.legal and b.known_at = p.known_from
             join truth as a on a.object = o.object and a.legal = o.legal and a.known_at = p.known_to and a.valid_at = b.valid_at;
create index on change (object, legal, known_from, known_to);
analyze change;
select is_empty($$
    select p.*, c.before, c.after from compared as p
        left join change as c on c.object = p.object and c.legal = p.legal and c.known_from = p.known_from and c.known_to = p.known_to
            and c.valid_from <= p.valid_at and p.valid_at < c.valid_to
        where (c.object is not null) <> (p.before is distinct from p.after)
           or (c.object is not null and (c.before is distinct from p.before or c.after is distinct from p.after))
$$, 'f6_changes has the states before and after, where and only where they differ');
select is_empty($$
    select * from (select c.*, lag(valid_to) over w as last_to, lag(before) over w as last_before, lag(after) over w as last_after
                       from change as c window w as (partition by object, legal, known_from, known_to order by number)) as c
        where valid_from >= valid_to or last_to > valid_from
           or (last_to = valid_from and last_before is not distinct from before and last_after is not distinct from after)
$$, 'its spans are in order, and none is like the one before');
select is_empty($$ select * from change where case when patch is not null then patched(before, patch) end is distinct from after $$,
                'the patches lead from the states before to the states after');

--
-- Long histories, of which a sample is compared
--

-- Appends claims, some of them backdated, some corrected, that each say something of a few of many fields.
create function long_history(number int, zone int, events int) returns void language plpgsql volatile as $$
declare
    object uuid := f6_object_id('timeline long', number::text);
    known uuid[] := '{}';
    last uuid;
    start timestamptz := timestamptz '2024-03-01' + number * interval '10 days';
begin
    for i in 1 .. events loop
        select id into last
            from f6_append('Residence', case when i < 5 or i % 7 > 0 then array[object] end,
                           case when i % 35 = 0 then 'null'
                                else jsonb_build_object('f' || below(30), below(3), 'g' || i % 10, case when i % 3 = 0 then null else i end) end,
                           event_version => '1', event_kind => case when i < 5 or i % 7 > 0 then 'claim' else 'correction' end::f6.event_kind,
                           occurred_at => timestamptz '2020-01-01' + case when below(3) = 0 then below(i) else i end * interval '1 hour',
                           event_reference => case when i >= 5 and i % 7 = 0 then array[known[1 + below(i - 1)]] end,
                           zone_id => zone, created_at => start + i / 2 * interval '1 minute') as a;
        known := known || last;
    end loop;
end
$$;
select long_history(n, f6_register_zone('timeline', 'long'), 1600) from generate_series(1, 3) as n order by n;

create temporary table long_rectangle as
    select n, b.* from generate_series(1, 3) as n, lateral f6_bitemporal(f6_object_id('timeline long', n::text)) as b;
create index on long_rectangle (n, known_from);
create temporary table long_point as
    select n, timestamptz '2020-01-01' + below(1810) * interval '1 hour' as valid_at,
           timestamptz '2024-03-01' + n * interval '10 days' + below(905) * interval '1 minute' as known_at
        from generate_series(1, 3) as n, generate_series(1, 300);
create temporary table long_valid as
    select n, timestamptz '2020-01-01' + i * interval '450 hours' as valid_at
        from generate_series(1, 3) as n, generate_series(0, 4) as i;
create temporary table long_known as
    select n, timestamptz '2024-03-01' + n * interval '10 days' + i * interval '100 minutes' as known_at
        from generate_series(1, 3) as n, generate_series(1, 9) as i;

select cmp_ok((select count(*) from long_rectangle), '>', 10000::bigint, 'the long histories have many rectangles');
select is_empty($$
    select * from (select p.*, f6_state_asof(f6_object_id('timeline long', p.n::text), p.valid_at, p.known_at) as state,
                          (select jsonb_agg(r.state) from long_rectangle as r
                               where r.n = p.n and r.known_from <= p.known_at and p.known_at < r.known_to
                                 and r.valid_from <= p.valid_at and p.valid_at < r.valid_to) as states
                       from long_point as p) as p
        where states is distinct from case when state is not null then jsonb_build_array(state) end
$$, 'each point is in one rectangle, which has its state');
select is_empty($$
    select n, known_at, valid_from, valid_to, state
        from long_known as k, f6_history(f6_object_id('timeline long', k.n::text), k.known_at)
    except
    select n, known_at, valid_from, valid_to, state
        from long_known as k join long_rectangle as r using (n) where r.known_from <= k.known_at and k.known_at < r.known_to
$$, 'the rectangles of one formal time are the timeline known then');
create temporary table long_formal_history as
    select v.*, h.known_from, h.known_to, h.state
        from long_valid as v, lateral f6_formal_history(f6_object_id('timeline long', v.n::text), v.valid_at) as h;
select is_empty($$
    select * from (select v.*, k.known_at, f6_state_asof(f6_object_id('timeline long', v.n::text), v.valid_at, k.known_at) as state
                       from long_valid as v join long_known as k using (n)) as p
        where (select jsonb_agg(h.state) from long_formal_history as h
                   where h.n = p.n and h.valid_at = p.valid_at and h.known_from <= p.known_at and p.known_at < h.known_to)
              is distinct from case when state is not null then jsonb_build_array(state) end
$$, 'along formal time the states are those of f6_state_asof');

select * from finish();
rollback;
