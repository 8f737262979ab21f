-- Where somebody lived, on a day and over a period: the cases for which the history API of the Dutch population registry publishes
-- scenarios.  Stays follow each other, are corrected, begin on days that are not known in full, or turn out never to have been.
begin;
select no_plan();
set local timezone = 'Europe/Amsterdam';

-- Two functions of docs/time.md: the days on which something can have begun, and the day from which it counts.
create function days_of(given text) returns daterange immutable
return (
    select daterange(d, case when given = '00000000' then null
                             when given like '%0000' then d + interval '1 year'
                             when given like '%00' then d + interval '1 month'
                             else d + interval '1 day' end::date)
    from make_date(greatest(left(given, 4)::int, 1), greatest(substr(given, 5, 2)::int, 1),
                   greatest(right(given, 2)::int, 1)) as d);
create function counts_from(given text, previous date default null) returns date immutable
return case when given like '%00' and previous <@ days_of(given) then previous + 1 else lower(days_of(given)) end;

select f6_register_event_type('Stay', '1', '{
    "type": "object",
    "required": ["since", "since_given", "place"],
    "properties": {"since": {"type": "string", "format": "date"}, "since_given": {"pattern": "^[0-9]{8}$"}}}', valid_from => '/since');

-- Enters "moved PLACE DATE", or "corrected PLACE DATE", which restates the stay before it.  A stay that counts from the day of
-- a later one, or from a day after it, never was.
create function enter(person uuid, entry text) returns void language plpgsql as $$
declare
    words constant text[] := string_to_array(entry, ' ');
    stays f6.span[] := array(select h from f6_history(person, 'infinity', legal => true) as h order by valid_from);
    restated uuid;
    since date;
    overtaken uuid;
begin
    if words[1] = 'corrected' then
        restated := (stays[cardinality(stays)]).event_id;
        stays := trim_array(stays, 1);
    end if;
    since := counts_from(words[3], (stays[cardinality(stays)]).valid_from::date);
    perform f6_validate_claim(id)
        from f6_append('Stay', case when restated is null then array[person] end,
            jsonb_build_object('since', since, 'since_given', words[3], 'place', words[2]),
            event_kind => case when restated is null then 'claim' else 'correction' end::f6.event_kind, event_reference => array_remove(array[restated], null));
    for overtaken in select s.event_id from unnest(stays) as s where s.valid_from >= since loop
        perform f6_retract(overtaken, 'overtaken', legal => true);
    end loop;
end $$;

-- Enters a list of entries for a person, and returns when each was done.
create function enter_all(person uuid, entries text[]) returns timestamptz[] language plpgsql as $$
declare
    done timestamptz[];
    entry text;
begin
    foreach entry in array entries loop
        perform enter(person, entry);
        done := done || clock_timestamp();
    end loop;
    return done;
end $$;

create table person (name text primary key, entries text[], done timestamptz[]);
insert into person values
    ('one', '{moved Kade 20110318}'),
    ('two', '{moved Kade 20110318, moved Dijk 20170526}'),
    ('abroad', '{moved Kade 20050214, moved Peru 20110318, moved Dijk 20170526}'),
    ('never left', '{moved Kade 20110318, moved Kade 20170526}'),
    ('began later', '{moved Kade 20170516, corrected Kade 20170601}'),
    ('began earlier', '{moved Kade 20170601, corrected Kade 20170516}'),
    ('left earlier', '{moved Kade 20110318, moved Dijk 20170601, corrected Dijk 20170516}'),
    ('left later', '{moved Kade 20110318, moved Dijk 20170516, corrected Dijk 20170601}'),
    ('elsewhere', '{moved Kade 20110318, moved Peru 20170516, corrected Dijk 20170516}'),
    ('back home', '{moved Kade 20030701, moved Peru 20111014, corrected Kade 20030701}'),
    ('same day', '{moved Kade 20030701, moved Dijk 20030701}'),
    ('day before', '{moved Kade 20030701, moved Dijk 20030628}'),
    ('never known', '{moved Kade 00000000}'),
    ('some year', '{moved Kade 20090818, moved Dijk 20110000}'),
    ('some month', '{moved Kade 20090818, moved Dijk 20120300, moved Plein 20171014}'),
    ('same year', '{moved Kade 20110818, moved Dijk 20110000}'),
    ('same month', '{moved Kade 20110818, moved Dijk 20110800, moved Plein 20110831}'),
    ('after correction', '{moved Kade 20170516, corrected Kade 20170601, moved Dijk 20170000}'),
    ('year known later', '{moved Kade 20090818, moved Dijk 20110000, corrected Dijk 20110930}');
update person set done = enter_all(f6_object_id('stay', name), entries);

-- Where they lived on a day, and where over a period, the last one first; as known after so many entries, or after all.
create function on_day(name text, day date, after int default null) returns text language sql as $$
    select f6_state_asof(f6_object_id('stay', p.name), day, coalesce(p.done[after], 'infinity'), legal => true) ->> 'place'
        from person as p where p.name = on_day.name
$$;
create function over_period(name text, since date, until date, after int default null) returns text language sql as $$
    select string_agg(h.state ->> 'place', ' ' order by h.valid_from desc)
        from person as p, f6_history(f6_object_id('stay', p.name), coalesce(p.done[after], 'infinity'), legal => true) as h
        where p.name = over_period.name and h.valid_from < until and h.valid_to > since
$$;

