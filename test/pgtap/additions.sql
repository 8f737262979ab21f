-- What somebody else has added to the log and its links holds for f6_append as it does for INSERT.
begin;
select no_plan();

create function object(name text) returns uuid language sql immutable as $$ select f6_object_id('test', name) $$;
select f6_register_event_type('Note', '1', 'true');

alter table f6.event alter column metadata set not null;
select throws_ok($$select f6_append('Note', array[object('x')], '{}')$$, '23502', null, 'a column that must not be NULL');
select lives_ok($$select f6_append('Note', array[object('x')], '{}', metadata => '{}')$$, 'and is not');
alter table f6.event alter column metadata drop not null;

alter table f6.event_object add column note text not null default '';
select throws_ok($$select f6_append('Note', array[object('x')], '{}')$$, '23502', null, 'nor one of the links');
alter table f6.event_object drop column note;
alter table f6.event_link add column note text check (note = 'x');
select lives_ok($$select f6_append('Note', array[object('x')], '{}')$$, 'a column that may be NULL');
select is((select count(*) from f6.event_object), (select sum(cardinality(object_ids)) from f6.event), 'each event is linked');

create table linked (object_id uuid, is_logged boolean);
create function note_link() returns trigger language plpgsql as $$
begin
    insert into linked values (new.object_id, exists (select from f6.event where "position" = new."position"));
    return null;
end $$;
create trigger note_link after insert on f6.event_object for each row execute function note_link();
do $$ declare appended f6.appended; begin appended := f6_append('Note', array[object('linked')], '{}'); end $$;
select results_eq('select * from linked', $$values (object('linked'), true)$$, 'a trigger on the links finds the event in the log');
drop trigger note_link on f6.event_object;

-- Who changes the columns of f6's tables is told so, by whatever needs them.
create function changed(change text, statements text[]) returns setof text language plpgsql as $$
declare
    statement text;
begin
    foreach statement in array statements loop
        begin
            execute 'alter ' || change;
            execute statement;
            raise exception 'no error' using errcode = 'TEST0';
        exception when others then
            return next case when sqlstate <> '42804' then format('%s: %s %s', statement, sqlstate, sqlerrm) end;
        end;
    end loop;
end $$;
select is(array_agg(c) filter (where c is not null), null, change) from unnest(array[
    'drop column event_type cascade', 'drop column event_kind cascade', 'alter zone_id type bigint', 'alter id type text using id::text',
    'alter event_kind type text', 'alter event_kind type integer using 1', 'alter object_ids type text[]', 'alter occurred_at type date',
    'alter event_data type json using event_data::json', 'drop column application_name', 'rename event_version to version']) as change,
    changed('table f6.event ' || change, array[
        'select f6_append(''Note'', array[object(''x'')], ''{}'')',
        'select f6_append(''{"event_type": "Note", "object_ids": ["00000000-0000-0000-0000-00000000000a"], "event_data": {}}'')',
        'insert into f6.event values (default)', 'select f6_upcast(e, ''2'') from f6.event as e', 'select f6_read()',
        'select f6_read_context(''[{}]'', true)', 'select f6_state_asof(object(''x''))', 'select f6_events(object(''x''))',
        'select f6_consequences(object(''x''))', 'select f6_pending(object_id => object(''x''))', 'select f6_validate_claim(object(''x''))',
        'select f6_retract(object(''x''), ''x'')',
        'select f6_check_event_type(''Note'', ''true'')']) as c group by change;
select is(array_agg(c) filter (where c is not null), null, change) from unnest(array[
    'alter object_id type text using object_id::text', 'alter "position" type text', 'rename object_id to objects']) as change,
    changed('table f6.event_object ' || change, array[
        'select f6_append(''Note'', array[object(''x'')], ''{}'')', 'select f6_append(''Note'', array[object(''x'')], ''{}'', after => 0)',
        'insert into f6.event (event_type, object_ids, event_data) values (''Note'', array[object(''x'')], ''{}'')',
        'select f6_read(jsonb_build_object(''objects'', array[object(''x'')]))', 'select f6_state_asof(object(''x''))']) as c group by change;
select is(array_agg(c) filter (where c is not null), null, change) from unnest(array['alter attribute id type text', 'drop attribute "position"']) as change,
    changed('type f6.appended ' || change, array['select f6_append(''Note'', array[object(''x'')], ''{}'')']) as c group by change;

-- Who may not append waits for nothing, locks nothing and learns nothing, whichever way the events would go.
create role f6_test_nobody;
grant execute on all functions in schema public to f6_test_nobody;
set local role f6_test_nobody;
select throws_ok($$select f6_append('Note', array[object('x')], '{}', unless => '[{}]')$$, '42501', null, 'no condition without the privilege');
reset role;
create function let_pass() returns trigger language plpgsql as 'begin return new; end';
create trigger let_pass before insert on f6.event for each row execute function let_pass();
set local role f6_test_nobody;
select throws_ok($$select f6_append('Note', array[object('x')], '{}', unless => '[{}]')$$, '42501', null, 'nor with a trigger of somebody else''s');
select throws_ok($$select f6_read('{"types": ["Note"]}')$$, '42501', null, 'nor are events read');
select throws_ok($$select f6_read('{"types": ["None"]}')$$, '42501', null, 'also when there are none');
reset role;
grant f6_writer to f6_test_nobody;
drop trigger let_pass on f6.event;
revoke usage on schema f6 from public;
set local role f6_test_nobody;
select throws_ok($$select f6_append('Note', array[object('x')], '{}')$$, '42501', 'permission denied for schema f6', 'nor who may not use the schema');
reset role;
select * from finish();
rollback;
