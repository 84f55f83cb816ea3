// The cap of the process: what counts against it stays under it, and what does not fit is an error, not a crash.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { NativeBinding, NativeDatabase } from '../../src/state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding } from '../../src/state-backend/rocksdb/native-loader.ts';
import { type BatchRecord, batchOf, bytes, columnFamily, openOptions, pack, skip, withCode } from './native-fixture.ts';

const capacityBytes = 16 << 20;
const writeBufferBytes = 4 << 20;

test('memory is configured once, and within its bounds', { skip }, async () => {
  const binding = loadNativeBinding();
  assert.throws(() => binding.memoryUsage(), withCode('InvalidArgument', /configureMemory/));
  assert.throws(() => void binding.open(openOptions()), withCode('InvalidArgument', /configureMemory/));
  assert.throws(
    () => binding.configureMemory({ capacityBytes: 1, writeBufferBytes: 1 }),
    withCode('InvalidArgument', /at least/),
  );
  assert.throws(() => binding.configureMemory({ capacityBytes, writeBufferBytes: 9 << 20 }), withCode('InvalidArgument', /half/));
  binding.configureMemory({ capacityBytes, writeBufferBytes });
  binding.configureMemory({ capacityBytes, writeBufferBytes });
  assert.throws(
    () => binding.configureMemory({ capacityBytes: 2 * capacityBytes, writeBufferBytes }),
    withCode('MemoryAlreadyConfigured', /16777216/),
  );
  const usage = binding.memoryUsage();
  assert.deepEqual(
    [usage.capacityBytes, usage.shardBytes, usage.writeBufferBytes],
    [capacityBytes, capacityBytes, writeBufferBytes],
  );
});

const random = randomBytes(1 << 20);

/** Hardly compressible. */
function noise(index: number, sizeBytes: number): Uint8Array {
  const start = (index * 104_729) % (random.length - sizeBytes);
  return random.subarray(start, start + sizeBytes);
}

const keyOf = (index: number): string => `key-${String(index).padStart(6, '0')}`;

function fill(binding: NativeBinding, database: NativeDatabase, count: number, sizeBytes: number): void {
  const inBatch = Math.min(100, Math.floor((1 << 20) / sizeBytes));
  for (let start = 0; start < count; start += inBatch) {
    const indexes = Array.from({ length: inBatch }, (_, index) => start + index);
    const batch = batchOf(indexes.map((index): BatchRecord => ['put', 0, keyOf(index), noise(index, sizeBytes)]));
    database.write(batch, batch.length);
    expectUnderCap(binding);
  }
}

function expectUnderCap(binding: NativeBinding): void {
  const usage = binding.memoryUsage();
  assert.ok(usage.usedBytes <= capacityBytes, JSON.stringify(usage));
  // Half as much again, and what entries cost beyond their bytes.
  assert.ok(usage.memtableBytes <= 1.6 * writeBufferBytes, JSON.stringify(usage));
}

function options(path: string): ReturnType<typeof openOptions> {
  return openOptions({ path, columnFamilies: [columnFamily('default', { writeBufferBytes: 64 << 20 })] });
}

test('writing and reading three times the cap stays under it', { skip }, async () => {
  const binding = loadNativeBinding();
  const database = await binding.open(options(openOptions().path));
  const count = 48_000;
  fill(binding, database, count, 1000);
  const values = new Uint8Array(200 * 1000);
  const [valueEnds, found] = [new Uint32Array(200), new Uint8Array(200)];
  for (let round = 0; round < 200; round++) {
    const { packed, ends } = pack(
      Array.from({ length: 200 }, (_, index) => bytes(keyOf((round * 7919 + index * 104_729) % count))),
    );
    assert.equal(database.multiGet(0, packed, ends, 200, values, valueEnds, found), 200 * 1000);
    expectUnderCap(binding);
  }
  assert.equal(binding.memoryUsage().blockCacheBytes > capacityBytes / 2, true, 'the cache is used');
  await database.close();
});

test('a batch of more than all memtables are to have is refused', { skip }, async () => {
  const database = await loadNativeBinding().open(options(openOptions().path));
  const batch = batchOf([['put', 0, 'key', new Uint8Array(writeBufferBytes)]]);
  assert.throws(() => database.write(batch, batch.length), withCode('InvalidArgument', /write it in parts/));
  await database.close();
});

test('blocks that iterators hold count, and when no room is left reads fail with MemoryLimit', { skip }, async () => {
  const binding = loadNativeBinding();
  const database = await binding.open(options(openOptions().path));
  // A value is a block: an iterator on each holds 256 KiB.
  const count = 120;
  fill(binding, database, count, 256 << 10);
  await database.flush();
  const held = [];
  const [out, ends] = [new Uint8Array(300 << 10), new Uint32Array(2)];
  let refusals = 0;
  for (let index = 0; index < count; index++) {
    const iterator = database.iterator(0, { lower: bytes(keyOf(index)) });
    held.push(iterator);
    try {
      iterator.next(out, ends);
    } catch (error) {
      assert.ok(withCode('MemoryLimit')(error), String(error));
      refusals++;
    }
    expectUnderCap(binding);
  }
  assert.ok(refusals > 0, 'not all fit');
  const { packed, ends: keyEnds } = pack([bytes(keyOf(0)), bytes(keyOf(110))]);
  assert.throws(
    () => database.multiGet(0, packed, keyEnds, 2, new Uint8Array(1 << 20), new Uint32Array(2), new Uint8Array(2)),
    withCode('MemoryLimit'),
  );
  // A flush makes room, so it must not need any.
  const later = batchOf([['put', 0, 'later', bytes('value')]]);
  database.write(later, later.length);
  await database.flush();
  for (const iterator of held) {
    iterator.close();
  }
  assert.equal(
    database.multiGet(0, packed, keyEnds, 2, new Uint8Array(1 << 20), new Uint32Array(2), new Uint8Array(2)),
    2 * (256 << 10),
  );
  await database.close();
  assert.ok(binding.memoryUsage().pinnedBytes < 1 << 20, 'a closed database gives back what it held');
});
