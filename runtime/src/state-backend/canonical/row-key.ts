import { assert } from '../../core/assert.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import { readOrderedInt } from '../../core/types/ordered-bytes.ts';
import type { RowTypes } from '../rows/row-types.ts';
import { type SnapshotRow, timerDomains } from '../rows/snapshot-row.ts';

/**
 * A row as a key and a value, version 1. Keys compare as unsigned bytes in the order of rows, and no key begins another: every piece ends by
 * itself. *ordered* is the encoding of `core/types/ordered-bytes.ts`.
 *
 *     state:  ordered key group, 00, ordered key, ordered place of the state, ordered namespace (of a namespaced state),
 *             then of a map the ordered map key, of a list the ordered place of the element
 *     timer:  ordered key group, 01, ordered domain (0 processing time, 1 event time), ordered time, ordered key, ordered namespace (if any)
 *
 *     value of a state:                     the value's bytes
 *     value of a state with a time to live: varint time of death (0: never), then the value's bytes
 *     value of a timer:                     nothing
 */
export function writeRowKey(row: SnapshotRow, writer: BinaryWriter): void {
  writer.writeOrderedInt(row.keyGroup);
  if (row.type === 'Timer') {
    writer.writeByte(timerMark);
    writer.writeOrderedInt(timerDomains.indexOf(row.domain));
    writer.writeOrderedInt(row.timestampMs);
    writer.writeRaw(row.key);
  } else {
    writer.writeByte(stateMark);
    writer.writeRaw(row.key);
    writer.writeOrderedInt(row.stateIndex);
  }
  if (row.namespace !== undefined) {
    writer.writeRaw(row.namespace);
  }
  if (row.type === 'State') {
    if (row.mapKey !== undefined) {
      writer.writeRaw(row.mapKey);
    } else if (row.elementIndex !== undefined) {
      writer.writeOrderedInt(row.elementIndex);
    }
  }
}

export function writeRowValue(row: SnapshotRow, writer: BinaryWriter): void {
  if (row.type === 'Timer') {
    return;
  }
  if (row.deathMs !== undefined) {
    writer.writeVarint(row.deathMs === Number.POSITIVE_INFINITY ? 0 : row.deathMs);
  }
  writer.writeRaw(row.value);
}

/** What the rows of one key's states begin with; what those of a key group begin with without the key. */
export function writeRowPrefix(keyGroup: number, key: Uint8Array | undefined, writer: BinaryWriter): void {
  writer.writeOrderedInt(keyGroup);
  if (key !== undefined) {
    writer.writeByte(stateMark);
    writer.writeRaw(key);
  }
}

/** Makes a row of its key and value. `reader` is at the key's beginning and ends where it ends; `bytes` are the ones it reads. */
export function readRow(reader: BinaryReader, bytes: Uint8Array, value: Uint8Array, types: RowTypes): SnapshotRow {
  const keyGroup = readOrderedInt(reader);
  const mark = reader.readByte();
  if (mark === timerMark) {
    const domain = timerDomains[readOrderedInt(reader)];
    assert(domain !== undefined, 'a timer is of processing time or of event time');
    const timestampMs = readOrderedInt(reader);
    const key = skipped(reader, bytes, types.keyType.skipKey);
    const namespace = types.namespaceType === undefined ? undefined : skipped(reader, bytes, types.namespaceType.skipKey);
    return { type: 'Timer', keyGroup, domain, timestampMs, key, namespace };
  }
  assert(mark === stateMark, 'a row is of a state or a timer');
  const key = skipped(reader, bytes, types.keyType.skipKey);
  const stateIndex = readOrderedInt(reader);
  const state = types.states[stateIndex];
  if (state === undefined) {
    throw reader.corrupt(`a row of state ${stateIndex}, which the part does not declare,`);
  }
  const { declaration, namespaceType, mapKeyType } = state;
  const namespace = namespaceType === undefined ? undefined : skipped(reader, bytes, namespaceType.skipKey);
  const mapKey = mapKeyType === undefined ? undefined : skipped(reader, bytes, mapKeyType.skipKey);
  const elementIndex = declaration.stateType === 'list' ? readOrderedInt(reader) : undefined;
  const base = { type: 'State', keyGroup, key, stateIndex, namespace, mapKey, elementIndex } as const;
  if (declaration.ttl === undefined) {
    return { ...base, value, deathMs: undefined };
  }
  const { deathMs, sizeBytes } = readDeath(value);
  return { ...base, value: value.subarray(sizeBytes), deathMs };
}

const stateMark = 0;
const timerMark = 1;

function skipped(reader: BinaryReader, bytes: Uint8Array, skipKey: (reader: BinaryReader) => void): Uint8Array {
  const start = reader.position;
  skipKey(reader);
  return bytes.subarray(start, reader.position);
}

/** A varint, without a reader for each row. */
function readDeath(value: Uint8Array): { readonly deathMs: number; readonly sizeBytes: number } {
  let deathMs = 0;
  for (let at = 0, factor = 1; ; at++, factor *= 0x80) {
    const byte = value[at];
    assert(byte !== undefined, 'a value with a time to live begins with it');
    deathMs += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      return { deathMs: deathMs === 0 ? Number.POSITIVE_INFINITY : deathMs, sizeBytes: at + 1 };
    }
  }
}
