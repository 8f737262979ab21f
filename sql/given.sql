-- Given, when, then: tests of the user's commands and projections.  A scenario is kept in settings of the session; a test runs it in a
-- subtransaction that is rolled back, and reports by functions of pgTAP, which are looked up when a test is run.

create function f6.events_of_test(events jsonb) returns jsonb
    language sql stable
begin atomic
    select coalesce(jsonb_agg(
               case when jsonb_typeof(u.event -> 'object_ids') = 'array' then
                   jsonb_set(u.event, '{object_ids}', (
                       select coalesce(jsonb_agg(coalesce(to_jsonb(@extschema@.f6_object_id(k.key, k.value)), o.object) order by o.place), '[]')
                           from jsonb_array_elements(u.event -> 'object_ids') with ordinality as o (object, place)
                           left join lateral jsonb_each_text(
                               case when jsonb_typeof(o.object) = 'object' then o.object else '{}' end) as k on true))
               else u.event end order by u.place), '[]')
        from jsonb_array_elements(case when jsonb_typeof(events) = 'array' then events else jsonb_build_array(events) end)
            with ordinality as u (event, place);
end;
comment on function f6.events_of_test(jsonb) is 'events of a test, with the ids of the objects that are named by their keys';

create function f6.members_like(event jsonb, model jsonb) returns jsonb
    language sql immutable
begin atomic
    select coalesce(jsonb_object_agg(m.key, m.value), '{}') from jsonb_each(event) as m where model ? m.key;
end;
comment on function f6.members_like(jsonb, jsonb) is 'the members of an object that another has too';

create function f6.expected_events(events jsonb) returns jsonb
    language plpgsql stable
as $body$
declare
    expected jsonb;
    whole jsonb;
    unknown text;
    result jsonb default '[]';
begin
    for expected in select e.event from pg_catalog.jsonb_array_elements(f6.events_of_test(events)) as e (event) loop
        if pg_catalog.jsonb_typeof(expected) operator(pg_catalog.<>) 'object' then
            raise exception 'an expected event must be a JSON object, found %', pg_catalog.jsonb_typeof(expected)
                using errcode = 'invalid_parameter_value';
        end if;
        whole := pg_catalog.to_jsonb(pg_catalog.jsonb_populate_record(null::f6.event, expected));
        select k.key into unknown from pg_catalog.jsonb_object_keys(expected) as k (key)
            where not whole operator(pg_catalog.?) k.key limit 1;
        if found then
            raise exception 'unknown key "%" in an expected event', unknown
                using errcode = 'invalid_parameter_value', hint = 'The keys are the names of the columns of f6.event.';
        end if;
        result := result operator(pg_catalog.||) pg_catalog.jsonb_build_array(f6.members_like(whole, expected));
    end loop;
    return result;
end
$body$;
comment on function f6.expected_events(jsonb) is 'events that a test expects, with values as the log writes them';

create function f6.events_like(events jsonb, models jsonb) returns jsonb
    language sql immutable
begin atomic
    select coalesce(jsonb_agg(f6.members_like(u.event, coalesce(models -> (u.place - 1)::integer,
                                                                '{"event_type": null, "event_data": null}')) order by u.place), '[]')
        from jsonb_array_elements(events) with ordinality as u (event, place);
end;
comment on function f6.events_like(jsonb, jsonb) is
    'events with the members that the model at the same place has, or else their types and data';

create function f6.lines_of(list jsonb) returns text
    language sql immutable
begin atomic
    select coalesce(string_agg(u.element::text, E'\n' || repeat(' ', 14) order by u.place), 'nothing')
        from jsonb_array_elements(list) with ordinality as u (element, place);
end;
comment on function f6.lines_of(jsonb) is 'a line for each element, below each other where pgTAP shows them';

create function f6.run_scenario(query text default null, out events jsonb, out failure text, out code text, out message text, out "rows" jsonb)
    language plpgsql volatile
as $body$
declare
    given constant jsonb := nullif(pg_catalog.current_setting('f6_given.events', true), '');
    command constant text := nullif(pg_catalog.current_setting('f6_given.command', true), '');
    since bigint;
    found_row pg_catalog.record;
