import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind, labels } from '../../src/api/labels.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { type Deployment, type Job, kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { FakeApiServer } from '../fakes/api-server.ts';
import { eventually } from '../fakes/eventually.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { OperatorProcess } from '../fakes/operator-process.ts';
import { PretendedCluster } from '../fakes/pretended-cluster.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

// The operator as it runs in a cluster: real processes, real requests, an API server in memory that misbehaves, pods and JobManagers that are pretended. What each part
// does alone is tested beside it; what the objects do in a real cluster is tried in kind.

const words = { apiVersion, kind, namespace: 'streams', name: 'words' };
const leaseReference = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'ops', name: 'fj' };
/** Long enough for a busy machine not to lose it. */
const leaseSeconds = 6;

interface FlinkJobObject extends KubernetesObject {
  readonly status?: FlinkJobStatus;
}
interface Lease extends KubernetesObject {
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}
interface Event extends KubernetesObject {
  readonly reason: string;
  readonly note: string;
}

class Setting {
  readonly server: FakeApiServer;
  readonly cluster: PretendedCluster;
  readonly restPort: number;
  /** Every workload that was ever there, by name: the uids that it has had. */
  readonly seen = new Map<string, Set<string>>();
  readonly #kubeconfig: string;

  constructor(parts: { readonly server: FakeApiServer; readonly kubeconfig: string; readonly restPort: number }) {
    this.server = parts.server;
    this.#kubeconfig = parts.kubeconfig;
    this.restPort = parts.restPort;
    this.cluster = new PretendedCluster(parts.server, '127.0.77');
    this.cluster.answer = (pod) =>
      pod.metadata.labels?.[labels.component] === 'preflight'
        ? {
            exitCode: 0,
            message: JSON.stringify(planWith({ slotsRequired: 2, lineage: { attemptNumber: 4, restorePath: 'chk-1-e1' } })),
          }
        : undefined;
  }

  start(podName: string): OperatorProcess {
    const args = ['--lease-namespace=ops', '--lease-name=fj', `--lease-duration-seconds=${leaseSeconds}`];
    return new OperatorProcess(
      ['--platform=kubernetes', `--kubeconfig=${this.#kubeconfig}`, '--http-address=127.0.0.1:0', ...args],
      { environment: { POD_NAME: podName } },
    );
  }

  status(): FlinkJobStatus | undefined {
    return this.server.find<FlinkJobObject>(words)?.status;
  }

  lease(): Lease['spec'] | undefined {
    return this.server.find<Lease>(leaseReference)?.spec;
  }

  deployments(): readonly string[] {
    return this.server.list<Deployment>(kinds.deployment).map(({ metadata }) => metadata.name);
  }

  note(): void {
    const workloads = [...this.server.list<Deployment>(kinds.deployment), ...this.server.list<Job>(kinds.job)];
    for (const { metadata } of workloads) {
      this.seen.set(metadata.name, (this.seen.get(metadata.name) ?? new Set()).add(metadata.uid ?? ''));
    }
  }
}

