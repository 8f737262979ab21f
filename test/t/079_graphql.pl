# GraphQL: PostGraphile over a database with f6, as docs/clients.md starts it, asked by HTTP.
use strict;
use warnings;

use F6::Recipe qw(need_packages recipe write_recipe);
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $packages = need_packages();
plan skip_all => 'F6_OFFLINE: the packages of npm are not there' unless $packages;

my $node = PostgreSQL::Test::Cluster->new('graphql');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();
symlink($packages, "$folder/node_modules") or die "$folder/node_modules: $!";
write_recipe($folder, 'graphql');

$node->safe_psql('postgres', recipe('setup.sql'));
$node->safe_psql('postgres', recipe('graphql.sql'));
$node->safe_psql('postgres', <<'SQL');
select f6_create_projection('person', '{Born,Moved}', mode => 'inline', columns => '{"name": "text", "town": "text"}');
select f6_create_projection('town', '{Born,Moved}', mode => 'live', columns => '{"town": "text"}');
select f6_create_projection('open', '{Born}', mode => 'inline', writable => true);
select f6_append('Born', array[f6_object_id('person', n::text)], jsonb_build_object('name', n)) from unnest('{Ada,Bob,Cyd,Dee}'::text[]) as n;
select f6_append('Moved', array[f6_object_id('person', 'Bob')], '{"name": "Bob", "town": "Veere"}');
create role web login in role f6_reader, f6_writer;
create role guest login in role f6_reader;
grant usage on schema decision to web;
grant select on person, town to web, guest;
SQL

# The groups of processes that run, which end with the test whatever happens.
my %groups;
END
{
	local $?;
	kill '-KILL', keys %groups if %groups;
}

# Serves GraphQL as a role; returns what ends it, and the address.
sub serve
{
	my ($role, @options) = @_;
	my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no port is free: $!";
	my $port = $probe->sockport;
	my $output = '';
	close($probe);

	local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER PORT)} = ($node->host, $node->port, 'postgres', $role, $port);
	my $process = IPC::Run::start([ 'sh', "$folder/graphql" ], '<', '/dev/null', '>&', \$output, init => sub { setpgrp(0, 0); chdir $folder or die "$folder: $!" });
	my $group = $process->{KIDS}[0]{PID};
	$groups{$group} = 1;
	my $ends = time + 60;
	until (IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port))
	{
		$process->pump_nb;
		die "PostGraphile does not start: $output" if time > $ends || !$process->pumpable;
		sleep(0.1);
	}
	return (sub { kill '-KILL', $group; $process->kill_kill; delete $groups{$group}; return $output }, "http://127.0.0.1:$port/graphql");
}

