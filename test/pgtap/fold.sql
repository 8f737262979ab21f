-- f6_fold: what events make of a state, by merging, by rules and by functions.
begin;
select no_plan();
set local timezone = 'UTC';
create schema folding;
select set_config('search_path', 'folding, ' || current_setting('search_path'), true);

-- Returns a claim of a type, in no log.
create function event(type text, data jsonb) returns f6.event language sql as $$
    select jsonb_populate_record(null::f6.event, jsonb_build_object('event_type', type, 'event_version', '1', 'event_kind', 'claim',
        'position', 1, 'id', '018cc251-0000-7000-8000-000000000001', 'event_data', data, 'event_source_type', 'till'))
$$;
select f6_register_event_type(type, '1', 'true') from unnest('{Order, OrderPaid, OrderLine, Visit}'::text[]) as type;

-- Returns the state that data of events of a type makes under a fold.
create function folded(fold jsonb, variadic data jsonb[]) returns jsonb language sql as $$
    select f6_fold(event('Order', d), fold order by place) from unnest(data) with ordinality as u (d, place)
$$;
-- Returns the state that a list of rules makes of data.
create function ruled(rules jsonb, variadic data jsonb[]) returns jsonb language sql as $$
    select folded(jsonb_build_object('Order', rules), variadic data)
$$;
-- Returns what a fold raises, with its detail.
create function raised(fold jsonb, variadic data jsonb[] default '{null}') returns text language plpgsql as $$
declare
    detail text;
begin
    return folded(fold, variadic data)::text;
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return concat_ws(' ', sqlstate, sqlerrm || ':', nullif(detail, ''));
end $$;
create function refused(rule jsonb) returns text language sql as $$ select raised(jsonb_build_object('Order', jsonb_build_array(rule))) $$;

-- Merging.
select is((select f6_fold(event('Order', d) order by place) from unnest('{"{\"a\": 1, \"b\": {\"c\": 1}}", "{\"b\": {\"d\": 2}, \"a\": null}"}'::jsonb[]) with ordinality as u (d, place)),
    '{"b": {"c": 1, "d": 2}}', 'data is merged without a fold');
select is(folded('"merge"', '{"a": 1}', '{"b": 2}'), '{"a": 1, "b": 2}', 'and where it says so');
select is((select f6_fold(e) from (select event('Order', '1') where false) as e (e)), null, 'no events make nothing');
select is((select f6_fold(null::f6.event)), null, 'nor does NULL');
select is(folded('{"Order": "ignore"}', '{"a": 1}'), null, 'nor events that are ignored');
select is(folded('{}', '{"a": 1}'), null, 'or that nothing is said of');

-- Which part of a fold an event is for.
select is((select f6_fold(event(type, to_jsonb(type)), '{"Order": [{"op": "append", "path": "/is", "value": "itself"}], "Order*": [{"op": "append", "path": "/is", "value": "order"}],
        "OrderP*": [{"op": "append", "path": "/is", "value": "paid"}], "*": [{"op": "append", "path": "/is", "value": "any"}]}' order by place)
        from unnest('{Order, OrderPaid, OrderLine, Visit}'::text[]) with ordinality as u (type, place)),
    '{"is": ["itself", "paid", "order", "any"]}', 'the type itself goes before patterns, and the pattern that says most before others');
select is((select f6_fold(event('OrderLine', '1'), fold) from (values ('{"O*Line": "merge"}'::jsonb)) as f (fold)), '1', 'a star within');
select is((select f6_fold(event('OrderLine', '1'), fold) from (values ('{"*L*e*": "merge"}'::jsonb)) as f (fold)), '1', 'several');
select is((select f6_fold(event('OrderLine', '1'), fold) from (values ('{"*L*x*": "merge"}'::jsonb)) as f (fold)), null, 'that say another thing');

