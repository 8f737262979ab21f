# Locks are few: what loads millions of rows, or batches from everywhere, works with the lock table that a server has by default,
# while others append on conditions.  And repeated appends at the same moment are one event.
# F6_ROWS (200000) is how many rows are loaded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server broken_links sqlstate);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $ENV{F6_ROWS} || 200000;
my $node = new_server('locks', 'max_connections = 100', 'synchronous_commit = off', 'max_prepared_transactions = 1125');

$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Note', '1', 'true');
create function o(n bigint) returns uuid language sql immutable as $$ select f6_object_id('o', n::text) $$;
create function batch(first bigint, size int) returns jsonb language sql as
    $$ select jsonb_agg(jsonb_build_object('event_type', 'Note', 'object_ids', array[o(first + n)], 'event_data', n)) from generate_series(1, size) as n $$;
create view f6_locks as
    select pid, mode, granted, case locktype when 'advisory' then objsubid - 17920 else 0 end as kind, fastpath from pg_locks
        where locktype = 'advisory' and objsubid >= 17920 or relation = 'f6.append_lock'::regclass;
SQL

# Returns how a script ends that is run in a session of its own at once with others.
sub run_all
{
	my @runs = map {
		my ($output, $errors) = ('', '');
		{ handle => start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $_ ], '>', \$output, '2>', \$errors),
			output => \$output, errors => \$errors }
	} @_;

	$_->{handle}->finish foreach @runs;
	return map { ${ $_->{output} } . ${ $_->{errors} } } @runs;
}

# One event takes a lock for the log, its type, each of its objects, and its id where that is given.
is($node->safe_psql('postgres', <<'SQL'), "0|RowShareLock|1\n1|ShareLock|1\n2|ShareLock|2\n3|ExclusiveLock|1", 'the locks of an append');
begin;
select from f6_append('Note', array[o(-1), o(-2)], '1', id => o(-3));
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|RowExclusiveLock|1\n1|ShareLock|1\n2|ExclusiveLock|1", 'the locks of an append on a condition, each in its strongest mode');
begin;
select from f6_append('Note', array[o(-4)], '1', after => 0);
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
SQL
# What is rolled back has no locks, and counts for nothing.
$node->safe_psql('postgres', <<'SQL');
create function tell(state jsonb, payload jsonb) returns jsonb language sql immutable as
    $$ select jsonb_build_object('event_type', 'Note', 'event_data', 1, 'object_ids', jsonb_build_array(public.f6_object_id('o', payload ->> 'n'))) $$;
select f6_create_command('tell', 'tell(jsonb, jsonb)', context => '{"objects": [{"kind": "o", "key": "$.n"}]}');
create procedure undone(times int) language plpgsql as $$
begin
    for n in 1..times loop
        begin
            perform f6_append('Note', array[o(-5000 - n)], '1', after => 0);
            raise exception 'undone';
        exception when raise_exception then null;
        end;
    end loop;
end $$;
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|RowExclusiveLock|1\n1|ShareLock|1\n2|ExclusiveLock|1", 'dry runs count for nothing');
begin;
select count(f6_execute('tell', jsonb_build_object('n', (6000 + n)::text), dry_run => true)) from generate_series(1, 200) as n having count(*) < 200;
select from f6_execute('tell', '{"n": "7000"}');
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
rollback;
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|RowShareLock|1\n1|ShareLock|1\n2|ShareLock|1", 'nor do blocks that are rolled back');
begin;
call undone(200);
select from f6_append('Note', array[o(-7001)], '1');
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
rollback;
SQL
is($node->safe_psql('postgres', <<'SQL'), "61|f\n62|f\n62|f\n66|t\n42|f\n66|t\n2|f", 'what is released counts for what is around it, until that is rolled back');
set f6.bulk_threshold = 64;
create procedure notes(first int, last int) language plpgsql as
    $$ begin perform f6_append('Note', array[o(-8000 - n)], '1') from generate_series(first, last) as n; end $$;
