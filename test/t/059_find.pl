# Who is found by the value of a field is who has it, whatever is kept, whoever keeps it, and while others append.
# F6_SECONDS (4) is how long appends and searches run side by side.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{F6_SECONDS} || 4;
my $node = new_server('find', 'synchronous_commit = off', 'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on', 'max_prepared_transactions = 5', "timezone = 'UTC'");
my $standby = PostgreSQL::Test::Cluster->new('standby');

# Returns the answer to a query.
sub answer
{
	my ($query, $server) = @_;

	return ($server || $node)->safe_psql('postgres', $query);
}

$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Move', '1', 'true', valid_from => '/since');
create function o(n bigint) returns uuid language sql immutable as $$ select f6_object_id('find', n::text) $$;
create function move(n bigint, town int) returns void language sql as
    $$ select f6_append('Move', array[o(n)], jsonb_build_object('town', town, 'note', random(), 'since', date '2020-01-01' + floor(random() * 100)::int)) $$;
-- How many answers differ from what folding everybody says; each asks about one town at one time.
create function differences() returns bigint language sql as $$
    with asked as materialized (
        select t as town, v as valid_at, k as known_at
            from generate_series(0, 4) as t, unnest(array['2020-02-01', 'infinity']::timestamptz[]) as v,
                unnest(array['infinity', (select created_at from f6.event order by random() limit 1)]) as k),
    truth as (
        select a.*, s.object_id
            from asked as a, (select distinct object_id from f6.event_object) as o, lateral f6_states_asof(array[o.object_id], a.valid_at, a.known_at) as s
            where (s.state -> 'town')::int = a.town),
    found as (
        select a.*, f.object_id from asked as a, lateral f6_find(null, '/town', to_jsonb(a.town), a.valid_at, a.known_at) as f)
    select (select count(*) from (select * from truth except all select * from found) as d) + (select count(*) from (select * from found except all select * from truth) as d)
$$;
select f6_keep_field('/town');
SQL
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# Side by side: four append, two search and keep, and two roll back what they have appended or kept.
my $kept_before = answer('select "position" from f6.kept_field');
my @clients = map {
	start([ 'pgbench', '-n', '-c', 2, '-T', $seconds, '-f', '-', $node->connstr('postgres') ], '<', \$_, '>', \my $output, '2>', \my $errors)
} ("\\set n random(1, 60)\n\\set t random(0, 4)\nselect move(:n, :t);", "\\set n random(1, 60)\n\\set t random(0, 4)\nselect move(:n, :t), move(:n + 1, :t);",
	"set f6.snapshot_events = 5;\n\\set t random(0, 4)\nselect count(*) from f6_find(null, '/town', to_jsonb(:t));",
	"begin;\nset local f6.snapshot_events = 2;\nselect move(1, 1);\nselect count(*) from f6_find(null, '/town', '1');\nrollback;");
my @ends = map { $_->finish } @clients;
is(scalar(grep { $_ } @ends), 4, 'appends and searches run side by side');
cmp_ok(answer('select "position" from f6.kept_field'), '>', $kept_before, 'what is kept moves on');
cmp_ok(answer('select count(*) from f6.kept_span'), '>', 100, 'there is much');
is(answer('set f6.snapshot_events = 0; select differences()'), 0, 'who is found with what was kept is who has the value');
is(answer('set f6.snapshot_events = 1; select differences()'), 0, 'and when it is brought up to date');
is(answer(q{
	select count(*) from f6.kept_span as s join f6.kept_span as t using (kept_id, object_id)
	where s.ctid <> t.ctid and s.known_from < t.known_to and t.known_from < s.known_to and s.valid_from < t.valid_to and t.valid_from < s.valid_to}), 0,
	'nothing that is kept overlaps');

