import { encodeSplit } from '../connectors/split-codec.ts';
import { assert } from '../core/assert.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { OperatorDescription } from '../core/job-graph/job-graph.ts';
import type { Source, SourceReader } from '../core/job-graph/source.ts';
import type { OperatorSubtaskState, SubtaskId, SubtaskMetrics } from '../core/protocol/messages.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import type { Type } from '../core/types/type.ts';
import type { KeyedStateBackend, KeyedStateSnapshot, SnapshotTarget } from '../state-backend/state-backend.ts';
import type { CheckpointBarrier } from '../transport/data/data-transport.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import type { KeyedProcessStage, OutputStage, Stage } from './chain/stages.ts';
import type { InputGate } from './exchange/input-gate.ts';
import type { OutputPartition } from './exchange/output-partition.ts';
import type { SinkOperator } from './sink-operator.ts';
import type { SnapshotPlace } from './state-files.ts';

/** Records that a source gives at once; a page of small records has a few times as many. */
const pollRecordCountMax = 512;
/** Timers fired before records get their turn again. */
const timerCountMax = 512;

export interface TaskReporter {
  acknowledged(
    task: SubtaskId,
    report: {
      readonly checkpointId: number;
      readonly operators: readonly OperatorSubtaskState[];
      readonly syncDurationMs: number;
      readonly asyncDurationMs: number;
    },
  ): void;
  declined(task: SubtaskId, checkpointId: number, error: unknown): void;
  committed(task: SubtaskId, checkpointId: number): void;
  endOfInput(task: SubtaskId): void;
  failed(task: SubtaskId, error: unknown): void;
}

export interface KeyedOperator {
  readonly operator: OperatorDescription;
  readonly backend: KeyedStateBackend;
  readonly stage: KeyedProcessStage;
  readonly keyGroups: { readonly first: number; readonly last: number };
}

export interface SourceOperator {
  readonly operator: OperatorDescription;
  readonly source: Source<unknown, unknown>;
  /** Called at the start, because a reader may begin to read at once. */
  readonly createReader: () => SourceReader<unknown, unknown>;
}

/** The records of one input channel's edge. */
export interface TaskInput {
  readonly gate: InputGate;
  /** By input channel of the gate. */
  readonly recordTypes: readonly Type<unknown>[];
}

export interface TaskOptions {
  readonly id: SubtaskId;
  readonly token: FencingToken;
  readonly head: Stage;
  readonly source: SourceOperator | undefined;
  readonly input: TaskInput | undefined;
  readonly keyed: readonly KeyedOperator[];
  readonly sinks: readonly SinkOperator[];
  readonly output: OutputStage | undefined;
  readonly partitions: readonly OutputPartition[];
  readonly reporter: TaskReporter;
  readonly snapshotTarget: (place: SnapshotPlace) => SnapshotTarget;
  /** Output may leave only while the TaskManager holds its lease. */
  readonly mayCommit: () => boolean;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

/**
 * One subtask: a chain of operators with its inputs, outputs and state, run in steps by its slot's thread.
 *
 * 1. A step runs only while no output waits for credit; barriers and the end pass always.
 * 2. What a checkpoint holds is fixed in the same step in which its barrier goes out.
 * 3. After the end of its input a subtask emits nothing (timers that are not due by then never fire), but passes barriers on and
 *    takes part in checkpoints until it is cancelled.
 * 4. After a barrier that stops sources it emits nothing either, unless that checkpoint is aborted.
 * 5. The first error ends it; it is reported once.
 */
export class Task {
  readonly id: SubtaskId;
  readonly #options: TaskOptions;
  readonly #reader = new BinaryReader(new Uint8Array());
  readonly #asynchronous = new Set<Promise<void>>();
  /** Taken and not yet written. */
  readonly #openSnapshots = new Map<KeyedStateSnapshot, number>();
  #sourceReader: SourceReader<unknown, unknown> | undefined;
  #state: 'Created' | 'Running' | 'Failed' | 'Closed' = 'Created';
  #ended = false;
  #stoppedBy: number | undefined;
  #trigger: CheckpointBarrier | undefined;
  #abortedId = 0;
  #recordsIn = 0;

