import { JobError } from '../core/job-error.ts';
import type { Task } from './task.ts';

type AheadTask = Pick<Task, 'putAhead' | 'fail'>;

/** Between looks for new files. A file is put at the second look that finds it, so what compaction replaces at once is never put. */
const intervalMs = 2_000;
/** After a failure, doubled with each one; the next checkpoint tries without waiting, and says what is wrong. */
const failurePauseMaxMs = 60_000;

/**
 * Puts files of state into checkpoint storage between checkpoints, one at a time for all tasks of a thread, so that a checkpoint waits only for what was written
 * last, however much compaction has rewritten.
 */
export class UploadAhead {
  readonly #tasks: readonly AheadTask[];
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = intervalMs;
  #isStopped = false;

  constructor(tasks: readonly AheadTask[]) {
    this.#tasks = tasks;
  }

  start(): void {
    this.#arm();
  }

  /** What is under way ends with its task. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    if (!this.#isStopped) {
      // Not awaited: it handles its own failures.
      this.#timer = setTimeout(() => void this.#round(), this.#pauseMs);
    }
  }

  async #round(): Promise<void> {
    this.#pauseMs = (await this.#putAll()) ? intervalMs : Math.min(this.#pauseMs * 2, failurePauseMaxMs);
    this.#arm();
  }

  async #putAll(): Promise<boolean> {
    let isGood = true;
    for (const task of this.#tasks) {
      try {
        await task.putAhead();
      } catch (error) {
        if (!(error instanceof JobError)) {
          task.fail(error);
        }
        // A checkpoint that needs the file writes it again, and is declined with the reason. Here nobody waits for it.
        isGood = false;
      }
    }
    return isGood;
  }
}
