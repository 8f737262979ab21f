/*
 * metaschema.c
 *		The schemas of JSON Schema itself: drafts 4, 6, 7, 2019-09 and 2020-12.
 *
 * Their text is in src/metaschema/, which the Makefile turns into string literals.  A document is parsed when it is first
 * asked for, and then kept for the backend's life.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "f6.h"
#include "metaschema.h"

/* The URIs say http or https, as the draft has it; people write either. */
static const char *const sites[] = { "http://json-schema.org/", "https://json-schema.org/" };

/* A document: the path of its URI, and its text. */
static const struct
{
	const char *path;
	const char *text;
} documents[] = {
#include "metaschema.inc"
};

static MemoryContext metaschema_context = NULL;
static Jsonb *parsed_documents[lengthof(documents)];

/* path_of returns what follows the site of JSON Schema in a URI, NULL when the URI is of another. */
static const char *
path_of(const char *uri)
{
	for (int i = 0; i < (int) lengthof(sites); i++)
	{
		if (strncmp(uri, sites[i], strlen(sites[i])) == 0)
			return uri + strlen(sites[i]);
	}
	return NULL;
}

/* parse returns a document in the memory that is kept. */
static Jsonb *
parse(const char *text)
{
	Jsonb *parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	Jsonb *kept;

	if (metaschema_context == NULL)
		metaschema_context =
			AllocSetContextCreate(CacheMemoryContext, "f6 metaschemas", ALLOCSET_DEFAULT_SIZES);
	kept = MemoryContextAlloc(metaschema_context, VARSIZE(parsed));
	memcpy(kept, parsed, VARSIZE(parsed));
	pfree(parsed);
	return kept;
}

/* f6_metaschema returns the metaschema with an absolute URI without a fragment, NULL when there is none. */
Jsonb *
f6_metaschema(const char *uri)
{
	const char *path = path_of(uri);

	for (int i = 0; path != NULL && i < (int) lengthof(documents); i++)
	{
		if (strcmp(path, documents[i].path) != 0)
			continue;
		if (parsed_documents[i] == NULL)
			parsed_documents[i] = parse(documents[i].text);
		return parsed_documents[i];
	}
	return NULL;
}
