# F6::Model - the rules of formal and material time, written down as definitions.
#
# An oracle for tests: it knows nothing of SQL and never walks the log.  Each rule is a
# method that states when something holds, in terms of later events; the methods call each
# other and remember what they found.  A test may override one to see whether it matters.
#
# Times are microseconds since 1970 (UTC), JSON is Perl data: undef is null, a plain scalar
# a string, F6::Model::Number a number as written, \1 and \0 true and false.
package F6::Model;

use strict;
use warnings;

use constant INFINITY => 9223372036854775807;
use constant DAY => 86_400_000_000;

# Returns an empty log.  types maps "type version" to { valid_from, legal_when_claimed };
# local_time turns a time of the session's zone into UTC (default: they are the same).
sub new
{
	my ($class, %options) = @_;

	return bless {
		types => $options{types} || {},
		local_time => $options{local_time} || sub { $_[0] },
		events => [],
		by_object => {},
		times => {},
		views => {}
	  },
	  $class;
}

# Adds an event: { position, id, created_at, occurred_at, objects => [], kind, references => [],
# data, type => "type version" }.
sub add
{
	my ($self, $event) = @_;

	push @{ $self->{events} }, $event;
	push @{ $self->{by_object}{$_} }, $event foreach @{ $event->{objects} };
	$self->{times} = {};
	$self->{views} = {};
	return;
}

# Returns a model of the same log that follows the rules of another class.
sub as
{
	my ($self, $class) = @_;

	return bless { %$self, times => {}, views => {} }, $class;
}

# Returns a model of the same log, to which events can be added without this one.
sub copy
{
	my ($self) = @_;
	my %by_object = map { ($_ => [ @{ $self->{by_object}{$_} } ]) } keys %{ $self->{by_object} };

	return bless { %$self, events => [ $self->all_events ], by_object => \%by_object, times => {}, views => {} },
	  ref $self;
}

# Returns all events, in order of appending.
sub all_events
{
	my ($self) = @_;

	return @{ $self->{events} };
}

# Returns the object's events, in order of appending.
sub events_of
{
	my ($self, $object) = @_;

	return @{ $self->{by_object}{$object} || [] };
}

# Returns the ids of the claims that count, in fold order.
sub events
{
	my ($self, $object, $valid_at, $known_at, $legal) = @_;
	my $line = $self->timeline($object, $known_at, $legal);

	return map { $_->{id} } @{$line}[ 0 .. $self->count_until($line, $valid_at) - 1 ];
}

# Returns the state as the text of a jsonb, undef where nothing is known.
sub state
{
	my ($self, $object, $valid_at, $known_at, $legal) = @_;
	my $line = $self->timeline($object, $known_at, $legal);
	my $count = $self->count_until($line, $valid_at);

	return undef unless $count;

	my $last = $line->[ $count - 1 ];
	return $last->{text} ||= text($last->{state});
}

# Returns a reference to the state, which may be null; undef where nothing is known.
sub state_at
{
	my ($self, $object, $valid_at, $known_at, $legal) = @_;
	my $line = $self->timeline($object, $known_at, $legal);
	my $count = $self->count_until($line, $valid_at);

	return $count ? \$line->[ $count - 1 ]{state} : undef;
}

# Returns, by the JSON Pointer of each field of the state, the id of the claim that last wrote it.  A field is what has no
# members below: a scalar, an array, an empty object.
sub writers
{
	my ($self, $object, $valid_at, $known_at, $legal) = @_;
	my $line = $self->timeline($object, $known_at, $legal);
	my ($written, %writers);

	$written = written($written, $_->{data}, $_->{id}) foreach @{$line}[ 0 .. $self->count_until($line, $valid_at) - 1 ];
	note_writers(\%writers, '', $written) if $written;
	return \%writers;
}

# Returns what a patch makes of a tree of writers: { by, members }, without members for what is no object.
sub written
{
	my ($tree, $patch, $id) = @_;

	return { by => $id } unless ref $patch eq 'HASH';

	my %members = $tree && $tree->{members} ? %{ $tree->{members} } : ();
	foreach my $name (keys %$patch)
	{
		$members{$name} = written($members{$name}, $patch->{$name}, $id);
		delete $members{$name} unless defined $patch->{$name};
	}
	return { by => $id, members => \%members };
}

# Notes the writer of each field of a tree.
sub note_writers
{
	my ($writers, $path, $tree) = @_;
	my %members = %{ $tree->{members} || {} };

	$writers->{$path} = $tree->{by} unless %members;
	note_writers($writers, member_pointer($path, $_), $members{$_}) foreach keys %members;
	return;
}

# Returns how many entries of a timeline are at or before the time.
sub count_until
{
	my ($self, $line, $valid_at) = @_;

	return scalar grep { $_->{time} <= $valid_at } @$line;
}

