# Hostile input ends in a clear error or is stored as it is; it never harms the server or the log.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Rules;
use F6::Server qw(new_server sqlstate);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('hostile');
my $object = "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'";
my $types = q{select f6_register_event_type('Any', '1', 'true');
    select f6_register_event_type('Note', '1', '{"type": "object", "properties": {"n": {"type": "integer"}, "since": {"type": "string"}}}', '/since')};

rules_for($node);
$node->safe_psql('postgres', "$types; create role writer login in role f6_writer, f6_reader; grant all on schema public to f6_writer");

# Returns f6_append of one event, with some arguments given otherwise.
sub append
{
	my (%given) = @_;
	my %arguments = (event_type => "'Any'", object_ids => "array[$object]::uuid[]", event_data => "'{}'", %given);

	return 'select f6_append(' . join(', ', map { "$_ => $arguments{$_}" } sort keys %arguments) . ')';
}

#
# Arguments
#

my $nulls = join ', ', map { "$_ => null" }
  qw(event_type object_ids event_data event_version event_kind occurred_at event_reference event_source_id event_source_type metadata id zone_id created_at);
ends_in('22004', "select f6_append($nulls)", 'NULL for everything is refused');
ends_in('22004', 'insert into f6.event default values', 'an empty row is refused');
ends_in('22004', 'select f6_append(null::jsonb)', 'NULL for a batch is refused');
adds(0, q{select f6_append('[]')}, 'an empty batch adds nothing');
ends_in('22023', "select f6_append('$_')", "a batch like this is refused: $_")
  foreach '1', 'null', '"x"', '[[]]', '[1]', '[null]', '[{"": 1}]', '[{"event_type": 1}]', '[{"event_type": "Any", "object_ids": "x"}]',
  '[{"event_type": "Any", "object_ids": [1]}]', '[{"event_type": "Any", "object_ids": [null]}]', '[{"event_type": "Any", "object_ids": [[]]}]',
  '[{"event_type": "Any", "object_ids": {}}]', '[{"zone_id": "1"}]', '[{"zone_id": 1.5}]', '[{"event_type": {}}]', '[{"id": 5}]', '[{"tableoid": 1}]';
ends_in('22004', 'select f6_append(\'[{}]\')', 'an event without anything is refused');
ends_in('22P02', "select f6_append('[{\"$_\": \"x\"}]')", "no $_ is read from nonsense") foreach qw(id event_kind event_source_id);
ends_in('22003', q{select f6_append('[{"zone_id": 3000000000}]')}, 'a zone number out of range is refused');
ends_in('22007', q{select f6_append('[{"occurred_at": "soon"}]')}, 'a time is not read from nonsense');
ends_in('42704', append(zone_id => $_), "zone $_ does not exist") foreach 0, -1, 2147483647;
adds(1, append(object_ids => "'[0:1]={6ba7b811-9dad-11d1-80b4-00c04fd430c8,6ba7b812-9dad-11d1-80b4-00c04fd430c8}'"), 'arrays may begin at 0');
adds(1, append(event_reference => "'{}'"), 'an empty array of references is none');
adds(1, append(event_reference => "(select array_agg(id) from f6.event)::uuid[]", object_ids => "'[-5:-5]={6ba7b811-9dad-11d1-80b4-00c04fd430c8}'"), 'arrays may begin below 0');
ends_in('22P05', append(event_data => q('"\u0000"')), 'the character NUL is refused');
adds(1, append(event_data => q('"\ud83d\ude00 \uffff é"')), 'other characters are not');
consistent('arguments');

#
# Sizes
#

adds(1, append(object_ids => 'array(select gen_random_uuid() from generate_series(1, 100000))'), 'an event may be about 100,000 objects');
adds(1, append(event_kind => "'correction'", object_ids => 'null', event_data => "'null'",
		event_reference => 'array(select id from f6.event order by position desc limit 1)'), 'which a correction takes over');
