// Compares f6 with specification.mjs and with ajv: random schemas of drafts 4 to 2020-12, and instances that nearly
// fit them.  The server is the one of PGHOST and PGDATABASE, in which f6 is installed.
//
//	--schemas=20000     how many schemas
//	--instances=5       how many instances of each
//	--drafts=4,6,...    only these of 4, 6, 7, 2019-09, 2020-12
//	--only=KEYWORD,...  only schemas that use one of these keywords
//
// FUZZ_SEED decides every choice.  f6 must say what specification.mjs says, always: a disagreement fails the run.
// ajv is there to show that both could be wrong: where it differs from both, the smallest pair is printed once for
// each set of keywords that it takes.
import { spawn } from 'node:child_process';
import Ajv from 'ajv';
import Ajv04 from 'ajv-draft-04';
import Ajv2019 from 'ajv/dist/2019.js';
import Ajv2020 from 'ajv/dist/2020.js';
import { Validator, isKeyword, parseJson } from './specification.mjs';

const options = Object.fromEntries(process.argv.slice(2).map(word => word.replace(/^--/, '').split('=')));
const schemaCount = Number(options.schemas ?? 20000);
const instanceCount = Number(options.instances ?? 5);
const only = options.only?.split(',');
const seed = Number(process.env.FUZZ_SEED ?? Date.now()) >>> 0;
const batchSize = 1000;
const reportedAtMost = 20;

// The drafts, with their name for the place of definitions and what else differs.
const allDrafts = {
	'4': { ajv: Ajv04.default ?? Ajv04, uri: 'http://json-schema.org/draft-04/schema#', defs: 'definitions', level: 4 },
	'6': { ajv: Ajv.default ?? Ajv, uri: 'http://json-schema.org/draft-06/schema#', defs: 'definitions', level: 6 },
	'7': { ajv: Ajv.default ?? Ajv, uri: 'http://json-schema.org/draft-07/schema#', defs: 'definitions', level: 7 },
	'2019-09': { ajv: Ajv2019.default ?? Ajv2019, uri: 'https://json-schema.org/draft/2019-09/schema', defs: '$defs', level: 2019 },
	'2020-12': { ajv: Ajv2020.default ?? Ajv2020, uri: 'https://json-schema.org/draft/2020-12/schema', defs: '$defs', level: 2020 },
};
const drafts = (options.drafts?.split(',') ?? Object.keys(allDrafts)).map(name => Object.assign(allDrafts[name], { name }));

// ---- chance

let state = seed;

// Returns a number from 0 up to but not including 1 (mulberry32).
function random()
{
	state = (state + 0x6d2b79f5) >>> 0;
	let t = Math.imul(state ^ (state >>> 15), state | 1);
	t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
	return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const below = n => Math.floor(random() * n);
const chance = p => random() < p;
const pick = list => list[below(list.length)];
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
const distinct = list => [...new Set(list)];

// ---- schemas

const names = ['a', 'b', 'c', 'ab', 'foo', 'é', 'a/b', 'x~y', ''];
const texts = ['', 'a', 'b', 'ab', 'abc', 'foo', 'é', '😀', 'a😀', 'aaaa', '12', 'A'];
const numbers = [0, 1, 2, 3, 4, 5, 7, 10, 100, -1, -2, 0.5, 1.5, 2.5, -0.5, 0.1, 1e10, 12345678];
const exactNumbers = ['1.0', '-0.0', '1.50', '0.3', '0.30', '10e-1', '1e-7', '0.0000001', '100.00', '2147483648', '9007199254740993',
	'9223372036854775807', '9223372036854775808', '12345678901234567890', '12345678901234567890.5', '-12345678901234567890', '0.1000000000000000000001'];
const patterns = ['a', '^a', 'b$', '^[a-c]+$', '^.$', '^\\d+$', '\\w', 'a|foo', '^(a|b)*$', 'é', '^\\S{2,3}$', '(?!a)b', '^\\p{L}'];
const types = ['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'];

// A number that no double holds, or that is written otherwise, is a string with this before its text.
const exactMark = '\u0001';
const isExact = value => typeof value === 'string' && value.startsWith(exactMark);
const anyNumber = () => chance(0.1) ? exactMark + pick(exactNumbers) : pick(numbers);

// Returns the JSON text of a value.
const textOf = value => JSON.stringify(value).replace(/"\\u0001([^"]*)"/g, '$1');

