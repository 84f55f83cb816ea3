import { assert, unreachable } from '../assert.ts';
import type { FencingToken } from '../fencing-token.ts';
import type { ErrorInfo } from '../job-error.ts';
import { acceptsToken, type LineageRules } from '../lineage/lineage-rules.ts';
import type { OperatorSubtaskState, SubtaskId } from '../protocol/messages.ts';
import { subtaskKey } from './subtask-key.ts';

/**
 * The life of checkpoints, one at a time, as a pure machine: the shell feeds events and carries out commands in order.
 *
 * 1. An id is used once: it is taken when the checkpoint is triggered, whatever becomes of it.
 * 2. Only acknowledgements of the current execution count; an older one's are dropped.
 * 3. Once the last acknowledgement is in, the checkpoint is `Writing`: its fate is in the lineage, so neither time-out nor failover
 *    ends it, only the answer of the storage.
 */
export interface CheckpointCoordinator {
  readonly nextCheckpointId: number;
  /** The tasks that take part; undefined while nothing runs. */
  readonly execution: Execution | undefined;
  readonly checkpoint: CheckpointProgress;
  /** Checkpoints that failed since the last one that completed. */
  readonly failuresInRow: number;
  readonly tolerableFailures: number;
}

interface Execution {
  readonly token: FencingToken;
  readonly subtasks: readonly SubtaskId[];
}

type CheckpointProgress =
  | { readonly state: 'Idle' }
  | { readonly state: 'Triggered'; readonly checkpoint: PendingCheckpoint; readonly deadlineMs: number }
  | { readonly state: 'Writing'; readonly checkpoint: PendingCheckpoint };

export interface PendingCheckpoint {
  readonly id: number;
  readonly token: FencingToken;
  readonly purpose: CheckpointPurpose;
  /** The operation that asked for it: savepoint or stop. */
  readonly operationId: string | undefined;
  /** By the JobManager's wall clock; for people. */
  readonly triggeredAtMs: number;
  readonly subtaskCount: number;
  /** By subtask key. */
  readonly acknowledgements: ReadonlyMap<string, SubtaskAcknowledgement>;
}

/** `Final`: all input has ended. `Stop`: the savepoint of a stop. Sources emit nothing after the barrier of these two. */
export type CheckpointPurpose = 'Periodic' | 'Savepoint' | 'Stop' | 'Final';

export interface SubtaskAcknowledgement {
  readonly task: SubtaskId;
  readonly operators: readonly OperatorSubtaskState[];
  /** For people; only kept here. */
  readonly statistics?: AcknowledgementStatistics;
}

interface AcknowledgementStatistics {
  /** By the JobManager's wall clock. */
  readonly acknowledgedAtMs: number;
  readonly syncDurationMs: number;
  readonly asyncDurationMs: number;
  readonly alignmentDurationMs: number;
  readonly uploadedSizeBytes: number;
}

export type CheckpointEvent =
  | { readonly type: 'ExecutionStarted'; readonly execution: Execution }
  /** Failed or cancelled: its tasks answer no more. */
  | { readonly type: 'ExecutionEnded'; readonly reason: string }
  | {
      readonly type: 'Trigger';
      readonly purpose: CheckpointPurpose;
      readonly operationId: string | undefined;
      /** Monotonic; the deadline is measured with it. */
      readonly nowMs: number;
      readonly wallClockMs: number;
      readonly timeoutMs: number;
    }
  | {
      readonly type: 'Acknowledged';
      readonly token: FencingToken;
      readonly checkpointId: number;
      readonly acknowledgement: SubtaskAcknowledgement;
    }
  | {
      readonly type: 'Declined';
      readonly token: FencingToken;
      readonly checkpointId: number;
      readonly task: SubtaskId;
      readonly error: ErrorInfo;
    }
  | { readonly type: 'TimePassed'; readonly nowMs: number }
  /** `Completed` is in the lineage. */
  | { readonly type: 'Written'; readonly checkpointId: number }
  /** Surely not in the lineage, now and for ever. */
  | { readonly type: 'WriteFailed'; readonly checkpointId: number; readonly error: ErrorInfo };

export type CheckpointCommand =
  | { readonly type: 'TriggerTasks'; readonly checkpoint: PendingCheckpoint; readonly stopSources: boolean }
  /** Write the manifest, then append `Completed`. */
  | { readonly type: 'Write'; readonly checkpoint: PendingCheckpoint }
  /** Tell the tasks to commit. */
  | { readonly type: 'NotifyCompleted'; readonly checkpoint: PendingCheckpoint }
  /** Tell the tasks, and let its files be removed. */
  | { readonly type: 'Abort'; readonly checkpoint: PendingCheckpoint; readonly error: ErrorInfo; readonly causedBy: AbortCause }
  /** Too many failures in a row, or one that leaves the sources stopped. */
  | { readonly type: 'FailExecution'; readonly error: ErrorInfo };

