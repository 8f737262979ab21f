-- Reading an object's events, without making anything of them.
select count(e.event_data)
    from f6.event_object as o
        join f6.event as e on e.position = o.position
    where o.object_id = :object::uuid;
