# F6::Server - what the tests on real servers share: a server with f6, a small history, and the
# questions that tell whether two logs are the same.
package F6::Server;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(new_server add_history broken_links sqlstate error_of literal rows_of rows_digest answers @tables);

our @tables = qw(f6.zone f6.schema f6.event_type f6.event_type_deprecation f6.upcaster f6.field f6.projection f6.projection_progress f6.projection_end
  f6.projection_skip f6.subscription_definition f6.subscription_partition f6.subscription_failure f6.parked_event f6.reaction_definition f6.reaction_due f6.reaction_run f6.schedule_definition f6.command f6.command_run
  f6.event f6.event_object f6.event_link);

# Returns a running server that loses nothing when it crashes, with f6 in its database postgres.
sub new_server
{
	my ($name, @configuration) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', $_)
	  foreach 'fsync = on', 'synchronous_commit = on', 'log_statement = none', "timezone = 'UTC'", @configuration;
	$node->start;
	$node->safe_psql('postgres', 'create extension f6');
	return $node;
}

# Adds a history with everything that f6 keeps: zones, schema documents, types in versions, with an
# upcaster and one deprecated, commands and what came of them, events of all kinds, some of them imported.
sub add_history
{
	my ($node, $database) = @_;

	$node->safe_psql($database, <<'SQL');
select f6_register_zone('Utrecht', 'persons'), f6_register_zone('Utrecht', 'addresses'),
       f6_register_zone('Zeist', 'a zone to be renamed');
update f6.zone set name = 'persons' where organisation = 'Zeist';
select f6_register_schema('https://example.com/address', '{"type": "object", "required": ["street"]}');
select f6_register_schema('urn:example:anything', 'true');
select f6_register_event_type('Residence', '1', '{"type": "object", "required": ["street"]}', valid_from => '/since');
select f6_register_event_type('Residence', '2',
    '{"type": "object", "required": ["street"], "properties": {"street": {"type": "string", "pattern": "^\\p{Lu}"}}}',
    valid_from => '/since');
select f6_register_event_type('Decree', '1', 'true', legal_when_claimed => true);
select f6_register_upcaster('Residence', '1', '2', steps => '[{"op": "default", "path": "/country", "value": "NL"}]',
    validate => false);
select f6_register_event_type('Remark', 'none', 'true'), f6_deprecate_event_type('Remark', 'none', 'it said "nothing"');
select f6_register_event_type('Remark', 'first', '{"type": ["string", "null"], "maxLength": 80}');

create function decline(state jsonb, payload jsonb) returns jsonb language sql immutable
    as $$ select '{"rejected": "no", "detail": [1, "één"]}'::jsonb $$;
select f6_create_command('decline', 'decline(jsonb, jsonb)', '{"type": "object"}', '{"types": ["Residence"], "objects": ["$.id"]}', '{"Residence": "merge"}', 3, 'Decree');
select f6_create_command('plain', 'decline(jsonb, jsonb)');
select f6_create_schedule('nightly', '30 2 * * *', 'Decree', event_data => '{"n": 1.50}', timezone => 'Europe/Amsterdam');
select f6_execute('plain', '{"n": 1.50}', idempotency_key => 'a key'), f6_execute('plain', idempotency_key => 'clé');

set f6.zone = 'Utrecht/persons';
-- imported: Ada and Bob live together, which is validated; Ada moves, registered late
select f6_append(json.events) from (values (jsonb_build_array(
    jsonb_build_object('event_type', 'Residence', 'id', f6_object_id('event', 'together'), 'created_at', '2001-02-03',
        'object_ids', array[f6_object_id('person', 'ada'), f6_object_id('person', 'bob')], 'event_version', '1',
        'event_data', '{"street": "lane 1", "since": "2001-01-01"}'::jsonb, 'event_source_type', 'citizen',
        'event_source_id', f6_object_id('person', 'bob'), 'metadata', '{"batch": [1, "één", null]}'::jsonb),
    jsonb_build_object('event_type', 'Residence', 'id', f6_object_id('event', 'valid'), 'event_kind', 'validation',
        'event_reference', array[f6_object_id('event', 'together')], 'created_at', '2001-02-04'),
    jsonb_build_object('event_type', 'Residence', 'id', f6_object_id('event', 'moved'), 'created_at', '2005-06-07',
        'object_ids', array[f6_object_id('person', 'ada')],
        'event_data', '{"street": "Quay 9", "number": 12.50, "since": "2005-03-01"}'::jsonb)))) as json (events);
set f6.zone = 'Zeist/persons';
insert into f6.event (object_ids, event_type, event_data, occurred_at)
    select array[f6_object_id('person', 'p' || n)], 'Decree',
           jsonb_build_object('n', n, 'quote', e'" '' \\ \t line\nline', 'deep', array[array[n]]), 'epoch'
        from generate_series(1, 40) as n;
set f6.zone = 'Utrecht/addresses';
-- corrected: the number was another; what was decreed of p1 is removed
select f6_append('Residence', null, '{"street": "Quay 9", "number": 13, "since": "2005-03-01"}', event_kind => 'correction',
                 id => f6_object_id('event', 'corrected'), event_reference => array[f6_object_id('event', 'moved')]);
select f6_append('Decree', null, 'null', event_kind => 'correction',
                 event_reference => (select array_agg(id) from f6.event
                                         where object_ids = array[f6_object_id('person', 'p1')]));
select f6_append('Residence', null, null, event_kind => 'validation',
                 event_reference => array[f6_object_id('event', 'moved'), f6_object_id('event', 'corrected')]);
reset f6.zone;
copy f6.event (object_ids, event_type, event_data, event_source_type, occurred_at) from stdin (format csv);
"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",Remark,"""a, remark""","",-infinity
"{6ba7b810-9dad-11d1-80b4-00c04fd430c8,6ba7b811-9dad-11d1-80b4-00c04fd430c8}",Remark,"""\\N""",NULL,4713-01-01 BC
\.
SQL
	return;
}

