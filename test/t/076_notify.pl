# Notifications: who listens is told that there may be something, by the worker or by the transactions that append, and whoever polls when told, and
# at no other time, misses nothing, though writers commit at the same time, roll back, and the worker and the server are killed.
# F6_ROUNDS (25) is how often writers race in mode commit, F6_SECONDS (4) how long each of the rounds of the load lasts.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate literal);
use IPC::Run qw(start pump finish timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{F6_ROUNDS} || 25;
my $seconds = $ENV{F6_SECONDS} || 4;

my $setup = <<'SQL';
select f6_register_event_type(t, '1', 'true') from unnest('{Born, Other}'::text[]) as t;
create function o(n integer) returns uuid language sql immutable as $$ select f6_object_id('notify', n::text) $$;
create function add(type text, n integer) returns bigint language sql as $$ select "position" from f6_append(type, array[o(n)], '{}') $$;
select f6_subscribe('births', '[{"types": ["Born"]}]');
select f6_subscribe('other 7', jsonb_build_object('types', '["Other"]'::jsonb, 'objects', jsonb_build_array(o(7))));
SQL

# Begins to listen on some channels.
sub listen_on
{
	my ($node, @channels) = @_;
	my %listener = (in => '', out => '', err => '', marks => 0, told => {});

	$listener{psql} = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$listener{in}, '>', \$listener{out}, '2>', \$listener{err}, timeout(180));
	ask(\%listener, join '', map { 'listen "' . s/"/""/gr . "\";\n" } @channels);
	return \%listener;
}

# Has a listener run something, and returns what it said; undef: its connection is gone.  What it is told meanwhile is put to its notes.
sub ask
{
	my ($listener, $query) = @_;
	my $mark = 'mark ' . ++$listener->{marks};
	my $answer;

	$listener->{in} .= "$query\n\\echo $mark\n";
	eval { pump $listener->{psql} until $listener->{out} =~ /^\Q$mark\E$/m; 1 } or return;
	($answer, $listener->{out}) = $listener->{out} =~ /\A(.*?)^\Q$mark\E\n?(.*)\z/ms;
	return if $listener->{err} =~ /connection to server was lost|terminating connection/;
	while ($answer =~ s/^Asynchronous notification "(.*)" with payload "(\{.*\})" received from.*\n//m)
	{
		push @{ $listener->{told}{$1} }, $2;
	}
	return $answer;
}

# Returns what a listener has been told on a channel: the horizons; what they were is forgotten.
sub told
{
	my ($listener, $channel) = @_;

	ask($listener, 'select 1;');
	my $told = delete $listener->{told}{$channel} || [];
	return map { /"horizon": (\d+)\}/ ? $1 : die "what is $_" } @$told;
}

# Waits until a listener is told a horizon on a channel, or a later one; returns all that it was told there meanwhile.
sub told_until
{
	my ($listener, $channel, $horizon) = @_;
	my @told;

	foreach my $try (1 .. 3000)
	{
		push @told, told($listener, $channel);
		return @told if grep { $_ >= $horizon } @told;
		sleep 0.02;
	}
	return @told;
}

# Ends a listener.
sub end_listening
{
	my ($listener) = @_;

	$listener->{in} .= "\\q\n";
	eval { finish $listener->{psql} };
	return;
}

# Returns the answer to a query.
sub answer
{
	my ($node, $query) = @_;

	return $node->safe_psql('postgres', $query);
}

# Returns the process of the worker, once there is one; the launcher looks more often than it would by itself.
sub worker_of
{
	my ($node) = @_;

	foreach my $try (1 .. 1500)
	{
		answer($node, 'select pg_reload_conf()') if $try % 10 == 0;
		my $pid = answer($node, q{select pid from pg_stat_activity where backend_type = 'f6 worker'});
		return $pid if $pid ne '';
		sleep 0.02;
	}
	die 'there is no worker';
}

# Starts clients that append, for some seconds or so many times; some of what they do is rolled back, if wanted.
sub writers
{
	my ($node, $clients, $limit, $rollbacks) = @_;
	my $file = $node->basedir . "/writers-$rollbacks.sql";
	my $output = '';

	open my $script, '>', $file or die;
	print $script "\\set n random(1, 12)\n\\set birth random(1, 3)\n\\set fails random(1, 8)\nbegin;\n"
	  . "select add(case when :birth = 1 then 'Born' else 'Other' end, :n);\n"
	  . ($rollbacks ? "\\if :fails = 1\nrollback;\n\\else\ncommit;\n\\endif\n" : "commit;\n");
	close $script;
	return start([ 'pgbench', '-n', '-c', $clients, '-j', 2, @$limit, '-f', $file, $node->connstr('postgres') ], '>', \$output, '2>', \$output);
}

#
# By the worker
#

