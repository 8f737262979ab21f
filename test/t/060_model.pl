# What f6 says was true, compared with F6::Model, an independent statement of the rules, on random histories appended
# through every door: claims and states at points of both times, and every other question about histories, whose answers
# F6::Answers works out of the model.  F6_SEED chooses other histories (random: new ones
# each time; the seed is shown), F6_ROUNDS more or fewer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Answers qw(compare kinds_of_questions microseconds model_answer time_text);
use F6::Model;
use F6::Random qw(seed_from below chance one_of some_of uuid);
use F6::Server qw(literal);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant HOUR => 3_600_000_000;
use constant INFINITY => F6::Model::INFINITY;

my $seed = seed_from(20240101);
my $usual_rounds = 20;
my $rounds = $ENV{F6_ROUNDS} || $usual_rounds;
my $questions_a_round = 2000;
my $epoch = F6::Model::days(2024, 3, 1) * F6::Model::DAY;
my $node;

#
# The types, for the server and the model alike.
#

my @types = (
	{ type => 'Noted', version => '1' },
	{ type => 'Noted', version => '2', schema => '{"not": {"type": "integer", "minimum": 5}}' },
	{ type => 'Dated', version => '1' },
	{ type => 'Dated', version => '2', valid_from => '/since' },
	{ type => 'Moved', version => '1', valid_from => '/when/a~1b' },
	{ type => 'Moved', version => '2', valid_from => '/since' },
	{ type => 'Decreed', version => '1', legal => 1 },
	{ type => 'DatedDecree', version => '1', valid_from => '/since', legal => 1 });

my %rules = map {
	("$_->{type} $_->{version}" => { valid_from => $_->{valid_from}, legal_when_claimed => $_->{legal} })
} @types;

#
# Times.
#

# Returns a moment within so many days after 2024-03-01, mostly one that others share.
sub moment
{
	my ($days) = @_;

	my $day = $epoch + below($days) * F6::Model::DAY;

	return $day + one_of(0, 0, 0, 6 * HOUR, 18 * HOUR) + (chance(10) ? below(HOUR) : 0);
}

# Returns a date, or date and time, of the sort that event data has.
sub date_text
{
	my ($date, $time) = time_text(moment(60) - 30 * F6::Model::DAY) =~ /^(\S+) (\S+)\+00$/;

	return $date if chance(60);
	return "${date}T$time" . one_of('Z', '+00:00', '+02:00', '-05:30', '');
}

# The time zones that a round may use: the name, and what turns its time into UTC.
my @timezones = (
	[ 'UTC', sub { $_[0] } ],
	[ '<+05>-05', sub { $_[0] - 5 * HOUR } ],
	[ 'Europe/Amsterdam', sub { $_[0] - (is_summer($_[0]) ? 2 : 1) * HOUR } ]);

# Tells whether a local time is European summer time, which starts and ends in the night of
# the last Sundays of March and October.
sub is_summer
{
	my ($time) = @_;
	my $year = (gmtime($time / 1_000_000))[5] + 1900;
	my ($start, $end) = map {
		my $last = F6::Model::days($year, $_, 31);
		($last - ($last + 4) % 7) * F6::Model::DAY + 3 * HOUR
	} 3, 10;

	return $time >= $start && $time < $end;
}

#
# Random histories.
#

# Returns random JSON, nested at most so deep.
sub random_json
{
	my ($depth) = @_;

	return random_scalar() if $depth == 0 || chance(40);
	return [ map { random_json($depth - 1) } 1 .. below(4) ] if chance(20);
	return random_object($depth);
}

# Returns random JSON that holds no other.
sub random_scalar
{
	return undef if chance(25);
	return F6::Model::number(one_of(qw(0 1 -1 1.0 1.50 12345678901234567890.123 -0.001))) if chance(40);
	return one_of(\1, \0) if chance(20);
	return 'long ' x 1000 if chance(2);
	return one_of('', 'A', 'B', "tab\t \"quoted\" \\back\\", "line\nbreak", "\x{e9}\x{20ac}\x{1f600}", '|');
}

# Returns a random JSON object whose keys collide with those of others; some are wide.
sub random_object
{
	my ($depth) = @_;

	return { map { ("key $_" => random_scalar()) } some_of(40, 1 .. 40) } if chance(10);
	return { map { ($_ => random_json($depth - 1)) }
		  some_of(4, 'a', 'b', 'c', 'ab', 'ba', "\x{e9}", '', 'a longer key') };
}

# Returns random data for an event of a type, mostly an object, with its date of effect.
sub random_data
{
	my ($type) = @_;
	my $date = chance(85) ? date_text() : undef;

	return random_json(2) if chance(12);

	my $data = random_object(chance(3) ? 12 : 3);
	return $data if chance(15);
	$data->{when} = { %{ random_object(1) }, 'a/b' => date_text() } if $type->{type} eq 'Moved';
	$data->{since} = $date if $type->{type} =~ /^Dated/ || $type->{version} eq '2' && $type->{type} eq 'Moved';
	return $data;
}

