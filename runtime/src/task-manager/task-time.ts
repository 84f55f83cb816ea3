/** What a task does at a moment. `Busy`: it runs, or could run and waits for its thread, which it shares. */
export type TaskActivity = 'Busy' | 'BackPressured' | 'Idle';

/** In milliseconds since the start; together the time that has passed. */
interface TaskTimeTotals {
  readonly busyMs: number;
  readonly backPressuredMs: number;
  readonly idleMs: number;
}

/**
 * How a task spends its time. It is told when a step has begun and what the task can do after it, so it costs nothing for each record and one look at
 * the clock for each step that did something.
 *
 * A task that has work but waits for its thread counts as busy, as one that waits for a processor does in Flink: only so does "all its time is busy" mean
 * that it cannot do more.
 */
export class TaskTime {
  #activity: TaskActivity = 'Idle';
  /** Undefined before the start. */
  #sinceMs: number | undefined;
  #busyMs = 0;
  #backPressuredMs = 0;
  #idleMs = 0;

  start(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** From `nowMs` on. */
  enter(activity: TaskActivity, nowMs: number): void {
    if (activity !== this.#activity) {
      this.#account(nowMs);
      this.#activity = activity;
    }
  }

  totals(nowMs: number): TaskTimeTotals {
    this.#account(nowMs);
    return { busyMs: this.#busyMs, backPressuredMs: this.#backPressuredMs, idleMs: this.#idleMs };
  }

  #account(nowMs: number): void {
    if (this.#sinceMs === undefined || nowMs <= this.#sinceMs) {
      return;
    }
    const passedMs = nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    switch (this.#activity) {
      case 'Busy':
        this.#busyMs += passedMs;
        return;
      case 'BackPressured':
        this.#backPressuredMs += passedMs;
        return;
      case 'Idle':
        this.#idleMs += passedMs;
        return;
    }
  }
}
