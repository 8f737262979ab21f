-- Subscriptions: what they deliver, to whom and for how long; what is retried, parked and replayed; what they refuse.
begin;
select no_plan();
set local timezone = 'UTC';
create schema subscribing;
select set_config('search_path', 'subscribing, ' || current_setting('search_path'), true);
select f6_register_event_type(type, '1', 'true') from unnest('{Ordered, Paid, Rare}'::text[]) as type;

-- Returns the object of a name; appends a claim about some; returns what a poll delivers, as position@attempt from a base.
create function o(name text) returns uuid language sql immutable as $$ select f6_object_id('subscribed', name) $$;
create table base (start bigint not null);
create function claim(type text, variadic names text[]) returns bigint language sql as
    $$ select position - start from f6_append(type, (select array_agg(distinct o(name)) from unnest(names) as name), '{}'), base $$;
create function polled(name text, events integer default 100, who text default '', lease interval default '1 hour') returns text language sql as
    $$ select string_agg((p.position - start) || '@' || p.attempt, ' ' order by ordinality) from f6_poll(name, events, consumer => who, lease => lease) with ordinality as p, base $$;
create function ack(name text, n bigint, who text default '') returns void language sql as
    $$ select f6_ack(name, start + n, who) from base $$;
create function nack(name text, n bigint, who text default '') returns timestamptz language sql as
    $$ select f6_nack(name, start + n, 'reason of ' || n, who) from base $$;
create function parked(name text) returns text language sql as
    $$ select string_agg((k.position - start) || coalesce('<' || (waits_for - start), '') || case when replay then '!' else '' end, ' ' order by k.position)
        from f6.parked as k, base where k.name = parked.name $$;
-- Ends the leases of a subscription, as time would.
create function expire(subscription text) returns void language sql as
    $$ update f6.subscription_partition set leased_until = now() - interval '1 second' where consumer is not null
        and subscription_id = (select subscription_id from f6.subscription_definition where name = subscription) $$;
insert into base select coalesce(max("position"), 0) from f6.event;
-- The sequence may be further than the log.
select claim('Rare', 'first');
update base set start = (select max("position") from f6.event);

-- In order, by the query, once while the lease holds.
select f6_subscribe('all', start => (select start from base)::text);
select f6_subscribe('paid', '{"types": ["Paid"]}', (select start from base)::text, attempts => 3, backoff => '0');
select f6_subscribe('about b', jsonb_build_array(jsonb_build_object('objects', array[o('b')])), (select start from base)::text);
select is(polled('paid'), null, 'nothing is delivered where there is nothing');
select results_eq($$ select claim(case when n % 2 = 0 then 'Paid' else 'Ordered' end, case when n < 4 then 'a' else 'b' end) from generate_series(1, 6) as n $$,
    $$ select generate_series(1, 6)::bigint $$, 'events');
select is(polled('all', 2), '1@1 2@1', 'as many as wanted');
select is(polled('all', 2), null, 'and no others before these are done');
select ack('all', 2);
select is(polled('all', 3), '3@1 4@1 5@1', 'the next ones');
select is(polled('paid'), '2@1 4@1 6@1', 'each subscription has its own');
select is(polled('paid'), null, 'and they are not delivered twice');
select is(polled('paid', who => 'other'), null, 'to nobody else either');
select is(polled('about b'), '4@1 5@1 6@1', 'by object');
select f6_seek('about b', start::text) from base;
select is(array_agg(p.event_type || p.object_ids[1]), array['Paid' || o('b')], 'whole events') from (select p.* from f6_poll('about b', 1) as p) as p;
select results_eq($$ select "position" - start, lag_events, consumers, failing, parked from f6.subscription, base where name = 'all' $$,
    $$ values (2::bigint, 4::bigint, array[''], 0::bigint, 0::bigint) $$, 'a lease shows');