create view held as select count(*) as count, bool_or(kind = 0 and mode = 'ShareLock') as in_bulk from f6_locks where pid = pg_backend_pid();
begin;
call notes(1, 19);
savepoint a;
call notes(20, 39);
savepoint b;
savepoint c;
call notes(40, 59);
select * from held;
release c;
call notes(60, 60);
select * from held;
rollback to b;
call notes(40, 59);
savepoint d;
call notes(60, 60);
release d;
select * from held;
call notes(61, 80);
select * from held;
rollback to b;
release b;
call notes(40, 40);
select * from held;
call notes(41, 100);
select * from held;
rollback to a;
release a;
rollback;
begin;
savepoint a;
call notes(1, 100);
rollback to a;
select count(*) + 2, coalesce(bool_or(in_bulk), false) from held where count > 0;
rollback;
SQL
# Nor do runs under keys fill the lock table.
$node->safe_psql('postgres', <<'SQL');
create function nothing(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select null::jsonb $$;
select f6_create_command('nothing', 'nothing(jsonb, jsonb)');
create view run_locks as select count(*) filter (where kind = 8) as single, (select string_agg(mode, ', ' order by mode) from pg_locks
    where relation = 'f6.command_run'::regclass and pid = pg_backend_pid() and mode like '%Row%') as of_all from f6_locks where pid = pg_backend_pid();
SQL
is($node->safe_psql('postgres', <<'SQL'), "1024|1024|RowExclusiveLock\n1|1024|RowExclusiveLock, ShareRowExclusiveLock\n1024|RowExclusiveLock\n19000|1024|RowExclusiveLock, ShareRowExclusiveLock", 'past 16 times the threshold they take one lock');
begin;
select count(f6_execute('nothing', idempotency_key => n::text)), (select single from run_locks), (select of_all from run_locks) from generate_series(1, 1024) as n;
savepoint a;
select count(f6_execute('nothing', idempotency_key => 'x')), (select single from run_locks), (select of_all from run_locks);
rollback to a;
select * from run_locks;
select count(f6_execute('nothing', idempotency_key => n::text)), (select single from run_locks), (select of_all from run_locks) from generate_series(1, 19000) as n;
rollback;
SQL
{
	my ($many, $one) = map { $node->background_psql('postgres') } 1 .. 2;

	$many->query_safe(q{set f6.bulk_threshold = 0; begin; select f6_execute('nothing', idempotency_key => 'many')});
	$one->query_until(qr/began/, "\\echo began\nselect 'attempts ' || attempts from f6_execute('nothing', idempotency_key => 'many');\n");
	ok($node->poll_query_until('postgres', q{select count(*) > 0 from pg_locks where relation = 'f6.command_run'::regclass and not granted}), 'others wait for its end');
	$many->query_safe('commit');
	like($one->query_safe("select 'done'"), qr/attempts 0\ndone/, 'and find what it has done');
	$_->quit foreach $many, $one;
}
is($node->safe_psql('postgres', <<'SQL'), '66|t', 'a transaction takes no more than max_locks_per_transaction of them one by one');
begin;
insert into f6.event (event_type, object_ids, event_data) select 'Note', array[o(-1000 - n)], '1' from generate_series(1, 500) as n;
select count(*), bool_or(kind = 0 and mode = 'ShareLock') from f6_locks where pid = pg_backend_pid();
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|ShareLock|1", 'a batch that is known to be large takes one for all');
begin;
select count(*) from f6_append(batch(-100000, 100)) having count(*) < 100;
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|ExclusiveLock|1", 'a condition about every event needs no lock beside the log');
begin;
select from f6_append('Note', array[o(-5)], '1', unless => '[{}]', after => f6_horizon(), id => o(-6));
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
SQL
is($node->safe_psql('postgres', <<'SQL'), "0|ExclusiveLock|1\n0|ShareRowExclusiveLock|1\n2|ExclusiveLock|1", 'also after a batch on a condition, whose lock excludes less');
set f6.bulk_threshold = 2;
begin;
select count(*) from f6_append(batch(-200000, 3), unless => jsonb_build_array(jsonb_build_object('objects', array[o(-8)]))) having count(*) < 3;
select from f6_append('Note', array[o(-9)], '1', unless => '[{}]', after => 9223372036854775807);
select kind, mode, count(*) from f6_locks where pid = pg_backend_pid() group by 1, 2 order by 1, 2;
SQL
is($node->safe_psql('postgres', <<'SQL'), 't', 'the lock that everybody takes costs nobody a place in the lock table');
begin;
select from f6_append('Note', array[o(-7)], '1', after => 0);
select fastpath from f6_locks where pid = pg_backend_pid() and kind = 0;
SQL
is($node->safe_psql('postgres', 'select count(*) from f6_locks'), 0, 'none stays');

# COPY
my $file = $node->basedir . '/rows';
open my $out, '>', $file or die "$file: $!";
printf {$out} "Note\t{%08x-0000-4000-8000-000000000000}\t%d\n", $_, $_ foreach 1 .. $rows;
close $out or die "$file: $!";
my $before = $node->safe_psql('postgres', 'select count(*) from f6.event');
my $script = $node->basedir . '/script';
open my $lines, '>', $script or die "$script: $!";
print {$lines} "select from f6_append('Note', array[gen_random_uuid()], '1', after => 0);\n";
close $lines or die "$script: $!";
my $writers = start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-T', 600, '--max-tries', 10, '-f', $script, $node->connstr('postgres') ],
	'>', \my $ignored, '2>', \my $complaint);