my $node = new_server('worker', 'max_connections = 60', "shared_preload_libraries = 'f6'", "f6.databases = 'postgres'", 'f6.worker_interval = 20ms', 'restart_after_crash = on');
my $long = 'n' x 200;
my $quoted = q{it's "quoted" \\ here};

answer($node, $setup);
answer($node, 'select f6_subscribe(' . literal($_) . q{, '[{"types": ["Born"]}]')}) foreach $long, $quoted;
worker_of($node);
my ($long_channel, $quoted_channel) = map { answer($node, 'select channel from f6.subscription where name = ' . literal($_)) } $long, $quoted;
is($quoted_channel, "f6_$quoted", 'the channel of a subscription has its name');
like($long_channel, qr/^f6_[0-9a-f]{32}$/, 'or a digest of one that is too long');
is(answer($node, q{select string_agg(length(f6.subscription_channel(repeat('x', n))) || '', ' ') from unnest('{1, 60, 61}'::int[]) as n}), '4 63 35', 'the longest names that a channel takes');

my $listener = listen_on($node, 'f6', 'f6_births', 'f6_other 7', $long_channel, $quoted_channel);
my $position = answer($node, q{select add('Other', 1)});
is((told_until($listener, 'f6', $position))[-1], $position, 'an append is told');
is(join(' ', map { scalar told($listener, $_) } 'f6_births', 'f6_other 7', $long_channel, $quoted_channel), '0 0 0 0', 'and not on the channels of subscriptions to others');
$position = answer($node, q{select add('Other', 7)});
is(join(' ', told_until($listener, 'f6_other 7', $position)), $position, 'that of a subscription to it has it, once');
$position = answer($node, q{select add('Born', 7)});
is(join(' ', told_until($listener, $_, $position)), $position, "and so has $_") foreach 'f6_births', $long_channel, $quoted_channel;
told($listener, 'f6');
$position = answer($node, q{select max(add('Born', n)) from generate_series(1, 500) as n});
is(join(' ', told_until($listener, 'f6_births', $position)), $position, 'a transaction is told once, however much it appends');
$position = answer($node, q{select add('Other', 7)});
told_until($listener, 'f6_other 7', $position);
is(scalar told($listener, 'f6_births'), 0, 'and not again');
answer($node, q{begin; select add('Born', 7); rollback});
$position = answer($node, q{select add('Other', 7)});
told_until($listener, 'f6', $position);
is(scalar told($listener, 'f6_births'), 0, 'what was rolled back is told no subscription');
ask($listener, 'select 1;');
is(answer($node, q{begin; savepoint s; select add('Born', 7); rollback to s; commit}), $position + 1, 'nor what was undone in a transaction');
like((map { @$_ } $listener->{told}{f6} || [qw(none)])[0] || 'none', qr/none|"zone": 1,/, 'the zone is told by its number');
answer($node, q{alter system set f6.zone = 'nobody''s'});
answer($node, 'select pg_reload_conf()');
worker_of($node);
delete $listener->{told}{f6};
$position = answer($node, q{set f6.zone = 'default/default'; select add('Other', 7)});
ask($listener, 'select pg_sleep(0.02);') until grep { /"horizon": $position\}/ } @{ $listener->{told}{f6} || [] };
is((grep { /"horizon": $position\}/ } @{ $listener->{told}{f6} })[0], qq({"zone": null, "horizon": $position}), 'or null, where f6.zone names none');
answer($node, 'alter system reset f6.zone');
answer($node, 'select pg_reload_conf()');

# Replays
answer($node, q{select f6_subscribe('failing', '[{"types": ["Born"]}]', attempts => 1)});
answer($node, q{select f6_nack('failing', min("position")) from f6_poll('failing', 1)});
ask($listener, 'listen f6_failing;');
answer($node, q{select f6_replay('failing')});
ok(scalar told_until($listener, 'f6_failing', 1), 'a replay is told');
answer($node, q{select f6_replay('failing')});
is(scalar told($listener, 'f6_failing'), 0, 'not where nothing is replayed');
answer($node, q{begin; select f6_seek('failing', '0'); rollback});
is(scalar told($listener, 'f6_failing'), 0, 'nor one that is rolled back');
answer($node, q{select f6_seek('failing', '0')});
ok(scalar told_until($listener, 'f6_failing', 1), 'but one that is moved is told');
answer($node, q{select f6_nack('failing', min("position")) from f6_poll('failing', 1)});
answer($node, q{select f6_discard('failing', "position") from f6.parked where name = 'failing'});
ok(scalar told_until($listener, 'f6_failing', 1), 'and one that gives up on an event');
answer($node, q{select f6_unsubscribe('failing')});