# Who can't keep answers as well.
answer('select move(n, 3) from generate_series(61, 120) as n');
my $position = answer('select "position" from f6.kept_field');
is(answer('set default_transaction_read_only = on; select differences()'), 0, 'read only');
is(answer("begin isolation level repeatable read; select differences(); commit"), 0, 'with one snapshot');
is(answer("begin isolation level serializable; select differences(); commit"), 0, 'serializable');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(answer('select differences()', $standby), 0, 'on a standby');
is(answer('select "position" from f6.kept_field'), $position, 'none of them keeps');
foreach my $decision (q{f6_validate_claim(o(1))}, q{f6_reject_claim(o(1), 'no')}, q{f6_retract(o(1), 'no', dry_run => true)}, q{f6_append('Move', array[o(1)], '1')})
{
	is(sqlstate($standby, "select $decision"), '25006', "$decision on a standby");
}

# A transaction with an old snapshot sees what is kept as it was then.
answer("begin; select pg_advisory_xact_lock(1); prepare transaction 'holds'");
my ($answer, $complaint) = ('', '');
my $old = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), map { ('-c', $_) } 'begin isolation level repeatable read',
		'select count(*) from f6.event', 'select pg_advisory_lock(1)', "select 'differences', differences()" ], '>', \$answer, '2>', \$complaint);
$node->poll_query_until('postgres', q{select exists (select from pg_stat_activity where wait_event_type = 'Lock')}) or die 'the old snapshot does not wait';
answer('select move(n, 4) from generate_series(100, 200) as n');
answer("select count(*) from f6_find(null, '/town', '4')");
isnt(answer('select "position" from f6.kept_field'), $position, 'somebody else keeps what is new');
answer("commit prepared 'holds'");
$old->finish;
like($answer, qr/^differences\|0$/m, 'which an old snapshot does not see');
is($complaint, '', 'nor is hurt by');

# While somebody else is at it, nobody waits.
answer("begin; set local f6.snapshot_events = 1; select move(n, 2) from generate_series(1, 50) as n; select count(*) from f6_find(null, '/town', '2'); prepare transaction 'keeps'");
answer('select move(n, 1) from generate_series(150, 200) as n');
is(answer("set statement_timeout = '60s'; select differences()"), 0, 'who does not wait for another who keeps answers as well');
is(sqlstate($node, "set lock_timeout = '200ms'; select f6_keep_field('/town')"), '55P03', 'who is to keep waits');
answer("commit prepared 'keeps'");
is(answer('select differences()'), 0, 'and afterwards all is right');

# A function that changes its mind is asked each time.
$node->safe_psql('postgres', <<'SQL');
create function one_more(data jsonb) returns jsonb language sql immutable as $$ select jsonb_set(data, '{town}', to_jsonb((data ->> 'town')::int + 1)) $$;
select f6_register_event_type('Trip', '1', 'true'), f6_register_event_type('Trip', '2', 'true'), f6_register_upcaster('Trip', '1', '2', 'one_more(jsonb)');
select f6_append('Trip', array[o(-n)], '{"town": 70}', event_version => '1') from generate_series(1, 40) as n;
select f6_keep_field('/town');
SQL
is(answer("select count(*) from f6_find(null, '/town', '71')"), 40, 'an upcaster is run');
is(answer("select count(*) from f6.kept_span where value is null"), 40, 'without keeping what it makes');
answer(q{create or replace function one_more(data jsonb) returns jsonb language sql immutable as $$ select jsonb_set(data, '{town}', '99') $$});
is(answer("select count(*) from f6_find(null, '/town', '99')"), 40, 'so it may become another');
answer(q{select f6_append('Trip', array[o(-1)], '{"town": 5}', event_version => '2')});
answer("select f6_keep_field('/town')");
is(answer('select differences()'), 0, 'with later events too');

# A dump takes along which fields are kept.
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'create database restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'restore');
is($node->safe_psql('restored', 'select path from f6.field'), '/town', 'the field comes back');
is($node->safe_psql('restored', 'select count(*) from f6.kept_span'), 0, 'and what was kept does not');
is($node->safe_psql('restored', "set timezone = 'UTC'; select differences()"), 0, 'the answers are the same');
$node->safe_psql('restored', "select f6_keep_field('/town')");
is($node->safe_psql('restored', "set timezone = 'UTC'; select differences()"), 0, 'also when it is kept again');
cmp_ok($node->safe_psql('restored', 'select count(*) from f6.kept_span'), '>', 100, 'as it is then');

done_testing();
