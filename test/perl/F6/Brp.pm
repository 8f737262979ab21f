# Reads the public test set of the Dutch population registry (brp/persons.csv) and makes events
# of its category 08, the residences.  Text is kept as the bytes of the file (UTF-8), as psql
# gives its answers.
#
# How a person's list becomes events:
# - The object is the person, by administration number (01.01.10): every list has one, and no two
#   the same.  The citizen service number is missing in two lists and not unique in others.
# - A record is one claim and one validation, both made at the midnight that begins the day on
#   which it was taken up (08.86.10).  Its date of validity (08.85.10) is the claim's date of
#   effect, geldigVanaf.  What a record lacks is null in the claim: a record is the whole
#   residence, so its merge patch must remove what an earlier one left.
# - A record marked incorrect (08.84.10) is removed by a correction, validated at once, on the day
#   on which its successor, the record above it, was taken up, just before the successor's claim.
#   Every one in the file has a successor.
# - An unknown part of a date counts as the lowest it can be: 19760000 is 1976-01-01, 00000000 is
#   0001-01-01.  One date has lost its last digit: 1994031 is 1994-03-10.
# - A row that has values in category 08 but no date on which they were taken up is not a record.
#   There is one (Lg01_882), with a stray letter below a complete history.
# - Formal time may not go back, so the events of all persons are put in the order of the days on
#   which they were recorded; within one person's day the older record goes first.  In three
#   lists (Lg01_293, Lg01_594, Lg01_625) the records do not stand in the order of those days.
#   There the log follows the days, and validity decides which record counts: the place of a
#   record in its list only matters between records taken up on one day.
package F6::Brp;

use strict;
use warnings;

use Encode qw(decode_utf8);
use JSON::PP;

# The elements of category 08 that go into a claim.  Left out: 84.10 and 86.10 (they are the
# correction and created_at), H (a mark of the file), 75.10 and 88.20 (never filled).
our %ELEMENTS = (
	gemeenteVanInschrijving => '08.09.10',
	datumInschrijving => '08.09.20',
	functieAdres => '08.10.10',
	gemeentedeel => '08.10.20',
	aanvangAdreshouding => '08.10.30',
	straat => '08.11.10',
	openbareRuimte => '08.11.15',
	huisnummer => '08.11.20',
	huisletter => '08.11.30',
	toevoeging => '08.11.40',
	aanduiding => '08.11.50',
	postcode => '08.11.60',
	woonplaats => '08.11.70',
	verblijfplaatsId => '08.11.80',
	nummeraanduidingId => '08.11.90',
	locatie => '08.12.10',
	land => '08.13.10',
	aanvangBuitenland => '08.13.20',
	regel1 => '08.13.30',
	regel2 => '08.13.40',
	regel3 => '08.13.50',
	landVanHerkomst => '08.14.10',
	vestigingInNederland => '08.14.20',
	aangifte => '08.72.10',
	inOnderzoek => '08.83.10',
	onderzoekVanaf => '08.83.20',
	onderzoekTot => '08.83.30',
	datumIngang => '08.85.10',
	rniDeelnemer => '08.88.10');

# Which definition of the schema an element that is not just text must follow.
my %FORMS = (
	(map { ($_ => 'code') } qw(land landVanHerkomst rniDeelnemer)),
	(map { ($_ => 'dag') } qw(datumInschrijving aanvangAdreshouding aanvangBuitenland
		vestigingInNederland onderzoekVanaf onderzoekTot)),
	(map { ($_ => 'identificatie') } qw(verblijfplaatsId nummeraanduidingId)),
	(map { ($_ => 'letter') } qw(huisletter aangifte)));

my %KINDS = (claim => 1, claim_validation => 2, correction => 3, correction_validation => 4);

# Returns the JSON Schema of a Verblijfplaats, as text.
sub schema
{
	my %properties = map {
		($_ => { '$ref' => '#/$defs/' . ($FORMS{$_} || 'tekst') })
	} keys %ELEMENTS;

	return JSON::PP->new->utf8->canonical->encode({
		'$schema' => 'https://json-schema.org/draft/2020-12/schema',
		title => 'Verblijfplaats',
		type => 'object',
		required => [ 'geldigVanaf', sort keys %ELEMENTS ],
		additionalProperties => JSON::PP::false,
		properties => {
			%properties,
			geldigVanaf => {
				type => 'string',
				pattern => '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' },
			gemeenteVanInschrijving => { type => 'string', pattern => '^[0-9]{4}$' },
			datumIngang => { type => 'string', pattern => '^[0-9]{8}$' },
			functieAdres => { enum => [ 'W', 'B', undef ] },
			huisnummer => { type => [ 'integer', 'null' ], minimum => 1, maximum => 99999 },
			aanduiding => { enum => [ 'by', 'to', undef ] },
			postcode => { type => [ 'string', 'null' ], pattern => '^[1-9][0-9]{3}[A-Z]{2}$' },
			inOnderzoek => { type => [ 'string', 'null' ], pattern => '^[05]8[0-9]{4}$' } },
		anyOf => [ map { { properties => { $_ => { type => 'string' } } } } qw(straat locatie land) ],
		not => { properties => { straat => { type => 'null' }, huisnummer => { type => 'integer' } } },
		'$defs' => {
			tekst => { type => [ 'string', 'null' ], minLength => 1, maxLength => 80 },
			code => { type => [ 'string', 'null' ], pattern => '^[0-9]{4}$' },
			dag => { type => [ 'string', 'null' ], pattern => '^[0-9]{8}$' },
			identificatie => { type => [ 'string', 'null' ], pattern => '^[0-9]{14,16}$' },
			letter => { type => [ 'string', 'null' ], pattern => '^[A-Za-z.]$' } } });
}

