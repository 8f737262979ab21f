-- Commands: what they depend on, what their handlers decide, what comes of them.
begin;
select no_plan();
set local timezone = 'UTC';

select f6_register_event_type(type, '1', 'true') from unnest('{CourseDefined,Subscribed,Unsubscribed,Noted,Refused}'::text[]) as type;
select f6_register_event_type('Strict', '1', '{"type": "object", "required": ["n"]}');
create function o(kind text, key text) returns uuid language sql immutable as $$ select f6_object_id(kind, key) $$;
-- The SQLSTATE, message and detail of what a statement raises.
create function raised(statement text) returns text language plpgsql as $$
declare
    detail text;
begin
    execute statement;
    return 'nothing';
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return concat_ws(' ', sqlstate, sqlerrm || ':', nullif(detail, ''));
end $$;
create function context_of_error(statement text) returns text language plpgsql as $$
declare
    context text;
begin
    execute statement;
    return 'nothing';
exception when others then
    get stacked diagnostics context = pg_exception_context;
    return context;
end $$;
create function log() returns text language sql as $$
    select string_agg(event_type || ' ' || event_data::text, ', ' order by position) from f6.event
$$;
create function made(name text, payload jsonb default '{}', key text default null, dry boolean default false) returns text language sql as $$
    select concat_ws(' ', status, reason, detail, cardinality(ids), cardinality(positions), attempts)
        from f6_execute(name, payload, idempotency_key => key, dry_run => dry)
$$;

