/*
 * claim_type.h
 *		The types of the events that a question meets, and the versions in which it reads their data.
 */
#ifndef F6_CLAIM_TYPE_H
#define F6_CLAIM_TYPE_H

#include "utils/jsonb.h"

#include "event_type.h"
#include "fold_program.h"
#include "object_events.h"
#include "upcast.h"

typedef struct f6_claim_types f6_claim_types;

extern f6_claim_types *f6_claim_types_begin(Jsonb *versions, f6_fold_program *program);
extern const f6_event_type *f6_claim_type(f6_claim_types *types, f6_type_key key);
extern bool f6_claim_types_are_declared(const f6_claim_types *types);
extern f6_fold_handler *f6_claim_handler(const f6_event_type *type);
extern f6_upcast *f6_claim_upcast(f6_claim_types *types, const f6_event_type *type);
extern bool f6_same_type(f6_type_key a, f6_type_key b);

#endif /* F6_CLAIM_TYPE_H */
