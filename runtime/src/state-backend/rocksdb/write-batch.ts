import { BinaryWriter } from '../../core/types/binary-writer.ts';

/**
 * RocksDB's own batch bytes, composed in one buffer that is used again and again: 8 bytes for a sequence number that RocksDB puts, the number of
 * records (uint32), then the records: a tag, the column family, a key and mostly a value, each with its length before it (varints).
 *
 * A record's key is first written into `key`, its value into `value`: their lengths must come before them.
 */
export class WriteBatch {
  readonly key = new BinaryWriter(256);
  readonly value = new BinaryWriter(1024);
  #bytes = new Uint8Array(64 * 1024);
  #length = headerSizeBytes;
  #recordCount = 0;

  get recordCount(): number {
    return this.#recordCount;
  }

  /** Bytes so far, header included. */
  get length(): number {
    return this.#length;
  }

  /** The bytes with the header complete; the first `length` count. Valid until the next record. */
  finish(): Uint8Array {
    const count = this.#recordCount;
    this.#bytes[8] = count;
    this.#bytes[9] = count >>> 8;
    this.#bytes[10] = count >>> 16;
    this.#bytes[11] = count >>> 24;
    return this.#bytes;
  }

  reset(): void {
    this.#length = headerSizeBytes;
    this.#recordCount = 0;
    if (this.#bytes.length > keptSizeBytesMax) {
      this.#bytes = new Uint8Array(64 * 1024);
    }
  }

  /** `key` becomes `value`; both are empty again after it, as after every record. */
  put(columnFamily: number): void {
    this.#begin(tags.put, columnFamily);
    this.#append(this.key);
    this.#append(this.value);
  }

  /** `value` is appended to what `key` has. */
  merge(columnFamily: number): void {
    this.#begin(tags.merge, columnFamily);
    this.#append(this.key);
    this.#append(this.value);
  }

  delete(columnFamily: number): void {
    this.#begin(tags.delete, columnFamily);
    this.#append(this.key);
    this.value.reset();
  }

  /** Every key from `key` on and before the one in `value`. */
  deleteRange(columnFamily: number): void {
    this.#begin(tags.deleteRange, columnFamily);
    this.#append(this.key);
    this.#append(this.value);
  }

  #begin(tag: number, columnFamily: number): void {
    this.#reserve(2 + 2 * lengthSizeBytesMax + this.key.length + this.value.length);
    this.#bytes[this.#length++] = tag;
    // Column families are few, so a number is a varint of one byte.
    this.#bytes[this.#length++] = columnFamily;
    this.#recordCount++;
  }

  #append(from: BinaryWriter): void {
    const bytes = this.#bytes;
    const count = from.length;
    let at = this.#length;
    let rest = count;
    for (; rest > 0x7f; rest >>>= 7) {
      bytes[at++] = (rest & 0x7f) | 0x80;
    }
    bytes[at++] = rest;
    if (count <= copiedByHandMax) {
      const source = from.buffer;
      for (let index = 0; index < count; index++) {
        bytes[at + index] = source[index] as number;
      }
    } else {
      bytes.set(from.view(), at);
    }
    from.reset();
    this.#length = at + count;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) {
      return;
    }
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const headerSizeBytes = 12;
const lengthSizeBytesMax = 5;
/** Up to here a loop costs less than making a view. */
const copiedByHandMax = 64;
/** A buffer that one huge value has grown is given back. */
const keptSizeBytesMax = 8 * 1024 * 1024;

/** RocksDB's record types that name their column family. */
const tags = { delete: 0x04, put: 0x05, merge: 0x06, deleteRange: 0x0e } as const;
