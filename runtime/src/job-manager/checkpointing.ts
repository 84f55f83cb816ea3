import type { JobStatusDocument } from '../api/rest.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { assert, unreachable } from '../core/assert.ts';
import {
  acknowledgedFiles,
  assembleManifest,
  isSavepoint,
  manifestFiles,
  stateSizeBytes,
} from '../core/checkpoint/assemble-manifest.ts';
import {
  type AbortCause,
  type CheckpointCommand,
  type CheckpointEvent,
  type CheckpointPurpose,
  canTrigger,
  createCheckpointCoordinator,
  type PendingCheckpoint,
  step,
  stopsSources,
} from '../core/checkpoint/checkpoint-coordinator.ts';
import type { CheckpointMode } from '../core/checkpoint/checkpoint-mode.ts';
import type { CheckpointManifest, SavepointDetails, SnapshotFormat } from '../core/checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { CheckpointRecord, EntryDraft } from '../core/lineage/entries.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import { manifestPath } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { TaskManagerMessage } from '../core/protocol/messages.ts';
import type { Log } from '../log.ts';
import { CheckpointDetails } from './checkpoint-details.ts';
import type { Execution } from './execution.ts';
import type { JobHistory } from './job-history.ts';
import { limits } from './limits.ts';
import { isFencedError, type LineageLog } from './lineage-log.ts';
import { writeManifest } from './manifest-store.ts';

/** A completed checkpoint with its content. */
export interface CompletedCheckpoint {
  readonly record: CheckpointRecord;
  readonly manifest: CheckpointManifest;
  /** What it lists as pending output is known to be committed, because the lineage was closed with it. */
  readonly isOutputCommitted: boolean;
}

/** A savepoint that somebody asked for, by itself or to stop with. */
export interface SavepointOrder {
  readonly operationId: string;
  readonly stateFormat: SnapshotFormat;
  /** For people, kept with the savepoint. */
  readonly reason: string | undefined;
}

export interface CheckpointingOptions {
  readonly graph: JobGraph;
  readonly lineage: LineageLog;
  readonly rules: LineageRules;
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
  readonly log: Log;
  readonly history: JobHistory;
  readonly intervalMs: number;
  /** From the end of any checkpoint to the start of the next periodic one. */
  readonly minPauseMs: number;
  /** Of periodic checkpoints. */
  readonly mode: CheckpointMode;
  readonly timeoutMs: number;
  readonly tolerableFailures: number;
  /** `Completed` is in the lineage. */
  readonly onCompleted: (checkpoint: PendingCheckpoint, completed: CompletedCheckpoint) => void;
  readonly onAborted: (checkpoint: PendingCheckpoint, error: ErrorInfo, causedBy: AbortCause) => void;
  /** The tasks have to start anew. */
  readonly onExecutionFailure: (error: ErrorInfo) => void;
  /** Fenced, or a bug: this JobManager must write nothing more. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * Drives the checkpoint coordinator: decides when to trigger and why, sends, writes, appends. What happens to the job after a checkpoint is
 * its owner's business.
 *
 * 1. The append of `Completed` is the commit point: tasks hear of it after it, never before.
 * 2. A stop comes before savepoints, savepoints before the final checkpoint, all before the periodic one.
 * 3. After the barrier of a stop, and after a final checkpoint is complete, nothing more is triggered in that execution.
 */
export class Checkpointing {
  readonly #options: CheckpointingOptions;
  #coordinator;
  #execution: Execution | undefined;
  #head: CompletedCheckpoint | undefined;
  #stop: SavepointOrder | undefined;
  #savepoints: readonly SavepointOrder[] = [];
  /** Of the checkpoint that was triggered last; undefined when nobody asked for it. */
  #taking: SavepointOrder | undefined;
  #isQuiesced = false;
  /** A process is about to end: the next one waits neither for its interval nor for the pause. */
  #isUrgent = false;
  /** Monotonic. */
  #nextPeriodicMs = 0;
  #finalNotBeforeMs = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Own checkpoints that uploads may still belong to. */
  readonly #unsettledIds = new Set<number>();
  #completedCount = 0;
  #failedCount = 0;
  #failed: JobStatusDocument['failedCheckpoint'];
  #stopTimer: () => void = () => {};
  #isStopped = false;
  /** Of the checkpoint that was triggered last. */
  #details = new CheckpointDetails(undefined);

