/*
 * schema_pattern.c
 *		Regular expressions as ECMA-262 means them, on PCRE2, within fixed limits.
 *
 * All that PCRE2 allocates lies in the memory context in which the set was created, so deleting that
 * context is all the cleaning up there is.  A match is not re-entrant, so the patterns of a set share
 * one block of match data.  The limits are constants: a schema's verdict must not depend on a setting.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "f6.h"
#include "schema_pattern.h"
#include "schema_regex.h"

/* Steps that a match may take from one place of the text: some milliseconds. */
#define F6_PATTERN_MATCH_LIMIT 500000

/* Nested backtracking points that one match may hold, and the kibibytes it may hold them in. */
#define F6_PATTERN_DEPTH_LIMIT 100000
#define F6_PATTERN_HEAP_LIMIT  (16 * 1024)

/*
 * The limits hold for each place at which a match might start, and PCRE2 can only be interrupted where the
 * expression has a callout: so it is given this many places at a time, and fewer in a text so long that
 * looking through it takes time as well.
 */
#define F6_PATTERN_STARTS  128
#define F6_PATTERN_SCANNED (64 * 1024 * 1024)

/* ECMA-262's rules where PCRE2's own differ, and nothing that lets a pattern escape from UTF-8. */
#define F6_PATTERN_OPTIONS \
	(PCRE2_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY | \
	 PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF | PCRE2_USE_OFFSET_LIMIT)

struct f6_pattern_set
{
	MemoryContext context;
	pcre2_compile_context *compile;
};

/*
 * What matching works with, one for the backend: PCRE2 keeps in it the memory that a match has needed, up to the heap's
 * limit, and gives it back only with the whole.
 */
typedef struct f6_matcher
{
	pcre2_match_context *context;
	pcre2_match_data *data;
} f6_matcher;

static f6_matcher matcher;

struct f6_pattern
{
	pcre2_code *code;
	bool is_anchored;	/* it can only match at the start of a text */
	const char *source; /* the caller's */
	int length;
};

/*
 * Allocates for PCRE2; returns NULL rather than raising an error, which would jump over PCRE2's own
 * frames.
 */
static void *
pattern_malloc(PCRE2_SIZE size, void *context)
{
	if (!AllocHugeSizeIsValid(size))
		return NULL;
	return MemoryContextAllocExtended((MemoryContext) context, Max(size, 1),
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/* Frees what pattern_malloc gave. */
static void
pattern_free(void *block, void *context pg_attribute_unused())
{
	if (block != NULL)
		pfree(block);
}

/* Raises the error for memory that PCRE2 could not get. */
static void
out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("Failed while working on a regular expression.")));
}

/* Returns what makes PCRE2 allocate in a memory context. */
static pcre2_general_context *
general_context(MemoryContext context)
{
	pcre2_general_context *general =
		pcre2_general_context_create(pattern_malloc, pattern_free, context);

	if (general == NULL)
		out_of_memory();
	return general;
}

/* Creates a set of patterns in the current memory context. */
f6_pattern_set *
f6_pattern_set_create(void)
{
	f6_pattern_set *set = palloc0(sizeof(f6_pattern_set));

	set->context = CurrentMemoryContext;
	set->compile = pcre2_compile_context_create(general_context(set->context));
	if (set->compile == NULL)
		out_of_memory();
	pcre2_set_newline(set->compile, PCRE2_NEWLINE_ANYCRLF);
	return set;
}

/* Gives up a match that goes through one of the translation's callouts, if somebody wants it to end. */
static int
give_up(pcre2_callout_block *block pg_attribute_unused(), void *data pg_attribute_unused())
{
	return unlikely(InterruptPending) && INTERRUPTS_CAN_BE_PROCESSED() ? PCRE2_ERROR_CALLOUT : 0;
}

/* Readies the backend's matcher, when it is needed for the first time. */
static void
ready_matcher(void)
{
	MemoryContext memory;
	pcre2_general_context *general;
	pcre2_match_data *data;

	if (matcher.data != NULL)
		return;
	memory =
		AllocSetContextCreate(CurrentMemoryContext, "f6 pattern matching", ALLOCSET_DEFAULT_SIZES);
	general = general_context(memory);
	matcher.context = pcre2_match_context_create(general);
	if (matcher.context == NULL)
		out_of_memory();
	pcre2_set_match_limit(matcher.context, F6_PATTERN_MATCH_LIMIT);
	pcre2_set_depth_limit(matcher.context, F6_PATTERN_DEPTH_LIMIT);
	pcre2_set_heap_limit(matcher.context, F6_PATTERN_HEAP_LIMIT);
	pcre2_set_callout(matcher.context, give_up, NULL);
	data = pcre2_match_data_create(1, general);
	if (data == NULL)
		out_of_memory();
	MemoryContextSetParent(memory, TopMemoryContext);
	matcher.data = data;
}

