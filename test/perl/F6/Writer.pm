# F6::Writer - a process that appends batches of events without pause through one door of the log,
# until its server is gone, and knows afterwards which of them were acknowledged.
#
# Everything about an event follows from its writer's and its batch's number.  So a writer that is
# started again repeats the batch that it got no answer for, as clients do, and nothing else.
package F6::Writer;

use strict;
use warnings;

use POSIX ();

# What writes a batch in one transaction, by door.
my %doors = (
	single => sub {
		return join "\n", 'begin;', (map { 'select id, position from f6_append(' . literals($_) . ');' } @_), "commit;\n";
	},
	batch => sub {
		return 'select id, position from f6_append(jsonb_build_array('
		  . join(",\n", map { json_object($_) } @_) . "));\n";
	},
	insert => sub {
		return 'insert into f6.event (event_type, object_ids, event_data, event_reference, id) values '
		  . join(",\n", map { '(' . literals($_, '') . ')' } @_) . " returning id, position;\n";
	},
	copy => sub {
		return "copy f6.event (event_type, object_ids, event_data, event_reference, id) from stdin;\n"
		  . join('', map { join("\t", map { defined $_ ? $_ : '\\N' } @$_) . "\n" } @_) . "\\.\n";
	});

my @columns = qw(event_type object_ids event_data event_reference id);

# Returns the columns of an event as SQL literals; f6_append takes the last two by name.
sub literals
{
	my ($event) = @_;
	my @names = @_ > 1 ? ('') x 5 : (('') x 3, 'event_reference => ', 'id => ');

	return join ', ', map { $names[$_] . (defined $event->[$_] ? "'$event->[$_]'" : 'null') } 0 .. $#columns;
}

# Returns SQL for an event as JSON.
sub json_object
{
	my ($event) = @_;
	my @types = qw(text uuid[] jsonb uuid[] uuid);

	return 'jsonb_build_object('
	  . join(', ', map { "'$columns[$_]', '$event->[$_]'::$types[$_]" } grep { defined $event->[$_] } 0 .. $#columns) . ')';
}

# Returns a writer through a door; its number tells its events from those of others.
sub new
{
	my ($class, $node, $door, $number) = @_;

	return bless {
		node => $node,
		door => $door,
		number => $number,
		size => $door eq 'single' ? 3 : 20,
		output => $node->basedir . "/writer_$door",
		acknowledged => 0,
		positions => {}
	  },
	  $class;
}

# Returns what was acknowledged, a line an event: id, content, position (where the door tells it).
sub acknowledged
{
	my ($self) = @_;
	my @lines;

	foreach my $batch (1 .. $self->{acknowledged})
	{
		push @lines, join "\t", $_->[4], $_->[2], $self->{positions}{ $_->[4] } || '\\N' foreach $self->events($batch);
	}
	return @lines;
}

# Starts appending, in a process of its own.
sub start
{
	my ($self) = @_;
	my $pid = fork;

	die "could not fork: $!" if !defined $pid;
	if ($pid == 0)
	{
		$self->feed;
		POSIX::_exit(0);
	}
	$self->{pid} = $pid;
	return;
}

# Feeds psql with batches until it is gone.
sub feed
{
	my ($self) = @_;
	my $batch = $self->{acknowledged};

	local $SIG{PIPE} = 'IGNORE';
	open STDOUT, '>>', $self->{output} or die "$self->{output}: $!";
	open STDERR, '>>', "$self->{output}.err" or die "$self->{output}.err: $!";
	open my $psql, '|-', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
	  $self->{node}->connstr('postgres') . " application_name=writer"
	  or die "psql: $!";
	do { $batch++ } while print {$psql} $doors{ $self->{door} }->($self->events($batch)) . "\\echo done $batch\n";
	close $psql;
	return;
}

# Waits until the writer has come to its end, and reads what it was told.
sub finish
{
	my ($self) = @_;

	waitpid $self->{pid}, 0;
	open my $output, '<', $self->{output} or return;
	while (my $line = <$output>)
	{
		$self->{acknowledged} = $1 if $line =~ /^done (\d+)$/;
		$self->{positions}{$1} = $2 if $line =~ /^([0-9a-f-]{36})\|(\d+)$/;
	}
	return;
}

# Returns the id of an event.
sub id
{
	my ($self, $batch, $place) = @_;

	return sprintf '%08x-0000-4000-8000-%08x%04x', $self->{number}, $batch, $place;
}

# Returns the content of an event.
sub content
{
	my ($self, $batch, $place) = @_;

	return sprintf '{"content": "%s of %s", "batch": "%s %s", "size": %s}',
	  $place, $batch, $self->{door}, $batch, $self->{size};
}

# Returns the columns of the events of a batch: type, objects, data, references, id.  Each event is
# about itself, its batch and its writer, and based on the one before and the batch before.
sub events
{
	my ($self, $batch) = @_;

	return map {
		my @objects = ($self->id($batch, $_), $self->id($batch, 0), $self->id(0, 0));
		my @references = ($batch > 1 ? $self->id($batch - 1, 1) : (), $_ > 1 ? $self->id($batch, $_ - 1) : ());
		[ 'Told', '{' . join(',', @objects) . '}', $self->content($batch, $_),
			@references ? '{' . join(',', @references) . '}' : undef, $self->id($batch, $_) ];
	} 1 .. $self->{size};
}

1;
