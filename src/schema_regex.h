/*
 * schema_regex.h
 *		The grammar of ECMA-262's regular expressions.
 */
#ifndef F6_SCHEMA_REGEX_H
#define F6_SCHEMA_REGEX_H

extern char *f6_regex_translate(const char *text, int length, int *translated, char **problem);
extern bool f6_regex_is_valid(const char *text, int length);

#endif /* F6_SCHEMA_REGEX_H */
