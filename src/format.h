/*
 * format.h
 *		The formats of JSON Schema's keyword "format", by their RFCs.
 *
 * The format "regex" is not among them: f6_pattern_is_valid (schema_pattern.h) checks it.
 */
#ifndef F6_FORMAT_H
#define F6_FORMAT_H

/* Tells whether a text of UTF-8, which need not be terminated, is of the format. */
typedef bool (*f6_format_check)(const char *text, int length);

extern f6_format_check f6_format_find(const char *name, int length, int draft);

#endif /* F6_FORMAT_H */
