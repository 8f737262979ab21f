# Clients: the recipes of docs/clients.md for psql, the shell, Node and Perl, run as they stand there.
use strict;
use warnings;

use FindBin;
use F6::Recipe qw(need_packages recipe recipes write_recipe);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $packages = need_packages();
my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
my $folder = PostgreSQL::Test::Utils::tempdir();

# Returns the answer to a query.
sub answer
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

# Waits until a query returns true.
sub wait_until
{
	my ($query) = @_;
	my $ends = time + 60;

	while (answer($query) ne 't')
	{
		die "in vain: $query; " . join(', ', map { "$_: " . slurp_file($_) } glob("$folder/*.output")) if time > $ends;
		sleep(0.1);
	}
	return;
}

# The groups of processes that run, which end with the test whatever happens.
my %groups;
END
{
	local $?;
	kill '-KILL', keys %groups if %groups;
}

# Starts a program in the folder, and in a group of processes of its own; returns what ends it by a signal, and then returns what it has said.
sub begin
{
	my ($name, @command) = @_;
	my $output = "$folder/$name.output";
	my $process = fork // die "fork: $!";

	if ($process == 0)
	{
		setpgrp(0, 0);
		chdir $folder or die "$folder: $!";
		open(STDIN, '<', '/dev/null') && open(STDOUT, '>>', $output) && open(STDERR, '>&', \*STDOUT) or die "$output: $!";
		local $ENV{PGAPPNAME} = $name;
		exec { $command[0] } @command or die "$command[0]: $!";
	}
	setpgrp($process, $process);
	$groups{$process} = 1;
	return sub {
		my ($signal) = @_;

		kill "-$signal", $process;
		waitpid $process, 0;
		delete $groups{$process};
		return slurp_file($output);
	};
}

# Runs a program in the folder and returns what it prints, errors too.
sub output_of
{
	my (@command) = @_;
	my $output = '';

	IPC::Run::run(\@command, '<', '/dev/null', '>&', \$output, init => sub { chdir $folder or die "$folder: $!" });
	return $output;
}

# Appends births of some persons, in transactions of a few.
my $births = 0;
sub append
{
	my ($count) = @_;

	answer("select f6_append('Born', array[f6_object_id('person', 'p' || n)], jsonb_build_object('name', 'p' || n)) from generate_series($births + 1, $births + $count) as n");
	$births += $count;
	return;
}

# Breaks off the connections of a program.
sub break_connections
{
	my ($name) = @_;

	return answer("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like '$name%'");
}

# Checks that a program writes each letter once, while others append and its connections are broken off: it is started again when it ends.
sub check_letters
{
	my ($name, @command) = @_;
	my $said = '';
	my $broken = 0;
	my $end = begin($name, @command);

	foreach my $round (1 .. 6)
	{
		append(5) foreach 1 .. 3;
		sleep(0.2);
		next if $round == 1 || $round == 6;
		wait_until("select count(*) > 0 from pg_stat_activity where application_name like '$name%'");
		$broken += break_connections($name);
		if ($name eq 'letters.sh')
		{
			$end->('TERM');
			$end = begin($name, @command);
		}
	}
	wait_until(q{select count(*) = 0 from f6.event as e left join letter as l using ("position") where e.event_type = 'Born' and l is null});
	my $began = time;
	foreach (1 .. 4)
	{
		append(1);
		wait_until(q{select lag_events = 0 from f6.subscription});
	}
	cmp_ok(time - $began, '<', 8, "$name wakes up when there is something, and not only every five seconds");
	$end->('TERM');
	is(answer(q{select count(*) from letter as l join f6.event as e using ("position") where e.event_type = 'Born' and e.event_data ->> 'name' = l.to_whom}), $births, "$name writes all letters, once");
	cmp_ok($broken, '>', 1, 'although its connections were broken off');
	# One that was killed still has its lease.
	answer(q{select f6_seek('births', (select max("position")::text from f6.event))});
	return;
}

# Other tests run those that are not for these clients.
is_deeply([ sort keys %{ { recipes() } } ], [ sort qw(setup.sql letters.sql letters register bridge letters.mjs register.mjs letters.pl),
	qw(pgbouncer.ini graphql graphql.sql publisher.sql receiver.sql mark.sql follow.sql publisher_f6.sql receiver_f6.sql takeover.sql) ], 'the document has these files');
answer(recipe('setup.sql'));
answer('select f6_start_worker()');
write_recipe($folder, $_) foreach qw(letters.sql letters register bridge letters.mjs register.mjs letters.pl);

