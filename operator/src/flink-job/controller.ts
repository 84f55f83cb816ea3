import { randomUUID } from 'node:crypto';
import { type FlinkJobKey, formatKey, keyOf, parseKey, type StoredFlinkJob } from '../api/flink-job.ts';
import { type FlinkJobStatus, initialStatus, type Problem } from '../api/flink-job-status.ts';
import { finalizer } from '../api/labels.ts';
import { lineageUrlOf } from '../api/storage-url.ts';
import type { Clock } from '../clock.ts';
import type { JobCredentials } from '../credentials/job-credentials.ts';
import type { DefaultsSource } from '../defaults/defaults-source.ts';
import type { Engine } from '../engine/engine.ts';
import type { DrillResults } from '../flink-savepoint/drill-results.ts';
import type { GaugeValue, Metrics } from '../kubernetes/metrics.ts';
import type { Log } from '../log.ts';
import type { JobReference, Platform, PlatformFacts } from '../platform/platform.ts';
import { type FlinkJobStore, StoreConflictError } from '../store/flink-job-store.ts';
import { act, isNamespaceTerminating } from './act.ts';
import { checkpointRecordOf, differsByCheckpointAlone } from './checkpoint-record.ts';
import { decide } from './decide.ts';
import { currentPurgeId } from './decide-purge.ts';
import { type Command, currentPreFlightId, type Decision, type Desired, type Facts } from './decision.ts';
import { JobPasses } from './job-passes.ts';
import { type DecideLimits, defaultLimits } from './limits.ts';
import { type Observed, observe } from './observe.ts';
import type { Revision } from './revision.ts';
import { canonicalJson } from './spec-diff.ts';
import { type TransitionEvent, transitionEvents } from './transition-events.ts';

export interface ControllerOptions {
  readonly store: FlinkJobStore;
  readonly platform: Platform;
  readonly engine: Engine;
  /** What namespaces say for all their FlinkJobs. Absent: nothing. */
  readonly defaults?: DefaultsSource | undefined;
  /** What the controller of savepoints knows of drills. Absent: that there are none. */
  readonly drills?: DrillResults | undefined;
  /** Absent: jobs have no keys, and whoever reaches their ports may do as we do. */
  readonly credentials?: JobCredentials | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Told what has happened to a FlinkJob, after that is stored. May not throw. */
  readonly record?: (flinkJob: StoredFlinkJob, event: TransitionEvent) => void;
  /** Other bounds than `defaultLimits`. */
  readonly limits?: Partial<DecideLimits>;
  /** Another mind than `decide`: for seeing that a wrong one is noticed. */
  readonly decide?: typeof decide;
}