# Returns what was known then, as { id, time, state }: each claim that counts with its
# material time and the state once it is folded.
sub timeline
{
	my ($self, $object, $known_at, $legal) = @_;
	my $view = $self->view($object, $known_at, $legal);

	return $view->{timeline} if $view->{timeline};

	my @claims =
	  map { { id => $_->{id}, position => $_->{position}, $self->effect($view, $_) } }
	  grep { $_->{kind} eq 'claim' && $self->counts($view, $_) } @{ $view->{events} };
	$_->{time} = $self->material_time($_) foreach @claims;

	my $state;
	$view->{timeline} = [ sort { $self->fold_order($a, $b) } @claims ];
	foreach my $claim (@{ $view->{timeline} })
	{
		$claim->{state} = $state = $self->merge($state, $claim->{data});
	}
	return $view->{timeline};
}

# Returns the events known of an object at a time, with room for what is found out of them.
sub view
{
	my ($self, $object, $known_at, $legal) = @_;
	my $times = $self->{times}{$object} ||=
	  [ sort { $a <=> $b } map { $_->{created_at} } $self->events_of($object) ];
	my $known = grep { $_ <= $known_at } @$times;

	return $self->{views}{$object}{$known}{ $legal ? 1 : 0 } ||=
	  $self->new_view([ grep { $_->{created_at} <= $known_at } $self->events_of($object) ], $legal);
}

# Returns a view of these events, with the later events that refer to each.
sub new_view
{
	my ($self, $events, $legal) = @_;
	my %view = (events => $events, legal => $legal, corrections => {}, validations => {});

	foreach my $event (grep { $_->{kind} ne 'claim' } @$events)
	{
		push @{ $view{ $event->{kind} . 's' }{$_} }, $event foreach @{ $event->{references} };
	}
	return \%view;
}

# Returns the events of a kind ('corrections' or 'validations') that stand after this one
# and refer to it.
sub later
{
	my ($self, $view, $kind, $event) = @_;

	return grep { $_->{position} > $event->{position} } @{ $view->{$kind}{ $event->{id} } || [] };
}

# Tells whether an event acts at all: it is not removed and, in law, has its validation.
sub counts
{
	my ($self, $view, $event) = @_;
	my $answers = $view->{counts} ||= {};

	$answers->{ $event->{id} } = !$self->removed($view, $event) && $self->has_force($view, $event)
	  unless exists $answers->{ $event->{id} };
	return $answers->{ $event->{id} };
}

# Tells whether an event may act as far as validation goes.
sub has_force
{
	my ($self, $view, $event) = @_;

	return 1 if !$view->{legal} || $event->{kind} eq 'validation';
	return 1 if $self->{types}{ $event->{type} }{legal_when_claimed};
	return scalar grep { $self->counts($view, $_) } $self->later($view, 'validations', $event);
}

# Tells whether an event is removed: the correction that decides about it says null.
sub removed
{
	my ($self, $view, $event) = @_;
	my $correction = $self->decisive($view, $event);

	return $correction && !defined { $self->effect($view, $correction) }->{data};
}

# Returns the correction that decides about an event: of those that act, the latest.
sub decisive
{
	my ($self, $view, $event) = @_;
	my $answers = $view->{decisive} ||= {};

	return $answers->{ $event->{id} } if exists $answers->{ $event->{id} };

	my @acting = sort { $a->{position} <=> $b->{position} }
	  grep { $self->counts($view, $_) } $self->later($view, 'corrections', $event);
	return $answers->{ $event->{id} } = $acting[-1];
}

# Returns what an event says now: data and occurred_at, its own or what the correction that
# decides about it says now, and the type by which to read them: the event's, in the version
# for which the data was written.
sub effect
{
	my ($self, $view, $event) = @_;
	my $correction = $self->decisive($view, $event);
	my %said = $correction ? $self->effect($view, $correction) : (%$event, written_as => $event->{type});
	my ($own, $written) = map { /^(.*) / } $event->{type}, $said{written_as};

	return (
		data => $said{data},
		occurred_at => $said{occurred_at},
		written_as => $said{written_as},
		type => $own eq $written ? $said{written_as} : $event->{type});
}

# Returns when what is said holds: its date of effect if the type has one and it is given,
# else when it occurred.
sub material_time
{
	my ($self, $said) = @_;
	my $pointer = $self->{types}{ $said->{type} }{valid_from};
	my $value = defined $pointer ? $self->at_pointer($said->{data}, $pointer) : undef;

	return defined $value ? $self->parse_time($value) : $said->{occurred_at};
}

# Compares two claims by the order in which they are folded.
sub fold_order
{
	my ($self, $one, $other) = @_;

	return $one->{time} <=> $other->{time} || $one->{position} <=> $other->{position};
}

