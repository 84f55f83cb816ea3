import type { JobState } from '../api/rest.ts';
import { assert } from '../core/assert.ts';
import type { AbortCause, PendingCheckpoint } from '../core/checkpoint/checkpoint-coordinator.ts';
import type { SplitState } from '../core/checkpoint/manifest.ts';
import { sleep } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import type { EntryDraft } from '../core/lineage/entries.ts';
import type { LeakedObjects } from '../core/lineage/leaked-objects.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import type { OpenDecision } from '../core/lineage/open.ts';
import type { TaskManagerMessage } from '../core/protocol/messages.ts';
import { planRestore, type RestorePlan } from '../core/restore/plan-restore.ts';
import { decideRestart, noFailures } from '../core/scheduling/restart-strategy.ts';
import { assignSlots, type SlotAssignment } from '../core/scheduling/slot-assignment.ts';
import { restoreSizeBytes, type StateToPlace, stateToPlace } from '../core/scheduling/state-placement.ts';
import { Checkpointing, type CompletedCheckpoint } from './checkpointing.ts';
import { type Deferred, deferred } from './deferred.ts';
import { discoverAllSplits } from './discover-splits.ts';
import { Execution, type ExecutionFailure } from './execution.ts';
import { HousekeepingLoop } from './housekeeping-loop.ts';
import type { JobHistory } from './job-history.ts';
import type { JobManagerInput, JobManagerPorts } from './job-manager-ports.ts';
import { limits } from './limits.ts';
import { LineageHousekeeping } from './lineage-housekeeping.ts';
import { isFencedError, type LineageLog } from './lineage-log.ts';
import { localPartsOf, partsToPrefetch } from './local-parts.ts';
import { namesIn, readManifest } from './manifest-store.ts';
import { allowedStateChanges } from './open-lineage.ts';
import type { Operations } from './operations.ts';
import { Savepoints } from './savepoints.ts';
import { Stopping } from './stopping.ts';
import type { TaskManagers } from './task-managers.ts';
import { UrgentCheckpoints } from './urgent-checkpoints.ts';

/** How a job ends for this JobManager, once it holds the lineage. */
export type JobEnd =
  /** `Closed` is in the lineage. */
  | { readonly type: 'Closed' }
  | { readonly type: 'Failed'; readonly error: ErrorInfo }
  | { readonly type: 'Canceled'; readonly operationId: string }
  /** The process has to go, the job has not: the next JobManager continues. */
  | { readonly type: 'Terminated' }
  | { readonly type: 'Fenced'; readonly error: ErrorInfo };

type AttemptEnd = JobEnd | { readonly type: 'ExecutionFailed'; readonly failure: ExecutionFailure };

export interface JobRunOptions {
  readonly input: JobManagerInput;
  readonly ports: JobManagerPorts;
  readonly rules: LineageRules;
  readonly lineage: LineageLog;
  readonly decision: OpenDecision & { readonly type: 'Open' };
  readonly restored: CompletedCheckpoint | undefined;
  readonly taskManagers: TaskManagers;
  readonly operations: Operations;
  readonly history: JobHistory;
  /** `state` or `error` may have changed. */
  readonly onChanged: () => void;
}

/**
 * The job under an open lineage: one execution attempt after the other until it ends. Checkpoints, stops and savepoints have their own
 * files; here is what ties them together.
 *
 * 1. The next attempt is deployed only when no task of the one before can act, and no checkpoint's fate is open.
 * 2. It starts from the newest completed checkpoint, which is the lineage's head.
 * 3. An interruption (fenced, cancelled, terminated) ends every wait.
 */