# Asks by HTTP; returns the data and the first error.
sub ask
{
	my ($url, $query, $variables) = @_;
	my $response = HTTP::Tiny->new(timeout => 60)->post($url,
		{ headers => { 'Content-Type' => 'application/json' }, content => encode_json({ query => $query, variables => $variables // {} }) });
	my $answer = eval { decode_json($response->{content}) } or die "$response->{status}: $response->{content}";

	return ($answer->{data}, $answer->{errors} ? $answer->{errors}[0] : undef);
}

# Checks what a query is answered with.
sub answers
{
	my ($url, $query, $expected, $name) = @_;
	my ($data, $error) = ask($url, $query);

	is_deeply($error, undef, "$name: no error");
	is_deeply($data, $expected, $name);
	return;
}

my ($end, $url) = serve('web');
my $ada = $node->safe_psql('postgres', q{select f6_object_id('person', 'Ada')});
my $bob = $node->safe_psql('postgres', q{select f6_object_id('person', 'Bob')});

# Queries.
answers($url, q({ allEvents(condition: {eventType: "Born"}, orderBy: POSITION_DESC, first: 2, offset: 1) { totalCount nodes { position eventData objectIds zoneByZoneId { name } } pageInfo { hasNextPage } } }),
	{ allEvents => { totalCount => 4, pageInfo => { hasNextPage => JSON::PP::true }, nodes => [
		map { { position => $_->[0], eventData => { name => $_->[1] }, objectIds => [ $node->safe_psql('postgres', "select f6_object_id('person', '$_->[1]')") ], zoneByZoneId => { name => 'default' } } } [ 3, 'Cyd' ], [ 2, 'Bob' ] ] } },
	'events, chosen, ordered, a page of them');
my ($first) = ask($url, q({ allEvents(first: 3) { nodes { position } pageInfo { endCursor } } }));
answers($url, qq({ allEvents(first: 3, after: "$first->{allEvents}{pageInfo}{endCursor}") { nodes { position eventKind } } }),
	{ allEvents => { nodes => [ { position => 4, eventKind => 'CLAIM' }, { position => 5, eventKind => 'CLAIM' } ] } }, 'and the next page');
answers($url, qq({ allEventObjects(condition: {objectId: "$bob"}) { nodes { eventByPosition { eventType } } } }),
	{ allEventObjects => { nodes => [ { eventByPosition => { eventType => 'Born' } }, { eventByPosition => { eventType => 'Moved' } } ] } }, 'the events of an object');
answers($url, q({ allPeople(condition: {town: "Veere"}) { nodes { name town state } } }),
	{ allPeople => { nodes => [ { name => 'Bob', town => 'Veere', state => { name => 'Bob', town => 'Veere' } } ] } }, 'a projection by its columns');
answers($url, qq({ personByObjectId(objectId: "$bob") { name } townByObjectId(objectId: "$bob") { town } f6StateAsof(objectId: "$bob", knownAt: "2100-01-01T00:00:00Z", validAt: "2100-01-01T00:00:00Z") }),
	{ personByObjectId => { name => 'Bob' }, townByObjectId => { town => 'Veere' }, f6StateAsof => { name => 'Bob', town => 'Veere' } }, 'a row, one of a live projection, and a state');
answers($url, q({ allProjections(orderBy: NAME_ASC) { nodes { name mode } } allF6Subscriptions { nodes { name lagEvents } } }),
	{ allProjections => { nodes => [ { name => 'open', mode => 'inline' }, { name => 'person', mode => 'inline' }, { name => 'town', mode => 'live' } ] },
		allF6Subscriptions => { nodes => [ { name => 'births', lagEvents => 4 } ] } }, 'projections and subscriptions');

# Mutations.
my $execute = q(mutation ($name: String, $payload: JSON, $key: String) { f6Execute(input: {name: $name, payload: $payload, idempotencyKey: $key}) { executed { status reason detail positions attempts } } });
my ($data, $error) = ask($url, $execute, { name => 'register birth', payload => { name => 'Eve' }, key => 'e7c1' });
is_deeply([ $data, $error ], [ { f6Execute => { executed => { status => 'accepted', reason => undef, detail => undef, positions => [6], attempts => 1 } } }, undef ], 'a command is accepted');
($data, $error) = ask($url, $execute, { name => 'register birth', payload => { name => 'Eve' }, key => 'e7c1' });
is_deeply($data->{f6Execute}{executed}, { status => 'accepted', reason => undef, detail => undef, positions => [6], attempts => 0 }, 'repeated, it is done once');
($data, $error) = ask($url, $execute, { name => 'register birth', payload => { name => 'Ada' } });
is_deeply([ $data->{f6Execute}{executed}, $error ], [ { status => 'rejected', reason => 'born already', detail => 'Ada', positions => [], attempts => 1 }, undef ], 'rejected');
($data, $error) = ask($url, $execute, { name => 'register birth', payload => { name => 'E' x 81 } });
is_deeply([ @$error{qw(errcode message detail)} ], [ '23514', 'event data is not valid for event type "Born" version "1"', '"/name" maxLength: expected at most 80 characters, found 81' ], 'an event that is refused shows f6\'s error');
($data, $error) = ask($url, $execute, { name => 'nothing' });
is($error->{errcode}, '42704', 'and so does a command that does not exist');
answers($url, q(mutation { registerBirth(input: {name: "Fay"}) { outcome { status } } }), { registerBirth => { outcome => { status => 'accepted' } } }, 'a command with a mutation of its own');
my $append = q(mutation ($events: JSON, $after: BigInt) { append(input: {events: $events, after: $after}) { appendeds { position } } });
($data, $error) = ask($url, $append, { events => [ { event_type => 'Moved', object_ids => [$ada], event_data => { name => 'Ada', town => 'Goes' } } ] });
is_deeply([ $data, $error ], [ { append => { appendeds => [ { position => $node->safe_psql('postgres', 'select max("position") from f6.event') } ] } }, undef ], 'an append');
($data, $error) = ask($url, $append, { events => [ { event_type => 'Moved', object_ids => [$ada], event_data => {} } ] });
is_deeply([ @$error{qw(errcode detail)} ], [ '23514', '"" required: expected property "name", found none' ], 'that is refused');
($data, $error) = ask($url, $append, { events => [ { event_type => 'Moved', object_ids => [$ada], event_data => { name => 'Ada' } } ], after => 1 });
is($error->{errcode}, '40001', 'one whose condition does not hold');
answers($url, qq({ personByObjectId(objectId: "$ada") { town } }), { personByObjectId => { town => 'Goes' } }, 'the projection has what was appended');

# What is there, and what is not.
my $fields = q({ __schema { mutationType { fields { name } } queryType { fields { name } } } });
my %is_field = map { ($_->{name} => 1) } map { @{ $_->{fields} } } values %{ (ask($url, $fields))[0]{__schema} };
is_deeply([ grep { /^(?:create|update|delete)/ } sort keys %is_field ], [], 'nothing is changed but by functions');
is_deeply([ grep { /snapshot|keptSpan|marker|uriSegment|liveRows/i } sort keys %is_field ], [], 'what nobody sees is not there');
unlike($end->(), qr{warning|conflict}i, 'it starts without a warning');

# As who may only read.
($end, $url) = serve('guest');
answers($url, q({ allEvents { totalCount } }), { allEvents => { totalCount => 8 } }, 'who may read reads');
($data, $error) = ask($url, $append, { events => [ { event_type => 'Moved', object_ids => [$ada], event_data => { name => 'Ada' } } ] });
is($error->{errcode}, '42501', 'and appends nothing');
$end->();

# As a superuser, to whom privileges leave nothing out.
($end, $url) = serve($node->safe_psql('postgres', 'select current_user'));
%is_field = map { ($_->{name} => 1) } map { @{ $_->{fields} } } values %{ (ask($url, $fields))[0]{__schema} };
is_deeply([ grep { /^(?:create|update|delete)(?!Letter)/ } sort keys %is_field ], [qw(createOpen deleteOpen deleteOpenByObjectId updateOpen updateOpenByObjectId)], 'only what is writable is written');
is_deeply([ grep { /snapshot|keptSpan|marker|uriSegment|liveRows/i } sort keys %is_field ], [], 'what nobody sees is not there for a superuser either');
$end->();

$node->stop;
done_testing();
