# The rules hold in every kind of transaction and session, and next to what users add of their own:
# savepoints, CTEs, isolation levels, policies, triggers, indexes, roles.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Rules;
use F6::Server qw(new_server sqlstate);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('transactions', 'max_prepared_transactions = 5');
rules_for($node);

# Short forms: note(n) appends one event, its id and its object follow from n; row(n) are the values for an INSERT.
$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Note', '1', '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}');
select f6_register_zone('here', 'one'), f6_register_zone('here', 'two');
create role writer login in role f6_writer, f6_reader;
create role other in role f6_writer;
grant other to writer;
grant all on schema public to f6_writer;
create function name(n int) returns uuid language sql immutable as $$ select f6_object_id('note', n::text) $$;
create function note(n int, data jsonb default null) returns bigint language sql as
    $$ select position from f6_append('Note', array[name(n)], coalesce(data, jsonb_build_object('n', n)), id => name(n)) $$;
create function notes(variadic n int[]) returns text language sql as
    $$ select string_agg(i::text, ' ' order by o) from unnest(n) with ordinality as u (i, o)
           where exists (select from f6.event where id = name(i)) $$;
SQL
my $columns = '(event_type, object_ids, event_data, id)';

# Returns the values of an event for an INSERT.
sub row
{
	return qq{('Note', array[name($_[0])], '{"n": $_[0]}', name($_[0]))};
}

#
# The log is append-only for everybody
#

