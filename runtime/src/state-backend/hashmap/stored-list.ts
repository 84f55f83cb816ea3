import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';

/**
 * A list's elements, encoded one after the other from `start` to `end`. Adding makes a new `StoredList` that shares the buffer and writes
 * behind the old one's end, so an old one that a snapshot keeps stays what it was. Never empty.
 */
export interface StoredList {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly elementCount: number;
}

/** Only ever called with the newest list of a buffer: an older one would write over the newer one's elements. */
export function appendToList(list: StoredList | undefined, element: Uint8Array): StoredList {
  if (list === undefined) {
    return { bytes: element.slice(), start: 0, end: element.length, elementCount: 1 };
  }
  const elementCount = list.elementCount + 1;
  const end = list.end + element.length;
  if (end <= list.bytes.length) {
    list.bytes.set(element, list.end);
    return { bytes: list.bytes, start: list.start, end, elementCount };
  }
  const sizeBytes = end - list.start;
  const bytes = new Uint8Array(sizeBytes + (sizeBytes >> 1));
  bytes.set(list.bytes.subarray(list.start, list.end));
  bytes.set(element, list.end - list.start);
  return { bytes, start: 0, end: sizeBytes, elementCount };
}

export function decodeList(list: StoredList, type: Type<unknown>): unknown[] {
  reader.reset(list.bytes, list.start, list.end);
  const elements = new Array<unknown>(list.elementCount);
  for (let index = 0; index < elements.length; index++) {
    elements[index] = type.decode(reader);
  }
  return elements;
}

/**
 * Elements that die: each is its time of death as a double, its length and its bytes. Those that die first are mostly in front, and are
 * then dropped by moving `start`.
 */
export function writeMortalElement(deathMs: number, element: Uint8Array, writer: BinaryWriter): void {
  writer.writeDouble(deathMs);
  writer.writeBytes(element);
}

/** Drops the elements in front that `isDead` says are dead, at most `countMax` of them; the same list when there are none. */
export function dropFront(
  list: StoredList,
  isDead: (deathMs: number) => boolean,
  countMax: number,
): { readonly list: StoredList | undefined; readonly droppedCount: number } {
  reader.reset(list.bytes, list.start, list.end);
  let droppedCount = 0;
  let start = list.start;
  while (droppedCount < countMax && reader.remaining > 0 && isDead(reader.readDouble())) {
    reader.skip(reader.readVarint());
    start = reader.position;
    droppedCount++;
  }
  if (droppedCount === 0) {
    return { list, droppedCount };
  }
  if (droppedCount === list.elementCount) {
    return { list: undefined, droppedCount };
  }
  const rest = { bytes: list.bytes, start, end: list.end, elementCount: list.elementCount - droppedCount };
  // What was dropped gives its memory back as soon as it is most of the buffer.
  return { list: start * 2 > list.bytes.length ? compact(rest) : rest, droppedCount };
}

/** The living elements, and the list as it is without the dead ones, every one dying at `renewedDeathMs` if that is given. */
export function readLiving(
  list: StoredList,
  type: Type<unknown>,
  isDead: (deathMs: number) => boolean,
  renewedDeathMs: number | undefined,
): { readonly elements: readonly unknown[]; readonly list: StoredList | undefined } {
  const { bytes, start, end } = list;
  reader.reset(bytes, start, end);
  writer.reset();
  const elements: unknown[] = [];
  let isChanged = false;
  while (reader.remaining > 0) {
    const deathMs = reader.readDouble();
    const sizeBytes = reader.readVarint();
    if (isDead(deathMs)) {
      reader.skip(sizeBytes);
      isChanged = true;
      continue;
    }
    const at = reader.position;
    elements.push(type.decode(reader));
    isChanged ||= renewedDeathMs !== undefined && renewedDeathMs !== deathMs;
    writeMortalElement(renewedDeathMs ?? deathMs, bytes.subarray(at, at + sizeBytes), writer);
  }
  if (!isChanged) {
    return { elements, list };
  }
  return { elements, list: elements.length === 0 ? undefined : listOf(writer.toBytes(), elements.length) };
}

export function listOf(bytes: Uint8Array, elementCount: number): StoredList {
  return { bytes, start: 0, end: bytes.length, elementCount };
}

function compact({ bytes, start, end, elementCount }: StoredList): StoredList {
  return listOf(bytes.slice(start, end), elementCount);
}

const reader = new BinaryReader(new Uint8Array(0));
const writer = new BinaryWriter();