begin
    if command is null and query is null then
        raise exception 'there is no command to test'
            using errcode = 'object_not_in_prerequisite_state', hint = 'Give it with f6_when.';
    end if;
    begin
        perform @extschema@.f6_append(coalesce(given, '[]'));
        select coalesce(pg_catalog.max(e."position"), 0) into since from f6.event as e;
        begin
            if command is not null then
                execute command;
            end if;
            select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(e) order by e."position"), '[]') into events
                from f6.event as e where e."position" operator(pg_catalog.>) since;
            if query is not null then
                rows := '[]';
                for found_row in execute query loop
                    rows := rows operator(pg_catalog.||) pg_catalog.jsonb_build_array(pg_catalog.to_jsonb(found_row));
                end loop;
            end if;
        exception when others then
            get stacked diagnostics code = returned_sqlstate, message = message_text;
            failure := pg_catalog.format('ERROR %s: %s', code, message);
        end;
        raise exception using errcode = 'F6END';
    exception when sqlstate 'F6END' then
    end;
end
$body$;
comment on function f6.run_scenario(text) is
    'runs what was given and the command, and then a query, rolls it all back, and tells what came of it';

create function f6.tap_line(passes boolean, have text, want text, description text) returns text
    language plpgsql volatile
as $body$
declare
    line text;
begin
    if pg_catalog.to_regprocedure('is(anyelement, anyelement, text)') is null then
        raise exception 'pgTAP is not there'
            using errcode = 'undefined_function',
                  hint = 'Run CREATE EXTENSION pgtap in the database of the tests, and have its schema in the search_path.';
    end if;
    execute 'select is($1, $2, $3)' into line
        using have, case when passes then have else want end, pg_catalog.regexp_replace(description, '\s+', ' ', 'g');
    return line;
end
$body$;
comment on function f6.tap_line(boolean, text, text, text) is 'the line of a test as pgTAP writes it';

create function @extschema@.f6_given(events jsonb default '[]') returns void
    language sql volatile
begin atomic
    select set_config('f6_given.events', coalesce(f6.events_of_test(events), '[]')::text, false),
           set_config('f6_given.command', '', false);
end;
comment on function @extschema@.f6_given(jsonb) is
    'begins a scenario: the events that have happened when its command is run';

create function @extschema@.f6_when(command text) returns void
    language sql volatile
begin atomic
    select set_config('f6_given.command', command, false);
end;
comment on function @extschema@.f6_when(text) is 'the command, a statement of SQL, that a scenario is about';

create function @extschema@.f6_then(events jsonb, description text default null) returns text
    language plpgsql volatile
as $body$
declare
    expected constant jsonb := f6.expected_events(events);
    outcome constant pg_catalog.record := f6.run_scenario();
    appended constant jsonb := f6.events_like(outcome.events, expected);
begin
    return f6.tap_line(outcome.failure is null and appended operator(pg_catalog.=) expected,
                       coalesce(outcome.failure, f6.lines_of(appended)), f6.lines_of(expected),
                       coalesce(description, pg_catalog.current_setting('f6_given.command')));
end
$body$;
comment on function @extschema@.f6_then(jsonb, text) is 'a test of pgTAP: the command appends these events and no others';

create function @extschema@.f6_then_fails(code text default null, message text default null, description text default null)
    returns text
    language plpgsql volatile
as $body$
declare
    outcome constant pg_catalog.record := f6.run_scenario();
begin
    return f6.tap_line(outcome.failure is not null
                       and coalesce(outcome.code operator(pg_catalog.=) f6_then_fails.code, true)
                       and coalesce(outcome.message operator(pg_catalog.~~) f6_then_fails.message, true),
                       coalesce(outcome.failure, f6.lines_of(f6.events_like(outcome.events, '[]'))),
                       pg_catalog.format('ERROR %s: %s', coalesce(code, '%'), coalesce(message, '%')),
                       coalesce(description, pg_catalog.current_setting('f6_given.command')));
end
$body$;
comment on function @extschema@.f6_then_fails(text, text, text) is
    'a test of pgTAP: the command fails, with this SQLSTATE and a message like this pattern';

create function @extschema@.f6_then_rows(query text, "rows" jsonb, description text default null) returns text
    language plpgsql volatile
as $body$
declare
    outcome constant pg_catalog.record := f6.run_scenario(query);
begin
    return f6.tap_line(outcome.failure is null and outcome.rows operator(pg_catalog.=) f6_then_rows.rows,
                       coalesce(outcome.failure, f6.lines_of(outcome.rows)), f6.lines_of(f6_then_rows.rows),
                       coalesce(description, query));
end
$body$;
comment on function @extschema@.f6_then_rows(text, jsonb, text) is
    'a test of pgTAP: after the command, if there is one, a query returns these rows';
