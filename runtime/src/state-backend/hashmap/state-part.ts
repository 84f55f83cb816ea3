import { crc32 } from 'node:zlib';
import { JobError } from '../../core/job-error.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { stateVersionUnknown } from '../state-version-unknown.ts';
import type { WrittenDeclarations } from '../written-declarations.ts';

/**
 * The bytes of a snapshot, version 2. A newer version is refused by name; version 1 hashed other bytes of the keys, and is refused too.
 *
 *     magic "FJHM", version (uint32)
 *     header: JSON as a string; says what the entries are, so that they can be checked without the job
 *     records: length (varint, never 0), then as many bytes
 *         key group (varint), key (bytes with their length), 0 or 1 and a namespace (bytes with their length)
 *         sections: section id (varint), length (varint), then as many bytes: count of entries (varint), the entries as their slot writes them
 *     0 (varint)
 *     trailer: CRC-32 of everything before it (uint32)
 *
 * Sections 0 and 1 have the timers of processing and of event time, section n + 2 the header's nth state. A cell that is large is in
 * several records. Records are in no order: a restore passes over those of others' key groups by their length.
 */
export const firstStateSectionId = 2;

const magic = 0x4d484a46;
const version = 2;
const trailerSizeBytes = 4;

/**
 * Collects a part in one buffer that is made as large as the part may become: memory is taken page by page as it is written, so the guess
 * costs nothing, and a large part is not there twice at the end.
 */
export class StatePartWriter {
  readonly #piece = new BinaryWriter(pieceSizeBytes);
  #bytes: Uint8Array<ArrayBuffer>;
  #sizeBytes = 0;
  #checksum = 0;

  /** `expectedSizeBytes`: rather too much than too little. */
  constructor(declarations: WrittenDeclarations, expectedSizeBytes: number) {
    this.#bytes = new Uint8Array(expectedSizeBytes + pieceSizeBytes);
    this.#piece.writeUint32(magic);
    this.#piece.writeUint32(version);
    this.#piece.writeString(JSON.stringify(declarations));
  }

  get sizeBytes(): number {
    return this.#sizeBytes + this.#piece.length;
  }

  addRecord(record: Uint8Array): void {
    this.#piece.writeBytes(record);
    if (this.#piece.length >= pieceSizeBytes) {
      this.#endPiece();
    }
  }

  finish(): Uint8Array {
    this.#piece.writeVarint(0);
    this.#endPiece();
    this.#piece.writeUint32(this.#checksum);
    this.#endPiece();
    return this.#bytes.subarray(0, this.#sizeBytes);
  }

  #endPiece(): void {
    const piece = this.#piece.view();
    this.#checksum = crc32(piece, this.#checksum);
    const sizeBytes = this.#sizeBytes + piece.length;
    if (sizeBytes > this.#bytes.length) {
      const larger = new Uint8Array(sizeBytes * 2);
      larger.set(this.#bytes.subarray(0, this.#sizeBytes));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
    this.#piece.reset();
  }
}

const pieceSizeBytes = 256 * 1024;

/** Verifies the bytes as a whole and gives what the part has, with a reader at its first record. */
export function openStatePart(part: Uint8Array): { readonly declarations: WrittenDeclarations; readonly records: BinaryReader } {
  const reader = new BinaryReader(part, 0, Math.max(part.length - trailerSizeBytes, 0));
  if (reader.remaining < 8 || reader.readUint32() !== magic) {
    throw damaged(`${part.length} bytes that do not begin like one`);
  }
  const found = reader.readUint32();
  if (found !== version) {
    throw stateVersionUnknown('keyed state', { found, known: version });
  }
  const checkedSizeBytes = part.length - trailerSizeBytes;
  if (crc32(part.subarray(0, checkedSizeBytes)) !== new BinaryReader(part, checkedSizeBytes).readUint32()) {
    throw damaged(`${part.length} bytes with a wrong checksum`);
  }
  // From here on the bytes are what was written.
  return { declarations: JSON.parse(reader.readString()) as WrittenDeclarations, records: reader };
}

function damaged(what: string): JobError {
  return new JobError(`a part of keyed state is truncated or changed: ${what}`, {
    domain: 'external',
    retry: 'never',
    code: 'StateCorrupt',
    remedy: 'Restore an older checkpoint or a savepoint, and look for what changed the files in checkpoint storage.',
  });
}