export class JobRun {
  readonly #options: JobRunOptions;
  readonly #checkpointing: Checkpointing;
  readonly #stopping: Stopping;
  readonly #savepoints: Savepoints;
  readonly #urgentCheckpoints: UrgentCheckpoints;
  readonly #housekeeping: HousekeepingLoop;
  readonly #leak: () => LeakedObjects | undefined;
  readonly #interruption = deferred<JobEnd>();
  #execution: Execution | undefined;
  #executionAttempt = 0;
  /** A checkpoint of this execution attempt has completed. */
  #hasProgressed = false;
  #restarts = 0;
  #restartHistory = noFailures;
  #state: JobState = 'WaitingForTaskManagers';
  #error: ErrorInfo | undefined;
  #lastFailure: ErrorInfo | undefined;
  #slotsChanged: Deferred<void> = deferred();
  #closed: Deferred<JobEnd> = deferred();
  /** While `Closed` is being appended: whether it is in the lineage. */
  #closing: Promise<boolean> | undefined;
  #restoringPath: string | undefined;
  #stopHeadWatch: () => void = () => {};
  #isEnded = false;
  /** The last execution attempt with tasks on a TaskManager that was lost, and when they have surely ended. */
  #lostAttemptMax = 0;
  #lostTasksEndMs = 0;
  /** When the tasks of an earlier JobManager, which may not know yet that it is superseded, have surely ended. */
  readonly #predecessorEndMs: number;

