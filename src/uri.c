/*
 * uri.c
 *		Resolving URI references by RFC 3986, section 5.2.
 *
 * A URI is split into spans of its text; nothing is copied before the result is put together, and each step is linear in
 * the length.  What is no URI by the grammar is taken apart all the same: whoever looks a document up finds none.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "f6.h"
#include "uri.h"

/* A part of a URI's text; a part that is not there, which differs from an empty one, has no text. */
typedef struct uri_part
{
	const char *text;
	int length;
} uri_part;

/* A URI reference in its parts, without what separates them; the path is always there. */
typedef struct uri_parts
{
	uri_part scheme;
	uri_part authority;
	uri_part path;
	uri_part query;
	uri_part fragment;
} uri_parts;

/* is_letter tells whether a byte is a letter of ASCII. */
static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* scheme_length returns how long the scheme is that a URI begins with, 0 when there is none. */
static int
scheme_length(const char *uri, int length)
{
	int i = 0;

	if (length == 0 || !is_letter(uri[0]))
		return 0;
	while (i < length && (is_letter(uri[i]) || (uri[i] >= '0' && uri[i] <= '9') || uri[i] == '+' ||
						  uri[i] == '-' || uri[i] == '.'))
		i++;
	return i < length && uri[i] == ':' ? i : 0;
}

/* f6_uri_is_absolute tells whether a URI has a scheme. */
bool
f6_uri_is_absolute(const char *uri, int length)
{
	return scheme_length(uri, length) > 0;
}

/* take cuts off what the rest begins with, up to a byte of a set or the end. */
static uri_part
take(uri_part *rest, const char *ends)
{
	uri_part taken = { rest->text, 0 };
	size_t end_count = strlen(ends);

	while (taken.length < rest->length && memchr(ends, rest->text[taken.length], end_count) == NULL)
		taken.length++;
	rest->text += taken.length;
	rest->length -= taken.length;
	return taken;
}

/* skip cuts off a number of bytes. */
static void
skip(uri_part *rest, int count)
{
	rest->text += count;
	rest->length -= count;
}

/* starts_with tells whether a part begins with a text. */
static bool
starts_with(const uri_part *part, const char *text)
{
	int length = strlen(text);

	return part->length >= length && memcmp(part->text, text, length) == 0;
}

/* split takes a URI reference apart. */
static void
split(const char *uri, int length, uri_parts *parts)
{
	uri_part rest = { uri, length };

	memset(parts, 0, sizeof(uri_parts));
	if (f6_uri_is_absolute(uri, length))
	{
		parts->scheme = take(&rest, ":");
		skip(&rest, 1);
	}
	if (starts_with(&rest, "//"))
	{
		skip(&rest, 2);
		parts->authority = take(&rest, "/?#");
	}
	parts->path = take(&rest, "?#");
	if (starts_with(&rest, "?"))
	{
		skip(&rest, 1);
		parts->query = take(&rest, "#");
	}
	if (starts_with(&rest, "#"))
	{
		skip(&rest, 1);
		parts->fragment = rest;
	}
}

/* drop_segment takes the last segment of a path off, with the slash before it. */
static void
drop_segment(StringInfo path)
{
	while (path->len > 0 && path->data[--path->len] != '/')
		;
	path->data[path->len] = '\0';
}

/* remove_dots returns a path without its segments "." and ".." (section 5.2.4). */
static uri_part
remove_dots(uri_part rest)
{
	StringInfoData path;

	initStringInfo(&path);
	while (rest.length > 0)
	{
		uri_part from = rest;
		uri_part segment;
		bool slash = starts_with(&rest, "/");

		if (slash)
			skip(&rest, 1);
		segment = take(&rest, "/");
		if (segment.length == 0 || segment.length > 2 ||
			memcmp(segment.text, "..", segment.length) != 0)
		{
			appendBinaryStringInfo(&path, from.text, from.length - rest.length);
			continue;
		}
		if (segment.length == 2 && slash)
			drop_segment(&path);
		if (!slash && rest.length > 0)
			skip(&rest, 1);
		else if (slash && rest.length == 0)
			appendStringInfoChar(&path, '/');
	}
	return (uri_part){ path.data, path.len };
}