# Reads the file.  Returns its lists, each with its records, newest first as they are written:
# { number => administration number, name => list, records => [ { line => ..., element => value } ] }.
sub read_lists
{
	my ($path) = @_;
	my (@lists, @columns);

	open my $file, '<:raw', $path or die "could not open \"$path\": $!";
	while (my $text = <$file>)
	{
		$text =~ s/\r?\n\z//;
		my @values = split_row($text);
		if (!@columns)
		{
			@columns = @values;
			next;
		}
		push @lists, { name => $values[0], number => $values[1], records => [] } if $values[0] ne '';
		my %record = map { ($columns[$_] => $values[$_]) }
			grep { $columns[$_] =~ /^08\./ && $values[$_] ne '' } 0 .. $#columns;
		push @{ $lists[-1]{records} }, { %record, line => $. } if exists $record{'08.86.10'};
	}
	close $file or die "could not read \"$path\": $!";
	return @lists;
}

# Splits a row of the file into its values; blanks around a value mean nothing.
sub split_row
{
	my ($text) = @_;
	my @values;

	while ($text =~ /\G(?:"((?:[^"]|"")*)"|([^;]*))(;|\z)/g)
	{
		my ($quoted, $plain, $end) = ($1, $2, $3);
		my $value = defined $quoted ? $quoted =~ s/""/"/gr : $plain;
		push @values, $value =~ s/\A +| +\z//gr;
		last if $end eq '';
	}
	return @values;
}

# Returns the day, YYYY-MM-DD, that a date of the registry counts as.
sub day
{
	my ($date) = @_;
	my ($year, $month, $day) = substr("${date}0", 0, 8) =~ /\A(\d{4})(\d\d)(\d\d)\z/
		or die "\"$date\" is not a date of the registry";

	return sprintf '%04d-%02d-%02d', map { $_ + 0 || 1 } $year, $month, $day;
}

# Returns the events of the lists in the order in which they must be appended.  Each list must have
# been given its 'object', the person's object id.
sub events
{
	my @events = map { list_events($_) } @_;
	my @order = sort {
		$events[$a]{created_at} cmp $events[$b]{created_at} || $a <=> $b
	} 0 .. $#events;

	return @events[@order];
}

# Returns the events of one list, oldest record first.
sub list_events
{
	my ($list) = @_;
	my ($predecessor, @events);

	for my $record (reverse @{ $list->{records} })
	{
		my $claim = claim($list, $record);

		if ($predecessor && exists $predecessor->{'08.84.10'})
		{
			my $taken_up = (sort map { day($_->{'08.86.10'}) } $record, $predecessor)[1];
			push @events, with_validation(correction($predecessor, $taken_up), $predecessor);
		}
		push @events, with_validation($claim, $record);
		$predecessor = $record;
	}
	return @events;
}

# Returns the claim that a record is.  It does not give occurred_at: were geldigVanaf not
# heeded, the claim would count from the day of the test on.
sub claim
{
	my ($list, $record) = @_;
	my %data = map { ($_ => decode_utf8($record->{ $ELEMENTS{$_} })) } keys %ELEMENTS;

	$data{huisnummer} += 0 if defined $data{huisnummer};
	$data{geldigVanaf} = day($record->{'08.85.10'});
	return {
		id => event_id('claim', $record),
		event_kind => 'claim',
		event_type => 'Verblijfplaats',
		created_at => day($record->{'08.86.10'}) . 'T00:00:00',
		object_ids => [ $list->{object} ],
		event_data => \%data,
		metadata => { list => $list->{name}, line => $record->{line} } };
}

# Returns the correction that removes a record.  Its object is left to the default, its target's.
sub correction
{
	my ($record, $day) = @_;

	return {
		id => event_id('correction', $record),
		event_kind => 'correction',
		event_type => 'Verblijfplaats',
		created_at => "${day}T00:00:00",
		event_reference => [ event_id('claim', $record) ],
		event_data => undef };
}

# Returns an event about a record, and its validation.
sub with_validation
{
	my ($event, $record) = @_;

	return ($event, {
		id => event_id("$event->{event_kind}_validation", $record),
		event_kind => 'validation',
		event_type => 'Verblijfplaats',
		event_source_type => 'ambtenaar',
		created_at => $event->{created_at},
		event_reference => [ $event->{id} ] });
}

# Returns the id of an event about a record: it ends in the record's line in the file.
sub event_id
{
	my ($kind, $record) = @_;

	return sprintf '%08d-0000-8000-8000-%012d', $KINDS{$kind}, $record->{line};
}

1;
