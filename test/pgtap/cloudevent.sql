-- Events as CloudEvents.
begin;
select no_plan();
set local timezone = 'America/New_York';
set local datestyle = 'German';

select f6_register_event_type('nl.waterdam.verhuisd', '1', 'true');
select f6_register_zone('00000001823288444000', 'BRP component é/1');
select f6_register_zone('Gemeente Waterdam', 'persons');
create function o(key text) returns uuid language sql immutable as $$ select f6_object_id('o', key) $$;
create function ce(id uuid) returns jsonb language sql as $$ select f6_cloudevent(e) from f6.event as e where e.id = ce.id $$;

set local f6.zone = '00000001823288444000/BRP component é/1';
select f6_append('nl.waterdam.verhuisd', array[o('x')], '{"a": null, "b": [null, 1]}', occurred_at => '2024-01-02 03:04:05.678901+01', id => o('claim'),
                 metadata => '{"secret": 1}');
select is(ce(o('claim')), jsonb_build_object('specversion', '1.0', 'id', o('claim'), 'type', 'nl.waterdam.verhuisd', 'subject', o('x'),
    'source', 'urn:nld:oin:00000001823288444000:systeem:BRP%20component%20%C3%A9%2F1', 'time', '2024-01-02T02:04:05.678901Z',
    'datacontenttype', 'application/json', 'f6kind', 'claim', 'f6version', '1', 'data', '{"a": null, "b": [null, 1]}'::jsonb), 'all of a claim, and no metadata');
set local f6.zone = 'Gemeente Waterdam/persons';
select f6_append('nl.waterdam.verhuisd', null, null, event_kind => 'validation', event_reference => array[o('claim')], id => o('validation'));
select is(ce(o('validation')) - 'time', jsonb_build_object('specversion', '1.0', 'id', o('validation'), 'type', 'nl.waterdam.verhuisd', 'subject', o('x'),
    'source', '/Gemeente%20Waterdam/persons', 'datacontenttype', 'application/json', 'f6kind', 'validation', 'f6version', '1',
    'f6reference', o('claim'), 'data', null), 'a validation says so, and has no data');
select matches(ce(o('validation')) ->> 'time', '^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$', 'times are RFC 3339');
select f6_append('nl.waterdam.verhuisd', array[o('x'), o('y')], '1', occurred_at => 'infinity', id => o('never'));
select is(ce(o('never')) -> 'time', null, 'what has no such time has none');
select is(ce(o('never')) ->> 'subject', o('x') || ',' || o('y'), 'several objects');
select is(f6_cloudevent(null::f6.event), null, 'nothing of nothing');
select is(f6_cloudevent(null::f6.delivered_event), null, 'whichever it is');
select throws_ok($$select f6_cloudevent(jsonb_populate_record(null::f6.event, '{"event_type": "x"}'))$$, '22004', null, 'what is no event is none');
select f6_subscribe('all of them');
select results_eq($$select f6_cloudevent(d) from f6_poll('all of them') as d$$, $$select f6_cloudevent(e) from f6.event as e order by "position"$$, 'what is delivered is the same');
select is(count(*), 3::bigint, 'all of it') from f6.event;
select is(f6.uri_segment(''), '', 'nothing');
select is(f6.uri_segment('a-Z_0.9~'), 'a-Z_0.9~', 'what need not be written otherwise');
select is(f6.uri_segment(e'%\n/?€😀"'), '%25%0A%2F%3F%E2%82%AC%F0%9F%98%80%22', 'what must');

select * from finish();
rollback;