select ok(leased_until > now() + interval '50 minutes' and lag_time >= interval '0', 'with its end') from f6.subscription where name = 'all';
select ack('all', 3);
select is("position" - start, 3::bigint, 'what is acknowledged is done') from f6.subscription, base where name = 'all';
select throws_ok($$ select ack('all', 3) $$, '55000', format('the event at position %s is done', start + 3), 'once') from base;
select throws_ok($$ select ack('all', 2) $$, '55000', null, 'with all before it');
select throws_ok($$ select ack('all', 6) $$, '55000', format('the event at position %s is with no consumer', start + 6), 'only what was delivered') from base;
select throws_ok($$ select ack('all', 5, 'other') $$, '55000', format('consumer "other" has no lease of the event at position %s', start + 5), 'to the same consumer') from base;
select throws_ok($$ select nack('all', 5, 'other') $$, '55000', null, 'who alone may give it back');
select ack('all', 5);
select is(array_length(consumers, 1), null, 'who has done all has no lease') from f6.subscription where name = 'all';
select is(polled('all', who => 'other'), '6@1', 'so others may go on');
select throws_ok($$ select f6_ack('all', 9000000000000) $$, '42704', 'there is no event at position 9000000000000', 'only events can be acknowledged');

-- A lease that runs out.
select expire('all');
select is(polled('all', who => 'third'), '6@2', 'is given to somebody else');
select throws_ok($$ select ack('all', 6, 'other') $$, '55000', null, 'so who comes too late is refused');
select ack('all', 6, 'third');
select claim('Ordered', 'c') from generate_series(7, 10);
select is(polled('all', 3), '7@1 8@1 9@1', 'of several events');
select expire('all');
select is(polled('all', 3), '7@2', 'is of one at a time after that');
select ack('all', 7);
select is(polled('all', 3), '8@2', 'up to the last of them');
select expire('all');
select is(polled('all', 3), '8@2', 'each time');
select expire('all');
select is(polled('all', 3), '8@3', 'counted');
select ack('all', 8);
select is(polled('all', 3), '9@2', 'until they are done');
select ack('all', 9);
select claim('Ordered', 'c') from generate_series(11, 12);
select is(polled('all', 3), '10@1 11@1 12@1', 'then of several');
select ack('all', 12);
select is(lag_events, 0::bigint, 'all is done') from f6.subscription where name = 'all';

-- Who fails at an event gets it once more, and it is parked in the end, with what comes after it about its objects.
select isnt(nack('paid', 4), null, 'it is delivered again');
select is(polled('paid'), '2@1 4@2 6@1', 'with all that is not done');
select ack('paid', 2);
select nack('paid', 4);
select is(failing || error, '1reason of 4', 'a failure shows') from f6.subscription where name = 'paid';
select is(polled('paid', 1), '4@3', 'and counts');
select is(nack('paid', 4), null, 'the last one');
select is(parked('paid'), '4', 'parks it');
select is(attempts || reason, '3reason of 4', 'with the reason') from f6.parked where name = 'paid';
select claim('Paid', 'a'), claim('Paid', 'b', 'd'), claim('Paid', 'd'), claim('Paid', 'e');
select is(polled('paid'), '13@1 16@1', 'others go on');
select is(parked('paid'), '4 6<4 14<4 15<14', 'but not what has to come after it');
select ack('paid', 16);
select throws_ok($$ select ack('paid', 6) $$, '55000', format('the event at position %s is parked', start + 6), 'which can''t be acknowledged') from base;
select throws_ok($$ select f6_replay('paid', start + 14) from base $$, '55000', format('the event at position %s waits for another', start + 14), 'or replayed alone') from base;
select is(f6_replay('paid', start + 4), 4::bigint, 'it is replayed with them') from base;
select is(parked('paid'), '4! 6<4! 14<4! 15<14!', 'all');
select is(polled('paid', 3), '4@4 6@1 14@1', 'in order');
select is(polled('paid', 3), null, 'while the lease holds no others');
select nack('paid', 6);
select is(polled('paid', 100), '4@4', 'not past one that fails again');
select ack('paid', 4);
select is(parked('paid'), '6<4 14<4! 15<14!', 'what is acknowledged is not parked any more');
select claim('Paid', 'd'), claim('Paid', 'e');
select is(polled('paid', 100), '18@1', 'what comes later waits too');
select is(parked('paid'), '6<4 14<4! 15<14! 17<14!', 'behind them');
select ack('paid', 18);
select lives_ok($$ select f6_discard('paid', start + 6) from base $$, 'one can be given up');
select is(polled('paid', 100), '14@1 15@1 17@1', 'and those behind it go on');
select ack('paid', 17);
select is(parked('paid'), null, 'and are done');
select throws_ok($$ select f6_discard('paid', start + 6) from base $$, '42704', null, 'what is not parked can''t be given up');
select throws_ok($$ select f6_replay('paid', start + 6) from base $$, '42704', null, 'or replayed');

