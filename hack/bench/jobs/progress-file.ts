import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const intervalMs = 100;

/**
 * Says to a file of its own how many records a subtask has seen, ten times a second; the counterpart of flink/…/ProgressFile.java. One file
 * per attempt, so a restart shows. Lines: `count MILLISECONDS RECORDS`, `first MILLISECONDS` and `sample INDEX VALUE…`.
 */
export class ProgressFile {
  readonly #file: number;
  readonly #records: () => number;
  readonly #timer: NodeJS.Timeout;

  constructor(options: { readonly directory: string; readonly subtaskIndex: number; readonly records: () => number }) {
    const name = `subtask-${options.subtaskIndex}-${process.pid}-${process.hrtime.bigint()}.log`;
    this.#file = openSync(join(options.directory, name), 'ax');
    this.#records = options.records;
    this.#timer = setInterval(() => this.#writeCount(), intervalMs);
    this.#writeCount();
  }

  sample(index: number, values: string): void {
    writeSync(this.#file, `sample ${index} ${values}\n`);
  }

  /** Says when the first record came. */
  firstRecord(): void {
    writeSync(this.#file, `first ${Date.now()}\n`);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#writeCount();
    closeSync(this.#file);
  }

  #writeCount(): void {
    writeSync(this.#file, `count ${Date.now()} ${this.#records()}\n`);
  }
}