export type AbortCause = 'Declined' | 'TimedOut' | 'WriteFailed' | 'ExecutionEnded';

export interface CheckpointStep {
  readonly next: CheckpointCoordinator;
  readonly commands: readonly CheckpointCommand[];
}

export function createCheckpointCoordinator(options: {
  readonly nextCheckpointId: number;
  readonly tolerableFailures: number;
}): CheckpointCoordinator {
  return { ...options, execution: undefined, checkpoint: { state: 'Idle' }, failuresInRow: 0 };
}

type TokenRule = Pick<LineageRules, 'acceptsToken'>;

/** Pure. An event that comes too late, or twice, changes nothing. */
export function step(current: CheckpointCoordinator, event: CheckpointEvent, rule: TokenRule = { acceptsToken }): CheckpointStep {
  switch (event.type) {
    case 'ExecutionStarted':
      assert(current.execution === undefined, 'an execution ends before the next one starts');
      return { next: { ...current, execution: event.execution, failuresInRow: 0 }, commands: [] };
    case 'ExecutionEnded':
      return endExecution(current, event.reason);
    case 'Trigger':
      return trigger(current, event);
    case 'Acknowledged':
      return acknowledge(current, event, rule);
    case 'Declined':
      return decline(current, event, rule);
    case 'TimePassed':
      return expire(current, event.nowMs);
    case 'Written':
      return complete(current, event.checkpointId);
    case 'WriteFailed':
      return failWrite(current, event);
    default:
      return unreachable(event);
  }
}

/** Whether `Trigger` would start a checkpoint now. */
export function canTrigger({ execution, checkpoint }: CheckpointCoordinator): boolean {
  return execution !== undefined && checkpoint.state === 'Idle';
}

function unchanged(current: CheckpointCoordinator): CheckpointStep {
  return { next: current, commands: [] };
}

function trigger(current: CheckpointCoordinator, event: CheckpointEvent & { type: 'Trigger' }): CheckpointStep {
  const { execution } = current;
  if (execution === undefined || !canTrigger(current)) {
    return unchanged(current);
  }
  const checkpoint: PendingCheckpoint = {
    id: current.nextCheckpointId,
    token: execution.token,
    purpose: event.purpose,
    operationId: event.operationId,
    triggeredAtMs: event.wallClockMs,
    subtaskCount: execution.subtasks.length,
    acknowledgements: new Map(),
  };
  return {
    next: {
      ...current,
      nextCheckpointId: current.nextCheckpointId + 1,
      checkpoint: { state: 'Triggered', checkpoint, deadlineMs: event.nowMs + event.timeoutMs },
    },
    commands: [{ type: 'TriggerTasks', checkpoint, stopSources: stopsSources(event.purpose) }],
  };
}

function acknowledge(
  current: CheckpointCoordinator,
  event: CheckpointEvent & { type: 'Acknowledged' },
  rule: TokenRule,
): CheckpointStep {
  const progress = triggered(current, event, rule);
  const key = subtaskKey(event.acknowledgement.task);
  if (progress === undefined || progress.checkpoint.acknowledgements.has(key)) {
    return unchanged(current);
  }
  assert(
    current.execution?.subtasks.some((task) => subtaskKey(task) === key),
    `an acknowledgement comes from a subtask of the execution, not from ${key}`,
  );
  const acknowledgements = new Map(progress.checkpoint.acknowledgements).set(key, event.acknowledgement);
  const checkpoint = { ...progress.checkpoint, acknowledgements };
  if (acknowledgements.size < checkpoint.subtaskCount) {
    return { next: { ...current, checkpoint: { ...progress, checkpoint } }, commands: [] };
  }
  return { next: { ...current, checkpoint: { state: 'Writing', checkpoint } }, commands: [{ type: 'Write', checkpoint }] };
}

function decline(current: CheckpointCoordinator, event: CheckpointEvent & { type: 'Declined' }, rule: TokenRule): CheckpointStep {
  const progress = triggered(current, event, rule);
  if (progress === undefined) {
    return unchanged(current);
  }
  return abort(current, progress.checkpoint, 'Declined', event.error);
}