// Returns any JSON value.
function anyValue(depth = 0)
{
	switch (below(depth > 2 ? 5 : 8))
	{
		case 0: return null;
		case 1: return chance(0.5);
		case 2: case 3: return anyNumber();
		case 4: return pick(texts);
		case 5: case 6: return times(below(4), () => anyValue(depth + 1));
		default: return Object.fromEntries(times(below(4), () => [pick(names), anyValue(depth + 1)]));
	}
}

// What a schema is made in: its draft, how deep, which definitions it may refer to in place (all, where the instance has changed)
// and which resource it stands in.
function inner(context, changes)
{
	return { ...context, depth: context.depth + 1, ...changes };
}

const child = context => inner(context, { from: 0, child: true });
const sub = context => anySchema(inner(context, {}));
const childSchema = context => anySchema(child(context));
const schemaMap = (context, make) => Object.fromEntries(distinct(times(1 + below(3), () => pick(names))).map(name => [name, make(context)]));
const nameList = () => distinct(times(1 + below(3), () => pick(names)));
const subList = context => times(1 + below(3), () => sub(context));

// Adds keywords: [first draft, last draft, weight, function (schema, context)].
const keywords = [
	[4, 2020, 6, s => { s.type = chance(0.6) ? pick(types) : distinct(times(1 + below(3), () => pick(types))); }],
	[4, 2020, 2, s => { s.enum = distinctValues(times(1 + below(4), () => anyValue(1))); }],
	[6, 2020, 2, s => { s.const = anyValue(1); }],
	[4, 2020, 3, s => { s.minimum = anyNumber(); }],
	[4, 2020, 3, s => { s.maximum = anyNumber(); }],
	[4, 4, 2, s => { s.minimum = anyNumber(); s.exclusiveMinimum = chance(0.5); }],
	[4, 4, 2, s => { s.maximum = anyNumber(); s.exclusiveMaximum = chance(0.5); }],
	[6, 2020, 2, s => { s.exclusiveMinimum = anyNumber(); }],
	[6, 2020, 2, s => { s.exclusiveMaximum = anyNumber(); }],
	[4, 2020, 2, s => { s.multipleOf = pick([1, 2, 3, 0.5, 0.1, 0.01, 2.5, 10, exactMark + '1.0', exactMark + '0.3', exactMark + '12345678901234567890', exactMark + '1e-7']); }],
	[4, 2020, 2, s => { s.minLength = below(4); }],
	[4, 2020, 2, s => { s.maxLength = below(4); }],
	[4, 2020, 3, s => { s.pattern = pick(patterns); }],
	[4, 2020, 2, s => { s.minItems = below(3); }],
	[4, 2020, 2, s => { s.maxItems = below(4); }],
	[4, 2020, 2, s => { s.uniqueItems = chance(0.8); }],
	[4, 2020, 2, s => { s.minProperties = below(3); }],
	[4, 2020, 2, s => { s.maxProperties = below(4); }],
	[4, 2020, 4, s => { s.required = nameList(); }],
	[4, 2020, 6, (s, c) => { s.properties = schemaMap(c, childSchema); }],
	[4, 2020, 3, (s, c) => { s.patternProperties = Object.fromEntries(distinct(times(1 + below(2), () => pick(patterns))).map(p => [p, childSchema(c)])); }],
	[4, 2020, 4, (s, c) => { s.additionalProperties = chance(0.5) ? chance(0.3) : childSchema(c); }],
	[6, 2020, 2, (s, c) => { s.propertyNames = childSchema(c); }],
	[4, 2020, 4, (s, c) => { s.items = childSchema(c); }],
	[4, 2019, 3, (s, c) => { s.items = times(1 + below(3), () => childSchema(c)); if (chance(0.6)) s.additionalItems = chance(0.4) ? false : childSchema(c); }],
	[2020, 2020, 4, (s, c) => { s.prefixItems = times(1 + below(3), () => childSchema(c)); if (chance(0.5)) s.items = chance(0.4) ? false : childSchema(c); }],
	[6, 2020, 3, (s, c) => { s.contains = childSchema(c); }],
	[2019, 2020, 2, (s, c) => { s.contains = childSchema(c); s.minContains = below(3); if (chance(0.5)) s.maxContains = below(4); }],
	[4, 7, 3, (s, c) => { s.dependencies = schemaMap(c, context => chance(0.5) ? nameList() : sub(context)); }],
	[2019, 2020, 2, s => { s.dependentRequired = schemaMap(null, nameList); }],
	[2019, 2020, 2, (s, c) => { s.dependentSchemas = schemaMap(c, sub); }],
	[4, 2020, 3, (s, c) => { s.allOf = subList(c); }],
	[4, 2020, 3, (s, c) => { s.anyOf = subList(c); }],
	[4, 2020, 3, (s, c) => { s.oneOf = subList(c); }],
	[4, 2020, 2, (s, c) => { s.not = sub(c); }],
	[7, 2020, 3, (s, c) => { s.if = sub(c); if (chance(0.8)) s.then = sub(c); if (chance(0.6)) s.else = sub(c); }],
	[2019, 2020, 3, (s, c) => { s.unevaluatedItems = chance(0.6) ? false : childSchema(c); }],
	[2019, 2020, 3, (s, c) => { s.unevaluatedProperties = chance(0.6) ? false : childSchema(c); }],
	[4, 2020, 5, (s, c) => { const ref = anyReference(c); if (ref !== undefined) s.$ref = ref; }],
	[2019, 2019, 2, (s, c) => { if (c.child) s.$recursiveRef = '#'; }],
	[2020, 2020, 2, (s, c) => { if (c.child && c.resource.dynamic) s.$dynamicRef = '#node'; }],
	[4, 2020, 1, s => { s.title = 'a title'; s.default = anyValue(1); }],
	[4, 2020, 1, (s, c) => { s.unknownKeyword = anyValue(1); }],
];

