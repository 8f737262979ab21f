/*
 * schema_dialect.c
 *		Which draft and vocabularies a $schema stands for.
 *
 * A metaschema that is not built in must be registered: its own $schema says on which draft it builds,
 * and its $vocabulary which keywords have a meaning.
 */
#include "postgres.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_dialect.h"
#include "schema_document.h"
#include "uri.h"

/* A metaschema that builds on others does so at most this many times. */
#define F6_MAX_METASCHEMAS 8

static const struct
{
	const char *name; /* without the scheme */
	int draft;
	int number; /* as people say it */
} drafts[] = {
	{ "//json-schema.org/draft-04/schema", F6_DRAFT_4, 4 },
	{ "//json-schema.org/draft-06/schema", F6_DRAFT_6, 6 },
	{ "//json-schema.org/draft-07/schema", F6_DRAFT_7, 7 },
	{ "//json-schema.org/draft/2019-09/schema", F6_DRAFT_2019_09, 2019 },
	{ "//json-schema.org/draft/2020-12/schema", F6_DRAFT_2020_12, 2020 },
};

static const struct
{
	const char *uri;
	int draft;
	int vocabularies;
	bool asserts_format;
} vocabularies[] = {
	{ "https://json-schema.org/draft/2019-09/vocab/core", F6_DRAFT_2019_09, F6_VOCABULARY_CORE,
	  false },
	{ "https://json-schema.org/draft/2019-09/vocab/applicator", F6_DRAFT_2019_09,
	  F6_VOCABULARY_APPLICATOR | F6_VOCABULARY_UNEVALUATED, false },
	{ "https://json-schema.org/draft/2019-09/vocab/validation", F6_DRAFT_2019_09,
	  F6_VOCABULARY_VALIDATION, false },
	{ "https://json-schema.org/draft/2019-09/vocab/meta-data", F6_DRAFT_2019_09,
	  F6_VOCABULARY_META_DATA, false },
	{ "https://json-schema.org/draft/2019-09/vocab/format", F6_DRAFT_2019_09, F6_VOCABULARY_FORMAT,
	  true },
	{ "https://json-schema.org/draft/2019-09/vocab/content", F6_DRAFT_2019_09,
	  F6_VOCABULARY_CONTENT, false },
	{ "https://json-schema.org/draft/2020-12/vocab/core", F6_DRAFT_2020_12, F6_VOCABULARY_CORE,
	  false },
	{ "https://json-schema.org/draft/2020-12/vocab/applicator", F6_DRAFT_2020_12,
	  F6_VOCABULARY_APPLICATOR, false },
	{ "https://json-schema.org/draft/2020-12/vocab/unevaluated", F6_DRAFT_2020_12,
	  F6_VOCABULARY_UNEVALUATED, false },
	{ "https://json-schema.org/draft/2020-12/vocab/validation", F6_DRAFT_2020_12,
	  F6_VOCABULARY_VALIDATION, false },
	{ "https://json-schema.org/draft/2020-12/vocab/meta-data", F6_DRAFT_2020_12,
	  F6_VOCABULARY_META_DATA, false },
	{ "https://json-schema.org/draft/2020-12/vocab/format-annotation", F6_DRAFT_2020_12,
	  F6_VOCABULARY_FORMAT, false },
	{ "https://json-schema.org/draft/2020-12/vocab/format-assertion", F6_DRAFT_2020_12,
	  F6_VOCABULARY_FORMAT, true },
	{ "https://json-schema.org/draft/2020-12/vocab/content", F6_DRAFT_2020_12,
	  F6_VOCABULARY_CONTENT, false },
};

/* Returns the dialect of a draft as it is, with all of its vocabularies. */
static f6_dialect
whole_draft(int draft)
{
	f6_dialect dialect = { draft, F6_VOCABULARY_ALL, false, NULL };

	return dialect;
}

/* Returns the dialect of a schema that names none. */
f6_dialect
f6_dialect_newest(void)
{
	return whole_draft(F6_DRAFT_2020_12);
}

/* Returns the draft whose metaschema has this URI, or 0. */
static int
find_draft(const char *uri)
{
	int i;

	if (strncmp(uri, "http://", 7) == 0)
		uri += 5;
	else if (strncmp(uri, "https://", 8) == 0)
		uri += 6;
	else
		return 0;
	for (i = 0; i < (int) lengthof(drafts); i++)
	{
		if (strcmp(uri, drafts[i].name) == 0)
			return drafts[i].draft;
	}
	return 0;
}