/** A pass waits for others most of its time, 30 s at the worst for an API server or 3 s for a JobManager: some that hang must not hold up the rest. */
const concurrentPassesMax = 64;
/**
 * The loop over FlinkJobs: observe → decide → store the status → act. A pass never overlaps with another one of the same FlinkJob, and a slow job delays
 * nobody else. Most passes find in the mirrors that nothing is to be done; whatever is done rests on what was asked for in that very pass.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #limits: DecideLimits;
  readonly #decide: typeof decide;
  readonly #passes: JobPasses<PassMemory>;

  constructor(options: ControllerOptions) {
    const { clock, log, metrics } = options;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#decide = options.decide ?? decide;
    this.#passes = new JobPasses({
      ...{ name: 'flink-jobs', concurrency: concurrentPassesMax, clock, log, metrics, newMemory },
      reconcile: (key, memory) => this.reconcile(key, memory),
    });
    metrics.gauge('flink_jobs', 'FlinkJobs that this replica looks after, by status.state.', () => this.#countByState());
  }

  /** Runs until the signal aborts; jobs run on after that. Resolves when the passes under way are over; none begins any more. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (key: FlinkJobKey) => this.#passes.wake(key);
    await this.#passes.run(signal, async () => {
      this.#options.platform.watch(wake, signal);
      this.#options.drills?.watch(wake);
      await Promise.all([
        this.#options.store.watch(wake, signal),
        this.#options.defaults?.watch((namespace) => this.#wakeAllIn(namespace), signal),
      ]);
    });
  }

  /** One pass; public for tests that drive time themselves. Milliseconds until the next one, undefined when the FlinkJob is gone, or of no concern to us any more. */
  async reconcile(key: FlinkJobKey, memory: PassMemory = newMemory()): Promise<number | undefined> {
    const { store, log } = this.#options;
    const atRestForMs = await this.#seenAtRest(key, memory);
    if (atRestForMs !== undefined) {
      return atRestForMs;
    }
    const found = await store.get(key);
    if (found === undefined || isReleased(found)) {
      return undefined;
    }
    const flinkJob = await this.#withFinalizer(found);
    const { observed, decision } = await this.#decideOn(flinkJob, memory);
    const written = await this.#storeDecision(flinkJob, { decision, desired: observed.desired });
    logTransition(log.info.bind(log), key, { before: observed.status, after: decision.status });
    for (const event of transitionEvents(observed.status, decision.status)) {
      this.#options.record?.(written, event);
    }
    memory.state = decision.status.state;
    memory.hasRevisionsLeft ||= written !== flinkJob;
    await this.#carryOut(written, decision.commands, memory);
    // Nobody waits for that. A FlinkJob that was let go takes its revisions along.
    if (memory.hasRevisionsLeft && decision.commands.every(({ type }) => type !== 'Release')) {
      await store.pruneRevisions(key, written.metadata.uid, revisionsInUse(decision.status));
      memory.hasRevisionsLeft = false;
    }
    return decision.requeueAfterMs;
  }

  #wakeAllIn(namespace: string): void {
    for (const key of [...this.#passes.memories.keys()].map(parseKey).filter((it) => it.namespace === namespace)) {
      this.#passes.wake(key);
    }
  }

  /**
   * A look that asks nobody but the JobManager. Mirrors may be behind, so it may come to no more than that nothing is to be done, or that a newer checkpoint is to be recorded, which the
   * server refuses unless the FlinkJob is as it was seen. Milliseconds until the next look; undefined when a real one is needed.
   */
  async #seenAtRest(key: FlinkJobKey, memory: PassMemory): Promise<number | undefined> {
    const { store, platform } = this.#options;
    const flinkJob = store.mirrored?.(key);
    const { status } = flinkJob ?? {};
    const hasNews = memory.refusals.length > 0 || memory.hindrance !== undefined || memory.hasRevisionsLeft;
    if (flinkJob === undefined || status === undefined || hasNews || status.observedGeneration !== flinkJob.metadata.generation) {
      return undefined;
    }
    if (!flinkJob.metadata.finalizers.includes(finalizer)) {
      return undefined;
    }
    const reference: JobReference = { ...key, uid: flinkJob.metadata.uid };
    const facts = platform.mirrored?.(reference, currentPreFlightId(status), currentPurgeId(status));
    if (facts === undefined) {
      return undefined;
    }
    const { observed, decision } = await this.#decideOn(flinkJob, memory, facts);
    if (decision.commands.length > 0 || (await this.#lacksRevision(flinkJob, observed.desired, decision.status))) {
      return undefined;
    }
    if (canonicalJson(status) !== canonicalJson(decision.status)) {
      if (!differsByCheckpointAlone(status, decision.status) || !(await this.#record(flinkJob, decision.status))) {
        return undefined;
      }
    }
    memory.state = decision.status.state;
    return decision.requeueAfterMs;
  }

  async #decideOn(
    flinkJob: StoredFlinkJob,
    memory: PassMemory,
    mirrored?: PlatformFacts,
  ): Promise<{ readonly observed: Observed; readonly decision: Decision }> {
    const observed = withCheckpointSeen(await observe(flinkJob, this.#options, mirrored), memory);
    const facts: Facts = { ...observed.facts, refusals: memory.refusals, hindrance: memory.hindrance };
    const nowMs = this.#options.clock.nowMs();
    return { observed, decision: this.#decide({ ...observed, facts, limits: this.#limits, nowMs, freshToken: randomUUID() }) };
  }

  /** The status names the revision that the spec asks for, and the store does not have it. What it was once seen to have is not asked for again. */
  async #lacksRevision(flinkJob: StoredFlinkJob, desired: Desired, status: FlinkJobStatus): Promise<boolean> {
    if (!desired.valid || !revisionsInUse(status).includes(desired.revision.name)) {
      return false;
    }
    const { uid } = flinkJob.metadata;
    return (await this.#options.store.getRevision(keyOf(flinkJob), uid, desired.revision.name)) === undefined;
  }

  /** False when the FlinkJob has been written since it was seen. */
  async #record(flinkJob: StoredFlinkJob, status: FlinkJobStatus): Promise<boolean> {
    try {
      await this.#options.store.updateStatus(flinkJob, status);
      return true;
    } catch (error) {
      if (error instanceof StoreConflictError) {
        return false;
      }
      throw error;
    }
  }

  #countByState(): readonly GaugeValue[] {
    const counts = new Map<string, number>();
    for (const { state } of this.#passes.memories.values()) {
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return [...counts].map(([state, value]) => ({ labels: { state }, value }));
  }

  /** From the first sight on the resource waits for its processes to be gone. */
  async #withFinalizer(flinkJob: StoredFlinkJob): Promise<StoredFlinkJob> {
    const { finalizers, deletionTimestamp } = flinkJob.metadata;
    if (finalizers.includes(finalizer) || deletionTimestamp !== undefined) {
      return flinkJob;
    }
    return (await this.#options.store.updateFinalizers(flinkJob, [...finalizers, finalizer])) ?? flinkJob;
  }

  /** A revision is stored before a status that names it, the status before anything follows from it. */
  async #storeDecision(
    flinkJob: StoredFlinkJob,
    decided: { readonly decision: Decision; readonly desired: Desired },
  ): Promise<StoredFlinkJob> {
    const { store } = this.#options;
    const { decision, desired } = decided;
    const { status } = decision;
    const key = keyOf(flinkJob);
    const { uid } = flinkJob.metadata;
    const named = revisionsInUse(status);
    if (desired.valid && named.includes(desired.revision.name)) {
      try {
        await store.putRevision(key, uid, desired.revision, status.rollouts);
      } catch (error) {
        // It went with its namespace before the FlinkJob did. Nothing will be started from it, and waiting for it would keep the finalizer for ever.
        if (flinkJob.metadata.deletionTimestamp === undefined || !isNamespaceTerminating(error)) {
          throw error;
        }
      }
    }
    if (canonicalJson(flinkJob.status) === canonicalJson(status)) {
      return flinkJob;
    }
    return await store.updateStatus(flinkJob, status);
  }

  async #carryOut(flinkJob: StoredFlinkJob, commands: readonly Command[], memory: PassMemory): Promise<void> {
    const { store, platform, engine, log } = this.#options;
    const key = keyOf(flinkJob);
    const job: JobReference = { ...key, uid: flinkJob.metadata.uid };
    const before = memory.hindrance?.message;
    memory.refusals = [];
    memory.hindrance = undefined;
    for (const command of commands) {
      const outcome = await act(command, job, {
        platform,
        engine,
        credentials: this.#options.credentials?.callerOf(job, 'Controller'),
        revision: (name) => this.#revision(job, name),
        // Another spec that has come since is a wish for the job, not for its end.
        expire: () => store.delete(key, { uid: job.uid, resourceVersion: flinkJob.metadata.resourceVersion }),
        release: async () => {
          const rest = flinkJob.metadata.finalizers.filter((name) => name !== finalizer);
          await store.updateFinalizers(flinkJob, rest);
        },
      });
      if (outcome.type === 'Done') {
        if (command.type === 'Release') {
          this.#tellRelease(flinkJob, command);
        }
        continue;
      }
      // The same failure again is no news.
      if (outcome.problem.message !== before) {
        const { type, operationId } = command;
        log.warn({ flinkJob: formatKey(key), command: type, operationId, problem: outcome.problem }, 'command failed');
      }
      if (outcome.type === 'Refused') {
        memory.refusals = [...memory.refusals, { operationId: command.operationId, problem: outcome.problem }];
      }
      // Whoever leads by the next pass says what is so.
      memory.hindrance = outcome.problem.code === 'NotLeading' ? memory.hindrance : outcome.problem;
    }
  }

  /** What a deletion could not do is said where it may still be found: the event may be refused in a namespace that goes, the log is not. */
  #tellRelease(flinkJob: StoredFlinkJob, command: Extract<Command, { type: 'Release' }>): void {
    for (const { reason, note } of releaseNotes(keyOf(flinkJob), command)) {
      this.#options.log.error({ flinkJob: formatKey(keyOf(flinkJob)), reason, note }, 'deleted, and not everything was done');
      this.#options.record?.(flinkJob, { type: 'Warning', reason, action: 'Delete', note });
    }
  }

  async #revision(job: JobReference, name: string): Promise<Revision> {
    const revision = await this.#options.store.getRevision(job, job.uid, name);
    if (revision === undefined) {
      throw new Error(`revision ${name} of ${formatKey(job)} is not in the store`);
    }
    return revision;
  }
}