# Settings
is(sqlstate($node, "set role f6_admin; set f6.notify = off"), '42501', 'f6.notify is for superusers');
is(sqlstate($node, 'set f6.notify = perhaps'), '22023', 'and one of some words');
answer($node, q{alter system set f6.notify = off});
answer($node, 'select pg_reload_conf()');
$node->poll_query_until('postgres', q{select current_setting('f6.notify') = 'off'}) or die;
sleep 0.3;
told($listener, $_) foreach 'f6', 'f6_births';
$position = answer($node, q{select add('Born', 7)});
sleep 0.5;
is(join(' ', told($listener, 'f6'), told($listener, 'f6_births')), '', 'off: nobody is told');
answer($node, q{alter system reset f6.notify});
answer($node, 'select pg_reload_conf()');
is((told_until($listener, 'f6_births', $position))[-1], $position, 'and is told when it is on again');

# Without a worker, for a while
answer($node, q{alter system set f6.databases = ''});
answer($node, 'select pg_reload_conf()');
$node->poll_query_until('postgres', q{select not exists (select from pg_stat_activity where backend_type = 'f6 worker')}) or die;
answer($node, q{select f6_ack('births', (select max("position") from f6_poll('births', 10000)))});
told($listener, $_) foreach 'f6', 'f6_births', 'f6_other 7';
$position = answer($node, q{select add('Other', 1)});
answer($node, q{alter system reset f6.databases});
worker_of($node);
is((told_until($listener, 'f6', $position))[-1], $position, 'a worker tells at first what was appended without it');
is(scalar told($listener, 'f6_births'), 0, 'not those of a subscription that has nothing to deliver');
cmp_ok(scalar told($listener, 'f6_other 7'), '>', 0, 'but those of one that has');
end_listening($listener);

#
# Who polls when told, and at no other time, misses nothing
#

# Connects a follower: one that listens, and then polls once.
sub connect_follower
{
	my ($node) = @_;
	my $listener;

	foreach my $try (1 .. 300)
	{
		$listener = eval { listen_on($node, 'f6_births') };
		return $listener if defined $listener && defined ask($listener, 'select 1;') && $listener->{err} eq '';
		sleep 0.1;
	}
	die 'nobody can connect';
}

# Polls all that there is, acknowledges it, and notes it; false: the connection is gone.
sub take
{
	my ($listener, $had) = @_;

	while (1)
	{
		my $positions = ask($listener, q{select "position" from f6_poll('births', 1000, lease => '1 second');});
		return 0 unless defined $positions;
		my @list = $positions =~ /^(\d+)$/mg;
		return 1 unless @list;
		return 0 unless defined ask($listener, "select f6_ack('births', $list[-1]);");
		$had->{$_} = 1 foreach @list;
	}
}

# Follows births while something goes on, until all are there.
sub follow
{
	my ($node, $name, $disturb, $last) = @_;
	my %had;
	my $follower = connect_follower($node);
	my $ends = time + $seconds;
	my $begun = answer($node, 'select f6_horizon()');
	my $writers = writers($node, 8, [ '-T', $seconds ], 1);
	my $next = time + 0.7;
	my ($polls, $missing, $is_done) = (0, -1, 0);

	take($follower, \%had);
	while ($missing != 0 && time < $ends + 90)
	{
		if (!defined ask($follower, 'select 1;'))
		{
			$follower = connect_follower($node);
			$follower->{told}{f6_births} = ['connected'];
		}
		if (time < $ends && time > $next)
		{
			$disturb->();
			$next = time + 0.7;
		}
		if (time > $ends && !$is_done)
		{
			eval { $writers->finish };
			$node->poll_query_until('postgres', undef, '') or die;
			# Whoever was rolled back last has told nobody.
			$last->();
			$is_done = 1;
		}
		if (delete $follower->{told}{f6_births})
		{
			$polls++;
			take($follower, \%had) or next;
		}
		sleep 0.005;
		next unless $is_done;
		$missing = grep { !$had{$_} } split /\n/, answer($node, qq{select "position" from f6.event where event_type = 'Born' and "position" > $begun});
	}
	is($missing, 0, "$name: who polls when told has all");
	cmp_ok(scalar keys %had, '>', 10, "$name: which are some");
	note(scalar(keys %had) . " events, $polls polls");
	end_listening($follower);
	return;
}

answer($node, q{select f6_seek('births', 'now')});
follow($node, 'worker', sub { }, sub { });
follow($node, 'worker terminated', sub { answer($node, q{select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'f6 worker'}) }, sub { worker_of($node) });
follow($node, 'worker killed', sub {
	my $worker = eval { worker_of($node) } or return;
	kill 'KILL', $worker;
	$node->poll_query_until('postgres', undef, '') or die;
}, sub { worker_of($node) });
$node->stop;

#
# By the transactions that append
#

