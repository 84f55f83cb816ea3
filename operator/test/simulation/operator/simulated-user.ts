import type { FlinkJobSpecInput } from '../../../src/api/flink-job-spec.ts';
import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { annotations, apiVersion, kind, labels } from '../../../src/api/labels.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { kinds } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { Refusal } from '../../fakes/api-objects.ts';
import { type Emphasis, GeneratedSpecs } from './generated-specs.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import { SimulatedSavepointUser } from './simulated-savepoint-user.ts';
import type { SimulationWorld } from './simulation-world.ts';

export const jobNamespace = 'jobs';
const foreignFinalizer = 'example.com/other-controller';

export interface FlinkJobObject extends KubernetesObject {
  readonly spec: FlinkJobSpecInput;
  readonly status?: FlinkJobStatus;
}

/** What somebody wants of one FlinkJob by the end. */
export type Wish = { readonly state: 'Absent' } | { readonly state: 'Present'; readonly spec: FlinkJobSpecInput };

/** Of a request that has been read in the remedy of a refusal. */
const fromNothing = 'from-nothing';

/** A person with kubectl: applies good and bad specs, deletes, creates again, and does what nobody should. */
export class SimulatedUser {
  readonly #world: SimulationWorld;
  readonly #server: SimulatedApiServer;
  readonly #names: readonly string[];
  /** Where the newest state of a job is. */
  readonly #storageOf: (name: string) => string | undefined;
  readonly wishes = new Map<string, Wish>();
  /** What has been asked for in words, by name: starts from nothing, upgrades without state, a purge on deletion, deletion. */
  readonly permissions = new Map<
    string,
    { readonly tokens: Set<string>; stateless: boolean; purge: boolean; deleted: boolean }
  >();
  readonly #specs: GeneratedSpecs;
  readonly #emphasis: Emphasis | undefined;
  readonly #savepoints: SimulatedSavepointUser;

  constructor(
    world: SimulationWorld,
    server: SimulatedApiServer,
    options: {
      readonly names: readonly string[];
      readonly storageOf: (name: string) => string | undefined;
      readonly emphasis: Emphasis | undefined;
    },
  ) {
    this.#world = world;
    this.#server = server;
    this.#names = options.names;
    this.#storageOf = options.storageOf;
    this.#emphasis = options.emphasis;
    this.#specs = new GeneratedSpecs(world.random, options.emphasis);
    this.#savepoints = new SimulatedSavepointUser(world, server, jobNamespace);
  }

  /** Whether a person has deleted this FlinkSavepoint. */
  hasDeletedSavepoint(uid: string): boolean {
    return this.#savepoints.deleted.has(uid);
  }

  begin(): void {
    for (const name of this.#names) {
      this.#apply(name, this.#specs.good());
    }
  }

  /** One thing, to one job. */
  act(): void {
    const { random } = this.#world;
    const name = random.pick(this.#names);
    const present = this.#find(name) !== undefined;
    const choice = random.next();
    if (present && this.#emphasis === 'Pauses' && choice < 0.4) {
      this.#pause(name, 'true');
      return;
    }
    if (!present || choice < 0.4) {
      this.#apply(name, random.chance(this.#emphasis === 'StorageMoves' ? 0.5 : 0.2) ? this.#specs.bad() : this.#specs.good());
    } else if (choice < 0.49) {
      this.#delete(name);
    } else if (choice < 0.69) {
      this.#actOnSavepoints(name);
    } else if (choice < 0.76) {
      this.#pause(name, random.chance(0.7) ? 'true' : null);
    } else if (choice < 0.79) {
      this.#deleteNamespace();
    } else {
      this.#misuse(name);
    }
  }

  #actOnSavepoints(name: string): void {
    if (this.#server.mayCreateIn(jobNamespace)) {
      this.#savepoints.act(name);
    }
  }

