# A history is read by its indexes, also for whom a policy asks for a query, however small the log was when that was planned.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plans');
$node->init;
$node->start;
$node->safe_psql('postgres', 'create role reader');

foreach my $events (0, 1, 2, 6, 31)
{
	$node->safe_psql('postgres', 'drop database if exists d');
	$node->safe_psql('postgres', 'create database d');
	my $fill = sub { "select count(*) from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Any', 'event_data', n,"
		  . " 'object_ids', array[f6_object_id('o', $_[0])])) from generate_series(1, $_[1]) as n))" };
	my ($status, $plan, $log) = $node->psql('d', join(';', 'create extension f6',
		"select f6_register_event_type('Any', '1', 'true')",
		$events ? $fill->("'a'", $events) : 'select 1',
		'analyze', 'grant f6_reader to reader', 'alter table f6.event enable row level security',
		'create policy see on f6.event using (true)',
		'set role reader', "select f6_state_asof(f6_object_id('o', 'a'))", 'reset role',
		$fill->('n::text', 5000),
		"load 'auto_explain'", 'set auto_explain.log_min_duration = 0',
		'set auto_explain.log_nested_statements = on', 'set client_min_messages = log', 'set role reader',
		"select f6_state_asof(f6_object_id('o', 'a'))",
		"select f6_events(f6_object_id('o', 'a'))"));
	is($status, 0, "planned with $events events");
	my $by_position = () = $log =~ /Index Cond: \("?position"? = o\."?position"?\)/g;
	my $by_object = () = $log =~ /Index Cond: \(+object_id = /g;
	is($by_position, 2, "each event is looked up by its position, planned with $events events");
	is($by_object, 2, "the object's links by the object, planned with $events events");
	unlike($log, qr/Seq Scan on event|Join Filter/, "nothing reads all of a table, planned with $events events");
}

$node->stop;
done_testing();
