import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import { AssertionError } from '../../src/core/assert.ts';
import type { Committable } from '../../src/core/checkpoint/manifest.ts';
import { type FencingToken, formatFencingToken } from '../../src/core/fencing-token.ts';
import { toErrorInfo } from '../../src/core/job-error.ts';
import { type KeyGroupRange, keyGroupRangeOf, subtaskIndexOf } from '../../src/core/key-groups/key-group.ts';
import type { LineageRules } from '../../src/core/lineage/lineage-rules.ts';
import type {
  OperatorSubtaskState,
  SubtaskDeployment,
  SubtaskId,
  TaskManagerDeployment,
  TaskManagerMessage,
} from '../../src/core/protocol/messages.ts';
import {
  counterUid,
  decodePosition,
  encodePosition,
  keyGroupOfKey,
  keyOfRecord,
  maxParallelism,
  sinkUid,
  sourceUid,
} from './model-job.ts';
import { countRecord, timerKeyOf } from './model-rows.ts';
import type { Output, OutputRecord } from './output.ts';
import { type FixedFiles, SimulatedDatabase } from './simulated-database.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** What flows from a source subtask to a counter subtask, in order. */
export type DataMessage =
  | { readonly type: 'Records'; readonly keys: readonly string[] }
  | { readonly type: 'Barrier'; readonly checkpointId: number }
  | { readonly type: 'End' };

export interface ExecutionWorld {
  readonly process: SimulatedProcess;
  readonly storage: CheckpointStorage;
  readonly disk: SimulatedDisk;
  readonly rules: LineageRules;
  readonly forgetsTimers: boolean;
  readonly report: (violation: string) => void;
  readonly output: Output;
  readonly recordsPerSplit: number;
  /** Reaches the JobManager that is connected then; an old execution may still speak. */
  readonly send: (message: TaskManagerMessage) => void;
  readonly sendData: (dataAddress: string, token: FencingToken, from: number, to: number, message: DataMessage) => void;
  /** False when the TaskManager has lost its lease: then a sink must not commit. */
  readonly mayCommit: () => boolean;
  readonly between: (low: number, high: number) => number;
}

type Barrier = Extract<DataMessage, { type: 'Barrier' }>;

const sourceIntervalMs = 500;
const recordsPerBatchMax = 4;
/** Between looks at a database's files: compaction, and uploads ahead of a checkpoint. */
const fileWorkIntervalMaxMs = 2_000;

interface SourceTask {
  readonly task: SubtaskId;
  readonly positions: Map<string, number>;
  stopped: boolean;
  ended: boolean;
}

interface CounterTask {
  readonly task: SubtaskId;
  readonly range: KeyGroupRange;
  readonly database: SimulatedDatabase;
  /** By source subtask: messages that wait behind a barrier. */
  readonly blocked: Map<number, DataMessage[]>;
  readonly barriers: Map<number, number>;
  readonly endedChannels: Set<number>;
  written: OutputRecord[];
  committables: readonly Committable[];
}

/** The tasks of one token on one TaskManager. */
export class SimulatedExecution {
  readonly token: FencingToken;
  readonly #world: ExecutionWorld;
  readonly #deployment: TaskManagerDeployment;
  readonly #sources: SourceTask[] = [];
  readonly #counters = new Map<number, CounterTask>();
  readonly #counterAddresses: readonly string[];
  readonly #sourceCount: number;
  #cancelled = false;
  #prepared: Promise<void> = Promise.resolve();

  constructor(world: ExecutionWorld, token: FencingToken, deployment: TaskManagerDeployment) {
    this.#world = world;
    this.token = token;
    this.#deployment = deployment;
    const counters = deployment.locations.filter(({ task }) => task.vertexId === counterUid);
    this.#counterAddresses = counters
      .toSorted((a, b) => a.task.subtaskIndex - b.task.subtaskIndex)
      .map(({ dataAddress }) => dataAddress);
    this.#sourceCount = deployment.locations.filter(({ task }) => task.vertexId === sourceUid).length;
  }

  get isCancelled(): boolean {
    return this.#cancelled;
  }

  /** Loads state and commits what was pending, then says so. */
  prepare(): void {
    // Not awaited: it reports its own failures.
    this.#prepared = this.#prepare();
  }

