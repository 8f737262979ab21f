/*
 * format_uri.c
 *		The formats of addresses of resources: URIs (RFC 3986), IRIs (RFC 3987) and templates of URIs
 *		(RFC 6570).
 *
 * One pass, in which each part takes the characters that it may have; what it leaves must begin the
 * next part.
 */
#include "postgres.h"

#include "f6.h"
#include "format_check.h"

/* What an ASCII character is to the grammar. */
#define F6_URI_NAME	 0x01 /* unreserved or sub-delims */
#define F6_URI_COLON 0x02
#define F6_URI_AT	 0x04
#define F6_URI_SLASH 0x08
#define F6_URI_QUERY 0x10

/* What the parts may have. */
#define F6_URI_USER		(F6_URI_NAME | F6_URI_COLON)
#define F6_URI_SEGMENT	(F6_URI_USER | F6_URI_AT)
#define F6_URI_PATH		(F6_URI_SEGMENT | F6_URI_SLASH)
#define F6_URI_FRAGMENT (F6_URI_PATH | F6_URI_QUERY)

/* clang-format off */
static const uint8 character_kinds[128] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 0, 1, 0, 16,
	4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1,
	0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 0
};
/* clang-format on */

/* What of Unicode a part may have. */
typedef enum
{
	F6_ASCII,
	F6_UCSCHAR,			/* what IRIs have nearly everywhere */
	F6_UCSCHAR_PRIVATE, /* and, in their queries, characters of private use */
} f6_uri_alphabet;

/* Tells whether a character beyond ASCII is a ucschar of RFC 3987. */
static bool
is_ucschar(uint32 c)
{
	if (c < 0x10000)
		return (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) ||
			   (c >= 0xfdf0 && c <= 0xffef);
	return (c & 0xffff) <= 0xfffd && c <= 0xefffd && (c < 0xe0000 || c >= 0xe1000);
}

/* Tells whether a character is an iprivate of RFC 3987. */
static bool
is_iprivate(uint32 c)
{
	return (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && (c & 0xffff) <= 0xfffd);
}

/* Tells whether a character sets the direction of text, which RFC 3987, section 4.1, keeps out of IRIs. */
static bool
is_direction_mark(uint32 c)
{
	return c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e);
}

/* Takes a percent-encoded byte; returns what follows it, or NULL. */
static const char *
take_percent(const char *at, const char *end)
{
	if (end - at < 3 || *at != '%' || !f6_is_hex(at[1]) || !f6_is_hex(at[2]))
		return NULL;
	return at + 3;
}

/* Takes the characters of these kinds; returns the first that is not, or the end. */
static const char *
take_characters(const char *at, const char *end, int kinds, f6_uri_alphabet alphabet)
{
	while (at < end)
	{
		const char *next = NULL;
		uint32 c;

		if (!IS_HIGHBIT_SET(*at))
		{
			if (character_kinds[(int) *at] & kinds)
				next = at + 1;
			else
				next = take_percent(at, end);
		}
		else if (alphabet != F6_ASCII)
		{
			next = f6_next_character(at, end, &c);
			if (next != NULL && (!is_ucschar(c) || is_direction_mark(c)) &&
				!(alphabet == F6_UCSCHAR_PRIVATE && is_iprivate(c)))
				next = NULL;
		}
		if (next == NULL)
			break;
		at = next;
	}
	return at;
}

/* Takes a scheme and its colon; returns what follows them, or NULL. */
static const char *
take_scheme(const char *at, const char *end)
{
	if (at == end || !f6_is_alpha(*at))
		return NULL;
	while (at < end &&
		   (f6_is_alpha(*at) || f6_is_digit(*at) || *at == '+' || *at == '-' || *at == '.'))
		at++;
	return at < end && *at == ':' ? at + 1 : NULL;
}

/* Tells whether a text is an IPvFuture. */
static bool
is_future_address(const char *at, const char *end)
{
	const char *version;

	if (at == end || (*at != 'v' && *at != 'V'))
		return false;
	version = ++at;
	while (at < end && f6_is_hex(*at))
		at++;
	if (at == version || at == end || *at != '.' || ++at == end)
		return false;
	while (at < end && !IS_HIGHBIT_SET(*at) && (character_kinds[(int) *at] & F6_URI_USER))
		at++;
	return at == end;
}

/* Takes an IP address in brackets; returns what follows it, or NULL. */
static const char *
take_literal(const char *at, const char *end)
{
	const char *close = memchr(at, ']', end - at);

	if (close == NULL)
		return NULL;
	at++;
	return f6_is_ipv6(at, close - at) || is_future_address(at, close) ? close + 1 : NULL;
}

/* Takes an authority, without its slashes; returns the first character that is none of it, or NULL. */
static const char *
take_authority(const char *at, const char *end, f6_uri_alphabet alphabet)
{
	const char *user_end = take_characters(at, end, F6_URI_USER, alphabet);

	if (user_end < end && *user_end == '@')
		at = user_end + 1;
	at = at < end && *at == '[' ? take_literal(at, end)
								: take_characters(at, end, F6_URI_NAME, alphabet);
	if (at != NULL && at < end && *at == ':')
	{
		at++;
		while (at < end && f6_is_digit(*at))
			at++;
	}
	return at;
}

