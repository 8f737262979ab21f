# F6::Projections - projections of all kinds over one log, what appends to that log, and what the rows of each should be.
#
# Which claims count and what they say now is F6::Model's; what a fold makes of them is said here once more, for the few
# operations that these folds have.
package F6::Projections;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Exporter 'import';
use F6::Answers qw(microseconds);
use F6::Model;

our @EXPORT_OK = qw(@projections @late @flaws setup_sql create_sql rows_sql read_log expected_rows);

# Types: name, version, pointer to the date of effect, whether it is legal when claimed.
my @types = (
	[ 'Noted', '1', undef, 0 ],
	[ 'Noted', '2', undef, 0 ],
	[ 'Dated', '1', '/since', 0 ],
	[ 'Decreed', '1', undef, 1 ],
	[ 'DatedDecree', '1', '/since', 1 ],
	[ 'Ended', '1', undef, 1 ]);

# Folds by name: the document, and the operations that it has for a type, most specific first: [pattern, [op, path, from, when]...].
my %folds = (
	merge => { document => undef },
	rules => {
		document => <<'JSON',
{"Noted": [{"op": "set", "path": "/last", "from": "$.data.n"}, {"op": "increment", "path": "/sum", "from": "$.data.n"},
           {"op": "append", "path": "/high", "from": "$.data.n", "when": "$.data.n > 7"}],
 "Dated*": [{"op": "count", "path": "/dated"}, {"op": "max", "path": "/max/n", "from": "$.data.n"}],
 "*Decree*": [{"op": "merge", "path": "/decreed", "from": "$.data"}]}
JSON
		rules => [
			[ qr/^Noted$/, [ 'set', 'last', 'n' ], [ 'increment', 'sum', 'n' ], [ 'append', 'high', 'n', 7 ] ],
			[ qr/Decree/, [ 'merge', 'decreed', '' ] ],
			[ qr/^Dated/, [ 'count', 'dated' ], [ 'max', 'max', 'n' ] ]
		]
	},
	delete => {
		document => <<'JSON',
{"Ended": [{"op": "delete", "when": "$.data.n > 3"}], "Decreed": "ignore",
 "*": [{"op": "count", "path": "/n"}, {"op": "set", "path": "/last", "from": "$.data.n"}]}
JSON
		rules => [
			[ qr/^Ended$/, [ 'delete', undef, 'n', 3 ] ],
			[ qr/^Decreed$/ ],
			[ qr/^/, [ 'count', 'n' ], [ 'set', 'last', 'n' ] ]
		]
	},
	function => {
		document => '{"*": {"function": "public.chained(jsonb, f6.event)"}}',
		function => \&chained
	},
	ending => {
		document => '{"*": "ignore", "Noted": {"function": "public.chained(jsonb, f6.event)"}, "Ended": {"function": "public.ended(jsonb, f6.event)"}}',
		types => qr/^(?:Noted|Ended)$/,
		function => sub { $_[1]{type} =~ /^Ended / ? undef : chained(@_) }
	});

# Keys by name: the expression, and what it makes of what an event says now.
my %keys = (
	object => { expression => undef, of => sub { @{ $_[0]{objects} } } },
	field => { expression => q{event_data ->> 'key'}, of => sub { member($_[0]{data}, 'key') } },
	number => { expression => q{(event_data ->> 'n')::int % 4}, of => sub { map { $_ % 4 } number_in($_[0]{data}, 'n') } },
	array => {
		expression => q{array[event_data ->> 'to', case when event_type = 'Noted' then 'noted' end, event_data ->> 'key']},
		of => sub {
			my %keys = map { ($_ => 1) } member($_[0]{data}, 'to'), member($_[0]{data}, 'key'), $_[0]{type} =~ /^Noted / ? 'noted' : ();
			return keys %keys;
		}
	});

