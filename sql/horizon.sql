-- Up to which position the log is complete.

create table f6.marker (
    xid xid8 not null,
    "position" bigint not null,
    since timestamptz not null,
    pid integer not null
) with (fillfactor = 10);
comment on table f6.marker is
    'the transactions that append, or did; kept by f6, which writes its rows in place: f6.in_flight shows what counts';
comment on column f6.marker.xid is 'the transaction, or the subtransaction, that appends or did';
comment on column f6.marker."position" is 'the events of that transaction have later positions';
comment on column f6.marker.since is 'when the transaction began';
comment on column f6.marker.pid is 'the process in which it ran';

-- There are always as many rows: one for each transaction that may append at the same time.  They are spread over many pages,
-- because what it costs to log a change of a page depends on how much is on it.
insert into f6.marker
    select pg_catalog.xid8 '0', 0, pg_catalog.timestamptz 'epoch', 0 from pg_catalog.generate_series(1, 1120);

create trigger forbid_change before insert or update or delete or truncate on f6.marker
    for each statement execute function f6.forbid_change();
alter table f6.marker enable always trigger forbid_change;

create function @extschema@.f6_horizon() returns bigint
    language c volatile parallel restricted as 'MODULE_PATHNAME', 'f6_horizon';
comment on function @extschema@.f6_horizon() is
    'the highest position such that every event at or below it is visible to snapshots taken from now on, or never will exist';

create function f6.list_in_flight(
    out xid xid, out pid integer, out since timestamptz, out lowest_position bigint
) returns setof record
    language c volatile parallel restricted as 'MODULE_PATHNAME', 'f6_list_in_flight';
comment on function f6.list_in_flight() is 'the rows of the view f6.in_flight, prepared transactions as their process';

create view f6.in_flight as
    select case when p.transaction is null then m.pid end as pid, p.gid as prepared, m.since, m.lowest_position
        from f6.list_in_flight() as m
        left join pg_catalog.pg_prepared_xacts as p on p.transaction operator(pg_catalog.=) m.xid;
comment on view f6.in_flight is 'the transactions that have appended and not ended: they hold the horizon';
comment on column f6.in_flight.pid is 'the process that runs the transaction, on the primary; NULL for a prepared one';
comment on column f6.in_flight.prepared is 'the name of a prepared transaction';
comment on column f6.in_flight.since is 'when the transaction began';
comment on column f6.in_flight.lowest_position is 'the lowest position that an event of it may have';
