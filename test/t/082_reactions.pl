# Reactions under load: what the worker does for each event is done once and in the order of each object, though handlers fail, and workers and servers are ended.
# F6_SECONDS (6) is how long that lasts, F6_SEED chooses its moments.
use strict;
use warnings;

use FindBin;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{F6_SECONDS} || 6;
srand($ENV{F6_SEED} || 20240101);

my $node = PostgreSQL::Test::Cluster->new('reactions');
$node->init;
$node->append_conf('postgresql.conf', $_)
  foreach "shared_preload_libraries = 'f6'", "f6.databases = 'reacting, dropped, later'", 'f6.worker_interval = 20ms', 'max_worker_processes = 12',
  'max_connections = 60', 'restart_after_crash = on', 'deadlock_timeout = 50ms', 'fsync = on', 'synchronous_commit = on', "timezone = 'UTC'", 'log_statement = none';
$node->start;

# Returns the answer to a query.
sub answer
{
	my ($query, $database) = @_;

	return $node->safe_psql($database || 'reacting', $query);
}

# Waits until a query returns true.
sub wait_until
{
	my ($query, $database, $on) = @_;

	($on || $node)->poll_query_until($database || 'reacting', $query) or die "in vain: $query";
	return;
}

# Waits until all reactions of a database have done what there is.
sub wait_until_done
{
	my ($database, $on) = @_;

	wait_until('select bool_and(lag_events = 0 and waiting = 0 and failing = 0) from f6.reaction where enabled', $database, $on);
	return;
}

# Starts a script in a session of its own; it returns what ends that, and then what it said.
sub begin
{
	my ($script, $database) = @_;
	my ($output, $errors) = ('', '');
	my $session = start([ 'psql', '-XAtq', '-d', $node->connstr($database || 'reacting'), '-c', $script ], '>', \$output, '2>', \$errors);

	return sub { $session->finish; return "$output$errors" };
}

# Has the launcher look at once.
sub look
{
	$node->safe_psql('postgres', 'select pg_reload_conf()');
	return;
}

# Returns the process of a database's worker, for which it waits.
sub worker_of
{
	my ($database) = @_;
	my $name = $database || 'reacting';
	my $pid = '';

	foreach my $try (1 .. 3000)
	{
		look() if $try % 10 == 1;
		$pid = $node->safe_psql('postgres', "select pid from pg_stat_activity where backend_type = 'f6 worker' and datname = '$name' limit 1");
		return $pid if $pid ne '';
		sleep 0.02;
	}
	die "there is no worker in $name";
}

my $setup = <<'SQL';
create extension f6;
select f6_register_event_type(t, '1', 'true') from unnest('{Order, Accepted, Shipped, Timed, Locked, Broken, Slow}'::text[]) as t;
create function o(n integer) returns uuid language sql immutable as $$ select public.f6_object_id('reaction', n::text) $$;
-- What handlers have done, and how often for each object.
create table effect (effect_id bigserial primary key, reaction text, "position" bigint, object_ids uuid[], at timestamptz default clock_timestamp());
create table tally (reaction text, object_id uuid, n integer, primary key (reaction, object_id));

create function note(reaction text, e f6.event) returns void language sql as $$
    insert into public.effect (reaction, "position", object_ids) values (reaction, e."position", e.object_ids);
    insert into public.tally as t select reaction, o, 1 from pg_catalog.unnest(e.object_ids) as o order by o on conflict (reaction, object_id) do update set n = t.n + 1
$$;
create function "all"(e f6.event) returns void language sql as $$ select public.note('all', e) $$;
create function parts(e f6.event) returns void language sql as $$ select public.note('parts', e) $$;
create function switched(e f6.event) returns void language sql as $$ select public.note('switched', e) $$;
create function later(e f6.event) returns void language sql as $$ select public.note('later', e) $$;
create function shipped(e f6.event) returns void language sql as $$ select public.note('shipped', e) $$;
create function made(type text, e f6.event) returns jsonb language sql as
    $$ select pg_catalog.jsonb_build_object('event_type', type, 'object_ids', e.object_ids, 'event_data', pg_catalog.jsonb_build_object('because_of', e."position")) $$;
