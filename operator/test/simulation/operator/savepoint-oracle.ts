import { savepointAnnotations, savepointLabels } from '../../../src/api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../../../src/api/flink-savepoint-status.ts';
import { labels } from '../../../src/api/labels.ts';
import { canonicalJson } from '../../../src/flink-job/spec-diff.ts';
import { shortLivedName } from '../../../src/platform/kubernetes/names.ts';
import type { Change, StoredObject } from '../../fakes/api-objects.ts';
import type { SimulatedLineage } from './simulated-lineage.ts';
import { simulatedSavepointLimits } from './simulated-replica.ts';
import type { FlinkSavepointObject } from './simulated-savepoint-user.ts';
import type { FlinkJobObject } from './simulated-user.ts';

export interface SavepointOracleOptions {
  readonly nowMs: () => number;
  readonly clockSlackMs: () => number;
  readonly report: (violation: string) => void;
  readonly savepoints: () => readonly FlinkSavepointObject[];
  readonly flinkJobs: () => readonly FlinkJobObject[];
  /** Whether a person has deleted the FlinkSavepoint of this uid. */
  readonly isDeletedByUser: (uid: string) => boolean;
}

/** What is remembered of one FlinkSavepoint, by uid. */
interface SavepointRecord {
  /** Ids that were in its status. */
  readonly operations: Set<string>;
  /** All that it ever said it had in storage. */
  readonly locations: Set<string>;
  /** Its status, as the operator wrote it, was lost to somebody. */
  isMisused: boolean;
  last: FlinkSavepointObject | undefined;
  /** It went without what it had in storage, as its promise has it: its FlinkJob was gone or going, or its time was over; or an event said so. */
  mayLeave: boolean;
}

const { deletionTimeoutMs } = simulatedSavepointLimits;

/** Watches what the operator does about FlinkSavepoints. It knows what is promised of them, and nothing of how that is decided. */
export class SavepointOracle {
  readonly #options: SavepointOracleOptions;
  readonly #records = new Map<string, SavepointRecord>();
  /** By job and time of a schedule: the uid of what was made for it. */
  readonly #scheduled = new Map<string, string>();
  readonly #tasks = new Map<string, string>();
  readonly #purgedUids = new Set<string>();

  constructor(options: SavepointOracleOptions) {
    this.#options = options;
  }

  changed(change: Change, { byReplica }: { readonly byReplica: boolean }): void {
    const { object, type } = change;
    const own = object.metadata.labels ?? {};
    if (object.kind === 'FlinkSavepoint') {
      this.#savepointChanged(change, byReplica);
    } else if (object.kind === 'Event' && object['reason'] === 'DataOrphaned') {
      this.#recordOf((object['regarding'] as { readonly uid: string }).uid).mayLeave = true;
    } else if (type === 'ADDED' && byReplica && own[labels.component] === 'savepoint') {
      this.#taskMade(object);
    }
  }

