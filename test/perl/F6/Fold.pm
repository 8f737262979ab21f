# F6::Fold - what folds say events make of a state, written down as definitions.
#
# An oracle for tests: it knows nothing of SQL.  What each operation makes of a state is a method, which a test may override to see
# whether it matters.  Nothing is changed in place.
#
# JSON is the Perl data of F6::Model.  A place is a reference to what is there, which may be null, or undef where there is nothing;
# so is a state.  What must not be dies as { sqlstate }.
package F6::Fold;

use strict;
use warnings;

use F6::Model;

# The members that a rule has besides op and when: needed (1) or not (0).  A value is value or from, a match match or match_from.
my %operations = (
	(map { ($_ => { path => 1, value => 1 }) } qw(set merge append prepend insert min max)),
	increment => { path => 1, value => 0 },
	(map { ($_ => { path => 1 }) } qw(count remove)),
	(map { ($_ => { path => 1, key => 1, value => 1 }) } qw(upsert_element remove_element)),
	update_element => { path => 1, key => 1, match => 1, value => 1 },
	delete => {});

# Returns a fold, of JSON: checked.  functions maps what names a function to a sub that takes the state and the event, and returns
# the next state; one that is { strict => sub } is not called without a state.
sub new
{
	my ($class, $fold, %functions) = @_;
	my $self = bless { fold => $fold, functions => \%functions }, $class;

	return $self if is_text($fold) && $fold eq 'merge';
	fail('22023') unless ref $fold eq 'HASH';
	$self->check_part($_) foreach values %$fold;
	return $self;
}

# Returns the same fold by the rules of another class.
sub as
{
	my ($self, $class) = @_;

	return bless {%$self}, $class;
}

# Returns the states after each event, as references, and the SQLSTATE of the event after these, undef if none fails.  An event is
# { type, kind, data, row }: row has the columns of f6.event.  undef is one that is NULL.
sub run
{
	my ($self, @events) = @_;
	my ($state, @states);

	foreach my $event (@events)
	{
		eval { $state = $self->after($state, $event); 1 } or return (\@states, sqlstate($@));
		push @states, $state;
	}
	return (\@states, undef);
}

# Dies of an SQLSTATE.
sub fail
{
	my ($sqlstate) = @_;

	die { sqlstate => $sqlstate };
}

# Returns the SQLSTATE that something died of.
sub sqlstate
{
	my ($reason) = @_;

	die $reason unless ref $reason eq 'HASH';
	return $reason->{sqlstate};
}

#
# What is no fold.
#

# Tells whether JSON is a string.
sub is_text
{
	my ($value) = @_;

	return defined $value && !ref $value;
}

# Fails unless JSON says what is done with the events of a type.
sub check_part
{
	my ($self, $part) = @_;

	return if is_text($part) && $part =~ /^(?:merge|ignore)$/;
	return check_rules(@$part) if ref $part eq 'ARRAY';
	fail('22023') unless ref $part eq 'HASH' && join(' ', keys %$part) eq 'function' && is_text($part->{function});
	fail('42883') unless $self->{functions}{ $part->{function} };
	return;
}

# Fails unless each is a rule.
sub check_rules
{
	foreach my $rule (@_)
	{
		fail('22023') unless ref $rule eq 'HASH' && is_text($rule->{op}) && $operations{ $rule->{op} };
		check_members($rule);
		check_pointers($rule);
		parse($rule->{$_}) foreach grep { exists $rule->{$_} } qw(when from match_from);
	}
	return;
}

# Fails unless a rule has the members that its operation needs, and no others.
sub check_members
{
	my ($rule) = @_;
	my $needs = $operations{ $rule->{op} };
	my %known = (op => 1, when => 1, %$needs);

	foreach my $pair ([ 'value', 'from' ], [ 'match', 'match_from' ])
	{
		my $given = grep { exists $rule->{$_} } @$pair;

		next unless exists $needs->{ $pair->[0] };
		@known{@$pair} = (1, 1);
		fail('22023') if $given > 1 || $given < $needs->{ $pair->[0] };
	}
	fail('22023') if grep { !$known{$_} } keys %$rule;
	fail('22023') if grep { $needs->{$_} && !is_text($rule->{$_}) } qw(path key);
	return;
}

