/*
 * schema_applicators.c
 *		What the keywords compile to that hold subschemas or lead to them.
 *
 * Keywords that only mean something together (properties and additionalProperties, for one) fill one
 * operand in the builder, and f6_applicators_finish makes the operation.
 */
#include "postgres.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_keywords.h"

/* Checks $id, and draft 4's id; what it names is known already. */
void
f6_compile_id(f6_builder *builder, const f6_keyword *keyword pg_attribute_unused(),
			  const f6_jsonb_path *path, const JsonbValue *value)
{
	const char *hash;

	f6_require_string(path, value);
	hash = memchr(value->val.string.val, '#', value->val.string.len);
	if ((builder->resource->dialect.draft & F6_DRAFTS_FROM_2019) != 0 && hash != NULL &&
		hash + 1 < value->val.string.val + value->val.string.len)
		f6_schema_invalid(path, "a URI reference without a fragment", "one with a fragment");
}

/* Checks $anchor and $dynamicAnchor; what they name is known already. */
void
f6_compile_anchor(f6_builder *builder pg_attribute_unused(),
				  const f6_keyword *keyword pg_attribute_unused(), const f6_jsonb_path *path,
				  const JsonbValue *value)
{
	int i;

	f6_require_string(path, value);
	for (i = 0; i < value->val.string.len; i++)
	{
		char c = value->val.string.val[i];
		bool is_start = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!is_start && (i == 0 || ((c < '0' || c > '9') && strchr("-.:", c) == NULL)))
			break;
	}
	if (i == 0 || i < value->val.string.len)
		f6_schema_invalid(path,
						  "a name of letters, digits, -, _, . and :, beginning with a letter or _",
						  "another string");
}

/* Checks $vocabulary, which matters where the schema is another one's metaschema. */
void
f6_compile_vocabulary(f6_builder *builder pg_attribute_unused(),
					  const f6_keyword *keyword pg_attribute_unused(), const f6_jsonb_path *path,
					  const JsonbValue *value)
{
	f6_jsonb_object_walk walk;
	JsonbValue uri;
	JsonbValue required;

	f6_require_object(path, value);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &uri, &required))
	{
		if (required.type != jbvBool)
			f6_schema_invalid(f6_schema_path(path, uri.val.string.val, uri.val.string.len, -1),
							  "a boolean", f6_jsonb_type_name(&required));
	}
}

/* Compiles $ref. */
void
f6_compile_ref(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			   const JsonbValue *value)
{
	f6_place place;
	const f6_anchor *anchor;

	f6_require_string(path, value);
	if (f6_find_reference(builder, value, path, &place, &anchor))
	{
		f6_node_id node = f6_compile_place(builder, &place, keyword->name);

		f6_builder_add_edge(builder, node);
		f6_builder_add(builder, F6_OP_REF, F6_TYPE_ANY, keyword->name)->as.node = node;
	}
}

/*
 * Compiles $dynamicRef and $recursiveRef: a reference to a dynamic anchor leads to the outermost resource in
 * the dynamic scope that has one of that name; every other is like $ref.
 */
void
f6_compile_dynamic_ref(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					   const JsonbValue *value)
{
	f6_place place;
	const f6_anchor *anchor;
	f6_dynamic *dynamic;

	f6_require_string(path, value);
	if (builder->resource->dialect.draft == F6_DRAFT_2019_09 &&
		(value->val.string.len != 1 || value->val.string.val[0] != '#'))
		f6_schema_invalid(path, "the string \"#\"", "another one");
	if (!f6_find_reference(builder, value, path, &place, &anchor))
		return;
	if (anchor == NULL || anchor->dynamic == NULL)
	{
		f6_compile_ref(builder, keyword, path, value);
		return;
	}
	dynamic = palloc(sizeof(f6_dynamic));
	dynamic->node = f6_compile_place(builder, &place, keyword->name);
	dynamic->anchor = anchor->dynamic->number;
	anchor->dynamic->is_referenced = true;
	f6_builder_add(builder, F6_OP_DYNAMIC_REF, F6_TYPE_ANY, keyword->name)->as.dynamic = dynamic;
}

