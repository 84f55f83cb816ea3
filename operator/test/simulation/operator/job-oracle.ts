import type { JobAttempt } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { apiVersion, kind, labels } from '../../../src/api/labels.ts';
import { defaultLimits } from '../../../src/flink-job/limits.ts';
import type { Revision } from '../../../src/flink-job/revision.ts';
import { canonicalJson } from '../../../src/flink-job/spec-diff.ts';
import type { ApiRequest } from '../../../src/kubernetes/api-connection.ts';
import { shortLivedName } from '../../../src/platform/kubernetes/names.ts';
import type { Change, StoredObject } from '../../fakes/api-objects.ts';
import type { JobConfig, SimulatedJobManager } from './simulated-job-manager.ts';
import type { Opening, SimulatedLineage } from './simulated-lineage.ts';
import type { SimulatedPod } from './simulated-pod.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import { simulatedLimits } from './simulated-replica.ts';
import type { Command } from './simulated-rest.ts';
import type { PlanOutcome } from './simulated-short-lived.ts';
import type { FlinkJobObject } from './simulated-user.ts';

/** Requests of one replica for each job, in one minute: a job that changes is looked at with each change of its pods, with a few requests each time. */
const requestsPerMinuteMax = 1_200;
/** Starts, pre-flights and the like of one job in one minute: what fails is tried again with longer and longer waits. */
const objectsPerMinuteMax = 40;
/** Of one job while it lives: bursts of 25 per process, and two in a minute. */
const eventsPerProcessMax = 25 + 40;

interface PlanRecord {
  readonly revision: string;
  readonly rolloutId: number | undefined;
  readonly attemptNumber: number;
}

/** What is remembered of one FlinkJob, by uid. */
interface JobRecord {
  readonly plans: PlanRecord[];
  readonly attempts: Set<string>;
  readonly operations: Set<string>;
  /** The rollout that asked for each pre-flight, by the name of its Job. */
  readonly preFlights: Map<string, number>;
  readonly rollouts: Map<number, { readonly reason: string; readonly revision: string | undefined }>;
  readonly revisions: Map<string, Revision>;
  readonly madeByMinute: Map<number, number>;
  highestAttempt: number;
  /** Its status, as the operator wrote it, was lost to somebody. */
  isMisused: boolean;
}

export interface JobOracleOptions {
  /** Of two clocks of machines, of a status time's precision, and of clocks that were set. */
  readonly clockSlackMs: () => number;
  /** All lineages of one job, wherever they are. */
  readonly lineagesOf: (namespace: string, name: string) => readonly SimulatedLineage[];
  readonly nowMs: () => number;
  readonly report: (violation: string) => void;
  /** Who holds the lease, by the API server. */
  readonly leader: () => string | undefined;
  readonly flinkJob: (uid: string) => FlinkJobObject | undefined;
  readonly jobManagers: () => readonly SimulatedJobManager[];
  readonly isReachable: (jobManager: SimulatedJobManager) => boolean;
  readonly permissions: (
    name: string,
  ) =>
    | { readonly tokens: ReadonlySet<string>; readonly stateless: boolean; readonly purge: boolean; readonly deleted: boolean }
    | undefined;
  readonly replicaCount: () => number;
  readonly jobCount: number;
}

/** Watches what the operator does about FlinkJobs: leadership, attempts, rollouts, what is sent to JobManagers, and how much is asked of the API. */
export class JobOracle {
  readonly #options: JobOracleOptions;
  readonly #jobs = new Map<string, JobRecord>();
  readonly #meanings = new Map<string, string>();
  readonly #requestsByMinute = new Map<string, number>();
  readonly #events = new Map<string, Set<string>>();
  /** When a lineage was last begun from nothing because somebody asked for that. */
  readonly #emptiedMs = new Map<SimulatedLineage, number>();

  constructor(options: JobOracleOptions) {
    this.#options = options;
  }

  // --- Requests to the API ---

