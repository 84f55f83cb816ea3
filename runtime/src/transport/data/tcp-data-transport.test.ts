// Record streams over real sockets on loopback: order, credits, refusal, loss.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelCredit, ChannelFrame, IncomingStream } from './data-transport.ts';
import { tcpDataTransport } from './tcp-data-transport.ts';

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
