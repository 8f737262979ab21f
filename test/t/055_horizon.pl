# The horizon under load: whoever follows it sees every event once, on the primary and on a standby, whatever becomes of
# the transactions that append: rollbacks, savepoints, exceptions, timeouts, prepared ones, killed ones, and a crash.
# F6_SECONDS makes it longer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $seconds = $ENV{F6_SECONDS} || 8;
my $primary = new_server('primary', 'max_prepared_transactions = 20', 'wal_level = replica', 'max_wal_senders = 5',
	'hot_standby = on', 'restart_after_crash = on', 'autovacuum_naptime = 1');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$primary->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Note', '1', 'true');
create table other (n bigint);
create function note() returns bigint language sql as
    $$ select position from f6_append('Note', array[gen_random_uuid()], to_jsonb(pg_backend_pid())) $$;
-- Appends and fails.
create procedure fail() language plpgsql as $$ begin perform note(); raise exception 'no'; exception when raise_exception then null; end $$;
-- Follows the log for a number of rounds; what it sees is kept with the checkpoint, in one transaction.
create table seen (position bigint, naive boolean);
create table checkpoint (position bigint, naive boolean);
insert into checkpoint values (0, false), (0, true);
create procedure follow(seconds float) language plpgsql as $$
declare
    known bigint;
    horizon bigint;
    until timestamptz := clock_timestamp() + make_interval(secs => seconds);
begin
    while clock_timestamp() < until loop
        horizon := f6_horizon();
        select position into known from checkpoint where not naive;
        insert into seen select position, false from f6.event where position > known and position <= horizon;
        update checkpoint set position = horizon where not naive;
        select max(position) into horizon from f6.event;
        select position into known from checkpoint where naive;
        insert into seen select position, true from f6.event where position > known and position <= horizon;
        update checkpoint set position = coalesce(horizon, 0) where naive;
        commit;
        perform pg_sleep(0.002);
    end loop;
end $$;
SQL
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on');
$standby->start;

# What the writers do, by weight.
my %scripts = (
	'plain@4' => "begin;\nselect note();\n\\sleep :wait us\nselect note();\ncommit;",
	'single@6' => 'select note();',
	'rollback@2' => "begin;\nselect note();\n\\sleep :wait us\nrollback;",
	'savepoint@3' => "begin;\ninsert into other values (1);\nsavepoint a;\nselect note();\n\\sleep :wait us\nrollback to a;\n"
	  . "select note();\nsavepoint b;\nselect note();\n\\sleep :wait us\nrelease b;\ncommit;",
	'exception@2' => "begin;\ncall fail();\nselect note();\ncall fail();\n\\sleep :wait us\ncommit;",
	'timeout@1' => "begin;\nselect note();\nsavepoint t;\nset local statement_timeout = 1;\n"
	  . "do \$\$ begin perform note(), pg_sleep(1); exception when query_canceled then null; end \$\$;\nselect note();\ncommit;",
	'prepared@1' => "begin;\nselect note();\nprepare transaction 't:client_id';\n\\sleep :wait us\ncommit prepared 't:client_id';",
	'elsewhere@1' => "begin;\ninsert into other values (2);\n\\sleep :wait us\ncommit;",
	'report@1' => "begin isolation level repeatable read;\nselect count(*) from other;\n\\sleep 20 ms\ncommit;");
my @files;
foreach my $script (sort keys %scripts)
{
	my ($name, $weight) = split /@/, $script;
	my $file = $primary->basedir . "/$name.sql";

	append_to_file($file, "\\set wait random(0, 10000)\n$scripts{$script}\n");
	push @files, '-f', "$file\@$weight";
}

# Starts writers for some seconds.
sub start_writers
{
	my ($duration) = @_;

	return start([ 'pgbench', '-n', '-c', 12, '-j', 2, '-T', $duration, @files, $primary->connstr('postgres') ],
		'>', \my $output, '2>', \my $errors);
}

# Starts following the log on the primary.
sub start_follower
{
	my ($duration) = @_;

	return start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', "call follow($duration)" ], '>', \my $output, '2>', \my $errors);
}

# Follows the log on the standby for some seconds, from where it was left, and returns the positions seen.
my $standby_checkpoint = 0;

sub follow_standby
{
	my ($duration) = @_;
	my $answer = $standby->safe_psql('postgres', <<SQL);
\\set VERBOSITY terse
set client_min_messages = notice;
set f6_test.seen = '';
do \$\$
declare
    known bigint := $standby_checkpoint;
    horizon bigint;
    positions bigint[] := '{}';
begin
    for round in 1 .. ($duration * 100)::int loop
        horizon := f6_horizon();
        positions := positions || array(select position from f6.event where position > known and position <= horizon order by position);
        known := horizon;
        perform pg_sleep(0.01);
    end loop;
    perform set_config('f6_test.seen', known || ':' || array_to_string(positions, ','), false);
end \$\$;
show f6_test.seen;
SQL
	my ($known, $positions) = $answer =~ /(\d+):([\d,]*)/ or die "unexpected answer: $answer";

	$standby_checkpoint = $known;
	return split /,/, $positions;
}

# Asks for the horizon again and again while many append, and returns how often it went back.
sub times_back
{
	my ($node) = @_;
	my $answer = $node->safe_psql('postgres', <<SQL);
set f6_test.back = '';
do \$\$
declare
    before bigint := 0;
    horizon bigint;
    back int := 0;
    until timestamptz := clock_timestamp() + '3 s';
begin
    while clock_timestamp() < until loop
        horizon := f6_horizon();
        back := back + (horizon < before)::int;
        before := horizon;
    end loop;
    perform set_config('f6_test.back', back::text, false);
end \$\$;
show f6_test.back;
SQL
	return $answer;
}

