-- What was true on a day, as known on a day: the rules of formal and material history, one scenario after the other.
--
-- A scenario has a zone and an object of its own.  Days are of 2024 unless they name their year ('03-20', '2016-05-16'); a
-- day stands for its start as valid_at, and for its end as known_at.  Events are recorded at noon, and have names.

begin;
select plan(135);

set local timezone = 'Europe/Amsterdam';
set local datestyle = 'ISO, YMD';

create schema history;
select set_config('search_path', 'history, ' || current_setting('search_path'), true);

-- Begins a scenario.
create function scenario(name text) returns void language plpgsql as $$
begin
    perform set_config('history.scenario', name, true);
    perform set_config('f6.zone', f6_register_zone('history', name)::text, true);
end
$$;

-- Returns the scenario's object, or another one of it.
create function object(name text default '') returns uuid language sql as $$
    select f6_object_id('history', current_setting('history.scenario') || name);
$$;

-- Returns the ids of events of the scenario.
create function ids(variadic names text[]) returns uuid[] language sql as $$
    select array_agg(f6_object_id('history event', current_setting('history.scenario') || n) order by o)
        from unnest(names) with ordinality as u (n, o);
$$;

create function day(day text) returns date language sql as $$
    select (case when length(day) = 5 then '2024-' else '' end || day)::date;
$$;

create function day_start(day text) returns timestamptz language sql as $$
    select case when day like '%infinity' then day::timestamptz else day(day)::timestamptz end;
$$;

create function day_end(day text) returns timestamptz language sql as $$
    select case when day like '%infinity' then day::timestamptz
                else (day(day) + 1)::timestamptz - interval '1 microsecond' end;
$$;

-- Records an event at noon of a day.
create function record(
    kind f6.event_kind, name text, recorded text, data jsonb, occurred text, targets text[], type text, version text,
    objects uuid[]
) returns void language sql as $$
    select f6_append(type, objects, data, event_version => version, event_kind => kind,
                     occurred_at => day_start(coalesce(occurred, recorded)), event_reference => ids(variadic targets),
                     metadata => jsonb_build_object('name', name), id => (ids(name))[1],
                     created_at => day(recorded) + time '12:00');
$$;

create function claim(
    name text, recorded text, data jsonb, occurred text default null, type text default 'Residence',
    version text default '1', objects uuid[] default null
) returns void language sql as $$
    select record('claim', name, recorded, data, occurred, null, type, version, coalesce(objects, array[object()]));
$$;

create function validate(name text, targets text[], recorded text) returns void language sql as $$
    select record('validation', name, recorded, 'null', recorded, targets, 'Residence', '1', null);
$$;

create function correct(
    name text, targets text[], recorded text, data jsonb, occurred text default null, type text default 'Residence',
    version text default '1'
) returns void language sql as $$
    select record('correction', name, recorded, data, occurred, targets, type, version, null);
$$;

-- Records a claim, or a correction, and its validation on the same day.
create function fact(
    name text, recorded text, data jsonb, occurred text default null, type text default 'Residence',
    version text default '1'
) returns void language sql as $$
    select claim(name, recorded, data, occurred, type, version);
    select validate('V' || name, array[name], recorded);
$$;

create function correct_fact(
    name text, targets text[], recorded text, data jsonb, occurred text default null, type text default 'Residence',
    version text default '1'
) returns void language sql as $$
    select correct(name, targets, recorded, data, occurred, type, version);
    select validate('V' || name, array[name], recorded);
$$;

create function at(address text) returns jsonb language sql as $$
    select jsonb_build_object('at', address);
$$;

create function since(address text, day text) returns jsonb language sql as $$
    select jsonb_build_object('at', address, 'since', day);
$$;

-- Returns where the scenario's object lived, legally or as claimed.
create function lived(valid text, known text, legal boolean default true) returns text language sql as $$
    select f6_state_asof(object(), day_start(valid), day_end(known), legal => legal) ->> 'at';
$$;

-- Returns the names of the claims that count, in fold order.
create function counted(valid text, known text, legal boolean default true) returns text language sql as $$
    select string_agg(e.metadata ->> 'name', ' ' order by e.place)
        from f6_events(object(), day_start(valid), day_end(known), legal) with ordinality
            as e ("position", zone_id, id, created_at, occurred_at, object_ids, event_type, event_version, event_kind,
                  event_source_id, event_source_type, event_reference, event_data, metadata, appended_by, client_addr,
                  application_name, place);
