-- Reactions: what they handle, when, in which order and as whom; what is repeated, parked and logged; what they refuse.
begin;
select no_plan();
set local timezone = 'UTC';
create schema reacting;
select set_config('search_path', 'reacting, ' || current_setting('search_path'), true);
select f6_register_event_type(type, '1', 'true') from unnest('{Asked, Answered, Reminded, Ping, Pong}'::text[]) as type;

create function o(name text) returns uuid language sql immutable as $$ select public.f6_object_id('reacted', name) $$;
create function asked(variadic names text[]) returns bigint language sql as
    $$ select max(position) from unnest(names) as name, f6_append('Asked', array[o(name)], jsonb_build_object('name', name)) $$;
-- What is in flight is after 'now', as this transaction is.
create function here() returns text language sql as $$ select max(position)::text from f6.event $$;
create table done (n serial, reaction text, name text, position bigint, at_position bigint default null);
create table broken (name text);
-- Notes what it is given; fails for the names that are broken, after it has written.
create function note(e f6.event) returns void language plpgsql as $$ begin
    insert into reacting.done (reaction, name, position) values ('note', e.event_data ->> 'name', e.position);
    if exists (select from reacting.broken as b where b.name = e.event_data ->> 'name') then
        raise exception '% is broken', e.event_data ->> 'name' using detail = 'Mend it.';
    end if;
end $$;
create function answer(e f6.event) returns jsonb language sql as
    $$ select pg_catalog.jsonb_build_object('event_type', 'Answered', 'object_ids', e.object_ids, 'event_data', e.event_data, 'metadata', '{"by": "answer"}'::jsonb) $$;
-- Returns what was noted since the last time, and forgets it.
create function noted() returns text language plpgsql as $$
declare what text; begin
    select string_agg(name, ' ' order by n) into what from done;
    delete from done;
    return what;
end $$;
create function log_of(which text) returns text language sql as
    $$ select string_agg(format('%s%s%s', outcome, attempt, coalesce(' ' || error, '')), ', ' order by run_id) from f6.reaction_run where reaction = which $$;

-- Each event once, in order.
select asked('before');
select f6_create_reaction('note', '{"types": ["Asked"]}', 'note(f6.event)', here(), attempts => 2, backoff => '0');
select is(f6_run_reactions('note'), 0::bigint, 'a reaction starts with what comes');
select asked('a', 'b', 'a');
select is(f6_run_reactions('note'), 3::bigint, 'it handles each event');
select is(noted(), 'a b a', 'in order');
select is(f6_run_reactions(), 0::bigint, 'once');
select is(log_of('note'), 'done1, done1, done1', 'and that is logged');
select f6_create_reaction('all', '{"types": ["Asked"]}', 'reacting.note(f6.event)', 'beginning', max_chain => 0);
select is(f6_run_reactions(), (select count(*) from f6.event where event_type = 'Asked'), 'or from the beginning');
select is(substring(noted() from 'before a b a$'), 'before a b a', 'with all that is there');
select f6_drop_reaction('all');
select is((select count(*) from f6.subscription where name = 'all'), 0::bigint, 'a dropped one is gone');
select isnt(log_of('all'), null, 'its log is not');

-- Events to append: because of the event, and by whom.
select f6_create_reaction('answer', '{"types": ["Asked"]}', 'answer(f6.event)', here());
select asked('c');
select is(f6_run_reactions('answer'), 1::bigint, 'a handler returns an event');
select is((select array[r.appended[1] = a.position, a.metadata = jsonb_build_object('by', 'answer', 'reaction', 'answer', 'causation_id', q.id, 'correlation_id', q.id)]
        from f6.reaction_run as r join f6.event as q using (position) join f6.event as a on a.position = r.appended[1] where r.reaction = 'answer'),
    '{t,t}', 'it is appended, because of the one that it reacted to, and logged');
