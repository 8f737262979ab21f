/*
 * format_text.c
 *		The formats of identifiers within documents: UUIDs (RFC 4122), JSON Pointers (RFC 6901) and
 *		relative ones (draft-bhutton-relative-json-pointer-00); and walking UTF-8 as all formats do.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "f6.h"
#include "format_check.h"

#define F6_UUID_LENGTH 36

/*
 * Reads a character of UTF-8, checking it; returns what follows it, or NULL where it is cut off or
 * otherwise no character.
 */
const char *
f6_next_character(const char *at, const char *end, uint32 *character)
{
	const unsigned char *bytes = (const unsigned char *) at;
	int length = pg_utf_mblen(bytes);

	if (length > end - at || !pg_utf8_islegal(bytes, length))
		return NULL;
	*character = utf8_to_unicode(bytes);
	return at + length;
}

/* Tells whether a text is a UUID in its canonical form, of any version and variant. */
bool
f6_is_uuid(const char *text, int length)
{
	int i;

	if (length != F6_UUID_LENGTH)
		return false;
	for (i = 0; i < length; i++)
	{
		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (text[i] != '-')
				return false;
		}
		else if (!f6_is_hex(text[i]))
			return false;
	}
	return true;
}

/* Tells whether a text is a JSON Pointer, not as a fragment of a URI. */
bool
f6_is_json_pointer(const char *text, int length)
{
	const char *end = text + length;
	const char *at = text;

	if (length > 0 && *text != '/')
		return false;
	while (at < end && (at = memchr(at, '~', end - at)) != NULL)
	{
		if (at + 1 == end || (at[1] != '0' && at[1] != '1'))
			return false;
		at += 2;
	}
	return true;
}

/* Takes an integer without sign or leading zeros; returns what follows it, or NULL. */
static const char *
take_integer(const char *at, const char *end)
{
	const char *start = at;

	while (at < end && f6_is_digit(*at))
		at++;
	if (at == start || (*start == '0' && at > start + 1))
		return NULL;
	return at;
}

/* Tells whether what follows the numbers of a relative JSON Pointer is its end. */
static bool
ends_relative_pointer(const char *at, const char *end)
{
	return (end - at == 1 && *at == '#') || f6_is_json_pointer(at, end - at);
}

/* Tells whether a text is a relative JSON Pointer as draft 7 has it. */
bool
f6_is_plain_relative_json_pointer(const char *text, int length)
{
	const char *end = text + length;
	const char *at = take_integer(text, end);

	return at != NULL && ends_relative_pointer(at, end);
}

/* Tells whether a text is a relative JSON Pointer, which may count forth and back in an array. */
bool
f6_is_relative_json_pointer(const char *text, int length)
{
	const char *end = text + length;
	const char *at = take_integer(text, end);

	if (at != NULL && at < end && (*at == '+' || *at == '-'))
		at = take_integer(at + 1, end);
	return at != NULL && ends_relative_pointer(at, end);
}
