/*
 * jsonb_walk.c
 *		Walking, comparing and addressing a binary jsonb in place.
 *
 * Nothing here allocates, except f6_jsonb_pointer_token for a token with an escape, and the path's
 * text.  Everything that recurses checks the stack.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "f6.h"
#include "jsonb_walk.h"

/*
 * The largest array index that a JSON Pointer token can have: more digits than this name no element of
 * a jsonb.
 */
#define F6_MAX_INDEX_DIGITS 9

/* The base of a numeric's digits, and the first word of a short one without sign, scale and weight. */
#define F6_NUMERIC_BASE	 10000
#define F6_SHORT_NUMERIC 0x8000

/* Fills a value from the child with this entry, whose bytes lie at offset and are length long. */
static inline void
fill_value(JEntry entry, char *base, uint32 offset, uint32 length, JsonbValue *value)
{
	if (JBE_ISSTRING(entry))
	{
		value->type = jbvString;
		value->val.string.val = base + offset;
		value->val.string.len = length;
	}
	else if (JBE_ISNUMERIC(entry))
	{
		value->type = jbvNumeric;
		value->val.numeric = (Numeric) (base + INTALIGN(offset));
	}
	else if (JBE_ISCONTAINER(entry))
	{
		value->type = jbvBinary;
		value->val.binary.data = (JsonbContainer *) (base + INTALIGN(offset));
		value->val.binary.len = length - (INTALIGN(offset) - offset);
	}
	else if (JBE_ISNULL(entry))
		value->type = jbvNull;
	else
	{
		value->type = jbvBool;
		value->val.boolean = JBE_ISBOOL_TRUE(entry);
	}
}

/* Returns the length of a child's bytes, and moves the offset behind them. */
static inline uint32
advance(JEntry entry, uint32 *offset)
{
	uint32 start = *offset;

	JBE_ADVANCE_OFFSET(*offset, entry);
	return *offset - start;
}

/*
 * Returns the document of a datum, to be walked until it is closed.  A short one moves to the room, because
 * walking needs an aligned one: the server would allocate for that.
 */
Jsonb *
f6_jsonb_open(Datum datum, f6_jsonb_room *room)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(datum);
	Size size;

	if (!VARATT_IS_SHORT(stored) || VARATT_IS_EXTERNAL(stored))
		return DatumGetJsonbP(datum);
	size = VARSIZE_SHORT(stored) - VARHDRSZ_SHORT;
	memcpy(room->bytes + VARHDRSZ, VARDATA_SHORT(stored), size);
	SET_VARSIZE(room->bytes, size + VARHDRSZ);
	return &room->document;
}

/* Frees what opening has allocated. */
void
f6_jsonb_close(Jsonb *document, Datum datum, const f6_jsonb_room *room)
{
	if ((Pointer) document != DatumGetPointer(datum) && document != &room->document)
		pfree(document);
}

/* Gives the document's outermost value; a scalar document gives the scalar. */
void
f6_jsonb_root(Jsonb *document, JsonbValue *value)
{
	JsonbContainer *root = &document->root;

	if (JsonContainerIsScalar(root))
		fill_value(root->children[0], (char *) &root->children[1], 0, getJsonbLength(root, 0),
				   value);
	else
	{
		value->type = jbvBinary;
		value->val.binary.data = root;
		value->val.binary.len = VARSIZE(document) - VARHDRSZ;
	}
}

/* Tells whether the value is an object. */
bool
f6_jsonb_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

/* Tells whether the value is an array. */
bool
f6_jsonb_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

/* Tells whether the value is JSON null. */
bool
f6_jsonb_is_null(const JsonbValue *value)
{
	return value->type == jbvNull;
}

/* Returns the number of elements of an array, or of members of an object. */
int
f6_jsonb_count(const JsonbValue *container)
{
	return JsonContainerSize(container->val.binary.data);
}

/* Starts a walk over an object's members. */
void
f6_jsonb_object_begin(f6_jsonb_object_walk *walk, const JsonbValue *object)
{
	JsonbContainer *container = object->val.binary.data;

	walk->container = container;
	walk->count = JsonContainerSize(container);
	walk->base = (char *) &container->children[2 * walk->count];
	walk->next = 0;
	walk->key_offset = 0;
	walk->value_offset = walk->count > 0 ? getJsonbOffset(container, walk->count) : 0;
}

