import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { annotations, labels } from '../../../src/api/labels.ts';
import { canonicalJson } from '../../../src/flink-job/spec-diff.ts';
import type { Change, StoredObject } from '../../fakes/api-objects.ts';
import type { SimulatedLineage } from './simulated-lineage.ts';
import type { FlinkJobObject } from './simulated-user.ts';

export interface PolicyOracleOptions {
  readonly nowMs: () => number;
  /** Of two clocks of machines, of a status time's precision, and of clocks that were set. */
  readonly clockSlackMs: () => number;
  readonly report: (violation: string) => void;
  readonly flinkJob: (uid: string) => FlinkJobObject | undefined;
  readonly lineagesOf: (namespace: string, name: string) => readonly SimulatedLineage[];
}

/** A request that was sent before may still arrive: what is on its way longer than this is not carried out any more. */
const onTheWayMaxMs = 4_000;
/** A pass that began before a pause, and whose requests wait for their time-outs, may take this long to hear of it. */
const passMaxMs = 60_000;

/** What a spec says of how a job is treated, not of what runs: pauses, the time to live of what has finished, and what a deletion keeps. */
export class PolicyOracle {
  readonly #options: PolicyOracleOptions;
  /** Since when the operator has known of a pause, and since when people have asked for it. */
  readonly #pausedSinceMs = new Map<string, number>();
  readonly #askedSinceMs = new Map<string, number>();
  readonly #isMisused = new Set<string>();
  /** Uids of those that the operator deleted itself. */
  readonly #expiring = new Set<string>();
  readonly #expired = new Set<string>();

  constructor(options: PolicyOracleOptions) {
    this.#options = options;
  }

  /** Whether the last FlinkJob of this name went by itself. */
  hasExpired(name: string): boolean {
    return this.#expired.has(name);
  }

  changed(change: Change, { byReplica }: { readonly byReplica: boolean }): void {
    const { type, object } = change;
    if (object.kind === 'FlinkJob') {
      this.#flinkJobChanged(change, byReplica);
    } else if (type === 'ADDED' && byReplica && (object.kind === 'Deployment' || object.kind === 'Job')) {
      this.#made(object);
    }
  }

  commanded({ type, operationId }: { readonly type: string; readonly operationId: string }): void {
    const [uid = ''] = operationId.split('/');
    this.#refusePaused(uid, `is sent ${type} ${operationId}`);
  }

  #flinkJobChanged({ type, object, previous }: Change, byReplica: boolean): void {
    const { uid, name, deletionTimestamp } = object.metadata;
    const [before, after] = [previous?.['status'], object['status']] as readonly (FlinkJobStatus | undefined)[];
    if (type === 'DELETED') {
      this.#gone(object, byReplica);
      return;
    }
    if (type === 'MODIFIED' && !byReplica && canonicalJson(before) !== canonicalJson(after)) {
      this.#isMisused.add(uid);
    }
    if (type === 'ADDED') {
      this.#expired.delete(name);
    }
    this.#note(this.#pausedSinceMs, uid, after?.pausedTime !== undefined);
    this.#note(
      this.#askedSinceMs,
      uid,
      (object as unknown as FlinkJobObject).metadata.annotations?.[annotations.paused] === 'true',
    );
    if (deletionTimestamp !== undefined && previous?.metadata.deletionTimestamp === undefined && byReplica) {
      this.#expiring.add(uid);
      this.#checkExpiry(object as unknown as FlinkJobObject);
    }
  }

  #note(sinceMs: Map<string, number>, uid: string, isSo: boolean): void {
    if (!isSo) {
      sinceMs.delete(uid);
    } else if (!sinceMs.has(uid)) {
      sinceMs.set(uid, this.#options.nowMs());
    }
  }

  /** Only a job that has finished, whose newest spec was looked at, and whose time is over. */
  #checkExpiry({ metadata, spec, status }: FlinkJobObject): void {
    const { name, generation } = metadata;
    const ttlSeconds = spec.ttlSecondsAfterFinished;
    const { ended, observedGeneration } = status ?? {};
    const say = (why: string) => this.#options.report(`time to live: ${name} is deleted by the operator ${why}`);
    if (ttlSeconds === undefined) {
      say('and its spec has no ttlSecondsAfterFinished');
    } else if (ended?.state !== 'Finished') {
      say(`and is ${ended?.state ?? 'not ended'}`);
    } else if (observedGeneration !== generation) {
      say(`with generation ${observedGeneration}, while its spec is generation ${generation}`);
    } else if (this.#options.nowMs() - Date.parse(ended.time) < ttlSeconds * 1000 - this.#options.clockSlackMs()) {
      say(`before ${ttlSeconds} s are over`);
    }
  }

  #gone(object: StoredObject, byReplica: boolean): void {
    const { uid, name, namespace = '' } = object.metadata;
    if (this.#expiring.has(uid)) {
      this.#expired.add(name);
    }
    const { spec, status } = object as unknown as FlinkJobObject;
    if (!byReplica || this.#isMisused.has(uid)) {
      return;
    }
    const saved = status?.deletion?.savepoint;
    const lineages = this.#options.lineagesOf(namespace, name);
    if (
      saved?.state === 'Taken' &&
      !lineages.some(({ closed, head }) => closed !== undefined && head?.id === closed.checkpointId)
    ) {
      this.#options.report(
        `savepoint on deletion: ${name} is gone with the word that its savepoint was taken, and its lineage is not closed`,
      );
    }
    // A spec that cannot be used asks for nothing.
    const isSaid = spec.checkpoints?.onDelete === 'Savepoint' && !('paralelism' in spec.job);
    if (isSaid && saved === undefined && status?.attempt?.ranTime !== undefined && status.ended === undefined) {
      this.#options.report(
        `savepoint on deletion: ${name} ran, and is gone without a try to take the savepoint that its spec asks for`,
      );
    }
  }

  #made(object: StoredObject): void {
    const own = object.metadata.labels ?? {};
    // A savepoint is asked for by a resource of its own.
    if (own[labels.component] !== 'savepoint') {
      this.#refusePaused(own[labels.uid] ?? '', `gets ${object.kind} ${object.metadata.name}`);
    }
  }

  #refusePaused(uid: string, what: string): void {
    const forMs = (sinceMs: Map<string, number>) => this.#options.nowMs() - (sinceMs.get(uid) ?? this.#options.nowMs());
    const flinkJob = this.#options.flinkJob(uid);
    const isDeleted = flinkJob === undefined || flinkJob.metadata.deletionTimestamp !== undefined;
    if (!isDeleted && (forMs(this.#pausedSinceMs) > onTheWayMaxMs || forMs(this.#askedSinceMs) > passMaxMs)) {
      this.#options.report(`paused: ${flinkJob.metadata.name} is paused and ${what}`);
    }
  }
}