-- A consumer that dies of an event again and again.
select f6_subscribe('dying', '{"types": ["Paid"]}', (select start + 12 from base)::text, attempts => 2);
select is(polled('dying', 2), '13@1 14@1', 'a batch');
select expire('dying');
select is(polled('dying', 2), '13@2', 'its first event');
select expire('dying');
select is(polled('dying', 2), '13@3', 'alone');
select expire('dying');
select is(polled('dying', 2), '14@2', 'is parked in the end');
select is(reason, 'the lease of consumer "" ran out', 'with the reason') from f6.parked where name = 'dying';
select ack('dying', 14);
select is(polled('dying', 2), '15@1 16@1', 'and all goes on');

-- What is done is not delivered again, though it was parked before others were done; nor is it delivered before these.
select f6_subscribe('parking', '{"types": ["Parked"]}', attempts => 1);
select f6_register_event_type('Parked', '1', 'true');
select claim('Parked', 'x') - claim('Parked', 'x') is not null;
update base set start = (select min("position") - 1 from f6.event where event_type = 'Parked');
select is(polled('parking'), '1@1 2@1', 'two events of an object');
select is(nack('parking', 2), null, 'the second is parked');
select f6_replay('parking');
select is(polled('parking', 1), '1@1', 'and not delivered before the first');
select ack('parking', 1);
select is(polled('parking'), '2@2', 'but after it');
select ack('parking', 2);
select is(polled('parking'), null, 'and once');
select is(lag_events || ' ' || parked, '0 0', 'when it is done') from f6.subscription where name = 'parking';
select claim('Parked', 'x'), claim('Parked', 'y');
select is(polled('parking', 1), '3@1', 'another');
select nack('parking', 3);
select lives_ok($$ select f6_discard('parking', start + 3) from base $$, 'is given up');
select is(polled('parking'), '4@1', 'and not delivered either');
select ack('parking', 4);
select is((select count(*) from f6.parked_event as k join f6.subscription_definition as s using (subscription_id) where s.name = 'parking'), 0::bigint, 'and forgotten in the end');
select claim('Parked', 'z'), claim('Parked', 'z');
select is(polled('parking', 1), '5@1', 'one that is replayed');
select nack('parking', 5);
select is(polled('parking'), null, 'what comes after it waits');
select f6_replay('parking');
select is(polled('parking', 1), '5@2', 'and whose lease runs out');
select expire('parking');
select is(polled('parking'), null, 'is not delivered for ever');
select is(parked('parking'), '5 6<5!', 'but parked again');
select is(attempts || reason, '2the lease of consumer "" ran out', 'with the reason') from f6.parked where name = 'parking' and waits_for is null;
select f6_discard('parking', start + 5) from base;
select is(polled('parking'), '6@1', 'so that others can go on when it is given up');
select throws_ok($$ select f6_ack('parking', (select max("position") from f6.event where event_type = 'Rare')) $$, '42704', null, 'what it does not deliver can''t be acknowledged');
update base set start = (select min("position") from f6.event where event_type = 'Rare');

-- Partitions: order for each object, whatever the number of consumers.
select f6_subscribe('shared', '{"types": ["Rare"]}', (select start + 18 from base)::text, partitions => 4);
select claim('Rare', 'p' || n) from generate_series(1, 20) as n;
create table delivered (consumer integer, n bigint, ids uuid[]);
insert into delivered select 1, p.position - start, p.object_ids from f6_poll('shared', 100, consumer => '1') as p, base;
insert into delivered select 2, p.position - start, p.object_ids from f6_poll('shared', 100, consumer => '2') as p, base;
insert into delivered select 3, p.position - start, p.object_ids from f6_poll('shared', 100, consumer => '3') as p, base;
insert into delivered select 4, p.position - start, p.object_ids from f6_poll('shared', 100, consumer => '4') as p, base;
select is((select count(*) from f6_poll('shared', consumer => '5')), 0::bigint, 'a fifth consumer of four partitions has nothing');
select results_eq('select count(*), count(distinct n), count(distinct consumer) from delivered', 'values (20::bigint, 20::bigint, 4::bigint)', 'four share the events');
create function of(consumer integer) returns uuid language sql as $$ select ids[1] from delivered as d where d.consumer = of.consumer limit 1 $$;
-- An event about objects of two partitions waits for both, and both for it.
select position - start as both from f6_append('Rare', array[of(1), of(2)], '{}'), base \gset
select position - start as after_1 from f6_append('Rare', array[of(1)], '{}'), base \gset
select position - start as after_2 from f6_append('Rare', array[of(2)], '{}'), base \gset
select is(array_agg(p), null, 'none can have it') from (select polled('shared', 100, c) as p from unnest('{1, 2}'::text[]) as c) as p where p is not null;
select f6_ack('shared', max(n) + start, '1') from delivered, base where consumer = 1 group by start;
select is(array_agg(p), null, 'while one of them is not done') from (select polled('shared', 100, c) as p from unnest('{1, 2}'::text[]) as c) as p where p is not null;
select f6_ack('shared', max(n) + start, '2') from delivered, base where consumer = 2 group by start;
select f6_seek('shared', (select start + :both - 1 from base)::text);
insert into delivered select 6, p.position - start, p.object_ids from f6_poll('shared', 100, consumer => '6') as p, base;
select is((select min(n) from delivered where consumer = 6), :both::bigint, 'then one has it');
select is((select count(*) from f6_poll('shared', 100, consumer => '7')), 0::bigint, 'and the other partition waits');
select f6_ack('shared', start + :both, '6') from base;
select is((select count(*) from f6_poll('shared', 100, consumer => '7')), 1::bigint, 'until it is done');