// Returns values no two of which are equal.
function distinctValues(values)
{
	return [...new Map(values.map(value => [JSON.stringify(value), value])).values()];
}

// Returns a reference to a definition that may be referred to here, or undefined.
function anyReference(context)
{
	if (context.child && chance(0.2)) return context.hasId && chance(0.5) ? 'http://example.com/root.json' : context.resource.id === undefined ? '#' : 'root.json';
	const allowed = context.definitions.filter(definition => definition.index >= context.from);
	if (allowed.length === 0) return undefined;
	const definition = pick(allowed);
	const forms = [];
	if (definition.id !== undefined) forms.push(definition.id, `http://example.com/${definition.id}`);
	if (context.resource.id === undefined) forms.push(`#/${context.draft.defs}/${definition.name}`);
	else if (context.hasId) forms.push(`root.json#/${context.draft.defs}/${definition.name}`);
	if (definition.anchor !== undefined && definition.id === undefined)
	{
		if (context.resource.id === undefined) forms.push(`#${definition.anchor}`);
		else forms.push(`root.json#${definition.anchor}`);
	}
	return pick(forms);
}

// Returns a schema; deep ones are small.
function anySchema(context)
{
	if (context.draft.level >= 6 && chance(context.depth > 3 ? 0.4 : 0.08)) return chance(0.75);
	const schema = {};
	const usable = context.keywords;
	const count = context.depth === 0 ? 2 + below(4) : context.depth > 3 ? below(2) : 1 + below(3);

	for (let i = 0; i < count; i++)
	{
		let rest = random() * context.weight;
		const keyword = usable.find(candidate => (rest -= candidate[2]) < 0) ?? usable[0];

		// Deep schemas hold no others, or only by reference.
		if (context.depth > 4 && keyword[3].length > 1 && !String(keyword[3]).includes('$ref')) continue;
		keyword[3](schema, context);
	}
	return schema;
}

