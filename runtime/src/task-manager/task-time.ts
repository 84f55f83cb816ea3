/** What a task does at a moment. */
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
 * A task that could go on may have to wait for its thread, which it shares with others. What takes the thread then is mostly what comes after it and is slower,
 * so this counts as back pressure, as it would if each had a thread; for a task that sends nothing on it counts as busy, because it cannot do more.
 */
export class TaskTime {
  readonly #activityWaiting: TaskActivity;
  #activity: TaskActivity = 'Idle';
  /** It could go on, and waits for its thread. */
  #isWaiting = false;
  /** Undefined before the start. */
  #sinceMs: number | undefined;
  #busyMs = 0;
  #backPressuredMs = 0;
  #idleMs = 0;

  constructor(options: { readonly hasOutputs: boolean }) {
    this.#activityWaiting = options.hasOutputs ? 'BackPressured' : 'Busy';
  }

  start(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** From `nowMs` on. */
  enter(activity: TaskActivity, nowMs: number): void {
    this.#isWaiting = false;
    this.#become(activity, nowMs);
  }

  /** From `nowMs` on it waits for its thread. */
  wait(nowMs: number): void {
    this.#isWaiting = true;
    this.#become(this.#activityWaiting, nowMs);
  }

  /** Between the two times no task of the thread ran, because the thread saw to messages: then nothing was kept waiting by others. */
  threadPaused(fromMs: number, toMs: number): void {
    if (this.#isWaiting) {
      this.#become('Busy', fromMs);
      this.#become(this.#activityWaiting, toMs);
    }
  }

  #become(activity: TaskActivity, nowMs: number): void {
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