# Fails unless what should be JSON Pointers are, and lead to where the operation can be done.
sub check_pointers
{
	my ($rule) = @_;

	fail('22023') if grep { exists $rule->{$_} && $rule->{$_} !~ m{^(?:/(?:[^~/]|~[01])*)*\z} } qw(path key);
	fail('22023') if $rule->{op} =~ /^(?:remove|insert)$/ && $rule->{path} eq '';
	fail('22023') if $rule->{op} eq 'insert' && $rule->{path} !~ m{/(?:-|0|[1-9][0-9]*)\z};
	return;
}

#
# Which part of a fold an event is for.
#

# Returns what is done with events of a type, undef if nothing is said of it.
sub part_for
{
	my ($self, $type) = @_;
	my $fold = $self->{fold};

	return 'merge' unless ref $fold;
	return $fold->{$type} if exists $fold->{$type};

	my ($best) = sort { $self->pattern_order($a, $b) } grep { $self->covers($_, $type) } keys %$fold;
	return defined $best ? $fold->{$best} : undef;
}

# Tells whether a pattern is one of a type.
sub covers
{
	my ($self, $pattern, $type) = @_;

	return $type =~ ('^' . join('.*', map { quotemeta } split /\*/, $pattern, -1) . '\z');
}

# Compares two patterns by which goes first: the one that says more.
sub pattern_order
{
	my ($self, $one, $other) = @_;

	utf8::encode($_) foreach $one, $other;
	return $other =~ tr/*//c <=> $one =~ tr/*//c || $one cmp $other;
}

#
# Events.
#

# Returns the state after an event.
sub after
{
	my ($self, $state, $event) = @_;
	my $part = $event && $event->{kind} eq 'claim' ? $self->part_for($event->{type}) : undef;

	return $state if !defined $part || $part eq 'ignore';
	return \$self->merge($state ? $$state : undef, $event->{data}) if $part eq 'merge';
	return $self->call($state, $event, $self->{functions}{ $part->{function} }) if ref $part eq 'HASH';
	$state = $self->after_rule($state, $event, $_) foreach @$part;
	return $state;
}

# Returns the state that a function makes of one.
sub call
{
	my ($self, $state, $event, $function) = @_;

	return $function->($state, $event) if ref $function ne 'HASH';
	return $state ? $function->{strict}->($state, $event) : undef;
}

# Returns what JSON Merge Patch makes of two values.
sub merge
{
	my ($self, $target, $patch) = @_;

	return F6::Model->merge($target, $patch);
}

# Returns the state after a rule.
sub after_rule
{
	my ($self, $state, $event, $rule) = @_;
	my $take = sub { return $self->values_of(parse($_[0]), $state, $event) };
	my @matches = exists $rule->{match} ? $rule->{match} : ();
	my @values = exists $rule->{value} ? $rule->{value} : F6::Model::number('1');
	my $operation = "op_$rule->{op}";

	return $state if exists $rule->{when} && !$self->is_met($take->($rule->{when}));
	@matches = $take->($rule->{match_from}) if exists $rule->{match_from};
	return $state if $operations{ $rule->{op} }{match} && !@matches;
	@values = $take->($rule->{from}) if exists $rule->{from};
	foreach my $value ($self->values_used(@values))
	{
		$state = $self->$operation($state, $rule, $value, @matches);
	}
	return $state;
}

# Returns those values of a path with which an operation is done: each.
sub values_used
{
	my ($self, @values) = @_;

	return @values;
}

# Tells whether what a condition leads to counts as true.
sub is_met
{
	my ($self, @values) = @_;

	return scalar grep { defined $_ && !(ref $_ eq 'SCALAR' && !$$_) } @values;
}

#
# Operations: each returns the state after it.
#

# Puts the value there.
sub op_set
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change($state, $rule, sub { return \$value });
}

# Merges the value into what is there.
sub op_merge
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change($state, $rule, sub { return \$self->merge($_[0] ? ${ $_[0] } : undef, $value) });
}

