/*
 * schema_regex.c
 *		The grammar of ECMA-262's regular expressions, with the flag "u", and their translation into
 *		PCRE2's.
 *
 * Where the grammar without the flag gives a meaning to what the other refuses, and it is plain, it is
 * taken: escaped punctuation, lone brackets and braces, and a hyphen beside a set in a class.  What is
 * written out is of few forms, so that nothing of PCRE2's own grammar can slip in: groups are numbered,
 * characters that are no letters or digits go by number, and classes are explicit.
 *
 * A step of a match may run through all of the text, so the translation has callouts, where the match can be
 * given up: at the start of each group, and after what is repeated.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "f6.h"
#include "schema_regex.h"

/* More groups than PCRE2 can number are no regular expression. */
#define F6_REGEX_MAX_GROUPS 65535

/* All numbers that are larger are alike: too large. */
#define F6_REGEX_MAX_NUMBER 100000000

/* What ECMA-262 means by \s and \S, for use within a class. */
#define F6_REGEX_SPACE \
	"\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
	"\\x{3000}\\x{feff}"
#define F6_REGEX_NO_SPACE \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}" \
	"\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}" \
	"\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

/* What a dot means: all but the line terminators. */
#define F6_REGEX_ANY "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]"

/* Where a match can be given up. */
#define F6_REGEX_CALLOUT "(?C)"

/* What is repeated so often, neither more nor less, has no callout after it. */
#define F6_REGEX_FEW 32

/* What an escape or a character in a class may turn out to be, besides a character. */
#define F6_REGEX_SET	 (-1) /* a set of characters, which is written already */
#define F6_REGEX_PROBLEM (-2)

/* What an open group is. */
#define F6_REGEX_GROUP	   'g'
#define F6_REGEX_ASSERTION 'a'

/* A group with a name. */
typedef struct f6_regex_name
{
	const char *text;
	int length;
	int number;
} f6_regex_name;

/* A regular expression that is being read. */
typedef struct f6_regex
{
	const char *start;
	const char *at;
	const char *end;
	bool is_wanted;		   /* the translation, and the words for a problem */
	StringInfoData result; /* the translation so far */
	StringInfoData open;   /* the groups that are open, a letter each */
	bool has_atom;		   /* what was read last may be repeated */
	int group_count;
	f6_regex_name *names; /* sorted */
	int name_count;
	int name_space;
	char *problem;
} f6_regex;

/* The names of Unicode's general categories, sorted, and those that PCRE2 knows. */
static const char *const categories[][2] = {
	{ "C", "C" },
	{ "Cased_Letter", "L&" },
	{ "Cc", "Cc" },
	{ "Cf", "Cf" },
	{ "Close_Punctuation", "Pe" },
	{ "Cn", "Cn" },
	{ "Co", "Co" },
	{ "Combining_Mark", "M" },
	{ "Connector_Punctuation", "Pc" },
	{ "Control", "Cc" },
	{ "Cs", "Cs" },
	{ "Currency_Symbol", "Sc" },
	{ "Dash_Punctuation", "Pd" },
	{ "Decimal_Number", "Nd" },
	{ "Enclosing_Mark", "Me" },
	{ "Final_Punctuation", "Pf" },
	{ "Format", "Cf" },
	{ "Initial_Punctuation", "Pi" },
	{ "L", "L" },
	{ "LC", "L&" },
	{ "Letter", "L" },
	{ "Letter_Number", "Nl" },
	{ "Line_Separator", "Zl" },
	{ "Ll", "Ll" },
	{ "Lm", "Lm" },
	{ "Lo", "Lo" },
	{ "Lowercase_Letter", "Ll" },
	{ "Lt", "Lt" },
	{ "Lu", "Lu" },
	{ "M", "M" },
	{ "Mark", "M" },
	{ "Math_Symbol", "Sm" },
	{ "Mc", "Mc" },
	{ "Me", "Me" },
	{ "Mn", "Mn" },
	{ "Modifier_Letter", "Lm" },
	{ "Modifier_Symbol", "Sk" },
	{ "N", "N" },
	{ "Nd", "Nd" },
	{ "Nl", "Nl" },
	{ "No", "No" },
	{ "Nonspacing_Mark", "Mn" },
	{ "Number", "N" },
	{ "Open_Punctuation", "Ps" },
	{ "Other", "C" },
	{ "Other_Letter", "Lo" },
	{ "Other_Number", "No" },
	{ "Other_Punctuation", "Po" },
	{ "Other_Symbol", "So" },
	{ "P", "P" },
	{ "Paragraph_Separator", "Zp" },
	{ "Pc", "Pc" },
	{ "Pd", "Pd" },
	{ "Pe", "Pe" },
	{ "Pf", "Pf" },
	{ "Pi", "Pi" },
	{ "Po", "Po" },
	{ "Private_Use", "Co" },
	{ "Ps", "Ps" },
	{ "Punctuation", "P" },
	{ "S", "S" },
	{ "Sc", "Sc" },
	{ "Separator", "Z" },
	{ "Sk", "Sk" },
	{ "Sm", "Sm" },
	{ "So", "So" },
	{ "Space_Separator", "Zs" },
	{ "Spacing_Mark", "Mc" },
	{ "Surrogate", "Cs" },
	{ "Symbol", "S" },
	{ "Titlecase_Letter", "Lt" },
	{ "Unassigned", "Cn" },
	{ "Uppercase_Letter", "Lu" },
	{ "Z", "Z" },
	{ "Zl", "Zl" },
	{ "Zp", "Zp" },
	{ "Zs", "Zs" },
	{ "cntrl", "Cc" },
	{ "digit", "Nd" },
	{ "punct", "P" },
};

