# Every case of the official JSON Schema test suite (draft 2020-12): a test a file.
#
# A schema may be refused as not supported (0A000) only where it uses a keyword that f6 doesn't know yet, and then its cases are
# counted as refused, never as passed.  A schema that is accepted must give the right answer in every case.
# Cases with a character U+0000 are no jsonb at all: the server itself refuses them (22P05), and they are counted apart.
#
# JSON_SCHEMA_TEST_SUITE names the suite's folder; else it is looked for in F6_DATA.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What a schema of the suite may be refused for.
my %unsupported = map { ($_ => 1) } qw(
  $anchor $dynamicAnchor $dynamicRef $recursiveAnchor $recursiveRef $vocabulary
  additionalItems dependencies format unevaluatedItems unevaluatedProperties);
my $dialect = 'https://json-schema.org/draft/2020-12/schema';

# The keywords that f6 knows: every file of the suite about one of these must be there.
my @implemented = qw(
  additionalProperties allOf anyOf boolean_schema const contains content default defs
  dependentRequired dependentSchemas enum exclusiveMaximum exclusiveMinimum if-then-else
  infinite-loop-detection items maxContains maxItems maxLength maxProperties maximum minContains
  minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties
  prefixItems properties propertyNames ref required type uniqueItems);

my $suite = $ENV{JSON_SCHEMA_TEST_SUITE};
$suite = "$ENV{F6_DATA}/json-schema-test-suite" if !$suite && $ENV{F6_DATA};
my $folder = defined $suite ? "$suite/tests/draft2020-12" : undef;
plan skip_all => 'the JSON Schema test suite is not there (JSON_SCHEMA_TEST_SUITE or F6_DATA names its folder)'
  unless defined $folder && -d $folder;

# Tells whether a schema holds, at any depth, something that f6 refuses as not supported.
sub is_beyond_f6
{
	my ($schema, $is_root) = @_;

	if (ref $schema eq 'ARRAY')
	{
		return scalar grep { is_beyond_f6($_, 0) } @$schema;
	}
	return 0 if ref $schema ne 'HASH';
	return 1 if grep { $unsupported{$_} } keys %$schema;
	return 1 if exists $schema->{'$id'} && !$is_root;
	return 1 if ($schema->{'$schema'} // $dialect) ne $dialect;
	return 1 if defined $schema->{'$ref'} && !ref $schema->{'$ref'} && $schema->{'$ref'} !~ m{^#(/.*)?$};
	return scalar grep { is_beyond_f6($_, 0) } values %$schema;
}

# Returns the names of the suite's files, without their ending.
sub suite_files
{
	return map { m{([^/]+)\.json$} } sort glob "$folder/*.json";
}

my $node = PostgreSQL::Test::Cluster->new('json_schema_suite');
$node->init;
$node->start;
$node->safe_psql('postgres', <<'SQL');
create extension f6;
create table suite (file text, content jsonb);
create table answer (file text, "group" int, content jsonb, refused text, wrong text[], passed int, no_jsonb int);

-- Runs one test: NULL if both functions are right, else the test's name.
create function run_test(schema jsonb, test jsonb) returns text language sql as $$
	select case when f6_validate(schema, test->'data') is distinct from (test->'valid')::boolean
		or (select count(*) = 0 from f6_validation_errors(schema, test->'data')) is distinct from (test->'valid')::boolean
		then test->>'description' end
$$;

-- Runs a group of tests, which share a schema, and keeps the answer.
create function run_group(file text, number int, content jsonb) returns void language plpgsql as $$
declare
	test jsonb;
	problem text;
	refused text;
	wrong text[] := '{}';
	passed int := 0;
	no_jsonb int := 0;
begin
	begin
		perform f6_validate(content->'schema', 'null');
	exception
		when feature_not_supported then
			refused := sqlerrm;
		when others then
			wrong := array[sqlstate || ': ' || sqlerrm];
	end;
	if refused is null and wrong = '{}' then
		for test in select jsonb_array_elements(content->'tests') loop
			problem := run_test(content->'schema', test);
			if content->>'schema' like '%<U+0000>%' or test->>'data' like '%<U+0000>%' then
				no_jsonb := no_jsonb + 1;
			elsif problem is null then
				passed := passed + 1;
			else
				wrong := wrong || problem;
			end if;
		end loop;
	end if;
	insert into answer values (file, number, content, refused, wrong, passed, no_jsonb);
end $$;
SQL

my @files = suite_files();
my $load = '';
foreach my $file (@files)
{
	my $content = slurp_file("$folder/$file.json");
	$content =~ s/\\u0000/<U+0000>/g;
	$load .= "insert into suite values (\$file\$$file\$file\$, \$suite\$$content\$suite\$);\n";
}
$node->safe_psql('postgres', $load);
$node->safe_psql('postgres', <<'SQL');
select run_group(file, groups.number::int, groups.content)
from suite, jsonb_array_elements(content) with ordinality groups (content, number);
SQL

my @answers = map { decode_json($_) } split /\n/, $node->safe_psql('postgres', <<'SQL');
select jsonb_build_object('file', file, 'schema', content->'schema', 'description', content->'description',
	'refused', refused, 'wrong', wrong, 'passed', passed, 'no_jsonb', no_jsonb,
	'cases', jsonb_array_length(content->'tests'))
from answer order by file, "group";
SQL

foreach my $file (@files)
{
	my $passed = 0;
	my $refused = 0;
	my $no_jsonb = 0;
	my @complaints;

	foreach my $answer (grep { $_->{file} eq $file } @answers)
	{
		$passed += $answer->{passed};
		$no_jsonb += $answer->{no_jsonb};
		push @complaints, map { "$answer->{description}: $_" } @{ $answer->{wrong} };
		next unless defined $answer->{refused};
		$refused += $answer->{cases};
		push @complaints, "$answer->{description}: refused: $answer->{refused}"
		  unless is_beyond_f6($answer->{schema}, 1);
	}
	is_deeply(\@complaints, [], "$file: passed $passed, refused $refused" . ($no_jsonb > 0 ? ", no jsonb $no_jsonb" : ''));
}

my %there = map { ($_ => 1) } @files;
my @absent = grep { !$there{$_} } @implemented;
is_deeply(\@absent, [], 'the suite has a file for every keyword that is implemented');

done_testing();
