# Every case of the official JSON Schema test suite, for each draft whose tests are there: a test a file.
#
# No case is skipped, and none has a rule of its own but for what a jsonb can't be: the server itself refuses a character U+0000
# (22P05), so for a case that has one the test is that it does.  The optional tests that ask for it have format assert.
# A schema of a draft before 2019-09 says in the suite by its folder which draft it is; here by the $schema that is added to it.
#
# JSON_SCHEMA_TEST_SUITE names the suite's folder; else it is looked for in F6_DATA.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %metaschemas = (
	'draft4' => 'http://json-schema.org/draft-04/schema#',
	'draft6' => 'http://json-schema.org/draft-06/schema#',
	'draft7' => 'http://json-schema.org/draft-07/schema#',
	'draft2019-09' => undef,
	'draft2020-12' => undef);

my $suite = $ENV{JSON_SCHEMA_TEST_SUITE};
$suite = "$ENV{F6_DATA}/json-schema-test-suite" if !$suite && $ENV{F6_DATA};
plan skip_all => 'the JSON Schema test suite is not there (JSON_SCHEMA_TEST_SUITE or F6_DATA names its folder)'
  unless defined $suite && -d "$suite/tests/draft2020-12";

# Returns the JSON files below a folder, by their paths in it.
sub json_files
{
	my ($folder, $below) = @_;
	my @files;

	$below //= '';
	opendir(my $handle, "$folder/$below") or die "$folder/$below: $!";
	foreach my $name (sort readdir $handle)
	{
		push @files, json_files($folder, "$below$name/") if $name !~ /^\./ && -d "$folder/$below$name";
		push @files, "$below$name" if $name =~ /\.json$/;
	}
	closedir $handle;
	return @files;
}

# Returns a text as a literal of SQL.
sub literal
{
	my ($text) = @_;

	die 'the suite uses the quotes of this test' if $text =~ /\$suite\$/;
	return "\$suite\$$text\$suite\$";
}

my $node = PostgreSQL::Test::Cluster->new('json_schema_suite');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', <<'SQL');
create extension f6;

-- A file is kept as json, not jsonb: its numbers and strings reach the validator as they are written.  Only to take the file
-- apart is U+0000 written otherwise.
create table suite (draft text, file text, metaschema text, content json);
create table answer (draft text, file text, "group" text, test text, expected boolean, got text);

-- The schema with $schema, where it is an object without one.
create function schema_of(schema json, metaschema text) returns text language sql as $$
	select case when metaschema is null or json_typeof(schema) <> 'object' or schema::jsonb ? '$schema' then schema::text
		else '{"$schema": ' || to_json(metaschema) || case when schema::text ~ '^\s*\{\s*\}\s*$' then '}' else ', ' || ltrim(ltrim(schema::text), '{') end end
$$;

-- What f6 says of a case: both functions agree, or that is the answer.
create function answer_of(schema text, data text, assert_format boolean) returns text language plpgsql as $$
declare
	has_nul boolean := schema || data like '%<U+0000>%';
	accepted boolean;
	failures bigint;
begin
	schema := replace(schema, '<U+0000>', '\u0000');
	data := replace(data, '<U+0000>', '\u0000');
	accepted := f6_validate(schema::jsonb, data::jsonb, assert_format);
	select count(*) into failures from f6_validation_errors(schema::jsonb, data::jsonb, assert_format);
	if accepted is distinct from (failures = 0) then
		return format('f6_validate: %s, but %s failures', accepted, failures);
	end if;
	return accepted::text;
exception
	when others then
		if sqlstate = '22P05' and has_nul then
			return 'no jsonb';
		end if;
		return sqlstate || ': ' || sqlerrm;
end $$;
SQL

my $load = '';
foreach my $file (json_files("$suite/remotes"))
{
	my $content = slurp_file("$suite/remotes/$file");
	$load .= "select f6_register_schema('http://localhost:1234/$file', " . literal($content) . ");\n";
}
my @drafts = grep { -d "$suite/tests/$_" } sort keys %metaschemas;
my @files;
foreach my $draft (@drafts)
{
	foreach my $file (json_files("$suite/tests/$draft"))
	{
		my $content = slurp_file("$suite/tests/$draft/$file") =~ s/\\u0000/<U+0000>/gr;
		my $metaschema = defined $metaschemas{$draft} ? "'$metaschemas{$draft}'" : 'null';

		push @files, [ $draft, $file ];
		$load .= "insert into suite values ('$draft', '$file', $metaschema, "
		  . literal($content) . ");\n";
	}
}
$node->safe_psql('postgres', $load);
$node->safe_psql('postgres', <<'SQL');
insert into answer
select s.draft, s.file, g->>'description', t->>'description', (t->>'valid')::boolean,
	answer_of(schema_of(g->'schema', s.metaschema), (t->'data')::text,
		s.file like 'optional/format/%' or s.file = 'optional/content.json')
from suite s, json_array_elements(s.content) g, json_array_elements(g->'tests') t;
SQL

my %answers;
foreach my $line (split /\n/, $node->safe_psql('postgres', <<'SQL'))
select jsonb_build_object('draft', draft, 'file', file, 'name', "group" || ': ' || test, 'expected', expected::text, 'got', got)
from answer;
SQL
{
	my $answer = decode_json($line);

	push @{ $answers{"$answer->{draft}/$answer->{file}"} }, $answer;
}
foreach my $file (@files)
{
	my $name = join '/', @$file;
	my $cases = $answers{$name} // [];
	my $no_jsonb = grep { $_->{got} eq 'no jsonb' } @$cases;
	my @wrong = map { "$_->{name}: expected $_->{expected}, found $_->{got}" }
	  grep { $_->{got} ne $_->{expected} && $_->{got} ne 'no jsonb' } @$cases;

	is_deeply(\@wrong, [], "$name: " . (@$cases - $no_jsonb) . ' cases'
		  . ($no_jsonb > 0 ? ", and $no_jsonb that no jsonb can hold" : ''));
}

cmp_ok(scalar(grep { @{ $answers{ join '/', @$_ } // [] } > 0 } @files), '==', scalar(@files), 'every file has cases');
done_testing();
