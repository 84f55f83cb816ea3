// The addon under test, temporary directories, and small ways to say keys and values.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type {
  NativeBinding,
  NativeDatabase,
  NativeIteratorOptions,
  NativeOpenOptions,
} from '../../src/state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../../src/state-backend/rocksdb/native-loader.ts';
import { type BatchRecord, batchOf, bytes, columnFamily, text } from './native-batches.ts';

export { type BatchRecord, batchOf, bytes, columnFamily, text } from './native-batches.ts';

const availability = nativeBindingAvailability();

/** For `test(name, { skip }, …)`. */
export const skip =
  availability.state === 'Missing'
    ? `no RocksDB addon (node hack/build-native.ts): ${availability.tried.map(({ place, reason }) => `${place}: ${reason}`).join(', ')}`
    : false;

/** Of every test file, which is a process. */
export const memory = { capacityBytes: 32 << 20, writeBufferBytes: 8 << 20 };

/** With memory for small tests. */
export function nativeBinding(): NativeBinding {
  const binding = loadNativeBinding();
  binding.configureMemory(memory);
  return binding;
}

const folder = mkdtempSync(join(tmpdir(), 'flinkjob-native-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let pathCount = 0;

/** Does not exist yet. */
export function newPath(): string {
  return join(folder, `path-${pathCount++}`);
}

export function openOptions(over: Partial<NativeOpenOptions> = {}): NativeOpenOptions {
  return {
    path: newPath(),
    createIfMissing: true,
    columnFamilies: [columnFamily('default'), columnFamily('one')],
    maxOpenFiles: 100,
    maxBackgroundJobs: 2,
    statistics: false,
    ...over,
  };
}

/** Parts back to back, and the end of each. */
export function pack(parts: readonly Uint8Array[]): { packed: Uint8Array<ArrayBuffer>; ends: Uint32Array<ArrayBuffer> } {
  const ends = new Uint32Array(parts.length);
  let end = 0;
  for (const [index, part] of parts.entries()) {
    end += part.length;
    ends[index] = end;
  }
  const packed = new Uint8Array(end);
  for (const [index, part] of parts.entries()) {
    packed.set(part, (ends[index] ?? 0) - part.length);
  }
  return { packed, ends };
}

export function write(database: NativeDatabase, records: readonly BatchRecord[]): void {
  const batch = batchOf(records);
  database.write(batch, batch.length);
}

/** Undefined where there is no value. */
export function get(database: NativeDatabase, family: number, keys: readonly string[]): (string | undefined)[] {
  const { packed, ends } = pack(keys.map(bytes));
  const valueEnds = new Uint32Array(keys.length);
  const found = new Uint8Array(keys.length);
  let values = new Uint8Array(64);
  const needed = database.multiGet(family, packed, ends, keys.length, values, valueEnds, found);
  if (needed > values.length) {
    values = new Uint8Array(needed);
    database.multiGet(family, packed, ends, keys.length, values, valueEnds, found);
  }
  return valuesOf(values, valueEnds, found);
}

export function valuesOf(values: Uint8Array, valueEnds: Uint32Array, found: Uint8Array): (string | undefined)[] {
  return [...found].map((isFound, index) =>
    isFound === 1 ? text(values.subarray(index === 0 ? 0 : valueEnds[index - 1], valueEnds[index])) : undefined,
  );
}

export function entries(database: NativeDatabase, family: number, options: NativeIteratorOptions = {}): [string, string][] {
  const iterator = database.iterator(family, options);
  const out = new Uint8Array(1 << 16);
  const ends = new Uint32Array(512);
  const read: [string, string][] = [];
  for (let count = iterator.next(out, ends); count > 0; count = iterator.next(out, ends)) {
    for (let index = 0; index < count; index++) {
      const start = index === 0 ? 0 : ends[2 * index - 1];
      const key = text(out.subarray(start, ends[2 * index]));
      read.push([key, text(out.subarray(ends[2 * index], ends[2 * index + 1]))]);
    }
  }
  iterator.close();
  return read;
}

/** For `assert.throws` and `assert.rejects`. */
export function withCode(code: string, message?: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error && 'code' in error && error.code === code && (message === undefined || message.test(error.message));
}