ends_in('22023', append(object_ids => "array(select gen_random_uuid() from generate_series(1, 100000)) || array_fill($object\::uuid, array[2])"),
	'one of them twice is found');
ends_in('23503', append(event_reference => 'array(select gen_random_uuid() from generate_series(1, 20000))'), '20,000 missing references are refused');
adds(1, append(event_data => q{to_jsonb(repeat('long ', 2000000))}), 'a string of 10 MB is stored');
adds(1, append(metadata => q{to_jsonb(repeat('x', 10000000))}, event_source_type => q{repeat('y', 1000000)}), 'and so are large metadata');
ends_in('42704', append(event_type => q{repeat('type', 1000000)}), 'a very long type name is unknown');
ends_in('42704', append(event_type => q{'%s%n%d'}, event_version => q{'%s%n'}), 'a type name like a format is unknown');
ends_in('42704', append(event_version => q{repeat('1', 1000000)}), 'a very long version is unknown');
is(sqlstate($node, q{select f6_register_event_type(repeat('type', 200), repeat('v', 200), 'true')}), '', 'a type may have a name of 800 characters');
adds(1, append(event_type => q{repeat('type', 200)}), 'and events');
like(sqlstate($node, q{select f6_register_event_type((select string_agg(md5(n::text), '') from generate_series(1, 1000) as n), '1', 'true')}),
	qr/^54000$/, 'a type name that no index can hold is refused');
adds(100000, q{select count(*) from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Note', 'object_ids',
    array[f6_object_id('n', (n % 1000)::text), f6_object_id('m', n::text)], 'event_data', jsonb_build_object('n', n)))
    from generate_series(1, 100000) as n))}, 'a batch may hold 100,000 events');
ends_in('23514', q{select count(*) from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Note', 'object_ids',
    array[f6_object_id('n', n::text)], 'event_data', jsonb_build_object('n', case when n = 20000 then n / 3.0 else n end)))
    from generate_series(1, 20000) as n))}, 'and is refused whole for its last event');
foreach my $depth (map { $_ * 1000 } 1 .. 12, 100)
{
	foreach my $nested ("(repeat('[', $depth) || repeat(']', $depth))::jsonb", "(repeat('{\"a\":', $depth) || '1' || repeat('}', $depth))::jsonb")
	{
		my $event = append(event_data => $nested, object_ids => "array[f6_object_id('deep', '$depth')]");
		my $state = sqlstate($node, $event);

		like($state, qr/^(54000|54001)?$/, "data $depth deep is stored, or is too deep");
		ends_in('', "select f6_state_asof(f6_object_id('deep', '$depth'))", "what is stored $depth deep can be folded") if $state eq '';
		like(sqlstate($node, append(event_type => "'Note'", event_data => $nested)), qr/^(54000|54001|23514)?$/, "and checked: $depth deep");
	}
}
like(sqlstate($node, "select f6_append((repeat('[', 5000) || repeat(']', 5000))::jsonb)"), qr/^(54001|22023)$/, 'a deep batch is refused');
consistent('sizes');

#
# Times
#

adds(1, append(occurred_at => "timestamptz '$_'", event_type => "'Note'", object_ids => "array[f6_object_id('timely', 'x')]"), "it may have occurred at $_")
  foreach 'infinity', '-infinity', '4713-01-01 00:00 BC', '294276-12-31 23:59:59.999999', '0001-01-01 00:00 BC';
adds(1, append(event_type => "'Note'", event_data => q('{"since": "9999-12-31"}')), 'the date of effect may be far away');
ends_in('23514', append(event_type => "'Note'", event_data => qq('{"since": "$_"}')), "no date of effect: $_")
  foreach '', 'soon', '2024-02-30', '0000-00-00', '2024-13-01', '99999999999-01-01';
ends_in('22023', append(created_at => "timestamptz '$_'"), "it cannot have been recorded at $_")
  foreach 'infinity', '-infinity', '4713-01-01 00:00 BC', '294276-12-31 23:59:59';
