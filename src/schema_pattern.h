/*
 * schema_pattern.h
 *		The regular expressions of a schema, on PCRE2.
 */
#ifndef F6_SCHEMA_PATTERN_H
#define F6_SCHEMA_PATTERN_H

typedef struct f6_pattern f6_pattern;
typedef struct f6_pattern_set f6_pattern_set;

extern f6_pattern_set *f6_pattern_set_create(void);
extern f6_pattern *f6_pattern_compile(f6_pattern_set *set, const char *text, int length,
									  char **problem);
extern bool f6_pattern_is_valid(const char *text, int length);
extern const char *f6_pattern_source(const f6_pattern *pattern, int *length);
extern bool f6_pattern_matches(const f6_pattern *pattern, const char *text, int length);

#endif /* F6_SCHEMA_PATTERN_H */
