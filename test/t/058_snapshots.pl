# States from snapshots are those of the whole history, whatever was recorded since, and keeping them disturbs nobody.
# F6_HISTORIES (60) is how many random histories are compared.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $histories = $ENV{F6_HISTORIES} || 60;
my $node = new_server('snapshots', 'f6.snapshot_time = 1min', 'synchronous_commit = off', 'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on', "timezone = 'UTC'");
my $standby = PostgreSQL::Test::Cluster->new('standby');

# Returns the answer to a query; what is set before it holds for its session.
sub answer
{
	my ($query, $server) = @_;

	return ($server || $node)->safe_psql('postgres', $query);
}

$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Note', '1', 'true');
select f6_register_event_type('Dated', '1', 'true', valid_from => '/since');
create function o(name text) returns uuid language sql immutable as $$ select f6_object_id('snapshot', name) $$;
create function note(object text, data jsonb, occurred timestamptz default null) returns f6.appended language sql as
    $$ select f6_append('Note', array[o(object)], data, occurred_at => occurred) $$;
create function kept(object text) returns bigint language sql as $$ select count(*) from f6.snapshot where object_id = o(object) $$;
SQL
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# When one is kept.
answer("select note('few', jsonb_build_object('n', n)) from generate_series(1, 31) as n");
answer("select f6_state_asof(o('few'))");
is(answer("select kept('few')"), 0, 'few events are folded again');
answer("select note('few', '{\"n\": 32}')");
is(answer("select f6_state_asof(o('few'))"), '{"n": 32}', 'many are');
is(answer("select kept('few')"), 1, 'kept');
is(answer(q{
	select true from f6.snapshot as s, (select max("position") as p, max(created_at) as c, max(occurred_at) as o from f6.event where o('few') = any (object_ids)) as e
		where object_id = o('few') and not legal and s."position" = p and events = 32 and recorded_until = c and valid_from = o and valid_to is null and state = '{"n": 32}'}),
	't', 'as what they are');
answer("select note('few', '{\"m\": 1}')");
is(answer("select f6_state_asof(o('few'))"), '{"m": 1, "n": 32}', 'what comes later is added');
is(answer("select kept('few')"), 1, 'without keeping it');
is(answer("select f6_state_asof(o('few'), legal => true)"), '', 'nothing has legal force');
is(answer("select kept('few')"), 2, 'which is kept too');
answer("select note('off', '1') from generate_series(1, 100)");
answer("set f6.snapshot_events = 0; select f6_state_asof(o('off'))");
is(answer("select kept('off')"), 0, 'nothing is kept when it is off');
answer("set f6.snapshot_events = 1000; set f6.snapshot_time = 0; select f6_state_asof(o('off'))");
is(answer("select kept('off')"), 1, 'what takes time is');

# Whose transaction can't keep it gets the state nonetheless.
answer("select note('no', '1') from generate_series(1, 100)");
answer("begin read only; select f6_state_asof(o('no')); commit");
answer("begin isolation level serializable; select f6_state_asof(o('no')); commit");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(answer("select f6_state_asof(o('no'))", $standby), '1', 'a standby answers');
answer("select note('no', '2'); begin; select note('no', '3'); select f6_state_asof(o('no')); commit");
is(answer("select kept('no')"), 0, 'not in a transaction that is read only, serializable, or has appended itself, nor on a standby');
my $locker = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'begin; lock table f6.snapshot in share mode; select pg_sleep(1.5)' ],
	'>', \my $output, '2>', \my $errors);
$node->poll_query_until('postgres', q{select exists (select from pg_locks where relation = 'f6.snapshot'::regclass and mode = 'ShareLock')}) or die;
is(answer("set statement_timeout = 1000; select f6_state_asof(o('no'))"), '3', 'nor where the table is locked: nobody waits');
$locker->finish;
is(answer("select kept('no')"), 0, 'for it');
answer("select f6_state_asof(o('no'))");
is(answer("select kept('no')"), 1, 'the next one keeps it');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(answer("select f6_state_asof(o('no'))", $standby), '3', 'on a standby as well');

