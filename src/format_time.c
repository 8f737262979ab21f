/*
 * format_time.c
 *		The formats of dates and times: RFC 3339, section 5.6, and durations by its appendix A.
 */
#include "postgres.h"

#include "f6.h"
#include "format_check.h"

#define F6_DATE_LENGTH	   10
#define F6_SHORTEST_TIME   9 /* 00:00:00Z */
#define F6_MINUTES_OF_DAY  1440
#define F6_MINUTES_OF_HOUR 60

/* Returns the number that two digits write, or -1 where they are none. */
static int
two_digits(const char *at)
{
	if (!f6_is_digit(at[0]) || !f6_is_digit(at[1]))
		return -1;
	return (at[0] - '0') * 10 + (at[1] - '0');
}

/* Returns how many days a month has; a year is given by its century and the year within it. */
static int
days_of_month(int century, int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = year != 0 ? year % 4 == 0 : century % 4 == 0;

	return days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

/* Tells whether ten bytes are a full-date. */
static bool
is_full_date(const char *at)
{
	int century = two_digits(at);
	int year = two_digits(at + 2);
	int month = two_digits(at + 5);
	int day = two_digits(at + 8);

	if (at[4] != '-' || at[7] != '-' || century < 0 || year < 0 || month < 1 || month > 12)
		return false;
	return day >= 1 && day <= days_of_month(century, year, month);
}

/* Reads HH:MM of five bytes in minutes, or returns -1. */
static int
hour_and_minute(const char *at)
{
	int hour = two_digits(at);
	int minute = two_digits(at + 3);

	if (at[2] != ':' || hour < 0 || hour > 23 || minute < 0 || minute > 59)
		return -1;
	return hour * F6_MINUTES_OF_HOUR + minute;
}

/* Reads a time-offset that ends at the end, and says how many minutes the time is ahead of UTC. */
static bool
read_offset(const char *at, const char *end, int *offset)
{
	if (end - at == 1 && (*at == 'Z' || *at == 'z'))
	{
		*offset = 0;
		return true;
	}
	if (end - at != 6 || (*at != '+' && *at != '-'))
		return false;
	*offset = hour_and_minute(at + 1);
	if (*offset < 0)
		return false;
	if (*at == '-')
		*offset = -*offset;
	return true;
}

/*
 * Tells whether a text is a full-time.  A leap second is the last of a day in UTC; which days have one
 * is announced half a year ahead, so any may.
 */
bool
f6_is_time(const char *text, int length)
{
	const char *end = text + length;
	const char *at = text + 8;
	int minute;
	int second;
	int offset;

	if (length < F6_SHORTEST_TIME)
		return false;
	minute = hour_and_minute(text);
	second = two_digits(text + 6);
	if (minute < 0 || text[5] != ':' || second < 0 || second > 60)
		return false;
	if (*at == '.')
	{
		const char *fraction = ++at;

		while (at < end && f6_is_digit(*at))
			at++;
		if (at == fraction)
			return false;
	}
	if (!read_offset(at, end, &offset))
		return false;
	return second < 60 ||
		   (minute - offset + F6_MINUTES_OF_DAY) % F6_MINUTES_OF_DAY == F6_MINUTES_OF_DAY - 1;
}

/* Tells whether a text is a full-date. */
bool
f6_is_date(const char *text, int length)
{
	return length == F6_DATE_LENGTH && is_full_date(text);
}

/* Tells whether a text is a date-time. */
bool
f6_is_date_time(const char *text, int length)
{
	return length > F6_DATE_LENGTH &&
		   (text[F6_DATE_LENGTH] == 'T' || text[F6_DATE_LENGTH] == 't') && is_full_date(text) &&
		   f6_is_time(text + F6_DATE_LENGTH + 1, length - F6_DATE_LENGTH - 1);
}

/*
 * Takes numbers, each with its unit, as long as there are any: the first has any of the units, each
 * further one the unit that follows.  Returns what comes next, or NULL where a number has no such unit.
 */
static const char *
take_units(const char *at, const char *end, const char *units)
{
	const char *expected = NULL;

	while (at < end && f6_is_digit(*at))
	{
		const char *unit;

		while (at < end && f6_is_digit(*at))
			at++;
		if (at == end || !f6_is_alpha(*at))
			return NULL;
		unit = strchr(units, pg_ascii_toupper((unsigned char) *at));
		if (unit == NULL || (expected != NULL && unit != expected))
			return NULL;
		expected = unit + 1;
		at++;
	}
	return at;
}

/* Tells whether a text is a duration.  Letters are of either case, as in all ABNF. */
bool
f6_is_duration(const char *text, int length)
{
	const char *end = text + length;
	const char *date;
	const char *time;

	if (length < 3 || (*text != 'P' && *text != 'p'))
		return false;
	if (take_units(text + 1, end, "W") == end)
		return true;
	date = take_units(text + 1, end, "YMD");
	if (date == NULL || date == end)
		return date == end;
	if (*date != 'T' && *date != 't')
		return false;
	time = take_units(date + 1, end, "HMS");
	return time == end && time > date + 1;
}
