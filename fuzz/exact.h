/*
 * exact.h
 *		Included ahead of every file of f6 in the fuzzed build: makes AddressSanitizer see each allocation.
 *
 * A server's memory context carves many allocations out of one block, where an overrun of one lands in the
 * next unseen.  Contexts that f6 creates are given sizes here that leave no room in their blocks, so
 * that each allocation becomes a block of malloc by the context's own rules: freeing, resetting and
 * reallocating are the server's, whoever does it.  The few bytes by which the server rounds a size up are
 * poisoned, and so are those right before the block.  (The sizes would not pass the assertions of a
 * server that was built with them.)
 */
#ifndef F6_FUZZ_EXACT_H
#define F6_FUZZ_EXACT_H

#include "postgres.h"

#include "utils/memutils.h"

extern MemoryContext f6_fuzz_context_create(MemoryContext parent, const char *name);
extern void *f6_fuzz_trim(void *block, Size size);

#undef AllocSetContextCreate
#define AllocSetContextCreate(parent, name, ...) f6_fuzz_context_create(parent, name)
#define MemoryContextSetIdentifier(context, text) ((void) (context), (void) (text))

/* Redirects an allocator whose last argument but for flags is the size. */
#define F6_FUZZ_ALLOCATOR(function, parameters, arguments) \
	static inline pg_attribute_unused() void *f6_fuzz_##function parameters \
	{ \
		return f6_fuzz_trim(function arguments, size); \
	}

F6_FUZZ_ALLOCATOR(palloc, (Size size), (size))
F6_FUZZ_ALLOCATOR(palloc0, (Size size), (size))
F6_FUZZ_ALLOCATOR(palloc_extended, (Size size, int flags), (size, flags))
F6_FUZZ_ALLOCATOR(repalloc, (void *block, Size size), (block, size))
F6_FUZZ_ALLOCATOR(repalloc_huge, (void *block, Size size), (block, size))
F6_FUZZ_ALLOCATOR(MemoryContextAlloc, (MemoryContext context, Size size), (context, size))
F6_FUZZ_ALLOCATOR(MemoryContextAllocZero, (MemoryContext context, Size size), (context, size))
F6_FUZZ_ALLOCATOR(MemoryContextAllocHuge, (MemoryContext context, Size size), (context, size))
F6_FUZZ_ALLOCATOR(MemoryContextAllocExtended, (MemoryContext context, Size size, int flags),
				  (context, size, flags))

#define palloc						f6_fuzz_palloc
#define palloc0						f6_fuzz_palloc0
#define palloc_extended				f6_fuzz_palloc_extended
#define repalloc					f6_fuzz_repalloc
#define repalloc_huge				f6_fuzz_repalloc_huge
#define MemoryContextAlloc			f6_fuzz_MemoryContextAlloc
#define MemoryContextAllocZero		f6_fuzz_MemoryContextAllocZero
#define MemoryContextAllocHuge		f6_fuzz_MemoryContextAllocHuge
#define MemoryContextAllocExtended	f6_fuzz_MemoryContextAllocExtended

#endif /* F6_FUZZ_EXACT_H */