# Nobody waits for the owner either, nor fails by what the owner has added.
my $many = q{select note('%1$s', '1') from generate_series(1, 40); select f6_state_asof(o('%1$s'))};
answer(sprintf($many, 'owned'));
foreach my $owner ('delete from f6.snapshot', 'lock table f6.snapshot', 'reindex table f6.snapshot')
{
	my $open = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "begin; $owner; select pg_sleep(2)" ], '>', \my $out, '2>', \my $err);

	$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where query like '%pg_sleep(2)' and wait_event = 'PgSleep' and pid <> pg_backend_pid())}) or die;
	is(answer("set statement_timeout = 1000; select note('owned', '2') from generate_series(1, 100); select 'state', f6_state_asof(o('owned'))") =~ s/.*^state/state/msr,
		'state|2', "a reader does not wait for: $owner");
	$open->finish;
}
answer(q{create index snapshot_expression on f6.snapshot ((state ->> 'n')); create index snapshot_part on f6.snapshot (object_id) where legal});
answer(sprintf($many, 'indexed'));
is(answer(q{set enable_seqscan = off; select count(*) from f6.snapshot where legal and object_id = o('indexed')}), 0, 'indexes of the owner are kept right');
is(answer("select kept('indexed')"), 1, 'and do not stand in the way');
answer('drop index f6.snapshot_expression, f6.snapshot_part; alter table f6.snapshot alter column events type int');
is(answer("select f6_state_asof(o('owned'))"), 2, 'a changed table is as good as an empty one');
answer('alter table f6.snapshot alter column events type bigint');
answer('alter table f6.snapshot add constraint none check (events < 0) not valid');
answer(sprintf($many, 'checked'));
is(answer("select kept('checked'), f6_state_asof(o('checked'))"), '0|1', 'nor does the reader fail when nothing can be kept');
answer('alter table f6.snapshot drop constraint none');

# It is not much that one transaction keeps, and it waits for no disk and no standby.
answer(q{select note('one of ' || n % 50, '1') from generate_series(1, 50 * 40) as n});
answer(q{select f6_state_asof(o('one of ' || n)) from generate_series(0, 49) as n});
is(answer(q{select sum(kept('one of ' || n)) from generate_series(0, 49) as n}), 16, 'sixteen of many states are kept by a transaction');
answer(q{select note('synchronous', '1') from generate_series(1, 40)});
answer(q{alter system set synchronous_standby_names = 'nobody'; select pg_reload_conf()});
$node->poll_query_until('postgres', q{select current_setting('synchronous_standby_names') = 'nobody'}) or die;
my $reader = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "set synchronous_commit = on", '-c', "select f6_state_asof(o('synchronous'))" ],
	'>', \my $read, '2>', \my $read_errors, IPC::Run::timeout(20));
ok(eval { $reader->finish }, 'a reader who keeps a state waits for no standby');
answer('alter system reset synchronous_standby_names; select pg_reload_conf()');
is(answer("select kept('synchronous')"), 1, 'and has kept it');

# What is asked about the past keeps nothing, and so does not stand in the way of the present.
answer(q{select note('past', jsonb_build_object('n', n), '2020-01-01'::timestamptz + n * interval '1 day') from generate_series(1, 100) as n});
answer(q{set f6.snapshot_events = 1; select f6_state_asof(o('past'), '2020-02-01'); select f6_state_asof(o('past'), known_at => created_at)
	from (select created_at from f6.event where o('past') = any (object_ids) order by "position" desc offset 1) as e});
is(answer("select kept('past')"), 0, 'the past is not kept');
is(answer(q{set f6.snapshot_events = 1; select f6_state_asof(o('past'), 'infinity')}), '{"n": 100}', 'the end of time is the present');
is(answer("select kept('past')"), 1, 'if nothing is to come');
answer(q{select note('past', '{"n": 101}', now() + interval '1 day'); set f6.snapshot_events = 1; select f6_state_asof(o('past'), 'infinity')});
is(answer("select kept('past')"), 1, 'else it is not');

# While something is being registered nothing is kept, since nobody knows under what.
answer(q{select note('registering', '1') from generate_series(1, 40)});
my $registrar = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{begin; select f6_register_event_type('Other', '1', 'true'); select pg_sleep(1)} ],
	'>', \my $registered, '2>', \my $register_errors);
$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where query like '%pg_sleep(1)' and wait_event = 'PgSleep' and pid <> pg_backend_pid())}) or die;
is(answer("set statement_timeout = 800; select f6_state_asof(o('registering'))"), 1, 'who registers holds up no reader');
$registrar->finish;
is(answer("select kept('registering')"), 0, 'who keeps nothing meanwhile');

# What replication or a dump brings comes in any order.
answer(q{set session_replication_role = replica;
	insert into f6.event select e."position" + 1000000, zone_id, event_kind, md5(e.id::text)::uuid, created_at, occurred_at, array[o('copy')], event_type,
			event_version, null, null, null, jsonb_build_object(e."position"::text, 1), null, appended_by from f6.event as e where o('past') = any (object_ids) and event_data <> '{"n": 1}';
	insert into f6.event_object select o('copy'), "position" from f6.event where object_ids = array[o('copy')]});