# Adds the value at the end of the array.
sub op_append
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change($state, $rule, sub { return [ elements($_[0]), $value ] });
}

# Adds the value at the beginning of the array.
sub op_prepend
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change($state, $rule, sub { return [ $value, elements($_[0]) ] });
}

# Adds the value before the element that the path names.
sub op_insert
{
	my ($self, $state, $rule, $value) = @_;
	my ($array, $index) = $rule->{path} =~ m{^(.*)/(.*)\z}s;

	return $self->change(
		$state,
		{ path => $array },
		sub {
			my @elements = elements($_[0]);
			my $place = $index eq '-' ? @elements : $index;

			fail('23514') if $place > @elements;
			splice @elements, $place, 0, $value;
			return \@elements;
		});
}

# Adds the number.
sub op_increment
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change(
		$state, $rule,
		sub {
			my $there = $_[0] && defined ${ $_[0] } ? ${ $_[0] } : F6::Model::number('0');

			fail('23514') if grep { ref $_ ne 'F6::Model::Number' } $there, $value;
			return \plus($there, $value);
		});
}

# Adds 1.
sub op_count
{
	my ($self, @rest) = @_;

	return $self->op_increment(@rest);
}

# Keeps the lesser of what is there and the value.
sub op_min
{
	my ($self, @rest) = @_;

	return $self->keep_one(sub { $_[0] <= 0 }, @rest);
}

# Keeps the greater of what is there and the value.
sub op_max
{
	my ($self, @rest) = @_;

	return $self->keep_one(sub { $_[0] >= 0 }, @rest);
}

# Keeps what is there if how it compares with the value is right, and the value if not.
sub keep_one
{
	my ($self, $is_right, $state, $rule, $value) = @_;

	return $self->change(
		$state, $rule,
		sub {
			my ($there) = @_;
			my $is_there = $there && defined $$there;

			fail('23514') unless defined $self->comparison($is_there ? $$there : $value, $value);
			return $is_there && $is_right->($self->comparison($$there, $value)) ? $there : \$value;
		});
}

# Removes what is there, if something is.
sub op_remove
{
	my ($self, $state, $rule) = @_;

	return $state unless place($state, $rule->{path});
	return $self->change($state, $rule, sub { return undef });
}

# Merges the value into the elements with its key, or adds it as another one.
sub op_upsert_element
{
	my ($self, $state, $rule, $value) = @_;
	my $key = place(\$value, $rule->{key}) || fail('23514');
	my $merged = sub { return $self->merge($_[0], $value) };

	return $self->change(
		$state, $rule,
		sub {
			my @elements = elements($_[0]);

			return [ @elements, $merged->(undef) ] unless grep { $self->has_key($_, $rule, $$key) } @elements;
			return [ map { $self->has_key($_, $rule, $$key) ? $merged->($_) : $_ } @elements ];
		});
}

# Merges the value into the elements whose key is one of the matches.
sub op_update_element
{
	my ($self, $state, $rule, $value, @matches) = @_;

	return $self->change_elements($state, $rule,
		sub { return $self->has_key($_[0], $rule, @matches) ? $self->merge($_[0], $value) : $_[0] });
}

# Removes the elements whose key is the value.
sub op_remove_element
{
	my ($self, $state, $rule, $value) = @_;

	return $self->change_elements($state, $rule, sub { return $self->has_key($_[0], $rule, $value) ? () : $_[0] });
}

# Ends the state.
sub op_delete
{
	return undef;
}

#
# Places.
#

# Returns a state with another place where a rule's path leads to: what change returns, given what is there.  What leads there is
# made.  An array that change returns is what is to be there.
sub change
{
	my ($self, $state, $rule, $change) = @_;

	return $self->change_at($state, $change, F6::Model::tokens($rule->{path}));
}

