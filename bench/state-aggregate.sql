-- The claims in the order of the log, which is here that of their dates too: no date is looked at, nothing sorted.
select bench.merge(event_data)
    from (select e.event_data
              from f6.event_object as o
                  join f6.event as e on e.position = o.position
              where o.object_id = :object::uuid and e.event_kind = 'claim'
              order by o.position) as claims;