# The projections: mode, fold, key, whether legal, types, columns as { name => [document, what the state has] }.
our @projections = map { projection(@$_) } (
	[ 'inline', 'merge', 'object', 0 ],
	[ 'inline', 'merge', 'field', 1 ],
	[ 'inline', 'rules', 'object', 1, ['*Dated*'] ],
	[ 'inline', 'rules', 'array', 0 ],
	[ 'inline', 'delete', 'object', 0 ],
	[ 'inline', 'delete', 'number', 0, [ 'Noted', 'Ended', 'D*' ] ],
	[ 'inline', 'function', 'object', 1 ],
	[ 'inline', 'function', 'field', 0, [ 'Noted', 'Decreed' ] ],
	[ 'inline', 'ending', 'object', 1 ],
	[ 'async', 'merge', 'object', 1 ],
	[ 'async', 'merge', 'array', 0, ['D*'] ],
	[ 'async', 'rules', 'object', 0 ],
	[ 'async', 'rules', 'field', 1 ],
	[ 'async', 'delete', 'object', 0, [ 'Ended', '*Dated*', 'Noted' ] ],
	[ 'async', 'delete', 'array', 1 ],
	[ 'async', 'function', 'object', 0 ],
	[ 'async', 'function', 'number', 1 ],
	[ 'async', 'ending', 'field', 0 ],
	[ 'live', 'rules', 'object', 1 ],
	[ 'live', 'rules', 'array', 0 ],
	[ 'live', 'function', 'field', 1, [ 'Noted', 'Decreed' ] ],
	[ 'live', 'delete', 'number', 0 ],
	[ 'live', 'ending', 'object', 0 ]);

# Projections that are made while others append.
our @late = map { { %{ projection(@$_) }, name => "late_$_->[2]" } } ([ 'inline', 'function', 'object', 0 ], [ 'inline', 'rules', 'array', 1 ]);

# Rules of the model that do not hold: rows that none of them changes would prove little.
our @flaws = (
	'nothing is removed', 'nothing is restated', 'the first correction wins',
	'validations count for nothing', 'positions are the order', 'keys are those recorded',
	'an end is no end');

# Returns a projection.
sub projection
{
	my ($mode, $fold, $key, $legal, $types) = @_;
	my $pattern = $types ? join('|', map { quotemeta =~ s/\\\*/.*/gr } @$types) : '.*';

	return {
		name => join('_', $mode, $fold, $key, $legal ? 'legal' : 'claimed', $types ? 'some' : 'all'),
		mode => $mode,
		fold => $folds{$fold},
		key => $keys{$key},
		is_keyed => $key ne 'object',
		legal => $legal,
		types => $types,
		pattern => qr/^(?:$pattern)$/,
		has_columns => $fold eq 'rules'
	};
}

#
# SQL
#

# Returns a text as an SQL literal, undef as NULL.
sub literal
{
	my ($text) = @_;

	return defined $text ? "'" . $text =~ s/'/''/gr . "'" : 'null';
}

