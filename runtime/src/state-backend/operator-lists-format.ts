import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import type { TypeDescriptor } from '../core/types/type.ts';
import { stateVersionUnknown } from './state-version-unknown.ts';

/**
 * Operator state of one subtask, version 1, the same for all state backends and kinds of snapshot.
 *
 *     version (a byte), count of states (varint), then of each: its name (a string), the type of its elements (JSON, a string), count of elements
 *     (varint), then the `encode` bytes of each element (bytes with their length)
 */
const version = 1;

export interface EncodedList {
  readonly name: string;
  readonly elementType: TypeDescriptor;
  readonly elements: readonly Uint8Array[];
}

export interface StoredElement {
  readonly state: string;
  /** Of the element in its list, from 0. */
  readonly index: number;
  readonly element: Uint8Array;
  /** That the element was written with. */
  readonly elementType: TypeDescriptor;
}

export function encodeOperatorLists(lists: readonly EncodedList[], expectedSizeBytes = 256): Uint8Array {
  const writer = new BinaryWriter(expectedSizeBytes);
  writer.writeByte(version);
  writer.writeVarint(lists.length);
  for (const { name, elementType, elements } of lists) {
    writer.writeString(name);
    writer.writeString(JSON.stringify(elementType));
    writer.writeVarint(elements.length);
    for (const element of elements) {
      writer.writeBytes(element);
    }
  }
  return writer.toBytes();
}

export function* decodeOperatorLists(bytes: Uint8Array): Generator<StoredElement> {
  const reader = new BinaryReader(bytes);
  const found = reader.readByte();
  if (found !== version) {
    throw stateVersionUnknown('operator state', { found, known: version });
  }
  for (let count = reader.readVarint(); count > 0; count--) {
    const state = reader.readString();
    const elementType = JSON.parse(reader.readString()) as TypeDescriptor;
    const elementCount = reader.readVarint();
    for (let index = 0; index < elementCount; index++) {
      yield { state, index, element: reader.readBytes(), elementType };
    }
  }
  if (reader.remaining !== 0) {
    throw reader.corrupt('operator state goes on after its last element');
  }
}
