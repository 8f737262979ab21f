-- The rectangles of the story in docs/time.md, a line each for docs/picture/draw, from the database in which its examples ran.
\pset format unaligned
\pset tuples_only on
\pset fieldsep '|'
set timezone = 'Europe/Amsterdam';
select known_from::date, known_to::date, valid_from::date, valid_to::date, address(state)
from f6_bitemporal(f6_object_id('person', '1001'));
