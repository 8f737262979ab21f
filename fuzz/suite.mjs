// The official JSON Schema test suite, for fuzzing:
//
//	suite.mjs inputs SUITE FOLDER   writes each case as an input of the harness
//	suite.mjs remotes SUITE         prints the SQL that registers the documents to which the cases refer
//	suite.mjs check SUITE           holds specification.mjs against each case, but for what asserts format or content
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Validator, parseJson } from './specification.mjs';

const dialects = {
	'draft4': ['http://json-schema.org/draft-04/schema#', 4],
	'draft6': ['http://json-schema.org/draft-06/schema#', 6],
	'draft7': ['http://json-schema.org/draft-07/schema#', 7],
	'draft2019-09': [undefined, 2019],
	'draft2020-12': [undefined, 2020],
};
const [action, suite, folder] = process.argv.slice(2);

// Returns the JSON files of a folder and below, by their paths in it.
function jsonFiles(below)
{
	return readdirSync(below, { recursive: true }).filter(name => name.endsWith('.json')).sort();
}

// Returns the texts of the documents in a folder, by the URIs that name gives them.
function documents(below, name)
{
	return jsonFiles(below).map(file => [name(file), readFileSync(join(below, file), 'utf8')]);
}

const remotes = () => documents(join(suite, 'remotes'), file => `http://localhost:1234/${file}`);

// Returns the cases of each draft that the suite has.
function* cases()
{
	for (const draft of readdirSync(join(suite, 'tests')).filter(name => name in dialects))
	{
		for (const file of jsonFiles(join(suite, 'tests', draft)))
			yield { draft, file, text: readFileSync(join(suite, 'tests', draft, file), 'utf8') };
	}
}

// Writes the cases as inputs; a schema that names no dialect gets that of its draft.
function writeInputs()
{
	let count = 0;

	for (const { draft, text } of cases())
	{
		const [dialect] = dialects[draft];

		for (const { schema, tests } of JSON.parse(text))
		{
			const marked = typeof schema === 'object' && dialect ? { $schema: dialect, ...schema } : schema;

			for (const { data } of tests)
				writeFileSync(join(folder, `suite-${count++}`), `${JSON.stringify(marked)}\n${JSON.stringify(data)}\n`);
		}
	}
}

// Prints a statement a line.
function printRemotes()
{
	const quote = text => `'${text.replaceAll('\'', '\'\'')}'`;

	for (const [uri, text] of remotes())
		console.log(`select f6_register_schema(${quote(uri)}, ${quote(JSON.stringify(JSON.parse(text)))});`);
}

// Holds the arbiter against the cases; the numbers in them keep their text.
function checkArbiter()
{
	const metaschemas = documents(join(dirname(fileURLToPath(import.meta.url)), '../src/metaschema'), file => `//json-schema.org/${file.replace(/\.json$/, '')}`)
		.flatMap(([uri, text]) => [[`http:${uri}`, text], [`https:${uri}`, text]]);
	const known = new Map([...metaschemas, ...remotes()]);
	let count = 0, wrong = 0;

	for (const { draft, file, text } of cases())
	{
		if (/^optional\/(format|content)/.test(file)) continue;
		for (const group of parseJson(text))
		{
			for (const test of group.get('tests'))
			{
				let answer;

				try { answer = new Validator(group.get('schema'), known, dialects[draft][1]).accepts(test.get('data')); }
				catch (error) { answer = error.message; }
				count++;
				if (answer === test.get('valid')) continue;
				wrong++;
				console.log(`specification.mjs: ${draft}/${file}: ${group.get('description')}: ${test.get('description')}: ${answer}`);
			}
		}
	}
	console.log(`fuzz: specification.mjs decides ${count - wrong} of the suite's ${count} cases rightly`);
	process.exitCode = wrong > 0 ? 1 : 0;
}

({ inputs: writeInputs, remotes: printRemotes, check: checkArbiter })[action]();
