select count(*) filter (where data ? 'street') from bench.typical;