-- Each operation, from nothing and on what is there.
select is(ruled('[{"op": "set", "path": "/a/b", "from": "$.data.n"}]', '{"n": 1}', '{"n": [2]}'), '{"a": {"b": [2]}}', 'set');
select is(ruled('[{"op": "set", "path": "", "from": "$.data"}]', '{"n": 1}', '2'), '2', 'set the whole');
select is(ruled('[{"op": "set", "path": "/a", "value": [0]}, {"op": "set", "path": "/a/0", "value": 1}, {"op": "set", "path": "/a/-", "value": 2}]', '{}'), '{"a": [1, 2]}', 'set an element');
select is(ruled('[{"op": "merge", "path": "/a", "from": "$.data"}]', '{"x": 1, "y": 1}', '{"x": null}'), '{"a": {"y": 1}}', 'merge');
select is(ruled('[{"op": "append", "path": "/a", "from": "$.data.n"}]', '{"n": 1}', '{"n": 2}'), '{"a": [1, 2]}', 'append');
select is(ruled('[{"op": "append", "path": "/a", "from": "$.data[*]"}]', '[1, 2]', '[3]'), '{"a": [1, 2, 3]}', 'append each value');
select is(ruled('[{"op": "prepend", "path": "/a", "from": "$.data.n"}]', '{"n": 1}', '{"n": 2}'), '{"a": [2, 1]}', 'prepend');
select is(ruled('[{"op": "append", "path": "/a", "value": 0}, {"op": "insert", "path": "/a/1", "from": "$.data"}]', '1', '2'), '{"a": [0, 2, 1, 0]}', 'insert');
select is(ruled('[{"op": "insert", "path": "/a/-", "from": "$.data"}]', '1', '2'), '{"a": [1, 2]}', 'insert at the end');
select is(ruled('[{"op": "increment", "path": "/n"}, {"op": "increment", "path": "/sum", "from": "$.data"}]', '1.5', '2'), '{"n": 2, "sum": 3.5}', 'increment');
select is(ruled('[{"op": "count", "path": "/n"}]', '1', '2', '3'), '{"n": 3}', 'count');
select is(ruled('[{"op": "min", "path": "/min", "from": "$.data"}, {"op": "max", "path": "/max", "from": "$.data"}]', '2', '1', '3'), '{"min": 1, "max": 3}', 'min and max');
select is(ruled('[{"op": "max", "path": "/max", "from": "$.data"}]', '"2024-01-02"', '"2024-01-10"', '"2024-01-03"'), '{"max": "2024-01-10"}', 'of strings');
select is(ruled('[{"op": "max", "path": "/max", "from": "$.data"}, {"op": "min", "path": "/min", "from": "$.data"}]', '"aa"', '"b"', '"a"', '"ab"'), '{"max": "b", "min": "a"}', 'by bytes, whatever their length');
select is(ruled('[{"op": "max", "path": "/max", "from": "$.data"}, {"op": "min", "path": "/min", "from": "$.data"}]', '1.0', '1', '1.00')::text, '{"max": 1.0, "min": 1.0}', 'of equal values the first stays');
select is(ruled('[{"op": "max", "path": "/max", "from": "$.data"}, {"op": "min", "path": "/min", "from": "$.data"}]', 'false', 'true', 'false'), '{"max": true, "min": false}', 'of booleans');
select matches(raised('{"Order": [{"op": "max", "path": "/max", "from": "$.data"}]}', '1', '"1"'), '^23514 .*cannot be compared', 'of values of one type');
select matches(raised('{"Order": [{"op": "max", "path": "/max", "from": "$.data.n"}]}', '{"n": null}'), '^23514 .*cannot be compared', 'null is none, even where there is nothing yet');
select is(ruled('[{"op": "set", "path": "/a", "value": 1}, {"op": "set", "path": "/b", "value": 1}, {"op": "remove", "path": "/a"}, {"op": "remove", "path": "/none/at/all"}]', '1'), '{"b": 1}', 'remove');
select is(ruled('[{"op": "append", "path": "/a", "from": "$.data.add"}, {"op": "remove_element", "path": "/a", "key": "/id", "from": "$.data.drop"}]',
    '{"add": {"id": 1}}', '{"add": {"id": 2}}', '{"add": {"id": 1, "x": 1}}', '{"drop": 1}'), '{"a": [{"id": 2}]}', 'remove the elements where a field matches');