is(sqlstate($node, "select f6_state_asof(id, '$_', '$_'), f6_events(id, '$_', 'infinity') from f6_object_id('timely', 'x') as id"), '', "the state at $_ can be asked for")
  foreach 'infinity', '4713-01-01 00:00 BC', '-infinity';
consistent('times');

#
# A search_path that leads elsewhere
#

$node->safe_psql('postgres', <<'SQL');
create schema trap authorization writer;
set role writer;
create function trap.spring() returns boolean language plpgsql as $$ begin raise 'caught in the trap'; end $$;
create function trap.equal(uuid, uuid) returns boolean language sql as 'select trap.spring()';
create function trap.equal(text, text) returns boolean language sql as 'select trap.spring()';
create function trap.equal(integer, integer) returns boolean language sql as 'select trap.spring()';
create function trap.equal(bigint, bigint) returns boolean language sql as 'select trap.spring()';
create function trap.equal(jsonb, jsonb) returns boolean language sql as 'select trap.spring()';
create function trap.equal(timestamptz, timestamptz) returns boolean language sql as 'select trap.spring()';
do $$
declare operand text; sign text;
begin
    foreach operand in array array['uuid', 'text', 'integer', 'bigint', 'jsonb', 'timestamptz'] loop
        foreach sign in array array['=', '<>', '<', '<=', '>', '>='] loop
            execute format('create operator trap.%s (function = trap.equal, leftarg = %s, rightarg = %s)', sign, operand, operand);
        end loop;
    end loop;
end $$;
create function trap.unnest(anyarray) returns setof anyelement language sql as 'select null from (select trap.spring()) as t';
create function trap.nextval(text) returns bigint language sql as 'select trap.spring()::int::bigint';
create function trap.nextval(regclass) returns bigint language sql as 'select trap.spring()::int::bigint';
create function trap.clock_timestamp() returns timestamptz language sql as 'select null::timestamptz from (select trap.spring()) as t';
create function trap.coalesce(text, text) returns text language sql as 'select trap.spring()::text';
create function trap.format(text, variadic text[]) returns text language sql as 'select trap.spring()::text';
create function trap.concat_ws(text, variadic text[]) returns text language sql as 'select trap.spring()::text';
create domain trap.uuid as text check (trap.spring());
create domain trap.text as pg_catalog.text check (trap.spring());
create domain trap.jsonb as pg_catalog.text check (trap.spring());
create type trap.event_kind as enum ('trap');
create table trap.event (id int); create table trap.zone (id int); create table trap.event_type (id int);
create table trap.upcaster (id int); create table trap.event_type_deprecation (id int); create table trap.pg_proc (oid int);
SQL
my $trap = 'set search_path = trap, pg_catalog, public';
my $one = "array['6ba7b820-9dad-11d1-80b4-00c04fd430c8'::pg_catalog.uuid]";
adds(3, "$trap; select public.f6_append('Note'::pg_catalog.text, $one, '{\"n\": 1, \"since\": \"2024-01-01\"}'::pg_catalog.jsonb);
    select public.f6_append('[{\"event_type\": \"Note\", \"object_ids\": [\"6ba7b820-9dad-11d1-80b4-00c04fd430c8\"], \"event_data\": {\"n\": 2}, \"event_kind\": \"claim\"}]'::pg_catalog.jsonb);
    insert into f6.event (event_type, object_ids, event_data) values ('Note', $one, '{}')",
	'an append looks nothing up in the search_path', role => $_) foreach qw(postgres writer);
