# The same rules hold whichever way an event comes in, and whoever brings it; after every group of
# attempts the links agree with the log.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Rules;
use F6::Server qw(new_server);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('doors');
my $object = "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'";
my $number = 0;

rules_for($node);
$node->safe_psql('postgres', <<'SQL');
select f6_register_event_type('Note', '1', '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}');
select f6_register_event_type('Any', '1', 'true');
create role writer login in role f6_writer;
create role importer login in role f6_importer;
create role administrator login in role f6_admin;
create role reader login in role f6_reader;
create role nobody login;
grant all on schema public to writer;
SQL

#
# Doors.  Each takes columns and, in the order of the columns, SQL for the values of an event.
#

# Returns the text of a row for COPY, computed by the server.
sub copied
{
	my ($format, $columns, @rows) = @_;
	my $file = $node->basedir . '/copied' . ++$number;
	my @types = map { answer("select format_type(atttypid, atttypmod) from pg_attribute
	    where attrelid = 'f6.event'::regclass and attname = '$_'") } @$columns;

	$node->safe_psql('postgres', 'copy (' . join(' union all ', map {
		my $row = $_;
		'select ' . join ', ', map { "($row->[$_])::$types[$_]" } 0 .. $#types
	} @rows) . ") to '$file' (format $format)");
	return '\copy f6.event (' . join(', ', @$columns) . ") from '$file' (format $format)\n";
}

# Returns an INSERT of rows.
sub values_of
{
	my ($columns, @rows) = @_;

	return 'insert into f6.event (' . join(', ', @$columns) . ') values '
	  . join(', ', map { '(' . join(', ', @$_) . ')' } @rows);
}

# Returns rows as JSON.
sub json_of
{
	my ($columns, @rows) = @_;

	return 'jsonb_build_array(' . join(', ', map {
		my $row = $_;
		'jsonb_build_object(' . join(', ', map { "'$columns->[$_]', $row->[$_]" } 0 .. $#$columns) . ')'
	} @rows) . ')';
}

my %doors = (
	'f6_append of one' => sub {
		my ($columns, @rows) = @_;
		return 'begin; ' . join(' ', map {
			my $row = $_;
			'select f6_append(' . join(', ', map { "$columns->[$_] => $row->[$_]" } 0 .. $#$columns) . ');'
		} @rows) . ' commit;';
	},
	'f6_append of many' => sub { 'select f6_append(' . json_of(@_) . ')' },
	'INSERT' => \&values_of,
	'INSERT, row by row' => sub {
		my ($columns, @rows) = @_;
		return 'begin; ' . join(' ', map { values_of($columns, $_) . ';' } @rows) . ' commit;';
	},
	'INSERT ... SELECT' => sub {
		my ($columns, @rows) = @_;
		return 'insert into f6.event (' . join(', ', @$columns) . ') '
		  . join(' union all ', map { 'select ' . join(', ', @$_) } @rows);
	},
	'COPY' => sub { copied('text', @_) },
	'COPY csv' => sub { copied('csv', @_) },
	'COPY binary' => sub { copied('binary', @_) },
	'prepared INSERT' => sub { 'prepare p as ' . values_of(@_) . '; execute p;' },
	'INSERT in plpgsql' => sub { 'do $$ begin ' . values_of(@_) . '; end $$' });

my @columns = qw(event_type object_ids event_data);
my @good = ("'Note'", "array[$object]::uuid[]", q('{"n": 1}'::jsonb));
my $id = 'gen_random_uuid()';

# What is refused, by the columns of a good event that are given otherwise.
my @refusals = (
	[ 'an unknown type', '42704', event_type => q('Unknown') ],
	[ 'an unknown version', '42704', event_version => q('9') ],
	[ 'data against the schema', '23514', event_data => q('{"n": "one"}'::jsonb) ],
	[ 'JSON null as the data of a claim', '23514', event_data => q('null'::jsonb) ],
	[ 'no objects', '22023', object_ids => q('{}'::uuid[]) ],
	[ 'NULL as objects', '22023', object_ids => q(null::uuid[]) ],
	[ 'a NULL among the objects', '22023', object_ids => "array[$object, null]::uuid[]" ],
	[ 'an object twice', '22023', object_ids => "array[$object, $object]::uuid[]" ],
	[ 'objects in two dimensions', '22023', object_ids => "array[array[$object]]::uuid[]" ],
	[ 'a missing reference', '23503', event_reference => "array[$id]::uuid[]" ],
	[ 'references in two dimensions', '22023', event_reference => "array[array[$id]]::uuid[]" ],
	[ 'a validation of nothing', '23514', event_kind => q('validation'::f6.event_kind) ],
	[ 'a correction of nothing', '23514', event_kind => q('correction'::f6.event_kind) ],
	[ 'a zone that does not exist', '42704', zone_id => '99' ],
	[ 'NULL as type', '22004', event_type => 'null::text' ]);

foreach my $door (sort keys %doors)
{
	my $script = $doors{$door};

	adds(2, $script->(\@columns, \@good, \@good), "$door takes good events");
	adds(2, $script->(\@columns, \@good, \@good), "$door takes them from a writer", role => 'writer');
	ends_in('42501', $script->(\@columns, \@good), "$door takes none from a $_", role => $_)
	  foreach qw(reader administrator nobody);
	adds(1, $script->([ @columns, 'created_at' ], [ @good, 'clock_timestamp()' ]), "$door takes created_at from an importer",
		role => 'importer');
	ends_in('42501', $script->([ @columns, 'created_at' ], [ @good, 'clock_timestamp()' ]),
		"$door takes no created_at from a writer", role => 'writer');
	ends_in('22023', $script->([ @columns, 'created_at' ], [ @good, "timestamptz '2000-01-01'" ]),
		"$door takes no created_at before the newest event");

	my $before = answer('select count(*) from f6.event');
	foreach my $refusal (@refusals)
	{
		my ($what, $state, $column, $value) = @$refusal;
		my %bad = (event_type => $good[0], object_ids => $good[1], event_data => $good[2], $column => $value);
		my %fine = (event_type => $good[0], object_ids => $good[1], event_data => $good[2],
			event_version => "'1'", event_reference => 'null::uuid[]', event_kind => "'claim'::f6.event_kind", zone_id => '1');
		my @given = sort keys %bad;

		next if $door =~ /f6_append of many/ && $what =~ /dimensions/;
		ends_in($state, $script->(\@given, [ @fine{@given} ], [ @bad{@given} ]),
			"$door refuses $what", role => 'writer');
	}
	is(answer('select count(*) from f6.event'), $before, "$door: the good event before a bad one is not there either");
	next if $door eq 'f6_append of one';

	my %generated = (position => '1::bigint', appended_by => "'me'::name", client_addr => "'::1'::inet", application_name => "'a'");
	foreach my $column (sort keys %generated)
	{
		my $insert = $script->([ @columns, $column ], [ @good, $generated{$column} ]);

		ends_in('428C9', $insert, "$door takes no $column from a superuser");
		ends_in($door eq 'f6_append of many' ? '428C9' : '42501', $insert, "$door takes no $column from a $_", role => $_)
		  foreach qw(writer importer);
	}
	consistent($door);
}
ends_in('22023', "select f6_append('[{\"event_type\": \"Note\", \"objects\": []}]')", 'an unknown key is refused');
ends_in('', "begin; insert into f6.event (position, zone_id, event_type, object_ids, event_data, appended_by, metadata)
    values (default, default, 'Note', array[$object]::uuid[], '{\"n\": 1}', default, default)", 'DEFAULT may be given for any column');
is(answer('select count(*) from f6.event where position is null or appended_by not in (select rolname from pg_roles)'),
	'0', 'every event bears the name of who appended it');

$node->stop;
done_testing();
