-- What the measurements of subscriptions need: a rare type, and somebody who waits for it.

select f6_register_event_type('Rare', '1', 'true');
select f6_subscribe('rare', '{"types": ["Rare"]}', partitions => 10);
create unlogged table bench.latency (milliseconds float8);
-- When who listens was told: microseconds since 1970, and the horizon.
create unlogged table bench.told (at bigint, horizon bigint);

-- Follows a subscription, and notes how long ago each event was appended.
create procedure bench.follow(name text, consumer text) language plpgsql as $$
declare
    event f6.delivered_event;
begin
    loop
        for event in select * from f6_poll(name, 10, '1 minute', consumer) loop
            insert into bench.latency values (1000 * extract(epoch from clock_timestamp() - event.created_at));
            perform f6_ack(name, event.position, consumer);
        end loop;
        commit;
    end loop;
end $$;

-- Appends so many events of the rare type, with pauses.
create procedure bench.append_rarely(events integer) language plpgsql as $$
begin
    for n in 1 .. events loop
        perform f6_append('Rare', array[bench.object_id(n)], '{}');
        commit;
        perform pg_sleep(0.02);
    end loop;
end $$;
