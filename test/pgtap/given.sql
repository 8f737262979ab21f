-- Given, when, then: what users test their commands and projections with.
begin;
select no_plan();
create schema giving;
select set_config('search_path', 'giving, ' || current_setting('search_path'), true);

select f6_register_event_type(type, '1', '{"type": "object"}') from unnest('{AccountOpened, Paid}'::text[]) as type;
select f6_create_projection('balances', key => $$event_data ->> 'account'$$, mode => 'inline', columns => '{"balance": "numeric"}',
    fold => '{"Paid": [{"op": "increment", "path": "/balance", "from": "$.data.amount"}]}');

-- A command: pays into an account, twice, or not at all.
create function pay(account text, amount numeric, times int default 1) returns void language plpgsql as $$
begin
    if amount <= 0 then
        raise exception 'the amount must be positive, found %', amount using errcode = 'check_violation';
    end if;
    perform f6_append('Paid', array[f6_object_id('account', account)], jsonb_build_object('account', account, 'amount', amount),
                      metadata => '{"by": "us"}', occurred_at => '2024-01-01 12:00+00')
        from generate_series(1, times);
end $$;

-- What a command appends.
select f6_given('[{"event_type": "AccountOpened", "object_ids": [{"account": 1}], "event_data": {}}]');
select f6_when($$select pay('1', 3.0)$$);
select f6_then('[{"event_type": "Paid", "event_data": {"account": "1", "amount": 3}}]', 'the events, by what is said of them');
select f6_then('{"event_type": "Paid"}', 'one event without an array');
select f6_then('[{"object_ids": [{"account": 1}], "metadata": {"by": "us"}, "event_kind": "claim", "event_reference": null,
    "occurred_at": "2024-01-01T12:00:00Z"}]', 'any column, however its value is written');
select f6_then(jsonb_build_array(jsonb_build_object('object_ids', array[f6_object_id('account', '1')])), 'objects by their ids');
select f6_when($$select pay('1', 3, 2)$$);
select f6_then('[{"event_data": {"account": "1", "amount": 3}}, {"event_type": "Paid"}]', 'several, in their order');
select f6_when($$select pay('1', 3, 0)$$);
select f6_then('[]', 'none');
select f6_when($$select pay('1', 1); select pay('2', 2)$$);
select f6_then('[{"object_ids": [{"account": "1"}]}, {"object_ids": [{"account": "2"}]}]', 'of several statements');
select f6_when($$select pay('1', 1) where exists (select from f6.event where event_type = 'AccountOpened')$$);
select f6_then('[{}]', 'the command sees what was given');
select is((select count(*) from f6.event), 0::bigint, 'and nothing is left of either');

-- How it fails.
select f6_when($$select pay('1', 0)$$);
select f6_then_fails('23514', 'the amount must be positive, found 0', 'a command fails with this state and message');
select f6_then_fails('23514', 'the amount%', 'a message like this');
select f6_then_fails('23514', description => 'any message');
select f6_then_fails(message => '%positive%', description => 'any state');
select f6_then_fails(description => 'any error');
select f6_when('select nothing_like_it()');
select f6_then_fails('42883');

-- What a query returns afterwards.
select f6_given('[{"event_type": "Paid", "object_ids": [{"account": 1}, {"account": 2, "bank": "b"}], "event_data": {"account": "1", "amount": 4}}]');
select f6_then_rows('select key, balance from balances', '[{"key": "1", "balance": 4.0}]', 'rows without a command');
select f6_then_rows($$select cardinality(object_ids) as n, object_ids @> array[f6_object_id('bank', 'b')] as b from f6.event$$, '[{"n": 3, "b": true}]',
    'objects of several kinds');
select f6_when($$select pay('2', 1)$$);
select f6_then_rows('select key, balance from balances order by key;', '[{"key": "1", "balance": 4}, {"key": "2", "balance": 1}]', 'rows after it');
select f6_then_rows('select 1 where false', '[]', 'no rows');
select f6_then('[{"event_data": {"account": "2", "amount": 1}}]', 'the same command again');
select is((select count(*) from balances), 0::bigint, 'nothing is left of them');