select is(ruled('[{"op": "append", "path": "/a", "from": "$.data.add"}, {"op": "update_element", "path": "/a", "key": "/id", "match_from": "$.data.id", "from": "$.data.change"}]',
    '{"add": {"id": 1}}', '{"add": {"id": 2}}', '{"id": 2, "change": {"x": 1}}', '{"id": 3, "change": {"x": 1}}'), '{"a": [{"id": 1}, {"id": 2, "x": 1}]}', 'update them');
select is(ruled('[{"op": "upsert_element", "path": "/a", "key": "/id", "from": "$.data[*]"}]', '[{"id": 1, "n": 1}, {"id": 2}]', '{"id": 1.0, "m": 2}'),
    '{"a": [{"id": 1.0, "m": 2, "n": 1}, {"id": 2}]}', 'upsert by a key, whose numbers are compared by value');
select is(ruled('[{"op": "upsert_element", "path": "/a", "key": "", "from": "$.data"}]', '1', '2', '1'), '{"a": [1, 2]}', 'an element that is its own key: a set');
select is(ruled('[{"op": "delete", "when": "$.data == 2"}, {"op": "count", "path": "/n", "when": "$.data != 2"}]', '1', '1', '2'), null, 'delete ends the state');
select is(ruled('[{"op": "delete", "when": "$.data == 2"}, {"op": "count", "path": "/n", "when": "$.data != 2"}]', '1', '1', '2', '3'), '{"n": 1}', 'and a later event begins another');

-- Where values come from.
select is(ruled('[{"op": "set", "path": "/t", "from": "$.event.event_type"}, {"op": "set", "path": "/s", "from": "$.event.event_source_type"}]', '1'), '{"t": "Order", "s": "till"}', 'the event');
select is(ruled('[{"op": "increment", "path": "/n"}, {"op": "set", "path": "/m", "from": "$.state.n"}]', '1', '1'), '{"n": 2, "m": 2}', 'the state, as the rules before have left it');
select is(ruled('[{"op": "set", "path": "/a/b", "from": "$.data"}, {"op": "set", "path": "/a", "from": "$.state.a.b"}]', '{"c": "a long text that has its own memory"}'),
    '{"a": {"c": "a long text that has its own memory"}}', 'also into where it stands');
select is(ruled('[{"op": "set", "path": "/x", "from": "$.data.none"}]', '{}'), null, 'a path that leads to nothing does nothing');
select is(ruled('[{"op": "set", "path": "/x", "from": "$.data.a.b"}]', '{"a": [{"b": 1}, {"b": 2}]}'), '{"x": 2}', 'a path looks into arrays');
select is(ruled('[{"op": "set", "path": "/x", "from": "$.data.n * 2 + 1"}]', '{"n": 1}'), '{"x": 3}', 'an expression');
select matches(raised('{"Order": [{"op": "set", "path": "/x", "from": "$.data.n + 1"}]}', '{}'), '^22038', 'of what is not there');
select is(ruled('[{"op": "set", "path": "/x", "value": 1, "when": "$.data.a > 1 && $.event.event_type starts with \"Or\""}]', '{"a": 2}'), '{"x": 1}', 'a condition');
select is(ruled('[{"op": "set", "path": "/x", "value": 1, "when": "$.data.a ? (@ > 5)"}]', '{"a": 2}'), null, 'a path that is to find something');
select is(ruled('[{"op": "set", "path": "/x", "from": "$.data.items[*].state"}, {"op": "set", "path": "/y", "from": "$.data.*.event"}]', '{"items": [{"state": 1}], "z": {"event": 2}}'), '{"x": 1, "y": 2}', 'members with the names of documents');
select is(ruled(format('[{"op": "set", "path": "/x", "value": 1, "when": "$.data.%s"}]', a)::jsonb, '{"yes": true, "no": false, "nil": null, "text": "false"}'), case when a in ('yes', 'text') then '{"x": 1}'::jsonb end, 'a condition that is ' || a)
    from unnest('{yes, no, nil, text, none}'::text[]) as a;
select is(ruled('[{"op": "set", "path": "/x", "value": 1, "when": "$.data[*]"}]', data), state, 'a condition that leads to ' || data::text)
    from (values ('[false, null]'::jsonb, null::jsonb), ('[false, 0]', '{"x": 1}'), ('[true, null]', '{"x": 1}')) as v (data, state);