# Returns the SQL that registers the types, and makes the functions of folds and of those who append.
sub setup_sql
{
	my $types = join '', map {
		my ($type, $version, $pointer, $legal) = @$_;
		"select f6_register_event_type('$type', '$version', 'true', " . literal($pointer) . ', ' . ($legal ? 'true' : 'false') . ");\n"
	} @types;

	return $types . <<'SQL';
select f6_register_upcaster('Noted', '1', '2', validate => false);
create function chained(state jsonb, event f6.event) returns jsonb language sql immutable as $$
    select jsonb_build_object('n', coalesce((state -> 'n')::int, 0) + 1, 'last', event.event_data,
        'digest', md5(coalesce(state ->> 'digest', '') || event.id || event.event_type || event.event_version || extract(epoch from event.occurred_at)::text || event.event_data)) $$;
create function ended(state jsonb, event f6.event) returns jsonb language sql immutable as 'select null::jsonb';
create table handled (handler text, "position" bigint);
create function handled_inline(event f6.event) returns void language sql as $$ insert into public.handled values ('inline', event.position) $$;
create function handled_async(event f6.event) returns void language sql as $$ insert into public.handled values ('async', event.position) $$;
create function handled_some(event f6.event) returns void language sql as $$ insert into public.handled values ('some', event.position) $$;
create function handled_later(event f6.event) returns void language sql as $$ insert into public.handled values ('later', event.position) $$;

create function below(n int) returns int language sql volatile as 'select floor(random() * n)::int';
create function chance(percent int) returns boolean language sql volatile as 'select random() * 100 < percent';

-- An event that is there: mostly a recent one.
create function pick(kinds f6.event_kind[]) returns f6.event language plpgsql as $$
declare
    last constant bigint := (select max("position") from f6.event);
    start constant bigint := last - floor(random() * case when chance(70) then least(last, 30) else last end);
    found f6.event;
begin
    select e.* into found from f6.event as e where e."position" >= start and e.event_kind = any (kinds) order by e."position" limit 1;
    return found;
end $$;

-- Objects: few, of which most have many events, and some new ones.
create function some_objects() returns uuid[] language sql volatile as $$
    select array_agg(distinct_ids.id order by random())
        from (select distinct case when chance(5) then gen_random_uuid() else f6_object_id('thing', below(14)::text) end as id
                  from generate_series(1, case when chance(60) then 1 else 3 end)) as distinct_ids $$;

create function some_data(type text) returns jsonb language sql volatile as $$
    select case when chance(4) then to_jsonb(below(9)) else
        jsonb_build_object('n', below(10))
        || case when chance(80) then jsonb_build_object('key', 'k' || below(5)) else '{}' end
        || case when chance(30) then jsonb_build_object('to', 'k' || below(5)) else '{}' end
        || case when chance(50) then jsonb_build_object('f' || below(4), case when chance(70) then below(100) end) else '{}' end
        || case when type like 'Dated%' and chance(80) then jsonb_build_object('since', date '2024-01-01' + below(60)) else '{}' end end $$;

create function some_time() returns timestamptz language sql volatile as $$
    select case when chance(40) then null when chance(8) then case when chance(50) then 'infinity' else '-infinity' end::timestamptz
                else timestamptz '2024-01-01' + below(60) * interval '1 day' end $$;

-- An event, as f6_append takes it.
create function some_event() returns jsonb language plpgsql as $$
declare
    kind constant text := case when chance(55) then 'claim' when chance(65) then 'correction' else 'validation' end;
    kinds constant f6.event_kind[] := case when kind = 'validation' then '{claim, correction}' when chance(70) then '{claim}' else '{correction, validation}' end;
    type text := ('{Noted, Noted, Noted, Dated, Dated, Decreed, DatedDecree, Ended}'::text[])[1 + below(8)];
    target f6.event;
    other f6.event;
begin
    if kind <> 'claim' then
        target := pick(kinds);
        other := case when chance(15) then pick(kinds) end;
    end if;
    if target.id is null then
        return jsonb_strip_nulls(jsonb_build_object('event_type', type, 'object_ids', some_objects(), 'occurred_at', some_time(),
            'event_version', case when type = 'Noted' then 1 + below(2) end::text)) || jsonb_build_object('event_data', some_data(type));
    end if;
    type := case when chance(85) then target.event_type else type end;
    return jsonb_strip_nulls(jsonb_build_object('event_type', type, 'event_kind', kind, 'occurred_at', some_time(),
            'event_reference', array(select distinct r from unnest(array[target.id, other.id]) as r where r is not null)))
        || jsonb_build_object('event_data', case when kind = 'validation' or chance(35) then null else some_data(type) end);
end $$;

-- The doors.
create function append_single(seed int) returns void language plpgsql as $$
declare
    e f6.event;
begin
    perform setseed(seed / 1e9);
    e := jsonb_populate_record(null::f6.event, some_event());
    perform f6_append(e.event_type, e.object_ids, coalesce(e.event_data, 'null'), e.event_version, coalesce(e.event_kind, 'claim'), e.occurred_at, e.event_reference);
end $$;
create function append_batch(seed int) returns void language plpgsql as $$
begin
    perform setseed(seed / 1e9);
    perform f6_append(jsonb_agg(some_event())) from generate_series(1, 2 + below(9));
end $$;
create function append_insert(seed int) returns void language plpgsql as $$
begin
    perform setseed(seed / 1e9);
    insert into f6.event (event_type, object_ids, event_data, event_version, event_kind, occurred_at, event_reference)
        select e.event_type, e.object_ids, coalesce(e.event_data, 'null'), e.event_version, e.event_kind, e.occurred_at, e.event_reference
            from generate_series(1, 1 + below(4)), lateral jsonb_populate_record(null::f6.event, some_event()) as e;
end $$;
create function refresh_some(seed int) returns bigint language plpgsql as $$
begin
    perform setseed(seed / 1e9);
    return f6_refresh((select name from f6.projection where mode = 'async' order by random() limit 1));
end $$;
create procedure rebuild_some(seed int) language plpgsql as $$
declare
    chosen text;
begin
    perform setseed(seed / 1e9);
    select name into chosen from f6.projection where mode <> 'live' and handler is null and name not like 'late%' order by random() limit 1;
    call f6_rebuild(chosen, 1 + below(3));
end $$;
SQL
}

