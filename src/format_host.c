/*
 * format_host.c
 *		The formats of the names of hosts: RFC 1123, section 2.1, with A-labels, and internationalized
 *		names (RFC 5890, section 2.3.2.3); and the domains of mail.
 */
#include "postgres.h"

#include "f6.h"
#include "format_check.h"

/* In ASCII, without the root's dot; and the bytes of UTF-8 that can come to no more than that. */
#define F6_HOST_LENGTH 253
#define F6_HOST_BYTES  (F6_HOST_LENGTH * 4)

#define F6_LABEL_LENGTH 63

/* Which labels a name may have. */
typedef enum
{
	F6_HOST_ASCII,	  /* letters, digits and hyphens */
	F6_HOST_A_LABELS, /* and what begins as an A-label must be one */
	F6_HOST_MAIL,	  /* as the first, or in Unicode, normalized or not */
	F6_HOST_IDN,	  /* A-labels, U-labels, and ASCII that is reserved for no other kind */
} f6_host_style;

/* Takes a separator of labels; returns what follows it, or NULL. */
static const char *
take_separator(const char *at, const char *end, f6_host_style style)
{
	if (*at == '.')
		return at + 1;
	if (style != F6_HOST_IDN || end - at < 3)
		return NULL;
	return memcmp(at, "\xe3\x80\x82", 3) == 0 || memcmp(at, "\xef\xbc\x8e", 3) == 0 ||
				   memcmp(at, "\xef\xbd\xa1", 3) == 0
			   ? at + 3
			   : NULL;
}

/* Tells whether a label of ASCII has the form of a host's, whatever it means. */
static bool
is_ascii_label(const char *text, int length)
{
	int i;

	if (length < 1 || length > F6_LABEL_LENGTH || text[0] == '-' || text[length - 1] == '-')
		return false;
	for (i = 0; i < length; i++)
		if (!f6_is_alpha(text[i]) && !f6_is_digit(text[i]) && text[i] != '-')
			return false;
	return true;
}

/* Tells whether a text has a character beyond ASCII. */
static bool
has_unicode(const char *text, int length)
{
	int i;

	for (i = 0; i < length; i++)
		if (IS_HIGHBIT_SET(text[i]))
			return true;
	return false;
}

/* Reads a label, and tells whether the name may have it. */
static bool
read_label(const char *text, int length, f6_host_style style, f6_idna_label *label)
{
	bool is_reserved = length > 4 && text[2] == '-' && text[3] == '-';

	if (style >= F6_HOST_MAIL && has_unicode(text, length))
		return f6_idna_read_label(text, length, style == F6_HOST_MAIL, label);
	if (!is_ascii_label(text, length))
		return false;
	if (is_reserved && (style == F6_HOST_A_LABELS || style == F6_HOST_IDN))
	{
		if (pg_strncasecmp(text, "xn", 2) == 0)
			return f6_idna_read_label(text, length, false, label);
		if (style == F6_HOST_IDN)
			return false;
	}
	label->length = length;
	label->is_right_to_left = false;
	label->suits_other_order = f6_is_alpha(text[0]);
	return true;
}

/*
 * Tells whether a text is a name of such labels.  Where a label of an internationalized name is written
 * from right to left, all others must go with it (RFC 5893, section 2).
 */
static bool
is_name(const char *text, int length, f6_host_style style)
{
	const char *end = text + length;
	const char *start = text;
	const char *at;
	bool is_right_to_left = false;
	bool suits_other_order = true;
	int total = 0;

	if (length > F6_HOST_BYTES)
		return false;
	for (at = text; at <= end; at++)
	{
		const char *next = at < end ? take_separator(at, end, style) : end;
		f6_idna_label label;

		if (next == NULL)
			continue;
		if (!read_label(start, at - start, style, &label))
			return false;
		total += label.length + (at < end ? 1 : 0);
		is_right_to_left |= label.is_right_to_left;
		suits_other_order &= label.suits_other_order;
		if (at == end)
			break;
		start = next;
		at = next - 1;
	}
	if (style == F6_HOST_IDN && is_right_to_left && !suits_other_order)
		return false;
	return total <= F6_HOST_LENGTH;
}

/* Tells whether a text is the name of a host, of letters, digits and hyphens. */
bool
f6_is_ascii_hostname(const char *text, int length)
{
	return is_name(text, length, F6_HOST_ASCII);
}

/* Tells whether a text is the name of a host, whose labels in Punycode mean valid ones of Unicode. */
bool
f6_is_hostname(const char *text, int length)
{
	return is_name(text, length, F6_HOST_A_LABELS);
}

/* Tells whether a text is the name of a host, which may be of Unicode. */
bool
f6_is_idn_hostname(const char *text, int length)
{
	return is_name(text, length, F6_HOST_IDN);
}

/* Tells whether a text is a domain of mail. */
bool
f6_is_mail_domain(const char *text, int length, bool allow_unicode)
{
	return is_name(text, length, allow_unicode ? F6_HOST_MAIL : F6_HOST_ASCII);
}
