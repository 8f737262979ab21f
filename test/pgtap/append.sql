-- What an append fills in, links, repeats and returns.
begin;
select plan(72);
set local timezone = 'UTC';

create function object(key text) returns uuid immutable language sql return f6_object_id('test', key);
create function links_agree() returns boolean language sql as $$
    select not exists (
        (select unnest(object_ids), "position" from f6.event
            except all select object_id, "position" from f6.event_object)
        union all
        (select object_id, "position" from f6.event_object
            except all select unnest(object_ids), "position" from f6.event)
        union all
        (select unnest(event_reference), "position" from f6.event
            except all select reference_id, "position" from f6.event_link)
        union all
        (select reference_id, "position" from f6.event_link
            except all select unnest(event_reference), "position" from f6.event))
$$;
create function last_event() returns f6.event language sql as $$
    select e from f6.event as e order by "position" desc limit 1
$$;

select f6_register_event_type('Note', '9', '{"type": "object", "properties": {"text": {"type": "string"}}}');
select f6_register_event_type('Note', '10', '{"type": "object", "properties": {"text": {"type": "string"}}}');
select f6_register_event_type('Anything', '1', 'true');

-- defaults
set local application_name = 'append test';
select f6_append('Note', array[object('a')], '{"text": "one"}');
select is((last_event()).event_version, '10', 'the version is the newest registered, not the highest by name');
select is((last_event()).event_kind, 'claim', 'the kind is claim');
select is((last_event()).zone_id, 1, 'the zone is that of the setting');
select ok((last_event()).occurred_at between now() and (last_event()).created_at, 'it occurred now');
select is((last_event()).occurred_at, (last_event()).created_at, 'when it was recorded');
select ok((last_event()).created_at between now() and clock_timestamp(), 'it was recorded at the clock');
select is((last_event()).appended_by, session_user::text, 'appended_by is the session user');
select is((last_event()).application_name, 'append test', 'application_name is the application');
select is((last_event()).client_addr, inet_client_addr(), 'client_addr is the client');
select is(substr((last_event()).id::text, 15, 1), '7', 'the id is a UUIDv7');
select ok((last_event()).event_reference is null and (last_event()).metadata is null, 'the rest is NULL');
set local application_name = '';
select f6_append('Note', array[object('a')], '{}');
select ok((last_event()).application_name is null, 'an application without a name is NULL');

select is(
    (select count(*) from (select id, lag(id) over (order by "position") as before
        from f6_append((select jsonb_agg(jsonb_build_object('event_type', 'Note', 'event_data', '{}'::jsonb,
            'object_ids', array[object('a')])) from generate_series(1, 5000)))) as t where id <= before),
    0::bigint, 'ids rise with the positions in a backend');
select is(f6_object_id('username', 'ada'), 'a8753f6f-4e2e-5290-8c79-a8a00cd6bebf'::uuid, 'an object id is the same everywhere');
select isnt(f6_object_id('ab', 'c'), f6_object_id('a', 'bc'), 'kind and key do not run together');

-- what is given is kept
select f6_append('Note', array[object('a'), object('b')], '{"text": "all"}', event_version => '9',
    occurred_at => '2020-02-29 12:00Z', event_source_id => '00000000-0000-0000-0000-00000000beef',
    event_source_type => 'citizen', metadata => '{"trace": 1}', id => '00000000-0000-0000-0000-0000000000a1');
select is(row((last_event()).event_version, (last_event()).occurred_at, (last_event()).object_ids, (last_event()).event_source_id,
        (last_event()).event_source_type, (last_event()).metadata, (last_event()).id),
    row('9'::text, '2020-02-29 12:00Z'::timestamptz, array[object('a'), object('b')], '00000000-0000-0000-0000-00000000beef'::uuid,
        'citizen'::text, '{"trace": 1}'::jsonb, '00000000-0000-0000-0000-0000000000a1'::uuid),
    'what the caller gives is stored');

