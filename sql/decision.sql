-- What officials decide: validating, rejecting and retracting.
--
-- What is appended here is the caller's own append, and so may run triggers and policies of anybody: no function sets a
-- search_path.  Names and operators are qualified instead, or belong to a function that was parsed when the extension was created.

create function f6.list_decisions(
    event_ids uuid[],
    out event_id uuid,
    out "position" bigint,
    out event_kind f6.event_kind,
    out event_type text,
    out event_version text,
    out removed_by uuid,
    out validated_by uuid
) returns setof record
    language c volatile strict cost 100 as 'MODULE_PATHNAME', 'f6_list_decisions';
comment on function f6.list_decisions(uuid[]) is
    'events, and the correction in force that removes each, and the validation in force that gives it legal force';

create function f6.lock_decisions(event_ids uuid[], all_objects boolean) returns void
    language c volatile strict cost 100 as 'MODULE_PATHNAME', 'f6_lock_decisions';
comment on function f6.lock_decisions(uuid[], boolean) is
    'keeps others from deciding about events until the transaction ends, or from appending anything about their objects';

create function f6.list_pending(
    event_type text,
    object_id uuid,
    event_source_type text,
    created_until timestamptz,
    out id uuid,
    out "position" bigint,
    out event_kind f6.event_kind,
    out object_ids uuid[],
    out event_type text,
    out event_source_type text,
    out created_at timestamptz,
    out withdrawn boolean
) returns setof record
    language c stable parallel restricted cost 1000 as 'MODULE_PATHNAME', 'f6_list_pending';
comment on function f6.list_pending(text, uuid, text, timestamptz) is
    'the claims and corrections of a type, or of an object, that wait for a validation, in order';

create function @extschema@.f6_pending(
    event_type text default null,
    object_id uuid default null,
    event_source_type text default null,
    older_than interval default null,
    out id uuid,
    out "position" bigint,
    out event_kind f6.event_kind,
    out object_ids uuid[],
    out event_type text,
    out event_source_type text,
    out created_at timestamptz,
    out age interval,
    out withdrawn boolean
) returns setof record
    language sql stable parallel restricted cost 1000
begin atomic
    -- An age that no time could be subtracted for is that of no claim, or of all.
    with clock as materialized (
        select c.now, case when $4 > interval '6000 years' then '-infinity'
                           when $4 < interval '-200000 years' then 'infinity'
                           else coalesce(c.now - $4, 'infinity') end as created_until
            from clock_timestamp() as c (now))
    select p.id, p."position", p.event_kind, p.object_ids, p.event_type, p.event_source_type, p.created_at,
           greatest(clock.now - p.created_at, interval '0'), p.withdrawn
        from clock
        cross join lateral (
            select o.*
                from f6.list_pending($1, $2, $3, clock.created_until) as o
                where $2 is not null
            union all
            select o.*
                from (select distinct t.event_type
                          from f6.event_type as t
                          where not t.legal_when_claimed and ($1 is null or t.event_type = $1) and $2 is null) as t
                cross join lateral f6.list_pending(t.event_type, null, $3, clock.created_until) as o
        ) as p
        order by p."position";
end;
comment on function @extschema@.f6_pending(text, uuid, text, interval) is
    'what waits for an official to decide: claims and corrections without a validation in force, and not removed';

create function f6.version_to_append(event_type text, event_version text) returns text
    language sql stable
begin atomic
    select $2
        where not exists (select from f6.event_type_deprecation as d where d.event_type = $1 and d.event_version = $2);
end;
comment on function f6.version_to_append(text, text) is
    'the version in which an event is decided about: its own, or NULL, the newest, where that takes no new events';

create function f6.check_reason(reason text) returns jsonb
    language plpgsql immutable
as $body$
begin
    if reason is null then
        raise exception 'reason must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'It is recorded in the metadata of the correction.';
    end if;
    if pg_catalog.btrim(reason, E' \t\n\r\f\v') operator(pg_catalog.=) '' then
        raise exception 'reason must not be empty'
            using errcode = 'invalid_parameter_value', hint = 'It is recorded in the metadata of the correction.';
    end if;
    return pg_catalog.jsonb_build_object('reason', reason);
