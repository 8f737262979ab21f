# What a backend keeps of schemas: it hears of every change of the registry, and its memory is bounded.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('schema_registry');
$node->init;
$node->start;
$node->safe_psql('postgres', 'create extension f6');

# Returns a session's answer to a statement: its rows, or its SQLSTATE.
sub answer
{
	my ($session, $statement) = @_;
	my $output = $session->query("\\set VERBOSITY sqlstate\n$statement");
	my $errors = $session->{stderr};

	$session->{stderr} = '';
	return $errors =~ /ERROR:\s+(\w+)/ ? $1 : $output;
}

my $one = $node->background_psql('postgres', on_error_stop => 0);
my $two = $node->background_psql('postgres', on_error_stop => 0);
my $street = 'https://example.com/street';
my $refers = qq(select f6_validate('{"properties": {"street": {"\$ref": "$street"}}}', '{"street": ""}'));

# A registered document is seen by every backend in its next statement.
is(answer($one, $refers), '42704', 'a document that is not registered is an error');
is(answer($two, $refers), '42704', 'and in another session');
answer($two, qq(select f6_register_schema('$street', '{"minLength": 1}')));
is(answer($one, $refers), 'f', 'a registered document counts in the next statement of another session');
is(answer($two, $refers), 'f', 'and of the own');

# What a transaction has registered and taken back is forgotten with it.
my $town = 'https://example.com/town';
my $town_refers = qq(select f6_validate('{"\$ref": "$town"}', '""'));
answer($one, 'begin');
answer($one, qq(select f6_register_schema('$town', 'false')));
is(answer($one, $town_refers), 'f', 'a document counts in the transaction that registers it');
is(answer($two, $town_refers), '42704', 'but in no other until it commits');
answer($one, 'rollback');
is(answer($one, $town_refers), '42704', 'after a rollback it is gone');
answer($two, qq(select f6_register_schema('$town', 'true')));
is(answer($one, $town_refers), 't', 'and another document may have its place');

# Prepared statements and event types hear of it as well.
my $zip = 'https://example.com/zip';
is(answer($one, qq(prepare zip (jsonb) as select f6_validate('{"\$ref": "$zip"}', \$1))), '', 'a statement is prepared');
is(answer($one, q(execute zip ('"a"'))), '42704', 'before the document is there');
answer($two, qq(select f6_register_schema('$zip', '{"pattern": "^[0-9]"}')));
is(answer($one, q(execute zip ('"a"'))), 'f', 'and knows it when it is');
answer($two, qq(select f6_register_event_type('Moved', '1', '{"properties": {"zip": {"\$ref": "$zip"}}}')));
is(answer($one, q(select count(*) from f6_append('Moved', array[f6_object_id('person', '1')], '{"zip": "a"}'))), '23514',
	'an event type may refer to a document');
is(answer($one, q(select count(*) from f6_append('Moved', array[f6_object_id('person', '1')], '{"zip": "1"}'))), '1',
	'and takes what the document allows');

# A type keeps no document that a rollback has taken away.
my $land = 'https://example.com/land';
answer($one, 'begin');
answer($one, qq(select f6_register_schema('$land', 'true')));
is(answer($one, qq(select f6_register_event_type('Left', '1', '{"\$ref": "$land"}'))), '', 'a type and its document in one transaction');
is(answer($one, q(select count(*) from f6_append('Left', array[f6_object_id('person', '1')], '{}'))), '1', 'serve at once');
answer($one, 'rollback');
answer($two, qq(select f6_register_schema('$land', '{"required": ["to"]}')));
answer($two, qq(select f6_register_event_type('Left', '1', '{"\$ref": "$land"}')));
is(answer($one, q(select count(*) from f6_append('Left', array[f6_object_id('person', '1')], '{}'))), '23514',
	'and are read anew after a rollback');

# Nor one that the owner of the table has mended.
answer($two, "alter table f6.schema disable trigger all; update f6.schema set schema = '{\"required\": [\"from\"]}' where uri = '$land'; alter table f6.schema enable trigger all");
is(answer($one, qq(select f6_validate('{"\$ref": "$land"}', '{"from": 1}'))), 't', 'a document that its owner has changed is another one to f6_validate');
is(answer($one, q(select count(*) from f6_append('Left', array[f6_object_id('person', '1')], '{"from": 1}'))), '1', 'and to an event type');
$one->quit;
$two->quit;

# The memory that f6 holds in a backend, in bytes.
my $memory = q(select sum(total_bytes) from pg_backend_memory_contexts where name like 'f6 %' or name like 'f6_%');

# 100,000 distinct schemas in one backend take no more than the cache may hold.
my $session = $node->background_psql('postgres', on_error_stop => 0);
answer($session, q(select f6_validate('{}', '1')));
my $few = answer($session, $memory);
is(answer($session, q(select count(*) filter (where f6_validate(jsonb_build_object('properties', jsonb_build_object(n::text,
    jsonb_build_object('type', 'string', 'pattern', '^' || n || '$'))), jsonb_build_object(n::text, n::text)))
    from generate_series(1, 100000) n)), '100000', '100,000 distinct schemas are compiled in one statement');
my $many = answer($session, $memory);
note("f6 holds $few bytes after one schema, $many after 100,001");
cmp_ok($many, '<', 64 * 1024 * 1024, 'and the backend holds a bounded part of them');

# So do those that fail, and those that are used in a loop of their own statements.
is(answer($session, q(do $$ begin
    for n in 1..20000 loop
        begin
            perform f6_validate(jsonb_build_object('properties', jsonb_build_object('a' || n, jsonb_build_object('type', n))), '1');
        exception when invalid_parameter_value then null; end;
    end loop; end $$)), '', '20,000 schemas that are no good');
cmp_ok(answer($session, $memory), '<', 64 * 1024 * 1024, 'leave nothing behind');
$session->quit;

# A schema of a megabyte, one of 10,000 levels, and one that would take for ever.
$session = $node->background_psql('postgres', on_error_stop => 0);
is(answer($session, q(select f6_validate(jsonb_build_object('properties', (select jsonb_object_agg('property number ' || n,
    jsonb_build_object('type', 'string', 'maxLength', n)) from generate_series(1, 20000) n)), '{"property number 7": "12345678"}'))),
	'f', 'a schema of a megabyte');
foreach my $keyword ('"not":', '"items":', '"properties":{"a":', '"allOf":[')
{
	my $close = $keyword =~ /\{/ ? '}}' : $keyword =~ /\[/ ? ']}' : '}';
	like(answer($session, "select f6_validate((repeat('{$keyword', 10000) || 'true' || repeat('$close', 10000))::jsonb, '1')"),
		qr/^(54001|t)$/, "a schema of 10,000 levels of $keyword");
	like(answer($session, "set max_stack_depth = '100kB'; select f6_validate((repeat('{$keyword', 200) || 'true' || repeat('$close', 200))::jsonb, '1')"),
		qr/^(54001|t)$/, 'and one of 200, where the stack is small');
	answer($session, 'reset max_stack_depth');
}
is(answer($session, q(select f6_validate('{"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}', to_jsonb(repeat('a', 40))))), '54000',
	'a pattern that would match for ever is stopped');
is(answer($session, q(select f6_validate('{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}, "b": true}, "$ref": "#/$defs/a"}', '1'))),
	't', 'a schema may refer to another twice');
is(answer($session, 'select 1'), '1', 'and the session lives');
$session->quit;

done_testing();
