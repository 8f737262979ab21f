# What f6_fold makes of random events by random folds, compared with F6::Fold, an independent statement of what the documentation says
# of folds: states of groups, states that run on, what fails and at which event, and what is no fold.  F6_SEED chooses other
# folds and events (random: new ones each time; the seed is shown), F6_FOLDS more or fewer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use F6::Fold;
use F6::Model;
use F6::Random qw(seed_from below chance one_of some_of uuid);
use F6::Server qw(literal);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = seed_from(20240101);
my $usual_folds = 800;
my $folds = $ENV{F6_FOLDS} || $usual_folds;
my $node;

# Returns a JSON number.
sub number
{
	return F6::Model::number($_[0]);
}

#
# Random events.  Folds and data have the same few fields, so that most rules do something.
#

my @types = ('Note', 'Noted', 'NoteTaken', "\x{dc}bernommen", 'A*', 'Void');

# Returns a random JSON number that others are equal to, though not all in the same form.
sub random_number
{
	return number(one_of(qw(0 1 1 2 3 1.0 1.0 1.50 2.00 -1 -0.25 12)));
}

# Returns random JSON that holds no other.
sub random_scalar
{
	return random_number() if chance(45);
	return one_of(\1, \0) if chance(20);
	return undef if chance(10);
	return one_of('', 'a', 'b', 'ab', 'B', '1', "\x{e9}", "\x{1f600}", "\x{ffff}", "\"\\\n");
}

# Returns a random key of an element.
sub random_id
{
	return one_of((map { number($_) } qw(1 1 1.0 1.0 2 3)), 'a', 'b', undef, \1, { x => number('1') }, { x => number('1.0') });
}

# Returns a random element of an array of objects.
sub random_item
{
	my %item = (id => random_id(), ref => { id => random_id() });

	delete $item{id} if chance(8);
	$item{n} = chance(85) ? random_number() : random_scalar() if chance(60);
	$item{ one_of('name', 'n', 'more') } = random_scalar() if chance(40);
	$item{more} = { one_of('x', 'y') => random_scalar(), z => [ { q => undef } ] } if chance(15);
	return chance(95) ? \%item : one_of(random_scalar(), [ random_scalar() ]);
}

# Returns random JSON of any shape.
sub random_json
{
	return one_of(
		random_scalar(), random_scalar(), random_item(),
		[], {}, [ map { random_scalar() } 1 .. below(4) ],
		[ map { random_item() } 1 .. below(4) ]);
}

# Returns random data for an event.
sub random_data
{
	return random_json() // 'null' if chance(4);

	my %data = (
		n => random_number(),
		s => one_of('a', 'ab', 'b', "\x{e9}", ''),
		flag => one_of(\1, \0, undef, random_scalar()),
		item => random_item(),
		items => [ map { random_item() } 1 .. below(4) ],
		tags => [ map { random_scalar() } 1 .. below(4) ],
		flags => [ map { one_of(\1, \0, \0, undef, undef) } 1 .. below(4) ],
		ids => [ map { random_id() } 1 .. below(5) ],
		obj => { map { ($_ => random_json()) } some_of(3, 'x', 'y', 'z') });
	delete $data{$_} foreach grep { chance(15) } sort keys %data;
	$data{ one_of(sort keys %data) } = random_json() if %data && chance(15);
	return \%data;
}

# Returns random events of one object, as they can be appended.
sub random_history
{
	my $object = uuid();
	my @events;

	foreach (1 .. 1 + below(9))
	{
		my @claims = grep { $_->{event_kind} eq 'claim' } @events;
		my $kind = @claims ? one_of(('claim') x 15, 'correction', 'validation') : 'claim';

		push @events,
		  {
			id => uuid(),
			event_type => one_of(@types[ 0 .. 4 ], @types),
			event_version => '1',
			event_kind => $kind,
			object_ids => [$object],
			event_reference => $kind eq 'claim' ? undef : [ one_of(@claims)->{id} ],
			event_source_type => one_of(undef, 'till', 'kitchen'),
			metadata => one_of(undef, { m => random_scalar() }),
			event_data => random_data()
		  };
	}
	return { object => $object, events => \@events };
}