// Returns a whole document of a draft.
function anyDocument(draft)
{
	const usable = keywords.filter(([first, last]) => draft.level >= first && draft.level <= last);
	const hasId = chance(0.4);
	const definitions = times(below(4), index => ({ index, name: pick(['d', 'e/f', 'g~h', 'i j']) + index }))
		.map(d => ({ ...d, name: d.name.replace(/[/~ ]/g, ''), id: hasId && chance(0.4) ? `d${d.index}.json` : undefined,
			anchor: draft.level >= 2019 && chance(0.4) ? `anchor${d.index}` : undefined, dynamic: draft.level === 2020 && chance(0.5) }));
	const rootDynamic = draft.level === 2020 && chance(0.5);
	const context = {
		draft, definitions, hasId, depth: 0, from: 0, child: false, keywords: usable, weight: usable.reduce((sum, k) => sum + k[2], 0),
		resource: { id: undefined, dynamic: rootDynamic },
	};
	const idName = draft.level === 4 ? 'id' : '$id';
	const made = anySchema(context);
	const body = typeof made === 'boolean' ? { not: draft.level === 4 || !made ? {} : false } : made;
	const document = {};

	if (draft.level < 2020 || chance(0.5)) document.$schema = draft.uri;
	if (hasId) document[idName] = 'http://example.com/root.json';
	if (rootDynamic) document.$dynamicAnchor = 'node';
	if (draft.level === 2019 && chance(0.4)) document.$recursiveAnchor = true;
	// Beside $ref, the older drafts see nothing, identifiers included.
	if (draft.level < 2019 && '$ref' in body) document.allOf = [body];
	else Object.assign(document, body);
	if (definitions.length > 0)
		document[draft.defs] = Object.fromEntries(definitions.map(definition => [definition.name, anyDefinition(definition, context)]));
	return document;
}

// Returns the schema of a definition, which refers in place to later ones only.
function anyDefinition(definition, context)
{
	const resource = definition.id === undefined ? context.resource : { id: definition.id, dynamic: definition.dynamic };
	const made = anySchema(inner(context, { from: definition.index + 1, resource }));
	const level = context.draft.level;
	const head = {};

	if (definition.id !== undefined) head[level === 4 ? 'id' : '$id'] = definition.id;
	if (definition.anchor !== undefined) head.$anchor = definition.anchor;
	if (definition.dynamic && definition.id !== undefined) head.$dynamicAnchor = 'node';
	if (level === 2019 && definition.id !== undefined && chance(0.5)) head.$recursiveAnchor = true;
	if (Object.keys(head).length === 0) return made;
	if (typeof made === 'boolean') return { ...head, not: made ? false : {} };
	return level < 2019 && '$ref' in made ? { ...head, allOf: [made] } : { ...head, ...made };
}

// ---- instances

// Returns a value that tries to be valid under the schema.
function sample(schema, root, depth = 0)
{
	if (typeof schema !== 'object' || schema === null || Array.isArray(schema) || depth > 6) return anyValue(2);
	if (typeof schema.$ref === 'string' && chance(0.8))
	{
		const name = /\/(?:definitions|\$defs)\/(\w+)$/.exec(schema.$ref)?.[1];
		const defs = root.$defs ?? root.definitions ?? {};

		return sample(name !== undefined ? defs[name] : root, root, depth + 1);
	}
	if ((schema.$recursiveRef || schema.$dynamicRef) && chance(0.7)) return sample(root, root, depth + 1);
	if ('const' in schema && chance(0.9)) return schema.const;
	if (schema.enum && chance(0.9)) return pick(schema.enum);
	for (const word of ['allOf', 'anyOf', 'oneOf'])
		if (schema[word] && chance(0.4)) return sample(pick(schema[word]), root, depth + 1);
	if (schema.then && chance(0.3)) return sample(pick([schema.if, schema.then, schema.else ?? schema.if]), root, depth + 1);
	const type = schema.type !== undefined ? pick([schema.type].flat()) : guessType(schema);

	switch (type)
	{
		case 'null': return null;
		case 'boolean': return chance(0.5);
		case 'integer':
		{
			const number = sampleNumber(schema);

			return typeof number === 'number' ? Math.round(number) : number;
		}
		case 'number': return sampleNumber(schema);
		case 'string': return pick(texts);
		case 'array': return sampleArray(schema, root, depth);
		default: return sampleObject(schema, root, depth);
	}
}

