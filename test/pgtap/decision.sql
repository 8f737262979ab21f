-- What officials decide: what is pending, validating, rejecting, retracting.
begin;
select no_plan();
set local timezone = 'UTC';

select f6_register_event_type('Claim', '1', 'true', valid_from => '/since');
select f6_register_event_type('Other', '1', 'true');
select f6_register_event_type('Legal', '1', 'true', legal_when_claimed => true);
create function e(name text) returns uuid language sql immutable as $$ select f6_object_id('event', name) $$;
create function o(name text) returns uuid language sql immutable as $$ select f6_object_id('object', name) $$;
create function say(name text, data jsonb default '{}', object text default 'x', refs text default null, type text default 'Claim',
                    kind f6.event_kind default 'claim', source text default null, objects uuid[] default null) returns bigint language sql as $$
    select "position" from f6_append(type, case kind when 'claim' then coalesce(objects, array[o(object)]) end, data, event_kind => kind, id => e(name),
        occurred_at => '2020-01-01', event_source_type => source, metadata => jsonb_build_object('name', name),
        event_reference => (select array_agg(e(r)) from unnest(string_to_array(refs, ',')) as r));
$$;
create function name_of(id uuid) returns text language sql as $$ select metadata ->> 'name' from f6.event as e where e.id = name_of.id $$;
create function pending(event_type text default null, object_id uuid default null, event_source_type text default null, older_than interval default null)
    returns text language sql as $$
    select string_agg(coalesce(name_of(id), (select '(' || (metadata ->> 'reason') || ')' from f6.event as e where e.id = p.id)) || case when withdrawn then '!' else '' end, ' ' order by place)
        from f6_pending(event_type, object_id, event_source_type, older_than)
             with ordinality as p (id, "position", event_kind, object_ids, event_type, event_source_type, created_at, age, withdrawn, place);
$$;
-- The SQLSTATE, message and detail of what a statement raises, without ids.
create function raised(statement text) returns text language plpgsql as $$
declare
    detail text;
