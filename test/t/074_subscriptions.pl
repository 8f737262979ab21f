# Subscriptions under load: consumers that share one do each thing once and in the order of each object, though they fail, die and are killed with the server.
# F6_SECONDS (6) is how long each of two rounds lasts.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server @tables);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{F6_SECONDS} || 6;
my $node = new_server('subscriptions', 'max_connections = 60', 'max_prepared_transactions = 5', "timezone = 'UTC'");

# Returns the answer to a query.
sub answer
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

# Starts a script in a session of its own; it returns what ends that, and then what it said.
sub begin
{
	my ($script, $name) = @_;
	my ($output, $errors) = ('', '');
	my $session = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=$name", '-c', $script ],
		'>', \$output, '2>', \$errors);

	return sub { $session->finish; return "$output$errors" };
}

# Waits until a query returns true.
sub wait_until
{
	my ($query) = @_;

	$node->poll_query_until('postgres', $query) or die "in vain: $query";
	return;
}

# Waits until a session waits for events.
sub wait_for_waiting
{
	my ($name) = @_;

	wait_until("select count(*) > 0 from pg_locks as l join pg_stat_activity as a using (pid) where a.application_name = '$name' and l.locktype = 'advisory' and l.objsubid >= 17920 and a.wait_event_type = 'Extension'");
	return;
}

answer(<<'SQL');
select f6_register_event_type(t, '1', 'true') from unnest('{Counted, Other}'::text[]) as t;
create function o(n integer) returns uuid language sql immutable as $$ select f6_object_id('subscription', n::text) $$;
-- What consumers were given, and what they did about it.
create table delivery (delivery_id serial primary key, consumer text, "position" bigint, attempt integer, asked_at timestamptz, had_at timestamptz);
create table given_back ("position" bigint, at timestamptz);
create table effect (effect_id serial primary key, subscription text, consumer text, "position" bigint, object_ids uuid[]);
create table given_up ("position" bigint);