select is(noted(), null, 'the other reaction has not run');
select is(f6_run_reactions(), 1::bigint, 'until it does');
select is(noted(), 'c', 'on its own');
create function answer_twice(e f6.event) returns jsonb language plpgsql as $$ begin
    perform public.f6_append('Answered', e.object_ids, '{"first": true}', metadata => '{"correlation_id": "mine"}');
    return pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_object('event_type', 'Answered', 'object_ids', e.object_ids, 'event_data', '{}'::jsonb),
        pg_catalog.jsonb_build_object('event_type', 'Answered', 'object_ids', e.object_ids, 'event_data', '{}'::jsonb));
end $$;
select f6_create_reaction('twice', '{"types": ["Answered"]}', 'answer_twice(f6.event)', here(), max_chain => 1);
select asked('d');
select is(f6_run_reactions('answer'), 1::bigint, 'and the next');
select is(f6_run_reactions('twice'), 1::bigint, 'a reaction reacts to what another one has appended');
select results_eq($$ select a.metadata ->> 'correlation_id' = any (array['mine', (select id::text from f6.event where event_data ->> 'name' = 'd' and event_type = 'Asked')]),
        a.metadata ->> 'causation_id' = (select id::text from f6.event where event_data ->> 'name' = 'd' and event_type = 'Answered')
    from f6.event as a where a.metadata ->> 'reaction' = 'twice' order by position $$,
    $$ values (true, true), (true, true), (true, true) $$, 'whatever way they take, events say what they go back to');
select is((select array_agg(reason order by position) from f6.parked where name = 'twice'),
    array_fill('54000: more than 1 events led to this one, each because of the one before'::text, array[1]) || array[null, null]::text[], 'a loop is seen, and parked');
select f6_drop_reaction('twice');
select f6_disable_reaction('answer');
select f6_run_reactions();
select noted();

-- Failures.
insert into broken values ('e');
delete from f6.reaction_run;
select asked('e', 'f', 'e');
select is(f6_run_reactions(), 3::bigint, 'one that fails is handled again');
select is(noted(), 'f', 'what it did is undone');
select is(log_of('note'), 'failed1 P0001: e is broken' || E'\nMend it.' || ', parked2 P0001: e is broken' || E'\nMend it.' || ', done1', 'all that is logged');
select results_eq($$ select attempts, reason, waits_for is null from f6.parked where name = 'note' order by position $$,
    $$ values (2, 'P0001: e is broken' || E'\nMend it.', true), (0, null, false) $$, 'it is parked with what comes after it');
select is((select array[failing, parked] from f6.reaction where name = 'note'), '{0,2}', 'as can be seen');
select is(f6_replay('note'), 2::bigint, 'replayed,');
select is(f6_run_reactions('note'), 1::bigint, 'it fails at once,');
delete from broken;
select f6_replay('note');
select is(f6_run_reactions('note'), 2::bigint, 'and when it is mended it does not');
select is(noted(), 'e e', 'nor what waited for it');
update f6.subscription_definition set backoff = '1 hour', max_backoff = '2 hours' where name = 'note';
insert into broken values ('g');
select asked('g', 'h');
select is(f6_run_reactions('note'), 1::bigint, 'one that is to wait is handled later');
select is((select array[failing, lag_events, (retry_at > now() + interval '59 minutes')::integer] from f6.reaction where name = 'note'), '{1,2,1}', 'with what comes after it');
delete from broken;
update f6.subscription_failure set retry_at = now();
select is(f6_run_reactions('note'), 2::bigint, 'and then it is');
select is(noted(), 'g h', 'in order');

