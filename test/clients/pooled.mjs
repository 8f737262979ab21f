// Writers, consumers and a listener behind a pooler, for the tests.
//
//	node pooled.mjs SECONDS
//
// All work by the pooler's entry app, and one listens by app_session.  Writers append for so long, and consumers go on until
// everything is done; what they do about an event is a row of the table effect.  Prints what came of it, as JSON.
import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';

const ends = Date.now() + 1000 * Number(process.argv[2]);
const result = { appended: 0, done: 0, rolledBack: 0, waited: 0, heard: 0, errors: [] };

let heard = false;
let wake = () => {};
let finished = false;

async function connect(database) {
    const client = new pg.Client({ database });
    client.on('error', (error) => result.errors.push(`a connection was lost: ${error.message}`));
    await client.connect();
    return client;
}

// Runs something in a transaction.
async function transaction(client, work) {
    await client.query('begin');
    try {
        const value = await work();
        await client.query('commit');
        return value;
    } catch (error) {
        await client.query('rollback');
        throw error;
    }
}

// Appends until the time is over; every fifth transaction is rolled back.
async function write(number) {
    const client = await connect('app');
    for (let turn = 0; Date.now() < ends; turn++) {
        const count = 1 + turn % 3;
        await client.query('begin');
        for (let n = 0; n < count; n++) {
            const objects = [`o${(turn * 7 + n + number) % 12}`];
            if (turn % 4 === 0) {
                objects.push(`o${(turn + n) % 12 + 12}`);
            }
            await client.query("select f6_append('Counted', array(select f6_object_id('pooled', o) from unnest($1::text[]) as o), $2)", [objects, JSON.stringify({ number, turn })]);
        }
        await sleep(turn % 7);
        const commits = turn % 5 !== 4;
        await client.query(commits ? 'commit' : 'rollback');
        if (commits) {
            result.appended += count;
        } else {
            result.rolledBack += count;
        }
    }
    await client.end();
}

// Notes that a consumer has done something about an event.
async function effect(client, subscription, consumer, event) {
    await client.query('insert into effect (subscription, consumer, position, object_ids, backend) values ($1, $2, $3, $4, pg_backend_pid())',
        [subscription, consumer, event.position, event.object_ids]);
    result.done++;
}

const polled = 'select position, object_ids from f6_poll($1, $2, wait => $3::interval, consumer => $4)';
const acknowledged = 'select f6_ack($1, $2, $3)';

// Waits in the server, and acknowledges each event in a transaction of its own, which has another connection of the pool.
async function consumeOneByOne(subscription, consumer) {
    const client = await connect('app');
    while (!finished) {
        const { rows } = await client.query(polled, [subscription, 5, '1 second', consumer]);
        result.waited++;
        for (const event of rows) {
            await transaction(client, async () => {
                await effect(client, subscription, consumer, event);
                await client.query(acknowledged, [subscription, event.position, consumer]);
            });
        }
    }
    await client.end();
}

// Polls and acknowledges in one transaction; returns how many events there were.
async function consumeBatch(client, subscription, consumer) {
    return transaction(client, async () => {
        const { rows } = await client.query(polled, [subscription, 20, '0', consumer]);
        for (const event of rows) {
            await effect(client, subscription, consumer, event);
        }
        if (rows.length > 0) {
            await client.query(acknowledged, [subscription, rows[rows.length - 1].position, consumer]);
        }
        return rows.length;
    });
}

async function consumeInBatches(subscription, consumer) {
    const client = await connect('app');
    while (!finished) {
        if (await consumeBatch(client, subscription, consumer) === 0) {
            await sleep(20);
        }
    }
    await client.end();
}

// Listens by a connection that stays, and works by the pool when something is heard, or after a second.
async function consumeWhenHeard(subscription) {
    const listener = await connect('app_session');
    const client = await connect('app');
    listener.on('notification', () => { result.heard++; heard = true; wake(); });
    await listener.query('listen f6');
    while (!finished) {
        heard = false;
        while (await consumeBatch(client, subscription, '') > 0);
        if (!heard) {
            await new Promise((resolve) => { const timer = setTimeout(resolve, 1000); wake = () => { clearTimeout(timer); resolve(); }; });
        }
    }
    await listener.end();
    await client.end();
}

// Tells when everything is done, or that it takes too long.
async function watch(writers) {
    const client = await connect('app');
    await writers;
    for (let patience = 300; !finished && patience > 0; patience--) {
        const { rows } = await client.query('select sum(lag_events) as lag from f6.subscription');
        finished = rows[0].lag === '0';
        await sleep(100);
    }
    if (!finished) {
        result.errors.push('it is never done');
        finished = true;
    }
    await client.end();
}

// Runs a part; when one fails all end.
async function run(part) {
    try {
        await part;
    } catch (error) {
        result.errors.push(error.message);
        finished = true;
    }
}

const writers = Promise.all([1, 2, 3, 4, 5].map((number) => run(write(number))));
await Promise.all([
    watch(writers),
    ...[1, 2, 3, 4].map((number) => run(consumeOneByOne('shared', `one by one ${number}`))),
    ...[1, 2].map((number) => run(consumeInBatches('shared', `in batches ${number}`))),
    run(consumeWhenHeard('heard')),
]);
console.log(JSON.stringify(result));