/** It has been let go, and others hold it still. Deciding on it again would do all over again what its deletion asks for: purge, and tell what is left. */
function isReleased({ metadata: { deletionTimestamp, finalizers } }: StoredFlinkJob): boolean {
  return deletionTimestamp !== undefined && !finalizers.includes(finalizer);
}

function releaseNotes(
  key: FlinkJobKey,
  { orphaned, unpurged, unsaved, checkpointStorage }: Extract<Command, { type: 'Release' }>,
): readonly { readonly reason: string; readonly note: string }[] {
  const path = lineageUrlOf(checkpointStorage ?? '', key);
  return [
    ...(orphaned ? [{ reason: 'ProcessesLeft', note: 'deleted although processes of it may be left' }] : []),
    ...(unpurged === undefined
      ? []
      : [{ reason: 'DataOrphaned', note: `${path} stays, although it should have been purged: ${unpurged.message}` }]),
    ...(unsaved === undefined
      ? []
      : [{ reason: 'SavepointNotTaken', note: `deleted without the savepoint; its last checkpoint stays: ${unsaved.message}` }]),
  ];
}

/** Every revision that the status names. */
function revisionsInUse({
  revision,
  rollout,
  stable,
  rollbackTarget,
  rolledBack,
  revisions = [],
}: FlinkJobStatus): readonly string[] {
  const all = [revision, rollout?.revision, stable?.revision, rollbackTarget?.revision, rolledBack?.revision, ...revisions];
  return [...new Set(all.filter((name) => name !== undefined))];
}

