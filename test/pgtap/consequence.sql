-- What is based on an event, and whether it still stands: the rules, one after the other, and a model of them on random graphs.
begin;
select no_plan();

select f6_register_event_type('Any', '1', 'true');
create function e(name text) returns uuid language sql immutable as $$ select f6_object_id('event', name) $$;

-- Appends an event under a name, which references others by theirs.
create function say(name text, refs text default null, kind f6.event_kind default 'claim', data jsonb default '1')
    returns void language sql as $$
    select f6_append('Any', case kind when 'claim' then array[f6_object_id('object', 'x')] end, data, event_kind => kind,
                     id => e(name), metadata => jsonb_build_object('name', name),
                     event_reference => (select array_agg(e(r)) from unnest(string_to_array(refs, ',')) as r));
$$;
create function remove(name text, refs text) returns void language sql as $$ select say(name, refs, 'correction', 'null') $$;
create function known(name text) returns timestamptz language sql as $$ select created_at from f6.event where id = e(name) $$;

-- The consequences of an event by name: depth, path, and a bang where the basis has fallen.
create function told(name text, known_at timestamptz default 'infinity') returns text language sql as $$
    select string_agg(format('%s%s%s', c.depth, (select string_agg(e.metadata ->> 'name', '>' order by p.place)
                                                from unnest(c.path) with ordinality as p (id, place) join f6.event as e using (id)),
                             case when not c.stands then '!' end), ' ' order by place)
        from f6_consequences(e(name), known_at) with ordinality as c (id, "position", event_type, event_kind, depth, via, path, stands, place);
$$;
create function stands(name text, of text, known_at timestamptz default 'infinity') returns boolean language sql as $$
    select stands from f6_consequences(e(of), known_at) where id = e(name);
$$;

-- The closure.
select say('birth'), say('name', 'birth'), say('home', 'birth'), say('permit', 'home'), say('school', 'home,name'), say('pass', 'school,birth'), say('apart');
select is(told('birth'), '1birth>name 1birth>home 1birth>pass 2birth>home>permit 2birth>name>school', 'each once, at its least depth, by depth and position');
select is(told('apart'), null, 'what nothing is based on has no consequences');
select is((select count(*) from f6_consequences(null)), 0::bigint, 'nor has NULL');
select throws_ok($$ select f6_consequences(e('nobody')) $$, '42704', null, 'an event that does not exist');
select throws_ok($$ select f6_consequences(e('birth'), null) $$, '22004', null, 'known_at is needed');
select results_eq($$ select event_type, event_kind, via, path[1], path[cardinality(path)] = id, "position" from f6_consequences(e('home')) where id = e('school') $$,
    $$ select 'Any', 'claim'::f6.event_kind, e('home'), e('home'), true, "position" from f6.event where id = e('school') $$, 'what is said of each');
select is(told('birth', known('home')), '1birth>name 1birth>home', 'as known at a formal time');
select is(told('pass', known('home')), null, 'and of an event that was not known then, nothing');
select is((select array_agg(stands) from f6_consequences(e('home'))), '{t,t,t}', 'all stand');

-- What stands.
select remove('no-home', 'home');
select is(told('birth'), '1birth>name 1birth>home! 1birth>pass! 2birth>home>permit! 2birth>name>school! 2birth>home>no-home', 'a removed event takes along what is based on it, and not what removes it');
select is(told('name'), '1name>school! 2name>school>pass!', 'also by another way than that from the event');
select is(stands('permit', 'birth', known('pass')), true, 'it stood before that was known');
select say('annulled', 'no-home'), say('appeal', 'annulled');
select is(stands('appeal', 'birth'), true, 'what is based on a removal stands');
select remove('undone', 'no-home');
select is(told('home'), '1home>permit 1home>school 1home>no-home! 2home>school>pass 2home>no-home>annulled! 2home>no-home>undone 3home>no-home>annulled>appeal!', 'a removal that is undone');
select remove('redone', 'undone');
select is(stands('permit', 'home'), false, 'and whose undoing is undone');
select is(stands('annulled', 'home'), true, 'so what is based on it stands again');

-- Restating.
select say('move'), say('number', 'move', 'correction', '2'), say('sign', 'number'), say('shed', 'move'), say('valid', 'move', 'validation', null), say('use', 'valid');
select is(told('move'), '1move>number 1move>shed 1move>valid 2move>number>sign 2move>valid>use', 'a restated event stands');
select remove('no-move', 'move');
select is(told('move'), '1move>number! 1move>shed! 1move>valid! 1move>no-move 2move>number>sign! 2move>valid>use!', 'a restatement or a validation of what is removed does not');
select say('again', 'move', 'correction', '3');
select is(stands('sign', 'move'), true, 'of several corrections in force the latest counts');
select remove('none', 'again');
select is(stands('sign', 'move'), false, 'when that one goes, the one before it');
select say('instead', 'no-move', 'correction', '4');
select is(told('no-move'), '1no-move>instead', 'a removal that is restated removes no more');
select is(stands('sign', 'move'), true, 'so that the event stands');
select say('two', 'apart,shed', 'correction', '5'), remove('no-apart', 'apart');
select is(stands('two', 'shed'), false, 'a restatement of several events needs all of them');

-- A long chain, and a wide fan.
insert into f6.event (id, event_type, object_ids, event_data, event_reference)
    select e('chain ' || n), 'Any', array[f6_object_id('object', 'chain')], '1', case when n > 1 then array[e('chain ' || n - 1)] end
        from generate_series(1, 1200) as n;