  #pause(name: string, paused: 'true' | null): void {
    this.#world.trace(`user sets paused of ${name} to ${paused}`);
    this.#patch(
      { apiVersion, kind, namespace: jobNamespace, name },
      { metadata: { annotations: { [annotations.paused]: paused } } },
    );
  }

  /** With all that is in it. */
  #deleteNamespace(): void {
    this.#world.trace(`user deletes namespace ${jobNamespace}`);
    for (const name of this.#names) {
      this.wishes.set(name, { state: 'Absent' });
      this.#noteDeleted(name);
    }
    this.#remove({ apiVersion: 'v1', kind: 'Namespace', name: jobNamespace });
  }

  /** Faults are over: every job gets something that can be reached. */
  settle(): void {
    const { random } = this.#world;
    if (this.#server.mayCreateIn(jobNamespace) && random.chance(this.#emphasis === 'Namespaces' ? 0.7 : 0.06)) {
      this.#deleteNamespace();
    }
    for (const name of this.#names) {
      const found = this.#find(name);
      if (found?.metadata.annotations?.[annotations.paused] === 'true') {
        this.#pause(name, null);
      }
      if (!this.#server.mayCreateIn(jobNamespace) && random.chance(0.7)) {
        // It goes with its namespace, and nobody wants it any more.
        this.wishes.set(name, { state: 'Absent' });
      } else if (found !== undefined && random.chance(0.2)) {
        this.#delete(name);
      } else if (found?.metadata.deletionTimestamp !== undefined || !this.#isGood(name) || random.chance(0.4)) {
        this.#apply(name, this.#specs.good(this.#storageOf(name)));
      }
      this.#removeForeignFinalizer(name);
    }
  }

  /** Reads what is wrong, and does what it says. */
  correct(): void {
    for (const name of this.#names) {
      this.#letPodsGo(name);
      const wish = this.wishes.get(name);
      const { error, rolledBack, state } = this.#find(name)?.status ?? {};
      const isLost = error?.code === 'StateWouldBeLost';
      // Where it was started, and completed nothing, is known from what the operator says.
      const storage = /started with its state in (s3:\S+)/.exec(error?.message ?? '')?.[1] ?? this.#storageOf(name);
      // Without a rollback, or with nothing to go back to, a job that has failed waits for a person.
      const isFailed = state === 'Failed' && error !== undefined;
      if (isLost && storage !== undefined && wish?.state === 'Present' && wish.spec.state.checkpointStorage !== storage) {
        this.#apply(name, { ...wish.spec, state: { checkpointStorage: storage } });
      } else if (isLost && storage === undefined && wish?.state === 'Present' && wish.spec.restore?.token !== fromNothing) {
        // No storage has anything of it, and nobody knows where it was to run.
        this.#apply(name, { ...wish.spec, restore: { from: 'None', token: fromNothing } });
      } else if ((rolledBack !== undefined || isFailed) && wish?.state === 'Present' && this.#specs.isGood(wish.spec)) {
        // It was the world's fault and not the revision's: once more.
        this.#apply(name, this.#specs.good(storage));
      }
    }
  }

  #isGood(name: string): boolean {
    const wish = this.wishes.get(name);
    return wish?.state === 'Absent' || (wish !== undefined && this.#specs.isGood(wish.spec));
  }

  #apply(name: string, spec: FlinkJobSpecInput): void {
    const reference = { apiVersion, kind, namespace: jobNamespace, name };
    const permitted = this.permissions.get(name) ?? { tokens: new Set(), stateless: false, purge: false, deleted: false };
    this.permissions.set(name, permitted);
    if (spec.restore?.from === 'None') {
      permitted.tokens.add(spec.restore.token ?? 'None');
    }
    permitted.stateless ||= spec.upgrade?.mode === 'Stateless';
    permitted.purge ||= spec.checkpoints?.onDelete === 'Purge';
    // A job that finishes may go by itself.
    permitted.deleted ||= spec.ttlSecondsAfterFinished !== undefined;
    const before = this.#server.find<FlinkJobObject>(reference);
    if (before?.metadata.deletionTimestamp !== undefined || !this.#makeNamespace()) {
      // As kubectl would: wait until it is gone, then create it.
      this.#world.time.schedule(5_000, () => (this.#wants(name, spec) ? this.#apply(name, spec) : undefined));
      this.wishes.set(name, { state: 'Present', spec });
      return;
    }
    this.wishes.set(name, { state: 'Present', spec });
    this.#world.trace(`user applies ${name} ${JSON.stringify(spec)}`);
    this.#server.by('user', (requests) => {
      if (before === undefined) {
        requests.create({ apiVersion, kind, metadata: { namespace: jobNamespace, name }, spec } as FlinkJobObject);
      } else {
        const { metadata, status } = before;
        const path = `/apis/${apiVersion}/namespaces/${jobNamespace}/flinkjobs/${name}`;
        const body = { apiVersion, kind, metadata, spec, status } as Record<string, unknown>;
        requests.handle({ method: 'PUT', path, query: new URLSearchParams(), body, contentType: 'application/json' });
      }
    });
  }

  /** False while it is going. */
  #makeNamespace(): boolean {
    const found = this.#server.find({ apiVersion: 'v1', kind: 'Namespace', name: jobNamespace });
    if (found === undefined) {
      this.#server.by('user', (requests) =>
        requests.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: jobNamespace } }),
      );
    }
    return found?.metadata.deletionTimestamp === undefined;
  }

  #wants(name: string, spec: FlinkJobSpecInput): boolean {
    const wish = this.wishes.get(name);
    return wish?.state === 'Present' && wish.spec === spec;
  }

  #delete(name: string): void {
    if (this.#world.random.chance(0.4)) {
      this.#holdPod(name);
    }
    this.#world.trace(`user deletes ${name}`);
    this.wishes.set(name, { state: 'Absent' });
    this.#noteDeleted(name);
    this.#remove({ apiVersion, kind, namespace: jobNamespace, name });
  }

  #noteDeleted(name: string): void {
    const permitted = this.permissions.get(name);
    if (permitted !== undefined) {
      permitted.deleted = true;
    }
  }

  #misuse(name: string): void {
    const { random } = this.#world;
    const what = random.pick([
      ...(['WipeStatus', 'WipeRollout', 'DeleteDeployment', 'DeleteRevisions', 'DeletePod'] as const),
      ...(['DeleteService', 'EditLabels', 'ForeignFinalizer', 'Annotate', 'DeletePlan'] as const),
    ]);
    const reference = { apiVersion, kind, namespace: jobNamespace, name };
    const found = this.#find(name);
    if (found === undefined || !this.#world.fault(1, `user misuses ${name}: ${what}`)) {
      return;
    }
    const owned = (kindOf: { readonly apiVersion: string; readonly kind: string }) =>
      this.#server.list(kindOf).filter(({ metadata }) => metadata.labels?.[labels.flinkJob] === name);
    const one = (kindOf: { readonly apiVersion: string; readonly kind: string }) => {
      const all = owned(kindOf);
      return all.length === 0 ? undefined : random.pick(all);
    };
    const deleteOne = (kindOf: { readonly apiVersion: string; readonly kind: string }) => {
      const victim = one(kindOf);
      if (victim !== undefined) {
        this.#remove({ ...kindOf, namespace: jobNamespace, name: victim.metadata.name });
      }
    };
    switch (what) {
      case 'WipeStatus':
        this.#patch(reference, { status: null }, 'status');
        return;
      case 'WipeRollout':
        if (!(found.status === undefined)) {
          this.#patch(reference, { status: { rollout: null } }, 'status');
        }
        return;
      case 'DeleteDeployment':
        deleteOne(kinds.deployment);
        return;
      case 'DeletePod':
        deleteOne(kinds.pod);
        return;
      case 'DeleteService':
        deleteOne(kinds.service);
        return;
      case 'DeletePlan':
        deleteOne(kinds.job);
        return;
      case 'DeleteRevisions': {
        const revisions = { apiVersion: 'apps/v1', kind: 'ControllerRevision' };
        for (const { metadata } of this.#server.list(revisions).filter((it) => it.metadata.name.startsWith(`${name}-`))) {
          this.#remove({ ...revisions, namespace: jobNamespace, name: metadata.name });
        }
        return;
      }
      case 'EditLabels': {
        const victim = one(random.pick([kinds.pod, kinds.deployment]));
        const label = random.pick([labels.managedBy, labels.revision]);
        if (victim !== undefined) {
          this.#patch({ ...victim, ...victim.metadata }, { metadata: { labels: { [label]: 'edited' } } });
        }
        return;
      }
      case 'ForeignFinalizer': {
        const { finalizers = [] } = found.metadata;
        this.#patch(reference, { metadata: { finalizers: [...new Set([...finalizers, foreignFinalizer])] } });
        return;
      }
      case 'Annotate':
        this.#patch(reference, { metadata: { annotations: { note: String(random.between(1, 1000)) } } });
        return;
    }
  }

  /** Somebody else's controller holds a pod, and is away: as far as the operator can see, its processes never end. */
  #holdPod(name: string): void {
    const workers = this.#podsOf(name).filter(({ metadata }) => metadata.labels?.[labels.attempt] !== undefined);
    for (const { metadata } of workers.slice(0, 1)) {
      this.#world.trace(`${metadata.name} is held by another controller`);
      const finalizers = [...(metadata.finalizers ?? []), foreignFinalizer];
      this.#patch({ ...kinds.pod, ...metadata }, { metadata: { finalizers } });
    }
  }

  /** Once the FlinkJob that they belong to is gone. */
  #letPodsGo(name: string): void {
    const uid = this.#find(name)?.metadata.uid;
    const held = this.#podsOf(name).filter(
      ({ metadata }) => metadata.finalizers?.includes(foreignFinalizer) === true && metadata.labels?.[labels.uid] !== uid,
    );
    for (const { metadata } of held) {
      const finalizers = metadata.finalizers?.filter((it) => it !== foreignFinalizer);
      this.#patch({ ...kinds.pod, ...metadata }, { metadata: { finalizers } });
    }
  }

  #podsOf(name: string): readonly KubernetesObject[] {
    return this.#server.list(kinds.pod).filter(({ metadata }) => metadata.labels?.[labels.flinkJob] === name);
  }

  #removeForeignFinalizer(name: string): void {
    const found = this.#find(name);
    const finalizers = found?.metadata.finalizers?.filter((it) => it !== foreignFinalizer);
    if (finalizers !== undefined && finalizers.length !== found?.metadata.finalizers?.length) {
      this.#patch({ apiVersion, kind, namespace: jobNamespace, name }, { metadata: { finalizers } });
    }
  }

  #find(name: string): FlinkJobObject | undefined {
    return this.#server.find<FlinkJobObject>({ apiVersion, kind, namespace: jobNamespace, name });
  }

  #patch(reference: Parameters<SimulatedApiServer['find']>[0], patch: object, subresource?: 'status'): void {
    this.#server.by('user', (requests) => requests.patch(reference, patch, subresource));
  }

  #remove(reference: Parameters<SimulatedApiServer['find']>[0]): void {
    try {
      this.#server.by('user', (requests) => requests.remove(reference));
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
    }
  }
}