$node->safe_psql('postgres', 'select note(1); create view seen as select * from f6.event; create table referring (id uuid references f6.event (id));
    create role master superuser login; alter table f6.event owner to master; grant all on f6.event, f6.event_object, f6.event_link, f6.event_type, f6.schema, f6.zone, seen, referring to writer');
foreach my $setting ('', 'set session_replication_role = replica', "set check_function_bodies = off; select set_config('search_path', '', false)")
{
	my $how = $setting eq '' ? '' : " after $setting";

	foreach my $change (
		'update f6.event set metadata = null', 'update f6.event set id = id where false', 'delete from f6.event',
		'truncate f6.event cascade', 'update public.seen set metadata = null', 'delete from public.seen',
		'truncate f6.event_object', 'delete from f6.event_object', 'update f6.event_object set position = 2',
		'truncate f6.event_link', 'delete from f6.event_link where true', 'update f6.event_link set position = 1',
		'delete from f6.event_type', "update f6.event_type set schema = 'true'", 'truncate f6.event_type', 'truncate f6.zone',
		'delete from f6.schema', "update f6.schema set schema = 'true'", 'truncate f6.schema',
		'delete from f6.zone', 'update f6.zone set zone_id = zone_id + 100',
		'merge into f6.event as e using (values (1)) as v (position) on e.position = v.position when matched then delete',
		'merge into f6.event as e using (values (1)) as v (position) on e.position = v.position
		     when matched then update set metadata = null')
	{
		ends_in('55000', "begin; $setting; $change", "refused$how: $change");
	}
}
foreach my $role (qw(writer master))
{
	ends_in('55000', $_, "refused to $role: $_", role => $role) foreach 'delete from f6.event', 'truncate f6.event cascade';
	ends_in('55000', 'insert into f6.event_object values (name(5), 5)', "refused to $role: a link by hand", role => $role);
}
ends_in('55000', 'copy f6.event_link from stdin;', 'links are not copied in');
ends_in('55000', "insert into f6.event $columns values @{[row(1)]} on conflict (id) do update set metadata = '{}'",
	'ON CONFLICT DO UPDATE is refused');
consistent('append-only');

#
# Savepoints and exceptions
#

adds(2, <<'SQL', 'an error that is caught leaves nothing behind');
do $$ begin
    perform note(10);
    begin perform note(11); perform note(12, '{"n": "bad"}'); exception when check_violation then null; end;
    begin perform note(13); raise 'on purpose'; exception when raise_exception then perform note(14); end;
end $$;
SQL
is(answer('select notes(10, 11, 12, 13, 14)'), '10 14', 'what was appended in a block with an error is gone with it');
adds(3, "begin; select note(20); savepoint a; select note(21); savepoint b; select note(22); release b;
    select note(23); rollback to a; select note(21); release a; savepoint c; select note(24); commit",
	'an event can be appended again after its savepoint was rolled back');
is(answer('select notes(20, 21, 22, 23, 24)'), '20 21 24', 'what was rolled back is gone, also when released before');
ends_in('23505', "begin; select note(31); select note(31, '{\"n\": 1}')", 'other content for an id of the same transaction is refused');
ends_in('23503', "begin; savepoint a; select note(32); rollback to a;
    select f6_append('Note', array[name(33)], '{\"n\": 1}', event_reference => array[name(32)])",
	'an event that was rolled back cannot be referenced');
consistent('savepoints');

#
# One statement
#

adds(4, "with a as (insert into f6.event $columns values @{[row(40)]}, @{[row(41)]} returning id),
    b as (insert into f6.event $columns values @{[row(42)]} returning id), c as (select note(43) from b)
    select (select count(*) from a), (select count(*) from c)", 'a statement may insert events more than once');
adds(1, "insert into f6.event $columns values @{[row(44)]}, @{[row(44)]}", 'an event twice in one statement is added once');
ends_in('23505', "insert into f6.event $columns values @{[row(45)]}, ('Note', array[name(45)], '{\"n\": 1}', name(45))",
	'two events with one id in a statement are refused');
adds(0, "insert into f6.event $columns values @{[row(44)]}", 'an event that is there is not added');
adds(1, "insert into f6.event $columns values @{[row(44)]}, @{[row(46)]} on conflict do nothing", 'ON CONFLICT DO NOTHING adds what is new');
adds(1, "merge into f6.event as e using (values (name(44), 44), (name(47), 47)) as v (id, n) on e.id = v.id
    when not matched then insert $columns values ('Note', array[v.id], jsonb_build_object('n', v.n), v.id)", 'MERGE adds what is new');
adds(2, "insert into f6.event (event_type, object_ids, event_data, id, event_reference)
    values ('Note', array[name(48)], '{\"n\": 1}', name(48), null), ('Note', array[name(49)], '{\"n\": 1}', name(49), array[name(48)])",
	'an event may reference one before it in the same statement');
ends_in('23503', "insert into f6.event (event_type, object_ids, event_data, id, event_reference)
    values ('Note', array[name(50)], '{\"n\": 1}', name(50), array[name(51)]), ('Note', array[name(51)], '{\"n\": 1}', name(51), null)",
	'but not one after it');
ends_in('23503', "insert into f6.event (event_type, object_ids, event_data, id, event_reference)
    values ('Note', array[name(50)], '{\"n\": 1}', name(50), array[name(50)])", 'nor itself');
adds(1, 'select note(52) from generate_series(1, 3)', 'an append repeated in one query is added once');
consistent('one statement');

#
# Kinds of transactions
#

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	adds(3, "begin isolation level $level; select count(*) from f6.event; select note(n) from generate_series(60, 61) as n;
	    insert into f6.event (event_type, object_ids, event_data, event_kind, event_reference)
	        values ('Note', null, '{\"n\": 5}', 'correction', array[name(61)]); commit", "$level transactions append");
	ends_in('', "begin isolation level $level; select note(62);
	    do 'begin if f6_state_asof(name(62)) is null then raise exception using errcode = ''22000''; end if; end'", "$level transactions see what they appended");
	# the next level repeats it all with other ids
	$node->safe_psql('postgres', "create or replace function name(n int) returns uuid language sql immutable as
	    \$\$ select f6_object_id('note $level', n::text) \$\$");
}
ends_in('25006', 'begin read only; select note(70)', 'a read-only transaction appends nothing');
adds(0, "begin; select note(71), note(72); prepare transaction 'one'; begin; select note(73); prepare transaction 'two'", 'prepared transactions are not seen yet');
$node->restart;
adds(2, "commit prepared 'one'; rollback prepared 'two'", 'a prepared transaction commits after a restart, with all its events');
is(answer('select notes(71, 72, 73)'), '71 72', 'the prepared transaction that was rolled back leaves nothing');
consistent('kinds of transactions');

#
# What users add
#

$node->safe_psql('postgres', "create index on f6.event_object (position) where position > 2;
    create index on f6.event_object ((object_id::text)); create unique index on f6.event_link (position, reference_id);
    create index on f6.event using gin (object_ids); create index on f6.event ((event_data ->> 'n')) where event_kind = 'claim'");
adds(4, "select note(80), note(81); insert into f6.event $columns values @{[row(82)]};
    select f6_append('Note', null, null, event_kind => 'validation', event_reference => array[name(80)])", 'indexes of users on the log are kept');
is(answer("set enable_seqscan = off; select count(*) from f6.event_object where object_id::text = name(81)::text"), '1', 'and serve queries');

$node->safe_psql('postgres', <<'SQL');
create table told (n int, position bigint);
create function tell() returns trigger language plpgsql as $$
begin insert into told values ((new.event_data ->> 'n')::int, new.position); return new; end $$;
create trigger tell after insert on f6.event for each row execute function tell();
create function drop_some() returns trigger language plpgsql as $$
begin return case when new.event_data ->> 'n' = '92' then null else new end; end $$;
create trigger a_first before insert on f6.event for each row execute function drop_some();
create trigger z_last before insert on f6.event for each row execute function drop_some();
SQL
adds(2, "select note(90); insert into f6.event $columns values @{[row(91)]}", 'triggers of users run beside those of f6');
is(answer('select string_agg(n::text, chr(32) order by n) from told join f6.event using (position)'), '90 91', 'and see the completed row');
ends_in('55000', 'select note(92)', 'an append that a trigger of the user swallows is an error');
ends_in('55000', "select f6_append('[{\"event_type\": \"Note\", \"object_ids\": [\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"], \"event_data\": {\"n\": 91}},
    {\"event_type\": \"Note\", \"object_ids\": [\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"], \"event_data\": {\"n\": 92}}]')",
	'also in a batch');
consistent('triggers of users');

# A trigger that appends in its turn
$node->safe_psql('postgres', <<'SQL');
drop trigger a_first on f6.event; drop trigger z_last on f6.event; drop trigger tell on f6.event;
create function echo() returns trigger language plpgsql as $$
begin
    if (new.event_data ->> 'n')::int between 100 and 105 then
        perform f6_append('Note', new.object_ids, jsonb_build_object('n', 1000), event_reference => array[new.id]);
    end if;
    return null;
end $$;
create trigger echo after insert on f6.event for each row execute function echo();
SQL
adds(6, "select note(100); insert into f6.event $columns values @{[row(101)]}, @{[row(102)]}", 'a trigger may append events about the one appended');
consistent('triggers that append');

$node->safe_psql('postgres', "drop trigger echo on f6.event; alter table f6.event enable row level security;
    create policy mine on f6.event for insert to f6_writer with check (zone_id = 1);
    create policy shown on f6.event for select to f6_writer using (event_data ->> 'n' <> '112')");
adds(1, 'select note(110)', 'a policy lets an event through', role => 'writer');
ends_in('42501', "set f6.zone = 2; select note(111)", 'a policy on the zone is checked against the zone that f6 fills in', role => 'writer');
ends_in('42501', "set f6.zone = 2; insert into f6.event $columns values @{[row(111)]}", 'also for INSERT', role => 'writer');
$node->safe_psql('postgres', 'select note(112)');
adds(0, 'select note(112)', 'an append is repeated without effect, though a policy hides the event', role => 'writer');
adds(1, "select f6_append('Note', array[name(113)], '{\"n\": 1}', event_reference => array[name(112)])",
	'an event that a policy hides may be referenced', role => 'writer');
$node->safe_psql('postgres', 'alter table f6.event disable row level security');
consistent('policies');

#
# The registry and the zones, as they change
#

ends_in('42704', "begin; savepoint a; select f6_register_event_type('Brief', '1', 'true');
    select f6_append('Brief', array[name(1)], '1'); rollback to a; select f6_append('Brief', array[name(1)], '1')",
	'a type whose registration was rolled back is unknown');
ends_in('23514', "select f6_register_event_type('Brief', '1', 'true'); begin; select f6_register_event_type('Brief', '2', 'false'); rollback;
    select f6_append('Brief', array[name(1)], '1'); select f6_register_event_type('Brief', '2', 'false');
    select f6_append('Brief', array[name(1)], '1')", 'the newest version is the one whose registration stands');
ends_in('42704', "begin; savepoint a; insert into f6.zone values (50, 'a', 'b'); select f6_append('Note', array[name(1)], '{\"n\": 1}', zone_id => 50);
    rollback to a; select f6_append('Note', array[name(1)], '{\"n\": 1}', zone_id => 50)", 'a zone whose registration was rolled back does not exist');
ends_in('42704', "begin; set f6.zone = 'b'; savepoint a; insert into f6.zone values (50, 'a', 'b'); select note(119);
    rollback to a; select note(119)", 'nor by its name');
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query(q{begin; savepoint s; select f6_append('Later', array[name(1)], '1'); rollback to s});
$node->safe_psql('postgres', q{select f6_register_event_type('Later', 'first', 'true')});
$session->{stderr} = '';
is($session->query_safe(q{select (f6_append('Later', array[name(1)], '1')).id is not null}), 't',
	'a type that another session registered is known in the next statement');
$node->safe_psql('postgres', q{select f6_register_event_type('Later', 'second', '{"const": 2}')});
$session->query(q{select f6_append('Later', array[name(1)], '1')});
like($session->{stderr}, qr/version "second"/, 'and so is its next version');
$session->{stderr} = '';
$node->safe_psql('postgres', q{set session_replication_role = replica;
    insert into f6.event_type values ('Later', 'third', 1000, '{"const": 3}', null, false, true)});
$session->query(q{rollback; select f6_append('Later', array[name(1)], '1')});
like($session->{stderr}, qr/version "third"/, 'also when replication brought it');
$session->{stderr} = '';
$session->query(q{set f6.zone = 'here/one'; select f6_append('Note', array[name(120)], '{"n": 120}')});
$node->safe_psql('postgres', "update f6.zone set name = 'uno' where name = 'one'");
$session->query(q{select f6_append('Note', array[name(121)], '{"n": 121}')});
like($session->{stderr}, qr/zone "here\/one" does not exist/, 'the old name of a renamed zone is unknown at once');
$session->{stderr} = '';
$session->query_safe(q{set f6.zone = 'uno'; select f6_append('Note', array[name(122)], '{"n": 122}'); set f6.zone = 'two'; select f6_append('Note', array[name(123)], '{"n": 123}');
    begin; set local f6.zone = '1'; select f6_append('Note', array[name(124)], '{"n": 124}'); commit; select f6_append('Note', array[name(125)], '{"n": 125}')});
is(answer("select string_agg(zone_id::text, ' ' order by position) from f6.event where event_data ->> 'n' between '122' and '125'"),
	'2 3 1 3', 'an event goes to the zone of the moment');
$session->quit;
consistent('registry');

#
# Who appended
#

$node->safe_psql('postgres', "create function appending(n int) returns bigint language sql security definer as 'select note(n)'");
adds(3, 'select note(130); set role other; select note(131); reset role; select appending(132)', 'a member of a writer appends in its name', role => 'writer');
ends_in('42501', 'set role f6_reader; select note(133)', 'a role that was set counts', role => 'writer');
is(answer("select distinct appended_by, application_name from f6.event where event_data ->> 'n' between '130' and '132'"),
	'writer|036_transactions.pl', 'the session user is who appended');
consistent('roles');

# What the owner adds to a table of f6 holds, also where f6_append does not need a statement.
foreach my $addition (
	[ 'alter table f6.event alter column event_source_type set not null', '23502', 'NOT NULL of a column of the log' ],
	[ 'alter table f6.event_object add column extra text not null', '23502', 'NOT NULL of a column added to the links' ],
	[ 'create table object (id uuid primary key); alter table f6.event_object add foreign key (object_id) references object', '23503', 'a foreign key of the links' ],
	[ 'create table known (id uuid primary key); alter table f6.event_link add foreign key (reference_id) references known', '23503', 'a foreign key of the references' ])
{
	my ($change, $expected, $name) = @$addition;

	$node->safe_psql('postgres', "create database added");
	is(sqlstate($node, "create extension f6; select f6_register_event_type('Note', '1', 'true'); $change;
		select f6_append('Note', array[f6_object_id('a', 'b')], '1', id => f6_object_id('c', 'd'), event_source_type => case when '$expected' = '23503' then 'x' end);
		select f6_append('Note', array[f6_object_id('a', 'b')], '1', event_reference => array[f6_object_id('c', 'd')])", database => 'added'), $expected, $name);
	$node->safe_psql('postgres', "drop database added");
}

# A column that the owner adds to a table of f6 is kept, or refused; the server lives on.
$node->safe_psql('postgres', 'alter table f6.event add column extra text, add column another text');
foreach my $append ('select note(140)', "insert into f6.event $columns values @{[row(141)]}", 'select f6_state_asof(name(1))')
{
	my $state = eval { sqlstate($node, $append) };

	like(defined $state ? $state : $@, qr/^(55000)?$/, "with columns added to the log: $append");
	$node->poll_query_until('postgres', undef, '');
}
consistent('columns added');

$node->stop;
done_testing();
