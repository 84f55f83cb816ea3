import type { CheckpointSummary, JobState, JobStatusDocument, OperationStatus } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus, Problem } from '../../src/api/flink-job-status.ts';
import { currentPurgeId } from '../../src/flink-job/decide-purge.ts';
import { type Command, currentJobManager, currentPreFlightId, type Facts } from '../../src/flink-job/decision.ts';
import type {
  ExitFact,
  JobManagerFact,
  PreFlightFact,
  ProcessState,
  PurgeFact,
  RestoreRequest,
  TaskManagerFact,
} from '../../src/platform/platform.ts';
import { documentWith, planWith, vertexWith } from './flink-job-builders.ts';

/**
 * Everything round a controller, without processes: one lineage that keeps to the protocol's rules for opening and closing, JobManagers and
 * TaskManagers that can crash, pause, fail and finish, and pre-flights. Time is a number that the test moves. Nothing happens by
 * itself: `progress` lets everything take one step.
 */
export class FakeWorld {
  nowMs = 1_000_000;
  readonly lineage: FakeLineage = {
    epoch: 0,
    attempt: undefined,
    openedBy: undefined,
    superseded: new Set(),
    closed: undefined,
    stopping: undefined,
    latest: undefined,
    checkpoints: 0,
    honoured: new Set(),
    writers: new Map(),
    emptied: false,
    operations: [],
  };
  jobManagers: FakeJobManager[] = [];
  taskManagers: FakeTaskManager[] = [];
  preFlights: FakePreFlight[] = [];
  purges: PurgeFact[] = [];
  /** Set: purges fail with it. */
  purgesFail: Problem | undefined;
  /** Revisions whose pre-flight fails. */
  readonly broken = new Set<string>();
  /** Revisions that start and never get to Running. */
  readonly doomed = new Set<string>();
  /** Revisions that fail for good as soon as they run. */
  readonly failing = new Set<string>();
  /** Revisions that complete no checkpoint. */
  readonly stuck = new Set<string>();
  /** Revisions whose checkpoints no other revision can read. */
  readonly unreadable = new Set<string>();
  /** By revision: operators with state that the newest checkpoint does not know. */
  readonly startsEmpty = new Map<string, readonly string[]>();
  /** Revisions whose storage is another one, in which there is nothing. */
  readonly elsewhere = new Set<string>();
  /** Set: commands that are answered with a refusal, until the next pass has seen it. */
  refuse: ((command: Command) => Problem | undefined) | undefined;
  /** Set: what sources have not read yet. */
  pendingRecords: number | undefined;
  /** What JobManagers say of their newest checkpoint. */
  failedCheckpoint: JobStatusDocument['failedCheckpoint'];
  /** Set: stops with savepoint fail. */
  savepointsFail = false;
  #pods = 0;
  #refusals: Facts['refusals'] = [];

  facts(status: FlinkJobStatus): Facts {
    const jobManagers: JobManagerFact[] = this.jobManagers.map((it) => ({
      attemptNumber: it.attempt.number,
      instance: it.instance,
      podUid: it.podUid,
      revision: it.revision,
      process: it.process,
      restAddress: it.process.state === 'Alive' && it.listening ? `127.0.0.1:${it.podUid}` : undefined,
    }));
    const taskManagers: TaskManagerFact[] = this.taskManagers.map(({ attemptNumber, index, id, revision, process }) => ({
      attemptNumber,
      index,
      taskManagerId: id,
      revision,
      process,
    }));
    const operationId = currentPreFlightId(status);
    const preFlight = this.preFlights.find((it) => it.operationId === operationId)?.fact;
    const purge = this.purges.find((it) => it.operationId === currentPurgeId(status));
    const partial = { jobManagers, taskManagers, preFlight, purge };
    const current = currentJobManager(status, partial);
    const jobManager = this.jobManagers.find((it) => it.podUid === current?.podUid);
    const answers =
      jobManager !== undefined && jobManager.process.state === 'Alive' && jobManager.listening && !jobManager.paused;
    const isOurs = jobManager?.attempt.token === status.attempt?.token;
    return {
      ...partial,
      document: answers && isOurs ? this.#document(jobManager) : undefined,
      refusals: this.#takeRefusals(),
      hindrance: undefined,
    };
  }

