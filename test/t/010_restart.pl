# The log, the registry, the settings and the answers outlive a restart of the server, a clean one and
# an immediate one; positions go on and are never given twice.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server add_history broken_links sqlstate rows_digest answers);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('restart');

# Appends one remark and returns its position and zone.
sub append
{
	return split /\|/, $node->safe_psql('postgres', <<'SQL');
select position from f6_append('Remark', array[gen_random_uuid()], '"again"') \gset
select position, zone_id from f6.event where position = :position
SQL
}

# Tells whether everything is as it was, and whether it goes on from there.
sub check_unchanged
{
	my ($how, $rows, $answers, $position) = @_;

	is(rows_digest($node, 'postgres'), $rows, "$how: every row is as it was");
	is(answers($node, 'postgres'), $answers, "$how: every answer is the same");
	is(broken_links($node), '', "$how: the links agree with the log");
	is($node->safe_psql('postgres', 'show f6.zone'), 'Zeist/persons', "$how: the database's zone is still set");
	is(sqlstate($node, "select f6_append('Residence', array[gen_random_uuid()], '{}')"),
		'23514', "$how: the registered schemas are still in force");
	is(sqlstate($node, "select f6_append('Residence', array[gen_random_uuid()], '{\"street\": \"low\"}')"),
		'23514', "$how: the newest version is still the newest");

	my ($next, $zone) = append();
	cmp_ok($next, '>', $position, "$how: positions go on");
	is($zone, $node->safe_psql('postgres', "select zone_id from f6.zone where (organisation, name) = ('Zeist', 'persons')"),
		"$how: an append goes to the database's zone");
	is($node->safe_psql('postgres', "select f6_register_zone('$how', 'new') > max(zone_id) from f6.zone where organisation <> '$how'"),
		't', "$how: zones get new numbers");
	is( $node->safe_psql('postgres', <<SQL), '1', "$how: a type registered now is newer than all others");
select from f6_register_event_type('Residence', '$how', 'true') \\gset
select count(*) from f6.event_type
    where ordinal > (select ordinal from f6.event_type where (event_type, event_version) = ('Residence', '2'))
      and ordinal = (select max(ordinal) from f6.event_type)
      and (event_type, event_version) = ('Residence', '$how')
SQL
	$node->safe_psql('postgres', "select f6_register_event_type('Residence', '$how restored', schema, valid_from)
	    from f6.event_type where (event_type, event_version) = ('Residence', '2');
	    select f6_register_upcaster('Residence', event_version, '$how restored', validate => false)
	        from f6.event_type where event_type = 'Residence' and event_version <> '$how restored'");
	return;
}

add_history($node, 'postgres');
$node->safe_psql('postgres', "alter database postgres set f6.zone = 'Zeist/persons'");

foreach my $mode ('fast', 'smart', 'immediate')
{
	my ($position) = append();
	my $rows = rows_digest($node, 'postgres');
	my $answers = answers($node, 'postgres');

	$node->stop($mode);
	$node->start;
	check_unchanged($mode, $rows, $answers, $position);
}

# What had not been committed when the server was stopped at once has never been.
my $session = $node->background_psql('postgres');
$session->query_safe(q{begin; select f6_append('Remark', array[f6_object_id('lost', 'one')], '"lost"')});
my $taken = $node->safe_psql('postgres', 'select last_value from f6.event_position_seq');
$node->stop('immediate');
eval { $session->quit };
$node->start;
is( $node->safe_psql('postgres', q{select count(*) from f6.event_object where object_id = f6_object_id('lost', 'one')}),
	'0', 'an uncommitted event is gone after an immediate stop');
is(broken_links($node), '', 'and leaves no links');
my ($next) = append();
cmp_ok($next, '>', $node->safe_psql('postgres', "select max(position) from f6.event where position <> $next"),
	'the next position is later than every event');

# Positions of transactions that rolled back are gaps; a restart does not fill them.
$node->safe_psql('postgres', q{begin; select f6_append('Remark', array[gen_random_uuid()], '"never"') from generate_series(1, 100); rollback});
$node->restart;
my ($after) = append();
cmp_ok($after, '>', $next + 100, 'a clean restart does not give rolled-back positions again');
is($node->safe_psql('postgres', 'select count(*) - count(distinct position) from f6.event'),
	'0', 'no position was given twice');

$node->stop;
done_testing();
