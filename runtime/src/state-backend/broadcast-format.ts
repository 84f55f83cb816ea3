import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import { stateVersionUnknown } from './state-version-unknown.ts';

/**
 * Broadcast state of one operator, version 2: it is small, so it is one piece of bytes.
 *
 *     version (a byte), count of states (varint), then of each: its name (a string), the type of its values (JSON, a string; not in version 1), count of
 *     entries (varint), then of each the `encodeKey` bytes of its key and the `encode` bytes of its value (both bytes with their length)
 */
const version = 2;

export interface BroadcastEntry {
  readonly state: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** That the value was written with; undefined in version 1, which does not say it. */
  readonly valueType: TypeDescriptor | undefined;
}

export interface BroadcastMapEntries {
  readonly name: string;
  readonly valueType: TypeDescriptor;
  readonly entries: readonly Pick<BroadcastEntry, 'key' | 'value'>[];
}

export function encodeBroadcastState(states: readonly BroadcastMapEntries[], expectedSizeBytes = 256): Uint8Array {
  const writer = new BinaryWriter(expectedSizeBytes);
  writer.writeByte(version);
  writer.writeVarint(states.length);
  for (const { name, valueType, entries } of states) {
    writer.writeString(name);
    writer.writeString(JSON.stringify(valueType));
    writer.writeVarint(entries.length);
    for (const { key, value } of entries) {
      writer.writeBytes(key);
      writer.writeBytes(value);
    }
  }
  return writer.toBytes();
}

export function* decodeBroadcastState(bytes: Uint8Array): Generator<BroadcastEntry> {
  const reader = new BinaryReader(bytes);
  const found = reader.readByte();
  if (found < 1 || found > version) {
    throw stateVersionUnknown('broadcast state', { found, known: version });
  }
  for (let count = reader.readVarint(); count > 0; count--) {
    const state = reader.readString();
    const valueType = found === 1 ? undefined : (JSON.parse(reader.readString()) as TypeDescriptor);
    for (let entries = reader.readVarint(); entries > 0; entries--) {
      yield { state, key: reader.readBytes(), value: reader.readBytes(), valueType };
    }
  }
  if (reader.remaining !== 0) {
    throw reader.corrupt('broadcast state goes on after its last entry');
  }
}
