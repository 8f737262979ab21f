-- The same by a table of rectangles, which is read whole.
\set days random(0, 45000)
\set known random(0, 10500)
select count(state)
    from bench.rectangle as r,
         (select timestamptz '1900-01-01' + :days * interval '1 day' as valid, timestamptz '1994-01-01' + :known * interval '1 day' as known) as q
    where r.known_from <= q.known and q.known < r.known_to and r.valid_from <= q.valid and q.valid < r.valid_to;
