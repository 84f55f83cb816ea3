import { crc32 } from 'node:zlib';
import { JobError } from '../../core/job-error.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { TypeDescriptor } from '../../core/types/type.ts';
import { stateVersionUnknown } from '../state-version-unknown.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';
import { formatVersion, formatVersionWithoutForms } from './key-layout.ts';

/**
 * What a snapshot's files are. Its bytes:
 *
 *     magic "FJRD", version of the format of rows (uint32), this as JSON (a string), CRC-32 of all before it (uint32)
 *
 * Every version stays readable; a newer one is refused by name.
 */
export interface StatePart {
  readonly declarations: WrittenDeclarations;
  readonly keyGroups: KeyGroupRange;
  /** Of each state in `declarations`, in the same order. */
  readonly stateIds: readonly number[];
  /** Of each state, see `value-forms`: null where its values have no byte for their form. Absent in version 1: none has one. */
  readonly valueForms?: readonly (readonly TypeDescriptor[] | null)[];
  /** Below it an id may have been given to a state that is gone. */
  readonly nextStateId: number;
  readonly nextListSequence: number;
  /** Release that wrote the files. */
  readonly rocksdbVersion: string;
  readonly files: readonly StatePartFile[];
}

export interface StatePartFile {
  /** RocksDB's own: `000012.sst`, and one `MANIFEST-000005`. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Undefined of a small one, which travels with the description of the checkpoint. */
  readonly sha256?: string | undefined;
}

const magic = 0x44524a46;
const headSizeBytes = 8;
const checksumSizeBytes = 4;

export function encodeStatePart(part: StatePart): Uint8Array {
  const writer = new BinaryWriter(4096);
  writer.writeUint32(magic);
  writer.writeUint32(part.valueForms?.some((forms) => forms !== null) === true ? formatVersion : formatVersionWithoutForms);
  writer.writeString(JSON.stringify(part));
  writer.writeUint32(crc32(writer.view()));
  return writer.toBytes();
}

export function decodeStatePart(bytes: Uint8Array): StatePart {
  if (bytes.length < headSizeBytes + checksumSizeBytes || new BinaryReader(bytes).readUint32() !== magic) {
    throw damaged(`${bytes.length} bytes that do not begin like one`);
  }
  const reader = new BinaryReader(bytes, 4);
  const version = reader.readUint32();
  if (version > formatVersion) {
    throw stateVersionUnknown('keyed state', { found: version, known: formatVersion });
  }
  const contentSizeBytes = bytes.length - checksumSizeBytes;
  const checksum = new BinaryReader(bytes, contentSizeBytes).readUint32();
  if (crc32(bytes.subarray(0, contentSizeBytes)) !== checksum) {
    throw damaged(`${bytes.length} bytes with a wrong checksum`);
  }
  // From here on the bytes are what was written.
  return JSON.parse(reader.readString()) as StatePart;
}

function damaged(what: string): JobError {
  return new JobError(`the description of a part of keyed state is truncated or changed: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateCorrupt',
    remedy: 'Restore an older checkpoint or a savepoint, and look for what changed the files in checkpoint storage.',
  });
}