answer("set f6.snapshot_events = 1; select f6_state_asof(o('copy'), 'infinity')");
is(answer("select kept('copy')"), 0, 'of events whose positions the sequence has not given out nothing is kept');

is(answer(q{begin; set local check_function_bodies = off; select from set_config('search_path', '', true);
	insert into f6.event_object select object_id, "position" + 5000000 from f6.event_object limit 1;
	select lowest_position from f6.in_flight; rollback}), 1, 'and while links are restored the horizon is held');

# Old ones go, some stay.
answer(q{do $$ begin for n in 1 .. 500 loop perform note('long', jsonb_build_object('n', n)); commit; set local f6.snapshot_events = 1; perform f6_state_asof(o('long')); commit; end loop; end $$});
cmp_ok(answer("select kept('long')"), '<=', 25, 'old ones go');
cmp_ok(answer("select kept('long')"), '>=', 7, 'some stay');
is(answer(q{select f6_state_asof(o('long'), known_at => (select created_at from f6.event where event_data = '{"n": 250}' and o('long') = any (object_ids)))}),
	'{"n": 250}', 'the past is answered too');

# A change of the registry, or of the time zone, makes another fold.
my $eager = 'set f6.snapshot_events = 1;';
answer(q{select f6_append('Dated', array[o('dated')], '{"since": "2024-01-01T05:00:00Z", "n": 2}')});
answer(q{select f6_append('Dated', array[o('dated')], '{"since": "2024-01-01", "n": 1}')});
is(answer("$eager select f6_state_asof(o('dated')) ->> 'n'"), 2, 'a date begins at midnight');
is(answer("$eager set timezone = 'America/New_York'; select f6_state_asof(o('dated')) ->> 'n'"), 1, 'of the time zone of the session');
is(answer("$eager select f6_state_asof(o('dated')) ->> 'n'"), 2, 'which others do not share');
answer(q{select note('versions', '{"old": 1}')});
is(answer("$eager select f6_state_asof(o('versions'))"), '{"old": 1}', 'as stored');
is(answer("select kept('versions')"), 1, 'kept');
answer(q{select f6_register_event_type('Note', '2', 'true'); select f6_register_upcaster('Note', '1', '2', steps => '[{"op": "rename", "path": "/old", "to": "new"}]')});
is(answer("$eager select f6_state_asof(o('versions'))"), '{"new": 1}', 'a new version is read at once');
is(answer("select count(*), min(state::text) from f6.snapshot where object_id = o('versions')"), '1|{"new": 1}', 'and the state of the old one goes');
answer(q{create function upcast(data jsonb) returns jsonb immutable language sql as $$ select data || '{"from": "function"}' $$;
	select f6_register_event_type('Note', '3', 'true'); select f6_register_upcaster('Note', '2', '3', 'upcast(jsonb)'::regprocedure)});
is(answer("$eager select f6_state_asof(o('versions')) ->> 'from'"), 'function', 'what a function makes');
answer(q{create or replace function upcast(data jsonb) returns jsonb immutable language sql as $$ select data || '{"from": "another"}' $$});
is(answer("$eager select f6_state_asof(o('versions')) ->> 'from'"), 'another', 'is not kept, since it may be another tomorrow');

# Who may see less neither uses nor keeps them.
answer(q{create role restricted in role f6_reader; alter table f6.event enable row level security;
	create policy see_some on f6.event for select to restricted using (event_data <> '{"m": 1}')});
answer("$eager select f6_state_asof(o('few'))");
is(answer("$eager set role restricted; select f6_state_asof(o('few')) - 'from'"), '{"n": 32}', 'a policy holds');
is(answer("$eager select f6_state_asof(o('few')) - 'from'"), '{"m": 1, "n": 32}', 'and nothing is kept by whom it restricts');
is(sqlstate($node, 'set role restricted; select * from f6.snapshot'), '42501', 'nor may they look at what others have kept');
answer('alter table f6.event disable row level security');

# Random histories: claims of all times, corrections and validations of anything, read at random points with and without snapshots.
$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Random', '1', 'true'), f6_register_event_type('Random', '2', 'true');
select f6_register_upcaster('Random', '1', '2', steps => '[{"op": "default", "path": "/version", "value": 2}]');
create procedure grow(object text, events int) language plpgsql as $$
declare
    target uuid;
    kind f6.event_kind;
    chance float;