/* Compiles subschemas that only references use, so that a bad one is refused. */
void
f6_compile_definitions(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					   const JsonbValue *value)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;

	f6_require_object(path, value);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
		f6_compile_subschema(builder, &schema,
							 f6_schema_path(path, name.val.string.val, name.val.string.len, -1),
							 keyword->name);
}

/* Compiles a subschema that is not applied, so that a bad one is refused. */
void
f6_compile_unused(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				  const JsonbValue *value)
{
	f6_compile_subschema(builder, value, path, keyword->name);
}

/* Returns the operand that properties, required, patternProperties and additionalProperties share. */
f6_members *
f6_builder_members(f6_builder *builder)
{
	if (builder->members == NULL)
	{
		builder->members = palloc0(sizeof(f6_members));
		builder->members->additional = F6_NO_NODE;
	}
	return builder->members;
}

/* Makes room for more members, and returns where they start. */
f6_member *
f6_members_extend(f6_members *members, int more)
{
	Size size = Max((Size) members->count + more, 1) * sizeof(f6_member);

	if (members->members == NULL)
		members->members = palloc_extended(size, MCXT_ALLOC_HUGE);
	else
		members->members = repalloc_huge(members->members, size);
	members->count += more;
	return members->members + members->count - more;
}

/* Compiles properties. */
void
f6_compile_properties(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					  const JsonbValue *value)
{
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;
	f6_member *member;

	f6_require_object(path, value);
	member = f6_members_extend(f6_builder_members(builder), f6_jsonb_count(value));
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
	{
		member->name = name.val.string.val;
		member->length = name.val.string.len;
		member->required = false;
		member->node = f6_compile_subschema(builder, &schema,
											f6_schema_path(path, member->name, member->length, -1),
											keyword->name);
		member++;
	}
}

/* Compiles patternProperties. */
void
f6_compile_pattern_properties(f6_builder *builder, const f6_keyword *keyword,
							  const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_members *members = f6_builder_members(builder);
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue schema;

	f6_require_object(path, value);
	members->patterns =
		palloc_extended(Max(f6_jsonb_count(value), 1) * sizeof(f6_pattern_member), MCXT_ALLOC_HUGE);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &schema))
	{
		const f6_jsonb_path *place =
			f6_schema_path(path, name.val.string.val, name.val.string.len, -1);
		f6_pattern_member *member = &members->patterns[members->pattern_count++];

		member->pattern = f6_pattern_value(builder, place, &name);
		member->node = f6_compile_subschema(builder, &schema, place, keyword->name);
	}
}

/* Compiles additionalProperties. */
void
f6_compile_additional_properties(f6_builder *builder, const f6_keyword *keyword,
								 const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_builder_members(builder)->additional =
		f6_compile_subschema(builder, value, path, keyword->name);
}

/* Compiles a keyword whose one operand is a subschema for parts of the instance. */
void
f6_compile_children(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					const JsonbValue *value)
{
	f6_node_id node = f6_compile_subschema(builder, value, path, keyword->name);

	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.node = node;
}

/* Returns the operand that items, prefixItems and additionalItems share. */
static f6_items *
builder_items(f6_builder *builder)
{
	if (builder->items == NULL)
	{
		builder->items = palloc0(sizeof(f6_items));
		builder->items->rest = F6_NO_NODE;
	}
	return builder->items;
}

/* Returns the nodes of an array of subschemas, which must not be empty. */
static f6_node_id *
compile_schema_array(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value, bool in_place, int *count)
{
	f6_jsonb_array_walk walk;
	JsonbValue schema;
	f6_node_id *nodes;
	int i = 0;

	f6_require_array(path, value);
	*count = f6_jsonb_count(value);
	if (*count == 0)
		f6_schema_invalid(path, "at least one schema", "an empty array");
	nodes = palloc_extended(*count * sizeof(f6_node_id), MCXT_ALLOC_HUGE);
	f6_jsonb_array_begin(&walk, value);
	while (f6_jsonb_array_next(&walk, &schema))
	{
		const f6_jsonb_path *place = f6_schema_path(path, NULL, 0, i);

		nodes[i++] = in_place ? f6_compile_in_place(builder, &schema, place, keyword->name)
							  : f6_compile_subschema(builder, &schema, place, keyword->name);
	}
	return nodes;
}

