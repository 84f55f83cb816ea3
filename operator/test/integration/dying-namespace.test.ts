import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlinkJobSpec } from '../../src/api/flink-job-spec.ts';
import { apiVersion, kind } from '../../src/api/labels.ts';
import { systemClock } from '../../src/clock.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { typescriptEngine } from '../../src/engine/typescript/typescript-engine.ts';
import { Controller } from '../../src/flink-job/controller.ts';
import type { TransitionEvent } from '../../src/flink-job/transition-events.ts';
import { Metrics } from '../../src/kubernetes/metrics.ts';
import { silentLog } from '../../src/log.ts';
import { kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { kubernetesLimits } from '../../src/platform/kubernetes/kubernetes-platform.ts';
import { KubernetesFlinkJobStore } from '../../src/store/kubernetes-flink-job-store.ts';
import { accessTo } from '../fakes/api-access.ts';
import type { FakeApiServer } from '../fakes/api-server.ts';
import { planWith } from '../fakes/flink-job-builders.ts';
import { type KubernetesSetting, withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';
import { PretendedJobManagers } from '../fakes/pretended-job-managers.ts';

// A namespace is deleted while a job runs in it, and an operator that has only just become the leader meets what is left: nothing can be made there any more, and
// Kubernetes has taken away in any order what the FlinkJob consisted of. And the opposite: the FlinkJob stays after its deletion is done, because others hold it.

const key = { namespace: 'streams', name: 'words' };
const flinkJob = { apiVersion, kind, ...key };
const passesMax = 40;

for (const onDelete of ['Retain', 'Savepoint', 'Purge'] as const) {
  test(`a FlinkJob with onDelete ${onDelete} goes with its namespace, whatever went before it, and says what it leaves`, () =>
    withJobManagers(async (setting) => {
      const { server, cluster } = setting;
      const before = operator(setting);
      await before.store.apply({ apiVersion, kind, metadata: key, spec: specWith(onDelete) });
      await passUntil('it runs', { ...before, cluster }, () => statusOf(server)?.state === 'Running');

      endNamespace(server);
      const after = operator(setting);
      await passUntil('it is gone', { ...after, cluster }, () => server.find(flinkJob) === undefined);
      const notes = after.events.filter(({ reason }) => reason === 'DataOrphaned').map(({ note }) => note);
      assert.equal(notes.length, onDelete === 'Purge' ? 1 : 0);
      assert.ok(notes.every((note) => note.startsWith('s3://bucket/checkpoints/streams/words stays')));
    }));
}

test('a FlinkJob that somebody else’s finalizer holds is purged once, and then nothing more is made for it', () =>
  withJobManagers(async (setting) => {
    const { server, cluster } = setting;
    const { store, controller, events } = operator(setting);
    await store.apply({ apiVersion, kind, metadata: key, spec: specWith('Purge') });
    await passUntil('it runs', { controller, cluster }, () => statusOf(server)?.state === 'Running');

    server.patch(flinkJob, { metadata: { finalizers: [...finalizersOf(server), 'example/other'] } });
    server.remove(flinkJob);
    await passUntil('ours is gone', { controller, cluster }, () => finalizersOf(server).join() === 'example/other');
    const purges = () => server.requests.filter(({ method, path }) => method === 'PATCH' && path.includes('/jobs/words-purge-'));
    const [purgeCount, eventCount] = [purges().length, events.length];
    assert.equal(purgeCount, 1);
    for (let pass = 0; pass < 5; pass += 1) {
      assert.equal(await controller.reconcile(key), undefined);
      cluster.step();
    }
    assert.deepEqual([purges().length, events.length], [purgeCount, eventCount]);
  }));

/** What its deletion does, all at once: nothing can be made there, and what has no finalizer goes. */
function endNamespace(server: FakeApiServer): void {
  const message = 'unable to create new content in namespace streams because it is being terminated';
  const refusal = { type: 'Refuse', status: 403, reason: 'Forbidden', message } as const;
  server.interfere(refusal, { method: 'POST', times: Number.POSITIVE_INFINITY });
  const revisions = { apiVersion: 'apps/v1', kind: 'ControllerRevision' };
  for (const each of [revisions, kinds.configMap, kinds.service, kinds.deployment, kinds.pod]) {
    for (const { metadata } of server.list(each, key.namespace)) {
      const reference = { ...each, namespace: key.namespace, name: metadata.name };
      if (server.find(reference) !== undefined) {
        server.remove(reference);
      }
    }
  }
  server.remove(flinkJob);
}

function operator({ platform, engine, server }: SettingWithEngine) {
  const shared = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  const store = new KubernetesFlinkJobStore({ access: accessTo(server), ...shared });
  const events: TransitionEvent[] = [];
  const record = (_job: unknown, event: TransitionEvent) => events.push(event);
  const controller = new Controller({ store, platform, engine, record, limits: kubernetesLimits, ...shared });
  return { store, controller, events };
}

interface SettingWithEngine extends KubernetesSetting {
  readonly engine: Engine;
}

async function withJobManagers(body: (setting: SettingWithEngine) => Promise<void>): Promise<void> {
  let jobManagers: PretendedJobManagers | undefined;
  const client: Engine['client'] = (address) => jobManagers?.at(address) ?? assert.fail('there is no cluster yet');
  const engine: Engine = { ...typescriptEngine, client };
  await withKubernetesPlatform(
    async (setting) => {
      jobManagers = new PretendedJobManagers(setting.server);
      const plan = JSON.stringify(planWith({ slotsRequired: 2, lineage: { attemptNumber: 4, restorePath: 'chk-1-e1' } }));
      const answers = new Map([['preflight', plan]]).set('purge', JSON.stringify({ ok: true }));
      setting.cluster.answer = ({ metadata }) => {
        const message = answers.get(metadata.labels?.['flinkjob.dev/component'] ?? '');
        return message === undefined ? undefined : { exitCode: 0, message };
      };
      await body({ ...setting, engine });
    },
    { engine },
  );
}

function specWith(onDelete: 'Retain' | 'Savepoint' | 'Purge'): FlinkJobSpec {
  return FlinkJobSpec.parse({
    ...{ image: 'example/words:1', job: { module: '/app/words.js', parallelism: 2 } },
    ...{ state: { checkpointStorage: 's3://bucket/checkpoints' }, checkpoints: { onDelete } },
  });
}

function statusOf(server: FakeApiServer): { readonly state?: string } | undefined {
  return server.find<{ readonly status?: { readonly state?: string } } & ReturnType<FakeApiServer['create']>>(flinkJob)?.status;
}

function finalizersOf(server: FakeApiServer): readonly string[] {
  return server.find(flinkJob)?.metadata.finalizers ?? [];
}

/** Passes of the controller and steps of the cluster in turn. */
async function passUntil(
  what: string,
  { controller, cluster }: Pick<ReturnType<typeof operator>, 'controller'> & Pick<KubernetesSetting, 'cluster'>,
  isSo: () => boolean,
): Promise<void> {
  const memory: Parameters<Controller['reconcile']>[1] = {
    state: 'Created',
    refusals: [],
    hindrance: undefined,
    hasRevisionsLeft: false,
    seen: undefined,
  };
  for (let pass = 0; pass < passesMax; pass += 1) {
    await controller.reconcile(key, memory);
    cluster.step();
    if (isSo()) {
      return;
    }
  }
  assert.fail(`not so after ${passesMax} passes: ${what}`);
}
