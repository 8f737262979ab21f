-- Projections: making, refreshing, rebuilding and dropping them, and who may do what.
-- In a database of its own, since the horizon passes only what is committed, and a rebuild commits.

set client_min_messages = warning;
drop database if exists f6_projection;
drop role if exists projection_admin, projection_other, projection_writer, projection_blind, projection_reader;
create database f6_projection;
\connect f6_projection
set client_min_messages = warning;
create extension f6;
create extension pgtap;
select no_plan();

set timezone = 'UTC';
create schema p;
select set_config('search_path', 'p, ' || current_setting('search_path'), false);

create function o(name text) returns uuid language sql as $$ select f6_object_id('projection', name) $$;
-- Returns what a statement raises, with its detail and hint.
create function raised(statement text) returns text language plpgsql as $$
declare
    detail text;
    hint text;
begin
    execute statement;
    return 'nothing';
exception when others then
    get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
    return concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''), nullif(hint, ''));
end $$;
-- Returns what f6_create_projection raises with some arguments.
create function refused(arguments text) returns text language sql as $$ select raised('select f6_create_projection(' || arguments || ')') $$;
-- Appends a claim.
create function happen(type text, name text, data jsonb, at timestamptz default null) returns uuid language sql as
    $$ select (f6_append(type, array[o(name)], data, occurred_at => at)).id $$;
-- Returns how many rows of a projection of objects differ from the states that its fold makes of the log.
create function differences(which text) returns bigint language plpgsql as $$
declare
    result bigint;
begin
    execute format('select count(*) from (select o.object_id, f6_state_asof(o.object_id, %L, %L, %L) as state from (select distinct object_id from f6.event_object) as o) as s
        full join %s as t using (object_id) where s.state is distinct from t.state',
        'infinity', 'infinity', which, (select table_name from f6.projection where name = which)) into result;
    return result;
end $$;
-- Returns the rows of a projection of objects, by the names of these.
create function rows_of(which text) returns text language plpgsql as $$
declare
    result text;
begin
    execute format('select string_agg(n || %L || state::text, %L order by n) from %s join unnest(array[''a'', ''b'', ''c'', ''d'', ''e'']) as n on o(n) = object_id',
        ': ', ', ', (select table_name from f6.projection where name = which)) into result;
    return result;
end $$;

select f6_register_event_type(t, '1', 'true') from unnest('{Created,Debited,Closed,OrderPlaced,OrderPaid,Rule,Item,Paid,Told}'::text[]) as t;
select f6_register_event_type('Dated', '1', 'true', valid_from => '/since', legal_when_claimed => true);
\set balance '\'{"Created": [{"op": "increment", "path": "/balance", "from": "$.data.amount"}], "Debited": [{"op": "increment", "path": "/balance", "from": "$.data.amount"}, {"op": "count", "path": "/debits"}], "Closed": [{"op": "delete"}]}\''

-- Each mode, over what is in the log and what comes.
select happen('Debited', 'a', '{"amount": -100}') is not null as happened;
select lives_ok(format('select f6_create_projection(%L, %L, %L, %L)', 'now', '{Created,Debited,Closed}', :balance, 'inline'), 'an inline projection');
select lives_ok(format('select f6_create_projection(%L, %L, %L)', 'later', '{Created,Debited,Closed}', :balance), 'one that is asynchronous, as they are unless it is said');
select lives_ok(format('select f6_create_projection(%L, %L, %L, %L)', 'live', '{Created,Debited,Closed}', :balance, 'live'), 'a live one');
select is(rows_of('now'), 'a: {"debits": 1, "balance": -100}', 'the inline one has what was in the log');
select is(rows_of('later'), null, 'the asynchronous one waits');
select is(rows_of('live'), 'a: {"debits": 1, "balance": -100}', 'the live one has it all');
begin;
select happen('Created', 'a', '{"amount": 200}') is not null, happen('Created', 'b', '{"amount": 10}') is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 100}, b: {"balance": 10}', 'the inline one has it in the same transaction');
rollback;
select is(rows_of('now'), 'a: {"debits": 1, "balance": -100}', 'and not when that is rolled back');
select is((select "position" from f6_projections() where name = 'later'), 0::bigint, 'the asynchronous one has come to the beginning');
select is(f6_refresh('later'), 1::bigint, 'it takes one event');
select is(f6_refresh('later'), 0::bigint, 'and none again');
select is(rows_of('later'), rows_of('now'), 'and has its row');
select is(f6_refresh('now'), 0::bigint, 'an inline one is not refreshed');
select is(f6_refresh('live'), 0::bigint, 'nor is a live one');
select happen('Created', 'a', '{"amount": 200}') is not null, happen('Created', 'b', '{"amount": 10}') is not null;
select is(array[lag_events, "position"], array[2, 3]::bigint[], 'f6_projections says how far it lags') from f6_projections() where name = 'later';
select is(array[name, mode, state, table_name], array['now', 'inline', 'ready', 'now'], 'and what each is') from f6_projections() where name = 'now';
select ok(lag_time > '0 s' and refreshed_at < clock_timestamp(), 'in time too') from f6_projections() where name = 'later';
select is(f6_wait_for('later', 4, '10 ms'), false, 'who waits for it when nobody refreshes it waits in vain');
begin;
select happen('Created', 'x', '{"amount": 1}') is not null;
select is(f6_refresh('later'), 3::bigint, 'it comes to the horizon, and takes own events too');
select is(f6_wait_for('later', (select max("position") from f6.event), '10 ms'), true, 'who has appended them sees them');
rollback;
select is(f6_refresh('later'), 2::bigint, 'which it does not have when they are taken back');
select is(f6_wait_for('now', 1000000), true, 'nobody has to wait for an inline one');
select is(f6_wait_for('live', 1000000), true, 'nor for a live one');
select is(lag_events, 0::bigint, 'then nothing lags') from f6_projections() where name = 'later';
select is(differences(p), 0::bigint, p || ' has the states of its fold') from unnest('{now,later,live}'::text[]) as p;
select set_eq('select * from now', 'select * from later', 'and both tables the same rows');
select is((select last_position from now where object_id = o('b')), (select max("position") from f6.event where o('b') = any (object_ids)), 'with the last event');
select is((select last_material_time from now where object_id = o('b')), (select max(occurred_at) from f6.event where o('b') = any (object_ids)), 'and the latest material time');
select is(obj_description('now'::regclass), e'@omit create,update,delete\nprojection "now" of f6: written by it alone', 'a table says what it is');
select is(col_description('now'::regclass, attnum), case attname when 'object_id' then 'what the row is of' when 'state' then 'the state that the events make'
        when 'last_position' then 'the last event that the row has' else 'the latest material time of the claims that it counts' end, 'so does column ' || attname)
    from pg_attribute where attrelid = 'now'::regclass and attnum > 0;
select is(obj_description('live'::regclass), e'@omit create,update,delete\n@primaryKey object_id\nprojection "live" of f6: made when somebody asks', 'and a view');