-- Handlers.
create function echo(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select payload -> 'answer' $$;
create function as_null(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select null::jsonb $$;
create function tell(state jsonb, payload jsonb) returns jsonb language sql immutable as
    $$ select jsonb_build_object('rejected', coalesce(state::text, 'nothing'), 'detail', payload) $$;
create function raise(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    raise exception using errcode = coalesce(payload ->> 'code', 'P0001'), message = 'no ' || (payload ->> 'what'), detail = coalesce(payload ->> 'why', '');
end $$;
create function subscribe(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    if state -> 'capacity' is null then
        return '{"rejected": "there is no such course"}';
    elsif (state ->> 'taken')::int >= (state ->> 'capacity')::int then
        return jsonb_build_object('rejected', 'the course is full', 'detail', state -> 'taken');
    end if;
    return jsonb_build_object('event_type', 'Subscribed', 'event_data', jsonb_build_object('who', payload -> 'who'),
        'object_ids', jsonb_build_array(public.f6_object_id('course', payload ->> 'course'), public.f6_object_id('student', payload ->> 'who')));
end $$;

-- Making commands, and what is refused.
select is(raised($$select f6_create_command('echo', 'echo(jsonb,jsonb)')$$), 'nothing', 'a command is made');
select is((select row(name, handler, schema, context, fold, attempts, rejected_type, created_by)::text from f6.command),
          format('(echo,"public.echo(pg_catalog.jsonb,pg_catalog.jsonb)",,,,5,,%s)', session_user), 'and listed, its handler by the qualified name');
select is(raised($$select f6_create_command('echo', 'public.echo(jsonb,jsonb)')$$), '42710 command "echo" exists:', 'a name stands for one command');
select is(raised($$select f6_create_command($$ || args || ')'), error, 'not made: ' || args)
    from (values
        ($$null, 'echo(jsonb,jsonb)'$$, '22004 name, handler and attempts must not be NULL:'),
        ($$'x', null$$, '22004 name, handler and attempts must not be NULL:'),
        ($$'x', 'echo(jsonb,jsonb)', attempts => null$$, '22004 name, handler and attempts must not be NULL:'),
        ($$'x', 'echo(jsonb,jsonb)', attempts => 0$$, '22023 attempts must be 1 or more, found 0:'),
        ($$'', 'echo(jsonb,jsonb)'$$, '22023 the name of a command must have from 1 to 1000 bytes:'),
        ($$repeat('x', 1001), 'echo(jsonb,jsonb)'$$, '22023 the name of a command must have from 1 to 1000 bytes:'),
        ($$'x', 'nothing(jsonb,jsonb)'$$, '42883 handler function nothing(jsonb,jsonb) does not exist:'),
        ($$'x', 'nothing'$$, '42883 handler function nothing does not exist:'),
        ($$'x', 'log()'$$, '42P17 function log() cannot be the handler of a command: It must take two jsonb and return one jsonb.'),
        ($$'x', 'echo(jsonb,jsonb)', fold => '"merge"'$$, '22023 a fold needs a context:'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{}', fold => '1'$$, '22023 a fold must be "merge", or a JSON object by types of events:'),
        ($$'x', 'echo(jsonb,jsonb)', rejected_type => 'Refused'$$,
            '22023 rejected_type needs a context with objects: A rejection is recorded of the objects of the context.'),
        ($$'x', 'echo(jsonb,jsonb)', rejected_type => 'Refused', context => '{"types": ["Noted"]}'$$,
            '22023 rejected_type needs a context with objects: A rejection is recorded of the objects of the context.'),
        ($$'x', 'echo(jsonb,jsonb)', rejected_type => 'Refused', context => '[{"types": ["Noted"]}, {"types": ["Noted", "Refused"], "objects": ["$.id"]}]'$$,
            '22023 the context names the rejected_type "Refused": Rejections that are recorded are no part of the state.'),
        ($$'x', 'echo(jsonb,jsonb)', rejected_type => 'Refused', context => '{"objects": ["$.id"]}', fold => '{"*": "merge", "Refused": "merge"}'$$,
            '22023 the fold names the rejected_type "Refused": Rejections that are recorded are no part of the state.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": [{"kind": "a", "key": "strict $.n"}]}'$$,
            '22023 malformed context of a command: The key "strict $.n" has a "$." in it, and is no path.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": [{"kind": "a", "key": " $.n"}]}'$$,
            '22023 malformed context of a command: The key " $.n" has a "$." in it, and is no path.'),
        ($$'x', 'echo(jsonb,jsonb)', rejected_type => 'Unknown', context => '{"objects": ["$.id"]}'$$,
            '42704 event type "Unknown" is not registered:'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"function": "public.nothing(jsonb)"}'$$, '42883 context function public.nothing(jsonb) does not exist:'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"function": "context_of(jsonb)", "types": []}'$$,
            '22023 malformed context of a command: "function" must be the signature of a function, and stand alone.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '[]'$$, '22023 malformed query of events: There are no items, so nothing could match.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '"x"'$$, '22023 malformed query of events: In item 1 there is no JSON object.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '[{}, null]'$$, '22023 malformed query of events: In item 2 there is no JSON object.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"type": ["A"]}'$$, '22023 malformed query of events: In item 1 the key "type" is not known.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": ["nobody"]}'$$, '22023 malformed query of events: In item 1 "objects" must hold UUIDs as strings.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": [1]}'$$, '22023 malformed query of events: In item 1 "objects" must hold UUIDs as strings.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": "$.id"}'$$, '22023 malformed query of events: In item 1 "objects" must be an array.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": ["$.id +"]}'$$, '42601 syntax error at end of jsonpath input:'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": [{"kind": "a"}]}'$$,
            '22023 malformed context of a command: An object in "objects" must have a "kind" and a "key", both strings, and nothing else.'),
        ($$'x', 'echo(jsonb,jsonb)', context => '{"objects": [{"kind": "a", "key": 1}]}'$$,
            '22023 malformed context of a command: An object in "objects" must have a "kind" and a "key", both strings, and nothing else.'),
        ($$'x', 'echo(jsonb,jsonb)', schema => '{"type": 1}'$$, null)) as refused (args, error) where error is not null;
select matches(raised($$select f6_create_command('x', 'echo(jsonb,jsonb)', schema => '{"type": 1}')$$), '^22023 ', 'nor by a schema that is none');
create function moody(state jsonb, payload jsonb) returns jsonb language sql as $$ select '[]'::jsonb $$;
create function strict(state jsonb, payload jsonb) returns jsonb language sql immutable strict as $$ select '[]'::jsonb $$;
select is(raised($$select f6_create_command('x', 'moody(jsonb,jsonb)')$$),
    '42P17 function moody(jsonb,jsonb) cannot be the handler of a command: It is volatile, which is what a function is unless it says otherwise.', 'a handler is not volatile');
select is(raised($$select f6_create_command('x', 'strict(jsonb,jsonb)')$$),
    '42P17 function strict(jsonb,jsonb) cannot be the handler of a command: It is strict, and so not called where there is no state yet.', 'nor strict');
select is(raised($$select f6_drop_command('x')$$), '42704 command "x" does not exist:', 'only what exists is dropped');
select is(raised($$select f6_execute('x')$$), '42704 command "x" does not exist:', 'or executed');
select is(raised($$select f6_execute(null)$$), '22004 name must not be NULL:', 'no name');
select is(raised($$select f6_execute('echo', null)$$), '22004 payload must not be NULL:', 'no payload');

-- What a handler returns.
select is(made('echo', format('{"answer": {"event_type": "Noted", "object_ids": ["%s"], "event_data": 1}}', o('n', '1'))::jsonb), 'accepted 1 1 1', 'one event');
select is(made('echo', format('{"answer": [{"event_type": "Noted", "object_ids": ["%s"], "event_data": 2}, {"event_type": "Noted", "object_ids": ["%1$s"], "event_data": 3}]}', o('n', '1'))::jsonb),
          'accepted 2 2 1', 'several');
select is(made('echo', '{"answer": []}'), 'accepted 0 0 1', 'none');
select is(made('echo'), 'accepted 0 0 1', 'NULL is none too');
select is(log(), 'Noted 1, Noted 2, Noted 3', 'they are in the log');
create temp table executed as select * from f6_execute('echo', format('{"answer": [{"event_type": "Noted", "object_ids": ["%s"], "event_data": 4},
    {"event_type": "Noted", "object_ids": ["%1$s"], "event_data": 5}]}', o('n', '1'))::jsonb);
select is((select array_agg(e.id order by e.position) = x.ids and array_agg(e.position order by e.position) = x.positions
               from f6.event as e where e.position = any (x.positions)), true, 'what is returned are their ids and positions')
    from executed as x;
select is(made('echo', '{"answer": {"rejected": "for a reason"}}'), 'rejected for a reason 0 0 1', 'a rejection');
select is(made('echo', '{"answer": {"rejected": "r", "detail": "text"}}'), 'rejected r text 0 0 1', 'with a detail that is text');
select is(made('echo', '{"answer": {"rejected": "r", "detail": {"a": [1]}}}'), 'rejected r {"a": [1]} 0 0 1', 'or JSON');
select is(made('echo', '{"answer": {"rejected": "r", "detail": null}}'), 'rejected r 0 0 1', 'or nothing');
select matches(raised(format($$select f6_execute('echo', '{"answer": %s}')$$, answer)), error, 'no decision: ' || answer)
    from (values ('null', '22023 the handler returned no decision: It is null.'), ('1', 'It is integer'), ('"x"', 'It is string'), ('{}', 'It is an object with neither'),
                 ('{"rejected": 1}', 'must be a string'), ('{"rejected": ""}', 'must be a string'), ('{"rejected": "r", "event_type": "Noted"}', 'no other members'),
                 ('[1]', '^22023 '), ('[[]]', '^22023 '), ('{"event_type": "Noted", "event_data": 1}', '^22023 an event must name at least one object'),
                 ('{"event_type": "Unknown", "event_data": 1}', '^(42704|22023) '), ('{"event_type": "Noted", "rejecte": 1}', '^22023 ')) as bad (answer, error);
select is(context_of_error($$select f6_execute('echo', '{"answer": 1}')$$) like '%command "echo"%', true, 'an error says in which command it was');
select is(log(), 'Noted 1, Noted 2, Noted 3, Noted 4, Noted 5', 'nothing came of that');
select f6_create_command('raise', 'raise(jsonb,jsonb)');
select is(made('raise', '{"what": "way", "why": "because"}'), 'rejected no way because 0 0 1', 'an exception rejects');
select is(made('raise', '{"what": "way"}'), 'rejected no way 0 0 1', 'with or without a detail');
select is(raised($$select f6_execute('raise', '{"what": "way", "code": "22012"}')$$), '22012 no way:', 'another error is one');
select is(raised($$select f6_execute('raise', '{"what": "way", "code": "40001"}')$$), '40001 no way:', 'also if it might be repeated: it was not the condition');
select is(made('raise', '{"what": "way"}'), 'rejected no way 0 0 1', 'after which all goes on');

-- The payload and its schema.
select f6_create_command('checked', 'echo(jsonb,jsonb)', '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "at": {"type": "string", "format": "date"}}}');
select is(made('checked', '{"n": 1}'), 'accepted 0 0 1', 'a payload that is valid');
select matches(raised($$select f6_execute('checked')$$), '^23514 payload is not valid for command "checked": "" required: ', 'one that is not');
select matches(raised(format($$select f6_execute('checked', %L)$$, payload)), '^23514 ', 'hostile: ' || payload)
    from unnest('{"null",1,"[]","\"x\"",true,"{\"n\": 1.5}","{\"n\": {\"n\": 1}}","{\"n\": null}","{\"n\": 1, \"at\": \"soon\"}"}'::text[]) as payload;
select is(made('echo', payload::jsonb), 'accepted 0 0 1', 'without a schema any payload: ' || payload) from unnest('{"null",1,"[]","\"x\"","{\"a\": {}}"}'::text[]) as payload;
select matches(raised($$select f6_execute('echo', (repeat('[', 2000) || repeat(']', 2000))::jsonb)$$), '^54000 the payload is nested more than 1000 levels deep', 'but no deep one');
select is(made('echo', jsonb_build_object('x', repeat('long ', 200000))), 'accepted 0 0 1', 'a long one');

-- Metadata.
truncate executed;
insert into executed select * from f6_execute('echo', format('{"answer": [{"event_type": "Noted", "object_ids": ["%s"], "event_data": 4, "metadata": {"own": 1, "who": "x"}},
    {"event_type": "Noted", "object_ids": ["%1$s"], "event_data": 5}]}', o('n', '1'))::jsonb, '{"who": "me"}');
select is((select array_agg(e.metadata order by position) from f6.event as e where e.id = any (x.ids)),
          array['{"who": "me", "own": 1}', '{"who": "me"}']::jsonb[], 'metadata is merged into that of the events')
    from executed as x;
select is(raised($$select f6_execute('echo', metadata => '[]')$$), '22023 metadata must be a JSON object, found array: It is merged into that of each event.', 'it is an object');
select matches(raised(format($$select f6_execute('echo', '{"answer": {"event_type": "Noted", "object_ids": ["%s"], "event_data": 4, "metadata": 1}}', '{"who": "me"}')$$, o('n', '1'))),
               '^22023 metadata can''t be merged', 'also that of the event');

-- The context: where objects come from.
select f6_create_command('by id', 'tell(jsonb,jsonb)', context => '{"objects": ["$.id"]}');
select f6_create_command('by name', 'tell(jsonb,jsonb)', context => '[{"types": ["Noted"], "objects": [{"kind": "n", "key": "$.name"}]}]');
select f6_create_command('constant', 'tell(jsonb,jsonb)', context => '[{"types": ["Noted"], "objects": [{"kind": "n", "key": "2"}]}]');
select f6_create_command('several', 'tell(jsonb,jsonb)', context => '[{"objects": ["$.ids[*]"]}]');
select f6_create_command('either', 'tell(jsonb,jsonb)', context => '[{"objects": ["$.a"]}, {"objects": ["$.b"]}]');
select f6_create_command('type', 'tell(jsonb,jsonb)', context => '{"types": ["Unsubscribed"]}');
create function context_of(payload jsonb) returns jsonb language sql immutable as $$ select payload -> 'query' $$;
select f6_create_command('function', 'tell(jsonb,jsonb)', context => '{"function": "public.context_of(jsonb)"}');
select f6_append('Noted', array[o('n', '2')], '{"two": 2}'), f6_append('Noted', array[o('n', '3')], '{"three": 3}'),
       f6_append('Noted', array[o('n', '2'), o('n', '3')], '{"both": 23}');
create function seen(name text, payload jsonb) returns text language sql as $$ select reason from f6_execute(name, payload) $$;
select is(seen('by id', jsonb_build_object('id', o('n', '2'))), '{"two": 2, "both": 23}', 'a UUID of the payload');
select is(seen('by name', '{"name": "3"}'), '{"both": 23, "three": 3}', 'a natural key of the payload');
select is(seen('constant', '{}'), '{"two": 2, "both": 23}', 'a constant one');
select is(seen('several', jsonb_build_object('ids', array[o('n', '2'), o('n', '3')])), '{"both": 23}', 'several: all of them');
select is(seen('either', jsonb_build_object('a', o('n', '2'), 'b', o('n', '3'))), '{"two": 2, "both": 23, "three": 3}', 'items: any of them');
select is(seen('either', jsonb_build_object('a', o('n', '2'), 'b', o('n', '2'))), '{"two": 2, "both": 23}', 'the same twice');
select is(seen('type', '{}'), 'nothing', 'no events make no state');
select is(seen('function', jsonb_build_object('query', jsonb_build_object('objects', array[o('n', '3')]))), '{"both": 23, "three": 3}', 'a function makes the query');
select is(raised(format($$select f6_execute(%L, %L)$$, name, payload)), error, name || ': ' || payload)
    from (values
        ('by id', '{}', '22023 the payload has nothing at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', '[]', '22023 the payload has nothing at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', 'null', '22023 the payload has nothing at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', '{"id": "nobody"}', '22P02 the payload has no UUID at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', '{"id": ""}', '22P02 the payload has no UUID at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', '{"id": 1}', '22023 the payload has integer and no string at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by id', '{"id": null}', '22023 the payload has null and no string at "$.id": The context of the command takes the UUID of an object from there.'),
        ('by name', '{"name": ["x"]}', '22023 the payload has array and no string at "$.name": The context of the command takes the key of a "n" from there.'),
        ('by name', '{"name": ""}', null),
        ('several', '{"ids": []}', '22023 the payload has nothing at "$.ids[*]": The context of the command takes the UUID of an object from there.'),
        ('function', '{}', '22004 the context of the command must not be NULL: Its function returned NULL.'),
        ('function', '{"query": []}', '22023 malformed query of events: There are no items, so nothing could match.')) as bad (name, payload, error) where error is not null;
select matches(raised(format($$select f6_execute('several', %L)$$, jsonb_build_object('ids', array(select gen_random_uuid() from generate_series(1, 101))))),
               '^22023 malformed query of events: In item 1 there are more than 100 objects', 'too many objects');

-- The state: the fold of the context in the order of positions.
select f6_create_command('subscribe', 'subscribe(jsonb,jsonb)',
    '{"required": ["course", "who"]}',
    '{"types": ["CourseDefined", "Subscribed", "Unsubscribed"], "objects": [{"kind": "course", "key": "$.course"}]}',
    '{"CourseDefined": [{"op": "set", "path": "/capacity", "from": "$.data.capacity"}, {"op": "set", "path": "/taken", "value": 0}],
      "Subscribed": [{"op": "increment", "path": "/taken", "value": 1}],
      "Unsubscribed": [{"op": "increment", "path": "/taken", "value": -1}]}', rejected_type => 'Refused');
select is(made('subscribe', '{"course": "c", "who": "ada"}'), 'rejected there is no such course 1 1 1', 'a command on nothing');
select f6_append('CourseDefined', array[o('course', 'c')], '{"capacity": 2}');
select is(made('subscribe', '{"course": "c", "who": "ada"}'), 'accepted 1 1 1', 'the first seat');
select is(made('subscribe', '{"course": "c", "who": "bob"}'), 'accepted 1 1 1', 'the second');
select is(made('subscribe', '{"course": "c", "who": "cyd"}'), 'rejected the course is full 2 1 1 1', 'and no third');
select f6_append('Unsubscribed', array[o('course', 'c')], '{}');
select is(made('subscribe', '{"course": "c", "who": "cyd"}'), 'accepted 1 1 1', 'once there is room again');
select f6_append('CourseDefined', null, 'null', event_kind => 'correction', event_reference => array[id]) from f6.event where event_type = 'CourseDefined';
select is(made('subscribe', '{"course": "c", "who": "dee"}'), 'rejected there is no such course 1 1 1', 'what a correction removes does not count');
select f6_create_command('order', 'tell(jsonb,jsonb)', context => '{"objects": [{"kind": "order", "key": "1"}]}');
select f6_append('Noted', array[o('order', '1')], '{"n": 1}', occurred_at => '2020-01-02', id => o('event', 'first')),
       f6_append('Noted', array[o('order', '1')], '{"n": 2, "m": 1}', occurred_at => '2020-01-01');
select is(seen('order', '{}'), '{"m": 1, "n": 2}', 'in the order of positions, whatever occurred when');
select f6_append('Noted', null, '{"n": 3, "k": 1}', event_kind => 'correction', event_reference => array[o('event', 'first')]);
select is(seen('order', '{}'), '{"k": 1, "m": 1, "n": 2}', 'a claim that is restated stays where it was');
create function count_up(state jsonb, event f6.event) returns jsonb language sql immutable as
    $$ select pg_catalog.to_jsonb(coalesce(state::pg_catalog.text::pg_catalog.int4, 0) + 1) $$;
select f6_create_command('count', 'tell(jsonb,jsonb)', context => '{"objects": [{"kind": "order", "key": "1"}]}', fold => '{"*": {"function": "public.count_up(jsonb,f6.event)"}}');
select is(seen('count', '{}'), '2', 'a fold may be a function');

-- Rejections that are recorded.
select is((select string_agg(event_data::text, ', ' order by position) from f6.event where event_type = 'Refused'),
    '{"reason": "there is no such course", "command": "subscribe"}, {"detail": "2", "reason": "the course is full", "command": "subscribe"}, '
    '{"reason": "there is no such course", "command": "subscribe"}', 'rejections are events, without the payload');
truncate executed;
insert into executed select * from f6_execute('subscribe', '{"course": "none", "who": "ada"}', '{"who": "me"}');
select is((select row(object_ids, metadata)::text from f6.event as e where e.id = x.ids[1]), row(array[o('course', 'none')], '{"who": "me"}'::jsonb)::text,
    'of the objects of the context') from executed as x;

create function only_new(state jsonb, payload jsonb) returns jsonb language plpgsql immutable as $$
begin
    if state is not null or payload ? 'no' then
        raise exception 'not new' using detail = coalesce(state::text, 'but it is');
    end if;
    return jsonb_build_object('event_type', 'Noted', 'event_data', payload, 'object_ids', jsonb_build_array(public.f6_object_id('new', '1')));
end $$;
select f6_create_command(name, 'only_new(jsonb,jsonb)', context => '{"objects": [{"kind": "new", "key": "1"}]}', fold => fold, rejected_type => 'Refused')
    from (values ('only new', null::jsonb), ('only new of all', '{"*": "merge"}')) as fold (name, fold);
select is(made('only new', '{"no": 1}'), 'rejected not new but it is 1 1 1', 'a rejection is recorded');
select is(made('only new', '{"no": 1}'), 'rejected not new but it is 1 1 1', 'and is no part of the state');
select is(made('only new of all', '{"no": 1}'), 'rejected not new but it is 1 1 1', 'nor where a fold is of all types');
select is(made('only new', '{"n": 1}'), 'accepted 1 1 1', 'so that another time it may be accepted');
select is(made('only new', '{"n": 2}'), 'rejected not new {"n": 1} 1 1 1', 'until it is not');

-- Dry runs.
create temp table before as select count(*) as events from f6.event;
select f6_append('CourseDefined', array[o('course', 'd')], '{"capacity": 1}');
select is(made('subscribe', '{"course": "d", "who": "ada"}', dry => true), 'accepted 1', 'a dry run says what would be');
select is(made('subscribe', '{"course": "none", "who": "ada"}', 'key', true), 'rejected there is no such course 1', 'of a rejection too');
select is((select ids is null and positions is null from f6_execute('subscribe', '{"course": "d", "who": "ada"}', dry_run => true)), true, 'without events');
select matches(raised(format($$select f6_execute('echo', '{"answer": {"event_type": "Strict", "object_ids": ["%s"], "event_data": {}}}', dry_run => true)$$, o('n', '1'))), '^23514 ',
               'the events are checked');
select f6_create_command('strict rejection', 'tell(jsonb,jsonb)', context => '{"objects": [{"kind": "order", "key": "1"}]}', rejected_type => 'Strict');
create function no_objects(payload jsonb) returns jsonb language sql immutable as $$ select '{"types": ["Noted"]}'::jsonb $$;
select f6_create_command('rejection of nothing', 'tell(jsonb,jsonb)', context => '{"function": "public.no_objects(jsonb)"}', rejected_type => 'Refused');
select matches(raised(format('select f6_execute(%L, dry_run => %L)', name, dry)), error, format('so is that which records a rejection: %s, dry run: %s', name, dry))
    from (values ('strict rejection', '^23514 '), ('rejection of nothing', '^22023 an event must name at least one object')) as bad (name, error),
         unnest('{false,true}'::boolean[]) as dry;
select is((select count(*) - before.events from f6.event, before group by before.events), 1::bigint, 'and nothing stays');
select is((select count(*) from f6.command_run), 0::bigint, 'nor is it known that there was a run');
select is(made('subscribe', '{"course": "d", "who": "ada"}'), 'accepted 1 1 1', 'so it can be done');

-- Idempotency.
select f6_append('CourseDefined', array[o('course', 'e')], '{"capacity": 1}');
create temp table first as select * from f6_execute('subscribe', '{"course": "e", "who": "ada"}', idempotency_key => 'k1');
select is(made('subscribe', '{"who": "ada", "course": "e"}', 'k1'), 'accepted 1 1 0', 'the same again is not done again');
select is((select x.ids = first.ids and x.positions = first.positions from first), true, 'what came of it is told')
    from f6_execute('subscribe', '{"course": "e", "who": "ada"}', idempotency_key => 'k1') as x;
select is(made('subscribe', '{"course": "e", "who": "bob"}', 'k2'), 'rejected the course is full 1 1 1 1', 'a rejection');
select f6_append('Unsubscribed', array[o('course', 'e')], '{}');
select is(made('subscribe', '{"course": "e", "who": "bob"}', 'k2'), 'rejected the course is full 1 1 1 0', 'stays one under its key');
select is(made('subscribe', '{"course": "e", "who": "bob"}', 'k2', true), 'rejected the course is full 1 1 1 0', 'as a dry run tells');
select is(made('subscribe', '{"course": "e", "who": "bob"}', 'k3'), 'accepted 1 1 1', 'and is none under another');
select matches(raised($$select f6_execute('subscribe', '{"course": "e", "who": "cyd"}', idempotency_key => 'k1')$$),
    '^22023 command "subscribe" was run with another payload under this idempotency key', 'another payload under a key is an error');
select is(made('echo', '{}', 'k1'), 'accepted 0 0 1', 'keys are a command''s own');
select is(raised(format($$select f6_execute('echo', idempotency_key => %L)$$, key)), '22023 an idempotency key must have from 1 to 1000 bytes:', 'no key')
    from (values (''), (repeat('k', 1001))) as bad (key);
select is(made('echo', '{"a": [1.50, {"b": 100}], "c": 0.0}', 'n1'), 'accepted 0 0 1', 'a payload with numbers');
select is(made('echo', '{"c": 0, "a": [1.5, {"b": 1e2}]}', 'n1'), 'accepted 0 0 0', 'is the same, however they are written');
select is(made('echo', '1.0', 'n2') || made('echo', '1', 'n2'), 'accepted 0 0 1accepted 0 0 0', 'also a number itself');
select matches(raised($$select f6_execute('echo', '{"c": 0, "a": [1.5, {"b": 1e3}]}', idempotency_key => 'n1')$$), '^22023 command "echo" was run with another payload', 'but not another');
select is(made('echo', '{}', repeat('k', 1000)), 'accepted 0 0 1', 'a long key');
select matches(raised($$select f6_execute('raise', '{"what": "way", "code": "22012"}', idempotency_key => 'e')$$), '^22012', 'a run that fails');
select is((select count(*) from f6.command_run where idempotency_key = 'e'), 0::bigint, 'is none');
savepoint s;
select is(made('echo', '{}', 'undone'), 'accepted 0 0 1', 'a run');
rollback to s;
select is(made('echo', '{}', 'undone'), 'accepted 0 0 1', 'that is rolled back is none');
select is((select row(command, idempotency_key, status, reason, detail, cardinality(ids), cardinality(positions), executed_by)::text from f6.command_run where idempotency_key = 'k2'),
          format('(subscribe,k2,rejected,"the course is full",1,1,1,%s)', session_user), 'runs are in a table');
select is((select payload_hash from f6.command_run where idempotency_key = 'k1' and command = 'echo'), sha256('{}'), 'with a hash of the payload');
select f6_drop_command('echo'), f6_create_command('echo', 'as_null(jsonb,jsonb)');
select is(made('echo', '{}', 'k1'), 'accepted 0 0 0', 'and outlive their command');

-- Other definitions count at once.
select is(made('echo', '{"answer": {"rejected": "no"}}'), 'accepted 0 0 1', 'a command that was made anew');
create or replace function as_null(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select '{"rejected": "replaced"}'::jsonb $$;
select is(made('echo'), 'rejected replaced 0 0 1', 'a handler that was replaced');
alter function as_null(jsonb, jsonb) volatile;
select matches(raised($$select f6_execute('echo')$$), '^42P17 .* It is volatile', 'one that became volatile');
drop function as_null(jsonb, jsonb);
select is(raised($$select f6_execute('echo')$$), '42883 handler function public.as_null(pg_catalog.jsonb,pg_catalog.jsonb) does not exist:', 'one that is gone');
savepoint s;
select f6_drop_command('raise');
select is(raised($$select f6_execute('raise')$$), '42704 command "raise" does not exist:', 'a command that is gone');
rollback to s;
select is(made('raise', '{"what": "way"}'), 'rejected no way 0 0 1', 'and not gone after all');
create function fails(state jsonb, event f6.event) returns jsonb language plpgsql immutable as $$ begin raise exception 'no fold'; end $$;
select f6_create_command('fails', 'tell(jsonb,jsonb)', context => '{"objects": [{"kind": "order", "key": "1"}]}', fold => '{"*": {"function": "public.fails(jsonb,f6.event)"}}');
select is(raised($$select f6_execute('fails')$$), 'P0001 no fold:', 'an exception of a fold rejects nothing');
create or replace function fails(state jsonb, event f6.event) returns jsonb language plpgsql immutable as $$ begin return '1'; end $$;
select is(seen('fails', '{}'), '1', 'and leaves nothing behind');

-- What is compiled anew, time and again, is not kept.
create function memory() returns bigint language sql as $$ select sum(total_bytes)::bigint from pg_backend_memory_contexts where name like 'f6 command%' $$;
select count(made('raise', '{"what": "way"}')) from generate_series(1, 10);
create temp table memory as select memory() as bytes;
select count(made('raise', '{"what": "way"}')) from generate_series(1, 100);
select cmp_ok(memory(), '<=', bytes, 'commands that are read again and again take no more memory') from memory;

-- Who may do what.
create role command_writer in role f6_writer, f6_reader;
create role command_blind in role f6_writer;
create role command_reader in role f6_reader;
create role command_admin in role f6_admin;
create role command_nobody;
grant create on schema public to command_admin;
select f6_append('CourseDefined', array[o('course', 'f')], '{"capacity": 10}');
set local role command_writer;
select is(made('subscribe', '{"course": "f", "who": "ada"}', 'w1'), 'accepted 1 1 1', 'a writer who reads executes');
select is(made('subscribe', '{"course": "f", "who": "ada"}', 'w1'), 'accepted 1 1 0', 'once');
select is((select count(*) from f6.command where name = 'subscribe'), 1::bigint, 'sees the commands');
select is(raised($$select f6_create_command('mine', 'raise(jsonb,jsonb)')$$), '42501 permission denied for table command:', 'makes none');
select is(raised($$select f6_drop_command('raise')$$), '42501 permission denied for table command:', 'drops none');
select is(raised($$insert into f6.command_run values ('a', 'b', '', 'accepted', null, null, '{}', '{}')$$), '42501 permission denied for table command_run:', 'and writes no runs');
set local role command_blind;
select matches(raised($$select f6_execute('subscribe', '{"course": "f", "who": "bob"}')$$), '^42501 ', 'who may not read executes nothing that depends on the log');
select is(made('raise', '{"what": "way"}', 'b1'), 'rejected no way 0 0 1', 'but what does not');
select is(raised($$select * from f6.command_run$$), '42501 permission denied for table command_run:', 'nor reads the runs');
set local role command_reader;
select matches(raised($$select f6_execute('subscribe', '{"course": "f", "who": "bob"}')$$), '^42501 ', 'who may not write appends nothing');
select is((select count(*) > 0 from f6.command_run), true, 'but reads the runs');
set local role command_nobody;
select matches(raised($$select f6_execute('subscribe', '{"course": "f", "who": "bob"}')$$), '^42501 ', 'nobody neither');
select is(raised($$select * from f6.command$$), '42501 permission denied for table command:', 'nor sees commands');
set local role command_admin;
select is(raised($$select f6_create_command('mine', 'raise(jsonb,jsonb)')$$), 'nothing', 'an administrator makes commands');
select is(raised($$update f6.command set handler = 'x'$$), '42501 permission denied for table command:', 'changes none');
select is(raised($$select f6_drop_command('mine')$$), 'nothing', 'drops them');
select is(raised($$delete from f6.command_run where executed_at < now() - interval '1 day'$$), 'nothing', 'and tidies the runs up');
reset role;
revoke execute on function subscribe(jsonb, jsonb) from public;
set local role command_writer;
select is(raised($$select f6_execute('subscribe', '{"course": "f", "who": "bob"}')$$), '42501 permission denied for function subscribe:', 'a handler that the caller may not execute');
reset role;
create function public.door(payload jsonb) returns f6.executed language sql security definer set search_path = pg_catalog, pg_temp
    as $$ select public.f6_execute('subscribe', payload) $$;
set local role command_nobody;
select is((select status from door('{"course": "f", "who": "bob"}')), 'accepted', 'a door lets others execute a command, and nothing else');
reset role;

-- Keys give no privileges.
create function secret(state jsonb, payload jsonb) returns jsonb language sql immutable as $$ select '{"rejected": "secret"}'::jsonb $$;
select f6_create_command('secret', 'secret(jsonb,jsonb)');
select is(made('secret', '{}', 's'), 'rejected secret 0 0 1', 'what came of a run');
select is(made('raise', '{"what": "way"}', 'r'), 'rejected no way 0 0 1', 'and of another');
create temp table runs as select count(*) as count from f6.command_run;
revoke execute on function secret(jsonb, jsonb) from public;
set local role command_writer;
select is(raised(format($$select f6_execute('secret', '{}', idempotency_key => 's', dry_run => %L)$$, dry)), '42501 permission denied for function secret:',
    'is not told to who may not execute it, dry run: ' || dry) from unnest('{false,true}'::boolean[]) as dry;
select is(raised($$select f6_execute('secret', '{}', idempotency_key => 'another')$$), '42501 permission denied for function secret:', 'nor is their key locked');
set local role command_nobody;
select is(raised(format($$select f6_execute('raise', '{"what": "way"}', idempotency_key => %L, dry_run => %L)$$, key, dry)), '42501 permission denied for table event:',
    format('nor to who may not append: %s, dry run: %s', key, dry)) from unnest('{r,new}'::text[]) as key, unnest('{false,true}'::boolean[]) as dry;
select is(made('raise', '{"what": "way"}'), 'rejected no way 0 0 1', 'who needs no privilege without a key');
reset role;
select is((select count(*) from f6.command_run), (select count from runs), 'and of whom no runs are kept');

-- A row that nobody has checked.
set local role command_admin;
insert into f6.command (name, handler, attempts, rejected_type) values ('boom', 'public.tell(jsonb,jsonb)', 5, 'Refused');
insert into f6.command (name, handler, attempts, rejected_type, context) values ('boom types', 'public.tell(jsonb,jsonb)', 5, 'Refused', '{"types": ["Noted"]}');
insert into f6.command (name, handler, attempts, fold) values ('boom fold', 'public.tell(jsonb,jsonb)', 5, '{}');
reset role;
select is(raised(format('select f6_execute(%L)', name)), error, 'is refused when it is executed: ' || name)
    from (values ('boom', '22023 rejected_type needs a context with objects: A rejection is recorded of the objects of the context.'),
                 ('boom types', '22023 rejected_type needs a context with objects: A rejection is recorded of the objects of the context.'),
                 ('boom fold', '22023 a fold needs a context:')) as bad (name, error);

-- The caller's search_path is not the handler's.
create schema hostile;
create function hostile.jsonb_build_object(variadic "any") returns jsonb language internal immutable as 'jsonb_build_object_noargs';
set local search_path = hostile, pg_catalog, public;
select is(seen('by name', '{"name": "3"}'), '{"both": 23, "three": 3}', 'names are found in pg_catalog');
reset search_path;

-- Isolation levels that can't see what others have done.
create function level(state jsonb, payload jsonb) returns jsonb language sql stable as $$ select pg_catalog.jsonb_build_object('rejected', pg_catalog.current_setting('transaction_isolation')) $$;
select f6_create_command('level', 'level(jsonb,jsonb)');
select is(seen('level', '{}'), 'read committed', 'a handler may be stable');
set local transaction_read_only = on;
select is(raised($$select f6_execute('raise', '{"what": "way"}')$$), '25006 cannot execute f6_execute() in a read-only transaction:', 'not in a transaction that only reads');
select is(made('raise', '{"what": "way"}', dry => true), 'rejected no way 1', 'a dry run may be');

select * from finish();
rollback;
