# F6::Answers - what the questions about histories should answer, by the rules of F6::Model.
#
# Each question is asked of f6 in SQL and of the model in Perl, and both answers are lines of text that must be the same.
# What the model answers is worked out from its states at single points of both times, as the reference defines the
# answer: it never looks at how one timeline comes out of another.
package F6::Answers;

use strict;
use warnings;

use Exporter 'import';
use F6::Model;

our @EXPORT_OK = qw(compare kinds_of_questions microseconds model_answer time_text);

use constant INFINITY => F6::Model::INFINITY;

# What is said of a state where there is none.
my $NOTHING = '(nothing)';

# Each kind of question: the types of its parameters, the SQL of its lines out of the parameters q.a, q.b, ..., and what
# answers it of a model.
my %kinds = (
	f6_history => {
		types => [qw(uuid timestamptz boolean)],
		sql => 'f6_history(q.a, q.b, legal => q.c)',
		columns => [ map({ microseconds($_) } qw(valid_from valid_to)), 'event_id', 'state' ],
		answer => \&history
	},
	f6_formal_history => {
		types => [qw(uuid timestamptz boolean)],
		sql => 'f6_formal_history(q.a, q.b, legal => q.c)',
		columns => [ map({ microseconds($_) } qw(known_from known_to)), 'event_id', 'state' ],
		answer => \&formal_history
	},
	f6_bitemporal => {
		types => [qw(uuid boolean)],
		sql => 'f6_bitemporal(q.a, legal => q.b)',
		columns => [ map({ microseconds($_) } qw(known_from known_to valid_from valid_to)), 'event_id', 'state' ],
		answer => \&bitemporal
	},
	f6_changes => {
		types => [qw(uuid timestamptz timestamptz boolean)],
		sql => 'f6_changes(q.a, q.b, q.c, legal => q.d)',
		columns => [
			map({ microseconds($_) } qw(valid_from valid_to)),
			nothing('before'),
			nothing('after'),
			nothing(q{(select string_agg(o::text, ' ' order by o::text collate "C") from jsonb_array_elements(patch) as o)})
		],
		answer => \&changes
	},
	f6_explain => {
		types => [qw(uuid timestamptz timestamptz boolean)],
		sql => 'f6_explain(q.a, q.b, q.c, legal => q.d)',
		columns => [
			qw("position" id event_kind event_type), microseconds('created_at'),
			'case when material_time is not null then ' . microseconds('material_time') . ' end',
			qw(part decided_by), '(select jsonb_agg(f order by f collate "C") from unnest(fields) as f)'
		],
		answer => \&explain
	},
	f6_states_asof => {
		types => [qw(uuid[] timestamptz timestamptz boolean)],
		sql => 'f6_states_asof(q.a, q.b, q.c, legal => q.d)',
		columns => [ 'object_id', nothing('state') ],
		answer => \&states_asof
	},
	f6_find => {
		types => [qw(text jsonb timestamptz timestamptz boolean uuid[])],
		sql => 'f6_find(null, q.a, q.b, q.c, q.d, q.e)',
		where => 'object_id = any (q.f)',
		columns => [ 'object_id', map({ microseconds($_) } qw(valid_from valid_to)) ],
		order => 'object_id',
		answer => \&find,
		is_same => \&is_same_find
	},
	f6_consequences => {
		types => [qw(uuid timestamptz)],
		sql => 'f6_consequences(q.a, q.b)',
		columns => [ qw("position" id event_type event_kind depth via stands), q{array_to_string(path, ',')} ],
		answer => \&consequences
	},
	f6_pending => {
		types => [qw(uuid)],
		sql => 'f6_pending(object_id => q.a)',
		columns => [ qw("position" id event_kind withdrawn), q{array_to_string(object_ids, ',')} ],
		answer => \&pending
	},
	f6_retract => {
		types => [qw(uuid text boolean)],
		sql => "f6_retract(q.a, 'tried', q.b, dry_run => true, legal => q.c)",
		columns => [
			'object_id', map({ 'case when valid_from is not null then ' . microseconds($_) . ' end' } qw(valid_from valid_to)),
			nothing('before'), nothing('after')
		],
		order => 'object_id, valid_from',
		answer => \&retract
	});