# Returns a random event to append next to a history, in one of the zones; in a live history
# it is f6 that says when it is recorded.
sub random_event
{
	my ($history, @zones) = @_;
	my @known = grep { defined $_->{id} } @{ $history->{events} };
	my @claims = grep { $_->{kind} eq 'claim' } @known;
	my $zone = one_of(@zones);
	my $event = { number => scalar @{ $history->{events} }, zone => $zone->{id} };

	$event->{kind} = @claims < 3 ? 'claim' : one_of(('claim') x 7, ('correction') x 8, ('validation') x 6);
	$event->{id} = uuid() if chance(70);
	$zone->{clock} += one_of(0, 0, 1, HOUR, 6 * HOUR, 24 * HOUR);
	$event->{created_at} = $zone->{clock} unless $history->{is_live};
	$event->{occurred_at} = moment(60) - 30 * F6::Model::DAY if chance(85);
	$event->{occurred_at} = one_of(INFINITY, -INFINITY()) if chance(3);

	if ($event->{kind} eq 'claim')
	{
		fill_claim($history, $event, @known);
	}
	else
	{
		fill_statement($history, $event, @known);
	}
	push @{ $history->{events} }, $event;
	return $event;
}

# Gives a claim its objects and data and, sometimes, events that it is based on.
sub fill_claim
{
	my ($history, $event, @known) = @_;

	$event->{type} = one_of(@types, grep { !$_->{legal} } @types);
	$event->{objects} = [ some_of(chance(70) ? 1 : 3, @{ $history->{objects} }) ];
	$event->{references} = [ map { $_->{id} } some_of(2, @known) ] if @known && chance(10);
	$event->{data} = random_data($event->{type});
	return;
}

# Gives a correction or validation its targets, mostly recent ones, and what it says of them;
# sometimes the objects too, and more than the targets'.
sub fill_statement
{
	my ($history, $event, @known) = @_;
	my @recent = @known > 12 && chance(60) ? @known[ -12 .. -1 ] : @known;
	my $wanted = $event->{kind} eq 'validation' ? qr/claim|correction/ : chance(30) ? qr/validation/ : qr/./;

	@recent = grep { $_->{kind} =~ $wanted } @recent;
	@recent = grep { $_->{kind} eq 'claim' } @known unless @recent;
	my @targets = some_of(chance(70) ? 1 : 3, @recent);

	$event->{type} = chance(50) ? $targets[0]{type} : one_of(@types);
	$event->{type} = one_of(grep { $_->{type} eq $targets[0]{type}{type} } @types) if chance(50);
	$event->{references} = [ map { $_->{id} } @targets ];
	$event->{occurred_at} = $targets[0]{occurred_at} if chance(30);
	$event->{data} = random_data($event->{type}) if chance($event->{kind} eq 'correction' ? 55 : 20);
	if (chance(15) && !grep { !$_->{objects} } @targets)
	{
		my %objects = map { ($_ => 1) } map { @{ $_->{objects} } } @targets;
		$objects{ one_of(@{ $history->{objects} }) } = 1;
		$event->{objects} = [ sort keys %objects ];
	}
	return;
}

#
# The doors of f6.
#

my @columns = qw(zone_id id created_at occurred_at object_ids event_type event_version event_kind
  event_reference event_data metadata);

# Returns an event's columns as text, undef for what is left open; the zone on demand.
sub columns_of
{
	my ($event, $with_zone) = @_;
	my $time = sub { defined $_[0] ? time_text($_[0]) : undef };
	my $array = sub { $_[0] ? '{' . join(',', @{ $_[0] }) . '}' : undef };
	my $newest = (grep { $_->{type} eq $event->{type}{type} } @types)[-1];

	return (
		zone_id => $with_zone ? $event->{zone} : undef,
		id => $event->{id},
		created_at => $time->($event->{created_at}),
		occurred_at => $time->($event->{occurred_at}),
		object_ids => $array->($event->{objects}),
		event_type => $event->{type}{type},
		event_version => $newest == $event->{type} && $event->{number} % 2 ? undef : $event->{type}{version},
		event_kind => $event->{kind},
		event_reference => $array->($event->{references}),
		event_data => defined $event->{data} || $event->{kind} ne 'validation'
		? F6::Model::text($event->{data})
		: undef,
		metadata => qq({"number": "$event->{number}"}));
}

# How a result of f6_append is shown.
my $appended = 'id, "position", ' . microseconds('created_at');

