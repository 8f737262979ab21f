-- The birth of a human, as two registries record it: `make demo` runs this on a fresh server.
\set ON_ERROR_STOP on
\set QUIET on
\pset null '-'
\pset footer off
set timezone = 'Europe/Amsterdam';
create extension f6;

--
-- 1. Who records: two zones, each the owner of its events.
--    The child is born in Waterdam, which keeps the act of birth. Heuvelrode, where it lives, keeps the address.
--
select f6_register_zone('Waterdam', 'civil registry') as waterdam,
       f6_register_zone('Heuvelrode', 'address registry') as heuvelrode;

--
-- 2. What can be recorded: types of event, each with the JSON Schema that its events must satisfy.
--
\pset tuples_only on
select f6_register_event_type('BirthObserved', '1', '{
    "type": "object",
    "required": ["weight_grams"],
    "properties": {"weight_grams": {"type": "integer", "minimum": 200, "maximum": 9000}},
    "additionalProperties": false}');

select f6_register_event_type('Birth', '1', '{
    "type": "object",
    "required": ["born_on", "born_in", "parents"],
    "properties": {
        "born_on": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "born_in": {"type": "string", "minLength": 1},
        "parents": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true}},
    "additionalProperties": false}');

select f6_register_event_type('NameChoice', '1', '{
    "type": "object",
    "required": ["given_names", "family_name"],
    "properties": {
        "given_names": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        "family_name": {"type": "string", "minLength": 1}},
    "additionalProperties": false}');

-- A residence has a date of effect, "since": from then on it is true, whenever it was claimed or recorded.
select f6_register_event_type('Residence', '1', '{
    "type": "object",
    "required": ["since", "street", "house_number", "town"],
    "properties": {
        "since": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "street": {"type": "string", "minLength": 1},
        "house_number": {"type": "integer", "minimum": 1},
        "town": {"type": "string", "minLength": 1}},
    "additionalProperties": false}', valid_from => '/since');

\pset tuples_only off
--
-- 3. What is recorded.
--    The log itself says when it recorded something. This history took three months, so it is appended as a migrated
--    one would be: by a member of f6_importer (a superuser counts as one), who says in created_at when that was.
--    The ids are chosen here, for later events to name them; f6 makes them where none are given.
--
\set observed    018cc251-0000-7000-8000-000000000001
\set declared    018cc251-0000-7000-8000-000000000002
\set named       018cc251-0000-7000-8000-000000000003
\set resides     018cc251-0000-7000-8000-000000000004
\set renumbered  018cc251-0000-7000-8000-000000000005
\set moved       018cc251-0000-7000-8000-000000000006

-- The child has no name yet. A natural key makes an object id: the same key gives the same id, everywhere.
select f6_object_id('birth', 'Waterdam 2024/1') as child \gset
set f6.zone = 'Waterdam/civil registry';

-- 1 January: a midwife observes a birth. This is a claim: it says that something occurred, and has no legal force.
select * from f6_append('BirthObserved', array[:'child'::uuid], '{"weight_grams": 3480}',
    event_source_type => 'midwife', id => :'observed',
    occurred_at => '2024-01-01 03:12', created_at => '2024-01-01 09:00');

-- 3 January: a parent declares the birth, based on the observation. This is a claim as well.
select * from f6_append('Birth', array[:'child'::uuid],
    '{"born_on": "2024-01-01", "born_in": "Waterdam", "parents": ["F. de Vries", "D. Bakker"]}',
    event_source_type => 'parent', event_reference => array[:'observed'::uuid], id => :'declared',
    occurred_at => '2024-01-01 03:12', created_at => '2024-01-03 10:30');

-- 4 January: an official validates the claim, which gives it legal force. What it is about, f6 sees from the claim.
select position, created_at from f6_append('Birth', null, null, event_kind => 'validation',
    event_source_type => 'official', event_reference => array[:'declared'::uuid],
    created_at => '2024-01-04 14:00');

-- 8 January: the parents choose the names, which count from birth. Validated the next day.
select position, created_at from f6_append('NameChoice', array[:'child'::uuid],
    '{"given_names": ["Noor", "Sofie"], "family_name": "de Vries"}',
    event_source_type => 'parent', event_reference => array[:'declared'::uuid], id => :'named',
    occurred_at => '2024-01-01 03:12', created_at => '2024-01-08 11:00');

select position, created_at from f6_append('NameChoice', null, null, event_kind => 'validation',
    event_source_type => 'official', event_reference => array[:'named'::uuid],
    created_at => '2024-01-09 09:15');