  requested(by: SimulatedProcess, { method, path }: ApiRequest): void {
    if (path.includes('/leases')) {
      return;
    }
    const minute = Math.floor(this.#options.nowMs() / 60_000);
    const key = `${by.name} ${minute}`;
    const count = (this.#requestsByMinute.get(key) ?? 0) + 1;
    this.#requestsByMinute.set(key, count);
    const countMax = requestsPerMinuteMax * this.#options.jobCount;
    if (count === countMax + 1) {
      this.#options.report(`hot loop: ${by.name} made more than ${countMax} requests within a minute`);
    }
    if (method !== 'GET') {
      this.onlyTheLeader(by, `${method} ${path}`);
    }
  }

  onlyTheLeader(by: SimulatedProcess, what: string): void {
    const leader = this.#options.leader();
    if (leader !== undefined && leader !== by.name) {
      this.#options.report(`two leaders: ${by.name} sent ${what} while ${leader === '' ? 'nobody' : leader} held the lease`);
    }
  }

  changed(change: Change, by: string): void {
    const { object, type } = change;
    switch (object.kind) {
      case 'FlinkJob':
        this.#flinkJobChanged(change, by);
        return;
      case 'ControllerRevision': {
        const owner = object.metadata.ownerReferences?.[0]?.uid;
        const revision = object['data'] as Revision;
        if (type === 'ADDED' && owner !== undefined) {
          this.#recordOf(owner).revisions.set(revision.name, revision);
        }
        return;
      }
      case 'ConfigMap':
        if (type === 'ADDED' && isReplica(by)) {
          this.#configMade(object);
        }
        return;
      case 'Deployment':
        this.#deploymentChanged(change, by);
        return;
      case 'Job':
        if (type === 'ADDED') {
          this.#made(object);
        }
        return;
      case 'Event':
        this.#eventWritten(object);
        return;
      default:
        return;
    }
  }

  // --- What is stored ---

  #flinkJobChanged({ type, object, previous }: Change, by: string): void {
    const { uid } = object.metadata;
    const record = this.#recordOf(uid);
    const [before, after] = [previous?.['status'], object['status']] as readonly (FlinkJobStatus | undefined)[];
    if (type === 'DELETED' || before === after || canonicalJson(before) === canonicalJson(after)) {
      return;
    }
    if (!isReplica(by)) {
      record.isMisused = true;
      record.highestAttempt = 0;
      return;
    }
    const { rollout, attempt, deletion } = after ?? {};
    for (const id of [rollout?.operationId, deletion?.operationId]) {
      if (id !== undefined) {
        record.operations.add(id);
      }
    }
    if (rollout !== undefined) {
      record.rollouts.set(rollout.id, { reason: rollout.reason, revision: rollout.revision });
      record.preFlights.set(preFlightName(object, rollout.operationId ?? ''), rollout.id);
    }
    this.#isLate(object.metadata.name, before, after);
    this.#isHasty(object.metadata.name, before, after);
    if (attempt !== undefined && (attempt.number !== before?.attempt?.number || attempt.token !== before.attempt.token)) {
      this.#attemptStored(object, after as FlinkJobStatus);
    }
  }

  /** A step is called late only after its own time: the clock of another step, or of another rollout, means nothing to it. */
  #isLate(name: string, before: FlinkJobStatus | undefined, after: FlinkJobStatus | undefined): void {
    const [was, is] = [before?.rollout, after?.rollout];
    if (was === undefined || is === undefined || was.state === is.state) {
      return;
    }
    const allowedMs =
      was.state === 'PreFlight' && /did not prove that it can start within/.test(is.problem?.message ?? '')
        ? simulatedLimits.preFlightTimeoutMs
        : is.problem?.code === 'StopTimedOut' && is.state === 'StopFailed'
          ? (was.stopTimeoutSeconds ?? 0) * 1000
          : undefined;
    const passedMs = this.#options.nowMs() - Date.parse(was.stateTime);
    if (allowedMs !== undefined && passedMs < allowedMs - this.#options.clockSlackMs()) {
      this.#options.report(
        `late before its time: ${was.state} of ${name} was given up after ${passedMs} ms instead of ${allowedMs}`,
      );
    }
  }

  /** A try of a rollout that failed is followed by the next after a pause. */
  #isHasty(name: string, before: FlinkJobStatus | undefined, after: FlinkJobStatus | undefined): void {
    const [was, is] = [before?.rollout, after?.rollout];
    if (was === undefined || is === undefined || was.id !== is.id || is.try <= was.try) {
      return;
    }
    const passedMs = this.#options.nowMs() - Date.parse(was.stateTime);
    if (passedMs < defaultLimits.retryDelayFirstMs - this.#options.clockSlackMs()) {
      this.#options.report(`without a pause: try ${is.try} of ${name} follows ${passedMs} ms after ${was.state} (${was.try})`);
    }
  }

  #attemptStored({ metadata: { uid, name, deletionTimestamp } }: StoredObject, status: FlinkJobStatus): void {
    const record = this.#recordOf(uid);
    const { attempt, rollout, revision } = status;
    const { number, token } = attempt as JobAttempt;
    if (record.isMisused && deletionTimestamp !== undefined) {
      // What runs is found again although the status was lost, so that it can be ended. Nothing is started any more.
      record.highestAttempt = Math.max(record.highestAttempt, number);
      record.attempts.add(`${number} ${token}`);
      return;
    }
    if (number <= record.highestAttempt) {
      this.#options.report(`attempt number: ${name} starts attempt ${number} after attempt ${record.highestAttempt}`);
    }
    record.highestAttempt = number;
    record.attempts.add(`${number} ${token}`);
    const proven = record.plans.some(
      (plan) => plan.revision === revision && plan.rolloutId === rollout?.id && plan.attemptNumber < number,
    );
    if (!proven) {
      this.#options.report(
        `look before you start: attempt ${number} of ${name} has no pre-flight of revision ${revision} in its rollout`,
      );
    }
    const stopping = this.#options
      .jobManagers()
      .find((it) => it.uid === uid && it.isWriter && it.state === 'Stopping' && it.config.attempt.number < number);
    if (stopping !== undefined && this.#options.isReachable(stopping)) {
      this.#options.report(
        `receipt: attempt ${number} of ${name} starts while attempt ${stopping.config.attempt.number} takes its savepoint`,
      );
    }
  }

  // --- What follows from it ---

  #configMade(object: StoredObject): void {
    this.#made(object);
    const own = object.metadata.labels ?? {};
    if (own[labels.component] !== 'jobmanager') {
      return;
    }
    const uid = own[labels.uid] ?? '';
    const record = this.#recordOf(uid);
    const { 'config.json': text = '{}' } = object['data'] as Record<string, string>;
    const { attempt, revision, job } = JSON.parse(text) as JobConfig;
    if (!record.attempts.has(`${attempt.number} ${attempt.token}`)) {
      this.#options.report(
        `not stored: attempt ${attempt.number} of ${own[labels.flinkJob]} is made and was never in its status`,
      );
    }
    const stored = record.revisions.get(revision)?.spec.job;
    if (
      stored === undefined ||
      canonicalJson(stored.args) !== canonicalJson(job.args) ||
      stored.parallelism !== job.parallelism
    ) {
      this.#options.report(
        `immutable: attempt ${attempt.number} of ${own[labels.flinkJob]} is not what revision ${revision} says`,
      );
    }
  }

  /** Nothing is made again and again without a pause. */
  #made({ metadata: { labels: own = {} } }: StoredObject): void {
    const uid = own[labels.uid];
    if (uid === undefined) {
      return;
    }
    const { madeByMinute } = this.#recordOf(uid);
    const minute = Math.floor(this.#options.nowMs() / 60_000);
    madeByMinute.set(minute, (madeByMinute.get(minute) ?? 0) + 1);
    if (madeByMinute.get(minute) === objectsPerMinuteMax + 1) {
      this.#options.report(
        `without a pause: more than ${objectsPerMinuteMax} objects of ${own[labels.flinkJob]} were made within a minute`,
      );
    }
  }

  #deploymentChanged({ object, previous }: Change, by: string): void {
    const { deletionTimestamp, labels: own = {} } = object.metadata;
    if (deletionTimestamp === undefined || previous?.metadata.deletionTimestamp !== undefined || !isReplica(by)) {
      return;
    }
    const flinkJob = this.#options.flinkJob(own[labels.uid] ?? '');
    const { attempt, ended } = flinkJob?.status ?? {};
    const isCurrent =
      own[labels.component] === 'jobmanager' &&
      Number(own[labels.attempt]) === attempt?.number &&
      Number(own[labels.instance]) === attempt?.instance;
    if (isCurrent && ended === undefined && flinkJob?.metadata.deletionTimestamp === undefined) {
      this.#options.report(`not stored: the JobManager of attempt ${attempt?.number} is removed while the status wants it`);
    }
  }

  #eventWritten(object: StoredObject): void {
    const { uid, name } = object['regarding'] as { uid: string; name: string };
    const written = this.#events.get(uid) ?? new Set();
    this.#events.set(uid, written.add(object.metadata.name));
    if (written.size > eventsPerProcessMax * this.#options.replicaCount()) {
      this.#options.report(`events: ${written.size} of ${name}`);
    }
  }

  // --- What JobManagers are told ---

  commanded({ type, operationId, content }: Command): void {
    const meaning = `${type} ${content}`;
    const known = this.#meanings.get(operationId) ?? meaning;
    this.#meanings.set(operationId, meaning);
    const [uid = '', step = ''] = operationId.split('/');
    const record = this.#recordOf(uid);
    // A status that somebody deleted counts its rollouts from one again; a JobManager answers such an id with its old outcome, and the next try has another.
    if (known !== meaning && !record.isMisused) {
      this.#options.report(`one action per id: ${operationId} is ${known}, then ${meaning}`);
    }
    if (![...record.operations].some((id) => operationId === id || operationId.startsWith(`${id}/`))) {
      this.#options.report(`not stored: ${operationId} is sent and was never in the status`);
    }
    const rolloutId = /^r(\d+)$/.exec(step)?.[1];
    if (rolloutId === undefined) {
      return;
    }
    const rollout = record.rollouts.get(Number(rolloutId));
    const proven = record.plans.some((plan) => plan.rolloutId === Number(rolloutId) && plan.revision === rollout?.revision);
    if (rollout?.reason !== 'Suspend' && !proven && !record.isMisused) {
      this.#options.report(`look before you stop: ${operationId} without a passed pre-flight of revision ${rollout?.revision}`);
    }
  }

  planned(config: JobConfig, result: PlanOutcome, pod: SimulatedPod): void {
    if (result.ok) {
      const { attemptNumber } = result;
      const { plans, preFlights } = this.#recordOf(pod.flinkJobUid);
      // Not what the status says by now: it may have been deleted meanwhile, or be that of the next rollout.
      plans.push({ revision: config.revision, rolloutId: preFlights.get(pod.configMapName), attemptNumber });
    }
  }

  // --- State ---

  opened(lineage: SimulatedLineage, { uid, attempt, restore, restored }: Opening): void {
    const [namespace = '', name = ''] = lineage.path.split('/').slice(-2);
    const elsewhere = this.#options.lineagesOf(namespace, name).filter((it) => it !== lineage && it.openedFor === uid);
    if (restored.source !== 'Nothing') {
      this.#checkRewind(lineage, elsewhere, { uid, name, attempt, restore });
      return;
    }
    const permitted = this.#options.permissions(name);
    const token = restore.from === 'None' ? restore.token : undefined;
    const isAsked =
      token !== undefined &&
      (permitted?.tokens.has(token) === true || (permitted?.stateless === true && token.startsWith('stateless ')));
    const emptiedMs = this.#emptiedMs.get(lineage) ?? Number.NEGATIVE_INFINITY;
    const isLost = elsewhere.some(({ head }) => head !== undefined && head.completedAtMs > emptiedMs);
    if (isAsked) {
      // What was left behind then was left behind by request; a start that comes before the first checkpoint here finds nothing once more.
      this.#emptiedMs.set(lineage, this.#options.nowMs());
    }
    if (restored.reason === 'RequestedNone' && !isAsked) {
      this.#options.report(`silently empty: ${name} starts from nothing by a request that nobody made: ${token}`);
    }
    if (isLost && !isAsked && !this.#recordOf(uid).isMisused) {
      this.#options.report(
        `silently empty: ${name} starts from nothing in ${lineage.path} and has state in ${elsewhere[0]?.path}`,
      );
    }
  }

  /** Where the job has been before lies what it was then: nobody goes on from that unless it was asked for, or it is the way back. */
  #checkRewind(
    lineage: SimulatedLineage,
    elsewhere: readonly SimulatedLineage[],
    { uid, name, attempt, restore }: Pick<Opening, 'uid' | 'attempt' | 'restore'> & { readonly name: string },
  ): void {
    const status = this.#options.flinkJob(uid)?.status;
    const isNewest = status?.attempt?.number === attempt.number;
    if (!isNewest || status.rollout?.reason === 'Rollback' || restore.from === 'Path' || this.#recordOf(uid).isMisused) {
      return;
    }
    const sinceMs = Math.max(lineage.head?.completedAtMs ?? 0, this.#emptiedMs.get(lineage) ?? 0);
    const newer = elsewhere.find(({ head }) => (head?.completedAtMs ?? 0) > sinceMs);
    if (newer !== undefined) {
      this.#options.report(
        `silently rewound: ${name} goes on from ${lineage.head?.path} in ${lineage.path}, and ${newer.path} has ${newer.head?.path}, which is newer`,
      );
    }
  }

  purged({ path }: SimulatedLineage): void {
    const [name = ''] = path.split('/').slice(-1);
    const permitted = this.#options.permissions(name);
    // A resource of this name may be there again by the time.
    if (permitted?.purge !== true || !permitted.deleted) {
      this.#options.report(`restore point: the lineage of ${name} is purged although nobody asked for it`);
    }
  }

  /** The requests of each replica since the virtual time; for the time at rest. */
  requestsSince(fromMs: number): number {
    const from = Math.ceil(fromMs / 60_000);
    return [...this.#requestsByMinute].reduce((sum, [key, count]) => sum + (Number(key.split(' ')[1]) >= from ? count : 0), 0);
  }

  #recordOf(uid: string): JobRecord {
    const known = this.#jobs.get(uid);
    if (known !== undefined) {
      return known;
    }
    const record: JobRecord = {
      ...{ plans: [], attempts: new Set<string>(), operations: new Set<string>(), rollouts: new Map(), revisions: new Map() },
      ...{ preFlights: new Map(), madeByMinute: new Map(), highestAttempt: 0, isMisused: false },
    };
    this.#jobs.set(uid, record);
    return record;
  }
}

function preFlightName({ metadata: { namespace = '', name, uid } }: StoredObject, operationId: string): string {
  return shortLivedName({ namespace, name, uid }, 'preflight', operationId);
}

/** Processes of the operator are called so. */
export function isReplica(by: string): boolean {
  return by.startsWith('operator-');
}

export const flinkJobKind = { apiVersion, kind };