is($node->psql('postgres', "copy f6.event (event_type, object_ids, event_data) from '$file'"), 0, "COPY of $rows rows with as many objects");
$writers->kill_kill;
cmp_ok($node->safe_psql('postgres', 'select count(*) from f6.event'), '>', $before + $rows, 'while others append on conditions');
is($node->safe_psql('postgres', "select count(*) from f6.event where object_ids[1]::text like '%-0000-4000-8000-000000000000'"), $rows, 'all are there');
is(broken_links($node), '', 'and linked');

# batches at a time
my @ends = run_all(map { my $n = $_; "select count(*) from f6_append(batch($n * 10000, 1000))" } 1 .. 64);
is(join(' ', grep { $_ ne "1000\n" } @ends), '', '64 batches of 1,000 at a time');

# the same at a time
foreach my $round (1 .. 5)
{
	my @answers = run_all(("select * from f6_append('Note', array[o($round)], '1', id => o(-$round - 100))") x 16);
	is(scalar(@answers), 16, 'sixteen answers');
	is(join('', grep { $_ ne $answers[0] } @answers), '', "round $round: all equal");
	is($node->safe_psql('postgres', "select count(*) from f6.event where id = o(-$round - 100)"), 1, 'one event');
}
my @refusals = grep { /an event with this id exists, with other content/ }
  run_all(map { "select * from f6_append('Note', array[o(1)], '$_', id => o(-200))" } 1 .. 16);
is(scalar(@refusals), 15, 'of different contents for one id one is taken');

# In bulk no lock is taken for an id: the second has to try again, and is told so.
my $bulk = q{set f6.bulk_threshold = 0; select count(*) from f6_append('Note', array[o(1)], '1', id => o(-300))};
$node->safe_psql('postgres', "begin; $bulk; prepare transaction 'first'");
my ($answer, $refusal) = ('', '');
my $second = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $bulk ], '>', \$answer, '2>', \$refusal);
$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where wait_event_type = 'Lock')}) or die 'the second does not wait';
$node->safe_psql('postgres', "commit prepared 'first'");
$second->finish;
like($refusal, qr/ERROR:  duplicate key.*HINT:  If the event was appended at the same time, append it again/s, 'an id that another batch has just brought');
is($node->safe_psql('postgres', $bulk), 1, 'appended again, it is the same event');

# As many transactions may append at a time as f6.marker has rows.
my $markers = $node->safe_psql('postgres', 'select count(*) from f6.marker');
$node->safe_psql('postgres', join ' ', map { "begin; select from f6_append('Note', array[o(7)], '1'); prepare transaction 't$_';" } 1 .. $markers);
is(sqlstate($node, q{select f6_append('Note', array[o(7)], '1')}), '53000', "one more than $markers appending transactions is refused");
is($node->safe_psql('postgres', 'select count(*) from f6.in_flight where prepared is not null'), $markers, 'all of them are in flight');
$node->safe_psql('postgres', "commit prepared 't1'");
is(sqlstate($node, q{select f6_append('Note', array[o(7)], '1')}), '', 'until one ends');
$node->safe_psql('postgres', "rollback prepared 't2'");
$node->safe_psql('postgres', join ' ', map { "commit prepared 't$_';" } 3 .. $markers);
is($node->safe_psql('postgres', 'select f6_horizon() = last_value from f6.event_position_seq'), 't', 'and nothing is held back in the end');

done_testing();