  #takeRefusals(): Facts['refusals'] {
    const refusals = this.#refusals;
    this.#refusals = [];
    return refusals;
  }

  act(command: Command): void {
    const refusal = this.refuse?.(command);
    if (refusal !== undefined) {
      this.#refusals = [...this.#refusals, { operationId: command.operationId, problem: refusal }];
      return;
    }
    switch (command.type) {
      case 'RunPreFlight':
        if (!this.preFlights.some((it) => it.operationId === command.operationId)) {
          const { operationId, revision, restore } = command;
          this.preFlights.push({ operationId, revision, restore, fact: { operationId, state: 'Running' } });
        }
        return;
      case 'RunPurge':
        if (!this.purges.some((it) => it.operationId === command.operationId)) {
          this.purges.push({ operationId: command.operationId, state: 'Running' });
        }
        return;
      case 'EnsureJobManager':
        this.#ensureJobManager(command);
        return;
      case 'EnsureTaskManagers':
        this.#ensureTaskManagers(command);
        return;
      case 'StopJob':
        this.#stop(command);
        return;
      case 'CancelJob': {
        const jobManager = this.jobManagers.find(
          (it) => `127.0.0.1:${it.podUid}` === command.address && it.process.state === 'Alive' && !it.paused,
        );
        if (jobManager !== undefined && this.#isWriter(jobManager)) {
          jobManager.state = 'Canceled';
        }
        return;
      }
      case 'Terminate': {
        const { which } = command;
        const meantJobManager = (it: FakeJobManager) =>
          which.type === 'All' ||
          (which.type === 'AttemptsBefore' && it.attempt.number < which.attemptNumber) ||
          (which.type === 'InstancesBefore' && it.attempt.number === which.attemptNumber && it.instance < which.instance);
        this.jobManagers = this.jobManagers.filter((it) => !meantJobManager(it));
        this.taskManagers = this.taskManagers.filter(
          (it) =>
            !(
              which.type === 'All' ||
              (which.type === 'AttemptsBefore' && it.attemptNumber < which.attemptNumber) ||
              (which.type === 'TaskManager' && it.id === which.taskManagerId)
            ),
        );
        return;
      }
      case 'DeleteResource':
      case 'Release':
        return;
    }
  }

  /** One step of everything that is not stuck. */
  progress(): void {
    for (const preFlight of this.preFlights) {
      if (preFlight.fact.state === 'Running') {
        preFlight.fact = { operationId: preFlight.operationId, state: 'Completed', result: this.#plan(preFlight) };
      }
    }
    this.purges = this.purges.map((purge): PurgeFact => {
      const { operationId } = purge;
      if (purge.state !== 'Running') {
        return purge;
      }
      return this.purgesFail === undefined
        ? { operationId, state: 'Completed' }
        : { operationId, state: 'Failed', problem: this.purgesFail };
    });
    for (const jobManager of this.jobManagers) {
      if (jobManager.process.state === 'Alive' && !jobManager.paused) {
        this.#stepJobManager(jobManager);
      }
    }
  }

  crashJobManager(jobManager: FakeJobManager): void {
    if (jobManager.process.state === 'Alive') {
      exitWith(jobManager, { kind: 'Failed', problem: { code: 'ProcessEnded', message: 'signal SIGKILL' } }, this.nowMs);
    }
  }

  crashTaskManager(taskManager: FakeTaskManager): void {
    taskManager.process = { state: 'BackOff', untilMs: this.nowMs + 500, exit: { kind: 'Failed', problem: undefined } };
  }

  /** The JobManager that holds the epoch, if it still may write. */
  writer(): FakeJobManager | undefined {
    return this.jobManagers.find((it) => this.#isWriter(it));
  }

  #isWriter(jobManager: FakeJobManager): boolean {
    return jobManager.epoch !== undefined && jobManager.epoch === this.lineage.epoch && jobManager.process.state === 'Alive';
  }

  #plan({ revision, restore }: FakePreFlight) {
    const { lineage } = this;
    if (this.elsewhere.has(revision)) {
      return planWith();
    }
    const facts = {
      attemptNumber: lineage.attempt?.number ?? 0,
      epoch: lineage.epoch,
      restorePath: lineage.latest?.path,
      owner: undefined,
    };
    const isRequest = restore.from !== 'Latest' && !lineage.honoured.has(restore.token);
    const path = isRequest ? (restore.from === 'Path' ? restore.path : undefined) : facts.restorePath;
    const writer = path === undefined ? undefined : lineage.writers.get(path);
    if (writer !== undefined && writer !== revision && this.unreadable.has(writer)) {
      const problem = { code: 'StateTypeChanged', message: `${path} holds another type`, remedy: 'Keep the type.' };
      return planWith({ ok: false, problems: [problem], lineage: facts });
    }
    return this.broken.has(revision)
      ? planWith({
          ok: false,
          problems: [{ code: 'JobModuleThrew', message: 'the module throws', remedy: 'Correct it.' }],
          lineage: facts,
        })
      : planWith({ lineage: { ...facts, restorePath: path }, startsEmpty: this.startsEmpty.get(revision) });
  }

  #ensureJobManager(command: Extract<Command, { type: 'EnsureJobManager' }>): void {
    const existing = this.jobManagers.find(
      (it) => it.attempt.number === command.attempt.number && it.instance === command.instance,
    );
    if (existing !== undefined && (existing.process.state !== 'BackOff' || this.nowMs < existing.process.untilMs)) {
      return;
    }
    this.#pods += 1;
    const fresh: FakeJobManager = {
      attempt: command.attempt,
      instance: command.instance,
      podUid: `pod-${this.#pods}`,
      revision: command.revision,
      restore: command.restore,
      process: { state: 'Alive', pid: this.#pods, startedAtMs: this.nowMs },
      listening: false,
      paused: false,
      epoch: undefined,
      state: 'Initializing',
      restored: undefined,
      restarts: 0,
      error: undefined,
      errorRetry: 'never',
    };
    this.jobManagers = [...this.jobManagers.filter((it) => it !== existing), fresh];
  }

  #ensureTaskManagers(command: Extract<Command, { type: 'EnsureTaskManagers' }>): void {
    for (let index = 0; index < command.replicas; index += 1) {
      const existing = this.taskManagers.find((it) => it.attemptNumber === command.attemptNumber && it.index === index);
      if (existing?.process.state === 'Alive') {
        continue;
      }
      this.taskManagers = this.taskManagers.filter((it) => it !== existing);
      this.taskManagers.push({
        attemptNumber: command.attemptNumber,
        index,
        id: `task-manager-${++this.#pods}`,
        revision: command.revision,
        process: { state: 'Alive', pid: 0, startedAtMs: this.nowMs },
        paused: false,
      });
    }
  }

  #stop(command: Extract<Command, { type: 'StopJob' }>): void {
    const { lineage } = this;
    const jobManager = this.jobManagers.find(
      (it) => `127.0.0.1:${it.podUid}` === command.address && it.process.state === 'Alive' && !it.paused,
    );
    const known = lineage.operations.some((it) => it.operationId === command.operationId);
    if (jobManager === undefined || !this.#isWriter(jobManager) || jobManager.state !== 'Running' || known) {
      return;
    }
    jobManager.state = 'Stopping';
    lineage.stopping = { operationId: command.operationId, deadlineMs: this.nowMs + command.deadlineSeconds * 1000 };
    lineage.operations.push(operation(command.operationId, 'InProgress'));
  }

  #stepJobManager(jobManager: FakeJobManager): void {
    if (!jobManager.listening) {
      jobManager.listening = true;
      return;
    }
    if (jobManager.epoch === undefined) {
      if (jobManager.state === 'Initializing') {
        this.#open(jobManager);
      }
      return;
    }
    if (!this.#isWriter(jobManager)) {
      jobManager.state = 'Fenced';
      exitWith(jobManager, { kind: 'Fenced', problem: { code: 'Fenced', message: 'a higher epoch' } }, this.nowMs);
      return;
    }
    switch (jobManager.state) {
      case 'Initializing':
        jobManager.state = 'WaitingForTaskManagers';
        return;
      case 'WaitingForTaskManagers':
      case 'Restarting':
        if (!this.doomed.has(jobManager.revision) && this.#registered(jobManager).length > 0) {
          jobManager.restarts += jobManager.state === 'Restarting' ? 1 : 0;
          jobManager.state = 'Running';
        }
        return;
      case 'Running':
        if (this.failing.has(jobManager.revision)) {
          jobManager.state = 'Failed';
          jobManager.error = 'UserCodeFailed';
          jobManager.errorRetry = 'backoff';
          return;
        }
        if (this.#registered(jobManager).length === 0) {
          jobManager.state = 'Restarting';
          return;
        }
        if (!this.stuck.has(jobManager.revision)) {
          this.#checkpoint('Checkpoint', jobManager.revision);
        }
        return;
      case 'Stopping':
        this.#finishStop(jobManager);
        return;
      default:
        return;
    }
  }

  #open(jobManager: FakeJobManager): void {
    const { lineage } = this;
    const head = lineage.attempt;
    const refusal =
      head === undefined || jobManager.attempt.number > head.number
        ? undefined
        : jobManager.attempt.number < head.number
          ? 'AttemptSuperseded'
          : jobManager.attempt.token !== head.token
            ? 'AttemptTaken'
            : lineage.closed !== undefined
              ? 'AttemptClosed'
              : lineage.superseded.has(jobManager.podUid)
                ? 'PodSuperseded'
                : undefined;
    if (refusal !== undefined) {
      jobManager.state = 'Refused';
      jobManager.error = refusal;
      exitWith(jobManager, { kind: 'Fenced', problem: { code: refusal, message: refusal } }, this.nowMs);
      return;
    }
    if (head?.number === jobManager.attempt.number && lineage.openedBy !== undefined) {
      lineage.superseded.add(lineage.openedBy);
    } else {
      lineage.superseded.clear();
    }
    lineage.attempt = jobManager.attempt;
    lineage.openedBy = jobManager.podUid;
    lineage.closed = undefined;
    lineage.epoch += 1;
    jobManager.epoch = lineage.epoch;
    const finishes = lineage.stopping !== undefined && this.nowMs < lineage.stopping.deadlineMs;
    if (finishes) {
      jobManager.state = 'Stopping';
    } else {
      this.#abortStop();
      this.#restore(jobManager);
    }
  }

  #restore(jobManager: FakeJobManager): void {
    const { lineage } = this;
    const { restore } = jobManager;
    if (restore.from === 'None' && !lineage.honoured.has(restore.token)) {
      lineage.honoured.add(restore.token);
      lineage.latest = undefined;
      lineage.emptied = true;
      jobManager.restored = {
        source: 'Nothing',
        checkpointId: undefined,
        path: undefined,
        reason: 'RequestedNone',
        note: undefined,
      };
      return;
    }
    if (restore.from === 'Path' && !lineage.honoured.has(restore.token)) {
      lineage.honoured.add(restore.token);
      const { path } = restore;
      const id = Number(path.split('-')[1]);
      lineage.latest = { id, kind: 'Savepoint', path, triggeredAtMs: this.nowMs, completedAtMs: this.nowMs, sizeBytes: 1 };
      jobManager.restored = { source: 'Savepoint', checkpointId: id, path, reason: 'Requested', note: undefined };
      return;
    }
    const note = restore.from === 'Latest' ? undefined : 'honoured before';
    jobManager.restored =
      lineage.latest === undefined
        ? { source: 'Nothing', checkpointId: undefined, path: undefined, reason: lineage.emptied ? 'Latest' : 'Empty', note }
        : { source: 'Checkpoint', checkpointId: lineage.latest.id, path: lineage.latest.path, reason: 'Latest', note };
  }

  #finishStop(jobManager: FakeJobManager): void {
    const { lineage } = this;
    const { stopping } = lineage;
    if (stopping === undefined) {
      jobManager.state = 'Running';
      return;
    }
    if (this.savepointsFail || this.nowMs >= stopping.deadlineMs) {
      this.#abortStop();
      jobManager.state = 'Restarting';
      return;
    }
    this.#checkpoint('Savepoint', jobManager.revision);
    lineage.closed = { reason: 'StoppedWithSavepoint', checkpointId: lineage.checkpoints, operationId: stopping.operationId };
    lineage.operations = lineage.operations.map((it) =>
      it.operationId === stopping.operationId ? operation(it.operationId, 'Completed') : it,
    );
    lineage.stopping = undefined;
    jobManager.state = 'Stopped';
  }

  #abortStop(): void {
    const { lineage } = this;
    const id = lineage.stopping?.operationId;
    lineage.operations = lineage.operations.map((it) => (it.operationId === id ? operation(it.operationId, 'Failed') : it));
    lineage.stopping = undefined;
  }

  /** Somebody stops it with a savepoint, past its resource. */
  stopFromOutside(jobManager: FakeJobManager): void {
    if (this.#isWriter(jobManager) && jobManager.state === 'Running') {
      this.#checkpoint('Savepoint', jobManager.revision);
      this.lineage.closed = { reason: 'StoppedWithSavepoint', checkpointId: this.lineage.checkpoints, operationId: 'somebody' };
      jobManager.state = 'Stopped';
    }
  }

  /** All input has ended. */
  finish(jobManager: FakeJobManager): void {
    if (this.#isWriter(jobManager) && jobManager.state === 'Running') {
      this.#checkpoint('Checkpoint', jobManager.revision);
      this.lineage.closed = { reason: 'Finished', checkpointId: this.lineage.checkpoints, operationId: undefined };
      jobManager.state = 'Finished';
    }
  }

  #checkpoint(kind: 'Checkpoint' | 'Savepoint', writer: string): void {
    const { lineage, nowMs } = this;
    lineage.checkpoints += 1;
    const id = lineage.checkpoints;
    const path = `chk-${id}-e${lineage.epoch}`;
    lineage.latest = { id, kind, path, triggeredAtMs: nowMs, completedAtMs: nowMs, sizeBytes: 1 };
    lineage.writers.set(path, writer);
  }

  #registered({ attempt }: FakeJobManager): readonly FakeTaskManager[] {
    return this.taskManagers.filter((it) => it.attemptNumber === attempt.number && it.process.state === 'Alive' && !it.paused);
  }

  #document(jobManager: FakeJobManager): JobStatusDocument {
    const { lineage } = this;
    const closed = jobManager.state === 'Stopped' || jobManager.state === 'Finished' ? lineage.closed : undefined;
    const opened = jobManager.epoch !== undefined;
    return documentWith({
      revision: jobManager.revision,
      attempt: jobManager.attempt,
      podUid: jobManager.podUid,
      state: jobManager.state,
      epoch: jobManager.epoch,
      restored: jobManager.restored,
      restarts: jobManager.restarts,
      lastFailure: jobManager.lastFailure,
      vertices: this.pendingRecords === undefined ? [] : [vertexWith(this.pendingRecords)],
      lastCheckpoint: opened ? lineage.latest : undefined,
      failedCheckpoint: this.failedCheckpoint,
      operations: opened ? lineage.operations : [],
      closed,
      taskManagers: {
        ...{ registered: this.#registered(jobManager).length, slotsTotal: 1, slotsRequired: 1 },
        ids: this.#registered(jobManager).map(({ id }) => id),
      },
      error:
        jobManager.error === undefined
          ? undefined
          : { code: jobManager.error, message: jobManager.error, domain: 'external', retry: jobManager.errorRetry },
    });
  }
}

