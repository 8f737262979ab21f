# Projections while others are at work: made, refreshed and rebuilt under load, by several sessions, through crashes, dumped and restored.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server sqlstate);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('projections', 'maintenance_work_mem = 1MB', 'max_connections = 40');

# Returns the answer to a query.
sub answer
{
	my ($query, $database) = @_;

	return $node->safe_psql($database || 'postgres', $query);
}

# Starts a script in a session of its own, which may act as a role; it returns what ends that.
sub begin
{
	my ($script, $name, $role) = @_;
	local $ENV{PGOPTIONS} = defined $role ? "-c role=$role" : '';
	my ($output, $errors) = ('', '');
	my $session = start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=$name", '-c', $script ],
		'>', \$output, '2>', \$errors);

	return sub { $session->finish; return "$output$errors" };
}

# Waits until a query returns true.
sub wait_until
{
	my ($query) = @_;

	$node->poll_query_until('postgres', $query) or die "in vain: $query";
	return;
}

# Returns how many rows of a projection of objects differ from what its fold makes of the log.
sub differences
{
	my ($name, $database) = @_;

	return answer(qq{select count(*) from (select o.object_id, f6_state_asof(o.object_id, 'infinity', 'infinity', '$name') as state
		from (select distinct object_id from f6.event_object) as o) as s full join "$name" as t using (object_id) where s.state is distinct from t.state}, $database);
}

answer(<<'SQL');
select f6_register_event_type(t, '1', 'true') from unnest('{Counted,Noted,Ended}'::text[]) as t;
create function o(n int) returns uuid language sql as $$ select f6_object_id('counter', n::text) $$;
create function public.slow(state jsonb, event f6.event) returns jsonb stable language plpgsql as $$
begin
    perform pg_sleep(0.001);
    return coalesce(state, '{}') || event.event_data;
end $$;
create table public.handled (id uuid primary key, type text);
create function public.handle(event f6.event) returns void language sql as $$ insert into public.handled values (event.id, event.event_type) $$;
create table public.handled_later (like public.handled including all);
create function public.handle_later(event f6.event) returns void language sql as $$ insert into public.handled_later values (event.id, event.event_type) $$;
-- Appends a claim about some objects, in any order of material time, or a correction.
create procedure work(objects int) language plpgsql as $$
declare
    chance float := random();
begin
    if chance < 0.8 or not exists (select from f6.event) then
        perform f6_append((array['Counted', 'Noted', 'Ended'])[1 + floor(random() * 2.2)], array(select distinct o(1 + floor(random() * objects)::int) from generate_series(1, 1 + floor(random() * 3)::int)),
            jsonb_build_object(chr(97 + floor(random() * 4)::int), floor(random() * 100)),
            occurred_at => case when chance < 0.2 then timestamptz '2020-01-01' + random() * interval '1 year' end);
    else
        perform f6_append('Noted', null, case when chance < 0.9 then 'null' else '{"a": 1}' end::jsonb, event_kind => 'correction',
            event_reference => (select array[e.id] from f6.event as e where e.position >= (select floor(random() * max(position)) from f6.event) order by e.position limit 1));
    end if;
end $$;
do $$ begin for n in 1 .. 2000 loop call work(60); if n % 100 = 0 then commit; end if; end loop; end $$;
SQL

