# A dump restores the log as it was, every way that pg_dump and pg_restore know: the same rows, the
# same answers, numbers that go on.  And nobody can pass for a dump to forge an event.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server add_history broken_links sqlstate rows_of rows_digest answers @tables);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('dump');
my $folder = $node->basedir;
my @connection = ('-h', $node->host, '-p', $node->port);
my $databases = 0;

# Returns the name of a new, empty database.
sub new_database
{
	my $name = 'copy' . ++$databases;

	$node->safe_psql('postgres', "create database $name template template0");
	return $name;
}

# Dumps the original with some options and returns the file, or the folder.
sub dump_original
{
	my ($name, @options) = @_;

	$node->command_ok([ 'pg_dump', @connection, @options, '-f', "$folder/$name", 'original' ], "pg_dump @options");
	return "$folder/$name";
}

# Runs a plain dump in a database.
sub run_script
{
	my ($database, $file, @options) = @_;

	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', @connection, @options, '-d', $database, '-f', $file ],
		"psql @options");
	return;
}

# Restores a dump of another format into a database.
sub restore
{
	my ($database, $file, @options) = @_;

	$node->command_ok([ 'pg_restore', '-e', @connection, @options, '-d', $database, $file ], "pg_restore @options");
	return;
}

my ($rows, $answers, $highest, $upcasters);

# Tells whether a database is what the original was when it was dumped, and goes on from there.
sub check_copy
{
	my ($database, $how) = @_;

	is(rows_digest($node, $database), $rows, "$how: every row of every table is as it was")
	  or diag(explain([ map { rows_of($node, $database, $_) } @tables ]));
	is(answers($node, $database), $answers, "$how: every answer is the same");
	is(broken_links($node, $database), '', "$how: the links agree with the log");
	is($node->safe_psql($database, <<'SQL'), $highest, "$how: positions, zones and ordinals go on");
select (select position from f6_append('Decree', array[gen_random_uuid()], '{}')), f6_register_zone('new', 'zone');
select from f6_register_event_type('New', '1', 'true') \gset
select ordinal from f6.event_type where event_type = 'New';
SQL
	is($node->safe_psql($database, 'select last_value from f6.upcaster_ordinal_seq'), $upcasters, "$how: and those of upcasters");
	is(sqlstate($node, "select f6_append('Remark', array[gen_random_uuid()], '1', event_version => 'none')", database => $database),
		'55000', "$how: what was deprecated takes no events");
	foreach my $change ("update f6.event set metadata = null", "delete from f6.event_object", "truncate f6.event_link",
		"delete from f6.schema")
	{
		is(sqlstate($node, $change, database => $database), '55000', "$how: the copy is append-only ($change)");
	}
	is(sqlstate($node, q{select f6_register_schema('urn:example:anything#', 'true')}, database => $database),
		'', "$how: a document that is registered stays as it is");
	is(sqlstate($node, q{select f6_register_schema('urn:example:anything', 'false')}, database => $database),
		'42710', "$how: and no other takes its place");
	is(sqlstate($node, "insert into f6.event_object values (gen_random_uuid(), 1)", database => $database),
		'55000', "$how: nobody but f6 writes links");
	return;
}

#
# The original
#

$node->safe_psql('postgres', 'create database original');
$node->safe_psql('original', 'create extension f6');
add_history($node, 'original');
$rows = rows_digest($node, 'original');
$answers = answers($node, 'original');
like($rows, qr/^f6\.event\|4[0-9]\|/m, 'the original has events');

my $plain = dump_original('plain.sql');
my $clean = dump_original('clean.sql', '--clean', '--if-exists');
my $inserts = dump_original('inserts.sql', '--inserts');
my $columns = dump_original('columns.sql', '--column-inserts');
my $many = dump_original('many.sql', '--rows-per-insert=7', '--on-conflict-do-nothing');
my $schema = dump_original('schema.sql', '--schema-only');
my $data = dump_original('data.sql', '--data-only');
my $guarded = dump_original('guarded.sql', '--data-only', '--disable-triggers');
my $custom = dump_original('custom.dump', '-Fc');
my $directory = dump_original('directory.dump', '-Fd', '-j', '2');
$highest = $node->safe_psql('original', <<'SQL');
select (select last_value + 1 from f6.event_position_seq), (select last_value + 1 from f6.zone_zone_id_seq);
select last_value + 1 from f6.event_type_ordinal_seq
SQL

$upcasters = $node->safe_psql('original', 'select last_value from f6.upcaster_ordinal_seq');
cmp_ok($upcasters, '>', 0, 'the original has upcasters');

#
# Every way back
#