$$;

-- Returns what a query gives to a member of a role, or the SQLSTATE of its error.
create function as_role(role text, query text) returns text language plpgsql as $$
declare
    answer text;
begin
    perform set_config('role', role, true);
    execute query into answer;
    perform set_config('role', 'none', true);
    return answer;
exception when others then
    return sqlstate;
end
$$;

-- Residence: no date of effect, then one.  Move: the other way round.
select f6_register_event_type('Residence', '1', 'true');
select f6_register_event_type('Residence', '2', 'true', valid_from => '/since');
select f6_register_event_type('Move', '1', 'true', valid_from => '/since');
select f6_register_event_type('Move', '2', 'true');
select f6_register_event_type('Decree', '1', 'true', legal_when_claimed => true);
select f6_register_upcaster('Residence', '1', '2'), f6_register_upcaster('Move', '1', '2');

--
-- The table of scenarios
--

select scenario('born');
select fact('birth', '01-04', '{"at": "born"}', '01-01');
select is(lived('01-03', '01-03'), null, 'a birth is not known before it is recorded');
select is(lived('01-03', '01-04'), 'born', 'a birth is known from the day on which it is recorded');
select is(lived('2023-12-31', '01-04'), null, 'nobody is born before their birth');

select scenario('late move with a date of effect');
select fact('A', '2020-01-01', since('A', '2020-01-01'), type => 'Move');
select fact('B', '03-20', since('B', '2024-03-20'), '03-01', type => 'Move');
select is(lived('03-10', '03-31'), 'A', 'a move has no effect before its date of effect');
select is(lived('03-20', '03-31'), 'B', 'a move has effect from its date of effect');
select is(lived('03-10', '03-15'), 'A', 'a move is not known before it is recorded');

select scenario('late move of a type without a date of effect');
select fact('A', '2020-01-01', since('A', '2020-01-01'), type => 'Move', version => '2');
select fact('B', '03-20', since('B', '2024-03-20'), '03-01', type => 'Move', version => '2');
select is(lived('03-10', '03-31'), 'B', 'without a date of effect a move counts from when it occurred');
select is(lived('03-10', '03-15'), 'A', 'nor is it known before it is recorded');

select scenario('late move whose date of effect is left out');
select fact('A', '2020-01-01', at('A'), type => 'Move');
select fact('B', '03-20', '{"at": "B", "since": null}', '03-01', type => 'Move');
select is(lived('03-10', '03-31'), 'B', 'a date of effect that is null or absent gives way to when it occurred');
select is(lived('02-28', '03-31'), 'A', 'and not to earlier');

select scenario('another date of effect');
select fact('A1', '2010-08-18', since('A1', '2010-08-18'), type => 'Move');
select fact('A2', '2016-05-16', since('A2', '2016-05-16'), type => 'Move');
select correct_fact('K', array['A2'], '2016-07-15', since('A2', '2016-06-01'), type => 'Move');
select is(lived('2016-05-26', '2016-07-01'), 'A2', 'before a correction is recorded the wrong date stands');
select is(lived('2016-05-26', '2016-07-15'), 'A1', 'a corrected date of effect moves the claim');
select is(lived('2016-06-01', '2016-07-15'), 'A2', 'the claim counts from the corrected date of effect');

select scenario('another time of occurrence');
select fact('A1', '2010-08-18', at('A1'));
select fact('A2', '2016-05-16', at('A2'));
select correct_fact('K', array['A2'], '2016-07-15', at('A2'), '2016-06-01');
select is(lived('2016-05-26', '2016-07-01'), 'A2', 'before a correction is recorded the wrong occurrence stands');
select is(lived('2016-05-26', '2016-07-15'), 'A1', 'a corrected occurrence moves the claim');
select is(lived('2016-06-01', '2016-07-15'), 'A2', 'the claim counts from the corrected occurrence');