# The doors: each gives the SQL that appends rows of columns.
my %doors = (
	single => sub {
		return join '', map { "select $appended from f6_append(" . arguments($_) . ");\n" } @_;
	},
	batch => sub {
		my $array = '[' . join(', ', map { json_row($_) } @_) . ']';
		return "select $appended from f6_append(" . literal($array) . ");\n";
	},
	insert => sub {
		my @rows = map { my $row = $_; '(' . join(', ', map { literal($row->{$_}) } @columns) . ')' } @_;
		return 'insert into f6.event (' . join(', ', @columns) . ")\nvalues " . join(",\n", @rows) . ";\n";
	},
	copy => sub {
		my @rows = map { my $row = $_; join "\t", map { copy_field($row->{$_}) } @columns } @_;
		return 'copy f6.event (' . join(', ', @columns) . ") from stdin;\n" . join("\n", @rows) . "\n\\.\n";
	});

# Returns a row of columns as f6_append's named arguments: those given and those that it needs.
sub arguments
{
	my ($row) = @_;

	return join ', ', map { "$_ => " . literal($row->{$_}) }
	  grep { defined $row->{$_} || /^(?:object_ids|event_data)$/ } @columns;
}

# Returns a row of columns as an element of f6_append's array.
sub json_row
{
	my ($row) = @_;
	my @members;

	foreach my $column (grep { defined $row->{$_} } @columns)
	{
		my $value = $row->{$column};
		if ($column =~ /^(?:object_ids|event_reference)$/)
		{
			$value = F6::Model::text([ $value =~ /([^{},]+)/g ]);
		}
		elsif ($column !~ /^(?:zone_id|event_data|metadata)$/)
		{
			$value = F6::Model::text($value);
		}
		push @members, qq("$column": $value);
	}
	return '{' . join(', ', @members) . '}';
}

# Returns a column as COPY's text format has it.
sub copy_field
{
	my ($text) = @_;

	return '\N' unless defined $text;
	return $text =~ s/\\/\\\\/gr =~ s/\t/\\t/gr =~ s/\n/\\n/gr;
}

# Returns the lines that SQL prints, run by one who may write history.
sub run_sql
{
	my ($sql) = @_;

	$sql = "set session authorization historian;\n$sql";
	utf8::encode($sql);
	my $output = $node->safe_psql('postgres', $sql);
	utf8::decode($output);
	return split /\n/, $output;
}

# Appends a batch of random events to a history through a random door, and reads back what
# f6 made of them.  Returns the ways in which that is not what was given.
sub append_batch
{
	my ($history) = @_;
	my $one_zone = chance(50) ? one_of(@{ $history->{zones} }) : undef;
	my @zones = $one_zone || @{ $history->{zones} };
	my @batch = map { random_event($history, @zones) } 1 .. 1 + below(12);
	my $door = one_of(sort keys %doors);
	my @rows = map { { columns_of($_, !$one_zone) } } @batch;
	my $setting = $one_zone ? "set f6.zone = '$one_zone->{id}';\n" : '';

	my @lines = run_sql("${setting}begin;\n" . $doors{$door}->(@rows) . "commit;\n" . <<"SQL");
select metadata->>'number', id, "position", ${\ microseconds('created_at')}, ${\ microseconds('occurred_at')},
       array_to_string(object_ids, ','), event_type || ' ' || event_version
  from f6.event
 where "position" > $history->{position}
 order by "position";
SQL
	my @stored = map { [ split /\|/ ] } splice @lines, -@batch;
	my @returned = $door =~ /single|batch/ ? map { join '|', @{$_}[ 1 .. 3 ] } @stored : ();
	my @wrong;

	push @wrong, "$door: returned other rows than it stored" if "@lines" ne "@returned";
	push @wrong, "$door: not in the order given"
	  if join(' ', map { $_->{number} } @batch) ne join ' ', map { $_->[0] } @stored;
	push @wrong, map { "$door: $_" } map { take_stored($history, $_) } @stored;
	$history->{position} = $stored[-1][2];
	return @wrong;
}

# Takes over a row as f6 stored it and adds it to the model.  Returns the columns that differ
# from what was given.
sub take_stored
{
	my ($history, $row) = @_;
	my ($number, $id, $position, $created_at, $occurred_at, $objects, $type) = @$row;
	my $event = $history->{events}[$number];
	my %stored = (id => $id, created_at => $created_at, occurred_at => $occurred_at);
	my @wrong = map { "event $number has another $_ than given" }
	  grep { defined $event->{$_} && $event->{$_} ne $stored{$_} } sort keys %stored;

	push @wrong, "event $number has another type than given"
	  if $type ne "$event->{type}{type} $event->{type}{version}";
	push @wrong, "event $number has other objects than given"
	  if $event->{objects} && join(',', sort @{ $event->{objects} }) ne join ',', sort split /,/, $objects;
	@{$event}{ keys %stored, 'position', 'objects' } = (values %stored, $position, [ split /,/, $objects ]);
	$history->{model}->add({ %$event, references => $event->{references} || [], type => $type });
	return @wrong;
}

