import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What the parts of a simulation see of it. */
export interface SimulationWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  /** Until the last fault. */
  readonly isFaulty: boolean;
  /** Whether a fault happens now; counted and traced. */
  fault(probability: number, what: string): boolean;
  trace(line: string): void;
  report(violation: string): void;
}
