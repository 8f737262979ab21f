/*
 * harness.c
 *		libFuzzer inside a PostgreSQL backend: f6_fuzz(text[]) runs it over pairs of a schema and an instance.
 *
 * An input is two lines of JSON text: the schema, and from the first line feed on the instance.  It is
 * compiled and run as f6 does it.  What must hold of every pair is in check_pair; an error is an
 * expected outcome unless its SQLSTATE says that something is broken inside.
 */
#include "exact.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/resowner.h"

#include "f6.h"
#include "jsonb_walk.h"
#include "schema_compile.h"
#include "schema_validate.h"

/* Seconds of work on one input after which it is cancelled, as a user might do: it must end soon then. */
#define F6_FUZZ_CANCEL_SECONDS 2

/* Sizes of a memory context whose blocks hold nothing: see exact.h. */
#define F6_FUZZ_CONTEXT_SIZES 0, 104, 104

/* The server serves smaller requests from a shared block even then. */
#define F6_FUZZ_SHARED_SIZE 8

typedef int (*f6_fuzz_callback)(const uint8 *data, size_t size);

extern int LLVMFuzzerRunDriver(int *argc, char ***argv, f6_fuzz_callback callback);
extern void __asan_poison_memory_region(void const volatile *address, size_t size);

F6_FUNCTION(f6_fuzz);

/* What a run of an instance ended with; more than these is an error's SQLSTATE. */
typedef enum f6_fuzz_verdict
{
	F6_FUZZ_ACCEPTED = -1,
	F6_FUZZ_REJECTED = -2
} f6_fuzz_verdict;

/* One pair, and what to do with it. */
typedef struct f6_fuzz_pair
{
	char *schema_text;
	char *instance_text;
	bool assert_format;
	Jsonb *schema;
	Jsonb *instance;
	f6_program *program;
	int verdict;
} f6_fuzz_pair;

static const char *const context_mark = "f6 fuzz: exact";
static MemoryContext input_context;

/* f6_fuzz_context_create creates a memory context that gives each allocation a block of malloc. */
MemoryContext
f6_fuzz_context_create(MemoryContext parent, const char *name)
{
	MemoryContext context = AllocSetContextCreateInternal(parent, name, F6_FUZZ_CONTEXT_SIZES);

	context->ident = context_mark;
	return context;
}

/* f6_fuzz_trim returns an allocation whose surroundings may no longer be touched. */
void *
f6_fuzz_trim(void *block, Size size)
{
	if (block != NULL && size > F6_FUZZ_SHARED_SIZE &&
		GetMemoryChunkContext(block)->ident == context_mark)
	{
		__asan_poison_memory_region((char *) block - sizeof(uint64), sizeof(uint64));
		__asan_poison_memory_region((char *) block + size, MAXALIGN(size) - size);
	}
	return block;
}

