// The addon under test, temporary directories, and small ways to say keys and values.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type {
  NativeBinding,
  NativeColumnFamilyOptions,
  NativeDatabase,
  NativeIteratorOptions,
  NativeOpenOptions,
} from '../../src/state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding, nativeBindingAvailability } from '../../src/state-backend/rocksdb/native-loader.ts';

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

export function columnFamily(name: string, over: Partial<NativeColumnFamilyOptions> = {}): NativeColumnFamilyOptions {
  return {
    name,
    writeBufferBytes: 4 << 20,
    blockSizeBytes: 4096,
    compression: 'lz4',
    bloomBitsPerKey: 10,
    mergeOperator: 'none',
    ttl: [],
    ...over,
  };
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

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const bytes = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
export const text = (encoded: Uint8Array): string => decoder.decode(encoded);

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

export type Record = readonly [
  type: 'put' | 'merge' | 'delete' | 'singleDelete' | 'deleteRange',
  columnFamily: number,
  ...parts: (string | Uint8Array)[],
];

/** RocksDB's tags for records that name their column family. */
const tags = { delete: 0x4, put: 0x5, merge: 0x6, singleDelete: 0x8, deleteRange: 0xe };

/** RocksDB's batch bytes. */
export function batchOf(records: readonly Record[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [0, 0, 0, 0, 0, 0, 0, 0, ...new Uint8Array(new Uint32Array([records.length]).buffer)];
  const varint = (value: number): void => {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) {
      out.push((rest & 0x7f) | 0x80);
    }
    out.push(rest);
  };
  for (const [type, family, ...parts] of records) {
    out.push(tags[type]);
    varint(family);
    for (const part of parts) {
      const partBytes = typeof part === 'string' ? bytes(part) : part;
      varint(partBytes.length);
      for (const byte of partBytes) {
        out.push(byte);
      }
    }
  }
  return Uint8Array.from(out);
}

export function write(database: NativeDatabase, records: readonly Record[]): void {
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