select matches(raised('{"Order": [{"op": "set", "path": "/x", "from": "strict $.data.none"}]}', '{}'), '^2203A', 'a strict path');
select is(ruled('[{"op": "set", "path": "/a/-", "from": "$.data"}]', '1', '2'), '{"a": [1, 2]}', 'the end of an array that is not there');
select is(ruled('[{"op": "append", "path": "/a", "from": "$.data.add"}, {"op": "update_element", "path": "/a", "key": "/id", "match_from": "$.data.ids[*]", "value": {"x": 1}}]',
    '{"add": {"id": 1}}', '{"add": {"id": 2}}', '{"add": {"id": 3}}', '{"ids": [1, 3]}'), '{"a": [{"x": 1, "id": 1}, {"id": 2}, {"x": 1, "id": 3}]}', 'several matches');
select is(ruled('[{"op": "set", "path": "/a", "value": "no array"}, {"op": "update_element", "path": "/a", "key": "/id", "match_from": "$.data.ids[*]", "from": "strict $.data.none"}]', '{"ids": []}'),
    '{"a": "no array"}', 'no match: not done at all');
select is(ruled('[{"op": "count", "path": "/n", "when": "!exists($.state.n) || $.state.n < 2"}]', '1', '1', '1'), '{"n": 2}', 'a condition on the state');

-- What is refused.
select is(refused('1'), '22023 rule 1 of the fold for "Order" is not valid: It is not a JSON object.', 'no rule');
select matches(refused('{}'), '^22023 rule 1 .* It has no "op", which is one of append, count', 'no operation');
select matches(refused('{"op": "grow"}'), 'Its "op" is none of append', 'an unknown one');
select matches(refused('{"op": "set", "path": "a", "value": 1}'), 'Its "path" is not a JSON Pointer: "a"', 'a bad pointer');
select matches(refused('{"op": "set", "value": 1}'), 'It has no "path"', 'no pointer');
select matches(refused('{"op": "set", "path": "/a"}'), 'It has neither "value" nor "from"', 'no value');
select matches(refused('{"op": "set", "path": "/a", "value": 1, "from": "$.data"}'), 'It has both "value" and "from"', 'two values');
select matches(refused('{"op": "set", "path": "/a", "from": "$.date"}'), 'Each \$ in it must lead into \$\.data', 'a path that leads nowhere');
select matches(refused(jsonb_build_object('op', 'set', 'path', '/a', 'from', f)), 'Each \$ in it must lead into', 'so does ' || f)
    from unnest(array['$', '$x', '$.*', '$.date + 1', '$.data ? (@.a == $.dat)', '$.data[$.n]', '!($.a == 1)', '$.data.a like_regex "a" || exists($[*])']) as f;
select matches(refused('{"op": "set", "path": "/a", "from": "$.data["}'), '^42601', 'a bad path');
select matches(refused('{"op": "set", "path": "/a", "value": 1, "valeu": 1}'), '"set" has no key "valeu"', 'another key');
select matches(refused('{"op": "insert", "path": "/a/b", "value": 1}'), 'does not end in the index of an element', 'no place for an element');
select matches(refused('{"op": "remove", "path": ""}'), 'is the whole state', 'removing all');
select matches(raised('{"Order": "grow"}'), '^22023 the fold for "Order" is not valid: .* found another string', 'no fold');
select matches(raised('1'), '^22023 a fold must be "merge", or a JSON object', 'none at all');

create function context_of(fold jsonb) returns text language plpgsql as $$
declare
    context text;
begin
    perform folded(fold, '"x"');
    return null;
exception when others then
    get stacked diagnostics context = pg_exception_context;
    return split_part(context, E'\n', 1);
end $$;
select is(context_of('{"Order": [{"op": "count", "path": "/n"}, {"op": "set", "path": "/a", "from": "$.data["}]}'), '"from" of rule 2 of the fold for "Order"', 'where a bad path is');
select is(context_of('{"Order": [{"op": "increment", "path": "/n", "from": "$.data"}]}'), 'fold of event 018cc251-0000-7000-8000-000000000001', 'at which event a rule fails');