#
# Questions.
#

# Returns a random question about a history, near the times at which answers change.
sub random_question
{
	my ($history) = @_;
	my $object = one_of(@{ $history->{objects} });
	my @events = $history->{model}->events_of($object) or return random_question($history);
	my $known_at = near(chance(40) ? INFINITY : one_of(@events)->{created_at});
	my $legal = below(2);
	my @line = @{ $history->{model}->timeline($object, $known_at, $legal) };
	my $valid_at = near(@line && chance(70) ? one_of(@line)->{time} : one_of(@events)->{occurred_at});

	return [ $object, $valid_at, $known_at, $legal ];
}

# Returns a time, or one just before or after it, or seldom any.
sub near
{
	my ($time) = @_;

	return one_of(INFINITY, -INFINITY(), moment(30)) if chance(10);
	return $time if abs $time == INFINITY;
	return $time + one_of(0, 0, -1, -1, 1, 24 * HOUR);
}

# Returns f6's answer to each question: [ ids, state ].
sub ask_f6
{
	my ($timezone, @questions) = @_;
	my $snapshots = one_of(0, 1, 5, 100);
	my @columns = map { my $i = $_; [ map { $_->[$i] } @questions ] } 0 .. 3;

	$_ = [ map { '"' . time_text($_) . '"' } @$_ ] foreach @columns[ 1, 2 ];
	my ($objects, $valid, $known, $legal) = map { literal('{' . join(',', @$_) . '}') } @columns;

	my @lines = run_sql(<<"SQL");
set timezone = '$timezone';
set f6.snapshot_events = $snapshots;
select (select string_agg(e.id::text, ',' order by e.ordinality)
          from f6_events(q.object_id, q.valid_at, q.known_at, q.legal) with ordinality as e),
       f6_state_asof(q.object_id, q.valid_at, q.known_at, legal => q.legal)
  from unnest($objects\::uuid[], $valid\::timestamptz[], $known\::timestamptz[], $legal\::boolean[])
       with ordinality as q (object_id, valid_at, known_at, legal, number)
 order by q.number;
SQL
	return map { [ split /\|/, $_, 2 ] } @lines;
}

# Returns the model's answer to a question, in the same form.
sub ask_model
{
	my ($model, $question) = @_;
	my $state = $model->state(@$question);

	return [ join(',', $model->events(@$question)), defined $state ? $state : '' ];
}

# The fields that are kept for f6_find, as claimed and legally.
my @kept_paths = ('', '/a', '/b', '/a/b');

# What makes a random question of each other kind out of a random question about a point: its parameters.
my %other_questions = (
	f6_history => sub { @_[ 1, 3, 4 ] },
	f6_formal_history => sub { @_[ 1, 2, 4 ] },
	f6_bitemporal => sub { @_[ 1, 4 ] },
	f6_changes => sub {
		my ($history, $object, undef, $known_at, $legal) = @_;
		return ($object, (sort { $a <=> $b } $known_at, random_question($history)->[2]), $legal);
	},
	f6_explain => sub { @_[ 1 .. 4 ] },
	f6_states_asof => sub {
		my ($history, undef, @rest) = @_;
		return ([ one_of(@{ $history->{objects} }), uuid(), @{ $history->{objects} } ], @rest);
	},
	f6_find => sub {
		my ($history, $object, $valid_at, $known_at, $legal) = @_;
		my $path = one_of(@kept_paths);
		my $state = $history->{model}->state_at($object, $valid_at, $known_at, $legal);
		my $value = $state && ref $$state eq 'HASH' ? $history->{model}->at_pointer($$state, $path) : undef;
		return ($path, defined $value ? $value : random_scalar(), $valid_at, $known_at, $legal, $history->{objects});
	},
	f6_consequences => sub {
		my ($history, undef, undef, $known_at) = @_;
		return (one_of($history->{model}->all_events)->{id}, $known_at);
	},
	f6_pending => sub { $_[1] },
	f6_retract => sub {
		my ($history) = @_;
		my @events = $history->{model}->all_events;
		my $view = $history->{model}->new_view(\@events, 0);
		return (one_of(grep { !$history->{model}->removed($view, $_) } @events)->{id}, one_of('none', 'all'), below(2));
	});

# Asks f6 and the model questions of every other kind, and returns those that they answer differently.  Counts the answers that
# have something in them, and those that would be others if the model had one of its flaws.
sub ask_other_questions
{
	my ($history, $timezone, $tally, @flawed) = @_;
	my ($model, @differ) = ($history->{model});
	my $ask = sub {
		return run_sql("set timezone = '$timezone';\nset f6.snapshot_events = " . one_of(0, 1, 5) . ";\n$_[0]");
	};

	foreach my $kind (kinds_of_questions())
	{
		my @questions = map { [ $other_questions{$kind}->($history, @{ random_question($history) }) ] } 1 .. 30;

		foreach my $compared (compare($kind, $model, $ask, @questions))
		{
			my $ours = "@{ $compared->{ours} }";

			push @differ, $compared unless $compared->{is_same};
			$tally->{"$kind: answers"}++ if $ours ne '';
			$tally->{"$kind: answers of flawed models"}++
			  if chance(20) && $ours ne "@{ model_answer($kind, one_of(@flawed), $compared->{question}) }";
		}
	}
	return @differ;
}

