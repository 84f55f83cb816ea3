import type { FlinkJobSpecInput } from '../../../src/api/flink-job-spec.ts';
import type { FlinkJobStatus } from '../../../src/api/flink-job-status.ts';
import { apiVersion, kind, labels } from '../../../src/api/labels.ts';
import type { KubernetesObject } from '../../../src/kubernetes/object-client.ts';
import { kinds } from '../../../src/platform/kubernetes/kubernetes-objects.ts';
import { Refusal } from '../../fakes/api-objects.ts';
import type { SimulatedApiServer } from './simulated-api-server.ts';
import type { SimulationWorld } from './simulation-world.ts';

export const jobNamespace = 'jobs';
const usualStorage = 's3://bucket/checkpoints';
const foreignFinalizer = 'example.com/other-controller';

export interface FlinkJobObject extends KubernetesObject {
  readonly spec: FlinkJobSpecInput;
  readonly status?: FlinkJobStatus;
}

/** What somebody wants of one FlinkJob by the end. */
export type Wish = { readonly state: 'Absent' } | { readonly state: 'Present'; readonly spec: FlinkJobSpecInput };

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
  #tokens = 0;

  constructor(
    world: SimulationWorld,
    server: SimulatedApiServer,
    options: { readonly names: readonly string[]; readonly storageOf: (name: string) => string | undefined },
  ) {
    this.#world = world;
    this.#server = server;
    this.#names = options.names;
    this.#storageOf = options.storageOf;
  }

  begin(): void {
    for (const name of this.#names) {
      this.#apply(name, this.#goodSpec());
    }
  }

  /** One thing, to one job. */
  act(): void {
    const { random } = this.#world;
    const name = random.pick(this.#names);
    const present = this.#find(name) !== undefined;
    const choice = random.next();
    if (!present || choice < 0.55) {
      this.#apply(name, random.chance(0.2) ? this.#badSpec() : this.#goodSpec());
    } else if (choice < 0.65) {
      this.#delete(name);
    } else {
      this.#misuse(name);
    }
  }

  /** Faults are over: every job gets something that can be reached. */
  settle(): void {
    const { random } = this.#world;
    for (const name of this.#names) {
      const found = this.#find(name);
      if (found !== undefined && random.chance(0.2)) {
        this.#delete(name);
      } else if (found?.metadata.deletionTimestamp !== undefined || !this.#isGood(name) || random.chance(0.4)) {
        this.#apply(name, this.#goodSpec(this.#storageOf(name)));
      }
      this.#removeForeignFinalizer(name);
    }
  }

  /** Reads what is wrong, and does what it says. */
  correct(): void {
    for (const name of this.#names) {
      this.#letPodsGo(name);
      const storage = this.#storageOf(name);
      const wish = this.wishes.get(name);
      const { error, rolledBack } = this.#find(name)?.status ?? {};
      const isLost = error?.code === 'StateWouldBeLost';
      if (isLost && storage !== undefined && wish?.state === 'Present' && wish.spec.state.checkpointStorage !== storage) {
        this.#apply(name, { ...wish.spec, state: { checkpointStorage: storage } });
      } else if (rolledBack !== undefined && wish?.state === 'Present' && this.#good.has(wish.spec)) {
        // It was the world's fault and not the revision's: once more.
        this.#apply(name, this.#goodSpec(storage));
      }
    }
  }

  #isGood(name: string): boolean {
    const wish = this.wishes.get(name);
    const spec = wish?.state === 'Present' ? (wish.spec as unknown as { readonly good?: boolean }) : undefined;
    return wish?.state === 'Absent' || (spec !== undefined && this.#good.has(spec));
  }

  readonly #good = new WeakSet<object>();

  #goodSpec(storage = usualStorage): FlinkJobSpecInput {
    const { random } = this.#world;
    const withNone = random.chance(0.08);
    this.#tokens += 1;
    const spec: FlinkJobSpecInput = {
      image: `registry.example/job:${random.between(1, 3)}`,
      job: {
        module: '/app/job.js',
        args: { version: String(random.between(1, 3)) },
        parallelism: random.between(1, 3),
        desiredState: random.chance(0.15) ? 'Suspended' : 'Running',
      },
      upgrade: {
        mode: random.pick(['Savepoint', 'Savepoint', 'LastState', 'Stateless'] as const),
        stopTimeoutSeconds: random.pick([10, 60]),
      },
      restore: withNone ? { from: 'None', token: random.chance(0.5) ? 'again' : `token-${this.#tokens}` } : {},
      state: { checkpointStorage: storage },
      checkpoints: { onDelete: random.pick(['Retain', 'Retain', 'Retain', 'Purge'] as const) },
      taskManager: { slots: random.between(1, 2) },
      restartNonce: random.chance(0.2) ? random.between(1, 3) : 0,
    };
    this.#good.add(spec);
    return spec;
  }

  #badSpec(): FlinkJobSpecInput {
    const spec = this.#goodSpec();
    this.#good.delete(spec);
    const bad = this.#world.random.pick(['Image', 'Plan', 'Running', 'Schema', 'Storage', 'Storage'] as const);
    const { job } = spec;
    switch (bad) {
      case 'Image':
        return { ...spec, image: 'registry.example/missing:1' };
      case 'Plan':
        return { ...spec, job: { ...job, args: { ...job.args, broken: 'plan' } } };
      case 'Running':
        return { ...spec, job: { ...job, args: { ...job.args, broken: 'running' } } };
      case 'Schema':
        return { ...spec, job: { ...job, paralelism: 2 } } as FlinkJobSpecInput;
      case 'Storage':
        return { ...spec, state: { checkpointStorage: 's3://other-bucket/checkpoints' } };
    }
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
    const before = this.#server.find<FlinkJobObject>(reference);
    if (before?.metadata.deletionTimestamp !== undefined) {
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
    const permitted = this.permissions.get(name);
    if (permitted !== undefined) {
      permitted.deleted = true;
    }
    this.#remove({ apiVersion, kind, namespace: jobNamespace, name });
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