/* Returns PCRE2's own words for one of its errors. */
static char *
error_text(int error)
{
	PCRE2_UCHAR text[256];

	if (pcre2_get_error_message(error, text, lengthof(text)) < 0)
		return psprintf("error %d", error);
	return pstrdup((char *) text);
}

/*
 * Compiles a pattern, which lives as long as its set, and its text must too; NULL with the problem
 * where it is no regular expression.
 */
f6_pattern *
f6_pattern_compile(f6_pattern_set *set, const char *text, int length, char **problem)
{
	f6_pattern *pattern;
	pcre2_code *code;
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);
	char *translated;
	int translated_length;
	PCRE2_SIZE offset;
	uint32 options;
	int error;

	translated = f6_regex_translate(utf8, utf8 == text ? length : (int) strlen(utf8),
									&translated_length, problem);
	if (utf8 != text)
		pfree(utf8);
	if (translated == NULL)
		return NULL;

	code = pcre2_compile((PCRE2_SPTR) translated, translated_length, F6_PATTERN_OPTIONS, &error,
						 &offset, set->compile);
	if (code == NULL)
	{
		if (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED)
			out_of_memory();
		*problem = error_text(error);
		return NULL;
	}
	pfree(translated);

	pattern = MemoryContextAlloc(set->context, sizeof(f6_pattern));
	pattern->code = code;
	pattern->is_anchored = pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options) == 0 &&
						   (options & PCRE2_ANCHORED) != 0;
	pattern->source = text;
	pattern->length = length;
	return pattern;
}

/*
 * Tells whether a text of UTF-8 is a regular expression, though it may be one that f6_pattern_compile
 * can't take: larger or more deeply nested than PCRE2 has it, or looking behind by any length.
 */
bool
f6_pattern_is_valid(const char *text, int length)
{
	return f6_regex_is_valid(text, length);
}

/* Returns the text from which the pattern was compiled, not terminated. */
const char *
f6_pattern_source(const f6_pattern *pattern, int *length)
{
	*length = pattern->length;
	return pattern->source;
}

/* Raises the error for a match that could not be decided. */
static void
match_failed(int error)
{
	if (error == PCRE2_ERROR_NOMEMORY)
		out_of_memory();
	if (error == PCRE2_ERROR_MATCHLIMIT || error == PCRE2_ERROR_DEPTHLIMIT ||
		error == PCRE2_ERROR_HEAPLIMIT)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("matching a regular expression takes too many steps"),
			 errdetail("PCRE2 reports: %s.", error_text(error)),
			 errhint("Rewrite the pattern so that it backtracks less, or bound the length of the "
					 "text with maxLength.")));
	ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not match a regular expression"),
					errdetail("PCRE2 reports: %s.", error_text(error))));
}

/*
 * Tells whether the pattern matches in a text of UTF-8, looking at some of the places where it may
 * start at a time.
 */
static bool
matches_utf8(const f6_pattern *pattern, const char *text, int length)
{
	int starts = Max(1, Min(F6_PATTERN_STARTS, F6_PATTERN_SCANNED / (length + 1)));
	int from = 0;

	ready_matcher();
	for (;;)
	{
		bool is_last = pattern->is_anchored || from + starts > length;
		int result;

		CHECK_FOR_INTERRUPTS();
		pcre2_set_offset_limit(matcher.context,
							   is_last ? PCRE2_UNSET : (PCRE2_SIZE) (from + starts - 1));
		result = pcre2_match(pattern->code, (PCRE2_SPTR) text, length, from, PCRE2_NO_UTF_CHECK,
							 matcher.data, matcher.context);
		if (result == PCRE2_ERROR_CALLOUT)
			continue;
		if (result < 0 && result != PCRE2_ERROR_NOMATCH)
			match_failed(result);
		if (result >= 0 || is_last)
			return result >= 0;

		from += starts;
		while (from < length && ((unsigned char) text[from] & 0xc0) == 0x80)
			from++;
	}
}

/*
 * Tells whether the pattern matches anywhere in the text; raises an error where that takes more than
 * the limits allow.
 */
bool
f6_pattern_matches(const f6_pattern *pattern, const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);
	bool result;

	if (utf8 == text)
		return matches_utf8(pattern, text, length);
	result = matches_utf8(pattern, utf8, strlen(utf8));
	pfree(utf8);
	return result;
}
