import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import type { Type } from '../../core/types/type.ts';
import { listOf, type StoredList, writeMortalElement } from './stored-list.ts';
import { isStoredDirectly } from './stored-value.ts';

/** Of a value that was written with another type: what it is with the type of now. */
export function readWrittenValue(reader: BinaryReader, { type, convert }: WrittenValues): unknown {
  if (isStoredDirectly(type)) {
    return convert(type.decode(reader));
  }
  valueReader.reset(reader.readBytes());
  return convert(type.decode(valueReader));
}

/** The elements of a list that was written with another type, as they are written now. */
export function convertList(
  list: StoredList,
  { type, convert }: WrittenValues,
  to: { readonly elementType: Type<unknown>; readonly isMortal: boolean },
): StoredList {
  valueReader.reset(list.bytes, list.start, list.end);
  writer.reset();
  for (let left = list.elementCount; left > 0; left--) {
    if (to.isMortal) {
      const deathMs = valueReader.readDouble();
      // The length of the element, which ends by itself.
      valueReader.skipVarint();
      elementWriter.reset();
      to.elementType.encode(convert(type.decode(valueReader)), elementWriter);
      writeMortalElement(deathMs, elementWriter.view(), writer);
    } else {
      to.elementType.encode(convert(type.decode(valueReader)), writer);
    }
  }
  return listOf(writer.toBytes(), list.elementCount);
}

const valueReader = new BinaryReader(new Uint8Array(0));
const writer = new BinaryWriter();
const elementWriter = new BinaryWriter();
