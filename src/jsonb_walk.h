/*
 * jsonb_walk.h
 *		Walking a binary jsonb in place: no text, no copy, no allocation.
 *
 * A value is the server's JsonbValue: a scalar that points into the document, or jbvBinary for an array
 * or object.  It lives as long as the (detoasted) document does.  The members of an object come in the
 * server's order: by length, then by bytes.
 */
#ifndef F6_JSONB_WALK_H
#define F6_JSONB_WALK_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* Room for a document that is stored with a header of one byte, as those of up to 126 bytes are. */
typedef union f6_jsonb_room
{
	Jsonb document;
	char bytes[VARHDRSZ + VARATT_SHORT_MAX];
} f6_jsonb_room;

typedef struct f6_jsonb_object_walk
{
	JsonbContainer *container;
	char *base; /* where the keys' and values' bytes begin */
	int count;
	int next;
	uint32 key_offset;
	uint32 value_offset;
} f6_jsonb_object_walk;

typedef struct f6_jsonb_array_walk
{
	JsonbContainer *container;
	char *base; /* where the elements' bytes begin */
	int count;
	int next;
	uint32 offset;
} f6_jsonb_array_walk;

/*
 * A place in a document, as a chain from the place to the root; NULL is the root.  A step is a member's
 * name, or an element's index when the name is NULL.  The chain costs nothing until someone asks for
 * its text.  A first step with the index F6_PATH_DOCUMENT names the document that the place is in.
 */
#define F6_PATH_DOCUMENT (-2)

typedef struct f6_jsonb_path
{
	const struct f6_jsonb_path *parent;
	const char *name;
	int length;
	int index;
} f6_jsonb_path;

extern Jsonb *f6_jsonb_open(Datum datum, f6_jsonb_room *room);
extern void f6_jsonb_close(Jsonb *document, Datum datum, const f6_jsonb_room *room);
extern void f6_jsonb_root(Jsonb *document, JsonbValue *value);
extern bool f6_jsonb_is_object(const JsonbValue *value);
extern bool f6_jsonb_is_array(const JsonbValue *value);
extern bool f6_jsonb_is_null(const JsonbValue *value);
extern bool f6_jsonb_is_text(const JsonbValue *value, const char *text);
extern int f6_jsonb_count(const JsonbValue *container);
extern void f6_jsonb_object_begin(f6_jsonb_object_walk *walk, const JsonbValue *object);
extern bool f6_jsonb_object_next(f6_jsonb_object_walk *walk, JsonbValue *key, JsonbValue *value);
extern void f6_jsonb_array_begin(f6_jsonb_array_walk *walk, const JsonbValue *array);
extern bool f6_jsonb_array_next(f6_jsonb_array_walk *walk, JsonbValue *element);
extern bool f6_jsonb_get(const JsonbValue *object, const char *key, int length, JsonbValue *value);
extern bool f6_jsonb_member(const JsonbValue *object, const char *key, JsonbValue *value);
extern bool f6_jsonb_get_element(const JsonbValue *array, int index, JsonbValue *value);
extern int f6_jsonb_compare_numbers(Numeric left, Numeric right);
extern int f6_jsonb_compare_keys(const char *left, int left_length, const char *right,
								 int right_length);
extern int f6_jsonb_compare(const JsonbValue *left, const JsonbValue *right);
extern uint32 f6_jsonb_hash(const JsonbValue *value);
extern bool f6_jsonb_number_is_integer(Numeric number);
extern const char *f6_jsonb_type_name(const JsonbValue *value);
extern bool f6_jsonb_is_deeper(const JsonbValue *value, int levels);
extern bool f6_jsonb_pointer_is_valid(const char *pointer);
extern const char *f6_jsonb_pointer_token(const char **pointer, int *length);
extern int f6_jsonb_token_index(const char *token, int length);
extern bool f6_jsonb_step(const JsonbValue *parent, const char *token, int length,
						  JsonbValue *value);
extern void f6_jsonb_path_append(StringInfo text, const f6_jsonb_path *path);

#endif /* F6_JSONB_WALK_H */