# Returns a place with another one below, where tokens lead to.
sub change_at
{
	my ($self, $there, $change, $token, @rest) = @_;

	if (!defined $token)
	{
		my $changed = $change->($there);
		return ref $changed eq 'ARRAY' ? \$changed : $changed;
	}

	my $container = $there && defined $$there ? $$there : $self->container_for($token);
	if (ref $container eq 'HASH')
	{
		my %members = %$container;
		my $member = $self->change_at(exists $members{$token} ? \$members{$token} : undef, $change, @rest);

		delete $members{$token};
		return \{ %members, $member ? ($token => $$member) : () };
	}
	fail('23514') unless ref $container eq 'ARRAY';

	my @elements = @$container;
	my $index = $token eq '-' ? @elements : index_of($token, @elements);
	fail('23514') unless defined $index;
	my $element = $self->change_at($index < @elements ? \$elements[$index] : undef, $change, @rest);
	splice @elements, $index, 1, $element ? $$element : ();
	return \[@elements];
}

# Returns what is made to hold what a token names.
sub container_for
{
	my ($self, $token) = @_;

	return $token eq '-' ? [] : {};
}

# Returns the index that a token is, of one of the elements; undef if it is none.
sub index_of
{
	my ($token, @elements) = @_;

	return $token =~ /^(?:0|[1-9][0-9]*)\z/ && $token < @elements ? $token : undef;
}

# Returns the place that a pointer leads to from another one.
sub place
{
	my ($there, $pointer) = @_;

	foreach my $token (F6::Model::tokens($pointer))
	{
		my $container = $there ? $$there : undef;
		my $index = ref $container eq 'ARRAY' ? index_of($token, @$container) : undef;

		if (ref $container eq 'HASH')
		{
			$there = exists $container->{$token} ? \$container->{$token} : undef;
		}
		else
		{
			$there = defined $index ? \$container->[$index] : undef;
		}
	}
	return $there;
}

# Returns the elements of the array at a place: none where there is nothing, or null.
sub elements
{
	my ($there) = @_;

	return () unless $there && defined $$there;
	fail('23514') unless ref $$there eq 'ARRAY';
	return @$$there;
}

# Returns a state with others for the elements where a rule's path leads to: what change returns for each.  Where there are none,
# nothing is made.
sub change_elements
{
	my ($self, $state, $rule, $change) = @_;
	my $there = place($state, $rule->{path});

	return $state unless $there && defined $$there;
	return $self->change($state, $rule, sub { return [ map { $change->($_) } elements($_[0]) ] });
}

# Tells whether the field of an element at a rule's key is one of the values.
sub has_key
{
	my ($self, $element, $rule, @values) = @_;
	my $field = place(\$element, $rule->{key});

	return $field && grep { $self->equal($$field, $_) } @values;
}

#
# Values.
#

# Tells whether two values are equal.
sub equal
{
	my ($self, $one, $other) = @_;

	return F6::Model::canonical($one) eq F6::Model::canonical($other);
}

# Returns how two numbers, two strings or two booleans compare; undef for others.
sub comparison
{
	my ($self, $one, $other) = @_;

	return undef if grep { !defined } $one, $other;
	return undef if ref $one ne ref $other || ref($one) !~ /^(?:|SCALAR|F6::Model::Number)$/;
	return $$one <=> $$other if ref $one;
	utf8::encode($_) foreach $one, $other;
	return $one cmp $other;
}

# Returns the sum of two numbers that are small, with as many digits after the point as the one that has more.
sub plus
{
	my ($one, $other) = @_;
	my ($digits) = sort { $b <=> $a } map { length($$_ =~ /\.(\d+)/ ? $1 : '') } $one, $other;

	return F6::Model::number(sprintf "%.${digits}f", $$one + $$other);
}

#
# Paths: of SQL/JSON, members, all elements, adding a number, comparing with a value, exists and not.
#

my $step = qr/\.\w+|\."[^"\\]*"|\[\*\]/;
my $path = qr/\$(?:$step)*/;
my $constant = qr/-?\d+(?:\.\d+)?|"[^"\\]*"|true|false|null/;

my %parsed_paths;

# Returns what a text says: { strict, root, steps }, with members more for what is done with that.
sub parse
{
	my ($text) = @_;

	fail('22023') unless is_text($text);
	return $parsed_paths{$text} ||= parse_path($text);
}

