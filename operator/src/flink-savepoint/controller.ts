import { type FlinkJobKey, formatKey } from '../api/flink-job.ts';
import type { Problem } from '../api/flink-job-status.ts';
import { parseFlinkSavepointSpec, type StoredFlinkSavepoint, savepointFinalizer } from '../api/flink-savepoint.ts';
import { initialSavepointStatus } from '../api/flink-savepoint-status.ts';
import type { Clock } from '../clock.ts';
import type { JobCredentials } from '../credentials/job-credentials.ts';
import type { Engine } from '../engine/engine.ts';
import { JobPasses } from '../flink-job/job-passes.ts';
import { canonicalJson } from '../flink-job/spec-diff.ts';
import type { TransitionEvent } from '../flink-job/transition-events.ts';
import type { Metrics } from '../kubernetes/metrics.ts';
import type { Log } from '../log.ts';
import type { SavepointTaskFact, SavepointTasks } from '../platform/savepoint-tasks.ts';
import type { FlinkJobStore } from '../store/flink-job-store.ts';
import type { FlinkSavepointStore } from '../store/flink-savepoint-store.ts';
import { actOnSavepoint } from './act.ts';
import { decideSavepoint } from './decide.ts';
import { awaitedTasks, isTerminal, type SavepointCommand, type SavepointInput } from './decision.ts';
import type { DrillResults } from './drill-results.ts';
import { defaultSavepointLimits, type SavepointLimits } from './limits.ts';
import { type ObservedJob, observeJob } from './observe-job.ts';
import { savepointEvents } from './savepoint-events.ts';
import { decideSchedule, isLastOfSchedule, isScheduled, type ScheduleDecision } from './schedule.ts';

export interface SavepointControllerOptions {
  readonly store: FlinkSavepointStore;
  readonly flinkJobs: FlinkJobStore;
  readonly tasks: SavepointTasks;
  readonly engine: Engine;
  /** What requests to JobManagers are signed with; undefined where their jobs have no keys. */
  readonly credentials?: JobCredentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told what has happened to a FlinkSavepoint, after that is stored. May not throw. */
  readonly record?: (savepoint: StoredFlinkSavepoint, event: TransitionEvent) => void;
  readonly limits?: Partial<SavepointLimits>;
  /** Told of drills, for the status of the FlinkJob. */
  readonly drills?: DrillResults | undefined;
  /** Another mind: for seeing that a wrong one is noticed. */
  readonly decide?: typeof decideSavepoint;
  readonly decideSchedule?: typeof decideSchedule;
}

/** A pass waits for others most of its time; some that hang must not hold up the rest. */
const concurrentPassesMax = 32;

/**
 * The loop over the savepoints of each FlinkJob: observe → decide → store the status → act. One pass is about all savepoints of one job, and two passes of a job never
 * overlap: so the order in which they are taken needs no agreement between them.
 */
export class SavepointController {
  readonly #options: SavepointControllerOptions;
  readonly #limits: SavepointLimits;
  readonly #passes: JobPasses<PassMemory>;