# Returns the SQL that makes a projection.
sub create_sql
{
	my ($projection) = @_;
	my $types = $projection->{types} ? literal('{' . join(',', @{ $projection->{types} }) . '}') : 'null';
	my $columns = $projection->{has_columns} ? q('{"total": {"type": "numeric", "path": "/sum"}, "last": "text"}') : 'null';

	return "select f6_create_projection('$projection->{name}', $types, " . literal($projection->{fold}{document})
	  . ", mode => '$projection->{mode}', key => " . literal($projection->{key}{expression})
	  . ", columns => $columns, legal => " . ($projection->{legal} ? 'true' : 'false') . ");\n";
}

# Returns the SQL that shows the rows of a projection: key, state, and what else f6 keeps with it.
sub rows_sql
{
	my ($projection) = @_;

	return 'select ' . ($projection->{is_keyed} ? 'key' : 'object_id') . ', state' . ($projection->{mode} eq 'live' ? '' : ', ' . microseconds('last_material_time'))
	  . ($projection->{has_columns} ? ', total, last' : '') . " from $projection->{name};\n";
}

#
# The log, as the model has it
#

# Returns a model of the log whose rows a function that runs SQL prints.
sub read_log
{
	my ($ask) = @_;
	my %rules = map { ("$_->[0] $_->[1]" => { valid_from => $_->[2], legal_when_claimed => $_->[3] }) } @types;
	my $model = F6::Model->new(types => \%rules);

	foreach my $line ($ask->('select "position", id, event_kind, ' . microseconds('created_at') . ', ' . microseconds('occurred_at')
			  . q{, array_to_string(object_ids, ','), array_to_string(event_reference, ','), event_type || ' ' || event_version, event_data
				  from f6.event order by "position"}))
	{
		my %event;

		@event{qw(position id kind created_at occurred_at objects references type data)} = split /\|/, $line, 9;
		$event{$_} = [ split /,/, $event{$_} ] foreach qw(objects references);
		$event{data} = parse($event{data});
		$model->add(\%event);
	}
	return $model;
}

# Returns the value of a JSON text that has no escapes in its strings.
sub parse
{
	my ($text) = @_;
	my $value = parse_value(\$text);

	die "not read: $text" if (pos $text || 0) != length $text;
	return $value;
}

