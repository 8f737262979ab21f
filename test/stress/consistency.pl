# What conditions and the horizon promise, under load, in each isolation level, with a process killed in the midst: racing for
# seats, courses with a capacity, unique names, transfers between accounts.  When all is done the log itself tells whether a
# rule was broken: replayed in the order of positions it must obey every one.  A reader that follows the horizon meanwhile
# must have seen each event once.
#
# F6_SECONDS (60) is how long each isolation level is under load.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server broken_links);
use IPC::Run qw(start);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $seconds = $ENV{F6_SECONDS} || 60;
my @levels = ('read committed', 'repeatable read', 'serializable');

# What writers do, by weight.  Each returns what became of it; 40001 and 40P01 are tried again by pgbench.
my $functions = <<'SQL';
select f6_register_event_type(name, '1', 'true')
    from unnest('{SeatTaken, CourseDefined, Subscribed, NameClaimed, NameReleased, Opened, Transferred, Noise}'::text[]) as name;
create table seen (position bigint);
create table checkpoint (position bigint);
insert into checkpoint values (0);

create function item(type text, objects uuid[]) returns jsonb language sql immutable as
    $$ select jsonb_build_object('types', array[type], 'objects', objects) $$;

-- All race for the same seat, a new one every tenth of a second.
create function take() returns void language plpgsql as $$
begin
    perform f6_append('SeatTaken', array[f6_object_id('seat', (extract(epoch from clock_timestamp()) * 10)::bigint::text)],
                      to_jsonb(pg_backend_pid()), after => 0);
exception when serialization_failure then
    null;
end $$;

-- A student subscribes to a course with room, at most to three courses.
create function subscribe(student int, course int) returns void language plpgsql as $$
declare
    s constant uuid := f6_object_id('student', student::text);
    c constant uuid := f6_object_id('course', course::text);
    query constant jsonb := jsonb_build_array(item('CourseDefined', array[c]), item('Subscribed', array[c]), item('Subscribed', array[s]));
    context constant f6.context := f6_read_context(query);
begin
    if (select count(*) from unnest(context.events) as e where c = any (e.object_ids) and e.event_type = 'Subscribed') <
           (select (event_data ->> 'capacity')::int from unnest(context.events) as e where e.event_type = 'CourseDefined')
       and (select count(*) from unnest(context.events) as e where s = any (e.object_ids)) < 3 then
        perform f6_append('Subscribed', array[s, c], '{}', after => context.position, unless => query);
    end if;
end $$;

-- A name is claimed while it is free, and released while it is not.
create function toggle(name int) returns void language plpgsql as $$
declare
    n constant uuid := f6_object_id('name', name::text);
    query constant jsonb := jsonb_build_object('types', '["NameClaimed", "NameReleased"]'::jsonb, 'objects', array[n]);
    context constant f6.context := f6_read_context(query);
    last constant text := (context.events[cardinality(context.events)]).event_type;
begin
    perform f6_append(case last when 'NameClaimed' then 'NameReleased' else 'NameClaimed' end, array[n], '{}',
                      after => context.position, unless => query);
end $$;

-- Money goes from one account to another, if it is there.
create function transfer(giver int, taker int, amount int) returns void language plpgsql as $$
declare
    g constant uuid := f6_object_id('account', giver::text);
    t constant uuid := f6_object_id('account', taker::text);
    query constant jsonb := jsonb_build_object('types', '["Opened", "Transferred"]'::jsonb, 'objects', array[g]);
    context constant f6.context := f6_read_context(query);
    balance constant bigint := sum(case when e.event_data ->> 'from' = giver::text then -1 else 1 end * (e.event_data ->> 'amount')::int)
        from unnest(context.events) as e;
begin
    if balance >= amount and giver <> taker then
        perform f6_append('Transferred', array[g, t], jsonb_build_object('from', giver, 'to', taker, 'amount', amount),
                          after => context.position, unless => query);
    end if;
end $$;

-- Follows the horizon.
create procedure follow() language plpgsql as $$
declare
    known bigint := (select position from checkpoint);
    last bigint;
begin
    loop
        insert into seen select position from f6_read(after => known);
        select max(position) into last from seen;
        update checkpoint set position = coalesce(last, 0);
        known := coalesce(last, 0);
        commit;
        perform pg_sleep(0.005);
    end loop;
end $$;
select count(f6_append('CourseDefined', array[f6_object_id('course', n::text)], '{"capacity": 10}', after => 0)) from generate_series(1, 200) as n;
select count(f6_append('Opened', array[f6_object_id('account', n::text)], jsonb_build_object('to', n, 'amount', 100), after => 0)) from generate_series(1, 20) as n;
SQL