// Returns a type that the schema's keywords are about.
function guessType(schema)
{
	const words = Object.keys(schema).join();
	const guesses = [];

	if (/ropert|required|ependen/.test(words)) guesses.push('object', 'object');
	if (/[iI]tems|ontains/.test(words)) guesses.push('array', 'array');
	if (/imum|multipleOf/.test(words)) guesses.push('number');
	if (/Length|^pattern$|,pattern(,|$)/.test(words)) guesses.push('string');
	return pick(guesses.length > 0 ? guesses : types);
}

// Returns a number near the schema's limits.
function sampleNumber(schema)
{
	const limits = [schema.minimum, schema.maximum, schema.exclusiveMinimum, schema.exclusiveMaximum, schema.multipleOf].filter(limit => limit !== undefined);
	const base = limits.length > 0 && chance(0.8) ? pick(limits) : anyNumber();

	if (typeof base !== 'number') return base;
	const near = base + pick([0, 0, 1, -1, 0.5]);

	return typeof schema.multipleOf === 'number' && chance(0.7) ? Math.round(near / schema.multipleOf) * schema.multipleOf : near;
}

// Returns an array near what the schema wants.
function sampleArray(schema, root, depth)
{
	const prefix = schema.prefixItems ?? (Array.isArray(schema.items) ? schema.items : []);
	const rest = [Array.isArray(schema.items) ? schema.additionalItems : schema.items, schema.contains, schema.unevaluatedItems].filter(s => typeof s === 'object');
	const count = Math.max(schema.minItems ?? 0, below(4)) + (prefix.length > 0 ? below(2) : 0);

	return times(Math.min(count, 6), i => i < prefix.length ? sample(prefix[i], root, depth + 1) : rest.length > 0 ? sample(pick(rest), root, depth + 1) : anyValue(2));
}

// Returns an object near what the schema wants.
function sampleObject(schema, root, depth)
{
	const wanted = [...(schema.required ?? []), ...Object.keys(schema.properties ?? {}).filter(() => chance(0.7))];
	const extra = times(below(3), () => pick(names));
	const dependent = Object.keys({ ...schema.dependencies, ...schema.dependentRequired, ...schema.dependentSchemas });
	const result = {};

	if (dependent.length > 0 && chance(0.6)) extra.push(pick(dependent), pick(names));
	for (const name of distinct([...wanted, ...extra]))
	{
		const own = schema.properties?.[name];
		const pattern = Object.entries(schema.patternProperties ?? {}).find(([text]) => new RegExp(text, 'u').test(name))?.[1];
		const other = [schema.additionalProperties, schema.unevaluatedProperties].find(s => typeof s === 'object');

		result[name] = sample(own ?? pattern ?? other ?? true, root, depth + 1);
	}
	return result;
}

// Returns the value with one thing changed.
function disturb(value)
{
	if (Array.isArray(value) && value.length > 0 && chance(0.8))
	{
		const copy = [...value];
		const at = below(copy.length);

		switch (below(4))
		{
			case 0: copy.splice(at, 1); break;
			case 1: copy.push(copy[at]); break;
			case 2: copy[at] = anyValue(2); break;
			default: copy[at] = disturb(copy[at]);
		}
		return copy;
	}
	if (value !== null && typeof value === 'object' && Object.keys(value).length > 0 && chance(0.8))
	{
		const copy = { ...value };
		const name = pick(Object.keys(copy));

		switch (below(4))
		{
			case 0: delete copy[name]; break;
			case 1: copy[pick(names)] = anyValue(2); break;
			case 2: copy[name] = anyValue(2); break;
			default: copy[name] = disturb(copy[name]);
		}
		return copy;
	}
	if (typeof value === 'number' || isExact(value)) return isExact(value) ? anyNumber() : value + pick([1, -1, 0.5]);
	if (typeof value === 'string') return pick([value + 'a', value.slice(0, -1).replace(/[\ud800-\udbff]$/, ''), pick(texts)]);
	return anyValue(1);
}

// Returns one instance for a schema.
function anyInstance(document)
{
	const value = chance(0.9) ? sample(document, document) : anyValue();

	return chance(0.4) ? disturb(value) : value;
}

