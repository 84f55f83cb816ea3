import { crc32 } from 'node:zlib';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { stateVersionUnknown } from '../state-version-unknown.ts';
import { damaged } from './canonical-errors.ts';

/**
 * A file of rows in ascending order of their keys, version 1:
 *
 *     magic "FJCR", version (uint32)
 *     blocks: rows, then the CRC-32 of them (uint32)
 *         row: how many bytes its key shares with the row's before in the block (varint, 0 of the first), the rest of the key, the value
 *              (both bytes with their length)
 *     index: for each block the size of its rows (varint), their number (varint) and the first one's key (bytes with their length)
 *     size of the index (uint32), CRC-32 of the index (uint32), magic
 *
 * uint32 is little-endian. So a reader that wants some keys of the file looks at those blocks alone, and what it looks at is verified.
 */
const magic = 0x52434a46;
const version = 1;
const headSizeBytes = 8;
const footSizeBytes = 12;
const checksumSizeBytes = 4;

/** A block ends with the row that reaches it. */
const blockSizeBytes = 32 * 1024;
/** A file ends with the row that reaches it; a little less than a power of two, so that a buffer that doubles does not become twice as large for it. */
const fileSizeBytesMax = 15 * 1024 * 1024;

export class RowsFileWriter {
  readonly #bytes = new BinaryWriter(blockSizeBytes * 2);
  readonly #index = new BinaryWriter();
  /** Of the last row. */
  #key: Uint8Array = new Uint8Array(256);
  #keySizeBytes = 0;
  #firstKeyOfBlock: Uint8Array = new Uint8Array(0);
  #blockStart = 0;
  #blockRowCount = 0;
  #rowCount = 0;

  readonly #fileSizeBytes: number;

  constructor(fileSizeBytes = fileSizeBytesMax) {
    this.#fileSizeBytes = fileSizeBytes;
    this.reset();
  }

  reset(): void {
    this.#bytes.reset();
    this.#index.reset();
    this.#bytes.writeUint32(magic);
    this.#bytes.writeUint32(version);
    this.#blockStart = headSizeBytes;
    this.#blockRowCount = 0;
    this.#rowCount = 0;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get isFull(): boolean {
    return this.#bytes.length >= this.#fileSizeBytes;
  }

  /** Greater than the one before, which is for the caller to see to. */
  add(key: Uint8Array, value: Uint8Array): void {
    const isFirst = this.#blockRowCount === 0;
    const sharedCount = isFirst ? 0 : this.#sharedCount(key);
    if (isFirst) {
      this.#firstKeyOfBlock = key.slice();
    }
    this.#bytes.writeVarint(sharedCount);
    this.#bytes.writeBytes(key.subarray(sharedCount));
    this.#bytes.writeBytes(value);
    this.#keepKey(key);
    this.#blockRowCount++;
    this.#rowCount++;
    if (this.#bytes.length - this.#blockStart >= blockSizeBytes) {
      this.#endBlock();
    }
  }

  /** The file. Valid until the next `reset`. */
  finish(): Uint8Array {
    this.#endBlock();
    const index = this.#index.view();
    this.#bytes.writeRaw(index);
    this.#bytes.writeUint32(index.length);
    this.#bytes.writeUint32(crc32(index));
    this.#bytes.writeUint32(magic);
    return this.#bytes.view();
  }

  #endBlock(): void {
    if (this.#blockRowCount === 0) {
      return;
    }
    const rows = this.#bytes.view().subarray(this.#blockStart);
    this.#index.writeVarint(rows.length);
    this.#index.writeVarint(this.#blockRowCount);
    this.#index.writeBytes(this.#firstKeyOfBlock);
    this.#bytes.writeUint32(crc32(rows));
    this.#blockStart = this.#bytes.length;
    this.#blockRowCount = 0;
  }

  #sharedCount(key: Uint8Array): number {
    const countMax = Math.min(key.length, this.#keySizeBytes);
    let count = 0;
    while (count < countMax && key[count] === this.#key[count]) {
      count++;
    }
    return count;
  }

  #keepKey(key: Uint8Array): void {
    if (key.length > this.#key.length) {
      this.#key = new Uint8Array(key.length * 2);
    }
    this.#key.set(key);
    this.#keySizeBytes = key.length;
  }
}

export interface RowsBlock {
  /** Of its rows in the file. */
  readonly start: number;
  readonly end: number;
  readonly rowCount: number;
  readonly firstKey: Uint8Array;
}

/** The index of a file. */
export function readBlocks(file: Uint8Array, name: string): readonly RowsBlock[] {
  const reader = new BinaryReader(file);
  if (file.length < headSizeBytes + footSizeBytes || reader.readUint32() !== magic) {
    throw damaged(`${name} does not begin like a file of rows`);
  }
  const found = reader.readUint32();
  if (found > version) {
    throw stateVersionUnknown('keyed state in the canonical format', { found, known: version });
  }
  reader.reset(file, file.length - footSizeBytes);
  const indexSizeBytes = reader.readUint32();
  const checksum = reader.readUint32();
  const indexStart = file.length - footSizeBytes - indexSizeBytes;
  const index = file.subarray(Math.max(indexStart, 0), file.length - footSizeBytes);
  if (reader.readUint32() !== magic || indexStart < headSizeBytes || crc32(index) !== checksum) {
    throw damaged(`the index of ${name} has a wrong checksum`);
  }
  reader.reset(index);
  const blocks: RowsBlock[] = [];
  for (let start = headSizeBytes; reader.remaining > 0; ) {
    const end = start + reader.readVarint();
    blocks.push({ start, end, rowCount: reader.readVarint(), firstKey: reader.readBytes() });
    start = end + checksumSizeBytes;
  }
  return blocks;
}

/** The rows of a block: their keys one after the other in bytes of their own, and where key and value of each are. */
export interface BlockRows {
  readonly keys: Uint8Array;
  readonly keyEnds: Uint32Array;
  /** Start and end in the file. */
  readonly values: Uint32Array;
}

export function readBlock(file: Uint8Array, { start, end, rowCount }: RowsBlock, name: string): BlockRows {
  const checksum = end + checksumSizeBytes <= file.length ? new BinaryReader(file, end).readUint32() : undefined;
  if (crc32(file.subarray(start, end)) !== checksum) {
    throw damaged(`the rows at byte ${start} of ${name} have a wrong checksum`);
  }
  const reader = new BinaryReader(file, start, end);
  const keys = new BinaryWriter((end - start) * 2);
  const keyEnds = new Uint32Array(rowCount);
  const values = new Uint32Array(rowCount * 2);
  for (let index = 0, keyStart = 0; index < rowCount; index++) {
    const sharedCount = reader.readVarint();
    const restCount = reader.readVarint();
    const keyStartNow = keys.length;
    // What is written may move the buffer, so the shared bytes are taken out of it in the same call.
    keys.writeRaw(keys.view().subarray(keyStart, keyStart + sharedCount));
    keys.writeRaw(file.subarray(reader.position, reader.position + restCount));
    reader.skip(restCount);
    keyStart = keyStartNow;
    keyEnds[index] = keys.length;
    const valueSizeBytes = reader.readVarint();
    values[2 * index] = reader.position;
    reader.skip(valueSizeBytes);
    values[2 * index + 1] = reader.position;
  }
  if (reader.remaining !== 0) {
    throw damaged(`the rows at byte ${start} of ${name} are not ${rowCount}`);
  }
  return { keys: keys.view(), keyEnds, values };
}