  constructor(options: JobRunOptions) {
    this.#options = options;
    const { input, ports, rules, lineage, operations, history } = options;
    const { checkpoints, heartbeat } = input.config;
    this.#predecessorEndMs = options.decision.mayPredecessorLive
      ? ports.clock.monotonicMs() + limits.headWatchIntervalMs + heartbeat.leaseMs
      : 0;
    const onFatal = (error: unknown) => this.#fatal(error);
    const shared = { ...ports, lineage, operations, onFatal };
    this.#checkpointing = new Checkpointing(
      {
        ...{ ...shared, graph: input.graph, rules, history },
        intervalMs: checkpoints.intervalSeconds * 1000,
        minPauseMs: checkpoints.minPauseSeconds * 1000,
        mode: checkpoints.mode,
        timeoutMs: checkpoints.timeoutSeconds * 1000,
        tolerableFailures: checkpoints.tolerableFailedCheckpoints,
        onCompleted: (checkpoint) => this.#checkpointCompleted(checkpoint),
        onAborted: (checkpoint, error, causedBy) => this.#checkpointAborted(checkpoint, error, causedBy),
        onExecutionFailure: (error) => this.#execution?.fail({ error, task: undefined, taskManagerId: undefined }),
      },
      options.restored,
    );
    const checkpointing = this.#checkpointing;
    this.#urgentCheckpoints = new UrgentCheckpoints(checkpointing);
    this.#savepoints = new Savepoints({
      ...{ ...shared, checkpointing, timeoutMs: checkpoints.timeoutSeconds * 1000 },
      onReleased: () => this.#housekeeping.request(),
    });
    this.#stopping = new Stopping({
      ...{ ...shared, checkpointing, onChanged: options.onChanged },
      onAborted: ({ needsRestart }) => this.#stopAborted(needsRestart),
    });
    const housekeeping = new LineageHousekeeping(
      lineage,
      rules,
      {
        ...ports,
        namesOf: async (record) => namesIn(record, await readManifest(ports, record.manifest)),
        forget: async (names) => await this.#forget(names),
      },
      { retain: checkpoints.retain, deleteGraceMs: checkpoints.deleteGraceSeconds * 1000 },
    );
    this.#leak = () => housekeeping.leak;
    this.#housekeeping = new HousekeepingLoop({
      ...{ clock: ports.clock, housekeeping, onFatal, sweepIntervalMs: ports.sweepIntervalMs ?? limits.sweepIntervalMs },
      facts: () => ({
        inUse: this.#restoringPath === undefined ? [] : [this.#restoringPath],
        settledBelowId: checkpointing.settledBelowId,
        namesInFlight: () => checkpointing.namesInFlight,
        lostAttemptMax: () => (ports.clock.monotonicMs() < this.#lostTasksEndMs ? this.#lostAttemptMax : 0),
        isQuiet: this.#isEnded && this.#execution === undefined && ports.clock.monotonicMs() >= this.#quietFromMs,
      }),
      isDone: () =>
        !housekeeping.isWaiting && lineage.view.condemnations.every(({ number }) => lineage.deletedCondemnations.has(number)),
    });
  }

  get state(): JobState {
    if (this.#stopping.isUnderWay) {
      return 'Stopping';
    }
    return this.#state === 'Running' && this.#execution?.isInputEnded ? 'Finishing' : this.#state;
  }

  get error(): ErrorInfo | undefined {
    return this.#error;
  }

  /** Of the newest restart. */
  get lastFailure(): ErrorInfo | undefined {
    return this.#lastFailure;
  }

  /** Objects in the storage that nothing names; undefined before the first look. */
  get leak(): LeakedObjects | undefined {
    return this.#leak();
  }

  /** The job is over and nothing is left in the storage that no checkpoint names, or this JobManager may not see to it. */
  get whenClean(): Promise<void> {
    return this.#housekeeping.whenEnded;
  }

  /** When tasks that nobody has cancelled have surely ended: those of lost TaskManagers, and those of the JobManager before. */
  get #quietFromMs(): number {
    return Math.max(this.#lostTasksEndMs, this.#predecessorEndMs);
  }

  get execution(): Execution | undefined {
    return this.#execution;
  }

  get executionAttempt(): number {
    return this.#executionAttempt;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get checkpointCounts(): Checkpointing['counts'] {
    return this.#checkpointing.counts;
  }

  get failedCheckpoint(): Checkpointing['failed'] {
    return this.#checkpointing.failed;
  }

  get savepoints(): Savepoints {
    return this.#savepoints;
  }

  get stopping(): Stopping {
    return this.#stopping;
  }

  async run(): Promise<JobEnd> {
    await this.#takeUpStop();
    this.#watchHead();
    this.#housekeeping.start();
    for (;;) {
      const end = await this.#attempt();
      if (end.type !== 'ExecutionFailed') {
        return await this.#conclude(end);
      }
      const next = this.#afterFailure(end.failure);
      if (next.type === 'Failed') {
        return await this.#conclude(next);
      }
      const interruption = await this.#orInterrupted(sleep(this.#options.ports.clock, next.delayMs));
      if (interruption !== undefined) {
        return await this.#conclude(interruption);
      }
    }
  }

  /** Only the first interruption counts. */
  interrupt(end: JobEnd): void {
    this.#interruption.resolve(end);
  }

  slotsOffered(): void {
    this.#slotsChanged.resolve();
  }

  taskManagerLost(taskManagerId: string, reason: string): void {
    this.#execution?.taskManagerLost(taskManagerId, reason);
  }

  receive(taskManagerId: string, message: TaskManagerMessage): void {
    const execution = this.#execution;
    if (execution === undefined || !('token' in message) || !this.#options.rules.acceptsToken(message.token, execution.token)) {
      return;
    }
    if (message.type === 'Leaving') {
      // Not awaited: the TaskManager goes by itself when this takes too long.
      void this.#letGo(taskManagerId, execution);
      return;
    }
    execution.receive(taskManagerId, message);
    this.#checkpointing.receive(message);
  }

  /** What the tasks have done until now is in the lineage when it resolves, or will not be by anything that this can do. */
  async checkpointNow(): Promise<number | undefined> {
    return this.#execution?.isRunning ? await this.#urgentCheckpoints.take() : undefined;
  }

  /** A TaskManager was told to end, by a drained node for one: it goes once what it has done is in a checkpoint, and committed. */
  async #letGo(taskManagerId: string, execution: Execution): Promise<void> {
    const { ports, taskManagers } = this.#options;
    ports.log.info({ taskManagerId }, 'a TaskManager is told to end: a checkpoint is taken before it goes');
    const checkpointId = await this.checkpointNow();
    if (checkpointId !== undefined) {
      await Promise.race([execution.whenCommitted(checkpointId), execution.whenFailed]);
    }
    taskManagers.send(taskManagerId, { type: 'Leave', token: execution.token });
  }

  /** Rule 9 of the lineage protocol: a stop that an earlier JobManager began is finished, or given up before anything else. */
  async #takeUpStop(): Promise<void> {
    const { decision, operations } = this.#options;
    const { stopping, mode } = decision;
    if (stopping === undefined) {
      return;
    }
    if (operations.find(stopping.operationId) === undefined) {
      operations.begin(stopping.operationId, 'Stop');
    }
    this.#stopping.resume(stopping);
    if (mode === 'Run') {
      await this.#stopping.abort('its deadline passed while no JobManager ran');
    }
  }

  async #attempt(): Promise<AttemptEnd> {
    this.#enter('WaitingForTaskManagers', this.#error);
    const prepared = await this.#orInterruptedBy(this.#prepare());
    if (prepared.type !== 'Prepared') {
      return prepared;
    }
    // Asked again without a wait in between: whoever is placed now is there, and a later loss reaches the execution.
    const assigned = this.#assignSlots(prepared.state);
    if (assigned === undefined) {
      return await this.#attempt();
    }
    const execution = this.#deploy(assigned, prepared);
    const end = await this.#orInterruptedBy(this.#accompany(execution));
    return await this.#windDown(execution, end);
  }

  async #prepare(): Promise<Prepared | AttemptEnd> {
    const { input, ports } = this.#options;
    try {
      const plan = this.#planRestore(await discoverAllSplits(input.graph, ports));
      const head = this.#checkpointing.head;
      const state = head === undefined ? undefined : stateToPlace(input.graph, head.manifest, plan.subtasks);
      await this.#whenPlaceable(state);
      return { type: 'Prepared', plan, state };
    } catch (error) {
      const failure = { error: toErrorInfo(error, 'external'), task: undefined, taskManagerId: undefined };
      this.#recordFailure(failure);
      return { type: 'ExecutionFailed', failure };
    }
  }

  /** Enough slots are there; and, if this JobManager has just come, those that have the state have had the time to come too. */
  async #whenPlaceable(state: StateToPlace | undefined): Promise<void> {
    const { clock } = this.#options.ports;
    for (let enoughSinceMs: number | undefined; ; ) {
      const assigned = this.#assignSlots(state);
      const nowMs = clock.monotonicMs();
      enoughSinceMs = assigned === undefined ? undefined : (enoughSinceMs ?? nowMs);
      const isBest = this.#executionAttempt > 0 || assigned?.bytesToMove === 0;
      if (enoughSinceMs !== undefined && (isBest || nowMs - enoughSinceMs >= limits.registrationPatienceMs)) {
        return;
      }
      this.#slotsChanged = deferred();
      const changed = this.#slotsChanged.promise;
      await (enoughSinceMs === undefined
        ? changed
        : Promise.race([changed, sleep(clock, enoughSinceMs + limits.registrationPatienceMs - nowMs)]));
    }
  }

  #assignSlots(state: StateToPlace | undefined): SlotAssignment | undefined {
    return assignSlots(this.#options.input.graph, this.#options.taskManagers.offers(), state);
  }

  #planRestore(discoveredSplits: ReadonlyMap<string, readonly SplitState[]>): RestorePlan {
    const { graph, config } = this.#options.input;
    const head = this.#checkpointing.head;
    const plan = planRestore({
      manifest: head?.manifest,
      graph,
      allowed: allowedStateChanges(config),
      isOutputCommitted: head?.isOutputCommitted ?? false,
      stateBackend: config.stateBackend,
      discoveredSplits,
    });
    assert(plan.problems.length === 0, 'what was proven restorable before the lineage was opened stays so');
    return plan;
  }

  #deploy({ placements, bytesToMove }: SlotAssignment, { plan, state }: Prepared): Execution {
    const { input, ports, lineage, taskManagers } = this.#options;
    const { graph } = input;
    const head = this.#checkpointing.head;
    const { epoch } = lineage;
    assert(epoch !== undefined, 'tasks run under an open lineage');
    this.#executionAttempt += 1;
    const execution = new Execution({
      token: { epoch, executionAttempt: this.#executionAttempt },
      ...{ graph, placements, taskManagers, restores: plan.subtasks, clock: ports.clock },
      restoreSizeBytes: state?.parts.reduce((sum, _, index) => sum + restoreSizeBytes(state, index), 0) ?? 0,
      onFailure: (failure) => this.#recordFailure(failure),
      onInputEnded: () => {
        this.#options.onChanged();
        this.#checkpointing.inputEnded();
      },
    });
    this.#execution = execution;
    this.#hasProgressed = false;
    this.#restoringPath = head?.record.manifest.path;
    this.#enter('Deploying', this.#error);
    const { token } = execution;
    const subtasks = execution.subtasks.length;
    ports.log.info({ token, checkpointId: head?.record.checkpointId, subtasks, bytesToMove }, 'deploying tasks');
    execution.deploy();
    return execution;
  }

  async #accompany(execution: Execution): Promise<AttemptEnd> {
    const failed = execution.whenFailed.then((failure): AttemptEnd => ({ type: 'ExecutionFailed', failure }));
    const notReady = await Promise.race([failed, execution.whenReady]);
    if (notReady !== undefined) {
      return notReady;
    }
    this.#restoringPath = undefined;
    this.#closed = deferred();
    const head = this.#checkpointing.head?.record;
    if (head?.operationId !== undefined && head.operationId === this.#stopping.operationId && this.#stopping.isUnderWay) {
      // The savepoint of the stop is complete, and its output was committed with the restore: only `Closed` is missing. If the stop is being
      // given up instead, the tasks run after all. Not awaited: a failure of the tasks ends the attempt meanwhile.
      void this.#close(execution, { reason: 'StoppedWithSavepoint', checkpointId: head.checkpointId }).then((isClosed) => {
        if (!isClosed) {
          this.#start(execution);
        }
      });
    } else {
      this.#start(execution);
    }
    return await Promise.race([failed, this.#closed.promise]);
  }

  #start(execution: Execution): void {
    if (execution.isAlive && !this.#interruption.isResolved()) {
      execution.start();
      this.#enter('Running', undefined);
      this.#checkpointing.executionStarted(execution);
    }
  }

  async #windDown(execution: Execution, end: AttemptEnd): Promise<AttemptEnd> {
    if (end.type === 'Fenced') {
      return end;
    }
    if (end.type === 'ExecutionFailed') {
      this.#enter('Restarting', end.failure.error);
    }
    this.#checkpointing.executionEnded(end.type === 'ExecutionFailed' ? end.failure.error.message : end.type);
    this.#urgentCheckpoints.executionEnded();
    // First, because that ends attempts to append `Closed`.
    const canceled = execution.cancel();
    const closed = end.type === 'Closed' || (await (this.#closing ?? false));
    await canceled;
    this.#noteLostTasks(execution);
    this.#checkpointing.executionGone();
    this.#execution = undefined;
    if (closed) {
      return { type: 'Closed' };
    }
    const interruption = end.type === 'ExecutionFailed' && (await this.#orInterrupted(this.#checkpointing.whenSettled()));
    return interruption || end;
  }

  #noteLostTasks({ token, lastLossMs }: Execution): void {
    if (lastLossMs !== undefined) {
      this.#lostAttemptMax = token.executionAttempt;
      this.#lostTasksEndMs = lastLossMs + this.#options.input.config.heartbeat.leaseMs + limits.lostTaskManagerMarginMs;
    }
  }

  /** Tasks that were cancelled name nothing any more, and those of a lost TaskManager are not listened to. */
  async #forget(names: readonly string[]): Promise<ReadonlySet<string>> {
    return (await this.#execution?.forget(names)) ?? new Set(names);
  }

  #afterFailure({
    error,
    isOrdered,
  }: ExecutionFailure): { readonly type: 'Retry'; readonly delayMs: number } | (JobEnd & { type: 'Failed' }) {
    const { input, ports } = this.#options;
    this.#restarts += 1;
    this.#lastFailure = error;
    this.#enter('Restarting', error);
    if (isOrdered) {
      return { type: 'Retry', delayMs: 0 };
    }
    const failure = {
      ...{ error, nowMs: ports.clock.monotonicMs() },
      ...{ hasProgressed: this.#hasProgressed, random: ports.random() },
    };
    const { decision, history } = decideRestart(input.config.restartStrategy, this.#restartHistory, failure);
    this.#restartHistory = history;
    if (decision.type === 'Restart') {
      ports.log.warn({ err: error, delayMs: decision.delayMs }, 'the job failed and restarts');
      return { type: 'Retry', delayMs: decision.delayMs };
    }
    this.#restarts -= 1;
    return { type: 'Failed', error: { ...error, message: `${error.message} (not restarted, because ${decision.reason})` } };
  }

  #checkpointCompleted(checkpoint: PendingCheckpoint): void {
    this.#housekeeping.request();
    this.#urgentCheckpoints.completed(checkpoint);
    this.#hasProgressed = true;
    const execution = this.#execution;
    if (execution !== undefined) {
      this.#options.taskManagers.keepLocally(localPartsOf(checkpoint, (task) => execution.taskManagerOf(task)));
      this.#prefetch(checkpoint, execution);
    }
    if (checkpoint.purpose === 'Savepoint') {
      this.#savepoints.completed(checkpoint);
    } else if (checkpoint.purpose !== 'Periodic') {
      // Not awaited: what it finds out ends the attempt through `#closed` or a failure.
      void this.#afterLastCheckpoint(checkpoint);
    }
    this.#options.onChanged();
  }

  /** What of the state is on the disk of a spare TaskManager already need not be fetched when it takes over. */
  #prefetch(checkpoint: PendingCheckpoint, execution: Execution): void {
    const { taskManagers, input } = this.#options;
    // A medium that links needs no help.
    if (input.config.stateBackend !== 'RocksDB' || input.config.lineage.checkpointStorage.startsWith('file:')) {
      return;
    }
    const spare = taskManagers.list().filter(({ taskManagerId }) => execution.usedSlots(taskManagerId) === 0);
    for (const [index, { taskManagerId }] of spare.entries()) {
      const parts = partsToPrefetch(checkpoint, index, spare.length);
      if (parts.length > 0) {
        taskManagers.send(taskManagerId, { type: 'Prefetch', token: checkpoint.token, checkpointId: checkpoint.id, parts });
      }
    }
  }

  #checkpointAborted(checkpoint: PendingCheckpoint, error: ErrorInfo, causedBy: AbortCause): void {
    this.#housekeeping.request({ sweep: true });
    this.#urgentCheckpoints.aborted(checkpoint);
    if (checkpoint.purpose === 'Savepoint') {
      this.#savepoints.aborted(checkpoint, error, causedBy);
    }
  }

  /** The stop's savepoint or the final checkpoint is complete: when its output is committed, the lineage is closed. */
  async #afterLastCheckpoint({ id, token, purpose }: PendingCheckpoint): Promise<void> {
    const execution = this.#execution;
    if (execution === undefined || !this.#options.rules.acceptsToken(token, execution.token)) {
      return;
    }
    const { clock } = this.#options.ports;
    const cancelTimer = clock.schedule(limits.commitTimeoutMs, () => {
      execution.fail({ error: commitTimedOut(id), task: undefined, taskManagerId: undefined });
    });
    await Promise.race([execution.whenCommitted(id), execution.whenFailed]);
    cancelTimer();
    if (!execution.isAlive) {
      return;
    }
    const isClosed = await this.#close(execution, {
      reason: purpose === 'Stop' ? 'StoppedWithSavepoint' : 'Finished',
      checkpointId: id,
    });
    if (!isClosed && purpose === 'Final') {
      // A stop that was being given up stood in the way; new tasks end their input again and the job finishes.
      this.#stopAborted(true);
    }
  }

  /** Whether `Closed` is in the lineage now. Never rejects. */
  async #close(execution: Execution, closed: Pick<EntryDraft & { type: 'Closed' }, 'reason' | 'checkpointId'>): Promise<boolean> {
    this.#closing = this.#appendClosed(execution, closed);
    const isClosed = await this.#closing;
    if (isClosed) {
      this.#closed.resolve({ type: 'Closed' });
    }
    this.#closing = undefined;
    return isClosed;
  }

  async #appendClosed(
    execution: Execution,
    closed: Pick<EntryDraft & { type: 'Closed' }, 'reason' | 'checkpointId'>,
  ): Promise<boolean> {
    const { lineage, ports } = this.#options;
    while (execution.isAlive) {
      const { operationId } = this.#stopping;
      if (operationId !== undefined && !this.#stopping.beginClosing()) {
        return false;
      }
      try {
        await lineage.append({ type: 'Closed', ...closed, operationId });
        this.#stopping.closed();
        return true;
      } catch (error) {
        if (!(error instanceof JobError) || isFencedError(error)) {
          this.#fatal(error);
          return false;
        }
        ports.log.warn({ err: error }, 'Closed cannot be written; it is tried again');
        this.#stopping.closingFailed();
        await sleep(ports.clock, limits.appendRetryDelayMs);
      }
    }
    return false;
  }

  #stopAborted(needsRestart: boolean): void {
    const error: ErrorInfo = {
      code: 'StopAborted',
      message: 'the stop was given up after its sources had stopped; the tasks start anew',
      domain: 'external',
      retry: 'backoff',
    };
    if (needsRestart) {
      this.#execution?.fail({ error, task: undefined, taskManagerId: undefined, isOrdered: true });
    }
  }

  async #conclude(end: JobEnd): Promise<JobEnd> {
    this.#isEnded = true;
    this.#stopHeadWatch();
    this.#checkpointing.stop();
    if (end.type === 'Fenced' || end.type === 'Terminated') {
      this.#housekeeping.end();
    }
    if (end.type === 'Canceled' || end.type === 'Failed') {
      await this.#stopping.abort(end.type === 'Canceled' ? 'the job was cancelled' : `the job failed: ${end.error.message}`);
    }
    this.#stopping.end();
    if (end.type === 'Canceled') {
      await this.#recordCancel(end.operationId);
    }
    // What comes to light last wins: after a fence nobody may say anything else.
    const interruption = await this.#orInterrupted(Promise.resolve());
    if (interruption?.type === 'Fenced') {
      this.#housekeeping.end();
      return interruption;
    }
    this.#housekeeping.finish();
    const { clock } = this.#options.ports;
    const quietInMs = this.#quietFromMs - clock.monotonicMs();
    if (quietInMs > 0) {
      clock.schedule(quietInMs, () => this.#housekeeping.request({ sweep: true }));
    }
    return end;
  }

  async #recordCancel(operationId: string): Promise<void> {
    const { lineage, ports } = this.#options;
    const latest = lineage.view.latest;
    try {
      await lineage.append({
        ...{ type: 'Outcome', operationId, operationType: 'Cancel' },
        result: { state: 'Completed', checkpointId: latest?.checkpointId, path: latest?.manifest.path },
      });
    } catch (error) {
      // Nothing depends on it: the job is cancelled, and whoever asks this JobManager hears so.
      ports.log.warn({ err: error, operationId }, 'the outcome of a cancellation could not be written');
    }
  }

  #watchHead(): void {
    const { lineage, ports } = this.#options;
    const look = async () => {
      try {
        await lineage.checkHead();
      } catch (error) {
        if (!(error instanceof JobError) || isFencedError(error)) {
          this.#fatal(error);
          return;
        }
        ports.log.warn({ err: error }, 'the head of the lineage cannot be read');
      }
      if (!this.#isEnded) {
        this.#watchHead();
      }
    };
    // Not awaited: `look` handles its own failures.
    this.#stopHeadWatch = ports.clock.schedule(limits.headWatchIntervalMs, () => void look());
  }

  #fatal(error: unknown): void {
    const info = toErrorInfo(error);
    this.interrupt(isFencedError(error) ? { type: 'Fenced', error: info } : { type: 'Failed', error: info });
  }

  #recordFailure(failure: ExecutionFailure): void {
    const { history, ports } = this.#options;
    const { error, task, taskManagerId } = failure;
    const executionAttempt = this.#executionAttempt;
    history.recordException({ atMs: ports.clock.nowMs(), error, task, taskManagerId, executionAttempt });
    ports.log.warn({ err: error, task, taskManagerId }, 'a task failed');
  }

  #enter(state: JobState, error: ErrorInfo | undefined): void {
    this.#state = state;
    this.#error = error;
    this.#options.onChanged();
  }

  /** The interruption, if there is one before the promise is settled. */
  async #orInterrupted(promise: Promise<unknown>): Promise<JobEnd | undefined> {
    return await Promise.race([this.#interruption.promise, promise.then(() => undefined)]);
  }

  async #orInterruptedBy<T>(promise: Promise<T>): Promise<T | JobEnd> {
    return await Promise.race([this.#interruption.promise, promise]);
  }
}

interface Prepared {
  readonly type: 'Prepared';
  readonly plan: RestorePlan;
  /** Undefined when the job starts empty. */
  readonly state: StateToPlace | undefined;
}

function commitTimedOut(checkpointId: number): ErrorInfo {
  return {
    code: 'CommitTimedOut',
    message: `sinks did not commit checkpoint ${checkpointId}, the job's last, within ${limits.commitTimeoutMs / 1000} s`,
    domain: 'external',
    retry: 'backoff',
    remedy: 'Look whether the place that the sinks write to is reachable.',
  };
}
