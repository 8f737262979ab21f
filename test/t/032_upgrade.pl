# pg_upgrade takes a cluster along with its log.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Server qw(new_server add_history broken_links sqlstate rows_digest answers);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_server('old');
my $new = PostgreSQL::Test::Cluster->new('new');

add_history($old, 'postgres');
my $rows = rows_digest($old, 'postgres');
my $answers = answers($old, 'postgres');
my $last = $old->safe_psql('postgres', 'select max(position) from f6.event');
$old->stop;
$new->init;

chdir $new->basedir or die 'no folder for pg_upgrade';
foreach my $option ([ '--check' ], [])
{
	command_ok(
		[
			'pg_upgrade', '--no-sync', @$option,
			'-d', $old->data_dir, '-D', $new->data_dir,
			'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
			'-p', $old->port, '-P', $new->port, '-s', $new->host
		],
		"pg_upgrade @$option");
}

$new->start;
is(rows_digest($new, 'postgres'), $rows, 'every row is as it was');
is(answers($new, 'postgres'), $answers, 'every answer is the same');
cmp_ok($new->safe_psql('postgres', q{select position from f6_append('Decree', array[gen_random_uuid()], '{}')}),
	'>', $last, 'positions go on');
is(sqlstate($new, "select f6_append('Residence', array[gen_random_uuid()], '{}')"), '23514', 'schemas are in force');
is(sqlstate($new, 'delete from f6.event'), '55000', 'the log is append-only');
is(broken_links($new), '', 'the links agree with the log');
$new->stop;
done_testing();