# Under load: made, refreshed and rebuilt.
my $fold = q{'{"Counted": [{"op": "count", "path": "/n"}, {"op": "set", "path": "/last", "from": "$.data"}], "Noted": "merge", "Ended": [{"op": "delete"}]}'};
my $work = $node->basedir . '/work.sql';
my $read = $node->basedir . '/read.sql';
append_to_file($work, "call work(60);\n");
append_to_file($read, "set lock_timeout = 100;\nselect count(*) from \"now\";\n");
my ($load_out, $load_errors, $read_out, $read_errors) = ('', '', '', '');
answer(qq{select f6_create_projection('now', null, $fold, 'inline')});
my $load = start([ 'pgbench', '-n', '-c', 6, '-T', 12, '-f', $work, '--max-tries=100', $node->connstr('postgres') ], '>', \$load_out, '2>', \$load_errors);
my $readers = start([ 'pgbench', '-n', '-c', 2, '-T', 12, '-f', $read, $node->connstr('postgres') ], '>', \$read_out, '2>', \$read_errors);
answer(qq{select f6_create_projection('made', null, $fold, 'inline')});
answer(q{select f6_create_projection('handled', null, handler => 'public.handle(f6.event)', mode => 'inline')});
answer(q{select f6_create_projection('handled later', null, handler => 'public.handle_later(f6.event)')});
answer(qq{select f6_create_projection('later', null, $fold)});
answer(qq{select f6_create_projection('by_type', null, '{"*": [{"op": "count", "path": "/n"}]}', 'inline', key => 'event_type')});
foreach my $round (1 .. 3)
{
	answer("select f6_refresh(name) from f6.projection");
	answer("call f6_rebuild('now', $round)");
	answer("call f6_rebuild('later', $round)");
	answer("call f6_rebuild('by_type', $round)");
}
my $ended = qr/^(?:NOTICE:  another session has ended the rebuild of projection "\w+"\n)?$/;
my @rebuilders = map { begin("call f6_rebuild('now', 6)", "sharing$_") } 1 .. 3;
like($_->(), $ended, 'several sessions may rebuild one projection') foreach @rebuilders;
$load->finish;
$readers->finish;
unlike($load_errors, qr/aborted|ERROR/, 'nobody who appends fails');
unlike($read_errors, qr/aborted|ERROR/, 'and nobody who reads waits');
cmp_ok(answer('select count(*) from f6.event'), '>', 2500, 'while events are appended');
answer("select f6_refresh(name) from f6.projection");
is(differences($_), 0, "$_ has the states of its fold after all") foreach qw(now made later);
is(answer('select count(*) from f6.event as e full join handled as h using (id) where e.id is null or h.id is null'), 0, 'the inline handler had each event once');
is(answer('select count(*) from f6.event as e full join handled_later as h using (id) where e.id is null or h.id is null'), 0, 'so had the asynchronous one');
is(answer('select count(*) from (table "now" except table later) as d'), 0, 'rows say the same of their events however they came about');
answer(q{create table kept as table by_type; call f6_rebuild('by_type')});
is(answer('select count(*) from by_type as b full join kept as k using (key) where b is distinct from k'), 0, 'with another key too');
is(answer('select count(*) from f6.rebuild') . answer(q{select count(*) from pg_class where relname like 'f6\_rebuild\_%'}), '00', 'nothing is left of the rebuilds');
answer(q{select f6_drop_projection(n) from unnest('{handled,handled later,by_type,made}'::text[]) as n});

# The last transaction of a rebuild: readers read on, who appends waits for an inline projection, and for no other.
sub last_step
{
	my ($name) = @_;

	answer("select f6.begin_rebuild('$name', 1)");
	1 while answer("select f6.take_rebuild_part('$name')") eq 't';
	my $end = begin("begin; select f6.put_rebuild('$name'); select pg_sleep(2); select f6.drop_rebuild('$name'); commit", 'last');
	wait_until(q{select exists (select from pg_stat_activity where application_name = 'last' and wait_event = 'PgSleep')});
	my @waits = map { sqlstate($node, "set statement_timeout = 300; $_") } "select count(*) from \"$name\"", 'call work(5)';
	is($end->(), "t\n\nt\n", "the last transaction of $name ends");
	return join ',', @waits;
}
is(last_step('later'), ',', 'nobody waits for an asynchronous projection');
is(last_step('now'), ',57014', 'who appends waits for an inline one, not who reads');
answer("select f6_refresh('later')");
is(differences($_), 0, "$_ is right") foreach qw(now later);

