import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { systemClock } from '../../src/clock.ts';
import { KubernetesDefaults } from '../../src/defaults/kubernetes-defaults.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { silentLog } from '../../src/log.ts';
import { kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { kubernetesLimits } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { accessTo } from '../fakes/api-access.ts';
import { eventually } from '../fakes/eventually.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { type KubernetesSetting, withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

// A ConfigMap flinkjob-defaults as the controller meets it, over an API server in memory. Which defaults count is in src/defaults.

const key = { namespace: 'streams', name: 'words' };
const reference = { ...kinds.configMap, namespace: 'streams', name: 'flinkjob-defaults' };
const ofDefaults = /\/configmaps(\/flinkjob-defaults)?(\?|$)/;

interface ConfigMap extends KubernetesObject {
  readonly data: object;
}
interface FlinkJobObject extends KubernetesObject {
  readonly spec: object;
  readonly status?: FlinkJobStatus;
}

interface Walk extends KubernetesSetting {
  readonly defaults: KubernetesDefaults;
  status(): FlinkJobStatus | undefined;
  condition(type: string): string | undefined;
  /** `data.spec` of the ConfigMap. */
  say(text: string): void;
  /** Passes of the controller and steps of the cluster in turn, until it is so. */
  until(what: string, isSo: () => boolean): Promise<void>;
  /** What TaskManagers of the newest attempt have in their environment. */
  environment(): readonly { readonly name: string; readonly value?: string }[];
}

async function withWalk(body: (walk: Walk) => Promise<void>): Promise<void> {
  let jobManagers: PretendedJobManagers | undefined;
  const client: Engine['client'] = (address) => jobManagers?.at(address) ?? assert.fail('there is no cluster yet');
  const engine: Engine = { ...typescriptEngine, client };
  await withKubernetesPlatform(
    async (setting) => {
      const { server, platform, cluster } = setting;
      jobManagers = new PretendedJobManagers(server);
      cluster.answer = (pod) =>
        pod.metadata.labels?.['flinkjob.dev/component'] === 'preflight'
          ? { exitCode: 0, message: JSON.stringify(planWith({ lineage: { attemptNumber: 4, restorePath: 'chk-1-e1' } })) }
          : undefined;
      const shared = { access: accessTo(server), clock: systemClock, log: silentLog, metrics: new Metrics() };
      const defaults = new KubernetesDefaults(shared);
      const store = new KubernetesFlinkJobStore(shared);
      const controller = new Controller({ ...shared, store, platform, engine, defaults, limits: kubernetesLimits });
      const status = () => server.find<FlinkJobObject>({ apiVersion, kind, ...key })?.status;
      await body({
        ...setting,
        ...{ defaults, status },
        condition: (type) => {
          const found = status()?.conditions.find((condition) => condition.type === type);
          return found && `${found.status} ${found.reason}: ${found.message}`;
        },
        say: (text) => {
          if (server.find(reference) === undefined) {
            const { namespace, name } = reference;
            server.create<ConfigMap>({ ...kinds.configMap, metadata: { namespace, name }, data: { spec: text } });
          } else {
            server.patch(reference, { data: { spec: text } });
          }
        },
        until: async (what, isSo) => {
          for (let round = 0; round < 40; round += 1) {
            await controller.reconcile(key);
            cluster.step();
            if (isSo()) {
              return;
            }
          }
          assert.fail(`not ${what}: ${JSON.stringify(status(), undefined, 2)}`);
        },
        environment: () => {
          const [container] = cluster.pods('taskmanager').at(-1)?.spec?.containers ?? [];
          return (container as { readonly env?: ReturnType<Walk['environment']> } | undefined)?.env ?? [];
        },
      });
    },
    { engine },
  );
}

function create({ server }: Walk, more: object = {}): void {
  const spec = {
    ...{ image: 'example/words:1', job: { module: '/app/words.js' }, state: { checkpointStorage: 's3://bucket/jobs' } },
    ...more,
  };
  server.create({ apiVersion, kind, metadata: key, spec } as FlinkJobObject);
}

const stage = (value: string) => `podTemplate: { env: [{ name: STAGE, value: ${value} }] }`;

test('a job gets the defaults of its namespace; changed ones restart nothing, and its next change takes them in', () =>
  withWalk(async (walk) => {
    walk.say(stage('test'));
    create(walk);
    await walk.until('settled', () => walk.status()?.state === 'Running' && walk.status()?.rollout === undefined);
    const stageOf = () => walk.environment().find(({ name }) => name === 'STAGE')?.value;
    assert.equal(stageOf(), 'test');
    assert.match(walk.condition('DefaultsTakenIn') ?? '', /^True TakenIn/);
    const { revision, rollouts } = walk.status() ?? {};

    walk.say(stage('live'));
    await walk.until('told', () => walk.condition('DefaultsTakenIn')?.startsWith('False') === true);
    assert.match(
      walk.condition('DefaultsTakenIn') ?? '',
      /^False Changed: .* spec\.podTemplate\.env\. The next change of the spec/,
    );
    assert.match(walk.condition('Ready') ?? '', /^True/);
    assert.deepEqual([walk.status()?.revision, walk.status()?.rollouts], [revision, rollouts]);

    walk.server.patch({ apiVersion, kind, ...key }, { spec: { restartNonce: 1 } });
    await walk.until('upgraded', () => walk.status()?.revision !== revision && walk.status()?.rollout === undefined);
    assert.equal(stageOf(), 'live');
    assert.match(walk.condition('DefaultsTakenIn') ?? '', /^True TakenIn/);

    walk.server.remove(reference);
    await walk.until('told', () => walk.condition('DefaultsTakenIn')?.startsWith('False') === true);
    assert.equal(stageOf(), 'live');
  }));

test('bad defaults leave a job that runs alone, and a change says what is wrong with them', () =>
  withWalk(async (walk) => {
    create(walk);
    await walk.until('settled', () => walk.status()?.state === 'Running' && walk.status()?.rollout === undefined);
    assert.equal(walk.condition('DefaultsTakenIn'), undefined);
    walk.say('checkpoints: { intervalSecond: 30 }');
    await walk.until('told', () => walk.condition('DefaultsTakenIn') !== undefined);
    const expected = 'ConfigMap streams/flinkjob-defaults, key spec: checkpoints.intervalSecond: unknown field';
    assert.equal(walk.condition('DefaultsTakenIn'), `False Unusable: ${expected}. Did you mean checkpoints.intervalSeconds?`);
    assert.match(walk.condition('Ready') ?? '', /^True/);
    assert.equal(walk.status()?.error, undefined);

    const { revision } = walk.status() ?? {};
    walk.server.patch({ apiVersion, kind, ...key }, { spec: { image: 'example/words:2' } });
    await walk.until('held up', () => walk.status()?.error?.code === 'DefaultsUnusable');
    assert.equal(walk.status()?.error?.message, expected);
    assert.deepEqual([walk.status()?.state, walk.status()?.revision], ['Running', revision]);
    assert.match(walk.condition('Stalled') ?? '', /^True DefaultsUnusable/);

    walk.say('checkpoints: { intervalSeconds: 30 }');
    await walk.until('upgraded', () => walk.status()?.revision !== revision && walk.status()?.rollout === undefined);
    assert.equal(walk.status()?.error, undefined);
  }));

test('without the right to read ConfigMaps jobs have no defaults, and each namespace is asked about once a minute', () =>
  withWalk(async (walk) => {
    walk.server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { method: 'GET', path: ofDefaults, times: 1000 });
    walk.say(stage('test'));
    create(walk);
    await walk.until('settled', () => walk.status()?.state === 'Running' && walk.status()?.rollout === undefined);
    assert.equal(
      walk.environment().find(({ name }) => name === 'STAGE'),
      undefined,
    );
    assert.equal(walk.condition('DefaultsTakenIn'), undefined);
    assert.equal(walk.server.requests.filter(({ path }) => path.endsWith('/flinkjob-defaults')).length, 1);
  }));