-- On a day: from its first day on, and not after the next has begun.
select is(on_day('one', '2011-03-17'), null, 'the day before the first stay');
select is(on_day('one', '2011-03-18'), 'Kade', 'its first day');
select is(on_day('one', '2030-01-01'), 'Kade', 'a stay that no other follows goes on');
select is(on_day('two', '2017-05-25'), 'Kade', 'the day before the next');
select is(on_day('two', '2017-05-26'), 'Dijk', 'the first day of the next');
select is(on_day('abroad', '2011-03-17'), 'Kade', 'the day before leaving the country');
select is(on_day('abroad', '2011-03-18'), 'Peru', 'the first day abroad');
select is(on_day('abroad', '2017-05-25'), 'Peru', 'the last day abroad');
select is(on_day('never left', '2017-05-26'), 'Kade', 'the same place again');

-- Over a period: what overlaps it by a day; its end is not in it.
select is(over_period('two', '2010-01-01', '2011-03-18'), null, 'a period that ends where the first stay begins');
select is(over_period('two', '2010-01-01', '2011-03-19'), 'Kade', 'one that has its first day');
select is(over_period('two', '2010-01-01', '2017-05-26'), 'Kade', 'one that ends where the next begins');
select is(over_period('two', '2010-01-01', '2017-05-27'), 'Dijk Kade', 'one that has the first day of the next');
select is(over_period('two', '2017-05-25', '2020-01-01'), 'Dijk Kade', 'one that begins on the last day of a stay');
select is(over_period('two', '2017-05-26', '2020-01-01'), 'Dijk', 'one that begins where it has ended');
select is(over_period('abroad', '2011-03-17', '2017-05-27'), 'Dijk Peru Kade', 'three');
select is(over_period('abroad', '2012-01-01', '2012-01-02'), 'Peru', 'a day within one');
select is(over_period('never left', '2011-01-01', '2020-01-01'), 'Kade Kade', 'two stays at one place are two');

-- A record that was found incorrect has no part in the answer, but for what was known before.
select is(on_day('began later', '2017-05-26'), null, 'it began later than was recorded');
select is(on_day('began later', '2017-05-26', 1), 'Kade', 'which was not known');
select is(over_period('began later', '2017-05-01', '2017-06-01'), null, 'nor in a period before it');
select is(on_day('began earlier', '2017-05-16'), 'Kade', 'it began earlier');
select is(on_day('began earlier', '2017-05-31', 1), null, 'which was not known either');
select is(on_day('left earlier', '2017-05-16'), 'Dijk', 'the stay before it ends earlier');
select is(on_day('left earlier', '2017-05-31', 2), 'Kade', 'was believed to last');
select is(over_period('left earlier', '2017-05-16', '2017-06-01'), 'Dijk', 'and is not in a period after its end');
select is(on_day('left later', '2017-05-31'), 'Kade', 'the stay before it ends later');
select is(over_period('left later', '2017-05-16', '2017-06-01'), 'Kade', 'alone');
select is(over_period('left later', '2017-05-16', '2017-06-01', 2), 'Dijk', 'as was not believed');
select is(on_day('elsewhere', '2018-01-01'), 'Dijk', 'never abroad');
select is(on_day('elsewhere', '2018-01-01', 2), 'Peru', 'as was believed');
select is(over_period('elsewhere', '2010-01-01', '2030-01-01'), 'Dijk Kade', 'what was incorrect is in no period');

-- A stay whose successor begins on its first day, or before, never was.
select is(over_period('back home', '2000-01-01', '2030-01-01'), 'Kade', 'one stay takes the place of two');
select is(over_period('back home', '2000-01-01', '2030-01-01', 2), 'Peru Kade', 'which were two');
select is(on_day('same day', '2003-07-01'), 'Dijk', 'the one that was recorded later');
select is(over_period('same day', '2000-01-01', '2030-01-01'), 'Dijk', 'and no other');
select is(on_day('day before', '2003-06-28'), 'Dijk', 'a day before it');
select is(on_day('day before', '2003-07-03'), 'Dijk', 'and on its days');
select is(over_period('day before', '2000-01-01', '2030-01-01'), 'Dijk', 'it never was');

-- A date that is not known in full counts as the first day that it can be, after that of the stay before.
select is(on_day('never known', '0001-01-01'), 'Kade', 'a stay since an unknown day: always');
select is(on_day('some year', '2010-12-31'), 'Kade', 'the day before the year');
select is(on_day('some year', '2011-01-01'), 'Dijk', 'the first day of the year');
select is(on_day('some year', '2012-01-01'), 'Dijk', 'the day after the year');
select is(over_period('some year', '2010-12-31', '2011-01-02'), 'Dijk Kade', 'a period that has both');
select is(over_period('some year', '2011-01-01', '2012-01-01'), 'Dijk', 'the year is its alone');
select is(on_day('some month', '2012-02-29'), 'Kade', 'the day before the month, in a leap year');
select is(on_day('some month', '2012-03-01'), 'Dijk', 'the first day of the month');
select is(on_day('some month', '2017-10-13'), 'Dijk', 'until a day that is known');
select is(on_day('same year', '2011-08-17'), null, 'nothing before a day that is known');
select is(on_day('same year', '2011-08-18'), 'Kade', 'on which the stay was there');
select is(on_day('same year', '2011-08-19'), 'Dijk', 'the next may have begun a day later');
select is(over_period('same month', '2011-08-01', '2011-09-01'), 'Plein Dijk Kade', 'three in a month');
select is(on_day('same month', '2011-08-30'), 'Dijk', 'the uncertain one lasts until the last');
select is(on_day('after correction', '2017-05-31'), null, 'an uncertain date follows what was corrected');
select is(on_day('after correction', '2017-06-02'), 'Dijk', 'to the day');
select is(on_day('year known later', '2011-09-29'), 'Kade', 'when the day is found, the stay before lasts until then');
select is(on_day('year known later', '2011-09-29', 2), 'Dijk', 'and before it was found, it did not');

select * from finish();
rollback;
