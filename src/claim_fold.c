/*
 * claim_fold.c
 *		Folding claims that may come to be others than those that were folded.
 *
 * A fold only goes forward.  So now and then the state is put aside, and where the claims from some number on have changed,
 * folding goes on from the last state before it.  Where the claims that did not change then make the states that they made
 * before, those that were put aside are good again.  These states are few, and the more claims, the further apart.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "f6.h"
#include "claim_fold.h"
#include "fold.h"
#include "state.h"

/* States that are put aside at most; an even number. */
#define MAX_STOPS 64

/* The claims between two of them at first. */
#define FIRST_STRIDE 16

/* A state that was put aside. */
typedef struct stop
{
	uint64 folded; /* so many claims make the state */
	Jsonb *state;  /* NULL: nothing is known */
} stop;

struct f6_claim_fold
{
	MemoryContext context; /* holds the stops */
	MemoryContext folding; /* holds the fold */
	MemoryContext scratch; /* emptied after each claim */
	f6_claim_types *types;
	f6_fold *fold;
	uint64 folded; /* so many claims have been folded */
	uint64 stride;
	int stop_count; /* at least one, where the fold begins */
	stop stops[MAX_STOPS];
	int forgotten_count;
	stop forgotten[MAX_STOPS]; /* those that the last change made useless, the last of them first */
};

/* copy_state returns a copy of a state; NULL of none. */
static Jsonb *
copy_state(MemoryContext context, const Jsonb *state)
{
	Size size;

	if (state == NULL)
		return NULL;
	size = VARSIZE(state);
	return memcpy(MemoryContextAllocHuge(context, size), state, size);
}

/* free_state frees a state; NULL: none. */
static void
free_state(Jsonb *state)
{
	if (state != NULL)
		pfree(state);
}

/* start_at makes folding go on from a state that was put aside. */
static void
start_at(f6_claim_fold *fold, const stop *stop)
{
	MemoryContextReset(fold->folding);
	fold->fold = f6_fold_begin(fold->folding);
	fold->folded = stop->folded;
	/* The fold may outlive the stop, and refers to what it begins from. */
	if (stop->state != NULL)
		f6_fold_resume(fold->fold, copy_state(fold->folding, stop->state));
}

/* f6_claim_fold_begin begins a fold in a child of the current memory context; state: what it begins from, NULL for nothing. */
f6_claim_fold *
f6_claim_fold_begin(f6_claim_types *types, const Jsonb *state)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "f6 claim fold", ALLOCSET_DEFAULT_SIZES);
	f6_claim_fold *fold = MemoryContextAllocZero(context, sizeof(f6_claim_fold));

	fold->context = context;
	fold->folding = AllocSetContextCreate(context, "f6 claim folding", ALLOCSET_SMALL_SIZES);
	fold->scratch = AllocSetContextCreate(context, "f6 claim scratch", ALLOCSET_SMALL_SIZES);
	fold->types = types;
	fold->stride = FIRST_STRIDE;
	fold->stops[0].state = copy_state(context, state);
	fold->stop_count = 1;
	start_at(fold, &fold->stops[0]);
	return fold;
}

/* f6_claim_fold_end frees a fold. */
void
f6_claim_fold_end(f6_claim_fold *fold)
{
	MemoryContextDelete(fold->context);
}

/* last_stop returns the last stop that is not beyond so many claims. */
static const stop *
last_stop(const f6_claim_fold *fold, uint64 count)
{
	int number = fold->stop_count - 1;

	while (fold->stops[number].folded > count)
		number--;
	return &fold->stops[number];
}

/* f6_claim_fold_forget tells that the claims from some number on have changed. */
void
f6_claim_fold_forget(f6_claim_fold *fold, uint64 from)
{
	while (fold->forgotten_count > 0)
		free_state(fold->forgotten[--fold->forgotten_count].state);
	while (fold->stops[fold->stop_count - 1].folded > from)
		fold->forgotten[fold->forgotten_count++] = fold->stops[--fold->stop_count];
	if (fold->folded > from)
		start_at(fold, last_stop(fold, from));
}

/* thin_stops gives up every second stop. */
static void
thin_stops(f6_claim_fold *fold)
{
	for (int i = 0; i < fold->stop_count; i++)
	{
		if (i % 2 == 0)
			fold->stops[i / 2] = fold->stops[i];
		else
			free_state(fold->stops[i].state);
	}
	fold->stop_count = (fold->stop_count + 1) / 2;
	fold->stride *= 2;
}

/* add_stop adds a stop beyond all others. */
static void
add_stop(f6_claim_fold *fold, uint64 folded, Jsonb *state)
{
	if (fold->stop_count == MAX_STOPS)
		thin_stops(fold);
	fold->stops[fold->stop_count].folded = folded;
	fold->stops[fold->stop_count].state = state;
	fold->stop_count++;
}

/*
 * f6_claim_fold_recall tells that after the last change so many claims make the state that so many made before, and that
 * the claims after them are the same.
 */
void
f6_claim_fold_recall(f6_claim_fold *fold, uint64 before, uint64 after)
{
	uint64 last = fold->stops[fold->stop_count - 1].folded;

	while (fold->forgotten_count > 0)
	{
		const stop *recalled = &fold->forgotten[--fold->forgotten_count];

		if (recalled->folded >= before && recalled->folded - before + after > last)
			add_stop(fold, recalled->folded - before + after, recalled->state);
		else
			free_state(recalled->state);
	}
}

/* put_aside makes a stop where the fold stands, if the last one is far enough behind. */
static void
put_aside(f6_claim_fold *fold)
{
	MemoryContext caller;
	Jsonb *state;

	if (fold->folded < fold->stops[fold->stop_count - 1].folded + fold->stride)
		return;
	caller = MemoryContextSwitchTo(fold->context);
	state = f6_fold_result(fold->fold);
	MemoryContextSwitchTo(caller);
	add_stop(fold, fold->folded, state);
}

/* fold_claim folds the next claim. */
static void
fold_claim(f6_claim_fold *fold, const f6_claim *claim)
{
	MemoryContext caller = MemoryContextSwitchTo(fold->scratch);

	f6_state_fold(fold->fold, fold->types, claim);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(fold->scratch);
	fold->folded++;
}

/* f6_claim_fold_state returns the state that the first so many of the claims make, in the current memory context; NULL of none. */
Jsonb *
f6_claim_fold_state(f6_claim_fold *fold, const f6_claim *claims, uint64 count)
{
	const stop *last = last_stop(fold, count);

	if (fold->folded > count || last->folded > fold->folded + FIRST_STRIDE)
		start_at(fold, last);
	while (fold->folded < count)
	{
		CHECK_FOR_INTERRUPTS();
		fold_claim(fold, &claims[fold->folded]);
		put_aside(fold);
	}
	return f6_fold_result(fold->fold);
}