-- Disabled, and for some objects only.
select f6_disable_reaction('note');
select asked('i');
select is(f6_run_reactions('note'), 0::bigint, 'a disabled reaction does nothing');
select is((select enabled from f6.reaction where name = 'note'), false, 'as can be seen');
select f6_enable_reaction('note');
select is(f6_run_reactions('note'), 1::bigint, 'it goes on from where it was');
select is(noted(), 'i', 'when it is enabled');
select f6_enable_reaction('note', array[o('x'), o('z')]);
select asked('x', 'y', 'z');
select is(f6_run_reactions('note'), 2::bigint, 'it may be about some objects only');
select is(noted(), 'x z', 'those');
select f6_enable_reaction('note');
select is(f6_run_reactions('note'), 0::bigint, 'what was about others is done');
select f6_create_reaction('off', '{"types": ["Asked"]}', 'note(f6.event)', here(), enabled => false, only_objects => array[o('x')]);
select asked('x', 'y');
select is(f6_run_reactions('off'), 0::bigint, 'one is made disabled,');
select f6_enable_reaction('off', array[o('x')]);
select is(f6_run_reactions('off'), 1::bigint, 'and enabled for one object');
select f6_drop_reaction('off');
select f6_run_reactions();
select noted();

-- Later.
create function at(e f6.event) returns timestamptz language sql stable as $$ select (e.event_data ->> 'at')::timestamptz $$;
select f6_create_reaction('remind', '{"types": ["Reminded"]}', 'note(f6.event)', here(), due => 'at(f6.event)', delay => '-1 day', attempts => 2, backoff => '0');
create function reminded(name text, at text) returns bigint language sql as
    $$ select position from f6_append('Reminded', array[o(name)], jsonb_build_object('name', name, 'at', at)) $$;
select reminded('in a week', (now() + interval '7 days')::text), reminded('never', null), reminded('at no time', 'infinity'), reminded('in a day', (now() + interval '1 day')::text),
    reminded('long ago', '-infinity'), reminded('in two days', (now() + interval '2 days')::text);
select is(f6_run_reactions('remind'), 2::bigint, 'what is due by now is handled');
select is(noted(), 'in a day long ago', 'that is, this');
select results_eq($$ select event_data ->> 'name', due_at from f6.due join f6.event using (position) where name = 'remind' order by due_at $$,
    $$ values ('in two days', now() + interval '1 day'), ('in a week', now() + interval '6 days') $$, 'the rest waits');
select is((select array[waiting, lag_events] from f6.reaction where name = 'remind'), '{2,0}', 'and holds up nothing');
select is((select next_at from f6.reaction where name = 'remind'), now() + interval '1 day', 'until the first');
insert into broken values ('in a week');
update f6.reaction_due set run_at = now() - interval '1 hour' * position;
select is(f6_run_reactions('remind'), 3::bigint, 'it is handled when it is due,');
select is(noted(), 'in two days', 'in the order of that');
select is((select reason from f6.parked where name = 'remind'), 'P0001: in a week is broken' || E'\nMend it.', 'one that fails is parked');
select is((select waiting from f6.reaction where name = 'remind'), 0::bigint, 'and does not wait any more');
delete from broken;
select f6_replay('remind');
select is(f6_run_reactions('remind'), 0::bigint, 'replayed, it is due when it was,');
select is((select waiting from f6.reaction where name = 'remind'), 1::bigint, 'so it waits');
select lives_ok($$ select f6_discard('remind', position) from f6.due where name = 'remind' $$, 'it can be given up on');
select is((select waiting from f6.reaction where name = 'remind'), 0::bigint, 'and then does not wait');
select throws_ok($$ select f6_discard('remind', 1) $$, '42704', null, 'what is neither parked nor waits can not');
select reminded('again', (now() + interval '7 days')::text);
select f6_run_reactions('remind');
select f6_seek('remind', 'beginning');
select is((select count(*) from f6.due where name = 'remind'), 0::bigint, 'what is to be met again does not wait');
select f6_drop_reaction('remind');
select is((select count(*) from f6.reaction_due), 0::bigint, 'what waits goes with the reaction');
select noted();
select f6_create_reaction('a day', '{"types": ["Asked"]}', 'note(f6.event)', here(), delay => '1 day');
select asked('x');
select is(f6_run_reactions('a day'), 0::bigint, 'a delay alone');
select is((select due_at from f6.due), (select created_at + interval '1 day' from f6.event order by position desc limit 1), 'is from when it was recorded');
insert into broken values ('x');
update f6.reaction_due set run_at = now();
update f6.subscription_definition set backoff = '1 hour', max_backoff = '2 hours' where name = 'a day';
select is(f6_run_reactions('a day'), 1::bigint, 'and one that fails then');
select is((select array[attempts, (run_at between now() + interval '59 minutes' and now() + interval '61 minutes')::integer] from f6.due), '{1,1}', 'is handled again, later');
select is((select array[failing, waiting] from f6.reaction where name = 'a day'), '{1,1}', 'as can be seen');
delete from broken;
select f6_drop_reaction('a day');