// ---- the validators

// What a pair comes to: 'accepted', 'rejected', or an error.
const accepted = 'accepted', rejected = 'rejected';
const kindOf = answer => answer.startsWith('error') ? 'error' : answer;

// Returns what a validator says of instances; an error of the schema is its answer to each.
function answersOf(instances, makeValidator)
{
	const answer = step => {
		try { return step() ? accepted : rejected; }
		catch (error) { return `error: ${error.message}`; }
	};

	try
	{
		const accepts = makeValidator();

		return instances.map(instance => answer(() => accepts(textOf(instance))));
	}
	catch (error)
	{
		return instances.map(() => `error: ${error.message}`);
	}
}

// Returns the answers of the specification.
function askArbiter({ draft, document, instances })
{
	return answersOf(instances, () => {
		const validator = new Validator(parseJson(textOf(document)), new Map(), draft.level);

		return text => validator.accepts(parseJson(text));
	});
}

// Returns ajv's answers.
function askAjv({ draft, document, instances })
{
	const ajv = draft.instance ??= makeAjv(draft);
	const parsed = JSON.parse(textOf(document));

	try
	{
		return answersOf(instances, () => {
			const validate = ajv.compile(parsed);

			return text => validate(JSON.parse(text));
		});
	}
	finally
	{
		ajv.removeSchema(parsed);
		if (++draft.used % 500 === 0) draft.instance = undefined;
	}
}

// Returns an ajv for a draft that follows the specification as far as its options go.
function makeAjv(draft)
{
	draft.used ??= 0;
	const ajv = new draft.ajv({ strict: false, validateSchema: false, validateFormats: false, logger: false,
		meta: draft.level !== 6, ignoreKeywordsWithRef: draft.level < 2019 });

	return ajv;
}

// Runs psql over an input and returns its output.
function psql(input)
{
	return new Promise((resolve, reject) => {
		const program = spawn('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1'], { stdio: ['pipe', 'pipe', 'inherit'] });
		const output = [];

		program.stdout.on('data', data => output.push(data));
		program.on('close', code => code === 0 ? resolve(Buffer.concat(output).toString()) : reject(new Error(`psql ended with ${code}`)));
		program.stdin.end(input);
	});
}

const prepareServer = `
create table pair (number int, schema text, instances text);
create function answers(schema jsonb, instances jsonb) returns text[] language plpgsql as $$
declare
	instance jsonb;
	detail text;
	result text[] := '{}';
begin
	for instance in select value from jsonb_array_elements(instances) loop
		begin
			result := result || case when f6_validate(schema, instance) then 'accepted' else 'rejected' end;
		exception when others then
			get stacked diagnostics detail = pg_exception_detail;
			result := result || format('error: %s %s %s', sqlstate, sqlerrm, detail);
		end;
	end loop;
	return result;
end $$;
`;

// Returns f6's answers for a batch of documents, an array for each.
async function askF6(batch)
{
	const quote = value => textOf(value).replace(/\\/g, '\\\\');
	const rows = batch.map(({ document, instances }, i) => `${i}\t${quote(document)}\t${quote(instances)}\n`);
	const output = await psql(`begin; copy pair from stdin;\n${rows.join('')}\\.\n`
		+ 'select to_json(answers(schema::jsonb, instances::jsonb)) from pair order by number; rollback;\n');

	return output.trim().split('\n').map(line => JSON.parse(line));
}

// ---- the comparison

const counts = { schemas: 0, pairs: 0, accepted: 0, refused: 0, disagreements: 0, departures: 0 };
const disagreements = [], departures = [];