-- Ends, claims about an earlier time, corrections, validations: as the fold of all of them.
select happen('Closed', 'b', '{}') is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 100}', 'a fold may end a row');
select is((select count(*) from f6.projection_end), 1::bigint, 'which is remembered');
select happen('Debited', 'b', '{"amount": 7}', '2020-01-01') is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 100}', 'what comes late and belongs before the end is nothing');
select happen('Created', 'b', '{"amount": 3}') is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 100}, b: {"balance": 3}', 'what comes after it begins anew');
select is((select count(*) from f6.projection_end), 0::bigint, 'and is there again');
select f6_append('Created', null, '{"amount": 250}', event_kind => 'correction', event_reference => array[(select id from f6.event where o('a') = any (object_ids) and event_type = 'Created')]) is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 150}, b: {"balance": 3}', 'a correction restates');
select f6_append('Rule', null, 'null', event_kind => 'correction', event_reference => array[(select id from f6.event where o('b') = any (object_ids) and event_type = 'Closed')]) is not null;
select is(rows_of('now'), 'a: {"debits": 1, "balance": 150}, b: {"debits": 1, "balance": 20}', 'or removes, of whatever type it is: what had ended goes on');
insert into f6.event (event_type, object_ids, event_data) select 'Created', array[o('c'), o('d')], '{"amount": 1}' from generate_series(1, 3);
copy f6.event (event_type, object_ids, event_data, occurred_at) from stdin;
Debited	{6ba7b810-9dad-11d1-80b4-00c04fd430c8}	{"amount": 1}	infinity
Debited	{6ba7b810-9dad-11d1-80b4-00c04fd430c8}	{"amount": 2}	-infinity
\.
select is(rows_of('now'), 'a: {"debits": 1, "balance": 150}, b: {"debits": 1, "balance": 20}, c: {"balance": 3}, d: {"balance": 3}', 'INSERT and COPY are seen too');
select is((select state from now where object_id = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'), '{"debits": 2, "balance": 3}', 'what is dated infinity counts');
select f6_refresh('later') > 0;
select is(differences(p), 0::bigint, p || ' has the states of its fold') from unnest('{now,later,live}'::text[]) as p;
select set_eq('select * from now', 'select * from later', 'and both the same rows');

-- Asking along both times.
select is(f6_state_asof(o('a'), projection => 'now'), '{"debits": 1, "balance": 150}', 'f6_state_asof');
select is(f6_state_asof(o('a'), known_at => (select min(created_at) from f6.event), projection => 'later'), '{"debits": 1, "balance": -100}', 'as known before');
select is((select state from f6_states_asof(array[o('a'), o('x')], projection => 'live') where object_id = o('a')), '{"debits": 1, "balance": 150}', 'f6_states_asof');
select results_eq($$select state ->> 'balance' from f6_history(o('b'), projection => 'now')$$, $$values ('7'), ('17'), ('20')$$, 'f6_history');
select results_eq($$select state ->> 'balance' from f6_formal_history(o('b'), 'infinity', projection => 'now')$$, $$values ('10'), ('3'), ('20')$$, 'f6_formal_history');
select cmp_ok((select count(*) from f6_bitemporal(o('b'), projection => 'now')), '>', 3::bigint, 'f6_bitemporal');
select is((select after ->> 'balance' from f6_changes(o('a'), '-infinity', projection => 'now') order by valid_from desc limit 1), '150', 'f6_changes');
select is((select count(*) from f6_events(o('b')) as e), 3::bigint, 'f6_events has what counts');
-- States that end leave gaps in these, wherever something comes to be known of them.
select setseed(0.25);
do $$
begin
    for n in 1 .. 150 loop
        perform f6_append((array['Created', 'Debited', 'Closed', 'Closed'])[1 + floor(random() * 4)], array[o('gaps')], jsonb_build_object('amount', floor(random() * 3)), id => o('gap ' || n),
            occurred_at => '2001-01-01'::timestamptz + floor(random() * 12) * '1 day'::interval);
        if random() < 0.3 then
            perform f6_append('Rule', null, 'null', event_kind => 'correction', event_reference => array[o('gap ' || 1 + floor(random() * n))]);
        end if;
    end loop;
end $$;
create temporary table gap as select k.at as known_at, v.at as valid_at, f6_state_asof(o('gaps'), v.at, k.at, 'now') as state
    from (select distinct created_at from f6.event where o('gaps') = any (object_ids)) as k (at), generate_series('2000-12-31'::timestamptz, '2001-01-14', '1 day') as v (at);
create temporary table rectangle as select * from f6_bitemporal(o('gaps'), 'now');
select is((select count(*) from gap as g where g.state is distinct from
        (select r.state from rectangle as r where g.known_at >= r.known_from and g.known_at < r.known_to and g.valid_at >= r.valid_from and g.valid_at < r.valid_to)), 0::bigint, 'f6_bitemporal has the states of all times');
select is((select count(*) from (select distinct known_at from gap) as k
    cross join lateral (select array_agg(h) as list from f6_history(o('gaps'), k.known_at, 'now') as h) as h
    join gap as g using (known_at) where g.state is distinct from (select s.state from unnest(h.list) as s where g.valid_at >= s.valid_from and g.valid_at < s.valid_to)), 0::bigint, 'f6_history too');
select is((select count(*) from (select distinct valid_at from gap) as v
    cross join lateral (select array_agg(h) as list from f6_formal_history(o('gaps'), v.valid_at, 'now') as h) as h
    join gap as g using (valid_at) where g.state is distinct from (select s.state from unnest(h.list) as s where g.known_at >= s.known_from and g.known_at < s.known_to)), 0::bigint, 'and f6_formal_history');
select cmp_ok((select count(*) from f6_bitemporal(o('gaps'), 'now')), '>', 50::bigint, 'which are many');
select is(differences('now'), 0::bigint, 'and the rows are right after each of them');
select throws_ok($$select f6_state_asof(o('a'), projection => 'none')$$, '42704', 'projection "none" does not exist', 'a projection that is not there');

-- Types and patterns, legal force.
select f6_create_projection('orders', '{Order*}', mode => 'inline');
select f6_create_projection('force', '{Dated,Order*}', mode => 'inline', legal => true);
select f6_create_projection('force_later', '{Dated,Order*}', legal => true);
select happen('OrderPlaced', 'e', '{"n": 1}') as placed \gset
select happen('Debited', 'e', '{"amount": 1}') is not null, happen('Dated', 'e', '{"since": "2999-01-01", "d": 1}') is not null;
select is(rows_of('orders'), 'e: {"n": 1}', 'types by pattern');
select is(rows_of('force'), 'e: {"d": 1, "since": "2999-01-01"}', 'what has legal force, and what is yet to take effect');
select is((select last_material_time from force), '2999-01-01'::timestamptz, 'which is its material time');
select f6_validate_claim(:'placed') is not null;
select is(rows_of('force'), 'e: {"d": 1, "n": 1, "since": "2999-01-01"}', 'a validation gives more');
select f6_register_event_type('OrderSent', '1', 'true', legal_when_claimed => true);
select happen('OrderSent', 'e', '{"sent": true}') is not null;
select is(rows_of('orders'), 'e: {"n": 1, "sent": true}', 'a type that is registered later is one of the pattern');
select f6_refresh('force_later') > 0;
select is(differences(p), 0::bigint, p || ' has the states of its fold') from unnest('{orders,force,force_later}'::text[]) as p;
select f6_drop_projection(p) from unnest('{orders,force,force_later,live}'::text[]) as p;

-- Typed columns.
create domain p.amount as numeric(10,2) not null check (value > -1000);
create domain p.document as jsonb;
create type p.colour as enum ('red', 'green');
select f6_create_projection('typed', '{Item}', mode => 'inline', into_table => 'p."Typed"', columns => '{"amount": "p.amount", "short": {"type": "varchar(5)", "path": "/deep/short"}, "data": "jsonb",
    "doc": "p.document", "json": "json", "colour": "p.colour", "since": "date", "a/b~c": "boolean", "first": {"type": "integer", "path": "/list/0"}, "all of it": {"type": "jsonb", "path": ""}}');
create function item(change jsonb, name text default 'a') returns uuid language sql as $$ select happen('Item', name, '{"amount": 12.5} '::jsonb || change) $$;
select item('{"deep": {"short": "abc"}, "data": "text", "doc": "text", "json": "text", "colour": "red", "since": "2024-02-29", "a/b~c": true, "list": [7, 8]}') is not null;
select is(to_jsonb(t) - '{object_id,state,last_position,last_material_time,all of it}'::text[], '{"doc": "text", "data": "text", "json": "text", "a/b~c": true, "first": 7, "short": "abc", "since": "2024-02-29", "amount": 12.50, "colour": "red"}',
    'columns of all types take their values from the state') from "Typed" as t;
select is("all of it", state, 'or the whole') from "Typed";
select col_type_is('p', 'Typed'::name, 'short'::name, 'character varying(5)', 'with the type that was given');
select item('{"data": null, "short": 1, "since": null}', 'b') is not null;
select is(array[data::text, short, since::text, "first"::text], array[null, null, null, null], 'what is not there, or null, is NULL') from "Typed" where object_id = o('b');
select is(raised($$select item('{"deep": {"short": "abcdef"}}')$$), '22001 | value too long for type character varying(5)', 'what its type does not take is an error');
select is(raised($$select item('{"since": "soon"}')$$), '22007 | invalid input syntax for type date: "soon"', 'of the type');
select is(raised($$select item('{"colour": "blue"}')$$), '22P02 | invalid input value for enum p.colour: "blue"', 'whichever');
select is(raised($$select item('{"amount": -1000}')$$), '23514 | value for domain p.amount violates check constraint "amount_check"', 'a domain checks');
select is(raised($$select item('{"amount": null}', 'c')$$), '23502 | domain p.amount does not allow null values', 'that there is a value too');
select is(raised($$select item('{"list": ["x"]}')$$), '22P02 | invalid input syntax for type integer: "x"', 'elements as well');
select is((select count(*) from f6.event where event_type = 'Item'), 2::bigint, 'and nothing is appended');
select is(state, '{"a/b~c": true, "amount": 12.5, "colour": "red", "data": "text", "deep": {"short": "abc"}, "doc": "text", "json": "text", "list": [7, 8], "since": "2024-02-29"}', 'nor changed') from "Typed" where object_id = o('a');
select f6_create_projection('typed later', '{Item}', into_table => 'typed_later', columns => '{"amount": "numeric(3,0)"}');
select happen('Item', 'c', '{"amount": 1234}') is not null;
select throws_ok($$select f6_refresh('typed later')$$, '22003', 'numeric field overflow', 'an asynchronous one stops');
select is((select count(*) from typed_later), 0::bigint, 'with nothing done');
select is((select "position" from f6_projections() where name = 'typed later'), 0::bigint, 'and where it was');
select ok(lag_events > 0, 'which shows') from f6_projections() where name = 'typed later';
select f6_drop_projection(n) from unnest('{typed,typed later}'::text[]) as n;

-- Keys.
\set sales '\'{"Item": [{"op": "count", "path": "/sold"}, {"op": "increment", "path": "/total", "from": "$.data.amount"}]}\''
select f6_create_projection('by_product', '{Item}', :sales, 'inline', key => 'event_data ->> ''product''');
select f6_create_projection('by_product_later', '{Item}', :sales, key => 'event_data ->> ''product''');
select f6_create_projection('by_day', '{Item}', :sales, 'inline', key => '(occurred_at at time zone ''UTC'')::date');
select f6_create_projection('by_tag', '{Item}', '{"Item": [{"op": "append", "path": "/ids", "from": "$.data.n"}]}', 'inline', key => 'string_to_array(event_data ->> ''tags'', '','')');
create function p.initial(event f6.event) returns char(3) immutable language sql as $$ select 'x' || left(($1).event_data ->> 'product', 2) $$;
select f6_create_projection('by_function', '{Item}', :sales, 'inline', key => 'initial(event)');
select f6_create_projection('by_char', '{Item}', :sales, 'inline', key => '(event_data ->> ''product'')::char(8)');
select f6_create_projection('by_type', null, '{"*": [{"op": "count", "path": "/events"}]}', 'inline', key => 'event_type');
select is(key, 'p.initial(event.*)', 'a key is kept with qualified names') from f6.projection where name = 'by_function';
select item('{"product": "tea", "tags": "hot,drink", "n": 1}') as tea \gset
select item('{"product": "tea", "tags": "hot", "n": 2}', 'b') is not null, item('{"product": "beer", "tags": "drink,", "n": 3}') is not null, item('{"n": 4}') is not null;
select results_eq('select key, state from by_product order by key', $$values ('beer', '{"sold": 1, "total": 12.5}'::jsonb), ('tea', '{"sold": 2, "total": 25.0}')$$, 'a row for each product, of many objects, none without one');
select results_eq('select key::text, state from by_tag order by key', $$values ('', '{"ids": [3]}'::jsonb), ('drink', '{"ids": [1, 3]}'), ('hot', '{"ids": [1, 2]}')$$, 'a row for each element of an array');
select results_eq('select key::text, state -> $$sold$$ from by_function order by key', $$values ('xbe', '1'::jsonb), ('xte', '2')$$, 'a key that a function makes of the event');
select results_eq('select key::text, state -> $$sold$$ from by_char order by key', $$values ('beer', '1'::jsonb), ('tea', '2')$$, 'a key of characters');
select is((select sum((state ->> 'sold')::int) from by_day), (select count(*) from f6.event where event_type = 'Item')::bigint, 'a row for each day');
select set_eq('select key, (state ->> $$events$$)::bigint from by_type', $$select event_type::text, count(*) from f6.event where event_kind = 'claim' and id not in (select unnest(event_reference) from f6.event where event_data = 'null' and event_kind = 'correction') group by 1$$, 'a row for each type');
select f6_append('Item', null, '{"amount": 1, "product": "beer", "tags": "cold"}', event_kind => 'correction', event_reference => array[:'tea'::uuid], id => o('correction')) is not null;
select results_eq('select key, state from by_product order by key', $$values ('beer', '{"sold": 2, "total": 13.5}'::jsonb), ('tea', '{"sold": 1, "total": 12.5}')$$, 'a correction takes a claim from one row to another');
select is((select state from by_tag where key = 'hot'), '{"ids": [2]}', 'of an array too');
select f6_append('Item', null, 'null', event_kind => 'correction', event_reference => array[o('correction')]) is not null;
select results_eq('select key, state from by_product order by key', $$values ('beer', '{"sold": 1, "total": 12.5}'::jsonb), ('tea', '{"sold": 2, "total": 25.0}')$$, 'and when that is corrected, back');
select happen('Item', 'a', '{"amount": 1, "product": "tea", "n": 0, "tags": "hot"}', '2000-01-01') is not null;
select is((select state from by_product where key = 'tea'), '{"sold": 3, "total": 26.0}', 'what comes late counts');
select is((select state from by_tag where key = 'hot'), '{"ids": [0, 1, 2]}', 'in its place');
select f6_refresh('by_product_later') > 0;
select set_eq('select * from by_product', 'select * from by_product_later', 'the asynchronous one has the same rows');
create function p.changing(d jsonb) returns text stable language plpgsql as $$ begin return 'x'; end $$;
select is(refused(format('%L, key => %L', 'bad', k)), format('22023 | key "%s" is not valid | %s | Give an immutable SQL expression over the columns of f6.event, such as event_data ->> ''product''.', k, why), 'a key that is no good: ' || k)
    from (values ('now()', 'It calls a function that is not immutable.'), ('p.changing(event_data)', 'It calls a function that is not immutable.'), ('random()', 'It calls a function that is not immutable.'),
        ('event_type, id', 'It is not one expression.'), ('*', 'It is not one expression.'), ('', 'It is not one expression.'), ('1 from f6.event', 'It is not one expression.'), ('1; select 2', 'It is not one expression.'),
        ('event_type as type', 'It is not one expression.'), ('ROW(1, 2)', 'It has no type of which there are values in tables.'), ('NULL::unknown', 'It has no type of which there are values in tables.'),
        ('(event_data)::json', 'Values of type json can''t be told apart by an index.')) as b (k, why);
select matches(refused(format('%L, key => %L', 'bad', k)), why, 'or: ' || k)
    from (values ('(select 1)', '^0A000 .*cannot use subquery'), ('count(*)', '^42803 .*aggregate functions are not allowed'), ('row_number() over ()', '^42P20 '), ('generate_series(1, 2)', '^0A000 '),
        ('event_type +', '^42601 .*syntax error'), ('colour', '^42703 '), ('no_such(event_data)', '^42883 '), ('event', '^22023 .*key "event\.\*" is not valid')) as b (k, why);
-- A function of a key that fails leaves nothing half done.
create function p.tenth(d jsonb) returns int immutable language sql as $$ select 1; select 10 / (d ->> 'n')::int $$;
select f6_create_projection('by_tenth', '{Told}', '{"*": [{"op": "count", "path": "/n"}]}', 'inline', key => 'p.tenth(event_data)');
begin;
select happen('Told', 'a', '{"n": 2}') is not null;
savepoint before;
select throws_ok($$select happen('Told', 'a', '{"n": 0}')$$, '22012', 'division by zero', 'a key that fails takes the append back');
rollback to before;
select happen('Told', 'a', '{"n": 5}') is not null;
commit;
select set_eq('select key from by_tenth', array[5, 2], 'and nothing else');
select f6_drop_projection(name) from f6.projection where name like 'by%' and name <> 'by_product';

-- Handlers.
create table account (id uuid primary key, balance numeric not null default 0, is_known boolean not null default false);
create function p.handle(event f6.event) returns void language sql as $$
    insert into p.account as a select o, (case event.event_type when 'Debited' then -1 else 1 end) * (event.event_data ->> 'amount')::numeric, event.event_type = 'Created' from unnest(event.object_ids) as o
        on conflict (id) do update set balance = a.balance + excluded.balance, is_known = a.is_known or excluded.is_known
$$;
create table account_later (like account including all);
create function p.handle_later(event f6.event) returns void language plpgsql as $$
begin
    insert into p.account_later as a select o, (case event.event_type when 'Debited' then -1 else 1 end) * (event.event_data ->> 'amount')::numeric, event.event_type = 'Created' from unnest(event.object_ids) as o
        on conflict (id) do update set balance = a.balance + excluded.balance, is_known = a.is_known or excluded.is_known;
end $$;
select lives_ok($$select f6_create_projection('cards', '{Created,Debited}', handler => 'handle(f6.event)', mode => 'inline')$$, 'an inline handler');
select lives_ok($$select f6_create_projection('cards later', '{Created,Debited}', handler => 'handle_later(f6.event)')$$, 'an asynchronous one');
select is(handler, 'p.handle(f6.event)', 'is kept by its qualified name') from f6.projection where name = 'cards';
select f6_refresh('cards later') > 0;
select cmp_ok((select count(*) from account), '>', 2::bigint, 'an inline handler takes what was in the log');
select set_eq('select * from account', 'select * from account_later', 'so does the other');
select happen('Debited', 'card', '{"amount": 100}') is not null;
select is((select to_jsonb(a) - 'id' from account as a where id = o('card')), '{"balance": -100, "is_known": false}', 'a debit of 100 before the account is known');
select f6_refresh('cards later') = 1;
select happen('Created', 'card', '{"amount": 200}') is not null;
select is((select to_jsonb(a) - 'id' from account as a where id = o('card')), '{"balance": 100, "is_known": true}', 'the creation with 200 later: 100');
select is(f6_refresh('cards later'), 1::bigint, 'the other takes what is new');
select is(f6_refresh('cards later'), 0::bigint, 'once');
select set_eq('select * from account', 'select * from account_later', 'and comes to the same');
begin;
select happen('Debited', 'card', '{"amount": 1}') is not null;
savepoint before;
select throws_ok($$select happen('Debited', 'card', '{}')$$, '23502', null, 'a handler that fails takes the append back');
rollback to before;
select happen('Debited', 'card', '{"amount": 2}') is not null;
commit;
select is((select balance from account where id = o('card')), 97::numeric, 'and nothing else');
select count(*) = 7 from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Debited', 'object_ids', array[o('card')], 'event_data', '{"amount": 1}'::jsonb)) from generate_series(1, 7)));
select is((select balance from account where id = o('card')), 90::numeric, 'a batch is handled event by event');
select f6_append('Debited', array[o('card')], '{"amount": 40}', id => o('twice')) is not null, f6_append('Debited', array[o('card')], '{"amount": 40}', id => o('twice')) is not null;
select is((select balance from account where id = o('card')), 50::numeric, 'an event that is appended again is handled once');
select is(f6_refresh('cards later'), 10::bigint, 'the other handles them all');
select set_eq('select * from account', 'select * from account_later', 'and comes to the same');
create function p.fails(event f6.event) returns void language plpgsql as $$ begin insert into p.account_later values (event.id); raise 'no'; end $$;
select f6_create_projection('fails', handler => 'p.fails(f6.event)');
select throws_ok($$select f6_refresh('fails')$$, 'P0001', 'no', 'an asynchronous handler that fails');
select is((select "position" from f6_projections() where name = 'fails'), 0::bigint, 'stays where it was');
select set_eq('select * from account', 'select * from account_later', 'with nothing done');
select f6_drop_projection('fails');

-- In the version that readers see; handlers that append; functions that ask for the state of others.
create table seen (version text, data jsonb);
create function p.see(event f6.event) returns void language sql as $$
    insert into p.seen values (event.event_version, event.event_data);
    select public.f6_append('Told', event.object_ids, jsonb_build_object('n', (event.event_data ->> 'n')::int - 1)) where (event.event_data ->> 'n')::int between 1 and 2;
    insert into p.seen values (event.event_kind::text, event.event_data);
$$;
select f6_create_projection('see', '{Told}', handler => 'p.see(f6.event)', mode => 'inline');
select bag_eq('select version || (data ->> $$n$$) from seen', $$values ('12'), ('15'), ('11'), ('10'), ('claim2'), ('claim5'), ('claim1'), ('claim0')$$, 'what a handler appends while it takes what was in the log it handles once');
truncate seen;
select happen('Told', 'a', '{"n": 2}') as told \gset
select results_eq('select version || (data ->> $$n$$) from seen', $$values ('12'), ('11'), ('10'), ('claim0'), ('claim1'), ('claim2')$$, 'a handler may append what it handles itself');
truncate seen;
select f6_append('Told', null, 'null', event_kind => 'correction', event_reference => array[:'told'::uuid]) is not null;
select f6_append('Item', null, 'null', event_kind => 'correction', event_reference => array[:'told'::uuid]) is not null;
select results_eq('select version from seen', $$values ('1'), ('correction')$$, 'a handler takes corrections of its types, and no others');
truncate seen;
select f6_register_event_type('Told', '2', 'true'), f6_register_upcaster('Told', '1', '2', steps => '[{"op": "rename", "path": "/m", "to": "n"}]');
select f6_append('Told', array[o('a')], '{"m": 0}', event_version => '1') is not null;
select results_eq('select version, data from seen', $$values ('2', '{"n": 0}'::jsonb), ('claim', '{"n": 0}')$$, 'it gets events in the version that readers see');
select f6_drop_projection('see');
create function p.with_friend(state jsonb, event f6.event) returns jsonb stable language sql as $$
    select 1;
    select event.event_data || jsonb_build_object('friend', (select public.f6_state_asof(public.f6_object_id('projection', event.event_data ->> 'friend'), 'infinity', projection => 'friends') -> 'name')) $$;
select f6_create_projection('friends', '{Paid}', '{"Paid": {"function": "p.with_friend(jsonb,f6.event)"}}', 'inline');
select happen('Paid', 'ann', '{"name": "Ann"}') is not null;
select happen('Paid', 'ben', '{"name": "Ben", "friend": "ann"}') is not null;
select is((select state ->> 'friend' from friends where object_id = o('ben')), 'Ann', 'a function may ask for states of its own projection');
create or replace function p.with_friend(state jsonb, event f6.event) returns jsonb stable language sql as $$ select 1; select to_jsonb(10 / (event.event_data ->> 'n')::int) $$;
begin;
select happen('Paid', 'cas', '{"n": 2}') is not null;
savepoint before;
select throws_ok($$select happen('Paid', 'cas', '{"n": 0}')$$, '22012', null, 'a function that fails takes the append back');
select throws_ok($$select f6_state_asof(o('cas'), 'infinity', projection => 'friends') from happen('Paid', 'cas', '{"n": 0}')$$, '22012', null, 'wherever it is called');
rollback to before;
select happen('Paid', 'cas', '{"n": 5}') is not null;
commit;
select is((select state from friends where object_id = o('cas')), '2', 'and nothing else; another version of it is used at once');
select f6_drop_projection('friends');

-- The guard.
\set guarded '\'55000 | table "now" is written by its projection alone | Append events. A projection that is made with writable => true leaves its table open.\''
select is(raised(statement), :guarded, statement) from unnest(array['update now set state = ''{}''', 'delete from now', 'truncate now', 'insert into now select * from now', 'update now set state = state where false',
    'with changed as (update now set state = ''1'' returning 1) select count(*) from changed', 'merge into now using later on false when not matched then insert values (later.object_id)']) as statement;
set session_replication_role = replica;
select is(raised('delete from now'), :guarded, 'not even as a replica');
reset session_replication_role;
select lives_ok($$select f6_create_projection('open', '{Created}', mode => 'inline', writable => true)$$, 'a table that is left open');
select lives_ok('update open set state = state || ''{"mine": 1}''', 'is written by who may');
select happen('Created', 'a', '{"amount": 5}') is not null;
select is((select state from open where object_id = o('a')), '{"mine": 1, "amount": 5}', 'and the projection goes on from there');
select f6_drop_projection('open');

-- Bad arguments.
create function p.changes_mind(state jsonb, event f6.event) returns jsonb language sql as $$ select '1'::jsonb $$;
select is(refused(arguments), error, 'refused: ' || arguments) from (values
    ($$null$$, '22023 | a projection needs a name | It may be neither NULL nor empty.'),
    ($$''$$, '22023 | a projection needs a name | It may be neither NULL nor empty.'),
    ($$'x', mode => 'lazy'$$, '22023 | mode must be inline, async or live, found ''lazy'''),
    ($$'x', mode => null$$, '22023 | mode must be inline, async or live, found NULL'),
    ($$'x', legal => null$$, '22004 | legal and writable must not be NULL'),
    ($$'x', writable => null$$, '22004 | legal and writable must not be NULL'),
    ($$'now'$$, '42710 | projection "now" exists | f6.projection lists them; f6_drop_projection drops one.'),
    ($$'x', '{}'$$, '22023 | event_types must not be empty | NULL stands for all types.'),
    ($$'x', '{Created,NULL}'$$, '22004 | event_types must not contain NULL'),
    ($$'x', '{Nothing}'$$, '42704 | event type "Nothing" is not registered | Register it with f6_register_event_type; f6.event_type lists the types and their versions.'),
    ($$'x', fold => '1'$$, '22023 | a fold must be "merge", or a JSON object by types of events | Such as ''{"Order*": "merge"}''.'),
    ($$'x', fold => '{"*": {"function": "with_friend(jsonb,f6.event)"}}'$$, '42883 | fold function with_friend(jsonb,f6.event) does not exist | It is a function (state jsonb, event f6.event) returns jsonb, and must stay where it is as long as it serves.'),
    ($$'x', fold => '{"*": {"function": "p.see(f6.event)"}}'$$, '42P17 | function p.see(f6.event) cannot be a fold | It must take a jsonb and an f6.event and return one jsonb. | It must be a function (state jsonb, event f6.event) returns jsonb that is immutable or stable: the same data gives the same result.'),
    ($$'x', fold => '{"*": {"function": "p.changes_mind(jsonb,f6.event)"}}'$$, '42P17 | function p.changes_mind(jsonb,f6.event) cannot be a fold | It is volatile, which is what a function is unless it says otherwise. | It must be a function (state jsonb, event f6.event) returns jsonb that is immutable or stable: the same data gives the same result.'),
    ($$'x', handler => 'p.initial(f6.event)'$$, '42P17 | function p.initial(f6.event) cannot be a handler | It must take an f6.event and return void. | It must be a function (event f6.event) returns void.'),
    ($$'x', handler => 'p.nothing(f6.event)'$$, '42883 | handler function p.nothing(f6.event) does not exist | It is a function (event f6.event) returns void, and must stay where it is as long as it serves.'),
    ($$'x', handler => 'p.see'$$, '42883 | handler function p.see does not exist | It is a function (event f6.event) returns void, and must stay where it is as long as it serves.'),
    ($$'x', handler => 'p.see(f6.event)', key => 'event_type'$$, '22023 | a handler makes rows of any shape itself | Leave out fold, into_table, columns, key, legal and writable.'),
    ($$'x', handler => 'p.see(f6.event)', fold => '"merge"'$$, '22023 | a handler makes rows of any shape itself | Leave out fold, into_table, columns, key, legal and writable.'),
    ($$'x', handler => 'p.see(f6.event)', mode => 'live'$$, '22023 | a live projection has no table | Leave out handler and writable, or choose the mode async.'),
    ($$'x', mode => 'live', writable => true$$, '22023 | a live projection has no table | Leave out handler and writable, or choose the mode async.'),
    ($$'x', columns => '[]'$$, '22023 | columns must be a JSON object, found array | It has the names of columns and their types, such as ''{"total": "numeric"}''.'),
    ($$'x', columns => '{"a": 1}'$$, '22023 | column "a" is not valid | It has no type. | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": {"path": "/a"}}'$$, '22023 | column "a" is not valid | It has other members than "type" and "path". | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": {"type": "text", "way": "/a"}}'$$, '22023 | column "a" is not valid | It has other members than "type" and "path". | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": {"type": "text", "path": "a"}}'$$, '22023 | column "a" is not valid | "a" is not a JSON Pointer. | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": {"type": "text", "path": 1}}'$$, '22023 | column "a" is not valid | "path" must be a string. | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": "anyelement"}'$$, '22023 | column "a" is not valid | There are no columns of type anyelement. | Give the name of a type, or {"type": ..., "path": ...} with a JSON Pointer into the state.'),
    ($$'x', columns => '{"a": "number"}'$$, '42704 | type "number" does not exist'),
    ($$'x', columns => '{"a": "colour"}'$$, '42704 | type "colour" does not exist'),
    ($$'x', columns => '{"state": "text"}'$$, '42701 | column "state" specified more than once'),
    ($$'x', into_table => 'account'$$, '42P07 | relation "account" already exists'),
    ($$'x', into_table => 'nowhere.x'$$, '3F000 | schema "nowhere" does not exist'),
    ($$'x', into_table => 'a.b.c'$$, '22023 | into_table must be the name of a table, found "a.b.c"')) as b (arguments, error);
select is((select count(*) from f6.projection where name = 'x') + (select count(*) from pg_class where relname = 'x'), 0::bigint, 'nothing is left of these');
\set none '\'42704 | projection "none" does not exist | f6.projection lists them; f6_create_projection makes one.\''
select is(raised(statement), error, statement) from (values
    ('select f6_refresh(null)', '22004 | name must not be NULL | Give the name of a projection; f6.projection lists them.'),
    ('select f6_refresh(''none'')', :none),
    ('select f6_wait_for(''none'', 1)', :none),
    ('select f6_wait_for(''later'', null)', '22004 | position and timeout must not be NULL | Give the position that an append has returned, and how long to wait.'),
    ('select f6_wait_for(''later'', 1, null)', '22004 | position and timeout must not be NULL | Give the position that an append has returned, and how long to wait.'),
    ('select f6_drop_projection(''none'')', :none),
    ('select f6_change_fold(''none'', null)', :none),
    ('select f6_change_fold(''cards'', null)', '22023 | projection "cards" has a handler'),
    ('select f6_change_fold(''now'', ''1'')', '22023 | a fold must be "merge", or a JSON object by types of events | Such as ''{"Order*": "merge"}''.'),
    ('select f6_cancel_rebuild(''none'')', :none),
    ('select f6_cancel_rebuild(''now'')', '42704 | projection "now" is not being rebuilt'),
    ('select f6_cancel_rebuild(''cards'')', '22023 | projection "cards" cannot be rebuilt | Only its handler knows what it has written.'),
    ('call f6_rebuild(''none'')', :none),
    ('call f6_rebuild(''cards'')', '22023 | projection "cards" cannot be rebuilt | Only its handler knows what it has written.'),
    ('call f6_rebuild(''now'', 0)', '22023 | parts must be between 1 and 1024, found 0'),
    ('call f6_rebuild(''now'', 1025)', '22023 | parts must be between 1 and 1024, found 1025'),
    ('select f6_state_asof(o(''a''), projection => ''none'')', :none),
    ('select f6_state_asof(o(''a''), projection => ''cards'')', '22023 | projection "cards" has no states of objects | It has a handler.'),
    ('select f6_state_asof(o(''a''), projection => ''by_product'')', '22023 | projection "by_product" has no states of objects | Its rows have another key.')) as b (statement, error);
begin isolation level repeatable read;
select is(raised(statement), '25001 | a projection cannot be changed with a snapshot of before | Do it in a transaction that is READ COMMITTED.', statement) from unnest(array['select f6_refresh(''later'')',
    'select f6_drop_projection(''later'')', 'select f6_change_fold(''later'', null)', 'select f6_cancel_rebuild(''now'')', 'select f6_create_projection(''x'', mode => ''inline'')']) as statement;
rollback;
begin transaction read only;
select throws_ok($$select f6_refresh('later')$$, '25006', null, 'a transaction that is read only refreshes nothing');
rollback;

-- A changed fold, and rebuilding.
create index by_balance on now ((state ->> 'balance'));
create view rich as select object_id, (state ->> 'balance')::numeric as balance from now;
create role projection_reader;
grant select on now to projection_reader;
comment on table now is 'mine';
create table card (account uuid references now, number int);
insert into card values (o('a'), 1);
create table changes (op text, id uuid);
create function p.note() returns trigger language plpgsql as $$ begin insert into p.changes values (tg_op, coalesce(new.object_id, old.object_id)); return null; end $$;
create trigger note after insert or update or delete on now for each row execute function p.note();
alter table now add column noted text default 'by me';
alter table now add constraint has_count check (state ? 'balance' or state ? 'count');
select 'now'::regclass::oid as table_oid \gset
call f6_rebuild('now');
select is((select count(*) from changes), 0::bigint, 'a rebuild changes no row that is right');
alter table now disable trigger f6_guard;
update now set state = '{"balance": "wrong"}' where object_id = o('a');
delete from now where object_id = o('b');
insert into now values (o('nobody'), '{"balance": 0}', 1, now());
alter table now enable always trigger f6_guard;
truncate changes;
call f6_rebuild('now', 3);
select is(differences('now'), 0::bigint, 'it mends those that are wrong');
select bag_eq('select op, id from changes', $$values ('UPDATE', o('a')), ('INSERT', o('b')), ('DELETE', o('nobody'))$$, 'and no others');
select lives_ok($$select f6_change_fold('now', '{"*": [{"op": "count", "path": "/count"}]}')$$, 'another fold');
select is((select state from f6_projections() where name = 'now'), 'stale', 'makes it stale');
select happen('Created', 'a', '{"amount": 1}') is not null;
select ok(state ? 'balance', 'until it is rebuilt it goes on with the fold that it has') from now where object_id = o('a');
select ok(f6_state_asof(o('a'), projection => 'now') ? 'balance', 'so do questions');
call f6_rebuild('now', 2);
select is((select state from f6_projections() where name = 'now'), 'ready', 'then it is ready');
select ok(state ? 'count' and not state ? 'balance', 'with the other fold') from now where object_id = o('a');
select is(differences('now'), 0::bigint, 'of all events of its types');
select happen('Created', 'a', '{"amount": 1}') is not null;
select is(differences('now'), 0::bigint, 'and goes on with it');
select is('now'::regclass::oid, :table_oid::oid, 'the table stays');
select has_index('p'::name, 'now'::name, 'by_balance'::name, 'with its indexes');
select is((select count(*) from rich), (select count(*) from now), 'its views');
select ok(has_table_privilege('projection_reader', 'now', 'select'), 'its grants');
select is(obj_description('now'::regclass), 'mine', 'its comment');
select throws_ok('insert into card values (o(''nobody''), 2)', '23503', null, 'foreign keys to it');
select is((select min(noted) from now), 'by me', 'columns');
select is((select tgenabled from pg_trigger where tgrelid = 'now'::regclass and tgname = 'f6_guard'), 'A', 'the guard');
select cmp_ok((select count(*) from changes), '>', 3::bigint, 'and triggers');
select f6_change_fold('now', null);
select happen('Created', 'alone', '{"amount": 1}') is not null;
create function rebuild_leftovers() returns bigint language sql as $$
    select (select count(*) from f6.rebuild) + (select count(*) from pg_class where relname like 'f6\_rebuild%') + (select count(*) from f6.projection_end where projection_id < 0) $$;
select is(rebuild_leftovers(), 0::bigint, 'nothing else is left');
alter table now drop constraint has_count;
call f6_rebuild('now');
select is(fold, null, 'NULL is merging again') from f6.projection where name = 'now';
select is(differences('now'), 0::bigint, 'the data of all events');
select is(raised('call f6_rebuild(''now'')'), '2D000 | invalid transaction termination', 'a rebuild can be no part of a transaction');
-- Begun and not ended: f6.begin_rebuild and f6.take_rebuild_part are what f6_rebuild consists of.
select f6.begin_rebuild('now', 2);
select is((select state from f6_projections() where name = 'now'), 'rebuilding', 'a rebuild that is under way shows');
select results_eq('select name, done, total > 0, events, remaining from f6.rebuild_progress', $$values ('now' collate "C", 0::bigint, true, 0::bigint, null::interval)$$, 'with its progress');
select is(raised('select f6_change_fold(''now'', null)'), '55000 | projection "now" is being rebuilt | Wait for that, or end it with f6_cancel_rebuild.', 'its fold cannot change meanwhile');
select is(f6.take_rebuild_part('now'), true, 'a part');
select ok(done * 2 = total and events > 0 and remaining >= '0 s', 'makes progress') from f6.rebuild_progress;
select lives_ok('select f6_cancel_rebuild(''now'')', 'it can be cancelled');
select is(rebuild_leftovers(), 0::bigint, 'with nothing left');
select is((select state from f6_projections() where name = 'now'), 'ready', 'ready as before');
select f6.begin_rebuild('now', 2), f6.take_rebuild_part('now');
select happen('Created', 'b', '{"amount": 1}') is not null;
call f6_rebuild('now');
select is(differences('now'), 0::bigint, 'one that was begun is ended by the next call');
select is((select count(*) from f6.rebuild_progress), 0::bigint, 'and gone');
call f6_rebuild('later');
select is((select lag_events from f6_projections() where name = 'later'), 0::bigint, 'an asynchronous one is up to date by it');
select is(differences('later'), 0::bigint, 'and right');
create temporary table sales as table by_product;
call f6_rebuild('by_product', 2);
select set_eq('select * from by_product', 'select * from sales', 'one with another key is the same after it');
select f6_change_fold('by_product', '{"Item": [{"op": "increment", "path": "/total", "from": "$.data.amount"}]}');
call f6_rebuild('by_product', 2);
select set_eq('select key, state from by_product', 'select key, state - $$sold$$ from sales', 'and another with another fold');
select is(rebuild_leftovers(), 0::bigint, 'nothing is left of all that');
create table f6_rebuild_left as select '' as dropped;
select f6_drop_projection(name) from f6.projection where name like 'cards%';

-- Dropping.
select matches(raised('select f6_drop_projection(''now'')'), '^2BP01 .*view rich depends on table now', 'a table on which others depend stays');
select lives_ok('select f6_drop_projection(''now'', keep_table => true)', 'or is kept');
select lives_ok('delete from now where object_id = o(''d'')', 'and is an ordinary one');
select happen('Created', 'd', '{"amount": 1}') is not null;
select is((select count(*) from now where object_id = o('d')), 0::bigint, 'which nobody writes any more');
select lives_ok('select f6_drop_projection(''later'')', 'else it goes');
select hasnt_table('p'::name, 'later'::name, 'with the projection');
select f6_create_projection('live keys', '{Created}', mode => 'live', key => 'event_type', columns => '{"amount": "numeric(8,2)"}');
select results_eq('select key, state, amount from "live keys"', $$select 'Created', state, (state ->> 'amount')::numeric from (select f6_fold(e order by e.occurred_at, e."position") as state
    from f6.event as e where event_type = 'Created' and event_kind = 'claim' and not exists (select from f6.event as c where e.id = any (c.event_reference))) as s$$, 'a live one may have keys and columns');
select col_type_is('p', 'live keys', 'amount', 'numeric(8,2)', 'of their types');
select is(raised('select * from f6.live_rows(''live keys'') as (key text, state jsonb)'), '42804 | projection "live keys" has 3 columns here, not 2', 'its view alone knows how to ask');
select is(raised('select * from f6.live_rows(''live keys'') as (key text, state jsonb, amount text)'), '42804 | column 3 of projection "live keys" is of type numeric', 'and by which types');
select is(raised('select * from f6.live_columns(''live keys'', ''{}'') as (amount numeric, more text)'), '42804 | projection "live keys" has 1 columns here, not 2', 'of its columns too');
select is(amount, null, 'a state may have none of them') from f6.live_columns('live keys', '{}') as (amount numeric);
select f6_create_projection('stored', mode => 'async');
select is(raised('select * from f6.live_rows(''stored'') as (key uuid, state jsonb)'), '22023 | projection "stored" is not live | Read its table.', 'nor is it for one that is stored');
select f6_drop_projection(n) from unnest('{stored,live keys}'::text[]) as n;
select f6_create_projection('live', mode => 'live');
select f6_change_fold('live', '{"*": [{"op": "count", "path": "/n"}]}');
select is((select state from f6_projections() where name = 'live'), 'ready', 'a live one has another fold at once');
select ok((select bool_and(state ? 'n') from live), 'which shows');
select is(raised('call f6_rebuild(''live'')'), '22023 | projection "live" cannot be rebuilt | It is live: its rows are made when somebody asks.', 'it has nothing to rebuild');
select f6_drop_projection('live', true);
select hasnt_view('p'::name, 'live'::name, 'nor to keep');
select f6_create_projection('renamed', '{Created}', mode => 'inline');
create schema elsewhere;
alter table renamed rename to moved;
alter table moved set schema elsewhere;
select happen('Created', 'moved', '{"amount": 1}') is not null;
select is((select state from elsewhere.moved where object_id = o('moved')), '{"amount": 1}', 'a table may be renamed and moved');
call f6_rebuild('renamed');
select is(table_name, 'elsewhere.moved', 'as f6_projections says') from f6_projections() where name = 'renamed';
drop table elsewhere.moved;
select is(state, 'lost', 'one that is dropped is lost') from f6_projections() where name = 'renamed';
select lives_ok($$select happen('Created', 'moved', '{"amount": 2}')$$, 'appends go on');
select is(raised('call f6_rebuild(''renamed'')'), '42P01 | the table of projection "renamed" does not exist | Drop the projection with f6_drop_projection.', 'a rebuild does not');
select lives_ok($$select f6_drop_projection('renamed')$$, 'it can only be dropped');
create function p.short_lived(event f6.event) returns void language sql as $$ select null::void $$;
select f6_create_projection('orphan', '{Created}', handler => 'p.short_lived(f6.event)', mode => 'inline');
drop function p.short_lived;
select is(raised($$select happen('Created', 'moved', '{"amount": 2}')$$), '42883 | handler function p.short_lived(f6.event) does not exist | It is a function (event f6.event) returns void, and must stay where it is as long as it serves.', 'without its function nothing is appended');
create function p.short_lived(event f6.event) returns void language sql as $$ select null::void $$;
select lives_ok($$select happen('Created', 'moved', '{"amount": 2}')$$, 'with it again');
drop function p.short_lived;
select lives_ok($$select f6_drop_projection('orphan')$$, 'and one without it can be dropped');
select f6_drop_projection('by_product');

-- Privileges.
create role projection_admin in role f6_admin, f6_reader;
create role projection_other in role f6_admin, f6_reader;
create role projection_blind in role f6_admin;
create role projection_writer in role f6_writer;
grant usage on schema p to public;
grant create on schema p to projection_admin, projection_other, projection_blind;
create table whoami (name text, says text);
grant insert on whoami to projection_admin;
set role projection_admin;
create function p.try(event f6.event) returns void language plpgsql as $$
declare
    attempt text;
begin
    foreach attempt in array array['set role none', 'set role postgres', 'reset role', 'reset session authorization', 'set session authorization postgres', 'create temporary table t ()'] loop
        begin
            execute attempt;
            insert into p.whoami values (current_user, attempt || ': done');
        exception when others then
            insert into p.whoami values (current_user, sqlstate);
        end;
    end loop;
    perform set_config('search_path', 'evil', false), set_config('work_mem', '64kB', false);
end $$;
create function p.who(state jsonb, event f6.event) returns jsonb stable language sql as $$ select jsonb_build_object('user', current_user, 'path', current_setting('search_path'), 'zone', current_setting('timezone')) $$;
select lives_ok($$select f6_create_projection('theirs', '{Paid}', '{"*": {"function": "p.who(jsonb,f6.event)"}}', 'inline')$$, 'an administrator makes a projection');
select f6_create_projection('tries', '{Paid}', handler => 'p.try(f6.event)', mode => 'inline');
select f6_create_projection('theirs later', '{Paid}', into_table => 'theirs_later');
reset role;
truncate whoami;
set role projection_writer;
set timezone = 'Asia/Tokyo';
select lives_ok($$select happen('Paid', 'z', '{}')$$, 'who may append need not be allowed more');
select throws_ok('select from theirs', '42501', null, 'nor may they read it');
select is(current_user, 'projection_writer', 'they are who they were');
select isnt(current_setting('search_path'), 'evil', 'with their settings');
select isnt(current_setting('work_mem'), '64kB', 'all of them');
select cmp_ok(f6_refresh('theirs later'), '>', 0::bigint, 'anybody may have it refreshed, as its owner');
select is(raised(statement), error, 'a writer may not: ' || statement) from (values
    ('select f6_create_projection(''x'', handler => ''p.short(f6.event)'')', '42883 | handler function p.short(f6.event) does not exist | It is a function (event f6.event) returns void, and must stay where it is as long as it serves.'),
    ('select f6_create_projection(''x'', handler => ''p.try(f6.event)'')', '42501 | permission denied for table projection'),
    ('select f6_drop_projection(''theirs'')', '42501 | permission denied for function lock_projection'),
    ('select f6_change_fold(''theirs'', null)', '42501 | permission denied for function lock_projection'),
    ('call f6_rebuild(''theirs'')', '42501 | projection "theirs" is not yours | Its functions run as its owner.'),
    ('select f6_cancel_rebuild(''theirs'')', '42501 | projection "theirs" is not yours | Its functions run as its owner.'),
    ('select f6.fill_projection(''tries'')', '42501 | permission denied for function fill_projection'),
    ('select f6.pause_appends()', '42501 | permission denied for function pause_appends'),
    ('select f6.lock_projection(''theirs'')', '42501 | permission denied for function lock_projection')) as b (statement, error);
set timezone = 'UTC';
reset role;
select is((select state from theirs where object_id = o('z')), '{"path": "pg_catalog, pg_temp", "user": "projection_admin", "zone": "UTC"}', 'its functions run as its owner, with the names of the catalog, in its time zone');
select bag_eq('select name, says from whoami', $$select 'projection_admin' as name, '42501' as says from generate_series(1, 6)$$, 'and can become nobody else');
set role projection_other;
\set theirs '\'42501 | projection "theirs" is not yours | Its functions run as its owner.\''
\set tries '\'42501 | projection "tries" is not yours | Its functions run as its owner.\''
select is(raised(statement), error, 'another administrator may not: ' || statement) from (values
    ('select f6_drop_projection(''theirs'')', :theirs),
    ('select f6_change_fold(''theirs'', null)', :theirs),
    ('call f6_rebuild(''theirs'')', :theirs),
    ('select f6_cancel_rebuild(''theirs'')', :theirs),
    ('select f6.fill_projection(''tries'')', :tries),
    ('update f6.projection set owner = ''projection_other'' where name = ''theirs''', :theirs),
    ('update f6.projection set handler = ''p.see(f6.event)'' where name = ''tries''', :tries),
    ('delete from f6.projection where name = ''tries''', :tries),
    ('insert into f6.projection (name, mode, handler, legal, time_zone, owner) values (''x'', ''inline'', ''p.try(f6.event)'', false, ''UTC'', ''projection_admin'')', '42501 | projection "x" is not yours | Its functions run as its owner.')) as b (statement, error);
select lives_ok($$select f6_create_projection('mine', '{Paid}')$$, 'they make their own');
select throws_ok($$update f6.projection set owner = 'projection_admin' where name = 'mine'$$, '42501', 'projection "mine" is not yours', 'and cannot have it run as somebody else');
reset role;
set role projection_blind;
select is(raised($$select f6_create_projection('blind', '{Paid}', mode => 'inline')$$), '42501 | the owner of projection "blind" may not read the log | Grant f6_reader to the owner, or drop the projection.', 'who may not read the log has nothing to make rows of');
select is((select count(*) from pg_class where relname = 'blind'), 0::bigint, 'and no table then');
select lives_ok($$select f6_create_projection('blind', '{Paid}')$$, 'or sees it later');
select is(raised($$select f6_refresh('blind')$$), '42501 | the owner of projection "blind" may not read the log | Grant f6_reader to the owner, or drop the projection.', 'when it is refreshed');
select is((select state from f6_projections() where name = 'blind'), 'ready', 'how far it has come shows all the same');
select f6_drop_projection('blind');
reset role;
-- An error that has nothing to do with projections has them not read anew.
select f6_create_projection('remembered', '{Created}', '{"*": [{"op": "count", "path": "/n"}]}', 'inline');
create function append_among_errors(times integer) returns bigint language plpgsql as $$
begin
    for n in 1 .. times loop
        perform happen('Created', 'a', '{"amount": 1}');
        begin
            perform 1 / 0;
        exception when division_by_zero then
            null;
        end;
    end loop;
    return (select sum(total_bytes) from pg_backend_memory_contexts);
end $$;
select cmp_ok(- append_among_errors(10) + append_among_errors(200), '<', 3000000::bigint, 'caught errors leave no memory behind');
select f6_drop_projection('remembered');

select f6_drop_projection(name) from f6.projection;
select is((select count(*) from f6.projection_progress) + (select count(*) from f6.projection_end) + (select count(*) from f6.rebuild), 0::bigint, 'nothing is left of those that were dropped');

-- What changes how rows are made while they are is seen when they are put.
select f6_register_event_type('Aged', '1', 'true') is null;
select f6_create_projection('aging', '{Aged}');
select f6_append('Aged', array[f6_object_id('aging', '1')], '{}') is not null, f6_refresh('aging') is not null;
select is(p.state, 'ready', 'a projection is ready') from f6_projections() as p where p.name = 'aging';
select f6.begin_rebuild('aging', 1);
select f6_register_event_type('Aged', '2', 'true') is null;
select f6_register_upcaster('Aged', '1', '2', steps => '[{"op": "add", "path": "/age", "value": 2}]');
call f6_rebuild('aging');
select is(p.state, 'stale', 'and stale after a rebuild during which an upcaster was registered') from f6_projections() as p where p.name = 'aging';
call f6_rebuild('aging');
select is(p.state, 'ready', 'not after the next, which reads by it') from f6_projections() as p where p.name = 'aging';
select is(state, '{"age": 2}', 'as the row shows') from aging;
select is(count(*), 0::bigint, 'of a rebuild nothing is left') from f6.projection_progress where projection_id < 0;

select * from finish();
\connect f6_pgtap
set client_min_messages = warning;
drop database f6_projection;
drop role projection_admin, projection_other, projection_writer, projection_blind, projection_reader;