# Returns the names of the kinds of questions.
sub kinds_of_questions
{
	return sort keys %kinds;
}

# Returns the SQL for a time in microseconds since 1970.
sub microseconds
{
	my ($time) = @_;

	return "case when isfinite($time) then (extract(epoch from $time) * 1000000)::bigint"
	  . " else case when $time > 'epoch' then 1 else -1 end * " . INFINITY . ' end';
}

# Returns the SQL for a value as text, also of none.
sub nothing
{
	my ($value) = @_;

	return "coalesce($value\::text, '$NOTHING')";
}

# Returns a time as PostgreSQL reads it.
sub time_text
{
	my ($time) = @_;

	return $time < 0 ? '-infinity' : 'infinity' if abs $time == INFINITY;

	my $fraction = $time % 1_000_000;
	my ($second, $minute, $hour, $day, $month, $year) = gmtime(($time - $fraction) / 1_000_000);
	my $text = sprintf '%02d-%02d %02d:%02d:%02d.%06d+00', $month + 1, $day, $hour, $minute, $second, $fraction;
	return $year > -1900 ? sprintf '%04d-%s', $year + 1900, $text : sprintf '%04d-%s BC', -1899 - $year, $text;
}

# How a parameter of the model is given to f6, by the type that it has there.
my %texts = (
	'uuid[]' => sub { '{' . join(',', @{ $_[0] }) . '}' },
	timestamptz => \&time_text,
	boolean => sub { $_[0] ? 'true' : 'false' },
	jsonb => \&F6::Model::text);

