// What goes into a database comes out of it: batches, multiGet, iterators, snapshots, merges, range deletions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type BatchRecord,
  batchOf,
  bytes,
  columnFamily,
  entries,
  get,
  nativeBinding,
  openOptions,
  pack,
  skip,
  text,
  valuesOf,
  withCode,
  write,
} from './native-fixture.ts';

test('multiGet gives values in the order of the keys, wherever they are', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const key = (index: number): string => `key-${index}`;
  write(
    database,
    Array.from({ length: 1000 }, (_, index): BatchRecord => ['put', 1, key(index), `value ${index}`.repeat(1 + (index % 5))]),
  );
  // Half from files, half from memtables, with gaps and twice the same.
  await database.flush();
  write(
    database,
    Array.from({ length: 1000 }, (_, index): BatchRecord => ['put', 1, key(1000 + index), `later ${index}`]),
  );
  const asked = [...Array.from({ length: 500 }, (_, index) => key((index * 7919) % 2500)), key(3), key(3), '', 'absent'];
  const expected = asked.map((name) => {
    const index = name.startsWith('key-') ? Number(name.slice(4)) : 9999;
    return index < 1000 ? `value ${index}`.repeat(1 + (index % 5)) : index < 2000 ? `later ${index - 1000}` : undefined;
  });
  assert.deepEqual(get(database, 1, asked), expected);
  await database.close();
});

test('multiGet says how many bytes it needs, and gives nothing in a buffer that is too small', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  write(database, [
    ['put', 0, 'a', 'x'.repeat(100)],
    ['put', 0, 'b', ''],
  ]);
  const { packed, ends } = pack([bytes('a'), bytes('b')]);
  const [small, valueEnds, found] = [new Uint8Array(99).fill(7), new Uint32Array(2), new Uint8Array(2)];
  assert.equal(database.multiGet(0, packed, ends, 2, small, valueEnds, found), 100);
  assert.ok(small.every((byte) => byte === 7));
  assert.deepEqual(get(database, 0, ['a', 'b']), ['x'.repeat(100), '']);
  assert.equal(database.multiGet(0, packed, ends, 0, small, valueEnds, found), 0);
  await database.close();
});

test('multiGetAsync reads as of the call', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const count = 5000;
  const names = Array.from({ length: count }, (_, index) => `key-${index}`);
  write(
    database,
    names.map((name): BatchRecord => ['put', 1, name, 'before']),
  );
  const { packed, ends } = pack(names.map(bytes));
  const [values, valueEnds, found] = [new Uint8Array(6 * count), new Uint32Array(count), new Uint8Array(count)];
  const reading = database.multiGetAsync(1, packed, ends, count, values, valueEnds, found);
  write(
    database,
    names.map((name): BatchRecord => ['put', 1, name, 'after!']),
  );
  assert.equal(await reading, 6 * count);
  assert.deepEqual(new Set(valuesOf(values, valueEnds, found)), new Set(['before']));
  assert.deepEqual(get(database, 1, ['key-0']), ['after!']);
  await database.close();
});

test('a batch is applied in its order, over column families', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  write(database, [
    ['put', 0, 'a', '1'],
    ['put', 1, 'a', '2'],
    ['put', 0, 'b', '3'],
    ['put', 0, 'c', '4'],
    ['delete', 0, 'a'],
    ['put', 0, 'a', '5'],
    ['delete', 0, 'b'],
    ['deleteRange', 0, 'c', 'd'],
  ]);
  assert.deepEqual(get(database, 0, ['a', 'b', 'c']), ['5', undefined, undefined]);
  assert.deepEqual(get(database, 1, ['a']), ['2']);
  const later = batchOf([['put', 1, 'z', 'async']]);
  await database.writeAsync(later, later.length);
  assert.deepEqual(entries(database, 1), [
    ['a', '2'],
    ['z', 'async'],
  ]);
  await database.close();
});

test('merge appends, in memory, over files and after compaction', { skip }, async () => {
  const options = openOptions({ columnFamilies: [columnFamily('default'), columnFamily('list', { mergeOperator: 'append' })] });
  const database = await nativeBinding().open(options);
  write(database, [
    ['merge', 1, 'a', '1,'],
    ['merge', 1, 'a', '2,'],
  ]);
  await database.flush();
  write(database, [
    ['merge', 1, 'a', '3,'],
    ['put', 1, 'b', 'start '],
    ['merge', 1, 'b', 'end'],
  ]);
  assert.deepEqual(get(database, 1, ['a', 'b']), ['1,2,3,', 'start end']);
  await database.flush();
  await database.compact(1);
  assert.deepEqual(get(database, 1, ['a', 'b']), ['1,2,3,', 'start end']);
  await database.close();
});

