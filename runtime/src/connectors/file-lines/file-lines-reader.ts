import { type FileHandle, open } from 'node:fs/promises';
import { JobError } from '../../core/job-error.ts';
import type { SourceReader, SourceReaderContext, Split } from '../../core/job-graph/source.ts';
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

interface ReaderOptions {
  readonly context: SourceReaderContext;
  readonly splits: readonly Split<FilePosition>[];
  readonly repeat: boolean;
  readonly linesPerSecond: number | undefined;
}

/** Reads one file after the other, one chunk ahead of what was polled. */
export class FileLinesReader implements SourceReader<string, FilePosition> {
  readonly #context: SourceReaderContext;
  readonly #repeat: boolean;
  readonly #splits: readonly OpenSplit[];
  readonly #rateLimit: RateLimit | undefined;
  #rateTimer: NodeJS.Timeout | undefined;
  #current: OpenSplit | undefined;
  #file: FileHandle | undefined;
  #splitter: LineSplitter | undefined;
  #readOffset = 0;
  #lines: string[] = [];
  /** Size of each buffered line in the file, its end included. */
  #sizes: number[] = [];
  #next = 0;
  #fileEnded = false;
  #loading: Promise<void> | undefined;
  /** Files in a row that gave nothing; to tell an input that can never give anything. */
  #emptyFileCount = 0;
  #closed = false;

  constructor(options: ReaderOptions) {
    this.#context = options.context;
    this.#repeat = options.repeat;
    this.#splits = options.splits.map(({ id, position }) => ({ path: id, ...position, finished: false }));
    this.#rateLimit =
      options.linesPerSecond === undefined ? undefined : new RateLimit(options.linesPerSecond, options.context.nowMs());
  }

  poll(countMax: number): readonly string[] | 'Pending' | 'End' {
    if (this.#next === this.#lines.length) {
      return this.#advance();
    }
    const available = Math.min(countMax, this.#lines.length - this.#next);
    const count = this.#rateLimit === undefined ? available : this.#rateLimit.take(available, this.#context.nowMs());
    if (count === 0) {
      this.#wakeLater();
      return 'Pending';
    }
    return this.#take(count);
  }

  positions(): readonly Split<FilePosition>[] {
    return this.#splits.map(({ path, round, offset }) => ({ id: path, position: { round, offset } }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#rateTimer);
    await this.#loading;
    await this.#file?.close();
    this.#file = undefined;
  }

  #take(count: number): readonly string[] {
    const lines = this.#lines.slice(this.#next, this.#next + count);
    if (this.#current !== undefined) {
      for (let index = this.#next; index < this.#next + count; index++) {
        this.#current.offset += this.#sizes[index] ?? 0;
      }
    }
    this.#next += count;
    return lines;
  }

  /** Everything read was given out: takes the next chunk, or the next file. */
  #advance(): 'Pending' | 'End' {
    if (this.#loading === undefined) {
      if (this.#fileEnded) {
        this.#finishFile();
      }
      this.#current ??= this.#nextSplit();
      if (this.#current === undefined) {
        return 'End';
      }
      this.#loading = this.#load(this.#current).then(
        () => this.#loaded(),
        (error: unknown) => {
          this.#loading = undefined;
          this.#context.fail(error);
        },
      );
    }
    return 'Pending';
  }

  #loaded(): void {
    this.#loading = undefined;
    if (!this.#closed) {
      this.#context.wake();
    }
  }

  /** The file that was repeated least, so that all of them get their turn. */
  #nextSplit(): OpenSplit | undefined {
    let next: OpenSplit | undefined;
    for (const split of this.#splits) {
      if (!split.finished && (next === undefined || split.round < next.round)) {
        next = split;
      }
    }
    return next;
  }

  #finishFile(): void {
    const split = this.#current;
    this.#current = undefined;
    this.#fileEnded = false;
    if (split === undefined) {
      return;
    }
    if (!this.#repeat) {
      split.finished = true;
      return;
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
  }

  async #load(split: OpenSplit): Promise<void> {
    try {
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
    if (this.#file === undefined) {
      this.#file = await open(split.path, 'r');
      this.#readOffset = split.offset;
      this.#splitter = new LineSplitter(split.path);
    }
    const lines: string[] = [];
    const sizes: number[] = [];
    const add = (line: string, sizeBytes: number) => {
      lines.push(line);
      sizes.push(sizeBytes);
    };
    const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(chunkSizeBytes), 0, chunkSizeBytes, this.#readOffset);
    if (bytesRead === 0) {
      this.#splitter?.end(add);
      await this.#file.close();
      this.#file = undefined;
      this.#fileEnded = true;
    } else {
      this.#readOffset += bytesRead;
      this.#splitter?.push(buffer.subarray(0, bytesRead), add);
    }
    this.#lines = lines;
    this.#sizes = sizes;
    this.#next = 0;
  }

  #wakeLater(): void {
    clearTimeout(this.#rateTimer);
    this.#rateTimer = setTimeout(() => this.#context.wake(), this.#rateLimit?.delayMs() ?? 0);
  }
}
