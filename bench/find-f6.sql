-- Who had a house number at some time, as known now.
\set number random(1, 2500)
\set days random(0, 12000)
select count(*) from f6_find(null, '/house_number', to_jsonb(:number::integer), '1990-01-01'::timestamptz + :days * interval '1 day');
