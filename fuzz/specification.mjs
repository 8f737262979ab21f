// A validator of JSON Schema drafts 4, 6, 7, 2019-09 and 2020-12, written for clarity, by the letter of the specifications.
//
// It is the arbiter between f6 and ajv, and shares no code and no idea with either: schemas are interpreted as
// they stand, annotations are sets that are collected and dropped as core, 7.7.1 says, and the dynamic scope
// is a list.  What is malformed is not looked for.  format and the contents of strings are annotations.
//
// A value of JSON is null, a boolean, a string, a Decimal, an array, or a Map with an object's members.

// ---- values

// A number by its text: coefficient * 10 ^ exponent, where the coefficient does not end in a zero.
class Decimal
{
	constructor(text)
	{
		const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text);
		const digits = (whole + fraction).replace(/^0+/, '').replace(/0+$/, '');
		const dropped = (whole + fraction).length - (whole + fraction).replace(/0+$/, '').length;

		this.text = text;
		this.coefficient = BigInt(sign + (digits || '0'));
		this.exponent = digits === '' ? 0 : Number(exponent) - fraction.length + dropped;
	}

	get isWhole() { return this.exponent >= 0; }
}

const decimal = integer => new Decimal(String(integer));

// Returns the coefficients of two numbers once both have the same exponent.
function scaled(left, right)
{
	const exponent = Math.min(left.exponent, right.exponent);

	return [left, right].map(number => number.coefficient * 10n ** BigInt(number.exponent - exponent));
}

// Returns a number below, at or above 0, as left is below, at or above right.
function compare(left, right)
{
	const [l, r] = scaled(left, right);

	return l < r ? -1 : l > r ? 1 : 0;
}

// Returns the value that a JSON text stands for.
export function parseJson(text)
{
	const token = /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|(-?\d[-+.\deE]*)|(true|false|null))[ \t\r\n]*/y;
	const next = () => token.exec(text) ?? expected('a token');
	const expected = what => { throw new SyntaxError(`expected ${what} at ${token.lastIndex} of ${text}`); };

	// Returns the elements up to the closing character, each read by `read` from its first token.
	function list(close, read)
	{
		let found = next();

		while (found[1] !== close)
		{
			read(found);
			found = next();
			if (found[1] === ',') found = next();
			else if (found[1] !== close) expected(close);
		}
	}

	function value([, mark, string, number, word])
	{
		if (string !== undefined) return JSON.parse(string);
		if (number !== undefined) return new Decimal(number);
		if (word !== undefined) return JSON.parse(word);
		if (mark === '[')
		{
			const array = [];

			list(']', first => array.push(value(first)));
			return array;
		}
		const members = new Map();

		if (mark !== '{') expected('a value');
		list('}', ([, , name]) => {
			if (next()[1] !== ':') expected('a colon');
			members.set(JSON.parse(name), value(next()));
		});
		return members;
	}

	const result = value(next());

	return token.lastIndex === text.length ? result : expected('the end');
}

// Tells whether a number divided by another is an integer.
function isMultiple(number, divisor)
{
	const [dividend, by] = scaled(number, divisor);

	return dividend % by === 0n;
}

// Returns the type of a value; an integer's is number.
function typeOf(value)
{
	if (value === null) return 'null';
	if (Array.isArray(value)) return 'array';
	if (value instanceof Map) return 'object';
	return value instanceof Decimal ? 'number' : typeof value;
}

// Tells whether two values are equal: core, 4.2.2.
function equal(left, right)
{
	const type = typeOf(left);

	if (type !== typeOf(right)) return false;
	switch (type)
	{
		case 'number': return compare(left, right) === 0;
		case 'array': return left.length === right.length && left.every((item, i) => equal(item, right[i]));
		case 'object': return left.size === right.size && [...left].every(([name, member]) => right.has(name) && equal(member, right.get(name)));
		default: return left === right;
	}
}

// ---- URIs: RFC 3986