begin
    for n in 1 .. events loop
        chance := random();
        select id into target from f6.event where o(object) = any (object_ids) order by random() limit 1;
        kind := case when target is null or chance < 0.6 then 'claim' when chance < 0.8 then 'correction' else 'validation' end;
        begin
            perform f6_append('Random', case kind when 'claim' then array[o(object)] end,
                case when kind = 'validation' or (kind = 'correction' and random() < 0.3) then 'null'
                    else jsonb_build_object(chr(97 + floor(random() * 4)::int), n, 'deep', jsonb_build_object(chr(97 + floor(random() * 4)::int), n)) end,
                event_version => case when random() < 0.5 then '1' else '2' end, event_kind => kind, event_reference => case when kind <> 'claim' then array[target] end,
                occurred_at => case when random() < 0.7 then null when random() < 0.8 then '2024-01-01'::timestamptz + random() * interval '1 year' else now() + random() * interval '1 s' end);
        exception when check_violation then null;
        end;
        commit;
        if random() < 0.3 then
            perform set_config('f6.snapshot_events', '1', false);
            perform f6_state_asof(o(object), case when random() < 0.5 then clock_timestamp() when random() < 0.5 then 'infinity' else '2024-01-01'::timestamptz + random() * interval '1 year' end,
                case when random() < 0.7 then clock_timestamp() else clock_timestamp() - random() * interval '0.1 s' end, legal => random() < 0.5);
            commit;
        end if;
    end loop;
end $$;
create function difference(object text) returns text language plpgsql as $$
declare
    point record;
    legal boolean;
    whole jsonb;
    kept jsonb;
    checked int := 0;
begin
    for point in select distinct v.t as v, k.t as k
        from (select occurred_at as t from f6.event where o(object) = any (object_ids) union select timestamptz 'infinity' union select clock_timestamp()) as v,
            (select created_at as t from f6.event where o(object) = any (object_ids) union select timestamptz 'infinity') as k
        where random() < 0.2
    loop
        foreach legal in array array[false, true] loop
            perform set_config('f6.snapshot_events', '0', true);
            whole := f6_state_asof(o(object), point.v, point.k, legal => legal);
            perform set_config('f6.snapshot_events', '1000000', true), set_config('f6.snapshot_time', '100000', true);
            kept := f6_state_asof(o(object), point.v, point.k, legal => legal);
            checked := checked + 1;
            if whole is distinct from kept then
                return format('%s at %s, known at %s, legal %s: %s instead of %s', object, point.v, point.k, legal, kept, whole);
            end if;
        end loop;
    end loop;
    return checked;
end $$;
SQL
my ($checked, @differences) = (0);
foreach my $n (1 .. $histories)
{
	answer("select setseed($n / 100000.0); call grow('r$n', 40)");
	my $result = answer("select setseed(0.5) is null; select difference('r$n')") =~ s|^f\n||r;

	if ($result =~ /^\d+$/) { $checked += $result; } else { push @differences, $result; }
}
is(join("\n", @differences), '', "$histories random histories have the same states with snapshots, at $checked points");
cmp_ok(answer("select count(*) from f6.snapshot where object_id in (select o('r' || n) from generate_series(1, $histories) as n)"), '>', $histories, 'and there were some');

# Readers who keep while others append.
my $appends = $node->basedir . '/append.sql';
my $reads = $node->basedir . '/read.sql';
append_to_file($appends, "\\set n random(1, 3)\nselect note('busy' || :n, jsonb_build_object(md5(random()::text), 1));\n");
append_to_file($reads, "\\set n random(1, 3)\nset f6.snapshot_events = 3;\nselect f6_state_asof(o('busy' || :n));\n");
my ($bench_out, $bench_errors) = ('', '');
my $bench = start([ 'pgbench', '-n', '-c', 8, '-T', 4, '-f', "$appends\@2", '-f', "$reads\@1", $node->connstr('postgres') ], '>', \$bench_out, '2>', \$bench_errors);
$bench->finish;
unlike($bench_errors, qr/error/i, 'nobody fails');
is(answer(q{select count(*) from generate_series(1, 3) as n where
	(select count(*) from jsonb_object_keys(f6_state_asof(o('busy' || n)) - 'from')) <> (select count(*) from f6.event_object where object_id = o('busy' || n))}),
	0, 'and no event is missing from a state');
cmp_ok(answer(q{select count(*) from f6.snapshot where object_id in (o('busy1'), o('busy2'), o('busy3'))}), '>', 2, 'of those that were kept');

done_testing();
