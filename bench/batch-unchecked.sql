-- A batch of the type without a check, otherwise the same.
\if :unchecked_fetched = 0
select replace(events, '"Residence"', '"Unchecked"') as unchecked_events from bench.batch where size = :size::integer \gset
\set unchecked_fetched 1
\endif
select count(*) from f6_append(:unchecked_events::jsonb);
