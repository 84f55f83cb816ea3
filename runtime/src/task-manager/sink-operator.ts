import type { Committable } from '../core/checkpoint/manifest.ts';
import type { OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { SinkWriter } from '../core/job-graph/sink.ts';
import type { OperatorSubtaskState } from '../core/protocol/messages.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import type { SinkStage } from './chain/sink-stage.ts';

/** A sink of a subtask, with what it has written and not yet committed. */
export class SinkOperator {
  readonly operator: OperatorDescription;
  readonly writer: SinkWriter<unknown>;
  readonly stage: SinkStage;
  #pending: readonly Committable[] = [];
  /** Everything prepared so far is durable. */
  #preparing: Promise<void> = Promise.resolve();
  /** Commits run one after the other, so that two of them never work on one file. */
  #committing: Promise<boolean> = Promise.resolve(true);

  constructor(options: {
    readonly operator: OperatorDescription;
    readonly writer: SinkWriter<unknown>;
    readonly stage: SinkStage;
  }) {
    this.operator = options.operator;
    this.writer = options.writer;
    this.stage = options.stage;
  }

  /** Commits what a checkpoint held; repeated after every restore, before the first record. */
  async restore(committables: readonly Committable[]): Promise<void> {
    if (committables.length > 0) {
      await this.#guard(this.writer.commit(committables.map(({ data }) => data)));
    }
  }

  /** Written and not known to be committed. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  prepareCommit(checkpointId: number): void {
    const prepared = this.#guard(this.writer.prepareCommit(checkpointId));
    const all = this.#preparing.then(async () => {
      const added = await prepared;
      this.#pending = [...this.#pending, ...added.map((data) => ({ checkpointId, data }))];
    });
    // Whoever waits for it gets the error; nobody does when the task is closed before.
    all.catch(() => {});
    prepared.catch(() => {});
    this.#preparing = all;
  }

  /** What a checkpoint must hold of this sink: everything that is not surely committed. */
  async prepared(checkpointId: number): Promise<OperatorSubtaskState> {
    await this.#preparing;
    const committables = this.#pending.filter((committable) => committable.checkpointId <= checkpointId);
    return { uid: this.operator.id, keyed: undefined, splits: undefined, committables };
  }

  /** Gives false when it was not allowed; the output stays pending, and whoever restores the checkpoint commits it. */
  commit(checkpointId: number, isAllowed: () => boolean): Promise<boolean> {
    this.#committing = this.#committing.then(async () => {
      const due = this.#pending.filter((committable) => committable.checkpointId <= checkpointId);
      if (!isAllowed()) {
        return false;
      }
      await this.#guard(this.writer.commit(due.map(({ data }) => data)));
      this.#pending = this.#pending.filter((committable) => !due.includes(committable));
      return true;
    });
    return this.#committing;
  }

  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw new OperatorFailure(this.operator, error);
    }
  }
}