-- Time.
create function slow(e f6.event) returns void language plpgsql as $$ begin perform pg_catalog.pg_sleep(60); end $$;
select f6_create_reaction('slow', '{"types": ["Asked"]}', 'slow(f6.event)', here(), attempts => 1, timeout => '50 milliseconds');
select asked('x');
set local statement_timeout = 0;
select is(f6_run_reactions('slow'), 1::bigint, 'a handler that takes too long');
select is(log_of('slow'), 'parked1 57014: it took longer than 50 ms', 'is cancelled, and has failed');
create function stubborn(e f6.event) returns void language plpgsql as $$ begin
    begin perform pg_catalog.pg_sleep(60); exception when query_canceled then null; end;
end $$;
select f6_create_reaction('stubborn', '{"types": ["Asked"]}', 'stubborn(f6.event)', here(), attempts => 1, timeout => '50 milliseconds');
select asked('x');
select f6_run_reactions('stubborn');
select is(log_of('stubborn'), 'parked1 57014: it took longer than 50 ms', 'though it catches that');
create function slow_due(e f6.event) returns timestamptz language plpgsql stable as $$ begin perform pg_catalog.pg_sleep(60); return null; end $$;
select f6_create_reaction('slow due', '{"types": ["Asked"]}', 'note(f6.event)', here(), due => 'slow_due(f6.event)', attempts => 1, timeout => '50 milliseconds');
select asked('x');
select f6_run_reactions('slow due');
select is(log_of('slow due'), 'parked1 57014: it took longer than 50 ms', 'as what says when does');
create function sleep(e f6.event) returns void language plpgsql as $$ begin perform pg_catalog.pg_sleep(60); end $$;
select f6_create_reaction('sleep', '{"types": ["Asked"]}', 'sleep(f6.event)', here());
select asked('x');
set local statement_timeout = '100ms';
create function cancelled() returns text language plpgsql as $$ begin
    perform f6_run_reactions('sleep');
    return null;
exception when query_canceled then
    return sqlerrm;
end $$;
select is(cancelled(), 'canceling statement due to statement timeout', 'the client''s own limit is another one');
set local statement_timeout = 0;
select is(log_of('sleep'), null, 'and no failure');
select f6_drop_reaction(name) from unnest('{stubborn, slow due, sleep}'::text[]) as name;

-- Recursion, its own end, and what cannot be read.
create function again(e f6.event) returns void language sql as $$ select public.f6_run_reactions() $$;
create function leave(e f6.event) returns void language sql as $$ select public.f6_drop_reaction('leave') $$;
select f6_create_reaction('again', '{"types": ["Asked"]}', 'again(f6.event)', here(), attempts => 1);
select f6_create_reaction('leave', '{"types": ["Asked"]}', 'leave(f6.event)', here(), attempts => 1);
select asked('x');
select is(f6_run_reactions('again') + f6_run_reactions('leave'), 2::bigint, 'a reaction');
select f6_run_reactions();
select is(log_of('again'), 'parked1 55000: a reaction cannot have reactions run', 'does not have others run');
select alike(log_of('leave'), 'parked1 42704: %', 'nor end itself');
select f6_drop_reaction(name) from unnest('{again, leave}'::text[]) as name;
select noted();
create function cannot(data jsonb) returns jsonb language plpgsql immutable as $$ begin
    if data ->> 'name' = 'old' then raise exception 'cannot be read'; end if;
    return data;
