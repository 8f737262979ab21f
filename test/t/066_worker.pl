# Projections are refreshed without anybody asking for it: by the worker of each database that is to have one, in the order of the
# log, each event exactly once, whoever ends the worker or the server, and whatever one of the projections fails at.
# F6_ROUNDS makes the part with crashes longer, F6_SEED chooses its moments.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate error_of literal);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = $ENV{F6_ROUNDS} || 2;
srand($ENV{F6_SEED} || 20240101);

# A database with two projections of notes: a fold, and a handler whose table would show whatever is handled twice.
my $setup = <<'SQL';
create extension f6;
select f6_register_event_type('Note', '1', 'true');
create table told (position bigint, object uuid, who name, session name);
create function name(n int) returns uuid language sql immutable as $$ select f6_object_id('note', n::text) $$;
create function note(n int, data jsonb default null) returns bigint language sql as
    $$ select position from f6_append('Note', array[name(n)], coalesce(data, jsonb_build_object('n', n, 'k' || (random() * 5)::int, random()))) $$;
create function tell(event f6.event) returns void language sql as
    $$ insert into public.told values (event.position, event.object_ids[1], current_user, session_user) $$;
select f6_create_projection('notes');
select f6_create_projection('tally', fold => '{"Note": [{"op": "count", "path": "/count"}, {"op": "increment", "path": "/sum", "from": "$.data.n"}]}');
select f6_create_projection('telling', handler => 'public.tell(f6.event)');
SQL

# What contradicts the log in such a database: no line, if everything is there, once.
my $flaws = <<'SQL';
select 'notes', object_id from notes where state is distinct from f6_state_asof(object_id, 'infinity', 'infinity')
union all
select 'tally', object_id from tally where state is distinct from f6_state_asof(object_id, 'infinity', 'infinity', 'tally')
union all
select 'missing', object_id from (select object_id from f6.event_object except all select object_id from f6.event_object join notes using (object_id) join tally using (object_id)) as missing
union all
select 'not told', object_ids[1] from f6.event where position not in (select position from told)
union all
select 'told twice', min(object::text)::uuid from told group by position having count(*) > 1
union all
select 'told in another order', min(object::text)::uuid from (select object, position < lag(position) over (order by ctid) as wrong from told) as t where wrong having count(*) > 0
limit 5
SQL
my $fold_flaws = <<'SQL';
select t.object_id from tally as t
    join (select l.object_id, f6_fold(e, (select fold from f6.projection where name = 'tally') order by e.position) as state
              from f6.event_object as l join f6.event as e using (position) where position not in (select position from f6.projection_skip) group by 1) as f using (object_id)
    where f.state is distinct from t.state
    limit 5
SQL

# Returns a query that tells whether a projection, or each of them, has all events.
sub caught_up
{
	my ($name) = @_;

	return 'select bool_and(lag_events = 0) from f6.projections where mode = ' . "'async'" . ($name ? " and name = '$name'" : '');
}

# Waits until something is true in a database.
sub becomes
{
	my ($node, $database, $query, $name) = @_;

	ok($node->poll_query_until($database, $query), $name);
	return;
}

# Returns the processes of the workers in a database.
sub workers
{
	my ($node, $database) = @_;

	return split /\n/, $node->safe_psql('postgres', "select pid from pg_stat_activity where backend_type = 'f6 worker' and datname = " . literal($database));
}

# Waits until a database has a worker, which has its lock, and returns its process.  The launcher looks more often than it would by itself.
sub worker_of
{
	my ($node, $database) = @_;
	my $pid = '';

	foreach my $try (1 .. 1500)
	{
		look($node) if $try % 10 == 0;
		$pid = $node->safe_psql('postgres', "select distinct l.pid from pg_locks as l join pg_database as d on d.oid = l.database
		    where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and d.datname = " . literal($database) . "
		        and exists (select from pg_stat_activity as a where a.pid = l.pid and a.backend_type = 'f6 worker')");
		return $pid if $pid ne '';
		sleep 0.02;
	}
	die "there is no worker in $database";
}

# Has the launcher look at once.
sub look
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'select pg_reload_conf()');
	return;
}