end
$body$;
comment on function f6.check_reason(text) is
    'the metadata of a correction that is made for a reason, which there must be';

create function f6.check_not_removed(event_id uuid, event_kind f6.event_kind, removed_by uuid) returns void
    language plpgsql immutable
as $body$
begin
    if event_kind is null then
        raise exception 'event % does not exist', event_id
            using errcode = 'undefined_object', hint = 'Give the id of an event of f6.event that you may read.';
    end if;
    if removed_by is not null then
        raise exception '% % has been removed already', event_kind, event_id
            using errcode = 'object_not_in_prerequisite_state',
                  detail = pg_catalog.format('Correction %s removes it.', removed_by),
                  hint = 'f6_validate_claim gives that correction legal force if it has none yet; f6_retract undoes it.';
    end if;
end
$body$;
comment on function f6.check_not_removed(uuid, f6.event_kind, uuid) is
    'refuses an event that does not exist, or that a correction in force removes';

create function f6.lock_undecided(event_id uuid, out event_type text, out event_version text)
    language plpgsql
as $body$
declare
    decided pg_catalog.record;
begin
    if event_id is null then
        raise exception 'event_id must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'Give the id of the claim or correction to decide about.';
    end if;
    perform f6.lock_decisions(array[event_id], false);
    select d.* into decided from f6.list_decisions(array[event_id]) as d;
    perform f6.check_not_removed(event_id, decided.event_kind, decided.removed_by);
    if decided.event_kind operator(pg_catalog.=) 'validation'::f6.event_kind then
        raise exception 'event % is a validation', event_id
            using errcode = 'check_violation', detail = 'Claims and corrections are validated or rejected.',
                  hint = 'f6_retract withdraws a validation.';
    end if;
    if decided.validated_by is not null then
        raise exception '% % has been validated already', decided.event_kind, event_id
            using errcode = 'object_not_in_prerequisite_state',
                  detail = pg_catalog.format('Validation %s is in force, as claimed.', decided.validated_by),
                  hint = 'f6_retract withdraws a validation, or removes what has one.';
    end if;
    event_type := decided.event_type;
    event_version := f6.version_to_append(decided.event_type, decided.event_version);
end
$body$;
comment on function f6.lock_undecided(uuid) is
    'keeps others from deciding about a claim or correction; refuses one that has been decided about';

create function @extschema@.f6_validate_claim(
    event_id uuid,
    event_source_id uuid default null,
    event_source_type text default null,
    metadata jsonb default null
) returns f6.appended
    language plpgsql
as $body$
declare
    undecided pg_catalog.record;
begin
    select u.* into undecided from f6.lock_undecided(event_id) as u;
    return @extschema@.f6_append(
        event_type => undecided.event_type, object_ids => null::pg_catalog.uuid[], event_data => null::pg_catalog.jsonb,
        event_version => undecided.event_version, event_kind => 'validation'::f6.event_kind, event_reference => array[event_id],
        event_source_id => event_source_id, event_source_type => event_source_type, metadata => metadata);
end
$body$;
comment on function @extschema@.f6_validate_claim(uuid, uuid, text, jsonb) is
    'gives a claim or correction legal force: appends the validation of one that has neither been validated nor removed';

create function @extschema@.f6_reject_claim(
    event_id uuid,
    reason text,
    event_source_id uuid default null,
    event_source_type text default null
) returns f6.appended
    language plpgsql
as $body$
declare
    metadata pg_catalog.jsonb := f6.check_reason(reason);
    undecided pg_catalog.record;
begin
    select u.* into undecided from f6.lock_undecided(event_id) as u;
    return @extschema@.f6_append(
        event_type => undecided.event_type, object_ids => null::pg_catalog.uuid[], event_data => 'null'::pg_catalog.jsonb,
        event_version => undecided.event_version, event_kind => 'correction'::f6.event_kind, event_reference => array[event_id],
        event_source_id => event_source_id, event_source_type => event_source_type, metadata => metadata);
end
$body$;
comment on function @extschema@.f6_reject_claim(uuid, text, uuid, text) is
    'refuses a claim or correction: appends the correction that removes one that has neither been validated nor removed';

