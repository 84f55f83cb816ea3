import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPart } from '../../../hack/kind/check-output.ts';
import { sharedDirectory, sharedDirectoryOfNodes } from '../../../hack/kind/paths.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import {
  applyManifest,
  find,
  jobNamespace,
  kubectl,
  kubectlSays,
  listAll,
  objectsInBucket,
  operatorNamespace,
  type PodInCluster,
  until,
} from './cluster-under-test.ts';
import { bucketSecret, checkerConfigMap, outputClaim, outputDirectory, runInPod, secretKeyOfBucket } from './pod-run.ts';

export interface FlinkJobInCluster extends KubernetesObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: FlinkJobStatus;
}

const checker = fileURLToPath(new URL('../../../hack/kind/check-output.ts', import.meta.url));
export const checkpointStorage = 's3://checkpoints/jobs';
/** `datagen` makes so many unless it is told otherwise. */
const keyCount = 100;
const logLinesMax = 60;
/** Of those of the namespace, in which other jobs are too. */
const eventLinesMax = 100;

/**
 * A namespace of jobs, under the restricted Pod Security Standard, with what they need: credentials of the bucket, and a volume that pods on all nodes write to. Does
 * nothing when it is there.
 */
export async function prepareNamespace(namespace: string = jobNamespace): Promise<void> {
  const labels = { 'flinkjob.dev/test': 'kind' };
  const volume = { accessModes: ['ReadWriteMany'], storageClassName: '', volumeName: `flinkjob-test-output-${namespace}` };
  await applyTogether(
    {
      ...{ apiVersion: 'v1', kind: 'Namespace' },
      metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    {
      ...{ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: volume.volumeName, labels } },
      spec: {
        capacity: { storage: '1Gi' },
        ...{ accessModes: volume.accessModes, storageClassName: '', persistentVolumeReclaimPolicy: 'Retain' },
        claimRef: { namespace, name: outputClaim },
        hostPath: { path: sharedDirectoryOfNodes, type: 'Directory' },
      },
    },
    {
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { namespace, name: outputClaim } },
      spec: { ...volume, resources: { requests: { storage: '1Gi' } } },
    },
    {
      ...{ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: bucketSecret } },
      stringData: {
        AWS_ENDPOINT_URL_S3: 'http://s3.storage.svc:7070',
        AWS_ACCESS_KEY_ID: 'trying-things-out',
        AWS_SECRET_ACCESS_KEY: secretKeyOfBucket,
      },
    },
    {
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: checkerConfigMap } },
      data: { 'check-output.ts': readFileSync(checker, 'utf8') },
    },
  );
}

/** As others do at the same time: what was not there for kubectl, and is when it creates it, is there when it looks again. */
async function applyTogether(...objects: readonly object[]): Promise<void> {
  for (let lost = true; lost; ) {
    lost = await applyManifest(...objects).then(
      () => false,
      (error: unknown) => (error instanceof Error && error.message.includes('AlreadyExists') ? true : Promise.reject(error)),
    );
  }
}

/** Of all pods of a job: credentials and the volume for its output; `more` is mounted beside that. */
export function podTemplate(
  more: { readonly volumes?: readonly object[]; readonly volumeMounts?: readonly object[] } = {},
): object {
  return {
    envFrom: [{ secretRef: { name: bucketSecret } }],
    volumes: [{ name: 'output', persistentVolumeClaim: { claimName: outputClaim } }, ...(more.volumes ?? [])],
    volumeMounts: [{ name: 'output', mountPath: outputDirectory }, ...(more.volumeMounts ?? [])],
  };
}

export interface JobEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly kind: string; readonly name: string };
}

export interface JobOptions {
  readonly recordCount: number;
  readonly recordsPerSecond: number;
  readonly parallelism?: number;
  /** Another one than most jobs are in. */
  readonly namespace?: string;
  /** Its bucket is that of an S3 server in its namespace, and not the one that all share. */
  readonly ownStorage?: boolean;
}

/**
 * The job of examples/keyed-count as a FlinkJob: RocksDB on a local volume, checkpoints in S3, a TaskManager for each subtask. Its output goes to the volume that all
 * nodes share, where it is also seen from here, with the operator or without.
 */
