# Commands of many sessions at a time: each decides on what is true when it appends, nothing fails, and nothing is done twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server broken_links);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 16;
my $node = new_server('commands', 'max_connections = 40', 'fsync = off', 'deadlock_timeout = 200ms');

# Returns the answer to a query.
sub answer
{
	return $node->safe_psql('postgres', shift);
}

# Runs scripts of pgbench in so many sessions, each so many times; a script may have a weight. It returns what pgbench prints.
sub storm
{
	my ($times, @scripts) = @_;
	my ($output, @files) = ('');

	foreach my $script (@scripts)
	{
		my ($text, $weight) = ref $script ? @$script : ($script, 1);
		my $file = $node->basedir . '/script' . @files . '.sql';

		unlink $file;
		append_to_file($file, $text);
		push @files, '-f', "$file\@$weight";
	}
	ok(IPC::Run::run([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $times, '-D', 'n=0', @files, $node->connstr('postgres') ], '>&', \$output),
		'no session ends early')
	  or diag substr($output, 0, 2000);
	like($output, qr/number of failed transactions: 0 /, 'no transaction fails') or diag substr($output, 0, 2000);
	return $output;
}

answer(<<'SQL');
select f6_register_event_type(name, '1', 'true') from unnest('{Taken,Refused,Invoiced,Counted,Done}'::text[]) as name;
create table outcome (what text, n int, status text, reason text, ids uuid[], attempts int);
create function o(kind text, key text) returns jsonb language sql immutable as $$ select to_jsonb(public.f6_object_id(kind, key)) $$;
create function take(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    if state is not null then
        raise exception 'taken';
    end if;
    return jsonb_build_object('event_type', 'Taken', 'event_data', payload, 'object_ids', jsonb_build_array(public.o('seat', payload ->> 'seat')));
end $$;
select f6_create_command('take', 'take(jsonb, jsonb)', context => '{"types": ["Taken"], "objects": [{"kind": "seat", "key": "$.seat"}]}');
create function invoice(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    return jsonb_build_object('event_type', 'Invoiced', 'event_data', jsonb_build_object('number', coalesce((state ->> 'last')::int, 0) + 1),
        'object_ids', jsonb_build_array(public.o('series', payload ->> 'series')));
end $$;
select f6_create_command('invoice', 'invoice(jsonb, jsonb)', context => '{"types": ["Invoiced"], "objects": [{"kind": "series", "key": "$.series"}]}',
    fold => '{"Invoiced": [{"op": "max", "path": "/last", "from": "$.data.number"}]}');
-- Commands whose contexts are types, an object, or both.
create function count_up(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    return jsonb_build_array(
        jsonb_build_object('event_type', 'Counted', 'event_data', jsonb_build_object('n', coalesce((state ->> 'n')::int, 0) + 1),
                           'object_ids', jsonb_build_array(public.o('counter', 'x'))),
        jsonb_build_object('event_type', 'Done', 'event_data', '{}'::jsonb, 'object_ids', jsonb_build_array(public.o('done', 'y'))));
end $$;
select f6_create_command('count by ' || name, 'count_up(jsonb, jsonb)', context => context, fold => '{"Counted": [{"op": "max", "path": "/n", "from": "$.data.n"}]}')
    from (values ('type', '{"types": ["Counted"]}'::jsonb), ('object', '{"objects": [{"kind": "counter", "key": "x"}]}'),
                 ('both', '[{"types": ["Counted"]}, {"types": ["Done"], "objects": [{"kind": "done", "key": "y"}]}]')) as context (name, context);
create function done(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    return jsonb_build_object('event_type', 'Done', 'event_data', payload, 'object_ids', jsonb_build_array(public.o('done', payload ->> 'n')));
end $$;
select f6_create_command('do', 'done(jsonb, jsonb)');
SQL

# One seat, sixteen who want it.
storm(60, <<'SQL');
\set n :n + 1
insert into outcome select 'seat', :n, status, reason, ids, attempts from f6_execute('take', jsonb_build_object('seat', :n::text, 'client', :client_id));
SQL
is(answer(q{select count(*), min(accepted), max(accepted), min(rejected), max(rejected) from (
		select n, count(*) filter (where status = 'accepted') as accepted, count(*) filter (where reason = 'taken') as rejected
		from outcome where what = 'seat' group by n) as seat}), '60|1|1|15|15', 'each seat goes to one, and is refused to the others');
is(answer(q{select count(*), count(distinct event_data -> 'seat') from f6.event}), '60|60', 'as the log says');
cmp_ok(answer(q{select count(*) from outcome where attempts = 2}), '>', 0, 'some have tried again');
is(answer(q{select max(attempts) <= 2 from outcome}), 't', 'and nobody more than once, since then nobody comes between');

# Invoices, some of which are rolled back.
storm(60, <<'SQL');
\set series random(1, 2)
\set fate random(1, 3)
begin;
select f6_execute('invoice', jsonb_build_object('series', :series::text));
\if :fate = 1
rollback;
\else
commit;
\endif
SQL
is(answer(q{select bool_and(numbers = array(select generate_series(1, cardinality(numbers)))) and count(*) = 2 and min(cardinality(numbers)) > 100
	from (select array_agg((event_data ->> 'number')::int order by position) as numbers from f6.event where event_type = 'Invoiced' group by object_ids) as series}),
	't', 'invoices are numbered from 1, in order, without gaps');

# Contexts that are locked in different ways don't deadlock.
storm(40, map { "insert into outcome select 'count', 0, status, reason, ids, attempts from f6_execute('count by $_');\n" } qw(type object both));
is(answer(q{select array_agg((event_data ->> 'n')::int order by position) = array(select generate_series(1, 640)) from f6.event where event_type = 'Counted'}),
	't', 'all have counted');

# Commands that append to an object that only the state tells take locks out of order; they don't fail of that.
answer(<<'SQL');
create function pass_on(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
declare
    n int := coalesce((state ->> 'n')::int, 0);
    to_whom int := ((payload ->> 'from')::int + 1 + n % 3) % 4;
begin
    return jsonb_build_object('event_type', 'Counted', 'event_data', jsonb_build_object('n', n + 1),
        'object_ids', jsonb_build_array(public.o('box', payload ->> 'from'), public.o('box', to_whom::text)));
end $$;
select f6_create_command('pass on', 'pass_on(jsonb, jsonb)', attempts => 20, context => '{"objects": [{"kind": "box", "key": "$.from"}]}');
SQL
my $deadlocks = answer(q{select deadlocks from pg_stat_database where datname = current_database()});
storm(20, "\\set from random(0, 3)\ninsert into outcome select 'box', 0, status, reason, ids, attempts from f6_execute('pass on', jsonb_build_object('from', (:from)::text));\n");
cmp_ok(answer(q{select deadlocks from pg_stat_database where datname = current_database()}), '>', $deadlocks, 'there were deadlocks');
is(answer(q{select count(*), count(distinct ids), bool_and(status = 'accepted') from outcome where what = 'box'}), '320|320|t', 'but none was an error');

# One key, sixteen who use it, some of whom fail.
storm(60, [ <<'SQL', 4 ], [ <<'SQL', 1 ]);
\set n :n + 1
insert into outcome select 'key', :n, status, reason, ids, attempts from f6_execute('do', jsonb_build_object('n', :n), idempotency_key => 'key ' || :n);
SQL
\set n :n + 1
begin;
select f6_execute('do', jsonb_build_object('n', :n), idempotency_key => 'key ' || :n);
rollback;
SQL
is(answer(q{select count(*), max(events), max(done), max(outcomes) from (
		select n, count(*) filter (where attempts = 1) as done, count(distinct ids) as outcomes,
		       (select count(*) from f6.event where event_type = 'Done' and event_data = jsonb_build_object('n', n)) as events
		from outcome where what = 'key' group by n) as key}), '60|1|1|1', 'what is to be done is done once, and all are told the same');
is(answer(q{select count(*) from f6.command_run}), '60', 'of each key one run is known');
# A command is that of after the wait for a key.
{
	my ($first, $second) = map { $node->background_psql('postgres') } 1 .. 2;

	answer(q{create schema old; create function old.h(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select '{"rejected": "old"}'::jsonb $$;
		select f6_create_command('changed', 'old.h(jsonb, jsonb)')});
	$second->query_safe(q{select f6_execute('changed')});
	$first->query_safe(q{begin; select f6_execute('changed', idempotency_key => 'x')});
	$second->query_until(qr/began/, "\\echo began\nselect 'reason ' || reason from f6_execute('changed', idempotency_key => 'x');\n");
	ok($node->poll_query_until('postgres', q{select count(*) > 0 from pg_locks where locktype = 'advisory' and not granted}), 'a key is waited for');
	answer(q{begin; create schema new; create function new.h(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select '{"rejected": "new"}'::jsonb $$;
		select f6_drop_command('changed'), f6_create_command('changed', 'new.h(jsonb, jsonb)'); drop function old.h; commit});
	$first->query_safe('rollback');
	like($second->query_safe("select 'done'"), qr/reason new\ndone/, 'and then the command is run as it is then');
	$_->quit foreach $first, $second;
}
is(broken_links($node), '', 'the links are those of the log');

$node->stop;
done_testing();
