/*
 * iso_time.c
 *		Dates and times as JSON documents write them: ISO 8601's extended format, as RFC 3339 profiles it.
 *
 * The server's own input routines take much more ("tomorrow", "Jan 5") and depend on DateStyle; a document's meaning must not.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "iso_time.h"

typedef struct iso_text
{
	const char *at;
	const char *end;
} iso_text;

/* take_number reads exactly so many digits. */
static bool
take_number(iso_text *text, int digits, int *number)
{
	if (text->end - text->at < digits)
		return false;
	*number = 0;
	for (int i = 0; i < digits; i++, text->at++)
	{
		if (*text->at < '0' || *text->at > '9')
			return false;
		*number = *number * 10 + (*text->at - '0');
	}
	return true;
}

/* take_char reads one of the given characters. */
static bool
take_char(iso_text *text, const char *choice)
{
	if (text->at == text->end || *text->at == '\0' || strchr(choice, *text->at) == NULL)
		return false;
	text->at++;
	return true;
}

/* take_fraction reads the digits after a decimal point as microseconds, rounded. */
static bool
take_fraction(iso_text *text, fsec_t *microseconds)
{
	int digits = 0;
	bool round_up = false;

	*microseconds = 0;
	for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++, digits++)
	{
		if (digits < 6)
			*microseconds = *microseconds * 10 + (*text->at - '0');
		else if (digits == 6)
			round_up = *text->at >= '5';
	}
	for (int i = digits; i < 6; i++)
		*microseconds *= 10;
	*microseconds += round_up;
	return digits > 0;
}

/* take_date reads YYYY-MM-DD, a day that exists. */
static bool
take_date(iso_text *text, struct pg_tm *tm)
{
	if (!take_number(text, 4, &tm->tm_year) || !take_char(text, "-") ||
		!take_number(text, 2, &tm->tm_mon) || !take_char(text, "-") ||
		!take_number(text, 2, &tm->tm_mday))
		return false;
	return tm->tm_year >= 1 && tm->tm_mon >= 1 && tm->tm_mon <= MONTHS_PER_YEAR &&
		   tm->tm_mday >= 1 && tm->tm_mday <= day_tab[isleap(tm->tm_year)][tm->tm_mon - 1];
}

/* take_time reads HH:MM, HH:MM:SS or HH:MM:SS.fff; a leap second counts as the second after it. */
static bool
take_time(iso_text *text, struct pg_tm *tm, fsec_t *microseconds)
{
	*microseconds = 0;
	tm->tm_sec = 0;
	if (!take_number(text, 2, &tm->tm_hour) || !take_char(text, ":") ||
		!take_number(text, 2, &tm->tm_min))
		return false;
	if (take_char(text, ":"))
	{
		if (!take_number(text, 2, &tm->tm_sec))
			return false;
		if (take_char(text, ".,") && !take_fraction(text, microseconds))
			return false;
	}
	return tm->tm_hour < HOURS_PER_DAY && tm->tm_min < MINS_PER_HOUR &&
		   tm->tm_sec <= SECS_PER_MINUTE;
}

/* take_offset reads Z or +HH:MM, as the seconds west of Greenwich that the server counts in. */
static bool
take_offset(iso_text *text, int *west)
{
	int sign;
	int hours;
	int minutes = 0;

	*west = 0;
	if (take_char(text, "Zz"))
		return true;
	sign = take_char(text, "-") ? 1 : -1;
	if (sign < 0 && !take_char(text, "+"))
		return false;
	if (!take_number(text, 2, &hours))
		return false;
	if (text->at < text->end && (!take_char(text, ":") || !take_number(text, 2, &minutes)))
		return false;
	*west = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return hours < HOURS_PER_DAY && minutes < MINS_PER_HOUR;
}

/*
 * f6_iso_time_parse reads a date or a date with a time, and tells whether the text is one.
 *
 * A date alone is its first moment, and a time without an offset is local, in the session's time zone.
 */
bool
f6_iso_time_parse(const char *text, int length, TimestampTz *result)
{
	iso_text rest = { text, text + length };
	struct pg_tm tm = { 0 };
	fsec_t microseconds = 0;
	int west;
	bool local = true;

	if (!take_date(&rest, &tm))
		return false;
	if (rest.at < rest.end)
	{
		if (!take_char(&rest, "Tt ") || !take_time(&rest, &tm, &microseconds))
			return false;
		if (rest.at < rest.end)
		{
			if (!take_offset(&rest, &west) || rest.at < rest.end)
				return false;
			local = false;
		}
	}
	if (local)
		west = DetermineTimeZoneOffset(&tm, session_timezone);
	return tm2timestamp(&tm, microseconds, &west, result) == 0;
}
