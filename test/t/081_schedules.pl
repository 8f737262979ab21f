# Schedules: the times that cron expressions say are those that somebody finds who looks at the clock each minute; the worker appends an event for
# each that is due, exactly once, whoever else runs schedules, whatever ends the server and whatever one of them fails at; and a dump takes them along.
# F6_EXPRESSIONS (4) is how many random expressions each time zone has, F6_SEED chooses them, F6_ROUNDS (4) is how often the server is killed.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate literal);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $expressions = $ENV{F6_EXPRESSIONS} || 4;
my $rounds = $ENV{F6_ROUNDS} || 4;
my $seed = $ENV{F6_SEED} || 20240101;
srand($seed);
my $node = new_server('schedules', "shared_preload_libraries = 'f6'", 'max_connections = 30', 'restart_after_crash = on', 'f6.worker_interval = 20ms');

# Returns the answer to a query.
sub answer
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

# Waits until a query returns true.
sub becomes
{
	my ($query, $name) = @_;

	ok($node->poll_query_until('postgres', $query), $name);
	return;
}

# Kills the server with all its processes, and starts it again.
sub crash
{
	my @processes = split /\n/, answer('select pid from pg_stat_activity');

	$node->kill9;
	kill 'KILL', @processes;
	foreach (1 .. 300)
	{
		sleep 0.1;
		return if $node->start(fail_ok => 1);
		$node->kill9;
	}
	die 'the server does not start after the crash';
}

#
# The times of expressions
#

# Returns a whole number, from one to another.
sub between
{
	my ($low, $high) = @_;

	return $low + int rand($high - $low + 1);
}

# Returns a random field of an expression, and the SQL that says which numbers it stands for.
sub field
{
	my ($column, $low, $high, $names) = @_;
	my (@texts, @conditions);
	my $name = sub { my ($n) = @_; return $names && rand() < 0.5 && defined $names->[$n] ? $names->[$n] : $n };

	return ('*', 'true') if rand() < 0.3;
	foreach (1 .. (rand() < 0.3 ? between(2, 4) : 1))
	{
		my $first = between($low, $high);
		my $last = between($first, $high);
		my $step = between(1, rand() < 0.5 ? 3 : $high - $low + 1);
		my $kind = rand();

		if ($kind < 0.2)
		{
			push @texts, "*/$step";
			push @conditions, "($column - $low) % $step = 0";
		}
		elsif ($kind < 0.6)
		{
			push @texts, $name->($first);
			push @conditions, "$column = $first";
		}
		elsif ($kind < 0.8)
		{
			push @texts, $name->($first) . '-' . $name->($last);
			push @conditions, "$column between $first and $last";
		}
		else
		{
			push @texts, "$first-$last/$step";
			push @conditions, "$column between $first and $last and ($column - $first) % $step = 0";
		}
	}
	return (join(',', @texts), join(' or ', map { "($_)" } @conditions));
}

# Returns a random expression, and the SQL that says which times it stands for.
sub expression
{
	my @months = (undef, qw(jan Feb MAR apr may jun jul aug sep oct nov dec));
	my ($minute, $at_minute) = field('minute', 0, 59);
	my ($hour, $at_hour) = rand() < 0.5 ? field('hour', 0, 3) : field('hour', 0, 23);
	my ($day, $on_day) = field('day', 1, 31);
	my ($month, $in_month) = rand() < 0.5 ? ('*', 'true') : field('month', 1, 12, \@months);
	my ($weekday, $on_weekday) = field('w', 0, 7, [qw(sun mon TUE wed thu fri Sat)]);
	my $days = $day !~ /^\*/ && $weekday !~ /^\*/ ? 'or' : 'and';

	$on_weekday = 'exists (select from (values (weekday), (weekday + 7)) as v (w) where w <= 7 and (' . $on_weekday . '))';
	return ("$minute $hour $day $month $weekday", "($at_minute) and ($at_hour) and ($in_month) and (($on_day) $days $on_weekday)");
}

# The minutes of some years as clocks show them: when they show each for the first time, or are put forward past it.
answer(<<'SQL');
create unlogged table clock (t timestamptz, minute smallint, hour smallint, day smallint, month smallint, weekday smallint);
create procedure watch(zone text) language plpgsql as $$
declare
    t timestamptz := '2022-12-31 00:00+00';
    ends timestamptz := '2025-01-02 00:00+00';
    shown timestamp;
    latest timestamp;
