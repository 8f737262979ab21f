-- JSON Schema on its own: usable in CHECK constraints and queries, whether or not a type has that schema.

create function @extschema@.f6_validate(schema jsonb, data jsonb, assert_format boolean default false)
    returns boolean
    language c immutable strict parallel safe cost 10
    as 'MODULE_PATHNAME', 'f6_validate';

comment on function @extschema@.f6_validate(jsonb, jsonb, boolean) is
    'whether the data is valid under the JSON Schema';

create function @extschema@.f6_validation_errors(
    schema jsonb,
    data jsonb,
    assert_format boolean default false,
    out instance_location text,
    out schema_location text,
    out keyword text,
    out message text
) returns setof record
    language c immutable strict parallel safe cost 100 rows 10
    as 'MODULE_PATHNAME', 'f6_validation_errors';

comment on function @extschema@.f6_validation_errors(jsonb, jsonb, boolean) is
    'why the data is not valid under the JSON Schema: a row for each failure';
