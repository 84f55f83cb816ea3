import type { JobState, JobStatusDocument, OperationStatus, RestoredFrom, SavepointDocument } from '../api/rest.ts';
import { assert } from '../core/assert.ts';
import type { SnapshotFormat } from '../core/checkpoint/manifest.ts';
import { sleep } from '../core/clock.ts';
import { type ErrorInfo, JobError, toErrorInfo } from '../core/job-error.ts';
import { type LineageRules, lineageRules } from '../core/lineage/lineage-rules.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { emptyView } from '../core/lineage/view.ts';
import type { TaskManagerConnection } from '../core/protocol/messages.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { deferred } from './deferred.ts';
import { JobHistory } from './job-history.ts';
import type { JobManagerInput, JobManagerPorts } from './job-manager-ports.ts';
import { type JobEnd, JobRun } from './job-run.ts';
import { jobStatus, restoredFrom } from './job-status.ts';
import { limits } from './limits.ts';
import { isFencedError } from './lineage-log.ts';
import { type ImportProgress, type OpenResult, openLineage } from './open-lineage.ts';
import { Operations } from './operations.ts';
import { findSavepoint, savepointDocuments } from './savepoint-documents.ts';
import { type RegisteredTaskManager, TaskManagers } from './task-managers.ts';

/** How `run` ends. The object goes on answering `status()` and tells TaskManagers that there is nothing to do. */
export interface JobManagerOutcome {
  readonly state: 'Stopped' | 'Finished' | 'Failed' | 'Canceled' | 'Fenced' | 'Refused';
  readonly error: ErrorInfo | undefined;
}

/**
 * The coordinator of one job: opens the lineage, restores, places tasks, takes checkpoints, fails over. It knows the world only through
 * its ports and connections, so the simulator runs this very class. Here are its surface, its beginning and its end; between them runs
 * `JobRun`.
 */
export class JobManager {
  readonly history = new JobHistory();
  readonly #input: JobManagerInput;
  readonly #ports: JobManagerPorts;
  readonly #rules: LineageRules;
  readonly #taskManagers: TaskManagers;
  readonly #operations: Operations;
  readonly #terminated = deferred<void>();
  readonly #opened = deferred<void>();
  readonly #startedAtMs: number;
  #run: JobRun | undefined;
  /** What the lineage says; live while it is open. */
  #view: () => LineageView = () => emptyView;
  #epoch: number | undefined;
  #restored: RestoredFrom | undefined;
  /** Of the beginning and the end; between them the run has it. */
  #state: JobState = 'Initializing';
  #error: ErrorInfo | undefined;
  /** While what the job is to start from is being copied. */
  #importing: ImportProgress | undefined;
  #nextImportLogMs = 0;
  #shown: { readonly state: JobState; readonly sinceMs: number };