begin
    truncate clock;
    perform set_config('timezone', zone, true);
    latest := t::timestamp - interval '1 minute';
    -- Days on which clocks do not change are taken as a whole.
    while t < ends loop
        shown := t::timestamp;
        if shown = latest + interval '1 minute' and (t + interval '1439 minutes')::timestamp = shown + interval '1439 minutes'
           and not exists (select from generate_series(1, 1439, 10) as n where (t + n * interval '1 minute')::timestamp <> shown + n * interval '1 minute') then
            insert into clock select t + n * interval '1 minute', extract(minute from s), extract(hour from s), extract(day from s), extract(month from s), extract(dow from s)
                from generate_series(0, 1439) as n, lateral (select shown + n * interval '1 minute') as x (s);
            latest := shown + interval '1439 minutes';
            t := t + interval '1440 minutes';
        else
            while latest < shown loop
                latest := latest + interval '1 minute';
                insert into clock values (t, extract(minute from latest), extract(hour from latest), extract(day from latest), extract(month from latest), extract(dow from latest));
            end loop;
            t := t + interval '1 minute';
        end if;
    end loop;
end $$;
-- Moments to ask at: random ones, and those around which clocks change.
create function moments(zone text) returns setof timestamptz language plpgsql as $$
declare
    changes timestamptz[];
begin
    perform set_config('timezone', zone, true);
    select array_agg(h) into changes from generate_series('2023-01-01 00:00+00'::timestamptz, '2024-12-31 00:00+00', interval '30 minutes') as h
        where (h + interval '30 minutes')::timestamp <> h::timestamp + interval '30 minutes';
    return query select '2023-01-01 00:00+00'::timestamptz + random() * 700 * interval '1 day' from generate_series(1, 20);
    return query select h + n * interval '10 minutes' from unnest(changes) as h, generate_series(-12, 18) as n;
    return query select h + random() * interval '5 hours' - interval '2 hours' from unnest(changes) as h, generate_series(1, 10) as n;
end $$;
-- The moments after which the next time of an expression is another than those that the clock has shown.
create function differences(cron text, zone text, times timestamptz[], moments timestamptz[]) returns setof text language sql as $$
    select format('after %s: %s, not %s', m, found, expected)
        from unnest(moments) as m, f6.cron_next(cron, m, zone) as found, lateral (select times[width_bucket(m, times) + 1]) as e (expected)
        where case when expected is null then found <= '2025-01-01 00:00+00' else found is distinct from expected end
        limit 3