# Returns SQL that prints f6's answers to questions of one kind, each a list of the model's parameters: lines that begin with
# the number of the question.
sub questions_sql
{
	my ($kind, @questions) = @_;
	my ($types, $sql, $columns, $where, $order) = @{ $kinds{$kind} }{qw(types sql columns where order)};
	my @names = ('a' .. 'z')[ 0 .. $#$types ];
	my $number = 0;
	my @rows = map {
		my $question = $_;
		'(' . join(', ', $number++, map { parameter($types->[$_], $question->[$_]) } 0 .. $#$types) . ')'
	} @questions;

	return "select q.number || '|' || concat_ws('|', "
	  . join(', ', map { "coalesce(($_)::text, '')" } @$columns) . ")\n"
	  . '  from (values ' . join(",\n", @rows) . ') as q (number, ' . join(', ', @names) . ")\n"
	  . "  cross join lateral $sql with ordinality as r\n"
	  . ($where ? " where $where\n" : '')
	  . ' order by q.number, ' . ($order || 'r.ordinality') . ";\n";
}

# Returns a parameter of a type as SQL.
sub parameter
{
	my ($type, $value) = @_;
	my $text = $texts{$type} ? $texts{$type}->($value) : $value;

	return "'" . $text =~ s/'/''/gr . "'::$type";
}

# Asks f6 and a model questions of a kind.  Returns for each { kind, question, theirs, ours, is_same }: both answers as lines.
# ask runs SQL and returns the lines that it prints.
sub compare
{
	my ($kind, $model, $ask, @questions) = @_;
	my @compared = map {
		my $ours = model_answer($kind, $model, $_);
		{ kind => $kind, question => $_, theirs => [], ours => $ours }
	} @questions;

	foreach my $line ($ask->(questions_sql($kind, @questions)))
	{
		my ($number, $text) = split /\|/, $line, 2;
		push @{ $compared[$number]{theirs} }, $text;
	}
	$_->{is_same} = is_same_answer($model, $_) foreach @compared;
	return @compared;
}

# Returns the model's answer to a question of a kind, as lines.
sub model_answer
{
	my ($kind, $model, $question) = @_;

	return [ $kinds{$kind}{answer}->($model, @$question) ];
}

# Tells whether the answer of f6 to a question is the model's.
sub is_same_answer
{
	my ($model, $compared) = @_;
	my ($question, $theirs, $ours) = @{$compared}{qw(question theirs ours)};
	my $is_same = $kinds{ $compared->{kind} }{is_same};

	return $is_same->($model, $question, $theirs) if $is_same && @$theirs == @$ours;
	return join("\n", @$theirs) eq join("\n", @$ours);
}

#
# Spans.
#

# Returns a state as text; of none, that there is nothing.
sub state_text
{
	my ($state) = @_;

	return $state ? F6::Model::text($$state) : $NOTHING;
}

# Tells whether two states, each a reference or undef for none, are the same as jsonb compares.
sub is_same_state
{
	my ($one, $other) = @_;

	return !$one && !$other unless $one && $other;
	return F6::Model::canonical($$one) eq F6::Model::canonical($$other);
}

# Returns what stands from each of some points on, up to the next, and from the last one up to infinity: spans { from, to, value }
# in which the value, as told by a function, is the same; those that have none are left out.
sub spans
{
	my ($points, $value_at, $is_same, $has_value) = @_;
	my @spans;

	foreach my $point (@$points)
	{
		my $value = $value_at->($point);

		next if @spans && $is_same->($spans[-1]{value}, $value);
		$spans[-1]{to} = $point if @spans;
		push @spans, { from => $point, to => INFINITY, value => $value };
	}
	return grep { $has_value->($_->{value}) } @spans;
}

# Returns some times in order, each once, without those that never come.
sub points
{
	my %times = map { ($_ => 1) } @_;

	return [ sort { $a <=> $b } grep { $_ != INFINITY } keys %times ];
}

# Returns the spans of material time in which an object's state is the same, as known at a formal time.
sub valid_spans
{
	my ($model, $object, $known_at, $legal) = @_;
	my @line = @{ $model->timeline($object, $known_at, $legal) };

	my @spans = spans(
		points(map { $_->{time} } @line),
		sub { $model->state_at($object, $_[0], $known_at, $legal) },
		\&is_same_state, sub { defined $_[0] });
	foreach my $span (@spans)
	{
		$span->{event} = (grep { $_->{time} == $span->{from} } @line)[-1]{id};
	}
	return @spans;
}

# Returns the formal times at which something about an object was recorded.
sub recorded
{
	my ($model, $object) = @_;

	return points(map { $_->{created_at} } $model->events_of($object));
}

#
# The answers, each a list of lines, and under which rule the model gives them.
#

# Rows follow the spans of material time in which the state is the same.
sub history
{
	my ($model, $object, $known_at, $legal) = @_;

	return map { join '|', $_->{from}, $_->{to}, $_->{event}, state_text($_->{value}) }
	  valid_spans($model, $object, $known_at, $legal);
}

# Rows follow the formal times at which the state at one material time becomes another.
sub formal_history
{
	my ($model, $object, $valid_at, $legal) = @_;
	my @spans = spans(
		recorded($model, $object),
		sub { $model->state_at($object, $valid_at, $_[0], $legal) },
		\&is_same_state, sub { defined $_[0] });

	foreach my $span (@spans)
	{
		my @then = grep { $_->{created_at} == $span->{from} } $model->events_of($object);
		$span->{event} = (sort { $a->{position} <=> $b->{position} } @then)[-1]{id};
	}
	return map { join '|', $_->{from}, $_->{to}, $_->{event}, state_text($_->{value}) } @spans;
}

# A row is a span of material time during the formal time in which it stands in the timeline.
sub bitemporal
{
	my ($model, $object, $legal) = @_;
	my (@open, @rectangles);

	foreach my $known_at (@{ recorded($model, $object) })
	{
		my @still;

		foreach my $span (valid_spans($model, $object, $known_at, $legal))
		{
			my ($before) = grep {
				     $_->{from} == $span->{from}
				  && $_->{to} == $span->{to}
				  && is_same_state($_->{value}, $span->{value})
			} @open;
			push @still, $before || { %$span, known_from => $known_at, known_to => INFINITY };
			push @rectangles, $still[-1] unless $before;
		}
		foreach my $span (@open)
		{
			$span->{known_to} = $known_at unless grep { $_ == $span } @still;
		}
		@open = @still;
	}
	return map { join '|', @{$_}{qw(known_from known_to from to event)}, state_text($_->{value}) }
	  sort { $a->{known_from} <=> $b->{known_from} || $a->{from} <=> $b->{from} } @rectangles;
}

# Rows are the spans of material time in which two states are not the same, with the operations between them.
sub changes
{
	my ($model, $object, $known_from, $known_to, $legal) = @_;

	return map { join '|', $_->{from}, $_->{to}, map({ state_text($_) } @{ $_->{value} }), patch_text(@{ $_->{value} }) }
	  changed_spans($model, $model, $object, $known_from, $known_to, $legal);
}

# Returns the spans of material time in which what one model knows of an object at a formal time is not what another knows at
# another; the value of each is both states.
sub changed_spans
{
	my ($model, $later, $object, $known_from, $known_to, $legal) = @_;
	my @lines = ($model->timeline($object, $known_from, $legal), $later->timeline($object, $known_to, $legal));

	return spans(
		points(map { $_->{time} } map { @$_ } @lines),
		sub {
			return [ $model->state_at($object, $_[0], $known_from, $legal),
				$later->state_at($object, $_[0], $known_to, $legal) ];
		},
		sub {
			my ($one, $other) = @_;
			return is_same_state($one->[0], $other->[0]) && is_same_state($one->[1], $other->[1]);
		},
		sub { !is_same_state(@{ $_[0] }) });
}

# Returns the operations that lead from one state to another, as text.
sub patch_text
{
	my ($before, $after) = @_;

	return $NOTHING unless $after;
	return join ' ', sort map { F6::Model::text($_) }
	  $before ? operations('', $$before, $$after) : { op => 'add', path => '', value => $$after };
}

# Returns the operations that lead from one value to another at a place.
sub operations
{
	my ($path, $before, $after) = @_;

	return () if is_same_state(\$before, \$after);
	return { op => 'replace', path => $path, value => $after } unless ref $before eq 'HASH' && ref $after eq 'HASH';

	my %keys = (%$before, %$after);
	return map {
		my $place = F6::Model::member_pointer($path, $_);
		!exists $after->{$_}    ? { op => 'remove', path => $place }
		  : !exists $before->{$_} ? { op => 'add', path => $place, value => $after->{$_} }
		  :                         operations($place, $before->{$_}, $after->{$_})
	} keys %keys;
}

# Each event of the object has a row, known or not.
sub explain
{
	my ($model, $object, $valid_at, $known_at, $legal) = @_;
	my $view = $model->view($object, $known_at, $legal);
	my $writers = $model->writers($object, $valid_at, $known_at, $legal);

	return map {
		my $event = $_;
		my $is_known = $event->{created_at} <= $known_at;
		my $by = $is_known ? $model->decisive($view, $event) : undef;
		my $time = $is_known && $event->{kind} eq 'claim' && $model->counts($view, $event)
		  ? $model->material_time({ $model->effect($view, $event) }) : undef;
		my @fields = sort grep { $writers->{$_} eq $event->{id} } keys %$writers;
		my ($type) = $event->{type} =~ /^(.*) /;

		join '|', @{$event}{qw(position id kind)}, $type, $event->{created_at}, defined $time ? $time : '',
		  $is_known ? part($model, $view, $event, $valid_at, $time) : 'not yet known', $by ? $by->{id} : '',
		  @fields ? F6::Model::text(\@fields) : ''
	} $model->events_of($object);
}

# Returns the word for the part that a known event has in an answer.
sub part
{
	my ($model, $view, $event, $valid_at, $time) = @_;

	return 'removed' if $model->removed($view, $event);
	return 'not validated' unless $model->has_force($view, $event);
	return 'validates' if $event->{kind} eq 'validation';
	if ($event->{kind} eq 'correction')
	{
		my @decided = grep { decides($model, $view, $event, $_) } @{ $event->{references} };
		return @decided ? 'corrects' : 'superseded';
	}
	return 'not yet valid' if $time > $valid_at;
	return $model->decisive($view, $event) ? 'restated' : 'counted';
}

# Tells whether a correction in force is the last one that decides about an event, which may be of another object.
sub decides
{
	my ($model, $view, $correction, $id) = @_;

	return !grep { $_->{position} > $correction->{position} && $model->counts($view, $_) } @{ $view->{corrections}{$id} };
}

# Each object has a row, known or not.
sub states_asof
{
	my ($model, $objects, $valid_at, $known_at, $legal) = @_;

	return map { "$_|" . state_text($model->state_at($_, $valid_at, $known_at, $legal)) } @$objects;
}

# The lines are the objects; where the span must be, is_same_find tells.
sub find
{
	my ($model, $path, $value, $valid_at, $known_at, $legal, $objects) = @_;

	return sort grep { has_value($model->state_at($_, last_moment($valid_at), $known_at, $legal), $path, $value) } @$objects;
}

# Returns a time; for infinity, the last moment before it.
sub last_moment
{
	my ($time) = @_;

	return $time == INFINITY ? INFINITY - 1 : $time;
}

# Tells whether a state has a value at a place.
sub has_value
{
	my ($state, $path, $value) = @_;

	return 0 unless $state;
	foreach my $token (F6::Model::tokens($path))
	{
		return 0 unless ref $$state eq 'HASH' && exists $$state->{$token};
		$state = \$$state->{$token};
	}
	return is_same_state($state, \$value);
}

# Tells whether f6 found the model's objects, each with a span around the time throughout which it has the value.
sub is_same_find
{
	my ($model, $parameters, $theirs) = @_;
	my ($path, $value, $valid_at, $known_at, $legal, $objects) = @$parameters;
	my @found = find($model, @$parameters);

	foreach my $line (@$theirs)
	{
		my ($object, $from, $to) = split /\|/, $line;
		my @inside = grep { $_->{time} > $from && $_->{time} < $to } @{ $model->timeline($object, $known_at, $legal) };

		return 0 unless $object eq shift @found;
		return 0 unless $from <= last_moment($valid_at) && last_moment($valid_at) < $to;
		return 0
		  if grep { !has_value($model->state_at($object, $_, $known_at, $legal), $path, $value) }
		  $from, map { $_->{time} } @inside;
	}
	return 1;
}

# Each event is come to at the least number of references, through the first in the log.
sub consequences
{
	my ($model, $id, $known_at) = @_;
	my %known = map { ($_->{id} => $_) } grep { $_->{created_at} <= $known_at } $model->all_events;
	my $view = $model->new_view([ values %known ], 0);
	my @level = $known{$id} || ();
	my %path = ($id => $id);
	my @lines;

	for (my $depth = 1; @level; $depth++)
	{
		my %place = map { ($_->{id} => $_->{position}) } @level;
		@level = sort { $a->{position} <=> $b->{position} }
		  grep { !$path{ $_->{id} } && grep { $place{$_} } @{ $_->{references} } } values %known;
		foreach my $event (@level)
		{
			my ($via) = sort { $place{$a} <=> $place{$b} } grep { $place{$_} } @{ $event->{references} };
			my ($type) = $event->{type} =~ /^(.*) /;

			$path{ $event->{id} } = "$path{$via},$event->{id}";
			push @lines, join '|', @{$event}{qw(position id)}, $type, $event->{kind}, $depth, $via,
			  stands($model, $view, \%known, $event) ? 'true' : 'false', $path{ $event->{id} };
		}
	}
	return @lines;
}

# Tells whether an event and all that it is based on stand; a removal is not based on what it removes.
sub stands
{
	my ($model, $view, $known, $event) = @_;
	my %said = $model->effect($view, $event);

	return 0 if $model->removed($view, $event);
	return 1 if $event->{kind} eq 'correction' && !defined $said{data};
	return !grep { !stands($model, $view, $known, $_) } grep { $_ } map { $known->{$_} } @{ $event->{references} };
}

# What waits is neither removed nor validated, as claimed; a correction would decide legally if it were.
sub pending
{
	my ($model, $object) = @_;
	my $view = $model->new_view([ $model->all_events ], 0);

	return map { join '|', @{$_}{qw(position id kind)}, was_validated($model, $view, $_), join(',', @{ $_->{objects} }) }
	  grep { $_->{kind} eq 'claim' || is_worth_validating($model, $_) }
	  grep { $_->{kind} ne 'validation' && !is_validated($model, $view, $_) && !$model->removed($view, $_) }
	  $model->events_of($object);
}

# Tells whether an event has a validation in force, or needs none.
sub is_validated
{
	my ($model, $view, $event) = @_;

	return 1 if $model->{types}{ $event->{type} }{legal_when_claimed};
	return scalar grep { $model->counts($view, $_) } $model->later($view, 'validations', $event);
}

# Tells, in the words of SQL, whether an event was ever validated.
sub was_validated
{
	my ($model, $view, $event) = @_;

	return $model->later($view, 'validations', $event) ? 'true' : 'false';
}

# Tells whether a correction, if it were validated, would decide about any event that has legal force.
sub is_worth_validating
{
	my ($model, $correction) = @_;
	my $validated = $model->copy;
	my %is_target = map { ($_ => 1) } @{ $correction->{references} };

	$validated->add({ %$correction, id => 'tried', position => 9e15, kind => 'validation', references => [ $correction->{id} ] });
	my $view = $validated->new_view([ $validated->all_events ], 1);
	my @decided = grep { $is_target{ $_->{id} } && $validated->has_force($view, $_) } $model->all_events;
	return scalar grep { ($validated->decisive($view, $_) || $_)->{id} eq $correction->{id} } @decided;
}

# What a retraction changes is the difference between the timelines of two models, with and without it.
sub retract
{
	my ($model, $id, $cascade, $legal) = @_;
	my @falling = falling_events($model, $id, $cascade);
	my $after = model_without($model, $legal, @falling);
	my %objects = map { ($_ => 1) } map { @{ $_->{objects} } } @falling;

	return map {
		my $object = $_;
		my @changed = changed_spans($model, $after, $object, INFINITY, INFINITY, $legal);
		@changed
		  ? map { join '|', $object, $_->{from}, $_->{to}, map { state_text($_) } @{ $_->{value} } } @changed
		  : "$object|||$NOTHING|$NOTHING"
	} sort keys %objects;
}

# Returns an event, and with the cascade 'all' the claims that are based on it and have not been removed.
sub falling_events
{
	my ($model, $id, $cascade) = @_;
	my @events = $model->all_events;
	my $view = $model->new_view(\@events, 0);
	my %based = ($id => 1);
	my @falling = grep { $_->{id} eq $id } @events;

	return @falling if $cascade eq 'none';

	# References point back, so one pass in the order of the log meets each after what it is based on.
	foreach my $event (@events)
	{
		next unless grep { $based{$_} } @{ $event->{references} };
		$based{ $event->{id} } = 1;
		push @falling, $event if $event->{kind} eq 'claim' && !$model->removed($view, $event);
	}
	return @falling;
}

# Returns a copy of a model in which corrections remove some events, legally with validations of them.
sub model_without
{
	my ($model, $legal, @falling) = @_;
	my $after = $model->copy;

	foreach my $event (@falling)
	{
		my %new = (%$event, position => 9e15, created_at => INFINITY, data => undef);
		my $removal = "removes $event->{id}";

		$after->add({ %new, id => $removal, kind => 'correction', references => [ $event->{id} ] });
		next unless $legal;
		$after->add({ %new, id => "in law $removal", position => 9e15 + 1, kind => 'validation', references => [$removal] });
	}
	return $after;
}

1;
