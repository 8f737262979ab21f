-- Events that occur when they are recorded, and what plain SQL makes rows of: the last value of a group.

select f6_register_event_type('Visit', '1', '{"type": "object"}');

create function bench.second(first jsonb, second jsonb) returns jsonb
    language sql immutable parallel safe
    return second;

create aggregate bench.last(jsonb) (sfunc = bench.second, stype = jsonb);
