/*
 * schema_content.h
 *		What a string holds: the keywords contentEncoding and contentMediaType.
 */
#ifndef F6_SCHEMA_CONTENT_H
#define F6_SCHEMA_CONTENT_H

extern bool f6_content_is_base64(const char *text, int length);
extern bool f6_content_is_json(const char *text, int length, bool is_base64);

#endif /* F6_SCHEMA_CONTENT_H */
