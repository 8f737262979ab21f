// Writes each case of the official JSON Schema test suite as an input of the harness: suite.mjs SUITE FOLDER.
// A schema that names no dialect gets that of its draft.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dialects = {
	'draft4': 'http://json-schema.org/draft-04/schema#',
	'draft6': 'http://json-schema.org/draft-06/schema#',
	'draft7': 'http://json-schema.org/draft-07/schema#',
	'draft2019-09': 'https://json-schema.org/draft/2019-09/schema',
	'draft2020-12': undefined,
};
const [suite, folder] = process.argv.slice(2);
let count = 0;

for (const draft of readdirSync(join(suite, 'tests')).filter(name => name in dialects)) {
	for (const file of readdirSync(join(suite, 'tests', draft), { recursive: true }).filter(name => name.endsWith('.json'))) {
		for (const { schema, tests } of JSON.parse(readFileSync(join(suite, 'tests', draft, file), 'utf8'))) {
			const marked = typeof schema === 'object' && dialects[draft] ? { $schema: dialects[draft], ...schema } : schema;

			for (const { data } of tests)
				writeFileSync(join(folder, `suite-${count++}`), `${JSON.stringify(marked)}\n${JSON.stringify(data)}\n`);
		}
	}
}
