import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of jobs/progress-file.ts or ProgressFile.java: an attempt of a subtask of the sink. */
interface Attempt {
  readonly file: string;
  readonly subtaskIndex: number;
  /** By the machine's monotonic clock, which both engines put into the name. */
  readonly openedAtNanoseconds: bigint;
}

/** What the sink saw of the record with this number in the source. */
export interface VersionSample {
  readonly index: number;
  readonly key: number;
  readonly version: number;
}

/** What the sinks of jobs/versioned-values.ts and VersionedValuesJob.java say, all attempts of all subtasks. */
export class SinkProgress {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Of all attempts together, so what was repeated counts twice. */
  async recordCount(): Promise<number> {
    const files = await Promise.all((await this.#attempts()).map(({ file }) => this.#read(file)));
    return files.reduce((sum, lines) => sum + Number(lines.findLast((line) => line.startsWith('count '))?.split(' ')[2] ?? 0), 0);
  }

  /**
   * When the last of the subtasks got its first record; undefined while one of them has not been opened since then, or has no record yet. An attempt that was followed
   * by another one came to nothing.
   */
  async processingAtMs(options: { readonly parallelism: number; readonly sinceMs: number }): Promise<number | undefined> {
    const attempts = await this.#attempts();
    const firsts = await Promise.all(
      Array.from({ length: options.parallelism }, (_, subtaskIndex) => this.#newestFirstAtMs(attempts, subtaskIndex)),
    );
    const known = firsts.filter((atMs) => atMs !== undefined && atMs >= options.sinceMs) as readonly number[];
    return known.length === options.parallelism ? Math.max(...known) : undefined;
  }

  async samples(): Promise<readonly VersionSample[]> {
    const files = await Promise.all((await this.#attempts()).map(({ file }) => this.#read(file)));
    return files
      .flat()
      .filter((line) => line.startsWith('sample '))
      .map((line) => {
        const [index, key, version] = line.split(' ').slice(1).map(Number);
        return { index: index as number, key: key as number, version: version as number };
      });
  }

  async #newestFirstAtMs(attempts: readonly Attempt[], subtaskIndex: number): Promise<number | undefined> {
    const [newest] = attempts
      .filter((attempt) => attempt.subtaskIndex === subtaskIndex)
      .sort((a, b) => (a.openedAtNanoseconds < b.openedAtNanoseconds ? 1 : -1));
    if (newest === undefined) {
      return undefined;
    }
    const first = (await this.#read(newest.file)).find((line) => line.startsWith('first '));
    return first === undefined ? undefined : Number(first.split(' ')[1]);
  }

  async #attempts(): Promise<readonly Attempt[]> {
    return (await readdir(this.#directory)).map((file) => {
      const [, subtaskIndex, , openedAt] = /^subtask-(\d+)-(\d+)-(\d+)\.log$/.exec(file) ?? [];
      if (subtaskIndex === undefined || openedAt === undefined) {
        throw new Error(`${file} is no name of a progress file`);
      }
      return { file, subtaskIndex: Number(subtaskIndex), openedAtNanoseconds: BigInt(openedAt) };
    });
  }

  /** Whole lines: the last one may be half written. */
  async #read(file: string): Promise<readonly string[]> {
    const text = await readFile(join(this.#directory, file), 'utf8');
    return text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  }
}
