// Prints the SQL by which Emmett's event store makes its tables and functions.
import { schemaSQL } from '@event-driven-io/emmett-postgresql';

process.stdout.write(schemaSQL.map((statement) => statement.trim().replace(/;?$/, ';\n')).join(''));
