# What was acknowledged is there after a crash, whole and linked, and what was not is not there at
# all.  Writers append without pause, by every door, while the server is killed under them.
# F6_ROUNDS makes it longer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server broken_links sqlstate);
use F6::Writer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{F6_ROUNDS} || 4;
my $node = new_server('crash', 'restart_after_crash = off');
my $seen = 0;
my @doors = qw(single batch insert copy);
my @writers = map { F6::Writer->new($node, $doors[$_], $_ + 1) } 0 .. $#doors;

# Kills the server, with or without its children, and starts it when all of them are gone.
sub crash
{
	my ($with_children) = @_;
	my @children = split /\n/, $node->safe_psql('postgres', 'select pid from pg_stat_activity');

	$node->kill9;
	kill 'KILL', @children if $with_children;
	$_->finish foreach @writers;

	# The server itself refuses to start as long as a child of the old one lives.
	foreach (1 .. 300)
	{
		sleep 0.1;
		return if $node->start(fail_ok => 1);
		$node->kill9;
	}
	die 'the server does not start after the crash';
}

# Tells whether the log holds exactly what it should: at least what was acknowledged to the writers,
# and nothing by halves.
sub check_log
{
	my ($when) = @_;
	my $acknowledged = join "\n", map { $_->acknowledged } @writers;

	$node->safe_psql('postgres', <<SQL);
create unlogged table if not exists acknowledged (id uuid, content jsonb, position bigint);
truncate acknowledged;
copy acknowledged from stdin;
$acknowledged
\\.
SQL
	my $count = $node->safe_psql('postgres', 'select count(*) from acknowledged');
	cmp_ok($count, '>', $seen, "$when: events were acknowledged since the last crash (" . ($count - $seen) . ')');
	$seen = $count;
	is( $node->safe_psql('postgres', <<'SQL'), '', "$when: every acknowledged event is there, at its position, with its content");
select a from acknowledged as a left join f6.event as e using (id)
    where e.event_data is distinct from a.content or e.position <> a.position
    limit 5
SQL
	is( $node->safe_psql('postgres', <<'SQL'), '', "$when: no batch is there in part");
select event_data -> 'batch', count(*), min((event_data -> 'size')::int) from f6.event
    where event_data ->> 'batch' <> 'next'
    group by event_data -> 'batch' having count(*) <> min((event_data -> 'size')::int)
    limit 5
SQL
	is(broken_links($node), '', "$when: the links agree with the log");
	is($node->safe_psql('postgres', <<'SQL'), '', "$when: every referenced event is there, earlier in the log");
select e.id, reference from f6.event as e, unnest(e.event_reference) as reference
    where not exists (select from f6.event as r where r.id = reference and r.position < e.position)
    limit 5
SQL
	is( $node->safe_psql('postgres', <<'SQL'), 't', "$when: positions are unique, and the next one is later than all");
set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off;
select count(*) = count(distinct position) and count(*) = count(distinct id)
       and max(position) < (select position from f6_append('Told', array[gen_random_uuid()],
                                                           '{"batch": "next", "size": 1, "content": ""}'))
    from f6.event
SQL
	check_indexes($when);
	return;
}

# Tells whether the indexes of the log hold what their tables do, where the server can tell.
sub check_indexes
{
	my ($when) = @_;

  SKIP:
	{
		skip 'amcheck is not installed', 1
		  if sqlstate($node, 'create extension if not exists amcheck') ne '';
		is( sqlstate($node, <<'SQL'), '', "$when: the indexes hold what their tables do");
select bt_index_parent_check(i.indexrelid, true) from pg_index as i join pg_class as c on c.oid = i.indexrelid join pg_am as a on a.oid = c.relam and a.amname = 'btree'
    where i.indrelid in ('f6.event'::regclass, 'f6.event_object'::regclass, 'f6.event_link'::regclass)
SQL
	}
	return;
}

$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Told', '1', '{"type": "object", "required": ["content", "batch", "size"],
    "properties": {"content": {"type": "string"}, "size": {"type": "integer"}}}');
SQL

#
# SIGKILL of the whole server
#

foreach my $round (1 .. $rounds)
{
	$_->start foreach @writers;
	sleep 1 + $round / 3;
	my %before = map { ($_->{door} => scalar $_->acknowledged) } @writers;

	crash($round % 2);
	check_log("crash $round");
	cmp_ok(scalar $_->acknowledged, '>', $before{ $_->{door} }, "crash $round: answers came by the door $_->{door}")
	  foreach @writers;
}
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->restart;

#
# One backend killed, or cancelled, in the midst of a long batch
#

# Appends a long batch in the background and calls what is to happen to it when it has written some.
sub interrupt_batch
{
	my ($name, $door, $event) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $session->query_safe('select pg_backend_pid()');
	my $taken = $node->safe_psql('postgres', 'select last_value from f6.event_position_seq');
	my $events = q{'Told'::text, array[gen_random_uuid(), gen_random_uuid()], jsonb_build_object('batch', '}
	  . $name . q{', 'size', 200000, 'content', n::text) from generate_series(1, 200000) as n};

	$session->query_until(qr/begun/, "\\echo begun\n" . {
		insert => "insert into f6.event (event_type, object_ids, event_data) select $events;\n",
		f6_append => "select count(*) from f6_append((select jsonb_agg(to_jsonb(e)) from
		    (select $events) as e (event_type, object_ids, event_data)));\n"
	}->{$door});
	$node->poll_query_until('postgres', "select last_value > $taken + 2000 from f6.event_position_seq")
	  or die 'the batch never began';
	$event->($pid);
	$node->poll_query_until('postgres', "select not exists (select from pg_stat_activity
	    where pid = $pid and state = 'active')");
	eval { $session->quit };
	is($node->safe_psql('postgres', "select count(*) from f6.event where event_data ->> 'batch' = '$name'"),
		'0', "$name: nothing of the batch is in the log");
	is(broken_links($node), '', "$name: the links agree with the log");
	return;
}

foreach my $door (qw(insert f6_append))
{
	interrupt_batch("$door cancelled", $door,
		sub { $node->safe_psql('postgres', "select pg_cancel_backend($_[0])") });
	interrupt_batch("$door terminated", $door,
		sub { $node->safe_psql('postgres', "select pg_terminate_backend($_[0])") });
	interrupt_batch("$door killed", $door, sub { kill 'KILL', $_[0]; sleep 0.5 });
}

# Writers go on after the server has restarted itself.
$_->start foreach @writers;
sleep 1;
my ($victim) = split /\n/, $node->safe_psql('postgres',
	"select pid from pg_stat_activity where application_name = 'writer' and state = 'active' limit 1");
kill 'KILL', $victim if $victim;
$_->finish foreach @writers;
$node->poll_query_until('postgres', undef, '');
check_log('one backend killed');

$node->stop;
done_testing();
