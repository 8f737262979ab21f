# The documentation: its examples run and print what it says, it leaves nothing out, and the demo
# gives the answers that it is told for.
#
# A ```sql block of README.md, docs/reference.md, docs/validation.md, docs/consistency.md, docs/projections.md, docs/commands.md, docs/reactions.md, docs/schedules.md,
# docs/cookbook.md, docs/time.md or
# docs/tutorial.md runs in the file's own database, one after the other, in one session of psql -X -q with SHOW_CONTEXT never.  A ```text block right below it is
# what it prints; without one it must not print an error.  A ```console block is an excerpt of the
# demo's output: its parts, which are separated by lines of three dots, occur there word for word.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $reference = slurp_file("$root/docs/reference.md");

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;

# Runs psql on a script, and returns what it prints, errors in their places.
sub run_psql
{
	my ($database, $script, @options) = @_;
	my $output = '';
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	local $ENV{PGAPPNAME} = 'psql';

	$node->safe_psql('postgres', "create database $database");
	IPC::Run::run([ 'psql', '-X', '-v', 'SHOW_CONTEXT=never', @options, '-d', $node->connstr($database) ],
		'<', \$script, '>&', \$output);
	return $output;
}

# Returns the fenced blocks of a file, in order: the language, the text, the line it starts at, and
# for sql the text that it is expected to print, undef where the file doesn't say.
sub blocks_of
{
	my ($file) = @_;
	my (@blocks, $block);
	my $adjacent = 0;
	my $number = 0;

	foreach my $line (split /\n/, slurp_file("$root/$file"))
	{
		$number++;
		if (defined $block)
		{
			if ($line eq '```')
			{
				if ($block->{language} eq 'text' && $adjacent)
				{
					$blocks[-1]{expected} = $block->{text};
				}
				else
				{
					push @blocks, $block;
				}
				$adjacent = $block->{language} eq 'sql';
				undef $block;
			}
			else
			{
				$block->{text} .= "$line\n";
			}
		}
		elsif ($line =~ /^```(\w+)$/)
		{
			$block = { language => $1, text => '', line => $number };
		}
		elsif ($line ne '')
		{
			$adjacent = 0;
		}
	}
	die "$file: a block does not end" if defined $block;
	return @blocks;
}

# Returns text without the blanks that psql puts at the ends of lines and an editor takes away.
sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\A\n+//;
	$text =~ s/\n+\z//;
	return $text;
}

# Runs the examples of a file and checks what each prints.
sub check_examples
{
	my ($file, $database) = @_;
	my @examples = grep { $_->{language} eq 'sql' } blocks_of($file);
	my $rule = '======== an example ends here ========';
	my $script = join('', map { "$_->{text}\n\\echo '$rule'\n" } @examples);
	my @printed = split /^\Q$rule\E\n/m, run_psql($database, $script, '-q'), -1;

	cmp_ok(scalar @examples, '>', 0, "$file has examples");
	is(scalar @printed, @examples + 1, "psql comes to the end of the examples of $file");
	for my $i (0 .. $#examples)
	{
		my $place = "$file, line $examples[$i]{line}";
		my $output = trimmed($printed[$i] // '');

		if (defined $examples[$i]{expected})
		{
			is($output, trimmed($examples[$i]{expected}), "$place: the example prints what is written below it");
		}
		else
		{
			unlike($output, qr/^(?:WARNING|ERROR|FATAL|PANIC|\\\S+):/m, "$place: the example runs without an error");
		}
	}
}

# Returns the part of the reference below a heading, as far as the next of its level or higher.
sub section
{
	my ($title) = @_;
	my ($level, $text) = $reference =~ /^(#+) `?\Q$title\E`?(?:\W[^\n]*)?\n(.*)/ms or return undef;
	my $depth = length $level;
	$text =~ s/^#{1,$depth} .*//ms;
	return $text;
}

# Returns the rows of a query on the database of the reference's examples.
sub rows_of
{
	my ($query) = @_;
	return map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('reference', $query);
}

check_examples('README.md', 'readme');
check_examples('docs/reference.md', 'reference');
check_examples('docs/validation.md', 'validation');
check_examples('docs/consistency.md', 'consistency');
check_examples('docs/projections.md', 'projections');
check_examples('docs/commands.md', 'commands');
check_examples('docs/cookbook.md', 'cookbook');
check_examples('docs/subscriptions.md', 'subscriptions');
check_examples('docs/reactions.md', 'reactions');
check_examples('docs/schedules.md', 'schedules');
check_examples('docs/time.md', 'time');
check_examples('docs/tutorial.md', 'tutorial');

# What CREATE EXTENSION makes is described, in the catalog and in the reference.
my $of_extension = q{
	join pg_catalog.pg_depend as d on d.classid = c.tableoid and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'
	join pg_catalog.pg_extension as x on d.refclassid = 'pg_extension'::regclass and d.refobjid = x.oid and x.extname = 'f6'};

my @functions = rows_of(qq{
	select c.proname, c.oid::regprocedure, obj_description(c.oid, 'pg_proc') is not null
	from pg_catalog.pg_proc as c $of_extension order by 2});
cmp_ok(scalar @functions, '>', 0, 'the extension has functions');
foreach my $function (@functions)
{
	my ($name, $signature, $has_comment) = @$function;
	is($has_comment, 't', "function $signature has a comment");
	ok(defined section($name), "function $name has a heading in the reference") if $name =~ /^f6_/;
}

my @columns = rows_of(qq{
	select c.relname, a.attname, obj_description(c.oid, 'pg_class') is not null,
	       col_description(c.oid, a.attnum) is not null
	from pg_catalog.pg_class as c $of_extension
	join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
	where c.relkind in ('r', 'p', 'v', 'm', 'f')
	order by c.relname, a.attnum});
cmp_ok(scalar @columns, '>', 0, 'the extension has relations');
foreach my $column (@columns)
{
	my ($relation, $name, $relation_has_comment, $has_comment) = @$column;
	is($relation_has_comment, 't', "relation f6.$relation has a comment");
	is($has_comment, 't', "column f6.$relation.$name has a comment");
	like(section("f6.$relation") // '', qr/^\| `\Q$name\E` \|/m, "column f6.$relation.$name is in the reference");
}

foreach my $type (rows_of(qq{select c.typname, obj_description(c.oid, 'pg_type') is not null
	from pg_catalog.pg_type as c $of_extension
	left join pg_catalog.pg_class as r on r.oid = c.typrelid
	where c.typtype = 'e' or r.relkind = 'c' order by 1}))
{
	is($type->[1], 't', "type f6.$type->[0] has a comment");
	ok(defined section("f6.$type->[0]"), "type f6.$type->[0] has a heading in the reference");
}

foreach my $sequence (rows_of(qq{select c.relname from pg_catalog.pg_class as c $of_extension where c.relkind = 'S'}))
{
	like($reference, qr/`f6\.$sequence->[0]`/, "sequence f6.$sequence->[0] is in the reference");
}

my $triggers = section('Triggers') // '';
foreach my $trigger (rows_of(q{
	select c.relname, t.tgname from pg_catalog.pg_trigger as t join pg_catalog.pg_class as c on c.oid = t.tgrelid
	where c.relnamespace = 'f6'::regnamespace and not t.tgisinternal order by 1, 2}))
{
	my ($relation, $name) = @$trigger;
	like($triggers, qr/^\|[^|]*`f6\.$relation`[^|]*\|[^|]*`$name`/m, "trigger $name of f6.$relation is in the reference");
}

my $settings = section('Settings') // '';
foreach my $setting (rows_of(q{load 'f6'; select name from pg_catalog.pg_settings where name like 'f6.%'}))
{
	like($settings, qr/`$setting->[0]`/, "setting $setting->[0] is in the reference");
}

my $roles = section('Roles') // '';
foreach my $role (rows_of(q{select rolname from pg_catalog.pg_roles where rolname like 'f6\_%'}))
{
	like($roles, qr/`$role->[0]`/, "role $role->[0] is in the reference");
}

# The sources name their SQLSTATEs and the keywords of JSON Schema in one place each.
my $errors = section('Errors') // '';
my @sqlstates = slurp_file("$root/src/errors.h") =~ m{/\* ([0-9A-Z]{5}): }g;
cmp_ok(scalar @sqlstates, '>', 0, 'src/errors.h names SQLSTATEs');
foreach my $sqlstate (@sqlstates)
{
	like($errors, qr/^\| `?$sqlstate`? \|/m, "SQLSTATE $sqlstate is in the reference");
}

# The drafts that a word of the sources or of the documentation stands for.
my @drafts = qw(4 6 7 2019-09 2020-12);
my %drafts_of = (
	ALL => [@drafts], D6 => [ @drafts[ 1 .. 4 ] ], D7 => [ @drafts[ 2 .. 4 ] ], D19 => [ @drafts[ 3, 4 ] ], D20 => ['2020-12'],
	D4 => ['4'], TO19 => [ @drafts[ 0 .. 3 ] ], F6_DRAFT_7 => ['7'], F6_DRAFT_2019_09 => ['2019-09'],
	'all' => [@drafts], 'to 2019-09' => [ @drafts[ 0 .. 3 ] ],
	map { ($drafts[$_] => [ $drafts[$_] ], "from $drafts[$_]" => [ @drafts[ $_ .. 4 ] ]) } 0 .. 4);

# Returns the rows of a table of docs/validation.md below a heading: the names in the first column, and the second.
my $validation = slurp_file("$root/docs/validation.md");
sub table_of
{
	my ($heading) = @_;
	my ($section) = $validation =~ /^## \Q$heading\E\n(.*?)^## /ms;
	my %table;

	foreach my $line (split /\n/, $section // '')
	{
		my (undef, $names, $second) = split /\s*\|\s*/, $line;
		$table{$_} = $second foreach ($names // '') =~ /`([^`]+)`/g;
	}
	return %table;
}

my %documented = table_of('Keywords');
my %keywords;
foreach my $line (split /\n/, slurp_file("$root/src/schema_keywords.c"))
{
	$keywords{$1}{$_} = 1 foreach $line =~ /^\t\{ "([^"]+)", (\w+),/ ? @{ $drafts_of{$2} } : ();
}
cmp_ok(scalar keys %keywords, '>', 60, 'src/schema_keywords.c names keywords');
foreach my $keyword (sort keys %keywords)
{
	is_deeply([ sort @{ $drafts_of{ $documented{$keyword} // '' } // [] } ], [ sort keys %{ $keywords{$keyword} } ],
		"keyword $keyword is in docs/validation.md with its drafts");
}

my %formats = table_of('Formats');
my %first_draft = (regex => '7');
foreach my $line (split /\n/, slurp_file("$root/src/format.c"))
{
	$first_draft{$1} //= { 4 => '4', 6 => '6', 7 => '7', 2019 => '2019-09' }->{$2} if $line =~ /^\t\{ "([^"]+)", (\d+),/;
}
cmp_ok(scalar keys %first_draft, '>', 15, 'src/format.c names formats');
is_deeply(\%formats, \%first_draft, 'every format is in docs/validation.md with its first draft');

# The demo.
my $birth = slurp_file("$root/docs/demo/birth.sql");
my $demo = run_psql('demo', $birth, '--echo-all', '-v', 'ON_ERROR_STOP=1');
my $child = q{f6_object_id('birth', 'Waterdam 2024/1')};

is($node->safe_psql('demo', 'select count(*), count(distinct zone_id), count(distinct event_kind) from f6.event'),
	'11|2|3', 'the demo records its events, of all kinds, in two zones');
is(() = $demo =~ /^ERROR: /mg, 2, 'the demo shows two refusals, and has no error of its own');
like($demo, qr/^ERROR:  event data is not valid for event type "Residence" version "1"\nDETAIL:  "\/since" pattern: .*\n"\/house_number" type: .*\n"" required: .*"town"/m,
	'the demo shows why an invalid event is refused');
like($demo, qr/^ERROR:  UPDATE is not allowed on f6\.event$/m, 'the demo shows that history is not changed');

# The questions that the demo is about, asked once more without its own function.
sub asked
{
	my ($valid_at, $known_at, $legal) = @_;
	return $node->safe_psql('demo', qq{
		set timezone = 'Europe/Amsterdam';
		select coalesce(state #>> '{given_names,0}', '?') || ', ' ||
		       coalesce((state ->> 'street') || ' ' || (state ->> 'house_number'), '?')
		from f6_state_asof($child, '$valid_at', '$known_at 23:59:59', legal => $legal) as state
		where state is not null});
}
my @questions = (
	[ '2024-01-02', '2024-01-02', '',                     '?, ?' ],
	[ '2024-01-02', '2024-01-03', '',                     '?, ?' ],
	[ '2024-01-02', '2024-01-04', '?, ?',                 '?, ?' ],
	[ '2023-12-31', '2024-03-31', '',                     '' ],
	[ '2024-01-02', '2024-01-08', '?, ?',                 'Noor, ?' ],
	[ '2024-01-20', '2024-01-20', 'Noor, Dorpsstraat 71', 'Noor, Dorpsstraat 71' ],
	[ '2024-01-20', '2024-02-05', 'Noor, Dorpsstraat 71', 'Noor, Dorpsstraat 17' ],
	[ '2024-01-20', '2024-02-06', 'Noor, Dorpsstraat 17', 'Noor, Dorpsstraat 17' ],
	[ '2024-01-20', '2024-01-31', 'Noor, Dorpsstraat 71', 'Noor, Dorpsstraat 71' ],
	[ '2024-03-10', '2024-03-15', 'Noor, Dorpsstraat 17', 'Noor, Dorpsstraat 17' ],
	[ '2024-03-10', '2024-03-18', 'Noor, Dorpsstraat 17', 'Noor, Kerkweg 4' ],
	[ '2024-03-10', '2024-03-20', 'Noor, Kerkweg 4',      'Noor, Kerkweg 4' ],
	[ '2024-02-29', '2024-03-20', 'Noor, Dorpsstraat 17', 'Noor, Dorpsstraat 17' ]);
foreach my $question (@questions)
{
	my ($valid_at, $known_at, $legally, $as_claimed) = @$question;
	my $asked = "valid at $valid_at, known at $known_at";
	is(asked($valid_at, $known_at, 'true'), $legally, "the demo's child, legally, $asked");
	is(asked($valid_at, $known_at, 'false'), $as_claimed, "the demo's child, as claimed, $asked");
	next unless $legally =~ /Noor/ && $as_claimed =~ /Noor/;
	like($demo, qr/^ $valid_at \| $known_at \| \Q$legally\E +\| \Q$as_claimed\E +\|/m, "the demo prints the answer, $asked");
}

# The excerpt in the README is of this very demo.
my @excerpts = grep { $_->{language} eq 'console' } blocks_of('README.md');
cmp_ok(scalar @excerpts, '>', 0, 'README.md shows the demo at work');
foreach my $excerpt (@excerpts)
{
	foreach my $part (split /^\.\.\.\n/m, $excerpt->{text})
	{
		my ($first) = trimmed($part) =~ /\A([^\n]*)/;
		ok(index(trimmed($demo), trimmed($part)) >= 0, "the demo prints, as README.md says: $first ...");
	}
}

# The picture of docs/time.md is drawn from the answers that its examples give: docs/picture/run does the same.
my $rectangles = $node->safe_psql('time', slurp_file("$root/docs/picture/rectangles.sql"));
my ($picture, $complaints) = ('', '');
IPC::Run::run([ $^X, "$root/docs/picture/draw" ], '<', \"$rectangles\n", '>', \$picture, '2>', \$complaints);
is($complaints, '', 'the picture of docs/time.md can be drawn');
is($picture, slurp_file("$root/docs/time.svg"), 'docs/time.svg is what docs/picture/draw makes of the story; make picture draws it');
is(() = $picture =~ /^<rect class="rectangle" /mg, split(/\n/, $rectangles), 'the picture has a rectangle for each of f6_bitemporal');

# Links lead to files that exist.
foreach my $file (qw(README.md CHANGELOG.md docs/reference.md docs/validation.md docs/consistency.md docs/projections.md docs/time.md docs/tutorial.md docs/subscriptions.md docs/clients.md docs/architecture.md))
{
	my ($folder) = $file =~ m{^(.*/)?};
	my $text = slurp_file("$root/$file");
	$text =~ s/^```.*?^```$//msg;
	foreach my $target ($text =~ /\]\(([^)#:]+)(?:#[^)]*)?\)/g)
	{
		ok(-e "$root/" . ($folder // '') . $target, "$file: the link to $target leads somewhere");
	}
}

$node->stop;
done_testing();