# Returns the links that contradict the log, one a line: missing ones, and ones too many.
sub broken_links
{
	my ($node, $database) = @_;

	return $node->safe_psql($database || 'postgres', <<'SQL');
with wanted as (
    select 'object' as kind, object_id as id, position from f6.event, unnest(object_ids) as object_id
    union all
    select 'reference', reference, position from f6.event, unnest(event_reference) as reference
), kept as (
    select 'object', object_id, position from f6.event_object
    union all
    select 'reference', reference_id, position from f6.event_link
)
(select 'missing', * from (table wanted except all table kept) as missing
    union all
    select 'too many', * from (table kept except all table wanted) as surplus)
limit 10
SQL
}

# Returns the SQLSTATE of the first error of a script, as a role (default: the superuser) and with
# settings of psql; an empty string where it succeeds.
sub sqlstate
{
	my ($node, $script, %options) = @_;

	return (error_of($node, $script, %options, verbosity => 'sqlstate') =~ /ERROR: +(\w{5})$/m) ? $1 : '';
}

# Returns what a script writes to standard error until its first error.
sub error_of
{
	my ($node, $script, %options) = @_;
	my $connection = $node->connstr($options{database} || 'postgres');
	my ($status, $output, $errors);

	$connection .= " user=$options{role}" if $options{role};
	($status, $output, $errors) = $node->psql(
		undef, $script,
		connstr => $connection,
		extra_params => [ '-v', 'VERBOSITY=' . ($options{verbosity} || 'default') ]);
	# Anything that is no answer of a server that lives on must not pass for one.
	die "psql returned $status: $errors" if $status == 2 || ($status != 0 && $errors !~ /ERROR: /);
	return $errors;
}

# Returns a string as an SQL literal, undef as NULL.
sub literal
{
	my ($text) = @_;

	return defined $text ? "'" . $text =~ s/'/''/gr . "'" : 'NULL';
}

# Returns all rows of a table as text, in one order.
sub rows_of
{
	my ($node, $database, $table) = @_;

	return $node->safe_psql($database, "select t from $table as t order by t::text collate \"C\"");
}

# Returns a line for each of f6's tables, with a digest of its rows.
sub rows_digest
{
	my ($node, $database) = @_;

	return join "\n", map {
		$node->safe_psql($database,
			"select '$_', count(*), md5(string_agg(t::text, e'\\n' order by t::text collate \"C\")) from $_ as t")
	} @tables;
}

# Returns what f6 answers about every object, at many moments, as claimed and legally.
sub answers
{
	my ($node, $database) = @_;

	return $node->safe_psql($database, <<'SQL');
select object_id, valid_at, known_at, legal, f6_state_asof(object_id, valid_at, known_at, legal => legal),
       (select array_agg(e.id) from f6_events(object_id, valid_at, known_at, legal) as e)
    from (select distinct object_id from f6.event_object) as o,
         unnest('{2001-01-01, 2004-01-01, 2005-03-01, 2100-01-01}'::timestamptz[]) as valid_at,
         unnest('{2001-02-03 12:00, 2001-02-05, 2005-06-08, 2100-01-01}'::timestamptz[]) as known_at,
         unnest('{false, true}'::boolean[]) as legal
    order by object_id, valid_at, known_at, legal
SQL
}

1;