test('operands that no operator is there for are an error, not a crash', { skip }, async () => {
  const options = openOptions({ columnFamilies: [columnFamily('default', { mergeOperator: 'append' })] });
  const database = await nativeBinding().open(options);
  write(database, [['merge', 0, 'a', '1']]);
  await database.flush();
  await database.close();
  const without = await nativeBinding().open({ ...options, columnFamilies: [columnFamily('default')] });
  assert.throws(() => get(without, 0, ['a']), withCode('Corruption'));
  assert.throws(() => entries(without, 0), withCode('Corruption'));
  await without.close();
});

test('an iterator keeps to its bounds and packs as much as fits', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  write(
    database,
    Array.from({ length: 100 }, (_, index): BatchRecord => ['put', 1, String(index).padStart(2, '0'), `v${index}`]),
  );
  const read = entries(database, 1, { lower: bytes('10'), upper: bytes('20') });
  assert.deepEqual(read[0], ['10', 'v10']);
  assert.equal(read.length, 10);
  assert.deepEqual(entries(database, 1, { lower: bytes('98'), keysOnly: true, fillCache: false }), [
    ['98', ''],
    ['99', ''],
  ]);

  const iterator = database.iterator(1, { lower: bytes('50') });
  const ends = new Uint32Array(7);
  assert.equal(iterator.next(new Uint8Array(100), ends), 3, 'three pairs of ends');
  assert.equal(iterator.next(new Uint8Array(12), ends), 2, 'two entries of five bytes');
  assert.throws(() => iterator.next(new Uint8Array(4), ends), {
    code: 'BufferTooSmall',
    neededBytes: 5,
  });
  const out = new Uint8Array(5);
  assert.equal(iterator.next(out, ends), 1);
  assert.equal(text(out), '55v55');
  iterator.close();
  assert.throws(() => iterator.next(out, ends), withCode('Closed'));
  await database.close();
});

test('iterators see the database as of their opening, or as of a snapshot', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  write(database, [['put', 0, 'a', '1']]);
  const snapshot = database.snapshot();
  write(database, [['put', 0, 'b', '2']]);
  const iterator = database.iterator(0, {});
  const ofSnapshot = database.iterator(0, { snapshot });
  write(database, [['delete', 0, 'a']]);
  await database.flush();
  await database.compact(0);
  const [out, ends] = [new Uint8Array(100), new Uint32Array(10)];
  assert.equal(iterator.next(out, ends), 2);
  assert.deepEqual(entries(database, 0, { snapshot }), [['a', '1']]);
  snapshot.close();
  assert.equal(ofSnapshot.next(out, ends), 1, 'an open iterator keeps the snapshot it reads');
  assert.throws(() => database.iterator(0, { snapshot }), withCode('Closed'));
  assert.deepEqual(entries(database, 0), [['b', '2']]);
  await database.close();
});

test('a snapshot is of one database', { skip }, async () => {
  const [one, other] = await Promise.all([nativeBinding().open(openOptions()), nativeBinding().open(openOptions())]);
  const snapshot = one.snapshot();
  assert.throws(() => other.iterator(0, { snapshot }), withCode('InvalidArgument', /another database/));
  await Promise.all([one.close(), other.close()]);
});

test('deleteRange ends before its end, with and without dropping files', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const names = Array.from({ length: 100 }, (_, index) => String(index).padStart(2, '0'));
  for (const files of [false, true]) {
    write(
      database,
      names.map((name): BatchRecord => ['put', 1, name, name]),
    );
    await database.flush();
    await database.compact(1);
    await database.deleteRange(1, bytes('10'), bytes('90'), { files });
    assert.deepEqual(
      entries(database, 1).map(([key]) => key),
      [...names.slice(0, 10), ...names.slice(90)],
    );
  }
  assert.throws(
    () => database.deleteRange(1, bytes('b'), bytes('a'), { files: false }),
    withCode('InvalidArgument', /before start/),
  );
  await database.close();
});

test('properties and statistics are told by their RocksDB names', { skip }, async () => {
  const database = await nativeBinding().open(openOptions({ statistics: true }));
  write(database, [['put', 1, 'a', '1']]);
  assert.equal(database.property(1, 'rocksdb.num-entries-active-mem-table'), '1');
  assert.equal(database.property(1, 'rocksdb.no-such-property'), undefined);
  get(database, 1, ['a']);
  assert.equal(database.statistics()['rocksdb.number.keys.written'], 1);
  await database.close();
  const without = await nativeBinding().open(openOptions());
  assert.deepEqual(without.statistics(), {});
  await without.close();
});