-- What fails when an event comes.
select is(raised('{"Order": [{"op": "increment", "path": "/a", "from": "$.data"}]}', '"x"'), '23514 rule 1 (increment) of the fold for "Order" failed: At "/a": what is to be added is no number.', 'no number');
select is(raised('{"Order": [{"op": "set", "path": "/a", "value": "x"}, {"op": "increment", "path": "/a"}]}', '1'), '23514 rule 2 (increment) of the fold for "Order" failed: At "/a": there is no number.', 'nothing to add to');
select matches(raised('{"Order": [{"op": "set", "path": "/a", "value": "x"}, {"op": "set", "path": "/a/b", "value": 1}]}', '1'), '^23514 rule 2 \(set\)', 'no object');
select matches(raised('{"Order": [{"op": "set", "path": "/a", "value": {}}, {"op": "append", "path": "/a", "value": 1}]}', '1'), '^23514 rule 2 \(append\) .*there is no array', 'no array');
select matches(raised('{"Order": [{"op": "insert", "path": "/a/1", "value": 1}]}', '1'), '^23514 .*the array ends before', 'beyond the end');
select matches(raised('{"Order": [{"op": "upsert_element", "path": "/a", "key": "/id", "from": "$.data"}]}', '{}'), '^23514 .*has no key', 'no key');
select matches(raised('{"Order": [{"op": "increment", "path": "/a", "value": 9e131071}]}', '1', '1'), '^22003', 'a sum that is too large');

-- Functions.
create function total(state jsonb, event f6.event) returns jsonb language sql immutable as $$
    select jsonb_build_object('total', coalesce((state ->> 'total')::numeric, 0) + (event.event_data ->> 'amount')::numeric)
$$;
create function drops(state jsonb, event f6.event) returns jsonb language sql immutable as $$ select null::jsonb $$;
create function wild(state jsonb, event f6.event) returns jsonb language sql volatile as $$ select state $$;
select is(folded('{"Order": {"function": "folding.total(jsonb, f6.event)"}}', '{"amount": 1}', '{"amount": 2.5}'), '{"total": 3.5}', 'a function');
select is((select f6_fold(event(t, d), '{"Order": {"function": "folding.total(jsonb, f6.event)"}, "Visit": [{"op": "count", "path": "/visits"}], "OrderPaid": {"function": "folding.drops(jsonb, f6.event)"}}' order by place)
        from (values (1, 'Order', '{"amount": 1}'::jsonb), (2, 'OrderPaid', '{}'), (3, 'Order', '{"amount": 2}'), (4, 'Visit', '{}'), (5, 'Visit', '{}')) as v (place, t, d)),
    '{"total": 2, "visits": 2}', 'functions and rules go on from each other; NULL ends the state');
select matches(raised('{"Order": {"function": "folding.wild(jsonb, f6.event)"}}'), '^42P17 .*It is volatile', 'a volatile function');
select matches(raised('{"Order": {"function": "folding.none(jsonb, f6.event)"}}'), '^42883 fold function folding.none', 'one that does not exist');
select matches(raised('{"Order": {"function": "pg_catalog.jsonb_typeof(jsonb)"}}'), '^42P17 .*It must take a jsonb and an f6.event', 'one of another shape');
select matches(raised('{"Order": {"func": "x"}}'), '^22023 .*found another object', 'no function');

create function strict(state jsonb, event f6.event) returns jsonb language sql immutable strict as $$ select state || '{"strict": true}' $$;
select is((select f6_fold(event(t, '{}'), '{"Order": {"function": "folding.strict(jsonb, f6.event)"}, "Visit": [{"op": "count", "path": "/n"}]}' order by place)
        from (values (1, 'Order'), (2, 'Visit'), (3, 'Order')) as v (place, t)), '{"n": 1, "strict": true}', 'a strict function is not called without a state');
create role f6_test_folder;
grant usage on schema folding to f6_test_folder;
revoke execute on function total from public;
set local role f6_test_folder;
select throws_ok($$ select f6_fold(null::f6.event, '{"Order": {"function": "folding.total(jsonb, f6.event)"}}') $$, '42501', null, 'a function that the caller may not execute');
reset role;