-- Appends for some seconds: events about one to three objects of a few, some of them rolled back, some of another type.
create procedure work(seconds numeric, seed float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
begin
    perform setseed(seed);
    while clock_timestamp() < ends loop
        for i in 1 .. 1 + (random() * 3)::integer loop
            perform f6_append(case when random() < 0.8 then 'Counted' else 'Other' end,
                (select array_agg(distinct o((random() * 12)::integer)) from generate_series(1, case when random() < 0.2 then 2 else 1 end)), '{}');
        end loop;
        if random() < 0.2 then
            rollback;
        else
            commit;
        end if;
        perform pg_sleep(0.03 * random());
    end loop;
end $$;

-- Consumes for some seconds: gives some back, and forgets some, as if it had died.
create procedure consume(subscription text, consumer text, seconds numeric, seed float8, mistakes float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
    asked timestamptz;
    batch f6.delivered_event[];
    e f6.delivered_event;
begin
    perform setseed(seed);
    while clock_timestamp() < ends loop
        asked := clock_timestamp();
        select array_agg(p) into batch from f6_poll(subscription, 1 + (random() * 9)::integer, '100 milliseconds', consumer, '400 milliseconds') as p;
        insert into delivery (consumer, "position", attempt, asked_at, had_at)
            select consume.consumer, b."position", b.attempt, asked, clock_timestamp() from unnest(batch) as b;
        commit;
        foreach e in array coalesce(batch, '{}') loop
            begin
                if random() < mistakes / 2 then
                    perform f6_nack(subscription, e."position", 'mistake', consumer);
                    insert into given_back values (e."position", clock_timestamp());
                    exit;
                end if;
                insert into effect (subscription, consumer, "position", object_ids) values (subscription, consume.consumer, e."position", e.object_ids);
                exit when random() < mistakes / 2;
                if random() < mistakes / 4 then
                    perform pg_sleep(0.5);
                end if;
                perform f6_ack(subscription, e."position", consumer);
            exception when object_not_in_prerequisite_state then
                -- The lease is somebody else's: what was done is undone.
                exit;
            end;
            commit;
        end loop;
        rollback;
    end loop;
end $$;

-- Sees to what a subscription has parked for some seconds: replays it, or gives up on some of it.
create procedure repair(subscription text, seconds numeric, seed float8, hopeless float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
    k record;
begin
    perform setseed(seed);
    while clock_timestamp() < ends loop
        for k in select * from f6.parked as p where p.name = subscription order by random() limit 3 loop
            begin
                if random() < hopeless then
                    perform f6_discard(subscription, k."position");
                    insert into given_up values (k."position");
                else
                    perform f6_replay(subscription, case when random() < 0.7 then k."position" end);
                end if;
            exception when object_not_in_prerequisite_state or undefined_object or deadlock_detected then
                null;
            end;
            commit;
        end loop;
        perform pg_sleep(0.05);
        commit;
    end loop;
end $$;
SQL

# Waiting.
answer(q{select f6_subscribe('waiting', '{"types": ["Counted"]}')});
my $poll = begin(q{select count(*) from f6_poll('waiting', wait => '1 minute')}, 'waiting');
wait_for_waiting('waiting');
my $open = begin(q{begin; select from f6_append('Other', array[o(1)], '{}'); select pg_sleep(0.3); select from f6_append('Counted', array[o(1)], '{}'); commit}, 'open');
is($poll->(), "1\n", 'who waits has the event when it is committed');
$open->();
$poll = begin(q{select count(*) from f6_poll('waiting', wait => '1 minute', consumer => 'second')}, 'waiting');
wait_for_waiting('waiting');
answer(q{select from f6_append('Counted', array[o(2)], '{}')});
answer(q{select f6_ack('waiting', (select min("position") from f6.event where event_type = 'Counted'))});
is($poll->(), "1\n", 'and when another consumer is done');
answer(q{select f6_nack('waiting', (select max("position") from f6.event), consumer => 'second')});
is(answer(q{select count(*) from f6_poll('waiting', wait => '1 minute')}), 1, 'and when an event is due that was given back');
answer(q{select f6_ack('waiting', (select max("position") from f6.event))});
my $began = time;
is(answer(q{select count(*) from f6_poll('waiting', wait => '0.3 seconds')}), 0, 'or nothing in the end');
cmp_ok(time - $began, '>=', 0.3, 'but not before');
$poll = begin(q{select count(*) from f6_poll('waiting', wait => '1 minute')}, 'waiting');
wait_for_waiting('waiting');
answer(q{begin; select from f6_append('Counted', array[o(2)], '{}'); prepare transaction 'prepared'});
answer(q{commit prepared 'prepared'});
is($poll->(), "1\n", 'a prepared transaction counts too');
answer(q{select f6_seek('waiting', 'now')});
$poll = begin(q{select count(*) from f6_poll('waiting', wait => '1 minute')}, 'waiting');
wait_for_waiting('waiting');
answer(q{select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'waiting'});
like($poll->(), qr/canceling statement/, 'waiting can be cancelled');
$poll = begin(q{select count(*) from f6_poll('waiting', wait => '1 minute')}, 'waiting');
wait_for_waiting('waiting');
answer(q{select f6_unsubscribe('waiting')});
answer(q{select from f6_append('Counted', array[o(2)], '{}')});
like($poll->(), qr/subscription "waiting" has ended/, 'and ends with the subscription');

# What is in flight is not left out by a start in time.
$open = begin(q{begin; select from f6_append('Counted', array[o(1)], '{"late": true}'); select pg_sleep(1); commit}, 'open');
wait_until(q{select count(*) > 0 from pg_stat_activity where application_name = 'open' and wait_event = 'PgSleep'});
answer(q{select from f6_append('Counted', array[o(2)], '{}')});
answer(q{select f6_subscribe('late', start => (now() - interval '10 milliseconds')::text)});
$open->();
is(answer(q{select count(*) from f6_poll('late') where event_data = '{"late": true}'}), 1, 'an event that was in flight when the subscription began is delivered');
answer(q{select f6_unsubscribe('late')});

# Load.
answer(q{select f6_subscribe('shared', '{"types": ["Counted"]}', 'now', partitions => 5, attempts => 1000000, backoff => '10 milliseconds', max_backoff => '50 milliseconds')});
my $begun = answer(q{select "position" from f6.subscription});

# Runs writers and consumers for some seconds, and, if wanted, kills the server in the midst of them.
sub run_load
{
	my ($mistakes, $kill) = @_;
	my @sessions = map { begin("call work($seconds, 0.$_)", "writer$_") } 1 .. 2;

	push @sessions, map { begin("call consume('shared', 'consumer$_', @{[$seconds + 1]}, 0.$_, $mistakes)", "consumer$_") } 1 .. 4;
	if ($kill)
	{
		sleep($seconds / 2);
		$node->stop('immediate');
	}
	my $said = join('', map { $_->() } @sessions);
	$node->start if $kill;
	return $said;
}

is(run_load(0.05, 0), '', 'consumers and writers go on without an error');
like(run_load(0.05, 1), qr/server closed the connection|terminating connection|connection to server/, 'and until the server is killed');
my @last = map { begin("call consume('shared', 'last$_', 120, 0.$_, 0)", "last$_") } 1 .. 3;
wait_until(q{select lag_events = 0 from f6.subscription});
answer(q{select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'last%'});
$_->() foreach @last;
my $matching = qq{select "position", object_ids from f6.event where event_type = 'Counted' and "position" > $begun};
cmp_ok(answer("select count(*) from ($matching) as e"), '>', 100, 'there was something to do');
is(answer("select count(*) from ($matching) as e full join (select \"position\" from effect where \"position\" > $begun) as f using (\"position\") where e is null or f is null"), 0, 'all is done');
is(answer('select count(*) from (select "position" from effect group by 1 having count(*) > 1) as t'), 0, 'once');
is(answer(q{select count(*) from (select "position", lag("position") over (partition by o order by effect_id) as previous from effect, unnest(object_ids) as o) as t where previous > "position"}), 0, 'in the order of each object');
cmp_ok(answer('select count(*) from delivery where attempt > 1'), '>', 0, 'some of it after failures');
is(answer(q{select count(*) from (select *, lag(asked_at) over w as asked_before from delivery window w as (partition by "position" order by delivery_id)) as d
	where had_at < asked_before + interval '400 milliseconds'
	and not exists (select from given_back as g join f6.event as a on a."position" = g."position" join f6.event as b on b."position" = d."position"
		where g.at between d.asked_before and d.had_at)}), 0, 'nobody had an event twice while a lease held, unless it was given back');
is(answer('select count(*) from f6.parked'), 0, 'nothing is parked');
cmp_ok(answer('select count(distinct consumer) from effect'), '>=', 4, 'by all consumers');

# What is parked.
answer(q{truncate delivery, given_back, effect});
answer(q{select f6_unsubscribe('shared'); select f6_subscribe('parking', '{"types": ["Counted"]}', 'now', partitions => 3, attempts => 2, backoff => '0')});
$begun = answer(q{select "position" from f6.subscription});
my ($rounds, $said) = (0, '');
do
{
	# What fails is left to chance: a slow machine may need more of it.
	my @sessions = map { begin("call work($seconds, 0.$_)", "writer$_") } 3 .. 4;
	push @sessions, map { begin("call consume('parking', 'consumer$_', @{[$seconds + 1]}, 0.$_, 0.8)", "consumer$_") } 5 .. 7;
	push @sessions, map { begin("call repair('parking', @{[$seconds + 1]}, 0.$_, 0.5)", "repair$_") } 8 .. 9;
	$said .= join('', map { $_->() } @sessions);
} until ++$rounds == 5 or answer('select (select count(*) from given_up) > 0 and (select count(*) from delivery join effect using ("position") where attempt > 2) > 0') eq 't';
is($said, '', 'consumers that fail, and who sees to what is parked, go on without an error');
cmp_ok(answer('select count(*) from given_up'), '>', 0, 'some events were given up');
cmp_ok(answer('select count(*) from delivery join effect using ("position") where attempt > 2'), '>', 0, 'some done when they had been parked');
@last = (begin("call consume('parking', 'last', 120, 0.1, 0)", 'last1'), begin("call repair('parking', 120, 0.1, 0)", 'last2'));
wait_until(q{select lag_events = 0 and parked = 0 from f6.subscription});
answer(q{select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'last%'});
$_->() foreach @last;
$matching = qq{select "position", object_ids from f6.event where event_type = 'Counted' and "position" > $begun};
is(answer("select count(*) from ($matching) as e full join (select \"position\" from effect union all select \"position\" from given_up) as f using (\"position\") where e is null or f is null"), 0, 'all is done, or given up');
is(answer('select count(*) from (select "position" from (select "position" from effect union all select "position" from given_up) as t group by 1 having count(*) > 1) as t'), 0, 'once');
is(answer(q{select count(*) from (select "position", lag("position") over (partition by o order by effect_id) as previous from effect, unnest(object_ids) as o) as t where previous > "position"}), 0, 'in the order of each object');
answer(q{select f6_append('Counted', array[o(1)], '{}') from generate_series(1, 10)});
cmp_ok(answer(q{select count(*) from f6_poll('parking')}), '>', 0, 'and it goes on');

# A dump takes subscriptions along, as they stand.
answer(q{select f6_subscribe('failing', start => 'beginning', attempts => 2); select from f6_poll('failing', 10)});
answer(q{select f6_nack('failing', (select min("position") from f6.event))});
answer(q{select f6_subscribe('new')});
my $all = q{select md5(string_agg(t::text, ' ' order by t::text)) from (select 1, d::text from f6.subscription_definition as d union all select 2, p::text from f6.subscription_partition as p union all select 3, f::text from f6.subscription_failure as f) as t};
my $before = answer($all);
my @connection = ('-h', $node->host, '-p', $node->port);
my $file = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', $file, 'postgres' ], 'a database with subscriptions is dumped');
answer('create database restored');
$node->command_ok([ 'pg_restore', @connection, '-d', 'restored', $file ], 'and restored');
is($node->safe_psql('restored', $all), $before, 'as it was');
is($node->safe_psql('restored', q{select count(*) from f6_poll('new', 5)}), 5, 'and goes on');

$node->stop;
done_testing();
