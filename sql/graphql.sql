-- What servers of GraphQL that read comments, such as PostGraphile, are told about f6: by the lines that begin with an @.

create function f6.graphql_tags(relation name) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
begin atomic
    select case
        when relation = 'projection' then '@omit' -- f6.projections tells of them, and has the name of their list
        when not exists (select from unnest('{f6_reader,f6_writer,f6_importer,f6_admin}'::name[]) as r (name)
                             where has_table_privilege(r.name, format('f6.%I', relation), 'select')) then '@omit'
        else '@omit create,update,delete' || coalesce(e'\n' || case relation
                when 'event' then '@foreignKey (zone_id) references f6.zone (zone_id)'
                when 'event_object' then '@foreignKey ("position") references f6.event ("position")'
                when 'event_link' then '@foreignKey ("position") references f6.event ("position")'
                when 'subscription' then '@name f6_subscription' -- Subscription is a word of GraphQL
            end, '')
        end;
end;

create procedure f6.tag_for_graphql()
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $body$
declare
    o record;
begin
    for o in
        select format('%s f6.%I', case c.relkind when 'v' then 'view' else 'table' end, c.relname) as name,
               f6.graphql_tags(c.relname) as tags, obj_description(c.oid, 'pg_class') as comment
            from pg_class as c where c.relnamespace = 'f6'::regnamespace and c.relkind in ('r', 'v')
        union all
        select format('function %s', p.oid::regprocedure), '@omit', obj_description(p.oid, 'pg_proc')
            from pg_proc as p where p.pronamespace = 'f6'::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
    loop
        execute format('comment on %s is %L', o.name, o.tags || e'\n' || o.comment);
    end loop;
end
$body$;

call f6.tag_for_graphql();
drop procedure f6.tag_for_graphql();
drop function f6.graphql_tags(name);