  #savepointChanged({ type, object, previous }: Change, byReplica: boolean): void {
    const savepoint = object as unknown as FlinkSavepointObject;
    const { uid, deletionTimestamp } = object.metadata;
    const record = this.#recordOf(uid);
    record.last = savepoint;
    if (type === 'DELETED') {
      const flinkJob = this.#jobOf(savepoint.spec.flinkJobName, object.metadata.namespace);
      const goneForMs = this.#options.nowMs() - Date.parse(deletionTimestamp ?? '');
      const isJobGone = flinkJob === undefined || flinkJob.metadata.deletionTimestamp !== undefined;
      record.mayLeave ||= isJobGone || goneForMs >= deletionTimeoutMs - this.#options.clockSlackMs();
      return;
    }
    if (type === 'ADDED' && byReplica) {
      this.#checkSchedule(savepoint);
    }
    const [before, after] = [previous?.['status'], object['status']] as readonly (FlinkSavepointStatus | undefined)[];
    if (type === 'MODIFIED' && canonicalJson(before) !== canonicalJson(after)) {
      record.isMisused ||= !byReplica;
    }
    const { step, drill, deletion, path } = after ?? {};
    for (const known of [step, drill, deletion]) {
      if (known !== undefined) {
        record.operations.add(known.operationId);
      }
    }
    if (path !== undefined) {
      record.locations.add(path);
    }
    if (
      type === 'MODIFIED' &&
      byReplica &&
      deletionTimestamp !== undefined &&
      previous?.metadata.deletionTimestamp === undefined
    ) {
      this.#checkRemoval(savepoint);
    }
  }

  /** One for each time, whoever dies in between. */
  #checkSchedule({ metadata, spec }: FlinkSavepointObject): void {
    const time = metadata.annotations?.[savepointAnnotations.scheduleTime];
    const flinkJob = this.#jobOf(spec.flinkJobName, metadata.namespace);
    const key = `${flinkJob?.metadata.uid} ${time}`;
    const earlier = this.#scheduled.get(key);
    if (earlier !== undefined && !this.#options.isDeletedByUser(earlier)) {
      this.#options.report(`schedule: savepoint ${metadata.name} of ${time} is taken a second time`);
    }
    this.#scheduled.set(key, metadata.uid ?? '');
  }

  /** The operator deletes by itself only what its spec, the retention of its schedule, or the purge of its job gives up. */
  #checkRemoval(savepoint: FlinkSavepointObject): void {
    const { metadata, spec, status } = savepoint;
    const { nowMs, clockSlackMs, report } = this.#options;
    const flinkJob = this.#jobOf(spec.flinkJobName, metadata.namespace);
    if (flinkJob?.metadata.deletionTimestamp !== undefined && flinkJob.spec.checkpoints?.onDelete === 'Purge') {
      return;
    }
    const endedMs = Date.parse(status?.completedTime ?? '');
    if (spec.ttlSeconds !== undefined && nowMs() - endedMs >= spec.ttlSeconds * 1000 - clockSlackMs()) {
      return;
    }
    if (metadata.labels?.[savepointLabels.scheduled] !== 'true') {
      report(`restore point: savepoint ${metadata.name} is deleted by the operator, and nothing asks for that`);
      return;
    }
    const schedule = flinkJob?.spec.savepoints;
    const others = this.#options.savepoints().filter((other) => isKeptBeside(other, savepoint));
    const newer = others.filter((other) => Date.parse(other.status?.completedTime ?? '') >= endedMs - clockSlackMs());
    const isOld = schedule?.retainSeconds !== undefined && nowMs() - endedMs >= schedule.retainSeconds * 1000 - clockSlackMs();
    if (status?.state === 'Completed' && newer.length === 0) {
      report(`restore point: savepoint ${metadata.name} is deleted by the operator and is the newest of its schedule`);
    } else if (status?.state === 'Completed' && schedule !== undefined && newer.length < (schedule.retain ?? 7) && !isOld) {
      report(
        `restore point: savepoint ${metadata.name} is deleted with ${newer.length} newer ones, and ${schedule.retain} are to be kept`,
      );
    } else if (status?.drill !== undefined && status.drill.result === undefined) {
      report(`in use: savepoint ${metadata.name} is deleted by the operator while it is being proven`);
    }
  }

  #taskMade({ metadata }: StoredObject): void {
    const own = metadata.labels ?? {};
    const { namespace = '', name } = metadata;
    const job = { namespace, name: own[labels.flinkJob] ?? '', uid: own[labels.uid] ?? '' };
    const isStored = [...this.#records.values()].some(({ operations }) =>
      [...operations].some((operationId) => shortLivedName(job, 'savepoint', operationId) === name),
    );
    if (!isStored) {
      this.#options.report(`not stored: task ${name} is made and its id was in the status of no FlinkSavepoint`);
    }
  }

  /** A ConfigMap of a task says what it does. */
  configMade(name: string, task: object): void {
    const meaning = canonicalJson(task);
    const known = this.#tasks.get(name) ?? meaning;
    this.#tasks.set(name, meaning);
    if (known !== meaning) {
      this.#options.report(`one action per id: task ${name} is ${known}, then ${meaning}`);
    }
  }

  commanded({ type, operationId }: { readonly type: string; readonly operationId: string }): void {
    const [uid = ''] = operationId.split('/');
    const record = this.#recordOf(uid);
    if (!record.operations.has(operationId)) {
      this.#options.report(`not stored: ${type} ${operationId} is sent and was never in the status of a FlinkSavepoint`);
    }
    const flinkJobName = record.last?.spec.flinkJobName;
    const other = this.#options
      .savepoints()
      .find(
        ({ metadata, spec, status }) =>
          metadata.uid !== uid &&
          metadata.deletionTimestamp === undefined &&
          spec.flinkJobName === flinkJobName &&
          status?.state === 'InProgress',
      );
    if (type === 'Savepoint' && other !== undefined && !record.isMisused && !this.#recordOf(other.metadata.uid ?? '').isMisused) {
      this.#options.report(
        `one at a time: ${operationId} is sent while savepoint ${other.metadata.name} of the same job is under way`,
      );
    }
  }

  // --- Storage ---

  /** What a resource names that nobody has deleted stays. */
  released(location: string): void {
    const owners = this.#options.savepoints().filter(({ status }) => status?.path === location && status.kind === 'Savepoint');
    const kept = owners.find(
      ({ metadata, spec }) => metadata.deletionTimestamp === undefined || spec.deletionPolicy === 'Retain',
    );
    const isAsked = [...this.#records.values()].some(
      ({ last, locations, isMisused }) =>
        (locations.has(location) || isMisused) && last?.metadata.deletionTimestamp !== undefined,
    );
    if (kept !== undefined) {
      this.#options.report(`restore point: ${location} is given free while savepoint ${kept.metadata.name} names it`);
    } else if (!isAsked) {
      this.#options.report(`restore point: ${location} is given free, and no FlinkSavepoint that had it is deleted`);
    }
  }

  /** All that was in these lineages is gone, as the FlinkJob asked. */
  purged({ path: root }: SimulatedLineage): void {
    for (const { metadata, status } of this.#options.savepoints()) {
      if (status?.path?.startsWith(`${root}/`) === true) {
        this.#purgedUids.add(metadata.uid ?? '');
      }
    }
  }

  /** What resources name is in storage, and what was taken for one is named by it. */
  whyNotTidy(lineages: readonly SimulatedLineage[]): string | undefined {
    const savepoints = this.#options.savepoints();
    const lost = savepoints.find(
      ({ metadata, status }) =>
        status?.state === 'Completed' &&
        status.kind === 'Savepoint' &&
        !this.#purgedUids.has(metadata.uid ?? '') &&
        !lineages.some((lineage) => status.path?.startsWith(`${lineage.path}/`) === true && lineage.has(status.path)),
    );
    if (lost !== undefined) {
      return `restore point: savepoint ${lost.metadata.name} is Completed and ${lost.status?.path} is not in storage`;
    }
    const leaked = lineages
      .flatMap(({ keptSavepoints }) => keptSavepoints)
      .find(({ location, operationId = '' }) => /\/take\/\d+$/.test(operationId) && this.#isLeaked(operationId, location));
    return leaked === undefined
      ? undefined
      : `leak: ${leaked.location} was taken as ${leaked.operationId}, and nobody knows of it`;
  }

  #isLeaked(operationId: string, location: string): boolean {
    const record = this.#recordOf(operationId.split('/')[0] ?? '');
    const { last, isMisused, mayLeave, locations } = record;
    if (last === undefined || isMisused || mayLeave) {
      return false;
    }
    const isThere = this.#options.savepoints().some(({ metadata }) => metadata.uid === last.metadata.uid);
    if (isThere) {
      // It may be about to hear of it; and what it could not hear of in time, it says so.
      return !locations.has(location) && last.status?.state === 'Completed';
    }
    return last.spec.deletionPolicy !== 'Retain' && last.metadata.deletionTimestamp !== undefined;
  }

  #jobOf(name: string, namespace: string | undefined): FlinkJobObject | undefined {
    return this.#options.flinkJobs().find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  }

  #recordOf(uid: string): SavepointRecord {
    const known = this.#records.get(uid);
    if (known !== undefined) {
      return known;
    }
    const record: SavepointRecord = {
      ...{ operations: new Set<string>(), locations: new Set<string>(), isMisused: false, last: undefined, mayLeave: false },
    };
    this.#records.set(uid, record);
    return record;
  }
}

/** Of the same job's schedule, complete, and staying. */
function isKeptBeside({ metadata, spec, status }: FlinkSavepointObject, savepoint: FlinkSavepointObject): boolean {
  return (
    metadata.uid !== savepoint.metadata.uid &&
    metadata.deletionTimestamp === undefined &&
    metadata.labels?.[savepointLabels.scheduled] === 'true' &&
    spec.flinkJobName === savepoint.spec.flinkJobName &&
    status?.state === 'Completed'
  );
}
