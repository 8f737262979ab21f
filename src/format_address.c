/*
 * format_address.c
 *		The formats of addresses of the Internet Protocol: version 4 (RFC 2673, section 3.2), version 6
 *		(RFC 4291, section 2.2), and both as mail has them (RFC 5321, section 4.1.3).
 */
#include "postgres.h"

#include "f6.h"
#include "format_check.h"

/* In brackets, and there mail gives leading zeros to its octets, and no less than two groups to "::". */
typedef enum
{
	F6_ADDRESS_PLAIN,
	F6_ADDRESS_OF_MAIL,
} f6_address_style;

/* Takes a number of up to 255; returns what follows it, or NULL. */
static const char *
take_octet(const char *at, const char *end, f6_address_style style)
{
	const char *start = at;
	int number = 0;

	while (at < end && at - start < 3 && f6_is_digit(*at))
		number = number * 10 + (*at++ - '0');
	if (at == start || number > 255)
		return NULL;
	return style == F6_ADDRESS_OF_MAIL || *start != '0' || at == start + 1 ? at : NULL;
}

/* Tells whether a text is four octets with dots between. */
static bool
is_version_4(const char *at, const char *end, f6_address_style style)
{
	int i;

	for (i = 0; i < 4; i++)
	{
		if (i > 0 && (at == end || *at++ != '.'))
			return false;
		at = take_octet(at, end, style);
		if (at == NULL)
			return false;
	}
	return at == end;
}

/*
 * Tells whether a text is eight groups with colons between, of which "::" may stand for some once, and
 * the last two may be an address of version 4.
 */
static bool
is_version_6(const char *at, const char *end, f6_address_style style)
{
	bool is_elided = false;
	int groups = 0;

	if (end - at >= 2 && at[0] == ':' && at[1] == ':')
	{
		is_elided = true;
		at += 2;
	}
	while (at < end || !is_elided)
	{
		const char *start = at;

		while (at < end && f6_is_hex(*at))
			at++;
		if (at < end && *at == '.')
		{
			if (!is_version_4(start, end, style))
				return false;
			groups += 2;
			break;
		}
		if (at == start || at - start > 4)
			return false;
		groups++;
		if (at == end)
			break;
		if (*at++ != ':' || at == end)
			return false;
		if (*at == ':')
		{
			if (is_elided)
				return false;
			is_elided = true;
			at++;
		}
	}
	if (!is_elided)
		return groups == 8;
	return groups <= (style == F6_ADDRESS_OF_MAIL ? 6 : 7);
}

/* Tells whether a text is an address of version 4, without leading zeros. */
bool
f6_is_ipv4(const char *text, int length)
{
	return is_version_4(text, text + length, F6_ADDRESS_PLAIN);
}

/* Tells whether a text is an address of version 6, without a zone. */
bool
f6_is_ipv6(const char *text, int length)
{
	return is_version_6(text, text + length, F6_ADDRESS_PLAIN);
}

/* Tells whether a text is an address in brackets, as it may stand for the domain of a mailbox. */
bool
f6_is_mail_literal(const char *text, int length)
{
	const char *at = text + 1;
	const char *end = text + length - 1;

	if (length < 2 || *text != '[' || *end != ']')
		return false;
	if (end - at > 5 && pg_strncasecmp(at, "IPv6:", 5) == 0)
		return is_version_6(at + 5, end, F6_ADDRESS_OF_MAIL);
	return is_version_4(at, end, F6_ADDRESS_OF_MAIL);
}