export class JobInCluster {
  readonly name: string;
  readonly namespace: string;
  readonly recordCount: number;
  readonly #parallelism: number;
  readonly #ownStorage: boolean;
  #args: Readonly<Record<string, string>>;
  #rollbackDeadlineSeconds = 600;

  constructor(name: string, options: JobOptions) {
    this.name = name;
    this.namespace = options.namespace ?? jobNamespace;
    this.recordCount = options.recordCount;
    this.#parallelism = options.parallelism ?? 2;
    this.#ownStorage = options.ownStorage ?? false;
    this.#args = {
      ...{ seed: '7', count: String(options.recordCount), recordsPerSecond: String(options.recordsPerSecond) },
      out: `${outputDirectory}/${name}`,
    };
  }

  async apply(overrides: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await applyManifest(this.manifest(overrides));
  }

  /** `overrides` take the place of whole fields of the spec. */
  manifest(overrides: Readonly<Record<string, unknown>> = {}): object {
    return {
      apiVersion: 'flinkjob.dev/v1alpha1',
      kind: 'FlinkJob',
      metadata: { name: this.name, namespace: this.namespace },
      spec: {
        image: 'keyed-count:1',
        job: this.program(),
        state: { backend: 'RocksDB', checkpointStorage },
        checkpoints: { intervalSeconds: 1 },
        taskManager: { slots: 1, resources: { requests: { cpu: '50m' }, limits: { memory: '1Gi' } } },
        jobManager: { resources: { requests: { cpu: '50m' }, limits: { memory: '512Mi' } } },
        restartStrategy: { type: 'FixedDelay', attempts: 1000, delaySeconds: 0.2 },
        podTemplate: podTemplate(),
        ...overrides,
      },
    };
  }

  /** `spec.job`. */
  program(module = '/app/keyed-count.ts'): object {
    return { module, parallelism: this.#parallelism, args: this.#args };
  }

  async patch(spec: object): Promise<void> {
    await kubectl(
      '--namespace',
      this.namespace,
      'patch',
      'flinkjob',
      this.name,
      '--type=merge',
      `--patch=${JSON.stringify({ spec })}`,
    );
  }

  /** The rest as fast as it goes, so that it ends: in what is applied from now on. */
  hasten(): void {
    this.#args = { ...this.#args, recordsPerSecond: '1000000' };
  }

  async hurry(): Promise<void> {
    this.hasten();
    await this.patch({ job: { args: this.#args } });
  }

  /** The judgement of the end: all output once and in order, a bucket with nothing that nobody names, and nothing of it once it is purged. */
  async finishExactly(): Promise<string> {
    await this.untilStatus('Finished', ({ state }) => state === 'Finished');
    const said = await this.expectExactOutput('ended');
    await this.expectCleanBucket();
    await this.purge();
    return said;
  }

  async read(): Promise<FlinkJobInCluster | undefined> {
    return await find<FlinkJobInCluster>(this.namespace, 'flinkjob', this.name);
  }

  async untilStatus(
    what: string,
    holds: (status: FlinkJobStatus, flinkJob: FlinkJobInCluster) => boolean,
  ): Promise<FlinkJobStatus> {
    return await until(
      `${this.name}: ${what}`,
      async () => {
        const flinkJob = await this.read();
        return flinkJob?.status !== undefined && holds(flinkJob.status, flinkJob) ? flinkJob.status : undefined;
      },
      () => this.describe(),
    );
  }

  /** What the spec asks for runs, and nothing is under way. */
  async untilRunning(attemptNumber?: number): Promise<FlinkJobStatus> {
    return await this.untilStatus(
      `Running${attemptNumber === undefined ? '' : ` as attempt ${attemptNumber}`}`,
      ({ state, rollout, attempt, observedGeneration }, { metadata }) =>
        state === 'Running' &&
        rollout === undefined &&
        observedGeneration === metadata.generation &&
        (attemptNumber === undefined || attempt?.number === attemptNumber),
    );
  }

  /**
   * An operator looks after it: a change that touches nothing that runs is taken in. What a status says of checkpoints is no such sign: the longer a job
   * runs, the more rarely one that completes checkpoints and nothing else is written.
   */
  async untilLookedAfter(): Promise<void> {
    this.#rollbackDeadlineSeconds += 1;
    await this.patch({ upgrade: { rollback: { deadlineSeconds: this.#rollbackDeadlineSeconds } } });
    await this.untilRunning();
  }

  /** Makes a change that brings a new attempt; gives how long it took until that ran, in words, once nothing is under way any more. */
  async change(make: () => Promise<void>): Promise<string> {
    const before = (await this.read())?.status?.attempt;
    const startedAtMs = performance.now();
    await make();
    await this.untilStatus(
      'runs as another attempt',
      ({ state, attempt }) => state === 'Running' && attempt !== undefined && attempt.token !== before?.token,
    );
    const seconds = (performance.now() - startedAtMs) / 1_000;
    // Stable too, which takes some checkpoints.
    await this.untilRunning();
    return `runs after ${seconds.toFixed(1)} s`;
  }

  async pods(component: 'jobmanager' | 'taskmanager'): Promise<readonly PodInCluster[]> {
    const selector = `flinkjob.dev/name=${this.name},flinkjob.dev/component=${component}`;
    const pods = await listAll<PodInCluster>(this.namespace, 'pods', selector);
    return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** What has been said about it, oldest first. */
  async events(): Promise<readonly JobEvent[]> {
    const events = await listAll<JobEvent>(this.namespace, 'events');
    return events.filter(({ involvedObject }) => involvedObject.kind === 'FlinkJob' && involvedObject.name === this.name);
  }

  async untilEvent(reason: string, message: RegExp): Promise<JobEvent> {
    return await until(
      `${this.name}: an event ${reason} that says ${message}`,
      async () => (await this.events()).find((event) => event.reason === reason && message.test(event.message)),
      () => this.describe(),
    );
  }

  /** What the spec asks for now cannot start, and the controller says so. */
  async untilBlocked(code: string): Promise<FlinkJobStatus> {
    const blocked = await this.untilStatus(
      `refused, as ${code}`,
      ({ rollout, observedGeneration }, { metadata: { generation } }) =>
        rollout?.state === 'Blocked' && rollout.generation === generation && observedGeneration === generation,
    );
    assert.equal(blocked.error?.code, code, JSON.stringify(blocked.error));
    return blocked;
  }

  /** What somebody who touches a running job would change: pods and containers, attempt and epoch. */
  async whatRuns(): Promise<object> {
    const { attempt, revision, restarts, stable } = (await this.read())?.status ?? {};
    const pods = [...(await this.pods('jobmanager')), ...(await this.pods('taskmanager'))];
    return {
      ...{ attempt: attempt?.number, instance: attempt?.instance, revision, restarts, stable },
      pods: pods
        .map(({ metadata, status }) => `${metadata.name} ${metadata.uid} ${status?.containerStatuses?.[0]?.restartCount}`)
        .toSorted(),
      runs: formatToken(newestToken(this.committed())),
    };
  }

  /** The files that are committed, by name. */
  committed(): readonly string[] {
    const directory = join(sharedDirectory, this.name);
    return existsSync(directory) ? readdirSync(directory).filter(isPart) : [];
  }

  /** Waits for output of a run that began after all that have committed so far; gives the seconds since then. */
  async untilCommittedAgain(sinceMs: number, before: Token): Promise<number> {
    await until(
      `${this.name}: output of a run after ${formatToken(before)} is committed`,
      async () => (compareTokens(newestToken(this.committed()), before) > 0 ? true : undefined),
      () => this.describe(),
    );
    return (performance.now() - sinceMs) / 1_000;
  }

  async untilMoreIsCommitted(): Promise<void> {
    const before = newestCheckpoint(this.committed());
    await until(
      `${this.name}: more is committed than checkpoint ${before}`,
      async () => (newestCheckpoint(this.committed()) > before ? true : undefined),
      () => this.describe(),
    );
  }

  /** By a checker in the cluster: every line so far is there once and in order; `ended`: and all of them are there. */
  async expectExactOutput(ended?: 'ended'): Promise<string> {
    const all = ended === undefined ? [] : ['--records', String(this.recordCount), '--keys', String(keyCount)];
    const { code, said } = await runInPod('check-output', [
      'node',
      '/checker/check-output.ts',
      `${outputDirectory}/${this.name}`,
      ...all,
    ]);
    assert.equal(code, 0, said);
    return said.split('\n').at(-1) ?? '';
  }

  /** By the lineage tool in the cluster: every object is there for something, and none is missing. */
  async expectCleanBucket(): Promise<string> {
    const command = ['flinkjob-runtime', 'lineage', 'check', this.#lineageUrl()];
    const { code, said } = await runInPod('check-bucket', command, this.#keysFrom());
    assert.equal(code, 0, said);
    return said;
  }

  /** Deletes the FlinkJob, with all that it has in the bucket. */
  async purge(): Promise<void> {
    await this.patch({ checkpoints: { onDelete: 'Purge' } });
    await this.delete();
    const objects = await (this.#ownStorage ? objectsInBucket(this.namespace) : objectsInBucket());
    const left = objects.filter((name) => name.startsWith(`jobs/${this.namespace}/${this.name}/`));
    assert.equal(left.length, 1, `the last entry of the lineage is all that is left:\n${left.join('\n')}`);
    assert.match(left[0] ?? '', /\/lineage\/\d{20}\.json$/);
    const command = ['flinkjob-runtime', 'lineage', this.#lineageUrl()];
    const { said } = await runInPod('read-lineage', command, this.#keysFrom());
    assert.match(said, /Purged/);
  }

  async delete(): Promise<void> {
    await kubectl('--namespace', this.namespace, 'delete', 'flinkjob', this.name, '--wait=false');
    await until(
      `${this.name} is gone`,
      async () => ((await this.read()) === undefined ? true : undefined),
      () => this.describe(),
    );
  }

  /** The namespace whose Secret opens its bucket. */
  #keysFrom(): string {
    return this.#ownStorage ? this.namespace : jobNamespace;
  }

  #lineageUrl(): string {
    return `${checkpointStorage}/${this.namespace}/${this.name}`;
  }

  /** All that a person would look at when something is wrong. */
  async describe(): Promise<string> {
    const inNamespace = (...args: readonly string[]) => kubectlSays('--namespace', this.namespace, ...args);
    const sections = [
      await kubectlSays('get', 'nodes'),
      await inNamespace('get', 'flinkjob', this.name, '--output=yaml'),
      await inNamespace('get', 'pods', '--output=wide'),
      (await inNamespace('get', 'events', '--sort-by=.lastTimestamp')).split('\n').slice(-eventLinesMax).join('\n'),
    ];
    const ofJob = await listAll<PodInCluster>(this.namespace, 'pods', `flinkjob.dev/name=${this.name}`);
    for (const pod of ofJob) {
      const name = pod.metadata.name;
      sections.push(`--- ${name}\n${await inNamespace('logs', name, `--tail=${logLinesMax}`, '--request-timeout=10s')}`);
      if ((pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0) {
        const before = await inNamespace('logs', name, '--previous', `--tail=${logLinesMax}`, '--request-timeout=10s');
        sections.push(`--- ${name}, before its restart\n${before}`);
      }
    }
    const operator = ['--selector=app.kubernetes.io/name=flinkjob-operator', '--prefix', `--tail=${logLinesMax}`];
    sections.push(`--- operator\n${await kubectlSays('--namespace', operatorNamespace, 'logs', ...operator)}`);
    return sections.join('\n');
  }
}

/** (epoch, execution attempt): what a run of the job is known by. */
export type Token = readonly [number, number];

export function newestToken(parts: readonly string[]): Token {
  return parts.map(tokenOf).reduce((newest, token) => (compareTokens(token, newest) > 0 ? token : newest), [0, 0]);
}

export function tokenOf(part: string): Token {
  const [, epoch = 0, attempt = 0] = (/-e(\d+)a(\d+)-[0-9a-f]{8}$/.exec(part) ?? []).map(Number);
  return [epoch, attempt];
}

export function compareTokens(one: Token, other: Token): number {
  return one[0] - other[0] || one[1] - other[1];
}

function formatToken([epoch, attempt]: Token): string {
  return `epoch ${epoch}, execution attempt ${attempt}`;
}

function newestCheckpoint(parts: readonly string[]): number {
  return Math.max(0, ...parts.map((part) => Number(/-(\d{9,})-e/.exec(part)?.[1])));
}

/** `True RolledBack`. */
export function conditionOf(status: FlinkJobStatus, type: string): string {
  const found = status.conditions.find((condition) => condition.type === type);
  return `${found?.status} ${found?.reason}`;
}
