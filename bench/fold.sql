-- What an aggregate makes of the events of each of some orders, which are read in the order of the log.
select count(state)
    from (select :aggregate as state
              from (select e, object_ids, event_data
                        from f6.event as e
                        where "position" between :first and :last
                        order by "position") as events
              group by object_ids) as folded;