# Reads the next value of a text.
sub parse_value
{
	my ($text) = @_;

	return undef if $$text =~ /\Gnull/gc;
	return "$1" if $$text =~ /\G"([^"\\]*)"/gc;
	return F6::Model::number($1) if $$text =~ /\G(-?\d+(?:\.\d+)?)/gc;
	return $1 eq 'true' ? \1 : \0 if $$text =~ /\G(true|false)/gc;
	if ($$text =~ /\G\[/gc)
	{
		my @elements;
		until ($$text =~ /\G\]/gc)
		{
			push @elements, parse_value($text);
			$$text =~ /\G, /gc;
		}
		return \@elements;
	}
	$$text =~ /\G\{/gc or die 'not JSON: ' . substr $$text, pos $$text || 0;
	my %members;
	until ($$text =~ /\G\}/gc)
	{
		$$text =~ /\G"([^"\\]*)": /gc or die "not JSON: $$text";
		my $name = $1;
		$members{$name} = parse_value($text);
		$$text =~ /\G, /gc;
	}
	return \%members;
}

#
# What a projection's rows should be
#

# Returns the string at a member of data, as a list: empty where there is none.
sub member
{
	my ($data, $name) = @_;

	return ref $data eq 'HASH' && defined $data->{$name} ? "$data->{$name}" : ();
}

# Returns the number at a member of data, as a list.
sub number_in
{
	my ($data, $name) = @_;

	return ref $data eq 'HASH' && defined $data->{$name} ? ${ $data->{$name} } : ();
}

# Returns the claims of a log that count for a projection, in fold order: { id, position, time, objects, type, data, recorded }.
sub claims_of
{
	my ($model, $projection, $flaw) = @_;
	my $view = $model->{whole}{ $projection->{legal} }{$flaw} ||= $model->new_view([ $model->all_events ], $projection->{legal});
	my @claims;

	foreach my $event (grep { $_->{kind} eq 'claim' } $model->all_events)
	{
		my ($name) = $event->{type} =~ /^(.*) /;

		next unless $name =~ $projection->{pattern} && (!$projection->{fold}{types} || $name =~ $projection->{fold}{types});
		next if grep { $name =~ $_->[0] && @$_ == 1 } first_rule($projection, $name);
		next unless $model->counts($view, $event);

		my %said = (%$event, $model->effect($view, $event), recorded => $event->{data});

		$said{time} = $model->material_time(\%said);
		$said{epoch} = epoch_text($said{occurred_at});
		$said{type} =~ s/^Noted .*/Noted 2/;
		push @claims, \%said;
	}
	return sort { $flaw eq 'positions are the order' ? $a->{position} <=> $b->{position} : $model->fold_order($a, $b) } @claims;
}

# Returns the rules of a projection for a type, if it has rules and any are for it.
sub first_rule
{
	my ($projection, $name) = @_;
	my @rules = grep { $name =~ $_->[0] } @{ $projection->{fold}{rules} || [] };

	return $projection->{fold}{rules} ? ($rules[0] || [ qr/^/ ]) : ();
}

# Returns the text of the seconds of a time, as SQL's extract gives it.
sub epoch_text
{
	my ($time) = @_;

	return $time < 0 ? '-Infinity' : 'Infinity' if abs $time == F6::Model::INFINITY;
	return sprintf '%s%d.%06d', $time < 0 ? '-' : '', abs($time) / 1_000_000, abs($time) % 1_000_000;
}

# Returns the rows that a projection should have, as lines by key; a flaw makes them wrong.
sub expected_rows
{
	my ($model, $projection, $flaw) = @_;
	my (%states, %times, %rows);

	$flaw = '' unless defined $flaw;
	$model = flawed($model, $flaw);
	foreach my $claim (claims_of($model, $projection, $flaw))
	{
		my %keyed = $flaw eq 'keys are those recorded' ? (%$claim, data => $claim->{recorded}) : %$claim;

		foreach my $key ($projection->{key}{of}->(\%keyed))
		{
			my $after = fold($model, $projection, $states{$key}, $claim);

			$states{$key} = $after if $after || $flaw ne 'an end is no end';
			$times{$key} = $claim->{time} unless defined $times{$key} && $times{$key} > $claim->{time};
		}
	}
	foreach my $key (grep { $states{$_} } keys %states)
	{
		my $state = ${ $states{$key} };
		my @columns = map { ref $state eq 'HASH' && defined $state->{$_} ? ${ $state->{$_} } : '' } $projection->{has_columns} ? qw(sum last) : ();

		$rows{$key} = join '|', $key, F6::Model::text($state), $projection->{mode} eq 'live' ? () : $times{$key}, @columns;
	}
	return \%rows;
}