# Prints an answer to a question of another kind that is not the model's.
sub show_other_difference
{
	my ($history, $timezone, $differ) = @_;

	show("F6_SEED=$seed, time zone $timezone, $differ->{kind}: " . F6::Model::text($differ->{question}));
	show("f6:\n" . join("\n", @{ $differ->{theirs} }));
	show("model:\n" . join("\n", @{ $differ->{ours} }));
	return;
}

# Prints a question that f6 and the model answer differently, with what is known of the object.
sub show_difference
{
	my ($history, $timezone, $question, $theirs, $ours) = @_;
	my ($object, $valid_at, $known_at, $legal) = @$question;

	show("F6_SEED=$seed, time zone $timezone, object $object, valid at " . time_text($valid_at)
		  . ', known at ' . time_text($known_at) . ($legal ? ', legally' : ', as claimed'));
	foreach my $event (grep { $_->{created_at} <= $known_at } $history->{model}->events_of($object))
	{
		show("$event->{position} $event->{id} $event->{kind}, $event->{type},"
			  . ' created ' . time_text($event->{created_at})
			  . ', occurred ' . time_text($event->{occurred_at})
			  . ', references {' . join(',', @{ $event->{references} }) . '}: '
			  . F6::Model::text($event->{data}));
	}
	show("f6:    $theirs->[0]\n       $theirs->[1]");
	show("model: $ours->[0]\n       $ours->[1]");
	return;
}

# Prints a text of any characters as a diagnostic.
sub show
{
	my ($text) = @_;

	$text =~ s/(?:long ){3,}/long ... /g;
	utf8::encode($text);
	diag $text;
	return;
}

#
# Wrong models: if no question of a run tells one from the right one, the run proves little.
#

my %flaws = (
	'the first correction wins' => {
		decisive => sub {
			my ($self, $view, $event) = @_;
			my ($first) = grep { $self->counts($view, $_) } $self->later($view, 'corrections', $event);
			return $first;
		}
	},
	'a removed correction acts' => {
		removed => sub {
			my ($self, $view, $event) = @_;
			return $event->{kind} ne 'correction' && $self->F6::Model::removed($view, $event);
		}
	},
	'a removed validation counts' => {
		removed => sub {
			my ($self, $view, $event) = @_;
			return $event->{kind} ne 'validation' && $self->F6::Model::removed($view, $event);
		}
	},
	'a restated validation does not count' => {
		removed => sub {
			my ($self, $view, $event) = @_;
			return $self->decisive($view, $event) if $event->{kind} eq 'validation';
			return $self->F6::Model::removed($view, $event);
		}
	},
	'once removed is removed for ever' => {
		removed => sub {
			my ($self, $view, $event) = @_;
			return
			  grep { $self->counts($view, $_) && !defined { $self->effect($view, $_) }->{data} }
			  $self->later($view, 'corrections', $event);
		}
	},
	'a restated correction says its own' => {
		effect => sub {
			my ($self, $view, $event) = @_;
			return $self->F6::Model::effect($view, $event) unless $event->{kind} eq 'correction';
			return (%$event, written_as => $event->{type});
		}
	},
	'a correction is read in the version of the claim' => {
		effect => sub {
			my ($self, $view, $event) = @_;
			return $self->F6::Model::effect($view, $event), type => $event->{type};
		}
	},
	'occurred_at is never restated' => {
		effect => sub {
			my ($self, $view, $event) = @_;
			return $self->F6::Model::effect($view, $event), occurred_at => $event->{occurred_at};
		}
	},
	'corrections need no validation' => {
		has_force => sub {
			my ($self, $view, $event) = @_;
			return $event->{kind} eq 'correction' || $self->F6::Model::has_force($view, $event);
		}
	},
	'nothing is legal at once' => {
		has_force => sub {
			my ($self, $view, $event) = @_;
			return $self->F6::Model::has_force($view, { %$event, type => '' });
		}
	},
	'no type has a date of effect' => { at_pointer => sub { undef } },
	'local time is UTC' => {
		parse_time => sub {
			my ($self, $text) = @_;
			local $self->{local_time} = sub { $_[0] };
			return $self->F6::Model::parse_time($text);
		}
	},
	'of equal times the later position comes first' => {
		fold_order => sub {
			my ($self, $one, $other) = @_;
			return $one->{time} <=> $other->{time} || $other->{position} <=> $one->{position};
		}
	},
	'nulls are kept' => {
		merge => sub {
			my ($self, $target, $patch) = @_;
			return $patch if ref $patch ne 'HASH' || ref $target ne 'HASH';
			return { %$target, map { ($_ => $self->merge($target->{$_}, $patch->{$_})) } keys %$patch };
		}
	},
	'merging stops at the first level' => {
		merge => sub {
			my ($self, $target, $patch) = @_;
			my $merged = $self->F6::Model::merge($target, $patch);
			return $merged if ref $patch ne 'HASH';
			$merged->{$_} = $self->F6::Model::merge(undef, $patch->{$_})
			  foreach grep { defined $patch->{$_} } keys %$patch;
			return $merged;
		}
	},
	'what was valid at that very moment is not' => {
		count_until => sub {
			my ($self, $line, $valid_at) = @_;
			return scalar grep { $_->{time} < $valid_at } @$line;
		}
	},
	'what was recorded at that very moment is not known' => {
		view => sub {
			my ($self, $object, $known_at, $legal) = @_;
			return $self->F6::Model::view($object, $known_at - ($known_at == -INFINITY() ? 0 : 1), $legal);
		}
	});