# psql and the shell.
rename("$folder/letters", "$folder/letters.sh") or die "$folder/letters: $!";
check_letters('letters.sh', "$folder/letters.sh");
is(output_of("$folder/register", 'key 1', q{O'Hara "x" \\ $1}), "accepted|\n", 'a command from the shell');
is(output_of("$folder/register", 'key 1', q{O'Hara "x" \\ $1}), "accepted|\n", 'repeated, it says the same');
is(output_of("$folder/register", 'key 2', q{O'Hara "x" \\ $1}), "rejected|born already\n", 'but it is done once');
$births++;
is(answer(q{select event_data ->> 'name' from f6.event order by "position" desc limit 1}), q{O'Hara "x" \\ $1}, 'the name is what it was');

# Perl.
check_letters_of_restarted('letters.pl');

# Node.
SKIP:
{
	skip 'F6_OFFLINE: the packages of npm are not there', 6 unless $packages;
	symlink($packages, "$folder/node_modules") or die "$folder/node_modules: $!";
	check_letters('letters.mjs', 'node', 'letters.mjs');
	is(output_of('node', 'register.mjs', 'key 3', 'Ada'), "accepted\n", 'a command from Node');
	is(output_of('node', 'register.mjs', 'key 3', 'Ada'), "accepted\n", 'repeated');
	is(output_of('node', 'register.mjs', 'key 4', 'Ada'), "rejected: born already\n", 'rejected');
}

# The letters of a program that ends when its connection is lost, and that is started again then.
sub check_letters_of_restarted
{
	my ($name) = @_;

	PostgreSQL::Test::Utils::append_to_file("$folder/again", "#!/bin/sh\nwhile true; do PGAPPNAME=$name ./$name; sleep 0.2; done\n");
	chmod 0755, "$folder/again" or die "$folder/again: $!";
	check_letters($name, "$folder/again");
	return;
}

# The bridge: a receiver refuses some events and breaks off the answers to others, and the bridge is killed again and again.
answer(q{select f6_subscribe('outbox', start => 'now', partitions => 2, attempts => 1000, backoff => '10 milliseconds')});
my $file = "$folder/sink";
my $end_sink = begin('sink', 'node', "$FindBin::RealBin/../clients/sink.mjs", $file);
my $patience = time + 20;
sleep(0.05) until -e "$file.port" || time > $patience;
my $url = 'http://127.0.0.1:' . slurp_file("$file.port") =~ s/\n//r . '/events';
$ENV{LEASE} = '0.5 seconds';
my ($count, $killed, @bridges) = (0, 0);
foreach my $round (1 .. 8)
{
	$count += answer(q{select count(f6_append(case when n % 3 = 0 then 'Moved' else 'Born' end, array[f6_object_id('person', 'p' || n % 7)],
		jsonb_build_object('name', e'\t\n"''é' || n))) from generate_series(1, 20) as n});
	push @bridges, begin("bridge$round", "$folder/bridge", 'outbox', $url) while @bridges < 2;
	sleep(0.5);
	next if $round % 2;
	(shift @bridges)->('KILL');
	$killed++;
}
push @bridges, begin("bridge$_", "$folder/bridge", 'outbox', $url) foreach 97 .. 99;
wait_until(q{select lag_events = 0 from f6.subscription where name = 'outbox'});
$_->('KILL') foreach @bridges;
$end_sink->('KILL');

my $begun = answer(q{select max("position") from f6.event}) - $count;
my %position = map { split /\|/ } split /\n/, answer(qq{select id, "position" from f6.event where "position" > $begun});
my @sent = map { decode_json($_) } split /\n/, slurp_file($file);
my %times;
my (%last, @overtaken);
foreach my $event (@sent)
{
	my $position = $position{ $event->{id} } // die "nobody has appended $event->{id}";
	next if $times{ $event->{id} }++;
	push @overtaken, $position if $position < ($last{ $event->{subject} } // 0);
	$last{ $event->{subject} } = $position;
}
is($killed, 4, 'bridges were killed');
is(scalar(keys %times), scalar(keys %position), 'every event has arrived');
cmp_ok(scalar(grep { $_ > 1 } values %times), '>', 0, 'some twice');
is_deeply(\@overtaken, [], 'none before an earlier one of its object');
is_deeply([ sort map { "$_->{specversion} $_->{type}" } values %{ { map { ($_->{type} => $_) } @sent } } ], [ '1.0 Born', '1.0 Moved' ], 'they are CloudEvents');
is_deeply($sent[-1], decode_json(answer("select f6_cloudevent(e) from f6.event as e where id = '$sent[-1]{id}'")), 'as f6_cloudevent writes them');
is(answer('select count(*) from f6.parked'), 0, 'nothing was given up');

$node->stop;
done_testing();