# Rules that the log must obey, each a query that finds where one is broken.
my %rules = (
	'a seat is taken once' => "select object_ids, count(*) from f6.event where event_type = 'SeatTaken' group by 1 having count(*) > 1",
	'no course has more students than it holds' =>
	  "select o.object_id, count(*) from f6.event_object as o join f6.event as e using (position)
	       where e.event_type = 'Subscribed' and o.object_id = e.object_ids[2] group by 1 having count(*) > 10",
	'no student is subscribed to more than three courses' =>
	  "select object_ids[1], count(*) from f6.event where event_type = 'Subscribed' group by 1 having count(*) > 3",
	'a name is claimed and released by turns' =>
	  "select * from (select object_ids, event_type, lag(event_type, 1, 'NameReleased') over (partition by object_ids order by position) as before
	       from f6.event where event_type like 'Name%') as n where event_type = before",
	'no balance was ever negative' =>
	  "select * from (select account, position, sum(amount) over (partition by account order by position) as balance
	       from (select event_data ->> 'to' as account, position, (event_data ->> 'amount')::int as amount from f6.event where event_type in ('Opened', 'Transferred')
	             union all
	             select event_data ->> 'from', position, -(event_data ->> 'amount')::int from f6.event where event_type = 'Transferred') as a) as b where balance < 0",
	'the reader saw each event once' =>
	  'select position, count(s.position) from f6.event as e full join seen as s using (position)
	       group by position having count(s.position) <> 1 or count(e.position) <> 1');

# Kills a process that appends, as an administrator might with kill -9: the server starts anew.  Tells whether there was one.
sub kill_appender
{
	my ($node) = @_;

	foreach (1 .. 500)
	{
		my $pid = $node->safe_psql('postgres', 'select pid from f6.in_flight where pid is not null limit 1');

		return 1 if $pid && kill 'KILL', $pid;
		sleep 0.002;
	}
	return 0;
}

# Puts a node under load in an isolation level, kills one of its processes on the way, and checks every rule.
sub stress
{
	my ($node, $level) = @_;
	my %scripts = (
		'seat@4' => 'select take();',
		'course@4' => "\\set s random(1, 2000)\n\\set c random(1, 200)\nselect subscribe(:s, :c);",
		'name@4' => "\\set n random(1, 8)\nselect toggle(:n);",
		'transfer@4' => "\\set g random(1, 20)\n\\set t random(1, 20)\n\\set a random(1, 60)\nselect transfer(:g, :t, :a);",
		'both@2' => "\\set g random(1, 20)\n\\set t random(1, 20)\n\\set n random(1, 8)\nbegin;\nselect transfer(:g, :t, 1);\nselect toggle(:n);\ncommit;",
		'slow@1' => "begin;\nselect position from f6_append('Noise', array[gen_random_uuid()], '1');\n\\sleep 20 ms\ncommit;",
		'rollback@1' => "begin;\nselect toggle(1);\n\\sleep 2 ms\nrollback;",
		'bulk@1' => "set f6.bulk_threshold = 5;\nselect count(*) from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Noise', 'object_ids', array[gen_random_uuid()], 'event_data', n)) from generate_series(1, 20) as n));\nreset f6.bulk_threshold;",
		'insert@1' => "insert into f6.event (event_type, object_ids, event_data) values ('Noise', array[f6_object_id('account', '1')], '1');");
	my @files;

	foreach my $script (sort keys %scripts)
	{
		my ($name, $weight) = split /@/, $script;
		my $file = $node->basedir . "/$name.sql";

		append_to_file($file, "$scripts{$script}\n") if !-e $file;
		push @files, '-f', "$file\@$weight";
	}
	$node->safe_psql('postgres', "alter database postgres set default_transaction_isolation = '$level'");
	foreach my $half (1, 2)
	{
		local $ENV{PGOPTIONS} = '-c default_transaction_isolation=read\\ committed';
		my $follower = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'call follow()' ],
			'>', \my $ignored, '2>', \my $complaint);
		delete $ENV{PGOPTIONS};
		my $writers = start([ 'pgbench', '-n', '-c', 50, '-j', 2, '-T', $seconds / 2, '--max-tries', 100, @files, $node->connstr('postgres') ],
			'>', \my $output, '2>', \my $errors);

		if ($half == 1)
		{
			sleep $seconds / 2 - 1;
			ok(kill_appender($node), "$level: a process that appends is killed");
			$writers->finish;
			$follower->kill_kill;
			$node->poll_query_until('postgres', undef, '') or die 'the server does not come back';
			next;
		}
		$writers->finish;
		unlike($errors, qr/aborted|ERROR/, "$level: no error but those that are tried again") or diag(substr $errors, 0, 2000);
		diag("$level: " . join ' ', grep { /processed:|serialization|deadlock|retried:|tps/ } split /\n/, $output);
		$node->safe_psql('postgres', "select position from f6_append('Noise', array[gen_random_uuid()], '1')");
		$node->poll_query_until('postgres', 'select max(position) = (select position from checkpoint) from f6.event') or die 'the reader stands still';
		$follower->kill_kill;
	}
	foreach my $rule (sort keys %rules)
	{
		is($node->safe_psql('postgres', "$rules{$rule} limit 5"), '', "$level: $rule");
	}
	is(broken_links($node), '', "$level: the links agree with the log");
	cmp_ok($node->safe_psql('postgres', "select count(*) from (select event_type from f6.event group by 1) as t"), '==', 8, "$level: events of every type were appended");
	return;
}

foreach my $level (@levels)
{
	my $node = new_server($level =~ s/ /_/gr, 'max_connections = 120', 'restart_after_crash = on');

	$node->safe_psql('postgres', $functions);
	stress($node, $level);
	$node->stop;
}

done_testing();
