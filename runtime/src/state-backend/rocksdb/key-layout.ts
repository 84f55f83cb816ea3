import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import type { TimeDomain } from '../../core/time/event-time.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { NativeColumnFamilyOptions } from './native-binding.ts';

/**
 * Where things are in a database: version 2 of docs/decisions/0008-on-disk-state-format.md. The key group comes first in every row, so a
 * range of key groups is a range of rows; every piece after it ends by itself, so no row's key begins another's.
 */
export const formatVersion = 2;
/** As version 2, but no value says what form it has. Rows of primitive values are written so still. */
export const formatVersionWithoutForms = 1;

/** Numbers of the column families, in the order of `columnFamilies`. Number 0 is `default`, which holds nothing. */
export const stateColumnFamily = 1;
const listColumnFamily = 2;
const ttlColumnFamily = 3;
export const timersColumnFamily = 4;

/** Given to a state's name, see `state-ids`. */
export const stateIdMin = 1;
export const stateIdMax = 65534;

export const keyGroupSizeBytes = 2;
export const stateIdSizeBytes = 2;
/** Of a timer's row: key group, domain and time; key and namespace follow. */
export const timerPrefixSizeBytes = 3;
export const timerHeadSizeBytes = timerPrefixSizeBytes + 8;
export const listSequenceSizeBytes = 8;
/** Before each value of a state with a time to live. */
export const deathSizeBytes = 8;

const smallFamily: Omit<NativeColumnFamilyOptions, 'name'> = {
  writeBufferBytes: 1024 * 1024,
  blockSizeBytes: 8 * 1024,
  compression: 'lz4',
  bloomBitsPerKey: 0,
  mergeOperator: 'none',
  ttl: [],
};

/** One random read costs one block of the cache: small blocks keep more keys in it. */
const stateFamily: Omit<NativeColumnFamilyOptions, 'name'> = {
  ...smallFamily,
  writeBufferBytes: 32 * 1024 * 1024,
  blockSizeBytes: 4 * 1024,
  bloomBitsPerKey: 10,
};

export const columnFamilies: readonly NativeColumnFamilyOptions[] = [
  { ...smallFamily, name: 'default' },
  { ...stateFamily, name: 'state' },
  { ...stateFamily, name: 'list', mergeOperator: 'append' },
  // Every row begins with its death, whatever its key.
  { ...stateFamily, name: 'ttl', ttl: [{ keyOffset: 0, keyBytes: new Uint8Array(0) }] },
  // Read by ranges only, so a filter would never be asked.
  { ...smallFamily, name: 'timers', writeBufferBytes: 16 * 1024 * 1024 },
];

export const columnFamiliesWithRows = [stateColumnFamily, listColumnFamily, ttlColumnFamily, timersColumnFamily];

/** Where a state's rows are. */
export function columnFamilyOf({ stateType, ttl }: StateDeclaration): number {
  return ttl !== undefined ? ttlColumnFamily : stateType === 'list' ? listColumnFamily : stateColumnFamily;
}

export function writeKeyGroup(writer: BinaryWriter, keyGroup: number): void {
  writer.writeByte(keyGroup >> 8);
  writer.writeByte(keyGroup & 0xff);
}

export function writeStateId(writer: BinaryWriter, stateId: number): void {
  writer.writeByte(stateId >> 8);
  writer.writeByte(stateId & 0xff);
}

export function writeListSequence(writer: BinaryWriter, sequence: number): void {
  writeUint64(writer, Math.floor(sequence / 2 ** 32), sequence % 2 ** 32);
}

export function readListSequence(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) * 2 ** 32 + readUint32(bytes, at + 4);
}

function timerDomainByte(domain: TimeDomain): number {
  return domain === 'ProcessingTime' ? 0 : 1;
}

export function timerDomainOf(byte: number): TimeDomain {
  return byte === 0 ? 'ProcessingTime' : 'EventTime';
}

/** The beginning of a key group's timers of one domain. */
export function writeTimerPrefix(writer: BinaryWriter, keyGroup: number, domain: TimeDomain): void {
  writeKeyGroup(writer, keyGroup);
  writer.writeByte(timerDomainByte(domain));
}

/** Of a safe integer: 64-bit two's complement with the sign bit flipped, so that bytes are in the order of times. */
export function writeTimestamp(writer: BinaryWriter, timestampMs: number): void {
  const high = Math.floor(timestampMs / 2 ** 32);
  writeUint64(writer, high ^ signBit, timestampMs - high * 2 ** 32);
}

export function readTimestamp(bytes: Uint8Array, at: number): number {
  return ((readUint32(bytes, at) ^ signBit) | 0) * 2 ** 32 + readUint32(bytes, at + 4);
}

const signBit = 0x80000000 | 0;

/** Milliseconds since the epoch, not negative; lowest byte first, as the compaction filter reads it. */
export function writeDeath(writer: BinaryWriter, deathMs: number): void {
  writer.writeUint32(deathMs % 2 ** 32);
  writer.writeUint32(Math.floor(deathMs / 2 ** 32));
}

/** `Infinity` for what never dies. */
export function readDeath(bytes: Uint8Array, at: number): number {
  const deathMs = readUint32LowestFirst(bytes, at) + readUint32LowestFirst(bytes, at + 4) * 2 ** 32;
  return deathMs === 0 ? Number.POSITIVE_INFINITY : deathMs;
}

/** The rows of a range of key groups: `start` inclusive, `end` exclusive. */
export function keyGroupBounds({ first, last }: KeyGroupRange): { readonly start: Uint8Array; readonly end: Uint8Array } {
  return { start: bigEndian16(first), end: bigEndian16(last + 1) };
}

/** Comes after every row: key groups have numbers below 32768. */
export const afterAllKeys = Uint8Array.of(0xff, 0xff);

/** The smallest key after all those that begin with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Uint8Array {
  let length = prefix.length;
  while (prefix[length - 1] === 0xff) {
    length--;
  }
  const end = prefix.slice(0, length);
  // Every prefix begins with a key group, whose first byte is below 0xff, so there is a byte left.
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}

/** The smallest key after this one. */
export function afterKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function readUint32(bytes: Uint8Array, at: number): number {
  return readUint16(bytes, at) * 0x10000 + readUint16(bytes, at + 2);
}

/** Highest byte first; of each half the lowest 32 bits. */
function writeUint64(writer: BinaryWriter, high: number, low: number): void {
  writer.writeUint32(swapBytes(high));
  writer.writeUint32(swapBytes(low));
}

function swapBytes(value: number): number {
  return (value << 24) | ((value << 8) & 0xff0000) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

function readUint32LowestFirst(bytes: Uint8Array, at: number): number {
  return swapBytes(readUint32(bytes, at)) >>> 0;
}

function bigEndian16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
