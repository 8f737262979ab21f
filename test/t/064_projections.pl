# Projections have the rows that the rules say, whoever appended at the same time, and whenever the server was killed: folds of
# every kind, by objects and by keys, inline and async, are compared with F6::Model and a few lines of Perl that fold.
# F6_SEED chooses other events (random: new ones each time; the seed is shown, but sessions race), F6_ROUNDS more or fewer rounds
# of F6_SECONDS each.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Projections qw(@projections @late @flaws setup_sql create_sql rows_sql read_log expected_rows);
use F6::Server qw(new_server);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $seed = $ENV{F6_SEED} || 20240101;
$seed = (time ^ ($$ << 8)) % 1_000_000 + 1 if $seed eq 'random';
my $usual_rounds = 3;
my $rounds = $ENV{F6_ROUNDS} || $usual_rounds;
my $seconds = $ENV{F6_SECONDS} || 6;
my $node = new_server('projections', 'restart_after_crash = off', 'autovacuum = off', 'deadlock_timeout = 100ms');

# Those who work at the same time: what they do, how many, in which isolation level, and how often they try.  Who appends one event is
# hardly ever in a deadlock with others who append by one statement; those who use several only work in every other round.
my @workers = (
	{ name => 'single', script => 'select append_single(:seed)', clients => 4, level => 'read committed', tries => 1 },
	{ name => 'batch', script => 'select append_batch(:seed)', clients => 1, level => 'read committed', tries => 1000 },
	{ name => 'insert', script => 'select append_insert(:seed)', clients => 1, level => 'read committed', tries => 1000 },
	{ name => 'several', script => "begin;\nselect append_single(:seed);\nselect append_batch(:seed);\nend", clients => 1, level => 'read committed', tries => 1000 },
	{ name => 'repeatable', script => 'select append_single(:seed)', clients => 2, level => 'repeatable read', tries => 1000 },
	{ name => 'repeatable_batch', script => 'select append_batch(:seed)', clients => 1, level => 'repeatable read', tries => 1000 },
	{ name => 'refresh', script => "\\sleep 20 ms\nselect refresh_some(:seed)", clients => 1, level => 'read committed', tries => 1 },
	{ name => 'rebuild', script => "\\sleep 200 ms\ncall rebuild_some(:seed)", clients => 1, level => 'read committed', tries => 1 });

# The projections that there are.
my @present = @projections;

# Makes some projections, or drops them again.
sub make_late
{
	my $are_there = @present > @projections;

	ask($are_there ? qq{select f6_drop_projection('$_->{name}')} : create_sql($_)) foreach @late;
	@present = (@projections, $are_there ? () : @late);
	return;
}

# Returns the lines that SQL prints.
sub ask
{
	return split /\n/, $node->safe_psql('postgres', $_[0]);
}

# Starts a worker, for some seconds.
sub start_worker
{
	my ($worker, $round) = @_;
	my $file = $node->basedir . "/$worker->{name}.sql";

	open my $script, '>', $file or die "$file: $!";
	print {$script} "\\set seed random(1, 1000000000)\n$worker->{script};\n";
	close $script;
	$worker->{output} = $worker->{errors} = '';
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation=" . $worker->{level} =~ s/ /\\ /gr;
	$worker->{run} = start(
		[ 'pgbench', '-n', '-c', $worker->{clients}, '-T', $seconds, '-f', $file, "--max-tries=$worker->{tries}",
			'--failures-detailed', "--random-seed=" . ($seed + $round), $node->connstr('postgres') ],
		'>', \$worker->{output}, '2>', \$worker->{errors});
	return;
}

# Kills the server with all its children, and starts it again.
sub crash
{
	my @children = ask('select pid from pg_stat_activity');

	$node->kill9;
	kill 'KILL', @children;
	foreach (1 .. 300)
	{
		sleep 0.1;
		return if $node->start(fail_ok => 1);
		$node->kill9;
	}
	die 'the server does not start after the crash';
}

# Returns how many transactions of a worker were done.
sub transactions
{
	my ($worker) = @_;

	return $worker->{output} =~ /^number of transactions actually processed: (\d+)/m ? $1 : 0;
}

# Returns how many transactions of a worker failed for a reason, as it counts them.
sub failures
{
	my ($worker, $reason) = @_;

	return $worker->{output} =~ /^number of $reason failures: (\d+)/m ? $1 : 0;
}

# Runs a round of all workers, with a crash in its midst, or something else that a function does.
sub run_round
{
	my ($round, $crashes, $amidst) = @_;

	my @working = grep { $_->{name} ne 'several' || $round % 2 == 0 } @workers;

	start_worker($_, $round) foreach @working;
	sleep $seconds / 2;
	$crashes ? crash() : $amidst->();
	$_->{run}->finish foreach @working;
	return if $crashes;
	foreach my $worker (@working)
	{
		is($worker->{errors} =~ /^(.*error.*)$/m ? $1 : '', '', "round $round: $worker->{name}: no other error");
		next if $worker->{tries} > 1;
		is(failures($worker, 'serialization'), 0, "round $round: $worker->{name}: nothing to be repeated");
		cmp_ok(failures($worker, 'deadlock'), '<=', 2 + transactions($worker) / 50, "round $round: $worker->{name}: hardly a deadlock") if $round % 2;
		note "$worker->{name}: " . join ', ', map { /^(number of trans.*|.*retr.*|.*failed.*)$/m ? "$1" : () } split /\n/, $worker->{output};
	}
	return;
}