/* Compiles prefixItems. */
void
f6_compile_prefix_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						const JsonbValue *value)
{
	f6_items *items = builder_items(builder);

	items->prefix =
		compile_schema_array(builder, keyword, path, value, false, &items->prefix_count);
}

/* Compiles items: up to draft 2019-09 it may be what prefixItems is now. */
void
f6_compile_items(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
				 const JsonbValue *value)
{
	if (f6_jsonb_is_array(value) && (builder->resource->dialect.draft & F6_DRAFTS_TO_2019) != 0)
	{
		/* An empty array says nothing by itself, but additionalItems looks whether it is there. */
		if (f6_jsonb_count(value) > 0)
			f6_compile_prefix_items(builder, keyword, path, value);
	}
	else
		builder_items(builder)->rest = f6_compile_subschema(builder, value, path, keyword->name);
}

/* Compiles additionalItems, which means something only beside an array of schemas in items. */
void
f6_compile_additional_items(f6_builder *builder, const f6_keyword *keyword,
							const f6_jsonb_path *path, const JsonbValue *value)
{
	f6_node_id node = f6_compile_subschema(builder, value, path, keyword->name);
	JsonbValue items;

	if (f6_jsonb_get(&builder->schema, "items", 5, &items) && f6_jsonb_is_array(&items))
		builder_items(builder)->rest = node;
}

/* Returns the operand that contains, minContains and maxContains share. */
static f6_contains *
builder_contains(f6_builder *builder)
{
	if (builder->contains == NULL)
	{
		builder->contains = palloc0(sizeof(f6_contains));
		builder->contains->node = F6_NO_NODE;
		builder->contains->minimum = 1;
		builder->contains->maximum = F6_NO_LIMIT;
	}
	return builder->contains;
}

/* Compiles contains, minContains and maxContains; the operand says which. */
void
f6_compile_contains(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					const JsonbValue *value)
{
	f6_contains *contains = builder_contains(builder);

	switch (keyword->operand)
	{
		case F6_CONTAINS_MINIMUM:
			contains->minimum = f6_size_value(path, value);
			contains->has_minimum = true;
			break;
		case F6_CONTAINS_MAXIMUM:
			contains->maximum = f6_size_value(path, value);
			break;
		default:
			contains->node = f6_compile_subschema(builder, value, path, keyword->name);
			contains->evaluates = builder->resource->dialect.draft == F6_DRAFT_2020_12;
			break;
	}
}

/* Compiles allOf, anyOf and oneOf. */
void
f6_compile_combination(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					   const JsonbValue *value)
{
	f6_node_list *list = palloc(sizeof(f6_node_list));

	list->nodes = compile_schema_array(builder, keyword, path, value, true, &list->count);
	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.list = list;
}

/* Compiles not. */
void
f6_compile_not(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
			   const JsonbValue *value)
{
	f6_node_id node = f6_compile_in_place(builder, value, path, keyword->name);

	f6_builder_add(builder, F6_OP_NOT, keyword->applies, keyword->name)->as.node = node;
}

/* Returns the operand that if, then and else share. */
static f6_condition *
builder_condition(f6_builder *builder)
{
	if (builder->condition == NULL)
	{
		builder->condition = palloc(sizeof(f6_condition));
		builder->condition->test = F6_NO_NODE;
		builder->condition->consequence = F6_NO_NODE;
		builder->condition->alternative = F6_NO_NODE;
	}
	return builder->condition;
}