// Counts the answers to a batch and keeps, of each schema, one pair on which they differ.
function compare(batch, f6Answers)
{
	batch.forEach(({ draft, document, instances }, i) => {
		const arbiterAnswers = askArbiter(batch[i]);
		const ajvAnswers = askAjv(batch[i]);
		const pairs = instances.map((instance, j) => ({ draft, document, instance, f6: f6Answers[i][j], arbiter: arbiterAnswers[j], ajv: ajvAnswers[j] }));
		const wrong = pairs.filter(({ f6, arbiter }) => kindOf(f6) !== kindOf(arbiter));
		const departing = pairs.filter(({ f6, arbiter, ajv }) => kindOf(f6) === kindOf(arbiter) && kindOf(ajv) !== kindOf(arbiter));

		counts.schemas++;
		counts.pairs += pairs.length;
		counts.accepted += pairs.filter(({ f6, arbiter }) => f6 === accepted && arbiter === accepted).length;
		counts.refused += pairs.filter(({ f6, arbiter }) => kindOf(f6) === 'error' && kindOf(arbiter) === 'error').length;
		counts.disagreements += wrong.length;
		counts.departures += departing.length;
		if (wrong.length > 0 && disagreements.length < reportedAtMost) disagreements.push(wrong[0]);
		if (departing.length > 0) departures.push(departing[0]);
	});
}

// Returns every value that is like the given one with a part left out or made simpler; arrays keep as many elements as said.
function simpler(value, least)
{
	if (value === null || typeof value !== 'object') return [];
	if (Array.isArray(value))
		return value.flatMap((element, i) => [...value.length > least ? [value.filter((_, j) => j !== i)] : [],
			...simpler(element, least).map(other => value.map((old, j) => j === i ? other : old))]);
	return Object.keys(value).flatMap(name => {
		const { [name]: part, ...rest } = value;
		const replaced = part !== null && typeof part === 'object' && name !== 'required' ? [{ ...rest, [name]: true }] : [];

		return [rest, ...replaced, ...simpler(part, least).map(other => ({ ...value, [name]: other }))];
	});
}

// Returns what an object or array holds that is itself one, through lists.
const held = value => value === null || typeof value !== 'object' ? [] : Object.values(value).flatMap(part => Array.isArray(part) ? held(part) : [part])
	.filter(part => part !== null && typeof part === 'object');

// Returns every value that is like the given one with an object replaced by one that it holds.
function shallower(value)
{
	if (value === null || typeof value !== 'object') return [];
	if (Array.isArray(value)) return value.flatMap((element, i) => [...held(element), ...shallower(element)].map(other => value.with?.(i, other) ?? value.map((old, j) => j === i ? other : old)));
	return Object.entries(value).flatMap(([name, part]) => [...Array.isArray(part) ? [] : held(part), ...shallower(part)].map(other => ({ ...value, [name]: other })));
}

// Returns the pairs that are a little simpler than one, the smallest first.
function simplerPairs({ draft, document, instance })
{
	const { $schema, $id, id, $defs, definitions, $dynamicAnchor, $recursiveAnchor, ...body } = document;
	const head = { $schema, $id, id, $defs, definitions, $dynamicAnchor, $recursiveAnchor };
	const risen = held({ body, $defs, definitions }).flatMap(held).map(schema => ({ ...head, ...schema }));
	const parts = instance !== null && typeof instance === 'object' ? Object.values(instance) : [];
	const documents = [...simpler(document, 1), ...shallower(document), ...risen].filter(other => other.$schema === $schema);

	return [...documents.map(other => [other, instance]), ...[...simpler(instance, 0), ...parts].map(other => [document, other]),
		...risen.flatMap(other => parts.map(part => [other, part]))]
		.map(([other, part]) => ({ draft, document: other, instance: part, instances: [part], size: textOf(other).length + textOf(part).length }))
		.filter(({ size }) => size < textOf(document).length + textOf(instance).length)
		.sort((left, right) => left.size - right.size);
}

// Returns the smallest pair that f6 and the arbiter still judge as they do.
async function minimise(pair)
{
	for (let round = 0; round < 60; round++)
	{
		const candidates = simplerPairs(pair).filter(candidate => {
			candidate.arbiter = askArbiter(candidate)[0];
			return kindOf(candidate.arbiter) === kindOf(pair.arbiter);
		});
		if (candidates.length === 0) break;
		const f6Answers = await askF6(candidates);
		const at = candidates.findIndex((candidate, i) => f6Answers[i][0].slice(0, 12) === pair.f6.slice(0, 12));

		if (at < 0) break;
		pair = { ...candidates[at], f6: f6Answers[at][0], ajv: askAjv(candidates[at])[0] };
	}
	return pair;
}

