import { BinaryWriter } from '../types/binary-writer.ts';
import type { Type } from '../types/type.ts';
import { pageFormat, timedFlag } from './page-format.ts';

/** Version, flags and the largest number of records that a page can be thought to have. */
const headerSizeMax = 8;

/** A buffer that has grown beyond this is let go of when its page is done: the record that needed it was an exception. */
const keptBytesMax = 128 * 1024;

/** A page below this, sent because time was up, says that little comes: the memory of larger ones is let go of. */
const shrinkBelowBytes = 4 * 1024;

/**
 * Writes one page after another. Its buffers are used again for the next page, and `finish` copies what they hold: a page is sent when it
 * is full or when its time is up, and only the copy knows how large it is. Of 32 KiB that costs a few microseconds, against some
 * hundred records' encoding; a buffer given away would have to be made anew at its full size, and carried at it.
 *
 * After a record that was refused the page is spoilt: the task that wrote it ends.
 */
export class PageWriter {
  readonly #recordType: Type<unknown>;
  readonly #header = new BinaryWriter(16);
  #times = new BinaryWriter(16);
  #records = new BinaryWriter();
  #recordCount = 0;
  #isTimed = false;
  #lastTimestampMs = 0;

  constructor(recordType: Type<unknown>) {
    this.#recordType = recordType;
  }

  get recordCount(): number {
    return this.#recordCount;
  }

  /** At most this large is the page with what was written so far. */
  get sizeBytes(): number {
    return headerSizeMax + this.#times.length + this.#records.length;
  }

  /**
   * False when a record with this event time cannot be in the page with those written so far: they have event times and it has none, or the
   * other way round, or its distance is beyond what an integer holds. Finish the page first.
   */
  takes(timestampMs: number | undefined): boolean {
    if (this.#recordCount === 0) {
      return true;
    }
    return timestampMs === undefined
      ? !this.#isTimed
      : this.#isTimed && Number.isSafeInteger(timestampMs - this.#lastTimestampMs);
  }

  /** Only what the page `takes`. */
  write(record: unknown, timestampMs: number | undefined): void {
    if (timestampMs !== undefined) {
      this.#times.writeZigzag(timestampMs - this.#lastTimestampMs);
      this.#lastTimestampMs = timestampMs;
      this.#isTimed = true;
    }
    this.#recordType.encode(record, this.#records);
    this.#recordCount++;
  }

  /** The page in a buffer of its own, which can be transferred; the next record begins the next page. */
  finish(): Uint8Array<ArrayBuffer> {
    const header = this.#header;
    header.reset();
    header.writeByte(pageFormat);
    header.writeByte(this.#isTimed ? timedFlag : 0);
    header.writeVarint(this.#recordCount);
    const page = new Uint8Array(header.length + this.#times.length + this.#records.length);
    page.set(header.view());
    page.set(this.#times.view(), header.length);
    page.set(this.#records.view(), header.length + this.#times.length);
    this.#times = emptied(this.#times, page.length);
    this.#records = emptied(this.#records, page.length);
    this.#recordCount = 0;
    this.#isTimed = false;
    this.#lastTimestampMs = 0;
    return page;
  }
}

function emptied(writer: BinaryWriter, pageSizeBytes: number): BinaryWriter {
  const { length } = writer.buffer;
  if (length > keptBytesMax || (length > shrinkBelowBytes && pageSizeBytes < shrinkBelowBytes)) {
    return new BinaryWriter();
  }
  writer.reset();
  return writer;
}
