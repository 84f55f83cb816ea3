import { BinaryReader } from '../../src/core/types/binary-reader.ts';
import { BinaryWriter } from '../../src/core/types/binary-writer.ts';
import type { Type } from '../../src/core/types/type.ts';

export function keyBytes(type: Type<unknown>, key: unknown): Uint8Array {
  const writer = new BinaryWriter();
  type.encodeKey(key, writer);
  return writer.toBytes();
}

/** What a key is after it was kept: 0 for -0, and its fields in their order. */
export function copyOfKey(type: Type<unknown>, key: unknown): unknown {
  return type.decodeKey(new BinaryReader(keyBytes(type, key)));
}

/** For each of the values, its place in the order of their bytes. */
export function ranksOf(type: Type<unknown>, values: readonly unknown[]): readonly number[] {
  const order = [...values.keys()].sort((a, b) => Buffer.compare(keyBytes(type, values[a]), keyBytes(type, values[b])));
  const ranks: number[] = [];
  for (const [rank, index] of order.entries()) {
    ranks[index] = rank;
  }
  return ranks;
}
