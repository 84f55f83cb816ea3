// RocksDB's batch bytes and a column family's options, without a test runner: worker threads and child processes use them too.
import type { NativeColumnFamilyOptions } from '../../src/state-backend/rocksdb/native-binding.ts';

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

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const bytes = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
export const text = (encoded: Uint8Array): string => decoder.decode(encoded);

export type BatchRecord = readonly [
  type: 'put' | 'merge' | 'delete' | 'deleteRange',
  columnFamily: number,
  ...parts: (string | Uint8Array)[],
];

/** RocksDB's tags for records that name their column family. */
const tags = { delete: 0x4, put: 0x5, merge: 0x6, deleteRange: 0xe };

/** RocksDB's batch bytes. */
export function batchOf(records: readonly BatchRecord[]): Uint8Array<ArrayBuffer> {
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
