/*
 * first.c
 *		Wakes AddressSanitizer before any library of the server is initialised.
 *
 * Preloaded behind its runtime and linked with -z initfirst.  The runtime starts with the first malloc,
 * and asks for the text of an error then; a library that allocates in newlocale from its constructor would
 * have it wait for a lock of the C library that it holds itself.
 */
#include <stdlib.h>

static void __attribute__((constructor))
wake_runtime(void)
{
	free(malloc(1));
}
