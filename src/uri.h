/*
 * uri.h
 *		URI references, as the schemas of JSON Schema name each other by them (RFC 3986).
 *
 * Nothing is normalised but dot segments: letters keep their case, and percent-encoding stays.
 */
#ifndef F6_URI_H
#define F6_URI_H

extern bool f6_uri_is_absolute(const char *uri, int length);
extern char *f6_uri_resolve(const char *base, const char *reference, int length);
extern const char *f6_uri_fragment(const char *uri);
extern char *f6_uri_without_fragment(const char *uri);

#endif /* F6_URI_H */