/* Gives the next member's key (a string) and value, or false after the last. */
bool
f6_jsonb_object_next(f6_jsonb_object_walk *walk, JsonbValue *key, JsonbValue *value)
{
	JEntry entry;
	uint32 offset;
	uint32 length;

	if (walk->next >= walk->count)
		return false;

	key->type = jbvString;
	key->val.string.val = walk->base + walk->key_offset;
	key->val.string.len = advance(walk->container->children[walk->next], &walk->key_offset);

	offset = walk->value_offset;
	entry = walk->container->children[walk->count + walk->next];
	length = advance(entry, &walk->value_offset);
	fill_value(entry, walk->base, offset, length, value);

	walk->next++;
	return true;
}

/* Starts a walk over an array's elements. */
void
f6_jsonb_array_begin(f6_jsonb_array_walk *walk, const JsonbValue *array)
{
	JsonbContainer *container = array->val.binary.data;

	walk->container = container;
	walk->count = JsonContainerSize(container);
	walk->base = (char *) &container->children[walk->count];
	walk->next = 0;
	walk->offset = 0;
}

/* Gives the next element, or false after the last. */
bool
f6_jsonb_array_next(f6_jsonb_array_walk *walk, JsonbValue *element)
{
	JEntry entry;
	uint32 offset;
	uint32 length;

	if (walk->next >= walk->count)
		return false;

	offset = walk->offset;
	entry = walk->container->children[walk->next];
	length = advance(entry, &walk->offset);
	fill_value(entry, walk->base, offset, length, element);

	walk->next++;
	return true;
}

/* Looks up an object's member by a binary search; false if it has none. */
bool
f6_jsonb_get(const JsonbValue *object, const char *key, int length, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object->val.binary.data, key, length, value) != NULL;
}

/* f6_jsonb_member tells whether an object has a member, and gives its value. */
bool
f6_jsonb_member(const JsonbValue *object, const char *key, JsonbValue *value)
{
	return f6_jsonb_get(object, key, (int) strlen(key), value);
}

/* f6_jsonb_is_text tells whether a value is a given string. */
bool
f6_jsonb_is_text(const JsonbValue *value, const char *text)
{
	return value->type == jbvString && (size_t) value->val.string.len == strlen(text) &&
		   memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/* Gives an array's element by its index; false outside the array. */
bool
f6_jsonb_get_element(const JsonbValue *array, int index, JsonbValue *value)
{
	JsonbContainer *container = array->val.binary.data;
	int count = JsonContainerSize(container);

	if (index < 0 || index >= count)
		return false;

	fill_value(container->children[index], (char *) &container->children[count],
			   getJsonbOffset(container, index), getJsonbLength(container, index), value);
	return true;
}

/*
 * Gives the value of an integer of at most two digits of base 10,000, not negative and written without a
 * fraction; false for any other number.  This reads the server's short format of numerics, which can't
 * change as long as a server reads the data of its predecessors: a word with the sign, the scale and the weight
 * (the exponent of the first digit), then the digits, without zeros at the end.
 */
static bool
small_integer(Numeric number, int32 *value)
{
	const uint16 *words = (const uint16 *) VARDATA(number);
	uint16 weight;
	int count;

	if (!VARATT_IS_4B_U(number) || VARSIZE(number) < VARHDRSZ + sizeof(uint16))
		return false;
	weight = words[0] - F6_SHORT_NUMERIC;
	count = (VARSIZE(number) - VARHDRSZ) / sizeof(uint16) - 1;
	if (weight > 1 || count > weight + 1)
		return false;
	*value = count > 0 ? words[1] : 0;
	if (weight == 1)
		*value = *value * F6_NUMERIC_BASE + (count > 1 ? words[2] : 0);
	return true;
}

/* Orders two numbers. */
int
f6_jsonb_compare_numbers(Numeric left, Numeric right)
{
	int32 left_value;
	int32 right_value;

	if (small_integer(left, &left_value) && small_integer(right, &right_value))
		return left_value < right_value ? -1 : left_value > right_value;
	return DatumGetInt32(
		DirectFunctionCall2(numeric_cmp, NumericGetDatum(left), NumericGetDatum(right)));
}

/* Orders two keys as jsonb does: the shorter first, then by bytes. */
int
f6_jsonb_compare_keys(const char *left, int left_length, const char *right, int right_length)
{
	if (left_length != right_length)
		return left_length < right_length ? -1 : 1;
	return memcmp(left, right, left_length);
}

/* Orders two arrays: by count, then by the first element that differs. */
static int
compare_arrays(const JsonbValue *left, const JsonbValue *right)
{
	f6_jsonb_array_walk left_walk;
	f6_jsonb_array_walk right_walk;
	JsonbValue left_element;
	JsonbValue right_element;

	f6_jsonb_array_begin(&left_walk, left);
	f6_jsonb_array_begin(&right_walk, right);
	while (f6_jsonb_array_next(&left_walk, &left_element) &&
		   f6_jsonb_array_next(&right_walk, &right_element))
	{
		int order = f6_jsonb_compare(&left_element, &right_element);

		if (order != 0)
			return order;
	}
	return 0;
}

/* Orders two objects: by count, then by the first member that differs. */
static int
compare_objects(const JsonbValue *left, const JsonbValue *right)
{
	f6_jsonb_object_walk left_walk;
	f6_jsonb_object_walk right_walk;
	JsonbValue left_key;
	JsonbValue left_value;
	JsonbValue right_key;
	JsonbValue right_value;

	f6_jsonb_object_begin(&left_walk, left);
	f6_jsonb_object_begin(&right_walk, right);
	while (f6_jsonb_object_next(&left_walk, &left_key, &left_value) &&
		   f6_jsonb_object_next(&right_walk, &right_key, &right_value))
	{
		int order = f6_jsonb_compare_keys(left_key.val.string.val, left_key.val.string.len,
										  right_key.val.string.val, right_key.val.string.len);

		if (order == 0)
			order = f6_jsonb_compare(&left_value, &right_value);
		if (order != 0)
			return order;
	}
	return 0;
}

/* Orders two arrays or objects; an object comes before an array. */
static int
compare_containers(const JsonbValue *left, const JsonbValue *right)
{
	bool is_object = f6_jsonb_is_object(left);
	int left_count = f6_jsonb_count(left);
	int right_count = f6_jsonb_count(right);

	check_stack_depth();
	if (is_object != f6_jsonb_is_object(right))
		return is_object ? -1 : 1;
	if (left_count != right_count)
		return left_count < right_count ? -1 : 1;
	return is_object ? compare_objects(left, right) : compare_arrays(left, right);
}

/*
 * Orders any two values, in an order that is total and cheap: 0 means that JSON Schema calls them equal
 * (numbers by value, strings by bytes, objects regardless of the order of their members).
 */
int
f6_jsonb_compare(const JsonbValue *left, const JsonbValue *right)
{
	CHECK_FOR_INTERRUPTS();

	if (left->type != right->type)
		return left->type < right->type ? -1 : 1;

	switch (left->type)
	{
		case jbvNull:
			return 0;
		case jbvBool:
			return (int) left->val.boolean - (int) right->val.boolean;
		case jbvNumeric:
			return f6_jsonb_compare_numbers(left->val.numeric, right->val.numeric);
		case jbvString:
			return f6_jsonb_compare_keys(left->val.string.val, left->val.string.len,
										 right->val.string.val, right->val.string.len);
		case jbvBinary:
			return compare_containers(left, right);
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) left->type);
			return 0;
	}
}