create function accept(e f6.event) returns jsonb language sql as $$ select public.note('accept', e); select public.made('Accepted', e) $$;
create function ship(e f6.event) returns jsonb language sql as $$ select public.note('ship', e); select pg_catalog.jsonb_build_array(public.made('Shipped', e), public.made('Shipped', e)) $$;
create function unreliable(e f6.event) returns void language plpgsql as $$ begin
    perform public.note('unreliable', e);
    if pg_catalog.random() < 0.3 then
        raise exception 'bad luck';
    end if;
end $$;
create function strict(e f6.event) returns void language plpgsql as $$ begin
    perform public.note('strict', e);
    if e.event_data ? 'bad' then
        raise exception 'bad';
    end if;
end $$;
create function remind(e f6.event) returns void language plpgsql as $$ begin
    perform public.note('remind', e);
    if pg_catalog.random() < 0.3 then
        raise exception 'bad luck';
    end if;
end $$;
create function due(e f6.event) returns timestamptz language sql stable as $$ select (e.event_data ->> 'due')::timestamptz $$;

select f6_create_reaction('all', '{"types": ["Order"]}', 'all(f6.event)');
select f6_create_reaction('parts', '{"types": ["Order", "Timed"]}', 'parts(f6.event)', partitions => 4);
select f6_create_reaction('switched', '{"types": ["Order"]}', 'switched(f6.event)', partitions => 2);
select f6_create_reaction('later', '{"types": ["Timed"]}', 'later(f6.event)', delay => '300 milliseconds');
select f6_create_reaction('accept', '{"types": ["Order"]}', 'accept(f6.event)');
select f6_create_reaction('ship', '{"types": ["Accepted"]}', 'ship(f6.event)', partitions => 3);
select f6_create_reaction('shipped', '{"types": ["Shipped"]}', 'shipped(f6.event)');
select f6_create_reaction('unreliable', '{"types": ["Order"]}', 'unreliable(f6.event)', partitions => 8, attempts => 1000000, backoff => '10 milliseconds', max_backoff => '100 milliseconds');
select f6_create_reaction('strict', '{"types": ["Order"]}', 'strict(f6.event)', partitions => 3, attempts => 2, backoff => '0');
select f6_create_reaction('remind', '{"types": ["Timed"]}', 'remind(f6.event)', due => 'due(f6.event)', delay => '-1 hour', attempts => 1000000, backoff => '10 milliseconds', max_backoff => '100 milliseconds');

