-- States that were kept.

create table f6.snapshot (
    object_id uuid not null,
    legal boolean not null,
    registry bigint not null,
    fold bigint not null,
    "position" bigint not null,
    events bigint not null,
    recorded_until timestamptz not null,
    valid_from timestamptz not null,
    valid_to timestamptz,
    state jsonb
);
create index snapshot_object_id_legal_fold_position_idx on f6.snapshot (object_id, legal, fold, "position");
comment on table f6.snapshot is 'states that readers have kept for those who ask next: a cache, whose rows may be deleted at any time';
comment on column f6.snapshot.object_id is 'whose state it is';
comment on column f6.snapshot.legal is 'whether it counts only what has legal force';
comment on column f6.snapshot.registry is 'what was registered when it was made: a hash';
comment on column f6.snapshot.fold is 'which fold made it: another registry, or another time zone for dates without one, makes another';
comment on column f6.snapshot."position" is 'it is of the object''s events up to this position';
comment on column f6.snapshot.events is 'how many events these are';
comment on column f6.snapshot.recorded_until is 'the latest formal time among these';
comment on column f6.snapshot.valid_from is 'it is the state from this material time on';
comment on column f6.snapshot.valid_to is 'and before this one; NULL: for good';
comment on column f6.snapshot.state is 'the state; NULL where nothing is known';
