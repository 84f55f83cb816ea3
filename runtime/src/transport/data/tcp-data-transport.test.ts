// Record streams over real sockets on loopback: order, credits, refusal, loss.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { credentialsOf, jobKeys } from '../../../test/fakes/job-credentials.ts';
import type { ChannelCredit, ChannelFrame, DataTransport, IncomingStream } from './data-transport.ts';
import { tcpDataTransport, tcpDataTransportWith } from './tcp-data-transport.ts';

const hello = { token: { epoch: 3, executionAttempt: 4 }, taskManagerId: 'tm-1' };
const frames: ChannelFrame[] = [
  { type: 'Page', channel: 7, recordCount: 2, records: Uint8Array.of(1, 2, 3) },
  {
    type: 'Barrier',
    channel: 7,
    barrier: { checkpointId: 9, directory: 'chk-9-e3', stopSources: true, format: 'Canonical', mode: 'AtLeastOnce' },
  },
  { type: 'Page', channel: 8, recordCount: 0, records: new Uint8Array() },
  { type: 'End', channel: 7 },
];

async function listen() {
  const incoming = Promise.withResolvers<IncomingStream>();
  const listener = await tcpDataTransport.listen({ host: '127.0.0.1', port: 0, onStream: incoming.resolve });
  return { listener, incoming: incoming.promise };
}

const unheard = { signal: new AbortController().signal, onCredits: () => {}, onLost: () => {} };

test('frames arrive unchanged and in order, each page with its own buffer, and credits come back', async () => {
  const { listener, incoming } = await listen();
  const received = Promise.withResolvers<readonly ChannelFrame[]>();
  const credited = Promise.withResolvers<readonly ChannelCredit[]>();
  const opening = tcpDataTransport.open({ ...unheard, address: listener.address, hello, onCredits: credited.resolve });
  const stream = await incoming;
  assert.deepEqual(stream.hello, hello);
  stream.accept({ onFrames: received.resolve, onLost: () => {} });
  const outgoing = await opening;
  outgoing.send(frames);
  const arrived = await received.promise;
  assert.deepEqual(arrived, frames);
  assert.equal(arrived[0]?.type === 'Page' && arrived[0].records.buffer.byteLength, 3);
  stream.sendCredits([{ channel: 7, pages: 2 }]);
  assert.deepEqual(
    (await credited.promise).map(({ channel, pages }) => ({ channel, pages })),
    [{ channel: 7, pages: 2 }],
  );
  outgoing.close('the test is over');
  await listener.close();
});

test('a stream that the consumer refuses is an error with its reason', async () => {
  const { listener, incoming } = await listen();
  const opening = tcpDataTransport.open({ ...unheard, address: listener.address, hello });
  (await incoming).close('a newer deployment runs here');
  await assert.rejects(opening, { code: 'RecordStreamRefused', message: /a newer deployment runs here/ });
  await listener.close();
});

test('either end hears at once when the other is gone, and not when it closed itself', async () => {
  const { listener, incoming } = await listen();
  const lostByProducer = Promise.withResolvers<string>();
  const lostByConsumer = Promise.withResolvers<string>();
  const open = () => tcpDataTransport.open({ ...unheard, address: listener.address, hello, onLost: lostByProducer.resolve });
  const opening = open();
  const stream = await incoming;
  stream.accept({ onFrames: () => {}, onLost: lostByConsumer.resolve });
  const outgoing = await opening;
  outgoing.close('cancelled');
  assert.match(await lostByConsumer.promise, /producer/);
  await listener.close();

  const second = await listen();
  const reopening = tcpDataTransport.open({
    ...unheard,
    address: second.listener.address,
    hello,
    onLost: lostByProducer.resolve,
  });
  const secondStream = await second.incoming;
  secondStream.accept({ onFrames: () => {}, onLost: () => {} });
  await reopening;
  secondStream.close('cancelled');
  assert.match(await lostByProducer.promise, /cancelled/);
  await second.listener.close();
});

test('an aborted opening is an error, also while the consumer has not answered', async () => {
  const { listener, incoming } = await listen();
  const abort = new AbortController();
  const opening = tcpDataTransport.open({ ...unheard, address: listener.address, hello, signal: abort.signal });
  await incoming;
  abort.abort();
  await assert.rejects(opening, { code: 'RecordStreamRefused' });
  await listener.close();
});

const keys = jobKeys();
const withKeys = (of = keys) => tcpDataTransportWith(credentialsOf('TaskManager', of));

test('with credentials, TaskManagers of one job exchange records as without', async () => {
  const incoming = Promise.withResolvers<IncomingStream>();
  const listener = await withKeys().listen({ host: '127.0.0.1', port: 0, onStream: incoming.resolve });
  const received = Promise.withResolvers<readonly ChannelFrame[]>();
  const opening = withKeys().open({ ...unheard, address: listener.address, hello });
  const stream = await incoming.promise;
  stream.accept({ onFrames: received.resolve, onLost: () => {} });
  (await opening).send(frames);
  assert.deepEqual(await received.promise, frames);
  await listener.close();
});

test('a producer without the keys of the job gets no stream, and a consumer without them no hello', async () => {
  const streams: IncomingStream[] = [];
  const listener = await withKeys().listen({ host: '127.0.0.1', port: 0, onStream: (stream) => streams.push(stream) });
  const open = (transport: DataTransport, address = listener.address) => transport.open({ ...unheard, address, hello });
  await assert.rejects(open(tcpDataTransport), { code: 'RecordStreamRefused', message: /out of turn/ });
  await assert.rejects(open(withKeys(jobKeys())), { code: 'RecordStreamRefused', message: /signature/ });
  const byController = tcpDataTransportWith(credentialsOf('Controller', keys));
  await assert.rejects(open(byController), { message: /a Controller may not/ });
  const foreign = await withKeys(jobKeys()).listen({ host: '127.0.0.1', port: 0, onStream: (stream) => streams.push(stream) });
  await assert.rejects(open(withKeys(), foreign.address), { code: 'RecordStreamRefused', message: /signature/ });
  const open2 = await tcpDataTransport.listen({ host: '127.0.0.1', port: 0, onStream: (stream) => streams.push(stream) });
  await assert.rejects(open(withKeys(), open2.address), { code: 'RecordStreamRefused' });
  assert.deepEqual(streams, []);
  await Promise.all([listener.close(), foreign.close(), open2.close()]);
});

test('before it is known who speaks, a long message ends the connection, and of many silent ones the oldest goes', async () => {
  const listener = await withKeys().listen({ host: '127.0.0.1', port: 0, onStream: () => assert.fail('nobody said who it is') });
  const port = Number(listener.address.split(':')[1]);
  const talker = connect(port, '127.0.0.1');
  const head = Buffer.alloc(13);
  head.writeUInt32LE(1 << 20, 0);
  head.writeUInt8(7, 4);
  talker.write(head);
  const said: Buffer[] = [];
  talker.on('data', (chunk) => said.push(chunk));
  await once(talker, 'close');
  assert.match(Buffer.concat(said).toString(), /1048576 bytes on a record stream, where 2048 are the most/);

  const silent: Socket[] = [];
  const oldestGone = Promise.withResolvers<void>();
  for (let count = 0; count < 257; count += 1) {
    const socket = connect(port, '127.0.0.1');
    silent.push(socket);
    socket.once('close', () => (count === 0 ? oldestGone.resolve() : undefined));
    await once(socket, 'connect');
  }
  await oldestGone.promise;
  assert.ok(silent.slice(1).every((socket) => !socket.destroyed));
  for (const socket of silent) {
    socket.destroy();
  }
  await listener.close();
});
