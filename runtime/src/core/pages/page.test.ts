// Covers pages: what is written is read, with and without event times; when a page must be finished; what no writer wrote is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../job-error.ts';
import { maxTimestampMs, minTimestampMs } from '../time/event-time.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { formatDescriptor } from '../types/type-descriptor.ts';
import { canonical, createRandom, type Random, randomSample } from '../types/type-fixtures.ts';
import { PageReader } from './page-reader.ts';
import { PageWriter } from './page-writer.ts';

const int = t.int as Type<unknown>;
const reader = new PageReader();

function pageOf(type: Type<unknown>, records: readonly unknown[], timestamps?: readonly number[]): Uint8Array<ArrayBuffer> {
  const writer = new PageWriter(type);
  for (const [index, record] of records.entries()) {
    assert.ok(writer.takes(timestamps?.[index]));
    writer.write(record, timestamps?.[index]);
  }
  return writer.finish();
}

function randomTimestamps(random: Random, count: number): number[] {
  const range = [10, 1000, 2 ** 40][random(3)] ?? 10;
  return Array.from({ length: count }, () => 1_700_000_000_000 + random(range) - random(range));
}

test('pages of random types are read as they were written, with and without event times', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = createRandom(seed * 7919);
    const { type, value } = randomSample(random, 2);
    const writer = new PageWriter(type);
    // One writer and one reader for all pages, as in a channel.
    for (let round = 0; round < 4; round++) {
      const records = Array.from({ length: random(20) }, () => value(random));
      const timestamps = random(2) === 0 ? undefined : randomTimestamps(random, records.length);
      for (const [index, record] of records.entries()) {
        writer.write(record, timestamps?.[index]);
      }
      const about = `seed ${seed}: ${formatDescriptor(type.descriptor)}`;
      assert.equal(writer.recordCount, records.length, about);
      const sizeBytesMax = writer.sizeBytes;
      const page = writer.finish();
      assert.ok(page.length <= sizeBytesMax && page.length > sizeBytesMax - 8, about);
      const content = reader.read(page, type);
      assert.deepEqual(content.records, records.map(canonical), about);
      const times = timestamps === undefined || records.length === 0 ? undefined : Float64Array.from(timestamps);
      assert.deepEqual(content.timestamps, times, about);
    }
  }
});

test('the bytes of a page are those of the format', () => {
  assert.deepEqual([...pageOf(int, [])], [1, 0, 0]);
  assert.deepEqual([...pageOf(int, [1, -1])], [1, 0, 2, 2, 1]);
  assert.deepEqual([...pageOf(int, [1, -1, 5], [100, 90, 90])], [1, 1, 3, 0xc8, 0x01, 19, 0, 2, 1, 10]);
});

test('a page has a buffer of its own, which can be transferred', () => {
  const writer = new PageWriter(int);
  writer.write(1, undefined);
  const page = writer.finish();
  assert.equal(page.buffer.byteLength, page.length);
  const transferred = structuredClone(page, { transfer: [page.buffer] });
  writer.write(2, undefined);
  assert.deepEqual(reader.read(transferred, int).records, [1]);
  assert.deepEqual(reader.read(writer.finish(), int).records, [2]);
});

test('records with and without event times, or times too far apart, do not share a page', () => {
  const writer = new PageWriter(int);
  assert.ok(writer.takes(undefined) && writer.takes(5));
  writer.write(1, undefined);
  assert.ok(writer.takes(undefined));
  assert.ok(!writer.takes(5));
  writer.finish();
  writer.write(1, minTimestampMs + 1);
  assert.ok(!writer.takes(undefined));
  assert.ok(!writer.takes(maxTimestampMs - 1));
  assert.ok(writer.takes(0));
  assert.deepEqual([...(reader.read(writer.finish(), int).timestamps ?? [])], [minTimestampMs + 1]);
  writer.write(1, maxTimestampMs - 1);
  assert.deepEqual([...(reader.read(writer.finish(), int).timestamps ?? [])], [maxTimestampMs - 1]);
});

test('a large record does not keep its memory when it is gone', () => {
  const writer = new PageWriter(t.bytes as Type<unknown>);
  writer.write(new Uint8Array(10_000_000), undefined);
  assert.ok(writer.finish().length > 10_000_000);
  writer.write(Uint8Array.of(7), undefined);
  const page = writer.finish();
  assert.equal(page.length, 5);
  assert.deepEqual(reader.read(page, t.bytes as Type<unknown>).records, [Uint8Array.of(7)]);
});

test('a page cut anywhere is refused', () => {
  for (const timestamps of [undefined, [5, 1_700_000_000_000, 6]]) {
    const page = pageOf(t.string as Type<unknown>, ['a', 'žluť', 'x'.repeat(30)], timestamps);
    for (let length = 0; length < page.length; length++) {
      assert.throws(() => reader.read(page.subarray(0, length), t.string as Type<unknown>), { code: 'CorruptBytes' });
    }
  }
});

const hostile: readonly (readonly [string, readonly number[], RegExp])[] = [
  ['another format', [2, 0, 0], /a page of format 2, where this runtime reads format 1, at byte 1 of 3/],
  ['unknown flags', [1, 2, 0], /unknown flags 2/],
  [
    'a count beyond the bytes',
    [1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 2],
    /a page of 4294967295 records begins with too few bytes left/,
  ],
  ['bytes after the records', [1, 0, 1, 2, 2], /a page holds more than its records at byte 4 of 5/],
  [
    'times beyond all times',
    [1, 1, 2, ...[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], 2, 2, 2],
    /an event time beyond all times/,
  ],
];

for (const [name, bytes, message] of hostile) {
  test(`a page with ${name} is refused`, () => {
    assert.throws(
      () => reader.read(Uint8Array.from(bytes), int),
      (error) => error instanceof JobError && error.code === 'CorruptBytes' && message.test(error.message),
    );
  });
}

test('random bytes are read as a page or refused, nothing else', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = createRandom(seed * 15485863);
    const { type } = randomSample(random, 2);
    for (let round = 0; round < 20; round++) {
      const body = Array.from({ length: random(30) }, () => (random(2) === 0 ? random(256) : random(4)));
      try {
        reader.read(Uint8Array.from([1, random(2), ...body]), type);
      } catch (error) {
        assert.ok(error instanceof JobError && error.code === 'CorruptBytes', String(error));
      }
    }
  }
});