$node = new_server('commit', 'max_connections = 60', 'f6.notify = commit', 'max_prepared_transactions = 5', 'wal_level = replica', 'max_wal_senders = 2');
answer($node, $setup);
answer($node, 'select f6_subscribe(' . literal($long) . q{, '[{"types": ["Born"]}]')});
$listener = listen_on($node, 'f6', 'f6_births', 'f6_other 7', $long_channel);
$position = answer($node, q{select add('Born', 1)});
is(join(' ', told_until($listener, 'f6', $position)), $position, 'commit: an append is told');
is(join(' ', map { scalar told($listener, $_) } 'f6_births', 'f6_other 7', $long_channel), '1 0 1', 'on the channels that it concerns');
answer($node, q{begin; select add('Born', 1); rollback});
answer($node, q{begin; savepoint s; select add('Born', 1); rollback to s; select add('Other', 1); commit});
$position = answer($node, q{select f6_horizon()});
is(join(' ', told_until($listener, 'f6', $position)), $position, 'what is rolled back, or undone, is not');
is(scalar told($listener, 'f6_births'), 0, 'nor to subscriptions');
foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	$position = answer($node, qq{begin isolation level $level; select add('Born', 1); commit});
	is(join(' ', told_until($listener, 'f6_births', $position)), $position, "in $level");
}
$position = answer($node, q{do $$ begin for i in 1 .. 3 loop perform add('Born', i); commit; end loop; end $$; select f6_horizon()});
is(scalar(told_until($listener, 'f6_births', $position)), 3, 'and each commit of a procedure');

# Two at a time, of which the first sees the second, and the second is of a snapshot before the first.
my $older = listen_on($node, 'nothing');
ask($older, q{begin isolation level repeatable read; select add('Other', 1);});
my $held = answer($node, q{select add('Born', 1)});
is(scalar told($listener, 'f6_births'), 0, 'an event that another holds back is not told');
ask($older, 'commit;');
is(scalar(told_until($listener, 'f6_births', $held)), 1, 'before that one commits');
end_listening($older);

# Prepared transactions
$position = answer($node, q{begin; select add('Born', 1); prepare transaction 'prepared'; commit prepared 'prepared'; select add('Born', 2)}) =~ s/.*\n//r;
is(scalar(told_until($listener, 'f6_births', $position)), 1, 'an append can be prepared; the next one is told');

# Roles without privileges
answer($node, q{create role stranger login; grant usage on schema f6 to stranger; grant insert (object_ids, event_type, event_data) on f6.event to stranger});
$node->safe_psql('postgres', q{insert into f6.event (object_ids, event_type, event_data) values (array[o(3)], 'Born', '{}')}, connstr => $node->connstr('postgres') . ' user=stranger');
$position = answer($node, 'select f6_horizon()');
is(join(' ', told_until($listener, 'f6_births', $position)), $position, 'so is one of a role that may see nothing');
is(sqlstate($node, q{begin; select add('Born', 1); drop extension f6 cascade; commit}), '', 'who drops f6 can commit');
end_listening($listener);
answer($node, 'drop function if exists add, o; create extension f6');
answer($node, $setup);

# Who waits for the lock of those who notify does so however long it takes: one that notifies holds it while it waits for a standby that there is not.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$node->reload;
my $holder = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'create table held (); notify something' ]);
$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where wait_event = 'SyncRep')}) or die;
my $output = '';
my $waiting = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{set synchronous_commit = local; set lock_timeout = '50ms'}, '-c', q{select add('Born', 1)} ],
	'>', \$output, '2>', \$output);
$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where wait_event_type = 'Lock' and clock_timestamp() > query_start + interval '0.5 seconds')}) or die;
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$node->reload;
ok($waiting->finish && $holder->finish, 'no time-out of locks counts for that of those who notify');
unlike($output, qr/ERROR/, 'nor is there an error');

# The race
$listener = listen_on($node, 'f6', 'f6_births');
my $wrong = 0;
foreach my $round (1 .. $rounds)
{
	writers($node, 8, [ '-t', 15 ], 0)->finish or $wrong += 1000;
	my ($horizon, $births) = split /\|/, answer($node, q{select f6_horizon(), max("position") from f6.event where event_type = 'Born'});
	my @told = sort { $a <=> $b } told($listener, 'f6');
	my @births = sort { $a <=> $b } told($listener, 'f6_births');
	$wrong++ if $told[-1] != $horizon || $births[-1] < $births;
}
is($wrong, 0, "of writers that commit at the same time the last tells what all have brought, in $rounds rounds");
is(answer($node, q{select count(*) from f6.event}), $rounds * 8 * 15 + 1, 'and none fails');
end_listening($listener);

answer($node, q{select f6_seek('births', 'now')});
follow($node, 'commit', sub { }, sub { answer($node, q{select add('Born', 1)}) });
$node->stop;
done_testing();