/* The names of Unicode's binary properties that ECMA-262 takes. */
static const char *const binary_properties[] = { "ASCII",
												 "ASCII_Hex_Digit",
												 "AHex",
												 "Alphabetic",
												 "Alpha",
												 "Any",
												 "Bidi_Control",
												 "Bidi_C",
												 "Bidi_Mirrored",
												 "Bidi_M",
												 "Case_Ignorable",
												 "CI",
												 "Cased",
												 "Changes_When_Casefolded",
												 "CWCF",
												 "Changes_When_Casemapped",
												 "CWCM",
												 "Changes_When_Lowercased",
												 "CWL",
												 "Changes_When_NFKC_Casefolded",
												 "CWKCF",
												 "Changes_When_Titlecased",
												 "CWT",
												 "Changes_When_Uppercased",
												 "CWU",
												 "Dash",
												 "Default_Ignorable_Code_Point",
												 "DI",
												 "Deprecated",
												 "Dep",
												 "Diacritic",
												 "Dia",
												 "Emoji",
												 "Emoji_Component",
												 "EComp",
												 "Emoji_Modifier",
												 "EMod",
												 "Emoji_Modifier_Base",
												 "EBase",
												 "Emoji_Presentation",
												 "EPres",
												 "Extended_Pictographic",
												 "ExtPict",
												 "Extender",
												 "Ext",
												 "Grapheme_Base",
												 "Gr_Base",
												 "Grapheme_Extend",
												 "Gr_Ext",
												 "Hex_Digit",
												 "Hex",
												 "IDS_Binary_Operator",
												 "IDSB",
												 "IDS_Trinary_Operator",
												 "IDST",
												 "ID_Continue",
												 "IDC",
												 "ID_Start",
												 "IDS",
												 "Ideographic",
												 "Ideo",
												 "Join_Control",
												 "Join_C",
												 "Logical_Order_Exception",
												 "LOE",
												 "Lowercase",
												 "Lower",
												 "Math",
												 "Noncharacter_Code_Point",
												 "NChar",
												 "Pattern_Syntax",
												 "Pat_Syn",
												 "Pattern_White_Space",
												 "Pat_WS",
												 "Quotation_Mark",
												 "QMark",
												 "Radical",
												 "Regional_Indicator",
												 "RI",
												 "Sentence_Terminal",
												 "STerm",
												 "Soft_Dotted",
												 "SD",
												 "Terminal_Punctuation",
												 "Term",
												 "Unified_Ideograph",
												 "UIdeo",
												 "Uppercase",
												 "Upper",
												 "Variation_Selector",
												 "VS",
												 "White_Space",
												 "space",
												 "XID_Continue",
												 "XIDC",
												 "XID_Start",
												 "XIDS" };