-- Tests that fail say why.
select * from check_test(f6_then('[{"event_type": "Paid", "event_data": {"account": "2", "amount": 2}}]', 'two'), false, 'other data than expected', 'two', '        have: {"event_data": {"amount": 1, "account": "2"}, "event_type": "Paid"}
        want: {"event_data": {"amount": 2, "account": "2"}, "event_type": "Paid"}');
select * from check_test(f6_then('[]'), false, 'an event where none is expected, described by the command', 'select pay(''2'', 1)', '        have: {"event_data": {"amount": 1, "account": "2"}, "event_type": "Paid"}
        want: nothing');
select * from check_test(f6_then('[{"event_type": "Paid"}, {"event_type": "Paid"}]', 'twice'), false, 'too few events', 'twice', '        have: {"event_type": "Paid"}
        want: {"event_type": "Paid"}
              {"event_type": "Paid"}');
select * from check_test(f6_then('[{"event_type": "Paid", "metadata": null}]', 'by nobody'), false, 'a value where none is expected', 'by nobody', '        have: {"metadata": {"by": "us"}, "event_type": "Paid"}
        want: {"metadata": null, "event_type": "Paid"}');
select * from check_test(f6_then_fails('23514', 'the amount%', 'refused'), false, 'a command that does not fail', 'refused', '        have: {"event_data": {"amount": 1, "account": "2"}, "event_type": "Paid"}
        want: ERROR 23514: the amount%');
select * from check_test(f6_then_rows('select key, balance from balances where key = ''2''', '[{"key": "2", "balance": 2}]', 'a balance'), false, 'other rows', 'a balance', '        have: {"key": "2", "balance": 1}
        want: {"key": "2", "balance": 2}');
select * from check_test(f6_then_rows('select no_column from balances', '[]', 'no such column'), false, 'a query that fails', 'no such column', '        have: ERROR 42703: column "no_column" does not exist
        want: nothing');
select f6_when($$select pay('1', 0)$$);
select * from check_test(f6_then('[]', 'nothing happens'), false, 'a command that fails', 'nothing happens', '        have: ERROR 23514: the amount must be positive, found 0
        want: nothing');
select * from check_test(f6_then_fails('P0001', description => 'another state'), false, 'or with another state', 'another state', '        have: ERROR 23514: the amount must be positive, found 0
        want: ERROR P0001: %');
select * from check_test(f6_then_fails(message => 'amount', description => 'another message'), false, 'or another message', 'another message', '        have: ERROR 23514: the amount must be positive, found 0
        want: ERROR %: amount');
select * from check_test(f6_then_fails('23514'), true, 'while one that passes says only that', 'select pay(''1'', 0)', '');

-- What is no test.
select throws_ok($$select f6_then('[{"type": "Paid"}]')$$, '22023', 'unknown key "type" in an expected event', 'an unknown key');
select throws_ok($$select f6_then('[3]')$$, '22023', 'an expected event must be a JSON object, found number', 'no event');
select throws_ok($$select f6_then(null)$$, '22023', null, 'NULL');
select throws_ok($$select f6_then('[{"id": "x"}]')$$, '22P02', null, 'a value that its column does not read');
select f6_given('[{"event_type": "Unheard", "object_ids": [{"account": 1}], "event_data": {}}]');
select throws_ok($$select f6_then('[]')$$, '55000', 'there is no command to test', 'another scenario forgets the command');
select f6_when('select 1');
select throws_ok($$select f6_then('[]')$$, '42704', null, 'events that cannot be given');
select throws_ok($$select f6_then_fails()$$, '42704', null, 'which is no failure of the command');
select f6_given();
select throws_ok($$select f6_then_rows(null, '[]')$$, '55000', null, 'neither command nor query');
select f6_when('select 1');
select f6_then('[]', 'nothing given, nothing done');

-- Without pgTAP.
create function without_pgtap() returns text language plpgsql as $$
declare
    hint text;
begin
    perform set_config('search_path', 'giving', true);
    perform public.f6_then('[]');
    return 'a line';
exception when others then
    get stacked diagnostics hint = pg_exception_hint;
    return concat_ws(E'\n', sqlstate, sqlerrm, hint);
end $$;
select is(without_pgtap(), '42883
pgTAP is not there
Run CREATE EXTENSION pgtap in the database of the tests, and have its schema in the search_path.', 'without pgTAP there are no tests');

select * from finish();
rollback;