select scenario('parent');
select fact('birth', '2020-01-15', '{"name": "Kim"}', '2020-01-14');
select fact('recognition', '2020-02-01', '{"at": "P"}');
select correct_fact('court', array['recognition'], '2024-09-10', 'null');
select is(lived('2022-01-01', '2024-09-09'), 'P', 'a parent stands until the removal is recorded');
select is(lived('2022-01-01', '2024-09-10'), null, 'what is removed was never so');
select is(lived('2022-01-01', '2022-01-01'), 'P', 'what was known then stays what was known then');
select is(f6_state_asof(object(), day_start('2022-01-01'), day_end('2024-09-10'), legal => true), '{"name": "Kim"}',
          'a removal leaves the other claims alone');

select scenario('never validated');
select fact('A', '2020-01-01', at('A'));
select claim('B', '02-01', at('B'));
select is(lived('03-01', '03-01'), 'A', 'a claim without a validation has no legal force');
select is(lived('03-01', '03-01', false), 'B', 'as claimed it counts');

select scenario('withdrawn validation');
select fact('A', '2020-01-01', at('A'));
select claim('B', '04-01', at('B'));
select validate('V1', array['B'], '04-02');
select correct_fact('K', array['V1'], '04-10', 'null');
select validate('V2', array['B'], '04-20');
select is(lived('04-05', '04-05'), 'B', 'a validation gives a claim legal force');
select is(lived('04-05', '04-10'), 'A', 'a validation that is removed gives none');
select is(lived('04-05', '04-20'), 'B', 'another validation gives it again');
select is(lived('04-01', '04-01'), 'A', 'before its validation is recorded the claim has no legal force');
select is(lived('04-05', '04-10', false), 'B', 'as claimed, validations do not matter');

select scenario('removed removal');
select fact('A', '2020-01-01', at('A'));
select fact('B', '05-01', at('B'));
select correct_fact('K1', array['B'], '05-05', 'null');
select correct_fact('K2', array['K1'], '05-09', 'null');
select is(lived('05-02', '05-04'), 'B', 'a claim counts until its removal is recorded');
select is(lived('05-02', '05-06'), 'A', 'a removed claim does not count');
select is(lived('05-02', '05-09'), 'B', 'a claim whose removal is removed counts again');

select scenario('future');
select fact('A', '2020-01-01', at('A'));
select fact('B', '05-01', at('B'), '06-01');
select is(lived('05-15', '05-15'), 'A', 'a claim about the future does not count yet');
select is(lived('06-02', '05-15'), 'B', 'a claim about the future counts for the future, known today');

--
-- Corrections of corrections
--

select scenario('restated correction');
select fact('A', '2020-01-01', at('A'));
select fact('B', '02-01', at('B'));
select correct_fact('K1', array['B'], '02-10', at('C'), '02-05');
select correct_fact('K2', array['K1'], '02-20', at('D'), '02-07');
select correct_fact('K3', array['K2'], '03-01', 'null');
select correct_fact('K4', array['K3'], '03-10', 'null');
select correct_fact('K5', array['K1'], '03-20', 'null');
select is(lived('02-04', '02-10'), 'A', 'a correction moves its target');
select is(lived('02-05', '02-10'), 'C', 'a correction restates its target');
select is(lived('02-06', '02-20'), 'A', 'a restated correction acts with the restating time');
select is(lived('02-07', '02-20'), 'D', 'a restated correction acts with the restating data');
select is(lived('02-05', '03-01'), 'C', 'with the restatement removed the correction acts with its own data');
select is(lived('02-05', '03-10'), 'A', 'with the removal removed the restatement acts again');
select is(lived('02-07', '03-10'), 'D', 'and its data too');
select is(lived('02-01', '03-20'), 'B', 'with the correction removed its target is as recorded, restated or not');

select scenario('correction restated as a removal and back');
select fact('A', '2020-01-01', at('A'));
select fact('B', '02-01', at('B'));
select correct_fact('K1', array['B'], '02-10', at('C'), '02-01');
select correct_fact('K2', array['K1'], '02-20', at('D'), '02-01');
select correct_fact('K3', array['K2'], '03-01', at('E'), '02-01');
select is(lived('02-01', '02-10'), 'C', 'one correction');
select is(lived('02-01', '02-20'), 'D', 'a correction of a correction');
select is(lived('02-01', '03-01'), 'E', 'a correction of a correction of a correction');
select correct_fact('K4', array['K3'], '03-10', 'null');
select is(lived('02-01', '03-10'), 'D', 'the removal of the last');
select correct_fact('K5', array['K2', 'K1'], '03-20', 'null');
select is(lived('02-01', '03-20'), 'B', 'the removal of the others');