/* Hashes an array's elements, or an object's keys and values, in order. */
static uint32
hash_container(const JsonbValue *container)
{
	uint32 hash = container->val.binary.data->header;
	JsonbValue value;

	if (f6_jsonb_is_object(container))
	{
		f6_jsonb_object_walk walk;
		JsonbValue key;

		f6_jsonb_object_begin(&walk, container);
		while (f6_jsonb_object_next(&walk, &key, &value))
			hash = hash_combine(hash_combine(hash, f6_jsonb_hash(&key)), f6_jsonb_hash(&value));
	}
	else
	{
		f6_jsonb_array_walk walk;

		f6_jsonb_array_begin(&walk, container);
		while (f6_jsonb_array_next(&walk, &value))
			hash = hash_combine(hash, f6_jsonb_hash(&value));
	}
	return hash;
}

/* Returns a hash that is the same for values that f6_jsonb_compare calls equal. */
uint32
f6_jsonb_hash(const JsonbValue *value)
{
	uint32 hash = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (value->type == jbvBinary)
		return hash_container(value);
	JsonbHashScalarValue(value, &hash);
	return hash;
}

/* Tells whether a number has no fraction: 1.0 and 1e3 have none. */
bool
f6_jsonb_number_is_integer(Numeric number)
{
	int32 value;

	return small_integer(number, &value) ||
		   DatumGetInt32(DirectFunctionCall1(numeric_min_scale, NumericGetDatum(number))) == 0;
}

/* Returns the name that JSON Schema gives the value's type: a number without a fraction is an integer. */
const char *
f6_jsonb_type_name(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return "boolean";
		case jbvNumeric:
			return f6_jsonb_number_is_integer(value->val.numeric) ? "integer" : "number";
		case jbvString:
			return "string";
		default:
			return f6_jsonb_is_object(value) ? "object" : "array";
	}
}