# Cancelled, ended, crashed: what was done is not done again.
answer(q{select f6_create_projection('slow', '{Noted}', '{"*": {"function": "public.slow(jsonb,f6.event)"}}'); select f6_refresh('slow')});
my $helpers = q{select count(*) from pg_stat_activity where backend_type = 'f6 rebuild helper'};
sub rebuild_until_second_part
{
	my $rebuild = begin(q{call f6_rebuild('slow', 4)}, 'rebuild');

	# As many processes help as max_parallel_maintenance_workers says; they may be done soon after the first part.
	wait_until("select ($helpers) = 2");
	wait_until('select count(*) > 0 from f6.rebuild where "position" = until');
	return $rebuild;
}
answer(q{select f6_change_fold('slow', '{"*": {"function": "public.slow(jsonb,f6.event)"}, "Ended": "ignore"}')});
my $rebuild = rebuild_until_second_part();
is(answer(q{select state from f6_projections() where name = 'slow'}), 'rebuilding', 'a rebuild shows');
like(answer(q{select done > 0 and done < total and events > 0 and events_per_second > 0 and remaining > '0 s' from f6.rebuild_progress where name = 'slow'}), qr/^t$/, 'with its progress');
answer(q{select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'rebuild'});
like($rebuild->(), qr/canceling statement due to user request/, 'it can be interrupted');
wait_until("select ($helpers) = 0");
my $done = answer('select sum("position") from f6.rebuild');
cmp_ok($done, '>', 0, 'what it has done stays');
answer('call work(60)');
$rebuild = begin(q{call f6_rebuild('slow')}, 'rebuild');
wait_until("select coalesce(sum(\"position\"), 9e15) > $done from f6.rebuild");
$node->stop('immediate');
like($rebuild->(), qr/server closed the connection|terminating connection|connection to server/, 'a server that crashes ends it');
$node->start;
cmp_ok(answer('select coalesce(sum("position"), 0) from f6.rebuild'), '>', $done, 'what it has done stays as well');
is(answer(q{select parts from f6.rebuild limit 1}), 4, 'in the parts that it began with');
@rebuilders = map { begin("call f6_rebuild('slow')", "sharing$_") } 1 .. 2;
wait_until(q{select (select count(*) from f6.rebuild) = 0 or (select count(*) from pg_stat_activity where application_name like 'sharing%' and state = 'active' and wait_event_type is distinct from 'Lock') = 2});
like($_->(), $ended, 'a later call goes on') foreach @rebuilders;
is(answer(q{select state from f6_projections() where name = 'slow'}), 'ready', 'and ends it');
is(differences('slow'), 0, 'right');
answer('set max_parallel_maintenance_workers = 0; ' . "call f6_rebuild('slow', 2)");
is(differences('slow'), 0, 'without help too');
answer(q{create role maker; grant f6_admin, f6_reader to maker; grant create on schema public to maker});
answer(q{set role maker; select f6_create_projection('of maker', '{Noted}', '{"*": {"function": "public.slow(jsonb,f6.event)"}}', mode => 'inline')});
$rebuild = begin(q{call f6_rebuild('of maker', 3)}, 'rebuild', 'maker');
wait_until("select ($helpers) = 2");
is($rebuild->(), '', 'who acts as another role has help as that');
is(differences('of maker'), 0, 'and the right rows');
wait_until("select ($helpers) = 0");
answer(q{select f6_drop_projection('of maker'); drop owned by maker; drop role maker});
# Helpers work whatever the defaults are, and end with the session that has started them.
answer(q{alter database postgres set default_transaction_read_only = on; alter database postgres set default_transaction_isolation = 'serializable'});
$rebuild = begin(q{begin isolation level read committed read write; select f6.begin_rebuild('slow', 4); commit; select f6.help_rebuild('slow'); select pg_sleep(60)}, 'rebuild');
wait_until("select ($helpers) = 2");
answer(q{select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rebuild'});
like($rebuild->(), qr/terminating connection/, 'a session that helpers work for ends');
wait_until("select ($helpers) = 0");
answer(q{set default_transaction_read_only = off; alter database postgres reset default_transaction_read_only; alter database postgres reset default_transaction_isolation});
cmp_ok(answer('select count(*) from f6.rebuild where "position" < until'), '>', 0, 'and they with it');
answer(q{select f6_cancel_rebuild('slow')});
$rebuild = rebuild_until_second_part();
answer(q{select f6_cancel_rebuild('slow')});
is($rebuild->(), qq{NOTICE:  another session has ended the rebuild of projection "slow"\n}, 'a rebuild that is cancelled ends, and says so');
is(answer('select count(*) from f6.rebuild') . answer(q{select count(*) from pg_class where relname like 'f6\_rebuild\_%'}), '00', 'with nothing left');
is(differences('slow'), 0, 'the rows are those of before');

# A dump, with a rebuild under way.
answer(qq{select f6_create_projection('live', null, $fold, 'live'); create schema "a schema"});
answer(q{select f6_create_projection('typed', '{Noted}', mode => 'inline', into_table => '"a schema"."Typed"', columns => '{"a": "numeric", "b": {"type": "text", "path": "/b"}}', key => 'event_data ->> ''a''')});
answer(q{truncate handled; truncate handled_later; select f6_create_projection('handled', '{Counted}', handler => 'public.handle(f6.event)', mode => 'inline')});
answer(q{create index typed_by_b on "a schema"."Typed" (b); select f6_change_fold('later', '"merge"')});
answer("select f6.begin_rebuild('later', 2), f6.take_rebuild_part('later')");
my $all = q{select 'now', md5(string_agg(t::text, '' order by t::text)) from "now" as t union all select 'later', md5(string_agg(t::text, '' order by t::text)) from later as t
	union all select 'live', md5(string_agg(t::text, '' order by t::text)) from live as t union all select 'typed', md5(string_agg(t::text, '' order by t::text)) from "a schema"."Typed" as t
	union all select 'handled', md5(string_agg(t::text, '' order by t::text)) from handled as t union all select 'progress', md5(string_agg(t::text, '' order by t::text)) from f6.projection_progress as t where projection_id > 0
	union all select 'end', md5(string_agg(t::text, '' order by t::text)) from f6.projection_end as t where projection_id > 0
	union all select 'projection', md5(string_agg(t::text, '' order by t::text)) from f6.projection as t};
my $before = answer($all);
my @connection = ('-h', $node->host, '-p', $node->port);
my $file = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', $file, 'postgres' ], 'a database with projections is dumped');
foreach my $way ([ 'at once', [] ], [ 'in parallel', ['-j2'] ], [ 'schema and data apart', ['-s'], ['-a'] ])
{
	my ($how, @steps) = @$way;
	my $copy = 'copy_' . ($how =~ s/\W/_/gr);

	answer("create database $copy template template0");
	$node->command_ok([ 'pg_restore', '-e', @connection, @$_, '-d', $copy, $file ], "and restored $how") foreach @steps;
	is(answer($all, $copy), $before, "$how: all rows are as they were");
	is(answer(q{select string_agg(name || ' ' || state, ', ' order by name) from f6_projections()}, $copy),
		'handled ready, later stale, live ready, now ready, slow ready, typed ready', "$how: projections are what they were");
	my $count = answer('select count(*) from handled', $copy);
	answer(q{select f6_append('Counted', array[f6_object_id('counter', '1')], '{}'), f6_append('Noted', array[f6_object_id('counter', '2')], '{"a": 4711, "b": "new"}')}, $copy);
	is(answer('select count(*) from handled', $copy), $count + 1, "$how: inline handlers go on");
	is(answer('select a, b from "a schema"."Typed" where key = \'4711\'', $copy), '4711|new', "$how: so do inline projections");
	is(differences('now', $copy), 0, "$how: that are right");
	is(answer(q{select f6_refresh('later') >= 2}, $copy), 't', "$how: asynchronous ones are refreshed from where they were");
	is(sqlstate($node, 'delete from "now"', database => $copy), '55000', "$how: tables are guarded");
	answer(q{call f6_rebuild('later', 2)}, $copy);
	is(differences('later', $copy), 0, "$how: a rebuild begins anew");
	is(answer(q{select count(*) from pg_class where relname like 'f6\_rebuild\_%'}, $copy), 0, "$how: and leaves nothing");
}

$node->stop;
done_testing();