# Makes a class of each flaw, and returns the class by what is wrong with it.
sub make_flawed_models
{
	my %classes;

	foreach my $flaw (sort keys %flaws)
	{
		my $class = $classes{$flaw} = 'F6::Model::Flaw' . keys %classes;
		no strict 'refs';
		@{"${class}::ISA"} = ('F6::Model');
		*{"${class}::$_"} = $flaws{$flaw}{$_} foreach keys %{ $flaws{$flaw} };
	}
	return %classes;
}

#
# The scenarios of the rules, worked out by hand: the model must know them.
#

# Returns the time of a day's start: YYYY-MM-DD, or MM-DD of 2024.
sub day
{
	my ($text) = @_;

	return F6::Model->new->parse_time(length $text == 5 ? "2024-$text" : $text);
}

# Each: what it is about, its events as [kind, name, created, occurred, reference, data, type],
# and its questions as [valid_at, known_at, answer], legal unless there is a fourth.
my @scenarios = (
	[
		'a birth reported late',
		[
			[ claim => 'b', '01-04', '01-01', undef, 'born' ],
			[ validation => 'v', '01-04', '01-04', 'b' ]
		],
		[ '01-03', '01-03', undef ],
		[ '01-03', '01-04', 'born' ],
		[ '2023-12-31', '01-04', undef ]
	],
	[
		'a move with a date of effect',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '03-20', '03-01', undef, { at => 'B', since => '2024-03-20' }, 'Dated 2' ],
			[ validation => 'v', '03-20', '03-20', 'b' ]
		],
		[ '03-10', '03-31', 'A' ],
		[ '03-20', '03-31', 'B' ],
		[ '03-10', '03-15', 'A' ]
	],
	[
		'a move without a date of effect',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '03-20', '03-01', undef, { at => 'B', since => '2024-03-20' }, 'Dated 1' ],
			[ validation => 'v', '03-20', '03-20', 'b' ]
		],
		[ '03-10', '03-31', 'B' ],
		[ '03-10', '03-15', 'A' ]
	],
	[
		'a date corrected',
		[
			[ claim => 'a1', '2010-08-18', '2010-08-18', undef, 'A1', 'Decreed 1' ],
			[ claim => 'a2', '2016-05-16', '2016-05-16', undef, 'A2', 'Decreed 1' ],
			[ correction => 'k', '2016-07-15', '2016-06-01', 'a2', 'A2' ],
			[ validation => 'v', '2016-07-15', '2016-07-15', 'k' ]
		],
		[ '2016-05-26', '2016-07-01', 'A2' ],
		[ '2016-05-26', '2016-07-15', 'A1' ],
		[ '2016-06-01', '2016-07-15', 'A2' ]
	],
	[
		'a parent removed by the court',
		[
			[ claim => 'p', '2020-02-01', '2020-02-01', undef, 'P' ],
			[ validation => 'v1', '2020-02-01', '2020-02-01', 'p' ],
			[ correction => 'k', '2024-09-10', '2024-09-10', 'p', undef ],
			[ validation => 'v2', '2024-09-10', '2024-09-10', 'k' ]
		],
		[ '2022-01-01', '2024-09-09', 'P' ],
		[ '2022-01-01', '2024-09-10', undef ],
		[ '2022-01-01', '2022-01-01', 'P' ]
	],
	[
		'a claim never validated',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '02-01', '02-01', undef, 'B' ]
		],
		[ '03-01', '03-01', 'A' ],
		[ '03-01', '03-01', 'B', 'as claimed' ]
	],
	[
		'a validation withdrawn and given again',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '04-01', '04-01', undef, 'B' ],
			[ validation => 'v1', '04-02', '04-02', 'b' ],
			[ correction => 'k', '04-10', '04-10', 'v1', undef ],
			[ validation => 'v2', '04-10', '04-10', 'k' ],
			[ validation => 'v3', '04-20', '04-20', 'b' ]
		],
		[ '04-05', '04-05', 'B' ],
		[ '04-05', '04-10', 'A' ],
		[ '04-05', '04-20', 'B' ]
	],
	[
		'a correction corrected',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '05-01', '05-01', undef, 'B' ],
			[ validation => 'v1', '05-01', '05-01', 'b' ],
			[ correction => 'k1', '05-05', '05-05', 'b', undef ],
			[ validation => 'v2', '05-05', '05-05', 'k1' ],
			[ correction => 'k2', '05-09', '05-09', 'k1', undef ],
			[ validation => 'v3', '05-09', '05-09', 'k2' ]
		],
		[ '05-02', '05-04', 'B' ],
		[ '05-02', '05-06', 'A' ],
		[ '05-02', '05-09', 'B' ]
	],
	[
		'a move announced',
		[
			[ claim => 'a', '2020-01-01', '2020-01-01', undef, 'A', 'Decreed 1' ],
			[ claim => 'b', '05-01', '06-01', undef, 'B' ],
			[ validation => 'v', '05-01', '05-01', 'b' ]
		],
		[ '05-15', '05-15', 'A' ],
		[ '06-02', '05-15', 'B' ]
	]);

