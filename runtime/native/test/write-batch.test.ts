// The check of batches before they are applied: what RocksDB would find too late, or not at all.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NativeDatabase } from '../../src/state-backend/rocksdb/native-binding.ts';
import { batchOf, columnFamily, get, nativeBinding, openOptions, skip, withCode, write } from './native-fixture.ts';

let database: NativeDatabase;

before(async () => {
  if (skip === false) {
    const families = [columnFamily('default'), columnFamily('list', { mergeOperator: 'append' })];
    database = await nativeBinding().open(openOptions({ columnFamilies: families }));
  }
});

after(() => database?.close());

const put = batchOf([['put', 0, 'key', 'value']]);

function refused(batch: Uint8Array, why: RegExp, length = batch.length): void {
  assert.throws(() => database.write(batch, length), withCode('InvalidBatch', why));
  assert.throws(() => database.writeAsync(batch, length), withCode('InvalidBatch', why));
}

/** `batch` with one byte set. */
function changed(batch: Uint8Array, at: number, byte: number): Uint8Array {
  const copy = batch.slice();
  copy[at] = byte;
  return copy;
}

test('a batch shorter than its header is refused', { skip }, () => {
  refused(new Uint8Array(0), /shorter than its header/);
  refused(put, /shorter than its header/, 11);
});

test('a batch is refused when it ends within a record', { skip }, () => {
  for (let length = 13; length < put.length; length++) {
    refused(put, /ends within a record/, length);
  }
});

test('a batch of more or fewer records than its header says is refused', { skip }, () => {
  refused(changed(put, 8, 2), /has 1 records, and its header says 2/);
  refused(changed(put, 8, 0), /has 1 records, and its header says 0/);
});

test('records that belong to other uses of a batch, and single deletes, are refused', { skip }, () => {
  for (const tag of [0x3, 0x7, 0x8, 0x9, 0xa, 0xb, 0xc, 0xd, 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x7f, 0xff]) {
    refused(changed(put, 12, tag), /unknown record type/);
  }
});

test('a batch for a column family that does not exist is refused', { skip }, () => {
  refused(batchOf([['put', 2, 'key', 'value']]), /column family 2, which does not exist/);
  refused(batchOf([['delete', 1 << 30, 'key']]), /does not exist/);
});

test('a merge where there is no operator is refused', { skip }, () => {
  refused(batchOf([['merge', 0, 'key', 'value']]), /without a merge operator/);
  refused(changed(batchOf([['put', 0, 'key', 'value']]), 12, 0x2), /without a merge operator/);
});

test('a range whose end is before its start is refused', { skip }, () => {
  refused(batchOf([['deleteRange', 0, 'b', 'a']]), /end is before its start/);
  refused(batchOf([['deleteRange', 0, 'ab', 'a']]), /end is before its start/);
});

test('a length of more than 32 bits is refused', { skip }, () => {
  refused(Uint8Array.from([...put.subarray(0, 14), 0xff, 0xff, 0xff, 0xff, 0x7f, 1]), /more than 32 bits/);
  refused(Uint8Array.from([...put.subarray(0, 14), 0xff, 0xff, 0xff, 0xff, 0xff, 1]), /more than 32 bits/);
});

test('nothing of a refused batch is applied', { skip }, () => {
  refused(
    batchOf([
      ['put', 0, 'first', 'x'],
      ['put', 9, 'second', 'y'],
    ]),
    /record 1, at byte/,
  );
  assert.deepEqual(get(database, 0, ['first', 'second']), [undefined, undefined]);
});

test('records without a column family go to the first', { skip }, () => {
  const short = Uint8Array.from([...put.subarray(0, 12), 0x1, ...put.subarray(14)]);
  database.write(short, short.length);
  assert.deepEqual(get(database, 0, ['key']), ['value']);
});

test('column families go by the numbers of this opening, whatever RocksDB calls them', { skip }, async () => {
  const binding = nativeBinding();
  const families = ['a', 'b', 'c'].map((name) => columnFamily(name));
  const options = openOptions({ columnFamilies: [columnFamily('default'), ...families] });
  const first = await binding.open(options);
  write(first, [
    ['put', 1, 'key', 'of a'],
    ['put', 3, 'key', 'of c'],
  ]);
  await first.dropColumnFamily(2);
  const imported = await first.importColumnFamily(columnFamily('d'), [], { moveFiles: false });
  assert.equal(imported, 4);
  write(first, [['put', imported, 'key', 'of d']]);
  assert.throws(() => write(first, [['put', 2, 'key', 'x']]), withCode('InvalidBatch'));
  await first.flush();
  await first.close();
  const reordered = [columnFamily('default'), ...['d', 'c', 'a'].map((name) => columnFamily(name))];
  const second = await binding.open({ ...options, columnFamilies: reordered });
  write(second, [['put', 2, 'later', 'of c']]);
  assert.deepEqual(get(second, 1, ['key']), ['of d']);
  assert.deepEqual(get(second, 2, ['key', 'later']), ['of c', 'of c']);
  assert.deepEqual(get(second, 3, ['key', 'later']), ['of a', undefined]);
  await second.close();
});
