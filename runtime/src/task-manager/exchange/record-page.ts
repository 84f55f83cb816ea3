import { assert } from '../../core/assert.ts';
import type { Timestamps } from '../../core/time/event-time.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Type } from '../../core/types/type.ts';

/** A page smaller than this lets go of the memory of larger ones. */
const shrinkBelowBytes = 4 * 1024;

/** Records as bytes: one byte that says whether they have event times, then the records, each behind its event time if they have. */
export class RecordPageWriter {
  readonly #recordType: Type<unknown>;
  #writer = new BinaryWriter();
  #largestBytes = 0;
  #recordCount = 0;
  #isTimed = false;

  constructor(recordType: Type<unknown>) {
    this.#recordType = recordType;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  get sizeBytes(): number {
    return this.#writer.length;
  }

  /** False when the records written so far have event times and this one does not, or the other way round: take them first. */
  takes(timestampMs: number | undefined): boolean {
    return this.#recordCount === 0 || this.#isTimed === (timestampMs !== undefined);
  }

  write(record: unknown, timestampMs: number | undefined): void {
    const writer = this.#writer;
    if (this.#recordCount === 0) {
      this.#isTimed = timestampMs !== undefined;
      writer.writeByte(this.#isTimed ? 1 : 0);
    }
    if (timestampMs !== undefined) {
      writer.writeDouble(timestampMs);
    }
    this.#recordType.encode(record, writer);
    this.#recordCount++;
  }

  /** The page, in a buffer of its own; the writer begins the next. */
  take(): Uint8Array<ArrayBuffer> {
    const page = this.#writer.toBytes();
    this.#largestBytes = Math.max(this.#largestBytes, page.length);
    if (this.#largestBytes >= shrinkBelowBytes && page.length < shrinkBelowBytes) {
      this.#writer = new BinaryWriter();
      this.#largestBytes = 0;
    }
    this.#writer.reset();
    this.#recordCount = 0;
    return page;
  }
}

/** Decodes pages; one for many. */
export class RecordPageReader {
  readonly #reader = new BinaryReader(new Uint8Array());

  read(
    page: { readonly recordCount: number; readonly records: Uint8Array },
    recordType: Type<unknown>,
  ): { readonly records: readonly unknown[]; readonly timestamps: Timestamps } {
    const reader = this.#reader;
    reader.reset(page.records);
    const timestamps = reader.readByte() === 1 ? new Float64Array(page.recordCount) : undefined;
    const records: unknown[] = new Array(page.recordCount);
    for (let index = 0; index < records.length; index++) {
      if (timestamps !== undefined) {
        timestamps[index] = reader.readDouble();
      }
      records[index] = recordType.decode(reader);
    }
    assert(reader.remaining === 0, 'a page holds its records and nothing else');
    return { records, timestamps };
  }
}