async function withSetting(body: (setting: Setting) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kubernetes-operator-'));
  try {
    await using server = await FakeApiServer.start();
    await using jobManagers = new PretendedJobManagers(server);
    server.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } });
    const kubeconfig = path.join(directory, 'kubeconfig');
    const [context, cluster, user] = [{ cluster: 'fake', user: 'nobody', namespace: 'ops' }, { server: server.url }, {}];
    const config = {
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'fake', contexts: [{ name: 'fake', context }] },
      ...{ clusters: [{ name: 'fake', cluster }], users: [{ name: 'nobody', user }] },
    };
    await writeFile(kubeconfig, JSON.stringify(config));
    const restPort = await jobManagers.freePort();
    const setting = new Setting({ server, kubeconfig, restPort });
    const timer = setInterval(() => {
      setting.note();
      setting.cluster.step();
      jobManagers.listen(setting.cluster.pods('jobmanager'), restPort);
    }, 50);
    try {
      await body(setting);
    } finally {
      clearInterval(timer);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const leads = 'this process leads now';

test('a FlinkJob runs, its leader is killed, the next one upgrades it, nothing is done twice, and the last one gives the lease back', () =>
  withSetting(async (setting) => {
    const { server } = setting;
    await using first = setting.start('replica-1');
    await first.said(leads);
    await using second = setting.start('replica-2');
    await second.said('the cluster is reached; waiting for the lease');
    for (const [replica, leading] of [[first, 1] as const, [second, 0] as const]) {
      assert.deepEqual(await replica.ask('/readyz'), [200, 'ok\n']);
      assert.match((await replica.ask('/metrics'))[1], new RegExp(`^flinkjob_operator_leading ${leading}$`, 'm'));
    }

    // From here on every sort of request fails now and then, and what a watch goes on from is forgotten.
    server.interfere({ type: 'Refuse', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 }, { path: /\/jobs/ });
    server.interfere({ type: 'DoAndReset' }, { path: /\/deployments\//, method: 'PATCH' });
    server.interfere({ type: 'DoAndReset' }, { path: /\/flinkjobs\/words\/status/, method: 'PUT' });
    server.interfere({ type: 'Reset' }, { path: /\/pods/, times: 2 });
    server.interfere({ type: 'Reset' }, { path: /\/controllerrevisions/, method: 'POST' });
    const spec = {
      ...{ image: 'example/words:1', job: { module: '/app/words.js', parallelism: 2 } },
      ...{ jobManager: { restPort: setting.restPort }, state: { checkpointStorage: 's3://bucket/checkpoints' } },
    };
    server.create({ apiVersion, kind, metadata: { namespace: 'streams', name: 'words' }, spec } as KubernetesObject);
    await eventually('pre-flight has begun', () => setting.status()?.rollout !== undefined);
    server.compact();
    server.resetWatches();
    await eventually(
      'the job is Running',
      () => setting.status()?.state === 'Running' && setting.status()?.rollout === undefined,
    );
    const revision = setting.status()?.revision ?? '';
    // Above what pre-flight read in the lineage.
    const attempt5 = [`words-jm-${revision.slice(0, 6)}-5-1`, `words-tm-${revision.slice(0, 6)}-5`];
    assert.deepEqual(setting.deployments(), attempt5);
    const flinkJobs = /^flinkjob_operator_flink_jobs\{state="Running"\} 1$/m;
    await eventually('the leader counts it', async () => flinkJobs.test((await first.ask('/metrics'))[1]));
    assert.doesNotMatch((await second.ask('/metrics'))[1], flinkJobs);

    const holder = setting.lease()?.holderIdentity ?? '';
    assert.match(holder, /^replica-1_/);
    first.signal('SIGKILL');
    server.patch(words, { spec: { image: 'example/words:2' } });
    await second.said(leads);
    assert.match(setting.lease()?.holderIdentity ?? '', /^replica-2_/);
    await eventually(
      'the upgrade is Running, alone',
      () =>
        setting.status()?.state === 'Running' &&
        setting.status()?.rollout === undefined &&
        setting.status()?.attempt?.number === 6 &&
        setting.deployments().length === 2,
    );
    const upgraded = setting.status()?.revision?.slice(0, 6) ?? '';
    const attempt6 = [`words-jm-${upgraded}-6-1`, `words-tm-${upgraded}-6`];
    assert.deepEqual(setting.deployments(), attempt6);

    await using third = setting.start('replica-3');
    await third.said('the cluster is reached; waiting for the lease');
    second.signal('SIGTERM');
    assert.equal(await second.ended(), 0, second.text);
    assert.ok(second.has('the leader lease was released'), second.text);
    await third.said(leads);
    await eventually('it looks after the job', async () => flinkJobs.test((await third.ask('/metrics'))[1]));
    third.signal('SIGTERM');
    assert.equal(await third.ended(), 0, third.text);
    assert.equal(setting.lease()?.holderIdentity, '');

    // Each workload was made once: a pre-flight for each of two attempts, one that asked whether there is a way back unless the upgrade was stable first, and nothing else.
    const preFlights = [...setting.seen.keys()].filter((name) => name.startsWith('words-plan-'));
    assert.ok(preFlights.length === 2 || preFlights.length === 3, [...setting.seen.keys()].join());
    assert.deepEqual([...setting.seen.keys()].sort(), [...preFlights, ...attempt5, ...attempt6].sort());
    assert.ok([...setting.seen.values()].every((uids) => uids.size === 1));
    assert.deepEqual(setting.deployments(), attempt6);

    const events = server.list<Event>({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, 'streams');
    const told = events.map(({ reason }) => reason);
    for (const reason of ['PreFlight', 'Starting', 'Stopping', 'RolloutCompleted']) {
      assert.ok(told.includes(reason), `${reason} is not among ${told.join()}`);
    }
  }));

test('one that waits ends without a word to the lease; the leader that loses it ends at once, with an error', () =>
  withSetting(async (setting) => {
    await using operator = setting.start('replica-1');
    await operator.said(leads);
    await using waiting = setting.start('replica-2');
    await waiting.said('the cluster is reached; waiting for the lease');
    waiting.signal('SIGTERM');
    assert.equal(await waiting.ended(), 0, waiting.text);
    assert.match(setting.lease()?.holderIdentity ?? '', /^replica-1_/);
    setting.server.patch(leaseReference, { spec: { holderIdentity: 'somebody-else' } });
    assert.equal(await operator.ended(), 1, operator.text);
    assert.ok(operator.has('the leader lease is lost; this process acts no more'), operator.text);
    assert.equal(setting.lease()?.holderIdentity, 'somebody-else');
  }));

test('a pass that does not come to its end is cut off, and its lease is not given to others before it expires', () =>
  withSetting(async (setting) => {
    const { server } = setting;
    await using operator = setting.start('replica-1');
    await operator.said(leads);
    server.interfere({ type: 'Hang' }, { path: /\/flinkjobs\/words$/, method: 'GET' });
    server.create({ apiVersion, kind, metadata: { namespace: 'streams', name: 'words' }, spec: {} } as KubernetesObject);
    const asked = () => server.requests.some(({ path: asks }) => asks.endsWith('/flinkjobs/words'));
    await eventually('it asks for the FlinkJob', asked);
    operator.signal('SIGTERM');
    assert.equal(await operator.ended(), 1, operator.text);
    assert.ok(operator.text.includes('the next replica leads when the lease expires'), operator.text);
    assert.match(setting.lease()?.holderIdentity ?? '', /^replica-1_/);
  }));

test('a cluster without the definition of FlinkJob, or whose id may not be read, is refused with what to do', () =>
  withSetting(async (setting) => {
    const { server } = setting;
    server.interfere({ type: 'Refuse', status: 404, reason: 'NotFound' }, { path: /^\/apis\/flinkjob\.dev/, times: 2 });
    await using undefinedKind = setting.start('replica-1');
    assert.equal(await undefinedKind.ended(), 1);
    assert.match(undefinedKind.errors, /ClusterUnusable: .*no kind FlinkJob.*CustomResourceDefinition/);
    server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { path: /namespaces\/kube-system/ });
    await using forbidden = setting.start('replica-2');
    assert.equal(await forbidden.ended(), 2);
    assert.match(forbidden.errors, /ClusterIdUnknown: .*kube-system[\s\S]*--cluster-id/);
    assert.equal(setting.lease(), undefined);
  }));