create type f6.retraction as (
    object_id uuid,
    valid_from timestamptz,
    valid_to timestamptz,
    before jsonb,
    after jsonb,
    correction_ids uuid[]
);
comment on type f6.retraction is
    'what a retraction changes: a span of material time of an object, and its state before and after';

-- Planned anew each time: a plan made while the log was small would read all of a large one.
create function f6.named_objects(event_ids uuid[], out number bigint[], out object_id uuid[])
    language plpgsql stable
as $body$
begin
    execute
        'select pg_catalog.array_agg(i.number order by i.number, o.place), pg_catalog.array_agg(o.id order by i.number, o.place)
             from pg_catalog.unnest($1) with ordinality as i (id, number)
             cross join lateral (select e.object_ids from f6.event as e where e.id operator(pg_catalog.=) i.id offset 0) as e
             cross join lateral pg_catalog.unnest(e.object_ids) with ordinality as o (id, place)'
        into number, object_id using event_ids;
end
$body$;
comment on function f6.named_objects(uuid[]) is
    'the objects that events name, and the numbers, counted from 1, of the events that do';

create function f6.timelines(
    object_ids uuid[], legal boolean, out of_object uuid[], out valid_from timestamptz[], out state jsonb[]
)
    language sql stable
begin atomic
    select coalesce(array_agg(o.id), '{}'), coalesce(array_agg(h.valid_from), '{}'), coalesce(array_agg(h.state), '{}')
        from (select distinct o.id from unnest($1) as o (id)) as o
        cross join lateral @extschema@.f6_history(o.id, 'infinity', legal => $2) as h;
end;
comment on function f6.timelines(uuid[], boolean) is
    'the states of objects as known now, and since when each is, object by object';

create function f6.compare_timelines(
    number bigint[],
    object_id uuid[],
    correction_ids uuid[],
    of_object uuid[],
    valid_from timestamptz[],
    state jsonb[],
    legal boolean
) returns f6.retraction[]
    language sql stable
begin atomic
    with before as (
        select b.*, true as is_known from unnest($4, $5, $6) as b (object_id, valid_from, state)
    ),
    after as (
        select a.*, true as is_known
            from f6.timelines($2, $7) as t
            cross join lateral unnest(t.of_object, t.valid_from, t.state) as a (object_id, valid_from, state)
    ),
    -- a state lasts until the next one on the same side
    boundary as (
        select object_id, valid_from, before.state as before, after.state as after,
               count(before.is_known) over upward as before_number, count(after.is_known) over upward as after_number
            from before full join after using (object_id, valid_from)
            window upward as (partition by object_id order by valid_from)
    ),
    span as (
        select b.object_id, b.valid_from,
               lead(b.valid_from, 1, 'infinity') over (partition by b.object_id order by b.valid_from) as valid_to,
               first_value(b.before) over (partition by b.object_id, b.before_number order by b.valid_from) as before,
               first_value(b.after) over (partition by b.object_id, b.after_number order by b.valid_from) as after
            from boundary as b
    ),
    -- neighbours that change in the same way are one
    begun as (
        select s.*,
               (row_number() over along = 1 or s.before is distinct from lag(s.before) over along
                or s.after is distinct from lag(s.after) over along)::integer as begins
            from span as s
            window along as (partition by s.object_id order by s.valid_from)
    ),
    numbered as (
        select b.*, sum(b.begins) over (partition by b.object_id order by b.valid_from) as number from begun as b
    ),
    change as (
        select n.object_id, min(n.valid_from) as valid_from, max(n.valid_to) as valid_to,
               (array_agg(n.before))[1] as before, (array_agg(n.after))[1] as after
            from numbered as n
            where n.before is distinct from n.after
            group by n.object_id, n.number
    ),
    named as (
        select n.object_id, array_agg($3[n.number] order by n.number) as correction_ids, min(n.place) as place
            from unnest($1, $2) with ordinality as n (number, object_id, place)
            group by n.object_id
    )
    select array_agg(row(n.object_id, c.valid_from, c.valid_to, c.before, c.after, n.correction_ids)::f6.retraction
                     order by n.place, c.valid_from)
        from named as n
        left join change as c on c.object_id = n.object_id;
