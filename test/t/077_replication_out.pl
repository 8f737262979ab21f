# Logical replication of the log to another server, as docs/clients.md has it: to a table of the same columns, and to f6 there.
#
# F6_SECONDS (4) is how long others append.
use strict;
use warnings;

use FindBin;
use F6::Recipe qw(recipe);
use F6::Server qw(add_history answers new_server rows_of sqlstate);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{F6_SECONDS} || 4;
my $publisher = new_server('publisher', 'wal_level = logical', 'max_wal_senders = 10', 'max_replication_slots = 10');
my $receiver = new_server('receiver', 'wal_retrieve_retry_interval = 100ms');

# Returns the answer to a query at a server.
sub answer
{
	my ($node, $query, $database) = @_;

	return $node->safe_psql($database || 'postgres', $query);
}

# Runs a file of the document at a server, with the publisher's address as a variable of psql.
sub run_recipe
{
	my ($node, $name, $database, @variables) = @_;

	return $node->safe_psql($database || 'postgres', recipe($name),
		extra_params => [ '-v', 'publisher=' . $publisher->connstr('postgres'), map { ('-v', $_) } @variables ]);
}

# Waits until a query at a server returns true.
sub wait_until
{
	my ($node, $database, $query) = @_;

	$node->poll_query_until($database, $query) or die "in vain: $query";
	return;
}

add_history($publisher, 'postgres');
run_recipe($publisher, 'publisher.sql');
run_recipe($publisher, 'publisher_f6.sql');
answer($receiver, 'create database plain');
answer($receiver, 'create database log');
run_recipe($receiver, 'receiver.sql', 'plain');
run_recipe($receiver, 'receiver_f6.sql', 'log');

# What the receiver sees below the mark, at each look; and in which order rows arrive.
answer($receiver, <<'SQL', 'plain');
alter table f6.event add arrived bigserial;
create table look (mark bigint, below bigint, digest text);
SQL

# Writers whose transactions overlap, so that they commit in another order than that of their positions.
answer($publisher, <<'SQL');
select f6_register_event_type('Counted', '1', 'true');
create procedure work(seconds numeric, seed float8) language plpgsql as $$
declare
    ends timestamptz := clock_timestamp() + seconds * interval '1 second';
begin
    perform setseed(seed);
    while clock_timestamp() < ends loop
        for i in 1 .. 1 + (random() * 3)::integer loop
            perform f6_append('Counted', array[f6_object_id('counter', (random() * 9)::integer::text)], jsonb_build_object('n', random()));
        end loop;
        perform pg_sleep(case when random() < 0.15 then 0.3 else 0.03 end * random());
        if random() < 0.2 then
            rollback;
        else
            commit;
        end if;
    end loop;
end $$;
SQL
my @writers = map { my $output = ''; [ IPC::Run::start([ 'psql', '-XAtq', '-d', $publisher->connstr('postgres'), '-c', "call work($seconds, 0.$_)" ], '>&', \$output), \$output ] } 1 .. 4;
my $ends = time + $seconds;
my $restarted = 0;
while (time < $ends)
{
	run_recipe($publisher, 'mark.sql');
	if (!$restarted && time > $ends - $seconds / 2)
	{
		$receiver->stop('immediate');
		$receiver->start;
		$restarted = 1;
	}
	answer($receiver, q{insert into look select m."position", count(*), md5(string_agg(e.id::text, ' ' order by e."position"))
		from horizon_mark as m join f6.event as e on e."position" <= m."position" group by 1}, 'plain');
}
foreach my $writer (@writers)
{
	$writer->[0]->finish;
	is(${ $writer->[1] }, '', 'a writer had no error');
}
run_recipe($publisher, 'mark.sql');
my $last = answer($publisher, 'select max("position") from f6.event');
wait_until($receiver, 'plain', qq{select "position" >= $last from horizon_mark});
$publisher->wait_for_catchup('f6_log');

# Row by row.
my $columns = q{"position", zone_id, event_kind::text, id, created_at, occurred_at, object_ids, event_type, event_version, event_source_id, event_source_type, event_reference,
	event_data, metadata, appended_by, client_addr, application_name};
my $rows = qq{select row($columns)::text from f6.event order by "position"};
my $log = answer($publisher, $rows);
cmp_ok(scalar(split(/\n/, $log)), '>', 100, 'there was something to replicate');
ok(answer($receiver, $rows, 'plain') eq $log, 'a table of the same columns has all events as they are');
ok(answer($receiver, $rows, 'log') eq $log, 'and so has f6 there');
cmp_ok(answer($receiver, q{select count(*) from (select "position" < lag("position") over (order by arrived) as late from f6.event) as e where late}, 'plain'), '>', 0,
	'they arrived in another order than that of their positions');
is(run_recipe($receiver, 'follow.sql', 'plain', 'done=0') =~ s/\|.*//mgr, answer($publisher, 'select "position" from f6.event order by 1'), 'and are read in that of their positions');

# Nothing was missing below the mark, whenever somebody looked.
cmp_ok(answer($receiver, 'select count(distinct mark) from look', 'plain'), '>', 5, 'the mark moved while others appended');
is(answer($receiver, q{select count(*) from look as l where (l.below, l.digest) is distinct from
	(select (count(*), md5(string_agg(e.id::text, ' ' order by e."position"))) from f6.event as e where e."position" <= l.mark)}, 'plain'), 0,
	'nothing arrived later below the mark');

# f6 at the receiver.
foreach my $table (qw(f6.event_object f6.event_link f6.event_type f6.event_type_deprecation f6.upcaster f6.schema f6.zone))
{
	ok(rows_of($receiver, 'log', $table) eq rows_of($publisher, 'postgres', $table), "$table is the same at both");
}
ok(answers($receiver, 'log') eq answers($publisher, 'postgres'), 'f6 at the receiver answers as the publisher does');
is(answer($receiver, 'select f6_horizon(), (select count(*) from f6_read())', 'log'), '0|0', 'but has no horizon, and reads nothing by it');
is(sqlstate($receiver, q{update f6.event set event_data = '{}'}, database => 'log'), '55000', 'and lets nobody change an event');
like(slurp_file($receiver->logfile), qr/logical replication apply worker/, 'the receiver applied changes');
unlike(slurp_file($receiver->logfile), qr/ERROR:  (?!UPDATE is not allowed)(?!could not (?:connect|receive|start))/, 'without an error');

# It takes over.
run_recipe($receiver, 'takeover.sql', 'log');
is(answer($receiver, 'select f6_horizon(), (select count(*) from f6_read(max_events => 1000000)) = (select count(*) from f6.event)', 'log'), "$last|t", 'when it takes over it has the horizon');
is(answer($receiver, q{select "position" from f6_append('Counted', array[f6_object_id('counter', '1')], '1')}, 'log'), $last + 1, 'and goes on from the last position');
is(answer($receiver, q{select f6_register_zone('Veere', 'persons') > 2, f6_register_event_type('New', '1', 'true') is not null}, 'log'), 't|t', 'with new zones and types');

$receiver->stop;
$publisher->stop;
done_testing();
