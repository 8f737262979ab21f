// Has Emmett rebuild a projection of one document a stream, the merged data of its events and their number, in the database that is named,
// on the server of PGHOST and PGPORT; prints how many seconds that takes, without the start of Node.  Emmett says nothing of
// an event that fails: whoever calls this looks at the documents.
import { pongoSingleStreamProjection, rebuildPostgreSQLProjections } from '@event-driven-io/emmett-postgresql';

const { PGHOST, PGPORT, PGUSER } = process.env;
const people = pongoSingleStreamProjection({
	collectionName: 'people',
	canHandle: ['Visit'],
	initialState: () => ({ moves: 0 }),
	evolve: (document, { data }) => ({ ...document, ...data, moves: document.moves + 1 }),
});
// Each batch reads the whole log, and writes one row as often as it has events, in one transaction: both cost least at about this size.
const consumer = rebuildPostgreSQLProjections({
	connectionString: `postgresql://${PGUSER}@/${process.argv[2]}?host=${encodeURIComponent(PGHOST)}&port=${PGPORT}`,
	projections: [people],
	pulling: { batchSize: 2000, pullingFrequencyInMs: 0 },
});

console.log = console.error; // what Emmett logs
const from = performance.now();
await consumer.start();
process.stdout.write(`${(performance.now() - from) / 1000}\n`);
await consumer.close();
