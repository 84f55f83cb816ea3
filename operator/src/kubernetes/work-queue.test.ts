import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../test/fakes/virtual-clock.ts';
import { silentLog } from '../log.ts';
import { Metrics } from './metrics.ts';
import { WorkQueue, type WorkQueueOptions } from './work-queue.ts';

// On virtual time, with work whose end the test decides.

interface Turn {
  readonly key: string;
  readonly end: (result?: { readonly againAfterMs: number } | Error) => Promise<void>;
}

function queueUnderTest(options: Partial<WorkQueueOptions> = {}) {
  const clock = new VirtualClock();
  const metrics = new Metrics();
  const turns: Turn[] = [];
  const queue = new WorkQueue({
    ...{ name: 'test', clock, metrics, log: silentLog, concurrency: 2, backOff: { initialMs: 1_000, maxMs: 8_000 } },
    work: (key) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ readonly againAfterMs: number } | undefined>();
      const end = async (result?: { readonly againAfterMs: number } | Error) => {
        if (result instanceof Error) {
          reject(result);
        } else {
          resolve(result);
        }
        await new Promise((ended) => setImmediate(ended));
      };
      turns.push({ key, end });
      return promise;
    },
    ...options,
  });
  const turn = (index: number): Turn => {
    const found = turns[index];
    assert.ok(found, `turn ${index} has not begun`);
    return found;
  };
  return { queue, clock, metrics, turn, keys: () => turns.map(({ key }) => key) };
}

test('a key that is added during its turn has exactly one more, after it', async () => {
  const { queue, turn, keys } = queueUnderTest();
  queue.add('a');
  queue.add('a');
  queue.add('a');
  assert.deepEqual(keys(), ['a']);
  await turn(0).end();
  assert.deepEqual(keys(), ['a', 'a']);
  await turn(1).end();
  assert.deepEqual(keys(), ['a', 'a']);
});

test('no more keys than workers are at work, and a key that comes again stands behind those that wait', async () => {
  const { queue, turn, keys } = queueUnderTest();
  for (const key of ['a', 'b', 'c', 'd', 'c']) {
    queue.add(key);
  }
  assert.deepEqual(keys(), ['a', 'b']);
  queue.add('a');
  await turn(0).end();
  assert.deepEqual(keys(), ['a', 'b', 'c']);
  await turn(1).end();
  await turn(2).end();
  assert.deepEqual(keys(), ['a', 'b', 'c', 'd', 'a']);
});

test('a failing key waits longer each time, delays nobody, and is forgiven after a success', async () => {
  const { queue, clock, turn, keys, metrics } = queueUnderTest({ concurrency: 1 });
  queue.add('bad');
  const pauses: number[] = [];
  for (let failure = 0; failure < 6; failure += 1) {
    const failedAtMs = clock.nowMs();
    await turn(failure).end(new Error('no'));
    clock.advanceToNext();
    pauses.push(clock.nowMs() - failedAtMs);
  }
  for (const [index, whole] of [1_000, 2_000, 4_000, 8_000, 8_000, 8_000].entries()) {
    const waited = pauses[index] ?? 0;
    assert.ok(waited >= whole / 2 && waited <= whole, `pause ${index}: ${waited}`);
  }
  await turn(6).end();
  assert.match(metrics.text(), /queue_failing\{queue="test"\} 0/);
  queue.add('good');
  assert.deepEqual(keys().at(-1), 'good');
});

test('a change ends the wait of a failing key', async () => {
  const { queue, clock, turn, keys } = queueUnderTest();
  queue.add('a');
  await turn(0).end(new Error('no'));
  queue.add('a');
  assert.deepEqual(keys(), ['a', 'a']);
  await turn(1).end();
  clock.advance(60_000);
  assert.deepEqual(keys(), ['a', 'a']);
});

test('of the times at which a key is to come the earliest counts', async () => {
  const { queue, clock, turn, keys } = queueUnderTest();
  queue.addAfter('a', 5_000);
  queue.addAfter('a', 1_000);
  queue.addAfter('a', 9_000);
  clock.advance(999);
  assert.deepEqual(keys(), []);
  clock.advance(1);
  assert.deepEqual(keys(), ['a']);
  await turn(0).end({ againAfterMs: 2_000 });
  clock.advance(2_000);
  assert.deepEqual(keys(), ['a', 'a']);
});

test('a forgotten key does not come again', async () => {
  const { queue, clock, turn, keys } = queueUnderTest();
  queue.add('a');
  await turn(0).end(new Error('no'));
  queue.forget('a');
  clock.advance(60_000);
  assert.deepEqual(keys(), ['a']);
});

test('stopping begins nothing any more, tells who is at work, and waits for them', async () => {
  const aborted: string[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const { queue, clock } = queueUnderTest({
    concurrency: 1,
    work: (key, signal) => {
      signal.addEventListener('abort', () => aborted.push(key));
      return promise;
    },
  });
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 10);
  let stopped = false;
  const stopping = queue.stop().then(() => {
    stopped = true;
  });
  clock.advance(1_000);
  await new Promise((next) => setImmediate(next));
  assert.deepEqual([aborted, stopped], [['a'], false]);
  resolve(undefined);
  await stopping;
  queue.add('d');
  assert.deepEqual(aborted, ['a']);
});

test('who was added comes before those that come again by the clock', async () => {
  const { queue, clock, turn, keys } = queueUnderTest({ concurrency: 1 });
  for (const key of ['a', 'b']) {
    queue.add(key);
  }
  await turn(0).end({ againAfterMs: 100 });
  await turn(1).end({ againAfterMs: 100 });
  queue.add('long');
  clock.advance(100);
  queue.add('changed');
  queue.add('b');
  await turn(2).end();
  await turn(3).end();
  await turn(4).end();
  assert.deepEqual(keys(), ['a', 'b', 'long', 'changed', 'b', 'a']);
});
