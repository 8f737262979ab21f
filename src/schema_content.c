/*
 * schema_content.c
 *		Checking what a string holds, as draft 7 allows it: base64 and JSON.
 *
 * Later drafts have made contentEncoding and contentMediaType annotations for good.
 */
#include "postgres.h"

#include "common/base64.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#include "f6.h"
#include "schema_content.h"

/* Tells whether a text has what base64 must not have but the server's decoder takes: white space, and padding before its end. */
static bool
has_lax_base64(const char *text, int length)
{
	const char *padding = memchr(text, '=', length);

	if (padding != NULL && padding < text + length - 1 &&
		(padding < text + length - 2 || padding[1] != '='))
		return true;
	return memchr(text, ' ', length) != NULL || memchr(text, '\t', length) != NULL ||
		   memchr(text, '\n', length) != NULL || memchr(text, '\r', length) != NULL;
}

/* Returns what a base64 text (RFC 4648) encodes, or NULL if it is none. */
static char *
decode_base64(const char *text, int length, int *decoded_length)
{
	int space = pg_b64_dec_len(length);
	char *decoded;

	if (length % 4 != 0 || has_lax_base64(text, length))
		return NULL;
	decoded = palloc_extended(space + 1, MCXT_ALLOC_HUGE);
	*decoded_length = pg_b64_decode(text, length, (void *) decoded, space);
	if (*decoded_length >= 0)
		return decoded;
	pfree(decoded);
	return NULL;
}

/* Tells whether the text is base64. */
bool
f6_content_is_base64(const char *text, int length)
{
	int decoded_length;
	char *decoded = decode_base64(text, length, &decoded_length);

	if (decoded != NULL)
		pfree(decoded);
	return decoded != NULL;
}

/* Tells whether a text of UTF-8 is JSON. */
static bool
is_json(char *text, int length)
{
	JsonLexContext *lexer;
	bool result;

	if (!pg_verify_mbstr(PG_UTF8, text, length, true))
		return false;
	lexer = f6_json_lexer(text, length, PG_UTF8);
	result = pg_parse_json(lexer, &nullSemAction) == JSON_SUCCESS;
	f6_json_lexer_free(lexer);
	return result;
}

/* Tells whether the text of UTF-8, or what it encodes, is JSON; a text that should be base64 and isn't is not. */
bool
f6_content_is_json(const char *text, int length, bool is_base64)
{
	char *content = is_base64 ? decode_base64(text, length, &length) : pnstrdup(text, length);
	bool result = content != NULL && is_json(content, length);

	if (content != NULL)
		pfree(content);
	return result;
}
