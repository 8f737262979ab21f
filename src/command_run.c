/*
 * command_run.c
 *		What came of commands, kept in f6.command_run under the keys of their callers, so that nothing is done twice.
 *
 * Whoever runs a command under a key holds a lock until the transaction ends.  Another run under the same key waits for it, and then finds
 * what came of it, if the transaction was committed: in the log as it is now, whatever snapshot the transaction has.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "f6.h"
#include "command_run.h"
#include "errors.h"
#include "own_statement.h"
#include "relation.h"
#include "spi_connection.h"

#define KEEP_RUN \
	"insert into f6.command_run (command, idempotency_key, payload_hash, status, reason, detail, " \
	"ids, " \
	"positions) values ($1, $2, $3, $4, $5, $6, $7, $8)"

/* columns of f6.command_run */
enum run_column
{
	RUN_COMMAND = 1,
	RUN_KEY,
	RUN_PAYLOAD_HASH,
	RUN_STATUS,
	RUN_REASON,
	RUN_DETAIL,
	RUN_IDS,
	RUN_POSITIONS,
	RUN_COLUMNS = RUN_POSITIONS
};

/* check_table refuses a table whose columns somebody has changed. */
static void
check_table(TupleDesc descriptor)
{
	static const f6_column columns[] = {
		{ "command", TEXTOID },	 { "idempotency_key", TEXTOID }, { "payload_hash", BYTEAOID },
		{ "status", TEXTOID },	 { "reason", TEXTOID },			 { "detail", TEXTOID },
		{ "ids", UUIDARRAYOID }, { "positions", INT8ARRAYOID },
	};

	StaticAssertStmt(lengthof(columns) == RUN_COLUMNS, "each column has a name and a type");
	f6_check_columns(descriptor, F6_COMMAND_RUN, columns, lengthof(columns));
}

/* canonical returns a payload with its numbers written in one way only: without zeros at the end. */
static Jsonb *
canonical(Jsonb *payload)
{
	JsonbIterator *iterator = JsonbIteratorInit(&payload->root);
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		bool is_scalar = token == WJB_BEGIN_ARRAY && value.val.array.rawScalar;

		CHECK_FOR_INTERRUPTS();
		if (token < WJB_BEGIN_ARRAY && value.type == jbvNumeric)
			value.val.numeric = DatumGetNumeric(
				DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(value.val.numeric)));
		result =
			pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY || is_scalar ? &value : NULL);
	}
	return JsonbValueToJsonb(result);
}

/* payload_hash returns the hash by which a payload is recognised: a bytea. */
static Datum
payload_hash(Jsonb *payload)
{
	Jsonb *document = canonical(payload);
	char *text = JsonbToCString(NULL, &document->root, VARSIZE(document));

	return DirectFunctionCall1(sha256_bytea, PointerGetDatum(cstring_to_text(text)));
}

/* check_payload refuses another payload under a key than that which was run. */
static void
check_payload(HeapTuple row, TupleDesc descriptor, const char *command, Jsonb *payload)
{
	bool isnull;
	Datum kept = heap_getattr(row, RUN_PAYLOAD_HASH, descriptor, &isnull);

	if (!DatumGetBool(DirectFunctionCall2(byteaeq, kept, payload_hash(payload))))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("command \"%s\" was run with another payload under this idempotency key",
						command),
				 errhint("A key stands for one thing that is to be done: repeat it with the same "
						 "payload, or take another key.")));
}

/* array_of returns a copy of a column that is an array. */
static Datum
array_of(HeapTuple row, TupleDesc descriptor, int column)
{
	bool isnull;
	Datum value = heap_getattr(row, column, descriptor, &isnull);

	return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
}

/* read_row reads what came of a run. */
static void
read_row(HeapTuple row, TupleDesc descriptor, f6_outcome *outcome)
{
	outcome->is_accepted = strcmp(f6_row_text(row, descriptor, RUN_STATUS), "accepted") == 0;
	outcome->reason = f6_row_text(row, descriptor, RUN_REASON);
	outcome->detail = f6_row_text(row, descriptor, RUN_DETAIL);
	outcome->ids = array_of(row, descriptor, RUN_IDS);
	outcome->positions = array_of(row, descriptor, RUN_POSITIONS);
	outcome->attempts = 0;
}

/* search begins to look for a run by its key, in what is committed now and what the transaction has done itself. */
static SysScanDesc
search(Relation table, Snapshot snapshot, const char *command, const char *key)
{
	const char *values[] = { command, key };
	ScanKeyData keys[lengthof(values)];

	for (int i = 0; i < (int) lengthof(values); i++)
		ScanKeyEntryInitialize(&keys[i], 0, RUN_COMMAND + i, BTEqualStrategyNumber, InvalidOid,
							   TupleDescAttr(RelationGetDescr(table), i)->attcollation, F_TEXTEQ,
							   CStringGetTextDatum(values[i]));
	return systable_beginscan(table, f6_relation_oid(F6_COMMAND_RUN_INDEX), true, snapshot,
							  lengthof(keys), keys);
}

/* f6_command_run_find tells whether a command was run under a key, with this payload, and what came of it. */
bool
f6_command_run_find(const char *command, const char *key, Jsonb *payload, f6_outcome *outcome)
{
	Relation table = table_open(f6_relation_oid(F6_COMMAND_RUN), AccessShareLock);
	TupleDesc descriptor = RelationGetDescr(table);
	Snapshot snapshot;
	SysScanDesc scan;
	HeapTuple row;
	bool found;

	check_table(descriptor);
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = search(table, snapshot, command, key);
	row = systable_getnext(scan);
	found = HeapTupleIsValid(row);
	if (found)
	{
		check_payload(row, descriptor, command, payload);
		read_row(row, descriptor, outcome);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, AccessShareLock);
	return found;
}

/* text_or_null returns a text, and notes whether it is NULL. */
static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* f6_command_run_keep keeps what came of a command under a key; its caller needs no privilege for that. */
void
f6_command_run_keep(const char *command, const char *key, Jsonb *payload, const f6_outcome *outcome)
{
	static f6_own_statement keep = { .text = KEEP_RUN,
									 .parameter_count = RUN_COLUMNS,
									 .types = { TEXTOID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID,
												TEXTOID, UUIDARRAYOID, INT8ARRAYOID } };
	char nulls[] = "        ";
	Datum values[RUN_COLUMNS];

	f6_spi_connect();
	values[RUN_COMMAND - 1] = CStringGetTextDatum(command);
	values[RUN_KEY - 1] = CStringGetTextDatum(key);
	values[RUN_PAYLOAD_HASH - 1] = payload_hash(payload);
	values[RUN_STATUS - 1] = CStringGetTextDatum(outcome->is_accepted ? "accepted" : "rejected");
	values[RUN_REASON - 1] = text_or_null(outcome->reason, &nulls[RUN_REASON - 1]);
	values[RUN_DETAIL - 1] = text_or_null(outcome->detail, &nulls[RUN_DETAIL - 1]);
	values[RUN_IDS - 1] = outcome->ids;
	values[RUN_POSITIONS - 1] = outcome->positions;
	f6_own_run(&keep, values, nulls);
	SPI_finish();
}
