// The TTL filter: what compaction drops, and what it must not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BatchRecord, bytes, columnFamily, entries, nativeBinding, openOptions, skip, write } from './native-fixture.ts';

/** A value that dies at `deathMs`, 0 for never. */
function dyingAt(deathMs: number): Uint8Array {
  const value = new Uint8Array(12);
  new DataView(value.buffer).setBigInt64(0, BigInt(deathMs), true);
  value.set(bytes('rest'), 8);
  return value;
}

const ttl = [
  { keyOffset: 2, keyBytes: bytes('S1') },
  { keyOffset: 2, keyBytes: bytes('S2') },
];

test('compaction drops the dead entries of states with a time to live, and no others', { skip }, async () => {
  const binding = nativeBinding();
  const database = await binding.open(openOptions({ columnFamilies: [columnFamily('default', { ttl })] }));
  const nowMs = 1_700_000_000_000;
  const records: BatchRecord[] = [
    ['put', 0, '00S1dead', dyingAt(nowMs - 1)],
    ['put', 0, '00S1just', dyingAt(nowMs)],
    ['put', 0, '00S1live', dyingAt(nowMs + 1)],
    ['put', 0, '00S1never', dyingAt(0)],
    ['put', 0, '00S2dead', dyingAt(1)],
    ['put', 0, '00S3other', dyingAt(1)],
    ['put', 0, '00S1short', 'x'],
    ['put', 0, '00S', dyingAt(1)],
    ['put', 0, '0S1moved', dyingAt(1)],
  ];
  write(database, records);
  await database.flush();
  assert.equal(entries(database, 0).length, records.length, 'only compaction drops');
  await database.compact(0);
  assert.equal(entries(database, 0).length, records.length, 'and only by the clock that is set');
  binding.setNowMs(nowMs);
  await database.compact(0);
  assert.deepEqual(
    entries(database, 0).map(([key]) => key),
    ['00S', '00S1live', '00S1never', '00S1short', '00S3other', '0S1moved'],
  );
  binding.setNowMs(nowMs + 1);
  await database.compact(0);
  assert.equal(
    entries(database, 0).some(([key]) => key === '00S1live'),
    false,
  );
  await database.close();
});

test('a dead entry does not bring an older one back', { skip }, async () => {
  const binding = nativeBinding();
  const database = await binding.open(openOptions({ columnFamilies: [columnFamily('default', { ttl })] }));
  write(database, [['put', 0, '00S1a', dyingAt(0)]]);
  await database.flush();
  await database.compact(0);
  write(database, [['put', 0, '00S1a', dyingAt(5)]]);
  await database.flush();
  binding.setNowMs(10);
  await database.compact(0);
  assert.deepEqual(entries(database, 0), []);
  await database.close();
});
