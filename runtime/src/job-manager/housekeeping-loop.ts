import type { Clock } from '../core/clock.ts';
import { deferred } from './deferred.ts';
import { limits } from './limits.ts';
import type { HousekeepingFacts, LineageHousekeeping } from './lineage-housekeeping.ts';

export interface HousekeepingLoopOptions {
  readonly housekeeping: Pick<LineageHousekeeping, 'run'>;
  readonly clock: Clock;
  readonly facts: () => Omit<HousekeepingFacts, 'sweep'>;
  /** Whether everything that was condemned is deleted. */
  readonly isDone: () => boolean;
  readonly onFatal: (error: unknown) => void;
  /** Between sweeps that nothing else asks for. */
  readonly sweepIntervalMs: number;
}

/** When to clean up: after each completed checkpoint and now and then, never twice at a time. */
export class HousekeepingLoop {
  readonly #options: HousekeepingLoopOptions;
  #isRunning = false;
  #isDue = false;
  #isEnded = false;
  #isFinishing = false;
  /** A sweep lists the whole directory, so it is for the start, for what was aborted, and for now and then. */
  #isSweepDue = true;
  #lastSweepMs = 0;
  /** A sweep has begun when nobody was left who could write, so nothing comes after it. */
  #hasSweptQuiet = false;
  #stopTimer: () => void = () => {};
  readonly #ended = deferred<void>();

  constructor(options: HousekeepingLoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.request();
  }

  request(options: { readonly sweep: boolean } = { sweep: false }): void {
    this.#isDue = true;
    this.#isSweepDue ||= options.sweep;
    if (!this.#isRunning && !this.#isEnded) {
      // Not awaited: whoever asks does not wait for it to be clean.
      void this.#run();
    }
  }

  /** The job is over: what nothing names goes, and what waits for its grace period is still deleted, so that nothing is left behind. */
  finish(): void {
    this.#isFinishing = true;
    this.request({ sweep: true });
  }

  end(): void {
    this.#isEnded = true;
    this.#stopTimer();
    this.#ended.resolve();
  }

  /** After `finish` everything is deleted, or after `end` or a fatal error nothing more will be. */
  get whenEnded(): Promise<void> {
    return this.#ended.promise;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, facts, housekeeping, onFatal } = this.#options;
    this.#isRunning = true;
    this.#stopTimer();
    try {
      while (this.#isDue && !this.#isEnded) {
        this.#isDue = false;
        const nowMs = clock.monotonicMs();
        const sweep = this.#isSweepDue || nowMs - this.#lastSweepMs >= this.#options.sweepIntervalMs;
        this.#isSweepDue = false;
        this.#lastSweepMs = sweep ? nowMs : this.#lastSweepMs;
        const given = facts();
        await housekeeping.run({ ...given, sweep });
        this.#hasSweptQuiet ||= sweep && given.isQuiet;
      }
    } catch (error) {
      this.end();
      onFatal(error);
    }
    this.#isRunning = false;
    if (this.#isFinishing && this.#hasSweptQuiet && this.#options.isDone()) {
      this.end();
    }
    if (!this.#isEnded) {
      this.#stopTimer = clock.schedule(Math.min(limits.housekeepingIntervalMs, this.#options.sweepIntervalMs), () =>
        this.request(),
      );
    }
  }
}