# Returns the state after a merge patch (RFC 7396, the pseudocode of section 2).
sub merge
{
	my ($self, $target, $patch) = @_;

	return $patch if ref $patch ne 'HASH';

	my %result = ref $target eq 'HASH' ? %$target : ();
	foreach my $name (keys %$patch)
	{
		if (defined $patch->{$name})
		{
			$result{$name} = $self->merge($result{$name}, $patch->{$name});
		}
		else
		{
			delete $result{$name};
		}
	}
	return \%result;
}

# Returns the names that a JSON Pointer (RFC 6901) leads through.
sub tokens
{
	my ($pointer) = @_;

	return map { s/~1/\//gr =~ s/~0/~/gr } ($pointer =~ m{/([^/]*)}g);
}

# Returns the JSON Pointer to a member of what another one points at.
sub member_pointer
{
	my ($pointer, $name) = @_;

	return "$pointer/" . $name =~ s/~/~0/gr =~ s{/}{~1}gr;
}

# Returns what a JSON Pointer points at, undef if there is nothing or null.
sub at_pointer
{
	my ($self, $value, $pointer) = @_;

	foreach my $token (tokens($pointer))
	{
		if (ref $value eq 'HASH')
		{
			$value = $value->{$token};
		}
		elsif (ref $value eq 'ARRAY' && $token =~ /^(?:0|[1-9][0-9]*)$/)
		{
			$value = $value->[$token];
		}
		else
		{
			return undef;
		}
	}
	return $value;
}

# Returns the microseconds of an ISO 8601 date, or date and time.
sub parse_time
{
	my ($self, $text) = @_;

	$text =~ /^(\d{4})-(\d\d)-(\d\d) (?: [T ](\d\d):(\d\d)(?: :(\d\d)(?:\.(\d{1,6}))? )?
		(?: (Z) | ([-+])(\d\d):(\d\d) )? )?$/x
	  or die "not a time: $text";

	my $minutes = days($1, $2, $3) * 1440 + ($4 || 0) * 60 + ($5 || 0);
	my $time = ($minutes * 60 + ($6 || 0)) * 1_000_000 + substr(($7 || '') . '000000', 0, 6);
	return $time if $8;
	return $time - "${9}1" * ($10 * 60 + $11) * 60_000_000 if $9;
	return $self->{local_time}->($time);
}

# Returns the number of days from 1970-01-01 to a date of the Gregorian calendar.
sub days
{
	my ($year, $month, $day) = @_;
	my $leaps = sub { int($_[0] / 4) - int($_[0] / 100) + int($_[0] / 400) };
	my @before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334);
	my $leap = $leaps->($year) - $leaps->($year - 1);

	return
	  365 * ($year - 1970) +
	  $leaps->($year - 1) -
	  $leaps->(1969) +
	  $before[ $month - 1 ] +
	  ($month > 2 ? $leap : 0) +
	  $day - 1;
}

my %escapes =
  ('"' => '\"', '\\' => '\\\\', "\b" => '\b', "\f" => '\f', "\n" => '\n', "\r" => '\r', "\t" => '\t');

# Returns the text that PostgreSQL gives for this value as a jsonb.
sub text
{
	my ($value) = @_;
	my $kind = ref $value;

	return 'null' unless defined $value;
	return $$value ? 'true' : 'false' if $kind eq 'SCALAR';
	return $$value if $kind eq 'F6::Model::Number';
	return '[' . join(', ', map { text($_) } @$value) . ']' if $kind eq 'ARRAY';
	return '{' . join(', ', members($value)) . '}' if $kind eq 'HASH';
	return '"' . $value =~ s/(["\\\x00-\x1f])/$escapes{$1} || sprintf '\\u%04x', ord $1/ger . '"';
}

# Returns a text that is the same for values that are equal as jsonb compares them: numbers by value.
sub canonical
{
	my ($value) = @_;
	my $kind = ref $value;

	return $$value =~ s/(\.\d*?)0+$/$1/r =~ s/\.$//r if $kind eq 'F6::Model::Number';
	return '[' . join(', ', map { canonical($_) } @$value) . ']' if $kind eq 'ARRAY';
	return '{' . join(', ', map { text($_) . ': ' . canonical($value->{$_}) } sort keys %$value) . '}'
	  if $kind eq 'HASH';
	return text($value);
}

# Returns the members of an object as text, in jsonb's order.
sub members
{
	my ($object) = @_;

	return map { text($_) . ': ' . text($object->{$_}) } sort { key_order($a, $b) } keys %$object;
}

# Compares two keys as jsonb does: the shorter first, then by bytes.
sub key_order
{
	my ($first, $second) = @_;

	utf8::encode($first);
	utf8::encode($second);
	return length $first <=> length $second || $first cmp $second;
}

# Returns a JSON number that is written like this.
sub number
{
	my ($text) = @_;

	return bless \$text, 'F6::Model::Number';
}

1;