  constructor(options: SavepointControllerOptions) {
    const { clock, log, metrics } = options;
    this.#options = options;
    this.#limits = { ...defaultSavepointLimits, ...options.limits };
    this.#passes = new JobPasses({
      ...{ name: 'flink-savepoints', concurrency: concurrentPassesMax, clock, log, metrics, newMemory },
      reconcile: (key, memory) => this.reconcile(key, memory),
    });
  }

  /** For who knows that something of this job may have changed. */
  wake(flinkJob: FlinkJobKey): void {
    this.#passes.wake(flinkJob);
  }

  /** Runs until the signal aborts. Resolves when the passes under way are over. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#passes.run(signal, () => this.#options.store.watch((key) => this.wake(key), signal));
  }

  /** One pass; public for tests that drive time themselves. Milliseconds until the next one, undefined when there is nothing to look after. */
  async reconcile(flinkJob: FlinkJobKey, memory: PassMemory = newMemory()): Promise<number | undefined> {
    const { store, flinkJobs, clock } = this.#options;
    const [stored, savepoints] = await Promise.all([flinkJobs.get(flinkJob), store.listOf(flinkJob)]);
    this.#options.drills?.tell(flinkJob, savepoints);
    const asksJobManager = savepoints.some(
      ({ metadata, status }) => metadata.deletionTimestamp !== undefined || !isSettled(status),
    );
    const job = stored && (await observeJob(stored, { ...this.#options, store: flinkJobs }, { asksJobManager }));
    const tasks = await this.#observeTasks(job, savepoints, memory);
    const nowMs = clock.nowMs();
    const schedule = scheduleOf(job, { savepoints, nowMs, decide: this.#options.decideSchedule ?? decideSchedule });
    const pollMs = asksJobManager || memory.hasTasks ? this.#limits.idlePollMs : this.#limits.restPollMs;
    let againAtMs = Math.min(nowMs + pollMs, schedule?.wakeAtMs ?? Number.POSITIVE_INFINITY);
    const refusals = memory.refusals;
    memory.refusals = [];
    for (const savepoint of savepoints.filter((it) => !isReleased(it))) {
      const decided = await this.#advance(savepoint, { job, savepoints, tasks, schedule, refusals, nowMs }, memory);
      againAtMs = Math.min(againAtMs, decided);
    }
    const made = await this.#keepSchedule(schedule);
    const removed = await this.#removePurged(job, savepoints);
    if (savepoints.length === 0 && schedule === undefined && !memory.hasTasks) {
      if (stored === undefined) {
        this.#options.drills?.forget(flinkJob);
      }
      return undefined;
    }
    // A watch that is dead without its being known yet would not say what came of it.
    const hasActed = made || (schedule?.remove.length ?? 0) > 0 || removed > 0;
    const soonMs = hasActed ? this.#limits.busyPollMs : Number.POSITIVE_INFINITY;
    return Math.min(soonMs, Math.max(0, againAtMs - nowMs));
  }

  /** Asked for also when none is awaited but one may be left: it is ended then. */
  async #observeTasks(
    job: ObservedJob | undefined,
    savepoints: readonly StoredFlinkSavepoint[],
    memory: PassMemory,
  ): Promise<readonly SavepointTaskFact[]> {
    const awaited = savepoints.flatMap(({ status }) => (status === undefined ? [] : awaitedTasks(status)));
    if (job === undefined || (awaited.length === 0 && !memory.hasTasks)) {
      return [];
    }
    const facts = await this.#options.tasks.observeSavepointTasks({ ...job.key, uid: job.facts.uid }, awaited);
    memory.hasTasks = awaited.length > 0;
    return facts;
  }

  /** When to look at it again. */
  async #advance(found: StoredFlinkSavepoint, pass: Pass, memory: PassMemory): Promise<number> {
    const { store, record, log } = this.#options;
    const savepoint = await this.#withFinalizer(found);
    const before = savepoint.status ?? initialSavepointStatus;
    const decision = (this.#options.decide ?? decideSavepoint)(this.#inputOf(savepoint, pass));
    const changed = canonicalJson(savepoint.status) !== canonicalJson(decision.status);
    const written = changed ? await store.updateStatus(savepoint, decision.status) : savepoint;
    if (before.state !== decision.status.state) {
      const { state, path, problem } = decision.status;
      log.info({ flinkSavepoint: formatKey(written.metadata), state, path, problem }, 'FlinkSavepoint changed');
    }
    for (const event of savepointEvents(before, decision.status)) {
      record?.(written, event);
    }
    for (const command of decision.commands) {
      await this.#carryOut(command, written, pass, memory);
    }
    return decision.againAtMs;
  }

  #inputOf(savepoint: StoredFlinkSavepoint, { job, savepoints, tasks, schedule, refusals, nowMs }: Pass): SavepointInput {
    const { uid, generation, creationTimestamp, deletionTimestamp } = savepoint.metadata;
    return {
      ...{ uid, generation, tasks, refusals, nowMs, limits: this.#limits, job: job?.facts },
      createdAtMs: Date.parse(creationTimestamp),
      deleting: deletionTimestamp !== undefined,
      spec: parseFlinkSavepointSpec(savepoint.spec),
      status: savepoint.status ?? initialSavepointStatus,
      waitsFor: waitsFor(savepoint, savepoints, nowMs),
      isNamedElsewhere: isNamedElsewhere(savepoint, savepoints),
      // While the spec cannot be read, whether there is a schedule is not known.
      isLastOfSchedule:
        (schedule !== undefined || (job !== undefined && job.spec === undefined)) && isLastOfSchedule(savepoint, savepoints),
      drillScheduleTime: schedule?.drill?.uid === uid ? schedule.drill.scheduleTime : undefined,
    };
  }

  /** From the first sight on the resource waits until what it has in storage is dealt with. */
  async #withFinalizer(savepoint: StoredFlinkSavepoint): Promise<StoredFlinkSavepoint> {
    const { finalizers, deletionTimestamp } = savepoint.metadata;
    if (finalizers.includes(savepointFinalizer) || deletionTimestamp !== undefined) {
      return savepoint;
    }
    return (await this.#options.store.updateFinalizers(savepoint, [...finalizers, savepointFinalizer])) ?? savepoint;
  }

  async #carryOut(command: SavepointCommand, savepoint: StoredFlinkSavepoint, pass: Pass, memory: PassMemory): Promise<void> {
    const { store, tasks, engine, log, record } = this.#options;
    const { job } = pass;
    const key = formatKey(savepoint.metadata);
    const reference = job && { ...job.key, uid: job.facts.uid };
    if (command.type === 'RunTask') {
      memory.hasTasks = true;
    }
    const outcome = await actOnSavepoint(command, savepoint, {
      ...{ tasks, engine, store },
      credentials: reference && this.#options.credentials?.callerOf(reference, 'Controller'),
      job: job && reference && { reference, revision: job.revision },
      forget: async () => {
        const rest = savepoint.metadata.finalizers.filter((name) => name !== savepointFinalizer);
        await store.updateFinalizers(savepoint, rest);
      },
    });
    if (command.type === 'Forget' && command.orphaned !== undefined) {
      const { message, remedy } = command.orphaned;
      record?.(savepoint, { type: 'Warning', reason: 'DataOrphaned', action: 'Delete', note: `${message}. ${remedy}` });
      log.warn({ flinkSavepoint: key, problem: command.orphaned }, 'deleted without what it has in storage');
    }
    if (outcome.type === 'Refused') {
      memory.refusals = [...memory.refusals, outcome];
    }
    if (outcome.type !== 'Done') {
      log.warn({ flinkSavepoint: key, command: command.type, problem: outcome.problem }, 'command failed');
    }
  }

  /** Nobody would remove those that a schedule has made once their FlinkJob, and all that they name, is gone. */
  async #removePurged(job: ObservedJob | undefined, savepoints: readonly StoredFlinkSavepoint[]): Promise<number> {
    const isToGo = (savepoint: StoredFlinkSavepoint) =>
      isScheduled(savepoint) && savepoint.metadata.deletionTimestamp === undefined;
    const removed = job?.facts.purges === true ? savepoints.filter(isToGo) : [];
    for (const savepoint of removed) {
      await this.#options.store.delete(savepoint);
    }
    return removed.length;
  }

  /** Whether one was made: its name may be somebody else's. */
  async #keepSchedule(schedule: ScheduleDecision | undefined): Promise<boolean> {
    const { store, log } = this.#options;
    const made = schedule?.create !== undefined && (await store.create(schedule.create));
    if (made) {
      log.info({ flinkSavepoint: formatKey(schedule.create) }, 'a savepoint of the schedule is due');
    }
    for (const savepoint of schedule?.remove ?? []) {
      await store.delete(savepoint);
      log.info({ flinkSavepoint: formatKey(savepoint.metadata) }, 'a savepoint of the schedule is no longer kept');
    }
    return made;
  }
}