# Returns a model that holds the events of a scenario.
sub scenario_model
{
	my ($events) = @_;
	my $model = F6::Model->new(types => \%rules);
	my $position = 0;

	foreach my $row (@$events)
	{
		my ($kind, $id, $created_at, $occurred_at, $reference, $data, $type) = @$row;
		$model->add(
			{
				position => ++$position,
				id => $id,
				created_at => day($created_at),
				occurred_at => day($occurred_at),
				objects => ['object'],
				kind => $kind,
				references => [ defined $reference ? $reference : () ],
				data => defined $data && !ref $data ? { at => $data } : $data,
				type => $type || 'Noted 1'
			});
	}
	return $model;
}

subtest 'the model knows the answers worked out by hand' => sub {
	foreach my $scenario (@scenarios)
	{
		my ($name, $events, @questions) = @$scenario;
		my $model = scenario_model($events);

		foreach my $question (@questions)
		{
			my ($valid_at, $known_at, $answer, $claimed) = @$question;
			my $state = $model->state('object', day($valid_at), day($known_at) + F6::Model::DAY - 1, !$claimed);
			my ($place) = defined $state ? $state =~ /"at": "(\w+)"/ : undef;
			is($place, $answer, "$name: valid $valid_at, known $known_at" . ($claimed ? ', as claimed' : ''));
		}
	}
};

#
# Random histories, appended to f6 and compared with the model.
#

# Starts a server that knows the types, and the role that writes history.
sub start_server
{
	$node = PostgreSQL::Test::Cluster->new('model');
	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->start;
	$node->safe_psql('postgres',
		"create extension f6; create role historian login; grant f6_importer, f6_reader to historian;\n"
		  . join '',
		map {
			'select f6_register_event_type('
			  . join(', ', map { literal($_) } @{$_}{qw(type version)}, $_->{schema} || 'true', $_->{valid_from})
			  . ', ' . ($_->{legal} ? 'true' : 'false') . ");\n"
		} @types);

	# Data of every version is data of every other: which events count and when has nothing to do with upcasters.
	$node->safe_psql('postgres', <<'SQL');
select f6_register_upcaster(a.event_type, a.event_version, b.event_version, validate => false)
  from f6.event_type as a join f6.event_type as b using (event_type)
 where a.event_version <> b.event_version;
SQL
	return;
}

# Returns a history without events, in zones and of objects that nothing else is in.
sub new_history
{
	my ($round, $local_time) = @_;
	my @zones = run_as_admin(
		join '', map { "select f6_register_zone('round $round', 'zone $_');\n" } 1 .. one_of(1, 1, 2));
	my ($position) = run_sql('select coalesce(max("position"), 0) from f6.event;');

	return {
		zones => [ map { { id => $_, clock => moment(20) } } @zones ],
		objects => [ map { uuid() } 1 .. 2 + below(3) ],
		events => [],
		position => $position,
		model => F6::Model->new(types => \%rules, local_time => $local_time)
	};
}

# Returns the lines that SQL prints, run by the owner of the extension.
sub run_as_admin
{
	my ($sql) = @_;

	return split /\n/, $node->safe_psql('postgres', $sql);
}

# Has the fields kept that f6_find looks for, in a time zone.
sub keep_fields
{
	my ($timezone) = @_;

	run_as_admin("set timezone = '$timezone';\n" . join '',
		map { "select f6_keep_field('$_'), f6_keep_field('$_', legal => true);\n" } @kept_paths);
	return;
}

