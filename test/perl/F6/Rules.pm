# F6::Rules - short forms of the tests of f6's rules: what a script ends in, what it adds, and that
# the links agree with the log afterwards.
package F6::Rules;

use strict;
use warnings;

use Exporter 'import';
use F6::Server qw(broken_links sqlstate error_of);
use Test::More;

our @EXPORT = qw(rules_for answer ends_in adds consistent);

my ($node, $database);

# Says which server and database the tests are about.
sub rules_for
{
	($node, $database) = (@_, 'postgres');
	return;
}

# Returns the answer to a query.
sub answer
{
	return $node->safe_psql($database, $_[0]);
}

# Tells whether a script ends in an error with that SQLSTATE ('' for success).
sub ends_in
{
	my ($state, $script, $name, %options) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sqlstate($node, $script, database => $database, %options), $state, $name);
	return;
}

# Tells whether a script succeeds and adds that many events.
sub adds
{
	my ($count, $script, $name, %options) = @_;
	my $before = answer('select count(*) from f6.event');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(error_of($node, $script, database => $database, %options), '', $name);
	is(answer('select count(*) from f6.event') - $before, $count, "$name: $count added");
	return;
}

# Ends a group: what it did has left the links as they should be.
sub consistent
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(broken_links($node, $database), '', "$_[0]: the links agree with the log");
	return;
}

1;