interface FakeLineage {
  epoch: number;
  attempt: { readonly number: number; readonly token: string } | undefined;
  openedBy: string | undefined;
  readonly superseded: Set<string>;
  closed: JobStatusDocument['closed'];
  stopping: { readonly operationId: string; readonly deadlineMs: number } | undefined;
  latest: CheckpointSummary | undefined;
  checkpoints: number;
  readonly honoured: Set<string>;
  /** By path of a checkpoint: the revision that took it. */
  readonly writers: Map<string, string>;
  /** The lineage was started from nothing as requested. */
  emptied: boolean;
  operations: OperationStatus[];
}

export interface FakeJobManager {
  readonly attempt: { readonly number: number; readonly token: string };
  readonly instance: number;
  readonly podUid: string;
  readonly revision: string;
  readonly restore: RestoreRequest;
  process: ProcessState;
  listening: boolean;
  /** SIGSTOP. */
  paused: boolean;
  epoch: number | undefined;
  state: JobState;
  restored: JobStatusDocument['restored'];
  restarts: number;
  lastFailure?: JobStatusDocument['lastFailure'];
  error: string | undefined;
  errorRetry: 'never' | 'backoff';
}

export interface FakeTaskManager {
  readonly attemptNumber: number;
  readonly index: number;
  readonly id: string;
  readonly revision: string;
  process: ProcessState;
  /** Alive, but does nothing: its JobManager has lost it. */
  paused: boolean;
}

interface FakePreFlight {
  readonly operationId: string;
  readonly revision: string;
  readonly restore: RestoreRequest;
  fact: PreFlightFact;
}

function exitWith(jobManager: FakeJobManager, exit: ExitFact, nowMs: number): void {
  jobManager.process =
    exit.kind === 'Fenced' || exit.kind === 'Unusable'
      ? { state: 'Ended', exit }
      : { state: 'BackOff', untilMs: nowMs + 500, exit };
}

function operation(operationId: string, state: OperationStatus['state']): OperationStatus {
  const error =
    state === 'Failed'
      ? ({ code: 'StopAborted', message: 'no savepoint', domain: 'external', retry: 'backoff' } as const)
      : undefined;
  return { operationId, type: 'Stop', state, checkpointId: undefined, location: undefined, error };
}