foreach my $way ([ 'plain', $plain ], [ 'plain, in one transaction', $plain, '-1' ], [ 'inserts', $inserts ],
	[ 'inserts with columns', $columns ], [ 'many rows an insert', $many ])
{
	my ($how, $file, @options) = @$way;
	my $copy = new_database();

	run_script($copy, $file, @options);
	check_copy($copy, $how);
}
foreach my $way ([ 'custom', $custom ], [ 'custom, in one transaction', $custom, '-1' ],
	[ 'custom, in parallel', $custom, '-j', '2' ], [ 'directory, in parallel', $directory, '-j', '2' ])
{
	my ($how, $file, @options) = @$way;
	my $copy = new_database();

	restore($copy, $file, @options);
	check_copy($copy, $how);
}
foreach my $way ([ 'schema, then data', $data ], [ 'schema, then data without triggers', $guarded ])
{
	my ($how, $file) = @$way;
	my $copy = new_database();

	run_script($copy, $schema);
	run_script($copy, $file);
	check_copy($copy, $how);
}
{
	my $copy = new_database();

	run_script($copy, $schema);
	restore($copy, $custom, '--data-only', '-j', '2', '--disable-triggers');
	check_copy($copy, 'schema, then data in parallel');

	# The copy has got events of its own meanwhile; a clean restore replaces all.
	run_script($copy, $clean);
	check_copy($copy, 'plain over a used database');
	restore($copy, $custom, '--clean', '--if-exists');
	check_copy($copy, 'custom over a used database');

	# A dump of the copy of a copy
	my $again = new_database();
	restore($copy, $custom, '--clean', '--if-exists');
	$node->command_ok([ 'pg_dump', @connection, '-f', "$folder/again.sql", $copy ], 'pg_dump of a copy');
	run_script($again, "$folder/again.sql");
	check_copy($again, 'a copy of a copy');
}

# An upcaster's function comes back with the dump, whatever the order; without it reading says what is missing.
{
	my $source = new_database();
	my $copy = new_database();
	my $state = q{select f6_state_asof(f6_object_id('a', 'b'))};

	$node->safe_psql($source, <<'SQL');
create extension f6;
select f6_register_event_type('Note', '1', 'true'), f6_register_event_type('Note', '2', '{"required": ["text"]}');
create schema up;
create function up.note(jsonb) returns jsonb immutable language sql as $$ select jsonb_build_object('text', $1 ->> 'words') $$;
select f6_register_upcaster('Note', '1', '2', 'up.note(jsonb)');
select f6_append('Note', array[f6_object_id('a', 'b')], '{"words": "as they were"}', event_version => '1');
SQL
	is($node->safe_psql($source, $state), '{"text": "as they were"}', 'a function upcasts');
	$node->command_ok([ 'pg_dump', @connection, '-Fc', '-f', "$folder/function.dump", $source ], 'pg_dump with a function');
	restore($copy, "$folder/function.dump", '-j', '2');
	is($node->safe_psql($copy, $state), '{"text": "as they were"}', 'and so it does when restored');
	is(sqlstate($node, "drop function up.note(jsonb); $state", database => $copy), '42883', 'dropped, it is missed when it is needed');
}

# A constraint that needs a registered document is restored after the rows, if it is NOT VALID.
{
	my $source = new_database();
	my $copy = new_database();

	$node->safe_psql($source, <<'SQL');
create extension f6;
select f6_register_schema('https://example.com/street', '{"minLength": 1}');
create schema before_f6;
create table before_f6.house (street jsonb);
alter table before_f6.house add check (f6_validate('{"$ref": "https://example.com/street"}', street)) not valid;
insert into before_f6.house values ('"Oudegracht"');
SQL
	is(sqlstate($node, q{insert into before_f6.house values ('""')}, database => $source), '23514', 'a document in a constraint');
	$node->command_ok([ 'pg_dump', @connection, '-Fp', '-f', "$folder/constraint.sql", $source ], 'pg_dump with such a constraint');
	run_script($copy, "$folder/constraint.sql");
	is($node->safe_psql($copy, 'select street from before_f6.house'), '"Oudegracht"', 'the rows come back');
	is(sqlstate($node, q{insert into before_f6.house values ('""')}, database => $copy), '23514', 'and the constraint does');
}

# Tables that belong to a role without superuser can be filled by it: it is their owner.
{
	my $copy = new_database();

	$node->safe_psql('postgres', 'create role keeper login');
	$node->safe_psql($copy, 'create extension f6');
	$node->safe_psql($copy, join ';', map { "alter table $_ owner to keeper" } @tables);
	run_script($copy, $data, '-U', 'keeper');
	check_copy($copy, 'data restored by an owner who is no superuser');
}

#
# Forgeries
#

