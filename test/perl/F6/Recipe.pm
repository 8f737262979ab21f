# F6::Recipe - the files that docs/clients.md shows, for the tests that run them as they stand there.
#
# Such a file is a fenced block whose first line, below one that begins with #!, is a comment that begins with its name.
package F6::Recipe;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT_OK = qw(recipe recipes write_recipe need_packages);

my $root = "$FindBin::RealBin/../..";

# Returns the files by their names.
sub recipes
{
	my %recipes;

	foreach my $block (slurp_file("$root/docs/clients.md") =~ /^```(?:sql|sh|js|perl|ini)\n(.*?)^```$/msg)
	{
		my ($name) = $block =~ m{\A(?:\#!.*\n)?(?:--|\#|//|;) ([\w.]+)} or die "a block of docs/clients.md has no name: $block";
		die "docs/clients.md has two files $name" if exists $recipes{$name};
		$recipes{$name} = $block;
	}
	return %recipes;
}

# Returns the text of one.
sub recipe
{
	my ($name) = @_;
	my %recipes = recipes();

	return $recipes{$name} // die "docs/clients.md has no file $name";
}

# Writes one into a folder, ready to be run, and returns its path.
sub write_recipe
{
	my ($folder, $name) = @_;

	PostgreSQL::Test::Utils::append_to_file("$folder/$name", recipe($name));
	chmod 0755, "$folder/$name" or die "$folder/$name: $!";
	return "$folder/$name";
}

# Returns the folder of the packages of npm, or nothing if they are left out on purpose.
sub need_packages
{
	my $folder = "$root/test/clients/node_modules";

	return $folder if -d $folder;
	return if $ENV{F6_OFFLINE};
	die 'the packages of test/clients are not there: run .ci/deps test, or set F6_OFFLINE=1 to do without';
}

1;
