/*
 * format_mail.c
 *		The formats of mail addresses: the mailbox of RFC 5321, section 4.1.2, and as RFC 6531 widens it
 *		to Unicode.
 */
#include "postgres.h"

#include "f6.h"
#include "format_check.h"

/* RFC 5321, section 4.5.3.1, in bytes; a path has two more for its angle brackets. */
#define F6_MAIL_LOCAL_LENGTH   64
#define F6_MAIL_MAILBOX_LENGTH 254

/* Takes a character beyond ASCII, where mail has them; returns what follows it, or NULL. */
static const char *
take_unicode(const char *at, const char *end, bool allow_unicode)
{
	uint32 c;

	return allow_unicode ? f6_next_character(at, end, &c) : NULL;
}

/* Takes a string in double quotes; returns what follows it, or NULL. */
static const char *
take_quoted(const char *at, const char *end, bool allow_unicode)
{
	at++;
	while (at != NULL && at < end && *at != '"')
	{
		bool is_pair = *at == '\\';

		if (is_pair && ++at == end)
			return NULL;
		if (!IS_HIGHBIT_SET(*at))
			at = *at >= ' ' && *at < 0x7f ? at + 1 : NULL;
		else
			at = is_pair ? NULL : take_unicode(at, end, allow_unicode);
	}
	return at != NULL && at < end ? at + 1 : NULL;
}

/* Takes one or more characters of an atom; returns what follows them, or NULL. */
static const char *
take_atom(const char *at, const char *end, bool allow_unicode)
{
	const char *start = at;

	while (at < end)
	{
		const char *next = NULL;

		if (IS_HIGHBIT_SET(*at))
			next = take_unicode(at, end, allow_unicode);
		else if (f6_is_alpha(*at) || f6_is_digit(*at) ||
				 (*at != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", *at) != NULL))
			next = at + 1;
		if (next == NULL)
			break;
		at = next;
	}
	return at > start ? at : NULL;
}

/* Takes what stands before the at sign; returns what follows it, or NULL. */
static const char *
take_local_part(const char *at, const char *end, bool allow_unicode)
{
	if (at < end && *at == '"')
		return take_quoted(at, end, allow_unicode);
	at = take_atom(at, end, allow_unicode);
	while (at != NULL && at < end && *at == '.')
		at = take_atom(at + 1, end, allow_unicode);
	return at;
}

/* Tells whether a text is a mailbox. */
static bool
is_mailbox(const char *text, int length, bool allow_unicode)
{
	const char *end = text + length;
	const char *at;

	if (length > F6_MAIL_MAILBOX_LENGTH)
		return false;
	at = take_local_part(text, end, allow_unicode);
	if (at == NULL || at == end || *at != '@' || at - text > F6_MAIL_LOCAL_LENGTH)
		return false;
	at++;
	return f6_is_mail_literal(at, end - at) || f6_is_mail_domain(at, end - at, allow_unicode);
}

/* Tells whether a text is a mail address. */
bool
f6_is_email(const char *text, int length)
{
	return is_mailbox(text, length, false);
}

/* Tells whether a text is a mail address, which may be of Unicode. */
bool
f6_is_idn_email(const char *text, int length)
{
	return is_mailbox(text, length, true);
}
