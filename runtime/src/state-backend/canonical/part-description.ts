import { crc32 } from 'node:zlib';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { stateVersionUnknown } from '../state-version-unknown.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';
import { damaged } from './canonical-errors.ts';

/**
 * What a canonical part consists of. Its bytes, version 1:
 *
 *     magic "FJCP", version (uint32), this as JSON (a string), CRC-32 of all before it (uint32)
 *
 * Every version stays readable; a newer one is refused by name.
 */
export interface CanonicalPart {
  readonly declarations: WrittenDeclarations;
  readonly keyGroups: KeyGroupRange;
  readonly rowCount: number;
  /** In the order of their rows; none without rows. */
  readonly files: readonly CanonicalFile[];
}

export interface CanonicalFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly rowCount: number;
  /** Of its first and its last row; a key group can begin in one file and end in a later one. */
  readonly keyGroups: KeyGroupRange;
}

const magic = 0x50434a46;
const version = 1;
const headSizeBytes = 8;
const checksumSizeBytes = 4;

export function encodeCanonicalPart(part: CanonicalPart): Uint8Array {
  const writer = new BinaryWriter(4096);
  writer.writeUint32(magic);
  writer.writeUint32(version);
  writer.writeString(JSON.stringify(part));
  writer.writeUint32(crc32(writer.view()));
  return writer.toBytes();
}

export function decodeCanonicalPart(bytes: Uint8Array): CanonicalPart {
  if (bytes.length < headSizeBytes + checksumSizeBytes || new BinaryReader(bytes).readUint32() !== magic) {
    throw damaged(`a description of ${bytes.length} bytes does not begin like one`);
  }
  const reader = new BinaryReader(bytes, 4);
  const found = reader.readUint32();
  if (found > version) {
    throw stateVersionUnknown('keyed state in the canonical format', { found, known: version });
  }
  const contentSizeBytes = bytes.length - checksumSizeBytes;
  if (crc32(bytes.subarray(0, contentSizeBytes)) !== new BinaryReader(bytes, contentSizeBytes).readUint32()) {
    throw damaged('the description of a part has a wrong checksum');
  }
  // From here on the bytes are what was written.
  return JSON.parse(reader.readString()) as CanonicalPart;
}