my $appends = $primary->basedir . '/appends.sql';
append_to_file($appends, 'select note();');
foreach my $node ($primary, $standby)
{
	my $appending = start([ 'pgbench', '-n', '-c', 12, '-T', 4, '-f', $appends, $primary->connstr('postgres') ], '>', \my $output, '2>', \my $errors);

	is(times_back($node), 0, 'the horizon does not go back on the ' . $node->name);
	$appending->finish;
}

my $writers = start_writers($seconds);
my $follower = start_follower($seconds + 2);
my @on_standby = follow_standby($seconds);

# Kills a process that appends, as an administrator might with kill -9: all others start anew.
sub kill_appender
{
	my $pid = $primary->safe_psql('postgres', 'select pid from f6.in_flight where pid is not null limit 1');

	kill 'KILL', $pid if $pid;
	return $pid;
}

$writers->finish;
$follower->finish;
is($primary->safe_psql('postgres', 'select count(*) from f6.in_flight'), 0, 'nothing is in flight when all is done');
is($primary->safe_psql('postgres', 'select f6_horizon() - last_value from f6.event_position_seq'), 0, 'and the log is complete to its end');

# A crash, and a prepared transaction that survives it.
$primary->safe_psql('postgres', "begin; select note(); prepare transaction 'kept'");
$writers = start_writers($seconds);
push @on_standby, follow_standby($seconds / 4);
my $killed = 0;
foreach (1 .. 200)
{
	last if $killed = kill_appender();
	sleep 0.01;
}
ok($killed, 'a process that appends is killed');
$writers->finish;
$primary->poll_query_until('postgres', undef, '') or die 'the server does not come back';
my $kept = $primary->safe_psql('postgres', "select lowest_position from f6.in_flight where prepared = 'kept' and pid is null");
is($primary->safe_psql('postgres', 'select count(*) from f6.in_flight'), 1 + $primary->safe_psql('postgres', "select count(*) from pg_prepared_xacts where gid <> 'kept'"),
	'after a crash only prepared transactions are in flight');
is($primary->safe_psql('postgres', 'select f6_horizon()'), $kept - 1, 'and hold the horizon');
$primary->safe_psql('postgres', "commit prepared '$_'") foreach split /\n/, $primary->safe_psql('postgres', 'select gid from pg_prepared_xacts');
$writers = start_writers($seconds / 2);
$follower = start_follower($seconds / 2 + 1);
push @on_standby, follow_standby($seconds / 2);
$writers->finish;
$follower->finish;

# The oracle.  What a standby learns of transactions that a crash has ended, while an older one was prepared, comes with a checkpoint,
# or within 15 seconds.
$primary->safe_psql('postgres', 'select note(); call follow(0.1)');
$primary->safe_psql('postgres', 'checkpoint');
$primary->wait_for_catchup($standby);
push @on_standby, follow_standby(0.1);
my $all = $primary->safe_psql('postgres', 'select count(*) from f6.event');
is($primary->safe_psql('postgres', <<'SQL'), '', "the follower saw each of $all events once");
select position, count(s.position) from f6.event as e full join (select * from seen where not naive) as s using (position)
    group by position having count(s.position) <> 1 or count(e.position) <> 1 limit 5
SQL
cmp_ok($primary->safe_psql('postgres', 'select count(*) from f6.event where position not in (select position from seen where naive)'),
	'>', 0, 'whoever trusts the highest visible position misses some');
is(join(',', @on_standby), $primary->safe_psql('postgres', "select string_agg(position::text, ',' order by position) from f6.event"),
	'the follower on the standby saw each of them once, in order');
is($standby->safe_psql('postgres', 'select f6_horizon()'), $primary->safe_psql('postgres', 'select max(position) from f6.event'),
	"the standby's horizon comes to the log's end");

# What the horizon has passed is not given out again after a crash, though nothing was committed.
my $passed = $primary->safe_psql('postgres', <<'SQL');
checkpoint;
begin;
do $$ begin perform note() from generate_series(1, 100); end $$;
rollback;
select f6_horizon();
SQL
$primary->stop('immediate');
$primary->start;
cmp_ok($primary->safe_psql('postgres', 'select note()'), '>', $passed, 'no position is given out twice');

# A standby sees what is in flight, and goes on where the primary was when it is promoted.
my $in_flight = start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-c', 'begin', '-c', 'select note()', '-c', 'select pg_sleep(60)' ], '>', \my $o, '2>', \my $e);
$primary->poll_query_until('postgres', 'select count(*) = 1 from f6.in_flight') or die 'no transaction is in flight';
$primary->safe_psql('postgres', "select note(); begin; select note(); prepare transaction 'promoted'");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'select count(*), count(pid), min(lowest_position) - 1 = f6_horizon() from f6.in_flight'), '2|2|t',
	'a standby shows what is in flight on the primary');
is($primary->safe_psql('postgres', 'select count(*), count(pid), min(lowest_position) - 1 = f6_horizon() from f6.in_flight'), '2|1|t', 'as the primary does');
is($standby->safe_psql('postgres', "select (f6_read_context('[{}]')).position = f6_horizon()"), 't', 'and a context read there reaches no further');
$primary->stop('immediate');
$in_flight->finish;
$standby->promote;
is($standby->safe_psql('postgres', "select prepared, lowest_position - 1 = f6_horizon() from f6.in_flight"), 'promoted|t',
	'promoted, it knows what ended with the primary and what was prepared');
$standby->safe_psql('postgres', "commit prepared 'promoted'; select note()");
is($standby->safe_psql('postgres', 'select f6_horizon() = max(position) from f6.event'), 't', 'and goes on');

done_testing();