select scenario('latest correction');
select fact('B', '02-01', at('B'));
select correct_fact('K1', array['B'], '02-10', at('C'), '02-01');
select correct_fact('K2', array['B'], '02-20', at('D'), '02-01');
select is(lived('02-01', '02-10'), 'C', 'the only correction decides');
select is(lived('02-01', '02-20'), 'D', 'of two corrections the latest decides');
select correct_fact('K3', array['K2'], '03-01', 'null');
select is(lived('02-01', '03-01'), 'C', 'without the latest the one before decides');
select correct_fact('K4', array['B'], '03-10', 'null');
select is(lived('02-01', '03-10'), null, 'a removal after a restatement decides');
select correct_fact('K5', array['B'], '03-20', at('E'), '02-01');
select is(lived('02-01', '03-20'), 'E', 'a restatement after a removal decides');

select scenario('restatement does not merge');
select fact('A', '01-01', '{"at": "A", "room": 1}');
select correct_fact('K', array['A'], '01-02', at('B'), '01-01');
select is(f6_state_asof(object(), day_start('01-01'), day_end('01-02')), '{"at": "B"}',
          'the data of a correction takes the place of that of its target');

select scenario('corrections and the law');
select fact('A', '2020-01-01', at('A'));
select fact('B', '02-01', at('B'));
select correct('K1', array['B'], '02-10', at('C'), '02-01');
select is(lived('02-01', '02-10'), 'B', 'a correction without a validation has no legal force');
select is(lived('02-01', '02-10', false), 'C', 'as claimed it has force');
select validate('VK1', array['K1'], '02-20');
select is(lived('02-01', '02-20'), 'C', 'a validated correction has legal force');
select correct('K2', array['VK1'], '03-01', 'null');
select is(lived('02-01', '03-01'), 'C', 'the removal of a validation needs a validation itself');
select validate('VK2', array['K2'], '03-10');
select is(lived('02-01', '03-10'), 'B', 'a correction whose validation is removed has no legal force');
select is(lived('02-01', '03-10', false), 'C', 'as claimed the validation of a correction does not matter');
select correct('K3', array['K1'], '03-20', 'null');
select is(lived('02-01', '03-20', false), 'B', 'as claimed, the removal of a correction counts');
select validate('VK1 again', array['K1'], '03-21');
select is(lived('02-01', '03-21'), 'C', 'in law it does not');

select scenario('unvalidated restatement of a correction');
select fact('B', '02-01', at('B'));
select correct_fact('K1', array['B'], '02-10', at('C'), '02-01');
select correct('K2', array['K1'], '02-20', at('D'), '02-01');
select is(lived('02-01', '02-20'), 'C', 'a restatement without legal force leaves the correction as it was');
select is(lived('02-01', '02-20', false), 'D', 'as claimed it restates the correction');

select scenario('validation of what is restated');
select claim('B', '02-01', at('B'));
select correct_fact('K', array['B'], '02-10', at('C'), '02-01');
select is(lived('02-01', '02-10'), null, 'a correction with legal force gives its target none');
select validate('V', array['B'], '02-20');
select is(lived('02-01', '02-20'), 'C', 'a claim validated after its correction counts as corrected');

--
-- Validations
--

select scenario('restated validation');
select fact('A', '2020-01-01', at('A'));
select claim('B', '02-01', at('B'));
select validate('V', array['B'], '02-02');
select correct_fact('K', array['V'], '02-10', '{"by": "another official"}');
select is(lived('02-01', '02-10'), 'B', 'a validation that is restated stays in force');
select correct_fact('K2', array['K'], '02-20', 'null');
select is(lived('02-01', '02-20'), 'B', 'also when its restatement is removed');
select correct_fact('K3', array['K', 'V'], '03-01', 'null');
select is(lived('02-01', '03-01'), 'A', 'a validation with a restatement can be removed');

