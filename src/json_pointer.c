/*
 * json_pointer.c
 *		A JSON Pointer (RFC 6901), taken apart, and the places in a tree that it leads to.
 */
#include "postgres.h"

#include "f6.h"
#include "json_pointer.h"
#include "jsonb_walk.h"

/* f6_pointer_parse takes a pointer apart in the current memory context, and tells whether it is one; it keeps the text. */
bool
f6_pointer_parse(const char *text, f6_pointer *pointer)
{
	const char *rest = text;

	memset(pointer, 0, sizeof(f6_pointer));
	if (!f6_jsonb_pointer_is_valid(text))
		return false;
	pointer->text = text;
	for (const char *at = text; *at != '\0'; at++)
		pointer->count += *at == '/';
	pointer->tokens = palloc(sizeof(f6_pointer_token) * Max(pointer->count, 1));
	for (int i = 0; i < pointer->count; i++)
		pointer->tokens[i].name = f6_jsonb_pointer_token(&rest, &pointer->tokens[i].length);
	return true;
}

/* f6_pointer_make returns a pointer, taken apart in the current memory context, of a text that is known to be one; it keeps the text. */
f6_pointer *
f6_pointer_make(const char *text)
{
	f6_pointer *pointer = palloc(sizeof(f6_pointer));

	if (!f6_pointer_parse(text, pointer))
		elog(ERROR, "\"%s\" is not a JSON Pointer", text);
	return pointer;
}

/* f6_pointer_last returns the last token of a pointer that is not the whole document's. */
const f6_pointer_token *
f6_pointer_last(const f6_pointer *pointer)
{
	return &pointer->tokens[pointer->count - 1];
}

/* f6_pointer_is_end tells whether a token is "-", the place after the last element of an array. */
bool
f6_pointer_is_end(const f6_pointer_token *token)
{
	return token->length == 1 && token->name[0] == '-';
}

/* f6_pointer_place returns the index that a token gives to what is added to an array of so many elements, -1 if it has no such place. */
int
f6_pointer_place(const f6_pointer_token *token, int count)
{
	int index = f6_pointer_is_end(token) ? count : f6_jsonb_token_index(token->name, token->length);

	return index <= count ? index : -1;
}

/* f6_pointer_child returns the member or element that a token names, NULL if there is none. */
f6_tree_node *
f6_pointer_child(MemoryContext context, f6_tree_node *node, const f6_pointer_token *token)
{
	if (f6_tree_is_object(node))
		return f6_tree_member(context, node, token->name, token->length);
	if (f6_tree_is_array(node))
		return f6_tree_element(context, node, f6_jsonb_token_index(token->name, token->length));
	return NULL;
}

/* f6_pointer_find returns the node at the first tokens of a pointer, NULL if there is none. */
f6_tree_node *
f6_pointer_find(const f6_pointer *pointer, int tokens, MemoryContext context, f6_tree_node *root)
{
	f6_tree_node *node = root;

	for (int i = 0; node != NULL && i < tokens; i++)
		node = f6_pointer_child(context, node, &pointer->tokens[i]);
	return node;
}

/* f6_pointer_remove removes what f6_pointer_find has found at all tokens, which is not the whole document. */
void
f6_pointer_remove(const f6_pointer *pointer, MemoryContext context, f6_tree_node *root)
{
	f6_tree_node *parent = f6_pointer_find(pointer, pointer->count - 1, context, root);
	const f6_pointer_token *token = f6_pointer_last(pointer);

	if (f6_tree_is_object(parent))
		f6_tree_remove_member(parent, token->name, token->length);
	else
		f6_tree_remove_element(parent, f6_jsonb_token_index(token->name, token->length));
}

/* f6_pointer_get finds what a pointer leads to in a value, and tells whether there is anything. */
bool
f6_pointer_get(const f6_pointer *pointer, const JsonbValue *root, JsonbValue *value)
{
	JsonbValue parent = *root;

	*value = *root;
	for (int i = 0; i < pointer->count; i++)
	{
		if (!f6_jsonb_step(&parent, pointer->tokens[i].name, pointer->tokens[i].length, value))
			return false;
		parent = *value;
	}
	return true;
}
