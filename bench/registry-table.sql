-- The same by a table of rectangles.
\set days random(0, 15340)
\set known random(0, 10500)
select count(state)
    from bench.rectangle
    where known @> timestamptz '1994-01-01' + :known * interval '1 day' and valid @> timestamptz '1980-01-01' + :days * interval '1 day';