-- What is ignored is not even read in another version.
create function fails(data jsonb) returns jsonb language plpgsql immutable as $$ begin raise 'read'; end $$;
select f6_register_event_type('Old', v, 'true') from unnest('{1, 2}'::text[]) as v;
select f6_register_upcaster('Old', '1', '2', 'folding.fails(jsonb)');
select throws_like($$ select f6_fold(event('Old', '1')) $$, '%read%', 'an upcaster that fails');
select is((select f6_fold(event('Old', '1'), '{"Order": "merge", "Old": "ignore"}')), null, 'is not called for what is ignored');
select is((select f6_fold(jsonb_populate_record(event('Old', '1'), '{"event_kind": "validation"}'))), null, 'nor for what is no claim');

-- As an aggregate.
select is((select count(*) from (select f6_fold(event('Order', to_jsonb(n)), '{"*": [{"op": "count", "path": "/n"}]}') as state from generate_series(1, 3000) as n group by n % 1000) as g
        where state = '{"n": 3}'), 1000::bigint, 'a thousand groups at once');
select results_eq($$ select f6_fold(event('Order', to_jsonb(n)), '{"*": [{"op": "increment", "path": "/sum", "from": "$.data"}]}') over (order by n rows between 1 preceding and current row)
                         from generate_series(1, 3) as n $$,
    $$ values ('{"sum": 1}'::jsonb), ('{"sum": 3}'), ('{"sum": 5}') $$, 'a frame that moves');
select f6_register_event_type('Type ' || n, '1', 'true') from generate_series(1, 200) as n;
select is((select f6_fold(event('Type ' || n, '1'), fold) from (select jsonb_object_agg('Type ' || n, '[{"op": "count", "path": "/n"}]'::jsonb) as fold from generate_series(1, 200) as n) as f, generate_series(1, 200) as n),
    '{"n": 200}', 'many types');
select results_eq($$ select g, f6_fold(event('Order', to_jsonb(n)), '{"*": [{"op": "append", "path": "/n", "from": "$.data"}]}' order by n) filter (where n <> 3)
                         from (values (1, 1), (2, 2), (1, 3), (1, 4)) as v (g, n) group by g order by g $$,
    $$ values (1, '{"n": [1, 4]}'::jsonb), (2, '{"n": [2]}') $$, 'grouped, ordered, filtered');
select results_eq($$ select f6_fold(event('Order', to_jsonb(n)), '{"*": [{"op": "increment", "path": "/sum", "from": "$.data"}]}') over (order by n) from generate_series(1, 3) as n $$,
    $$ values ('{"sum": 1}'::jsonb), ('{"sum": 3}'), ('{"sum": 6}') $$, 'a running state');
select throws_ok($$ select f6_fold(event('Order', '1'), case n when 2 then '"merge"'::jsonb end) from generate_series(1, 2) as n $$, '22023', null, 'nor none and then one');
select throws_ok($$ select f6_fold(event('Order', '1'), case n when 1 then '"merge"'::jsonb else '{}' end) from generate_series(1, 2) as n $$, '22023', null, 'one fold for a group');

-- An array with thousands of elements, each looked for in it.
select is((select jsonb_array_length(ruled('[{"op": "upsert_element", "path": "/set", "key": "/id", "from": "$.data[*]"}]', jsonb_agg(jsonb_build_object('id', n % 1000, 'n', n))) -> 'set')
        from generate_series(1, 3000) as n), 1000, 'an element for each key');

-- Memory follows the state, not the number of events, nor that of their types.
create function measured(state jsonb, event f6.event) returns jsonb language sql stable as $$
    select jsonb_set(state, '{bytes}', coalesce(state -> 'bytes', '[]') ||
        to_jsonb((select sum(total_bytes) from pg_backend_memory_contexts where name like 'f6 fold%' or name = 'ExprContext' or name like 'Agg%')))