ends_in('', "$trap; select public.f6_register_zone('a'::pg_catalog.text, 'b'::pg_catalog.text), public.f6_register_zone('a'::pg_catalog.text, 'b'::pg_catalog.text);
    select public.f6_register_event_type('T'::pg_catalog.text, '1'::pg_catalog.text, 'true'::pg_catalog.jsonb);
    select public.f6_register_event_type('T'::pg_catalog.text, '1'::pg_catalog.text, 'true'::pg_catalog.jsonb)", 'nor does the registry');
ends_in('', "$trap; select public.f6_register_event_type('T'::pg_catalog.text, '2'::pg_catalog.text, 'true'::pg_catalog.jsonb);
    select public.f6_register_upcaster('T'::pg_catalog.text, '1'::pg_catalog.text, '2'::pg_catalog.text);
    select public.f6_register_upcaster('T'::pg_catalog.text, '1'::pg_catalog.text, '2'::pg_catalog.text);
    select public.f6_deprecate_event_type('T'::pg_catalog.text, '1'::pg_catalog.text);
    select public.f6_deprecate_event_type('T'::pg_catalog.text, '1'::pg_catalog.text);
    select public.f6_check_event_type('T'::pg_catalog.text, 'true'::pg_catalog.jsonb);
    select pg_catalog.count(public.f6_upcast(e)) from f6.event as e",
	'nor do versions');
ends_in('42710', "$trap; select public.f6_register_event_type('T'::pg_catalog.text, '1'::pg_catalog.text, 'false'::pg_catalog.jsonb)", 'not even to explain an error');
ends_in('', "$trap; select public.f6_state_asof(public.f6_object_id('a'::pg_catalog.text, 'b'::pg_catalog.text));
    select public.f6_state_asof(($one)[1]), public.f6_state_asof(($one)[1], legal => true) from public.f6_events(($one)[1])", 'nor do questions');
ends_in('22023', "$trap; select public.f6_register_event_type('U'::pg_catalog.text, '1'::pg_catalog.text, '{\"type\": 1}'::pg_catalog.jsonb)", 'nor does a schema that is refused');
ends_in('42P01', "set search_path = ''; select * from event", 'without a search_path there is no event (for what follows)');
adds(1, "set search_path = ''; select public.f6_append('Note', $one, '{}', event_reference => array(select id from f6.event where object_ids = $one))",
	'an append needs no search_path');
consistent('search_path');

#
# Temporary objects come before all others
#

adds(1, "create temp table event (id int); create temp table event_type (id int); create temp table zone (id int);
    create temp table event_object (id int); create function pg_temp.f6_uuid() returns int language sql as 'select 1';
    select f6_register_event_type('V', '1', 'true'), f6_register_zone('c', 'd'); " . append(event_type => "'V'"), 'temporary tables stand in nobody\'s way');
consistent('temporary tables');

#
# Encodings
#

foreach my $encoding ('SQL_ASCII', 'LATIN1', 'UTF8')
{
	my $database = lc $encoding;

	$node->safe_psql('postgres', "create database $database encoding '$encoding' locale 'C' template template0");
	$node->safe_psql($database, "create extension f6; $types");
	rules_for($node, $database);
	adds(1, append(event_type => "'Note'", event_data => q('{"n": 1, "name": "caf\u00e9 or not"}')), "$encoding: an event comes in")
	  if $encoding ne 'SQL_ASCII';
	adds(1, "set client_encoding = '$encoding'; insert into f6.event (event_type, object_ids, event_data, event_source_type)
	    select 'Any', array[$object]::uuid[], to_jsonb(x), x from (select convert_from('\\x636166c3a9', '$encoding')) as y (x)",
		"$encoding: bytes beyond ASCII come in");
	is(sqlstate($node, q{select f6_register_event_type('Patterned', '1', '{"pattern": "^[a-z]+$", "maxLength": 9}')}, database => $database), '',
		"$encoding: a pattern is registered");
	adds(1, append(event_type => "'Patterned'", event_data => q('"abc"')), "$encoding: and matches");
	ends_in('23514', append(event_type => "'Patterned'", event_data => q{to_jsonb(convert_from('\x636166c3a9', '} . $encoding . q{'))}), "$encoding: or not");
	is(sqlstate($node, "select f6_state_asof($object), f6_object_id('a', 'b')", database => $database), '', "$encoding: questions are answered");
	consistent($encoding);
}

$node->stop;
done_testing();
