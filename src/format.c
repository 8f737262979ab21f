/*
 * format.c
 *		Which formats each draft of JSON Schema defines.
 */
#include "postgres.h"

#include "f6.h"
#include "format.h"
#include "format_check.h"

/* Later than any draft. */
#define F6_LAST_DRAFT PG_INT32_MAX

/* The formats, each with the drafts that define it so. */
static const struct
{
	const char *name;
	int first_draft;
	int last_draft;
	f6_format_check check;
} formats[] = {
	{ "date-time", 4, F6_LAST_DRAFT, f6_is_date_time },
	{ "date", 7, F6_LAST_DRAFT, f6_is_date },
	{ "time", 7, F6_LAST_DRAFT, f6_is_time },
	{ "duration", 2019, F6_LAST_DRAFT, f6_is_duration },
	{ "uuid", 2019, F6_LAST_DRAFT, f6_is_uuid },
	{ "email", 4, F6_LAST_DRAFT, f6_is_email },
	{ "idn-email", 7, F6_LAST_DRAFT, f6_is_idn_email },
	{ "hostname", 4, 6, f6_is_ascii_hostname },
	{ "hostname", 7, F6_LAST_DRAFT, f6_is_hostname },
	{ "idn-hostname", 7, F6_LAST_DRAFT, f6_is_idn_hostname },
	{ "ipv4", 4, F6_LAST_DRAFT, f6_is_ipv4 },
	{ "ipv6", 4, F6_LAST_DRAFT, f6_is_ipv6 },
	{ "uri", 4, F6_LAST_DRAFT, f6_is_uri },
	{ "uri-reference", 6, F6_LAST_DRAFT, f6_is_uri_reference },
	{ "iri", 7, F6_LAST_DRAFT, f6_is_iri },
	{ "iri-reference", 7, F6_LAST_DRAFT, f6_is_iri_reference },
	{ "uri-template", 6, F6_LAST_DRAFT, f6_is_uri_template },
	{ "json-pointer", 6, F6_LAST_DRAFT, f6_is_json_pointer },
	{ "relative-json-pointer", 7, 7, f6_is_plain_relative_json_pointer },
	{ "relative-json-pointer", 2019, F6_LAST_DRAFT, f6_is_relative_json_pointer },
};

/*
 * Returns the check of a format as a draft (4, 6, 7, 2019 or 2020) means it, or NULL where that draft
 * does not define the format.
 */
f6_format_check
f6_format_find(const char *name, int length, int draft)
{
	int i;

	for (i = 0; i < (int) lengthof(formats); i++)
		if (draft >= formats[i].first_draft && draft <= formats[i].last_draft &&
			(int) strlen(formats[i].name) == length && memcmp(formats[i].name, name, length) == 0)
			return formats[i].check;
	return NULL;
}