# Returns the lines that the server has logged since a place in its log.
sub logged
{
	my ($node, $from, $pattern) = @_;

	return grep { /$pattern/ } split /\n/, substr(slurp_file($node->logfile), $from);
}

# Returns the place that the server's log has come to.
sub log_end
{
	my ($node) = @_;

	return -s $node->logfile;
}

# Kills the worker of a database, and waits until its server has ended all other sessions for that.
sub kill_worker
{
	my ($node, $database) = @_;
	my $at = log_end($node);

	kill 'KILL', worker_of($node, $database);
	$node->wait_for_log(qr/reinitializing/, $at);
	return;
}

#
# The launcher
#

my $node = PostgreSQL::Test::Cluster->new('launched');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', $_)
  foreach "shared_preload_libraries = 'f6'", q{f6.databases = 'one, "Two", missing, later'}, 'max_worker_processes = 12',
  'f6.worker_interval = 20ms', 'autovacuum = off', 'fsync = on', 'synchronous_commit = on', "timezone = 'UTC'", 'log_statement = none';
$node->start;
$node->safe_psql('postgres', "create database one");
$node->safe_psql('postgres', 'create database "Two"');
$node->safe_psql('postgres', "create database two");
$node->safe_psql('postgres', "create database later");
$node->safe_psql($_, $setup) foreach 'one', 'Two', 'two';
look($node);
worker_of($node, $_) foreach 'one', 'Two', 'later';
pass('the launcher starts a worker in each database that f6.databases names, with or without f6');
$node->safe_psql($_, 'select note(i) from generate_series(1, 20) as i') foreach 'one', 'Two', 'two';
becomes($node, $_, caught_up(), "projections catch up in $_") foreach 'one', 'Two';
is($node->safe_psql($_, $flaws), '', "and are right in $_") foreach 'one', 'Two';
is(scalar workers($node, 'two'), 0, 'a database of another name has no worker');
is($node->safe_psql('two', 'select count(*) from told'), '0', 'nor are its projections refreshed');
$node->safe_psql('later', $setup . 'select note(1);');
becomes($node, 'later', caught_up(), 'a database that gets f6 later is served then');
is($node->safe_psql('one', 'select f6_start_worker() is null'), 't', 'f6_start_worker() returns NULL where there is a worker');
is(scalar workers($node, 'one'), 1, 'of which there is one only');

$node->append_conf('postgresql.conf', "f6.databases = 'two, missing, one'");
look($node);
worker_of($node, 'two');
becomes($node, 'two', caught_up(), 'a database that is added to f6.databases gets a worker');
becomes($node, 'postgres', q{select not exists (select from pg_stat_activity where backend_type = 'f6 worker' and datname in ('Two', 'later'))},
	'those that are taken out lose theirs');
$node->append_conf('postgresql.conf', "f6.databases = '*'");
look($node);
worker_of($node, $_) foreach 'postgres', 'one', 'Two', 'two', 'later';
is(scalar workers($node, 'template1'), 0, '* stands for all databases that are no templates');
$node->safe_psql('postgres', 'create database missing');
$node->safe_psql('postgres', q{select pg_terminate_backend(pid, 5000) from pg_stat_activity where backend_type = 'f6 launcher'});
becomes($node, 'postgres', q{select count(*) = 1 from pg_stat_activity where backend_type = 'f6 worker' and datname = 'missing'},
	'the launcher comes back when it is ended');
$node->append_conf('postgresql.conf', "f6.databases = 'one'");
$node->restart;
worker_of($node, 'one');
is($node->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type = 'f6 worker'}), '1', 'after a restart f6.databases counts');

# The interval
$node->append_conf('postgresql.conf', 'f6.worker_interval = 60s');
look($node);
sleep 0.5;
$node->safe_psql('one', 'select note(1)');
sleep 0.5;
is($node->safe_psql('one', 'select lag_events from f6.projections where name = ' . "'notes'"), '1', 'the worker waits for f6.worker_interval');
$node->append_conf('postgresql.conf', 'f6.worker_interval = 20ms');
look($node);
becomes($node, 'one', caught_up(), 'a shorter one counts at once');


#
# What fails
#