// Returns the smallest pair that ajv and the arbiter still judge as they do.
function minimiseDeparture(pair)
{
	const isSame = candidate => {
		candidate.arbiter = askArbiter(candidate)[0];
		if (kindOf(candidate.arbiter) !== kindOf(pair.arbiter)) return false;
		candidate.ajv = askAjv(candidate)[0];
		return kindOf(candidate.ajv) === 'error' ? nameError(candidate.ajv) === nameError(pair.ajv) : candidate.ajv === pair.ajv;
	};

	for (let smaller = pair; smaller !== undefined; smaller = simplerPairs(pair).find(isSame)) pair = smaller;
	return pair;
}

// Returns an error's message without what differs from schema to schema.
const nameError = answer => answer.replace(/\d+/g, 'N').replace(/reference \S+ from id \S*/, 'reference');

// Returns what a departure of ajv turns on: its own error, or the keywords of the smallest pair, where there is more than one
// way in.
function reasonOf({ document, ajv })
{
	const keywordsOf = schema => Object.keys(schema).filter(name => isKeyword(name) && !['$defs', 'definitions'].includes(name)).sort();
	const within = (schema, names) => names.length === 0 ? held(schema) : names.length === 1 ? held([schema[names[0]]]) : [];
	let found = keywordsOf(document);

	if (kindOf(ajv) === 'error') return nameError(ajv);
	for (let inner = within(document, found); inner.length === 1; inner = within(inner[0], keywordsOf(inner[0])))
		if (keywordsOf(inner[0]).length > 0) found = keywordsOf(inner[0]);
	return found.join(', ');
}

// Prints what ajv departs in, by reason.
function printDepartures()
{
	const reasons = new Map();

	for (const pair of departures.map(minimiseDeparture))
	{
		const reason = reasonOf(pair);
		const { count = 0, smallest = pair } = reasons.get(reason) ?? {};

		reasons.set(reason, { count: count + 1, smallest: textOf(pair.document).length < textOf(smallest.document).length ? pair : smallest });
	}
	for (const [reason, { count, smallest }] of [...reasons].sort((left, right) => right[1].count - left[1].count))
		console.log(`fuzz: ajv departs from the specification: ${reason}: ${count} schemas, such as ${describe(smallest)}`);
}

// Returns a pair as text.
function describe({ draft, document, instance, ajv, arbiter })
{
	return `${draft.name} ${textOf(document)} with ${textOf(instance)}: ${arbiter}, by ajv ${ajv}`;
}

// Returns a batch of documents with their instances.
function anyBatch(size)
{
	const batch = [];
	const uses = schema => schema !== null && typeof schema === 'object'
		&& (only.some(word => word in schema) || Object.values(schema).some(uses));

	while (batch.length < size)
	{
		const draft = pick(drafts);
		const document = anyDocument(draft);

		if (only && !uses(document)) continue;
		batch.push({ draft, document, instances: times(instanceCount, () => anyInstance(document)) });
	}
	return batch;
}

console.log(`fuzz: random schemas, FUZZ_SEED=${seed}, ${schemaCount} with ${instanceCount} instances each`);
await psql(prepareServer);
for (let done = 0; done < schemaCount; done += batchSize)
{
	const batch = anyBatch(Math.min(batchSize, schemaCount - done));

	compare(batch, await askF6(batch));
}
printDepartures();
const smallest = new Map();
for (const pair of disagreements)
{
	const found = await minimise(pair);

	smallest.set(textOf(found.document), found);
}
for (const [document, { instance, f6, arbiter, ajv, draft }] of smallest)
	console.log(`fuzz: DISAGREEMENT: f6 ${f6}, specification.mjs ${arbiter}, ajv ${ajv} (${draft.uri}):\n\t${document}\n\t${textOf(instance)}`);
console.log(`fuzz: compared ${counts.pairs} pairs of ${counts.schemas} schemas: ${counts.accepted} accepted, ${counts.refused} errors, `
	+ `${counts.departures} of which ajv departs from the specification, ${counts.disagreements} on which f6 does`);
process.exitCode = counts.disagreements > 0 ? 1 : 0;