/* Notes what is wrong with the expression; returns F6_REGEX_PROBLEM. */
static int
complain(f6_regex *regex, const char *problem)
{
	if (regex->problem == NULL)
		regex->problem = regex->is_wanted ? psprintf("%s at offset %d", problem,
													 (int) (regex->at - regex->start))
										  : pstrdup("");
	return F6_REGEX_PROBLEM;
}

/* Writes a piece of the translation. */
static void
put(f6_regex *regex, const char *piece)
{
	if (regex->is_wanted)
		appendStringInfoString(&regex->result, piece);
}

/* Writes a piece of the translation that has a number in it. */
static void
put_number(f6_regex *regex, const char *format, uint32 number)
{
	char piece[32];

	if (!regex->is_wanted)
		return;
	snprintf(piece, sizeof(piece), format, number);
	appendStringInfoString(&regex->result, piece);
}

/* Tells whether a character is one of ASCII's letters and digits. */
static bool
is_word(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Tells whether a code is half of a surrogate pair, which no text of UTF-8 has. */
static bool
is_surrogate(uint32 c)
{
	return c >= 0xd800 && c <= 0xdfff;
}

/* Writes a character, which stands for itself. */
static void
put_character(f6_regex *regex, uint32 c)
{
	if (is_word(c))
		put_number(regex, "%c", c);
	else
		put_number(regex, "\\x{%x}", c);
}

/* Tells whether the expression goes on with these characters. */
static bool
goes_on(const f6_regex *regex, const char *with)
{
	size_t length = strlen(with);

	return (size_t) (regex->end - regex->at) >= length && memcmp(regex->at, with, length) == 0;
}

/* Returns the next byte without taking it, and zero at the end. */
static int
peek(const f6_regex *regex)
{
	return regex->at < regex->end ? (unsigned char) *regex->at : 0;
}

/* Takes a character of the expression's own text. */
static int
take_character(f6_regex *regex)
{
	const unsigned char *at = (const unsigned char *) regex->at;
	int length = pg_utf_mblen(at);

	if (length > regex->end - regex->at || !pg_utf8_islegal(at, length))
		return complain(regex, "invalid UTF-8");
	regex->at += length;
	return utf8_to_unicode(at);
}

/* Takes so many hexadecimal digits; returns their number, or -1 where there are fewer. */
static int
take_hex(f6_regex *regex, int digits)
{
	int number = 0;
	int i;

	if (regex->end - regex->at < digits)
		return -1;
	for (i = 0; i < digits; i++)
	{
		int c = pg_ascii_tolower((unsigned char) regex->at[i]);

		if (c >= '0' && c <= '9')
			number = number * 16 + c - '0';
		else if (c >= 'a' && c <= 'f')
			number = number * 16 + c - 'a' + 10;
		else
			return -1;
	}
	regex->at += digits;
	return number;
}

/* Takes a decimal number; returns it, as far as it matters, or -1 where there is none. */
static int
take_number(f6_regex *regex)
{
	int number = -1;

	for (; peek(regex) >= '0' && peek(regex) <= '9'; regex->at++)
		number = Min(Max(number, 0) * 10 + peek(regex) - '0', F6_REGEX_MAX_NUMBER);
	return number;
}

/* Takes a code in braces, the first of which is taken; returns -1 where it is none of Unicode's. */
static int
take_braced_code(f6_regex *regex)
{
	int code = 0;
	int digit = take_hex(regex, 1);

	if (digit < 0)
		return -1;
	for (; digit >= 0; digit = take_hex(regex, 1))
	{
		code = code * 16 + digit;
		if (code > 0x10ffff)
			return -1;
	}
	if (peek(regex) != '}')
		return -1;
	regex->at++;
	return code;
}

/* Takes the rest of an escape that begins with \u, be it of a character, a pair, or half of one. */
static int
take_unicode_escape(f6_regex *regex)
{
	int code;

	if (peek(regex) == '{')
	{
		regex->at++;
		code = take_braced_code(regex);
	}
	else
		code = take_hex(regex, 4);
	if (code < 0)
		return complain(regex, "invalid Unicode escape");
	if (code >= 0xd800 && code <= 0xdbff && goes_on(regex, "\\u"))
	{
		const char *after = regex->at;
		int low;

		regex->at += 2;
		low = take_hex(regex, 4);
		if (low >= 0xdc00 && low <= 0xdfff)
			return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		regex->at = after;
	}
	return code;
}

/* Orders and finds names. */
static int
compare_names(const void *a, const void *b)
{
	const f6_regex_name *left = a;
	const f6_regex_name *right = b;
	int order = memcmp(left->text, right->text, Min(left->length, right->length));

	return order != 0 ? order : left->length - right->length;
}

/* Takes a group's name and the bracket that ends it. */
static bool
take_name(f6_regex *regex, f6_regex_name *name)
{
	name->text = regex->at;
	while (is_word(peek(regex)) || peek(regex) == '_' || peek(regex) == '$' ||
		   IS_HIGHBIT_SET(peek(regex)))
		regex->at++;
	name->length = regex->at - name->text;
	if (name->length == 0 || (*name->text >= '0' && *name->text <= '9') || peek(regex) != '>')
		return false;
	regex->at++;
	return true;
}

/* Returns PCRE2's name of a general category, or NULL. */
static const char *
find_category(const char *name, int length)
{
	int i;

	for (i = 0; i < (int) lengthof(categories); i++)
		if ((int) strlen(categories[i][0]) == length && memcmp(categories[i][0], name, length) == 0)
			return categories[i][1];
	return NULL;
}

/* Returns the name of a binary property, or NULL. */
static const char *
find_binary_property(const char *name, int length)
{
	int i;

	for (i = 0; i < (int) lengthof(binary_properties); i++)
		if ((int) strlen(binary_properties[i]) == length &&
			memcmp(binary_properties[i], name, length) == 0)
			return binary_properties[i];
	return NULL;
}

/* Tells whether PCRE2 knows the property of this name, which is kept nowhere. */
static bool
is_known_property(const char *property)
{
	PCRE2_SIZE offset;
	int error;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR) property, PCRE2_ZERO_TERMINATED, PCRE2_UTF,
									 &error, &offset, NULL);

	pcre2_code_free(code);
	return code != NULL;
}