# Compares the rows of a projection with those that it should have.  Returns what is wrong, a line for each row.
sub compare
{
	my ($model, $projection) = @_;
	my $expected = expected_rows($model, $projection);
	my %found = map { ((split /\|/)[0] => $_) } ask(rows_sql($projection));
	my %keys = (%$expected, %found);

	return map {
		my ($theirs, $ours) = map { defined $_ ? $_ : '(none)' } $found{$_}, $expected->{$_};
		$theirs eq $ours ? () : "f6:    $theirs\nmodel: $ours"
	} sort keys %keys;
}

# Tells what f6 says of the events of an object, which goes with a wrong row.
sub events_text
{
	my ($key) = @_;

	return join "\n", ask(qq{select "position", id, event_kind, event_type, event_version, occurred_at, object_ids, event_reference, event_data from f6.event
		where '$key' = any (object_ids::text[]) order by "position"});
}

# Checks every projection against the log.
sub check_projections
{
	my ($when) = @_;
	my $model;

	ask(qq{select f6_refresh('$_->{name}')}) foreach grep { $_->{mode} eq 'async' } @projections;
	ask("select f6_refresh('$_')") foreach qw(handled_async handled_later);
	$model = read_log(\&ask);
	foreach my $projection (@present)
	{
		my @wrong = compare($model, $projection);

		ok(!@wrong, "$when: $projection->{name} is what the log makes of it");
		diag "F6_SEED=$seed: $projection->{name}: " . @wrong . " rows are wrong\n" . join "\n", @wrong[ 0 .. ($#wrong < 3 ? $#wrong : 3) ] if @wrong;
		diag events_text($wrong[0] =~ /([0-9a-f]{8}-[0-9a-f-]+)/) if @wrong && !$projection->{is_keyed};
		check_kept($when, $projection);
	}
	check_handlers($when);
	return $model;
}

# Checks what f6 keeps with the rows of a projection, and what it answers about its objects.
sub check_kept
{
	my ($when, $projection) = @_;
	my $name = $projection->{name};

	is( join("\n", ask(<<"SQL")), '', "$when: f6_state_asof says the same as $name") unless $projection->{is_keyed};
select * from (select distinct object_id from f6.event_object) as o left join $name as p using (object_id)
    where f6_state_asof(object_id, 'infinity', 'infinity', '$name') is distinct from p.state limit 3
SQL
	return if $projection->{mode} eq 'live';

	my $key = $projection->{is_keyed} ? 'key' : 'object_id';
	is(join("\n", ask(<<"SQL")), '', "$when: what $name has ended is not there");
select e.key from f6.projection_end as e join f6.projection as p using (projection_id) join $name as t on to_jsonb(t.$key) = e.key
    where p.name = '$name' limit 3
SQL
	return;
}

# Checks that each handler has had each event that it is about once.
sub check_handlers
{
	my ($when) = @_;

	is(join("\n", ask(<<'SQL')), '', "$when: each handler has handled each event once");
select * from (select handler, "position" from (values ('inline', '%'), ('async', '%'), ('some', 'Dated%'), ('later', 'Noted')) as h (handler, types),
                   f6.event as e where e.event_type like h.types) as wanted
    full join (select handler, "position", count(*) as times from handled group by 1, 2) as had using (handler, "position")
    where times is distinct from 1 or wanted is null limit 5
SQL
	return;
}

diag "F6_SEED=$seed, F6_ROUNDS=$rounds";
$node->safe_psql('postgres', setup_sql());
ask("select setseed($seed / 1e9)");
ask('select append_single(' . ($seed + $_) . ')') foreach 1 .. 20;
ask(create_sql($_)) foreach @projections;
ask(<<'SQL');
select f6_create_projection('handled_inline', mode => 'inline', handler => 'public.handled_inline(f6.event)'),
       f6_create_projection('handled_async', mode => 'async', handler => 'public.handled_async(f6.event)'),
       f6_create_projection('handled_some', '{Dated*}', mode => 'inline', handler => 'public.handled_some(f6.event)'),
       f6_create_projection('handled_later', '{Noted}', mode => 'async', handler => 'public.handled_later(f6.event)');
SQL

my $model = check_projections('at first');
foreach my $round (1 .. $rounds)
{
	run_round($round, $round % 3 == 2, \&make_late);
	$model = check_projections("round $round");
}

ask("call f6_rebuild('$_->{name}')") foreach grep { $_->{mode} ne 'live' } @present;
$model = check_projections('rebuilt');

my %kinds;
$kinds{ $_->{kind} }++ foreach $model->all_events;
note scalar $model->all_events . ' events: ' . join ', ', map { "$kinds{$_} ${_}s" } sort keys %kinds;
SKIP:
{
	skip 'too few rounds to tell what the rows would notice', 1 if $rounds < $usual_rounds;

	cmp_ok($kinds{$_}, '>', 30, "there are many ${_}s") foreach sort keys %kinds;
	foreach my $flaw (@flaws)
	{
		my @noticed = grep {
			my $ours = expected_rows($model, $_);
			my $theirs = expected_rows($model, $_, $flaw);
			join("\n", map { $ours->{$_} } sort keys %$ours) ne join("\n", map { $theirs->{$_} } sort keys %$theirs)
		} @projections;

		note "$flaw: noticed by " . @noticed . ' projections';
		ok(scalar @noticed, "a model in which $flaw would be noticed");
	}
}

$node->stop;
done_testing();