-- JSON
select results_eq(
    $$select id from f6_append('{"event_type": "Note", "id": "00000000-0000-0000-0000-0000000000a2", "zone_id": 1, "metadata": null,
        "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"text": "x"}, "occurred_at": "2020-01-01T00:00:00Z"}')$$,
    array['00000000-0000-0000-0000-0000000000a2'::uuid], 'one JSON object is a batch of one');
select is((last_event()).occurred_at, '2020-01-01Z', 'JSON values become the columns'' types');
select ok((last_event()).metadata is null, 'a JSON null is a value not given');
select is_empty($$select f6_append('[]')$$, 'an empty batch appends nothing');
select results_eq(
    $$select row_number() over () from f6_append('[
        {"event_type": "Anything", "id": "00000000-0000-0000-0000-0000000000b1", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": 1},
        {"event_type": "Anything", "event_kind": "validation", "event_reference": ["00000000-0000-0000-0000-0000000000b1"]}]')$$,
    array[1::bigint, 2], 'an event may reference one before it in the batch');
select throws_ok(
    $$select f6_append('[
        {"event_type": "Anything", "event_kind": "validation", "event_reference": ["00000000-0000-0000-0000-0000000000b2"]},
        {"event_type": "Anything", "id": "00000000-0000-0000-0000-0000000000b2", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": 1}]')$$,
    '23503', null, 'but not one after it');
select is((select count(*) from f6.event where id = '00000000-0000-0000-0000-0000000000b2'), 0::bigint, 'a refused batch leaves nothing');

-- corrections and validations
select is((last_event()).object_ids, array['00000000-0000-0000-0000-00000000000a'::uuid], 'a validation names the objects of its claim');
select is((last_event()).event_data, 'null', 'a validation without data has the data null');
select f6_append('Note', null, 'null', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b1']::uuid[]);
select is((last_event()).object_ids, array[object('a'), object('b'), '00000000-0000-0000-0000-00000000000a'],
    'a correction names the objects of all that it corrects, once');
select lives_ok($$select f6_append('Note', array[object('z'), object('a'), object('b')], 'null', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[])$$, 'it may name more objects');
select f6_append('Note', null, '{"text": "set right"}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[]);
select is((last_event()).occurred_at, '2020-02-29 12:00Z', 'a restatement leaves the time as it was');
select f6_append(jsonb_build_array(
    jsonb_build_object('event_type', 'Note', 'id', object('claim'), 'object_ids', array[object('a')], 'event_data', '{"text": "wrong"}'::jsonb),
    jsonb_build_object('event_type', 'Note', 'event_data', '{"text": "right"}'::jsonb, 'event_kind', 'correction', 'event_reference', array[object('claim')])));
select is((last_event()).occurred_at, e.occurred_at, 'of an event of the same batch too') from f6.event as e where e.id = object('claim');
select f6_append(jsonb_build_array(
    jsonb_build_object('event_type', 'Note', 'id', object('claim'), 'object_ids', array[object('a')], 'event_data', '{"text": "wrong"}'::jsonb),
    jsonb_build_object('event_type', 'Note', 'event_data', '{"text": "righter"}'::jsonb, 'event_kind', 'correction', 'event_reference', array[object('claim')])));
select is((last_event()).occurred_at, e.occurred_at, 'and of one of the batch that is in the log already') from f6.event as e where e.id = object('claim');
select f6_append('Note', null, '{"text": "set right"}', event_kind => 'correction', occurred_at => '2020-03-01 12:00Z',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[]);
select is((last_event()).occurred_at, '2020-03-01 12:00Z', 'unless it gives another');
select f6_append('Note', null, '{"text": "set right"}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000a2']::uuid[]);
select ok((last_event()).occurred_at between now() and (last_event()).created_at, 'or the times differ');
select f6_append('Note', null, 'null', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[]);
select ok((last_event()).occurred_at between now() and (last_event()).created_at, 'a removal occurs now');
select throws_ok($$select f6_append('Note', null, '{"text": 1}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[])$$, '23514', null, 'a restatement is checked');
select throws_ok($$select f6_append('Anything', null, '{"text": 1}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[])$$, '23514', null,
    'a restatement of another type is checked by the type of what it restates');
select f6_append('Anything', null, '{"text": "fine"}', event_kind => 'correction', id => '00000000-0000-0000-0000-0000000000c1',
    event_reference => array['00000000-0000-0000-0000-0000000000a1']::uuid[]);
select throws_ok($$select f6_append('Anything', null, '{"text": 1}', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000c1']::uuid[])$$, '23514', null,
    'a restatement of a correction is checked by the type of what that one restates');
select throws_ok($$select f6_append('Note', array[object('a')], 'null')$$, '23514', null, 'null is no data of a claim');
select lives_ok($$select f6_append('Anything', array[object('a')], 'null')$$, 'unless its schema takes it');

do $$
begin
    perform f6_append('Anything', array[object('n')], '1', id => lpad('f0001', 32, '0')::uuid);
    perform f6_append('Anything', null, '1', event_kind => 'correction', id => lpad('f0002', 32, '0')::uuid,
        event_reference => array[lpad('f0001', 32, '0')::uuid]);
    for i in 3 .. 60 loop
        perform f6_append('Anything', null, '1', event_kind => 'correction', id => lpad('f' || lpad(i::text, 4, '0'), 32, '0')::uuid,
            event_reference => array[lpad('f' || lpad((i - 1)::text, 4, '0'), 32, '0')::uuid,
                                     lpad('f' || lpad((i - 2)::text, 4, '0'), 32, '0')::uuid]);
    end loop;
end
$$;
select is((last_event()).id, lpad('f0060', 32, '0')::uuid, 'a net of corrections is looked at once, not by each of its countless paths');

-- repeated appends
prepare again(jsonb) as select "position" from f6_append('Note', array[object('a'), object('b')], $1, event_source_type => 'citizen',
    event_source_id => '00000000-0000-0000-0000-00000000beef', metadata => '{"trace": 1.0}', id => '00000000-0000-0000-0000-0000000000a1');
create temporary table before_repeat as select count(*) as events from f6.event;
select results_eq($$execute again('{"text": "all"}')$$,
    $$select "position" from f6.event where id = '00000000-0000-0000-0000-0000000000a1'$$, 'the same append again returns the event');
select throws_ok($$execute again('{"text": "none"}')$$, '23505', null, 'other content with the same id is refused');
select throws_ok($$select f6_append('Note', array[object('a'), object('b')], '{"text": "all"}',
    id => '00000000-0000-0000-0000-0000000000a1')$$, '23505', null, 'less content is other content');
select is_empty($$insert into f6.event (id, object_ids, event_type, event_data, event_source_type, event_source_id, metadata)
    values ('00000000-0000-0000-0000-0000000000a1', array[object('a'), object('b')], 'Note', '{"text": "all"}', 'citizen',
        '00000000-0000-0000-0000-00000000beef', '{"trace": 1}') returning 1$$, 'INSERT leaves the same event out');
select is((select count(*) from f6.event), (select events from before_repeat), 'none of it added an event');
select results_eq($$select id from f6_append('[
        {"event_type": "Note", "id": "00000000-0000-0000-0000-0000000000a2", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"text": "x"}},
        {"event_type": "Note", "id": "00000000-0000-0000-0000-0000000000a3", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"text": "y"}},
        {"event_type": "Note", "id": "00000000-0000-0000-0000-0000000000a3", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {"text": "y"}}]')$$,
    array['00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-0000000000a3', '00000000-0000-0000-0000-0000000000a3']::uuid[],
    'a batch may repeat events, old and its own');
select is((select count(*) from f6.event), (select events + 1 from before_repeat), 'and adds the new one once');

-- formal time
select f6_register_zone('Append test', 'import');
set local f6.zone = 'Append test/import';
select f6_append('Note', array[object('i')], '{}', created_at => '2001-01-01');
select is(row((last_event()).created_at, (last_event()).occurred_at), row('2001-01-01'::timestamptz, '2001-01-01'::timestamptz),
    'an importer says when it was recorded; it occurred then');
select lives_ok($$select f6_append('Note', array[object('i')], '{}', created_at => '2001-01-01')$$, 'the same moment again is no step back');
select throws_ok($$select f6_append('Note', array[object('i')], '{}', created_at => '2000-12-31 23:59:59.999999')$$, '22023', null,
    'a microsecond earlier is');
select lives_ok($$insert into f6.event (zone_id, event_type, object_ids, event_data, created_at)
    select 1, 'Note', array[object('i')], '{}', clock_timestamp()$$, 'another zone has its own newest event');

-- zones by their names
select f6_register_zone('Elsewhere', 'default');
select f6_register_zone('Elsewhere', '1');
reset f6.zone;
select lives_ok($$select f6_append('Note', array[object('d')], '{}')$$, 'another zone may be called default');
set local f6.zone = '1';
select f6_append('Note', array[object('d')], '{}');
select is((last_event()).zone_id, 1, 'a number is a zone''s number, whatever others are called');
set local f6.zone = 'Elsewhere/1';
select f6_append('Note', array[object('d')], '{}');
select is((last_event()).zone_id, (select zone_id from f6.zone where name = '1'), 'organisation and name are exact');
reset f6.zone;

-- the same ids are the same array, wherever it begins
select f6_append('Note', '[5:5]={00000000-0000-0000-0000-00000000000e}'::uuid[], '{}', id => '00000000-0000-0000-0000-0000000000e1');
select lives_ok($$select f6_append('Note', '{00000000-0000-0000-0000-00000000000e}'::uuid[], '{}',
    id => '00000000-0000-0000-0000-0000000000e1')$$, 'a lower bound is no content');

-- depth
select throws_ok(format($$select f6_append('Anything', array[object('deep')], %L)$$, repeat('[', 1001) || repeat(']', 1001)),
    '54000', null, 'data deeper than the limit is refused');
select f6_append('Anything', array[object('deep')], (repeat('{"a":', 1000) || '1' || repeat('}', 1000))::jsonb);
select isnt(f6_state_asof(object('deep')), null, 'data as deep as the limit is folded');

-- who may not read the log learns nothing of it from errors
create role f6_test_blind in role f6_writer;
create function detail_of(statement text) returns text language plpgsql as $$
declare
    detail text;
begin
    execute statement;
    return 'no error';
exception when others then
    get stacked diagnostics detail = pg_exception_detail;
    return detail;
end
$$;
grant execute on all functions in schema public to f6_test_blind;
set local role f6_test_blind;
select is(detail_of($$select f6_append('Note', array[object('b')], 'null', event_kind => 'correction',
    event_reference => array['00000000-0000-0000-0000-0000000000a2']::uuid[])$$)
    || detail_of($$select f6_append('Anything', array[object('b')], '1', id => '00000000-0000-0000-0000-0000000000a2')$$),
    'Event 00000000-0000-0000-0000-0000000000a2.', 'errors tell a writer who may not read nothing about events');
reset role;

select ok(links_agree(), 'the link tables agree with the log');
-- parameters and literals without types
prepare untyped as select "position" > 0 from f6_append($1, $2, $3);
select results_eq($$execute untyped('Note', '{00000000-0000-0000-0000-0000000000c1}', '{"text": "untyped"}')$$, $$values (true)$$,
    'three parameters without types are an event');
select results_eq($$select event_type, object_ids, event_data from f6.event order by "position" desc limit 1$$,
    $$values ('Note', array['00000000-0000-0000-0000-0000000000c1']::uuid[], '{"text": "untyped"}'::jsonb)$$, 'and it is the one that they say');
select is((select parameter_types::text from pg_prepared_statements where name = 'untyped'), '{text,text,jsonb}', 'of these types');
prepare named as select f6_append(event_type => $1, object_ids => $2, event_data => $3);
select is((select parameter_types::text from pg_prepared_statements where name = 'named'), '{text,uuid[],jsonb}', 'named ones have their own');
select lives_ok($$select f6_append('Note', '{00000000-0000-0000-0000-0000000000c1}', '{"text": "typed"}'::jsonb)$$,
    'so is one with data that has a type');
select throws_ok($$select f6_append('[{"event_type": "Note"}]', '0', '[{}]')$$, '22023', 'three arguments without types are one event, not a batch', 'a batch is not taken for an event');
select throws_ok($$select f6_append('[{"event_type": "Note"}]', 'null', '[{}]')$$, '22023', 'three arguments without types are one event, not a batch', 'whatever comes with it');
select throws_ok($$select f6_append('Note', 'nobody', '{"text": "untyped"}')$$, '22P02', null, 'objects that are no array are refused');
select throws_ok($$select f6_append('Note', null, '{"text": "untyped"}')$$, '22023', null, 'and none at all');
-- a trigger of somebody else's that leaves events out
create function leave_out() returns trigger language plpgsql as 'begin return null; end';
create trigger leave_out before insert on f6.event for each row execute function leave_out();
select throws_ok($$select f6_append('Note', array[object('a'), object('b')], '{"text": "none"}',
    id => '00000000-0000-0000-0000-0000000000a1')$$, '23505', null, 'what was left out is not taken for another event with its id');
select results_eq($$execute again('{"text": "all"}')$$,
    $$select "position" from f6.event where id = '00000000-0000-0000-0000-0000000000a1'$$, 'but for the same event');
drop trigger leave_out on f6.event;
create table whole (like f6.event) partition by list (event_type);
alter table whole attach partition f6.event default;
select throws_ok($$insert into whole (event_type, object_ids, event_data) values ('Note', array[object('x')], '{}')$$,
    '55000', null, 'no event comes in through a partitioned table, where nothing would link it');
alter table whole detach partition f6.event;
alter type f6.appended add attribute more text;
select throws_ok($$select f6_append('Note', array[object('x')], '{}')$$, '42804', null, 'a changed result type is refused');
select throws_ok($$select f6_append('{"event_type": "Note", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {}}')$$,
    '42804', null, 'by the batch too');
select * from finish();
rollback;
