/*
 * field_span.c
 *		When a field of an object's state had which value, as known when.
 *
 * These are the rectangles of the states, with what is at the field, put together where the value is the same.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "field_span.h"
#include "json_pointer.h"
#include "jsonb_walk.h"
#include "rectangle.h"
#include "span.h"

/* spans that there is room for at first */
#define INITIAL_SPANS 16

/* What collects spans. */
typedef struct collection
{
	const f6_pointer *path;
	f6_field_spans *spans;
} collection;

/* copy_value returns a copy of a value, as a document of its own, that takes no more memory than it needs. */
static Jsonb *
copy_value(JsonbValue *value)
{
	Jsonb *document = JsonbValueToJsonb(value);
	Jsonb *copy =
		memcpy(palloc_extended(VARSIZE(document), MCXT_ALLOC_HUGE), document, VARSIZE(document));

	pfree(document);
	return copy;
}

/* goes_on tells whether a span begins along material time where another one of the same formal time ends, with the same value. */
static bool
goes_on(const f6_field_span *last, const f6_field_span *span)
{
	return last->known_from == span->known_from && last->known_to == span->known_to &&
		   last->valid_to == span->valid_from && f6_same_state(last->value, span->value);
}

/* add_span adds a span, or lengthens the last one where it goes on: most rectangles come in order. */
static void
add_span(f6_field_spans *spans, const f6_field_span *span)
{
	f6_field_span *last = spans->count > 0 ? &spans->spans[spans->count - 1] : NULL;

	if (last != NULL && goes_on(last, span))
	{
		last->valid_to = span->valid_to;
		pfree(span->value);
		return;
	}
	if (spans->count == spans->room)
	{
		spans->room *= 2;
		spans->spans = repalloc_huge(spans->spans, spans->room * sizeof(f6_field_span));
	}
	spans->spans[spans->count++] = *span;
}

/* collect adds what a rectangle says of the field, if there is a value. */
static void
collect(void *state, const f6_rectangle *rectangle)
{
	const collection *collection = state;
	f6_field_span span;
	JsonbValue root;
	JsonbValue value;

	f6_jsonb_root(rectangle->span.state, &root);
	if (!f6_pointer_get(collection->path, &root, &value))
		return;
	span.known_from = rectangle->known_from;
	span.known_to = rectangle->known_to;
	span.valid_from = rectangle->span.from;
	span.valid_to = rectangle->span.to;
	span.value = copy_value(&value);
	add_span(collection->spans, &span);
}

/* compare_spans orders spans by their beginnings along formal and then along material time, the latest first. */
static int
compare_spans(const void *a, const void *b)
{
	const f6_field_span *first = a;
	const f6_field_span *second = b;

	if (first->known_from != second->known_from)
		return first->known_from > second->known_from ? -1 : 1;
	if (first->valid_from != second->valid_from)
		return first->valid_from > second->valid_from ? -1 : 1;
	return 0;
}

/* span_beginning returns the span that begins at a place and is not part of another, NULL where there is none. */
static f6_field_span *
span_beginning(f6_field_spans *spans, TimestampTz known_from, TimestampTz valid_from)
{
	f6_field_span wanted = { .known_from = known_from, .valid_from = valid_from };
	f6_field_span *found =
		bsearch(&wanted, spans->spans, spans->count, sizeof(f6_field_span), compare_spans);

	return found == NULL || found->value == NULL ? NULL : found;
}

/* take_in_later takes in the span that follows along material time, if both together are one. */
static bool
take_in_later(f6_field_spans *spans, f6_field_span *span)
{
	f6_field_span *later = span_beginning(spans, span->known_from, span->valid_to);

	if (later == NULL || later->known_to != span->known_to ||
		!f6_same_state(later->value, span->value))
		return false;
	span->valid_to = later->valid_to;
	later->value = NULL;
	return true;
}

/* take_in_newer takes in the span that follows along formal time, if both together are one. */
static bool
take_in_newer(f6_field_spans *spans, f6_field_span *span)
{
	f6_field_span *newer = span_beginning(spans, span->known_to, span->valid_from);

	if (newer == NULL || newer->valid_to != span->valid_to ||
		!f6_same_state(newer->value, span->value))
		return false;
	span->known_to = newer->known_to;
	newer->value = NULL;
	return true;
}

/*
 * unite_spans puts spans together.  What follows a span begins later, and is as large as it will be when the span's turn comes;
 * a span never begins elsewhere than at first.
 */
static void
unite_spans(f6_field_spans *spans)
{
	uint64 kept = 0;

	qsort(spans->spans, spans->count, sizeof(f6_field_span), compare_spans);
	for (uint64 i = 0; i < spans->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		while (take_in_later(spans, &spans->spans[i]) || take_in_newer(spans, &spans->spans[i]))
			;
	}
	for (uint64 i = 0; i < spans->count; i++)
	{
		if (spans->spans[i].value != NULL)
			spans->spans[kept++] = spans->spans[i];
	}
	spans->count = kept;
}

/* f6_field_spans_read reads all spans of an object's field, as the caller sees its events, the latest first. */
void
f6_field_spans_read(const f6_field *field, const pg_uuid_t *object, f6_field_spans *spans)
{
	f6_question question = { 0 };
	collection collection = { f6_pointer_make(field->path), spans };

	question.object_id = *object;
	question.valid_at = F6_LAST_MOMENT;
	question.known_at = F6_LAST_MOMENT;
	question.legal = field->legal;
	question.with_data = true;
	spans->count = 0;
	spans->room = INITIAL_SPANS;
	spans->spans = palloc(spans->room * sizeof(f6_field_span));
	spans->may_be_kept = f6_rectangles(&question, collect, &collection);
	unite_spans(spans);
}

/* f6_field_span_holds tells whether a span is about a material time as known at a formal time. */
bool
f6_field_span_holds(const f6_field_span *span, TimestampTz valid_at, TimestampTz known_at)
{
	return span->known_from <= known_at && known_at < span->known_to &&
		   span->valid_from <= valid_at && valid_at < span->valid_to;
}

/* f6_field_spans_find returns the number of the span that is the same as another, their count if none is. */
uint64
f6_field_spans_find(const f6_field_spans *spans, const f6_field_span *span)
{
	const f6_field_span *found =
		bsearch(span, spans->spans, spans->count, sizeof(f6_field_span), compare_spans);

	if (found == NULL || found->known_to != span->known_to || found->valid_to != span->valid_to ||
		!f6_same_state(found->value, span->value))
		return spans->count;
	return found - spans->spans;
}
