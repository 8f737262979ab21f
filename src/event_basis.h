/*
 * event_basis.h
 *		The events that an event references: its basis.
 */
#ifndef F6_EVENT_BASIS_H
#define F6_EVENT_BASIS_H

#include "event.h"
#include "uuid_array.h"

/* The referenced events, in the order of the references. */
typedef struct f6_basis
{
	int count;
	f6_event_row *events;
} f6_basis;

extern void f6_basis_read(Relation event, f6_batch *batch, const f6_event_row *row,
						  f6_basis *basis);
extern void f6_basis_check(f6_event_kind kind, const f6_basis *basis);
extern void f6_basis_expect_objects(Relation event, const f6_event_row *row, f6_uuids *objects);
extern void f6_basis_complete_objects(Relation event, f6_event_row *row, const f6_basis *basis);
extern void f6_objects_check(const f6_event_row *row);

#endif /* F6_EVENT_BASIS_H */