  constructor(options: TaskOptions) {
    this.id = options.id;
    this.#options = options;
  }

  start(): void {
    assert(this.#state === 'Created', 'a task is started once');
    this.#state = 'Running';
    const { source } = this.#options;
    if (source !== undefined) {
      this.#guard(() => {
        try {
          this.#sourceReader = source.createReader();
        } catch (error) {
          throw new OperatorFailure(source.operator, error);
        }
      });
    }
  }

  /** Does a bounded amount of work; false when there is nothing to do before something arrives. */
  step(): boolean {
    return this.#state === 'Running' && this.#guard(() => this.#step()) === true;
  }

  /** Milliseconds since the epoch when a timer is due; undefined when there is nothing to wait for. */
  nextTimerMs(): number | undefined {
    if (this.#state !== 'Running' || this.#isQuiet() || !this.#hasRoom()) {
      return undefined;
    }
    let next: number | undefined;
    for (const { stage } of this.#options.keyed) {
      const timer = stage.nextTimerMs();
      if (timer !== undefined && (next === undefined || timer < next)) {
        next = timer;
      }
    }
    return next;
  }

  /** Sends pages that are not full but have waited for `delayMs`; gives when the next one is due. */
  flushDue(nowMs: number, delayMs: number): number | undefined {
    if (this.#state !== 'Running') {
      return undefined;
    }
    let next: number | undefined;
    for (const partition of this.#options.partitions) {
      const since = partition.unsentSinceMs;
      if (since === undefined) {
        continue;
      }
      if (since + delayMs <= nowMs) {
        partition.flush();
      } else if (next === undefined || since + delayMs < next) {
        next = since + delayMs;
      }
    }
    return next;
  }

  /** Only for subtasks with a source; the barrier goes out with the next step. */
  triggerCheckpoint(barrier: CheckpointBarrier): void {
    if (this.#options.source !== undefined && barrier.checkpointId > this.#abortedId) {
      this.#trigger = barrier;
    }
  }

  abortCheckpoint(checkpointId: number): void {
    this.#abortedId = Math.max(this.#abortedId, checkpointId);
    if (this.#trigger !== undefined && this.#trigger.checkpointId <= checkpointId) {
      this.#trigger = undefined;
    }
    if (this.#stoppedBy !== undefined && this.#stoppedBy <= checkpointId) {
      this.#stoppedBy = undefined;
    }
    this.#options.input?.gate.abort(checkpointId);
    this.#discardSnapshots(checkpointId);
  }

  /** The checkpoint is durable: makes everything up to it visible. */
  completeCheckpoint(checkpointId: number): void {
    const { sinks } = this.#options;
    if (sinks.length > 0 && this.#state === 'Running') {
      this.#track(this.#commit(checkpointId));
    }
  }

