// The rules of the contract's head, enforced by the addon: buffers in flight, one writer, closing. Threads are in threads.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { NativeBinding } from '../../src/state-backend/rocksdb/native-binding.ts';
import {
  type BatchRecord,
  batchOf,
  bytes,
  entries,
  nativeBinding,
  openOptions,
  pack,
  skip,
  withCode,
  write,
} from './native-fixture.ts';

const keys = Array.from({ length: 2000 }, (_, index) => `key-${index}`);
const batch = skip === false ? batchOf(keys.map((key): BatchRecord => ['put', 1, key, 'value'])) : new Uint8Array(0);

/** Results of a `multiGet` of all keys. */
function resultBuffers(): { values: Uint8Array; valueEnds: Uint32Array; found: Uint8Array } {
  return { values: new Uint8Array(20_000), valueEnds: new Uint32Array(keys.length), found: new Uint8Array(keys.length) };
}

test('a buffer of an asynchronous call is refused elsewhere until it is settled', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  database.write(batch, batch.length);
  const { packed, ends } = pack(keys.map(bytes));
  const { values, valueEnds, found } = resultBuffers();
  const reading = database.multiGetAsync(1, packed, ends, keys.length, values, valueEnds, found);
  const other = resultBuffers();
  const calls = [
    () => database.multiGet(1, packed, new Uint32Array(1), 1, other.values, other.valueEnds, other.found),
    () => database.multiGet(1, new Uint8Array(5), ends, 1, other.values, other.valueEnds, other.found),
    () =>
      database.multiGetAsync(1, new Uint8Array(5), new Uint32Array(1), 1, values.subarray(19_999), other.valueEnds, other.found),
    () => database.write(values, 12),
    () => database.writeAsync(found, 12),
    () => database.iterator(1, {}).next(new Uint8Array(values.buffer, 5, 10), other.valueEnds),
    () => database.iterator(1, {}).next(other.values, valueEnds),
  ];
  for (const call of calls) {
    assert.throws(call, withCode('BufferInUse'));
  }
  assert.equal(await reading, keys.length * 5);
  assert.equal(database.multiGet(1, packed, ends, keys.length, values, valueEnds, found), keys.length * 5);
  await database.close();
});

test('results have nowhere to go when their buffer was transferred: the call is refused, nothing is written', {
  skip,
}, async () => {
  const database = await nativeBinding().open(openOptions());
  database.write(batch, batch.length);
  const { packed, ends } = pack(keys.map(bytes));
  const { values, valueEnds, found } = resultBuffers();
  const reading = database.multiGetAsync(1, packed, ends, keys.length, values, valueEnds, found);
  structuredClone(valueEnds.buffer, { transfer: [valueEnds.buffer as ArrayBuffer] });
  structuredClone(packed.buffer, { transfer: [packed.buffer] });
  await assert.rejects(reading, withCode('InvalidArgument', /valueEnds is shorter/));
  await database.close();
});

test('results go into what a resized buffer still holds, or are refused', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  database.write(batch, batch.length);
  const { packed, ends } = pack(keys.map(bytes));
  const { valueEnds, found } = resultBuffers();
  const resizable = new ArrayBuffer(20_000, { maxByteLength: 40_000 });
  const reading = database.multiGetAsync(1, packed, ends, keys.length, new Uint8Array(resizable), valueEnds, found);
  resizable.resize(10);
  assert.equal(await reading, keys.length * 5, 'more than there is room for now');
  await database.close();
});

test('one writer at a time', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const writers = [
    () => database.writeAsync(batch, batch.length),
    () => database.deleteRange(1, bytes('a'), bytes('b'), { files: false }),
    () => database.clip(1, bytes('a'), bytes('z')),
    () => database.ingest(1, [], { moveFiles: false, dbGenerated: false }),
  ];
  const put = batchOf([['put', 0, 'a', '1']]);
  for (const writer of writers) {
    const writing = writer();
    assert.throws(() => database.write(put, put.length), withCode('WriterBusy'));
    for (const other of writers) {
      assert.throws(() => void other(), withCode('WriterBusy'));
    }
    await writing;
    database.write(put, put.length);
  }
  await database.close();
});

