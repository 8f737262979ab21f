-- The memory of a session after a tenth of so many different schemas, and after all of them.
select count(f6_validate(s.schema || jsonb_build_object('title', n::text), '{}')) as validated
    from bench.schema as s cross join generate_series(1, :count / 10) as n
    where s.name = 'typical' \gset
select sum(total_bytes) from pg_backend_memory_contexts;
select count(f6_validate(s.schema || jsonb_build_object('title', n::text), '{}')) as validated
    from bench.schema as s cross join generate_series(:count / 10 + 1, :count) as n
    where s.name = 'typical' \gset
select sum(total_bytes) from pg_backend_memory_contexts;