# Returns an event as the model takes it, undef for one that is given to f6_fold as NULL.
sub model_event
{
	my ($event) = @_;

	return undef if $event->{event_type} eq 'Void';
	return { type => $event->{event_type}, kind => $event->{event_kind}, data => $event->{event_data}, row => $event };
}

#
# Random folds.
#

# Where rules find, and so make, what they work on; and anywhere else.
my %paths = (
	number => [qw(/count /sum /by/n /items/0/n)],
	scalar => [qw(/least /most /by/least /by/most)],
	array => [qw(/tags /tags /by/tags /lists/0 /lists/-)],
	items => [qw(/items /items /items /by/items)],
	element => [qw(/tags/0 /tags/- /tags/1 /items/0 /items/1 /items/- /by/tags/0 /by/items/-)],
	member => [qw(/obj /obj/x /obj/x/y /by /by/n /by/items /items/0/more /items/1 /tags/0 /lists)],
	any => [ '', '/', '/x', '/x/y', '/x~1y/~0', "/\x{e9}", '/tags', '/items', '/items/-/n', '/count', '/sum/x', '/tags/x' ]);

# Where values are found.
my %sources = (
	number => [qw($.data.n $.data.items[*].n $.data.item.n $.state.sum $.state.by.n $.data."n"), '$.data.n + 1', '$.state.sum + 0.5'],
	scalar => [qw($.data.n $.data.n $.data.item.n $.data.items[*].n $.data.s)],
	item => [qw($.data.item $.data.items[*] $.data.items[*] $.state.items[*] $.state.by.items[*])],
	id => [
		('$.data.ids[*]') x 5,
		qw($.data.item.id $.data.items.id $.data.items[*].ref.id $.data.tags[*] $.data.tags $.data.n $.state.items[*].id)
	],
	any => [
		qw($.data $.data.obj $.data.none $.data.items $.data.items[*].ref.id $.event.event_type $.event.id $.event.metadata),
		qw($.event.metadata.m $.event.event_data.n $.event.object_ids[*] $.event.position $.event.event_reference $.event.none),
		qw($.event.zone_id $.state $.state.obj $.state.tags $.state.count $.event.event_source_type $.data[*].n),
		'strict $.data.n', 'strict $.state.count', 'strict $.data.items[*].n'
	]);

# The operations: what they work on, and what they take.
my %operations = (
	set => [ 'member', 'any' ],
	merge => [ 'member', 'any' ],
	append => [ 'array', 'any' ],
	prepend => [ 'array', 'any' ],
	insert => [ 'element', 'any' ],
	increment => [ 'number', 'number' ],
	count => ['number'],
	min => [ 'scalar', 'scalar' ],
	max => [ 'scalar', 'scalar' ],
	remove => ['member'],
	upsert_element => [ 'items', 'item' ],
	update_element => [ 'items', 'item' ],
	remove_element => [ 'items', 'id' ],
	delete => []);

# The operations that a fold's rules are chosen from: all of them, or those that work on the same places.
my @families = (
	[ grep { $_ ne 'delete' } sort keys %operations ],
	[qw(increment count min max max set remove)],
	[qw(append prepend insert remove set merge)],
	[ ('upsert_element') x 3, ('update_element') x 3, 'remove_element', 'count' ]);

# What makes a constant of a sort.
my %constants = (
	number => \&random_number,
	scalar => \&random_number,
	item => \&random_item,
	id => \&random_id,
	any => \&random_json);

# Returns a random path that a value is found by, at times one that is made for something else.
sub random_source
{
	my ($sort) = @_;

	return one_of(@{ $sources{ chance(96) ? $sort : 'any' } });
}

# Returns a random condition.
sub random_condition
{
	my $source = one_of(
		qw($.data.flag $.data.flags[*] $.data.n $.data.s $.data.tags[*] $.data.items.n),
		qw($.state $.state.count $.state.tags $.event.event_type));
	my $constant = one_of(qw(0 1 1.0 2 "a" "Note" true null));

	return one_of(
		$source, $source, "exists($source)", "!exists($source)", "!(exists($source))",
		"$source == $constant", "$source > $constant", "$source > 0", "strict $source > $constant");
}