select results_eq($$ select max(depth), max(cardinality(path)), count(*) filter (where path is null), count(via) from f6_consequences(e('chain 1')) $$,
    $$ values (1199, 1001, 199::bigint, 1199::bigint) $$, 'paths are told to a depth of 1,000');
insert into f6.event (id, event_type, object_ids, event_data, event_reference)
    select e('fan ' || n), 'Any', array[f6_object_id('object', 'fan')], '1', array[e('chain 1199'), e('chain 1200')]
        from generate_series(1, 25000) as n;
select results_eq($$ select count(*), min(depth), max(depth), count(distinct via) from f6_consequences(e('chain 1199')) where id <> e('chain 1200') $$,
    $$ values (25000::bigint, 1, 1, 1::bigint) $$, 'more events than are read at a time');

-- A model: each rule as recursive SQL, on random graphs.
create function model(origin uuid, known timestamptz)
    returns table (id uuid, depth integer, stands boolean) language plpgsql as $$
declare
    event record;
    decided jsonb := '{}';  -- id -> is it removed?
    standing jsonb := '{}';
begin
    for event in select * from f6.event as e where e.metadata ? 'name' and e.created_at <= known order by e.position desc loop
        if event.event_kind = 'correction' and not coalesce((decided ->> event.id::text)::boolean, false) then
            decided := (select coalesce(jsonb_object_agg(r::text, event.event_data = 'null' and not decided ? event.id::text), '{}')
                            from unnest(event.event_reference) as r) || decided;
        end if;
    end loop;
    for event in select * from f6.event as e where e.metadata ? 'name' and e.created_at <= known order by e.position loop
        standing := standing || jsonb_build_object(event.id,
            not coalesce((decided ->> event.id::text)::boolean, false)
            and (event.event_kind = 'correction' and event.event_data = 'null' and not decided ? event.id::text
                 or (select coalesce(bool_and((standing ->> r::text)::boolean), true) from unnest(event.event_reference) as r)));
    end loop;
    return query
        with recursive reached as (
            select origin as id, 0 as depth
            union
            select e.id, r.depth + 1 from reached as r join f6.event as e
                on r.id = any (e.event_reference) and e.metadata ? 'name' and e.created_at <= known
        )
        select r.id, min(r.depth), (standing ->> r.id::text)::boolean from reached as r where r.id <> origin group by r.id;
end $$;
create temp table random_event as select n, 'r' || n as name from generate_series(1, 60) as n;
do $$
declare
    r record;
begin
    perform setseed(0.5);
    for r in select * from random_event order by n loop
        perform say(r.name, (select string_agg(distinct 'r' || 1 + floor(random() * (r.n - 1))::int, ',')
                                 from generate_series(1, 1 + floor(random() * 2)::int) where r.n > 1),
                    kind, case when kind = 'validation' then null when kind = 'correction' and random() < 0.6 then 'null' else '1' end::jsonb)
            from (select case when r.n < 4 or random() < 0.5 then 'claim' when random() < 0.8 then 'correction'
                              else 'claim' end::f6.event_kind as kind) as k;
    end loop;
end $$;
select is_empty($$
    with asked as (
        select r.name, k.created_at
            from random_event as r
            cross join (select created_at from random_event join f6.event as e on e.id = e(name) where n % 20 = 0) as k
            where r.n % 3 = 1
    ), found as (
        select a.name, a.created_at, c.id, c.depth, c.stands from asked as a cross join lateral f6_consequences(e(a.name), a.created_at) as c
    ), expected as (
        select a.name, a.created_at, m.id, m.depth, m.stands from asked as a cross join lateral model(e(a.name), a.created_at) as m
            where (select x.created_at from f6.event as x where x.id = e(a.name)) <= a.created_at
    )
    (select 'found', * from found except all select 'found', * from expected)
    union all
    (select 'expected', * from expected except all select 'expected', * from found) $$, 'as a model of the rules has it, on a random graph');
select cmp_ok((select count(*) from random_event as r, f6_consequences(e(r.name)) as c where not c.stands), '>', 50::bigint, 'in which much falls');

-- Who asks.
create role f6_test_reader in role f6_reader;
create role f6_test_stranger;
create policy few on f6.event using (metadata ->> 'name' is distinct from 'school');
create policy all_links on f6.event_link using (true);
alter table f6.event enable row level security;
set local role f6_test_stranger;
select throws_ok($$ select f6_consequences(f6_object_id('event', 'birth')) $$, '42501', null, 'who may not read the log');
reset role;
grant execute on all functions in schema public to f6_test_reader;
set local role f6_test_reader;
select is((select array_agg(id) from f6_consequences(e('name'))), null, 'what a policy hides is not there, nor is what is reached through it alone');
select throws_ok($$ select f6_consequences(f6_object_id('event', 'school')) $$, '42704', null, 'or does not exist');
reset role;

-- A link that no event has, which only rows let in unchecked can be.
set local session_replication_role = replica;
insert into f6.event_link (reference_id, "position")
    select first.id, last."position"
        from (select id, "position" from f6.event where event_reference is null order by "position" limit 1) as first,
            (select "position" from f6.event where event_reference is null order by "position" desc limit 1) as last
        where first."position" < last."position";
set local session_replication_role = origin;
select throws_ok(
    $$select f6_consequences((select id from f6.event where event_reference is null order by "position" limit 1))$$,
    'XX001', null, 'a link that its event knows nothing of is told');

select * from finish();
rollback;