begin
    execute statement;
    return 'nothing';
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return regexp_replace(concat_ws(' ', sqlstate, sqlerrm || ':', nullif(detail, '')), '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'ID', 'g');
end $$;

-- What is pending.
select is(pending(), null, 'in an empty log nothing is pending');
select say('a', source => 'citizen'), say('b', object => 'y'), say('c', type => 'Other'), say('d', type => 'Legal'),
       say('e', objects => array[o('x'), o('y')], source => 'parent');
select is(pending(), 'a b c e', 'claims without a validation, but for types that need none');
select is(pending('Claim'), 'a b e', 'of a type');
select is(pending('Legal'), null, 'of a type that needs none');
select is(pending('Nothing'), null, 'of no type');
select is(pending(object_id => o('x')), 'a c e', 'about an object');
select is(pending('Claim', o('x')), 'a e', 'of a type about an object');
select is(pending(event_source_type => 'citizen'), 'a', 'by the source''s type');
select is(pending(object_id => o('y'), event_source_type => 'parent'), 'e', 'and about an object');
select is(pending(older_than => '1 day'), null, 'by age');
select is(pending(older_than => age), null, 'of ' || age || ' there is none') from unnest(array['6000 years', '6001 years', '10000 years', '178000000 years']::interval[]) as age;
select is(pending(older_than => age), pending(), 'of ' || age || ' is each') from unnest(array['-10000 years', '-300000 years', '-178000000 years']::interval[]) as age;
select is(pending(older_than => '0 s'), 'a b c e', 'of any age');
select results_eq($$ select "position", event_kind, object_ids, event_type, event_source_type, created_at, age between '0' and '1 hour', withdrawn from f6_pending() where id = e('e') $$,
    $$ select "position", event_kind, object_ids, event_type, event_source_type, created_at, true, false from f6.event where id = e('e') $$, 'what is said of each');
select say('v', null, refs => 'a', kind => 'validation');
select is(pending(), 'b c e', 'one with a validation is not pending');
select say('no-v', 'null', refs => 'v', kind => 'correction');
select is(pending(), 'a! b c e no-v', 'unless that is withdrawn, which waits for a validation itself');
select say('yes-v', 'null', refs => 'no-v', kind => 'correction');
select is(pending(), 'b c e', 'and the withdrawal in force');
select say('no-b', 'null', refs => 'b', kind => 'correction');
select is(pending(), 'c e', 'nor is one that is removed');
select say('more', '{"since": "2021-01-01"}', refs => 'no-b', kind => 'correction');
select is(pending(), 'b c e', 'as long as it is');
select say('on ' || n, object => 'many', refs => 'e') from generate_series(1, 2500) as n;
select is((select count(*) from f6_pending(object_id => o('many'))), 2500::bigint, 'more than are looked at together');
select is((select count(*) from f6_pending('Claim')), 2502::bigint, 'of a type as well');

-- Validating and rejecting.
select isnt((select id from f6_validate_claim(e('e'), o('mr'), 'official', '{"k": 1}')), null, 'a claim is validated');
select results_eq($$ select event_kind, event_type, event_version, object_ids, event_reference, event_data, metadata, event_source_id, event_source_type
                         from f6.event order by "position" desc limit 1 $$,
    $$ values ('validation'::f6.event_kind, 'Claim', '1', array[o('x'), o('y')], array[e('e')], 'null'::jsonb, '{"k": 1}'::jsonb, o('mr'), 'official') $$,
    'by a validation of its own type and version');
select is(raised($$ select f6_validate_claim(e('e')) $$), '55000 claim ID has been validated already: Validation ID is in force, as claimed.', 'once');
select is(raised($$ select f6_reject_claim(e('e'), 'no') $$), '55000 claim ID has been validated already: Validation ID is in force, as claimed.', 'nor is it rejected then');
select isnt((select id from f6_reject_claim(e('c'), 'unreadable', o('mr'), 'official')), null, 'a claim is rejected');
select results_eq($$ select event_kind, event_type, event_reference, event_data, metadata, event_source_id, event_source_type from f6.event order by "position" desc limit 1 $$,
    $$ values ('correction'::f6.event_kind, 'Other', array[e('c')], 'null'::jsonb, '{"reason": "unreadable"}'::jsonb, o('mr'), 'official') $$, 'by a correction with the reason');
select is(raised($$ select f6_reject_claim(e('c'), 'no') $$), '55000 claim ID has been removed already: Correction ID removes it.', 'once');
select is(raised($$ select f6_validate_claim(e('c')) $$), '55000 claim ID has been removed already: Correction ID removes it.', 'nor is it validated then');
select say('k', object => 'k'), say('v-k', null, refs => 'k', kind => 'validation');
select is(raised($$ select f6_validate_claim(e('v-k')) $$), '23514 event ID is a validation: Claims and corrections are validated or rejected.', 'a validation is not validated');
select is(raised($$ select f6_reject_claim(e('v-k'), 'no') $$), '23514 event ID is a validation: Claims and corrections are validated or rejected.', 'nor rejected');
select is(raised($$ select f6_validate_claim(e('nobody')) $$), '42704 event ID does not exist:', 'no such event');
select is(raised($$ select f6_validate_claim(null) $$), '22004 event_id must not be NULL:', 'nor NULL');
select is(raised($$ select f6_reject_claim(e('b'), null) $$), '22004 reason must not be NULL:', 'a reason is needed');
select is(raised($$ select f6_reject_claim(e('b'), ' ') $$), '22023 reason must not be empty:', 'that says something');
select is(raised($$ select f6_reject_claim(e('b'), E' \t\n') $$), '22023 reason must not be empty:', 'not only blanks');
select f6_register_event_type('Other', '2', 'true');
select say('o1', type => 'Other', object => 'z');
insert into f6.event (id, event_type, event_version, object_ids, event_data) values (e('o'), 'Other', '1', array[o('z')], '1');
select f6_deprecate_event_type('Other', '1', 'old');
select lives_ok($$ select f6_validate_claim(e('o')) $$, 'a claim of a deprecated version');
select is((select event_version from f6.event order by "position" desc limit 1), '2', 'is validated in the newest one');

-- Corrections wait as well, where they would change what has legal force.
select say('fix-k', '{"n": 1}', refs => 'k', kind => 'correction'), say('u', object => 'u'), say('fix-u', '{"n": 1}', refs => 'u', kind => 'correction');
select is(pending(object_id => o('k')), 'fix-k', 'a correction of what has legal force waits');
select is(pending(object_id => o('u')), 'u', 'one of a claim that waits does not');
select f6_validate_claim(e('u'));
select is(pending(object_id => o('u')), 'fix-u', 'until that is validated');
select is((select event_kind from f6_pending(object_id => o('u'))), 'correction', 'which is said of it');
select isnt((select id from f6_validate_claim(e('fix-k'))), null, 'a correction is validated');
select is(f6_state_asof(o('k'), legal => true), '{"n": 1}', 'and has legal force');
select is(raised($$ select f6_validate_claim(e('fix-k')) $$), '55000 correction ID has been validated already: Validation ID is in force, as claimed.', 'once');
select isnt((select id from f6_reject_claim(e('fix-u'), 'no')), null, 'a correction is rejected');
select is(f6_state_asof(o('u')), '{}', 'so the claim is as it was');
select is(pending(object_id => o('u')) || pending(object_id => o('k')), null, 'and nothing waits, the rejection neither');
select say('fix-d', '{"n": 2}', refs => 'd', kind => 'correction', type => 'Legal'), say('fix-d-2', '{"n": 2}', refs => 'd', kind => 'correction');
select is(pending(object_id => o('x'), event_type => 'Legal'), null, 'a correction of a type that needs no validation does not wait');
select is(pending(object_id => o('x'), event_type => 'Claim'), 'fix-d-2', 'another one of what has legal force when claimed does');
select say('two', '{"n": 3}', refs => 'c,d', kind => 'correction'), say('fix-fix', '{"n": 4}', refs => 'fix-k', kind => 'correction');
select is(pending(object_id => o('x'), event_type => 'Claim'), 'fix-d-2 two', 'one of several events, of which one has it');
select is(pending(object_id => o('k')), 'fix-fix', 'a correction of a correction that has it');

-- What has legal force is asked of what has it, not of what is claimed.
select say('s', object => 's'), say('s-v', null, refs => 's', kind => 'validation'), say('s-fix', '{"n": 1}', refs => 's', kind => 'correction'),
       say('s-no-v', 'null', refs => 's-v', kind => 'correction');
select is(pending(object_id => o('s')), 's! s-fix s-no-v', 'a claim has legal force as long as the withdrawal of its validation waits');
select f6_validate_claim(e('s-no-v'));
select is(pending(object_id => o('s')), 's!', 'and none after that');
select say('t', object => 't'), say('t-v', null, refs => 't', kind => 'validation'), say('t-fix', '{"n": 1}', refs => 't', kind => 'correction');
select is((select count(*) from f6_retract(e('t'), 'wrong', legal => true)), 1::bigint, 'a claim with a correction that waits is retracted');
select is(pending(object_id => o('t')), null, 'which does not wait any more: something newer has decided');

-- Retracting.
select say('birth', '{"since": "2020-01-01", "name": "Ada"}', 'ada'), say('home', '{"since": "2020-02-01", "street": "Kade"}', 'ada', 'birth'),
       say('house', '{"since": "2020-02-01", "people": 1}', 'kade', 'home'), say('fix', '{"since": "2020-03-01", "street": "Kaai"}', refs => 'home', kind => 'correction'),
       say('school', '{"since": "2020-04-01", "school": "Q"}', 'ada', 'home'), say('valid', null, refs => 'school', kind => 'validation');
create function retraction(statement text) returns setof text language plpgsql as $$
declare
    r f6.retraction;
begin
    for r in execute statement loop
        return next format('%s %s-%s: %s -> %s by %s', case r.object_id when o('ada') then 'ada' when o('kade') then 'kade' else '?' end,
            r.valid_from::date, case when r.valid_to <> 'infinity' then r.valid_to::date end, coalesce(r.before - 'since', 'null'), coalesce(r.after - 'since', 'null'),
            (select string_agg(name_of(e.event_reference[1]), ',' order by p.place) from unnest(r.correction_ids) with ordinality as p (id, place) join f6.event as e using (id)));
    end loop;
end $$;
create temp table log as select count(*) as events, max("position") from f6.event;
select results_eq($$ select retraction('select * from f6_retract(e(''home''), ''wrong'', dry_run => true)') $$,
    $$ values ('ada 2020-03-01-2020-04-01: {"name": "Ada", "street": "Kaai"} -> {"name": "Ada"} by '),
              ('ada 2020-04-01-: {"name": "Ada", "school": "Q", "street": "Kaai"} -> {"name": "Ada", "school": "Q"} by ') $$, 'a dry run of an event alone');
select results_eq($$ select retraction('select * from f6_retract(e(''home''), ''wrong'', ''all'', dry_run => true)') $$,
    $$ values ('ada 2020-03-01-2020-04-01: {"name": "Ada", "street": "Kaai"} -> {"name": "Ada"} by '),
              ('ada 2020-04-01-: {"name": "Ada", "school": "Q", "street": "Kaai"} -> {"name": "Ada"} by '),
              ('kade 2020-02-01-: {"people": 1} -> null by ') $$, 'with its consequences');
select is((select count(*) from f6.event), (select events from log), 'a dry run leaves nothing behind');
select results_eq($$ select retraction('select * from f6_retract(e(''home''), ''wrong'', array[e(''house''), e(''house'')], o(''mr''), ''official'')') $$,
    $$ values ('ada 2020-03-01-2020-04-01: {"name": "Ada", "street": "Kaai"} -> {"name": "Ada"} by home'),
              ('ada 2020-04-01-: {"name": "Ada", "school": "Q", "street": "Kaai"} -> {"name": "Ada", "school": "Q"} by home'),
              ('kade 2020-02-01-: {"people": 1} -> null by house') $$, 'with some of them');
select results_eq($$ select event_kind, event_data, metadata, event_source_id, event_source_type, name_of(event_reference[1]) from f6.event where "position" > (select max from log) order by "position" $$,
    $$ values ('correction'::f6.event_kind, 'null'::jsonb, '{"reason": "wrong"}'::jsonb, o('mr'), 'official', 'home'),
              ('correction', 'null', '{"reason": "wrong"}', o('mr'), 'official', 'house') $$, 'corrections, one for each');
select is(raised($$ select f6_retract(e('home'), 'wrong', 'all') $$), '55000 claim ID has been removed already: Correction ID removes it.', 'an event is retracted once');
select is(raised($$ select f6_retract(e('birth'), 'wrong', array[e('home')]) $$), '55000 claim ID has been removed already: Correction ID removes it.', 'also as a consequence that is named');
select is(raised($$ select f6_retract(e('school'), 'wrong', array[e('home'), e('nobody')]) $$),
    '22023 cascade names events that are no consequences of event ID: They are: ID, ID.', 'only consequences may be named');
select is(raised($$ select f6_retract(e('school'), 'wrong', array[null]::uuid[]) $$), '22023 cascade must not contain NULL:', 'and not NULL');
select is(raised($$ select f6_retract(e('school'), 'wrong', 'some') $$), '22023 cascade must be ''none'' or ''all'', or an array of ids: It is "some".', 'nor another word');
select is(raised($$ select f6_retract(e('school'), 'wrong', null::text) $$), '22004 cascade must not be NULL:', 'nor NULL');
select is(raised($$ select f6_retract(e('school'), 'wrong', null::uuid[]) $$), '22004 cascade must not be NULL:', 'of either type');
select is(raised($$ select f6_retract(e('school'), null) $$), '22004 reason must not be NULL:', 'a reason is needed');
select is(raised($$ select f6_retract(e('school'), '') $$), '22023 reason must not be empty:', 'that says something');
select is(raised($$ select f6_retract(null, 'wrong') $$), '22004 event_id must not be NULL:', 'and an event');
select is(raised($$ select f6_retract(e('nobody'), 'wrong', 'all') $$), '42704 event ID does not exist:', 'that exists');
select is(raised($$ select f6_retract(e('nobody'), 'wrong') $$), '42704 event ID does not exist:', 'in any case');
select is(raised($$ select f6_retract(e('school'), 'wrong', dry_run => null) $$), '22004 dry_run must not be NULL:', 'dry_run is needed');
select results_eq($$ select retraction('select * from f6_retract(e(''valid''), ''withdrawn'')') $$,
    $$ values ('ada -: null -> null by valid') $$, 'a validation is withdrawn; the state as claimed stays');
select is(pending(object_id => o('ada')), 'birth school! (withdrawn)', 'and its claim pending, as is the withdrawal');
select results_eq($$ select retraction(format('select * from f6_retract(%L, ''it was right'')', (select removed_by from f6.list_decisions(array[e('home')])))) $$,
    $$ values ('ada 2020-03-01-2020-04-01: {"name": "Ada"} -> {"name": "Ada", "street": "Kaai"} by '),
              ('ada 2020-04-01-: {"name": "Ada", "school": "Q"} -> {"name": "Ada", "school": "Q", "street": "Kaai"} by ') $$, 'a retraction is retracted');
select results_eq($$ select retraction('select * from f6_retract(e(''birth''), ''never'', ''all'')') $$,
    $$ values ('ada 2020-01-01-2020-03-01: {"name": "Ada"} -> null by birth,home,school'),
              ('ada 2020-03-01-2020-04-01: {"name": "Ada", "street": "Kaai"} -> null by birth,home,school'),
              ('ada 2020-04-01-: {"name": "Ada", "school": "Q", "street": "Kaai"} -> null by birth,home,school') $$, 'with all claims that are not removed yet');

-- Retracting legally.
select say('l', '{"name": "Lea"}', 'lea'), say('l2', '{"town": "Q"}', 'lea', 'l'), say('l3', '{"law": 1}', 'lea', 'l', 'Legal'), say('l-v', null, refs => 'l', kind => 'validation');
create temp table retracted (statement text);
insert into retracted values ('select object_id, valid_from, valid_to, before, after, null::uuid[] from f6_retract(e(''l''), ''wrong'', ''all'', legal => ');
select results_eq($$ select replace(retraction(statement || 'true, dry_run => true)'), 'ada', 'lea') from retracted $$,
    $$ values ('? 2020-01-01-: {"law": 1, "name": "Lea"} -> null by ') $$, 'a dry run shows what changes legally');
select results_eq($$ select retraction(statement || 'false, dry_run => true)') from retracted $$,
    $$ values ('? 2020-01-01-: {"law": 1, "name": "Lea", "town": "Q"} -> null by ') $$, 'or as claimed');
select is(pending(object_id => o('lea')), 'l2', 'and leaves nothing behind');
delete from log;
insert into log select count(*), max("position") from f6.event;
select is((select count(*) from f6_retract(e('l'), 'wrong', 'all', o('mr'), 'official', legal => true)), 1::bigint, 'a legal retraction');
select is(f6_state_asof(o('lea'), legal => true), null, 'has legal force');
select results_eq($$ select event_kind, event_type, event_source_id, event_source_type, metadata from f6.event where "position" > (select max from log) order by "position" $$,
    $$ values ('correction'::f6.event_kind, 'Claim', o('mr'), 'official', '{"reason": "wrong"}'::jsonb), ('correction', 'Claim', o('mr'), 'official', '{"reason": "wrong"}'),
              ('correction', 'Legal', o('mr'), 'official', '{"reason": "wrong"}'), ('validation', 'Claim', o('mr'), 'official', null), ('validation', 'Claim', o('mr'), 'official', null) $$,
    'by corrections, and validations of those whose type needs them');
select is(pending(object_id => o('lea')), null, 'so nothing waits');
select say('m', '{"name": "Mo"}', 'mo'), say('m-v', null, refs => 'm', kind => 'validation');
select is((select count(*) from f6_retract(e('m'), 'wrong')), 1::bigint, 'a retraction that is not legal');
select is(f6_state_asof(o('mo')), null, 'counts as claimed');
select is(f6_state_asof(o('mo'), legal => true), '{"name": "Mo"}', 'but not legally');
select is(pending(object_id => o('mo')), '(wrong)', 'and waits for a validation');
select isnt(f6_validate_claim((select id from f6_pending(object_id => o('mo')))), null, 'which is given');
select is(f6_state_asof(o('mo'), legal => true), null, 'so that it has legal force');
select is(raised($$ select f6_retract(e('l'), 'wrong', legal => null) $$), '22004 legal must not be NULL:', 'legal is needed');

-- Who decides, and in which search_path.
create role f6_test_official in role f6_reader, f6_writer;
create role f6_test_reader in role f6_reader;
create role f6_test_writer in role f6_writer;
select say('p' || n, object => 'p') from generate_series(1, 4) as n;
set local role f6_test_reader;
select throws_ok($$ select f6_validate_claim(f6_object_id('event', 'p1')) $$, '42501', null, 'who may not append does not validate');
select throws_ok($$ select f6_retract(f6_object_id('event', 'p1'), 'x') $$, '42501', null, 'nor retract');
select is((select count(*) from f6_pending(object_id => f6_object_id('object', 'p'))), 4::bigint, 'but sees what is pending');
set local role f6_test_writer;
select throws_ok($$ select f6_validate_claim(f6_object_id('event', 'p1')) $$, '42501', null, 'who may not read does not validate');
select throws_ok($$ select f6_pending() $$, '42501', null, 'nor see what is pending');
set local role f6_test_official;
select lives_ok($$ select f6_validate_claim(f6_object_id('event', 'p1')) $$, 'an official does both');
select lives_ok($$ select f6_reject_claim(f6_object_id('event', 'p2'), 'x') $$, 'and rejects');
select lives_ok($$ select f6_retract(f6_object_id('event', 'p1'), 'x', 'all') $$, 'and retracts');
reset role;
select say('v-p4', null, refs => 'p4', kind => 'validation'), say('fix-p4', '{"n": 1}', refs => 'p4', kind => 'correction');
select is(pending(object_id => o('p')), 'p3 (x) fix-p4', 'what waits then');
create policy few on f6.event using (id not in (f6_object_id('event', 'p3'), f6_object_id('event', 'p4'))) with check (true);
create policy all_links on f6.event_link using (true);
create policy all_objects on f6.event_object using (true);
alter table f6.event enable row level security;
set local role f6_test_official;
select results_eq($$ select event_kind::text, event_type from f6_pending(object_id => f6_object_id('object', 'p')) $$,
    $$ values ('correction', 'Claim') $$, 'what a policy hides is not pending, nor is what corrects it; the retraction is');
select throws_ok($$ select f6_validate_claim(f6_object_id('event', 'p3')) $$, '42704', null, 'and is not validated');
reset role;

create schema hostile;
create function hostile.fails(anyelement, anyelement) returns boolean language plpgsql as $$ begin raise 'taken in'; end $$;
create operator hostile.= (leftarg = anyelement, rightarg = anyelement, function = hostile.fails);
create operator hostile.<> (leftarg = anyelement, rightarg = anyelement, function = hostile.fails);
create function hostile.fails_text(text, text) returns boolean language plpgsql as $$ begin raise 'taken in'; end $$;
create operator hostile.= (leftarg = text, rightarg = text, function = hostile.fails_text);
create type hostile.record as (a int);
select say('q1', object => 'q'), say('q2', object => 'q', refs => 'q1'), say('q3', object => 'q'), say('q4', '{"n": 1}', refs => 'q3', kind => 'correction');
set local search_path = hostile, pg_catalog, public;
create temp table unharmed as select public.f6_validate_claim(public.f6_object_id('event', 'q1')), public.f6_reject_claim(public.f6_object_id('event', 'q3'), 'x') as rejected,
    (select count(*) from public.f6_retract(public.f6_object_id('event', 'q1'), 'x', 'all', dry_run => true)) as dry,
    (select count(*) from public.f6_retract(public.f6_object_id('event', 'q1'), 'x', array[public.f6_object_id('event', 'q2')], legal => true)) as retracted,
    public.f6_validate_claim(public.f6_object_id('event', 'q4')) as corrected,
    (select count(*) from public.f6_pending()) as pending,
    (select count(*) from public.f6_consequences(public.f6_object_id('event', 'q1'))) as consequences;
reset search_path;
select results_eq('select dry, retracted, consequences from unharmed', 'values (1::bigint, 1::bigint, 1::bigint)', 'whatever stands in the search_path');

select * from finish();
rollback;