$$;
SQL
foreach my $zone ('Europe/Amsterdam', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC')
{
	my $script = "call watch('$zone');\nselect setseed(0.5);\ncreate temp table asked as select moments('$zone') as m;\n";

	foreach (1 .. $expressions)
	{
		my ($cron, $condition) = expression();

		$script .= "select " . literal($cron) . " || ' ' || d from (select coalesce(array_agg(distinct t order by t), '{}') as times from clock where $condition) as c,
		    differences(" . literal($cron) . ", '$zone', times, (select array_agg(m) from asked)) as d;\n";
	}
	is($node->safe_psql('postgres', $script) =~ s/\A\s+//r, '', "random expressions in $zone say what its clocks show");
}
answer('drop table clock');

#
# The worker
#

answer(<<'SQL');
select f6_register_event_type('Ended', '1', 'true');
-- The times that were set, which no expression would say within a year.
create table wanted (name text, at timestamptz);
create function due(schedule text, at timestamptz default clock_timestamp()) returns void language sql as $$
    with s as (update f6.schedule_definition set next_at = at, retry_at = null where name = schedule and next_at > clock_timestamp() + interval '1 day' returning name, next_at)
        insert into wanted select name, next_at from s;
$$;
create procedure work(seconds float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
begin
    while clock_timestamp() < ends loop
        perform due('s' || (1 + random() * 19)::integer, clock_timestamp() + (random() - 0.3) * interval '50 milliseconds');
        commit;
        perform pg_sleep(0.002);
    end loop;
end $$;
create procedure help(seconds float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
begin
    while clock_timestamp() < ends loop
        perform f6_run_schedules();
        perform pg_sleep(random() * 0.02);
        if random() < 0.3 then
            rollback;
        else
            commit;
        end if;
    end loop;
end $$;
create view flaws as
    select 'not once' as flaw, name, at, count(e.position) from wanted as w left join f6.event as e on e.metadata ->> 'schedule' = w.name and e.occurred_at = w.at
        group by name, at having count(e.position) <> 1
    union all
    select 'not wanted', e.metadata ->> 'schedule', e.occurred_at, 1 from f6.event as e
        where not exists (select from wanted as w where w.name = e.metadata ->> 'schedule' and w.at = e.occurred_at)
    union all
    select 'too early', e.metadata ->> 'schedule', e.occurred_at, 1 from f6.event as e where created_at < occurred_at;
-- New Year of next year may be near: its day is half a year away.
select f6_create_schedule('s' || n, format('0 0 1 %s *', 1 + (extract(month from now())::integer + 5) % 12), 'Ended') from generate_series(1, 20) as n;
SQL
is(answer("select due('s1'); select f6_run_schedules()"), "\n1", 'without a worker a function runs what is due');
$node->append_conf('postgresql.conf', "f6.databases = 'postgres'");
$node->restart;
answer("select due('s1'), due('s2', clock_timestamp() + interval '1 second'), due('s3', clock_timestamp() - interval '1 hour')");
becomes("select count(*) = 4 from f6.event", 'the worker appends what is due, when it is');
is(answer('select * from flaws'), '', 'and that only');

# Between its looks it wakes for what is due: one is recorded before the next one's time, not when it would look anyway.
$node->append_conf('postgresql.conf', 'f6.worker_interval = 60s');
answer("select due('s' || n, clock_timestamp() + n * interval '2 seconds') from unnest('{2, 4, 8}'::integer[]) as n");
$node->restart;
becomes("select count(*) = 7 from f6.event", 'the worker wakes when something is due');
is(answer("select a.created_at < b.occurred_at from f6.event as a, f6.event as b where a.metadata = '{\"schedule\": \"s4\"}' and b.metadata = '{\"schedule\": \"s8\"}'"), 't', 'not just each f6.worker_interval');
is(answer('select * from flaws'), '', 'and not before that');
$node->append_conf('postgresql.conf', 'f6.worker_interval = 20ms');
$node->reload;

# What fails
answer(q{select f6_create_schedule('bad', '@daily', 'Ended'); update f6.schedule_definition set event_type = 'Nothing', next_at = now() - interval '1 day' where name = 'bad'});
becomes(q{select failures > 0 from f6.schedule where name = 'bad'}, 'the worker notes what fails');
answer("select due('s' || n) from generate_series(1, 20) as n");
becomes('select count(*) = 27 from f6.event', 'and goes on with the others');
becomes(q{select failures > 1 from f6.schedule where name = 'bad'}, 'it tries again');
is(answer(q{select error from f6.schedule where name = 'bad'}), '42704: event type "Nothing" is not registered', 'and says why it fails');
like(slurp_file($node->logfile), qr/LOG:  schedule "bad" could not append its event\n.*DETAIL:  42704: event type "Nothing" is not registered/, 'so does the log');

# Killed
my $killed = 0;
foreach my $round (1 .. $rounds)
{
	my @sessions = map { start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $_ ], '>', \my $out, '2>', \my $err) } 'call work(20)', 'call work(20)', 'call help(20)', 'call help(20)';

	sleep 0.5 + rand 1.5;
	if ($round % 2)
	{
		my @processes = split /\n/, answer(q{select pid from pg_stat_activity where backend_type = 'f6 worker' or query ~ '^call'});

		$killed += kill 'KILL', $processes[ rand @processes ];
	}
	else
	{
		crash();
		$killed++;
	}
	$_->finish foreach @sessions;
	$node->poll_query_until('postgres', undef, '');
	becomes(q{select count(*) = 0 from f6.schedule where name <> 'bad' and next_at < now() + interval '1 day'}, "round $round: what was due when the server was killed is done after that");
	is(answer('select * from flaws limit 5'), '', "round $round: each is appended once");
}
is($killed, $rounds, 'the server was killed each time');
cmp_ok(answer('select count(*) from wanted'), '>', 100, 'many were due');
answer('call help(1)');
is(answer(q{select count(*) from f6.schedule where failures > 0 and name <> 'bad'}), '0', 'none has failed for that');

#
# Dump and restore
#

my $dump = $node->basedir . '/schedules.sql';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres' ], 'a dump');
answer('create database copy template template0');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'copy', '-f', $dump ], 'is restored');
my $all = q{select s from f6.schedule_definition as s where name <> 'bad' order by name};
is($node->safe_psql('copy', $all), answer($all), 'with the schedules, and when they are due next');
is($node->safe_psql('copy', q{select due('s1'); select f6_run_schedules()}), "\n1", 'which go on there');
$node->stop;
done_testing();
