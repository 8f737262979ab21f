# Behind pgbouncer, configured as docs/clients.md shows it: many clients share few connections, a transaction at a time.
#
# F6_SECONDS (5) is how long there is load.
use strict;
use warnings;

use FindBin;
use F6::Recipe qw(need_packages recipe);
use F6::Server qw(new_server);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{F6_SECONDS} || 5;
my $node = new_server('pooled');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $port = $node->port + 1;	# beside the server, in its folder of sockets, which is the test's alone

$node->safe_psql('postgres', 'create database app');
$node->safe_psql('app', <<'SQL');
create extension f6;
select f6_register_event_type(t, '1', 'true') from unnest('{Counted,Told}'::text[]) as t;
create role web login superuser;
SQL

# The pooler: the document's configuration, with where the server is, and an entry of which all clients share one connection.
my $configuration = recipe('pgbouncer.ini');
$configuration =~ s/dbname=app/"host=" . $node->host . " port=" . $node->port . " dbname=app"/ge;
$configuration =~ s/^app = (.*)$/app = $1\none = $1 pool_size=1/m;
PostgreSQL::Test::Utils::append_to_file("$folder/users", qq{"web" ""\n"client" ""\n});
PostgreSQL::Test::Utils::append_to_file("$folder/pgbouncer.ini", $configuration . <<"INI");
listen_addr =
listen_port = $port
unix_socket_dir = @{[ $node->host ]}
auth_type = trust
auth_file = $folder/users
admin_users = web
max_client_conn = 100
log_connections = 0
log_disconnections = 0
INI
my $said = '';
local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
my $pooler = IPC::Run::start([ 'pgbouncer', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>&', \$said);
END
{
	local $?;
	$pooler->kill_kill if $pooler;
}
my $patience = time + 60;
until (-S $node->host . "/.s.PGSQL.$port")
{
	$pooler->pump_nb;
	die "pgbouncer does not start: $said" if time > $patience || !$pooler->pumpable;
	sleep(0.05);
}

# Load.
SKIP:
{
	skip 'F6_OFFLINE: the packages of npm are not there', 9 unless need_packages();
	$node->safe_psql('app', <<'SQL');
select f6_start_worker() > 0;
select f6_subscribe('shared', '{"types": ["Counted"]}', partitions => 8), f6_subscribe('heard', '{"types": ["Counted"]}');
create table effect (effect_id bigserial, subscription text, consumer text, "position" bigint, object_ids uuid[], backend integer, primary key (subscription, "position"));
SQL
	local @ENV{qw(PGHOST PGPORT PGUSER)} = ($node->host, $port, 'web');
	my ($output, $errors) = ('', '');
	IPC::Run::run([ 'node', "$FindBin::RealBin/../clients/pooled.mjs", $seconds ], '<', '/dev/null', '>', \$output, '2>', \$errors);
	is($errors, '', 'the clients come to their end');
	my $result = eval { decode_json($output) } // {};
	note($output);
	is_deeply($result->{errors}, [], 'without an error');
	cmp_ok($result->{appended} // 0, '>', 100, 'events were appended');
	cmp_ok($result->{heard} // 0, '>', 10, 'who listens was told');
	is($node->safe_psql('app', q{select count(*) from f6.event where event_type = 'Counted'}), $result->{appended}, 'all of them, and no others');
	is($node->safe_psql('app', q{select subscription, count(*) from effect group by 1 order by 1}), "heard|$result->{appended}\nshared|$result->{appended}", 'each was done once by each subscription');
	is($node->safe_psql('app', q{select count(*) from (select "position", lag("position") over (partition by subscription, o order by effect_id) as previous from effect, unnest(object_ids) as o) as t
		where previous > "position"}), 0, 'in the order of each object');
	cmp_ok($node->safe_psql('app', 'select max(consumers) from (select count(distinct consumer) as consumers from effect group by backend) as t'), '>', 3, 'connections were shared');
	cmp_ok($node->safe_psql('app', 'select count(distinct backend) from effect'), '<=', 8, 'by all');
}

# Who shares a connection shares nothing else.  Returns what a transaction prints, by the entry that has one connection.
sub of_one
{
	my ($script) = @_;
	my ($status, $output, $errors) = $node->psql(undef, "begin;\n$script;\ncommit;",
		connstr => "host=" . $node->host . " port=$port dbname=one user=client", extra_params => [ '-v', 'VERBOSITY=sqlstate' ], on_error_stop => 0);

	return join "\n", grep { $_ ne '' } $output, $errors =~ /ERROR: +(\w{5})/ ? "ERROR $1" : '';
}

$node->safe_psql('app', <<'SQL');
select f6_register_zone('Goes', 'persons'), f6_register_zone('Veere', 'persons');
create role client login noinherit;
create role asks in role f6_reader;
create role tells in role f6_writer;
create role of_goes in role f6_reader, f6_writer;
create role of_veere in role f6_reader, f6_writer;
grant asks, tells, of_goes, of_veere to client;
alter table f6.event enable row level security;
create policy anybody on f6.event to asks, tells using (true) with check (true);
create policy goes on f6.event to of_goes using (zone_id = 2) with check (zone_id = 2);
create policy veere on f6.event to of_veere using (zone_id = 3) with check (zone_id = 3);
create function o() returns uuid language sql immutable begin atomic select f6_object_id('told', 'x'); end;
create function tell(state jsonb, payload jsonb) returns jsonb language sql immutable
begin atomic
    select jsonb_build_object('event_type', 'Told', 'event_data', jsonb_build_object('seen', state -> 'of') || payload, 'object_ids', array[o()]);
end;
select f6_create_command('tell', 'tell(jsonb, jsonb)', context => jsonb_build_object('objects', array[o()]));
-- What is found first in this schema says that nothing is like anything.
create schema evil;
create function evil.never(a uuid, b uuid) returns boolean language sql immutable as 'select false';
create function evil.never(a text, b text) returns boolean language sql immutable as 'select false';
create function evil.never(a bigint, b bigint) returns boolean language sql immutable as 'select false';
create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.never);
create operator evil.= (leftarg = text, rightarg = text, function = evil.never);
create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.never);
grant usage on schema evil to client, asks, tells, of_goes, of_veere;
SQL
my %pids = (of_one('select pg_backend_pid()') => 1);
my $state = q{select f6_state_asof(o(), 'infinity', 'infinity') ->> 'of'};
my $evil = 'set local search_path = evil, pg_catalog, public';
foreach my $round (1 .. 3)
{
	my $name = "round $round";

	foreach my $zone ('Goes', 'Veere')
	{
		is(of_one(qq{$evil; set local role of_\L$zone\E; set local f6.zone = '$zone/persons';
			select status from f6_execute('tell', '{"of": "$zone"}')}), 'accepted', "$name: $zone tells");
	}
	is(of_one("set local role of_goes; $state"), 'Goes', "$name: Goes sees its own state");
	is(of_one("$evil; set local role of_veere; $state"), 'Veere', "$name: and Veere its own");
	is(of_one("set local role of_goes; select string_agg(distinct zone_id::text, ' ') from f6_read('{\"types\": [\"Told\"]}')"), '2', "$name: Goes reads its own");
	is(of_one("set local role of_veere; select string_agg(distinct zone_id::text, ' ') from f6_read('{\"types\": [\"Told\"]}')"), '3', "$name: and Veere its own");
	is(of_one("set local role tells; select zone_id from (select f6_append('Told', array[f6_object_id('other', '1')], '1')) as a cross join f6.zone where zone_id = 1"), '1', "$name: who may only append appends");
	is(of_one("set local role tells; $state"), 'ERROR 42501', "$name: and asks nothing");
	is(of_one("set local role asks; select f6_append('Told', array[o()], '1')"), 'ERROR 42501', "$name: who may only ask does not append");
	is(of_one("set local role asks; select event_data, zone_id from f6.event where event_data = '1' order by \"position\" desc limit 1"), '1|1', "$name: a zone is its transaction's alone");
	is(of_one("select f6_append('Told', array[o()], '1')"), 'ERROR 42501', "$name: nor does who has said nothing");
	$pids{ of_one('select pg_backend_pid()') } = 1;
}
is(scalar(keys %pids), 1, 'all of it by one connection');

$pooler->kill_kill;
undef $pooler;
$node->stop;
done_testing();