# Returns a reference to the state that a claim makes of another, undef for none.
sub fold
{
	my ($model, $projection, $state, $claim) = @_;
	my $fold = $projection->{fold};

	return \$model->merge($state ? $$state : undef, $claim->{data}) unless $fold->{rules} || $fold->{function};
	if ($fold->{function})
	{
		my $next = $fold->{function}->($state ? $$state : undef, $claim);
		return defined $next ? \$next : undef;
	}

	my ($name) = $claim->{type} =~ /^(.*) /;
	my ($pattern, @rules) = @{ first_rule($projection, $name) };
	my $next = $state ? { %$$state } : undef;
	$next = run_rule($model, $next, $claim->{data}, @$_) foreach @rules;
	return $next ? \$next : undef;
}

# Returns the state that a rule makes of another, undef for none.
sub run_rule
{
	my ($model, $state, $data, $op, $path, $from, $above) = @_;
	my ($number) = defined $from && $from ne '' ? number_in($data, $from) : ();
	my %next = %{ $state || {} };

	return $state if defined $above && !(defined $number && $number > $above);
	return undef if $op eq 'delete';
	return $state if defined $from && $from ne '' && !defined $number;

	my $before = $next{$path};
	$next{$path} =
	    $op eq 'set'       ? F6::Model::number($number)
	  : $op eq 'count'     ? F6::Model::number(($before ? $$before : 0) + 1)
	  : $op eq 'increment' ? F6::Model::number(($before ? $$before : 0) + $number)
	  : $op eq 'append'    ? [ @{ $before || [] }, F6::Model::number($number) ]
	  : $op eq 'max'       ? { n => !$before || ${ $before->{n} } < $number ? F6::Model::number($number) : $before->{n} }
	  :                      $model->merge($before, $data);
	return \%next;
}

# Returns what the SQL function chained makes of a state.
sub chained
{
	my ($state, $claim) = @_;
	my ($type, $version) = $claim->{type} =~ /^(.*) (.*)$/;
	my $digest = $state ? $state->{digest} : '';

	return {
		n => F6::Model::number(($state ? ${ $state->{n} } : 0) + 1),
		last => $claim->{data},
		digest => md5_hex(join '', $digest, $claim->{id}, $type, $version, $claim->{epoch}, F6::Model::text($claim->{data}))
	};
}

#
# Wrong models
#

my %overrides = (
	'nothing is removed' => { removed => sub { 0 } },
	'nothing is restated' => {
		effect => sub {
			my ($self, $view, $event) = @_;
			my %said = $self->F6::Model::effect($view, $event);
			return defined $said{data} ? (%said, data => $event->{data}, occurred_at => $event->{occurred_at}) : %said;
		}
	},
	'the first correction wins' => {
		decisive => sub {
			my ($self, $view, $event) = @_;
			my ($first) = grep { $self->counts($view, $_) } $self->later($view, 'corrections', $event);
			return $first;
		}
	},
	'validations count for nothing' => {
		has_force => sub {
			my ($self, $view, $event) = @_;
			return !$view->{legal} || $event->{kind} eq 'validation' || $self->{types}{ $event->{type} }{legal_when_claimed};
		}
	});

# Returns the model, or one of the same log that has a flaw.
sub flawed
{
	my ($model, $flaw) = @_;
	my $class = 'F6::Model::Projected' . $flaw =~ s/\W//gr;

	return $model unless $overrides{$flaw};
	no strict 'refs';
	@{"${class}::ISA"} = ('F6::Model');
	no warnings 'redefine';
	*{"${class}::$_"} = $overrides{$flaw}{$_} foreach keys %{ $overrides{$flaw} };
	return $model->as($class);
}

1;
