-- What is folded: orders of a shop, one with many events and many with few, and the ways to fold them.

select f6_register_event_type(type, '1', 'true') from unnest('{OrderPlaced, LineChanged}'::text[]) as type;

-- The data of the n-th event of an order: every twentieth places it anew, the others change one of three lines.
create function bench.order_event(n integer) returns jsonb
    language sql immutable
    return case n % 20
        when 0 then jsonb_build_object(
            'customer', 'customer ' || n % 977,
            'address', 'Burgemeester van der Meulenlaan ' || 1 + n % 250,
            'channel', 'web',
            'status', 'placed',
            'placed_on', '2026-01-01'::date + n % 300)
        else jsonb_build_object(
            'article', 'article ' || n % 3,
            'name', 'Tea of Heuvelrode, in leaves',
            'amount', 1 + n % 7,
            'price', 1.25 * (1 + n % 17),
            'changed_on', '2026-01-01'::date + n % 300,
            'changed_by', 'employee ' || n % 31)
        end;

create table bench.orders (kind text primary key, events integer, objects integer, first bigint, last bigint);
insert into bench.orders (kind, events, objects) values ('one', 20000, 1), ('many', 200000, 10000);

-- The events of many orders are in the log in turn.
insert into f6.event (event_type, object_ids, event_data)
    select case n % 20 when 0 then 'OrderPlaced' else 'LineChanged' end, array[bench.object_id(object + (kind = 'many')::integer)], bench.order_event(n)
        from bench.orders
            cross join generate_series(0, events / objects - 1) as n
            cross join generate_series(1, objects) as object
        order by kind = 'many', n, object;

update bench.orders
    set first = (select min("position") from f6.event) + case kind when 'many' then 20000 else 0 end;
update bench.orders set last = first + events - 1;

-- The rules of an order.  Its state has ten fields, of which the two arrays are emptied by every twentieth event.
create function bench.rules() returns jsonb
    language sql immutable
    return '{
        "OrderPlaced": [
            {"op": "merge", "path": "", "from": "$.data"},
            {"op": "set", "path": "/lines", "value": []},
            {"op": "set", "path": "/changed_by", "value": []},
            {"op": "set", "path": "/amount", "value": 0},
            {"op": "set", "path": "/price", "value": 0}],
        "LineChanged": [
            {"op": "set", "path": "/changed_on", "from": "$.data.changed_on"},
            {"op": "increment", "path": "/amount", "from": "$.data.amount"},
            {"op": "increment", "path": "/price", "from": "$.data.price"},
            {"op": "append", "path": "/changed_by", "from": "$.data.changed_by"},
            {"op": "upsert_element", "path": "/lines", "key": "/article", "from": "$.data"}]}'::jsonb;

-- The same in SQL.
create function bench.next_in_sql(state jsonb, event f6.event) returns jsonb
    language sql immutable as
$body$
    select case event.event_type
        when 'OrderPlaced' then
            coalesce(state, '{}') || event.event_data || '{"lines": [], "changed_by": [], "amount": 0, "price": 0}'
        else
            state || jsonb_build_object(
                'changed_on', event.event_data -> 'changed_on',
                'amount', (state -> 'amount')::numeric + (event.event_data -> 'amount')::numeric,
                'price', (state -> 'price')::numeric + (event.event_data -> 'price')::numeric,
                'changed_by', (state -> 'changed_by') || (event.event_data -> 'changed_by'),
                'lines', case
                    when state -> 'lines' @> jsonb_build_array(jsonb_build_object('article', event.event_data -> 'article')) then (
                        select jsonb_agg(case line -> 'article' when event.event_data -> 'article' then line || event.event_data else line end)
                            from jsonb_array_elements(state -> 'lines') as line)
                    else (state -> 'lines') || event.event_data
                    end)
        end
$body$;

-- And in PL/pgSQL.
create function bench.next_in_plpgsql(state jsonb, event f6.event) returns jsonb
    language plpgsql immutable as
$body$
declare
    data jsonb := event.event_data;
    lines jsonb := state -> 'lines';
    at integer := 0;
begin
    if event.event_type = 'OrderPlaced' then
        return coalesce(state, '{}') || data || '{"lines": [], "changed_by": [], "amount": 0, "price": 0}';
    end if;
    while lines -> at -> 'article' <> data -> 'article' loop
        at := at + 1;
    end loop;
    if lines -> at is null then
        lines := lines || data;
    else
        lines := jsonb_set(lines, array[at::text], (lines -> at) || data);
    end if;
    return state || jsonb_build_object(
        'changed_on', data -> 'changed_on',
        'amount', (state -> 'amount')::numeric + (data -> 'amount')::numeric,
        'price', (state -> 'price')::numeric + (data -> 'price')::numeric,
        'changed_by', (state -> 'changed_by') || (data -> 'changed_by'),
        'lines', lines);
end
$body$;

create function bench.function(name text) returns jsonb
    language sql immutable
    return jsonb_build_object('*', jsonb_build_object('function', 'bench.' || name || '(jsonb, f6.event)'));

-- What somebody would write without f6.
create aggregate bench.concat(jsonb) (sfunc = jsonb_concat, stype = jsonb);
create aggregate bench.by_hand(f6.event) (sfunc = bench.next_in_plpgsql, stype = jsonb);

vacuum (freeze, analyze);

-- All ways make the same of the same events, or the comparison means nothing.  Nothing is sorted but by position, as when it is measured.
set enable_sort = off;
do $body$
begin
    if exists (
        select from (select e, object_ids, event_data
                         from f6.event as e
                         where object_ids < array[bench.object_id(102)]
                         order by "position") as events
            group by object_ids
            having f6_fold(e) is distinct from bench.concat(event_data)
                or f6_fold(e, bench.rules()) is distinct from f6_fold(e, bench.function('next_in_sql'))
                or f6_fold(e, bench.rules()) is distinct from f6_fold(e, bench.function('next_in_plpgsql'))
                or f6_fold(e, bench.rules()) is distinct from bench.by_hand(e))
    then
        raise exception 'folds differ';
    end if;
end
$body$;