/* Takes authority and path; returns the first character that is none of them, or NULL. */
static const char *
take_hierarchy(const char *at, const char *end, f6_uri_alphabet alphabet)
{
	if (end - at >= 2 && at[0] == '/' && at[1] == '/')
	{
		at = take_authority(at + 2, end, alphabet);
		if (at == NULL || at == end || *at != '/')
			return at;
	}
	return take_characters(at, end, F6_URI_PATH, alphabet);
}

/* Tells whether a text, which begins after a scheme if there is one, is the rest of a URI or IRI. */
static bool
is_rest(const char *at, const char *end, f6_uri_alphabet alphabet)
{
	at = take_hierarchy(at, end, alphabet);
	if (at != NULL && at < end && *at == '?')
		at = take_characters(at + 1, end, F6_URI_FRAGMENT,
							 alphabet == F6_ASCII ? F6_ASCII : F6_UCSCHAR_PRIVATE);
	if (at != NULL && at < end && *at == '#')
		at = take_characters(at + 1, end, F6_URI_FRAGMENT, alphabet);
	return at == end;
}

/* Tells whether a text has a scheme and is a URI or IRI. */
static bool
is_absolute(const char *text, int length, f6_uri_alphabet alphabet)
{
	const char *end = text + length;
	const char *at = take_scheme(text, end);

	return at != NULL && is_rest(at, end, alphabet);
}

/* Tells whether a text is a URI or IRI, or what may be written for one relative to another. */
static bool
is_reference(const char *text, int length, f6_uri_alphabet alphabet)
{
	const char *end = text + length;
	const char *segment;

	if (is_absolute(text, length, alphabet))
		return true;
	segment = take_characters(text, end, F6_URI_SEGMENT & ~F6_URI_COLON, alphabet);
	if (segment < end && *segment == ':')
		return false;
	return is_rest(text, end, alphabet);
}

/* Tells whether a text is a URI, with a scheme. */
bool
f6_is_uri(const char *text, int length)
{
	return is_absolute(text, length, F6_ASCII);
}

/* Tells whether a text is a URI or a relative reference. */
bool
f6_is_uri_reference(const char *text, int length)
{
	return is_reference(text, length, F6_ASCII);
}

/* Tells whether a text is an IRI, with a scheme. */
bool
f6_is_iri(const char *text, int length)
{
	return is_absolute(text, length, F6_UCSCHAR);
}

/* Tells whether a text is an IRI or a relative reference. */
bool
f6_is_iri_reference(const char *text, int length)
{
	return is_reference(text, length, F6_UCSCHAR);
}

/* Takes the name of a template's variable; returns what follows it, or NULL. */
static const char *
take_variable_name(const char *at, const char *end)
{
	for (;;)
	{
		const char *start = at;

		while (at < end)
		{
			const char *next =
				f6_is_alpha(*at) || f6_is_digit(*at) || *at == '_' ? at + 1 : take_percent(at, end);

			if (next == NULL)
				break;
			at = next;
		}
		if (at == start)
			return NULL;
		if (at == end || *at != '.')
			return at;
		at++;
	}
}

/* Takes a modifier, if there is one: explode, or a prefix of 1 to 9999; returns what follows, or NULL. */
static const char *
take_modifier(const char *at, const char *end)
{
	const char *digits;

	if (at < end && *at == '*')
		return at + 1;
	if (at == end || *at != ':')
		return at;
	digits = ++at;
	while (at < end && f6_is_digit(*at))
		at++;
	return at > digits && at - digits <= 4 && *digits != '0' ? at : NULL;
}

/* Takes an expression after its opening brace; returns what follows the closing one, or NULL. */
static const char *
take_expression(const char *at, const char *end)
{
	if (at < end && *at != '\0' && strchr("+#./;?&=,!@|", *at) != NULL)
		at++;
	for (;;)
	{
		at = take_variable_name(at, end);
		if (at != NULL)
			at = take_modifier(at, end);
		if (at == NULL || at == end)
			return NULL;
		if (*at == '}')
			return at + 1;
		if (*at++ != ',')
			return NULL;
	}
}

/* Takes a character that stands for itself in a template; returns what follows it, or NULL. */
static const char *
take_template_literal(const char *at, const char *end)
{
	uint32 c;

	if (*at == '%')
		return take_percent(at, end);
	if (!IS_HIGHBIT_SET(*at))
		return *at > ' ' && *at != 0x7f && strchr("\"<>\\^`{|}", *at) == NULL ? at + 1 : NULL;
	at = f6_next_character(at, end, &c);
	return at != NULL && (is_ucschar(c) || is_iprivate(c)) ? at : NULL;
}

/* Tells whether a text is a template of URIs. */
bool
f6_is_uri_template(const char *text, int length)
{
	const char *end = text + length;
	const char *at = text;

	while (at != NULL && at < end)
		at = *at == '{' ? take_expression(at + 1, end) : take_template_literal(at, end);
	return at != NULL;
}