-- A parked event of one partition does not hold up the other of its objects.
select f6_subscribe('two', '{"types": ["Two"]}', partitions => 2, attempts => 1);
select f6_register_event_type('Two', '1', 'true');
select f6_append('Two', array[of(1), of(2)], '{}') is not null from generate_series(1, 3);
create function took(events integer default 100) returns bigint[] language sql as $$ select array_agg(p.position order by p.position) from f6_poll('two', events) as p $$;
select is(cardinality(took()), 3, 'events about the same objects of two partitions are delivered together');
select f6_nack('two', (select min("position") from f6.event where event_type = 'Two'));
select is(took(), null, 'and parked together');
select is(parked, 3::bigint, 'all of them') from f6.subscription where name = 'two';
select f6_append('Two', array[of(3)], '{}') is not null, f6_append('Two', array[of(4)], '{}') is not null;
create table taken as select unnest(took()) as "position" union all select unnest(took());
select is((select count(*) from taken), 2::bigint, 'others go on');

-- Where to start.
select is(f6_seek('all', 'beginning'), 0::bigint, 'at the beginning');
select is((select min("position") from f6_poll('all')), (select min("position") from f6.event), 'of the log');
select is(f6_seek('all', 'now'), f6_horizon(), 'at its end');
select is(f6_seek('all', '2100-01-01'), f6_horizon(), 'of the future: at the end');
select is(f6_seek('all', '1900-01-01 00:00+00'), (select min("position") - 1 from f6.event), 'of the past: at the beginning');
select throws_ok($$ select f6_seek('all', 'yesterdayish') $$, '22023', 'start must be ''beginning'', ''now'', a position or a time, found "yesterdayish"', 'nowhere else');
select throws_ok($$ select f6_seek('all', null) $$, '22023', null, 'or nowhere');
select throws_ok($$ select f6_seek('all', '99999999999999999999') $$, '22003', null, 'or too far');

