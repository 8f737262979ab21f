/*
 * format_check.h
 *		The checks of the formats, and what they share.
 *
 * A check takes any bytes of any length, in time that is linear in it.  It keeps no memory.
 */
#ifndef F6_FORMAT_CHECK_H
#define F6_FORMAT_CHECK_H

/* format_time.c */
extern bool f6_is_date_time(const char *text, int length);
extern bool f6_is_date(const char *text, int length);
extern bool f6_is_time(const char *text, int length);
extern bool f6_is_duration(const char *text, int length);

/* format_text.c */
extern bool f6_is_uuid(const char *text, int length);
extern bool f6_is_json_pointer(const char *text, int length);
extern bool f6_is_relative_json_pointer(const char *text, int length);
extern bool f6_is_plain_relative_json_pointer(const char *text, int length);
extern const char *f6_next_character(const char *at, const char *end, uint32 *character);

/* format_uri.c */
extern bool f6_is_uri(const char *text, int length);
extern bool f6_is_uri_reference(const char *text, int length);
extern bool f6_is_iri(const char *text, int length);
extern bool f6_is_iri_reference(const char *text, int length);
extern bool f6_is_uri_template(const char *text, int length);

/* format_address.c */
extern bool f6_is_ipv4(const char *text, int length);
extern bool f6_is_ipv6(const char *text, int length);
extern bool f6_is_mail_literal(const char *text, int length);

/* format_mail.c */
extern bool f6_is_email(const char *text, int length);
extern bool f6_is_idn_email(const char *text, int length);

/* format_idna.c: a label of a host's name, and what matters of it for the whole name */
typedef struct f6_idna_label
{
	int length;				/* in ASCII */
	bool is_right_to_left;	/* it has a character that is written so */
	bool suits_other_order; /* it may stand beside labels that are */
} f6_idna_label;

extern bool f6_idna_read_label(const char *text, int length, bool normalize, f6_idna_label *label);

/* format_host.c */
extern bool f6_is_ascii_hostname(const char *text, int length);
extern bool f6_is_hostname(const char *text, int length);
extern bool f6_is_idn_hostname(const char *text, int length);
extern bool f6_is_mail_domain(const char *text, int length, bool allow_unicode);

/* The characters that RFC 3339, 3986 and the others call ALPHA, DIGIT and HEXDIG: ASCII, in any locale. */
static inline bool
f6_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
f6_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
f6_is_hex(char c)
{
	return f6_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

#endif /* F6_FORMAT_CHECK_H */