  constructor(input: JobManagerInput, ports: JobManagerPorts, rules: LineageRules = lineageRules) {
    this.#input = input;
    this.#ports = ports;
    this.#rules = rules;
    this.#operations = new Operations(ports.storage.url);
    this.#startedAtMs = ports.clock.nowMs();
    this.#shown = { state: this.#state, sinceMs: this.#startedAtMs };
    this.#taskManagers = new TaskManagers({
      ...{ clock: ports.clock, log: ports.log, heartbeat: input.config.heartbeat },
      jobGraphHash: jobGraphHash(input.graph),
      onMessage: (taskManagerId, message) => this.#run?.receive(taskManagerId, message),
      onRegistered: () => this.#run?.slotsOffered(),
      onLost: (taskManagerId, reason) => this.#run?.taskManagerLost(taskManagerId, reason),
    });
  }

  /** Called once. Resolves when the job is over for this JobManager; never rejects. */
  async run(): Promise<JobManagerOutcome> {
    assert(this.#state === 'Initializing', 'a JobManager runs once');
    const { log } = this.#ports;
    try {
      const outcome = await this.#live();
      log.info({ state: outcome.state, err: outcome.error }, 'the job is over for this JobManager');
      return outcome;
    } catch (error) {
      log.error({ err: error }, 'the JobManager failed');
      return this.#end('Failed', toErrorInfo(error));
    }
  }

  /** Resolves when `status().epoch` says under which epoch the lineage is open, or when it never will be. */
  get whenOpened(): Promise<void> {
    return this.#opened.promise;
  }

  /**
   * After the end of `run`: resolves when what the job leaves in the storage is what its checkpoints name, or when that is not this
   * JobManager's business. It takes as long as the grace period where a lost TaskManager may still be at work.
   */
  get whenClean(): Promise<void> {
    return this.#run?.whenClean ?? Promise.resolve();
  }

  /** May be called at any time after construction, also before `run` and after its end. */
  acceptTaskManager(connection: TaskManagerConnection): void {
    this.#taskManagers.accept(connection);
  }

  /** Idempotent: the same id again gives the same operation. Throws a `JobError` when the job is in no state for it. */
  requestSavepoint(request: {
    readonly operationId: string;
    readonly stateFormat?: SnapshotFormat | undefined;
    readonly reason?: string | undefined;
  }): OperationStatus {
    const { operationId, stateFormat = 'Native', reason } = request;
    const known = this.#operations.find(operationId);
    if (known !== undefined) {
      return known;
    }
    const run = this.#running();
    if (run.savepoints.isFull) {
      throw new JobError(`${limits.pendingSavepointCountMax} savepoints are waiting to be taken already`, {
        ...{ domain: 'user', retry: 'backoff', code: 'TooManySavepoints' },
        remedy: 'Wait until one of them is complete.',
      });
    }
    const operation = this.#operations.begin(operationId, 'Savepoint');
    run.savepoints.request({ operationId, stateFormat, reason });
    return operation;
  }

  /** Gives a savepoint free for deletion. Throws a `JobError` when there is none of that path. */
  releaseSavepoint({ operationId, path }: { readonly operationId: string; readonly path: string }): OperationStatus {
    const known = this.#operations.find(operationId);
    if (known !== undefined) {
      return known;
    }
    const run = this.#run;
    if (run === undefined || isOver(this.#currentState())) {
      throw this.#inNoStateFor('release a savepoint');
    }
    const record = findSavepoint(this.#view(), { path, storageUrl: this.#ports.storage.url });
    const operation = this.#operations.begin(operationId, 'Release');
    // Not awaited: its outcome is asked for with the operation's id.
    void run.savepoints.release(operationId, record);
    return operation;
  }

  savepoints(): readonly SavepointDocument[] {
    return savepointDocuments(this.#view(), this.#ports.storage.url);
  }

  /** Stops with a savepoint, or runs on when that was not possible within the deadline. */
  requestStop({
    operationId,
    deadlineSeconds,
    stateFormat,
  }: {
    readonly operationId: string;
    readonly deadlineSeconds: number;
    readonly stateFormat?: SnapshotFormat | undefined;
  }): OperationStatus {
    const known = this.#operations.find(operationId);
    if (known !== undefined) {
      return known;
    }
    const run = this.#running();
    const operation = this.#operations.begin(operationId, 'Stop');
    const deadlineMs = this.#ports.clock.nowMs() + deadlineSeconds * 1000;
    run.stopping.request({ operationId, deadlineMs, ...(stateFormat && { stateFormat }) });
    return operation;
  }

  /** Ends the job at once, without a savepoint; the lineage stays open at its last checkpoint. */
  cancel({ operationId }: { readonly operationId: string }): OperationStatus {
    const known = this.#operations.find(operationId);
    if (known !== undefined) {
      return known;
    }
    if (this.#run === undefined || isOver(this.#currentState())) {
      throw this.#inNoStateFor('be cancelled');
    }
    const operation = this.#operations.begin(operationId, 'Cancel');
    this.#run.interrupt({ type: 'Canceled', operationId });
    return operation;
  }

  /** Before `terminate`, by whoever has the time: what the tasks have done is in a checkpoint when it resolves, if they can take one. */
  async checkpointNow(): Promise<void> {
    await this.#run?.checkpointNow();
  }

  /** The process has to end: tasks are cancelled, nothing is written, and the next JobManager continues the job. */
  terminate(): void {
    this.#terminated.resolve();
    this.#run?.interrupt({ type: 'Terminated' });
  }

  /** Undefined for an id that this lineage does not know. */
  operation(operationId: string): OperationStatus | undefined {
    return this.#operations.find(operationId);
  }

  taskManagers(): readonly RegisteredTaskManager[] {
    return this.#taskManagers.list();
  }

  /** The tasks that are deployed now; for REST. */
  get execution(): JobRun['execution'] {
    return this.#run?.execution;
  }

  status(): JobStatusDocument {
    this.#show();
    const state = this.#currentState();
    const view = this.#view();
    return jobStatus({
      input: this.#input,
      state,
      stateSinceMs: this.#shown.sinceMs,
      error: this.#error ?? (isOver(this.#state) ? undefined : this.#run?.error),
      epoch: this.#epoch,
      executionAttempt: this.#run?.executionAttempt ?? 0,
      restarts: this.#run?.restarts ?? 0,
      lastFailure: this.#run?.lastFailure,
      restored: this.#restored,
      importing: this.#importing,
      latest: view.latest,
      latestSizes: this.history.checkpoints.find(
        ({ id, state: taken }) => taken === 'Completed' && id === view.latest?.checkpointId,
      ),
      restorableAgeSeconds: this.#restorableAgeSeconds(state, view),
      leakedObjects: this.#run?.leak,
      checkpointCounts: this.#run?.checkpointCounts ?? { completed: 0, failed: 0, inProgress: 0 },
      failedCheckpoint: this.#run?.failedCheckpoint,
      offeredSlots: this.#taskManagers.offers(),
      execution: this.#run?.execution,
      operations: this.#operations.list(),
      closed: view.closed,
    });
  }

  #restorableAgeSeconds(state: JobState, { latest }: LineageView): number | undefined {
    const sinceMs = latest?.triggeredAtMs ?? this.#startedAtMs;
    return isOver(state) ? undefined : Math.max(0, (this.#ports.clock.nowMs() - sinceMs) / 1000);
  }

  async #live(): Promise<JobManagerOutcome> {
    const opened = await Promise.race([this.#open(), this.#terminated.promise]);
    if (opened === undefined) {
      return this.#concludeRun({ type: 'Terminated' });
    }
    if (opened.type === 'Refused') {
      return this.#refused(opened);
    }
    if (opened.type === 'Fenced') {
      return this.#concludeRun(opened);
    }
    const { lineage, decision, restored } = opened;
    this.#view = () => lineage.view;
    this.#epoch = decision.epoch;
    this.#restored = restoredFrom(decision.restore);
    this.#importing = undefined;
    this.#error = undefined;
    this.#operations.settle(lineage.view);
    this.#ports.log.info({ epoch: decision.epoch, mode: decision.mode, restored: this.#restored }, 'lineage opened');
    const run = new JobRun({
      ...{ input: this.#input, ports: this.#ports, rules: this.#rules, lineage, decision, restored },
      ...{ taskManagers: this.#taskManagers, operations: this.#operations, history: this.history },
      onChanged: () => this.#show(),
    });
    this.#run = run;
    this.#show();
    this.#taskManagers.open(decision.epoch);
    this.#opened.resolve();
    if (this.#terminated.isResolved()) {
      run.interrupt({ type: 'Terminated' });
    }
    return this.#concludeRun(await run.run());
  }

  /** A storage that does not answer may do so later; what can never work is refused at once. */
  async #open(): Promise<OpenResult | (JobEnd & { readonly type: 'Fenced' })> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await openLineage(this.#input, this.#ports, this.#rules, {
          onOpened: (epoch) => this.#taskManagers.keepWaiting(epoch),
          onProgress: (progress) => this.#imported(progress),
          throwIfEnded: () => this.#throwIfTerminated(),
        });
      } catch (error) {
        const info = toErrorInfo(error);
        if (isFencedError(error)) {
          return { type: 'Fenced', error: info };
        }
        if (!(error instanceof JobError) || error.retry === 'never') {
          return { type: 'Refused', error: info, view: emptyView };
        }
        this.#error = info;
        this.#ports.log.warn({ err: error }, 'the lineage cannot be opened yet');
        const delayMs = Math.min(limits.openRetryDelayMs * 2 ** attempt, limits.openRetryDelayMaxMs);
        await sleep(this.#ports.clock, delayMs);
      }
    }
  }

  #imported(progress: ImportProgress): void {
    const { clock, log } = this.#ports;
    this.#importing = progress;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#nextImportLogMs) {
      this.#nextImportLogMs = nowMs + limits.importLogIntervalMs;
      log.info({ ...progress }, 'importing');
    }
  }

  #throwIfTerminated(): void {
    if (this.#terminated.isResolved()) {
      throw new JobError('this JobManager is ending', { domain: 'external', retry: 'never', code: 'Terminated' });
    }
  }

  #refused({ error, view }: OpenResult & { readonly type: 'Refused' }): JobManagerOutcome {
    this.#view = () => view;
    this.#operations.settle(view);
    if (view.closed !== undefined && error.code === 'AttemptClosed') {
      // This attempt did end as it was meant to; only the process that said so is gone.
      this.#epoch = view.epoch;
      this.#taskManagers.shutDown('the job is over', { isFinished: view.closed.reason === 'Finished' });
      return this.#end(view.closed.reason === 'Finished' ? 'Finished' : 'Stopped', undefined);
    }
    this.#taskManagers.refuse(error);
    return this.#end('Refused', error);
  }

  #concludeRun(end: JobEnd): JobManagerOutcome {
    const view = this.#view();
    this.#operations.settle(view);
    switch (end.type) {
      case 'Closed': {
        const state = view.closed?.reason === 'Finished' ? 'Finished' : 'Stopped';
        this.#taskManagers.shutDown(`the job is ${state}`, { isFinished: state === 'Finished' });
        return this.#end(state, undefined);
      }
      case 'Failed':
        this.#taskManagers.shutDown(`the job failed: ${end.error.message}`);
        return this.#end('Failed', end.error);
      case 'Canceled':
        this.#taskManagers.shutDown('the job is cancelled');
        return this.#end('Canceled', undefined);
      case 'Fenced':
        this.#taskManagers.closeAll('superseded by a newer JobManager', end.error);
        return this.#end('Fenced', end.error);
      default: {
        const error: ErrorInfo = {
          ...{ code: 'Terminated', message: 'this JobManager is ending; the job goes on with the next one' },
          ...{ domain: 'external', retry: 'backoff' },
        };
        this.#taskManagers.closeAll('the JobManager ends', error);
        return this.#end('Canceled', error);
      }
    }
  }

  #end(state: JobManagerOutcome['state'], error: ErrorInfo | undefined): JobManagerOutcome {
    this.#state = state;
    this.#error = error;
    const message = `the job is ${state}; nothing more happens to this operation here`;
    this.#operations.failAll({ code: 'JobOver', message, domain: 'external', retry: 'backoff' });
    this.#show();
    this.#opened.resolve();
    return { state, error };
  }

  #currentState(): JobState {
    return isOver(this.#state) ? this.#state : (this.#run?.state ?? this.#state);
  }

  /** Remembers since when the job is in the state that it shows. */
  #show(): void {
    const state = this.#currentState();
    if (state !== this.#shown.state) {
      this.#ports.log.info({ from: this.#shown.state, to: state }, 'job state');
      this.#shown = { state, sinceMs: this.#ports.clock.nowMs() };
    }
  }

  /** The run, when it may still be asked for a savepoint or a stop. */
  #running(): JobRun {
    const state = this.#currentState();
    if (this.#run === undefined || isOver(state) || state === 'Finishing' || this.#run.stopping.operationId !== undefined) {
      throw this.#inNoStateFor('take a savepoint or be stopped');
    }
    return this.#run;
  }

  #inNoStateFor(what: string): JobError {
    const state = this.#currentState();
    return new JobError(`the job is ${state} and cannot ${what} now`, {
      ...{ domain: 'user', retry: state === 'Initializing' ? 'backoff' : 'never', code: 'JobNotRunning' },
      remedy: isOver(state) ? 'Start the job again first.' : 'Ask again when the job is Running.',
    });
  }
}

const finalStates: ReadonlySet<JobState> = new Set(['Stopped', 'Finished', 'Failed', 'Canceled', 'Fenced', 'Refused']);

export function isOver(state: JobState): boolean {
  return finalStates.has(state);
}