select scenario('removed validation');
select claim('B', '02-01', at('B'));
select validate('V1', array['B'], '02-02');
select validate('V2', array['B'], '02-03');
select correct_fact('K1', array['V1'], '02-10', 'null');
select is(lived('02-01', '02-10'), 'B', 'one validation in force suffices');
select correct_fact('K2', array['V2'], '02-20', 'null');
select is(lived('02-01', '02-20'), null, 'without any the claim has no legal force');
select correct_fact('K3', array['K1'], '03-01', 'null');
select is(lived('02-01', '03-01'), 'B', 'a validation whose removal is removed is in force');

select scenario('validation of several');
select claim('A', '2020-01-01', at('A'));
select claim('B', '02-01', at('B'));
select validate('V', array['A', 'B'], '02-10');
select is(counted('03-01', '02-10'), 'A B', 'a validation may give force to several claims');
select correct_fact('K', array['V'], '02-20', 'null');
select is(counted('03-01', '02-20'), null, 'its removal takes it from all');

--
-- Corrections of several events
--

select scenario('correction of several');
select fact('A', '2020-01-01', at('A'));
select fact('B', '02-01', at('B'));
select fact('C', '03-01', at('C'));
select correct_fact('K1', array['B', 'C'], '03-10', 'null');
select correct_fact('K2', array['C'], '03-20', at('D'), '03-02');
select is(counted('03-05', '03-09'), 'A B C', 'before the correction all count');
select is(counted('03-05', '03-10'), 'A', 'a correction may remove several claims');
select is(counted('03-05', '03-20'), 'A C', 'a later correction decides about one of them only');
select is(lived('03-05', '03-20'), 'D', 'and restates it');
select correct_fact('K3', array['K1', 'K2'], '04-01', 'null');
select is(counted('03-05', '04-01'), 'A B C', 'a correction may remove several corrections');
select correct_fact('K4', array['A', 'B'], '04-10', at('E'), '02-15');
select is(lived('02-16', '04-10'), 'E', 'a correction may restate several claims');
select is(counted('02-14', '04-10'), null, 'and all of them move');
select is(counted('02-16', '04-10'), 'A B', 'to the same time, where they keep their order');

select scenario('correction of a claim and of the correction of it');
select fact('A', '01-01', at('A'));
select correct_fact('K1', array['A'], '01-02', at('B'), '01-01');
select correct_fact('K2', array['K1', 'A'], '01-03', at('C'), '01-01');
select is(lived('01-01', '01-03'), 'C', 'a correction may correct a claim and the correction of it');
select correct_fact('K3', array['K2'], '01-04', 'null');
select is(lived('01-01', '01-04'), 'B', 'and its removal brings back both');

--
-- Types that have legal force at once
--

select scenario('decree');
select claim('A', '2020-01-01', at('A'), type => 'Decree');
select is(lived('01-01', '01-01'), 'A', 'a claim of a type that is legal when claimed needs no validation');
select correct('K1', array['A'], '02-01', at('B'), '2020-01-01', 'Decree');
select is(lived('01-01', '02-01'), 'B', 'nor does a correction of such a type');
select correct('K2', array['K1'], '03-01', 'null');
select is(lived('01-01', '03-01'), 'B', 'but one of another type does');
select correct('K3', array['A'], '04-01', 'null', null, 'Decree');
select is(lived('01-01', '04-01'), null, 'a decree may remove');

--
-- Dates of effect
--

select scenario('date of effect and time zone');
select fact('A', '2020-01-01', since('A', '2024-07-01'), type => 'Move');
select fact('B', '2020-01-01', since('B', '2024-07-10T12:00:00+02:00'), type => 'Move');
select is(f6_state_asof(object(), '2024-06-30 22:00:00+00') ->> 'at', 'A', 'a date begins at midnight of the session''s time zone');
select is(f6_state_asof(object(), '2024-06-30 21:59:59.999999+00'), null, 'and not before');
set local timezone = 'America/New_York';
select is(f6_state_asof(object(), '2024-07-01 03:59:59.999999+00'), null, 'in another time zone it begins at another moment');
select is(f6_state_asof(object(), '2024-07-01 04:00:00+00') ->> 'at', 'A', 'at midnight there');
select is(f6_state_asof(object(), '2024-07-10 10:00:00+00') ->> 'at', 'B', 'a time with an offset is the same moment everywhere');
select is(f6_state_asof(object(), '2024-07-10 09:59:59.999999+00') ->> 'at', 'A', 'and to the microsecond');
set local timezone = 'Europe/Amsterdam';

