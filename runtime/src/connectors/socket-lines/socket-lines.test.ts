// Lines from real sockets on loopback.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { SourceReading } from '../../../test/fakes/source-reading.ts';
import { socketLines } from './socket-lines.ts';

async function serve(onConnection: (socket: Socket) => void, port = 0) {
  const server = createServer(onConnection).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

async function freePort(): Promise<number> {
  const { port, close } = await serve(() => {});
  close();
  return port;
}

test('lines arrive whole however the bytes are cut, and the closing of the server ends the input', async () => {
  const server = await serve((socket) => {
    const bytes = Buffer.from('hello\r\nwörld\nlast');
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
    }
    socket.end();
  });
  const reading = await SourceReading.fromStart(socketLines({ host: '127.0.0.1', port: server.port }));
  assert.deepEqual(await reading.read(), ['hello', 'wörld', 'last']);
  assert.deepEqual(
    reading.positions().map(({ position }) => position),
    [{ ended: true }],
  );
  await reading.close();
  server.close();
});

test('an input that had ended in the checkpoint is not connected to again', async () => {
  const source = socketLines({ host: '127.0.0.1', port: await freePort() });
  const reading = new SourceReading(source, [{ id: 'any', position: { ended: true } }]);
  assert.deepEqual(await reading.read(), []);
});

test('a server that comes later is found', async () => {
  const port = await freePort();
  const reading = await SourceReading.fromStart(socketLines({ host: '127.0.0.1', port }));
  const server = await serve((socket) => socket.end('here\n'), port);
  assert.deepEqual(await reading.read(), ['here']);
  await reading.close();
  server.close();
});

test('a server that never comes is an error that names it', async () => {
  const port = await freePort();
  const reading = await SourceReading.fromStart(socketLines({ host: '127.0.0.1', port, connectWithinSeconds: 0.2 }));
  await assert.rejects(reading.failure(), { code: 'SocketUnreachable', message: new RegExp(`127\\.0\\.0\\.1:${port}`) });
  await reading.close();
});

test('a connection that breaks is an error, not the end of the input', async () => {
  const connected = Promise.withResolvers<Socket>();
  const server = await serve((socket) => {
    socket.write('one\n');
    connected.resolve(socket);
  });
  const reading = await SourceReading.fromStart(socketLines({ host: '127.0.0.1', port: server.port }));
  assert.deepEqual(await reading.read(1), ['one']);
  (await connected.promise).resetAndDestroy();
  await assert.rejects(reading.read(), { code: 'SocketBroken' });
  await reading.close();
  server.close();
});

test('a missing argument is refused by name when the graph is built', () => {
  assert.throws(() => socketLines({ host: undefined, port: 9000 }), {
    code: 'InvalidOption',
    message: /'host' is not set/,
    remedy: /is the argument missing\?/,
  });
  assert.throws(() => socketLines({ host: 'localhost', port: Number(undefined) }), { message: /'port'.*not NaN/ });
});

test('lines that were received and not polled are pending', async () => {
  const server = await serve((socket) => socket.end('a\nb\nc\n'));
  const reading = await SourceReading.fromStart(socketLines({ host: '127.0.0.1', port: server.port }));
  assert.deepEqual(await reading.read(1, 1), ['a']);
  assert.equal(reading.reader.pendingRecords?.(), 2);
  await reading.read();
  assert.equal(reading.reader.pendingRecords?.(), 0);
  await reading.close();
  server.close();
});