/** What is remembered from one pass over a FlinkJob to the next; losing it costs nothing but time. */
export interface PassMemory {
  /** As it was stored last, for metrics. */
  state: string;
  refusals: Facts['refusals'];
  hindrance: Problem | undefined;
  /** The status has changed, and revisions that it names no more may be in the store. */
  hasRevisionsLeft: boolean;
  /** The newest checkpoint of the attempt with this token: not each is recorded, and its JobManager may fall silent. */
  seen: { readonly token: string; readonly checkpoint: NonNullable<FlinkJobStatus['lastCheckpoint']> } | undefined;
}

function newMemory(): PassMemory {
  return { state: initialStatus.state, refusals: [], hindrance: undefined, hasRevisionsLeft: false, seen: undefined };
}

/** What the JobManager said last of its checkpoints counts while it is silent, and while it has just come back and completed none. */
function withCheckpointSeen(observed: Observed, memory: PassMemory): Observed {
  const { status, facts } = observed;
  const { attempt, lastCheckpoint } = status;
  if (facts.document?.lastCheckpoint !== undefined && attempt !== undefined) {
    memory.seen = { token: attempt.token, checkpoint: checkpointRecordOf(facts.document.lastCheckpoint) };
  }
  const { seen } = memory;
  const isNewer =
    seen !== undefined && seen.token === attempt?.token && lastCheckpoint !== undefined && seen.checkpoint.id > lastCheckpoint.id;
  return facts.document?.lastCheckpoint === undefined && isNewer
    ? { ...observed, status: { ...status, lastCheckpoint: seen.checkpoint, lastCheckpointTime: seen.checkpoint.completedTime } }
    : observed;
}

function logTransition(
  info: Log['info'],
  key: FlinkJobKey,
  change: { readonly before: FlinkJobStatus; readonly after: FlinkJobStatus },
): void {
  const { before, after } = change;
  const step = (status: FlinkJobStatus) => `${status.rollout?.id ?? 0} ${status.rollout?.state ?? ''} ${status.state}`;
  if (step(before) !== step(after)) {
    const { state, revision, attempt, rollout, error } = after;
    const fields = { flinkJob: formatKey(key), state, revision, attempt: attempt?.number, rollout: rollout?.state, error };
    info(fields, 'FlinkJob changed');
  }
}