  constructor(options: CheckpointingOptions, head: CompletedCheckpoint | undefined) {
    this.#options = options;
    this.#head = head;
    this.#coordinator = createCheckpointCoordinator({
      nextCheckpointId: options.lineage.view.nextCheckpointId,
      tolerableFailures: options.tolerableFailures,
    });
  }

  /** What the next execution restores. */
  get head(): CompletedCheckpoint | undefined {
    return this.#head;
  }

  get counts(): { readonly completed: number; readonly failed: number; readonly inProgress: number } {
    const inProgress = this.#coordinator.checkpoint.state === 'Idle' ? 0 : 1;
    return { completed: this.#completedCount, failed: this.#failedCount, inProgress };
  }

  /** Until a later one is completed. One that ended with its tasks has not failed of itself; one that cannot be settled may as well have. */
  get failed(): JobStatusDocument['failedCheckpoint'] {
    const { checkpoint: progress } = this.#coordinator;
    const { unsettled } = this.#options.lineage;
    return progress.state === 'Writing' && unsettled !== undefined ? { id: progress.checkpoint.id, ...unsettled } : this.#failed;
  }

  /** Own checkpoints with lower ids are completed, or given up with nobody left who writes their files. */
  get settledBelowId(): number {
    return Math.min(...this.#unsettledIds, this.#coordinator.nextCheckpointId);
  }

  get nextCheckpointId(): number {
    return this.#coordinator.nextCheckpointId;
  }

  /** What the checkpoint whose fate is open will name. */
  get namesInFlight(): ReadonlySet<string> {
    const { checkpoint } = this.#coordinator;
    return new Set(checkpoint.state === 'Idle' ? [] : acknowledgedFiles(checkpoint.checkpoint));
  }

  executionStarted(execution: Execution): void {
    this.#execution = execution;
    this.#isQuiesced = false;
    this.#nextPeriodicMs = this.#options.clock.monotonicMs() + this.#options.intervalMs;
    this.#finalNotBeforeMs = 0;
    this.#feed({ type: 'ExecutionStarted', execution: { token: execution.token, subtasks: execution.subtasks } });
  }

  /** Its tasks answer no more; they may still upload until `executionGone`. */
  executionEnded(reason: string): void {
    if (this.#execution !== undefined) {
      this.#execution = undefined;
      this.#isQuiesced = false;
      this.#isUrgent = false;
      this.#feed({ type: 'ExecutionEnded', reason });
    }
  }

  executionGone(): void {
    const { checkpoint } = this.#coordinator;
    const kept = checkpoint.state === 'Idle' ? undefined : checkpoint.checkpoint.id;
    for (const id of this.#unsettledIds) {
      if (id !== kept) {
        this.#unsettledIds.delete(id);
      }
    }
  }

  /** Resolves when no checkpoint's fate is open in the storage. */
  whenSettled(): Promise<void> {
    return this.#writing;
  }

  requestSavepoint(order: SavepointOrder): void {
    this.#savepoints = [...this.#savepoints, order];
    this.#consider();
  }

  /** True when it was waiting and is forgotten; false when it is being taken, or is not known. */
  forgetSavepoint(operationId: string): boolean {
    const waiting = this.#savepoints.filter((order) => order.operationId !== operationId);
    const wasWaiting = waiting.length < this.#savepoints.length;
    this.#savepoints = waiting;
    return wasWaiting;
  }

  /** Of these tasks; as soon as the one under way is over. */
  requestSoon(): void {
    this.#isUrgent = this.#execution !== undefined;
    this.#consider();
  }

  requestStop(order: SavepointOrder): void {
    this.#stop = order;
    this.#consider();
  }

  forgetStop(): void {
    this.#stop = undefined;
  }

  /** The sources of the current execution may have been stopped, so that it is of no further use. */
  get isQuiesced(): boolean {
    return this.#isQuiesced;
  }

  inputEnded(): void {
    this.#consider();
  }

  receive(message: TaskManagerMessage): void {
    if (message.type === 'CheckpointAcknowledged') {
      const { token, checkpointId, task, operators, syncDurationMs, asyncDurationMs, alignmentDurationMs, uploadedSizeBytes } =
        message;
      const acknowledgedAtMs = this.#options.clock.nowMs();
      const statistics = { acknowledgedAtMs, syncDurationMs, asyncDurationMs, alignmentDurationMs, uploadedSizeBytes };
      this.#feed({ type: 'Acknowledged', token, checkpointId, acknowledgement: { task, operators, statistics } });
    } else if (message.type === 'CheckpointDeclined') {
      const { token, checkpointId, task, error } = message;
      this.#feed({ type: 'Declined', token, checkpointId, task, error });
    }
  }

  /** No timer fires any more; an append under way stays under way. */
  stop(): void {
    this.#isStopped = true;
    this.#stopTimer();
  }

  #feed(event: CheckpointEvent): void {
    const taken = step(this.#coordinator, event, this.#options.rules);
    this.#coordinator = taken.next;
    if (event.type === 'Acknowledged' && taken.next.checkpoint.state !== 'Idle') {
      this.#record(taken.next.checkpoint.checkpoint, 'InProgress');
    }
    for (const command of taken.commands) {
      this.#carryOut(command);
    }
    this.#consider();
  }

  #carryOut(command: CheckpointCommand): void {
    switch (command.type) {
      case 'TriggerTasks':
        this.#triggerTasks(command.checkpoint);
        return;
      case 'Write':
        this.#writing = this.#write(command.checkpoint);
        return;
      case 'NotifyCompleted':
        this.#tell(command.checkpoint, 'CheckpointCompleted');
        return;
      case 'Abort':
        this.#aborted(command.checkpoint, command.error, command.causedBy);
        return;
      case 'FailExecution':
        this.#options.onExecutionFailure(command.error);
        return;
      default:
        unreachable(command);
    }
  }

  /** Triggers what is due, or sets the timer for what will be. */
  #consider(): void {
    if (this.#isStopped) {
      return;
    }
    const nowMs = this.#options.clock.monotonicMs();
    const next = this.#nextPurpose(nowMs);
    if (next !== undefined) {
      const { clock, timeoutMs } = this.#options;
      const { purpose, order } = next;
      this.#taking = order;
      const operationId = order?.operationId;
      this.#feed({ type: 'Trigger', purpose, operationId, nowMs, wallClockMs: clock.nowMs(), timeoutMs });
      return;
    }
    this.#arm(nowMs);
  }

  #nextPurpose(nowMs: number): { readonly purpose: CheckpointPurpose; readonly order: SavepointOrder | undefined } | undefined {
    const execution = this.#execution;
    if (execution === undefined || !execution.isRunning || this.#isQuiesced || !canTrigger(this.#coordinator)) {
      return undefined;
    }
    if (this.#stop !== undefined) {
      return { purpose: 'Stop', order: this.#stop };
    }
    const [savepoint] = this.#savepoints;
    if (savepoint !== undefined) {
      return { purpose: 'Savepoint', order: savepoint };
    }
    if (execution.isInputEnded) {
      return nowMs >= this.#finalNotBeforeMs ? { purpose: 'Final', order: undefined } : undefined;
    }
    return this.#isUrgent || nowMs >= this.#nextPeriodicMs ? { purpose: 'Periodic', order: undefined } : undefined;
  }

  #arm(nowMs: number): void {
    this.#stopTimer();
    const dueMs = this.#nextDueMs();
    if (dueMs !== undefined) {
      this.#stopTimer = this.#options.clock.schedule(Math.max(0, dueMs - nowMs), () => this.#timePassed());
    }
  }

  #nextDueMs(): number | undefined {
    const { checkpoint } = this.#coordinator;
    if (checkpoint.state === 'Triggered') {
      return checkpoint.deadlineMs;
    }
    const execution = this.#execution;
    if (checkpoint.state === 'Writing' || execution === undefined || !execution.isRunning || this.#isQuiesced) {
      return undefined;
    }
    return execution.isInputEnded ? this.#finalNotBeforeMs : this.#nextPeriodicMs;
  }

  #timePassed(): void {
    this.#feed({ type: 'TimePassed', nowMs: this.#options.clock.monotonicMs() });
  }

  #triggerTasks(checkpoint: PendingCheckpoint): void {
    const { clock, intervalMs, log } = this.#options;
    this.#nextPeriodicMs = clock.monotonicMs() + intervalMs;
    this.#unsettledIds.add(checkpoint.id);
    this.#isUrgent = false;
    this.#isQuiesced = checkpoint.purpose === 'Stop';
    if (checkpoint.purpose === 'Savepoint') {
      this.#savepoints = this.#savepoints.filter(({ operationId }) => operationId !== checkpoint.operationId);
    }
    this.#details = new CheckpointDetails(this.#head?.manifest);
    this.#record(checkpoint, 'InProgress');
    log.debug({ checkpointId: checkpoint.id, purpose: checkpoint.purpose }, 'checkpoint triggered');
    this.#execution?.broadcast({
      type: 'TriggerCheckpoint',
      token: checkpoint.token,
      checkpointId: checkpoint.id,
      directory: this.#directory(checkpoint),
      stopSources: stopsSources(checkpoint.purpose),
      format: this.#taking?.stateFormat ?? 'Native',
      // A person keeps a savepoint and starts other jobs from it: it counts exactly, whatever the job puts up with after a failure.
      mode: isSavepoint(checkpoint) ? 'ExactlyOnce' : this.#options.mode,
    });
  }

  #pausePeriodic(): void {
    const { clock, minPauseMs } = this.#options;
    this.#nextPeriodicMs = Math.max(this.#nextPeriodicMs, clock.monotonicMs() + minPauseMs);
  }

  #tell(checkpoint: PendingCheckpoint, type: 'CheckpointCompleted' | 'CheckpointAborted'): void {
    const execution = this.#execution;
    if (execution !== undefined && this.#options.rules.acceptsToken(checkpoint.token, execution.token)) {
      execution.broadcast({ type, token: checkpoint.token, checkpointId: checkpoint.id });
    }
  }

  #aborted(checkpoint: PendingCheckpoint, error: ErrorInfo, causedBy: AbortCause): void {
    const { clock, log } = this.#options;
    this.#failedCount += 1;
    if (causedBy !== 'ExecutionEnded') {
      const { code, message, remedy } = error;
      this.#failed = { id: checkpoint.id, code, message, remedy };
    }
    this.#pausePeriodic();
    this.#record(checkpoint, 'Failed', { error });
    if (checkpoint.purpose === 'Final') {
      this.#finalNotBeforeMs = clock.monotonicMs() + limits.finalCheckpointRetryMs;
    }
    log.warn({ checkpointId: checkpoint.id, purpose: checkpoint.purpose, causedBy, err: error }, 'checkpoint aborted');
    this.#tell(checkpoint, 'CheckpointAborted');
    this.#options.onAborted(checkpoint, error, causedBy);
  }

  /** Never rejects. */
  async #write(checkpoint: PendingCheckpoint): Promise<void> {
    try {
      const completed = await this.#complete(checkpoint);
      this.#written(checkpoint, completed);
    } catch (error) {
      if (error instanceof JobError && !isFencedError(error)) {
        this.#feed({ type: 'WriteFailed', checkpointId: checkpoint.id, error: toErrorInfo(error) });
      } else {
        this.#options.onFatal(error);
      }
    }
  }

  async #complete(checkpoint: PendingCheckpoint): Promise<CompletedCheckpoint> {
    const { graph, lineage } = this.#options;
    const savepoint = isSavepoint(checkpoint) ? this.#savepointDetails() : undefined;
    const manifest: CheckpointManifest = { ...assembleManifest(graph, checkpoint), ...(savepoint && { savepoint }) };
    const reference = await writeManifest(this.#options, manifestPath(this.#directory(checkpoint)), manifest);
    const draft: EntryDraft & { type: 'Completed' } = {
      type: 'Completed',
      checkpointId: checkpoint.id,
      kind: manifest.kind,
      manifest: reference,
      stateSizeBytes: stateSizeBytes(manifest),
      triggeredAtMs: checkpoint.triggeredAtMs,
      operationId: checkpoint.operationId,
      ...(savepoint && { savepoint }),
    };
    await lineage.append((view) => {
      assertNothingCondemned(view, manifest, reference.path);
      return draft;
    });
    const record = lineage.view.checkpoints.find(({ manifest: { path } }) => path === reference.path);
    assert(record !== undefined, 'a checkpoint that was appended is in the view');
    return { record, manifest, isOutputCommitted: false };
  }

  #written(checkpoint: PendingCheckpoint, completed: CompletedCheckpoint): void {
    this.#head = completed;
    this.#completedCount += 1;
    this.#failed = undefined;
    this.#pausePeriodic();
    this.#isQuiesced ||= checkpoint.purpose === 'Final' && this.#execution !== undefined;
    for (const id of this.#unsettledIds) {
      // Whoever has written this one has left earlier ones behind.
      if (id <= checkpoint.id) {
        this.#unsettledIds.delete(id);
      }
    }
    const sizeBytes = completed.record.stateSizeBytes;
    this.#record(checkpoint, 'Completed', { sizeBytes });
    this.#options.log.info({ checkpointId: checkpoint.id, purpose: checkpoint.purpose, sizeBytes }, 'checkpoint completed');
    this.#feed({ type: 'Written', checkpointId: checkpoint.id });
    this.#options.onCompleted(checkpoint, completed);
  }

  #savepointDetails(): SavepointDetails {
    const owner = this.#options.lineage.view.opened?.owner;
    assert(owner !== undefined, 'a lineage that is open has an owner');
    return { owner, stateFormat: this.#taking?.stateFormat ?? 'Native', reason: this.#taking?.reason };
  }

  #directory(checkpoint: PendingCheckpoint): string {
    return this.#options.rules.checkpointDirectory({
      checkpointId: checkpoint.id,
      epoch: checkpoint.token.epoch,
      kind: isSavepoint(checkpoint) ? 'Savepoint' : 'Checkpoint',
    });
  }

  #record(
    checkpoint: PendingCheckpoint,
    state: 'InProgress' | 'Completed' | 'Failed',
    result: { readonly sizeBytes?: number; readonly error?: ErrorInfo } = {},
  ): void {
    const details = this.#details;
    // What is over must not hold the state that was acknowledged.
    const subtasks = state === 'InProgress' ? undefined : details.of(checkpoint);
    this.#options.history.recordCheckpoint({
      id: checkpoint.id,
      kind: isSavepoint(checkpoint) ? 'Savepoint' : 'Checkpoint',
      state,
      triggeredAtMs: checkpoint.triggeredAtMs,
      endedAtMs: state === 'InProgress' ? undefined : this.#options.clock.nowMs(),
      stateSizeBytes: result.sizeBytes ?? 0,
      deltaSizeBytes: (subtasks ?? []).reduce((sum, { deltaSizeBytes }) => sum + deltaSizeBytes, 0),
      uploadedSizeBytes: (subtasks ?? []).reduce((sum, { uploadedSizeBytes }) => sum + uploadedSizeBytes, 0),
      acknowledgedSubtasks: checkpoint.acknowledgements.size,
      subtasks: checkpoint.subtaskCount,
      path: this.#directory(checkpoint),
      error: result.error,
      details: subtasks === undefined ? () => details.of(checkpoint) : () => subtasks,
    });
  }
}

/** Rule 8 of the lineage protocol, checked where it would be broken. */
function assertNothingCondemned(view: LineageView, manifest: CheckpointManifest, path: string): void {
  const condemned = new Set(view.condemnations.flatMap(({ names }) => names));
  for (const name of [path, ...manifestFiles(manifest).map((file) => file.path)]) {
    assert(!condemned.has(name), `${name} is condemned and must not be named again`);
  }
}
