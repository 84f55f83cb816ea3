import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from '@flinkjob/runtime/rest';
import { ProcessLock } from '../process-identity/process-lock.ts';

/** A change of one file takes milliseconds; who holds the lock longer hangs. */
const waitMaxMs = 10_000;
const pollMs = 5;

/** Runs one function at a time, over all processes that name the same file. */
export class FileMutex {
  readonly #file: string;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  run<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => this.#locked(body));
    // The next caller waits for this one and does not care how it ended.
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #locked<T>(body: () => Promise<T>): Promise<T> {
    const lock = await this.#acquire();
    try {
      return await body();
    } finally {
      await lock.release();
    }
  }

  async #acquire(): Promise<ProcessLock> {
    for (let waitedMs = 0; waitedMs < waitMaxMs; waitedMs += pollMs) {
      const attempt = await ProcessLock.tryAcquire(this.#file);
      if (attempt.acquired) {
        return attempt.lock;
      }
      await sleep(pollMs);
    }
    throw new JobError(`${this.#file} is held by another process`, {
      domain: 'external',
      retry: 'backoff',
      code: 'StoreLocked',
      remedy: 'Find out which flinkjob process hangs, and end it.',
    });
  }
}