select scenario('version of a restatement');
select fact('A', '02-01', at('A'));
select correct_fact('K1', array['A'], '02-10', since('B', '2024-03-01'), '02-01', version => '2');
select is(lived('02-15', '02-10'), null, 'a restatement has the date of effect that its own version names');
select is(lived('03-01', '02-10'), 'B', 'and counts from then');
select correct_fact('K2', array['A'], '02-20', since('C', '2024-03-01'), '02-01', 'Move');
select is(lived('02-01', '02-20'), 'C', 'a restatement of another type leaves the claim the date of effect of its own version');

--
-- Fold order, and what f6_events returns
--

select scenario('order');
select claim('late', '01-01', '{"at": "late", "late": 1}', '03-01');
select claim('early', '01-02', '{"at": "early", "early": 1}', '02-01');
select claim('same', '01-03', '{"at": "same", "early": null}', '02-01');
select is(counted('04-01', '04-01', false), 'early same late', 'claims count in the order of material time, then of position');
select is(f6_state_asof(object(), day_start('02-15'), day_end('04-01')), '{"at": "same"}', 'and are merged in it');
select is(f6_state_asof(object(), day_start('03-01'), day_end('04-01')), '{"at": "late", "late": 1}', 'over time');

select scenario('as stored');
select fact('A', '01-01', at('A'));
select correct_fact('K', array['A'], '01-02', at('B'), '01-05');
select results_eq(
    $$ select e.* from f6_events(object(), legal => true, versions => '{"Residence": "1"}') as e $$,
    $$ select e.* from f6.event as e where e.id = (ids('A'))[1] $$,
    'f6_events returns a restated claim as it is stored');

select scenario('merge patch');
select claim('1', '01-01', '{"a": {"b": 1, "n": null, "d": {"x": null}}, "l": [1, {"n": null}], "s": "text"}');
select claim('2', '01-02', '{"a": {"b": null, "c": {"deep": true}}, "l": [2.50], "s": {"now": "object"}}');
select is(f6_state_asof(object(), day_end('01-01')), '{"a": {"b": 1, "d": {}}, "l": [1, {"n": null}], "s": "text"}',
          'nulls of a new object are dropped, those in arrays are not');
select is(f6_state_asof(object()), '{"a": {"c": {"deep": true}, "d": {}}, "l": [2.50], "s": {"now": "object"}}',
          'objects are merged, arrays are replaced');
select claim('3', '01-03', '["all"]');
select is(f6_state_asof(object()), '["all"]', 'what is no object replaces the whole');
select claim('4', '01-04', '{"anew": "text"}');
select is(f6_state_asof(object()), '{"anew": "text"}', 'an object merged into something else begins from nothing');

--
-- Objects
--

select scenario('objects');
select claim('A', '01-01', at('A'), objects => array[object(), object(' other')]);
select claim('B', '01-02', at('B'), objects => array[object(' other')]);
select correct('K', array['A', 'B'], '01-03', at('C'), '01-01');
select is(lived('02-01', '01-02', false), 'A', 'a claim counts for each object that it names');
select is(f6_state_asof(object(' other'), day_start('02-01'), day_end('01-02')), at('B'), 'and not for others');
select is(counted('02-01', '01-03', false), 'A', 'a correction of several objects'' claims adds none to either');
select is(f6_state_asof(object(' unknown')), null, 'nothing is known of an object that no event names');
select is_empty($$ select * from f6_events(object(' unknown')) $$, 'nor has it events');

--
-- Times at the edge
--