# Functions that fail at an event, until they are mended; and what a role without rights writes.
my $at = log_end($node);
$node->safe_psql('one', <<'SQL');
create role owner login; create role stranger login;
grant f6_reader, f6_admin to owner;
grant create, usage on schema public to owner;
create table public.tried (position bigint, who name, session name, path text);
grant insert, select on tried to owner;
set role owner;
create function public.refuse(event f6.event) returns void language plpgsql as $$
begin
    insert into public.tried values (event.position, current_user, session_user, current_setting('search_path'));
    if event.event_data ? 'bad' then raise exception 'bad %', event.event_data ->> 'bad' using errcode = coalesce(event.event_data ->> 'state', 'P0001'); end if;
end $$;
create function public.add(state jsonb, event f6.event) returns jsonb language plpgsql stable as $$
begin
    if event.event_data ? 'bad' then raise 'bad'; end if;
    return jsonb_build_object('n', coalesce((state ->> 'n')::int, 0) + 1, 'who', current_user);
end $$;
select f6_create_projection('refusing', handler => 'public.refuse(f6.event)');
select f6_create_projection('adding', fold => '{"Note": {"function": "public.add(jsonb, f6.event)"}}');
SQL
becomes($node, 'one', caught_up(), 'projections that are made later take what is there');
is($node->safe_psql('one', 'select distinct who, path from tried'), 'owner|pg_catalog, pg_temp', 'a handler runs as the owner of its projection, by the names of the catalog');
is($node->safe_psql('one', q{select distinct state ->> 'who' from adding}), 'owner', 'and so does a fold');
my ($before, $bad) = split /\n/, $node->safe_psql('one', q{select note(2); select note(3, '{"bad": 1}')});
$node->safe_psql('one', 'select note(i) from generate_series(1, 10) as i');
becomes($node, 'one', 'select count(*) = 2 from f6.projections where failures > 0', 'two projections fail at an event');
becomes($node, 'one', "select bool_and(lag_events = 0) from f6.projections where name in ('notes', 'telling')", 'the others go on');
is($node->safe_psql('one', q{select name, state, position, failed_position, retry_at > refreshed_at, error from f6.projections where failures > 0 order by name}),
	"adding|failing|$before|$bad|t|P0001: bad\nrefusing|failing|$before|$bad|t|P0001: bad 1", 'those that fail have what was before, and say what they fail at');
becomes($node, 'one', q{select min(failures) = 3 from f6.projections where name in ('adding', 'refusing')}, 'they are tried again');
is($node->safe_psql('one', q{select round(extract(epoch from p.retry_at - p.failed_at)) from f6.projection_progress as p join f6.projection using (projection_id) where name = 'adding'}),
	'4', 'after a time that doubles');
my @lines = logged($node, $at, 'could not be refreshed');
is(scalar @lines, $node->safe_psql('one', 'select sum(failures) from f6.projections'), 'each attempt is a line of the log');
is($node->safe_psql('one', "select count(*) from f6_refresh() where name in ('adding', 'refusing') and (events > 0 or error is not null)"), '0',
	'f6_refresh() leaves them alone until then, too');
is(sqlstate($node, "select f6_refresh('adding')", database => 'one'), 'P0001', 'f6_refresh(name) tries at once, and fails');

# Mended
$node->safe_psql('one', q{create or replace function public.add(state jsonb, event f6.event) returns jsonb language sql stable as
    $$ select jsonb_build_object('n', coalesce((state ->> 'n')::int, 0) + 1, 'who', current_user) $$});
becomes($node, 'one', caught_up('adding'), 'a projection goes on by itself when what it failed at is mended');
is($node->safe_psql('one', q{select state, failures, failed_position is null and error is null and retry_at is null from f6.projections where name = 'adding'}),
	'stale|0|t', 'and then nothing is left of the failures, but that some rows were made by another function');

