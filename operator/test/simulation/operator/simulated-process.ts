import type { Clock } from '../../../src/clock.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * A process of the operator that can be paused and killed between any two of its steps, that is at each of its awaits for something outside. All that
 * reaches it (timers, answers, watch events) goes through `deliver`: while it is paused that waits, after its death it is lost.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly #time: VirtualTime;
  /** Wall clocks of machines differ, and are set. */
  readonly #skewMs: number;
  #jumpMs = 0;
  /** Called before each step; may pause or kill this process. */
  readonly #beforeStep: (process: SimulatedProcess) => void;
  readonly #waiting: (() => void)[] = [];
  #state: 'Running' | 'Paused' | 'Dead' = 'Running';
  onResume: () => void = () => undefined;
  onDeath: () => void = () => undefined;

  constructor(
    name: string,
    time: VirtualTime,
    options: { readonly skewMs: number; readonly beforeStep: (process: SimulatedProcess) => void },
  ) {
    this.name = name;
    this.#time = time;
    this.#skewMs = options.skewMs;
    this.#beforeStep = options.beforeStep;
  }

  get state(): 'Running' | 'Paused' | 'Dead' {
    return this.#state;
  }

  readonly clock: Clock = {
    nowMs: () => this.#time.nowMs() + this.#skewMs + this.#jumpMs,
    monotonicMs: () => this.#time.monotonicMs(),
    schedule: (delayMs, callback) => {
      let cancelled = false;
      const cancel = this.#time.schedule(delayMs, () => {
        // Nothing is decided by a timer that was cancelled, so it is no step.
        if (!cancelled) {
          this.deliver(() => {
            // It may have been cancelled while the process was paused with this step waiting.
            if (!cancelled) {
              callback();
            }
          });
        }
      });
      return () => {
        cancelled = true;
        cancel();
      };
    },
  };

  deliver(step: () => void): void {
    if (this.#state === 'Running') {
      this.#beforeStep(this);
    }
    switch (this.#state) {
      case 'Running':
        this.#time.touchPromises();
        step();
        break;
      case 'Paused':
        this.#waiting.push(step);
        break;
      case 'Dead':
        break;
    }
  }

  /** Somebody sets the wall clock of its machine; with 0 it is right again. Durations are not touched. */
  setClock(offByMs: number): void {
    this.#jumpMs = offByMs;
  }

  pause(durationMs: number): void {
    if (this.#state === 'Running') {
      this.#state = 'Paused';
      this.#time.schedule(durationMs, () => this.resume());
    }
  }

  resume(): void {
    if (this.#state === 'Paused') {
      this.#state = 'Running';
      this.onResume();
      this.#runWaiting();
    }
  }

  kill(): void {
    if (this.#state !== 'Dead') {
      this.#state = 'Dead';
      this.#waiting.length = 0;
      this.onDeath();
    }
  }

  /** One step per event: its promises run before the next, and the process may be paused or killed again in between. */
  #runWaiting(): void {
    const step = this.#state === 'Running' ? this.#waiting.shift() : undefined;
    if (step !== undefined) {
      this.#time.touchPromises();
      step();
      this.#time.schedule(0, () => this.#runWaiting());
    }
  }
}