-- What is refused.
select throws_ok($$ select f6_subscribe('all') $$, '42710', 'subscription "all" exists', 'a name twice');
select throws_ok($$ select f6_subscribe('') $$, '22023', null, 'no name');
select throws_ok($$ select f6_subscribe(null) $$, '22023', null, 'NULL');
select throws_ok($$ select f6_subscribe('x', null) $$, '22004', null, 'no query');
select throws_ok($$ select f6_subscribe('x', '[{"type": ["A"]}]') $$, '22023', null, 'a query that is none');
select throws_ok($$ select f6_subscribe('x', partitions => 0) $$, '22023', null, 'no partitions');
select throws_ok($$ select f6_subscribe('x', partitions => 1025) $$, '22023', null, 'too many partitions');
select throws_ok($$ select f6_subscribe('x', attempts => 0) $$, '22023', null, 'no attempts');
select throws_ok($$ select f6_subscribe('x', backoff => '-1 second') $$, '22023', null, 'backing off into the past');
select throws_ok($$ select f6_poll(null) $$, '22004', null, 'polling NULL');
select throws_ok($$ select f6_poll('nobody') $$, '42704', 'there is no subscription "nobody"', 'polling nothing');
select throws_ok($$ select f6_poll('all', 0) $$, '22023', null, 'polling for no events');
select throws_ok($$ select f6_poll('all', 10001) $$, '22023', null, 'polling for too many');
select throws_ok($$ select f6_poll('all', wait => '-1 second') $$, '22023', null, 'waiting backwards');
select throws_ok($$ select f6_poll('all', lease => '0') $$, '22023', null, 'a lease of no time');
select throws_ok($$ select f6_poll('all', lease => null) $$, '22023', null, 'a lease of any time');
select throws_ok($$ select f6_ack('all', null) $$, '22004', null, 'acknowledging NULL');
select throws_ok($$ select f6_nack('nobody', 1) $$, '42704', null, 'giving back to nobody');
select throws_ok($$ select f6_unsubscribe('nobody') $$, '42704', 'there is no subscription "nobody"', 'ending nothing');
select throws_ok($$ select f6_subscribe('x', max_backoff => '2 years') $$, '22023', null, 'keeping back for ever');
select throws_ok($$ select f6_poll('all', lease => '1000000 years') $$, '22008', null, 'a lease for ever');
select throws_ok($$ select f6_unsubscribe(null) $$, '22004', null, 'ending NULL');

-- Who may do what.
create role consumer;
create role colleague;
create role stranger;
grant f6_reader to consumer, colleague;
grant usage on schema subscribing to consumer, colleague, stranger;
grant select on base to consumer, colleague;
set local role consumer;
select f6_subscribe('own', '{"types": ["Paid"]}', 'beginning');
select isnt(polled('own', 1), null, 'who may read events may subscribe');
select throws_ok($$ select polled('all') $$, '42501', 'subscription "all" is not yours', 'and consume what is theirs');
select throws_ok($$ select f6_unsubscribe('all') $$, '42501', 'subscription "all" is not yours', 'and end that');
select throws_ok($$ update f6.subscription_partition set "position" = 0 $$, '42501', null, 'through functions alone');
select throws_ok($$ insert into f6.subscription_definition values (9, 'x', '5', 0, 1, 1, '0', '0', 'consumer') $$, '42501', null, 'as they are made');
set local role colleague;
select throws_ok($$ select polled('own') $$, '42501', null, 'others may not');
reset role;
grant consumer to colleague;
set local role colleague;
select lives_ok($$ select f6_seek('own', 'beginning'), polled('own', 1) $$, 'but members of the role');
set local role stranger;
select throws_ok($$ select f6_subscribe('strange') $$, '42501', null, 'who may not read events may not subscribe');
reset role;
grant select on f6.subscription to stranger;
set local role stranger;
select is(lag_events, null, 'nor learn how many there are') from f6.subscription where name = 'all';
reset role;
-- Who sees some events only is given these, and is done with the others.
alter table f6.event enable row level security;
create policy only_paid on f6.event for select to consumer using (event_type = 'Paid' and "position" % 2 = 0);
grant select on f6.event to consumer;
set local role consumer;
select f6_seek('own', 'beginning');
select is(array_agg("position" % 2), array_agg(0::bigint), 'a policy holds for what is delivered') from f6_poll('own');
reset role;
-- What was replayed is passed by too.
insert into f6.parked_event (subscription_id, "position", partition, object_ids, attempts, parked_at, replay)
    select s.subscription_id, e."position", 0, e.object_ids, 1, now(), true from f6.subscription_definition as s, f6.event as e
        where s.name = 'own' and e.event_type = 'Paid' and e."position" % 2 = 1 order by e."position" limit 1;
update f6.subscription_partition as p set consumer = null, delivered = p."position" from f6.subscription_definition as s where s.subscription_id = p.subscription_id and s.name = 'own';
set local role consumer;
select lives_ok($$ select count(*) from f6_poll('own') $$, 'a poll ends that is given a parked event which its caller may not see');
reset role;
alter table f6.event disable row level security;
select lives_ok($$ select f6_unsubscribe('own'), f6_unsubscribe('paid') $$, 'a subscription ends');
select is((select count(*) from f6.subscription where name in ('own', 'paid')), 0::bigint, 'and is gone');
select is((select count(*) from f6.subscription_partition left join f6.subscription_definition as s using (subscription_id) where s.name is null), 0::bigint, 'with all that is known of it');
select * from finish();
rollback;