-- 15 January: Heuvelrode registers the address, based on the birth that Waterdam recorded.
-- A claim and its validation in one batch, as JSON: all or nothing.
set f6.zone = 'Heuvelrode/address registry';
select position, created_at from f6_append(jsonb_build_array(
    jsonb_build_object(
        'event_type', 'Residence', 'id', :'resides', 'object_ids', array[:'child'],
        'event_source_type', 'official', 'event_reference', array[:'declared'], 'created_at', '2024-01-15 16:20',
        'event_data', json '{"since": "2024-01-01", "street": "Dorpsstraat", "house_number": 71,
                             "town": "Heuvelrode"}'),
    jsonb_build_object(
        'event_type', 'Residence', 'event_kind', 'validation',
        'event_source_type', 'official', 'event_reference', array[:'resides'], 'created_at', '2024-01-15 16:20')));

-- 5 February: the house number was wrong, it is 17. The event stays as it was recorded; a correction restates it.
select position, created_at from f6_append('Residence', null,
    '{"since": "2024-01-01", "street": "Dorpsstraat", "house_number": 17, "town": "Heuvelrode"}',
    event_kind => 'correction',
    event_source_type => 'official', event_reference => array[:'resides'::uuid], id => :'renumbered',
    created_at => '2024-02-05 10:00');

select position, created_at from f6_append('Residence', null, null, event_kind => 'validation',
    event_source_type => 'official', event_reference => array[:'renumbered'::uuid],
    created_at => '2024-02-06 10:00');

-- 18 March: the family reports, late, that it moved on 1 March. Validated on 20 March.
select position, created_at from f6_append('Residence', array[:'child'::uuid],
    '{"since": "2024-03-01", "street": "Kerkweg", "house_number": 4, "town": "Heuvelrode"}',
    event_source_type => 'parent', id => :'moved',
    created_at => '2024-03-18 13:45');

select position, created_at from f6_append('Residence', null, null, event_kind => 'validation',
    event_source_type => 'official', event_reference => array[:'moved'::uuid],
    created_at => '2024-03-20 09:00');

--
-- 4. What is refused.
--    An event that its schema does not allow: each reason is given, with the place in the data.
--
\set ON_ERROR_STOP off
select * from f6_append('Residence', array[:'child'::uuid],
    '{"since": "1 April", "street": "Kerkweg", "house_number": "4a"}');

--    A change of history, even by a superuser.
update f6.event set event_data = '{"weight_grams": 4000}' where id = :'observed';

\set ON_ERROR_STOP on
--
-- 5. The log, as it now is.
--
select e.position, z.organisation as zone, to_char(e.created_at, 'FMDD Mon') as recorded,
       e.event_type, e.event_kind, e.event_source_type as by,
       (select string_agg(r.position::text, ', ') from f6.event as r where r.id = any (e.event_reference)) as based_on
from f6.event as e join f6.zone as z using (zone_id)
order by e.position;

--
-- 6. What was true, as known when?
--    Who is this, and where did it live on day valid_at, as the registries knew it at the end of day known_at?
--    Each row asks the same question. Legally, only what was validated counts.
--
create function answer(child uuid, valid_at date, known_at date, legal boolean) returns text
return (
    select case when state ? 'born_on'
                then concat_ws(', ', coalesce(state #>> '{given_names,0}', 'born, no name'),
                                     (state ->> 'street') || ' ' || (state ->> 'house_number'))
                when state is not null then 'observed' end
    from f6_state_asof(child, valid_at, known_at + time '23:59:59', legal => legal) as state);

select valid_at, known_at,
       answer(:'child', valid_at, known_at, true) as legally,
       answer(:'child', valid_at, known_at, false) as "as claimed",
       what
from (values
    (date '2024-01-02', date '2024-01-02', 'a midwife saw a birth'),
    ('2024-01-02', '2024-01-03', 'a parent declared it'),
    ('2024-01-02', '2024-01-04', 'an official validated it'),
    ('2023-12-31', '2024-03-31', 'nobody claims a life before birth'),
    ('2024-01-02', '2024-01-08', 'names chosen, not validated yet'),
    ('2024-01-20', '2024-01-20', 'an address, with the wrong number'),
    ('2024-01-20', '2024-02-05', 'set right, not validated yet'),
    ('2024-01-20', '2024-02-06', 'set right, also for January'),
    ('2024-01-20', '2024-01-31', 'yet in January that was not known'),
    ('2024-03-10', '2024-03-15', 'moved, but nobody told the registry'),
    ('2024-03-10', '2024-03-18', 'told, not validated yet'),
    ('2024-03-10', '2024-03-20', 'moved, as of 1 March'),
    ('2024-02-29', '2024-03-20', 'the day before they moved')
) as question (valid_at, known_at, what);

-- The claims that make the present state, as they were recorded, in the order in which they count:
select position, event_type, event_data from f6_events(:'child', legal => true);

-- And that state:
select jsonb_pretty(f6_state_asof(:'child', legal => true)) as state;