# What a question is compared with: that other answers are different shows that it matters.
my @comparisons = ('of law and claim', 'of now known and then known', 'of now valid and then valid');

# Adds to the tally what the questions of a round showed.
sub tally_questions
{
	my ($tally, $model, $answers, @questions) = @_;

	foreach my $i (0 .. $#questions)
	{
		my ($object, $valid_at, $known_at, $legal) = @{ $questions[$i] };
		my @others = (
			[ $object, $valid_at, $known_at, !$legal ],
			[ $object, $valid_at, INFINITY, $legal ],
			[ $object, INFINITY, $known_at, $legal ]);

		$tally->{questions}++;
		$tally->{'with a state'}++ if $answers->[$i][0] ne '';
		foreach my $j (0 .. $#others)
		{
			$tally->{ $comparisons[$j] }++ if different($answers->[$i], ask_model($model, $others[$j]));
		}
	}
	return;
}

# Tells whether two answers are different.
sub different
{
	my ($one, $other) = @_;

	return $one->[0] ne $other->[0] || $one->[1] ne $other->[1];
}

start_server();
diag "F6_SEED=$seed, F6_ROUNDS=$rounds";

my %flawed = make_flawed_models();
my %noticed = map { ($_ => 0) } keys %flawed;
my %tally;

foreach my $round (1 .. $rounds)
{
	my ($timezone, $local_time) = @{ one_of(@timezones) };
	my $history = new_history($round, $local_time);
	my $model = $history->{model};
	my @wrong;

	push @wrong, append_batch($history) while @{ $history->{events} } < 60;
	$history->{is_live} = 1;
	push @wrong, append_batch($history);
	is_deeply(\@wrong, [], 'round ' . $round . ': ' . @{ $history->{events} } . ' events are stored as given');

	my @questions = map { random_question($history) } 1 .. $questions_a_round;
	my @theirs = ask_f6($timezone, @questions);
	my @ours = map { ask_model($model, $_) } @questions;
	my @differ = grep { different($theirs[$_], $ours[$_]) } 0 .. $#questions;

	is(scalar @theirs, scalar @questions, "round $round: every question is answered");
	ok(!@differ, "round $round: f6 and the model agree") || diag scalar @differ . ' answers differ';
	show_difference($history, $timezone, map { $_->[ $differ[0] ] } \@questions, \@theirs, \@ours) if @differ;

	tally_questions(\%tally, $model, \@ours, @questions);

	keep_fields($timezone);
	my @others = ask_other_questions($history, $timezone, \%tally, map { $model->as($flawed{$_}) } sort keys %flawed);
	my %wrong_kinds = map { ($_->{kind} => 1) } @others;
	is(join(' ', sort keys %wrong_kinds), '', "round $round: f6 and the model agree on every other question");
	show_other_difference($history, $timezone, $_) foreach @others[ 0 .. ($#others < 2 ? $#others : 2) ];

	my @sample = grep { $_ % 10 == 0 } 0 .. $#questions;
	foreach my $flaw (keys %flawed)
	{
		my $wrong_model = $model->as($flawed{$flaw});
		$noticed{$flaw} += grep { different($ours[$_], ask_model($wrong_model, $questions[$_])) } @sample;
	}
}

my ($altered) = run_as_admin(<<'SQL');
select count(*)
  from (select distinct object_id from f6.event_object) as o,
       f6_events(o.object_id, 'infinity', 'infinity') as e
  left join f6.event as s using ("position")
 where to_jsonb(e) - 'event_version' is distinct from to_jsonb(s) - 'event_version'
    or e.event_version <> (select t.event_version from f6.event_type as t where t.event_type = e.event_type
                            order by t.ordinal desc limit 1);
SQL
is($altered, '0', 'f6_events returns events as they are stored, in the newest version');

note "$_: $tally{$_}" foreach sort keys %tally;
note "noticed in $noticed{$_} answers: $_" foreach sort keys %noticed;
SKIP:
{
	skip 'too few rounds to tell what the questions would notice', 1 if $rounds < $usual_rounds;

	cmp_ok($tally{'with a state'}, '>', $tally{questions} / 3, 'a third of the answers have a state');
	cmp_ok($tally{$_} || 0, '>', $tally{questions} / 20, "a twentieth of the answers tell the difference $_")
	  foreach @comparisons;
	ok($noticed{$_}, "a model in which $_ would be noticed") foreach sort keys %noticed;
	foreach my $kind (kinds_of_questions())
	{
		cmp_ok($tally{"$kind: answers"} || 0, '>', $usual_rounds * 6, "$kind: a fifth of the answers have something in them");
		ok($tally{"$kind: answers of flawed models"}, "$kind: flawed models answer differently");
	}
}

$node->stop;
done_testing();