-- Appends for some seconds: events about one object or two of fifty, a few that one handler can't handle, some rolled back.
create procedure work(seconds numeric, seed float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
    n integer;
begin
    perform setseed(seed);
    while clock_timestamp() < ends loop
        for i in 1 .. 1 + (random() * 3)::integer loop
            n := (random() * 49)::integer;
            if random() < 0.6 then
                perform f6_append('Order', case when random() < 0.8 then array[o(n)] else array[o(n), o((n + 1 + (random() * 20)::integer) % 50)] end,
                    case when n > 45 and random() < 0.3 then '{"bad": true}' else '{}' end::jsonb);
            else
                perform f6_append('Timed', array[o(n)], jsonb_build_object('due', case when random() < 0.9 then clock_timestamp() + interval '1 hour' + random() * interval '600 milliseconds' end));
            end if;
        end loop;
        if random() < 0.1 then
            rollback;
        else
            commit;
        end if;
        perform pg_sleep(0.25 * random());
    end loop;
end $$;
SQL

# What contradicts the log, each event's effects and what was logged: no line, if each reaction has done what it should.
my $flaws = <<'SQL';
create temp table parked_by_rule ("position" bigint);
do $$
declare
    behind uuid[] := '{}';
    e f6.event;
begin
    for e in select * from f6.event where event_type = 'Order' order by "position" loop
        if e.event_data ? 'bad' or e.object_ids && behind then
            behind := behind || e.object_ids;
            insert into parked_by_rule values (e."position");
        end if;
    end loop;
end $$;
create temp table wanted as
    select r.name as reaction, e."position"
        from f6.event as e
        join (values ('all', 'Order'), ('parts', 'Order'), ('parts', 'Timed'), ('switched', 'Order'), ('later', 'Timed'), ('accept', 'Order'), ('ship', 'Accepted'), ('shipped', 'Shipped'),
                     ('unreliable', 'Order'), ('strict', 'Order'), ('remind', 'Timed')) as r (name, event_type) using (event_type)
        where not (r.name = 'strict' and e."position" in (select "position" from parked_by_rule)) and not (r.name = 'remind' and e.event_data ->> 'due' is null);
create temp table flaw as
(select 'not done' as what, reaction, "position" from (select * from wanted except all select reaction, "position" from effect) as t)
union all
(select 'done too often, or not to be done', reaction, "position" from (select reaction, "position" from effect except all select * from wanted) as t)
union all
select 'out of order', reaction, "position" from (
    select reaction, "position", lag("position") over (partition by reaction, object_id order by effect_id) as before from effect, unnest(object_ids) as object_id
        where reaction not in ('later', 'remind')) as t where before > "position"
union all
select 'before it was due', reaction, "position" from effect join f6.event as e using ("position")
    where (reaction = 'later' and at < e.created_at + interval '300 milliseconds') or (reaction = 'remind' and at < (e.event_data ->> 'due')::timestamptz - interval '1 hour')
union all
(select 'no log', reaction, "position" from (select reaction, "position" from effect except all select reaction, "position" from f6.reaction_run where outcome = 'done') as t)
union all
(select 'logged too often', reaction, "position" from (select reaction, "position" from f6.reaction_run where outcome = 'done' except all select reaction, "position" from effect) as t)
union all
select 'attempts not in order', reaction, "position" from f6.reaction_run group by reaction, "position" having count(*) <> max(attempt) or count(distinct attempt) <> max(attempt)
union all
select 'not parked', 'strict', "position" from (select * from parked_by_rule except select "position" from f6.parked where name = 'strict') as t
union all
select 'parked', name, "position" from f6.parked where not (name = 'strict' and "position" in (select "position" from parked_by_rule))
union all
select 'parked for another reason', 'strict', k."position" from f6.parked as k join f6.event using ("position") where (event_data ? 'bad' and reason is not null) <> (waits_for is null)
union all
(select 'not appended', e.event_type, e."position" from f6.event as e, (values ('Order', 'Accepted', 1), ('Accepted', 'Shipped', 2)) as r (event_type, appended, n)
    where e.event_type = r.event_type and (select count(*) from f6.event as a where a.event_type = r.appended and a.event_data ->> 'because_of' = e."position"::text) <> r.n)
union all
select 'because of another', a.event_type, a."position" from f6.event as a left join f6.event as e on e."position" = (a.event_data ->> 'because_of')::bigint
    where a.event_type in ('Accepted', 'Shipped')
        and (a.metadata ->> 'causation_id' is distinct from e.id::text or a.metadata ->> 'reaction' is distinct from case a.event_type when 'Accepted' then 'accept' else 'ship' end
            or a.metadata ->> 'correlation_id' is distinct from coalesce(e.metadata ->> 'causation_id', e.id::text) or a.object_ids <> e.object_ids
            or not exists (select from f6.reaction_run as r where r.reaction = a.metadata ->> 'reaction' and r."position" = e."position" and a."position" = any (r.appended)))
union all
select 'counted wrongly', reaction, n from tally as t where n <> (select count(*) from effect as e where e.reaction = t.reaction and t.object_id = any (e.object_ids));
select * from flaw order by "position" limit 10;
SQL

#
# Load, and the ends of workers and servers
#

answer('create database reacting', 'postgres');
answer($setup);
worker_of();

# Has a writer append in sessions, until some time.
sub write_until
{
	my ($number, $end) = @_;
	my $pid = fork;

	die "could not fork: $!" if !defined $pid;
	return $pid if $pid != 0;
	open STDOUT, '>', '/dev/null' or POSIX::_exit(1);
	open STDERR, '>', '/dev/null' or POSIX::_exit(1);
	for (my $i = 1; time < $end; $i++)
	{
		my $left = $end - time;

		system('psql', '-XAtq', '-d', $node->connstr('reacting'), '-c', "call work(least($left, 3), " . ($i + $number * 20) / 1000 . ")") == 0 or sleep 0.1;
	}
	POSIX::_exit(0);
}

my $end = time + $seconds;
my @writers = map { write_until($_, $end) } 1 .. 4;
my %ends = (
	terminated => sub { answer('select pg_terminate_backend(' . worker_of() . ', 5000)', 'postgres') },
	cancelled => sub { answer('select pg_cancel_backend(' . worker_of() . ')', 'postgres') },
	killed => sub {
		my $at = -s $node->logfile;
		kill 'KILL', worker_of();
		$node->wait_for_log(qr/database system is ready to accept connections/, $at);
	},
	stopped => sub { $node->stop('immediate'); $node->start });
my @order = qw(terminated killed cancelled terminated stopped);

for (my $i = 0; time < $end; $i++)
{
	my $is_off = $i % 2;

	sleep 0.3 + rand 0.9;
	answer("select f6_" . ($is_off ? 'enable' : 'disable') . "_reaction('switched')");
	answer("select f6_run_reactions('parts')") if $i % 3 == 0;
	$ends{ $order[$i % @order] }->();
}
waitpid $_, 0 foreach @writers;
# However little the writers came to, some events can't be handled, and others are behind them.
answer(q{select f6_append('Order', array[o(48), o(49)], '{"bad": true}')});
answer(q{select f6_append('Order', array[o(i)], '{}') from generate_series(0, 49) as i});
answer("select f6_enable_reaction('switched')");
worker_of();
wait_until_done();
is(answer($flaws), '', 'whatever ends, each event has had its effect once, in the order of its objects, not before it was due, and what was appended says because of which event');
note(answer(q{select string_agg(format('%s: %s done, %s failed, %s parked', reaction, done, failed, parked), '; ' order by reaction) from (
    select reaction, count(*) filter (where outcome = 'done') as done, count(*) filter (where outcome = 'failed') as failed, count(*) filter (where outcome = 'parked') as parked from f6.reaction_run group by 1) as r}));
cmp_ok(answer("select count(*) from f6.reaction_run where outcome = 'failed' and reaction in ('unreliable', 'remind')"), '>', 10, 'some of which failed');
cmp_ok(answer("select count(*) from f6.parked where name = 'strict'"), '>', 1, 'and some were parked');

# A backlog of several turns, with nobody who appends and so would wake the worker.
answer("select f6_disable_reaction(name) from f6.reaction");
answer("call work(0.5, 0.9); select count(f6_append('Order', array[o(i % 50)], '{}')) from generate_series(1, 600) as i");
answer("select f6_enable_reaction('all')");
wait_until_done();
pass('a backlog is worked off though nobody appends');
answer("select f6_enable_reaction(name) from f6.reaction");
wait_until_done();
is(answer($flaws), '', 'and nothing of it is left');

# Mended, what was parked goes on.
answer(q{create or replace function strict(e f6.event) returns void language sql as $$ select public.note('strict', e) $$});
answer("select f6_replay('strict')");
wait_until(q{select parked = 0 and lag_events = 0 from f6.reaction where name = 'strict'});
is(answer(q{select count(*) from (select "position" from f6.event where event_type = 'Order' except all select "position" from effect where reaction = 'strict') as t}), '0', 'what was parked is done when it is replayed');
is(answer(q{select count(*) from (select "position" < lag("position") over (partition by object_id order by effect_id) as wrong from effect, unnest(object_ids) as object_id where reaction = 'strict') as t where wrong}),
	'0', 'in order');

#
# Handlers that go, and locks
#

answer('select f6_disable_reaction(name) from f6.reaction');
answer(<<'SQL');
create function gone(e f6.event) returns void language sql as $$ select public.note('gone', e) $$;
create function locking(e f6.event) returns void language plpgsql as $$ begin
    perform public.note('locking', e);
    lock table public.first_lock;
    perform pg_catalog.pg_sleep(0.1);
    lock table public.second_lock;
end $$;
create table first_lock (); create table second_lock ();
select f6_create_reaction('gone', '{"types": ["Broken"]}', 'gone(f6.event)', attempts => 3, backoff => '10 milliseconds');
select f6_create_reaction('locking', '{"types": ["Locked"]}', 'locking(f6.event)', attempts => 1000000, backoff => '10 milliseconds', max_backoff => '100 milliseconds', timeout => '10 seconds');
SQL
my $definition = answer("select pg_get_functiondef('gone(f6.event)'::regprocedure)");
answer('drop function gone(f6.event)');
answer("select f6_append('Broken', array[o(i % 2)], '{}') from generate_series(1, 4) as i");
wait_until(q{select parked = 4 from f6.reaction where name = 'gone'});
is(answer(q{select string_agg(distinct split_part(error, ':', 1) || ' ' || attempt, ', ') from f6.reaction_run where reaction = 'gone'}), '42883 1, 42883 2, 42883 3', 'events whose handler is gone are repeated, then parked');
answer("$definition; select f6_replay('gone')");
wait_until(q{select parked = 0 from f6.reaction where name = 'gone'});
is(answer(q{select count(*), count(distinct "position") from effect where reaction = 'gone'}), '4|4', 'and done when it is back');

# Locks that a client holds: the server ends the wait of one, and the handler is repeated.
answer("alter database reacting set lock_timeout = '50ms'");
answer('select pg_terminate_backend(' . worker_of() . ', 5000)', 'postgres');
my $holder = begin(q{set lock_timeout = 0; do $$ begin lock table first_lock;
	for i in 1 .. 600 loop exit when exists (select from f6.reaction_run where reaction = 'locking' and outcome = 'failed'); perform pg_sleep(0.1); end loop; end $$});
wait_until(q{select exists (select from pg_locks where relation = 'first_lock'::regclass and granted)});
worker_of();
answer("select f6_append('Locked', array[o(1)], '{}')");
$holder->();
wait_until_done();
like(answer(q{select string_agg(distinct left(error, 5), ', ') from f6.reaction_run where reaction = 'locking'}), qr/^55P03$/, 'a handler that waits for a lock longer than lock_timeout is repeated');
answer('alter database reacting reset lock_timeout');
answer('select pg_terminate_backend(' . worker_of() . ', 5000)', 'postgres');
worker_of();
my @lockers = map { begin("set lock_timeout = 0; do \$\$ begin for i in 1 .. 10 loop begin lock table second_lock; perform pg_sleep(0.05); lock table first_lock; exception when deadlock_detected then null; end; commit; end loop; end \$\$") } 1 .. 2;
answer("select f6_append('Locked', array[o(i)], '{}') from generate_series(1, 3) as i");
$_->() foreach @lockers;
wait_until_done();
is(answer(q{select count(*), count(distinct "position") from effect where reaction = 'locking'}), '4|4', 'deadlocks with clients end, and each event is done once');

#
# Dump and restore
#

answer(q{select f6_enable_reaction(name) from f6.reaction where name not in ('switched', 'accept')});
wait_until_done();
answer(q{create or replace function strict(e f6.event) returns void language plpgsql as $$ begin raise exception 'bad'; end $$});
answer(q{select f6_create_reaction('hour', '{"types": ["Timed"]}', 'later(f6.event)', delay => '1 hour')});
answer(q{select f6_append('Order', array[o(60)], '{}'), f6_append('Timed', array[o(60)], '{}'), f6_append('Timed', array[o(61)], '{}')});
wait_until(q{select (select parked from f6.reaction where name = 'strict') = 1 and (select waiting from f6.reaction where name = 'hour') = 2
    and (select lag_events from f6.reaction where name = 'switched') > 0});
wait_until(q{select bool_and(lag_events = 0 and failing = 0 and (waiting = 0 or name = 'hour')) from f6.reaction where enabled});
my $state = q{select name, handler, due, delay, enabled, lag_events, waiting, next_at, parked from f6.reaction order by name};
my $before = answer($state);
my $digest = q{select count(*), md5(string_agg(t::text, ' ' order by t::text)) from (select d::text from f6.reaction_definition as d union all select d::text from f6.reaction_due as d union all select r::text from f6.reaction_run as r) as t};
my $kept = answer($digest);
my @connection = ('-h', $node->host, '-p', $node->port);
my $file = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', $file, 'reacting' ], 'a database with reactions is dumped');
answer('create database restored', 'postgres');
$node->command_ok([ 'pg_restore', @connection, '-d', 'restored', $file ], 'and restored');
is(answer($state, 'restored'), $before, 'they are as they were');
is(answer($digest, 'restored'), $kept, 'with all that they have done');
# Where a worker is, what is due by now is done once the events are there.
answer('create database later', 'postgres');
worker_of('later');
$node->command_ok([ 'pg_restore', @connection, '-d', 'later', '-s', $file ], 'it is restored where a worker is, first what is no data');
$node->command_ok([ 'pg_restore', @connection, '-d', 'later', '-a', '-n', 'f6', (map { ('-t', $_) } qw(subscription_definition subscription_partition reaction_definition reaction_due)), $file ], 'then what waits');
answer("update f6.reaction_due set run_at = now(), due_at = now()", 'later');
sleep 1.5;
$node->command_ok([ 'pg_restore', @connection, '-d', 'later', '-a', (map { ('-t', $_) } qw(event event_object event_type)), $file ], 'and then the events');
wait_until(q{select waiting = 0 from f6.reaction where name = 'hour'}, 'later');
is(answer(q{select count(*) from f6.reaction_run where reaction = 'hour' and outcome = 'done'}, 'later'), '2', 'no term is lost because a worker was there before its event');
answer(q{select f6_enable_reaction(name) from f6.reaction; update f6.reaction_due set run_at = now(), due_at = now();
    create or replace function strict(e f6.event) returns void language sql as $$ select public.note('strict', e) $$; select f6_replay('strict')}, 'restored');
answer('select f6_start_worker()', 'restored');
answer(q{select f6_append('Order', array[o(62)], '{}')}, 'restored');
wait_until_done('restored');
is(answer(q{select reaction, count(*) from effect where "position" > } . answer(q{select max("position") - 3 from f6.event}) . q{ group by 1 order by 1}, 'restored'),
	"accept|2\nall|2\nlater|4\nparts|4\nship|2\nshipped|4\nstrict|2\nswitched|2\nunreliable|2", 'and go on: what was parked, what waited and what is new is done once');

#
# The extension and the database go while a reaction runs
#

answer('create database dropped', 'postgres');
answer($setup, 'dropped');
answer(q{create function slow(e f6.event) returns void language sql as $$ insert into public.effect (reaction) values ('slow'); select pg_catalog.pg_sleep(1) $$}, 'dropped');
answer(q{select f6_create_reaction('slow', '{"types": ["Slow"]}', 'slow(f6.event)')}, 'dropped');
worker_of('dropped');
answer(q{select f6_append('Slow', array[o(1)], '{}')}, 'dropped');
my $is_slow = q{select exists (select from pg_stat_activity where datname = 'dropped' and backend_type = 'f6 worker' and wait_event = 'PgSleep')};
wait_until($is_slow, 'postgres');
answer('drop extension f6 cascade', 'dropped');
is(answer('select count(*) from effect', 'dropped'), '1', 'the extension is dropped after what a reaction is at');
answer('drop table effect, tally', 'dropped');
answer($_, 'dropped')
  foreach map { s/create (function|procedure)/create or replace $1/gr } $setup,
  q{create function slow(e f6.event) returns void language sql as $$ select pg_catalog.pg_sleep(1) $$; select f6_create_reaction('slow', '{"types": ["Slow"]}', 'slow(f6.event)'); select f6_append('Slow', array[o(1)], '{}')};
wait_until($is_slow, 'postgres');
$node->append_conf('postgresql.conf', "f6.databases = 'reacting'");
answer('drop database dropped', 'postgres');
pass('a database is dropped while a reaction runs in it');
is(answer('select 1'), '1', 'the server lives on');

$node->stop;
done_testing();