/* Writes the property of a script; false where there is no such script. */
static bool
put_script(f6_regex *regex, char letter, const char *kind, const char *name, int length)
{
	char property[64];

	if (length < 1 || length > 40 || !(*name >= 'A' && *name <= 'Z'))
		return false;
	snprintf(property, sizeof(property), "\\%c{%s:%.*s}", letter, kind, length, name);
	if (!is_known_property(property))
		return false;
	put(regex, property);
	return true;
}

/* Writes a property by the name that PCRE2 knows; false where ECMA-262 knows no such property. */
static bool
put_property(f6_regex *regex, char letter, const char *name, int length)
{
	const char *equals = memchr(name, '=', length);
	int name_length = equals != NULL ? equals - name : length;
	const char *value = equals != NULL ? equals + 1 : name;
	int value_length = length - (value - name);
	const char *known = NULL;

#define F6_NAME_IS(literal) \
	(name_length == sizeof(literal) - 1 && memcmp(name, literal, name_length) == 0)

	if (equals != NULL && (F6_NAME_IS("Script") || F6_NAME_IS("sc")))
		return put_script(regex, letter, "sc", value, value_length);
	if (equals != NULL && (F6_NAME_IS("Script_Extensions") || F6_NAME_IS("scx")))
		return put_script(regex, letter, "scx", value, value_length);
	if (equals == NULL && F6_NAME_IS("Assigned"))
	{
		letter = letter == 'p' ? 'P' : 'p';
		known = "Cn";
	}
	else if (equals == NULL || F6_NAME_IS("General_Category") || F6_NAME_IS("gc"))
		known = find_category(value, value_length);
	if (known == NULL && equals == NULL)
		known = find_binary_property(name, length);
	if (known == NULL)
		return false;
	put(regex, letter == 'p' ? "\\p{" : "\\P{");
	put(regex, known);
	put(regex, "}");
	return true;
}

/* Takes the rest of an escape that begins with \p or \P. */
static int
take_property(f6_regex *regex, char letter)
{
	const char *close = memchr(regex->at, '}', Min(regex->end - regex->at, 64));

	if (peek(regex) != '{' || close == NULL ||
		!put_property(regex, letter, regex->at + 1, close - regex->at - 1))
		return complain(regex, "unknown Unicode property");
	regex->at = close + 1;
	return F6_REGEX_SET;
}

