select count(*) filter (where data is not null) from bench.typical;
