// Receives CloudEvents by HTTP, for the tests: writes each that it takes to a file, a line each, and its port to FILE.port.
//
//	node sink.mjs FILE
//
// Of every 16 requests it refuses one, and breaks off the answer to another one after it has taken the event.
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const file = process.argv[2];
let requests = 0;

const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part) => { body += part; });
    request.on('end', () => {
        const turn = ++requests % 16;
        if (turn === 5 || request.headers['content-type'] !== 'application/cloudevents+json; charset=UTF-8') {
            response.writeHead(503).end('not now');
            return;
        }
        appendFileSync(file, `${body.trimEnd()}\n`);
        if (turn === 11) {
            request.socket.destroy();
        } else {
            response.writeHead(204).end();
        }
    });
});
server.listen(0, '127.0.0.1', () => {
    writeFileSync(`${file}.part`, `${server.address().port}\n`);
    renameSync(`${file}.part`, `${file}.port`);
});