# Skipped
is(sqlstate($node, "select f6_skip('refusing')", database => 'one', role => 'stranger'), '42501', 'f6_skip is refused to others than the owner');
is(sqlstate($node, "select f6_skip('notes')", database => 'one'), '22023', 'and where nothing fails, without a position');
is(sqlstate($node, "select f6_skip('notes', 1000000)", database => 'one'), '42704', 'and at no event');
is(sqlstate($node, "select f6_skip('nothing')", database => 'one'), '42704', 'and for no projection');
is(sqlstate($node, "select f6_skip(null)", database => 'one'), '22004', 'and for NULL');
is(sqlstate($node, "begin isolation level repeatable read; select f6_skip('refusing')", database => 'one'), '25001', 'and in REPEATABLE READ');
is($node->safe_psql('one', "set role owner; select f6_skip('refusing', reason => 'it is bad')"), $bad, 'its owner has it skip what it fails at');
becomes($node, 'one', caught_up('refusing'), 'it goes on without');
is($node->safe_psql('one', "select position, skipped_by, reason from f6.projection_skip"), "$bad|" . $node->safe_psql('one', 'select session_user') . '|it is bad', 'that is noted');
is($node->safe_psql('one', "select string_agg(position::text, ' ') from f6.event where position not in (select position from tried)"), $bad, 'and no other is left out');
is($node->safe_psql('one', "select count(*) - count(distinct position) from tried"), '0', 'nor handled twice');
my ($skipped) = split /\n/, $node->safe_psql('one', q{begin; lock table tally in share mode; select note(3, '{"n": 100}'); select f6_skip('tally', (select max(position) from f6.event)); select f6_skip('notes', (select max(position) from f6.event)); commit; select note(3)});
becomes($node, 'one', caught_up(), 'an event may be skipped before it is taken');
is($node->safe_psql('one', $flaws =~ s/\(limit.*//r) . $node->safe_psql('one', "select position from f6.event where position > $skipped - 1 and position not in (select position from told)"), '',
	'the rows are those that f6_state_asof gives, and a projection that skips nothing has it');
$node->safe_psql('one', "call f6_rebuild('tally')");
is($node->safe_psql('one', $flaws), '', 'and a rebuild');

# A function that says that it was cancelled
$node->safe_psql('one', q{select note(4, '{"bad": 2, "state": "57014"}'); select note(5, '{"bad": 3, "state": "57P01"}'); select note(6)});
becomes($node, 'one', q{select count(*) = 1 from f6.projections where failures > 1 and error = '57014: bad 2'}, 'a function cannot pretend that the worker is cancelled');
becomes($node, 'one', "select bool_and(lag_events = 0) from f6.projections where name in ('notes', 'telling')", 'and the others go on');
$node->safe_psql('one', q{select f6_skip('refusing'); select f6_skip('refusing', (select max(position) from f6.event where event_data ? 'bad'))});
becomes($node, 'one', caught_up(), 'both are skipped');

#
# What functions may do in the worker
#

$node->safe_psql('one', <<'SQL');
set role owner;
create function public.smuggle(event f6.event) returns void language plpgsql as $$
begin
    execute event.event_data ->> 'run';
end $$;
select f6_create_projection('smuggling', handler => 'public.smuggle(f6.event)');
reset role;
create sequence counted;
create table pair (id int primary key, other int references pair deferrable initially deferred);
alter table pair owner to owner;
SQL
$node->safe_psql('one', "select f6_skip('smuggling', position) from f6.event");
becomes($node, 'one', caught_up('smuggling'), 'a projection may skip all that there is');

# Has the handler run something in the worker; what the projection then says must be like a pattern, or nothing.
sub smuggles
{
	my ($run, $error, $name) = @_;

	$node->safe_psql('one', 'select note(7, jsonb_build_object(' . "'n', 0, 'run', " . literal($run) . '))');
	$node->poll_query_until('one', "select lag_events = 0 or failures > 0 from f6.projections where name = 'smuggling'") or die;
	my $said = $node->safe_psql('one', "select error from f6.projections where name = 'smuggling'");
	like($said, defined $error ? qr/^$error/ : qr/^$/, $name);
	$node->safe_psql('one', "select f6_skip('smuggling')") if $said ne '';
	return;
}
my $pid = worker_of($node, 'one');
smuggles('set role postgres', '42501', 'a handler cannot set a role');
smuggles('reset role', '42501', 'nor reset it');
smuggles('reset session authorization', '42501', 'nor the session\'s');
smuggles("select set_config('role', 'none', false)", '42501', 'nor by set_config');
smuggles('create temp table told (position bigint)', '42501', 'nor make a temporary table');
smuggles('listen something', '42501', 'nor listen');
smuggles('declare c cursor with hold for select 1', '42501', 'nor hold a cursor');
smuggles('insert into public.pair values (1, 2)', '42501', 'nor defer a trigger until somebody else is the user');
smuggles('set constraints all immediate; insert into public.pair values (1, 1)', undef, 'a constraint that is checked at once is none of these');
smuggles('commit', '0A000|2D000', 'nor commit');
smuggles('create table public.made ()', undef, 'a handler may do what its owner may');
is($node->safe_psql('one', q{select pg_get_userbyid(relowner) from pg_class where relname = 'made'}), 'owner', 'as its owner');
smuggles('insert into public.told values (0)', '42501', 'and no more');
smuggles('create function pg_temp.text(int) returns text language sql as $$ select 1 $$', '(?:42501.*)?', 'a temporary function');
smuggles('create type pg_temp.text as (a int)', '(?:42501.*)?', 'a temporary type');
smuggles("set search_path = public; set work_mem = '64kB'; set session_replication_role = default", '42501', 'settings of superusers');
smuggles("set search_path = public; set work_mem = '64kB'", undef, 'other settings');
smuggles("select pg_advisory_lock(1); select pg_advisory_lock_shared(2); select pg_advisory_unlock_all(); select pg_advisory_lock(1)", undef, 'advisory locks');
smuggles(q{do $$ begin if current_setting('work_mem') = '64kB' or current_setting('search_path') <> 'pg_catalog, pg_temp' then raise 'settings stay'; end if; end $$}, undef, 'settings end with the call');
is($node->safe_psql('one', q{select count(*) from pg_class where relnamespace in (select oid from pg_namespace where nspname like 'pg_temp%')}) .
	$node->safe_psql('one', q{select count(*) from pg_proc where pronamespace in (select oid from pg_namespace where nspname like 'pg_temp%')}), '00', 'nothing temporary stays in the worker');
is($node->safe_psql('one', "select count(*) from pg_locks where pid = $pid and locktype = 'advisory' and objsubid in (1, 2)"), '0', 'nor any advisory lock');
is(worker_of($node, 'one'), $pid, 'it is the same worker all the time, and has its lock');
becomes($node, 'one', caught_up(), 'and goes on with all');

# A function that does not end: the worker is ended all the same.
$node->safe_psql('one', q{select note(8, jsonb_build_object('n', 0, 'run', 'do $x$ begin loop begin perform pg_sleep(60); exception when query_canceled or admin_shutdown then null; end; end loop; end $x$'))});
becomes($node, 'one', "select exists (select from pg_stat_activity where pid = $pid and wait_event = 'PgSleep')", 'a handler that catches what it can');
ok($node->safe_psql('postgres', "select pg_terminate_backend($pid, 5000)") eq 't', 'cannot keep the worker from ending');
$node->safe_psql('one', "select f6_skip('smuggling', max(position)) from f6.event");
isnt(worker_of($node, 'one'), $pid, 'after which there is another one');
becomes($node, 'one', caught_up(), 'which goes on');
$pid = worker_of($node, 'one');
$node->safe_psql('one', "select note(8, jsonb_build_object('n', 0, 'run', 'select pg_sleep(60)'))");
becomes($node, 'one', "select exists (select from pg_stat_activity where pid = $pid and wait_event = 'PgSleep')", 'a handler that takes long');
$node->safe_psql('one', "select pg_cancel_backend($pid)");
$node->safe_psql('one', "select f6_skip('smuggling', max(position)) from f6.event");
becomes($node, 'one', caught_up(), 'may be cancelled');
is(worker_of($node, 'one'), $pid, 'which the worker outlives');
$node->safe_psql('one', "select f6_drop_projection('smuggling'); select f6_drop_projection('refusing')");

#
# f6_refresh while the worker runs
#

is(sqlstate($node, "begin isolation level repeatable read; select f6_refresh('notes')", database => 'one'), '25001', 'f6_refresh(name) is refused in REPEATABLE READ');
is(sqlstate($node, 'begin isolation level repeatable read; select f6_refresh()', database => 'one'), '25001', 'and f6_refresh()');
is(sqlstate($node, "begin read only; select f6_refresh('notes')", database => 'one'), '25006', 'and read-only');
is(sqlstate($node, 'begin read only; select f6_refresh()', database => 'one'), '25006', 'both');
is(sqlstate($node, 'select f6_refresh()', database => 'one', role => 'stranger'), sqlstate($node, "select f6_refresh('notes')", database => 'one', role => 'stranger'),
	'a role without rights is told the same by both');
$node->safe_psql('one', 'select note(i), f6_refresh(' . "'notes'" . '), (select count(*) from f6_refresh()) from generate_series(1, 30) as i');
becomes($node, 'one', caught_up(), 'appending, refreshing and the worker go together');
is($node->safe_psql('one', $flaws . ';' . $fold_flaws), '', 'and every event is taken once');
is($node->safe_psql('postgres', "alter database two set default_transaction_isolation = 'repeatable read'; alter database two set default_transaction_read_only = on; select 1"), '1', 'settings of a database');
$node->append_conf('postgresql.conf', "f6.databases = 'one, two'");
worker_of($node, 'two');
$node->safe_psql('two', 'set default_transaction_read_only = off; begin read write; select note(1); commit');
becomes($node, 'two', caught_up(), 'do not keep the worker from its work');
$node->append_conf('postgresql.conf', "f6.databases = 'one'");
look($node);

# An idle worker
$node->safe_psql('one', "select f6_create_projection('idle' || i) from generate_series(1, 6) as i");
becomes($node, 'one', caught_up(), 'ten projections are up to date');
$node->safe_psql('one', 'checkpoint');
sleep 0.5;
$at = log_end($node);
$pid = worker_of($node, 'one');
my $wal = $node->safe_psql('one', 'select pg_current_wal_insert_lsn()');
sleep 3;
is($node->safe_psql('one', "select count(*) from pg_stat_activity where pid = $pid and backend_xid is not null") . ' ' .
	$node->safe_psql('one', "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$wal') < 500"), '0 t', 'an idle worker writes nothing');
is(join("\n", logged($node, $at, '')), '', 'and logs nothing');

#
# Exactly once
#

# Starts clients that append, for some seconds at most; they end when the server does.
my $file = $node->basedir . '/append.sql';
append_to_file($file, "\\set n random(1, 40)\nselect note(:n);\n");
sub start_clients
{
	my ($node) = @_;
	my $output = '';

	return start([ 'pgbench', '-n', '-c', 4, '-T', 30, '-f', $file, $node->connstr('one') ], '>', \$output, '2>', \$output);
}

# What ends the worker.
my @ends = (
	[ 'killed' => sub { kill_worker($node, 'one') } ],
	[ 'terminated' => sub { $node->safe_psql('postgres', 'select pg_terminate_backend(' . worker_of($node, 'one') . ')') foreach 1 .. 3; sleep rand 0.3 } ],
	[ 'stopped with its server' => sub { $node->stop('immediate'); $node->start } ],
	[ 'stopped in good order' => sub { $node->stop('fast'); $node->start } ]);

$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->restart;
$node->safe_psql('one', "select f6_drop_projection('idle' || i) from generate_series(1, 6) as i");
foreach my $round (1 .. $rounds)
{
	foreach my $end (@ends)
	{
		my ($name, $do) = @$end;
		my $clients = start_clients($node);

		sleep 0.2 + rand 0.5;
		$do->();
		$node->poll_query_until('postgres', undef, '');
		sleep rand 0.3;
		kill 'INT', @{ $clients->{KIDS} } ? $clients->{KIDS}[0]{PID} : ();
		eval { $clients->finish };
		worker_of($node, 'one');
		becomes($node, 'one', caught_up(), "round $round: the worker goes on after it was $name");
		is($node->safe_psql('one', $flaws . ';' . $fold_flaws), '', "round $round: and every event was taken once");
	}
}
cmp_ok($node->safe_psql('one', 'select count(*) from told'), '>', 500, 'events were appended meanwhile');
is($node->safe_psql('one', q{select string_agg(name, ' ') from f6.projections where failures > 0 or state not in ('ready', 'stale')}), '', 'and no projection thinks that it failed');

#
# The database and the extension go
#

foreach my $try (1 .. 3)
{
	$node->safe_psql('one', 'select note(i % 40) from generate_series(1, 2000) as i');
	is(sqlstate($node, 'drop extension f6 cascade', database => 'one'), '', 'DROP EXTENSION succeeds while the worker works');
	$node->safe_psql('one', "drop table if exists told, notes, tally, adding cascade; drop function if exists name(int), note(int, jsonb); $setup");
	$node->safe_psql('one', 'select note(i) from generate_series(1, 10) as i');
	becomes($node, 'one', caught_up(), 'and it goes on when there is another f6');
	is($node->safe_psql('one', $flaws . ';' . $fold_flaws), '', 'whose events it takes once');
}
worker_of($node, 'one');
is(sqlstate($node, 'create database copy template one'), '', 'a database with a worker can be copied');
worker_of($node, 'one');
is(sqlstate($node, 'alter database one rename to uno'), '', 'and renamed');
$node->append_conf('postgresql.conf', "f6.databases = 'uno, copy'");
worker_of($node, $_) foreach 'uno', 'copy';
$node->safe_psql($_, "select note(i) from generate_series(1, 10) as i") foreach 'uno', 'copy';
becomes($node, $_, caught_up(), "$_ has a worker under its name") foreach 'uno', 'copy';
is($node->safe_psql('copy', $flaws), '', 'a copy goes on from where it was');
is(sqlstate($node, 'drop database copy'), '', 'a database with a worker can be dropped');
is(sqlstate($node, 'drop database uno with (force)'), '', 'by force, too');
$node->stop;
is(join("\n", logged($node, 0, 'PANIC|TRAP|signal (?:6|11)|already held')), '', 'the server says nothing strange');

#
# Without preload
#

my $plain = new_server('plain', 'restart_after_crash = on', 'max_worker_processes = 3', 'f6.worker_interval = 20ms');
$plain->safe_psql('postgres', 'drop extension f6; ' . $setup);
is($plain->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type ~ '^f6'}), '0', 'without preload there is no launcher');
is($plain->safe_psql('postgres', 'select f6_start_worker() = (select pid from pg_stat_activity where backend_type = ' . "'f6 worker')"), 't', 'f6_start_worker() starts the worker, and returns its process');
is($plain->safe_psql('postgres', 'select count(f6_start_worker()) from generate_series(1, 5)'), '0', 'unless there is one');
$plain->safe_psql('postgres', 'select note(i) from generate_series(1, 10) as i');
becomes($plain, 'postgres', caught_up(), 'projections catch up');
kill_worker($plain, 'postgres');
$plain->poll_query_until('postgres', undef, '');
$plain->safe_psql('postgres', 'select note(1)');
becomes($plain, 'postgres', caught_up(), 'the worker comes back after a crash');
is($plain->safe_psql('postgres', $flaws), '', 'and takes each event once');
is($plain->safe_psql('postgres', 'select pg_terminate_backend(' . worker_of($plain, 'postgres') . ', 5000)'), 't', 'it may be ended');
is(scalar workers($plain, 'postgres'), 0, 'and then stays away');
$plain->safe_psql('postgres', "create database other$_") foreach 1 .. 4;
my $refused = join ' ', map { $plain->safe_psql("other$_", 'create extension f6'); sqlstate($plain, 'select f6_start_worker()', database => "other$_") } 1 .. 4;
like($refused, qr/^( *53000)+$|^ +53000/, 'where there is no room for a worker f6_start_worker() says so');
$plain->stop;

#
# A standby
#

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $_) foreach "shared_preload_libraries = 'f6'", "f6.databases = 'postgres'", 'f6.worker_interval = 20ms';
$primary->start;
$primary->safe_psql('postgres', $setup);
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', 'select note(i) from generate_series(1, 10) as i');
becomes($primary, 'postgres', caught_up(), 'the worker of the primary takes events');
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{select count(*) from pg_stat_activity where backend_type ~ '^f6'}), '0', 'a standby has none');
is(sqlstate($standby, 'select f6_start_worker()'), '25006', 'nor does it start one');
is(sqlstate($standby, 'select f6_refresh()'), '25006', 'nor are projections refreshed there');
$primary->stop;
$standby->promote;
worker_of($standby, 'postgres');
$standby->safe_psql('postgres', 'select note(i) from generate_series(1, 10) as i');
becomes($standby, 'postgres', caught_up(), 'after promotion it has');
is($standby->safe_psql('postgres', $flaws), '', 'which goes on where the other one was');
$standby->stop;

done_testing();