function expire(current: CheckpointCoordinator, nowMs: number): CheckpointStep {
  const progress = current.checkpoint;
  if (progress.state !== 'Triggered' || nowMs < progress.deadlineMs) {
    return unchanged(current);
  }
  const { id, subtaskCount, acknowledgements } = progress.checkpoint;
  return abort(current, progress.checkpoint, 'TimedOut', {
    code: 'CheckpointTimedOut',
    message: `checkpoint ${id} was not complete in time: ${acknowledgements.size} of ${subtaskCount} subtasks had acknowledged it`,
    domain: 'external',
    retry: 'backoff',
    remedy: 'Look for subtasks that are slow or starved, or allow more time with checkpoints.timeoutSeconds.',
  });
}

function complete(current: CheckpointCoordinator, checkpointId: number): CheckpointStep {
  const checkpoint = writing(current, checkpointId);
  return {
    next: { ...current, checkpoint: { state: 'Idle' }, failuresInRow: 0 },
    commands: [{ type: 'NotifyCompleted', checkpoint }],
  };
}

function failWrite(current: CheckpointCoordinator, event: CheckpointEvent & { type: 'WriteFailed' }): CheckpointStep {
  return abort(current, writing(current, event.checkpointId), 'WriteFailed', event.error);
}

function endExecution(current: CheckpointCoordinator, reason: string): CheckpointStep {
  const next = { ...current, execution: undefined };
  if (current.checkpoint.state !== 'Triggered') {
    return unchanged(next);
  }
  const { checkpoint } = current.checkpoint;
  const error: ErrorInfo = {
    code: 'ExecutionEnded',
    message: `checkpoint ${checkpoint.id} ended with its tasks: ${reason}`,
    domain: 'external',
    retry: 'backoff',
  };
  // Not the checkpoint's own failure, so it is not counted.
  return {
    next: { ...next, checkpoint: { state: 'Idle' } },
    commands: [{ type: 'Abort', checkpoint, error, causedBy: 'ExecutionEnded' }],
  };
}

function abort(
  current: CheckpointCoordinator,
  checkpoint: PendingCheckpoint,
  causedBy: AbortCause,
  error: ErrorInfo,
): CheckpointStep {
  const failuresInRow = current.failuresInRow + 1;
  const next: CheckpointCoordinator = { ...current, checkpoint: { state: 'Idle' }, failuresInRow };
  const aborted: CheckpointCommand = { type: 'Abort', checkpoint, error, causedBy };
  // Tasks of an ended execution cannot fail again.
  const failure = current.execution === undefined ? undefined : executionFailure(next, checkpoint, error);
  return { next, commands: failure === undefined ? [aborted] : [aborted, { type: 'FailExecution', error: failure }] };
}

function executionFailure(next: CheckpointCoordinator, checkpoint: PendingCheckpoint, error: ErrorInfo): ErrorInfo | undefined {
  if (checkpoint.purpose === 'Stop') {
    // Its barrier stopped the sources, so the tasks are of no further use.
    return { ...error, retry: 'backoff', message: `the savepoint of the stop failed, the tasks start anew: ${error.message}` };
  }
  if (next.failuresInRow <= next.tolerableFailures) {
    return undefined;
  }
  return {
    ...error,
    code: 'TooManyCheckpointFailures',
    // Whatever was wrong with the storage, the job itself can go on.
    retry: 'backoff',
    message: `${next.failuresInRow} checkpoints in a row failed, the last one with ${error.code}: ${error.message}`,
  };
}

/** The checkpoint that a task's answer is about, if it still waits for answers of this execution. */
function triggered(
  { checkpoint: progress, execution }: CheckpointCoordinator,
  answer: { readonly token: FencingToken; readonly checkpointId: number },
  rule: TokenRule,
): (CheckpointProgress & { state: 'Triggered' }) | undefined {
  const isCurrent =
    progress.state === 'Triggered' &&
    execution !== undefined &&
    progress.checkpoint.id === answer.checkpointId &&
    rule.acceptsToken(answer.token, execution.token);
  return isCurrent ? progress : undefined;
}

function writing({ checkpoint: progress }: CheckpointCoordinator, checkpointId: number): PendingCheckpoint {
  assert(
    progress.state === 'Writing' && progress.checkpoint.id === checkpointId,
    `the answer of the storage is about the checkpoint that is being written, not about ${checkpointId}`,
  );
  return progress.checkpoint;
}

export function stopsSources(purpose: CheckpointPurpose): boolean {
  return purpose === 'Stop' || purpose === 'Final';
}