test('while the API server does not say what the defaults are, a job is not started without them', () =>
  withWalk(async (walk) => {
    walk.server.interfere({ type: 'Refuse', status: 400, reason: 'BadRequest' }, { method: 'GET', path: ofDefaults });
    walk.say(stage('test'));
    create(walk);
    await assert.rejects(
      walk.until('started', () => walk.status()?.attempt !== undefined),
      /BadRequest|400/,
    );
    assert.equal(walk.status()?.attempt, undefined);
    await walk.until('Running', () => walk.status()?.state === 'Running');
    assert.ok(walk.environment().some(({ name }) => name === 'STAGE'));
  }));

test('a mirror tells of changes, and answers without a request', () =>
  withWalk(async ({ defaults, say, server }) => {
    const stop = new AbortController();
    const told: string[] = [];
    const watching = defaults.watch((namespace) => told.push(namespace), stop.signal);
    try {
      say(stage('test'));
      await eventually('told', () => told.length > 0);
      assert.deepEqual(await defaults.read('streams'), {
        state: 'Usable',
        spec: { podTemplate: { env: [{ name: 'STAGE', value: 'test' }] } },
      });
      assert.deepEqual(await defaults.read('elsewhere'), { state: 'None' });
      server.remove(reference);
      await eventually('told', async () => (await defaults.read('streams')).state === 'None');
      assert.ok(told.every((namespace) => namespace === 'streams'));
      assert.ok(server.requests.every(({ path }) => !path.endsWith('/flinkjob-defaults')));
    } finally {
      stop.abort();
      await watching;
    }
  }));