test('close waits for what is under way and ends the rest', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  database.write(batch, batch.length);
  const order: string[] = [];
  const note = (what: string) => (): void => void order.push(what);
  const iterator = database.iterator(1, {});
  const snapshot = database.snapshot();
  const later = batchOf([['put', 1, 'later', 'x']]);
  const underWay = [database.flush().then(note('flush')), database.writeAsync(later, later.length).then(note('write'))];
  const closing = [database.close().then(note('close')), database.close().then(note('close again'))];
  assert.throws(() => iterator.next(new Uint8Array(100), new Uint32Array(2)), withCode('Closed'));
  assert.throws(() => write(database, []), withCode('Closed'));
  assert.throws(() => database.snapshot(), withCode('Closed'));
  assert.throws(() => database.iterator(1, { snapshot }), withCode('Closed'));
  assert.throws(() => void database.compact(1), withCode('Closed'));
  await Promise.all([...underWay, ...closing]);
  assert.deepEqual(order.slice(0, 2).toSorted(), ['flush', 'write']);
  await database.close();
  iterator.close();
  snapshot.close();
});

test('a getter that closes the database does not get behind its check', { skip }, async () => {
  const binding = nativeBinding();
  const options = openOptions();
  const database = await binding.open(options);
  let closing: Promise<void> | undefined;
  const treacherous = {
    get lower() {
      closing = database.close();
      return bytes('a');
    },
  };
  assert.throws(() => database.iterator(1, treacherous), withCode('Closed'));
  await closing;
});

test('what a getter throws is what the caller sees', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const failing = {
    get upper(): Uint8Array {
      throw new RangeError('mine');
    },
  };
  assert.throws(() => database.iterator(1, failing), RangeError);
  await database.close();
});

test('methods refuse objects that are not theirs', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const iterator = database.iterator(1, {});
  const other = new (database.constructor as new () => typeof database)();
  const call = (self: unknown): unknown => database.property.call(self as typeof database, 0, 'rocksdb.stats');
  // What another class made, V8 refuses itself; what `new` made of this one, the addon does.
  assert.throws(() => call(other), withCode('InvalidArgument', /expected a database/));
  for (const self of [iterator, {}, undefined, 1, 'x', Object.create(database), new Proxy(database, {})]) {
    assert.throws(() => call(self), TypeError);
  }
  assert.throws(() => iterator.next.call(database as never, new Uint8Array(1), new Uint32Array(2)), TypeError);
  await database.close();
});

/** Opens a database and forgets it. */
async function openAndForget(binding: NativeBinding, options: ReturnType<typeof openOptions>): Promise<void> {
  const database = await binding.open(options);
  write(database, [['put', 0, 'a', '1']]);
  await database.flush();
  const iterator = database.iterator(0, {});
  iterator.next(new Uint8Array(100), new Uint32Array(2));
  database.snapshot();
}

test('a database that is collected is closed, with its iterators', { skip }, async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const binding = nativeBinding();
  const options = openOptions();
  await openAndForget(binding, options);
  const giveUpAtMs = Date.now() + 20_000;
  for (;;) {
    collectGarbage();
    // Finalizers run between turns of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      const again = await binding.open(options);
      assert.deepEqual(entries(again, 0), [['a', '1']]);
      await again.close();
      return;
    } catch (error) {
      if (!withCode('Busy')(error) || Date.now() > giveUpAtMs) {
        throw error;
      }
    }
  }
});

test('more iterators than the limit are refused', { skip }, async () => {
  const database = await nativeBinding().open(openOptions());
  const open = Array.from({ length: 1024 }, () => database.iterator(0, {}));
  assert.throws(() => database.iterator(0, {}), withCode('InvalidArgument', /1024 open iterators/));
  open[0]?.close();
  database.iterator(0, {}).close();
  await database.close();
});
