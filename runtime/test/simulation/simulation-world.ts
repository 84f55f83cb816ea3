import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import type { LineageRules } from '../../src/core/lineage/lineage-rules.ts';
import type { Network } from './network.ts';
import type { Oracle } from './oracle.ts';
import type { Random } from './random.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Short, so that much is deleted within a minute of a job's life. */
export const deleteGraceMs = 6_000;

/** What the parts of a simulation see of it. */
export interface SimulationWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly rules: LineageRules;
  readonly network: Network;
  readonly oracle: Oracle;
  /** Until the last fault. */
  readonly isFaulty: boolean;
  trace(line: string): void;
  report(violation: string): void;
  newProcess(name: string, options: { readonly isAsync: boolean; readonly onDeath: () => void }): SimulatedProcess;
  kill(process: SimulatedProcess): void;
  /** A client of the storage in a process: between its requests and their answers everything may happen. */
  storageOf(process: SimulatedProcess, onDeath: () => void): CheckpointStorage;
}