/*
 * Takes the rest of an escape, after its backslash, that may stand within a class as well as outside;
 * returns a character or what else it is.
 */
static int
take_escape(f6_regex *regex, bool in_class)
{
	int c = peek(regex);
	int code;

	if (regex->at == regex->end)
		return complain(regex, "lone backslash");
	if (!is_word(c))
		return take_character(regex);
	regex->at++;
	switch (c)
	{
		case 'd':
		case 'D':
		case 'w':
		case 'W':
			put_number(regex, "\\%c", c);
			return F6_REGEX_SET;
		case 's':
			put(regex, in_class ? F6_REGEX_SPACE : "[" F6_REGEX_SPACE "]");
			return F6_REGEX_SET;
		case 'S':
			put(regex, in_class ? F6_REGEX_NO_SPACE : "[^" F6_REGEX_SPACE "]");
			return F6_REGEX_SET;
		case 'p':
		case 'P':
			return take_property(regex, c);
		case 't':
			return '\t';
		case 'n':
			return '\n';
		case 'v':
			return '\v';
		case 'f':
			return '\f';
		case 'r':
			return '\r';
		case 'c':
			code = pg_ascii_tolower(peek(regex));
			if (code < 'a' || code > 'z')
				return complain(regex, "invalid control escape");
			regex->at++;
			return code - 'a' + 1;
		case '0':
			if (peek(regex) >= '0' && peek(regex) <= '9')
				return complain(regex, "invalid decimal escape");
			return 0;
		case 'x':
			code = take_hex(regex, 2);
			return code >= 0 ? code : complain(regex, "invalid hexadecimal escape");
		case 'u':
			return take_unicode_escape(regex);
	}
	return complain(regex, "unknown escape");
}

/* Writes a reference to a group by its number. */
static void
put_reference(f6_regex *regex, int number)
{
	put_number(regex, "\\g{%u}", number);
	regex->has_atom = true;
}

/* Takes a reference to a group, of which the backslash is taken. */
static void
take_reference(f6_regex *regex)
{
	f6_regex_name name;
	f6_regex_name *found;
	int number;

	if (peek(regex) != 'k')
	{
		number = take_number(regex);
		if (number > regex->group_count)
			complain(regex, "reference to a group that does not exist");
		put_reference(regex, number);
		return;
	}
	regex->at++;
	if (peek(regex) == '<')
	{
		regex->at++;
		if (regex->name_count > 0 && take_name(regex, &name) &&
			(found = bsearch(&name, regex->names, regex->name_count, sizeof(name),
							 compare_names)) != NULL)
		{
			put_reference(regex, found->number);
			return;
		}
	}
	complain(regex, "reference to a group that does not exist");
}

/* Takes an escape outside of classes. */
static void
take_atom_escape(f6_regex *regex)
{
	int c;

	regex->at++;
	c = peek(regex);
	if (c == 'b' || c == 'B')
	{
		regex->at++;
		put_number(regex, "\\%c", c);
		regex->has_atom = false;
		return;
	}
	if (c == 'k' || (c >= '1' && c <= '9'))
	{
		take_reference(regex);
		return;
	}
	c = take_escape(regex, false);
	if (c >= 0 && is_surrogate(c))
		put(regex, "[]");
	else if (c >= 0)
		put_character(regex, c);
	regex->has_atom = true;
}

/* Takes a character of a class or an escape; returns a character or what else it is. */
static int
take_class_atom(f6_regex *regex)
{
	if (peek(regex) != '\\')
		return take_character(regex);
	regex->at++;
	if (peek(regex) == 'b')
	{
		regex->at++;
		return '\b';
	}
	return take_escape(regex, true);
}

/* Writes a range of a class, without the surrogates at its ends. */
static void
put_range(f6_regex *regex, int first, int last)
{
	if (is_surrogate(first))
		first = 0xe000;
	if (is_surrogate(last))
		last = 0xd7ff;
	if (first > last)
		return;
	put_character(regex, first);
	if (first < last)
	{
		put(regex, "-");
		put_character(regex, last);
	}
}