  metrics(): SubtaskMetrics {
    const { keyed, sinks, output } = this.#options;
    const recordsOut = sinks.reduce((sum, { stage }) => sum + stage.recordCount, output?.recordCount ?? 0);
    const stateSizeBytes = this.#state === 'Closed' ? 0 : keyed.reduce((sum, { backend }) => sum + backend.sizeBytes(), 0);
    return { task: this.id, recordsIn: this.#recordsIn, recordsOut, stateSizeBytes };
  }

  /** For errors that happen outside a step. */
  fail(error: unknown): void {
    if (this.#state === 'Running' || this.#state === 'Created') {
      this.#state = 'Failed';
      this.#options.reporter.failed(this.id, error);
    }
  }

  /** Resolves when nothing of this task is at work any more: no reader, no open sink, no write. */
  async close(): Promise<void> {
    this.#state = 'Closed';
    this.#discardSnapshots(Number.POSITIVE_INFINITY);
    await Promise.allSettled(this.#asynchronous);
    const { sinks, keyed } = this.#options;
    await Promise.allSettled([this.#sourceReader?.close(), ...sinks.map(({ writer }) => writer.close())]);
    await Promise.allSettled(keyed.map(({ backend }) => backend.close()));
  }

  #guard<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  #step(): boolean {
    const trigger = this.#trigger;
    if (trigger !== undefined) {
      this.#trigger = undefined;
      this.#takeCheckpoint(trigger);
      return true;
    }
    if (!this.#hasRoom()) {
      return false;
    }
    const fired = this.#fireTimers();
    return (this.#options.input === undefined ? this.#readSource() : this.#readInput(this.#options.input)) || fired;
  }

  #hasRoom(): boolean {
    for (const partition of this.#options.partitions) {
      if (!partition.hasRoom) {
        return false;
      }
    }
    return true;
  }

  #isQuiet(): boolean {
    return this.#ended || this.#stoppedBy !== undefined;
  }

  #fireTimers(): boolean {
    const { keyed } = this.#options;
    if (keyed.length === 0 || this.#isQuiet()) {
      return false;
    }
    const nowMs = this.#options.nowMs();
    let fired = 0;
    for (const { stage } of keyed) {
      const timer = stage.nextTimerMs();
      if (timer !== undefined && timer <= nowMs) {
        fired += stage.fireTimers(nowMs, timerCountMax);
      }
    }
    return fired > 0;
  }

  #readSource(): boolean {
    const { source, head } = this.#options;
    const reader = this.#sourceReader;
    if (reader === undefined || source === undefined || this.#isQuiet()) {
      return false;
    }
    let polled: ReturnType<typeof reader.poll>;
    try {
      polled = reader.poll(pollRecordCountMax);
    } catch (error) {
      throw new OperatorFailure(source.operator, error);
    }
    if (polled === 'Pending') {
      return false;
    }
    if (polled === 'End') {
      this.#end();
    } else if (polled.length > 0) {
      this.#recordsIn += polled.length;
      head.process(polled);
    }
    return true;
  }