end $$;
select f6_register_event_type('Kept', '1', 'true'), f6_register_event_type('Kept', '2', 'true');
select f6_register_upcaster('Kept', '1', '2', 'cannot(jsonb)', validate => false);
select f6_create_reaction('kept', '{"types": ["Kept"]}', 'note(f6.event)', here(), attempts => 1);
select f6_append('Kept', array[o(name)], jsonb_build_object('name', name), event_version => '1') from unnest('{a, old, c}'::text[]) as name;
select is(f6_run_reactions('kept'), 3::bigint, 'an event that cannot be read');
select is(noted(), 'a c', 'fails alone');
select alike(log_of('kept'), 'done1, parked1 P0001: cannot be read%, done1', 'as others do');
select f6_drop_reaction('kept');
select f6_drop_reaction('slow');

create function verbose(e f6.event) returns void language plpgsql as $$ begin raise exception '%', pg_catalog.repeat('é', 1000000); end $$;
select f6_create_reaction('verbose', '{"types": ["Asked"]}', 'verbose(f6.event)', here(), attempts => 1);
select asked('x');
select f6_run_reactions('verbose');
select is((select octet_length(reason) from f6.parked where name = 'verbose'), 9999, 'a long error is cut');
select f6_drop_reaction('verbose');

-- As its owner.
create role reacting_owner;
grant f6_reader, f6_admin to reacting_owner;
grant usage, create on schema reacting to reacting_owner;
grant all on all tables in schema reacting to reacting_owner;
grant all on all sequences in schema reacting to reacting_owner;
select noted(), f6_run_reactions('note');
set local role reacting_owner;
create function whoami(e f6.event) returns void language sql as $$ insert into reacting.done (reaction, name) values (current_setting('search_path') || current_setting('TimeZone'), current_user) $$;
set local timezone = 'Europe/Amsterdam';
select f6_create_reaction('whoami', '{"types": ["Asked"]}', 'whoami(f6.event)', here());
select f6_create_reaction('may not', '{"types": ["Asked"]}', 'answer(f6.event)', here(), attempts => 1);
set local timezone = 'UTC';
select throws_ok($$ select f6_run_reactions('note') $$, '42501', null, 'a reaction of others is not run');
select throws_ok($$ select f6_enable_reaction('note') $$, '42501', null, 'nor enabled');
select throws_ok($$ select f6_disable_reaction('note') $$, '42501', null, 'nor disabled');
select throws_ok($$ select f6_drop_reaction('note') $$, '42501', null, 'nor dropped');
reset role;
select asked('w');
delete from done;
set local role reacting_owner;
select is(f6_run_reactions(), 2::bigint, 'without a name they are the caller''s');
reset role;
select results_eq($$ select name, reaction from done $$, $$ values ('reacting_owner', 'pg_catalog, pg_tempEurope/Amsterdam') $$, 'a handler runs as the owner, by the settings of then');
select alike(log_of('may not'), 'parked1 42501: %', 'who may not append does not');
select f6_drop_reaction('may not'), f6_drop_reaction('whoami');

-- A reaction runs as its owner: nobody makes one of the subscription of another, nor without being asked to administer.
create role reacting_reader;
grant f6_reader, f6_writer to reacting_reader;
grant usage on schema reacting to reacting_reader;
select f6_subscribe('of another');
set local role reacting_owner;
select throws_ok($$ select f6.make_reaction('of another', 'whoami(f6.event)', null, null, null, true, '1 minute', 32) $$, '42501', null, 'a reaction of a subscription of others');
select throws_ok($$ select f6.make_reaction(null, null, null, null, null, null, null, null) $$, '22004', null, 'or of nothing');
set local role reacting_reader;
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'whoami(f6.event)') $$, '42501', null, 'or by who only reads');
reset role;

