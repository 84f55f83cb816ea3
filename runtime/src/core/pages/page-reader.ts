import { JobError } from '../job-error.ts';
import type { Timestamps } from '../time/event-time.ts';
import { BinaryReader } from '../types/binary-reader.ts';
import type { Type } from '../types/type.ts';
import { pageFormat, timedFlag } from './page-format.ts';

export interface PageContent {
  readonly records: readonly unknown[];
  /** One per record. */
  readonly timestamps: Timestamps;
}

/** Reads whole pages, one after another. Throws `CorruptBytes` for what no `PageWriter` wrote. */
export class PageReader {
  readonly #reader = new BinaryReader(noBytes);

  read(page: Uint8Array, recordType: Type<unknown>): PageContent {
    const reader = this.#reader;
    reader.reset(page);
    try {
      return readContent(reader, recordType);
    } catch (error) {
      throw error instanceof JobError ? corruptPage(error) : error;
    } finally {
      // The page's memory is not held until the next one comes.
      reader.reset(noBytes);
    }
  }
}

/** Stored bytes stay what they are, but a page is written anew after a restart. */
function corruptPage(cause: JobError): JobError {
  return new JobError(`a page of records cannot be read: ${cause.message}`, {
    domain: 'external',
    retry: 'backoff',
    code: 'CorruptBytes',
    remedy: 'See that all TaskManagers run the same release; if they do, the bytes were changed on the way between them.',
    cause,
  });
}

function readContent(reader: BinaryReader, recordType: Type<unknown>): PageContent {
  const { recordCount, isTimed } = readHeader(reader);
  const timestamps = isTimed ? readTimestamps(reader, recordCount) : undefined;
  const records: unknown[] = [];
  for (let index = 0; index < recordCount; index++) {
    records.push(recordType.decode(reader));
  }
  if (reader.remaining > 0) {
    throw reader.corrupt('a page holds more than its records');
  }
  return { records, timestamps };
}

const noBytes = new Uint8Array(0);

function readHeader(reader: BinaryReader): { readonly recordCount: number; readonly isTimed: boolean } {
  const format = reader.readByte();
  if (format !== pageFormat) {
    throw reader.corrupt(`a page of format ${format}, where this runtime reads format ${pageFormat},`);
  }
  const flags = reader.readByte();
  if (flags > timedFlag) {
    throw reader.corrupt(`a page with unknown flags ${flags}`);
  }
  const recordCount = reader.readVarint();
  // No record has fewer than one byte, so a wrong count cannot make us reserve more than there is.
  if (recordCount > reader.remaining) {
    throw reader.corrupt(`a page of ${recordCount} records begins with too few bytes left`);
  }
  return { recordCount, isTimed: flags === timedFlag };
}

function readTimestamps(reader: BinaryReader, count: number): Float64Array {
  const timestamps = new Float64Array(count);
  let timestampMs = 0;
  for (let index = 0; index < count; index++) {
    timestampMs += reader.readZigzag();
    if (!Number.isSafeInteger(timestampMs)) {
      throw reader.corrupt('an event time beyond all times ends');
    }
    timestamps[index] = timestampMs;
  }
  return timestamps;
}