/* Takes a class. */
static void
take_class(f6_regex *regex)
{
	regex->at++;
	put(regex, "[");
	if (peek(regex) == '^')
	{
		regex->at++;
		put(regex, "^");
	}
	while (regex->problem == NULL && regex->at < regex->end && *regex->at != ']')
	{
		int first = take_class_atom(regex);
		int last = first;

		CHECK_FOR_INTERRUPTS();

		if (goes_on(regex, "-") && !goes_on(regex, "-]"))
		{
			regex->at++;
			if (first == F6_REGEX_SET)
				put_character(regex, '-');
			last = regex->at < regex->end ? take_class_atom(regex) : F6_REGEX_PROBLEM;
			if (first >= 0 && last == F6_REGEX_SET)
			{
				put_character(regex, '-');
				last = first;
			}
			else if (first == F6_REGEX_SET)
				first = last;
			else if (first > last)
				complain(regex, "range out of order");
		}
		if (first >= 0 && last >= 0)
			put_range(regex, first, last);
	}
	if (regex->at == regex->end)
	{
		complain(regex, "unterminated character class");
		return;
	}
	regex->at++;
	put(regex, "]");
	regex->has_atom = true;
}

/* Takes what opens a group. */
static void
take_opening(f6_regex *regex)
{
	static const char *const assertions[] = { "(?=", "(?!", "(?<=", "(?<!" };
	f6_regex_name name;
	int i;

	regex->has_atom = false;
	for (i = 0; i < (int) lengthof(assertions); i++)
	{
		if (goes_on(regex, assertions[i]))
		{
			regex->at += strlen(assertions[i]);
			put(regex, assertions[i]);
			put(regex, F6_REGEX_CALLOUT);
			appendStringInfoChar(&regex->open, F6_REGEX_ASSERTION);
			return;
		}
	}
	appendStringInfoChar(&regex->open, F6_REGEX_GROUP);
	if (goes_on(regex, "(?:"))
	{
		regex->at += 3;
		put(regex, "(?:" F6_REGEX_CALLOUT);
		return;
	}
	put(regex, "(" F6_REGEX_CALLOUT);
	if (!goes_on(regex, "(?"))
	{
		regex->at++;
		return;
	}
	if (!goes_on(regex, "(?<"))
	{
		complain(regex, "unknown kind of group");
		return;
	}
	regex->at += 3;
	if (!take_name(regex, &name))
		complain(regex, "invalid name of a group");
}

/* Takes what closes a group. */
static void
take_closing(f6_regex *regex)
{
	if (regex->open.len == 0)
	{
		complain(regex, "unmatched parenthesis");
		return;
	}
	regex->at++;
	put(regex, ")");
	regex->has_atom = regex->open.data[--regex->open.len] == F6_REGEX_GROUP;
}

/* Takes a question mark after a quantifier, which makes it take as little as possible. */
static void
take_laziness(f6_regex *regex)
{
	if (peek(regex) != '?')
		return;
	regex->at++;
	put(regex, "?");
}

/* Takes a quantifier in braces, if it is one; otherwise the brace is an ordinary character. */
static void
take_braces(f6_regex *regex)
{
	const char *start = regex->at;
	int least;
	int most;

	regex->at++;
	least = most = take_number(regex);
	if (least >= 0 && peek(regex) == ',')
	{
		regex->at++;
		most = peek(regex) == '}' ? PG_INT32_MAX : take_number(regex);
	}
	if (least < 0 || most < 0 || peek(regex) != '}')
	{
		regex->at = start + 1;
		put_character(regex, '{');
		regex->has_atom = true;
		return;
	}
	regex->at++;
	if (!regex->has_atom)
		complain(regex, "nothing to repeat");
	if (least > most)
		complain(regex, "numbers of repetitions out of order");
	put_number(regex, "{%u,", least);
	if (most < PG_INT32_MAX)
		put_number(regex, "%u", most);
	put(regex, "}");
	take_laziness(regex);
	if (least < most || most > F6_REGEX_FEW)
		put(regex, F6_REGEX_CALLOUT);
	regex->has_atom = false;
}

/* Takes a quantifier of one character. */
static void
take_quantifier(f6_regex *regex)
{
	if (!regex->has_atom)
	{
		complain(regex, "nothing to repeat");
		return;
	}
	put_number(regex, "%c", *regex->at++);
	take_laziness(regex);
	put(regex, F6_REGEX_CALLOUT);
	regex->has_atom = false;
}