# Returns what a text says that has not been read before.
sub parse_path
{
	my ($text) = @_;

	$text =~ /^(strict )?(?:(!)?\(?exists\(($path)\)\)?|($path)(?: (\+|==|>) ($constant))?)\z/ or fail('42601');

	my %parsed = (strict => $1, not => $2, exists => defined $3, operator => $5, operand => $6);
	my ($root, @steps) = map { /^\./ ? { member => s/^\."?|"\z//gr } : {} } (defined $3 ? $3 : $4) =~ /($step)/g;

	fail('22023') unless $root && ($root->{member} || '') =~ /^(?:data|event|state)\z/;
	return { %parsed, root => $root->{member}, steps => \@steps };
}

# Returns the values that a path leads to.
sub values_of
{
	my ($self, $parsed, $state, $event) = @_;
	my @values = eval { walk($parsed, $state, $event) };
	my $error = $@;

	# A predicate is unknown where its path fails.
	my $is_predicate = $parsed->{exists} || ($parsed->{operator} || '') =~ /^(?:==|>)$/;
	return undef if $error && $is_predicate;
	die $error if $error;

	return (@values xor $parsed->{not}) ? \1 : \0 if $parsed->{exists};
	return @values unless $parsed->{operator};
	@values = map { ref $_ eq 'ARRAY' ? @$_ : $_ } @values unless $parsed->{strict};
	return compare($parsed, constant($parsed->{operand}), @values) if $is_predicate;
	fail('22038') unless @values == 1 && ref $values[0] eq 'F6::Model::Number';
	return plus($values[0], constant($parsed->{operand}));
}

# Returns what the steps of a path lead to.
sub walk
{
	my ($parsed, $state, $event) = @_;
	my %documents = (data => \$event->{data}, event => \$event->{row}, state => $state);
	my $document = $documents{ $parsed->{root} };

	fail('2203A') if $parsed->{strict} && !$document;

	my @values = $document ? $$document : ();
	foreach my $name (map { $_->{member} } @{ $parsed->{steps} })
	{
		@values = map { defined $name ? members_of($_, $name, $parsed->{strict}) : all_of($_, $parsed->{strict}) } @values;
	}
	return @values;
}

# Returns the elements of a value.
sub all_of
{
	my ($value, $is_strict) = @_;

	return @$value if ref $value eq 'ARRAY';
	fail('22039') if $is_strict;
	return $value;
}

# Returns the members of a value, or of its elements, with a name.
sub members_of
{
	my ($value, $name, $is_strict) = @_;

	fail('2203A') if $is_strict && !(ref $value eq 'HASH' && exists $value->{$name});
	return map { ref $_ eq 'HASH' && exists $_->{$name} ? $_->{$name} : () } ref $value eq 'ARRAY' ? @$value : $value;
}

# Returns the JSON that a constant in a path is.
sub constant
{
	my ($text) = @_;

	return $1 if $text =~ /^"(.*)"$/;
	return { true => \1, false => \0, null => undef }->{$text} if $text =~ /^[a-z]/;
	return F6::Model::number($text);
}

# Tells whether one of the values compares with a constant in the way that is asked: unknown, as null, if none does and some can't
# be compared; in a strict path, if any can't.
sub compare
{
	my ($parsed, $constant, @values) = @_;
	my @answers = map { compare_one($parsed->{operator}, $_, $constant) } @values;
	my $is_unknown = grep { !defined } @answers;

	return undef if $is_unknown && $parsed->{strict};
	return \1 if grep { $_ } @answers;
	return $is_unknown ? undef : \0;
}

# Tells whether a value compares with another one in the way that is asked: yes, no or unknown.
sub compare_one
{
	my ($operator, $one, $other) = @_;

	return !defined $one && !defined $other && $operator eq '==' ? 1 : 0 if !defined $one || !defined $other;

	my $comparison = __PACKAGE__->comparison($one, $other);
	return undef unless defined $comparison;
	return ($operator eq '==' ? $comparison == 0 : $comparison > 0) ? 1 : 0;
}

1;