/* Compiles if, then and else; the operand says which. */
void
f6_compile_condition(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
					 const JsonbValue *value)
{
	f6_condition *condition = builder_condition(builder);
	f6_node_id node = f6_compile_in_place(builder, value, path, keyword->name);

	switch (keyword->operand)
	{
		case F6_CONDITION_THEN:
			condition->consequence = node;
			break;
		case F6_CONDITION_ELSE:
			condition->alternative = node;
			break;
		default:
			condition->test = node;
			break;
	}
}

/*
 * Compiles dependentRequired, dependentSchemas and dependencies; the operand says which.  Each dependency
 * of the last is an array of names or a schema.
 */
void
f6_compile_dependencies(f6_builder *builder, const f6_keyword *keyword, const f6_jsonb_path *path,
						const JsonbValue *value)
{
	f6_dependencies *operand = palloc0(sizeof(f6_dependencies));
	f6_jsonb_object_walk walk;
	JsonbValue name;
	JsonbValue demand;

	f6_require_object(path, value);
	operand->dependencies =
		palloc_extended(Max(f6_jsonb_count(value), 1) * sizeof(f6_dependency), MCXT_ALLOC_HUGE);
	f6_jsonb_object_begin(&walk, value);
	while (f6_jsonb_object_next(&walk, &name, &demand))
	{
		f6_dependency *dependency = &operand->dependencies[operand->count++];
		const f6_jsonb_path *place;
		int count;

		dependency->name = name.val.string.val;
		dependency->length = name.val.string.len;
		dependency->required = demand;
		dependency->node = F6_NO_NODE;
		place = f6_schema_path(path, dependency->name, dependency->length, -1);
		if (keyword->operand == F6_OP_DEPENDENT_SCHEMAS ||
			(keyword->operand == F6_OP_DEPENDENCIES && !f6_jsonb_is_array(&demand)))
			dependency->node = f6_compile_in_place(builder, &demand, place, keyword->name);
		else
			pfree(f6_distinct_strings(place, &demand, &count));
	}
	f6_builder_add(builder, keyword->operand, keyword->applies, keyword->name)->as.dependencies =
		operand;
}

/* Compares two members for qsort. */
static int
compare_members(const void *left, const void *right)
{
	const f6_member *left_member = left;
	const f6_member *right_member = right;

	return f6_jsonb_compare_keys(left_member->name, left_member->length, right_member->name,
								 right_member->length);
}

/* Sorts the members, and makes one of a property that is also required. */
static void
merge_members(f6_members *members)
{
	int kept = 0;
	int i;

	qsort(members->members, members->count, sizeof(f6_member), compare_members);
	for (i = 1; i < members->count; i++)
	{
		f6_member *last = &members->members[kept];
		const f6_member *member = &members->members[i];

		if (compare_members(last, member) == 0)
		{
			last->required = true;
			if (last->node == F6_NO_NODE)
				last->node = member->node;
		}
		else
			members->members[++kept] = *member;
	}
	if (members->count > 0)
		members->count = kept + 1;
}

/*
 * Adds the operations of keywords that mean something together, when all of a subschema's keywords are
 * compiled.
 */
void
f6_applicators_finish(f6_builder *builder)
{
	f6_members *members = builder->members;
	f6_items *items = builder->items;
	f6_contains *contains = builder->contains;
	f6_condition *condition = builder->condition;

	if (members != NULL)
	{
		merge_members(members);
		if (members->count > 0 || members->pattern_count > 0 || members->additional != F6_NO_NODE)
			f6_builder_add(builder, F6_OP_MEMBERS, F6_TYPE_OBJECT, "properties")->as.members =
				members;
	}
	if (items != NULL)
		f6_builder_add(builder, F6_OP_ITEMS, F6_TYPE_ARRAY, "items")->as.items = items;
	if (contains != NULL && contains->node != F6_NO_NODE)
		f6_builder_add(builder, F6_OP_CONTAINS, F6_TYPE_ARRAY, "contains")->as.contains = contains;
	if (condition != NULL && condition->test != F6_NO_NODE)
		f6_builder_add(builder, F6_OP_CONDITION, F6_TYPE_ANY, "if")->as.condition = condition;
}
