import { type FileHandle, open, stat } from 'node:fs/promises';
import { JobError } from '../../core/job-error.ts';
import type { SourceReader, SourceReaderContext, Split, SplitRecords } from '../../core/job-graph/source.ts';
import { LineSplitter } from '../line-splitter.ts';
import { RateLimit } from '../rate-limit.ts';
import type { FilePosition } from './file-lines.ts';

const chunkSizeBytes = 64 * 1024;

interface OpenSplit {
  readonly path: string;
  round: number;
  offset: number;
  finished: boolean;
}

interface OpenFile {
  readonly split: OpenSplit;
  readonly handle: FileHandle;
  readonly splitter: LineSplitter;
}

interface ReaderOptions {
  readonly context: SourceReaderContext;
  readonly splits: readonly Split<FilePosition>[];
  readonly repeat: boolean;
  readonly linesPerSecond: number | undefined;
}

/**
 * Reads one file after the other, one chunk ahead of what was polled. With event time it goes on, after each chunk, with the file that is
 * furthest behind: so files that follow each other in time are read one after the other, and files of the same time side by side, and
 * neither makes records late. Only one file is open; one that was left is opened again at its position.
 */
export class FileLinesReader implements SourceReader<string, FilePosition> {
  readonly #context: SourceReaderContext;
  readonly #repeat: boolean;
  readonly #splits: readonly OpenSplit[];
  readonly #byPath: ReadonlyMap<string, OpenSplit>;
  readonly #rateLimit: RateLimit | undefined;
  #rateTimer: NodeJS.Timeout | undefined;
  #paused: ReadonlySet<string> = new Set();
  /** What the buffered lines are of. */
  #current: OpenSplit | undefined;
  #file: OpenFile | undefined;
  #readOffset = 0;
  #lines: string[] = [];
  /** Size of each buffered line in the file, its end included. */
  #sizes: number[] = [];
  #next = 0;
  #fileEnded = false;
  /** The chunk that was read last ended no line. */
  #isWithinLine = false;
  #loading: Promise<void> | undefined;
  /** Files in a row that gave nothing; to tell an input that can never give anything. */
  #emptyFileCount = 0;
  #closed = false;
  /** Undefined until all are known; of files that repeat there is no end. */
  #fileSizeBytes: number | undefined;
  readonly #measured: Promise<void>;

  constructor(options: ReaderOptions) {
    this.#context = options.context;
    this.#repeat = options.repeat;
    this.#splits = options.splits.map(({ id, position }) => ({ path: id, ...position, finished: false }));
    this.#byPath = new Map(this.#splits.map((split) => [split.path, split]));
    this.#rateLimit =
      options.linesPerSecond === undefined ? undefined : new RateLimit(options.linesPerSecond, options.context.nowMs());
    this.#measured = options.repeat ? Promise.resolve() : this.#measureFiles();
  }

  poll(countMax: number): SplitRecords<string> | 'Pending' | 'End' {
    if (this.#loading !== undefined) {
      return 'Pending';
    }
    const current = this.#current;
    if (current === undefined || this.#paused.has(current.path) || this.#next === this.#lines.length) {
      return this.#advance();
    }
    const available = Math.min(countMax, this.#lines.length - this.#next);
    const count = this.#rateLimit === undefined ? available : this.#rateLimit.take(available, this.#context.nowMs());
    if (count === 0) {
      this.#wakeLater();
      return 'Pending';
    }
    return { splitId: current.path, records: this.#take(current, count) };
  }

  positions(): readonly Split<FilePosition>[] {
    return this.#splits.map(({ path, round, offset }) => ({ id: path, position: { round, offset } }));
  }

  pauseSplits(splitIds: ReadonlySet<string>): void {
    this.#paused = splitIds;
  }

  /** A file that is not read to its end has more; it only waits for its turn, its rate or the disk. */
  isReadable(splitId: string): boolean {
    return this.#byPath.get(splitId)?.finished === false;
  }

  pendingBytes(): number | undefined {
    const readSizeBytes = this.#splits.reduce((sum, { offset }) => sum + offset, 0);
    return this.#fileSizeBytes === undefined ? undefined : Math.max(0, this.#fileSizeBytes - readSizeBytes);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#rateTimer);
    await this.#measured;
    await this.#loading;
    await this.#closeFile();
  }

  /** One after the other, beside the reading. A file that is not there is reported when it is read; until then nobody knows how much is left. */
  async #measureFiles(): Promise<void> {
    let sizeBytes = 0;
    for (const { path } of this.#splits) {
      const found = this.#closed ? undefined : await stat(path).catch(() => undefined);
      if (found === undefined) {
        return;
      }
      sizeBytes += found.size;
    }
    this.#fileSizeBytes = sizeBytes;
  }

  #take(current: OpenSplit, count: number): readonly string[] {
    const lines = this.#lines.slice(this.#next, this.#next + count);
    for (let index = this.#next; index < this.#next + count; index++) {
      current.offset += this.#sizes[index] ?? 0;
    }
    this.#next += count;
    return lines;
  }

