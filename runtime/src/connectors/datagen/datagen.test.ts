// Content that depends on nothing but options and position.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceReading } from '../../../test/fakes/source-reading.ts';
import { RateLimit } from '../rate-limit.ts';
import { type DatagenRecord, datagen } from './datagen.ts';

const options = { seed: 5, splits: 3, keys: 10, count: 100 };

async function recordsBySplit(source = datagen(options)): Promise<DatagenRecord[][]> {
  const splits = await source.discoverSplits();
  return Promise.all(splits.map(async (split) => [...(await new SourceReading(source, [split]).read())]));
}

test('count is spread over the splits, and every key belongs to one of them and counts without a gap', async () => {
  const bySplit = await recordsBySplit();
  assert.equal(bySplit.flat().length, 100);
  const keys = bySplit.map((records) => new Set(records.map(({ key }) => key)));
  assert.equal(
    keys.reduce((sum, { size }) => sum + size, 0),
    10,
  );
  assert.equal(new Set(bySplit.flat().map(({ key }) => key)).size, 10);
  const next = new Map<string, number>();
  for (const { key, sequence, value } of bySplit.flat()) {
    assert.equal(sequence, next.get(key) ?? 0);
    next.set(key, sequence + 1);
    assert.ok(Number.isInteger(value) && value >= 0 && value < 1_000_000);
  }
});

test('the same options give the same records, another seed gives others', async () => {
  assert.deepEqual(await recordsBySplit(), await recordsBySplit());
  assert.notDeepEqual(await recordsBySplit(), await recordsBySplit(datagen({ ...options, seed: 6 })));
});

test('a reader that continues from any position makes the records that would have followed', async () => {
  const whole = (await recordsBySplit()).map((records) => records.map((record) => JSON.stringify(record)));
  const source = datagen(options);
  const reading = await SourceReading.fromStart(source);
  const before = [];
  for (let polls = 0; polls < 5; polls++) {
    before.push(...(await reading.read(7, 7)));
  }
  const after = await new SourceReading(source, reading.positions()).read();
  const all = [...before, ...after].map((record) => JSON.stringify(record));
  assert.deepEqual(all.toSorted(), whole.flat().toSorted());
});

test('without a count there is no end, and positions beyond 32 bits work', async () => {
  const source = datagen({ splits: 1, keys: 1 });
  assert.equal(source.bounded, false);
  const [record] = await new SourceReading(source, [{ id: 'split-0', position: { next: 2 ** 40 } }]).read(1);
  assert.equal(record?.sequence, 2 ** 40);
});

test('own records get every sequence number once, and random numbers that follow from it', async () => {
  const source = datagen({
    splits: 4,
    count: 50,
    generate: (sequenceNumber, random) => ({ sequenceNumber, x: random(), y: random() }),
  });
  const first = await (await SourceReading.fromStart(source)).read();
  assert.deepEqual(
    first.map(({ sequenceNumber }) => sequenceNumber).toSorted((a, b) => a - b),
    Array.from({ length: 50 }, (_, index) => index),
  );
  assert.ok(first.every(({ x, y }) => x >= 0 && x < 1 && y >= 0 && y < 1 && x !== y));
  const again = await (await SourceReading.fromStart(source)).read(Number.POSITIVE_INFINITY, 3);
  const bySequence = (a: { sequenceNumber: number }, b: { sequenceNumber: number }) => a.sequenceNumber - b.sequenceNumber;
  assert.deepEqual(first.toSorted(bySequence), again.toSorted(bySequence));
});

test('a rate is kept, without bursts after a pause', () => {
  let nowMs = 1_000;
  const limit = new RateLimit(100, nowMs);
  assert.equal(limit.take(50, nowMs), 0);
  assert.equal(limit.delayMs(), 10);
  nowMs += 30;
  assert.equal(limit.take(50, nowMs), 3);
  nowMs += 60_000;
  assert.equal(limit.take(50, nowMs), 10);
  assert.equal(limit.take(50, nowMs), 0);
});

test('a rate slower than the clock still lets records through', () => {
  const limit = new RateLimit(0.5, 0);
  assert.equal(limit.take(1, 1_000), 0);
  assert.equal(limit.delayMs(), 1_000);
  assert.equal(limit.take(1, 2_000), 1);
});

test('options that cannot work are refused by name', () => {
  assert.throws(() => datagen({ keys: 3, splits: 4 }), { code: 'InvalidOption', message: /'keys' is 3, less than the 4 splits/ });
  assert.throws(() => datagen({ count: Number('abc') }), { code: 'InvalidOption', message: /'count'.*NaN/ });
  assert.throws(() => datagen({ recordsPerSecond: 0 }), { code: 'InvalidOption', message: /'recordsPerSecond'/ });
  assert.throws(() => datagen({ recordPerSecond: 5 } as object), {
    code: 'InvalidOption',
    message: /'recordPerSecond' is not known/,
  });
});

test('records say which split they come from; a paused split waits and the last record of one ends it', async () => {
  const source = datagen(options);
  const reading = await SourceReading.fromStart(source);
  const { reader } = reading;
  reader.pauseSplits?.(new Set(['split-0', 'split-2']));
  assert.equal(countUntilPending(reading), 33);
  assert.deepEqual([...reading.endedSplits], ['split-1']);
  assert.equal(reader.poll(100), 'Pending');
  assert.deepEqual(
    ['split-0', 'split-1'].map((splitId) => reader.isReadable?.(splitId)),
    [true, false],
  );
  reader.pauseSplits?.(new Set());
  assert.equal((await reading.read()).length, 67);
  assert.equal(reading.endedSplits.size, 3);
});

test('a split that was at its end in the checkpoint says so again', () => {
  const reading = new SourceReading(datagen(options), [{ id: 'split-1', position: { next: 33 } }]);
  assert.deepEqual(reading.reader.poll(10), { splitId: 'split-1', records: [], isLast: true });
  assert.equal(reading.reader.poll(10), 'End');
});

function countUntilPending(reading: SourceReading<DatagenRecord, unknown>): number {
  let count = 0;
  for (;;) {
    const polled = reading.reader.poll(10);
    if (polled === 'Pending' || polled === 'End') {
      return count;
    }
    count += polled.records.length;
    if (polled.isLast) {
      reading.endedSplits.add(polled.splitId);
    }
  }
}