$$;
select cmp_ok((bytes -> 1)::int, '<', (bytes -> 0)::int * 2, 'of 100,000 events no more than of 100')
    from (select f6_fold(event(case when n in (100, 100000) then 'Visit' when n % 2 = 0 then 'Order' else 'OrderPaid' end, jsonb_build_object('n', n, 'text', md5(n::text))),
              '{"Visit": {"function": "folding.measured(jsonb, f6.event)"}, "Order": "merge",
                "OrderPaid": [{"op": "set", "path": "/last", "from": "$.data"}, {"op": "set", "path": "/again", "from": "$.state.last.text"},
                              {"op": "count", "path": "/count"}, {"op": "upsert_element", "path": "/set", "key": "/n", "value": {"n": 1, "text": "x"}}]}' order by n) -> 'bytes'
              from generate_series(1, 100000) as n) as f (bytes);

-- Nor does it grow with the events that look for elements in an array, and change, remove and add some: each of 2,000 is met three times.
create function used_memory() returns bigint language sql volatile as $$ select sum(used_bytes)::bigint from pg_backend_memory_contexts $$;
select cmp_ok((bytes -> 1)::int - (bytes -> 0)::int, '<', 50000, 'of 6,000 events that look into an array no more than of 4,000')
    from (select f6_fold(event('Order', jsonb_build_object('id', n % 2000, 'text', repeat(md5(n::text), n % 5 + 1), 'ref', jsonb_build_object('id', n % 2000),
                                                           'more', jsonb_build_object('n', n), 'drop', (n + 1000) % 2000,
                                                           'bytes', case when n in (4000, 6000) then used_memory() end)),
              '{"Order": [{"op": "upsert_element", "path": "/items", "key": "/id", "from": "$.data"},
                          {"op": "update_element", "path": "/items", "key": "/ref", "match_from": "$.data.ref", "from": "$.data.more"},
                          {"op": "remove_element", "path": "/set", "key": "", "from": "$.data.drop"},
                          {"op": "prepend", "path": "/set", "from": "$.data.id"},
                          {"op": "append", "path": "/bytes", "from": "$.data.bytes", "when": "$.data.bytes > 0"}]}') -> 'bytes'
              from generate_series(1, 6000) as n) as f (bytes);
create function peak_memory() returns bigint language sql volatile as $$ select substring(pg_read_file('/proc/self/status') from 'VmHWM:\s+(\d+) kB')::bigint / 1024 $$;
create temp table many as select jsonb_agg(jsonb_build_object('id', jsonb_build_object('a', n, 'b', md5(n::text)))) as items from generate_series(1, 1000) as n;
select peak_memory() as peak \gset
select is((select jsonb_array_length(ruled('[{"op": "upsert_element", "path": "/set", "key": "/id", "from": "$.data[*]"}]', items, items) -> 'set') from many),
    1000, 'a thousand elements, found in two events by keys that are objects');
select cmp_ok(peak_memory() - :peak, '<', 30::bigint, 'nor with what one event looks at');

select throws_like($$ select f6_fold(event('Order', '"x"'), '{"Order": [{"op": "increment", "path": "/a", "from": "$.data"}]}') $$, '%rule 1 (increment)%', 'a failure');
select throws_ok($$ select f6_fold(event('Order', null)) $$, '22004', 'an event to fold has a type, a version, a kind and data', 'a row that is no event');
select throws_ok($$ select f6_fold(event('Nothing', '1')) $$, '42704', null, 'a type that is not registered');
select is((select f6_fold(jsonb_populate_record(event('Order', '1'), jsonb_build_object('event_kind', kind))) from unnest('{correction, validation}'::text[]) as kind), null,
    'corrections and validations say nothing to a fold');
select f6_register_event_type('Order', '2', 'true');
select f6_register_upcaster('Order', '1', '2', steps => '[{"op": "rename", "path": "/n", "to": "number"}]');
select is(folded('{"Order": [{"op": "set", "path": "/number", "from": "$.event.event_data.number"}, {"op": "set", "path": "/version", "from": "$.event.event_version"}]}', '{"n": 1}'),
    '{"number": 1, "version": "2"}', 'data is read in the newest version');

-- A table whose columns somebody has changed is refused before it is read.
alter table f6.event rename column event_type to type;
select throws_like($$ select f6_fold(null::f6.event), f6_fold(jsonb_populate_record(null::f6.event, '{"type": "Order"}')) $$, '%is not as f6 has made it', 'a table that is not as f6 made it');

select * from finish();
rollback;