  #readInput({ gate, recordTypes }: TaskInput): boolean {
    const event = gate.poll();
    if (event === undefined) {
      return false;
    }
    switch (event.type) {
      case 'Batch':
        this.#recordsIn += event.records.length;
        this.#options.head.process(event.records);
        return true;
      case 'Page':
        this.#recordsIn += event.recordCount;
        this.#options.head.process(this.#decode(event, recordTypes[event.inputIndex]));
        return true;
      case 'Checkpoint':
        this.#takeCheckpoint(event.barrier);
        return true;
      case 'End':
        this.#end();
        return true;
    }
  }

  #decode(
    page: { readonly recordCount: number; readonly records: Uint8Array },
    recordType: Type<unknown> | undefined,
  ): readonly unknown[] {
    assert(recordType !== undefined, 'a page of an input channel that does not exist');
    const reader = this.#reader;
    reader.reset(page.records);
    const records: unknown[] = new Array(page.recordCount);
    for (let index = 0; index < records.length; index++) {
      records[index] = recordType.decode(reader);
    }
    assert(reader.remaining === 0, 'a page holds its records and nothing else');
    return records;
  }

  #end(): void {
    this.#ended = true;
    for (const partition of this.#options.partitions) {
      partition.sendEnd();
    }
    this.#options.reporter.endOfInput(this.id);
  }

  #takeCheckpoint(barrier: CheckpointBarrier): void {
    const { checkpointId } = barrier;
    const { partitions, keyed, sinks, reporter, monotonicMs } = this.#options;
    const startedAtMs = monotonicMs();
    this.#stoppedBy = barrier.stopSources ? checkpointId : undefined;
    for (const partition of partitions) {
      partition.sendBarrier(barrier);
    }
    for (const sink of sinks) {
      sink.prepareCommit(checkpointId);
    }
    const snapshots: KeyedStateSnapshot[] = [];
    let splits: OperatorSubtaskState | undefined;
    try {
      splits = this.#sourceState();
      for (const { backend } of keyed) {
        const snapshot = backend.snapshot();
        snapshots.push(snapshot);
        this.#openSnapshots.set(snapshot, checkpointId);
      }
    } catch (error) {
      this.#discardSnapshots(checkpointId);
      reporter.declined(this.id, checkpointId, error);
      return;
    }
    const syncDurationMs = monotonicMs() - startedAtMs;
    this.#track(this.#finishCheckpoint({ barrier, splits, snapshots, syncDurationMs }));
  }

  async #finishCheckpoint(fixed: {
    readonly barrier: CheckpointBarrier;
    readonly splits: OperatorSubtaskState | undefined;
    readonly snapshots: readonly KeyedStateSnapshot[];
    readonly syncDurationMs: number;
  }): Promise<void> {
    const { keyed, sinks, reporter, monotonicMs } = this.#options;
    const { checkpointId, directory } = fixed.barrier;
    const startedAtMs = monotonicMs();
    const operators = fixed.splits === undefined ? [] : [fixed.splits];
    // Output that cannot be made durable cannot be kept for the next checkpoint either: that ends the task, not just the checkpoint.
    for (const sink of sinks) {
      operators.push(await sink.prepared(checkpointId));
    }
    try {
      for (const [index, snapshot] of fixed.snapshots.entries()) {
        const operator = keyed[index];
        assert(operator !== undefined, 'one snapshot per keyed operator');
        operators.push(await this.#writeKeyed(operator, snapshot, directory));
      }
    } catch (error) {
      if (this.#state === 'Running' && checkpointId > this.#abortedId) {
        reporter.declined(this.id, checkpointId, error);
      }
      return;
    }
    if (this.#state === 'Running' && checkpointId > this.#abortedId) {
      const asyncDurationMs = monotonicMs() - startedAtMs;
      reporter.acknowledged(this.id, { checkpointId, operators, syncDurationMs: fixed.syncDurationMs, asyncDurationMs });
    }
  }

  async #writeKeyed(
    { operator, keyGroups }: KeyedOperator,
    snapshot: KeyedStateSnapshot,
    directory: string,
  ): Promise<OperatorSubtaskState> {
    const uid = operator.id;
    const { subtaskIndex } = this.id;
    const { executionAttempt } = this.#options.token;
    try {
      const written = await snapshot.write(this.#options.snapshotTarget({ directory, uid, subtaskIndex, executionAttempt }));
      return { uid, keyed: { keyGroups, ...written }, splits: undefined, committables: undefined };
    } finally {
      this.#openSnapshots.delete(snapshot);
    }
  }

  /** Of checkpoints that are over; a snapshot that is being written ends with an error that nobody needs. */
  #discardSnapshots(checkpointId: number): void {
    for (const [snapshot, id] of this.#openSnapshots) {
      if (id <= checkpointId) {
        this.#openSnapshots.delete(snapshot);
        snapshot.discard();
      }
    }
  }

  #sourceState(): OperatorSubtaskState | undefined {
    const { source } = this.#options;
    if (source === undefined) {
      return undefined;
    }
    assert(this.#sourceReader !== undefined, 'a checkpoint before the start');
    const { positionType } = source.source;
    const splits = this.#sourceReader.positions().map((split) => encodeSplit(split, positionType));
    return { uid: source.operator.id, keyed: undefined, splits, committables: undefined };
  }

  async #commit(checkpointId: number): Promise<void> {
    const mayCommit = () => this.#state === 'Running' && this.#options.mayCommit();
    let isCommitted = true;
    for (const sink of this.#options.sinks) {
      isCommitted = (await sink.commit(checkpointId, mayCommit)) && isCommitted;
    }
    if (isCommitted && this.#state === 'Running') {
      this.#options.reporter.committed(this.id, checkpointId);
    }
  }

  /** Errors of work beside the steps end the task like errors of a step. */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        this.#asynchronous.delete(tracked);
      });
    this.#asynchronous.add(tracked);
  }
}