$node->safe_psql('original', <<'SQL');
create role writer login in role f6_writer, f6_reader;
create role importer login in role f6_importer;
create role administrator login in role f6_admin;
SQL
my $before = rows_digest($node, 'original');
my $dump_settings = "set check_function_bodies = off; select set_config('search_path', '', false);";
my $whole = "(position, zone_id, id, created_at, occurred_at, object_ids, event_type, event_version, event_kind, event_data,
    appended_by) values (nextval('f6.event_position_seq'), 1, gen_random_uuid(), 'now', 'now',
    array[gen_random_uuid()], 'Decree', '1', 'claim', '{}', 'somebody else')";

foreach my $role (qw(writer importer administrator))
{
	is(sqlstate($node, "$dump_settings insert into f6.event $whole", database => 'original', role => $role),
		'42501', "with a dump's settings, a $role restores no event");
	is( sqlstate($node, "$dump_settings insert into f6.event_object values (gen_random_uuid(), 1)",
			database => 'original', role => $role), '42501', "with a dump's settings, a $role restores no link");
}
$node->safe_psql('original', 'grant insert on f6.event, f6.event_object to writer; grant usage on sequence f6.event_position_seq to writer');
is(sqlstate($node, "$dump_settings insert into f6.event $whole", database => 'original', role => 'writer'),
	'428C9', 'not even one who may insert into every column');
is( sqlstate($node, "$dump_settings insert into f6.event_object values (gen_random_uuid(), 1)",
		database => 'original', role => 'writer'), '55000', 'nor a link, by one who may insert links');
is( sqlstate($node, "$dump_settings insert into f6.event_type (event_type, event_version, schema) values ('Bad', '1', '{\"type\": 1}')",
		database => 'original', role => 'administrator'), '22023', 'nor a type with a bad schema');
is( sqlstate($node, "$dump_settings insert into f6.schema (uri, schema) values ('relative', 'true')",
		database => 'original', role => 'administrator'), '22023', 'nor a document under a relative URI');
is(sqlstate($node, "insert into f6.event $whole", database => 'original'),
	'428C9', 'a superuser without the settings of a dump sets no position');
foreach my $column (qw(position zone_id id created_at occurred_at appended_by))
{
	my @names = split /,\s*/, 'position, zone_id, id, created_at, occurred_at, object_ids, event_type, event_version, event_kind, event_data, appended_by';
	my %value;
	@value{@names} = ('9000000', 1, 'gen_random_uuid()', "'now'", "'now'", 'array[gen_random_uuid()]', "'Decree'", "'1'", "'claim'", "'{}'", "'x'");
	delete $value{$column};
	my @given = grep { $_ ne $column } @names;
	is( sqlstate($node, "$dump_settings insert into f6.event (" . join(',', @given) . ') values (' . join(',', @value{@given}) . ')',
			database => 'original'), '55000', "an owner with a dump's settings restores no event without $column");
}
is(rows_digest($node, 'original'), $before, 'nothing of all that is in the log');

#
# The extension made anew, or elsewhere
#

my $made_anew = <<'SQL';
create extension f6 SCHEMA_CLAUSE;
select from PREFIXf6_register_event_type('Note', '1', 'true');
select count(*) from (select from PREFIXf6_append('Note', array[PREFIXf6_object_id('a', 'b')], '{"n": 1}') as one,
    PREFIXf6_append('[{"event_type": "Note", "object_ids": ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], "event_data": 1}]') as many) as appended;
select PREFIXf6_state_asof(PREFIXf6_object_id('a', 'b')), PREFIXf6_register_zone('o', 'z');
select event_data, event_version from PREFIXf6_events(PREFIXf6_object_id('a', 'b'));
select PREFIXf6_validate('{"type": "string"}', '1'), count(*) from PREFIXf6_validation_errors('{"type": "string"}', '1');
SQL
my $once = qq(1\n{"n": 1}|2\n{"n": 1}|1\nf|1\n);
(my $here = $made_anew) =~ s/SCHEMA_CLAUSE|PREFIX//g;
my $drop = 'drop extension f6;';
my $copy = new_database();
# An empty line is what a function without rows of output prints.
(my $output = $node->safe_psql($copy, "$here $drop $here $drop begin; $here rollback; $here")) =~ s/^\n//mg;
is("$output\n", $once x 4, 'the extension can be dropped and made anew in one session');

(my $there = $made_anew) =~ s/SCHEMA_CLAUSE/schema "the Events"/;
$there =~ s/PREFIX/"the Events"./g;
foreach my $path (q{''}, 'pg_catalog', 'f6', 'public', 'f6, pg_temp, public')
{
	my $other = new_database();
	($output = $node->safe_psql($other, "create schema \"the Events\"; set search_path = $path; $there")) =~ s/^\n//mg;
	is("$output\n", $once, "the extension works in another schema with search_path = $path");
	is(broken_links($node, $other), '', 'and keeps its links');
}

$node->stop;
done_testing();