# Returns a random rule with one of some operations.
sub random_rule
{
	my $op = chance(96) ? one_of(@_) : 'delete';
	my ($place, $sort) = @{ $operations{$op} };
	my $rule = { op => $op };

	$rule->{path} = one_of(@{ $paths{ $op =~ /^(?:insert|remove)$/ || chance(93) ? $place : 'any' } }) if $place;
	$rule->{when} = random_condition() if chance(25) || $op eq 'delete';
	$rule->{key} = one_of(('/id') x 8, '/ref/id', '', '/0', '/more/x') if $op =~ /_element$/;
	if ($op eq 'update_element')
	{
		my $is_constant = chance(25);
		$rule->{ $is_constant ? 'match' : 'match_from' } = $is_constant ? random_id() : random_source('id');
	}
	if ($sort && !($op eq 'increment' && chance(20)))
	{
		my $is_constant = chance(25);
		$rule->{ $is_constant ? 'value' : 'from' } = $is_constant ? $constants{ chance(97) ? $sort : 'any' }->() : random_source($sort);
	}
	return $rule;
}

# Returns random rules, of which one at most takes its value from the state: others would make a state of any size.
sub random_rules
{
	my $family = one_of(@families);
	my @rules = map { random_rule(@$family) } 1 .. 1 + below(5);
	my $grows = 0;

	return [ grep { ($_->{from} // '') !~ /\$\.state/ || !$grows++ } @rules ];
}

# Patterns of the types.
my @patterns = (
	'N*', '*e*', 'No*', 'Note*', 'Note*', '*Noted', '*en', '*d', 'N*T*n', "\x{dc}*", "*\x{fc}*", '**', '*A', '*te*', 'Not*n');

# Returns a random fold, mostly of rules.
sub random_fold
{
	return 'merge' if chance(2);

	my @names = chance(70) ? ('*') : ();
	push @names, some_of(3, @types[ 0 .. 4 ], @patterns);
	return { map { ($_ => chance(3) ? one_of('ignore', function_part()) : chance(5) ? 'merge' : random_rules()) } @names };
}

# The functions of folds, which the server has too.
my %functions = (
	'public.next_state(jsonb, f6.event)' => \&next_state,
	'public.next_strict(jsonb, f6.event)' => { strict => \&next_state });

# Returns what the functions make of a state.
sub next_state
{
	my ($state, $event) = @_;
	my $data = ref $event->{data} eq 'HASH' ? $event->{data} : {};

	return undef if ref $data->{flag} eq 'SCALAR' && ${ $data->{flag} };
	return \{ was => $state && ref $$state eq 'HASH' ? $$state->{n} : undef, n => $data->{n}, type => $event->{type} };
}

# Returns what calls one of the functions.
sub function_part
{
	return { function => one_of(sort keys %functions) };
}

#
# What is no fold: what makes a mistake of a rule that is set, upsert_element or update_element.
#

my %mistakes = (
	'another operation' => sub { $_[0]{op} = one_of('grow', '', undef, number('1')) },
	'no operation' => sub { delete $_[0]{op} },
	'another member' => sub { $_[0]{ one_of('optional', 'valeu', 'to') } = random_scalar() },
	'no path' => sub { delete $_[0]{path} },
	'a path that is no pointer' => sub { $_[0]{path} = one_of('a', 'a/b', '/a~2', '/a~', undef, number('1')) },
	'a key that is no pointer' => sub { $_[0]{key} = one_of('id', '/~', undef, []) },
	'a key where none is used' => sub { %{ $_[0] } = (op => 'set', path => '/a', value => number('1'), key => '/id') },
	'two values' => sub { @{ $_[0] }{qw(value from)} = (number('1'), '$.data') },
	'no value' => sub { delete @{ $_[0] }{qw(value from)} },
	'two matches' => sub { @{ $_[0] }{qw(op key match match_from)} = ('update_element', '/id', number('1'), '$.data') },
	'no match' => sub { %{ $_[0] } = (op => 'update_element', path => '/a', key => '/id', value => number('1')) },
	'a match where none is used' => sub { %{ $_[0] } = (op => 'set', path => '/a', value => number('1'), match => random_scalar()) },
	'a path of the server that is none' => sub { delete $_[0]{value}; $_[0]{from} = one_of('$.data[', 'data', '$.data..n', '$.data.n +') },
	'a condition that is none' => sub { $_[0]{when} = one_of('$.data.n ==', 'is true', '== 1') },
	'a path that leads elsewhere' => sub { delete $_[0]{value}; $_[0]{from} = one_of('$', '$.date', '$.events', '$[*]', '$.date + 1') },
	'a condition that leads elsewhere' => sub { $_[0]{when} = one_of('$ == 1', '$.n', 'exists($.n)', '$.datas > 1') },
	'a condition that is no string' => sub { $_[0]{when} = one_of(\1, undef, number('1'), {}) },
	'an insertion at no index' => sub { %{ $_[0] } = (op => 'insert', path => one_of('', '/a', '/a/01', '/a/-1', '/a/'), value => undef) },
	'the removal of everything' => sub { %{ $_[0] } = (op => 'remove', path => '') },
	'a deletion of something' => sub { %{ $_[0] } = (op => 'delete', path => '/a') },
	'a count of something' => sub { %{ $_[0] } = (op => 'count', path => '/a', value => number('1')) });

# Returns a random fold with a mistake in one of its rules, or in place of one.
sub mistaken_fold
{
	my ($mistake) = @_;
	my $rule = { op => one_of(qw(set upsert_element update_element)), path => '/a', value => random_item() };

	$rule->{key} = '/id' if $rule->{op} ne 'set';
	$rule->{match} = random_id() if $rule->{op} eq 'update_element';
	$mistakes{$mistake}->($rule);
	return { one_of(@types, '*', 'Other') => [ @{ random_rules() }, $rule ], 'Another' => 'merge' };
}

# What else is no fold.
my @other_mistakes = (
	undef, number('1'), [], 'ignore', 'Merge',
	{ '*' => 'grow' },
	{ '*' => undef },
	{ '*' => {} },
	{ 'Other' => [ number('1') ] },
	{ 'Other' => [ [] ] },
	{ 'Other' => { function => undef } },
	{ 'Other' => { function => 'public.next_state(jsonb, f6.event)', more => undef } },
	{ 'Other' => { function => 'public.no_function(jsonb, f6.event)' } });

#
# The server.
#

# Starts a server that knows the types, and what asks it.
sub start_server
{
	$node = PostgreSQL::Test::Cluster->new('fold_rules');
	$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
	$node->start;
	ask(<<'SQL', map { "select f6_register_event_type(" . literal($_) . ", '1', 'true');\n" } @types);
create extension f6;

-- The functions of folds.
create function public.next_state(state jsonb, event f6.event) returns jsonb language sql immutable as $$
    select case when (event.event_data -> 'flag') is distinct from 'true'
                then jsonb_build_object('was', state -> 'n', 'n', event.event_data -> 'n', 'type', event.event_type) end
$$;
create function public.next_strict(state jsonb, event f6.event) returns jsonb language sql immutable strict as $$
    select public.next_state(state, event)
$$;

-- The events of an object, with NULL for those of one type.
create function events_of(object uuid) returns table (place bigint, event f6.event) language sql stable as $$
    select e."position", case when e.event_type <> 'Void' then e end
        from f6.event_object as o join f6.event as e using ("position") where o.object_id = object
$$;

-- The state of each object, in their order.
create function states_of(fold jsonb, objects uuid[]) returns setof jsonb language sql stable as $$
    select f6_fold(e.event, fold order by e.place)
        from unnest(objects) with ordinality as o (object, number), events_of(o.object) as e group by o.number order by o.number
$$;

-- The state of no event.
create function state_of_null(fold jsonb) returns jsonb language sql stable as $$ select f6_fold(null, fold) $$;

-- The states of an object after each of its first so many events.
create function running_states(fold jsonb, object uuid, events integer) returns setof jsonb language sql stable as $$
    select f6_fold(e.event, fold) over (order by e.place)
        from (select * from events_of(object) order by place limit events) as e order by e.place
$$;

-- The states that each event of an object and the two before it make.
create function moving_states(fold jsonb, object uuid) returns setof jsonb language sql stable as $$
    select f6_fold(e.event, fold) over (order by e.place rows between 2 preceding and current row)
        from events_of(object) as e order by e.place
$$;

-- The states that a query returns, or what it raises and the event which that is about.
create function asked(query text) returns text language plpgsql as $$
declare
    answer text;
    context text;
begin
    execute format('select string_agg(coalesce(state::text, ''none''), e''\x1f'' order by number)
                        from %s with ordinality as q (state, number)', query) into answer;
    return answer;
exception when others then
    get stacked diagnostics context = pg_exception_context;
    return concat_ws(' ', sqlstate, substring(context from '[0-9a-f]{8}-[-0-9a-f]{27}'));
end $$;
SQL
	return;
}

# Returns the lines that SQL prints.
sub ask
{
	my $sql = join '', @_;

	utf8::encode($sql);
	my $output = $node->safe_psql('postgres', $sql);
	utf8::decode($output);
	return split /\n/, $output;
}

# Returns a literal of a fold.
sub fold_literal
{
	my ($fold) = @_;

	return literal(F6::Model::text($fold)) . '::jsonb';
}

# Appends the events of histories, and adds to them what f6 has filled in.
sub append_histories
{
	my @events = map { @{ $_->{events} } } @_;
	my @given = map { my $event = $_; +{ map { ($_ => $event->{$_}) } grep { defined $event->{$_} } keys %$event } } @events;
	my @positions = ask('select "position" from f6_append(' . literal(F6::Model::text(\@given)) . ");\n");

	foreach my $event (@events)
	{
		$event->{position} = number(shift @positions);
		$event->{zone_id} = number('1');
		$event->{$_} = undef foreach qw(event_source_id client_addr);
	}
	return;
}

#
# Questions: each is SQL for the server, and what answers it by a model.
#

# Returns the answer to a question about one run of events or more: the state after each, or the last; or what is raised, and at
# which event.
sub answer_of
{
	my ($fold, $is_running, @runs) = @_;
	my @answers;

	foreach my $run (@runs)
	{
		my ($states, $sqlstate) = $fold->run(map { model_event($_) } @$run);

		return "$sqlstate $run->[@$states]{id}" if defined $sqlstate;
		push @answers, map { $_ ? F6::Model::text($$_) : 'none' } $is_running ? @$states : $states->[-1];
	}
	return join "\x1f", @answers;
}

# Returns the questions about a fold and histories: { about, sql, runs, is_running }.
sub questions_about
{
	my ($fold, @histories) = @_;
	my $literal = fold_literal($fold->{fold});
	my (@whole, @questions);

	foreach my $history (@histories)
	{
		my @events = @{ $history->{events} };
		my ($states, $sqlstate) = $fold->run(map { model_event($_) } @events);
		my @frames = map { my $last = $_; [ @events[ ($last < 2 ? 0 : $last - 2) .. $last ] ] } 0 .. $#events;

		push @{ defined $sqlstate ? \@questions : \@whole },
		  { about => 'state', sql => "states_of($literal, '{$history->{object}}')", runs => [ \@events ] };
		push @questions,
		  {
			about => 'running states',
			sql => "running_states($literal, '$history->{object}', ${\ scalar @$states})",
			runs => [ [ @events[ 0 .. $#$states ] ] ],
			is_running => 1
		  } if @$states;
		push @questions, { about => 'moving states', sql => "moving_states($literal, '$history->{object}')", runs => \@frames }
		  if chance(50);
	}
	push @questions,
	  {
		about => 'states of groups',
		sql => "states_of($literal, '{" . join(',', map { $_->{runs}[0][0]{object_ids}[0] } @whole) . "}')",
		runs => [ map { @{ $_->{runs} } } @whole ]
	  } if @whole;
	return map { { %$_, fold => $fold } } @questions;
}

# Returns the answers of the server.
sub ask_f6
{
	return ask(map { 'select asked(' . literal($_->{sql}) . ");\n" } @_);
}

# Returns the answer of a model, of the class that the fold is of or of another one.
sub ask_model
{
	my ($question, $class) = @_;
	my $fold = $class ? $question->{fold}->as($class) : $question->{fold};

	return answer_of($fold, $question->{is_running}, @{ $question->{runs} });
}

# Prints a text of any characters as a diagnostic.
sub show
{
	my ($text) = @_;

	utf8::encode($text);
	diag $text =~ s/\x1f/\n       /gr;
	return;
}

# Prints a question that f6 and the model answer differently.
sub show_difference
{
	my ($question, $theirs, $ours) = @_;
	my %shown = map { ($_->{id} => $_) } map { @$_ } @{ $question->{runs} };

	show("F6_SEED=$seed, $question->{about}: " . F6::Model::text($question->{fold}{fold}));
	show("$_->{id} $_->{event_type}, $_->{event_kind}, " . F6::Model::text($_->{metadata}) . ' ' . F6::Model::text($_->{event_data}))
	  foreach sort { ${ $a->{position} } <=> ${ $b->{position} } } values %shown;
	show("f6:    $theirs");
	show("model: $ours");
	return;
}

#
# Wrong models: if no fold of a run tells one from the right one, the run proves little.
#

# Returns a method that calls another operation, or the right one's method with other arguments.
sub instead
{
	my ($method, $arguments) = @_;

	return sub {
		my ($self, @rest) = @_;
		my $right = "F6::Fold::$method";
		return $self->$right($arguments ? $arguments->(@rest) : @rest);
	};
}

# Returns a method that changes a place in another way than the operation does.
sub change_by
{
	my ($change) = @_;

	return sub {
		my ($self, $state, $rule, $value, @matches) = @_;
		return $self->change($state, $rule, sub { return $change->($value, @_) });
	};
}

my %flaws = (
	'set merges' => { op_set => instead('op_merge') },
	'merge sets' => { op_merge => instead('op_set') },
	'append prepends' => { op_append => instead('op_prepend') },
	'prepend appends' => { op_prepend => instead('op_append') },
	'insert replaces' => { op_insert => instead('op_set') },
	'increment counts' => { op_increment => instead('op_increment', sub { return @_[ 0, 1 ], number('1') }) },
	'count begins at one, and stays' => { op_count => change_by(sub { return $_[1] || \number('1') }) },
	'min is max' => { op_min => instead('op_max') },
	'max is min' => { op_max => instead('op_min') },
	'max of equal values is the last' => { op_max => instead('keep_one', sub { return sub { $_[0] > 0 }, @_ }) },
	'remove sets null' => { op_remove => change_by(sub { return \undef }) },
	'upsert_element always adds' => { op_upsert_element => change_by(sub { return [ F6::Fold::elements($_[1]), $_[0] ] }) },
	'upsert_element never adds' => {
		op_upsert_element => sub {
			my ($self, $state, $rule, $value) = @_;
			my $key = F6::Fold::place(\$value, $rule->{key}) || F6::Fold::fail('23514');
			return $self->op_update_element($state, $rule, $value, $$key);
		}
	},
	'update_element heeds one match' => { op_update_element => instead('op_update_element', sub { return @_[ 0 .. 3 ] }) },
	'update_element upserts' => { op_update_element => instead('op_upsert_element') },
	'remove_element removes the others' => {
		op_remove_element => sub {
			my ($self, $state, $rule, $value) = @_;
			return $self->change_elements($state, $rule, sub { return $self->has_key($_[0], $rule, $value) ? $_[0] : () });
		}
	},
	'delete leaves null' => { op_delete => sub { return \undef } },
	'delete does nothing' => { op_delete => sub { return $_[1] } },
	'objects are made before -' => { container_for => sub { return {} } },
	'only the first value is used' => { values_used => sub { return @_ > 1 ? $_[1] : () } },
	'only true is true' => { is_met => sub { return scalar grep { ref $_ eq 'SCALAR' && $$_ } @_[ 1 .. $#_ ] } },
	'conditions are all met' => { is_met => sub { return 1 } },
	'numbers are equal as text' => { equal => sub { return F6::Model::text($_[1]) eq F6::Model::text($_[2]) } },
	'nulls are kept' => {
		merge => sub {
			my ($self, $target, $patch) = @_;
			return $patch if ref $patch ne 'HASH' || ref $target ne 'HASH';
			return { %$target, map { ($_ => $self->merge($target->{$_}, $patch->{$_})) } keys %$patch };
		}
	},
	'strings are less than numbers' => {
		comparison => sub {
			my ($self, $one, $other) = @_;
			my $comparison = $self->F6::Fold::comparison($one, $other);
			return defined $comparison ? $comparison : ref $one cmp ref $other;
		}
	},
	'patterns go before types' => {
		part_for => sub {
			my ($self, $type) = @_;
			my %others = ref $self->{fold} ? %{ $self->{fold} } : return 'merge';
			my $own = delete $others{$type};
			my $part = (bless { %$self, fold => \%others }, 'F6::Fold')->part_for($type);
			return defined $part ? $part : $own;
		}
	},
	'the pattern that says least goes first' => { pattern_order => sub { return $_[0]->F6::Fold::pattern_order(@_[ 2, 1 ]) } },
	'stars count' => { pattern_order => sub { return length $_[2] <=> length $_[1] || $_[1] cmp $_[2] } },
	'a star is a character at least' => { covers => sub { return $_[0]->F6::Fold::covers(@_[ 1, 2 ]) && length $_[2] >= length $_[1] } },
	'corrections and validations are folded' => {
		after => sub {
			my ($self, $state, $event) = @_;
			return $self->F6::Fold::after($state, $event && { %$event, kind => 'claim' });
		}
	},
	'strict functions are always called' => { call => sub { return (ref $_[3] eq 'HASH' ? $_[3]{strict} : $_[3])->(@_[ 1, 2 ]) } });

# Makes a class of each flaw, and returns the class by what is wrong with it.
sub make_flawed_models
{
	my %classes;

	foreach my $flaw (sort keys %flaws)
	{
		my $class = $classes{$flaw} = 'F6::Fold::Flaw' . keys %classes;
		no strict 'refs';
		@{"${class}::ISA"} = ('F6::Fold');
		*{"${class}::$_"} = $flaws{$flaw}{$_} foreach keys %{ $flaws{$flaw} };
	}
	return %classes;
}

#
# Folds worked out by hand: the model must know them.
#

# Each: what it is about, rules, the data of events, and the state.
my @known = (
	[
		'a table in a bar',
		[
			{ op => 'append', path => '/open', from => '$.data.drinks[*].name' },
			{ op => 'increment', path => '/cost', from => '$.data.drinks[*].price' },
			{ op => 'count', path => '/rounds', when => 'exists($.data.drinks)' },
			{ op => 'remove_element', path => '/open', key => '', from => '$.data.served' }
		],
		[
			{ drinks => [ { name => 'tea', price => number('3') }, { name => 'beer', price => number('4.5') } ] },
			{ drinks => [ { name => 'tea', price => number('3') } ] },
			{ served => 'tea' }
		],
		'{"cost": 10.5, "open": ["beer"], "rounds": 2}'
	],
	[
		'what leads there is made',
		[ { op => 'set', path => '/a/-/b', from => '$.data' }, { op => 'set', path => '/c/0', value => undef } ],
		[ number('1'), number('2') ], '{"a": [{"b": 1}, {"b": 2}], "c": {"0": null}}'
	],
	[
		'elements by key',
		[
			{ op => 'upsert_element', path => '/a', key => '/id', from => '$.data.put[*]' },
			{ op => 'update_element', path => '/a', key => '/id', match_from => '$.data.at[*]', value => { n => undef, x => \1 } },
			{ op => 'insert', path => '/a/0', from => '$.data.first' },
			{ op => 'remove', path => '/a/3' }
		],
		[
			{ put => [ { id => number('1'), n => 'a' }, { id => number('2') }, { id => number('3') }, { id => number('4') } ] },
			{ put => { id => number('1.0'), m => 'b' }, at => [ number('1'), number('3') ], first => 'first' }
		],
		'{"a": ["first", {"m": "b", "x": true, "id": 1.0}, {"id": 2}]}'
	],
	[
		'an end and another beginning',
		[
			{ op => 'delete', when => '$.data == 0' },
			{ op => 'max', path => '/max', from => '$.data' },
			{ op => 'prepend', path => '/all', from => '$.data' }
		],
		[ map { number($_) } qw(7 0 3 2) ], '{"all": [2, 3, 0], "max": 3}'
	]);

subtest 'the model knows the folds worked out by hand' => sub {
	foreach my $known (@known)
	{
		my ($name, $rules, $data, $state) = @$known;
		my @events = map { { event_type => 'Note', event_kind => 'claim', id => $name, event_data => $_ } } @$data;
		my $answer = answer_of(F6::Fold->new({ '*' => $rules }), 0, \@events);

		is($answer, $state, $name);
	}
};

start_server();
diag "F6_SEED=$seed, F6_FOLDS=$folds";

subtest 'what is no fold is refused before there is an event' => sub {
	my @mistaken = map { my $mistake = $_; map { [ $mistake, mistaken_fold($mistake) ] } 1 .. 5 } sort keys %mistakes;

	push @mistaken, map { [ 'something else', $_ ] } @other_mistakes;
	my @theirs = ask(map { "select asked(" . literal('state_of_null(' . fold_literal($_->[1]) . ')') . ");\n" } @mistaken);
	foreach my $i (0 .. $#mistaken)
	{
		my ($mistake, $fold) = @{ $mistaken[$i] };
		my $sqlstate = eval { F6::Fold->new($fold, %functions); '' } // F6::Fold::sqlstate($@);

		isnt($sqlstate, '', "$mistake is a mistake to the model");
		is($theirs[$i], $sqlstate, "$mistake: $sqlstate") || show(F6::Model::text($fold));
	}
};

my %flawed = make_flawed_models();
my %noticed = map { ($_ => 0) } keys %flawed;
my %tally = map { ($_ => 0) } 'states', 'failures', 'no state';

foreach my $first (map { $_ * 100 } 0 .. ($folds - 1) / 100)
{
	my $count = $folds - $first < 100 ? $folds - $first : 100;
	my @pairs = map { [ F6::Fold->new(random_fold(), %functions), map { random_history() } 1 .. 1 + below(3) ] } 1 .. $count;

	append_histories(map { @{$_}[ 1 .. $#$_ ] } @pairs);
	my @questions = map { questions_about(@$_) } @pairs;
	my @ours = map { ask_model($_) } @questions;
	my @theirs = ask_f6(@questions);
	my @differ = grep { $theirs[$_] ne $ours[$_] } 0 .. $#questions;

	is(scalar @theirs, scalar @questions, "every question about $count folds is answered");
	ok(!@differ, 'f6 and the model agree') || diag scalar @differ . ' of ' . scalar @questions . ' answers differ';
	show_difference(map { $_->[ $differ[0] ] } \@questions, \@theirs, \@ours) if @differ;

	$tally{ /^\w{5} [-0-9a-f]{36}$/ ? "failures: " . substr($_, 0, 5) : /^none$/ ? 'no state' : 'states' }++ foreach @ours;
	my @sample = grep { $_ % 2 == 0 && $questions[$_]{about} ne 'moving states' } 0 .. $#questions;
	foreach my $flaw (keys %flawed)
	{
		$noticed{$flaw} += grep { $theirs[$_] ne ask_model($questions[$_], $flawed{$flaw}) } @sample;
	}
}

note "$_: $tally{$_}" foreach sort keys %tally;
note "noticed in $noticed{$_} answers: $_" foreach sort keys %noticed;
SKIP:
{
	skip 'too few folds to tell what they would notice', 1 if $folds < $usual_folds;

	cmp_ok($tally{states}, '>', $folds, 'most answers have a state');
	cmp_ok($tally{"failures: $_"} // 0, '>', 0, "some rules fail with $_") foreach qw(23514 22038 2203A);
	ok($noticed{$_}, "a model in which $_ would be noticed") foreach sort keys %noticed;
}

$node->stop;
done_testing();
