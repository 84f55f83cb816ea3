/** Tasks for savepoints as Jobs of a pretended cluster: what they run as, how they answer, who ends them. Over real processes they are tried in test/e2e. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigMap, type Job, kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { revisionWith } from '../fakes/flink-job-builders.ts';
import { withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';

const job = { namespace: 'streams', name: 'words', uid: 'uid-1' };
const revision = revisionWith({ image: 'example/words:1', podTemplate: { serviceAccountName: 'words-storage' } });
const location = 's3://bucket/jobs/streams/words/savepoints/000007-e2';
const drill = { operationId: 'sp-1/drill/once/1', revision, task: { type: 'Drill', location } as const };
const preFlight = { operationId: 'uid-1/r1/pre-flight/1', revision, restore: { from: 'Latest' } as const };

test('a task runs as the job itself would, long enough to read all state, and answers by its last words', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.runSavepointTask(job, drill);
    await platform.runSavepointTask(job, drill);
    const [made, ...more] = server.list<Job>(kinds.job);
    assert.equal(more.length, 0, 'one id is one process');
    const { spec } = made?.spec.template ?? {};
    assert.equal(spec?.serviceAccountName, 'words-storage');
    assert.deepEqual(spec?.containers[0].args.slice(0, 1), ['savepoint-task']);
    assert.equal(made?.spec.activeDeadlineSeconds, 7 * 3600);
    const [config] = server.list<ConfigMap>(kinds.configMap);
    const { task, lineage } = JSON.parse(config?.data['config.json'] ?? '');
    assert.deepEqual(task, drill.task);
    assert.deepEqual([lineage.namespace, lineage.name], ['streams', 'words']);

    cluster.step();
    cluster.step();
    assert.equal((await platform.observeSavepointTasks(job, [drill.operationId]))[0]?.state, 'Running');
    const result = { ok: true, drill: { operatorCount: 1, rowCount: 20, fileCount: 2, sizeBytes: 100 } };
    cluster.answer = () => ({ exitCode: 0, message: JSON.stringify(result) });
    cluster.step();
    assert.deepEqual(await platform.observeSavepointTasks(job, [drill.operationId]), [
      { operationId: drill.operationId, state: 'Answered', result },
    ]);
  }));

test('whoever looks at the job ends no task, and whoever looks at tasks ends no pre-flight', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.runSavepointTask(job, drill);
    await platform.runPreFlight(job, preFlight);
    cluster.step();
    await platform.observe(job, preFlight.operationId);
    await platform.observeSavepointTasks(job, [drill.operationId]);
    assert.equal(server.list(kinds.job).length, 2);
    await platform.observeSavepointTasks(job, []);
    assert.deepEqual(
      server.list(kinds.job).map(({ metadata }) => metadata.labels?.['flinkjob.dev/component']),
      ['preflight'],
      'nobody waits for the task any more',
    );
  }));

test('a task that was killed is told with what is known of it, and one that was never begun is left out', () =>
  withKubernetesPlatform(async ({ platform, cluster }) => {
    await platform.runSavepointTask(job, drill);
    cluster.answer = () => ({ exitCode: 137, message: '' });
    cluster.step();
    cluster.step();
    cluster.step();
    const facts = await platform.observeSavepointTasks(job, [drill.operationId, 'sp-1/drill/once/2']);
    assert.deepEqual(
      facts.map(({ operationId, state }) => [operationId, state]),
      [[drill.operationId, 'Failed']],
    );
  }));
