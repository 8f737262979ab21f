-- The same by a GiST index over the same spans.
\set number random(1, 2500)
\set days random(0, 12000)
select count(*) from bench.span
    where house_number @> :number::bigint and known @> now() and valid @> '1990-01-01'::timestamptz + :days * interval '1 day';