  /** Everything read was given out, or must not be: takes the next chunk, of this or of another file. */
  #advance(): SplitRecords<string> | 'Pending' | 'End' {
    const ended = this.#fileEnded && this.#next === this.#lines.length ? this.#finishFile() : undefined;
    if (ended !== undefined) {
      return { splitId: ended.path, records: [], isLast: true };
    }
    const next = this.#nextSplit();
    if (next === undefined) {
      return this.#splits.every(({ finished }) => finished) ? 'End' : 'Pending';
    }
    const isAllTaken = this.#next === this.#lines.length;
    this.#current = next;
    this.#lines = [];
    this.#sizes = [];
    this.#next = 0;
    this.#fileEnded = false;
    this.#loading = this.#load(next, { reopen: !isAllTaken }).then(
      () => this.#loaded(),
      (error: unknown) => {
        this.#loading = undefined;
        this.#context.fail(error);
      },
    );
    return 'Pending';
  }

  #loaded(): void {
    this.#loading = undefined;
    if (!this.#closed) {
      this.#context.wake();
    }
  }

  /** The file furthest behind in event time; of those the one being read, or else the one that was repeated least, so that all get their turn. */
  #nextSplit(): OpenSplit | undefined {
    let next: OpenSplit | undefined;
    let lowestMs = Number.POSITIVE_INFINITY;
    for (const split of this.#splits) {
      if (split.finished || this.#paused.has(split.path)) {
        continue;
      }
      // A line that is longer than a chunk must be read to its end, or it would be begun again and again.
      if (split === this.#current && this.#isWithinLine) {
        return split;
      }
      const watermarkMs = this.#context.watermarkMs(split.path);
      const isBetter = next === undefined || split === this.#current || (next !== this.#current && split.round < next.round);
      if (watermarkMs < lowestMs || (watermarkMs === lowestMs && isBetter)) {
        next = split;
        lowestMs = watermarkMs;
      }
    }
    return next;
  }

  /** Gives the file if nothing more will come from it. */
  #finishFile(): OpenSplit | undefined {
    const split = this.#current;
    this.#current = undefined;
    this.#fileEnded = false;
    if (split === undefined) {
      return undefined;
    }
    if (!this.#repeat) {
      split.finished = true;
      return split;
    }
    this.#emptyFileCount = split.offset === 0 ? this.#emptyFileCount + 1 : 0;
    if (this.#emptyFileCount > this.#splits.length) {
      throw new JobError('fileLines: repeat was asked for, but no file of this subtask has a line', {
        domain: 'user',
        retry: 'never',
        code: 'InputFileEmpty',
        remedy: 'Point it at files with content.',
      });
    }
    split.round++;
    split.offset = 0;
    return undefined;
  }

  /** `reopen`: what was buffered was not taken, because its file was paused, and is read again later. */
  async #load(split: OpenSplit, { reopen }: { readonly reopen: boolean }): Promise<void> {
    try {
      if (reopen) {
        await this.#closeFile();
      }
      await this.#readChunk(split);
    } catch (error) {
      if (error instanceof JobError) {
        throw error;
      }
      throw new JobError(`fileLines: cannot read ${split.path}: ${error instanceof Error ? error.message : error}`, {
        domain: 'external',
        retry: 'backoff',
        code: 'InputFileUnreadable',
        remedy: 'The file must stay as it is while the job lives.',
        cause: error,
      });
    }
  }

  async #readChunk(split: OpenSplit): Promise<void> {
    const { handle, splitter } = await this.#open(split);
    const lines: string[] = [];
    const sizes: number[] = [];
    const add = (line: string, sizeBytes: number) => {
      lines.push(line);
      sizes.push(sizeBytes);
    };
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(chunkSizeBytes), 0, chunkSizeBytes, this.#readOffset);
    if (bytesRead === 0) {
      splitter.end(add);
      await this.#closeFile();
      this.#fileEnded = true;
    } else {
      this.#readOffset += bytesRead;
      splitter.push(buffer.subarray(0, bytesRead), add);
    }
    this.#lines = lines;
    this.#sizes = sizes;
    this.#isWithinLine = lines.length === 0 && !this.#fileEnded;
  }

  /** The open file goes on where it is, even within a line; any other begins at its position. */
  async #open(split: OpenSplit): Promise<OpenFile> {
    if (this.#file?.split !== split) {
      await this.#closeFile();
      this.#file = { split, handle: await open(split.path, 'r'), splitter: new LineSplitter(split.path) };
      this.#readOffset = split.offset;
    }
    return this.#file;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  #wakeLater(): void {
    clearTimeout(this.#rateTimer);
    this.#rateTimer = setTimeout(() => this.#context.wake(), this.#rateLimit?.delayMs() ?? 0);
  }
}