  async #prepare(): Promise<void> {
    for (const subtask of this.#deployment.subtasks) {
      try {
        if (subtask.task.vertexId === sourceUid) {
          this.#prepareSource(subtask);
        } else {
          await this.#prepareCounter(subtask);
        }
      } catch (error) {
        this.#fail(subtask.task, error);
        return;
      }
    }
    this.#send({ type: 'TasksReady', token: this.token });
  }

  start(): void {
    for (const source of this.#sources) {
      this.#emit(source);
    }
    for (const counter of this.#counters.values()) {
      this.#workOnFiles(counter);
    }
  }

  /** See `SharedFiles.forget`. A database that is being opened has what it restores. */
  async forget(requestId: number, asked: readonly string[]): Promise<void> {
    await this.#prepared;
    let names = asked;
    for (const { database } of this.#counters.values()) {
      names = database.forget(requestId, names);
    }
    this.#send({ type: 'FilesForgotten', token: this.token, requestId, names });
  }

  cancel(): void {
    this.#cancelled = true;
  }

  trigger({ checkpointId, stopSources }: { readonly checkpointId: number; readonly stopSources: boolean }): void {
    for (const source of this.#sources) {
      source.stopped ||= stopSources;
      this.#broadcast(source, { type: 'Barrier', checkpointId });
      const splits = [...source.positions].map(([splitId, position]) => ({ splitId, positionBase64: encodePosition(position) }));
      this.#acknowledge(checkpointId, source.task, [{ uid: sourceUid, keyed: undefined, splits, committables: undefined }]);
    }
  }

  completed(checkpointId: number): void {
    for (const counter of this.#counters.values()) {
      this.#world.process.clock.schedule(this.#commitDelayMs(), () => {
        if (!this.#cancelled && this.#world.mayCommit()) {
          this.#commit(counter, checkpointId);
          this.#send({ type: 'Committed', token: this.token, checkpointId, task: counter.task });
        }
      });
    }
  }

  /** A barrier that waits for others of an aborted checkpoint lets its channel go on. */
  aborted(checkpointId: number): void {
    for (const counter of this.#counters.values()) {
      this.#releaseBarriers(counter, (id) => id <= checkpointId);
      counter.database.settled(checkpointId);
    }
  }

  receiveData(from: number, to: number, message: DataMessage): void {
    const counter = this.#counters.get(to);
    if (counter === undefined || this.#cancelled) {
      return;
    }
    if (counter.barriers.has(from)) {
      counter.blocked.set(from, [...(counter.blocked.get(from) ?? []), message]);
    } else {
      this.#process(counter, from, message);
    }
  }

  fail(message: string): void {
    const [first] = this.#deployment.subtasks;
    if (first !== undefined && !this.#cancelled) {
      this.#fail(first.task, new Error(message));
    }
  }

  #prepareSource({ task, operators }: SubtaskDeployment): void {
    const splits = operators.find(({ uid }) => uid === sourceUid)?.splits ?? [];
    this.#sources.push({
      task,
      positions: new Map(splits.map(({ splitId, positionBase64 }) => [splitId, decodePosition(positionBase64)])),
      stopped: false,
      ended: false,
    });
  }

  async #prepareCounter({ task, operators }: SubtaskDeployment): Promise<void> {
    const range = keyGroupRangeOf(task.subtaskIndex, this.#counterAddresses.length, maxParallelism);
    const counter: CounterTask = {
      task,
      range,
      database: this.#newDatabase(range),
      blocked: new Map(),
      barriers: new Map(),
      endedChannels: new Set(),
      written: [],
      committables: operators.find(({ uid }) => uid === sinkUid)?.committables ?? [],
    };
    await counter.database.restore(operators.find(({ uid }) => uid === counterUid)?.keyedParts ?? []);
    this.#counters.set(task.subtaskIndex, counter);
    await new Promise<void>((resolve) => {
      this.#world.process.clock.schedule(this.#commitDelayMs(), () => {
        this.#world.process.touchPromises();
        resolve();
      });
    });
    if (!this.#cancelled && this.#world.mayCommit()) {
      this.#commit(counter, Number.MAX_SAFE_INTEGER);
    }
  }

  #newDatabase(keyGroups: KeyGroupRange): SimulatedDatabase {
    const { storage, process, disk, rules, forgetsTimers } = this.#world;
    return new SimulatedDatabase({ storage, clock: process.clock, disk, rules, token: this.token, keyGroups, forgetsTimers });
  }

  #workOnFiles(counter: CounterTask): void {
    const { process, between } = this.#world;
    process.clock.schedule(between(200, fileWorkIntervalMaxMs), () => {
      if (this.#cancelled) {
        return;
      }
      if (between(1, 3) === 1) {
        counter.database.compact();
      }
      if (between(1, 2) === 1) {
        process.touchPromises();
        // What cannot be written ahead is written by the next checkpoint, which says why it cannot.
        counter.database.putAhead().catch(() => undefined);
      }
      this.#workOnFiles(counter);
    });
  }

  #emit(source: SourceTask): void {
    if (this.#cancelled || source.stopped) {
      return;
    }
    const batches = new Map<number, string[]>();
    for (const [splitId, position] of source.positions) {
      const end = Math.min(this.#world.recordsPerSplit, position + this.#world.between(1, recordsPerBatchMax));
      for (let next = position; next < end; next += 1) {
        const key = keyOfRecord(splitId, next);
        const to = subtaskIndexOf(keyGroupOfKey(key), this.#counterAddresses.length, maxParallelism);
        batches.set(to, [...(batches.get(to) ?? []), key]);
      }
      source.positions.set(splitId, end);
    }
    for (const [to, keys] of batches) {
      this.#sendData(source, to, { type: 'Records', keys });
    }
    if ([...source.positions.values()].every((position) => position >= this.#world.recordsPerSplit)) {
      source.ended = true;
      this.#broadcast(source, { type: 'End' });
      this.#send({ type: 'EndOfInput', token: this.token, task: source.task });
      return;
    }
    this.#world.process.clock.schedule(sourceIntervalMs, () => this.#emit(source));
  }

  #broadcast(source: SourceTask, message: DataMessage): void {
    for (let to = 0; to < this.#counterAddresses.length; to += 1) {
      this.#sendData(source, to, message);
    }
  }

  #sendData(source: SourceTask, to: number, message: DataMessage): void {
    this.#world.sendData(this.#counterAddresses[to] ?? '', this.token, source.task.subtaskIndex, to, message);
  }

  #process(counter: CounterTask, from: number, message: DataMessage): void {
    switch (message.type) {
      case 'Records':
        for (const key of message.keys) {
          const { row, fired } = countRecord(counter.database.get(key));
          counter.database.set(key, row);
          counter.written.push({ key, count: row.count });
          counter.written.push(...fired.map((count) => ({ key: timerKeyOf(key), count })));
        }
        break;
      case 'End':
        counter.endedChannels.add(from);
        if (counter.endedChannels.size === this.#sourceCount) {
          this.#send({ type: 'EndOfInput', token: this.token, task: counter.task });
        }
        break;
      case 'Barrier':
        this.#align(counter, from, message);
        break;
    }
  }

  #align(counter: CounterTask, from: number, barrier: Barrier): void {
    // A newer barrier says that the older checkpoint will never be complete.
    this.#releaseBarriers(counter, (id) => id < barrier.checkpointId);
    counter.barriers.set(from, barrier.checkpointId);
    if (counter.barriers.size < this.#sourceCount) {
      return;
    }
    const fixed = counter.database.fix();
    this.#world.process.touchPromises();
    void this.#snapshot(counter, fixed, barrier);
    this.#releaseBarriers(counter, () => true);
  }

  #releaseBarriers(counter: CounterTask, matches: (checkpointId: number) => boolean): void {
    for (const [from, checkpointId] of [...counter.barriers]) {
      if (matches(checkpointId)) {
        counter.barriers.delete(from);
        for (const message of counter.blocked.get(from)?.splice(0) ?? []) {
          this.receiveData(from, counter.task.subtaskIndex, message);
        }
      }
    }
  }

  /** The synchronous part fixes the content; the upload goes on while records flow, and even after a cancel. */
  async #snapshot(counter: CounterTask, fixed: FixedFiles, { checkpointId }: Barrier): Promise<void> {
    const { output } = this.#world;
    const { task, range, database } = counter;
    if (counter.written.length > 0) {
      const name = `${formatFencingToken(this.token)}-${task.subtaskIndex}-${checkpointId}`;
      output.writePending(name, { token: this.token, checkpointId, records: counter.written });
      counter.written = [];
      counter.committables = [...counter.committables, { checkpointId, data: name }];
    }
    const { committables } = counter;
    try {
      const written = await database.write(fixed, checkpointId);
      this.#acknowledge(checkpointId, task, [
        {
          uid: counterUid,
          keyed: { keyGroups: range, ...written },
          splits: undefined,
          committables: undefined,
        },
        { uid: sinkUid, keyed: undefined, splits: undefined, committables },
      ]);
    } catch (error) {
      if (error instanceof AssertionError) {
        this.#world.report(`a snapshot failed by a bug: ${error.message}`);
      }
      this.#send({ type: 'CheckpointDeclined', token: this.token, checkpointId, task, error: toErrorInfo(error) });
    } finally {
      database.settled(checkpointId);
    }
  }

  /** Now and then so long that the next checkpoint overtakes it. */
  #commitDelayMs(): number {
    return this.#world.between(1, this.#world.between(1, 4) === 1 ? 4_000 : 100);
  }

  #acknowledge(checkpointId: number, task: SubtaskId, operators: readonly OperatorSubtaskState[]): void {
    const { token } = this;
    const durations = { syncDurationMs: 0, asyncDurationMs: 0, alignmentDurationMs: 0 };
    this.#send({ type: 'CheckpointAcknowledged', token, checkpointId, task, operators, ...durations, uploadedSizeBytes: 0 });
  }

  #commit(counter: CounterTask, upTo: number): void {
    for (const { checkpointId, data } of counter.committables) {
      if (checkpointId <= upTo && !this.#world.output.commit(String(data))) {
        this.#fail(counter.task, new Error(`pending output ${String(data)} is gone`));
        return;
      }
    }
    counter.committables = counter.committables.filter(({ checkpointId }) => checkpointId > upTo);
  }

  #fail(task: SubtaskId, error: unknown): void {
    if (error instanceof AssertionError) {
      this.#world.report(`a task failed by a bug: ${error.message}`);
    }
    if (!this.#cancelled) {
      this.#send({ type: 'TaskFailed', token: this.token, task, error: toErrorInfo(error, 'external') });
    }
  }

  #send(message: TaskManagerMessage): void {
    this.#world.send(message);
  }
}