interface Pass {
  readonly job: ObservedJob | undefined;
  readonly savepoints: readonly StoredFlinkSavepoint[];
  readonly tasks: readonly SavepointTaskFact[];
  readonly schedule: ScheduleDecision | undefined;
  readonly refusals: PassMemory['refusals'];
  readonly nowMs: number;
}

/** It has been let go, and others hold it still: what it had in storage is dealt with, and asking again would be told as something that stays there. */
function isReleased({ metadata: { deletionTimestamp, finalizers } }: StoredFlinkSavepoint): boolean {
  return deletionTimestamp !== undefined && !finalizers.includes(savepointFinalizer);
}

/** What is remembered from one pass to the next; losing it costs nothing but time. */
export interface PassMemory {
  refusals: readonly { readonly operationId: string; readonly problem: Problem }[];
  /** Tasks of the job may be there. At first sight nobody knows. */
  hasTasks: boolean;
}

function newMemory(): PassMemory {
  return { refusals: [], hasTasks: true };
}

function isSettled(status: StoredFlinkSavepoint['status']): boolean {
  return status !== undefined && isTerminal(status);
}

function scheduleOf(
  job: ObservedJob | undefined,
  {
    savepoints,
    nowMs,
    decide,
  }: {
    readonly savepoints: readonly StoredFlinkSavepoint[];
    readonly nowMs: number;
    readonly decide: typeof decideSchedule;
  },
): ScheduleDecision | undefined {
  const schedule = job?.spec?.savepoints;
  if (job === undefined || schedule === undefined || job.facts.deleting) {
    return undefined;
  }
  const createdAtMs = Date.parse(job.stored.metadata.creationTimestamp);
  const flinkJob = { ...job.key, uid: job.facts.uid, createdAtMs };
  return decide({ flinkJob, schedule, isUp: job.facts.presence === 'Up', savepoints, nowMs });
}

function isNamedElsewhere({ metadata, status }: StoredFlinkSavepoint, savepoints: readonly StoredFlinkSavepoint[]): boolean {
  return savepoints.some(
    (other) =>
      other.metadata.uid !== metadata.uid &&
      other.metadata.deletionTimestamp === undefined &&
      status?.path !== undefined &&
      other.status?.path === status.path,
  );
}

/** The one that is under way, or else the oldest that could begin. */
function waitsFor(
  savepoint: StoredFlinkSavepoint,
  savepoints: readonly StoredFlinkSavepoint[],
  nowMs: number,
): string | undefined {
  const unsettled = savepoints.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && !isSettled(status));
  const first =
    unsettled.find(({ status }) => status?.state === 'InProgress') ??
    unsettled.find(({ status }) => Date.parse(status?.step?.retryTime ?? new Date(0).toISOString()) <= nowMs);
  return first === undefined || first.metadata.uid === savepoint.metadata.uid ? undefined : first.metadata.name;
}
