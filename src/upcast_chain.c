/*
 * upcast_chain.c
 *		Ways from one version of an event type to another, over its upcasters.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "f6.h"
#include "upcast_chain.h"

#define UNREACHED (-1)
#define THE_START (-2)

/* A search through the versions: how each was reached first. */
typedef struct chain_search
{
	int *via; /* the upcaster by which a version was reached, or one of these: */
	int *queue;
	int queued;
} chain_search;

/* spread visits what the upcasters lead to from a version, or lead from to it, in the order of the upcasters. */
static void
spread(chain_search *search, const f6_upcaster *upcasters, int count, int version, bool backward)
{
	for (int i = 0; i < count; i++)
	{
		int here = backward ? upcasters[i].to : upcasters[i].from;
		int there = backward ? upcasters[i].from : upcasters[i].to;

		if (here == version && search->via[there] == UNREACHED)
		{
			search->via[there] = i;
			search->queue[search->queued++] = there;
		}
	}
}

/* search_from visits all versions that can be reached, the nearest first. */
static chain_search
search_from(const f6_upcaster *upcasters, int count, int versions, int start, bool backward)
{
	chain_search search = { palloc(sizeof(int) * versions), palloc(sizeof(int) * (versions + 1)),
							1 };

	for (int i = 0; i < versions; i++)
		search.via[i] = UNREACHED;
	search.via[start] = THE_START;
	search.queue[0] = start;
	for (int done = 0; done < search.queued; done++)
	{
		CHECK_FOR_INTERRUPTS();
		spread(&search, upcasters, count, search.queue[done], backward);
	}
	return search;
}

/*
 * f6_chain_find finds the shortest way between two versions, and returns its length, or -1 when there is none.  Among equally
 * short ones it prefers the upcasters that stand first.
 */
int
f6_chain_find(f6_upcaster *upcasters, int count, int versions, int from, int to,
			  f6_upcaster **links)
{
	chain_search search = search_from(upcasters, count, versions, from, false);
	int length = 0;

	if (search.via[to] < 0)
		return -1;
	for (int at = to; at != from; at = upcasters[search.via[at]].from)
		length++;
	for (int at = to, i = length; at != from; at = upcasters[search.via[at]].from)
		links[--i] = &upcasters[search.via[at]];
	return length;
}

/* f6_chain_reachable tells of each version whether it can be reached from one, or this from it. */
bool *
f6_chain_reachable(const f6_upcaster *upcasters, int count, int versions, int start, bool backward)
{
	chain_search search = search_from(upcasters, count, versions, start, backward);
	bool *reachable = palloc(sizeof(bool) * versions);

	for (int i = 0; i < versions; i++)
		reachable[i] = search.via[i] >= 0;
	return reachable;
}