/* Takes the next term, or a part of one. */
static void
take_term(f6_regex *regex)
{
	int c = peek(regex);

	switch (c)
	{
		case '\\':
			take_atom_escape(regex);
			return;
		case '[':
			take_class(regex);
			return;
		case '(':
			take_opening(regex);
			return;
		case ')':
			take_closing(regex);
			return;
		case '*':
		case '+':
		case '?':
			take_quantifier(regex);
			return;
		case '{':
			take_braces(regex);
			return;
		case '|':
		case '^':
		case '$':
			regex->at++;
			put_number(regex, "%c", c);
			regex->has_atom = false;
			return;
		case '.':
			regex->at++;
			put(regex, F6_REGEX_ANY);
			regex->has_atom = true;
			return;
	}
	c = take_character(regex);
	if (c >= 0)
		put_character(regex, c);
	regex->has_atom = true;
}

/* Notes a group that has a name, whose opening is taken. */
static void
note_name(f6_regex *regex)
{
	f6_regex_name name;

	if (!take_name(regex, &name))
		return;
	if (regex->name_count == regex->name_space)
	{
		regex->name_space = Max(16, regex->name_space * 2);
		regex->names = regex->names == NULL
						   ? palloc(regex->name_space * sizeof(name))
						   : repalloc(regex->names, regex->name_space * sizeof(name));
	}
	name.number = regex->group_count;
	regex->names[regex->name_count++] = name;
}

/* Counts the groups and collects their names, which may be referred to before they come. */
static void
collect_groups(f6_regex *regex)
{
	bool in_class = false;
	int i;

	while (regex->at < regex->end && regex->group_count <= F6_REGEX_MAX_GROUPS)
	{
		int c = *regex->at++;

		if (c == '\\' && regex->at < regex->end)
			regex->at++;
		else if (c == '[' || c == ']')
			in_class = c == '[';
		else if (c == '(' && !in_class && goes_on(regex, "?<") && !goes_on(regex, "?<=") &&
				 !goes_on(regex, "?<!"))
		{
			regex->at += 2;
			regex->group_count++;
			note_name(regex);
		}
		else if (c == '(' && !in_class && peek(regex) != '?')
			regex->group_count++;
	}
	if (regex->group_count > F6_REGEX_MAX_GROUPS)
		complain(regex, "too many groups");
	if (regex->name_count > 1)
		qsort(regex->names, regex->name_count, sizeof(f6_regex_name), compare_names);
	for (i = 1; i < regex->name_count; i++)
		if (compare_names(&regex->names[i - 1], &regex->names[i]) == 0)
			complain(regex, "two groups have the same name");
	regex->at = regex->start;
}

/* Reads a whole expression; what is left of it are the translation and the problem, if there is one. */
static void
read_regex(f6_regex *regex, const char *text, int length, bool is_wanted)
{
	memset(regex, 0, sizeof(f6_regex));
	regex->start = regex->at = text;
	regex->end = text + length;
	regex->is_wanted = is_wanted;
	if (is_wanted)
		initStringInfo(&regex->result);
	initStringInfo(&regex->open);
	collect_groups(regex);
	while (regex->problem == NULL && regex->at < regex->end)
	{
		CHECK_FOR_INTERRUPTS();
		take_term(regex);
	}
	if (regex->open.len > 0)
		complain(regex, "unterminated group");
	pfree(regex->open.data);
	if (regex->names != NULL)
		pfree(regex->names);
}

/*
 * Returns a pattern of ECMA-262, given in UTF-8, in PCRE2's terms, with its length, or NULL with the
 * problem.
 */
char *
f6_regex_translate(const char *text, int length, int *translated, char **problem)
{
	f6_regex regex;

	read_regex(&regex, text, length, true);
	*problem = regex.problem;
	*translated = regex.result.len;
	if (regex.problem == NULL)
		return regex.result.data;
	pfree(regex.result.data);
	return NULL;
}

/* Tells whether a text of UTF-8 is a pattern of ECMA-262. */
bool
f6_regex_is_valid(const char *text, int length)
{
	f6_regex regex;

	read_regex(&regex, text, length, false);
	if (regex.problem == NULL)
		return true;
	pfree(regex.problem);
	return false;
}