/* Returns the number of a dialect's draft: 4, 6, 7, 2019 or 2020. */
int
f6_dialect_number(const f6_dialect *dialect)
{
	int i = 0;

	while (drafts[i].draft != dialect->draft)
		i++;
	return drafts[i].number;
}

/* Returns the URI of a draft's metaschema, by a number from 0 on; NULL after the last. */
const char *
f6_dialect_metaschema(int number)
{
	return number < (int) lengthof(drafts) ? psprintf("https:%s", drafts[number].name) : NULL;
}

/* Adds a vocabulary to the dialect, and tells whether f6 knows it for the dialect's draft. */
static bool
add_vocabulary(f6_dialect *dialect, const JsonbValue *uri, bool required)
{
	int i;

	for (i = 0; i < (int) lengthof(vocabularies); i++)
	{
		if ((int) strlen(vocabularies[i].uri) != uri->val.string.len ||
			memcmp(vocabularies[i].uri, uri->val.string.val, uri->val.string.len) != 0)
			continue;
		if (vocabularies[i].draft != dialect->draft)
			return false;
		dialect->vocabularies |= vocabularies[i].vocabularies;

		/* Draft 2019-09 has one vocabulary for both uses of format: only requiring it makes it assert. */
		if (vocabularies[i].asserts_format && (required || dialect->draft != F6_DRAFT_2019_09))
			dialect->asserts_format = true;
		return true;
	}
	return false;
}

/* Reads the metaschema's $vocabulary into the dialect. */
static f6_dialect_problem
read_vocabularies(const JsonbValue *metaschema, f6_dialect *dialect, char **detail)
{
	JsonbValue vocabulary;
	JsonbValue uri;
	JsonbValue required;
	f6_jsonb_object_walk walk;

	if ((dialect->draft & F6_DRAFTS_FROM_2019) == 0 ||
		!f6_jsonb_get(metaschema, "$vocabulary", 11, &vocabulary) ||
		!f6_jsonb_is_object(&vocabulary))
		return F6_DIALECT_FOUND;

	dialect->vocabularies = F6_VOCABULARY_CORE;
	dialect->asserts_format = false;
	f6_jsonb_object_begin(&walk, &vocabulary);
	while (f6_jsonb_object_next(&walk, &uri, &required))
	{
		bool is_required = required.type == jbvBool && required.val.boolean;

		if (add_vocabulary(dialect, &uri, is_required) || !is_required)
			continue;
		*detail = pnstrdup(uri.val.string.val, uri.val.string.len);
		return F6_DIALECT_UNKNOWN_VOCABULARY;
	}
	return F6_DIALECT_FOUND;
}

/* Finds the dialect of a $schema; the detail is the URI that is the problem. */
static f6_dialect_problem
find_dialect(const char *uri, int metaschemas, f6_dialect *dialect, bool *uses_registry,
			 char **detail)
{
	int draft;
	Jsonb *document;
	JsonbValue root;
	JsonbValue schema;
	bool is_registered;
	f6_dialect_problem problem;

	uri = f6_uri_without_fragment(uri);
	draft = find_draft(uri);
	if (draft != 0)
	{
		*dialect = whole_draft(draft);
		return F6_DIALECT_FOUND;
	}

	*detail = pstrdup(uri);
	document = metaschemas < F6_MAX_METASCHEMAS ? f6_schema_document(uri, &is_registered) : NULL;
	if (document == NULL)
		return metaschemas < F6_MAX_METASCHEMAS ? F6_DIALECT_UNREGISTERED : F6_DIALECT_NO_DRAFT;
	*uses_registry |= is_registered;
	f6_jsonb_root(document, &root);
	if (!f6_jsonb_is_object(&root) || !f6_jsonb_get(&root, "$schema", 7, &schema) ||
		schema.type != jbvString)
		return F6_DIALECT_NO_DRAFT;

	problem = find_dialect(pnstrdup(schema.val.string.val, schema.val.string.len), metaschemas + 1,
						   dialect, uses_registry, detail);
	if (problem != F6_DIALECT_FOUND)
		return problem;
	dialect->metaschema = uri;
	return read_vocabularies(&root, dialect, detail);
}

/* Finds the dialect of a $schema, an absolute URI; where there is a problem, the detail is the URI at fault. */
f6_dialect_problem
f6_dialect_find(const char *uri, f6_dialect *dialect, bool *uses_registry, char **detail)
{
	return find_dialect(uri, 0, dialect, uses_registry, detail);
}
