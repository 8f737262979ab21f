-- Folds: what events make of a state.

create function f6.fold_step(folding internal, event f6.event) returns internal
    language c stable parallel restricted as 'MODULE_PATHNAME', 'f6_fold_step';
comment on function f6.fold_step(internal, f6.event) is
    'aggregate: folds the next event of a group by merging its data';

create function f6.fold_step(folding internal, event f6.event, fold jsonb) returns internal
    language c stable parallel restricted as 'MODULE_PATHNAME', 'f6_fold_step';
comment on function f6.fold_step(internal, f6.event, jsonb) is
    'aggregate: folds the next event of a group as a fold says';

create function f6.fold_step(folding internal, event f6.event, fold text) returns internal
    language c stable parallel restricted as 'MODULE_PATHNAME', 'f6_fold_step_named';
comment on function f6.fold_step(internal, f6.event, text) is
    'aggregate: folds the next event of a group as a projection does, or as a fold says that is written as text';

create function f6.fold_final(folding internal) returns jsonb
    language c stable parallel restricted as 'MODULE_PATHNAME', 'f6_fold_final';
comment on function f6.fold_final(internal) is
    'aggregate: the state of a group, which may go on';

create aggregate @extschema@.f6_fold(event f6.event) (
    sfunc = f6.fold_step,
    stype = internal,
    finalfunc = f6.fold_final,
    finalfunc_modify = read_only,
    parallel = restricted
);
comment on aggregate @extschema@.f6_fold(f6.event) is
    'the state that the claims among events make, in the order of the aggregate, by merging their data';

create aggregate @extschema@.f6_fold(event f6.event, fold jsonb) (
    sfunc = f6.fold_step,
    stype = internal,
    finalfunc = f6.fold_final,
    finalfunc_modify = read_only,
    parallel = restricted
);
comment on aggregate @extschema@.f6_fold(f6.event, jsonb) is
    'the state that the claims among events make, in the order of the aggregate, as a fold says';

create aggregate @extschema@.f6_fold(event f6.event, fold text) (
    sfunc = f6.fold_step,
    stype = internal,
    finalfunc = f6.fold_final,
    finalfunc_modify = read_only,
    parallel = restricted
);
comment on aggregate @extschema@.f6_fold(f6.event, text) is
    'the state that the claims among events make, in the order of the aggregate, as the projection of a name folds them';
