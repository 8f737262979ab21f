-- What plain SQL makes rows of: the last value of a group.

create function bench.second(first jsonb, second jsonb) returns jsonb
    language sql immutable parallel safe
    return second;

create aggregate bench.last(jsonb) (sfunc = bench.second, stype = jsonb);