end;
comment on function f6.compare_timelines(bigint[], uuid[], uuid[], uuid[], timestamptz[], jsonb[], boolean) is
    'where the states of objects are not what they were, and the corrections that name each object';

create function f6.consequences_to_retract(event_id uuid, is_all boolean, chosen uuid[]) returns uuid[]
    language plpgsql
as $body$
declare
    consequences pg_catalog.record;
begin
    if not is_all and pg_catalog.cardinality(chosen) operator(pg_catalog.=) 0 then
        return '{}';
    end if;
    if pg_catalog.array_position(chosen, null) is not null then
        raise exception 'cascade must not contain NULL'
            using errcode = 'invalid_parameter_value',
                  hint = 'Leave NULLs out; an empty array retracts the event alone.';
    end if;
    select pg_catalog.array_agg(c.id) filter (where c.event_kind operator(pg_catalog.=) 'claim'::f6.event_kind) as claims,
           pg_catalog.array_agg(c.id) filter (where c.id operator(pg_catalog.=) any (chosen)) as chosen
        into consequences
        from @extschema@.f6_consequences(event_id, 'infinity') as c;
    if is_all then
        return coalesce(consequences.claims, '{}');
    end if;
    if not chosen operator(pg_catalog.<@) coalesce(consequences.chosen, '{}') then
        raise exception 'cascade names events that are no consequences of event %', event_id
            using errcode = 'invalid_parameter_value',
                  detail = (select pg_catalog.format('They are: %s.', pg_catalog.string_agg(distinct c.id::pg_catalog.text, ', '))
                                from pg_catalog.unnest(chosen) as c (id)
                                where not c.id operator(pg_catalog.=) any (coalesce(consequences.chosen, '{}'))),
                  hint = 'f6_consequences lists what is based on it.';
    end if;
    return coalesce(consequences.chosen, '{}');
end
$body$;
comment on function f6.consequences_to_retract(uuid, boolean, uuid[]) is
    'the consequences of an event that are claims, or those that were chosen, which all must be consequences';

create function f6.append_validations(event_ids uuid[], source_id uuid, source_type text) returns void
    language plpgsql
as $body$
declare
    validations pg_catalog.jsonb;
begin
    select pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'event_kind', 'validation',
                   'event_type', d.event_type,
                   'event_version', d.event_version,
                   'event_reference', array[d.event_id],
                   'event_source_id', source_id,
                   'event_source_type', source_type)
               order by d."position")
        into validations
        from f6.list_decisions(event_ids) as d
        -- an old snapshot may not show the type: a validation that is not needed does no harm
        where (select t.legal_when_claimed from f6.event_type as t
                   where t.event_type operator(pg_catalog.=) d.event_type
                     and t.event_version operator(pg_catalog.=) d.event_version) is not true;
    if validations is not null then
        perform @extschema@.f6_append(validations);
    end if;
end
$body$;
comment on function f6.append_validations(uuid[], uuid, text) is
    'gives legal force to events that do not have it when they are claimed';

create function f6.append_retraction(
    event_id uuid,
    falling uuid[],
    leaves_removed boolean,
    metadata jsonb,
    source_id uuid,
    source_type text,
    legal boolean
) returns f6.retraction[]
    language plpgsql
as $body$
declare
    retracted pg_catalog.uuid[] := pg_catalog.array_prepend(event_id, falling);
    batch pg_catalog.record;
    named pg_catalog.record;
    before pg_catalog.record;
    correction_ids pg_catalog.uuid[];
begin
    perform f6.lock_decisions(retracted, true);
    perform f6.check_not_removed(d.event_id, d.event_kind, d.removed_by)
        from f6.list_decisions(case when leaves_removed then array[event_id] else retracted end) as d;
    select pg_catalog.array_agg(d.event_id order by d."position") as event_ids,
           pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'event_kind', 'correction',
                   'event_type', d.event_type,
                   'event_version', f6.version_to_append(d.event_type, d.event_version),
                   'event_reference', array[d.event_id],
                   'event_data', null,
                   'event_source_id', source_id,
                   'event_source_type', source_type,
                   'metadata', metadata)
               order by d."position") as events
        into batch
        from f6.list_decisions(retracted) as d
        where d.removed_by is null;
    select n.* into named from f6.named_objects(batch.event_ids) as n;
    select t.* into before from f6.timelines(named.object_id, legal) as t;
    select pg_catalog.array_agg(a.id order by a.place) into correction_ids
        from @extschema@.f6_append(batch.events) with ordinality as a (id, "position", created_at, place);
    if legal then
        perform f6.append_validations(correction_ids, source_id, source_type);
    end if;
    return f6.compare_timelines(
        named.number, named.object_id, correction_ids, before.of_object, before.valid_from, before.state, legal);
