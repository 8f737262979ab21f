-- A batch as a parameter; the client fetches it from the server once.
\if :fetched = 0
select events from bench.batch where size = :size::integer \gset
\set fetched 1
\endif
select count(*) from f6_append(:events::jsonb);
