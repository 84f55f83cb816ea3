import { crc32 } from 'node:zlib';
import { JobError } from '../../core/job-error.ts';
import type { StateDeclaration } from '../../core/job-graph/job-graph.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { TypeDescriptor } from '../../core/types/type.ts';

/**
 * The bytes of a snapshot, version 1. Every version stays readable; a newer one is refused by name.
 *
 *     magic "FJHM", version (uint32)
 *     header: JSON as a string; says what the entries are, so that they can be checked without the job
 *     block per key group that has entries: sections, each { section id (varint), length (varint), entries }
 *     index: count (varint), then per block { key group, offset from the part's begin, length } (varints)
 *     trailer: length of the index (uint32), CRC-32 of everything before it (uint32)
 *
 * A section's entries: count (varint), then each as its state wrote it. Section 0 has the timers, section n the header's nth state.
 */
export interface StatePartHeader {
  readonly keyGroupHash: string;
  readonly maxParallelism: number;
  readonly keyGroups: KeyGroupRange;
  readonly keyType: TypeDescriptor;
  readonly states: readonly StateDeclaration[];
}

export interface StatePartBlock {
  readonly keyGroup: number;
  readonly offset: number;
  readonly length: number;
}

const magic = 0x4d484a46;
const version = 1;
const trailerSizeBytes = 8;

/** Collects a part in pieces, so that a large one is copied once and not at every doubling of one buffer. */
export class StatePartWriter {
  readonly #pieces: Uint8Array[] = [];
  readonly #blocks: StatePartBlock[] = [];
  #sizeBytes = 0;
  #checksum = 0;

  constructor(header: StatePartHeader) {
    const writer = new BinaryWriter();
    writer.writeUint32(magic);
    writer.writeUint32(version);
    writer.writeString(JSON.stringify(header));
    this.#append(writer.toBytes());
  }

  /** `bytes` are kept, not copied. */
  addBlock(keyGroup: number, bytes: Uint8Array): void {
    this.#blocks.push({ keyGroup, offset: this.#sizeBytes, length: bytes.length });
    this.#append(bytes);
  }

  finish(): Uint8Array {
    const writer = new BinaryWriter();
    writer.writeVarint(this.#blocks.length);
    for (const { keyGroup, offset, length } of this.#blocks) {
      writer.writeVarint(keyGroup);
      writer.writeVarint(offset);
      writer.writeVarint(length);
    }
    const indexSizeBytes = writer.length;
    writer.writeUint32(indexSizeBytes);
    this.#append(writer.toBytes());
    writer.reset();
    writer.writeUint32(this.#checksum);
    this.#append(writer.toBytes());
    const part = new Uint8Array(this.#sizeBytes);
    let offset = 0;
    for (const piece of this.#pieces) {
      part.set(piece, offset);
      offset += piece.length;
    }
    return part;
  }

  #append(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#sizeBytes += bytes.length;
    this.#checksum = crc32(bytes, this.#checksum);
  }
}

/** Verifies the bytes as a whole and gives what the part has; refuses what is damaged and what a newer runtime wrote. */
export function openStatePart(part: Uint8Array): {
  readonly header: StatePartHeader;
  readonly blocks: readonly StatePartBlock[];
} {
  if (part.length < 8 || new BinaryReader(part).readUint32() !== magic) {
    throw damaged(`${part.length} bytes that do not begin like one`);
  }
  const reader = new BinaryReader(part, 4);
  const found = reader.readUint32();
  if (found > version) {
    throw new JobError(
      `keyed state was written in version ${found} of its format; this runtime knows versions up to ${version}`,
      {
        domain: 'user',
        retry: 'never',
        code: 'StateVersionUnknown',
        remedy: 'Restore with the runtime version that wrote the checkpoint, or a newer one.',
      },
    );
  }
  const trailer = new BinaryReader(part, Math.max(part.length - trailerSizeBytes, 8));
  if (trailer.remaining < trailerSizeBytes) {
    throw damaged(`only ${part.length} bytes`);
  }
  const indexSizeBytes = trailer.readUint32();
  const checksum = trailer.readUint32();
  if (crc32(part.subarray(0, part.length - 4)) !== checksum) {
    throw damaged(`${part.length} bytes with a wrong checksum`);
  }
  // From here on the bytes are what was written.
  const header = JSON.parse(reader.readString()) as StatePartHeader;
  const index = new BinaryReader(part, part.length - trailerSizeBytes - indexSizeBytes);
  const blocks = Array.from({ length: index.readVarint() }, () => ({
    keyGroup: index.readVarint(),
    offset: index.readVarint(),
    length: index.readVarint(),
  }));
  return { header, blocks };
}

function damaged(what: string): JobError {
  return new JobError(`a part of keyed state is truncated or changed: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateCorrupt',
    remedy: 'Restore an older checkpoint or a savepoint, and look for what changed the files in checkpoint storage.',
  });
}