/* Tells whether arrays and objects stand in each other at more than so many levels. */
bool
f6_jsonb_is_deeper(const JsonbValue *value, int levels)
{
	JsonbValue key;
	JsonbValue child;

	/* A level takes at least a header and an entry: most documents are too small to be deep. */
	if (value->type != jbvBinary ||
		value->val.binary.len <= levels * (int) (sizeof(uint32) + sizeof(JEntry)))
		return false;
	if (levels == 0)
		return true;

	check_stack_depth();
	if (f6_jsonb_is_object(value))
	{
		f6_jsonb_object_walk walk;

		f6_jsonb_object_begin(&walk, value);
		while (f6_jsonb_object_next(&walk, &key, &child))
		{
			if (f6_jsonb_is_deeper(&child, levels - 1))
				return true;
		}
	}
	else
	{
		f6_jsonb_array_walk walk;

		f6_jsonb_array_begin(&walk, value);
		while (f6_jsonb_array_next(&walk, &child))
		{
			if (f6_jsonb_is_deeper(&child, levels - 1))
				return true;
		}
	}
	return false;
}

/* Tells whether the text is a JSON Pointer (RFC 6901). */
bool
f6_jsonb_pointer_is_valid(const char *pointer)
{
	const char *at;

	if (*pointer != '\0' && *pointer != '/')
		return false;
	for (at = pointer; *at != '\0'; at++)
	{
		if (*at == '~' && at[1] != '0' && at[1] != '1')
			return false;
	}
	return true;
}

/*
 * Returns the next token of a valid, non-empty JSON Pointer, not terminated, and moves the pointer
 * behind it.  A token with an escape is a copy in the current memory context.
 */
const char *
f6_jsonb_pointer_token(const char **pointer, int *length)
{
	const char *start = *pointer + 1;
	const char *end = start + strcspn(start, "/");
	const char *from;
	char *copy;
	char *to;

	*pointer = end;
	*length = end - start;
	if (memchr(start, '~', end - start) == NULL)
		return start;

	copy = to = palloc(end - start + 1);
	for (from = start; from < end; from++)
	{
		if (*from == '~')
			*to++ = *++from == '0' ? '~' : '/';
		else
			*to++ = *from;
	}
	*to = '\0';
	*length = to - copy;
	return copy;
}

/* Returns the array index that a token names, or -1: digits only, no leading zero. */
int
f6_jsonb_token_index(const char *token, int length)
{
	int index = 0;
	int i;

	if (length < 1 || length > F6_MAX_INDEX_DIGITS || (token[0] == '0' && length > 1))
		return -1;
	for (i = 0; i < length; i++)
	{
		if (token[i] < '0' || token[i] > '9')
			return -1;
		index = index * 10 + (token[i] - '0');
	}
	return index;
}

/* Gives the member or element that one token of a JSON Pointer names; false if there is none. */
bool
f6_jsonb_step(const JsonbValue *parent, const char *token, int length, JsonbValue *value)
{
	if (f6_jsonb_is_object(parent))
		return f6_jsonb_get(parent, token, length, value);
	if (f6_jsonb_is_array(parent))
		return f6_jsonb_get_element(parent, f6_jsonb_token_index(token, length), value);
	return false;
}

/* Appends one step of a path, escaped as RFC 6901 has it. */
static void
append_step(StringInfo text, const f6_jsonb_path *step)
{
	int i;

	if (step->index == F6_PATH_DOCUMENT)
	{
		appendBinaryStringInfo(text, step->name, step->length);
		appendStringInfoChar(text, '#');
		return;
	}
	appendStringInfoChar(text, '/');
	if (step->name == NULL)
	{
		appendStringInfo(text, "%d", step->index);
		return;
	}
	for (i = 0; i < step->length; i++)
	{
		char c = step->name[i];

		if (c == '~')
			appendStringInfoString(text, "~0");
		else if (c == '/')
			appendStringInfoString(text, "~1");
		else
			appendStringInfoCharMacro(text, c);
	}
}

/* Appends a path's text, a JSON Pointer. */
void
f6_jsonb_path_append(StringInfo text, const f6_jsonb_path *path)
{
	const f6_jsonb_path **steps;
	const f6_jsonb_path *step;
	int depth = 0;
	int i;

	for (step = path; step != NULL; step = step->parent)
		depth++;
	if (depth == 0)
		return;

	steps = palloc(depth * sizeof(*steps));
	for (step = path, i = depth; step != NULL; step = step->parent)
		steps[--i] = step;
	for (i = 0; i < depth; i++)
		append_step(text, steps[i]);
	pfree(steps);
}