end
$body$;
comment on function f6.append_retraction(uuid, uuid[], boolean, jsonb, uuid, text, boolean) is
    'appends the corrections that remove an event and what falls with it, and returns what changes';

create function f6.retract(
    event_id uuid,
    reason text,
    is_all boolean,
    chosen uuid[],
    source_id uuid,
    source_type text,
    dry_run boolean,
    legal boolean
) returns setof f6.retraction
    language plpgsql
as $body$
declare
    metadata pg_catalog.jsonb := f6.check_reason(reason);
    falling pg_catalog.uuid[];
    result f6.retraction[];
begin
    if event_id is null then
        raise exception 'event_id must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'Give the id of the event to retract.';
    end if;
    if is_all is null or chosen is null then
        raise exception 'cascade must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'It is ''none'', ''all'', or an array of ids.';
    end if;
    if dry_run is null then
        raise exception 'dry_run must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'Give true to see what would change, false to change it.';
    end if;
    if legal is null then
        raise exception 'legal must not be NULL'
            using errcode = 'null_value_not_allowed', hint = 'Give true to validate the corrections as well.';
    end if;
    falling := f6.consequences_to_retract(event_id, is_all, chosen);
    if not dry_run then
        return query
            select r.*
                from pg_catalog.unnest(
                    f6.append_retraction(event_id, falling, is_all, metadata, source_id, source_type, legal)) as r;
        return;
    end if;
    begin
        result := f6.append_retraction(event_id, falling, is_all, metadata, source_id, source_type, legal);
        raise exception 'the end of a dry run' using errcode = 'F6000';
    exception when sqlstate 'F6000' then
        null;
    end;
    -- the corrections are gone, and their ids with them
    return query
        select r.object_id, r.valid_from, r.valid_to, r.before, r.after, null::pg_catalog.uuid[]
            from pg_catalog.unnest(result) as r;
end
$body$;
comment on function f6.retract(uuid, text, boolean, uuid[], uuid, text, boolean, boolean) is
    'appends the corrections that remove an event, and its consequences that are claims or were chosen';

create function @extschema@.f6_retract(
    event_id uuid,
    reason text,
    cascade text default 'none',
    event_source_id uuid default null,
    event_source_type text default null,
    dry_run boolean default false,
    legal boolean default false
) returns setof f6.retraction
    language plpgsql
as $body$
begin
    if not cascade operator(pg_catalog.=) any (array['none', 'all']) then
        raise exception 'cascade must be ''none'' or ''all'', or an array of ids'
            using errcode = 'invalid_parameter_value', detail = pg_catalog.format('It is "%s".', cascade),
                  hint = 'Ids are given as uuid[].';
    end if;
    return query
        select r.*
            from f6.retract(event_id, reason, cascade operator(pg_catalog.=) 'all', '{}'::pg_catalog.uuid[], event_source_id, event_source_type,
                            dry_run, legal) as r;
end
$body$;
comment on function @extschema@.f6_retract(uuid, text, text, uuid, text, boolean, boolean) is
    'removes an event by a correction, alone or with all claims that are based on it, and returns what changes';

create function @extschema@.f6_retract(
    event_id uuid,
    reason text,
    cascade uuid[],
    event_source_id uuid default null,
    event_source_type text default null,
    dry_run boolean default false,
    legal boolean default false
) returns setof f6.retraction
    language plpgsql
as $body$
begin
    return query
        select r.* from f6.retract(event_id, reason, false, cascade, event_source_id, event_source_type, dry_run, legal) as r;
end
$body$;
comment on function @extschema@.f6_retract(uuid, text, uuid[], uuid, text, boolean, boolean) is
    'removes an event by a correction, with those of its consequences that are given, and returns what changes';
