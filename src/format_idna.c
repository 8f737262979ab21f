/*
 * format_idna.c
 *		The labels of internationalized names: IDNA2008, RFC 5890 to 5893, on libidn2.
 *
 * libidn2 knows which characters a label may have and where.  Of the rule for text that is written from
 * right to left it lacks what concerns digits of both kinds, and the labels beside such text.
 */
#include "postgres.h"

#include <idn2.h>

#include "f6.h"
#include "format_check.h"

/* A label has at most 63 characters in ASCII, so fewer in Unicode, of four bytes each. */
#define F6_LABEL_BYTES 252

typedef struct f6_range
{
	uint32 first;
	uint32 last;
} f6_range;

/* What of a label's characters is written from right to left: classes R, AL and AN. */
static const f6_range right_to_left[] = {
	{ 0x5d0, 0x5f4 },	  { 0x620, 0x64a },		{ 0x660, 0x66f },	  { 0x671, 0x6d5 },
	{ 0x6e5, 0x6e6 },	  { 0x6ee, 0x6ef },		{ 0x6fa, 0x710 },	  { 0x712, 0x72f },
	{ 0x74d, 0x7a5 },	  { 0x7b1, 0x7ea },		{ 0x7f4, 0x7fa },	  { 0x800, 0x815 },
	{ 0x81a, 0x81a },	  { 0x824, 0x824 },		{ 0x828, 0x828 },	  { 0x840, 0x858 },
	{ 0x860, 0x88e },	  { 0x8a0, 0x8c9 },		{ 0xfb1d, 0xfb1d },	  { 0xfe73, 0xfe73 },
	{ 0x10800, 0x10a00 }, { 0x10a10, 0x10a35 }, { 0x10a60, 0x10ae4 }, { 0x10b00, 0x10d23 },
	{ 0x10d30, 0x10d68 }, { 0x10d6f, 0x10ea9 }, { 0x10eb0, 0x10ec7 }, { 0x10f00, 0x10f45 },
	{ 0x10f70, 0x10f81 }, { 0x10fb0, 0x10ff6 }, { 0x1e800, 0x1e8c4 }, { 0x1e922, 0x1e943 },
	{ 0x1e94b, 0x1e959 },
};

/* Digits of class AN, and of class EN. */
static const f6_range arabic_digits[] = { { 0x660, 0x669 }, { 0x10d30, 0x10d39 } };
static const f6_range european_digits[] = { { '0', '9' }, { 0x6f0, 0x6f9 } };

/* What has no direction of its own, of the characters that a label may have. */
static const f6_range neutral[] = {
	{ 0xb7, 0xb7 },		{ 0x2b9, 0x2ba },	{ 0x2c6, 0x2cf },	{ 0x2ec, 0x2ec },
	{ 0x375, 0x375 },	{ 0x200c, 0x200d }, { 0x2e2f, 0x2e2f }, { 0x30fb, 0x30fb },
	{ 0xa67f, 0xa67f }, { 0xa717, 0xa71f }, { 0xa788, 0xa788 },
};

/* Tells whether a character is within one of the ranges. */
static bool
is_in(uint32 c, const f6_range *ranges, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

#define F6_IS_IN(c, ranges) is_in(c, ranges, lengthof(ranges))

/* Tells whether one of the characters, of which a zero is the last, is within one of the ranges. */
static bool
has_any_in(const uint32 *characters, const f6_range *ranges, int count)
{
	for (; *characters != 0; characters++)
		if (is_in(*characters, ranges, count))
			return true;
	return false;
}

#define F6_HAS_ANY_IN(characters, ranges) has_any_in(characters, ranges, lengthof(ranges))

/* Reads off a label's characters what matters for its neighbours; false if they break the rule alone. */
static bool
read_order(const uint32 *characters, f6_idna_label *label)
{
	uint32 last = 0;
	int i;

	for (i = 0; characters[i] != 0; i++)
		last = characters[i];
	label->is_right_to_left = F6_HAS_ANY_IN(characters, right_to_left);
	label->suits_other_order =
		label->is_right_to_left || !(F6_IS_IN(characters[0], european_digits) ||
									 F6_IS_IN(characters[0], neutral) || F6_IS_IN(last, neutral));
	return !(label->is_right_to_left && F6_HAS_ANY_IN(characters, arabic_digits) &&
			 F6_HAS_ANY_IN(characters, european_digits));
}

/* Raises an error where libidn2 could not get memory, which says nothing about a label. */
static void
check_memory(int result)
{
	if (result == IDN2_MALLOC)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Failed while checking an internationalized name.")));
}

/*
 * Copies a label, terminating it; an A-label in lower case, which is its canonical form.  False where
 * it can't be one.
 */
static bool
copy_label(const char *text, int length, uint8_t *copy, bool *is_ascii)
{
	int i;

	if (length < 1 || length > F6_LABEL_BYTES || text[0] == '-' || text[length - 1] == '-' ||
		memchr(text, '\0', length) != NULL)
		return false;
	*is_ascii = true;
	for (i = 0; i < length; i++)
		*is_ascii &= !IS_HIGHBIT_SET(text[i]);
	for (i = 0; i < length; i++)
		copy[i] = *is_ascii && text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i];
	copy[length] = '\0';
	return true;
}

/*
 * Tells whether a text is a U-label or, if it is of ASCII, an A-label.  A U-label is in Unicode's normal
 * form C, or is brought into it first.
 */
bool
f6_idna_read_label(const char *text, int length, bool normalize, f6_idna_label *label)
{
	uint8_t copy[F6_LABEL_BYTES + 1];
	uint8_t *ascii = NULL;
	uint32_t *characters = NULL;
	bool is_ascii;
	bool is_valid;
	int result;

	if (!copy_label(text, length, copy, &is_ascii))
		return false;
	result = idn2_register_u8(is_ascii ? NULL : copy, is_ascii ? copy : NULL, &ascii,
							  normalize ? IDN2_NFC_INPUT : 0);
	if (result == IDN2_OK)
		result = idn2_to_unicode_8z4z((char *) ascii, &characters, 0);
	is_valid = result == IDN2_OK && read_order(characters, label);
	if (is_valid)
		label->length = strlen((char *) ascii);
	idn2_free(characters);
	idn2_free(ascii);
	check_memory(result);
	return is_valid;
}
