-- Events as others exchange them: CloudEvents, as the Dutch government profiles them.

create function f6.uri_segment(name text) returns text
    language sql immutable strict parallel safe
begin atomic
    select coalesce(string_agg(case when c.character ~ '^[A-Za-z0-9._~-]$' collate "C" then c.character
                                    else regexp_replace(upper(encode(convert_to(c.character, 'UTF8'), 'hex')), '(..)', '%\1', 'g') end,
                               '' order by c.place), '')
        from regexp_split_to_table(name, '') with ordinality as c (character, place)
        where c.character <> '';
end;
comment on function f6.uri_segment(text) is 'a name as a part of a URI, with all but unreserved characters as percent signs and digits';

create function @extschema@.f6_cloudevent(event f6.event) returns jsonb
    language plpgsql stable strict
    set search_path = pg_catalog, pg_temp
as $body$
declare
    zone f6.zone;
begin
    if event.id is null or event.zone_id is null or event.event_type is null then
        raise exception 'an event to exchange has an id, a zone and a type'
            using errcode = 'null_value_not_allowed',
                  hint = 'Give rows of f6.event: select f6_cloudevent(e) from f6.event as e.';
    end if;
    select z.* into zone from f6.zone as z where z.zone_id = event.zone_id;
    if not found then
        raise exception 'zone % does not exist', event.zone_id using errcode = 'undefined_object';
    end if;
    return jsonb_strip_nulls(jsonb_build_object(
            'specversion', '1.0',
            'id', event.id,
            'source', case when zone.organisation ~ '^[0-9]{20}$'
                           then 'urn:nld:oin:' || zone.organisation || ':systeem:' || f6.uri_segment(zone.name)
                           else '/' || f6.uri_segment(zone.organisation) || '/' || f6.uri_segment(zone.name) end,
            'type', event.event_type,
            'subject', array_to_string(event.object_ids, ','),
            'time', case when event.occurred_at >= '0001-01-01 00:00:00+00' and event.occurred_at < '10000-01-01 00:00:00+00'
                         then to_char(event.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end,
            'datacontenttype', 'application/json',
            'f6kind', event.event_kind,
            'f6version', event.event_version,
            'f6reference', array_to_string(event.event_reference, ',')))
        || jsonb_build_object('data', event.event_data);
end
$body$;
comment on function @extschema@.f6_cloudevent(f6.event) is 'an event as a CloudEvent 1.0 in JSON, as the NL GOV profile has it';

create function @extschema@.f6_cloudevent(event f6.delivered_event) returns jsonb
    language sql stable strict
    set search_path = pg_catalog, pg_temp
as $body$
    select @extschema@.f6_cloudevent(row(
        event."position", event.zone_id, event.event_kind, event.id, event.created_at, event.occurred_at, event.object_ids, event.event_type,
        event.event_version, event.event_source_id, event.event_source_type, event.event_reference, event.event_data, event.metadata,
        event.appended_by, event.client_addr, event.application_name)::f6.event);
$body$;
comment on function @extschema@.f6_cloudevent(f6.delivered_event) is 'the same for an event as f6_poll delivers it';
