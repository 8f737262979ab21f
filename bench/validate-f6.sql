select count(*) filter (where f6_validate((select schema from f6.event_type where event_type = 'Residence'), data))
    from bench.typical;