// Returns the five components of a URI reference: appendix B.
function components(uri)
{
	const [, , scheme, , authority, path, , query, , fragment] = /^(([^:/?#]+):)?(\/\/([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?/s.exec(uri);

	return { scheme, authority, path, query, fragment };
}

// Returns a path without its segments `.` and `..`: 5.2.4.
function withoutDots(path)
{
	const output = [];

	while (path !== '')
	{
		if (/^\.\.?\//.test(path)) path = path.replace(/^\.\.?\//, '');
		else if (/^\/\.(\/|$)/.test(path)) path = path.replace(/^\/\.(\/|$)/, '/');
		else if (/^\/\.\.(\/|$)/.test(path))
		{
			path = path.replace(/^\/\.\.(\/|$)/, '/');
			output.pop();
		}
		else if (path === '.' || path === '..') path = '';
		else
		{
			const [segment] = /^\/?[^/]*/.exec(path);

			output.push(segment);
			path = path.slice(segment.length);
		}
	}
	return output.join('');
}

// Returns a reference resolved against a base, as its URI without a fragment and its fragment: 5.2.2, 5.3.
function resolveUri(base, reference)
{
	const b = components(base), r = components(reference);
	let { scheme, authority, path, query } = r;

	if (scheme === undefined)
	{
		scheme = b.scheme;
		if (authority === undefined)
		{
			authority = b.authority;
			if (path === '')
			{
				path = b.path;
				query ??= b.query;
			}
			else if (!path.startsWith('/'))
				path = withoutDots(b.authority !== undefined && b.path === '' ? `/${path}` : b.path.replace(/[^/]*$/s, '') + path);
			else path = withoutDots(path);
		}
		else path = withoutDots(path);
	}
	else path = withoutDots(path);
	return {
		uri: (scheme === undefined ? '' : `${scheme}:`) + (authority === undefined ? '' : `//${authority}`) + path + (query === undefined ? '' : `?${query}`),
		fragment: decodeURIComponent(r.fragment ?? ''),
	};
}

// ---- keywords

// The drafts that have a keyword.
const all = { first: 4, last: 2020 }, from6 = { first: 6, last: 2020 }, from7 = { first: 7, last: 2020 }, from2019 = { first: 2019, last: 2020 };
const to2019 = { first: 4, last: 2019 }, only2019 = { first: 2019, last: 2019 }, only2020 = { first: 2020, last: 2020 };

// Returns the regular expression of a pattern: ECMA-262's, with Unicode where it is one.
function regularExpression(pattern)
{
	try { return new RegExp(pattern, 'u'); }
	catch { return new RegExp(pattern); }
}

const lengthOf = string => [...string].length;
const atLeast = (count, limit) => compare(decimal(count), limit) >= 0;
const atMost = (count, limit) => compare(decimal(count), limit) <= 0;

// Tells whether a value is of a type: core, 4.2.1, and validation, 6.1.1; in draft 4 an integer is written as one (3.5 there).
function isOfType(type, value, level)
{
	if (type !== 'integer') return typeOf(value) === type;
	return value instanceof Decimal && (level === 4 ? /^-?\d+$/.test(value.text) : value.isWhole);
}

// Applies a schema to members of the object of which the name is wanted, and marks these as evaluated.
function members(at, schema, wanted)
{
	const names = [...at.instance.keys()].filter(wanted);

	names.forEach(name => at.properties.add(name));
	return names.every(name => at.accepts(schema, at.instance.get(name)));
}

// Applies a schema to the items of the array from an index on, as far as they are wanted, and marks these as evaluated.
function items(at, schema, wanted)
{
	const indexes = [...at.instance.keys()].filter(wanted);

	indexes.forEach(index => at.items.add(index));
	return indexes.every(index => at.accepts(schema, at.instance[index]));
}

// Applies a list of schemas to the items at the same indexes.
function itemByItem(at, schemas)
{
	return schemas.every((schema, i) => items(at, schema, index => index === i));
}

// Tells whether the adjacent properties or patternProperties are about a name.
function isNamed(at, name)
{
	return (at.value('properties')?.has(name) ?? false)
		|| [...at.value('patternProperties')?.keys() ?? []].some(pattern => regularExpression(pattern).test(name));
}

// contains, with the adjacent minContains and maxContains: core, 10.3.1.3; validation, 6.4.4 and 6.4.5.
function contains(schema, at)
{
	const found = [...at.instance.keys()].filter(index => at.accepts(schema, at.instance[index]));

	if (at.level >= 2020) found.forEach(index => at.items.add(index));
	return atLeast(found.length, at.value('minContains') ?? decimal(1)) && atMost(found.length, at.value('maxContains') ?? decimal(found.length));
}

// if, with the adjacent then and else: core, 10.2.2.1 to 10.2.2.3.
function conditional(schema, at)
{
	const branch = at.applies(schema) ? at.value('then') : at.value('else');

	return branch === undefined || at.applies(branch);
}

// dependentRequired, and dependencies as far as it lists names: validation, 6.5.4.
function dependentNames(lists, at)
{
	return [...lists].every(([name, list]) => !at.instance.has(name) || !Array.isArray(list) || list.every(other => at.instance.has(other)));
}

// dependentSchemas, and dependencies as far as it has schemas: core, 10.2.2.4.
function dependentSchemas(schemas, at)
{
	return [...schemas].every(([name, schema]) => !at.instance.has(name) || Array.isArray(schema) || at.applies(schema));
}

// Counts the schemas of a list that accept the instance, all of which are applied.
const accepting = (schemas, at) => schemas.filter(schema => at.applies(schema)).length;

// Return a keyword that holds no schema, one or a list of them, or an object of them.  about is the type of the instances that
// it restricts, or 'any'; holds, called with its value and its place, tells whether it does.
const plain = (about, holds, drafts = all) => ({ about, holds, drafts, places: 'none' });
const withSchemas = (about, holds, drafts = all) => ({ about, holds, drafts, places: 'one' });
const withNamed = (about, holds, drafts = all) => ({ about, holds, drafts, places: 'named' });
const always = () => true;

// The keywords of each vocabulary, up to draft 7 as well.  They are applied in this order: the last ones look at what the others
// have evaluated.
const vocabularies = {
	core: {
		$ref: plain('any', (value, at) => at.applies(at.validator.refer(value, at.resource).schema)),
		$recursiveRef: plain('any', (value, at) => at.applies(at.validator.referRecursively(value, at.resource, at.scope)), only2019),
		$dynamicRef: plain('any', (value, at) => at.applies(at.validator.referDynamically(value, at.resource, at.scope)), only2020),
		$defs: withNamed('any', always, from2019),
		definitions: withNamed('any', always),
	},
	validation: {
		type: plain('any', (value, at) => [value].flat().some(type => isOfType(type, at.instance, at.level))),
		enum: plain('any', (value, at) => value.some(one => equal(one, at.instance))),
		const: plain('any', (value, at) => equal(value, at.instance), from6),
		multipleOf: plain('number', (value, at) => isMultiple(at.instance, value)),
		minimum: plain('number', (value, at) => compare(at.instance, value) >= (at.level === 4 && at.value('exclusiveMinimum') === true ? 1 : 0)),
		maximum: plain('number', (value, at) => compare(at.instance, value) <= (at.level === 4 && at.value('exclusiveMaximum') === true ? -1 : 0)),
		exclusiveMinimum: plain('number', (value, at) => at.level === 4 || compare(at.instance, value) > 0),
		exclusiveMaximum: plain('number', (value, at) => at.level === 4 || compare(at.instance, value) < 0),
		minLength: plain('string', (value, at) => atLeast(lengthOf(at.instance), value)),
		maxLength: plain('string', (value, at) => atMost(lengthOf(at.instance), value)),
		pattern: plain('string', (value, at) => regularExpression(value).test(at.instance)),
		minItems: plain('array', (value, at) => atLeast(at.instance.length, value)),
		maxItems: plain('array', (value, at) => atMost(at.instance.length, value)),
		uniqueItems: plain('array', (value, at) => !value || at.instance.every((item, i) => !at.instance.slice(0, i).some(other => equal(item, other)))),
		minContains: plain('array', always, from2019),
		maxContains: plain('array', always, from2019),
		minProperties: plain('object', (value, at) => atLeast(at.instance.size, value)),
		maxProperties: plain('object', (value, at) => atMost(at.instance.size, value)),
		required: plain('object', (value, at) => value.every(name => at.instance.has(name))),
		dependentRequired: plain('object', dependentNames, from2019),
	},
	content: {
		contentSchema: withSchemas('string', always, from2019),
	},
	applicator: {
		allOf: withSchemas('any', (value, at) => accepting(value, at) === value.length),
		anyOf: withSchemas('any', (value, at) => accepting(value, at) > 0),
		oneOf: withSchemas('any', (value, at) => accepting(value, at) === 1),
		not: withSchemas('any', (value, at) => !at.accepts(value, at.instance)),
		if: withSchemas('any', conditional, from7),
		then: withSchemas('any', always, from7),
		else: withSchemas('any', always, from7),
		dependentSchemas: withNamed('object', dependentSchemas, from2019),
		dependencies: withNamed('object', (value, at) => dependentNames(value, at) && dependentSchemas(value, at)),
		properties: withNamed('object', (value, at) => [...value].every(([name, schema]) => members(at, schema, other => other === name))),
		patternProperties: withNamed('object', (value, at) => [...value].every(([pattern, schema]) => members(at, schema, name => regularExpression(pattern).test(name)))),
		additionalProperties: withSchemas('object', (value, at) => members(at, value, name => !isNamed(at, name))),
		propertyNames: withSchemas('object', (value, at) => [...at.instance.keys()].every(name => at.accepts(value, name)), from6),
		prefixItems: withSchemas('array', (value, at) => itemByItem(at, value), only2020),
		items: withSchemas('array', (value, at) => Array.isArray(value) ? itemByItem(at, value) : items(at, value, index => index >= (at.value('prefixItems') ?? []).length)),
		additionalItems: withSchemas('array', (value, at) => !Array.isArray(at.value('items')) || items(at, value, index => index >= at.value('items').length), to2019),
		contains: withSchemas('array', contains, from6),
	},
	unevaluated: {
		unevaluatedItems: withSchemas('array', (value, at) => items(at, value, index => !at.items.has(index)), from2019),
		unevaluatedProperties: withSchemas('object', (value, at) => members(at, value, name => !at.properties.has(name)), from2019),
	},
};
const keywords = Object.fromEntries(Object.entries(vocabularies).flatMap(([vocabulary, list]) =>
	Object.entries(list).map(([name, keyword]) => [name, { ...keyword, vocabulary }])));

export const isKeyword = name => Object.hasOwn(keywords, name);

const has = ({ first, last }, level) => level >= first && level <= last;

// Tells whether a dialect has a keyword: its draft does, and one of its vocabularies, where it names some.
function isKnown(dialect, name)
{
	const { vocabulary, drafts } = keywords[name];

	if (!has(drafts, dialect.level)) return false;
	if (dialect.vocabularies === undefined || vocabulary === 'core') return true;
	return dialect.vocabularies.has(vocabulary === 'unevaluated' && dialect.level === 2019 ? 'applicator' : vocabulary);
}

// Tells whether $ref hides what stands beside it: up to draft 7 (core, 8.3).
const hidesSiblings = (schema, { level }) => level < 2019 && typeof schema.get('$ref') === 'string';

// A schema at work on an instance: what its keywords see, and what they have evaluated.
class Place
{
	constructor(validator, schema, instance, scope)
	{
		Object.assign(this, { validator, schema, instance, scope, resource: scope.at(-1), properties: new Set(), items: new Set() });
		this.level = this.resource.dialect.level;
	}

	// Returns an adjacent keyword's value, or undefined where there is none that counts.
	value(name)
	{
		return isKnown(this.resource.dialect, name) ? this.schema.get(name) : undefined;
	}

	// Tells whether a schema accepts another instance, or this one where what it evaluates doesn't count.
	accepts(schema, instance)
	{
		return this.validator.evaluate(schema, instance, this.scope) !== undefined;
	}

	// Tells whether a schema accepts this instance, and takes over what it has evaluated then.
	applies(schema)
	{
		const annotations = this.validator.evaluate(schema, this.instance, this.scope);

		annotations?.properties.forEach(name => this.properties.add(name));
		annotations?.items.forEach(index => this.items.add(index));
		return annotations !== undefined;
	}
}

// ---- documents, references and evaluation

const levels = {
	'//json-schema.org/draft-04/schema': 4,
	'//json-schema.org/draft-06/schema': 6,
	'//json-schema.org/draft-07/schema': 7,
	'//json-schema.org/draft/2019-09/schema': 2019,
	'//json-schema.org/draft/2020-12/schema': 2020,
};

export class Validator
{
	// A validator for a schema; documents has the texts that references may lead to, by their URIs, and level is the
	// draft of what names none.
	constructor(root, documents = new Map(), level = 2020)
	{
		this.documents = documents;
		this.level = level;
		this.resources = new Map();
		this.resourceOf = new Map();
		this.root = root;
		this.open(this.root, '');
	}

	// Tells whether the schema accepts an instance; an error is thrown where the specification gives no answer.
	accepts(instance)
	{
		return this.evaluate(this.root, instance, [this.resourceOf.get(this.root)]) !== undefined;
	}

	// Makes a document known under a URI.
	open(root, uri)
	{
		const resource = { uri, root, dialect: { level: this.level }, anchors: new Map(), dynamicAnchors: new Set() };

		this.resources.set(uri, resource);
		if (root instanceof Map && typeof root.get('$schema') === 'string') resource.dialect = this.dialectOf(root.get('$schema'));
		this.enter(root, resource);
	}

	// Returns the dialect that $schema names.  That of a metaschema is the metaschema's own, with the vocabularies that it lists.
	dialectOf(name)
	{
		const { uri } = resolveUri('', name);
		const level = levels[uri.replace(/^https?:/, '')];

		if (level !== undefined) return { level };
		const metaschema = this.find(uri);
		const vocabularies = metaschema.root.get('$vocabulary');

		return {
			level: metaschema.dialect.level,
			vocabularies: vocabularies && new Set([...vocabularies.keys()].map(vocabulary => /[^/]*$/.exec(vocabulary)[0])),
		};
	}

	// Finds the identifiers of a schema and of those in it, and notes in which resource each of them is.
	enter(schema, parent)
	{
		if (!(schema instanceof Map) || this.resourceOf.has(schema)) return;
		const hidden = hidesSiblings(schema, parent.dialect);
		const resource = hidden ? parent : this.identify(schema, parent);

		this.resourceOf.set(schema, resource);
		for (const name of Object.keys(keywords).filter(one => schema.has(one) && isKnown(resource.dialect, one)))
		{
			const value = schema.get(name);

			if (keywords[name].places === 'one') [value].flat().forEach(one => this.enter(one, resource));
			if (keywords[name].places === 'named') [...value.values()].forEach(one => this.enter(one, resource));
		}
	}

	// Returns the resource of a schema that is met within another, after noting how it can be referred to.
	identify(schema, parent)
	{
		let resource = parent;
		const dialect = schema !== parent.root && typeof schema.get('$schema') === 'string' ? this.dialectOf(schema.get('$schema')) : parent.dialect;
		const id = schema.get(dialect.level === 4 ? 'id' : '$id');

		if (typeof id === 'string')
		{
			const { uri, fragment } = resolveUri(parent.uri, id);

			if (!id.startsWith('#'))
			{
				if (schema === parent.root) parent.uri = uri;
				else resource = { uri, root: schema, dialect, anchors: new Map(), dynamicAnchors: new Set() };
				this.resources.set(uri, resource);
			}
			// Up to draft 7 a fragment is a location-independent name: core, 8.2.3 of draft 7.
			if (fragment !== '' && dialect.level < 2019) resource.anchors.set(fragment, schema);
		}
		for (const [name, drafts] of [['$anchor', from2019], ['$dynamicAnchor', only2020]])
			if (has(drafts, dialect.level) && typeof schema.get(name) === 'string')
			{
				resource.anchors.set(schema.get(name), schema);
				if (name === '$dynamicAnchor') resource.dynamicAnchors.add(schema.get(name));
			}
		return resource;
	}

	// Returns the resource of a URI.
	find(uri)
	{
		if (!this.resources.has(uri))
		{
			if (!this.documents.has(uri)) throw new Error(`there is no document ${uri}`);
			this.open(parseJson(this.documents.get(uri)), uri);
		}
		return this.resources.get(uri);
	}

	// Returns what a reference in a resource leads to: the schema, and the anchor by which it is named, if it is.
	refer(reference, from)
	{
		const { uri, fragment } = resolveUri(from.uri, reference);
		const resource = this.find(uri);

		if (fragment === '') return { schema: resource.root, resource };
		if (fragment.startsWith('/')) return { schema: this.follow(fragment, resource), resource };
		if (!resource.anchors.has(fragment)) throw new Error(`there is no anchor ${fragment} in ${uri}`);
		return { schema: resource.anchors.get(fragment), resource, anchor: fragment };
	}

	// Returns the schema at a JSON Pointer (RFC 6901) from the root of a resource.
	follow(pointer, resource)
	{
		let place = resource.root;

		for (const token of pointer.slice(1).split('/').map(part => part.replace(/~1/g, '/').replace(/~0/g, '~')))
		{
			place = place instanceof Map ? place.get(token) : Array.isArray(place) ? place[token] : undefined;
			if (place === undefined) throw new Error(`there is nothing at ${pointer}`);
			resource = this.resourceOf.get(place) ?? resource;
		}
		this.enter(place, resource);
		return place;
	}

	// Returns the schema of a $dynamicRef: core of 2020-12, 8.2.3.2.
	referDynamically(reference, from, scope)
	{
		const { schema, resource, anchor } = this.refer(reference, from);

		if (!resource.dynamicAnchors.has(anchor)) return schema;
		return scope.find(one => one.dynamicAnchors.has(anchor))?.anchors.get(anchor) ?? schema;
	}

	// Returns the schema of a $recursiveRef: core of 2019-09, 8.2.4.2.
	referRecursively(reference, from, scope)
	{
		const { schema } = this.refer(reference, from);
		const isAnchor = root => root instanceof Map && root.get('$recursiveAnchor') === true;

		return isAnchor(schema) ? scope.find(resource => isAnchor(resource.root))?.root ?? schema : schema;
	}

	// Returns which members and items of an instance a schema has evaluated, or undefined where it doesn't accept it.  scope
	// has the resources through which evaluation came, the outermost first.
	evaluate(schema, instance, scope)
	{
		if (typeof schema === 'boolean') return schema ? { properties: new Set(), items: new Set() } : undefined;
		if (!(schema instanceof Map)) throw new Error('a schema is an object or a boolean');
		const resource = this.resourceOf.get(schema);
		const place = new Place(this, schema, instance, scope.at(-1) === resource ? scope : [...scope, resource]);
		const type = typeOf(instance);
		const names = hidesSiblings(schema, resource.dialect) ? ['$ref'] : Object.keys(keywords).filter(name => schema.has(name));

		for (const name of names)
		{
			const { about, holds } = keywords[name];

			if (isKnown(resource.dialect, name) && (about === 'any' || about === type) && !holds(schema.get(name), place)) return undefined;
		}
		return place;
	}
}
