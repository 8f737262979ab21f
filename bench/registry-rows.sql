-- Reading the events of everybody, without making anything of them.
select count(e.event_data)
    from bench.person as p
        join f6.event_object as o on o.object_id = p.object_id
        join f6.event as e on e.position = o.position;