/* merge returns a relative path behind the folder of the base's path (section 5.2.3). */
static uri_part
merge(const uri_parts *base, uri_part path)
{
	StringInfoData merged;
	int folder = base->path.length;

	initStringInfo(&merged);
	while (folder > 0 && base->path.text[folder - 1] != '/')
		folder--;
	if (base->authority.text != NULL && base->path.length == 0)
		appendStringInfoChar(&merged, '/');
	appendBinaryStringInfo(&merged, base->path.text, folder);
	appendBinaryStringInfo(&merged, path.text, path.length);
	return (uri_part){ merged.data, merged.len };
}

/* transform gives a reference what it takes from the base (section 5.2.2). */
static void
transform(const uri_parts *base, uri_parts *target)
{
	bool relative;

	if (target->scheme.text == NULL)
	{
		target->scheme = base->scheme;
		if (target->authority.text == NULL)
		{
			target->authority = base->authority;
			if (target->path.length == 0)
			{
				target->path = base->path;
				if (target->query.text == NULL)
					target->query = base->query;
				return;
			}
			if (target->path.text[0] != '/')
				target->path = merge(base, target->path);
		}
	}
	relative = target->scheme.text == NULL && !starts_with(&target->path, "/");
	target->path = remove_dots(target->path);
	/* The RFC's steps are for absolute URIs, and turn "a/../b" into "/b". */
	if (relative && starts_with(&target->path, "/"))
		skip(&target->path, 1);
}

/* append_path appends a path such that it can't be read as an authority or a scheme. */
static void
append_path(StringInfo uri, const uri_parts *parts)
{
	uri_part path = parts->path;
	uri_part segments = path;
	uri_part first = take(&segments, "/");

	if (parts->authority.text == NULL)
	{
		if (starts_with(&path, "//"))
			appendStringInfoString(uri, "/.");
		else if (parts->scheme.text == NULL && memchr(first.text, ':', first.length) != NULL)
			appendStringInfoString(uri, "./");
	}
	appendBinaryStringInfo(uri, path.text, path.length);
}

/* append_part appends a part with what separates it, if it is there. */
static void
append_part(StringInfo uri, const char *before, uri_part part, const char *behind)
{
	if (part.text == NULL)
		return;
	appendStringInfoString(uri, before);
	appendBinaryStringInfo(uri, part.text, part.length);
	appendStringInfoString(uri, behind);
}

/*
 * f6_uri_resolve returns the URI that a reference stands for in a document at the base, with its fragment.
 *
 * Without a base (NULL or empty), or with one that is relative itself, the result is relative where the reference is.
 */
char *
f6_uri_resolve(const char *base, const char *reference, int length)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "f6 uri", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	uri_parts base_parts;
	uri_parts target;
	StringInfoData uri;
	char *resolved;

	if (base == NULL)
		base = "";
	split(base, strlen(base), &base_parts);
	split(reference, length, &target);
	transform(&base_parts, &target);

	initStringInfo(&uri);
	append_part(&uri, "", target.scheme, ":");
	append_part(&uri, "//", target.authority, "");
	append_path(&uri, &target);
	append_part(&uri, "?", target.query, "");
	append_part(&uri, "#", target.fragment, "");
	MemoryContextSwitchTo(caller);
	resolved = pnstrdup(uri.data, uri.len);
	MemoryContextDelete(scratch);
	return resolved;
}

/* f6_uri_fragment returns what follows the '#' of a URI, NULL when there is none. */
const char *
f6_uri_fragment(const char *uri)
{
	const char *hash = strchr(uri, '#');

	return hash != NULL ? hash + 1 : NULL;
}

/* f6_uri_without_fragment returns a copy of a URI up to its '#'. */
char *
f6_uri_without_fragment(const char *uri)
{
	return pnstrdup(uri, strcspn(uri, "#"));
}
