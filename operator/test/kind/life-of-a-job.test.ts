/**
 * What a person does with a job in a cluster, with kubectl: apply, look, scale, upgrade, suspend, resume, delete, apply again. All of it is one job, whose output is
 * exact in the end. What goes wrong on the way is in faults.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobNamespace, kubectl, listAll, operatorNamespace, until } from './cluster-under-test.ts';
import { JobInCluster } from './job-in-cluster.ts';
import { Story } from './story.ts';

const job = new JobInCluster('life', { recordCount: 300_000, recordsPerSecond: 500 });
const story = new Story(job);

test(
  'a FlinkJob that is applied runs, its TaskManagers on both workers',
  story.step(async () => {
    const ran = await job.change(() => job.apply());
    await job.untilMoreIsCommitted();
    const nodes = (await job.pods('taskmanager')).map(({ spec }) => spec?.nodeName);
    assert.deepEqual(nodes.toSorted(), ['flinkjob-worker', 'flinkjob-worker2']);
    return ran;
  }),
);

test(
  'kubectl get shows its state, its parallelism, its checkpoint and its restarts',
  story.step(async () => {
    // While nothing is under way the operator looks every 15 s.
    await job.untilStatus('says when its last checkpoint was', ({ lastCheckpointTime }) => lastCheckpointTime !== undefined);
    const [header = '', line = ''] = (await kubectl('--namespace', jobNamespace, 'get', 'fj', job.name)).split('\n');
    assert.match(header, /^NAME +STATE +PARALLELISM +CHECKPOINT +RESTARTS /);
    assert.match(line, /^life +Running +2 +\d+s +0 /);
  }),
);

for (const [replicas, direction] of [
  [3, 'up'],
  [1, 'down'],
] as const) {
  test(
    `kubectl scale takes it ${direction} to ${replicas}, with a savepoint`,
    story.step(async () => {
      const { attempt } = await job.untilRunning();
      const scale = ['scale', 'flinkjob', job.name, `--replicas=${replicas}`];
      const ran = await job.change(async () => void (await kubectl('--namespace', jobNamespace, ...scale)));
      const status = await job.untilRunning((attempt?.number ?? 0) + 1);
      assert.equal(status.parallelism, replicas);
      assert.match(status.restored ?? '', /savepoint/i);
      assert.equal((await job.pods('taskmanager')).length, replicas);
      await job.untilMoreIsCommitted();
      return ran;
    }),
  );
}

test(
  'another image is another revision, which goes on from a savepoint',
  story.step(async () => {
    const { attempt, revision } = await job.untilRunning();
    const ran = await job.change(() => job.patch({ image: 'keyed-count:2', job: { parallelism: 2 } }));
    const status = await job.untilRunning((attempt?.number ?? 0) + 1);
    assert.notEqual(status.revision, revision);
    assert.match(status.restored ?? '', /savepoint/i);
    const images = (await job.pods('taskmanager')).map(({ spec }) => spec?.containers?.[0]?.image);
    assert.deepEqual(images, ['keyed-count:2', 'keyed-count:2']);
    await job.untilMoreIsCommitted();
    return ran;
  }),
);

test(
  'suspended it has no pods; resumed it goes on from its savepoint',
  story.step(async () => {
    await job.patch({ job: { desiredState: 'Suspended' } });
    await job.untilStatus('Suspended', ({ state, rollout }) => state === 'Suspended' && rollout === undefined);
    await until('its processes have ended', async () => {
      const pods = [...(await job.pods('jobmanager')), ...(await job.pods('taskmanager'))];
      return pods.length === 0 ? true : undefined;
    });
    const ran = await job.change(() => job.patch({ job: { desiredState: 'Running' } }));
    const status = await job.untilRunning();
    assert.match(status.restored ?? '', /savepoint/i);
    await job.untilMoreIsCommitted();
    return ran;
  }),
);

test(
  'deleted and applied again it goes on where it was',
  story.step(async () => {
    const { lastCheckpoint } = await job.untilRunning();
    await job.delete();
    await until('nothing of it is left', async () => {
      const left = await kubectl(
        '--namespace',
        jobNamespace,
        'get',
        'all,configmaps',
        `--selector=flinkjob.dev/name=${job.name}`,
        '--output=name',
      );
      return left === '' ? true : undefined;
    });
    const ran = await job.change(() => job.apply());
    const status = await job.untilRunning();
    assert.doesNotMatch(status.restored ?? '', /nothing/i);
    assert.ok((status.lastCheckpoint?.id ?? 0) >= (lastCheckpoint?.id ?? 0));
    await job.untilMoreIsCommitted();
    return ran;
  }),
);

test(
  'all pods run under the restricted Pod Security Standard',
  story.step(async () => {
    for (const namespace of [jobNamespace, operatorNamespace]) {
      const label = await kubectl(
        'get',
        'namespace',
        namespace,
        '--output=jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}',
      );
      assert.equal(label, 'restricted');
      assert.ok((await listAll(namespace, 'pods')).length > 0);
    }
  }),
);

test(
  'when all its records are there it is Finished, and its output is exact',
  story.step(async () => {
    await job.hurry();
    await job.untilStatus('Finished', ({ state }) => state === 'Finished');
    return await job.expectExactOutput('ended');
  }),
);

test(
  'its bucket holds what its lineage names and nothing else; purged, the last entry alone',
  story.step(async () => {
    await job.expectCleanBucket();
    await job.purge();
  }),
);