-- A dump that is being restored, and events that name themselves as their cause.
select noted();
select f6_create_reaction('restored', '{"types": ["Asked"]}', 'note(f6.event)', here(), delay => '1 hour');
insert into f6.reaction_due (subscription_id, "position", due_at, run_at) select subscription_id, 1000000000, now(), now() from f6.subscription_definition where name = 'restored';
select is(f6_run_reactions('restored'), 0::bigint, 'an event that is due, and not there yet,');
select is((select waiting from f6.reaction where name = 'restored'), 1::bigint, 'waits');
select f6_drop_reaction('restored');
select f6_create_reaction('caused', '{"types": ["Asked"]}', 'note(f6.event)', here(), max_chain => 0);
select f6_append('Asked', array[o('cause')], '{"name": "own"}', id => o('id'), metadata => jsonb_build_object('causation_id', o('id')));
select is(f6_run_reactions('caused'), 1::bigint, 'an event that is its own cause is no loop');
select f6_drop_reaction('caused');
select noted();

-- What is refused.
select throws_ok($$ select f6_create_reaction(null, '[{}]', 'note(f6.event)') $$, '22023', null, 'no name');
select throws_ok($$ select f6_create_reaction('', '[{}]', 'note(f6.event)') $$, '22023', null, 'an empty one');
select throws_ok($$ select f6_create_reaction('note', '[{}]', 'note(f6.event)') $$, '42710', null, 'one that is taken');
select throws_ok($$ select f6_create_reaction('r', null, 'note(f6.event)') $$, '22004', null, 'no query');
select throws_ok($$ select f6_create_reaction('r', '[{}]', null) $$, '22004', null, 'no handler');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'nothing(f6.event)') $$, '42883', null, 'a handler that does not exist');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'o(text)') $$, '42P17', null, 'one of another shape');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', due => 'note(f6.event)') $$, '42P17', null, 'no time');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', enabled => null) $$, '22004', null, 'neither enabled nor disabled');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', timeout => '0') $$, '22023', null, 'no time to run');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', timeout => null) $$, '22023', null, 'nor an unknown one');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', max_chain => -1) $$, '22023', null, 'a chain of less than nothing');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', delay => '2000 years') $$, '22023', null, 'a delay of ages');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', only_objects => '{}') $$, '22023', null, 'no objects');
select throws_ok($$ select f6_create_reaction('r', '[{}]', 'note(f6.event)', only_objects => '{null}') $$, '22023', null, 'an object that is NULL');
select is((select count(*) from f6.subscription where name = 'r'), 0::bigint, 'and nothing is left behind');
select throws_ok($$ select f6_enable_reaction('r') $$, '42704', null, 'there is none to enable');
select throws_ok($$ select f6_drop_reaction('r') $$, '42704', null, 'to drop');
select throws_ok($$ select f6_drop_reaction(null) $$, '42704', null, 'to drop by no name');
select f6_subscribe('plain', '{"types": ["Asked"]}');
select throws_ok($$ select f6_enable_reaction('plain') $$, '42704', null, 'a subscription is no reaction');
select throws_ok($$ select f6_run_reactions('plain') $$, '42704', null, 'nor run');
select throws_ok($$ select f6_drop_reaction('plain') $$, '42704', null, 'nor dropped as one');
create function reject(e f6.event) returns jsonb language sql as $$ select '{"rejected": "no"}'::jsonb $$;
create function no_object(e f6.event) returns jsonb language sql as $$ select '7'::jsonb $$;
create function bad_metadata(e f6.event) returns jsonb language sql as $$ select pg_catalog.jsonb_build_object('event_type', 'Answered', 'object_ids', e.object_ids, 'event_data', '{}'::jsonb, 'metadata', 7) $$;
select f6_create_reaction(name, '{"types": ["Asked"]}', name || '(f6.event)', here(), attempts => 1) from unnest('{reject, no_object, bad_metadata}'::text[]) as name;
select asked('x');
select f6_run_reactions();
select alike(log_of('reject'), 'parked1 22023: the handler returned no events%', 'a reaction that rejects');
select alike(log_of('no_object'), 'parked1 22023: %', 'that returns no events');
select alike(log_of('bad_metadata'), 'parked1 22023: metadata of an event that a reaction appends must be an object%', 'whose events have no room for their cause');

select * from finish();
rollback;