select scenario('edges');
select claim('first', '01-01', at('first'), '-infinity');
select claim('A', '01-02', at('A'), '2000-01-01');
select claim('last', '01-03', at('last'), 'infinity');
select is(counted('infinity', 'infinity', false), 'first A last', 'infinity is the end of all time');
select is(counted('-infinity', 'infinity', false), 'first', 'and -infinity its beginning');
select is(counted('infinity', '-infinity', false), null, 'at the beginning of formal time nothing is known');
select is(f6_state_asof(object(), '294276-12-31 23:59:59+00', '294276-12-31 23:59:59+00') ->> 'at', 'A', 'the latest time there is');
select is(f6_state_asof(object(), '4713-01-01 00:00:00+00 BC', '294276-12-31 23:59:59+00') ->> 'at', 'first', 'the earliest');
select throws_ok($$ select f6_state_asof(object(), '294277-12-31') $$, '22008', null, 'a time beyond PostgreSQL''s range is refused');
select is(f6_state_asof(object(), known_at => '2024-01-02 12:00:00'::timestamptz) ->> 'at', 'A', 'an event is known at the moment it is recorded');
select is(f6_state_asof(object(), known_at => '2024-01-02 11:59:59.999999'::timestamptz) ->> 'at', 'first', 'and not a microsecond before');

--
-- Arguments, privileges, and what a transaction sees
--

select is(f6_state_asof(null), null, 'of no object nothing is known');
select is_empty($$ select * from f6_events(null) $$, 'nor has it events');
select throws_ok($$ select f6_state_asof(object(), null) $$, '22004', 'valid_at must not be NULL', 'valid_at is required');
select throws_ok($$ select f6_events(object(), known_at => null) $$, '22004', 'known_at must not be NULL', 'known_at is required');
select throws_ok($$ select f6_state_asof(object(), legal => null) $$, '22004', 'legal must not be NULL', 'legal is required');
select throws_ok($$ select f6_state_asof(object(), projection => 'x') $$, '42704', 'projection "x" does not exist', 'a projection must exist');

select scenario('now');
select f6_append('Residence', array[object()], at('A'));
select f6_append('Residence', array[object()], at('B'));
select is(f6_state_asof(object()), at('B'), 'by default a transaction sees what it appended');
select is((select f6_state_asof(object()) from f6_append('Residence', array[object()], at('C'))), at('B'),
          'a statement sees what was there when it began');

create role history_stranger;
grant usage on schema history to history_stranger, f6_reader;
select is(as_role('f6_reader', 'select f6_state_asof(object())'), '{"at": "C"}', 'a reader may ask');
select is(as_role('history_stranger', 'select f6_state_asof(object())'), '42501', 'others may not');
select is(as_role('history_stranger', 'select count(*) from f6_events(object())'), '42501', 'nor list events');
alter table f6.event enable row level security;
create policy history_hidden on f6.event for select to f6_reader using (event_data <> '{"at": "C"}');
select is(as_role('f6_reader', 'select f6_state_asof(object())'), '{"at": "B"}', 'row level security hides events from the state');
select is(as_role('f6_reader', 'select count(*) from f6_events(object())'), '2', 'and from the list');
select is(f6_state_asof(object()), at('C'), 'but only for those whom it concerns');

-- f6_states_asof: the states of many
select results_eq($$select s.object_id, s.state from (select array_agg(distinct o) as all_objects from f6.event, unnest(object_ids) as o) as x,
        f6_states_asof(all_objects || all_objects) as s$$,
    $$select o, f6_state_asof(o) from (select array_agg(distinct o) as all_objects from f6.event, unnest(object_ids) as o) as x, unnest(all_objects || all_objects) as o$$,
    'many states are those of each, in their order');
select results_eq($$select * from f6_states_asof(array[]::uuid[])$$, $$select null::uuid, null::jsonb where false$$, 'none of none');
select results_eq($$select state from f6_states_asof(array['00000000-0000-0000-0000-00000000dead']::uuid[])$$, $$values (null::jsonb)$$, 'an unknown object has a row');
select throws_ok($$select f6_states_asof(array[null]::uuid[])$$, '22023', null, 'NULL is no object');
select throws_ok($$select f6_states_asof(array['00000000-0000-0000-0000-00000000dead']::uuid[], null)$$, '22004', null, 'valid_at must be given');
select set_eq($$select * from f6_states_asof('[{}]'::jsonb, 'infinity', legal => true)$$,
    $$select o, f6_state_asof(o, 'infinity', legal => true) from (select distinct o from f6.event, unnest(object_ids) as o) as x (o)$$, 'those that a query finds');
select * from finish();
rollback;
