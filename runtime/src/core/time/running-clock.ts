/**
 * Time in which a source was free to read. The idleness of its splits is measured by this: while the source waits for its consumers it
 * says nothing about its splits that it reads nothing.
 */
export class RunningClock {
  #sinceMs: number | undefined;
  #elapsedMs = 0;

  /** Runs from the start. Time is monotonic, in milliseconds, and given by the caller. */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  stop(nowMs: number): void {
    this.#elapsedMs = this.elapsedMs(nowMs);
    this.#sinceMs = undefined;
  }

  start(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  elapsedMs(nowMs: number): number {
    return this.#elapsedMs + (this.#sinceMs === undefined ? 0 : Math.max(0, nowMs - this.#sinceMs));
  }
}
