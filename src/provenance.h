/*
 * provenance.h
 *		Which claim last wrote each field of a state.
 */
#ifndef F6_PROVENANCE_H
#define F6_PROVENANCE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "resolution.h"

extern List **f6_provenance(const f6_claims *claims, Jsonb *state);

#endif /* F6_PROVENANCE_H */
