# F6::Random - randomness that a seed repeats.
package F6::Random;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(seed_from below chance one_of some_of uuid);

my $random = 1;

# Begins with the seed that F6_SEED names (random: another one each time), or else with the usual one.  Returns it.
sub seed_from
{
	my ($usual) = @_;
	my $seed = $ENV{F6_SEED} || $usual;

	$seed = (time ^ ($$ << 8)) % 1_000_000 + 1 if $seed eq 'random';
	return $random = $seed;
}

# Returns a random integer from 0 up to, not including, the limit.
sub below
{
	my ($limit) = @_;

	$random = $random * 48271 % 2147483647;
	return int($random / 2147483647 * $limit);
}

# Tells yes so many times out of a hundred.
sub chance
{
	return below(100) < $_[0];
}

# Returns one of the arguments.
sub one_of
{
	return $_[ below(scalar @_) ];
}

# Returns some of the arguments: at most so many, none twice.
sub some_of
{
	my ($most, @from) = @_;
	my $count = 1 + below($most < @from ? $most : scalar @from);

	return map { splice @from, below(scalar @from), 1 } 1 .. $count;
}

# Returns a random UUID.
sub uuid
{
	return sprintf '%04x%04x-%04x-4%03x-8%03x-%04x%04x%04x',
	  map { below($_) } 65536, 65536, 65536, 4096, 4096, 65536, 65536, 65536;
}

1;
