import type { SplitState } from '../checkpoint/manifest.ts';
import { BinaryReader } from '../types/binary-reader.ts';
import { BinaryWriter } from '../types/binary-writer.ts';
import { compileCodec } from '../types/compile-codec.ts';
import { writtenValues } from '../types/convert-value.ts';
import type { TypeDescriptor } from '../types/type.ts';

/** Stored positions as values of the source's type of now; `compareTypes` has found no problem. */
export function convertPositions(
  splits: readonly SplitState[],
  before: TypeDescriptor | undefined,
  now: TypeDescriptor,
): readonly SplitState[] {
  const written = before === undefined ? undefined : writtenValues(before, now);
  if (written === undefined) {
    return splits;
  }
  const codec = compileCodec(now);
  return splits.map((split) => {
    const position = written.convert(written.type.decode(new BinaryReader(fromBase64(split.positionBase64))));
    const writer = new BinaryWriter();
    codec.encode(position, writer);
    return { ...split, positionBase64: toBase64(writer.view()) };
  });
}

function fromBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}