/* Tells what is wrong with the validator, and stops: libFuzzer keeps the input. */
static void pg_attribute_noreturn() __attribute__((format(printf, 1, 2)))
report_finding(const char *format, ...)
{
	va_list arguments;

	fputs("f6_fuzz: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

/* Tells whether an error says that something is broken inside: never an outcome of an input. */
static bool
is_internal_error(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR);
}

/* Runs a step in a subtransaction; returns 0, or the SQLSTATE of the error that it raised. */
static int
run_step(void (*step)(f6_fuzz_pair *pair), f6_fuzz_pair *pair)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int sqlstate = 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(pair);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		sqlstate = error->sqlerrcode;
		if (is_internal_error(sqlstate))
			report_finding("internal error: %s", error->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return sqlstate;
}

/* Tells whether an error is about a limit or a cancel, which another run need not meet at the same place. */
static bool
is_limit(int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}

/* Returns the text as jsonb in a block of exactly its size. */
static Jsonb *
read_json(const char *text)
{
	Jsonb *parsed = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	Jsonb *exact = palloc(VARSIZE(parsed));

	memcpy(exact, parsed, VARSIZE(parsed));
	pfree(parsed);
	return exact;
}

/* Reads both texts. */
static void
step_read(f6_fuzz_pair *pair)
{
	pair->schema = read_json(pair->schema_text);
	pair->instance = read_json(pair->instance_text);
}

/* Compiles the schema. */
static void
step_compile(f6_fuzz_pair *pair)
{
	pair->program = f6_schema_compile(pair->schema, pair->assert_format);
}

/* Compiles the schema as it comes back from its own text. */
static void
step_compile_again(f6_fuzz_pair *pair)
{
	Datum text = DirectFunctionCall1(jsonb_out, JsonbPGetDatum(pair->schema));

	pair->program = f6_schema_compile(read_json(DatumGetCString(text)), pair->assert_format);
}

/* Asks whether the instance is valid. */
static void
step_accept(f6_fuzz_pair *pair)
{
	JsonbValue instance;

	f6_jsonb_root(pair->instance, &instance);
	pair->verdict =
		f6_schema_accepts(pair->program, &instance) ? F6_FUZZ_ACCEPTED : F6_FUZZ_REJECTED;
}

/* Checks and counts a failure. */
static void
count_failure(void *argument, const f6_failure *failure)
{
	if (!f6_jsonb_pointer_is_valid(failure->instance_location) ||
		failure->schema_location == NULL || failure->keyword == NULL || failure->message[0] == '\0')
		report_finding("a failure that names no place");
	(*(uint64 *) argument)++;
}

/* Asks why the instance is not valid. */
static void
step_collect(f6_fuzz_pair *pair)
{
	JsonbValue instance;
	uint64 count = 0;

	f6_jsonb_root(pair->instance, &instance);
	f6_schema_explain(pair->program, &instance, F6_MAX_REPORTED_FAILURES, count_failure, &count);
	if (count > F6_MAX_REPORTED_FAILURES)
		report_finding("%d failures", (int) count);
	pair->verdict = count == 0 ? F6_FUZZ_ACCEPTED : F6_FUZZ_REJECTED;
}

/* Asks for the failures' text. */
static void
step_describe(f6_fuzz_pair *pair)
{
	JsonbValue instance;

	f6_jsonb_root(pair->instance, &instance);
	f6_schema_failures_text(pair->program, &instance);
}

/* Returns what a run of the step comes to: a verdict, or an error's SQLSTATE. */
static int
outcome_of(void (*step)(f6_fuzz_pair *pair), f6_fuzz_pair *pair)
{
	int sqlstate = run_step(step, pair);

	return sqlstate != 0 ? sqlstate : pair->verdict;
}

/* Writes an outcome for a person. */
static const char *
outcome_text(int outcome)
{
	if (outcome == F6_FUZZ_ACCEPTED)
		return "accepted";
	return outcome == F6_FUZZ_REJECTED ? "rejected" : unpack_sql_state(outcome);
}

/* Stops unless an outcome is what the first run had; limits may be met earlier or later. */
static void
expect_outcome(const char *what, int expected, int found)
{
	char words[16];

	if (found == expected || is_limit(found))
		return;
	strlcpy(words, outcome_text(expected), sizeof(words));
	report_finding("%s: first %s, then %s", what, words, outcome_text(found));
}

/* Checks what must hold of every pair; the pair's texts have been read. */
static void
check_pair(f6_fuzz_pair *pair)
{
	int compiled = run_step(step_compile, pair);
	int first;

	if (is_limit(compiled))
		return;
	if (compiled != 0)
	{
		expect_outcome("compiling again", compiled, run_step(step_compile_again, pair));
		return;
	}

	first = outcome_of(step_accept, pair);
	if (is_limit(first))
		return;
	expect_outcome("asking again", first, outcome_of(step_accept, pair));
	expect_outcome("collecting failures", first, outcome_of(step_collect, pair));
	if (first == F6_FUZZ_REJECTED)
		run_step(step_describe, pair);

	compiled = run_step(step_compile_again, pair);
	if (is_limit(compiled))
		return;
	if (compiled != 0)
		report_finding("compiling again: %s", unpack_sql_state(compiled));
	expect_outcome("another program of the same schema", first, outcome_of(step_accept, pair));
}

/* Asks the server to cancel what runs, as its own signal handler would. */
static void
handle_deadline(int signal pg_attribute_unused())
{
	InterruptPending = true;
	QueryCancelPending = true;
}

/* Starts the time after which the input is cancelled, or with 0 stops it. */
static void
set_deadline(int seconds)
{
	struct itimerval timer = { { 0, 0 }, { seconds, 0 } };

	setitimer(ITIMER_VIRTUAL, &timer, NULL);
	if (seconds == 0)
		QueryCancelPending = false;
}

/* Runs one input; returns 0, or -1 for one that isn't worth keeping. */
static int
run_input(const uint8 *data, size_t size)
{
	MemoryContext caller = MemoryContextSwitchTo(input_context);
	f6_fuzz_pair pair = { 0 };
	int result = -1;

	if (memchr(data, '\0', size) == NULL && memchr(data, '\n', size) != NULL &&
		pg_verify_mbstr(PG_UTF8, (const char *) data, size, true))
	{
		pair.schema_text = pnstrdup((const char *) data, size);
		pair.instance_text = strchr(pair.schema_text, '\n');
		*pair.instance_text++ = '\0';
		set_deadline(F6_FUZZ_CANCEL_SECONDS);
		if (run_step(step_read, &pair) == 0)
		{
			check_pair(&pair);
			if (strstr(pair.schema_text, "format") != NULL)
			{
				pair.assert_format = true;
				check_pair(&pair);
			}
			result = 0;
		}
		set_deadline(0);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(input_context);
	return result;
}

/* Leaves the process at once: the cluster is thrown away, and libFuzzer ends by calling exit. */
static void
leave(int status, void *unused pg_attribute_unused())
{
	fflush(NULL);
	_exit(status);
}

/* Gives a signal back to libFuzzer, which takes none that has a handler. */
static void
free_signals(void)
{
	static const int signals[] = { SIGALRM, SIGINT, SIGTERM };
	int i;

	for (i = 0; i < (int) lengthof(signals); i++)
		signal(signals[i], SIG_DFL);
	signal(SIGVTALRM, handle_deadline);
}

/* f6_fuzz(text[]): runs libFuzzer with these arguments; never returns. */
Datum
f6_fuzz(PG_FUNCTION_ARGS)
{
	ArrayType *arguments = PG_GETARG_ARRAYTYPE_P(0);
	Datum *texts;
	int count;
	int i;
	char **argv;

	deconstruct_array(arguments, TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, &count);
	argv = calloc(count + 2, sizeof(char *));
	argv[0] = "f6_fuzz";
	for (i = 0; i < count; i++)
		argv[i + 1] = strdup(TextDatumGetCString(texts[i]));
	count++;

	input_context = f6_fuzz_context_create(TopMemoryContext, "f6 fuzz input");
	free_signals();
	on_exit(leave, NULL);
	LLVMFuzzerRunDriver(&count, &argv, run_input);
	PG_RETURN_VOID();
}
