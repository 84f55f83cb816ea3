import type { PendingCheckpoint } from '../core/checkpoint/checkpoint-coordinator.ts';
import type { Checkpointing } from './checkpointing.ts';

/** Checkpoints that do not wait for their time, because a process with tasks is about to end: what it has done until then need not be done again. */
export class UrgentCheckpoints {
  readonly #checkpointing: Checkpointing;
  #waits: readonly { readonly fromId: number; readonly resolve: (checkpointId: number | undefined) => void }[] = [];

  constructor(checkpointing: Checkpointing) {
    this.#checkpointing = checkpointing;
  }

  /**
   * The id of the first one that was triggered after this call, once it is in the lineage; undefined when it failed, or its tasks ended before. Never settles while the job is about to end, whose
   * last checkpoint has begun.
   */
  take(): Promise<number | undefined> {
    return new Promise((resolve) => {
      // Before it is triggered: whatever has a lower id does not hold what is done now.
      this.#waits = [...this.#waits, { fromId: this.#checkpointing.nextCheckpointId, resolve }];
      this.#checkpointing.requestSoon();
    });
  }

  completed({ id }: PendingCheckpoint): void {
    this.#settle(id, id);
  }

  aborted({ id }: PendingCheckpoint): void {
    this.#settle(id, undefined);
  }

  executionEnded(): void {
    this.#settle(Number.POSITIVE_INFINITY, undefined);
  }

  #settle(id: number, result: number | undefined): void {
    const settled = this.#waits.filter(({ fromId }) => fromId <= id);
    this.#waits = this.#waits.filter(({ fromId }) => fromId > id);
    for (const { resolve } of settled) {
      resolve(result);
    }
  }
}
