import type { Task } from './task.ts';

/** How long tasks run before messages and files get their turn. */
const sliceMs = 5;
/** How long a record waits for its page to fill. */
const flushDelayMs = 5;
/** Between looks at a lease that has ended; whoever renews or ends it sends a message anyway. */
const suspendedCheckMs = 100;

/**
 * Runs the tasks of one thread in turn, step by step, and rests when none of them has anything to do. No promise and no timer per
 * record: one pass over the tasks per slice, one timer for all of them.
 */
export class TaskLoop {
  readonly #tasks: readonly Task[];
  readonly #onSliceEnd: () => void;
  readonly #isSuspended: () => boolean;
  readonly #nowMs: () => number;
  readonly #monotonicMs: () => number;
  #scheduled: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #pausedSinceMs = 0;

  constructor(options: {
    readonly tasks: readonly Task[];
    /** Sends what the slice produced. */
    readonly onSliceEnd: () => void;
    /** No record may leave now. */
    readonly isSuspended: () => boolean;
    readonly nowMs: () => number;
    readonly monotonicMs: () => number;
  }) {
    this.#tasks = options.tasks;
    this.#onSliceEnd = options.onSliceEnd;
    this.#isSuspended = options.isSuspended;
    this.#nowMs = options.nowMs;
    this.#monotonicMs = options.monotonicMs;
  }

  /** Something arrived: looks at all tasks soon. */
  wake(): void {
    if (this.#scheduled === undefined && !this.#closed) {
      this.#scheduled = setImmediate(() => this.#run());
    }
  }

  close(): void {
    this.#closed = true;
    clearImmediate(this.#scheduled);
    clearTimeout(this.#timer);
  }

  #run(): void {
    this.#scheduled = undefined;
    clearTimeout(this.#timer);
    if (this.#isSuspended()) {
      this.#wakeIn(suspendedCheckMs);
      return;
    }
    const isBusy = this.#runSlice();
    const flushInMs = this.#flush();
    this.#onSliceEnd();
    if (this.#closed) {
      return;
    }
    if (isBusy) {
      this.wake();
    } else {
      this.#wakeIn(Math.min(flushInMs, this.#timerInMs(), this.#tickInMs()));
    }
  }

  #runSlice(): boolean {
    let nowMs = this.#monotonicMs();
    for (const task of this.#tasks) {
      task.threadPaused(this.#pausedSinceMs, nowMs);
    }
    const endMs = nowMs + sliceMs;
    for (;;) {
      let isBusy = false;
      for (const task of this.#tasks) {
        // A step that finds nothing to do takes no time worth a look at the clock.
        if (task.step(nowMs)) {
          isBusy = true;
          nowMs = this.#monotonicMs();
          task.stepped(nowMs);
        }
      }
      if (!isBusy || nowMs >= endMs) {
        this.#pausedSinceMs = nowMs;
        return isBusy;
      }
    }
  }

  /** Gives how long until the next page is due. */
  #flush(): number {
    const nowMs = this.#monotonicMs();
    let next = Number.POSITIVE_INFINITY;
    for (const task of this.#tasks) {
      next = Math.min(next, task.flushDue(nowMs, flushDelayMs) ?? Number.POSITIVE_INFINITY);
    }
    return Math.max(0, next - nowMs);
  }

  #timerInMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const task of this.#tasks) {
      next = Math.min(next, task.nextTimerMs() ?? Number.POSITIVE_INFINITY);
    }
    return Math.max(0, next - this.#nowMs());
  }

  /** Until a watermark may be due. */
  #tickInMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const task of this.#tasks) {
      next = Math.min(next, task.nextTickMs() ?? Number.POSITIVE_INFINITY);
    }
    return Math.max(0, next - this.#monotonicMs());
  }

  #wakeIn(delayMs: number): void {
    if (delayMs !== Number.POSITIVE_INFINITY) {
      // Longer than a timer can wait: looks again in between.
      this.#timer = setTimeout(() => this.#run(), Math.min(Math.ceil(delayMs), timerDelayMsMax));
    }
  }
}

const timerDelayMsMax = 60_000;
